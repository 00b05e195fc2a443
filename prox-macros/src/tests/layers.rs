//! Closures that are not layers, and authenticators of tokens without an audience.

use super::messages;
use crate::features;

/// The first lines of the messages of a gateway with this layer, and with this line before it.
fn with(before: &str, layer: &str) -> Vec<String> {
    let source = format!("{before} backend u = \"http://u\"; \"/\" => u with [{layer}]");
    let messages = messages(&source);
    let first = messages.iter().filter_map(|message| message.lines().next());
    first.map(str::to_owned).collect()
}

#[test]
fn a_closure_takes_the_request_and_what_comes_next() {
    for (layer, wanted) in [
        (
            "|req| async move { req }",
            "a layer closure must take exactly two arguments, found 1",
        ),
        (
            "|| async {}",
            "a layer closure must take exactly two arguments, found 0",
        ),
        (
            "move |a, b, c| x(a, b, c)",
            "a layer closure must take exactly two arguments, found 3",
        ),
        (
            "async |next, req| next.run(req).await",
            "the request must come before `next`",
        ),
        (
            "async |next: prox::Next, req: prox::Request| next.run(req).await",
            "the request must come before `next`",
        ),
        (
            "async |req: &prox::Request, next: Next| next.run(req).await",
            "a layer closure expects `prox::Request` and `prox::Next`, found `req: &prox::Request, next: Next`",
        ),
        (
            "async |req: Parts, next: Next| next.run(req).await",
            "a layer closure expects `prox::Request` and `prox::Next`, found `req: Parts, next: Next`",
        ),
    ] {
        assert_eq!(with("", layer), [wanted], "{layer}");
    }
    for layer in [
        "|req, next| next.run(req)",
        "move |req: prox::Request, next: prox::Next| async move { next.run(req).await }",
        "async move |mut req: Request, next| { req.extensions_mut().insert(1); next.run(req).await }",
        "|_, _| refused()",
        "|_: Request, _: Next| refused()",
        "|req: http::Request<prox::Body>, next: Next| next.run(req)",
        "make(|req| req)",
        "(|req, next| next.run(req))",
    ] {
        assert_eq!(with("", layer), Vec::<String>::new(), "{layer}");
    }
}

#[test]
fn an_authenticator_of_tokens_has_an_audience() {
    for (before, layer, ty) in [
        ("", "Jwt::issuer(\"https://id.test\")", "Jwt"),
        (
            "",
            "prox::middleware::Jwt::pem(KEY).leeway(5s).strip()",
            "Jwt",
        ),
        (
            "",
            "Introspect::new(\"http://id\").uri(\"/i\").cache(5s)",
            "Introspect",
        ),
        ("let auth = Jwt::jwks(URL);", "auth", "Jwt"),
        ("let auth = Jwt::jwks(URL);", "auth.optional()", "Jwt"),
    ] {
        let wanted = format!("this `{ty}` has no audience");
        assert_eq!(with(before, layer), [wanted], "{before} {layer}");
        // Without the feature there is no such type.
        let told = features::without("jwt", || with(before, layer));
        assert!(
            !told.iter().any(|line| line.contains("audience")),
            "{told:?}"
        );
    }
    for (before, layer) in [
        ("", "Jwt::issuer(\"https://id.test\").audience(\"shop\")"),
        (
            "",
            "Jwt::issuer(\"https://id.test\").audiences([\"a\"]).strip()",
        ),
        ("", "Jwt::issuer(\"https://id.test\").mine()"),
        ("", "mine(Jwt::issuer(\"https://id.test\"))"),
        ("", "Jwt::mine()"),
        ("let auth = Jwt::jwks(URL);", "auth.any_audience()"),
        (
            "let auth = Jwt::jwks(URL); let auth = auth.audience(\"a\");",
            "auth",
        ),
        ("let auth = Jwt::jwks(URL).any_audience();", "auth"),
    ] {
        assert_eq!(
            with(before, layer),
            Vec::<String>::new(),
            "{before} {layer}"
        );
    }
}
