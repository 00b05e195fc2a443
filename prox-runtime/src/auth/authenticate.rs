//! What finds out who the caller is, alone and together.

use std::future::Future;

use http::HeaderValue;

use super::{Denied, Verdict, forward::Cookies};
use crate::{
    error::Failure,
    handler::{Parts, Response},
    middleware::{
        About, Declares, IntoLayer, Layer, Middleware, Role, role,
        steps::{self, Head, Kept, Needs, Passed, Step, Waiting},
    },
    respond,
};

/// Finds out who the caller is. It stands in `with [..]` as it is.
///
/// A request whose caller is known goes on, and has a [`Principal`](crate::Principal). All others are answered: `401` with the
/// [challenges](Self::challenge), or what [`Denied`] says. Of several authenticators around a route the innermost one counts.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::{auth::*, *}; } pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
/// use http::HeaderValue;
/// use prox::{Parts, Principal, middleware::{Authenticate, Denied, Verdict}};
///
/// /// Knows one caller by a field. A real one compares in constant time.
/// struct Intercom;
///
/// impl Authenticate for Intercom {
///     async fn authenticate(&self, parts: &mut Parts) -> Verdict {
///         match parts.headers.remove("x-intercom") {
///             None => Verdict::Absent,
///             Some(word) if word == "swordfish" => Verdict::Admitted(Principal::new("intercom", "kitchen")),
///             Some(_) => Verdict::Refused(Denied::challenged(HeaderValue::from_static("Intercom"))),
///         }
///     }
///
///     fn challenge(&self) -> Option<HeaderValue> {
///         Some(HeaderValue::from_static("Intercom"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an authenticator",
    label = "this does not say who the caller is",
    note = "implement `prox::middleware::Authenticate` for it; for a function that rejects callers, write `admits(check_session)`"
)]
pub trait Authenticate: Send + Sync + 'static {
    /// Looks at the head of a request. What only the gateway should see of the credentials is removed from it.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the client leaves.
    fn authenticate(&self, parts: &mut Parts) -> impl Future<Output = Verdict> + Send;

    /// What `WWW-Authenticate` says where credentials are missing, such as `Basic realm="shop"` (RFC 9110, 11.6.1).
    ///
    /// Nothing where there is no HTTP scheme that a client could use. If no authenticator of a `401` has one, the answer is `403`.
    fn challenge(&self) -> Option<HeaderValue>;

    /// All of them, for one that is made of several; that is what clients get.
    fn challenges(&self) -> Vec<HeaderValue> {
        self.challenge().into_iter().collect()
    }

    /// Whether it may add cookies to the responses of requests that it admits.
    #[doc(hidden)]
    fn adds_cookies(&self) -> bool {
        false
    }

    /// The same at once, where nothing has to be waited for. `None` tells nothing, and leaves the head as it is.
    #[doc(hidden)]
    #[expect(
        private_interfaces,
        reason = "it is for the authenticators of this crate"
    )]
    fn __at_once(&self, head: &mut Head<'_>) -> Option<Verdict> {
        let _ = head;
        None
    }

    /// Whether it reads nothing of the extensions of a request, and changes no field but that of the credentials.
    #[doc(hidden)]
    fn __is_plain(&self) -> bool {
        false
    }

    /// As [`Middleware::about`]. Its role is known.
    fn about(&self, about: &mut About) {
        let _ = about;
    }
}

/// What every authenticator can be made of.
pub trait AuthenticateExt: Authenticate + Sized {
    /// Takes the credentials of `other` where there are none of this kind. Wrong credentials of this kind are refused at once.
    fn or<B: Authenticate>(self, other: B) -> Or<Self, B> {
        Or(self, other)
    }

    /// Lets callers without credentials pass, who then have no [`Principal`](crate::Principal). Wrong credentials are refused.
    ///
    /// A route under `require auth` is not covered by it alone. A [`Require`](super::Require) behind it covers the route.
    fn optional(self) -> Optional<Self> {
        Optional(self)
    }
}

impl<A: Authenticate> AuthenticateExt for A {}

/// Two authenticators: see [`AuthenticateExt::or`].
#[derive(Clone, Debug)]
pub struct Or<A, B>(A, B);

impl<A: Authenticate, B: Authenticate> Authenticate for Or<A, B> {
    async fn authenticate(&self, parts: &mut Parts) -> Verdict {
        match self.0.authenticate(parts).await {
            Verdict::Absent => match self.1.authenticate(parts).await {
                Verdict::Refused(denied) => refused(denied, &self.1, self.0.challenges()),
                verdict => verdict,
            },
            Verdict::Refused(denied) => refused(denied, &self.0, self.1.challenges()),
            admitted @ Verdict::Admitted(_) => admitted,
        }
    }

    fn challenge(&self) -> Option<HeaderValue> {
        self.0.challenge().or_else(|| self.1.challenge())
    }

    fn challenges(&self) -> Vec<HeaderValue> {
        let mut all = self.0.challenges();
        all.extend(self.1.challenges());
        all
    }

    fn adds_cookies(&self) -> bool {
        self.0.adds_cookies() || self.1.adds_cookies()
    }

    fn about(&self, about: &mut About) {
        self.0.about(about);
        self.1.about(about);
    }
}

/// A refusal that asks for the other kind as well.
fn refused<A: Authenticate>(denied: Denied, own: &A, others: Vec<HeaderValue>) -> Verdict {
    let denied = if denied.is_challenged() {
        denied
    } else {
        denied.and(own.challenges())
    };
    Verdict::Refused(denied.and(others))
}

/// Lets callers without credentials pass: see [`AuthenticateExt::optional`].
#[derive(Clone, Debug)]
pub struct Optional<A>(A);

/// Makes a layer of what holds an authenticator; `$optional`: callers without credentials pass.
macro_rules! layer {
    ($layer:ident, optional: $optional:literal, $role:expr) => {
        impl<A: Authenticate> Step for $layer<A> {
            fn needs(&self) -> Needs {
                needs(&self.0)
            }

            fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
                let verdict = self.0.__at_once(head)?;
                Some(passed(&self.0, verdict, head, $optional))
            }

            fn wait<'a>(&'a self, head: &'a mut Head<'_>) -> Waiting<'a> {
                Box::pin(wait(&self.0, head, $optional))
            }

            fn after(&self, kept: Kept, response: &mut Response) {
                add_cookies(kept, response);
            }
        }

        impl<A: Authenticate> Middleware for $layer<A> {
            steps::as_middleware!();

            fn about(&self, about: &mut About) {
                self.0.about(about);
                about.role($role);
            }
        }
    };
}

layer!(Optional, optional: true, Role::Identifies);
layer!(Authenticating, optional: false, Role::Authenticates);

impl<A: Authenticate> Declares for Optional<A> {
    type Role = role::Identifies;
}

impl<A: Authenticate> Declares for A {
    type Role = role::Authenticates;
}

/// Marks an authenticator in `with [..]`.
#[derive(Debug)]
pub struct Authenticator;

#[diagnostic::do_not_recommend]
impl<A: Authenticate> IntoLayer<Authenticator> for A {
    type Shared = ();
    type Service = ();
    type Runs = ();

    fn into_layer(self) -> Layer {
        Authenticating(self).into_layer()
    }
}

/// Turns callers away that are not known: what an authenticator is in `with [..]`.
struct Authenticating<A>(A);

fn needs(auth: &impl Authenticate) -> Needs {
    if auth.__is_plain() {
        Needs::NOTHING
    } else {
        Needs::ALL
    }
}

async fn wait(auth: &impl Authenticate, head: &mut Head<'_>, optional: bool) -> Passed {
    let verdict = auth.authenticate(head.parts()).await;
    passed(auth, verdict, head, optional)
}

/// What becomes of a request with this verdict.
fn passed(
    auth: &impl Authenticate,
    verdict: Verdict,
    head: &mut Head<'_>,
    optional: bool,
) -> Passed {
    let denied = match verdict {
        Verdict::Admitted(principal) => {
            if let Some(tally) = head.tally() {
                tally.is_of(&principal);
            }
            let extensions = head.extensions_mut();
            let cookies = auth.adds_cookies().then(|| extensions.remove::<Cookies>());
            head.is_of(principal);
            return Ok(match cookies.flatten() {
                Some(cookies) => Kept::Other(Box::new(cookies)),
                None => Kept::Nothing,
            });
        }
        Verdict::Absent if optional => return Ok(Kept::Nothing),
        Verdict::Absent => missing(auth.challenges()),
        Verdict::Refused(denied) if denied.is_challenged() => denied,
        Verdict::Refused(denied) => denied.and(auth.challenges()),
    };
    let grpc = respond::is_grpc(head.headers());
    Err(Box::new(denied.response(grpc)))
}

/// Adds the cookies that an authenticator has kept.
fn add_cookies(kept: Kept, response: &mut Response) {
    if let Some(cookies) = kept.other::<Cookies>() {
        cookies.add_to(response);
    }
}

/// The answer where there are no credentials. Without a scheme to ask for, a `401` would be malformed (RFC 9110, 15.5.2).
fn missing(challenges: Vec<HeaderValue>) -> Denied {
    if challenges.is_empty() {
        Denied::new(Failure::Forbidden)
    } else {
        Denied::new(Failure::Unauthenticated).and(challenges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        body::Body,
        handler::{BoxHandler, Request, handler},
        identity::Principal,
        route::RequestExt,
    };

    /// Admits who sends its name in a field of that name.
    struct Word(&'static str);

    impl Authenticate for Word {
        async fn authenticate(&self, parts: &mut Parts) -> Verdict {
            match parts.headers.get(self.0) {
                None => Verdict::Absent,
                Some(value) if value == self.0 => Verdict::Admitted(Principal::new("word", self.0)),
                Some(value) if value == "malformed" => {
                    Verdict::Refused(Denied::new(Failure::MalformedRequest))
                }
                Some(_) => Verdict::Refused(Denied::new(Failure::Unauthenticated)),
            }
        }

        fn challenge(&self) -> Option<HeaderValue> {
            (self.0 != "mute").then(|| HeaderValue::from_static(self.0))
        }
    }

    async fn send(
        layer: &Layer,
        fields: &[(&'static str, &'static str)],
    ) -> (u16, String, Vec<String>) {
        let target = handler(|req: Request| async move {
            req.principal()
                .map_or_else(|| "nobody".to_owned(), |who| who.subject().to_owned())
        });
        let mut req = Request::new(Body::empty());
        for (name, value) in fields {
            req.headers_mut()
                .insert(*name, HeaderValue::from_static(value));
        }
        let response = layer.wrap(BoxHandler::new(target)).call(req).await;
        let status = response.status().as_u16();
        let challenges = response.headers().get_all("www-authenticate").iter();
        let challenges = challenges.map(|value| value.to_str().unwrap().to_owned());
        let challenges = challenges.collect();
        let text = response.into_body().bytes(99).await.unwrap();
        (
            status,
            String::from_utf8_lossy(&text).into_owned(),
            challenges,
        )
    }

    #[tokio::test]
    async fn only_who_proves_who_it_is_gets_in() {
        let layer = Word("a").into_layer();
        assert_eq!(send(&layer, &[("a", "a")]).await, (200, "a".into(), vec![]));
        let (status, _, challenges) = send(&layer, &[]).await;
        assert_eq!((status, challenges), (401, vec!["a".to_owned()]));
        assert_eq!(send(&layer, &[("a", "b")]).await.0, 401);
        assert_eq!(send(&layer, &[("a", "malformed")]).await.0, 400);
    }

    #[tokio::test]
    async fn the_second_is_asked_only_without_credentials_for_the_first() {
        let layer = Word("a").or(Word("b")).into_layer();
        assert_eq!(send(&layer, &[("b", "b")]).await.1, "b");
        assert_eq!(send(&layer, &[("a", "a"), ("b", "x")]).await.1, "a");
        let (status, _, challenges) = send(&layer, &[("a", "x"), ("b", "b")]).await;
        assert_eq!((status, challenges.join(" ")), (401, "a b".to_owned()));
        for fields in [&[("b", "x")][..], &[]] {
            let (status, _, mut challenges) = send(&layer, fields).await;
            challenges.sort();
            assert_eq!((status, challenges.join(" ")), (401, "a b".to_owned()));
        }
    }

    #[tokio::test]
    async fn without_a_scheme_to_ask_for_the_answer_is_403() {
        assert_eq!(send(&Word("mute").into_layer(), &[]).await.0, 403);
    }

    #[tokio::test]
    async fn what_is_optional_may_be_absent_and_not_wrong() {
        let layer = Word("a").optional().into_layer();
        assert_eq!(send(&layer, &[]).await.1, "nobody");
        assert_eq!(send(&layer, &[("a", "a")]).await.1, "a");
        assert_eq!(send(&layer, &[("a", "x")]).await.0, 401);
    }

    #[test]
    fn the_roles_of_the_types_are_those_that_they_tell() {
        assert_eq!(
            Word("a").into_layer().about().the_role(),
            Role::Authenticates
        );
        let optional = Word("a").optional().into_layer();
        assert_eq!(optional.about().the_role(), Role::Identifies);
    }
}
