//! What codings a client takes: fields, one a line.

#![no_main]
#![allow(dead_code, reason = "of what is included not all is used")]

#[path = "../../../prox-runtime/src/middleware/compress/coding.rs"]
mod coding;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let fields = || bytes.split(|&byte| byte == b'\n');
    let chosen = coding::choose(fields());
    if let Some(coding) = chosen {
        let text = bytes.to_ascii_lowercase();
        let name = coding.name().as_bytes();
        let named = text.windows(name.len()).any(|part| part == name);
        assert!(named || text.contains(&b'*'));
    }
    // The order of fields does not matter, nor does what is malformed.
    let more = fields().chain([&b"gzip;q=9"[..], b""]);
    assert_eq!(coding::choose(more), chosen);
});
