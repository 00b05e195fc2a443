//! What may come on a connection, byte for byte, and what is to be made of it.
//!
//! The same tables are held against this module alone, and against a gateway over sockets. Most of the cases come from
//! research into request smuggling; `/smuggled` is the target of a request that must never be one.

/// One case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) about: &'static str,
    pub(crate) bytes: &'static [u8],
    /// How many whole messages it is, or the name of the violation in it.
    pub(crate) verdict: Result<usize, &'static str>,
    /// The method of the request that a response answers.
    pub(crate) asked: &'static str,
}

const fn good(about: &'static str, messages: usize, bytes: &'static [u8]) -> Case {
    case(about, bytes, Ok(messages))
}

const fn bad(about: &'static str, violation: &'static str, bytes: &'static [u8]) -> Case {
    case(about, bytes, Err(violation))
}

const fn case(
    about: &'static str,
    bytes: &'static [u8],
    verdict: Result<usize, &'static str>,
) -> Case {
    Case {
        about,
        bytes,
        verdict,
        asked: "GET",
    }
}

impl Case {
    /// As the response to this method.
    const fn to(mut self, asked: &'static str) -> Self {
        self.asked = asked;
        self
    }
}

macro_rules! get {
    ($rest:literal) => {
        concat!("GET / HTTP/1.1\r\nHost: a\r\n", $rest).as_bytes()
    };
}

macro_rules! post {
    ($rest:literal) => {
        concat!("POST / HTTP/1.1\r\nHost: a\r\n", $rest).as_bytes()
    };
}

/// A chunked request, from its first chunk on.
macro_rules! chunks {
    ($rest:literal) => {
        concat!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            $rest
        )
        .as_bytes()
    };
}

macro_rules! ok {
    ($rest:literal) => {
        concat!("HTTP/1.1 200 OK\r\n", $rest).as_bytes()
    };
}

/// A chunked response, from its first chunk on.
macro_rules! answer {
    ($rest:literal) => {
        concat!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            $rest
        )
        .as_bytes()
    };
}

/// What clients may send.
#[rustfmt::skip]
pub(crate) const REQUESTS: &[Case] = &[
    // Request lines, and what stands before them.
    good("a request", 1, get!("\r\n")),
    good("HTTP/1.0", 1, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
    good("two requests at once", 2, get!("\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")),
    good("one empty line first", 1, b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    good("an empty line behind a body", 2, post!("Content-Length: 2\r\n\r\nhi\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")),
    good("a method of one's own", 1, b"M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("two empty lines first", "StartLine", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("an empty line that is a line feed", "BareLineFeed", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a carriage return first", "BareCarriageReturn", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a space first", "StartLine", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a NUL first", "ControlByte", b"\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("HTTP/0.9", "Version", b"GET /\r\n\r\n"),
    bad("HTTP/0.9 with a space", "Version", b"GET / \r\n\r\n"),
    bad("a method alone", "StartLine", b"GET\r\n\r\n"),
    bad("a target that is empty", "StartLine", b"GET  HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("two spaces behind the method", "StartLine", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("two spaces behind the target", "StartLine", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a tab behind the method", "StartLine", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a tab behind the target", "StartLine", b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a tab behind a space", "StartLine", b"GET / \tHTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a vertical tab behind the method", "ControlByte", b"GET\x0b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a form feed behind the target", "ControlByte", b"GET /\x0cHTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a space in the target", "Version", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a fragment", "Fragment", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a target that is a fragment", "Fragment", b"GET #b HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a fragment behind a query", "Fragment", b"GET /?a=b#/../c HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a NUL in the target", "ControlByte", b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a delete in the target", "ControlByte", b"GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a method that is no token", "StartLine", b"G{T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("a method beyond ASCII", "StartLine", b"G\xcbT / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("HTTP/1.2", "Version", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    bad("HTTP/1.10", "Version", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    bad("HTTP/2.0", "Version", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    bad("HTTP/01.1", "Version", b"GET / HTTP/01.1\r\nHost: a\r\n\r\n"),
    bad("HTTP/1,1", "Version", b"GET / HTTP/1,1\r\nHost: a\r\n\r\n"),
    bad("http/1.1", "Version", b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    bad("HTTPS/1.1", "Version", b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n"),
    bad("a space behind the version", "StartLine", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    bad("the handshake of TLS", "ControlByte", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),

    // Ends of lines.
    bad("a line feed behind the version", "BareLineFeed", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    bad("a line feed behind a field", "BareLineFeed", get!("A: b\nC: d\r\n\r\n")),
    bad("a line feed that hides a coding", "BareLineFeed", post!("A: b\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello")),
    bad("a line feed for the last line", "BareLineFeed", get!("A: b\r\n\n")),
    bad("line feeds alone", "BareLineFeed", b"GET / HTTP/1.1\nHost: a\n\n"),
    bad("a carriage return in a value", "BareCarriageReturn", get!("A: b\rc\r\n\r\n")),
    bad("two carriage returns at the end of a line", "BareCarriageReturn", get!("A: b\r\r\n\r\n")),
    bad("carriage returns alone", "BareCarriageReturn", b"GET / HTTP/1.1\rHost: a\r\r"),
    bad("a carriage return that hides a coding", "BareCarriageReturn", post!("A: b\rTransfer-Encoding: chunked\r\n\r\n")),
    bad("a carriage return for the last line", "BareCarriageReturn", get!("A: b\r\n\rX")),
    bad("a line feed before the carriage return", "BareLineFeed", get!("A: b\n\r\n\r\n")),

    // Field lines.
    good("values of any kind", 1, b"GET / HTTP/1.1\r\nHost: a\r\nA:b\r\nC:\t d\te \t\r\nE:\r\nF: \x80\xff\r\nG: :,;\r\n\r\n"),
    good("an empty list of fields in HTTP/1.0", 1, b"GET / HTTP/1.0\r\n\r\n"),
    bad("a folded field", "Folding", get!("A: b\r\n c\r\n\r\n")),
    bad("a field folded by a tab", "Folding", get!("A: b\r\n\tc\r\n\r\n")),
    bad("a folded coding", "Coding", post!("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n")),
    bad("a folded list of codings", "Folding", post!("Transfer-Encoding: chunked\r\n , identity\r\n\r\n0\r\n\r\n")),
    bad("a folded length", "Folding", post!("Content-Length: 5\r\n 0\r\n\r\nhello")),
    bad("a first field that begins with a space", "Folding", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    bad("a line of white space", "Folding", get!(" \r\n\r\n")),
    bad("a name that is empty", "FieldName", get!(": b\r\n\r\n")),
    bad("a name without a colon", "FieldName", get!("A\r\n\r\n")),
    bad("a space before the colon", "FieldName", get!("A : b\r\n\r\n")),
    bad("a tab before the colon", "FieldName", get!("A\t: b\r\n\r\n")),
    bad("a space in a name", "FieldName", get!("A b: c\r\n\r\n")),
    bad("a space before the colon of a length", "FieldName", post!("Content-Length : 5\r\n\r\nhello")),
    bad("a space before the colon of a coding", "FieldName", post!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n")),
    bad("a tab before the colon of a coding", "FieldName", post!("Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n")),
    bad("a vertical tab before the colon", "ControlByte", post!("Transfer-Encoding\x0b: chunked\r\n\r\n0\r\n\r\n")),
    bad("a NUL in a name", "ControlByte", post!("Transfer\0-Encoding: chunked\r\n\r\n0\r\n\r\n")),
    bad("a NUL at the begin of a name", "ControlByte", get!("\0A: b\r\n\r\n")),
    bad("a name that is no token", "FieldName", get!("A(b): c\r\n\r\n")),
    bad("a quoted name", "FieldName", post!("\"Content-Length\": 5\r\n\r\nhello")),
    bad("a name beyond ASCII", "FieldName", b"GET / HTTP/1.1\r\nHost: a\r\n\xe4: b\r\n\r\n"),
    bad("a long s in the name of a coding", "FieldName", post!("Tran\u{17f}fer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
    bad("a NUL in a value", "ControlByte", get!("A: b\0c\r\n\r\n")),
    bad("an escape in a value", "ControlByte", get!("A: b\x1bc\r\n\r\n")),
    bad("a delete in a value", "ControlByte", get!("A: b\x7fc\r\n\r\n")),
    bad("a vertical tab in a value", "ControlByte", get!("A:\x0bb\r\n\r\n")),

    // Lengths.
    good("a body with a length", 1, post!("Content-Length: 5\r\n\r\nhello")),
    good("a length of zero", 2, post!("Content-Length: 0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")),
    good("a length with zeros in front", 1, post!("Content-Length: 0005\r\n\r\nhello")),
    good("a length in other letters and white space", 1, post!("cOnTeNt-lEnGtH:\t 5 \t\r\n\r\nhello")),
    good("a GET with a body that looks like a request", 1, get!("Content-Length: 38\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: abcd\r\n\r\n")),
    good("a name that only begins like a length", 1, get!("Content-Lengths: 5\r\n\r\n")),
    bad("a body that is longer than its length", "StartLine", post!("Content-Length: 2\r\n\r\nhi{}")),
    bad("a length that is empty", "Length", post!("Content-Length:\r\n\r\nhello")),
    bad("a length with a plus", "Length", post!("Content-Length: +5\r\n\r\nhello")),
    bad("a negative length", "Length", post!("Content-Length: -5\r\n\r\nhello")),
    bad("a hexadecimal length", "Length", post!("Content-Length: 0x5\r\n\r\nhello")),
    bad("a length with an exponent", "Length", post!("Content-Length: 5e0\r\n\r\nhello")),
    bad("a length with a fraction", "Length", post!("Content-Length: 5.0\r\n\r\nhello")),
    bad("a length with an underscore", "Length", post!("Content-Length: 1_0\r\n\r\nhello")),
    bad("a length with a space in it", "Length", post!("Content-Length: 1 0\r\n\r\nhello")),
    bad("a quoted length", "Length", post!("Content-Length: \"5\"\r\n\r\nhello")),
    bad("a length with a semicolon", "Length", post!("Content-Length: 5;\r\n\r\nhello")),
    bad("a length in other digits", "Length", post!("Content-Length: \u{665}\r\n\r\nhello")),
    bad("a length behind the white space of Unicode", "Length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \x855\r\n\r\nhello"),
    bad("a length behind a form feed", "ControlByte", post!("Content-Length:\x0c5\r\n\r\nhello")),
    bad("a length with a NUL", "ControlByte", post!("Content-Length: 5\0\r\n\r\nhello")),
    bad("a length over 64 bits", "Length", post!("Content-Length: 18446744073709551621\r\n\r\nhello")),
    bad("a length over 63 bits", "Length", post!("Content-Length: 9223372036854775808\r\n\r\nhello")),
    bad("a length with more zeros than anyone writes", "Length", post!("Content-Length: 000000000000000000000000000000005\r\n\r\nhello")),
    bad("a list of equal lengths", "Length", post!("Content-Length: 5, 5\r\n\r\nhello")),
    bad("a list of different lengths", "Length", post!("Content-Length: 5,6\r\n\r\nhello")),
    bad("a list with an empty place", "Length", post!("Content-Length: 5,\r\n\r\nhello")),
    bad("two equal lengths", "Lengths", post!("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello")),
    bad("two different lengths", "Lengths", post!("Content-Length: 0\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")),
    bad("a length and one that is empty", "Length", post!("Content-Length: 5\r\nContent-Length:\r\n\r\nhello")),

    // Codings.
    good("a chunked body", 1, chunks!("5\r\nhello\r\n0\r\n\r\n")),
    good("chunked in other letters and white space", 1, post!("tRANSFER-eNCODING:\tChunKED \r\n\r\n0\r\n\r\n")),
    good("a name that only looks like a coding", 2, get!("Transfer_Encoding: chunked\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")),
    bad("a length before a coding", "LengthBesideCoding", post!("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG")),
    bad("a length behind a coding", "LengthBesideCoding", post!("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n25\r\nGET /smuggled HTTP/1.1\r\nHost: abc\r\n\r\n\r\n0\r\n\r\n")),
    bad("a length of zero beside a coding", "LengthBesideCoding", post!("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
    bad("a coding in HTTP/1.0", "CodingInOldVersion", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    bad("a coding that is empty", "Coding", post!("Transfer-Encoding:\r\n\r\n0\r\n\r\n")),
    bad("chunked twice in a list", "Coding", post!("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n")),
    bad("chunked twice", "Coding", post!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
    bad("chunked and another", "Coding", post!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n")),
    bad("another and chunked", "Coding", post!("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
    bad("identity", "Coding", post!("Transfer-Encoding: identity\r\n\r\n0\r\n\r\n")),
    bad("identity beside a length", "Coding", post!("Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello")),
    bad("gzip, chunked", "Coding", post!("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")),
    bad("chunked, gzip", "Coding", post!("Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n")),
    bad("xchunked", "Coding", post!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")),
    bad("chunkedx", "Coding", post!("Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n")),
    bad("x chunked", "Coding", post!("Transfer-Encoding: x chunked\r\n\r\n0\r\n\r\n")),
    bad("chunked with a parameter", "Coding", post!("Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n")),
    bad("chunked with a comma behind", "Coding", post!("Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n")),
    bad("chunked with a comma before", "Coding", post!("Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n")),
    bad("chunked in quotes", "Coding", post!("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n")),
    bad("chunked in single quotes", "Coding", post!("Transfer-Encoding: 'chunked'\r\n\r\n0\r\n\r\n")),
    bad("chunked with a colon", "Coding", post!("Transfer-Encoding: : chunked\r\n\r\n0\r\n\r\n")),
    bad("chunked with a Kelvin sign", "Coding", post!("Transfer-Encoding: chun\u{212a}ed\r\n\r\n0\r\n\r\n")),
    bad("chunked behind a vertical tab", "ControlByte", post!("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n")),
    bad("chunked before a vertical tab", "ControlByte", post!("Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n")),
    bad("chunked before a NUL", "ControlByte", post!("Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n")),
    bad("chunked behind the white space of Unicode", "Coding", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x85chunked\r\n\r\n0\r\n\r\n"),
    bad("chunked before a space that does not break", "Coding", post!("Transfer-Encoding: chunked\u{a0}\r\n\r\n0\r\n\r\n")),
    bad("a coding behind a value that is long", "Coding", post!("Transfer-Encoding: chunkedxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n\r\n0\r\n\r\n")),

    // Chunks.
    good("chunks of all kinds of digits", 1, chunks!("a\r\n0123456789\r\n00A\r\n0123456789\r\n0\r\n\r\n")),
    good("a last chunk of several zeros", 1, chunks!("000\r\n\r\n")),
    good("a chunk that looks like a request", 1, chunks!("26\r\nGET /smuggled HTTP/1.1\r\nHost: abcd\r\n\r\n\r\n0\r\n\r\n")),
    good("chunked requests behind each other", 2, chunks!("2\r\nhi\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")),
    good("extensions", 1, chunks!("5;a;b=c;d=\"e;\\\"\\r\" ; f = g\r\nhello\r\n0;last\r\n\r\n")),
    good("trailers", 1, chunks!("0\r\nA: b\r\nC: d\r\n\r\n")),
    good("trailers that frame nothing", 2, chunks!("0\r\nContent-Length: 50\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")),
    bad("a chunk size that is empty", "ChunkSize", chunks!("\r\nhello\r\n0\r\n\r\n")),
    bad("a chunk size with a sign", "ChunkSize", chunks!("+5\r\nhello\r\n0\r\n\r\n")),
    bad("a negative chunk size", "ChunkSize", chunks!("-5\r\nhello\r\n0\r\n\r\n")),
    bad("a chunk size with a prefix", "ChunkSize", chunks!("0x5\r\nhello\r\n0\r\n\r\n")),
    bad("a chunk size with an underscore", "ChunkSize", chunks!("1_0\r\nhello\r\n0\r\n\r\n")),
    bad("a chunk size with a letter behind f", "ChunkSize", chunks!("5g\r\nhello\r\n0\r\n\r\n")),
    bad("a chunk size behind a space", "ChunkSize", chunks!(" 5\r\nhello\r\n0\r\n\r\n")),
    bad("a chunk size before a space", "ChunkSize", chunks!("5 \r\nhello\r\n0\r\n\r\n")),
    bad("a chunk size with a space in it", "ChunkSize", chunks!("5 5\r\nhello\r\n0\r\n\r\n")),
    bad("a chunk size before a vertical tab", "ChunkSize", chunks!("5\x0b\r\nhello\r\n0\r\n\r\n")),
    bad("a chunk size over 64 bits", "ChunkSize", chunks!("10000000000000005\r\nhello\r\n0\r\n\r\n")),
    bad("a chunk size over 63 bits", "ChunkSize", chunks!("ffffffffffffffff\r\nhello\r\n0\r\n\r\n")),
    bad("a chunk size of more digits than there are", "ChunkSize", chunks!("00000000000000005\r\nhello\r\n0\r\n\r\n")),
    bad("a chunk size before a line feed", "BareLineFeed", chunks!("5\nhello\r\n0\r\n\r\n")),
    bad("a chunk size before a carriage return", "BareCarriageReturn", chunks!("5\rhello\r\n0\r\n\r\n")),
    bad("an extension without a name", "ChunkExtension", chunks!("5;\r\nhello\r\n0\r\n\r\n")),
    bad("an extension without a value", "ChunkExtension", chunks!("5;a=\r\nhello\r\n0\r\n\r\n")),
    bad("an extension that is open", "ChunkExtension", chunks!("5;a=\"b\r\nhello\r\n0\r\n\r\n")),
    bad("an extension that is no token", "ChunkExtension", chunks!("5;a=b{\r\nhello\r\n0\r\n\r\n")),
    bad("an extension with a line feed", "BareLineFeed", chunks!("5;a\nhello\r\n0\r\n\r\n")),
    bad("an extension with a line feed in quotes", "BareLineFeed", chunks!("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n")),
    bad("an extension with a carriage return", "BareCarriageReturn", chunks!("5;a\rb\r\nhello\r\n0\r\n\r\n")),
    bad("an extension with a NUL", "ControlByte", chunks!("5;a=\"\0\"\r\nhello\r\n0\r\n\r\n")),
    bad("data that is longer than its size", "ChunkEnd", chunks!("2\r\nhello\r\n0\r\n\r\n")),
    bad("data that is shorter than its size", "ChunkEnd", chunks!("6\r\nhello\r\n0\r\n\r\n")),
    bad("data that ends with a line feed", "ChunkEnd", chunks!("5\r\nhello\n0\r\n\r\n")),
    bad("data that ends with a carriage return", "ChunkEnd", chunks!("5\r\nhello\r0\r\n\r\n")),
    bad("data that ends with two other bytes", "ChunkEnd", chunks!("5\r\nhelloXX0\r\n\r\n")),
    bad("a last line that is a line feed", "BareLineFeed", chunks!("0\r\n\n")),
    bad("a last line that is a carriage return", "BareCarriageReturn", chunks!("0\r\n\rX")),
    bad("a last chunk before a line feed", "BareLineFeed", chunks!("0\n\r\n")),
    bad("a trailer with a line feed", "BareLineFeed", chunks!("0\r\nA: b\nC: d\r\n\r\n")),
    bad("a trailer with a NUL", "ControlByte", chunks!("0\r\nA: b\0\r\n\r\n")),
    bad("a folded trailer", "Folding", chunks!("0\r\nA: b\r\n c\r\n\r\n")),
    bad("a trailer with a space before the colon", "FieldName", chunks!("0\r\nA : b\r\n\r\n")),
    bad("a trailer that is a request", "FieldName", chunks!("0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")),
];

/// What upstreams may send.
#[rustfmt::skip]
pub(crate) const RESPONSES: &[Case] = &[
    // Status lines, and what stands before them.
    good("a response", 1, ok!("Content-Length: 2\r\n\r\nhi")),
    good("a status without a reason", 1, b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi"),
    good("a status without a space behind it", 1, b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi"),
    good("a reason of any text", 1, b"HTTP/1.1 200 \tO K\xff\r\nContent-Length: 2\r\n\r\nhi"),
    good("HTTP/1.0", 1, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    good("a response that ends with its connection", 0, ok!("\r\nGET /smuggled\0")),
    good("interim responses", 1, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("an empty line first", "Version", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("a line feed first", "BareLineFeed", b"\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("a space first", "StartLine", b" HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("HTTP/0.9", "Version", b"hello"),
    bad("HTTP/1.2", "Version", b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("HTTP/2", "Version", b"HTTP/2 200\r\nContent-Length: 2\r\n\r\nhi"),
    bad("http/1.1", "Version", b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("ICY", "Version", b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("two spaces before the status", "StartLine", b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("a tab before the status", "StartLine", b"HTTP/1.1\t200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("a status of two digits", "StartLine", b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("a status of four digits", "StartLine", b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("a status below 100", "StartLine", b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("a negative status", "StartLine", b"HTTP/1.1 -20 OK\r\nContent-Length: 2\r\n\r\nhi"),
    bad("no status", "StartLine", b"HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"),
    bad("a NUL in the reason", "ControlByte", b"HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nhi"),
    bad("a line feed behind the reason", "BareLineFeed", b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nhi"),
    bad("a carriage return in the reason", "BareCarriageReturn", b"HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nhi"),

    // Responses without a body, and what comes unasked.
    good("a response to HEAD", 1, ok!("Content-Length: 2\r\n\r\n")).to("HEAD"),
    good("a chunked response to HEAD", 1, ok!("Transfer-Encoding: chunked\r\n\r\n")).to("HEAD"),
    good("204", 1, b"HTTP/1.1 204 No Content\r\n\r\n"),
    good("304 with the length of what it is not", 1, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    good("an empty body", 1, ok!("Content-Length: 0\r\n\r\n")),
    bad("a response to HEAD that has a body", "Unsolicited", ok!("Content-Length: 2\r\n\r\nhi")).to("HEAD"),
    bad("204 with a body", "Unsolicited", b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi"),
    bad("304 with a body", "Unsolicited", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nhi"),
    bad("a body that is longer than its length", "Unsolicited", ok!("Content-Length: 2\r\n\r\nhim")),
    bad("an empty line behind a body", "Unsolicited", ok!("Content-Length: 2\r\n\r\nhi\r\n")),
    bad("a response behind a response", "Unsolicited", ok!("Content-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")),
    bad("a response behind a chunked response", "Unsolicited", answer!("0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")),
    bad("an interim response behind a response", "Unsolicited", ok!("Content-Length: 2\r\n\r\nhiHTTP/1.1 100 Continue\r\n\r\n")),
    bad("a switch that nobody asked for", "Switch", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\n\r\n"),
    bad("a switch without a reason", "Switch", b"HTTP/1.1 101\r\nUpgrade: a\r\n\r\n"),

    // Field lines.
    good("values of any kind", 1, ok!("Content-Length:\t0 \r\nA:b\r\nC:\t d\te \t\r\nE:\r\n\r\n")),
    bad("a folded field", "Folding", ok!("A: b\r\n c\r\nContent-Length: 2\r\n\r\nhi")),
    bad("a first field that begins with a space", "Folding", ok!(" A: b\r\nContent-Length: 2\r\n\r\nhi")),
    bad("a space before the colon", "FieldName", ok!("A : b\r\nContent-Length: 2\r\n\r\nhi")),
    bad("a space before the colon of a length", "FieldName", ok!("Content-Length : 2\r\n\r\nhi")),
    bad("a name that is empty", "FieldName", ok!(": b\r\nContent-Length: 2\r\n\r\nhi")),
    bad("a name without a colon", "FieldName", ok!("A\r\nContent-Length: 2\r\n\r\nhi")),
    bad("a NUL in a value", "ControlByte", ok!("A: b\0\r\nContent-Length: 2\r\n\r\nhi")),
    bad("a line feed behind a field", "BareLineFeed", ok!("A: b\nContent-Length: 2\r\n\r\nhi")),
    bad("a line feed for the last line", "BareLineFeed", ok!("Content-Length: 2\r\n\nhi")),
    bad("a carriage return in a value", "BareCarriageReturn", ok!("A: b\rX-Evil: c\r\nContent-Length: 2\r\n\r\nhi")),

    // Lengths and codings.
    good("a chunked response", 1, answer!("2\r\nhi\r\n0\r\nA: b\r\n\r\n")),
    good("a chunk size padded as old servers do", 1, answer!("2  \r\nhi\r\n0 \r\n\r\n")),
    good("a length beside a coding, which goes before it", 1, ok!("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")),
    bad("a length that is none", "Length", ok!("Content-Length: two\r\n\r\nhi")),
    bad("a negative length", "Length", ok!("Content-Length: -2\r\n\r\nhi")),
    bad("a list of lengths", "Length", ok!("Content-Length: 2, 2\r\n\r\nhi")),
    bad("a length over 64 bits", "Length", ok!("Content-Length: 18446744073709551618\r\n\r\nhi")),
    bad("two equal lengths", "Lengths", ok!("Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi")),
    bad("two different lengths", "Lengths", ok!("Content-Length: 2\r\nContent-Length: 1\r\n\r\nhi")),
    bad("a coding that nobody undoes", "Coding", ok!("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")),
    bad("identity", "Coding", ok!("Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi")),
    bad("chunked twice", "Coding", ok!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
    bad("xchunked", "Coding", ok!("Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\nhi")),
    bad("a coding in HTTP/1.0", "CodingInOldVersion", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),

    // Chunks.
    bad("a chunk size that is none", "ChunkSize", answer!("x\r\nhi\r\n0\r\n\r\n")),
    bad("a chunk size over 64 bits", "ChunkSize", answer!("10000000000000002\r\nhi\r\n0\r\n\r\n")),
    bad("a chunk size with a space in it", "ChunkSize", answer!("2 2\r\nhi\r\n0\r\n\r\n")),
    bad("a chunk size before a line feed", "BareLineFeed", answer!("2\nhi\r\n0\r\n\r\n")),
    bad("data that is longer than its size", "ChunkEnd", answer!("2\r\nhim\r\n0\r\n\r\n")),
    bad("an extension with a line feed", "BareLineFeed", answer!("2;a\nhi\r\n0\r\n\r\n")),
    bad("a trailer with a NUL", "ControlByte", answer!("2\r\nhi\r\n0\r\nA: b\0\r\n\r\n")),
    bad("a trailer with a line feed", "BareLineFeed", answer!("2\r\nhi\r\n0\r\nA: b\nC: d\r\n\r\n")),
];

/// A response that breaks the rules, with what comes of it where each of the options lets it pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loose {
    pub(crate) about: &'static str,
    pub(crate) bytes: &'static [u8],
    /// The violation without any option.
    pub(crate) strict: &'static str,
    /// The option that is for it: `allow_equal_lengths`, `allow_folded_fields` or `allow_bare_line_feeds`.
    pub(crate) option: &'static str,
    /// The violation with the option; none if it passes.
    pub(crate) allowed: Option<&'static str>,
}

const fn passes(
    about: &'static str,
    option: &'static str,
    strict: &'static str,
    bytes: &'static [u8],
) -> Loose {
    Loose {
        about,
        bytes,
        strict,
        option,
        allowed: None,
    }
}

/// One that does not pass with the option either.
const fn never(
    about: &'static str,
    option: &'static str,
    strict: &'static str,
    allowed: &'static str,
    bytes: &'static [u8],
) -> Loose {
    Loose {
        allowed: Some(allowed),
        ..passes(about, option, strict, bytes)
    }
}

const EQUAL: &str = "allow_equal_lengths";
const FOLDED: &str = "allow_folded_fields";
const FEEDS: &str = "allow_bare_line_feeds";

/// What upstreams may send where the user lets them. The body of what passes is `hi`.
#[rustfmt::skip]
pub(crate) const LOOSE: &[Loose] = &[
    passes("two equal lengths", EQUAL, "Lengths", ok!("Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi")),
    passes("three equal lengths in other letters", EQUAL, "Lengths", ok!("content-length: 2\r\nA: b\r\nCONTENT-LENGTH:2\r\nContent-Length: 02\r\n\r\nhi")),
    never("two different lengths", EQUAL, "Lengths", "Lengths", ok!("Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi")),
    never("a third length that differs", EQUAL, "Lengths", "Lengths", ok!("Content-Length: 2\r\nContent-Length: 2\r\nContent-Length: 0\r\n\r\nhi")),
    never("a list of equal lengths", EQUAL, "Length", "Length", ok!("Content-Length: 2, 2\r\n\r\nhi")),
    never("a length and none", EQUAL, "Length", "Length", ok!("Content-Length: 2\r\nContent-Length: \r\n\r\nhi")),
    never("two codings beside equal lengths", EQUAL, "Coding", "Coding", ok!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")),

    passes("a folded field", FOLDED, "Folding", ok!("Folded: b\r\n c\r\nContent-Length: 2\r\n\r\nhi")),
    passes("a field that is folded with a tab, twice", FOLDED, "Folding", ok!("Content-Length: 2\r\nFolded: b\r\n\t c\r\n d\r\n\r\nhi")),
    passes("a field that looks like another in its second line", FOLDED, "Folding", ok!("Folded: b\r\n Content-Length: 9\r\nContent-Length: 2\r\n\r\nhi")),
    never("a first field that begins with a space", FOLDED, "Folding", "Folding", ok!(" Content-Length: 2\r\n\r\nhi")),
    never("a folded length", FOLDED, "Folding", "Folding", ok!("Content-Length: 2\r\n 0\r\n\r\nhi")),
    never("a length behind its name", FOLDED, "Length", "Length", ok!("Content-Length:\r\n 2\r\n\r\nhi")),
    never("a folded coding", FOLDED, "Folding", "Folding", ok!("Transfer-Encoding: chunked\r\n , gzip\r\n\r\n2\r\nhi\r\n0\r\n\r\n")),
    never("a folded trailer", FOLDED, "Folding", "Folding", answer!("2\r\nhi\r\n0\r\nA: b\r\n c\r\n\r\n")),
    never("a control byte in a folded line", FOLDED, "Folding", "ControlByte", ok!("Folded: b\r\n c\0\r\nContent-Length: 2\r\n\r\nhi")),
    never("a name that goes on", FOLDED, "FieldName", "FieldName", ok!("Fol\r\n ded: b\r\nContent-Length: 2\r\n\r\nhi")),

    passes("lines that end with a line feed", FEEDS, "BareLineFeed", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi"),
    passes("some lines that do", FEEDS, "BareLineFeed", b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\nhi"),
    passes("a status line without a reason that does", FEEDS, "BareLineFeed", b"HTTP/1.1 200\nContent-Length: 2\r\n\r\nhi"),
    passes("an interim response that does", FEEDS, "BareLineFeed", b"HTTP/1.1 103 Early Hints\nA: b\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\nhi"),
    passes("a chunked body behind such a head", FEEDS, "BareLineFeed", b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\r\nhi\r\n0\r\n\r\n"),
    never("a carriage return alone", FEEDS, "BareCarriageReturn", "BareCarriageReturn", ok!("A: b\rContent-Length: 2\r\n\r\nhi")),
    never("a carriage return before both", FEEDS, "BareCarriageReturn", "BareCarriageReturn", ok!("A: b\r\r\nContent-Length: 2\r\n\r\nhi")),
    never("a line feed in a name", FEEDS, "BareLineFeed", "BareLineFeed", ok!("A\n: b\r\nContent-Length: 2\r\n\r\nhi")),
    never("a line feed in the version", FEEDS, "BareLineFeed", "BareLineFeed", b"HTTP/1.1\n200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    never("a line feed first", FEEDS, "BareLineFeed", "BareLineFeed", b"\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    never("two lengths in such lines", FEEDS, "BareLineFeed", "Lengths", b"HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 3\n\nhi"),
    never("a switch that nobody asked for", FEEDS, "BareLineFeed", "Switch", b"HTTP/1.1 101 Switching Protocols\nUpgrade: a\n\n"),
    never("a folded field in such lines", FEEDS, "BareLineFeed", "Folding", b"HTTP/1.1 200 OK\nA: b\n c\nContent-Length: 2\n\nhi"),
    never("a chunk whose size ends with a line feed", FEEDS, "BareLineFeed", "BareLineFeed", answer!("2\nhi\r\n0\r\n\r\n")),
];
