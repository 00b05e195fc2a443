//! What HTTP/2 can carry and HTTP/1.1 cannot: whoever writes it down as it came sends two requests instead of one.

use super::{messages::malformed, *};

/// Further fields that no request may have.
#[rustfmt::skip]
const FIELDS: &[Row] = &[
    ("8.2.1/+1", "CR LF in a value", &[("x-test", "a\r\nx-evil: 1")]),
    ("8.2.1/+2", "LF in a value", &[("x-test", "a\nx-evil: 1")]),
    ("8.2.1/+3", "CR in a value", &[("x-test", "a\rx-evil: 1")]),
    ("8.2.1/+4", "NUL in a value", &[("x-test", "a\0b")]),
    ("8.2.1/+5", "CR LF in a name", &[("x-test: a\r\nx-evil", "1")]),
    ("8.2.1/+6", "a colon in a name", &[("x-test:", "1")]),
    ("8.2.1/+7", "a space in a name", &[("x test", "1")]),
    ("8.2.1/+8", "an empty name", &[("", "1")]),
    ("8.2.1/+9", "a name beyond ASCII", &[("x-t\u{e9}st", "1")]),
    ("8.2.1/+10", "a coding in another spelling", &[("transfer-encoding ", "chunked")]),
    ("8.2.1/+11", "a second request in a value", &[("x-test", "a\r\n\r\nGET /never HTTP/1.1\r\nHost: a")]),
    ("8.1.1/+1", "two lengths", &[("content-length", "0"), ("content-length", "5")]),
    ("8.1.1/+2", "a length that is none", &[("content-length", "+0")]),
    ("8.1.1/+3", "a list of lengths", &[("content-length", "0, 0")]),
    ("8.3.1/+16", "an authority and another Host", &[("host", "other.test")]),
    ("8.3.1/+18", "two Hosts", &[("host", "gateway.test"), ("host", "gateway.test")]),
];

/// The place of a pseudo-header field in [`GET`], and what no request may have there.
#[rustfmt::skip]
const PSEUDO: &[(&str, &str, usize, &str)] = &[
    ("8.3.1/+1", "a method with a space", 0, "GET /never HTTP/1.1\r\nx: y"),
    ("8.3.1/+2", "an empty method", 0, ""),
    ("8.3.1/+3", "a method beyond ASCII", 0, "G\u{e9}T"),
    ("8.3.1/+4", "a scheme with more behind it", 1, "http://evil.test/"),
    ("8.3.1/+5", "an authority with user information", 2, "user@gateway.test"),
    ("8.3.1/+6", "an authority with a path", 2, "gateway.test/never"),
    ("8.3.1/+7", "an authority with CR LF", 2, "gateway.test\r\nx-evil: 1"),
    ("8.3.1/+8", "an authority with a space", 2, "gateway.test evil"),
    ("8.3.1/+9", "a path with a space", 3, "/never HTTP/1.1"),
    ("8.3.1/+10", "a path with CR LF", 3, "/never HTTP/1.1\r\nx-evil: 1"),
    ("8.3.1/+11", "a path that is no path", 3, "never"),
    ("8.3.1/+12", "a path that is another host", 3, "http://evil.test/never"),
    ("8.3.1/+14", "an asterisk without OPTIONS", 3, "*"),
    ("8.3.1/+15", "an empty authority", 2, ""),
];

/// What the stack makes of what is no field at all: the end of all streams instead of one.
const CLOSES: Expected = Expected::Closes(code::PROTOCOL_ERROR);

pub(super) fn cases() -> Vec<Case> {
    let fields = FIELDS.iter().map(|(section, about, fields)| {
        let case = Case::new(section, about)
            .send([malformed(fields)])
            .refuses(1);
        if section.starts_with("8.2.1") {
            case.but(CLOSES)
        } else {
            case
        }
    });
    let pseudo = PSEUDO.iter().map(|(section, about, place, value)| {
        let mut fields = GET;
        fields[3].1 = NEVER;
        fields[*place].1 = value;
        let case = Case::new(section, about)
            .send([request(1, &fields)])
            .refuses(1);
        match place {
            0 => case.but(CLOSES),
            _ => case,
        }
    });
    let fragment = [GET[0], GET[1], GET[2], (":path", "/#fragment")];
    let nobody = [GET[0], GET[1], (":path", NEVER)];
    let mut cases: Vec<Case> = fields.chain(pseudo).collect();
    cases.push(
        Case::new("8.3.1/+13", "a path with a fragment")
            .send([request(1, &fragment)])
            .refuses(1)
            // It is cut off, and nobody sees it.
            .but(Expected::Answers(1, 200)),
    );
    cases.push(
        Case::new("8.3.1/+17", "no authority and no Host")
            .send([request(1, &nobody)])
            .refuses(1),
    );
    cases
}
