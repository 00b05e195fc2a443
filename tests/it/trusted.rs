//! Who the client is: proxies that are trusted, and those that are not.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use prox::{Client, Request, Response, Server};
use prox_tests::{
    client::{RawClient, head},
    gateway::Served,
    origin::{Origin, Reply},
    wait::within,
};
use tokio::net::TcpSocket;

/// A client whose own address is `127.0.0.<last>`.
pub(crate) async fn client_at(last: u8, gateway: SocketAddr) -> RawClient {
    let socket = TcpSocket::new_v4().expect("a socket");
    let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    socket.bind(address).expect("an address of this machine");
    let stream = within("a connection", socket.connect(gateway)).await;
    RawClient::of(stream.expect("the gateway accepts connections"))
}

async fn who(req: Request) -> String {
    let client = req.extensions().get::<Arc<Client>>().expect("a client");
    let peer = client.peer().map(|peer| peer.ip().to_string());
    let ip = client.ip().map(|ip| ip.to_string());
    format!("{} {}", ip.unwrap_or_default(), peer.unwrap_or_default())
}

const FROM_PROXY: &str = "X-Forwarded-For: 6.6.6.6, 203.0.113.7, 127.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.test\r\n";

#[tokio::test]
async fn only_a_trusted_peer_says_who_the_client_is() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url, "/who" => handler(who) };
    let gateway = Served::with(gateway, |server| {
        server.trusted_proxies(["127.0.0.1", "127.9.0.0/16"])
    })
    .await;

    let mut proxy = client_at(1, gateway.address()).await;
    proxy.send(head("GET", "/who", FROM_PROXY)).await;
    assert_eq!(
        proxy.response("GET").await.expect(200).text(),
        "203.0.113.7 127.0.0.1"
    );
    proxy.send(head("GET", "/", FROM_PROXY)).await;
    proxy.response("GET").await.expect(200);
    let seen = origin.last();
    assert_eq!(
        seen.head.fields.all("x-forwarded-for"),
        ["203.0.113.7, 127.9.9.9, 127.0.0.1"]
    );
    assert_eq!(seen.head.fields.all("x-forwarded-proto"), ["https"]);
    assert_eq!(seen.head.fields.all("x-forwarded-host"), ["shop.test"]);
    // The next request on the connection is another client's.
    proxy
        .send(head("GET", "/who", "X-Forwarded-For: 203.0.113.8\r\n"))
        .await;
    assert_eq!(
        proxy.response("GET").await.expect(200).text(),
        "203.0.113.8 127.0.0.1"
    );
    proxy.send(head("GET", "/who", "")).await;
    assert_eq!(
        proxy.response("GET").await.expect(200).text(),
        "127.0.0.1 127.0.0.1"
    );

    let mut stranger = client_at(2, gateway.address()).await;
    stranger.send(head("GET", "/who", FROM_PROXY)).await;
    assert_eq!(
        stranger.response("GET").await.expect(200).text(),
        "127.0.0.2 127.0.0.2"
    );
    stranger.send(head("GET", "/", FROM_PROXY)).await;
    stranger.response("GET").await.expect(200);
    let seen = origin.last();
    assert_eq!(seen.head.fields.all("x-forwarded-for"), ["127.0.0.2"]);
    assert_eq!(seen.head.fields.all("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.head.fields.all("x-forwarded-host"), ["gateway.test"]);
}

#[tokio::test]
async fn only_a_trusted_peer_is_told_what_has_failed() {
    let refused = prox_tests::ports::Refused::new();
    let origin = Origin::start(Reply::status(502, &[("Proxy-Status", "inner")], "")).await;
    let (gone, url) = (refused.endpoint(), origin.endpoint());
    let gateway = prox::gateway! { "/gone" => gone, "/here" => url };
    let gateway = Served::with(gateway, |server| server.trusted_proxies(["127.0.0.1"])).await;
    let mut proxy = client_at(1, gateway.address()).await;
    let mut stranger = client_at(2, gateway.address()).await;
    for (target, status, said) in [
        (
            "/gone",
            502,
            "prox; error=connection_refused; details=\"connect\"",
        ),
        (
            "/nowhere",
            404,
            "prox; error=destination_not_found; details=\"no_route\"",
        ),
        // What an upstream says is no failure of the gateway.
        ("/here", 502, "inner"),
    ] {
        let answer = proxy.get(target).await.expect(status);
        assert_eq!(answer.head.fields.all("proxy-status"), [said]);
        let answer = stranger.get(target).await.expect(status);
        assert!(
            answer
                .field("proxy-status")
                .is_none_or(|said| said == "inner")
        );
    }
}

#[tokio::test]
async fn guards_and_limits_see_the_client_behind_the_proxy() {
    use prox::middleware::RateLimit;

    let gateway = prox::gateway! {
        "/" if client_ip().within("203.0.113.0/24") => respond(200, "inside"),
        "/" => respond(200, "outside"),
        "/limited" => respond(200, "ok") with [RateLimit::per_minute(1)],
    };
    let gateway = Served::with(gateway, |server| server.trusted_proxies(["127.0.0.1"])).await;
    let mut proxy = gateway.client().await;
    for (client, target, status) in [
        ("203.0.113.7", "/", 200),
        ("203.0.113.7", "/limited", 200),
        ("203.0.113.7", "/limited", 429),
        ("203.0.113.8", "/limited", 200),
    ] {
        let line = format!("X-Forwarded-For: {client}\r\n");
        proxy.send(head("GET", target, &line)).await;
        let answer = proxy.response("GET").await.expect(status);
        assert!(target != "/" || answer.text() == "inside");
    }
    proxy
        .send(head("GET", "/", "X-Forwarded-For: 198.51.100.1\r\n"))
        .await;
    assert_eq!(proxy.response("GET").await.text(), "outside");
}

#[tokio::test]
async fn the_same_holds_for_each_stream_of_http_2() {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let gateway = prox::gateway! { "/" => handler(who) };
    let gateway = Served::with(gateway, |server| server.trusted_proxies(["127.0.0.1"])).await;
    let stream = tokio::net::TcpStream::connect(gateway.address())
        .await
        .unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    for ip in ["203.0.113.7", "203.0.113.8"] {
        let request = http::Request::get("http://gateway.test/")
            .header("x-forwarded-for", ip)
            .body(Empty::<bytes::Bytes>::new())
            .unwrap();
        let response = within("a response", sender.send_request(request))
            .await
            .unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("{ip} 127.0.0.1"));
    }
}

#[tokio::test]
async fn forwarded_is_written_on_request() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => cluster(rr, [url]).forwarded() };
    let gateway = Served::with(gateway, |server| server.trusted_proxies(["127.0.0.1"])).await;
    for (last, lines, forwarded) in [
        (1, "", "for=127.0.0.1;host=gateway.test;proto=http"),
        (
            1,
            "Forwarded: for=\"[2001:db8::7]:80\";proto=https;host=\"shop.test:8443\"\r\n",
            "for=\"[2001:db8::7]\";host=\"shop.test:8443\";proto=https, for=127.0.0.1",
        ),
        (
            1,
            FROM_PROXY,
            "for=127.9.9.9;host=shop.test;proto=https, for=127.0.0.1",
        ),
        (
            2,
            "Forwarded: for=6.6.6.6;by=7.7.7.7\r\nForwarded: for=8.8.8.8\r\n",
            "for=127.0.0.2;host=gateway.test;proto=http",
        ),
    ] {
        let mut client = client_at(last, gateway.address()).await;
        client.send(head("GET", "/", lines)).await;
        client.response("GET").await.expect(200);
        assert_eq!(
            origin.last().head.fields.all("forwarded"),
            [forwarded],
            "{lines}"
        );
    }
}

#[tokio::test]
async fn a_request_that_comes_round_is_refused() {
    let origin = Origin::start(Reply::status(200, &[("Via", "1.0 origin")], "ok")).await;
    let url = origin.endpoint();
    let gateway = Served::with(prox::gateway! { "/" => url }, |server| server.via("edge")).await;
    let mut client = gateway.client().await;
    // A list in `Connection` must not take the mark away.
    client
        .send(head("GET", "/", "Via: 1.1 other\r\nConnection: via\r\n"))
        .await;
    let answer = client.response("GET").await.expect(200);
    assert_eq!(answer.head.fields.all("via"), ["1.0 origin", "1.1 edge"]);
    assert_eq!(
        origin.last().head.fields.all("via"),
        ["1.1 other", "1.1 edge"]
    );

    let before = origin.count();
    client
        .send(head("GET", "/", "Via: 1.1 other, 1.1 EDGE (x)\r\n"))
        .await;
    let answer = client.response("GET").await.expect(508);
    assert_eq!(answer.text(), "Loop Detected");
    client.get("/").await.expect(200);
    assert_eq!(origin.count(), before + 1);
}

#[tokio::test]
async fn a_gateway_that_is_its_own_upstream_ends_the_circle() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let itself: prox::Endpoint = format!("http://{address}").parse().unwrap();
    let gateway = prox::gateway! { "/" => itself }.unwrap();
    tokio::spawn(Server::new(gateway).listener(listener).via("edge").serve());
    prox_tests::client::get(address, "/").await.expect(508);
}

#[tokio::test]
async fn whatever_is_wrong_with_the_proxies_is_said_at_once() {
    let error = Server::new(prox::gateway! { "/" => respond(200, "") })
        .address((IpAddr::V4(Ipv4Addr::LOCALHOST), 0).into())
        .trusted_proxies(["10.0.0.1/8", "::1", "lb.local"])
        .proxy_protocol([String::from("10.0.0.0/99")])
        .via("a name")
        .check()
        .unwrap_err();
    let text = format!("{error:?}");
    assert_eq!(text.lines().count(), 4, "{text}");
    for part in [
        "trusted_proxies: \"10.0.0.1/8\"",
        "write \"10.0.0.0/8\"",
        "trusted_proxies: \"lb.local\"",
        "proxy_protocol: \"10.0.0.0/99\"",
        "via: \"a name\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(error.is_config());
}

#[tokio::test]
async fn a_request_for_the_server_itself_is_answered_by_it() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client.request("OPTIONS", "*").await;
    let answer = client.response("OPTIONS").await.expect(200);
    assert_eq!(answer.field("content-length"), Some("0"));
    for (method, target) in [("GET", "*"), ("OPTIONS", "*/x")] {
        let mut client = gateway.client().await;
        client.request(method, target).await;
        client.response(method).await.expect(400);
    }
    client
        .send("OPTIONS * HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        .await;
    client.response("OPTIONS").await.expect(400);
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn who_is_not_known_is_told_how_to_say_who_it_is() {
    async fn login(_: Request) -> Response {
        prox::IntoResponse::into_response(prox::Failure::Unauthenticated)
    }
    let gateway = Served::start(prox::gateway! { "/" => handler(login) }).await;
    let answer = gateway.get("/").await.expect(401);
    assert_eq!(answer.field("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn a_client_that_has_said_all_is_answered_where_the_server_is_told_so() {
    let reply = || {
        Reply::new()
            .pause(std::time::Duration::from_millis(50))
            .head(200, &[], "Content-Length: 2")
            .write("ok")
    };
    let origin = Origin::start(reply()).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, Server::half_close).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    client.half_close().await;
    assert_eq!(client.response("GET").await.expect(200).text(), "ok");
    client.closed().await;
}

#[tokio::test]
async fn a_client_that_has_said_all_counts_as_gone_by_default() {
    let origin = Origin::start(Reply::new().stall()).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    origin.reached(1).await;
    client.half_close().await;
    origin.left_alone().await;
}
