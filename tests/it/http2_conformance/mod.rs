//! What RFC 9113 and RFC 7541 say about frames, streams, messages and header blocks, as a table that any server can be held to.
//!
//! The cases are those of h2spec under its numbers, written anew, and more (`+`): what HTTP/2 carries that HTTP/1.1 cannot,
//! since a gateway that passes it on splits requests. `docs/conformance.md` says how others fare.

mod case;
mod connection;
mod downgrade;
mod frames;
mod generic;
mod hpack;
mod messages;
mod streams;

use std::{net::SocketAddr, time::Duration};

use prox_tests::{
    frames::{END_HEADERS, END_STREAM, Frame, code, kind, literals},
    gateway::Served,
    origin::{Origin, Reply},
    wait::PATIENCE,
};

use self::case::{Case, Expected};

/// The path of what must not reach an upstream.
const NEVER: &str = "/never";

/// The path of what is never answered.
const STALL: &str = "/stall";

/// The fields that every request has.
const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "gateway.test"),
    (":path", "/"),
];

const POST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "gateway.test"),
    (":path", "/"),
];

fn get(stream: u32, path: &str) -> Frame {
    Frame::get(stream, path, &[])
}

/// A whole request of these fields, pseudo-header fields included.
fn request(stream: u32, fields: &[(&str, &str)]) -> Frame {
    headers(stream, END_STREAM | END_HEADERS, literals(fields))
}

/// The head of an upload.
fn post(stream: u32, fields: &[(&str, &str)]) -> Frame {
    let block = literals(&[&POST, fields].concat());
    headers(stream, END_HEADERS, block)
}

fn headers(stream: u32, flags: u8, block: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::HEADERS, flags, stream, block)
}

fn continuation(stream: u32, flags: u8, block: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::CONTINUATION, flags, stream, block)
}

fn data(stream: u32, flags: u8, bytes: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::DATA, flags, stream, bytes)
}

fn reset(stream: u32, code: u32) -> Frame {
    Frame::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
}

fn window(stream: u32, increment: u32) -> Frame {
    Frame::new(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
}

/// A dependency on another stream, with a weight.
fn priority(stream: u32, on: u32) -> Frame {
    let dependency = [&on.to_be_bytes()[..], &[15]].concat();
    Frame::new(kind::PRIORITY, 0, stream, dependency)
}

fn settings(settings: &[(u16, u32)]) -> Frame {
    let payload: Vec<u8> = settings
        .iter()
        .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    Frame::new(kind::SETTINGS, 0, 0, payload)
}

fn cases() -> Vec<Case> {
    let themes = [
        generic::cases(),
        connection::cases(),
        streams::cases(),
        frames::cases(),
        messages::cases(),
        hpack::cases(),
        downgrade::cases(),
    ];
    themes.into_iter().flatten().collect()
}

async fn origin() -> Origin {
    Origin::with(|seen| match (seen.method(), seen.target()) {
        (_, STALL) => Reply::new().stall(),
        ("HEAD", _) => Reply::new().head(200, &[], "Content-Length: 5"),
        _ => Reply::ok("hello"),
    })
    .await
}

#[tokio::test]
async fn every_case_of_http2_ends_as_it_must() {
    let origin = origin().await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut wrong = Vec::new();
    for case in cases() {
        let expected = case.instead.unwrap_or(case.expected);
        let enough = |seen: &case::Seen| seen.is(expected);
        let seen = case.run(gateway.address(), PATIENCE / 10, enough).await;
        if !seen.is(expected) {
            wrong.push(format!(
                "{} {}: {seen:?} instead of {expected:?}",
                case.section, case.about
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for seen in origin.requests() {
        assert_ne!(seen.target(), NEVER, "{:?}", seen.head);
    }
    gateway.get("/").await.expect(200);
}

/// A table of another server's cases, for `docs/conformance.md`: `HTTP2_SERVER=127.0.0.1:8080 cargo test .. -- --ignored`.
#[tokio::test]
#[ignore = "holds the server that HTTP2_SERVER names to the table"]
async fn another_server_is_held_to_the_same() {
    let address: SocketAddr = std::env::var("HTTP2_SERVER")
        .expect("HTTP2_SERVER names the server")
        .parse()
        .expect("HTTP2_SERVER is an address and a port");
    let (mut exact, mut passed, mut all) = (0, 0, 0);
    for case in cases() {
        let expected = case.expected;
        let enough = |seen: &case::Seen| seen.is(expected) || seen.will_do(expected);
        let seen = case.run(address, Duration::from_secs(1), enough).await;
        all += 1;
        exact += usize::from(seen.is(expected));
        passed += usize::from(seen.will_do(expected));
        if !seen.will_do(expected) {
            println!(
                "{} {}: {seen:?} instead of {expected:?}",
                case.section, case.about
            );
        }
    }
    println!("{address}: {passed} of {all} cases passed, {exact} of them to the letter");
}
