//! Who of the known callers may do a thing.

use std::sync::Arc;

use http::{HeaderValue, header};

use crate::{
    coding,
    error::Failure,
    handler::Parts,
    identity::Principal,
    middleware::{
        About, Declares, Middleware, Role, role,
        steps::{self, Head, Kept, Needs, Passed, Step},
    },
    respond,
    route::{self, Matched, RouteInfo},
};

type Test = Arc<dyn Fn(&Principal, &Parts) -> bool + Send + Sync>;

/// Turns away known callers that may not do this with `403` ([`Failure::Forbidden`]), and unknown ones with `401`.
///
/// It stands behind an authenticator. Several around a route must all be fulfilled.
///
/// A refusal for a lack of scopes says which: `WWW-Authenticate: Bearer error="insufficient_scope", scope="orders"`
/// (RFC 6750, 3.1), for callers with a token.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::{auth::*, *}; } pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
/// use prox::{Body, Middleware, Next, Principal, Request, middleware::Require, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let require = Require::scope("orders");
/// for (caller, status) in [
///     (None, 401),
///     (Some(Principal::new("jwt", "ada")), 403),
///     (Some(Principal::new("jwt", "ada").with_scopes(["orders"])), 200),
/// ] {
///     let mut req = Request::new(Body::empty());
///     caller.map(|caller| req.extensions_mut().insert(caller));
///     let response = require.handle(req, Next::new(handler(|_| async { "inside" }))).await;
///     assert_eq!(response.status(), status);
/// }
/// # });
/// ```
#[derive(Clone)]
pub struct Require {
    rule: Rule,
    problems: Vec<String>,
}

#[derive(Clone)]
enum Rule {
    /// All of them.
    Scopes(Vec<String>),
    AnyScope(Vec<String>),
    Claim(String, String),
    Param(String, String),
    That(Test),
}

impl Require {
    /// The caller has this scope, to the letter; of several between spaces it has all.
    pub fn scope(scope: impl AsRef<str>) -> Self {
        let scopes = scope.as_ref().split_ascii_whitespace().map(str::to_owned);
        Self::of(Rule::Scopes(scopes.collect()))
    }

    /// The caller has one of these scopes.
    pub fn any_scope<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self::of(Rule::AnyScope(scopes.into_iter().map(Into::into).collect()))
    }

    /// About the claim at this path of names: `Require::claim("tenant").is("acme")`. See [`Principal::claim`].
    pub fn claim(path: impl Into<String>) -> RequireClaim {
        RequireClaim(path.into())
    }

    /// `test` holds for the caller and the head of the request. It must not block.
    pub fn that(test: impl Fn(&Principal, &Parts) -> bool + Send + Sync + 'static) -> Self {
        Self::of(Rule::That(Arc::new(test)))
    }

    fn of(rule: Rule) -> Self {
        let mut problems = Vec::new();
        match &rule {
            Rule::Scopes(scopes) if scopes.is_empty() => {
                problems.push("`Require::scope`: expected a scope, such as \"orders\"".to_owned());
            }
            Rule::AnyScope(scopes) if scopes.is_empty() => problems.push(
                "`Require::any_scope`: an empty list lets nobody in, write at least one scope"
                    .to_owned(),
            ),
            Rule::Scopes(scopes) | Rule::AnyScope(scopes) => {
                let is_token = |scope: &&String| {
                    scope
                        .bytes()
                        .all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
                        && !scope.is_empty()
                };
                for scope in scopes.iter().filter(|scope| !is_token(scope)) {
                    problems.push(format!(
                        "`Require`: {scope:?} is not a scope (RFC 6749, 3.3): printable ASCII without spaces, `\"` and `\\`"
                    ));
                }
            }
            Rule::Claim(path, _) | Rule::Param(path, _) if path.is_empty() => {
                problems.push(
                    "`Require::claim`: expected the name of a claim, such as \"tenant\"".to_owned(),
                );
            }
            _ => {}
        }
        Self { rule, problems }
    }

    fn lets_in(&self, who: &Principal, head: &Head<'_>) -> bool {
        match &self.rule {
            Rule::Scopes(scopes) => scopes.iter().all(|scope| who.has_scope(scope)),
            Rule::AnyScope(scopes) => scopes.iter().any(|scope| who.has_scope(scope)),
            Rule::Claim(path, value) => who.claim(path).is_some_and(|claim| claim.has(value)),
            Rule::Param(path, param) => {
                let matched = head.extensions().get::<Matched>();
                let param = matched.and_then(|matched| matched.param(param));
                let param = param.and_then(decoded);
                who.claim(path)
                    .zip(param)
                    .is_some_and(|(claim, param)| claim.has(&param))
            }
            Rule::That(test) => head.taken().is_some_and(|parts| test(who, parts)),
        }
    }

    /// What a caller with a token lacks.
    fn insufficient(&self) -> Option<HeaderValue> {
        let (Rule::Scopes(scopes) | Rule::AnyScope(scopes)) = &self.rule else {
            return None;
        };
        let challenge = format!(
            "Bearer error=\"insufficient_scope\", scope=\"{}\"",
            scopes.join(" ")
        );
        HeaderValue::try_from(challenge).ok()
    }
}

/// The text of a parameter without its percent-encoding; nothing if it is not UTF-8 or has a separator in it.
fn decoded(param: &str) -> Option<String> {
    let text = coding::unescaped(param)?;
    (!text.contains(['/', '\\']) && !text.chars().any(char::is_control)).then_some(text)
}

/// What a claim has to be: made by [`Require::claim`].
#[derive(Clone, Debug)]
#[must_use = "say what the claim has to be: `.is(\"acme\")` or `.is_param(\"tenant\")`"]
pub struct RequireClaim(String);

impl RequireClaim {
    /// The claim is this text, or a list that has it.
    pub fn is(self, value: impl Into<String>) -> Require {
        Require::of(Rule::Claim(self.0, value.into()))
    }

    /// The claim is the text of the parameter `{name}` in the path, or a list that has it: callers see their own tenant alone.
    ///
    /// A route without the parameter is an error when the gateway starts.
    pub fn is_param(self, name: impl Into<String>) -> Require {
        Require::of(Rule::Param(self.0, name.into()))
    }
}

impl Step for Require {
    fn needs(&self) -> Needs {
        match self.rule {
            Rule::Scopes(_) | Rule::AnyScope(_) | Rule::Claim(..) => Needs::NOTHING,
            Rule::Param(..) | Rule::That(_) => Needs::EXTENSIONS,
        }
    }

    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        if let Rule::That(_) = self.rule {
            head.parts();
        }
        let who = head.principal();
        let failure = match who {
            None => Failure::Unauthenticated,
            Some(who) if self.lets_in(who, head) => return Some(Ok(Kept::Nothing)),
            Some(_) => Failure::Forbidden,
        };
        let mut response = respond::failure(failure, respond::is_grpc(head.headers()));
        let has_token = who.is_some_and(|who| matches!(who.scheme(), "jwt" | "introspect"));
        if let Some(challenge) = self.insufficient().filter(|_| has_token) {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        Some(Err(Box::new(response)))
    }
}

impl Middleware for Require {
    steps::as_middleware!();

    fn about(&self, about: &mut About) {
        about.role(Role::Requires);
        about.add_problems(&self.problems);
        if let Rule::Param(_, param) = &self.rule {
            let param = param.clone();
            about.check(move |route| has_param(route, &param));
        }
    }
}

fn has_param(route: &RouteInfo, param: &str) -> Result<(), String> {
    if route::names(route.path).any(|name| name == param) {
        return Ok(());
    }
    Err(format!(
        "`Require::claim(..).is_param({param:?})`: the path has no `{{{param}}}`"
    ))
}

impl Declares for Require {
    type Role = role::Requires;
}

impl std::fmt::Debug for Require {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Require");
        match &self.rule {
            Rule::Scopes(scopes) => debug.field("scopes", scopes),
            Rule::AnyScope(scopes) => debug.field("any_scope", scopes),
            Rule::Claim(path, value) => debug.field("claim", path).field("is", value),
            Rule::Param(path, param) => debug.field("claim", path).field("is_param", param),
            Rule::That(_) => debug.field("that", &".."),
        };
        debug.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        body::Body,
        handler::{BoxHandler, Request, Response, handler},
        identity::Claim,
        middleware::IntoLayer,
    };

    async fn ask(require: Require, who: Option<Principal>) -> Response {
        const ROUTE: RouteInfo = RouteInfo {
            listener: "",
            path: "/{tenant}/orders",
            ..RouteInfo::EMPTY
        };
        let mut req = Request::new(Body::empty());
        who.map(|who| req.extensions_mut().insert(who));
        let path = http::uri::PathAndQuery::from_static("/ac%20me/orders");
        req.extensions_mut().insert(Matched::new(&ROUTE, path));
        let target = handler(|_: Request| async { "inside" });
        require
            .into_layer()
            .wrap(BoxHandler::new(target))
            .call(req)
            .await
    }

    fn ada() -> Principal {
        Principal::new("jwt", "ada")
            .with_scopes(["a", "b"])
            .with_claim("tenant", "ac me")
            .with_claim("groups", Claim::from(vec!["dev", "ac me"]))
    }

    #[tokio::test]
    async fn each_rule_is_to_the_letter() {
        let cases: [(Require, u16); 14] = [
            (Require::scope("a"), 200),
            (Require::scope("a b"), 200),
            (Require::scope("a c"), 403),
            (Require::scope("A"), 403),
            (Require::any_scope(["c", "b"]), 200),
            (Require::any_scope(["c", "ab"]), 403),
            (Require::claim("tenant").is("ac me"), 200),
            (Require::claim("tenant").is("ac"), 403),
            (Require::claim("absent").is("x"), 403),
            (Require::claim("groups").is("dev"), 200),
            (Require::claim("tenant").is_param("tenant"), 200),
            (Require::claim("groups").is_param("tenant"), 200),
            (Require::claim("absent").is_param("tenant"), 403),
            (Require::claim("tenant").is_param("absent"), 403),
        ];
        for (require, status) in cases {
            let shown = format!("{require:?}");
            assert_eq!(
                ask(require.clone(), Some(ada())).await.status(),
                status,
                "{shown}"
            );
            assert_eq!(ask(require, None).await.status(), 401, "{shown}");
        }
        let that = Require::that(|who, parts| who.subject() == "ada" && parts.method == "GET");
        assert_eq!(ask(that, Some(ada())).await.status(), 200);
    }

    #[tokio::test]
    async fn who_has_a_token_is_told_which_scopes_it_lacks() {
        let response = ask(Require::scope("x y"), Some(ada())).await;
        assert_eq!(
            response.headers()["www-authenticate"],
            "Bearer error=\"insufficient_scope\", scope=\"x y\""
        );
        let basic = Principal::new("basic", "ada");
        let response = ask(Require::scope("x"), Some(basic)).await;
        assert!(!response.headers().contains_key("www-authenticate"));
        let response = ask(Require::claim("a").is("b"), Some(ada())).await;
        assert!(!response.headers().contains_key("www-authenticate"));
    }

    #[test]
    fn what_a_parameter_says_is_one_segment_of_text() {
        assert_eq!(decoded("a%20b").as_deref(), Some("a b"));
        for wrong in ["%", "%4", "%zz", "%ff", "a%2fb", "a%5cb", "%00", "%0a"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rules_that_nobody_fulfils_are_problems() {
        let problems = |require: Require| require.into_layer().about().problems().len();
        assert_eq!(problems(Require::scope(" ")), 1);
        assert_eq!(problems(Require::any_scope([""; 0])), 1);
        assert_eq!(problems(Require::any_scope(["a b", "\"", "c"])), 2);
        assert_eq!(problems(Require::claim("").is("x")), 1);
        assert_eq!(problems(Require::scope("orders:read https://a/b")), 0);
        let about = Require::claim("t").is_param("id").into_layer().about();
        let route = RouteInfo {
            listener: "",
            path: "/{tenant}",
            ..RouteInfo::EMPTY
        };
        assert_eq!(
            about.on(&route).collect::<Vec<_>>(),
            ["`Require::claim(..).is_param(\"id\")`: the path has no `{id}`"]
        );
        for path in ["/{id}", "/x/{id: int}", "/{a}/{id: 'v1' | 'v2'}", "/{*id}"] {
            let route = RouteInfo {
                path,
                ..RouteInfo::EMPTY
            };
            assert_eq!(about.on(&route).count(), 0, "{path}");
        }
    }
}
