//! Frames for tests.

use super::{HEADER, Head};

/// A frame as it is sent.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let head = Head {
        length: payload.len(),
        kind,
        flags,
        stream,
    };
    [&head.bytes()[..], payload].concat()
}

/// The frames in these bytes, which must be whole.
pub(super) fn frames(mut bytes: &[u8]) -> Vec<(Head, Vec<u8>)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (header, rest) = bytes.split_first_chunk::<HEADER>().expect("a whole header");
        let head = Head::parse(*header);
        let (payload, rest) = rest.split_at(head.length);
        all.push((head, payload.to_vec()));
        bytes = rest;
    }
    all
}

/// The type, the flags, the stream and the payload of each frame in these bytes, which must be whole.
pub(crate) fn read(bytes: &[u8]) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let all = frames(bytes).into_iter();
    all.map(|(head, payload)| (head.kind, head.flags, head.stream, payload))
        .collect()
}
