//! Certificates, as far as the gateway looks into them itself: a client's, and those that it serves.

#![no_main]
#![allow(dead_code, reason = "of what is included not all is used")]

#[path = "../../../prox-runtime/src/civil.rs"]
mod civil;
#[path = "../../../prox-runtime/src/coding.rs"]
mod coding;
#[path = "../../../prox-runtime/src/tls/der.rs"]
mod der;
#[path = "../../../prox-runtime/src/tls/x509.rs"]
mod x509;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(certificate) = x509::Certificate::parse(bytes) else {
        return;
    };
    // Everything that is told of it can be told.
    assert!(!format!("{certificate:?}").is_empty());
});
