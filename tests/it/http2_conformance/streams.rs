//! The states of streams, and how many there may be (RFC 9113, 5.1 and 5.3).

use super::{generic::with_priority, *};

/// More streams than any of the servers in `docs/conformance.md` allows by default.
const MANY: u32 = 300;

/// What the stack makes of most frames that come too late: the end of all streams instead of one.
const CLOSES: Expected = Expected::Closes(code::PROTOCOL_ERROR);

pub(super) fn cases() -> Vec<Case> {
    let block = literals(&GET);
    let mut cases = vec![
        Case::new("5.1/1", "DATA on an idle stream")
            .send([data(1, END_STREAM, *b"test")])
            .closes(code::PROTOCOL_ERROR),
        Case::new("5.1/2", "RST_STREAM on an idle stream")
            .send([reset(1, code::CANCEL)])
            .closes(code::PROTOCOL_ERROR),
        Case::new("5.1/3", "WINDOW_UPDATE on an idle stream")
            .send([window(1, 100)])
            .closes(code::PROTOCOL_ERROR),
        Case::new("5.1/4", "CONTINUATION on an idle stream")
            .send([continuation(1, END_HEADERS, &block[..])])
            .closes(code::PROTOCOL_ERROR),
        Case::new("5.1/5", "DATA on a half-closed stream")
            .send([get(1, STALL), data(1, END_STREAM, *b"test")])
            .resets(1, code::STREAM_CLOSED)
            .but(CLOSES),
        Case::new("5.1/6", "HEADERS on a half-closed stream")
            .send([get(1, STALL), get(1, NEVER)])
            .resets(1, code::STREAM_CLOSED)
            .but(CLOSES),
        Case::new("5.1/7", "CONTINUATION on a half-closed stream")
            .send([get(1, STALL), continuation(1, END_HEADERS, &block[..])])
            .closes(code::PROTOCOL_ERROR),
        Case::new("5.1/8", "DATA on a stream that was reset")
            .send([
                post(1, &[]),
                reset(1, code::CANCEL),
                data(1, END_STREAM, *b"test"),
            ])
            .resets(1, code::STREAM_CLOSED),
        Case::new("5.1/9", "HEADERS on a stream that was reset")
            .send([post(1, &[]), reset(1, code::CANCEL), get(1, NEVER)])
            .resets(1, code::STREAM_CLOSED)
            .but(CLOSES),
        Case::new("5.1/10", "CONTINUATION on a stream that was reset")
            .send([
                post(1, &[]),
                reset(1, code::CANCEL),
                continuation(1, END_HEADERS, &block[..]),
            ])
            .closes(code::PROTOCOL_ERROR),
        Case::new("5.1/11", "DATA on a stream that is done")
            .send([get(1, "/")])
            .wait(kind::DATA, 1)
            .send([data(1, END_STREAM, *b"test")])
            .resets(1, code::STREAM_CLOSED),
        Case::new("5.1/12", "HEADERS on a stream that is done")
            .send([get(1, "/")])
            .wait(kind::DATA, 1)
            .send([get(1, NEVER)])
            .resets(1, code::STREAM_CLOSED)
            .but(CLOSES),
        Case::new("5.1/13", "CONTINUATION on a stream that is done")
            .send([get(1, "/")])
            .wait(kind::DATA, 1)
            .send([continuation(1, END_HEADERS, &block[..])])
            .closes(code::PROTOCOL_ERROR),
        Case::new("5.1/+1", "WINDOW_UPDATE on a stream that is done")
            .send([get(1, "/")])
            .wait(kind::DATA, 1)
            .send([window(1, 1), get(3, "/")])
            .answers(3, 200),
        Case::new("5.1.1/1", "a stream of an even number")
            .send([get(2, NEVER)])
            .closes(code::PROTOCOL_ERROR),
        Case::new("5.1.1/2", "a stream of a lower number than another")
            .send([get(5, STALL), get(3, NEVER)])
            .closes(code::PROTOCOL_ERROR),
        Case::new("5.1.1/+1", "a stream of the highest number")
            .send([get((1 << 31) - 1, "/")])
            .answers((1 << 31) - 1, 200),
        Case::new("5.1.2/1", "more streams than are allowed")
            .send((0..MANY).map(|number| {
                headers(
                    1 + 2 * number,
                    END_HEADERS,
                    literals(&[&POST[..3], &[(":path", STALL)]].concat()),
                )
            }))
            .resets(201, code::REFUSED_STREAM),
        Case::new("5.3.1/1", "HEADERS that depend on their own stream")
            .send([with_priority(1, 1, &block)])
            .resets(1, code::PROTOCOL_ERROR),
        Case::new("5.3.1/2", "PRIORITY that depends on its own stream")
            .send([priority(1, 1)])
            .resets(1, code::PROTOCOL_ERROR),
    ];
    // What was open when the other went wrong.
    cases.push(
        Case::new("5.4.2/+1", "an error of one stream beside another")
            .send([
                post(1, &[]),
                request(3, &[&GET[..], &[("te", "gzip")]].concat()),
                data(1, END_STREAM, *b"test"),
            ])
            .resets(3, code::PROTOCOL_ERROR),
    );
    cases
}
