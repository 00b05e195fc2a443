//! An upstream that is one of hyper's servers, for tests that do not care about single bytes or frames.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
    time::{Sleep, sleep},
};

use crate::client::{RequestBody, Speaks};

/// A service behind a listener on a free port; it stops when it is dropped.
#[derive(Debug)]
pub struct ServiceOrigin {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// The service cut the exchange off.
#[derive(Debug)]
pub struct CutOff;

impl std::fmt::Display for CutOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the service cut the exchange off")
    }
}

impl std::error::Error for CutOff {}

impl ServiceOrigin {
    /// Answers every request with `service`; what fails is cut off.
    pub async fn start<F>(
        speaks: Speaks,
        service: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Response<RequestBody>, CutOff>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port of 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            // The connections end with this task, because the set does.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                let _ = stream.set_nodelay(true);
                let io = TokioIo::new(stream);
                let service = service_fn(service.clone());
                connections.spawn(async move {
                    // What goes wrong on a connection is the other end's doing, and its test looks at that end.
                    let _ = match speaks {
                        Speaks::Http1 => {
                            hyper::server::conn::http1::Builder::new()
                                .half_close(false)
                                .serve_connection(io, service)
                                .await
                        }
                        Speaks::Http2 => {
                            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                                .serve_connection(io, service)
                                .await
                        }
                    };
                });
            }
        });
        Self {
            address,
            accepted,
            task,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL as an endpoint.
    pub fn endpoint(&self) -> prox::Endpoint {
        let url = format!("http://{}", self.address);
        url.parse().expect("an address makes an endpoint")
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }
}

impl Drop for ServiceOrigin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A body of these frames, one after the other; the end of the frames is the end of the body.
#[derive(Debug)]
pub struct Frames<I>(pub I);

impl<I: Iterator<Item = Result<Frame<Bytes>, CutOff>> + Unpin> http_body::Body for Frames<I> {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        Poll::Ready(self.0.next())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// A piece of a body.
pub fn data(bytes: impl Into<Bytes>) -> Result<Frame<Bytes>, CutOff> {
    Ok(Frame::data(bytes.into()))
}

/// A body of one piece, which then stands still.
#[derive(Debug)]
pub struct Stalling {
    piece: Option<Bytes>,
    cut: Option<Pin<Box<Sleep>>>,
}

impl Stalling {
    /// Stands still after this piece.
    pub fn after(piece: impl Into<Bytes>) -> Self {
        Self {
            piece: Some(piece.into()),
            cut: None,
        }
    }

    /// Fails a moment later, when the piece is on its way.
    #[must_use]
    pub fn then_fails(mut self) -> Self {
        self.cut = Some(Box::pin(sleep(Duration::from_millis(50))));
        self
    }
}

impl http_body::Body for Stalling {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        if let Some(piece) = self.piece.take() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &mut self.cut {
            Some(cut) => cut.as_mut().poll(cx).map(|()| Some(Err(CutOff))),
            None => Poll::Pending,
        }
    }
}
