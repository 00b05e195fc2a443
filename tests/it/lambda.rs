//! A gateway as a function of AWS Lambda, before an emulator of the Runtime API.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use prox_tests::{
    client::{RequestBody, Speaks, body},
    origin::{Origin, Reply},
    service::{CutOff, ServiceOrigin},
    wait::within,
};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// What the function has posted.
#[derive(Debug)]
struct Posted {
    /// `response` or `error`.
    what: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Posted {
    fn json(&self) -> Value {
        assert_eq!(
            self.what,
            "response",
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// The Runtime API of AWS Lambda: it gives out events one after the other, and takes what becomes of them.
struct Lambda {
    api: ServiceOrigin,
    events: UnboundedSender<Value>,
    posted: UnboundedReceiver<Posted>,
}

impl Lambda {
    async fn start() -> Self {
        let (events, waiting) = unbounded_channel::<Value>();
        let (post, posted) = unbounded_channel();
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        let number = Arc::new(Mutex::new(0));
        let api = ServiceOrigin::start(Speaks::Http1, move |request: Request<Incoming>| {
            let (waiting, post, number) = (Arc::clone(&waiting), post.clone(), Arc::clone(&number));
            async move {
                let path = request.uri().path().to_owned();
                let path = path
                    .strip_prefix("/2018-06-01/runtime/")
                    .expect("a path of the API");
                if request.method() == Method::GET {
                    assert_eq!(path, "invocation/next");
                    let event = waiting.lock().await.recv().await.ok_or(CutOff)?;
                    let id = {
                        let mut number = number.lock().expect("no test has panicked");
                        *number += 1;
                        number.to_string()
                    };
                    let now = SystemTime::now()
                        .duration_since(UNIX_EPOCH)
                        .expect("after 1970");
                    let deadline = now + Duration::from_mins(1);
                    let response = Response::builder()
                        .header("lambda-runtime-aws-request-id", id)
                        .header(
                            "lambda-runtime-deadline-ms",
                            deadline.as_millis().to_string(),
                        )
                        .header(
                            "lambda-runtime-invoked-function-arn",
                            "arn:aws:lambda:eu-west-1:1:function:shop",
                        );
                    return Ok(response.body(full(event.to_string())).expect("a response"));
                }
                let what = path.rsplit('/').next().unwrap_or_default().to_owned();
                let (parts, body) = request.into_parts();
                // What breaks off is what was sent of it.
                let collected = body.collect().await.map_err(|_| CutOff)?;
                let body = collected.to_bytes().to_vec();
                let headers = parts.headers;
                let _ = post.send(Posted {
                    what,
                    headers,
                    body,
                });
                Ok(Response::builder()
                    .status(202)
                    .body(full("{}".into()))
                    .expect("a response"))
            }
        })
        .await;
        Self {
            api,
            events,
            posted,
        }
    }

    fn function(&self, users: &str, streams: &str) -> Child {
        let address = self.api.address().to_string();
        Command::new(env!("CARGO_BIN_EXE_cli_probe"))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "shop")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("LAMBDA_STREAMING", streams)
            .env("USERS_URL", users)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the probe can be run")
    }

    async fn invoke(&mut self, event: Value) -> Posted {
        self.events.send(event).expect("the API is there");
        within("an answer", self.posted.recv())
            .await
            .expect("the API is there")
    }
}

fn full(text: String) -> RequestBody {
    body(Full::from(text))
}

fn sample(name: &str) -> Value {
    let path = format!(
        "{}/../examples/lambda/events/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).expect("a sample");
    serde_json::from_str(&text).expect("JSON")
}

/// The sample of this name, for a user of the probe.
fn event(name: &str) -> Value {
    let mut event = sample(name);
    if name == "http" {
        event["requestContext"]["http"]["method"] = "GET".into();
        event["rawPath"] = "/prod/users/7".into();
        event["headers"]["host"] = "api.example.com".into();
        event["requestContext"]["domainPrefix"] = "abc123".into();
    } else {
        event["path"] = "/users/7".into();
        event["httpMethod"] = "GET".into();
        if event["multiValueHeaders"].is_object() {
            event["multiValueHeaders"]["Host"] = json!(["api.example.com"]);
        }
        event["headers"]["host"] = "api.example.com".into();
    }
    event
}

#[tokio::test]
async fn events_are_answered_in_their_forms() {
    let fields = [
        ("x-two", "a"),
        ("x-two", "b"),
        ("set-cookie", "one=1"),
        ("content-type", "text/plain"),
    ];
    let origin = Origin::start(Reply::status(201, &fields, "made")).await;
    let mut lambda = Lambda::start().await;
    let mut function = lambda.function(&origin.url(), "off");
    for (name, scheme, headers) in [
        ("rest", "https", "multiValueHeaders"),
        ("http", "https", "headers"),
        ("balancer", "http", "headers"),
    ] {
        let answer = lambda.invoke(event(name)).await.json();
        assert_eq!(answer["statusCode"], 201, "{name}: {answer}");
        assert_eq!(answer["body"], "made", "{name}");
        assert_eq!(answer["isBase64Encoded"], false, "{name}");
        let two = if name == "rest" {
            json!(["a", "b"])
        } else {
            json!("a, b")
        };
        assert_eq!(answer[headers]["x-two"], two, "{name}: {answer}");
        let seen = origin.last();
        assert!(seen.target().starts_with("/users/7?"), "{}", seen.target());
        assert_eq!(seen.field("x-forwarded-for"), Some("192.0.2.1"), "{name}");
        assert_eq!(seen.field("x-forwarded-proto"), Some(scheme), "{name}");
        assert_eq!(
            seen.field("x-forwarded-host"),
            Some("api.example.com"),
            "{name}"
        );
    }
    let mut unknown = event("http");
    unknown["rawPath"] = "/nowhere".into();
    assert_eq!(lambda.invoke(unknown).await.json()["statusCode"], 404);
    // A body that is not a text.
    origin.once([Reply::status(200, &[], [0, 255])]);
    let answer = lambda.invoke(event("http")).await.json();
    assert_eq!(
        (&answer["body"], &answer["isBase64Encoded"]),
        (&json!("AP8="), &json!(true))
    );
    // An upstream that breaks off.
    origin.once([Reply::new()
        .head(200, &[], "Content-Length: 10")
        .write("half")
        .close()]);
    assert_eq!(lambda.invoke(event("http")).await.json()["statusCode"], 502);
    // More than Lambda takes.
    origin.once([Reply::filler(7 << 20, false)]);
    assert_eq!(lambda.invoke(event("http")).await.json()["statusCode"], 502);
    let posted = lambda.invoke(json!({"source": "aws.events"})).await;
    assert_eq!(posted.what, "error");
    let error: Value = serde_json::from_slice(&posted.body).expect("JSON");
    assert_eq!(error["errorType"], "prox.event");
    assert_eq!(
        lambda.invoke(event("http")).await.json()["statusCode"],
        201,
        "it goes on"
    );
    function.start_kill().expect("it runs");
    function.wait().await.expect("it ends");
}

#[tokio::test]
async fn responses_are_streamed() {
    let fields = [("x-two", "a"), ("set-cookie", "one=1")];
    let origin = Origin::start(Reply::status(201, &fields, "made")).await;
    let mut lambda = Lambda::start().await;
    let mut function = lambda.function(&origin.url(), "on");
    let posted = lambda.invoke(event("http")).await;
    assert_eq!(
        posted.headers["lambda-runtime-function-response-mode"],
        "streaming"
    );
    let end = posted
        .body
        .windows(8)
        .position(|bytes| bytes == [0; 8])
        .expect("eight zeros");
    let prelude: Value = serde_json::from_slice(&posted.body[..end]).expect("JSON");
    assert_eq!(prelude["statusCode"], 201);
    assert_eq!(prelude["headers"]["x-two"], "a");
    assert_eq!(prelude["cookies"], json!(["one=1"]));
    assert_eq!(&posted.body[end + 8..], b"made");
    // More than fits into a response that is not streamed.
    origin.once([Reply::filler(7 << 20, true)]);
    let posted = lambda.invoke(event("http")).await;
    assert!(posted.body.len() > 7 << 20);
    origin.once([Reply::new()
        .head(200, &[], "Content-Length: 10")
        .write("half")
        .close()]);
    let posted = lambda.invoke(event("http")).await;
    // `lambda_runtime` writes the error into the body.
    let text = String::from_utf8_lossy(&posted.body);
    let error = "halfLambda-Runtime-Function-Error-Type: Runtime.StreamError\r\n";
    assert!(text.contains(error), "{text:?}");
    function.start_kill().expect("it runs");
    function.wait().await.expect("it ends");
}

#[tokio::test]
async fn what_is_wrong_with_a_function_is_said_at_start() {
    let run = async |variables: &[(&str, &str)]| {
        let child = Command::new(env!("CARGO_BIN_EXE_cli_probe"))
            .env_clear()
            .envs(variables.iter().copied())
            .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the probe can be run");
        let output = within("the end", child.wait_with_output())
            .await
            .expect("it ends");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = run(&[("LAMBDA_STREAMING", "yes")]).await;
    for part in [
        "USERS_URL is not set",
        "LAMBDA_STREAMING is \"yes\": expected `on` or `off`",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let said = run(&[("USERS_URL", "http://127.0.0.1:9")]).await;
    assert!(
        said.contains("AWS_LAMBDA_FUNCTION_NAME is not set"),
        "{said}"
    );
}
