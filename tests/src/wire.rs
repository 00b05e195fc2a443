//! HTTP/1.1 as it is on the wire, for both ends of the tests: as much of it as they need, and lenient.

use std::{fmt, io};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::filler::Digest;

/// How much of a body is kept besides its digest.
const KEPT: usize = 64 * 1024;

/// Header fields or trailers, in the order in which they came and with their names as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// The values of the fields of this name, in order, without regard to case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.0.iter();
        fields
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The value of the first field of this name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Whether there is no field of this name.
    pub fn lacks(&self, name: &str) -> bool {
        self.all(name).is_empty()
    }

    /// The names, in lower case, in order.
    pub fn names(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect()
    }

    /// Fields from lines; what has no colon is kept as a name.
    fn parse<'l>(lines: impl Iterator<Item = &'l str>) -> Self {
        Self(
            lines
                .filter(|line| !line.is_empty())
                .map(|line| line.split_once(':').unwrap_or((line, "")))
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect(),
        )
    }
}

/// Each of these with CR LF behind it.
pub fn lines<T: fmt::Display>(lines: impl IntoIterator<Item = T>) -> String {
    let mut out = String::new();
    for line in lines {
        out += &line.to_string();
        out += "\r\n";
    }
    out
}

/// The head of a request or a response.
#[derive(Clone, Default)]
pub struct Head {
    /// The bytes, up to and with the empty line.
    pub raw: Vec<u8>,
    /// The request line or the status line, without its end.
    pub start: String,
    /// The header fields.
    pub fields: Fields,
}

impl Head {
    fn parse(raw: Vec<u8>) -> Self {
        let text = String::from_utf8_lossy(&raw);
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let fields = Fields::parse(lines);
        drop(text);
        Self { raw, start, fields }
    }

    /// The word of the start line at this place.
    pub fn word(&self, place: usize) -> &str {
        self.start.split(' ').nth(place).unwrap_or_default()
    }

    fn is_chunked(&self) -> bool {
        let codings = self.fields.all("transfer-encoding");
        codings
            .iter()
            .any(|coding| coding.to_ascii_lowercase().contains("chunked"))
    }

    fn length(&self) -> Option<u64> {
        self.fields.first("content-length")?.parse().ok()
    }

    /// How the body of this request is framed.
    pub fn request_framing(&self) -> Framing {
        match (self.is_chunked(), self.length()) {
            (true, _) => Framing::Chunked,
            (false, length) => Framing::Length(length.unwrap_or(0)),
        }
    }

    /// How the body of this response to a `method` request is framed.
    pub fn response_framing(&self, method: &str) -> Framing {
        let status = self.word(1);
        if method == "HEAD" || matches!(status, "204" | "304") || status.starts_with('1') {
            return Framing::Length(0);
        }
        match (self.is_chunked(), self.length()) {
            (true, _) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::UntilClose,
        }
    }
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By its length.
    Length(u64),
    /// By the last chunk.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum End {
    /// It is still under way.
    #[default]
    Open,
    /// As its framing promised.
    Complete,
    /// The connection ended or was reset before.
    Cut,
}

/// What is known of a body.
#[derive(Clone, Default)]
pub struct Received {
    /// Length and hash.
    pub digest: Digest,
    /// The first bytes.
    pub start: Vec<u8>,
    /// The lengths of the chunks, when it was chunked.
    pub chunks: usize,
    /// The trailers.
    pub trailers: Fields,
    /// How it ended.
    pub end: End,
}

impl Received {
    fn take(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        let room = KEPT.saturating_sub(self.start.len()).min(bytes.len());
        self.start.extend(bytes.iter().take(room));
    }

    /// The body as text; only the first 64 KiB of it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.start).into_owned()
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.raw))
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.text().chars().take(200).collect();
        write!(
            f,
            "{:?}, {:?}, trailers {:?}: {text}",
            self.end, self.digest, self.trailers.0
        )
    }
}

/// Reads messages from a stream.
#[derive(Debug)]
pub struct Reader<R> {
    stream: R,
    buffer: BytesMut,
    was_reset: bool,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// A reader that has read nothing yet.
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            was_reset: false,
        }
    }

    /// The stream itself, for writing.
    pub fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The stream, to do with as one likes; what was read ahead is lost.
    pub fn into_stream(self) -> R {
        self.stream
    }

    /// Reads more into the buffer; false at the end of the stream, which a reset is as well.
    async fn fill(&mut self) -> bool {
        self.buffer.reserve(64 * 1024);
        let read = self.stream.read_buf(&mut self.buffer).await;
        self.was_reset = read.is_err();
        matches!(read, Ok(1..))
    }

    /// Reads a head; none at the end of the stream.
    pub async fn head(&mut self) -> Option<Head> {
        let end = self.through(b"\r\n\r\n").await?;
        Some(Head::parse(self.buffer.split_to(end).to_vec()))
    }

    /// Reads until the buffer has `mark` in it, and says where it ends.
    async fn through(&mut self, mark: &[u8]) -> Option<usize> {
        loop {
            let found = self
                .buffer
                .windows(mark.len())
                .position(|window| window == mark);
            if let Some(start) = found {
                return Some(start + mark.len());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        let end = self.through(b"\r\n").await?;
        let line = self.buffer.split_to(end);
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Reads a body; `progress` sees it after each piece.
    pub async fn body(
        &mut self,
        framing: Framing,
        mut progress: impl FnMut(&Received),
    ) -> Received {
        let mut body = Received::default();
        let complete = match framing {
            Framing::Length(length) => self.bytes(length, &mut body, &mut progress).await,
            Framing::Chunked => self.chunks(&mut body, &mut progress).await.is_some(),
            Framing::UntilClose => {
                self.bytes(u64::MAX, &mut body, &mut progress).await;
                !self.was_reset
            }
        };
        body.end = if complete { End::Complete } else { End::Cut };
        progress(&body);
        body
    }

    async fn bytes(
        &mut self,
        length: u64,
        body: &mut Received,
        progress: &mut impl FnMut(&Received),
    ) -> bool {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() && !self.fill().await {
                return false;
            }
            let part =
                usize::try_from(left).map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
            body.take(&self.buffer[..part]);
            self.buffer.advance(part);
            left -= part as u64;
            progress(body);
        }
        true
    }

    async fn chunks(
        &mut self,
        body: &mut Received,
        progress: &mut impl FnMut(&Received),
    ) -> Option<()> {
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(size.trim(), 16).ok()?;
            if size == 0 {
                break;
            }
            body.chunks += 1;
            if !self.bytes(size, body, progress).await || !self.line().await?.is_empty() {
                return None;
            }
        }
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                body.trailers = Fields::parse(lines.iter().map(String::as_str));
                return Some(());
            }
            lines.push(line);
        }
    }

    /// Reads and drops all that comes until the stream ends; `Err` when it was reset.
    pub async fn rest(&mut self) -> io::Result<Vec<u8>> {
        self.buffer.reserve(64 * 1024);
        while self.stream.read_buf(&mut self.buffer).await? > 0 {
            self.buffer.reserve(64 * 1024);
        }
        Ok(self.buffer.split().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(message: &str) -> (Head, Received) {
        let mut reader = Reader::new(message.as_bytes());
        let head = reader.head().await.unwrap();
        let body = reader.body(head.response_framing("GET"), |_| {}).await;
        (head, body)
    }

    #[tokio::test]
    async fn the_three_framings_are_read() {
        let (head, body) = read("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nhi").await;
        assert_eq!((head.word(1), head.fields.first("a")), ("200", Some("b")));
        assert_eq!((body.text().as_str(), body.end), ("hi", End::Complete));

        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nT: u\r\n\r\n";
        let (_, body) = read(chunked).await;
        assert_eq!((body.text().as_str(), body.end), ("hi", End::Complete));
        assert_eq!(body.trailers.first("t"), Some("u"));

        let (_, body) = read("HTTP/1.1 200 OK\r\n\r\nhi").await;
        assert_eq!((body.text().as_str(), body.end), ("hi", End::Complete));
    }

    #[tokio::test]
    async fn a_body_that_is_cut_is_told_from_one_that_is_complete() {
        let (_, body) = read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi").await;
        assert_eq!(body.end, End::Cut);
        let (_, body) =
            read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
        assert_eq!(body.end, End::Cut);
    }
}
