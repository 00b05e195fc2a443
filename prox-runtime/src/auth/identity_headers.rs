//! Tells upstreams who the caller is.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};

use crate::{
    coding::base64url,
    error::Failure,
    identity::{Claim, Principal},
    middleware::{
        About, Declares, Middleware, Role, role,
        steps::{self, Head, Kept, Needs, Passed, Step},
    },
    respond,
};

/// Tells upstreams who the caller is, in fields that no client can claim.
///
/// The fields are removed from every request of every route of the gateway, whatever its layers, and in every spelling that an
/// upstream could take for theirs (see [`About::sets`]). On routes with this layer they are then written from the
/// [`Principal`]:
///
/// | builder | value |
/// |---|---|
/// | [`subject`](Self::subject) | the subject |
/// | [`scheme`](Self::scheme) | how the caller has proved who it is |
/// | [`scopes`](Self::scopes) | the scopes, with spaces between them |
/// | [`claim`](Self::claim) | a text as it is; a list or an object as JSON in ASCII; others as JSON |
/// | [`claims_json`](Self::claims_json) | all claims as JSON, in base64url without padding |
///
/// What the caller lacks is an absent field. A caller of whom a text is to be told that no field can carry, such as one with a
/// control character, is refused with `401`. A text that is not ASCII is written in UTF-8.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::{auth::*, *}; } pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
/// use prox::{Body, Middleware, Next, Principal, Request, middleware::IdentityHeaders, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let tell = IdentityHeaders::new().subject("x-user").claim("tenant", "x-tenant");
/// let mut req = Request::new(Body::empty());
/// req.extensions_mut().insert(Principal::new("jwt", "ada").with_claim("tenant", "acme"));
/// let next = Next::new(handler(|req: Request| async move {
///     assert_eq!(req.headers()["x-user"], "ada");
///     assert_eq!(req.headers()["x-tenant"], "acme");
///     "inside"
/// }));
/// assert_eq!(tell.handle(req, next).await.status(), 200);
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct IdentityHeaders {
    fields: Vec<(HeaderName, What)>,
    problems: Vec<String>,
}

#[derive(Clone, Debug)]
enum What {
    Subject,
    Scheme,
    Scopes,
    Claim(String),
    Claims,
}

impl IdentityHeaders {
    /// Tells nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the subject into this field.
    pub fn subject(self, field: impl AsRef<str>) -> Self {
        self.field(field.as_ref(), What::Subject)
    }

    /// Writes how the caller has proved who it is into this field.
    pub fn scheme(self, field: impl AsRef<str>) -> Self {
        self.field(field.as_ref(), What::Scheme)
    }

    /// Writes the scopes into this field.
    pub fn scopes(self, field: impl AsRef<str>) -> Self {
        self.field(field.as_ref(), What::Scopes)
    }

    /// Writes the claim at this [path](Principal::claim) into this field.
    pub fn claim(self, path: impl Into<String>, field: impl AsRef<str>) -> Self {
        self.field(field.as_ref(), What::Claim(path.into()))
    }

    /// Writes all claims into this field.
    pub fn claims_json(self, field: impl AsRef<str>) -> Self {
        self.field(field.as_ref(), What::Claims)
    }

    fn field(mut self, name: &str, what: What) -> Self {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) if self.fields.iter().any(|(other, _)| *other == name) => {
                let problem = format!("`IdentityHeaders`: duplicate field {:?}", name.as_str());
                self.problems.push(problem);
            }
            Ok(name) => self.fields.push((name, what)),
            Err(_) => self.problems.push(format!(
                "`IdentityHeaders`: {name:?} is not the name of a field"
            )),
        }
        self
    }
}

/// What the caller has of a field.
enum Told {
    Nothing,
    Field(HeaderValue),
    /// A text that no field can carry.
    Unwritable,
}

impl What {
    fn tell(&self, who: &Principal) -> Told {
        let field = match self {
            // Many requests are of one caller.
            Self::Subject if who.subject().is_empty() => return Told::Nothing,
            Self::Subject => who.subject_field(field),
            _ => match self.of(who) {
                Some(text) => field(&text),
                None => return Told::Nothing,
            },
        };
        field.map_or(Told::Unwritable, Told::Field)
    }

    /// The text for upstreams; nothing if the caller lacks it.
    fn of<'w>(&self, who: &'w Principal) -> Option<Cow<'w, str>> {
        let text = match self {
            Self::Subject => who.subject().into(),
            Self::Scheme => who.scheme().into(),
            Self::Scopes => who.scopes().collect::<Vec<_>>().join(" ").into(),
            Self::Claim(path) => who.claim(path)?.shown()?,
            Self::Claims => {
                let claims = who.claims();
                let claims = claims.map(|(name, claim)| (name.to_owned(), claim.clone()));
                base64url(Claim::Object(claims.collect()).to_json().as_bytes()).into()
            }
        };
        Some(text).filter(|text| !text.is_empty())
    }
}

/// A text as the value of a field; nothing if no field can carry it. A control character other than a tab is not a value.
fn field(text: &str) -> Option<HeaderValue> {
    let text = Some(text).filter(|text| !is_cut(text))?;
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

/// Whether a text would be another one on the way: for the spaces at its ends, or a tab.
fn is_cut(text: &str) -> bool {
    text.starts_with(char::is_whitespace)
        || text.ends_with(char::is_whitespace)
        || text.bytes().any(|byte| byte == b'\t')
}

impl Step for IdentityHeaders {
    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        let who = head.principal().cloned();
        let headers = head.headers_mut();
        for (name, what) in &self.fields {
            match who.as_ref().map_or(Told::Nothing, |who| what.tell(who)) {
                Told::Field(value) => {
                    headers.insert(name.clone(), value);
                }
                // A layer before this one may have written it.
                Told::Nothing => {
                    headers.remove(name);
                }
                Told::Unwritable => {
                    let grpc = respond::is_grpc(headers);
                    let response = respond::failure(Failure::Unauthenticated, grpc);
                    return Some(Err(Box::new(response)));
                }
            }
        }
        Some(Ok(Kept::Nothing))
    }
}

impl Middleware for IdentityHeaders {
    steps::as_middleware!();

    fn about(&self, about: &mut About) {
        about.role(Role::NeedsIdentity);
        about.add_problems(&self.problems);
        if self.fields.is_empty() && self.problems.is_empty() {
            about.problem("`IdentityHeaders` tells nothing: write `.subject(\"x-user\")`");
        }
        for (name, _) in &self.fields {
            about.sets(name.clone());
        }
    }
}

impl Declares for IdentityHeaders {
    type Role = role::NeedsIdentity;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        body::Body,
        handler::{BoxHandler, Request, handler},
        middleware::IntoLayer,
    };

    async fn told(layer: IdentityHeaders, who: Option<Principal>) -> (u16, String) {
        let target = handler(|req: Request| async move {
            let mut fields: Vec<String> = req
                .headers()
                .iter()
                .map(|(name, value)| {
                    format!("{name}={}", String::from_utf8_lossy(value.as_bytes()))
                })
                .collect();
            fields.sort();
            fields.join("\n")
        });
        let mut req = Request::new(Body::empty());
        req.headers_mut()
            .insert("x-user", HeaderValue::from_static("mallory"));
        who.map(|who| req.extensions_mut().insert(who));
        let response = layer
            .into_layer()
            .wrap(BoxHandler::new(target))
            .call(req)
            .await;
        let status = response.status().as_u16();
        let text = response.into_body().bytes(999).await.unwrap();
        (status, String::from_utf8_lossy(&text).into_owned())
    }

    fn all() -> IdentityHeaders {
        IdentityHeaders::new()
            .subject("X-User")
            .scheme("x-scheme-of")
            .scopes("x-scopes")
            .claim("roles", "x-roles")
            .claim("age", "x-age")
            .claim("gone", "x-gone")
            .claims_json("x-claims")
    }

    #[tokio::test]
    async fn what_is_known_is_told_and_nothing_else_stays() {
        let who = Principal::new("jwt", "adä")
            .with_scopes(["a", "b"])
            .with_claim("roles", Claim::from(vec!["x", "ü"]))
            .with_claim("age", 7)
            .with_claim("gone", Claim::Null);
        let (status, fields) = told(all(), Some(who)).await;
        assert_eq!(status, 200);
        assert_eq!(
            fields,
            "x-age=7\nx-claims=eyJhZ2UiOjcsImdvbmUiOm51bGwsInJvbGVzIjpbIngiLCJcdTAwZmMiXX0\n\
             x-roles=[\"x\",\"\\u00fc\"]\nx-scheme-of=jwt\nx-scopes=a b\nx-user=adä"
        );
        assert_eq!(told(all(), None).await, (200, String::new()));
    }

    #[tokio::test]
    async fn what_no_field_can_carry_is_refused() {
        for subject in ["a\r\nx-admin: 1", "a\0", "\u{7f}", " ada", "ada ", "a\tb"] {
            let who = Principal::new("jwt", subject);
            assert_eq!(told(all(), Some(who)).await.0, 401, "{subject:?}");
        }
        let who = Principal::new("jwt", "a").with_claim("roles", Claim::from(vec!["a\r\nb"]));
        let (status, fields) = told(all(), Some(who)).await;
        assert!(
            status == 200 && fields.contains("x-roles=[\"a\\u000d\\u000ab\"]"),
            "{fields}"
        );
    }

    #[test]
    fn wrong_names_are_problems() {
        let layer = IdentityHeaders::new()
            .subject("x user")
            .scopes("x-a")
            .scheme("X-A");
        let about = layer.into_layer().about();
        assert_eq!(
            about.problems(),
            [
                "`IdentityHeaders`: \"x user\" is not the name of a field",
                "`IdentityHeaders`: duplicate field \"x-a\"",
            ]
        );
        assert_eq!(about.names_set(), ["x-a"]);
        assert_eq!(
            IdentityHeaders::new().into_layer().about().problems().len(),
            1
        );
    }
}
