//! What a connection is switched to: bytes that go both ways.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderValue, Method, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::seen::Seen;
use crate::stream::Transport;

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a fake does on a connection that was switched.
#[derive(Clone)]
pub(super) struct Switch(Arc<dyn Fn(Bytestream) -> Running + Send + Sync>);

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Switch")
    }
}

impl Switch {
    pub(super) fn new<F, Fut>(talk: F) -> Self
    where
        F: Fn(Bytestream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(move |stream| Box::pin(talk(stream))))
    }

    pub(super) async fn run(&self, stream: impl Transport + 'static) {
        (self.0)(Bytestream::new(stream)).await;
    }

    /// Whether a request asks for another protocol.
    pub(super) fn is_asked(seen: &Seen) -> bool {
        seen.method == Method::CONNECT || seen.headers.contains_key(header::UPGRADE)
    }

    /// Says yes to the protocol that is asked for.
    pub(super) fn agree(seen: &Seen, headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        if let Some(protocol) = seen.headers.get(header::UPGRADE) {
            headers.insert(header::UPGRADE, protocol.clone());
        }
    }
}

/// Bytes that go both ways: a connection that was switched, or one on which nothing is spoken yet.
///
/// When it is dropped, the other end sees the end of the connection.
pub struct Bytestream(Box<dyn Transport>);

impl fmt::Debug for Bytestream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bytestream")
    }
}

impl Bytestream {
    pub(super) fn new(stream: impl Transport + 'static) -> Self {
        Self(Box::new(stream))
    }

    /// Sends these bytes.
    ///
    /// # Panics
    ///
    /// When the other end is gone.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let sent = async {
                self.0.write_all(bytes.as_ref()).await?;
                self.0.flush().await
            };
            if let Err(error) = sent.await {
                panic!("{caller}: the bytes cannot be sent: {error}");
            }
        }
    }

    /// Reads until these bytes have come, and gives all up to there.
    ///
    /// # Panics
    ///
    /// When the connection ends before.
    #[track_caller]
    pub fn read_until(&mut self, end: impl AsRef<[u8]>) -> impl Future<Output = Vec<u8>> {
        let caller = std::panic::Location::caller();
        async move {
            let mut read = Vec::new();
            while !read.ends_with(end.as_ref()) {
                match self.0.read_u8().await {
                    Ok(byte) => read.push(byte),
                    Err(error) => panic!(
                        "{caller}: expected {:?}, found {:?}, and then {error}",
                        String::from_utf8_lossy(end.as_ref()),
                        String::from_utf8_lossy(&read),
                    ),
                }
            }
            read
        }
    }

    /// Reads what comes up to the end of the connection, whether that is an end in good order or not.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        // What came before a reset is there all the same.
        let _ = self.0.read_to_end(&mut read).await;
        read
    }

    /// Says that no more is sent.
    pub async fn finish(&mut self) {
        // Who is gone needs no end.
        let _ = self.0.shutdown().await;
    }
}

impl AsyncRead for Bytestream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Bytestream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
