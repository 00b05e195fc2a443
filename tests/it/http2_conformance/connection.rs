//! Prefaces, frames and header blocks as such (RFC 9113, 3.4, 4, 5.4 and 5.5).

use prox_tests::frames::PREFACE;

use super::*;

/// The largest frame that may be sent unasked.
const LARGEST: usize = 1 << 14;

pub(super) fn cases() -> Vec<Case> {
    let block = literals(&GET);
    let (first, second) = block.split_at(10);
    vec![
        Case::new("3.5/1", "the preface and settings").goes_on(),
        Case::new("3.5/2", "another preface")
            .silent()
            .bytes("INVALID CONNECTION PREFACE\r\n\r\n")
            .ends(),
        Case::new("3.5/+1", "the preface, and another frame than settings")
            .silent()
            .bytes([PREFACE, &window(0, 1).bytes()].concat())
            .ends(),
        Case::new("4.1/1", "a frame of an unknown kind")
            .send([Frame::new(0x16, 0, 0, [0; 8])])
            .goes_on(),
        Case::new("4.1/2", "flags that there are not")
            .send([Frame::new(kind::PING, 0x16, 0, [1; 8])])
            .wait(kind::PING, 0)
            .goes_on(),
        Case::new("4.1/3", "a reserved bit")
            .send([Frame::new(kind::PING, 0, 1 << 31, [1; 8])])
            .wait(kind::PING, 0)
            .goes_on(),
        Case::new("4.2/1", "DATA of the largest size")
            .send([post(1, &[]), data(1, END_STREAM, [0; LARGEST])])
            .answers(1, 200),
        Case::new("4.2/2", "DATA over the largest size")
            .send([post(1, &[]), data(1, END_STREAM, [0; LARGEST + 1])])
            .closes(code::FRAME_SIZE_ERROR),
        Case::new("4.2/3", "HEADERS over the largest size")
            .send([headers(1, END_STREAM | END_HEADERS, [0; LARGEST + 1])])
            .closes(code::FRAME_SIZE_ERROR),
        Case::new("4.3/1", "a header block that is none")
            .send([headers(1, END_STREAM | END_HEADERS, *b"\x40")])
            .closes(code::COMPRESSION_ERROR)
            .but(Expected::Closes(code::PROTOCOL_ERROR)),
        Case::new("4.3/2", "PRIORITY within a header block")
            .send([
                headers(1, END_STREAM, first),
                priority(1, 0),
                continuation(1, END_HEADERS, second),
            ])
            .closes(code::PROTOCOL_ERROR),
        Case::new("4.3/3", "HEADERS of another stream within a header block")
            .send([
                headers(1, END_STREAM, first),
                get(3, NEVER),
                continuation(1, END_HEADERS, second),
            ])
            .closes(code::PROTOCOL_ERROR),
        Case::new("5.4.1/1", "an error after which nothing is sent")
            .send([Frame::new(kind::PING, 0, 3, [0; 8]), get(1, NEVER)])
            .closes(code::PROTOCOL_ERROR),
        Case::new("5.4.1/2", "an error behind a request")
            .send([get(1, "/")])
            .wait(kind::DATA, 1)
            .send([Frame::new(kind::PING, 0, 3, [0; 8])])
            .closes(code::PROTOCOL_ERROR),
        Case::new("5.5/1", "an extension")
            .send([Frame::new(0xff, 0, 0, []), Frame::new(0x16, 0, 1, [0; 8])])
            .goes_on(),
        Case::new("5.5/2", "an extension within a header block")
            .send([
                headers(1, END_STREAM, first),
                Frame::new(0x16, 0, 0, [0; 8]),
                continuation(1, END_HEADERS, second),
            ])
            .closes(code::PROTOCOL_ERROR),
    ]
}
