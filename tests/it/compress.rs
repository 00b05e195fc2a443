//! `Compress`: by a real client's decoder, by both protocols, and what must never be compressed.

use std::io::Write;

use http_body_util::BodyExt;
use prox::middleware::Compress;
use prox_tests::{
    client::head,
    gateway::Served,
    origin::{Origin, Reply},
    table,
    wait::{Gate, within},
};
use serde::Deserialize;

use crate::{
    cors::{SPEAKS, send},
    upgrades::{Upstream, WEBSOCKET, expect, write},
};

const LINE: &str = "all work and no play makes jack a dull boy\n";

/// What python's standard library makes of a gzip stream: a decoder that is not the gateway's.
fn gunzip(bytes: &[u8]) -> String {
    let script =
        "import gzip, sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
    let mut child = std::process::Command::new("python3")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(bytes).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8(output.stdout).expect("a text")
}

#[tokio::test]
async fn a_client_gets_what_it_takes_and_reads_the_same() {
    let text = LINE.repeat(200);
    let fields = [("content-type", "text/plain"), ("etag", "\"a\"")];
    let origin = Origin::start(Reply::status(200, &fields, &text)).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url with [Compress::new()] }).await;
    for speaks in SPEAKS {
        for (accepts, coding) in [
            ("gzip", Some("gzip")),
            ("gzip, br", Some("br")),
            ("gzip, br, zstd", Some("zstd")),
            ("identity", None),
            ("deflate;q=1, *;q=0", None),
        ] {
            let answer = send(
                speaks,
                &gateway,
                "GET",
                "/",
                &[("accept-encoding", accepts)],
            )
            .await;
            assert_eq!(answer.status(), 200);
            let headers = answer.headers();
            let given = headers.get("content-encoding");
            assert_eq!(
                given.map(|value| value.to_str().expect("a text")),
                coding,
                "{accepts}"
            );
            assert_eq!(headers["vary"], "accept-encoding");
            let etag = if coding.is_some() { "W/\"a\"" } else { "\"a\"" };
            assert_eq!(headers["etag"], etag);
            assert_eq!(headers.contains_key("content-length"), coding.is_none());
            let body = answer
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes();
            match coding {
                Some("gzip") => assert_eq!(gunzip(&body), text),
                Some(_) => assert!(body.len() < text.len() / 10),
                None => assert_eq!(body, text),
            }
            // The upstream sees what the client takes.
            assert_eq!(origin.last().field("accept-encoding"), Some(accepts));
        }
        let fields = [("accept-encoding", "gzip")];
        let answer = send(speaks, &gateway, "HEAD", "/", &fields).await;
        assert!(!answer.headers().contains_key("content-encoding"));
        assert_eq!(answer.headers()["vary"], "accept-encoding");
    }
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    method: Option<String>,
    #[serde(default)]
    fields: Vec<[String; 2]>,
    accepts: Option<String>,
    status: Option<u16>,
    size: Option<usize>,
    answer: Vec<[String; 2]>,
    coding: Option<String>,
    varies: bool,
}

const DIGESTS: [&str; 3] = ["content-digest", "repr-digest", "accept-ranges"];

#[tokio::test]
async fn responses_are_compressed_as_the_table_says_and_no_others() {
    let origin = Origin::start(Reply::new()).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url with [Compress::new()] }).await;
    let Cases { case: cases } = table::load("compression.toml");
    assert!(!cases.is_empty());
    for speaks in SPEAKS {
        for case in &cases {
            let about = format!("{speaks:?}: {}", case.about);
            let text: String = LINE
                .chars()
                .cycle()
                .take(case.size.unwrap_or(4000))
                .collect();
            let mut fields = vec![("etag", "\"a\"")];
            fields.extend(DIGESTS.map(|name| (name, "x")));
            fields.extend(case.answer.iter().map(|[name, value]| (&**name, &**value)));
            let status = case.status.unwrap_or(200);
            let method = case.method.as_deref().unwrap_or("GET");
            let bodiless = method == "HEAD" || matches!(status, 204 | 304);
            let length = text.len().to_string();
            origin.once([if bodiless {
                Reply::new().head(status, &fields, "X-Bodiless: yes")
            } else {
                Reply::status(status, &fields, &text)
            }]);
            let mut asked: Vec<(&str, &str)> = Vec::new();
            asked.extend(case.fields.iter().map(|[name, value]| (&**name, &**value)));
            asked.extend(
                case.accepts
                    .as_deref()
                    .map(|value| ("accept-encoding", value)),
            );
            let answer = send(speaks, &gateway, method, "/", &asked).await;
            let seen = origin.last();
            assert_eq!(
                seen.field("accept-encoding"),
                case.accepts.as_deref(),
                "{about}"
            );
            assert_eq!(answer.status(), status, "{about}");
            let headers = answer.headers().clone();
            let field = |name: &str| {
                headers
                    .get(name)
                    .map(|value| value.to_str().expect("a text"))
            };
            let sent = |name: &str| fields.iter().find(|(sent, _)| *sent == name);
            let vary = headers.get_all("vary").iter();
            let vary: Vec<_> = vary.map(|value| value.to_str().expect("a text")).collect();
            assert_eq!(
                vary.contains(&"accept-encoding"),
                case.varies,
                "{about}: {vary:?}"
            );
            if let Some((_, value)) = sent("vary") {
                assert!(vary.contains(value), "{about}: {vary:?}");
            }
            let body = answer
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes();
            if let Some(coding) = &case.coding {
                assert_eq!(field("content-encoding"), Some(&**coding), "{about}");
                assert_eq!(field("etag"), Some("W/\"a\""), "{about}");
                assert_eq!(field("content-length"), None, "{about}");
                for name in DIGESTS {
                    assert_eq!(field(name), None, "{about}");
                }
                assert!(body.len() < text.len() / 4, "{about}: {} bytes", body.len());
                if coding == "gzip" {
                    assert_eq!(gunzip(&body), text, "{about}");
                }
                continue;
            }
            let own = sent("content-encoding").map(|(_, value)| *value);
            assert_eq!(field("content-encoding"), own, "{about}");
            assert_eq!(field("etag"), Some("\"a\""), "{about}");
            for name in DIGESTS {
                assert_eq!(field(name), Some("x"), "{about}");
            }
            assert_eq!(body, if bodiless { "" } else { &*text }, "{about}");
            if !bodiless {
                assert_eq!(field("content-length"), Some(&*length), "{about}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_pauses_is_not_held_back() {
    for speaks in SPEAKS {
        let gate = Gate::new();
        let kind = [("content-type", "application/x-ndjson")];
        let reply = Reply::new()
            .head(200, &kind, "Transfer-Encoding: chunked")
            .write("9\r\n{\"a\": 1}\n\r\n")
            .wait(&gate)
            .write("9\r\n{\"a\": 2}\n\r\n0\r\n\r\n");
        let origin = Origin::start(reply).await;
        let url = origin.endpoint();
        let gateway = Served::start(prox::gateway! { "/" => url with [Compress::new()] }).await;
        let answer = send(speaks, &gateway, "GET", "/", &[("accept-encoding", "gzip")]).await;
        let mut body = answer.into_body();
        let mut bytes = Vec::new();
        // Ten bytes are the head of gzip.
        within("the first line", async {
            while bytes.len() <= 10 {
                let frame = body.frame().await.expect("more").expect("no error");
                bytes.extend(frame.into_data().expect("data"));
            }
        })
        .await;
        gate.open();
        let rest = body.collect().await.expect("the rest").to_bytes();
        bytes.extend(rest);
        assert_eq!(gunzip(&bytes), "{\"a\": 1}\n{\"a\": 2}\n");
    }
}

#[tokio::test]
async fn a_websocket_passes_untouched() {
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url with [Compress::new()] }).await;
    let mut client = gateway.client().await;
    let lines = format!("{WEBSOCKET}Accept-Encoding: gzip\r\n");
    client.send(head("GET", "/chat", &lines)).await;
    let (_, mut server) = upstream.switch().await;
    let answer = client.response_head().await;
    assert_eq!(answer.status, 101);
    assert!(answer.head.fields.lacks("content-encoding"));
    write(server.stream(), "from the server").await;
    let (mut reader, _writer) = client.into_halves();
    expect(&mut reader, "from the server").await;
}

#[tokio::test]
async fn an_upstream_that_dies_in_mid_body_is_no_clean_end() {
    let reply = Reply::new()
        .head(
            200,
            &[("content-type", "text/plain")],
            "Transfer-Encoding: chunked",
        )
        .write("5\r\nhello\r\n")
        .reset();
    let origin = Origin::start(reply).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url with [Compress::new()] }).await;
    for speaks in SPEAKS {
        let answer = send(speaks, &gateway, "GET", "/", &[("accept-encoding", "gzip")]).await;
        assert!(answer.into_body().collect().await.is_err(), "{speaks:?}");
    }
}
