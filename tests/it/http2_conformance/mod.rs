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
    wait::PATIENCE,
};

use self::case::{Case, Expected};
use crate::http1_conformance::{STALL, origin};

/// A case that is nothing but fields: its section, what it is about, and the fields.
type Row = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// The path of what must not reach an upstream.
const NEVER: &str = "/never";

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

/// Holds any server to the table, and says how it did: how many cases there are, how many of them h2spec would pass, how many
/// went as the RFCs say to the letter, and what failed.
pub(crate) async fn judge(address: SocketAddr) -> (usize, usize, usize, Vec<String>) {
    let (mut passed, mut exact, mut failed) = (0, 0, Vec::new());
    let cases = cases();
    for case in &cases {
        let expected = case.expected;
        let enough = |seen: &case::Seen| seen.is(expected);
        let seen = case.run(address, Duration::from_millis(700), enough).await;
        exact += usize::from(seen.is(expected));
        if seen.will_do(expected) {
            passed += 1;
        } else {
            failed.push(format!("{} {}: {seen:?}", case.section, case.about));
        }
    }
    (cases.len(), passed, exact, failed)
}
