//! The frames of HTTP/2, as they are counted and changed on their way to h2: neither depends on how the bytes arrive.

#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "of what is included not all is used"
)]

#[path = "../../../prox-runtime/src/frames/mod.rs"]
mod frames;

/// What the socket of the frames needs of the crate.
mod sync {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

use std::io;

use frames::{Guarded, PREFACE, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [cut, repeat, bytes @ ..] = input else {
        return;
    };
    // So that a few frames can be many.
    let all = [
        PREFACE,
        b"\0\0\0\x04\0\0\0\0\0",
        &bytes.repeat(usize::from(*repeat) + 1),
    ]
    .concat();
    // The clock stands still.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets");
    let whole = runtime.block_on(passed(&all, all.len()));
    let parts = runtime.block_on(passed(&all, usize::from(*cut) + 1));
    match (whole, parts) {
        (Ok(whole), Ok(parts)) => assert_eq!(whole, parts),
        (whole, parts) => assert_eq!(whole.is_ok(), parts.is_ok()),
    }
});

/// What h2 gets when so many bytes come at once.
async fn passed(all: &[u8], size: usize) -> io::Result<Vec<u8>> {
    let (near, mut far) = duplex(size);
    let (mut guarded, end) = Guarded::new(near, Side::Server);
    let mut read = Vec::new();
    let send = async {
        // A flood is not read to its end.
        let _ = far.write_all(all).await;
        drop(far);
    };
    let receive = async {
        let result = guarded.read_to_end(&mut read).await;
        drop(guarded);
        // After a flood it has the socket, and the sender would wait for ever.
        drop(end.take());
        result
    };
    let ((), result) = tokio::join!(send, receive);
    result.map(|_| read)
}
