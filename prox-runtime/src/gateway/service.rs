//! A gateway as a service of tower, for whoever has a server already.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Method, StatusCode, Version};
use http_body::Body as _;

use super::{Gateway, admit, upgrade::Joint};
use crate::{
    body::Body,
    client::Client,
    error::BoxError,
    handler::{Dispatch, Request, Response},
    respond,
    watch::{Tally, Watch},
};

/// A gateway as a service: mount it in an axum router, or put tower layers around it. The guide is
/// [`prox::docs::embedding`](https://docs.rs/prox/latest/prox/docs/embedding/index.html).
///
/// A request that carries an `Arc<`[`Client`]`>` in its extensions came from that client; else the client is unknown.
/// [`Embed`](crate::Embed) makes a service that finds the client by itself, and that takes the word of trusted proxies.
///
/// The first request, or the first `poll_ready`, [starts](Gateway::start) the work beside the requests for all backends.
///
/// A `WebSocket` passes when the server that this is mounted in can upgrade connections, as axum's does. It is carried by a
/// task of its own then, which ends with either side, but not with the server.
impl<B> tower_service::Service<http::Request<B>> for Gateway
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = GatewayFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.start();
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: http::Request<B>) -> GatewayFuture {
        self.start();
        let gateway = self.clone();
        answered(
            req.map(Body::new),
            self.watch(),
            |mut req, tally| async move {
                let client = req.extensions().get::<Arc<Client>>().cloned();
                let client = client.unwrap_or_else(|| Arc::new(Client::new(None)));
                gateway.dispatch(&mut req, &client, &tally).await
            },
        )
    }
}

/// Gives an answer the form that a server of somebody else's takes: a tunnel is joined, and `HEAD` has no body.
pub(super) fn answered<F>(
    mut req: Request,
    watch: Arc<Watch>,
    answer: impl FnOnce(Request, Tally) -> F,
) -> GatewayFuture
where
    F: Future<Output = Response> + Send + 'static,
{
    let mut exchange = watch.request(req.method(), req.version());
    let joint = Joint::of(&mut req);
    let req = req.map(|body| counted(admit::body(body), watch));
    let head = *req.method() == Method::HEAD;
    let old = req.version() < Version::HTTP_2;
    let answer = answer(req, exchange.tally().clone());
    GatewayFuture(Box::pin(async move {
        let mut response = answer.await;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            exchange.switched();
        }
        joint.join(&mut response);
        if old {
            respond::keep_length(&mut response);
        }
        exchange.tally().answered(&response, head);
        response.map(|body| {
            let body = if head { Body::empty() } else { body };
            body.ends(exchange)
        })
    }))
}

/// The body of a request, whose bytes are counted.
fn counted(body: Body, watch: Arc<Watch>) -> Body {
    if body.is_end_stream() {
        return body;
    }
    body.counted(move |bytes| watch.received(bytes))
}

/// The future of a [`Gateway`] as a service.
pub struct GatewayFuture(Pin<Box<dyn Future<Output = Response> + Send>>);

impl Future for GatewayFuture {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for GatewayFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayFuture")
    }
}
