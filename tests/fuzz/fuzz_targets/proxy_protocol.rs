//! The first bytes of a connection that may be a PROXY protocol header.

#![no_main]

#[path = "../../../prox-runtime/src/server/proxy_protocol/header.rs"]
mod header;

use header::{Header, MAX, Malformed, read};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let verdict = read(bytes);
    match verdict {
        Ok(Header::Whole { length, .. }) => {
            assert!(length <= bytes.len() && length <= MAX);
            assert_eq!(
                read(&bytes[..length]),
                verdict,
                "what follows does not matter"
            );
            assert_eq!(read(&bytes[..length - 1]), Ok(Header::Partial));
        }
        Ok(Header::Partial) => assert!(bytes.len() < MAX),
        Err(Malformed) => {
            let longer = [bytes, b"\r\n"].concat();
            assert_eq!(read(&longer), Err(Malformed), "no further bytes help");
        }
    }
});
