use std::net::SocketAddr;

use proptest::prelude::*;
use tokio::io::AsyncReadExt;

use super::{
    header::{self, Header, MAX, Malformed},
    source,
};
use crate::stream::Stream;

/// A header of version 2.
fn binary(version: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a short body");
    let head = [
        &b"\r\n\r\n\0\r\nQUIT\n"[..],
        &[version, family],
        &length.to_be_bytes(),
    ];
    [&head.concat(), body].concat()
}

fn tcp4() -> Vec<u8> {
    vec![203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb]
}

fn tcp6() -> Vec<u8> {
    let mut body = [0; 36];
    body[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    body[15] = 7;
    body[32..34].copy_from_slice(&4711_u16.to_be_bytes());
    body.to_vec()
}

fn said(bytes: &[u8]) -> Result<Option<String>, Malformed> {
    match header::read(bytes)? {
        Header::Whole { length, source } if length == bytes.len() => {
            Ok(source.map(|source| source.to_string()))
        }
        other => panic!("{other:?} of {} bytes", bytes.len()),
    }
}

#[test]
fn a_line_of_version_1_names_the_source() {
    for (line, source) in [
        (
            "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n",
            Some("203.0.113.7:4711"),
        ),
        (
            "PROXY TCP6 2001:db8::7 ::1 4711 443\r\n",
            Some("[2001:db8::7]:4711"),
        ),
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n",
            Some("255.255.255.255:65535"),
        ),
        ("PROXY UNKNOWN\r\n", None),
        (
            "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
            None,
        ),
    ] {
        assert_eq!(
            said(line.as_bytes()),
            Ok(source.map(str::to_owned)),
            "{line}"
        );
    }
}

#[test]
fn what_is_no_header_is_refused() {
    for wrong in [
        "GET / HTTP/1.1\r\n",
        "proxy TCP4 203.0.113.7 10.0.0.1 4711 443\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP5 203.0.113.7 10.0.0.1 4711 443\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443 1\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443 \r\n",
        "PROXY TCP4  203.0.113.7 10.0.0.1 4711 443\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\n",
        "PROXY TCP4 203.0.113.007 10.0.0.1 4711 443\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 04711 443\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 +4711 443\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 4711 65536\r\n",
        "PROXY TCP4 203.0.113.7 here 4711 443\r\n",
        "PROXY TCP4 2001:db8::7 ::1 4711 443\r\n",
        "PROXY TCP6 203.0.113.7 10.0.0.1 4711 443\r\n",
        "PROXY UNKNOWN \u{0}\n",
    ] {
        assert_eq!(header::read(wrong.as_bytes()), Err(Malformed), "{wrong:?}");
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107));
    assert_eq!(header::read(long.as_bytes()), Err(Malformed));
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!((longest.len(), said(longest.as_bytes())), (107, Ok(None)));
}

#[test]
fn a_block_of_version_2_names_the_source() {
    let with_more = [tcp4(), b"\x04\x00\x03abc".to_vec()].concat();
    for (block, source) in [
        (binary(0x21, 0x11, &tcp4()), Some("203.0.113.7:4711")),
        (binary(0x21, 0x11, &with_more), Some("203.0.113.7:4711")),
        (binary(0x21, 0x21, &tcp6()), Some("[2001:db8::7]:4711")),
        // LOCAL is a health check by the proxy itself, whatever it says besides.
        (binary(0x20, 0x00, &[]), None),
        (binary(0x20, 0x11, &tcp4()), None),
        // UNSPEC, a Unix socket, datagrams.
        (binary(0x21, 0x00, b"anything"), None),
        (binary(0x21, 0x31, &[b'/'; 216]), None),
        (binary(0x21, 0x12, &tcp4()), None),
    ] {
        assert_eq!(said(&block), Ok(source.map(str::to_owned)), "{block:?}");
    }
}

#[test]
fn a_wrong_block_of_version_2_is_refused() {
    for wrong in [
        binary(0x11, 0x11, &tcp4()),
        binary(0x22, 0x11, &tcp4()),
        binary(0x21, 0x41, &tcp4()),
        binary(0x21, 0x13, &tcp4()),
        binary(0x21, 0x11, &tcp4()[..11]),
        binary(0x21, 0x21, &tcp4()),
        binary(0x21, 0x11, &[0; MAX]),
    ] {
        assert_eq!(header::read(&wrong), Err(Malformed), "{:?}", &wrong[12..16]);
    }
    assert!(said(&binary(0x21, 0x11, &[0; MAX - 16])).is_ok());
}

#[tokio::test]
async fn what_follows_the_header_is_left_unread() {
    for header in [
        b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec(),
        binary(0x21, 0x11, &[tcp4(), vec![0; 3000]].concat()),
    ] {
        let sent = [&header[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
        let mut stream = Stream::boxed(std::io::Cursor::new(sent));
        let peer: SocketAddr = ([203, 0, 113, 7], 4711).into();
        assert_eq!(source(&mut stream).await.unwrap(), Some(peer));
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "GET / HTTP/1.1\r\n\r\n");
    }
}

#[tokio::test]
async fn a_connection_that_ends_within_the_header_is_refused() {
    for sent in [&b""[..], b"PROXY TCP4", b"\r\n\r\n\0\r\nQUIT\n\x21"] {
        let mut stream = Stream::boxed(std::io::Cursor::new(sent.to_vec()));
        assert!(source(&mut stream).await.is_err());
    }
}

fn header_or_noise() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "PROXY (TCP4|TCP6|UNKNOWN) [0-9.:a ]{0,50}\r?\n?".prop_map(String::into_bytes),
        (any::<[u8; 4]>(), any::<[u16; 2]>()).prop_map(|(ip, [a, b])| {
            let ip = std::net::Ipv4Addr::from(ip);
            format!("PROXY TCP4 {ip} {ip} {a} {b}\r\n").into_bytes()
        }),
        (
            0x1f..0x23_u8,
            any::<u8>(),
            proptest::collection::vec(any::<u8>(), 0..60)
        )
            .prop_map(|(version, family, body)| binary(version, family, &body)),
        proptest::collection::vec(any::<u8>(), 0..60),
    ]
}

proptest! {
    #[test]
    fn however_the_bytes_are_split_the_verdict_is_the_same(
        bytes in header_or_noise(),
        behind in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        let all = [bytes, behind].concat();
        let verdict = header::read(&all);
        for end in 0..all.len() {
            match (header::read(&all[..end]), verdict) {
                (Ok(Header::Partial), Ok(Header::Whole { length, .. })) => prop_assert!(end < length),
                (Ok(Header::Partial), _) => {}
                (early, _) => prop_assert_eq!(early, verdict),
            }
        }
        if let Ok(Header::Whole { length, .. }) = verdict {
            prop_assert!(length <= all.len() && length <= MAX);
        }
    }
}
