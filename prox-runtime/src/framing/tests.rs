mod properties;
mod reference;

use super::{
    Asked, Kind, Leniency, MAX_TARGET, POISON, Requests, Responses, Violation,
    cases::{Case, LOOSE, REQUESTS, RESPONSES},
};

/// Either direction.
enum Either {
    Requests(Requests),
    Responses(Responses),
}

impl Either {
    fn of(case: &Case) -> Self {
        if REQUESTS.iter().any(|request| request.bytes == case.bytes) {
            Self::Requests(Requests::new(usize::MAX))
        } else {
            Self::responses(asked(case))
        }
    }

    fn responses(asked: Asked) -> Self {
        let mut responses = Responses::default();
        responses.expect(asked);
        Self::Responses(responses)
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        match self {
            Self::Requests(requests) => requests.feed(bytes),
            Self::Responses(responses) => responses.feed(bytes),
        }
    }

    fn is_between(&self) -> bool {
        match self {
            Self::Requests(requests) => requests.is_between(),
            Self::Responses(responses) => responses.is_reusable(),
        }
    }

    /// What is found in pieces of a whole; `good` counts from the begin of all.
    fn feed_all<'b>(
        &mut self,
        pieces: impl IntoIterator<Item = &'b [u8]>,
    ) -> Result<(), Violation> {
        let mut before = 0;
        for piece in pieces {
            self.feed(piece).map_err(|violation| Violation {
                good: before + violation.good,
                ..violation
            })?;
            before += piece.len();
        }
        Ok(())
    }
}

fn asked(case: &Case) -> Asked {
    match case.asked {
        "HEAD" => Asked::Head,
        _ => Asked::Other,
    }
}

fn all() -> impl Iterator<Item = &'static Case> {
    REQUESTS.iter().chain(RESPONSES)
}

/// The bytes in pieces that end at these places.
fn pieces<'b>(bytes: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect()
}

#[test]
fn every_case_has_its_verdict() {
    let mut wrong = Vec::new();
    for case in all() {
        let found = Either::of(case).feed(case.bytes);
        let kind = found.err().map(|violation| format!("{:?}", violation.kind));
        if kind.as_deref() != case.verdict.err() {
            wrong.push(format!("{}: {found:?}, not {:?}", case.about, case.verdict));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn messages_end_where_they_end() {
    let mut wrong = Vec::new();
    for case in all() {
        let Ok(expected) = case.verdict else { continue };
        let mut either = Either::of(case);
        let mut ends = 0;
        for byte in case.bytes {
            let before = either.is_between();
            either.feed(&[*byte]).unwrap();
            ends += usize::from(!before && either.is_between());
        }
        // Such a response is not trusted with another, although it was whole.
        let doubtful = case.about.contains("a length beside a coding");
        if !doubtful && ends != expected {
            wrong.push(format!("{}: {ends}", case.about));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn cases_are_told_apart_by_their_names_and_bytes() {
    for table in [REQUESTS, RESPONSES] {
        for (index, case) in table.iter().enumerate() {
            for other in &table[..index] {
                assert_ne!(case.about, other.about);
                let twice = case.bytes == other.bytes && case.asked == other.asked;
                assert!(!twice, "{} is {}", case.about, other.about);
            }
        }
    }
}

#[test]
fn every_case_has_the_same_verdict_in_two_pieces_and_byte_by_byte() {
    for case in all() {
        let whole = Either::of(case).feed(case.bytes);
        for cut in 0..=case.bytes.len() {
            let found = Either::of(case).feed_all(pieces(case.bytes, &[cut]));
            assert_eq!(found, whole, "{}, cut at {cut}", case.about);
        }
        let found = Either::of(case).feed_all(case.bytes.chunks(1));
        assert_eq!(found, whole, "{}, byte by byte", case.about);
    }
}

#[test]
fn a_target_for_which_there_is_no_room_ends_at_the_same_byte_however_it_arrives() {
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000));
    // A head of this size has room for a longer target than any that is served.
    for max_head in [0, 8 * 1024, 16 * 1024] {
        let mut whole = Requests::new(max_head);
        let violation = whole.feed(long.as_bytes()).unwrap_err();
        assert_eq!(violation.kind, Kind::LongTarget);
        let target = violation.good - "GET ".len();
        assert!(target > MAX_TARGET && target <= max_head.max(MAX_TARGET + 1));
        for size in [1, 7, 1_000] {
            let mut parts = Either::Requests(Requests::new(max_head));
            let found = parts.feed_all(long.as_bytes().chunks(size));
            assert_eq!(found, Err(violation), "{max_head} in pieces of {size}");
        }
    }
}

#[test]
fn a_violation_stays() {
    for case in all() {
        let mut either = Either::of(case);
        if let Err(first) = either.feed(case.bytes) {
            let again = either
                .feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .unwrap_err();
            assert_eq!(again, Violation { good: 0, ..first }, "{}", case.about);
        }
    }
}

#[test]
fn poison_behind_the_good_part_of_a_head_makes_the_parser_refuse_it() {
    for case in all() {
        let Err(violation) = Either::of(case).feed(case.bytes) else {
            continue;
        };
        if violation.in_body || violation.kind == Kind::Unsolicited {
            continue;
        }
        let mut bytes = case.bytes[..violation.good].to_vec();
        bytes.extend(POISON);
        let mut fields = [httparse::EMPTY_HEADER; 32];
        // A head that was whole went before it.
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let last = if head == bytes.len() {
            &bytes[..]
        } else {
            continue;
        };
        let refused = if RESPONSES
            .iter()
            .any(|response| response.bytes == case.bytes)
        {
            httparse::Response::new(&mut fields).parse(last).is_err()
        } else {
            httparse::Request::new(&mut fields).parse(last).is_err()
        };
        assert!(refused, "{}", case.about);
    }
}

#[test]
fn extensions_and_trailers_have_a_limit() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let few = ";a=bcdef".repeat(1000);
    let many = ";a=bcdef".repeat(1025);
    let spread = "1;abcdefg\r\n.\r\n".repeat(1025);
    let lines = |count| "Abcdefgh: i\r\n".repeat(count);
    for (body, expected) in [
        (format!("1{few}\r\n.\r\n0\r\n\r\n"), None),
        (format!("1{many}\r\n.\r\n0\r\n\r\n"), Some(Kind::TooLong)),
        (format!("{spread}0\r\n\r\n"), Some(Kind::TooLong)),
        (format!("0\r\n{}\r\n", lines(1000)), None),
        (format!("0\r\n{}\r\n", lines(1300)), Some(Kind::TooLong)),
    ] {
        let bytes = [head, &body].concat();
        let whole = Either::Requests(Requests::new(usize::MAX)).feed(bytes.as_bytes());
        assert_eq!(whole.err().map(|violation| violation.kind), expected);
        let found =
            Either::Requests(Requests::new(usize::MAX)).feed_all(bytes.as_bytes().chunks(7));
        assert_eq!(found, whole);
    }
}

#[test]
fn nothing_may_come_unasked() {
    let mut responses = Responses::default();
    let found = responses
        .feed(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        .unwrap_err();
    assert_eq!((found.kind, found.good), (Kind::Unsolicited, 0));
    // What was there before the request is no answer to it.
    responses.expect(Asked::Other);
    assert!(responses.feed(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    assert!(!responses.is_reusable());
}

#[test]
fn responses_follow_their_requests() {
    let mut responses = Responses::default();
    for _ in 0..3 {
        assert!(responses.is_reusable());
        responses.expect(Asked::Other);
        assert!(!responses.is_reusable());
        responses
            .feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")
            .unwrap();
        assert!(!responses.is_reusable());
        responses.feed(b"i").unwrap();
    }
    responses.expect(Asked::Head);
    responses
        .feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        .unwrap();
    assert!(responses.is_reusable());
}

#[test]
fn a_connection_with_a_length_beside_a_coding_is_not_used_again() {
    let mut responses = Responses::default();
    responses.expect(Asked::Other);
    let both =
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    responses.feed(both).unwrap();
    assert!(!responses.is_reusable());
    responses.expect(Asked::Other);
    responses
        .feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    assert!(!responses.is_reusable());
}

#[test]
fn a_tunnel_carries_anything_once_both_sides_agreed() {
    let binary = b"\x82\x7e\0\n\r\r HTTP";
    for (asked, head) in [
        (
            Asked::Upgrade,
            &b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"[..],
        ),
        (
            Asked::Upgrade,
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n",
        ),
        (
            Asked::Connect,
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
        ),
    ] {
        let mut responses = Responses::default();
        responses.expect(asked);
        responses.feed(head).unwrap();
        responses.feed(binary).unwrap();
        assert!(!responses.is_reusable());
    }
    let mut refused = Responses::default();
    refused.expect(Asked::Upgrade);
    refused
        .feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    assert!(refused.feed(binary).is_err());

    let upgrade = b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut requests = Requests::new(usize::MAX);
    requests.feed(upgrade).unwrap();
    requests.tunnel();
    requests.feed(binary).unwrap();

    let mut early = Requests::new(usize::MAX);
    early.feed(upgrade).unwrap();
    early.feed(binary).unwrap_err();
    early.tunnel();
    assert!(early.feed(binary).is_err());
}

/// Not a test: prints what a head costs. `cargo test --release -p prox-runtime framing -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn what_a_head_costs() {
    const ROUNDS: u32 = 1_000_000;
    let request = b"GET /api/v1/users/4711?fields=name HTTP/1.1\r\nHost: shop.example.com\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
        Accept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\n\
        Cookie: session=0123456789abcdef0123456789abcdef\r\nConnection: keep-alive\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 24 Nov 2026 15:00:00 GMT\r\n\
        Content-Type: application/json\r\nContent-Length: 64\r\nConnection: keep-alive\r\n\
        Cache-Control: no-store\r\nETag: \"0123456789abcdef\"\r\n\r\n\
        0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let began = tokio::time::Instant::now();
    let mut requests = Requests::new(usize::MAX);
    for _ in 0..ROUNDS {
        requests.feed(std::hint::black_box(request)).unwrap();
    }
    let took = began.elapsed() / ROUNDS;
    println!("a request of {} bytes: {took:?}", request.len());
    let began = tokio::time::Instant::now();
    let mut responses = Responses::default();
    for _ in 0..ROUNDS {
        responses.expect(Asked::Other);
        responses.feed(std::hint::black_box(response)).unwrap();
    }
    let took = began.elapsed() / ROUNDS;
    println!("a response of {} bytes: {took:?}", response.len());
    let began = tokio::time::Instant::now();
    let mut requests = Requests::new(usize::MAX);
    for _ in 0..ROUNDS {
        for piece in request.chunks(100) {
            requests.feed(std::hint::black_box(piece)).unwrap();
        }
    }
    let took = began.elapsed() / ROUNDS;
    println!("the request in pieces of 100: {took:?}");
}

const ALL: Leniency = Leniency {
    equal_lengths: true,
    folded_fields: true,
    bare_line_feeds: true,
};

fn lenient(option: &str) -> Leniency {
    Leniency {
        equal_lengths: option == "allow_equal_lengths",
        folded_fields: option == "allow_folded_fields",
        bare_line_feeds: option == "allow_bare_line_feeds",
    }
}

/// What becomes of the bytes, in pieces of this size.
fn loose(bytes: &[u8], lenient: Leniency, size: usize) -> Result<bool, String> {
    let mut responses = Responses::lenient(lenient);
    responses.expect(Asked::Other);
    for piece in bytes.chunks(size) {
        responses
            .feed(piece)
            .map_err(|violation| format!("{:?}", violation.kind))?;
    }
    Ok(responses.is_reusable())
}

#[test]
fn each_option_lets_its_own_violations_pass_and_nothing_that_has_two_meanings() {
    for case in LOOSE {
        for size in [case.bytes.len(), 1, 2, 3, 7] {
            let about = format!("{} in pieces of {size}", case.about);
            let strict = loose(case.bytes, Leniency::default(), size);
            assert_eq!(strict, Err(case.strict.to_owned()), "{about}");
            let wanted = match case.allowed {
                None => Ok(true),
                Some(violation) => Err(violation.to_owned()),
            };
            assert_eq!(
                loose(case.bytes, lenient(case.option), size),
                wanted,
                "{about}"
            );
            // The other options do not let it pass.
            for other in [
                "allow_equal_lengths",
                "allow_folded_fields",
                "allow_bare_line_feeds",
            ] {
                if other != case.option {
                    let found = loose(case.bytes, lenient(other), size);
                    assert!(found.is_err(), "{about}, with {other}");
                }
            }
        }
    }
}

#[test]
fn a_length_beside_a_coding_stays_doubtful_with_every_option() {
    let bytes = b"HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 2\nTransfer-Encoding: chunked\n\n0\r\n\r\n";
    assert_eq!(
        loose(bytes, ALL, 5),
        Ok(false),
        "the connection is not used again"
    );
}

#[test]
fn options_do_not_change_the_verdict_of_anything_else() {
    for case in RESPONSES.iter().filter(|case| case.asked == "GET") {
        let strict = loose(case.bytes, Leniency::default(), case.bytes.len());
        let found = loose(case.bytes, ALL, case.bytes.len());
        match &strict {
            Err(kind) if ["Lengths", "Folding", "BareLineFeed"].contains(&kind.as_str()) => {}
            _ => assert_eq!(found, strict, "{}", case.about),
        }
    }
}
