//! Who the client is, for a gateway that is embedded in another server.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::net::SocketAddr;

use axum::{Router, extract::ConnectInfo};
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use prox::{Client, Embed, Embedded, Gateway, Parts, RequestExt, middleware::RateLimit};
use prox_tests::{
    client::{RawClient, head},
    origin::{Origin, Reply},
};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tower::{Service, ServiceExt, service_fn};

use crate::{grpc, trusted::client_at};

/// Where axum has put the address of the other end.
fn peer(req: &Parts) -> Client {
    let info = req.extensions.get::<ConnectInfo<SocketAddr>>();
    Client::new(info.map(|info| info.0))
}

async fn who(req: prox::Request) -> String {
    let client = req.client().expect("every request has a client");
    let peer = client.peer().map(|peer| peer.ip().to_string());
    let ip = client.ip().map(|ip| ip.to_string());
    let words = [ip.unwrap_or_default(), peer.unwrap_or_default()];
    format!("{} {}", words.join(" "), client.scheme())
}

/// A gateway with all that depends on the client.
fn gateway(url: prox::Endpoint) -> Gateway {
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]);
        "/who" => handler(who),
        "/inside" if client_ip().within("127.0.0.0/8") => respond(200, "inside"),
        "/limited" => respond(200, "within the limit") with [RateLimit::per_minute(1)],
        "/users" => users,
    };
    gateway.expect("the gateway can start")
}

/// A fallback of an axum router that is served with the addresses of its clients.
async fn serve(service: Embedded) -> SocketAddr {
    let router = Router::new().fallback_service(service);
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

async fn ask(client: &mut RawClient, target: &str, lines: &str) -> (u16, String) {
    client.send(head("GET", target, lines)).await;
    let answer = client.response("GET").await;
    (answer.status, answer.text())
}

/// Asks a service without any server.
async fn call<S, B>(mut service: S, request: Request<String>) -> String
where
    S: Service<Request<String>, Response = http::Response<B>>,
    S::Error: std::fmt::Debug,
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let answer = service.ready().await.unwrap().call(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

fn request(target: &str, lines: &[(&str, &str)]) -> Request<String> {
    let mut request = Request::get(target).header("host", "gateway.test");
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(String::new()).unwrap()
}

const CLAIM: &str = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n";

#[tokio::test]
async fn the_address_of_the_connection_is_that_of_the_client() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let service = Embed::new(gateway(origin.endpoint())).client(peer);
    let address = serve(service.service().unwrap()).await;

    let mut client = client_at(7, address).await;
    let who = ask(&mut client, "/who", CLAIM).await.1;
    assert_eq!(who, "127.0.0.7 127.0.0.7 http");
    assert_eq!(ask(&mut client, "/inside", "").await.0, 200);
    assert_eq!(ask(&mut client, "/users", CLAIM).await.0, 200);
    let seen = origin.last();
    assert_eq!(seen.head.fields.all("x-forwarded-for"), ["127.0.0.7"]);
    assert_eq!(seen.head.fields.all("x-forwarded-proto"), ["http"]);

    let mut other = client_at(8, address).await;
    assert_eq!(ask(&mut client, "/limited", "").await.0, 200);
    assert_eq!(ask(&mut client, "/limited", "").await.0, 429);
    assert_eq!(ask(&mut other, "/limited", "").await.0, 200);
}

#[tokio::test]
async fn only_a_trusted_proxy_says_who_the_client_is() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let service = Embed::new(gateway(origin.endpoint()))
        .client(peer)
        .trusted_proxies(["127.0.0.1"])
        .via("edge");
    let address = serve(service.service().unwrap()).await;

    let mut proxy = client_at(1, address).await;
    let who = ask(&mut proxy, "/who", CLAIM).await.1;
    assert_eq!(who, "203.0.113.7 127.0.0.1 https");
    assert_eq!(ask(&mut proxy, "/inside", CLAIM).await.0, 404);
    assert_eq!(ask(&mut proxy, "/users", CLAIM).await.0, 200);
    let seen = origin.last();
    let forwarded = seen.head.fields.all("x-forwarded-for");
    assert_eq!(forwarded, ["203.0.113.7, 127.0.0.1"]);
    assert_eq!(seen.field("via"), Some("1.1 edge"));
    proxy.send(head("GET", "/nowhere", "")).await;
    let answer = proxy.response("GET").await.expect(404);
    assert!(answer.field("proxy-status").is_some());
    assert_eq!(ask(&mut proxy, "/users", "Via: 1.1 edge\r\n").await.0, 508);

    let mut other = client_at(2, address).await;
    let who = ask(&mut other, "/who", CLAIM).await.1;
    assert_eq!(who, "127.0.0.2 127.0.0.2 http");
}

#[tokio::test]
async fn nobody_is_trusted_where_the_client_is_unknown() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let claim = [("x-forwarded-for", "203.0.113.7")];
    let embed = || Embed::new(gateway(origin.endpoint())).trusted_proxies(["unix:", "0.0.0.0/0"]);
    let unknown = embed().service().unwrap();
    assert_eq!(call(unknown, request("/who", &claim)).await, "  http");
    assert_eq!(
        call(gateway(origin.endpoint()), request("/who", &claim)).await,
        "  http"
    );
    // One that is known to have no address.
    let socket = embed().client(|_| Client::new(None)).service().unwrap();
    assert_eq!(
        call(socket, request("/who", &claim)).await,
        "203.0.113.7  http"
    );
}

#[tokio::test]
async fn a_client_that_is_known_already_is_not_asked_for() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let known = std::sync::Arc::new(Client::new(Some(([192, 0, 2, 9], 80).into())).over_tls());
    let service = Embed::new(gateway(origin.endpoint()))
        .client(|_| panic!("nobody asks"))
        .service()
        .unwrap();
    let mut request = request("/who", &[]);
    request.extensions_mut().insert(known);
    assert_eq!(call(service, request).await, "192.0.2.9 192.0.2.9 https");
}

#[tokio::test]
async fn a_proxy_before_the_outer_gateway_is_known_to_the_inner_one() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let inner = Embed::new(gateway(origin.endpoint())).trusted_proxies(["127.0.0.1"]);
    let inner = inner.service().unwrap();
    let outer = prox::gateway! { "/" => service(inner) };
    let outer = Embed::new(outer)
        .client(peer)
        .trusted_proxies(["127.0.0.1"])
        .service()
        .unwrap();
    let address = serve(outer).await;
    let mut proxy = client_at(1, address).await;
    let who = ask(&mut proxy, "/who", CLAIM).await.1;
    assert_eq!(who, "203.0.113.7 127.0.0.1 https");
}

#[tokio::test]
async fn all_that_is_wrong_is_said_at_once() {
    let status = 200;
    let broken = prox::gateway! { "/old" => redirect(status, "/new") };
    let error = Embed::new(broken)
        .trusted_proxies(["10.0.0.1/8"])
        .via("two words")
        .service()
        .unwrap_err();
    let error = format!("{error:?}");
    for part in [
        "200",
        "trusted_proxies: \"10.0.0.1/8\"",
        "via: \"two words\"",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

/// A service of tonic's own beside a gateway, in one server of tonic's.
#[tokio::test]
async fn a_gateway_is_the_fallback_of_a_server_of_tonic() {
    let upstream = grpc::Upstream::start().await;
    let url = upstream.endpoint.clone();
    let gateway = prox::gateway! {
        backend calls = cluster(rr, [url]).http2();
        "/test" => calls,
    };
    let own = service_fn(|_: Request<axum::body::Body>| async {
        let status = tonic::Status::already_exists("answered here");
        Ok::<_, std::convert::Infallible>(status.into_http::<axum::body::Body>())
    });
    let router = Router::new()
        .route_service("/own.Service/{*method}", own)
        .fallback_service(Embed::new(gateway).client(peer).service().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = tonic::transport::Server::builder().serve_with_incoming(router, incoming);
    tokio::spawn(server);

    let mut client = grpc::Client::at(address).await;
    let path = "/own.Service/Call";
    let status = client.unary(path, grpc::message("x")).await.unwrap_err();
    assert_eq!(status.message(), "answered here");
    let answer = client.unary("/test/Same", grpc::message("x")).await;
    assert_eq!(answer.unwrap().get_ref(), "x");
    let status = client.unary("/nowhere/Call", grpc::message("x")).await;
    assert_eq!(status.unwrap_err().code(), tonic::Code::Unimplemented);
}
