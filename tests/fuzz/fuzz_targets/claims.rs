//! What trusted proxies say of a client, in `X-Forwarded-*` and in `Forwarded`: one field a line.
//!
//! Whoever is believed was named by somebody who is trusted.

#![no_main]
#![allow(dead_code, reason = "of what is included not all is used")]

#[path = "../../../prox-runtime/src/client/claims/mod.rs"]
mod claims;
#[path = "../../../prox-runtime/src/network.rs"]
mod network;
#[path = "../../../prox-runtime/src/client/trust.rs"]
mod trust;

use claims::Claims;
use http::{HeaderMap, HeaderName, HeaderValue};
use trust::Trust;

const NAMES: [&str; 4] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let trust = Trust::read(["10.0.0.0/8", "2001:db8::/32"]).expect("networks");
    let mut headers = HeaderMap::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        let Some((kind, value)) = line.split_first() else {
            continue;
        };
        let name = HeaderName::from_static(NAMES[usize::from(*kind) % NAMES.len()]);
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let claims = Claims::read(&headers, &trust);
    assert!(claims.chain.len() <= 32);
    for proxy in claims.chain.iter().skip(1) {
        assert!(trust.has(Some(*proxy)), "{proxy} was believed");
    }
    if let Some(host) = claims.host {
        assert!(
            host.to_str()
                .is_ok_and(|host| !host.contains([' ', '/', '@', ',']))
        );
    }
    assert_eq!(Claims::read(&headers, &trust).chain, claims.chain);
});
