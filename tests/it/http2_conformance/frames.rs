//! Each kind of frame (RFC 9113, 6 and 7).

use prox_tests::frames::{ACK, PADDED};

use super::*;

const ENABLE_PUSH: u16 = 2;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// What the stack says of every frame that has a wrong size, and of most that come too late.
const CLOSES: Expected = Expected::Closes(code::PROTOCOL_ERROR);

pub(super) fn cases() -> Vec<Case> {
    [data_and_headers(), control(), windows(), blocks()]
        .into_iter()
        .flatten()
        .collect()
}

fn data_and_headers() -> Vec<Case> {
    let block = literals(&GET);
    let (first, second) = block.split_at(10);
    vec![
        Case::new("6.1/1", "DATA on no stream")
            .send([post(1, &[]), data(0, END_STREAM, *b"test")])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.1/2", "DATA on a stream that is not open")
            .send([get(1, STALL), data(1, END_STREAM, *b"test")])
            .resets(1, code::STREAM_CLOSED)
            .but(CLOSES),
        Case::new("6.1/3", "DATA with more padding than there is")
            .send([post(1, &[]), data(1, END_STREAM | PADDED, *b"\x06test")])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.1/+1", "DATA with as much padding as there is")
            .send([post(1, &[]), data(1, END_STREAM | PADDED, *b"\x04test")])
            .answers(1, 200),
        Case::new("6.2/1", "HEADERS that are not ended, and PRIORITY")
            .send([
                headers(1, END_STREAM, first),
                priority(1, 0),
                continuation(1, END_HEADERS, second),
            ])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.2/2", "HEADERS that are not ended, and another stream's")
            .send([headers(1, END_STREAM, first), get(3, NEVER)])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.2/3", "HEADERS on no stream")
            .send([get(0, NEVER)])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.2/4", "HEADERS with more padding than there is")
            .send([headers(
                1,
                END_STREAM | END_HEADERS | PADDED,
                [&[200][..], &block].concat(),
            )])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.2/+1", "HEADERS too short for a priority")
            .send([headers(1, END_STREAM | END_HEADERS | 0x20, [0, 0, 0])])
            .closes(code::FRAME_SIZE_ERROR)
            .but(CLOSES),
    ]
}

fn control() -> Vec<Case> {
    vec![
        Case::new("6.3/1", "PRIORITY on no stream")
            .send([priority(0, 1)])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.3/2", "PRIORITY of another size")
            .send([Frame::new(kind::PRIORITY, 0, 1, [0; 4])])
            .resets(1, code::FRAME_SIZE_ERROR)
            .but(CLOSES),
        Case::new("6.4/1", "RST_STREAM on no stream")
            .send([reset(0, code::CANCEL)])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.4/2", "RST_STREAM on an idle stream")
            .send([reset(1, code::CANCEL)])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.4/3", "RST_STREAM of another size")
            .send([get(1, STALL), Frame::new(kind::RST_STREAM, 0, 1, [0; 3])])
            .closes(code::FRAME_SIZE_ERROR)
            .but(CLOSES),
        Case::new("6.5/1", "an acknowledgement that says something")
            .send([Frame::new(kind::SETTINGS, ACK, 0, [0])])
            .closes(code::FRAME_SIZE_ERROR)
            .but(CLOSES),
        Case::new("6.5/2", "SETTINGS on a stream")
            .send([Frame::new(kind::SETTINGS, 0, 1, [0, 3, 0, 0, 0, 100])])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.5/3", "SETTINGS of half a setting")
            .send([Frame::new(kind::SETTINGS, 0, 0, [0, 3, 0])])
            .closes(code::FRAME_SIZE_ERROR)
            .but(CLOSES),
        Case::new("6.5.2/1", "a push that is neither on nor off")
            .send([settings(&[(ENABLE_PUSH, 2)])])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.5.2/2", "a window over the largest")
            .send([settings(&[(INITIAL_WINDOW_SIZE, 1 << 31)])])
            .closes(code::FLOW_CONTROL_ERROR)
            .but(CLOSES),
        Case::new("6.5.2/3", "a size of frames below the least")
            .send([settings(&[(MAX_FRAME_SIZE, (1 << 14) - 1)])])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.5.2/4", "a size of frames over the largest")
            .send([settings(&[(MAX_FRAME_SIZE, 1 << 24)])])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.5.2/5", "a setting that is not known")
            .send([settings(&[(0xff, 1)])])
            .goes_on(),
        Case::new("6.5.3/1", "one setting twice")
            .send([
                settings(&[(INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)]),
                get(1, "/"),
            ])
            .wait(kind::DATA, 1)
            .data(1, 1),
        Case::new("6.5.3/2", "settings are acknowledged")
            .wait(kind::SETTINGS, 0)
            .send([settings(&[])])
            .wait(kind::SETTINGS, 0)
            .goes_on(),
        Case::new("6.7/1", "PING")
            .send([Frame::new(kind::PING, 0, 0, [7; 8])])
            .wait(kind::PING, 0)
            .goes_on(),
        Case::new("6.7/2", "PING that answers none")
            .send([Frame::new(kind::PING, ACK, 0, [7; 8])])
            .goes_on(),
        Case::new("6.7/3", "PING on a stream")
            .send([Frame::new(kind::PING, 0, 1, [0; 8])])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.7/4", "PING of another size")
            .send([Frame::new(kind::PING, 0, 0, [0; 6])])
            .closes(code::FRAME_SIZE_ERROR)
            .but(CLOSES),
        Case::new("6.8/1", "GOAWAY on a stream")
            .send([Frame::new(kind::GOAWAY, 0, 1, [0; 8])])
            .closes(code::PROTOCOL_ERROR),
        Case::new("7/1", "GOAWAY of an unknown code")
            .send([Frame::new(kind::GOAWAY, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0xff])])
            .may_end(),
        Case::new("7/2", "RST_STREAM of an unknown code")
            .send([get(1, STALL), reset(1, 0xff), get(3, "/")])
            .answers(3, 200),
    ]
}

fn windows() -> Vec<Case> {
    vec![
        Case::new("6.9/1", "WINDOW_UPDATE of nothing for the connection")
            .send([window(0, 0)])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.9/2", "WINDOW_UPDATE of nothing for a stream")
            .send([get(1, STALL), window(1, 0)])
            .resets(1, code::PROTOCOL_ERROR)
            .but(CLOSES),
        Case::new("6.9/3", "WINDOW_UPDATE of another size")
            .send([Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 1])])
            .closes(code::FRAME_SIZE_ERROR)
            .but(CLOSES),
        Case::new("6.9.1/1", "data within the window")
            .send([settings(&[(INITIAL_WINDOW_SIZE, 1)]), get(1, "/")])
            .wait(kind::DATA, 1)
            .data(1, 1),
        Case::new("6.9.1/2", "a window of the connection over the largest")
            .send([window(0, LARGEST_WINDOW), window(0, LARGEST_WINDOW)])
            .closes(code::FLOW_CONTROL_ERROR),
        Case::new("6.9.1/3", "a window of a stream over the largest")
            .send([
                get(1, STALL),
                window(1, LARGEST_WINDOW),
                window(1, LARGEST_WINDOW),
            ])
            .resets(1, code::FLOW_CONTROL_ERROR),
        Case::new("6.9.2/1", "a window that is opened behind the request")
            .send([settings(&[(INITIAL_WINDOW_SIZE, 0)]), get(1, "/")])
            .wait(kind::HEADERS, 1)
            .send([settings(&[(INITIAL_WINDOW_SIZE, 1)])])
            .wait(kind::DATA, 1)
            .data(1, 1),
        Case::new("6.9.2/2", "a window that is negative for a while")
            .send([settings(&[(INITIAL_WINDOW_SIZE, 3)]), get(1, "/")])
            .wait(kind::DATA, 1)
            .send([settings(&[(INITIAL_WINDOW_SIZE, 2)]), window(1, 2)])
            .wait(kind::DATA, 1)
            .data(1, 4),
        Case::new("6.9.2/3", "settings that bring a window over the largest")
            .send([
                settings(&[(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)]),
                get(1, STALL),
                window(1, 1),
            ])
            .resets(1, code::FLOW_CONTROL_ERROR),
    ]
}

fn blocks() -> Vec<Case> {
    let block = literals(&GET);
    let (first, second) = block.split_at(10);
    vec![
        Case::new("6.10/1", "several CONTINUATION frames")
            .send([
                headers(1, END_STREAM, first),
                continuation(1, 0, &second[..10]),
                continuation(1, END_HEADERS, &second[10..]),
            ])
            .answers(1, 200),
        Case::new("6.10/2", "CONTINUATION, and another frame")
            .send([
                headers(1, END_STREAM, first),
                continuation(1, 0, second),
                data(1, END_STREAM, *b"test"),
            ])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.10/3", "CONTINUATION on no stream")
            .send([
                headers(1, END_STREAM, first),
                continuation(0, END_HEADERS, second),
            ])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.10/4", "CONTINUATION behind whole HEADERS")
            .send([get(1, STALL), continuation(1, END_HEADERS, &block[..])])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.10/5", "CONTINUATION behind the last one")
            .send([
                headers(1, 0, first),
                continuation(1, END_HEADERS, second),
                continuation(1, END_HEADERS, &block[..]),
            ])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.10/6", "CONTINUATION behind DATA")
            .send([
                post(1, &[]),
                data(1, 0, *b"test"),
                continuation(1, END_HEADERS, &block[..]),
            ])
            .closes(code::PROTOCOL_ERROR),
        Case::new("6.10/+1", "CONTINUATION of another stream")
            .send([
                headers(1, END_STREAM, first),
                continuation(3, END_HEADERS, second),
            ])
            .closes(code::PROTOCOL_ERROR),
    ]
}
