//! What the head of a request says: its path, its host, its deadline, and what it wants to be switched to.
//!
//! A target, and fields behind it, one a line.

#![no_main]
#![allow(dead_code, reason = "of what is included not all is used")]

#[path = "../../../prox-runtime/src/coding.rs"]
mod coding;
#[path = "../../../prox-runtime/src/forward/grpc.rs"]
mod grpc;
#[path = "../../../prox-runtime/src/forward/host.rs"]
mod host;
#[path = "../../../prox-runtime/src/forward/max_forwards.rs"]
mod max_forwards;
#[path = "../../../prox-runtime/src/forward/path.rs"]
mod path;
#[path = "../../../prox-runtime/src/forward/upgrade.rs"]
mod upgrade;

/// All that the included files say of failures.
mod error {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Failure {
        MalformedRequest,
    }
}

use http::{HeaderName, HeaderValue, Request, Version};

const NAMES: [&str; 5] = [
    "host",
    "connection",
    "upgrade",
    "grpc-timeout",
    "max-forwards",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let mut request = Request::get(target);
    for line in lines {
        let Some((kind, value)) = line.split_first() else {
            continue;
        };
        let name = HeaderName::from_static(NAMES[usize::from(*kind) % NAMES.len()]);
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request = request.header(name, value);
        }
    }
    let Ok(mut request) = request.body(()) else {
        return;
    };
    if let Ok(canonical) = path::canonical(request.uri().path()) {
        assert!(canonical.starts_with('/'));
        let dots = |part: &str| part == "." || part == "..";
        assert!(!canonical.split('/').any(dots), "{canonical}");
        assert!(
            canonical
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        );
        let again = path::canonical(&canonical).expect("what is canonical");
        assert_eq!(again, canonical, "once is enough");
    }
    for version in [Version::HTTP_10, Version::HTTP_11] {
        if let Ok(host) = host::of(request.uri(), request.headers(), version) {
            assert!(
                !host
                    .bytes()
                    .any(|byte| byte.is_ascii_uppercase() || byte == b'/')
            );
        }
    }
    let limit = grpc::timeout(request.headers());
    assert!(limit.is_none_or(|limit| limit.as_secs() <= 99_999_999 * 3600));
    if let Some(asked) = upgrade::Asked::by(&request) {
        asked.ask(request.headers_mut());
        let protocols = request.headers()["upgrade"].as_bytes().to_ascii_lowercase();
        let protocols: Vec<&[u8]> = protocols
            .split(|&byte| byte == b',')
            .map(<[u8]>::trim_ascii)
            .collect();
        assert!(!protocols.contains(&&b"h2c"[..]), "{protocols:?}");
    }
    max_forwards::goes_on(request.headers_mut());
});
