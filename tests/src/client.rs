//! Clients: one that writes bytes and looks at bytes, and one that is hyper's.

use std::{future::Future, net::SocketAddr, pin::Pin};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::{http1::SendRequest, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

use crate::{
    wait::within,
    wire::{End, Framing, Head, Reader, Received},
};

/// A client that writes whatever bytes it is given.
#[derive(Debug)]
pub struct RawClient {
    reader: Reader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

/// A response as a client saw it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status; 0 when the connection ended before the head did.
    pub status: u16,
    /// The head.
    pub head: Head,
    /// The heads of the 1xx responses before it.
    pub interim: Vec<Head>,
    /// The body.
    pub body: Received,
}

impl Answer {
    /// The value of the first header field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.fields.first(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        self.body.text()
    }

    /// Whether the server says that it closes the connection.
    pub fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }

    /// Panics unless it is a whole response with this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        assert_eq!(self.body.end, End::Complete, "{self:#?}");
        self
    }
}

/// The head of a request to the host `gateway.test`, with these further lines, each ended by CR LF.
pub fn head(method: &str, target: &str, lines: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: gateway.test\r\n{lines}\r\n")
}

impl RawClient {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address))
            .await
            .expect("the gateway accepts connections");
        stream
            .set_nodelay(true)
            .expect("an option that every socket has");
        Self::of(stream)
    }

    /// A client on a connection that was made elsewhere.
    pub fn of(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: Reader::new(reader),
            writer,
        }
    }

    /// A client of the two directions of one connection.
    pub fn of_halves(reader: Reader<OwnedReadHalf>, writer: OwnedWriteHalf) -> Self {
        Self { reader, writer }
    }

    /// Writes these bytes. That the other end does not take them is no error here: its answer is looked at instead.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = within("bytes to be sent", self.writer.write_all(bytes.as_ref())).await;
    }

    /// Sends a request without a body.
    pub async fn request(&mut self, method: &str, target: &str) {
        self.send(head(method, target, "")).await;
    }

    /// Sends a request with a body and its length.
    pub async fn request_with(&mut self, method: &str, target: &str, body: &str) {
        let length = format!("Content-Length: {}\r\n", body.len());
        self.send(head(method, target, &length) + body).await;
    }

    /// Sends a `GET`, and reads the response.
    pub async fn get(&mut self, target: &str) -> Answer {
        self.request("GET", target).await;
        self.response("GET").await
    }

    /// Sends a `POST` with this body, and reads the response.
    pub async fn post(&mut self, target: &str, body: &str) -> Answer {
        self.request_with("POST", target, body).await;
        self.response("POST").await
    }

    /// Reads the response to a request of this method.
    pub async fn response(&mut self, method: &str) -> Answer {
        let mut answer = self.response_head().await;
        answer.body = self.body(answer.head.response_framing(method)).await;
        if answer.status == 0 {
            answer.body.end = End::Cut;
        }
        answer
    }

    /// Reads the head of a response, and leaves its body.
    pub async fn response_head(&mut self) -> Answer {
        let mut interim = Vec::new();
        let (status, head) = loop {
            let head = within("the head of a response", self.reader.head()).await;
            let head = head.unwrap_or_default();
            let status = head.word(1).parse().unwrap_or(0);
            if !(100..200).contains(&status) || status == 101 {
                break (status, head);
            }
            interim.push(head);
        };
        Answer {
            status,
            head,
            interim,
            body: Received::default(),
        }
    }

    /// Reads one head, that of a 1xx response included; none when the connection ends.
    pub async fn any_head(&mut self) -> Option<Head> {
        within("any head", self.reader.head()).await
    }

    /// Reads a body.
    pub async fn body(&mut self, framing: Framing) -> Received {
        within("the body of a response", self.reader.body(framing, |_| {})).await
    }

    /// Ends the client's side of the connection, and goes on reading.
    pub async fn half_close(&mut self) {
        let _ = self.writer.shutdown().await;
    }

    /// Leaves with a reset instead of a close.
    pub fn reset(self) {
        let stream = self
            .reader
            .into_stream()
            .reunite(self.writer)
            .expect("both are halves of one stream");
        stream
            .set_zero_linger()
            .expect("an option that every socket has");
    }

    /// Waits until the server closes the connection, and gives what came until then.
    pub async fn closed(&mut self) -> Vec<u8> {
        within("the server to close the connection", self.reader.rest())
            .await
            .unwrap_or_default()
    }

    /// The two directions, for a test that uses them at the same time.
    pub fn into_halves(self) -> (Reader<OwnedReadHalf>, OwnedWriteHalf) {
        (self.reader, self.writer)
    }
}

/// Sends one `GET` on a connection of its own, and reads the response.
pub async fn get(address: SocketAddr, target: &str) -> Answer {
    RawClient::connect(address).await.get(target).await
}

/// A body of a request for [`HyperClient`].
pub type RequestBody = UnsyncBoxBody<Bytes, prox::BoxError>;

/// Any body as a [`RequestBody`].
pub fn body<B>(body: B) -> RequestBody
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<prox::BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// Text as a [`RequestBody`].
pub fn text(content: &'static str) -> RequestBody {
    body(Full::from(content))
}

/// The text of the whole body of a response.
pub async fn read(answer: http::Response<Incoming>) -> String {
    let body = within("a body", answer.into_body().collect()).await;
    String::from_utf8_lossy(&body.expect("a whole body").to_bytes()).into_owned()
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 by prior knowledge.
    Http2,
}

impl Speaks {
    /// The head of a request to the host `gateway.test`, as a client of the version writes it.
    pub fn request(self, target: &str) -> http::request::Builder {
        let request = http::Request::builder();
        match self {
            Self::Http1 => request.uri(target).header("host", "gateway.test"),
            Self::Http2 => request.uri(format!("http://gateway.test{target}")),
        }
    }
}

/// One connection of hyper's client.
#[derive(Debug)]
pub struct HyperClient {
    sender: Sender,
    driver: JoinHandle<()>,
}

#[derive(Debug)]
enum Sender {
    Http1(SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

impl HyperClient {
    /// Connects; the connection is driven by a task of its own.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::speaking(Speaks::Http1, address).await
    }

    /// Connects, and speaks this.
    pub async fn speaking(speaks: Speaks, address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address))
            .await
            .expect("the gateway accepts connections");
        stream
            .set_nodelay(true)
            .expect("an option that every socket has");
        let io = TokioIo::new(stream);
        let (sender, driver) = match speaks {
            Speaks::Http1 => {
                let (sender, connection) = hyper::client::conn::http1::handshake(io)
                    .await
                    .expect("a handshake without bytes");
                (Sender::Http1(sender), spawn(connection))
            }
            Speaks::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io)
                    .await
                    .expect("a preface can be written");
                (Sender::Http2(sender), spawn(connection))
            }
        };
        Self { sender, driver }
    }

    /// Sends a request, and waits for the head of its response.
    ///
    /// # Errors
    ///
    /// What hyper says went wrong.
    pub async fn send(
        &mut self,
        request: http::Request<RequestBody>,
    ) -> hyper::Result<http::Response<Incoming>> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                within("the connection to be ready", sender.ready()).await?;
                within("the head of a response", sender.send_request(request)).await
            }
            Sender::Http2(sender) => {
                within("the head of a response", sender.send_request(request)).await
            }
        }
    }

    /// Sends a request and goes on at once; the response comes later. With HTTP/1.1 it is the only one.
    pub fn begin(
        &mut self,
        request: http::Request<RequestBody>,
    ) -> Pin<Box<dyn Future<Output = hyper::Result<http::Response<Incoming>>> + Send>> {
        match &mut self.sender {
            Sender::Http1(sender) => Box::pin(sender.send_request(request)),
            Sender::Http2(sender) => Box::pin(sender.send_request(request)),
        }
    }

    /// Leaves at once, whatever is under way.
    pub fn leave(self) {
        self.driver.abort();
    }
}

fn spawn(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        // What goes wrong is told to the request.
        let _ = connection.await;
    })
}
