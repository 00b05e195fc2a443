//! Header blocks that cannot be read (RFC 7541).

use super::*;

/// What the stack says of a block that it cannot read.
const BLOCK: Expected = Expected::Closes(code::PROTOCOL_ERROR);

pub(super) fn cases() -> Vec<Case> {
    let bad: [(&str, &str, &[u8]); 11] = [
        ("hpack/2.3.3/1", "an index beyond the tables", b"\xfe"),
        (
            "hpack/2.3.3/2",
            "a name beyond the tables",
            b"\x7f\x0f\x04test",
        ),
        (
            "hpack/4.2/1",
            "a change of the table's size at the end",
            b"\x21",
        ),
        (
            "hpack/5.2/1",
            "padding of more than seven bits",
            b"\x00\x01x\x85\xf2\xb2\x4a\x84\xff\x03abc",
        ),
        (
            "hpack/5.2/2",
            "padding of zeros",
            b"\x00\x01x\x83\x49\x50\x90",
        ),
        (
            "hpack/5.2/3",
            "the end of a string in Huffman's code",
            b"\x00\x01x\x86\x49\x50\x93\xff\xff\xff",
        ),
        ("hpack/6.1/1", "an index of zero", b"\x80"),
        (
            "hpack/6.3/1",
            "a table larger than was allowed",
            b"\x3f\xe2\xff\x03",
        ),
        (
            "hpack/+1",
            "a number without an end",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        ),
        ("hpack/+2", "a name that is cut off", b"\x00\x7f"),
        ("hpack/+3", "a value that is cut off", b"\x00\x01x\x05ab"),
    ];
    bad.into_iter()
        .map(|(section, about, bytes)| {
            let path = [(":path", NEVER)];
            let get = literals(&[&GET[..3], &path].concat());
            // A change of the size may only stand before all fields.
            let block = if bytes[0] & 0xe0 == 0x20 && section != "hpack/4.2/1" {
                [bytes, &get].concat()
            } else {
                [&get, bytes].concat()
            };
            Case::new(section, about)
                .send([headers(1, END_STREAM | END_HEADERS, block)])
                .closes(code::COMPRESSION_ERROR)
                .but(BLOCK)
        })
        .collect()
}
