//! The least that a reverse proxy on hyper can do, as a measure for what Prox adds to it.
//!
//! One thread, hyper's HTTP/1.1 server, hyper's bare client connections in a pool of this thread, the hop-by-hop headers
//! taken off and one header put on. No routing, no timeouts, no limits, no failure table: not for use.

use std::{
    cell::RefCell,
    error::Error,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response,
    header::{
        CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
        UPGRADE,
    },
};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use prox_tests::flags::flag;
use tokio::net::{TcpListener, TcpStream};

const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

thread_local! {
    static IDLE: RefCell<Vec<SendRequest<Incoming>>> = const { RefCell::new(Vec::new()) };
}

type BoxError = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), BoxError> {
    let listen: SocketAddr = flag("listen", None)?;
    let upstream: String = flag("upstream", None)?;
    let upstream: SocketAddr = upstream.trim_start_matches("http://").parse()?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (client, address) = listener.accept().await?;
            client.set_nodelay(true)?;
            let client_ip = HeaderValue::from_str(&address.ip().to_string())?;
            let service = service_fn(move |request| forward(request, client_ip.clone(), upstream));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(client), service));
        }
    })
}

async fn forward(
    mut request: Request<Incoming>,
    client_ip: HeaderValue,
    upstream: SocketAddr,
) -> Result<Response<Pooled>, BoxError> {
    strip(request.headers_mut());
    request.headers_mut().insert(X_FORWARDED_FOR, client_ip);

    let idle = IDLE.with_borrow_mut(Vec::pop);
    let mut connection = match idle {
        Some(connection) => connection,
        None => connect(upstream).await?,
    };
    let mut response = connection.send_request(request).await?;

    strip(response.headers_mut());
    Ok(response.map(|body| Pooled {
        body,
        connection: Some(connection),
    }))
}

async fn connect(upstream: SocketAddr) -> Result<SendRequest<Incoming>, BoxError> {
    let stream = TcpStream::connect(upstream).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn strip(headers: &mut HeaderMap) {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// A response body that holds its connection, which goes back to the pool if it is ready when the body is dropped.
struct Pooled {
    body: Incoming,
    connection: Option<SendRequest<Incoming>>,
}

impl Body for Pooled {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take_if(|connection| connection.is_ready()) {
            IDLE.with_borrow_mut(|idle| idle.push(connection));
        }
    }
}
