use proptest::{collection::vec, prelude::*, sample::select};

use super::{Either, pieces, reference};
use crate::framing::{Asked, Requests, cases::REQUESTS};

const PARTS: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "POST /a?b HTTP/1.0\r\n",
    "POST /a HTTP/1.1\r\n",
    "POST / HTTP/1.1\r\n",
    "GET /a#b HTTP/1.1\r\n",
    "GET /\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 204 \r\n",
    "HTTP/1.1 101 a\r\n",
    "HTTP/1.1 100\r\n",
    "HTTP/1.0 404 b\r\n",
    "Host: a\r\n",
    "Accept: */*\r\n",
    "A:\r\n",
    "A: b \tc\r\n",
    "A : b\r\n",
    "A: b\n",
    " c\r\n",
    "\r\n",
    "\r\n",
    "\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 5\r\n",
    "content-length:\t12 \r\n",
    "Content-Length: x\r\n",
    "Content-Length: 99999999999999999999999999999999999\r\n",
    "Content-Length: 1\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t 1\r\n",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding:CHUNKED\t\r\n",
    "Transfer-Encoding: chunked\r\n\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: chunked \t x\r\n",
    "hello",
    "hello\r\n",
    "0\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "5\r\n",
    "5;a\r\nhello\r\n",
    "A;a=\"b;\"\r\n0123456789\r\n",
    "5 ;a=b\r\nhello\r\n",
    "5;\r\n",
    "5 \r\n",
    "fffffffffffffffff\r\n",
    "ffffffffffffffff\r\n",
    "\r",
    "\n",
    "\0",
    ":",
    "#",
    " ",
    "x",
];

fn streams() -> impl Strategy<Value = Vec<u8>> {
    let anything = vec(select(PARTS), 0..12).prop_map(|parts| parts.concat().into_bytes());
    // Whole messages, so that those behind the first are reached.
    let messages = vec(select(REQUESTS), 1..4)
        .prop_map(|cases| cases.iter().flat_map(|case| case.bytes).copied().collect());
    let change = (any::<prop::sample::Index>(), any::<u8>());
    (prop_oneof![anything, messages], vec(change, 0..2)).prop_map(
        |(mut bytes, changes): (Vec<u8>, _)| {
            for (place, byte) in changes {
                if !bytes.is_empty() {
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                }
            }
            bytes
        },
    )
}

fn either() -> impl Strategy<Value = Option<Asked>> {
    let asked = [
        Asked::Head,
        Asked::Connect,
        Asked::Upgrade,
        Asked::HeadUpgrade,
        Asked::Other,
    ];
    prop_oneof![Just(None), select(asked.to_vec()).prop_map(Some)]
}

fn start(side: Option<Asked>) -> Either {
    side.map_or_else(
        || Either::Requests(Requests::new(usize::MAX)),
        Either::responses,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn the_verdict_does_not_depend_on_how_the_bytes_arrive(
        bytes in streams(),
        side in either(),
        cuts in vec(any::<usize>(), 0..6),
    ) {
        let whole = start(side).feed(&bytes);
        prop_assert_eq!(start(side).feed_all(pieces(&bytes, &cuts)), whole);
        prop_assert_eq!(start(side).feed_all(bytes.chunks(1)), whole);
    }

    #[test]
    fn requests_end_and_are_refused_where_the_reference_says(bytes in streams()) {
        let (ends, refused) = reference::requests(&bytes);
        let mut requests = Requests::new(usize::MAX);
        let mut before = 0;
        for end in ends {
            for at in before..end {
                prop_assert_eq!(requests.feed(&bytes[at..=at]), Ok(()));
                prop_assert_eq!(requests.is_between(), at + 1 == end, "at {}", at);
            }
            before = end;
        }
        match refused {
            Some(refused) => prop_assert_eq!(requests.feed(&bytes[before..]).is_err(), refused),
            // A line that is not whole may be refused already; what the reference refuses is said once it is whole.
            None => {
                let _ = requests.feed(&bytes[before..]);
            }
        }
    }

    #[test]
    fn a_head_that_passes_is_one_for_the_parser_and_ends_at_the_same_byte(bytes in streams()) {
        let mut requests = Requests::new(usize::MAX);
        if requests.feed(&bytes).is_ok() {
            let mut fields = [httparse::EMPTY_HEADER; 64];
            let parsed = httparse::Request::new(&mut fields).parse(&bytes);
            let end = bytes.windows(4).skip(1).position(|end| end == b"\r\n\r\n").map(|at| at + 5);
            match parsed {
                Ok(httparse::Status::Complete(length)) => prop_assert_eq!(Some(length), end),
                Ok(httparse::Status::Partial) => prop_assert_eq!(None, end),
                // A target may be no text at all, which the parser refuses.
                Err(error) => prop_assert!(
                    error == httparse::Error::Token && std::str::from_utf8(&bytes).is_err()
                ),
            }
        }
    }
}
