//! What an origin does with a request, step by step.

use std::time::Duration;

use bytes::Bytes;

use crate::{wait::Gate, wire::lines};

/// One thing that an origin does on a connection.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Write(Bytes),
    Fill { length: u64, chunked: bool },
    Pause(Duration),
    Wait(Gate),
    ReadBody,
    Stall,
    HalfClose,
    Close,
    Reset,
}

/// An origin's answer to one request: anything that can be done on a TCP connection.
///
/// The steps run once the whole request was read, or after its head alone for an [`early`](Self::early) reply. After the
/// last step the connection waits for its next request, unless the reply [closes](Self::close) it.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub(super) early: bool,
    pub(super) steps: Vec<Step>,
}

impl Reply {
    /// No answer so far: what is chained to it is all that happens.
    pub fn new() -> Self {
        Self::default()
    }

    /// `200 OK` with this body and its length.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::status(200, &[], body)
    }

    /// A whole response with a length; the fields come before it.
    pub fn status(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        Self::new()
            .head(status, fields, &format!("Content-Length: {}", body.len()))
            .write(body)
    }

    /// A whole response of chunks, and these trailers behind the last.
    pub fn chunks(fields: &[(&str, &str)], chunks: &[&str], trailers: &[(&str, &str)]) -> Self {
        let mut reply = Self::new().head(200, fields, "Transfer-Encoding: chunked");
        for chunk in chunks {
            reply = reply.write(format!("{:x}\r\n{chunk}\r\n", chunk.len()));
        }
        let trailers = lines(
            trailers
                .iter()
                .map(|(name, value)| format!("{name}: {value}")),
        );
        reply.write(format!("0\r\n{trailers}\r\n"))
    }

    /// `200 OK` with so much [filler](crate::filler::Filler), by length or chunked.
    pub fn filler(length: u64, chunked: bool) -> Self {
        let framing = if chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {length}")
        };
        let mut reply = Self::new().head(200, &[], &framing);
        reply.steps.push(Step::Fill { length, chunked });
        reply
    }

    /// Writes a head: the status, the fields, and `framing` as the last field.
    pub fn head(self, status: u16, fields: &[(&str, &str)], framing: &str) -> Self {
        let fields = fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        let mut head = format!("HTTP/1.1 {status} Status\r\n") + &lines(fields);
        if !framing.is_empty() {
            head.push_str(framing);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        self.write(head)
    }

    /// Writes these bytes, whatever they are.
    pub fn write(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Write(Bytes::copy_from_slice(bytes.as_ref())))
    }

    /// Begins before the body of the request is read, which is then left unread.
    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }

    /// Reads the body of the request now; for an early reply.
    pub fn read_body(self) -> Self {
        self.step(Step::ReadBody)
    }

    /// Does nothing for a while.
    pub fn pause(self, time: Duration) -> Self {
        self.step(Step::Pause(time))
    }

    /// Does nothing until the test opens the gate.
    pub fn wait(self, gate: &Gate) -> Self {
        self.step(Step::Wait(gate.clone()))
    }

    /// Does nothing until the other end closes the connection.
    pub fn stall(self) -> Self {
        self.step(Step::Stall)
    }

    /// Ends its own side of the connection, and goes on reading.
    pub fn half_close(self) -> Self {
        self.step(Step::HalfClose)
    }

    /// Closes the connection in good order.
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    /// Resets the connection.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}
