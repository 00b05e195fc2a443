//! A client that writes and reads the frames of HTTP/2 (RFC 9113, 4.1) one by one, right or wrong.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::wait::within;

/// What a client sends first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The kinds of frames.
pub mod kind {
    #![expect(missing_docs, reason = "the names are those of the RFC")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The codes of errors (RFC 9113, 7).
pub mod code {
    #![expect(missing_docs, reason = "the names are those of the RFC")]
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// On `DATA` and `HEADERS`: nothing follows on this stream.
pub const END_STREAM: u8 = 1;

/// On `SETTINGS` and `PING`: this is the answer to one.
pub const ACK: u8 = 1;

/// On `HEADERS` and `CONTINUATION`: the header block is whole.
pub const END_HEADERS: u8 = 4;

/// On `DATA` and `HEADERS`: the first byte says how many bytes of padding end it.
pub const PADDED: u8 = 8;

/// On `HEADERS`: five bytes about a dependency go before the block.
pub const PRIORITY: u8 = 0x20;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// One of [`kind`].
    pub kind: u8,
    /// The flags, as bits.
    pub flags: u8,
    /// The stream; 0 is the connection.
    pub stream: u32,
    /// What is in it.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    /// A whole request without a body: `GET` of this path from the host `gateway.test`, and these further fields.
    pub fn get(stream: u32, path: &str, fields: &[(&str, &str)]) -> Self {
        let flags = END_STREAM | END_HEADERS;
        Self::new(kind::HEADERS, flags, stream, block(path, fields))
    }

    /// The last stream and the code, if it is a `GOAWAY`.
    pub fn farewell(&self) -> Option<(u32, u32)> {
        let [last, code] = [0, 4].map(|at| {
            let number = self.payload.get(at..at + 4)?;
            Some(u32::from_be_bytes(number.try_into().ok()?))
        });
        Some((last?, code?)).filter(|_| self.kind == kind::GOAWAY)
    }

    /// As it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a test's frame is small");
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// The header block (RFC 7541) of a `GET`, without Huffman coding and without the dynamic table.
pub fn block(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    block.extend(literals(&[(":authority", "gateway.test"), (":path", path)]));
    block.extend(literals(fields));
    block
}

/// Fields of a header block, each with its name and its value as they are here (RFC 7541, 6.2.2).
pub fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.extend(length(text.len()));
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A number behind one bit (RFC 7541, 5.1).
fn length(length: usize) -> Vec<u8> {
    const MOST: usize = 127;
    let Some(mut rest) = length.checked_sub(MOST) else {
        return vec![u8::try_from(length).expect("a small number")];
    };
    let mut bytes = vec![127];
    while rest > MOST {
        bytes.push(0x80 | u8::try_from(rest & MOST).expect("seven bits"));
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
    bytes
}

/// A client of frames.
#[derive(Debug)]
pub struct FrameClient(TcpStream);

impl FrameClient {
    /// Connects, and says nothing.
    pub async fn silent(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address))
            .await
            .expect("the gateway accepts connections");
        stream
            .set_nodelay(true)
            .expect("an option that every socket has");
        Self(stream)
    }

    /// Connects, and exchanges the preface and empty settings.
    pub async fn connect(address: SocketAddr) -> Self {
        let mut client = Self::silent(address).await;
        client.write(PREFACE).await;
        client.send(&Frame::new(kind::SETTINGS, 0, 0, [])).await;
        client.send(&Frame::new(kind::SETTINGS, 1, 0, [])).await;
        client
    }

    /// Writes bytes; false when the gateway has closed the connection.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        within("the gateway to read", self.0.write_all(bytes))
            .await
            .is_ok()
    }

    /// Writes a frame; false when the gateway has closed the connection.
    pub async fn send(&mut self, frame: &Frame) -> bool {
        self.write(&frame.bytes()).await
    }

    /// The next frame; `None` at the end of the connection, whatever it is. Pings are answered.
    pub async fn next(&mut self) -> Option<Frame> {
        let frame = self.read().await?;
        if frame.kind == kind::PING && frame.flags == 0 {
            let answer = Frame::new(kind::PING, 1, 0, frame.payload.clone());
            self.send(&answer).await;
        }
        Some(frame)
    }

    async fn read(&mut self) -> Option<Frame> {
        within("a frame", async {
            let mut header = [0; 9];
            self.0.read_exact(&mut header).await.ok()?;
            let [a, b, c, kind, flags, stream @ ..] = header;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            Some(Frame {
                kind,
                flags,
                stream: u32::from_be_bytes(stream),
                payload,
            })
        })
        .await
    }

    /// The next frame of this kind, whatever else comes before it.
    pub async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Reads to the end of the connection, and answers nothing. The last stream and the code of the last `GOAWAY`, if one came.
    pub async fn farewell(&mut self) -> Option<(u32, u32)> {
        let mut last = None;
        while let Some(frame) = self.read().await {
            if frame.kind == kind::GOAWAY {
                last = frame.farewell();
            }
        }
        last
    }

    /// Waits for the end of the connection.
    pub async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }
}
