//! gRPC through a gateway, with tonic on both sides: its client and its server stand for what others run.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use crate::grpc_interop::interop;
use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use prox::Endpoint;
use prox_tests::{
    gateway::Served,
    ports::Refused,
    wait::{eventually, within},
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataValue,
    transport::{Channel, Server, server::TcpIncoming},
};
use tower::service_fn;

/// Messages are bytes, and mean nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

pub(crate) type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// What it sees of its calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: Arc<AtomicU32>,
    /// The calls that wait for ever, until they are cancelled.
    pub(crate) waiting: Arc<AtomicU32>,
}

/// One of the calls that wait.
pub(crate) struct Waiting(Arc<AtomicU32>);

impl Seen {
    pub(crate) fn wait(&self) -> Waiting {
        self.waiting.fetch_add(1, SeqCst);
        Waiting(Arc::clone(&self.waiting))
    }

    pub(crate) async fn nobody_waits(&self) {
        eventually("the server to see the end of the call", || {
            self.waiting.load(SeqCst) == 0
        })
        .await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// A server of tonic.
pub(crate) struct Upstream {
    pub(crate) endpoint: Endpoint,
    pub(crate) seen: Seen,
    task: JoinHandle<()>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port of 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let seen = Seen::default();
        let shared = seen.clone();
        let service = service_fn(move |request: http::Request<Body>| {
            let seen = shared.clone();
            seen.calls.fetch_add(1, SeqCst);
            async move { Ok::<_, Status>(answer(request, seen).await) }
        });
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let task = tokio::spawn(async move {
            let server = Server::builder().serve_with_incoming(service, incoming);
            server.await.expect("the server does not fail");
        });
        Self {
            endpoint: format!("http://{address}")
                .parse()
                .expect("an address makes an endpoint"),
            seen,
            task,
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: http::Request<Body>, seen: Seen) -> http::Response<Body> {
    let mut grpc = tonic::server::Grpc::new(Raw);
    match request.uri().path() {
        "/test/Same" => grpc.unary(service_fn(same), request).await,
        "/test/Fail" => grpc.unary(service_fn(fail), request).await,
        "/test/Wait" => {
            let wait = service_fn(move |_: Request<Bytes>| {
                let waiting = seen.wait();
                async move {
                    let _waiting = waiting;
                    std::future::pending::<Result<Response<Bytes>, Status>>().await
                }
            });
            grpc.unary(wait, request).await
        }
        "/test/Count" => {
            let count = service_fn(|request| std::future::ready(Ok(count(&request, &seen))));
            grpc.server_streaming(count, request).await
        }
        "/test/Join" => grpc.client_streaming(service_fn(join), request).await,
        "/test/Interop" => {
            let interop = service_fn(move |request| interop(request, seen.clone()));
            grpc.streaming(interop, request).await
        }
        "/test/Echo" => grpc.streaming(service_fn(echo), request).await,
        "/grpc.health.v1.Health/Check" => grpc.unary(service_fn(check), request).await,
        _ => Status::unimplemented("a method that the server does not have").into_http(),
    }
}

/// The message and its metadata, and the deadline that was told.
async fn same(request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    let (metadata, _, message) = request.into_parts();
    let mut response = Response::new(message);
    for (name, back) in [("x-text", "x-text"), ("grpc-timeout", "x-deadline")] {
        for value in metadata.get_all(name) {
            response.metadata_mut().append(back, value.clone());
        }
    }
    if let Some(value) = metadata.get_bin("x-bytes-bin") {
        response
            .metadata_mut()
            .insert_bin("x-bytes-bin", value.clone());
    }
    Ok(response)
}

/// A status with everything that a status can have.
async fn fail(_: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    let details = Bytes::from_static(b"\0details\xff");
    let mut status = Status::with_details(Code::FailedPrecondition, "100 % \u{fc}bel", details);
    let metadata = status.metadata_mut();
    metadata.insert("x-why", MetadataValue::from_static("because"));
    Err(status)
}

/// Counts up to the number in the message, and ends with a failure; without a number it stands still after one message.
fn count(request: &Request<Bytes>, seen: &Seen) -> Response<Messages> {
    let text = String::from_utf8_lossy(request.get_ref()).into_owned();
    let Ok(end) = text.parse::<u32>() else {
        let waiting = seen.wait();
        let messages = tokio_stream::once(Bytes::from_static(b"first"));
        let messages = messages.chain(tokio_stream::pending()).map(move |message| {
            let _ = &waiting;
            Ok(message)
        });
        return Response::new(Box::pin(messages));
    };
    let numbers = (0..end).map(|number| Ok(Bytes::from(number.to_string())));
    let mut status = Status::out_of_range("no more");
    status
        .metadata_mut()
        .insert("x-counted", MetadataValue::from(end));
    let messages = tokio_stream::iter(numbers.chain([Err(status)]).collect::<Vec<_>>());
    Response::new(Box::pin(messages))
}

/// All messages as one.
async fn join(request: Request<Streaming<Bytes>>) -> Result<Response<Bytes>, Status> {
    let mut messages = request.into_inner();
    let mut joined = Vec::new();
    while let Some(message) = messages.message().await? {
        joined.extend_from_slice(&message);
    }
    Ok(Response::new(joined.into()))
}

/// Each message as it comes.
async fn echo(request: Request<Streaming<Bytes>>) -> Result<Response<Messages>, Status> {
    Ok(Response::new(Box::pin(request.into_inner())))
}

/// `HealthCheckResponse { status: SERVING }` for `HealthCheckRequest { service: "shop" }`.
async fn check(request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    if request.get_ref() == SHOP {
        Ok(Response::new(Bytes::from_static(SERVING)))
    } else {
        Err(Status::not_found("unknown service"))
    }
}

const SHOP: &[u8] = b"\x0a\x04shop";
const SERVING: &[u8] = b"\x08\x01";

/// A client of tonic, which asks a gateway.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) Grpc<Channel>);

impl Client {
    async fn connect(gateway: &Served) -> Self {
        Self::at(gateway.address()).await
    }

    pub(crate) async fn at(address: SocketAddr) -> Self {
        let url = format!("http://{address}");
        let channel = Channel::from_shared(url).expect("a URL");
        let channel = within("a connection", channel.connect()).await;
        Self(Grpc::new(channel.expect("the gateway accepts connections")))
    }

    pub(crate) async fn unary(
        &mut self,
        path: &'static str,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Status> {
        within("the channel", self.0.ready())
            .await
            .expect("a channel");
        let path = PathAndQuery::from_static(path);
        within("an answer", self.0.unary(request, path, Raw)).await
    }

    async fn count(&mut self, request: Request<Bytes>) -> Result<Streaming<Bytes>, Status> {
        within("the channel", self.0.ready())
            .await
            .expect("a channel");
        let path = PathAndQuery::from_static("/test/Count");
        let answer = self.0.server_streaming(request, path, Raw);
        Ok(within("an answer", answer).await?.into_inner())
    }
}

impl Client {
    /// Sends messages of 50 bytes on one call for a while, this many a second, and says how many were sent and came back.
    pub(crate) async fn talk(&mut self, rate: u32, time: Duration) -> (u32, u32) {
        let (sender, messages) = mpsc::channel(1);
        let request = Request::new(ReceiverStream::new(messages));
        let path = PathAndQuery::from_static("/test/Echo");
        self.0.ready().await.unwrap();
        let answer = self.0.streaming(request, path, Raw);
        let mut stream = within("an answer", answer).await.unwrap().into_inner();
        let sending = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
            let end = tokio::time::Instant::now() + time;
            let mut sent = 0;
            while tokio::time::Instant::now() < end {
                ticks.tick().await;
                sender.send(Bytes::from_static(&[7; 50])).await.unwrap();
                sent += 1;
            }
            sent
        });
        let mut received = 0;
        while stream.message().await.unwrap().is_some() {
            received += 1;
        }
        (sending.await.unwrap(), received)
    }
}

pub(crate) fn message(content: &'static str) -> Request<Bytes> {
    Request::new(Bytes::from_static(content.as_bytes()))
}

/// A server, a gateway and a client.
pub(crate) struct Chain {
    pub(crate) upstream: Upstream,
    pub(crate) gateway: Served,
    pub(crate) client: Client,
}

impl Chain {
    pub(crate) async fn start() -> Self {
        let upstream = Upstream::start().await;
        let url = upstream.endpoint.clone();
        let gateway = prox::gateway! {
            backend calls = cluster(rr, [url]).http2();
            "/test" => calls,
            "/grpc.health.v1.Health" => calls,
        };
        let gateway = Served::start(gateway).await;
        let client = Client::connect(&gateway).await;
        Self {
            upstream,
            gateway,
            client,
        }
    }
}

#[tokio::test]
async fn a_unary_call_carries_its_message_and_its_metadata_both_ways() {
    let mut chain = Chain::start().await;
    let mut request = message("hello");
    let metadata = request.metadata_mut();
    metadata.append("x-text", MetadataValue::from_static("one"));
    metadata.append("x-text", MetadataValue::from_static("two"));
    metadata.insert_bin("x-bytes-bin", MetadataValue::from_bytes(b"\0\xff,;"));
    let response = chain.client.unary("/test/Same", request).await.unwrap();
    assert_eq!(response.get_ref(), "hello");
    let texts: Vec<_> = response.metadata().get_all("x-text").iter().collect();
    assert_eq!(texts, ["one", "two"]);
    let bytes = response.metadata().get_bin("x-bytes-bin").unwrap();
    assert_eq!(bytes.to_bytes().unwrap(), &b"\0\xff,;"[..]);
    // At the end, where tonic puts it among the rest.
    assert_eq!(response.metadata().get("grpc-status").unwrap(), "0");
}

#[tokio::test]
async fn large_and_empty_messages_arrive_whole() {
    let mut chain = Chain::start().await;
    let large: Vec<u8> = (0..3_u32 << 20).map(|at| (at % 251) as u8).collect();
    let large = Bytes::from(large);
    for content in [large, Bytes::new()] {
        let request = Request::new(content.clone());
        let response = chain.client.unary("/test/Same", request).await.unwrap();
        assert!(*response.get_ref() == content, "{} bytes", content.len());
    }
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let chain = Chain::start().await;
    let calls = (0..200_u32).map(|number| {
        let mut client = chain.client.clone();
        tokio::spawn(async move {
            let content = Bytes::from(number.to_string());
            let request = Request::new(content.clone());
            let response = client.unary("/test/Same", request).await.unwrap();
            assert_eq!(response.into_inner(), content);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(chain.upstream.seen.calls.load(SeqCst), 200);
}

#[tokio::test]
async fn a_stream_from_the_server_ends_with_its_status_and_metadata() {
    let mut chain = Chain::start().await;
    let mut stream = chain.client.count(message("100")).await.unwrap();
    for number in 0..100_u32 {
        let next = within("a message", stream.message()).await.unwrap();
        assert_eq!(next.unwrap(), number.to_string());
    }
    let status = within("the end", stream.message()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::OutOfRange, "no more")
    );
    assert_eq!(status.metadata().get("x-counted").unwrap(), "100");
}

#[tokio::test]
async fn a_stream_from_the_client_is_answered_once_it_has_ended() {
    let mut chain = Chain::start().await;
    let (sender, messages) = mpsc::channel(1);
    let request = Request::new(ReceiverStream::new(messages));
    let path = PathAndQuery::from_static("/test/Join");
    chain.client.0.ready().await.unwrap();
    let sending = async {
        for content in ["a", "b", "c"] {
            sender.send(Bytes::from(content)).await.unwrap();
        }
        drop(sender);
    };
    let answer = chain.client.0.client_streaming(request, path, Raw);
    let (answer, ()) = within("the call", async { tokio::join!(answer, sending) }).await;
    assert_eq!(answer.unwrap().into_inner(), "abc");
}

#[tokio::test]
async fn messages_go_back_and_forth_on_one_call() {
    let mut chain = Chain::start().await;
    let (sender, messages) = mpsc::channel(1);
    let request = Request::new(ReceiverStream::new(messages));
    let path = PathAndQuery::from_static("/test/Echo");
    chain.client.0.ready().await.unwrap();
    let answer = chain.client.0.streaming(request, path, Raw);
    let mut stream = within("an answer", answer).await.unwrap().into_inner();
    // Each is sent only after the answer to the one before: nothing on the way may hold one back.
    for number in 0..50_u32 {
        let content = Bytes::from(number.to_string());
        sender.send(content.clone()).await.unwrap();
        let echoed = within("an echo", stream.message()).await.unwrap();
        assert_eq!(echoed.unwrap(), content);
    }
    drop(sender);
    assert!(within("the end", stream.message()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_trailers_only_error_keeps_its_code_message_details_and_metadata() {
    let mut chain = Chain::start().await;
    let status = chain.client.unary("/test/Fail", message("x")).await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "100 % \u{fc}bel");
    assert_eq!(status.details(), b"\0details\xff");
    assert_eq!(status.metadata().get("x-why").unwrap(), "because");
}

#[tokio::test]
async fn the_deadline_of_a_call_reaches_the_server() {
    let mut chain = Chain::start().await;
    let mut request = message("x");
    request.set_timeout(Duration::from_secs(30));
    let response = chain.client.unary("/test/Same", request).await.unwrap();
    let told = response.metadata().get("x-deadline").unwrap();
    // What is left of it, in microseconds.
    let left = told.to_str().unwrap().strip_suffix('u').unwrap();
    let left: u32 = left.parse().unwrap();
    assert!((20_000_000..30_000_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_stream_past_its_deadline_is_ended_by_the_gateway_at_both_ends() {
    // tonic's own timers, on both sides, bound the time to the head of the answer, which comes at once here.
    let mut chain = Chain::start().await;
    let mut request = message("for ever");
    request.set_timeout(Duration::from_millis(150));
    let mut stream = chain.client.count(request).await.unwrap();
    let first = within("a message", stream.message()).await.unwrap();
    assert_eq!(first.unwrap(), "first");
    let status = within("the deadline", stream.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    chain.upstream.seen.nobody_waits().await;
}

#[tokio::test]
async fn a_call_that_the_client_gives_up_is_cancelled_at_the_server() {
    let mut chain = Chain::start().await;
    let mut client = chain.client.clone();
    let call = tokio::spawn(async move { client.unary("/test/Wait", message("x")).await });
    let seen = chain.upstream.seen.clone();
    let waits = || seen.waiting.load(SeqCst) == 1;
    eventually("the server to see the call", waits).await;
    call.abort();
    seen.nobody_waits().await;

    let mut stream = chain.client.count(message("for ever")).await.unwrap();
    let first = within("a message", stream.message()).await.unwrap();
    assert_eq!(first.unwrap(), "first");
    assert!(waits());
    drop(stream);
    seen.nobody_waits().await;
    // The connections are as good as before.
    chain
        .client
        .unary("/test/Same", message("x"))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_unavailable() {
    let refused = Refused::new();
    let url = refused.endpoint();
    let gateway = prox::gateway! { "/" => cluster(rr, [url]).http2() };
    let gateway = Served::start(gateway).await;
    let mut client = Client::connect(&gateway).await;
    let status = client.unary("/test/Same", message("x")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let status = client.count(message("1")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}

#[tokio::test]
async fn a_method_without_a_route_is_unimplemented_and_asks_nobody() {
    let mut chain = Chain::start().await;
    let status = chain.client.unary("/elsewhere/Same", message("x")).await;
    assert_eq!(status.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(chain.upstream.seen.calls.load(SeqCst), 0);
    let status = chain.client.unary("/test/Nothing", message("x")).await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(status.message(), "a method that the server does not have");
    assert_eq!(chain.upstream.seen.calls.load(SeqCst), 1);
}

#[tokio::test]
async fn a_health_check_passes_like_any_call() {
    const CHECK: &str = "/grpc.health.v1.Health/Check";
    let mut chain = Chain::start().await;
    let shop = Request::new(Bytes::from_static(SHOP));
    let response = chain.client.unary(CHECK, shop).await.unwrap();
    assert_eq!(response.get_ref(), SERVING);
    let other = Request::new(Bytes::from_static(b"\x0a\x05other"));
    let status = chain.client.unary(CHECK, other).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}
