use std::collections::BTreeMap;

use super::*;
use crate::{
    error::Failure,
    handler::{BoxHandler, handler},
    middleware::IntoLayer,
};

type Prices = BTreeMap<String, u32>;

async fn echo(req: Request) -> Response {
    Response::new(req.into_body())
}

/// The status and the body of the answer to a `POST` with this type and body.
async fn post(layer: &Validate, kind: &str, body: impl Into<Body>) -> (u16, String) {
    let mut request = http::Request::post("/");
    for kind in kind.split('|').filter(|kind| !kind.is_empty()) {
        request = request.header("content-type", kind);
    }
    send(layer, request.body(body.into()).unwrap()).await
}

async fn send(layer: &Validate, req: Request) -> (u16, String) {
    let target = layer
        .clone()
        .into_layer()
        .wrap(BoxHandler::new(handler(echo)));
    let answer = target.call(req).await;
    let status = answer.status().as_u16();
    let failed = [400, 413, 415].contains(&status);
    if failed {
        assert!(answer.extensions().get::<Failure>().is_some());
    }
    let text = answer.into_body().bytes(9999).await.unwrap();
    (status, String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let layer = Validate::content_type(["application/json", "image/*"]);
    for (kind, status) in [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("image/png", 200),
        ("text/plain", 415),
        ("application/json5", 415),
        ("application", 415),
        ("", 415),
        ("image/png|image/png", 415),
        ("application/json, text/plain", 415),
    ] {
        assert_eq!(post(&layer, kind, "body").await.0, status, "{kind}");
    }
}

#[tokio::test]
async fn json_passes_byte_by_byte_if_it_is_of_the_type() {
    let layer = Validate::json::<Prices>();
    let text = " {\"a\" : 1,\n\"b\":2} ";
    assert_eq!(
        post(&layer, "application/json", text).await,
        (200, text.into())
    );
    for (kind, status) in [
        ("application/problem+json", 200),
        ("application/json;charset=utf-8", 200),
        ("text/json", 415),
        ("+json", 415),
        ("application/grpc", 200),
        ("", 415),
    ] {
        let (found, body) = post(&layer, kind, text).await;
        assert_eq!(found, status, "{kind}");
        // A gRPC request is refused in its own way, and not let through.
        assert_eq!(
            body == text,
            status == 200 && kind != "application/grpc",
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_refusal_says_where_and_never_what() {
    let layer = Validate::json::<Prices>().max(1000);
    let deep = format!("{{\"a\":{}", "[".repeat(99));
    for (body, problem, line, column) in [
        ("{\"a\": \"secret\"}", "type", 1, 14),
        ("{\"a\": 1,\n \"a\": 424242}", "duplicate", 2, 4),
        ("{\"secret\"", "syntax", 1, 9),
        ("[]", "type", 1, 0),
        ("", "syntax", 1, 0),
        (&deep, "depth", 1, 69),
    ] {
        let (status, text) = post(&layer, "application/json", body.to_owned()).await;
        assert_eq!(status, 400, "{body}");
        assert!(
            !text.contains("secret") && !text.contains("424242"),
            "{text}"
        );
        let text: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text["detail"], "invalid_body");
        let found = &text["errors"][0];
        assert_eq!(found["problem"], problem, "{body}");
        assert_eq!(
            (&found["line"], &found["column"]),
            (&line.into(), &column.into()),
            "{body}"
        );
    }
    let long = "x".repeat(1001);
    assert_eq!(post(&layer, "application/json", long).await.0, 413);
}

#[tokio::test]
async fn coded_bodies_are_refused_and_requests_without_a_body_pass() {
    let layer = Validate::json::<Prices>();
    for (coding, status) in [
        ("gzip", 415),
        ("identity", 200),
        ("IDENTITY", 200),
        ("identity, br", 415),
    ] {
        let request = http::Request::post("/")
            .header("content-type", "application/json")
            .header("content-encoding", coding);
        let (found, _) = send(&layer, request.body(Body::from("{}")).unwrap()).await;
        assert_eq!(found, status, "{coding}");
    }
    for layer in [layer, Validate::content_type(["text/*"])] {
        for (method, status) in [
            ("GET", 200),
            ("HEAD", 200),
            ("DELETE", 200),
            ("POST", 415),
            ("PUT", 415),
            ("PATCH", 415),
        ] {
            let request = http::Request::builder().method(method).uri("/");
            let (found, _) = send(&layer, request.body(Body::empty()).unwrap()).await;
            assert_eq!(found, status, "{method}");
        }
        // A body is a body whatever the method is.
        let (found, _) = send(
            &layer,
            http::Request::get("/").body(Body::from("{}")).unwrap(),
        )
        .await;
        assert_eq!(found, 415);
    }
}

#[test]
fn mistakes_are_said_at_start() {
    let problems = |layer: Validate| layer.into_layer().about().problems().join("\n");
    assert_eq!(problems(Validate::json::<Prices>()), "");
    for (layer, part) in [
        (
            Validate::content_type(["json"]),
            "\"json\" is not a media type",
        ),
        (
            Validate::content_type::<&str>([]),
            "`Validate::content_type([])` refuses every body",
        ),
        (
            Validate::json::<Prices>().max(0),
            "`Validate::max(0)` refuses every body",
        ),
    ] {
        assert!(problems(layer).contains(part), "{part}");
    }
}

#[cfg(feature = "json-schema")]
mod schema {
    use super::*;

    const ORDER: &str = r##"{
        "type": "object",
        "required": ["items"],
        "additionalProperties": false,
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/$defs/item"}, "maxItems": 3}
        },
        "$defs": {
            "item": {
                "type": "object",
                "properties": {"count": {"type": "integer", "minimum": 1}, "name": {"pattern": "^[a-z]+$"}}
            }
        }
    }"##;

    #[tokio::test]
    async fn json_passes_if_it_is_valid() {
        let layer = Validate::schema(ORDER);
        for (body, wrong) in [
            (r#"{"items": []}"#, &[][..]),
            (r#"{"items": [{"count": 1, "name": "ab"}]}"#, &[][..]),
            (
                r#"{"items": [{}, {"count": 0}]}"#,
                &[("/items/1/count", "minimum")][..],
            ),
            (
                r#"{"items": [{"count": "secret"}]}"#,
                &[("/items/0/count", "type")][..],
            ),
            (
                r#"{"items": [{"name": "SECRET"}]}"#,
                &[("/items/0/name", "pattern")][..],
            ),
            (
                r#"{"items": [1, 2, 3, 4]}"#,
                &[
                    ("/items", "maxItems"),
                    ("/items/0", "type"),
                    ("/items/1", "type"),
                    ("/items/2", "type"),
                    ("/items/3", "type"),
                ][..],
            ),
            ("{}", &[("", "required")][..]),
            ("[]", &[("", "type")][..]),
        ] {
            let (status, text) = post(&layer, "application/json", body).await;
            assert_eq!(
                status,
                if wrong.is_empty() { 200 } else { 400 },
                "{body} {text}"
            );
            if wrong.is_empty() {
                assert_eq!(text, body);
                continue;
            }
            assert!(!text.to_ascii_lowercase().contains("secret"), "{text}");
            let text: serde_json::Value = serde_json::from_str(&text).unwrap();
            let mut found: Vec<_> = (text["errors"].as_array().unwrap().iter())
                .map(|error| {
                    (
                        error["pointer"].as_str().unwrap(),
                        error["keyword"].as_str().unwrap(),
                    )
                })
                .collect();
            found.sort_unstable();
            assert_eq!(found, wrong, "{body}");
        }
        let (status, text) =
            post(&layer, "application/json", r#"{"items": [], "items": []}"#).await;
        assert!(status == 400 && text.contains("duplicate"), "{text}");
    }

    #[test]
    fn a_schema_that_is_wrong_is_said_at_start() {
        for schema in [
            "{",
            "1",
            r#"{"type": "objekt"}"#,
            r#"{"minimum": "a"}"#,
            r#"{"type": "object", "type": "array"}"#,
            r#"{"$ref": "https://example.com/order.json"}"#,
            r#"{"$ref": "file:///etc/passwd"}"#,
            r#"{"pattern": "(a)\\1"}"#,
            r#"{"pattern": "("}"#,
        ] {
            let layer = Validate::schema(schema);
            let problems = layer.into_layer().about().problems().to_vec();
            assert!(
                problems
                    .iter()
                    .any(|problem| problem.starts_with("`Validate::schema`: ")),
                "{schema}: {problems:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_pattern_takes_linear_time() {
        let layer = Validate::schema(r#"{"pattern": "^(a+)+$"}"#);
        let text = format!("\"{}b\"", "a".repeat(100_000));
        assert_eq!(post(&layer, "application/json", text).await.0, 400);
    }
}
