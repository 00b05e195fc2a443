//! Requests that are malformed (RFC 9113, 8).

use super::*;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("8.1/1", "HEADERS in a body that do not end it")
            .send([
                post(1, &[]),
                data(1, 0, *b"test"),
                headers(1, END_HEADERS, literals(&[("x-test", "ok")])),
            ])
            .resets(1, code::PROTOCOL_ERROR),
        Case::new("8.1.2.1/3", "a pseudo-header field as a trailer")
            .send([
                post(1, &[]),
                data(1, 0, *b"test"),
                request(1, &[(":method", "POST")]),
            ])
            .resets(1, code::PROTOCOL_ERROR)
            // It is dropped, and nobody sees it.
            .but(Expected::Answers(1, 200)),
        Case::new("8.1.2.6/1", "a length that is not that of the data")
            .send([
                post(1, &[("content-length", "1")]),
                data(1, END_STREAM, *b"test"),
            ])
            .resets(1, code::PROTOCOL_ERROR),
        Case::new("8.1.2.6/2", "a length that is not that of several frames")
            .send([
                post(1, &[("content-length", "1")]),
                data(1, 0, *b"test"),
                data(1, END_STREAM, *b"test"),
            ])
            .resets(1, code::PROTOCOL_ERROR),
        Case::new("8.1.2.6/+1", "a length that is more than the data")
            .send([
                post(1, &[("content-length", "9")]),
                data(1, END_STREAM, *b"test"),
            ])
            .resets(1, code::PROTOCOL_ERROR),
        Case::new("8.1.2.6/+2", "a length and no data")
            .send([malformed(&[("content-length", "9")])])
            .resets(1, code::PROTOCOL_ERROR),
        Case::new("8.2/1", "PUSH_PROMISE")
            .send([Frame::new(
                kind::PUSH_PROMISE,
                END_HEADERS,
                1,
                [&[0, 0, 0, 2][..], &literals(&GET)].concat(),
            )])
            .closes(code::PROTOCOL_ERROR),
    ];
    cases.extend(bad_fields());
    cases.extend(bad_pseudo());
    cases
}

/// A whole request that must not reach an upstream, with these further fields.
pub(super) fn malformed(fields: &[(&str, &str)]) -> Frame {
    request(1, &[&GET[..3], &[(":path", NEVER)], fields].concat())
}

/// Further fields that no request may have.
#[rustfmt::skip]
const FIELDS: &[Row] = &[
    ("8.1.2/1", "a name in upper case", &[("X-TEST", "ok")]),
    ("8.1.2.1/1", "an unknown pseudo-header field", &[(":test", "ok")]),
    ("8.1.2.1/2", "a pseudo-header field of responses", &[(":status", "200")]),
    ("8.1.2.2/1", "connection", &[("connection", "keep-alive")]),
    ("8.1.2.2/2", "te other than trailers", &[("te", "trailers, deflate")]),
    ("8.1.2.2/+1", "transfer-encoding", &[("transfer-encoding", "chunked")]),
    ("8.1.2.2/+2", "upgrade", &[("upgrade", "h2c")]),
    ("8.1.2.2/+3", "keep-alive", &[("keep-alive", "timeout=5")]),
    ("8.1.2.2/+4", "proxy-connection", &[("proxy-connection", "close")]),
];

const METHOD: (&str, &str) = (":method", "GET");
const CONNECT: (&str, &str) = (":method", "CONNECT");
const PROTOCOL: (&str, &str) = (":protocol", "websocket");
const SCHEME: (&str, &str) = (":scheme", "http");
const HOST: (&str, &str) = (":authority", "gateway.test");
const PATH: (&str, &str) = (":path", NEVER);

/// All the fields of requests with something wrong about those that begin with a colon.
#[rustfmt::skip]
const PSEUDO: &[Row] = &[
    ("8.1.2.1/4", "a pseudo-header field behind another", &[METHOD, SCHEME, ("x-test", "ok"), HOST, PATH]),
    ("8.1.2.3/1", "an empty path", &[METHOD, SCHEME, HOST, (":path", "")]),
    ("8.1.2.3/2", "no method", &[SCHEME, HOST, PATH]),
    ("8.1.2.3/3", "no scheme", &[METHOD, HOST, PATH]),
    ("8.1.2.3/4", "no path", &[METHOD, SCHEME, HOST]),
    ("8.1.2.3/5", "two methods", &[METHOD, METHOD, SCHEME, HOST, PATH]),
    ("8.1.2.3/6", "two schemes", &[METHOD, SCHEME, SCHEME, HOST, PATH]),
    ("8.1.2.3/7", "two paths", &[METHOD, SCHEME, HOST, PATH, PATH]),
    ("8.1.2.3/+1", "two authorities", &[METHOD, SCHEME, HOST, HOST, PATH]),
    ("8.3/+1", "CONNECT with a scheme and a path", &[CONNECT, SCHEME, HOST, PATH]),
    ("8.3/+2", "a protocol without CONNECT", &[METHOD, PROTOCOL, SCHEME, HOST, PATH]),
    ("8.3/+3", "CONNECT of a protocol without a path", &[CONNECT, PROTOCOL, SCHEME, HOST]),
];

fn bad_fields() -> impl Iterator<Item = Case> {
    FIELDS.iter().map(|(section, about, fields)| {
        let case = Case::new(section, about)
            .send([malformed(fields)])
            .resets(1, code::PROTOCOL_ERROR);
        // The stack sees these two while it decodes, and takes the whole block for broken.
        if ["8.1.2/1", "8.1.2.1/1"].contains(section) {
            case.but(Expected::Closes(code::PROTOCOL_ERROR))
        } else {
            case
        }
    })
}

fn bad_pseudo() -> impl Iterator<Item = Case> {
    PSEUDO.iter().map(|(section, about, fields)| {
        Case::new(section, about)
            .send([request(1, fields)])
            .resets(1, code::PROTOCOL_ERROR)
    })
}
