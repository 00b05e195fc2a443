//! The frames of HTTP/2, as they are counted: the verdict does not depend on how the bytes arrive.

#![no_main]
#![allow(dead_code, reason = "of what is included not all is used")]

#[path = "../../../prox-runtime/src/server/floods.rs"]
mod floods;

/// What stands between a socket and the counter.
mod socket {
    pub(crate) trait Inspector {
        fn read(&mut self, bytes: &[u8]) -> std::io::Result<()>;
        fn wrote(&mut self, count: usize);
    }
}

use floods::Floods;
use tokio::time::Instant;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [cut, repeat, bytes @ ..] = input else {
        return;
    };
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // So that a few frames can be many.
    let all = [preface, &bytes.repeat(usize::from(*repeat) + 1)].concat();
    let now = Instant::now();
    let mut whole = Floods::new(now);
    let mut parts = Floods::new(now);
    let verdict = whole.follow(&all, || now).is_ok();
    let size = usize::from(*cut) + 1;
    assert_eq!(
        all.chunks(size)
            .all(|part| parts.follow(part, || now).is_ok()),
        verdict
    );
});
