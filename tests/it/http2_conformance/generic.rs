//! What every server must take: h2spec's generic part.

use prox_tests::frames::PADDED;

use super::*;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("g/1/1", "the preface").goes_on(),
        Case::new("g/2/1", "PRIORITY on an idle stream")
            .send([priority(1, 0), get(1, "/")])
            .answers(1, 200),
        Case::new("g/2/2", "WINDOW_UPDATE on a half-closed stream")
            .send([get(1, "/"), window(1, 100)])
            .answers(1, 200),
        Case::new("g/2/3", "PRIORITY on a half-closed stream")
            .send([get(1, "/"), priority(1, 0)])
            .answers(1, 200),
        Case::new("g/2/4", "RST_STREAM on a half-closed stream")
            .send([get(1, STALL), reset(1, code::CANCEL), get(3, "/")])
            .answers(3, 200),
        Case::new("g/2/5", "PRIORITY on a closed stream")
            .send([get(1, "/")])
            .wait(kind::DATA, 1)
            .send([priority(1, 0), get(3, "/")])
            .answers(3, 200),
        Case::new("g/3.1/1", "DATA")
            .send([post(1, &[]), data(1, END_STREAM, *b"test")])
            .answers(1, 200),
        Case::new("g/3.1/2", "DATA in several frames")
            .send([
                post(1, &[]),
                data(1, 0, *b"test"),
                data(1, END_STREAM, *b"test"),
            ])
            .answers(1, 200),
        Case::new("g/3.1/3", "DATA with padding")
            .send([
                post(1, &[]),
                data(1, END_STREAM | PADDED, *b"\x06test\0\0\0\0\0\0"),
            ])
            .answers(1, 200),
        Case::new("g/3.2/1", "HEADERS")
            .send([get(1, "/")])
            .answers(1, 200),
        Case::new("g/3.2/2", "HEADERS with padding")
            .send([headers(1, END_STREAM | END_HEADERS | PADDED, {
                [&[8][..], &literals(&GET), &[0; 8]].concat()
            })])
            .answers(1, 200),
        Case::new("g/3.2/3", "HEADERS with a priority")
            .send([with_priority(1, 0, &literals(&GET))])
            .answers(1, 200),
        Case::new("g/3.3/1", "PRIORITY of the least weight")
            .send([dependency([0, 0, 0, 0, 0]), get(1, "/")])
            .answers(1, 200),
        Case::new("g/3.3/2", "PRIORITY of the most weight")
            .send([dependency([0, 0, 0, 0, 255]), get(1, "/")])
            .answers(1, 200),
        Case::new("g/3.3/3", "PRIORITY on another stream")
            .send([dependency([0, 0, 0, 5, 15]), get(1, "/")])
            .answers(1, 200),
        Case::new("g/3.3/4", "PRIORITY of its own")
            .send([dependency([0x80, 0, 0, 5, 15]), get(1, "/")])
            .answers(1, 200),
        Case::new(
            "g/3.3/5",
            "PRIORITY on an idle stream, and a lower one opened",
        )
        .send([priority(5, 0), get(1, "/")])
        .answers(1, 200),
        Case::new("g/3.4/1", "RST_STREAM")
            .send([get(1, STALL), reset(1, code::CANCEL)])
            .goes_on(),
        Case::new("g/3.5/1", "SETTINGS")
            .send([settings(&[(3, 100)])])
            .wait(kind::SETTINGS, 0)
            .goes_on(),
        Case::new("g/3.7/1", "PING")
            .send([Frame::new(kind::PING, 0, 0, *b"12345678")])
            .wait(kind::PING, 0)
            .goes_on(),
        Case::new("g/3.8/1", "GOAWAY")
            .send([Frame::new(kind::GOAWAY, 0, 0, [0; 8])])
            .may_end(),
        Case::new("g/3.9/1", "WINDOW_UPDATE of the connection")
            .send([window(0, 1), get(1, "/")])
            .answers(1, 200),
        Case::new("g/3.9/2", "WINDOW_UPDATE of a stream")
            .send([get(1, STALL), window(1, 1), get(3, "/")])
            .answers(3, 200),
        Case::new("g/3.10/1", "CONTINUATION")
            .send(parts(&[2]))
            .answers(1, 200),
        Case::new("g/3.10/2", "CONTINUATION in several frames")
            .send(parts(&[2, 5, 19]))
            .answers(1, 200),
        Case::new("g/4/1", "GET").send([get(1, "/")]).data(1, 5),
        Case::new("g/4/2", "HEAD")
            .send([request(1, &[&[(":method", "HEAD")], &GET[1..]].concat())])
            .answers(1, 200),
        Case::new("g/4/3", "POST")
            .send([
                post(1, &[("content-length", "4")]),
                data(1, END_STREAM, *b"test"),
            ])
            .answers(1, 200),
        Case::new("g/4/4", "POST with trailers")
            .send([
                post(1, &[("trailer", "x-test")]),
                data(1, 0, *b"test"),
                request(1, &[("x-test", "ok")]),
            ])
            .answers(1, 200),
    ];
    let get = literals(&GET);
    let good: [(&str, &str, &[u8]); 10] = [
        ("g/5/1", "an indexed field", &[0x90]),
        (
            "g/5/2",
            "a literal that is added, by an index",
            b"\x7a\x04test",
        ),
        (
            "g/5/3",
            "a literal that is added, by a name",
            b"\x40\x01x\x04test",
        ),
        ("g/5/4", "a literal by an index", b"\x0f\x2b\x04test"),
        ("g/5/5", "a literal by a name", b"\x00\x01x\x04test"),
        (
            "g/5/6",
            "a literal that is never added, by an index",
            b"\x1f\x2b\x04test",
        ),
        (
            "g/5/7",
            "a literal that is never added, by a name",
            b"\x10\x01x\x04test",
        ),
        (
            "g/5/8",
            "a value in Huffman's code",
            b"\x00\x01x\x83\x49\x50\x9f",
        ),
        (
            "g/5/9",
            "a name in Huffman's code",
            b"\x00\x83\x49\x50\x9f\x01x",
        ),
        (
            "g/5/10",
            "a field that was added before",
            b"\x40\x01x\x04test\xbe",
        ),
    ];
    for (section, about, field) in good {
        let block = [&get[..], field].concat();
        let request = headers(1, END_STREAM | END_HEADERS, block);
        cases.push(Case::new(section, about).send([request]).answers(1, 200));
    }
    for (section, about, sizes) in [
        ("g/5/14", "a change of the table's size", &[0x30][..]),
        (
            "g/5/15",
            "two changes of the table's size",
            &[0x20, 0x30][..],
        ),
    ] {
        let block = [sizes, &get].concat();
        let request = headers(1, END_STREAM | END_HEADERS, block);
        cases.push(Case::new(section, about).send([request]).answers(1, 200));
    }
    cases
}

fn dependency(payload: [u8; 5]) -> Frame {
    Frame::new(kind::PRIORITY, 0, 1, payload)
}

/// A request that depends on another stream.
pub(super) fn with_priority(stream: u32, on: u32, block: &[u8]) -> Frame {
    let flags = END_STREAM | END_HEADERS | prox_tests::frames::PRIORITY;
    let dependency = on.to_be_bytes();
    headers(stream, flags, [&dependency[..], &[255], block].concat())
}

/// A request whose block is cut at these places.
fn parts(cuts: &[usize]) -> Vec<Frame> {
    let block = literals(&GET);
    let mut frames = vec![headers(1, END_STREAM, &block[..cuts[0]])];
    for (at, cut) in cuts.iter().enumerate() {
        let next = cuts.get(at + 1);
        let flags = if next.is_none() { END_HEADERS } else { 0 };
        let end = next.copied().unwrap_or(block.len());
        frames.push(continuation(1, flags, &block[*cut..end]));
    }
    frames
}
