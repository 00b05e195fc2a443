//! What a gateway without a subscriber of its author tells, and where.

use std::{
    net::{SocketAddr, TcpStream},
    process::Stdio,
};

use prox_tests::{
    client::{Answer, RawClient},
    origin::{Origin, Reply},
    ports::{Refused, free_port},
    wait::{eventually, within},
};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::run::signal;

/// A gateway with an access log, whose outputs are kept.
struct Gateway {
    child: Child,
    address: SocketAddr,
}

/// What it has written at its end.
struct Written {
    events: String,
    access: String,
}

fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_log_probe"));
    command
        .env_clear()
        .env("HOST", "127.0.0.1")
        .envs(variables.iter().copied())
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Gateway {
    async fn start(upstream: &str, variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = command(variables);
        command
            .env("UPSTREAM", upstream)
            .env("PORT", port.to_string());
        let child = command.spawn().expect("the probe can be run");
        eventually("the gateway to listen", || {
            TcpStream::connect(address).is_ok()
        })
        .await;
        Self { child, address }
    }

    async fn get(&self, target: &str) -> Answer {
        RawClient::connect(self.address).await.get(target).await
    }

    async fn end(self) -> Written {
        signal(&self.child, "TERM").await;
        let output = within("the process to end", self.child.wait_with_output()).await;
        let output = output.expect("a child can be waited for");
        assert_eq!(output.status.code(), Some(0));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("lines are UTF-8");
        Written {
            events: text(output.stderr),
            access: text(output.stdout),
        }
    }
}

/// Each line is an object.
fn objects(text: &str) -> Vec<Value> {
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    lines.collect()
}

fn of<'a>(events: &'a [Value], message: &str) -> Vec<&'a Value> {
    let found = events.iter().filter(|event| event["message"] == message);
    found.collect()
}

#[tokio::test]
async fn without_a_line_of_code_a_gateway_says_why_requests_fail_and_when_it_ends() {
    let nobody = Refused::new();
    let gateway = Gateway::start(&nobody.endpoint().to_string(), &[]).await;
    for _ in 0..30 {
        gateway.get("/").await.expect(502);
    }
    let address = gateway.address;
    let written = gateway.end().await;
    let events = objects(&written.events);
    let [listening] = of(&events, "listening")[..] else {
        panic!("{}", written.events);
    };
    assert_eq!(listening["on"], format!("http://{address}"));
    assert_eq!(listening["level"], "INFO");
    let failing = of(&events, "requests fail");
    // Once in ten seconds, and not for each request.
    assert!((1..30).contains(&failing.len()), "{}", written.events);
    assert_eq!(failing[0]["times"], 1);
    let reason = failing[0]["reason"].as_str().unwrap();
    assert!(reason.contains("Connection refused"), "{reason}");
    assert_eq!(of(&events, "draining").len(), 1, "{}", written.events);
    assert_eq!(events.last().unwrap()["message"], "ended");
    assert!(events.iter().all(|event| event["target"] == "prox"));
    assert_eq!(objects(&written.access).len(), 30, "{}", written.access);
}

#[tokio::test]
async fn both_logs_have_the_form_that_the_variable_says() {
    let origin = Origin::start(Reply::ok("ok")).await;
    for (form, event, line) in [
        (
            "json",
            "\"level\":\"INFO\",\"target\":\"prox\",\"message\":\"listening\"",
            "\"method\":\"GET\"",
        ),
        (
            "ecs",
            "\"log.level\":\"info\",\"log.logger\":\"prox\",\"message\":\"listening\"",
            "\"http.request.method\":\"GET\"",
        ),
        (
            "gcp",
            "\"severity\":\"INFO\",\"target\":\"prox\",\"message\":\"listening\"",
            "\"httpRequest\":{\"requestMethod\":\"GET\"",
        ),
        ("text", " INFO listening on=http://", " GET gateway/a 200 "),
    ] {
        let gateway = Gateway::start(&origin.url(), &[("LOG_FORMAT", form)]).await;
        let mut client = RawClient::connect(gateway.address).await;
        client
            .send("GET /a?page=2&q=1 HTTP/1.1\r\nHost: gateway\r\nX-Tenant: blue\r\n\r\n")
            .await;
        client.response("GET").await.expect(200);
        drop(client);
        let written = gateway.end().await;
        assert!(written.events.contains(event), "{form}: {}", written.events);
        assert!(written.access.contains(line), "{form}: {}", written.access);
        let named = match form {
            "text" => ["query.page=2", "headers.x-tenant=blue"],
            _ => [
                "\"query\":{\"page\":\"2\"}",
                "\"headers\":{\"x-tenant\":\"blue\"}",
            ],
        };
        for part in named {
            assert!(written.access.contains(part), "{form}: {}", written.access);
        }
        assert!(!written.access.contains("q=1") && !written.access.contains("\"q\""));
        if form != "text" {
            objects(&written.events);
            objects(&written.access);
        }
    }
}

#[tokio::test]
async fn the_level_of_events_is_a_variable() {
    let origin = Origin::start(Reply::ok("ok")).await;
    for (level, told) in [
        ("off", false),
        ("prox=off", false),
        ("warn", false),
        ("prox=info", true),
    ] {
        let gateway = Gateway::start(&origin.url(), &[("LOG", level)]).await;
        gateway.get("/").await.expect(200);
        let written = gateway.end().await;
        assert_eq!(
            !written.events.is_empty(),
            told,
            "{level}: {}",
            written.events
        );
        assert_eq!(written.access.lines().count(), 1, "{level}");
    }
}

#[tokio::test]
async fn an_operator_sets_the_level_for_a_while() {
    let nobody = Refused::new();
    let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let place = admin.to_string();
    let variables = [("LOG", "off"), ("ADMIN", place.as_str())];
    let gateway = Gateway::start(&nobody.endpoint().to_string(), &variables).await;
    gateway.get("/").await.expect(502);
    let mut operator = RawClient::connect(admin).await;
    operator
        .send(
            "POST /log?level=debug HTTP/1.1\r\nHost: localhost\r\nX-Prox: 1\r\n\
             Content-Length: 0\r\n\r\n",
        )
        .await;
    operator.response("POST").await.expect(204);
    gateway.get("/").await.expect(502);
    let written = gateway.end().await;
    let events = objects(&written.events);
    assert!(of(&events, "listening").is_empty(), "{}", written.events);
    let failed = of(&events, "no response from upstream");
    assert_eq!(failed.len(), 1, "{}", written.events);
}

#[tokio::test]
async fn wrong_variables_are_told_with_all_else_that_is_wrong() {
    let variables = [("LOG", "loud"), ("LOG_FORMAT", "xml"), ("PORT", "http")];
    let output = within("the process to end", command(&variables).output()).await;
    let output = output.expect("the probe can be run");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for part in [
        "LOG: expected `off`, `error`, `warn`, `info`, `debug` or `trace`, found `loud`",
        "LOG_FORMAT: expected `json`, `text`, `ecs` or `gcp`, found `xml`",
        "PORT",
        "UPSTREAM",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn no_secret_of_a_client_is_in_any_line() {
    const SECRET: &str = "hunter2";
    let origin = Origin::start(Reply::ok("ok")).await;
    let nobody = Refused::new();
    for upstream in [origin.url(), nobody.endpoint().to_string()] {
        let variables = [("LOG", "trace"), ("NO_PATH", "1")];
        let gateway = Gateway::start(&upstream, &variables).await;
        for request in [
            format!("GET /reset/{SECRET} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET /?token={SECRET} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET http://anna:{SECRET}@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SECRET}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: session={SECRET}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nReferer: http://a/?{SECRET}\r\n\r\n"),
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n{SECRET}"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nX-Key : {SECRET}\r\n\r\n"),
            format!("GET /{SECRET} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        ] {
            let mut client = RawClient::connect(gateway.address).await;
            client.send(&request).await;
            client.response("GET").await;
        }
        let written = gateway.end().await;
        assert!(written.access.lines().count() >= 7, "{}", written.access);
        for output in [&written.access, &written.events] {
            let leaks: Vec<&str> = output
                .lines()
                .filter(|line| line.contains(SECRET))
                .collect();
            assert!(leaks.is_empty(), "{leaks:#?}");
        }
    }
}
