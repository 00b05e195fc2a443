use http::{HeaderMap, Method};
use serde_json::json;
use tower::service_fn;

use super::*;
use crate::client::Client;

fn sample(name: &str) -> Value {
    let path = format!(
        "{}/../examples/lambda/events/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

struct Seen {
    kind: Kind,
    parts: http::request::Parts,
    body: Bytes,
}

impl Seen {
    async fn of(event: Value) -> Self {
        let (kind, request) = event::read(&event).unwrap();
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { kind, parts, body }
    }

    fn field(&self, name: &str) -> Vec<&str> {
        let values = self.parts.headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    fn client(&self) -> (Option<std::net::IpAddr>, &str) {
        let client = self
            .parts
            .extensions
            .get::<std::sync::Arc<Client>>()
            .unwrap();
        (client.peer_ip(), client.scheme())
    }
}

#[tokio::test]
async fn an_event_of_a_rest_api_is_encoded_again() {
    let seen = Seen::of(sample("rest")).await;
    assert_eq!(seen.kind, Kind::Rest);
    assert_eq!(seen.parts.method, Method::POST);
    assert_eq!(
        seen.parts.uri.to_string(),
        "/users/J%C3%BCrgen%207/a?q=x+y&q=y&r%26s=1%3D2"
    );
    assert_eq!(*seen.body, [0, 255, 1]);
    assert_eq!(seen.field("x-two"), ["a", "b"]);
    assert_eq!(seen.field("content-length"), ["3"]);
    assert_eq!(seen.field("x-forwarded-for"), ["198.51.100.7"]);
    assert_eq!(seen.client(), (Some([192, 0, 2, 1].into()), "https"));
}

#[tokio::test]
async fn an_event_of_an_http_api_loses_its_stage() {
    let seen = Seen::of(sample("http")).await;
    assert_eq!(seen.kind, Kind::Http);
    assert_eq!(seen.parts.method, Method::PUT);
    assert_eq!(seen.parts.uri.to_string(), "/users/7%20b?a=1&a=2&b=%26");
    assert_eq!(seen.field("cookie"), ["one=1; two=2"]);
    assert_eq!(*seen.body, *"{\"name\": \"\u{e4}\"}".as_bytes());
    assert_eq!(seen.field("content-length"), ["14"]);
    assert!(seen.field("x-forwarded-for").is_empty());
    for (stage, host, path, wanted) in [
        ("prod", "abc123", "/prod", "/"),
        ("prod", "abc123", "/prod/", "/"),
        ("prod", "abc123", "/production/a", "/production/a"),
        ("prod", "abc123", "/a/prod", "/a/prod"),
        ("prod", "shop", "/prod/a", "/prod/a"),
        ("$default", "abc123", "/$default/a", "/$default/a"),
    ] {
        let mut event = sample("http");
        event["rawPath"] = path.into();
        event["rawQueryString"] = "".into();
        event["requestContext"]["stage"] = stage.into();
        event["requestContext"]["domainPrefix"] = host.into();
        let seen = Seen::of(event).await;
        assert_eq!(seen.parts.uri.to_string(), wanted, "{stage} {host} {path}");
    }
}

#[tokio::test]
async fn events_of_a_function_url_and_of_a_balancer_are_read() {
    let seen = Seen::of(sample("url")).await;
    assert_eq!(seen.kind, Kind::Http);
    assert_eq!(seen.parts.uri.to_string(), "/users");
    assert_eq!(
        seen.client(),
        (Some("2001:db8::1".parse().unwrap()), "https")
    );
    assert!(seen.body.is_empty() && seen.field("content-length").is_empty());
    let seen = Seen::of(sample("balancer")).await;
    assert_eq!(seen.kind, Kind::Balancer { multi: false });
    assert_eq!(seen.parts.uri.to_string(), "/users?a=%26&b=x+y");
    assert_eq!(seen.client(), (Some([192, 0, 2, 1].into()), "http"));
    assert_eq!(seen.field("x-forwarded-for"), ["203.0.113.9"]);
}

#[tokio::test]
async fn what_aws_has_decoded_is_encoded_and_what_is_encoded_stays() {
    for (path, wanted) in [
        ("/a b", "/a%20b"),
        ("/a?b#c", "/a%3Fb%23c"),
        ("/a%2Fb", "/a%2Fb"),
        ("/100%", "/100%25"),
        ("/%zz", "/%25zz"),
        ("", "/"),
        ("a", "/a"),
        ("//a", "//a"),
        ("/\u{4e2d}", "/%E4%B8%AD"),
        ("/a\"<>\\^`{|}", "/a%22%3C%3E%5C%5E%60%7B%7C%7D"),
    ] {
        let mut event = sample("balancer");
        event["path"] = path.into();
        event["queryStringParameters"] = Value::Null;
        let seen = Seen::of(event).await;
        assert_eq!(seen.parts.uri.to_string(), wanted, "{path}");
    }
}

#[test]
fn what_is_not_a_request_is_an_error() {
    let with = |change: fn(&mut Value)| {
        let mut event = sample("rest");
        change(&mut event);
        event
    };
    for event in [
        json!(null),
        json!([]),
        json!({}),
        json!({"source": "aws.events", "detail-type": "Scheduled Event"}),
        json!({"Records": [{"eventSource": "aws:sqs"}]}),
        json!({"requestContext": {"routeKey": "$connect", "connectionId": "a"}}),
        with(|event| event["httpMethod"] = "G T".into()),
        with(|event| event["multiValueHeaders"]["a b"] = json!(["1"])),
        with(|event| event["multiValueHeaders"]["a"] = json!(["1\n2"])),
        with(|event| event["body"] = "?".into()),
    ] {
        let shown = event.to_string();
        assert!(event::read(&event).is_err(), "{shown}");
    }
}

fn parts(status: u16, fields: &[(&'static str, &'static str)]) -> http::response::Parts {
    let mut response = http::Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(()).unwrap().into_parts().0
}

const FIELDS: [(&str, &str); 5] = [
    ("x-two", "a"),
    ("x-two", "b"),
    ("set-cookie", "one=1"),
    ("set-cookie", "two=2"),
    ("connection", "close"),
];

#[test]
fn a_response_has_the_form_of_its_event() {
    let made = |kind| whole(kind, &parts(404, &FIELDS), b"text").unwrap();
    let lists = json!({"x-two": ["a", "b"], "set-cookie": ["one=1", "two=2"]});
    assert_eq!(
        made(Kind::Rest),
        json!({"statusCode": 404, "isBase64Encoded": false, "body": "text", "multiValueHeaders": lists})
    );
    assert_eq!(
        made(Kind::Http),
        json!({
            "statusCode": 404, "isBase64Encoded": false, "body": "text",
            "headers": {"x-two": "a, b"}, "cookies": ["one=1", "two=2"],
        })
    );
    assert_eq!(
        made(Kind::Balancer { multi: true }),
        json!({
            "statusCode": 404, "statusDescription": "404 Not Found", "isBase64Encoded": false, "body": "text",
            "multiValueHeaders": lists,
        })
    );
    assert_eq!(
        made(Kind::Balancer { multi: false })["headers"],
        json!({"x-two": "a, b", "set-cookie": "one=1", "Set-cookie": "two=2"})
    );
}

#[test]
fn a_body_is_text_if_it_is_utf_8_and_not_coded() {
    for (fields, body, coded, text) in [
        (&[][..], &b""[..], false, ""),
        (&[], "\u{e4}\0".as_bytes(), false, "\u{e4}\0"),
        (&[("content-type", "text/plain")], b"\xff", true, "/w=="),
        (&[("content-type", "image/png")], b"a", false, "a"),
        (&[("content-encoding", "gzip")], b"a", true, "YQ=="),
    ] {
        let value = whole(Kind::Http, &parts(200, fields), body).unwrap();
        assert_eq!(value["isBase64Encoded"], coded);
        assert_eq!(value["body"], text);
    }
}

#[test]
fn a_response_is_not_longer_than_lambda_takes() {
    let made = |body: &[u8]| whole(Kind::Http, &parts(200, &[]), body);
    assert!(made(&vec![b'a'; MOST - 4096]).is_ok());
    assert!(made(&vec![b'a'; MOST]).is_err());
    // In base64, and with escapes in JSON, it is longer.
    assert!(made(&vec![255; MOST / 4 * 3]).is_err());
    assert!(made(&vec![1; MOST / 6]).is_err());
}

#[test]
fn a_prelude_has_cookies_apart() {
    let prelude = prelude(&parts(200, &FIELDS));
    assert_eq!(prelude.cookies, ["one=1", "two=2"]);
    let mut headers = HeaderMap::new();
    headers.insert("x-two", "a, b".parse().unwrap());
    assert_eq!(prelude.headers, headers);
}

#[test]
fn what_is_missing_of_a_function_is_said_at_once() {
    let said = format!(
        "{:?}",
        check(|name| (name == API).then(|| "a b".to_owned())).unwrap_err()
    );
    for part in [
        "AWS_LAMBDA_RUNTIME_API is \"a b\"",
        "AWS_LAMBDA_FUNCTION_NAME is not set",
        "AWS_LAMBDA_FUNCTION_VERSION is not set",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE is not set",
        "unset AWS_LAMBDA_RUNTIME_API",
    ] {
        assert!(said.contains(part), "{said}");
    }
    check(|name| {
        Some(if name == API {
            "127.0.0.1:9001".into()
        } else {
            "1".into()
        })
    })
    .unwrap();
}

fn value(answer: Answer) -> Value {
    match answer {
        FunctionResponse::BufferedResponse(value) => value,
        FunctionResponse::StreamingResponse(_) => panic!("it is streamed"),
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(3)
}

fn request() -> Request {
    Request::new(Body::empty())
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_a_504_and_what_breaks_off_a_502() {
    let never = service_fn(|_: Request| std::future::pending());
    let answer = answered(never, Kind::Http, request(), soon(), false).await;
    assert_eq!(value(answer)["statusCode"], 504);
    let stalls = service_fn(|_: Request| async { Ok(Response::new(Body::new(Stalls))) });
    let answer = answered(stalls, Kind::Http, request(), soon(), false).await;
    assert_eq!(value(answer)["statusCode"], 504);
    let answer = answered(stalls, Kind::Http, request(), soon(), true).await;
    assert!(matches!(answer, FunctionResponse::StreamingResponse(_)));
    let mut timed = Timed::new(Body::new(Stalls), soon());
    assert!(timed.frame().await.unwrap().is_err());
    assert!(timed.frame().await.is_none());

    let breaks = service_fn(|_: Request| async { Ok(Response::new(Body::new(Breaks(0)))) });
    let answer = answered(breaks, Kind::Http, request(), soon(), false).await;
    assert_eq!(value(answer)["statusCode"], 502);
}

struct Stalls;
impl http_body::Body for Stalls {
    type Data = Bytes;
    type Error = BoxError;
    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, BoxError>>> {
        Poll::Pending
    }
}

struct Breaks(usize);

impl http_body::Body for Breaks {
    type Data = Bytes;
    type Error = BoxError;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, BoxError>>> {
        self.0 += 1;
        Poll::Ready(Some(match self.0 {
            1 => Ok(Frame::data(Bytes::from("half"))),
            _ => Err("reset".into()),
        }))
    }
}

#[test]
fn the_time_of_an_invocation_ends_a_little_before_its_deadline() {
    let now = UNIX_EPOCH + Duration::from_secs(100);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let start = Instant::now();
        assert_eq!(deadline(103_000, now), start + Duration::from_millis(2900));
        assert_eq!(deadline(100_050, now), start);
        assert_eq!(deadline(0, now), start);
    });
}
