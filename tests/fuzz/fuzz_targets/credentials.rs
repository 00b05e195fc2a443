//! Credentials of requests, and the files that they are compared with: the first byte says which.
//!
//! Credentials that were taken out of a request are not found in it again, and no error shows a line of a file.

#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "of what is included not all is used"
)]

#[path = "../../../prox-runtime/src/civil.rs"]
mod civil;
#[path = "../../../prox-runtime/src/coding.rs"]
mod coding;
#[path = "../../../prox-runtime/src/auth/credentials.rs"]
mod credentials;
#[path = "../../../prox-runtime/src/auth/keys/file.rs"]
mod file;
#[path = "../../../prox-runtime/src/auth/basic/hashes.rs"]
mod hashes;
#[path = "../../../prox-runtime/src/auth/lines.rs"]
mod lines;
#[path = "../../../prox-runtime/src/auth/basic/pair.rs"]
mod pair;

mod auth {
    pub(crate) use crate::lines;
}

mod error {
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Failure {
        MalformedRequest,
    }
}

mod handler {
    pub(crate) type Parts = http::request::Parts;
}

use std::time::SystemTime;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use credentials::{Place, authorization};
use error::Failure;
use http::{HeaderName, HeaderValue, Request, header};

/// Why credentials do not count.
#[derive(Debug)]
struct Denied(Failure);

impl Denied {
    fn new(failure: Failure) -> Self {
        Self(failure)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct KeyDigest([u8; 32]);

/// A key, as far as the file needs it.
#[derive(Debug)]
struct Key;

impl Key {
    fn new(name: &str) -> Self {
        assert!(!name.is_empty());
        Self
    }

    fn scopes<'s>(self, scopes: impl IntoIterator<Item = &'s str>) -> Self {
        assert!(scopes.into_iter().all(|scope| !scope.is_empty()));
        self
    }

    fn claim(self, name: &str, value: &str) -> Self {
        assert!(!name.is_empty() && !value.is_empty());
        self
    }

    fn until(self, _: SystemTime) -> Self {
        self
    }
}

fn users(text: &str) {
    match hashes::parse(text) {
        Ok(users) => assert!(users.len() <= text.lines().count()),
        Err(problems) => told(&problems),
    }
}

fn keys(text: &str) {
    if let Err(problems) = file::parse(text) {
        told(&problems);
    }
}

/// Each problem is behind the number of its line.
fn told(problems: &[String]) {
    assert!(!problems.is_empty());
    for problem in problems {
        assert!(problem.starts_with("line "), "{problem}");
    }
}

fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    match (kind % 3, std::str::from_utf8(rest)) {
        (0, Ok(text)) => keys(text),
        (1, Ok(text)) => users(text),
        _ => request(rest),
    }
}

/// A user and a password read back as they are written, and nobody can write what would end a line of a log.
fn basic(coded: &str) {
    let Some((user, password)) = pair::read(coded) else {
        return;
    };
    assert!(coded.len() <= 1024 && !user.contains(':'), "{user:?}");
    let text = format!("{user}:{password}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
    let again = STANDARD.encode(&text);
    // Padding is the only thing that may differ.
    assert_eq!(coded.trim_end_matches('='), again.trim_end_matches('='));
    assert_eq!(pair::read(&again), Some((user, password)));
}

/// The target on the first line, then fields, each behind a letter.
fn request(bytes: &[u8]) {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let target = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let Ok(mut request) = Request::get(target.unwrap_or("/")).body(()) else {
        return;
    };
    for line in lines {
        let Some((kind, value)) = line.split_first() else {
            continue;
        };
        let name = match kind % 3 {
            0 => header::AUTHORIZATION,
            1 => header::COOKIE,
            _ => HeaderName::from_static("x-api-key"),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request.headers_mut().append(name, value);
        }
    }
    let (mut parts, ()) = request.into_parts();
    if let Ok(Some(coded)) = authorization(&parts.headers, "basic") {
        basic(&coded);
    }
    for place in [
        Place::Bearer,
        Place::Header(HeaderName::from_static("x-api-key")),
        Place::Query("key".into()),
        Place::Cookie("key".into()),
    ] {
        let before = parts.uri.path().to_owned();
        let found = place.find(&parts);
        place.remove(&mut parts);
        assert_eq!(parts.uri.path(), before);
        let again = place.find(&parts);
        assert!(matches!(again, Ok(None)), "{place:?} {found:?} {again:?}");
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));
