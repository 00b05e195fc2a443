use std::{net::SocketAddr, sync::Arc};

use super::*;
use crate::{
    body::Body,
    client::Client,
    handler::{BoxHandler, Request, handler},
    identity::Principal,
    middleware::{IntoLayer, Layer},
};

/// The fields `x-..` that come through a layer, of these.
async fn through(layer: Layer, fields: &[(&'static str, &'static str)]) -> Vec<String> {
    let mut req = Request::new(Body::empty());
    for (name, value) in fields {
        let value = HeaderValue::from_static(value);
        req.headers_mut().append(*name, value);
    }
    let client = Client::new(Some("192.0.2.7:4000".parse::<SocketAddr>().unwrap()));
    req.extensions_mut().insert(Arc::new(client));
    let caller = Principal::new("test", "ada")
        .with_claim("tenant", "acme")
        .with_claim("level", 7);
    req.extensions_mut().insert(caller);
    // The same fields come back.
    let target = layer.wrap(BoxHandler::new(handler(async |req: Request| {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = req.headers().clone();
        response
    })));
    let response = target.call(req).await;
    let fields = response.headers().iter();
    let fields = fields.filter(|(name, _)| name.as_str().starts_with("x-"));
    let mut fields: Vec<_> = fields
        .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
        .collect();
    fields.sort();
    fields
}

#[tokio::test]
async fn rules_change_fields_one_after_the_other() {
    let before = [
        ("host", "Shop.test:8080"),
        ("x-a", "1"),
        ("x-a", "2"),
        ("x-b", "3"),
    ];
    macro_rules! both {
        ($layer:ident => $rules:expr, $after:expr) => {
            let after: &[&str] = $after;
            let $layer = Headers::request();
            assert_eq!(through($rules.into_layer(), &before).await, after);
            let $layer = Headers::response();
            assert_eq!(through($rules.into_layer(), &before).await, after);
        };
    }
    both!(layer => layer.set("X-A", "4"), &["x-a=4", "x-b=3"]);
    both!(layer => layer.add("x-a", "4"), &["x-a=1", "x-a=2", "x-a=4", "x-b=3"]);
    both!(layer => layer.remove("x-a").remove("x-c"), &["x-b=3"]);
    both!(layer => layer.default("x-a", "4").default("x-c", "5"), &["x-a=1", "x-a=2", "x-b=3", "x-c=5"]);
    both!(layer => layer.rename("x-a", "x-c"), &["x-b=3", "x-c=1", "x-c=2"]);
    both!(layer => layer.rename("x-a", "x-b"), &["x-b=1", "x-b=2"]);
    both!(layer => layer.rename("x-c", "x-b"), &["x-a=1", "x-a=2", "x-b=3"]);
    both!(layer => layer.rename("x-a", "x-A"), &["x-a=1", "x-a=2", "x-b=3"]);
    both!(layer => layer.set("x-a", "4").rename("x-a", "x-b").add("x-b", "5"), &["x-b=4", "x-b=5"]);
    both!(
        layer => layer.remove("x-a").set("x-b", "{host} {{{client_ip}}} {claim:tenant}/{claim:level}"),
        &["x-b=Shop.test:8080 {192.0.2.7} acme/7"]
    );
    // A part that is not there: what was there does not pass for it.
    both!(layer => layer.set("x-a", "id {request_id}"), &["x-b=3"]);
    both!(layer => layer.set("x-a", "{tenant}").add("x-b", "{claim:none}"), &["x-b=3"]);
    both!(layer => layer.default("x-c", "{claim:none}").remove("x-a"), &["x-b=3"]);
}

#[test]
fn templates_are_read_as_the_table_says() {
    for (text, problem) in [
        ("", None),
        ("plain", None),
        ("{{}}", None),
        ("{a}{b}", None),
        ("{claim:a.b}", None),
        ("{", Some("has a brace without another")),
        ("}", Some("has a brace without another")),
        ("a{b", Some("has a brace without another")),
        ("a}b{c}", Some("has a brace without another")),
        ("{}", Some("is not a part of a request")),
        ("{claim:}", Some("is not a part of a request")),
        ("{a b}", Some("is not a part of a request")),
        ("{*rest}", Some("is not a part of a request")),
        ("a\nb", Some("write printable ASCII")),
        ("a\r{b}", Some("write printable ASCII")),
        ("{b}\0", Some("write printable ASCII")),
        ("ü", Some("write printable ASCII")),
    ] {
        let read = Template::read(text);
        match problem {
            None => assert!(read.is_ok(), "{text:?}"),
            Some(problem) => {
                let error = read.expect_err(text);
                assert!(error.contains(problem), "{text:?}: {error}");
            }
        }
    }
}

#[test]
fn what_is_wrong_with_rules_is_said_at_start() {
    for name in RESERVED {
        let about = Headers::request().remove(name).into_layer().about();
        assert!(
            about.problems()[0].contains("is the gateway's alone"),
            "{name}"
        );
    }
    for (layer, said) in [
        (
            Headers::request().set("x y", "1"),
            "\"x y\" is not the name of a field",
        ),
        (
            Headers::request().rename("x-a", "Host"),
            "`host` frames the message",
        ),
        (
            Headers::request().set("x-a", "{"),
            "has a brace without another",
        ),
        (Headers::request(), "has no rule"),
    ] {
        let about = layer.into_layer().about();
        let [only] = about.problems() else {
            panic!("{about:?}")
        };
        assert!(
            only.starts_with("`Headers::request`") && only.contains(said),
            "{only}"
        );
    }
}
