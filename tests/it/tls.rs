//! TLS with clients: which certificate they get, who they are, and what happens to those that do not speak it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prox::{ClientAuth, Pem, RequestExt, Server, Tls};
use prox_tests::{
    certs::{Authority, Issued, Names},
    gateway::Served,
    origin::{Origin, Reply},
    secure::Dial,
    wait::{eventually, within},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

pub(crate) fn tls(issued: &Issued) -> Tls {
    Tls::from_pem_bytes(issued.certificate.as_bytes(), issued.key.as_bytes())
}

pub(crate) fn more(tls: Tls, issued: &Issued) -> Tls {
    tls.certificate(
        Pem::bytes(issued.certificate.as_bytes()),
        Pem::bytes(issued.key.as_bytes()),
    )
}

fn hello() -> prox::Result<prox::Gateway> {
    prox::gateway! { "/" => respond(200, "hello") }
}

async fn serve(tls: Tls) -> Served {
    Served::with(hello(), |server| server.tls(tls)).await
}

#[tokio::test]
async fn an_upstream_is_told_that_the_client_came_over_https() {
    let authority = Authority::new("authority");
    let origin = Origin::start(Reply::ok("from upstream")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let served = Served::with(gateway, |server| {
        server.tls(tls(&authority.issue(&["shop.test"])))
    })
    .await;
    let dial = Dial::new(&authority, "shop.test");
    let mut client = dial.connect(served.address()).await.unwrap();
    let answer = client.get("shop.test", "/").await.expect(200);
    assert_eq!(answer.text(), "from upstream");
    assert_eq!(origin.last().field("x-forwarded-proto"), Some("https"));
    assert_eq!(origin.last().field("x-forwarded-host"), Some("shop.test"));
    // A connection is kept, as without TLS.
    client.get("shop.test", "/").await.expect(200);
    served.stop().await;
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    const LENGTH: usize = 3 << 20;
    let authority = Authority::new("authority");
    let gateway = prox::gateway! { "/" => respond(200, "x".repeat(LENGTH)) };
    let served = Served::with(gateway, |server| {
        server.tls(tls(&authority.issue(&["shop.test"])))
    })
    .await;
    let dial = Dial::new(&authority, "shop.test");
    let mut client = dial.connect(served.address()).await.unwrap();
    let answer = client.get("shop.test", "/").await.expect(200);
    assert_eq!(answer.body.digest.length(), LENGTH as u64);
}

#[tokio::test]
async fn the_certificate_is_chosen_by_the_name_that_is_asked_for() {
    let authority = Authority::new("authority");
    let first = authority.issue(&["shop.test", "127.0.0.1"]);
    let tenants = authority.issue(&["*.tenants.test"]);
    let exact = authority.issue(&["vip.tenants.test"]);
    let served = serve(more(more(tls(&first), &exact), &tenants)).await;
    for (name, expected) in [
        ("shop.test", &first),
        ("a.tenants.test", &tenants),
        ("A.Tenants.Test", &tenants),
        // Two cover it: the one that was written first.
        ("vip.tenants.test", &exact),
        // An address is no name that can be asked for.
        ("127.0.0.1", &first),
    ] {
        let dial = Dial::new(&authority, name);
        let mut client = dial.connect(served.address()).await.unwrap();
        assert!(client.was_shown(expected), "{name}");
        let host = name.to_ascii_lowercase();
        client.get(&host, "/").await.expect(200);
    }
    for name in ["elsewhere.test", "a.b.tenants.test", "tenants.test"] {
        let dial = Dial::new(&authority, name);
        let error = dial.connect(served.address()).await.unwrap_err();
        assert!(
            error.to_string().contains("not valid for name"),
            "{name}: the first certificate is shown: {error}"
        );
    }
}

#[tokio::test]
async fn a_certificate_without_alternative_names_is_for_its_common_name() {
    let authority = Authority::new("authority");
    let first = authority.issue(&["shop.test"]);
    let old = authority.issue_with(Names {
        common_name: Some("old.test"),
        ..Names::default()
    });
    let served = serve(more(tls(&first), &old)).await;
    // Who verifies accepts no such certificate any more.
    let dial = Dial::anyone("old.test");
    let mut client = dial.connect(served.address()).await.unwrap();
    assert!(client.was_shown(&old));
    client.get("old.test", "/").await.expect(200);
    client.get("shop.test", "/").await.expect(421);
}

#[tokio::test]
async fn a_request_for_a_host_that_the_certificate_does_not_name_is_a_421() {
    let authority = Authority::new("authority");
    let origin = Origin::start(Reply::ok("from upstream")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! {
        host "shop.test" | "a.tenants.test" | "api.test" | "127.0.0.1" { "/" => url.clone() }
        "/" => url.clone(),
    };
    let issued = authority.issue(&["shop.test", "*.tenants.test", "127.0.0.1"]);
    let served = Served::with(gateway, |server| {
        server.tls(more(tls(&issued), &authority.issue(&["api.test"])))
    })
    .await;
    let dial = Dial::new(&authority, "shop.test");
    let mut client = dial.connect(served.address()).await.unwrap();
    // Other hosts of the same certificate may share the connection.
    for host in ["shop.test", "SHOP.test:443", "a.tenants.test", "127.0.0.1"] {
        client.get(host, "/").await.expect(200);
    }
    let count = origin.count();
    for host in ["api.test", "other.test", "b.a.tenants.test", "10.0.0.1"] {
        let answer = client.get(host, "/").await.expect(421);
        assert!(
            !answer.closes(),
            "{host}: the connection is good for its own hosts"
        );
    }
    assert_eq!(origin.count(), count, "no upstream saw them");
    client.get("shop.test", "/").await.expect(200);
}

#[tokio::test]
async fn a_client_that_named_no_host_may_ask_for_any() {
    let authority = Authority::new("authority");
    let issued = authority.issue(&["shop.test", "127.0.0.1"]);
    let served = serve(tls(&issued)).await;
    let dial = Dial::new(&authority, "127.0.0.1");
    let mut client = dial.connect(served.address()).await.unwrap();
    client.get("127.0.0.1", "/").await.expect(200);
    client.get("other.test", "/").await.expect(200);
}

#[tokio::test]
async fn any_host_is_served_when_it_is_told_so() {
    let authority = Authority::new("authority");
    let served = serve(tls(&authority.issue(&["shop.test"])).any_host()).await;
    let dial = Dial::new(&authority, "shop.test");
    let mut client = dial.connect(served.address()).await.unwrap();
    client.get("other.test", "/").await.expect(200);
}

#[tokio::test]
async fn both_versions_are_spoken() {
    let authority = Authority::new("authority");
    let served = serve(tls(&authority.issue(&["shop.test"]))).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let versions: &'static [_] = Box::leak(Box::new([version]));
        let dial = Dial::new(&authority, "shop.test").versions(versions);
        let mut client = dial.connect(served.address()).await.unwrap();
        assert_eq!(client.version, version.version);
        client.get("shop.test", "/").await.expect(200);
    }
}

#[tokio::test]
async fn a_session_is_resumed() {
    let authority = Authority::new("authority");
    let served = serve(tls(&authority.issue(&["shop.test"]))).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let versions: &'static [_] = Box::leak(Box::new([version]));
        let dial = Dial::new(&authority, "shop.test").versions(versions);
        let config = dial.config();
        let mut first = dial
            .connect_with(Arc::clone(&config), served.address())
            .await
            .unwrap();
        assert!(!first.resumed);
        first.get("shop.test", "/").await.expect(200);
        let mut second = dial.connect_with(config, served.address()).await.unwrap();
        assert!(second.resumed, "{version:?}");
        second.get("shop.test", "/").await.expect(200);
        second.get("other.test", "/").await.expect(421);
    }
}

#[tokio::test]
async fn a_protocol_is_agreed_on() {
    let authority = Authority::new("authority");
    let served = serve(tls(&authority.issue(&["shop.test"]))).await;
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let dial = Dial::new(&authority, "shop.test").alpn(offered);
        let mut client = dial.connect(served.address()).await.unwrap();
        assert_eq!(client.alpn.as_deref(), agreed, "{offered:?}");
        if agreed != Some("h2") {
            client.get("shop.test", "/").await.expect(200);
        }
    }
    let stranger = Dial::new(&authority, "shop.test").alpn(&["spdy/1"]);
    stranger.connect(served.address()).await.unwrap_err();
}

#[tokio::test]
async fn each_request_of_http2_is_held_against_the_certificate() {
    let authority = Authority::new("authority");
    let gateway = prox::gateway! { "/" => handler(scheme) };
    let served = Served::with(gateway, |server| {
        server.tls(tls(&authority.issue(&["shop.test", "*.tenants.test"])))
    })
    .await;
    let dial = Dial::new(&authority, "shop.test").alpn(&["h2"]);
    let stream = dial.stream(served.address()).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    for (host, status, said) in [
        ("shop.test", 200, "https"),
        ("other.test", 421, "Misdirected Request"),
        ("a.tenants.test", 200, "https"),
    ] {
        let request = http::Request::get(format!("https://{host}/"));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let answer = within("an answer", client.send_request(request))
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{host}");
        let body = within("a body", answer.into_body().collect())
            .await
            .unwrap();
        assert_eq!(body.to_bytes(), said);
    }
}

async fn scheme(req: prox::Request) -> &'static str {
    req.client().map_or("", prox::Client::scheme)
}

#[tokio::test]
async fn a_client_that_does_not_take_its_response_is_cut_off() {
    const LENGTH: u64 = 64 << 20;
    let authority = Authority::new("authority");
    let origin = Origin::start(Reply::filler(LENGTH, false)).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let served = Served::with(gateway, |server| {
        server
            .tls(tls(&authority.issue(&["shop.test"])))
            .idle_timeout(Duration::from_millis(200))
    })
    .await;
    let dial = Dial::new(&authority, "shop.test");
    let mut stream = dial.stream(served.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        .await
        .unwrap();
    origin.reached(1).await;
    origin.left_alone().await;
    let mut taken = Vec::new();
    // An end without a farewell is an error in TLS: nobody takes the half for the whole.
    let end = within("the end", stream.read_to_end(&mut taken)).await;
    assert!(end.is_err());
    assert!(taken.len() < usize::try_from(LENGTH).unwrap());
}

async fn who(req: prox::Request) -> String {
    match req.client().and_then(|client| client.certificate()) {
        None => "nobody".into(),
        Some(certificate) => format!(
            "{} {:?} {:?} {} {}",
            certificate.subject(),
            certificate.uris().collect::<Vec<_>>(),
            certificate.dns_names().collect::<Vec<_>>(),
            certificate.fingerprint().len(),
            certificate.der().len() > 100,
        ),
    }
}

/// A guard.
fn is_billing(parts: &prox::Parts) -> bool {
    let certificate = parts.client().and_then(|client| client.certificate());
    certificate.is_some_and(|certificate| certificate.common_name() == Some("billing"))
}

fn identities() -> prox::Result<prox::Gateway> {
    prox::gateway! {
        "/" => handler(who),
        "/bills" if is_billing => handler(who),
        "/bills" => respond(403, "not for you"),
    }
}

#[tokio::test]
async fn a_clients_certificate_is_known_to_guards_and_handlers() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let auth = ClientAuth::optional(Pem::bytes(clients.pem()));
    let served = Served::with(identities(), |server| {
        server.tls(tls(&authority.issue(&["shop.test"])).client_auth(auth))
    })
    .await;
    let dial = Dial::new(&authority, "shop.test");

    let mut nobody = dial.connect(served.address()).await.unwrap();
    assert_eq!(
        nobody.get("shop.test", "/").await.expect(200).text(),
        "nobody"
    );
    nobody.get("shop.test", "/bills").await.expect(403);

    let billing = dial.clone().identity(&clients.issue_with(Names {
        common_name: Some("billing"),
        alternatives: vec!["billing.internal", "spiffe://shop/billing"],
        expired: false,
    }));
    let config = billing.config();
    // The second time, the session is resumed, and the client shows nothing again.
    for resumed in [false, true] {
        let connected = billing
            .connect_with(Arc::clone(&config), served.address())
            .await;
        let mut client = connected.unwrap();
        assert_eq!(client.resumed, resumed);
        assert_eq!(
            client.get("shop.test", "/").await.expect(200).text(),
            r#"CN=billing ["spiffe://shop/billing"] ["billing.internal"] 64 true"#
        );
        client.get("shop.test", "/bills").await.expect(200);
    }
}

#[tokio::test]
async fn a_required_certificate_must_be_shown_and_be_of_the_right_authority() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let auth = || ClientAuth::required(Pem::bytes(clients.pem()));
    let issued = authority.issue(&["shop.test"]);
    let served = Served::with(identities(), |server| {
        server.tls(tls(&issued).client_auth(auth()))
    })
    .await;
    let optional = Served::with(identities(), |server| {
        server.tls(tls(&issued).client_auth(ClientAuth::optional(Pem::bytes(clients.pem()))))
    })
    .await;
    let expired = clients.issue_with(Names {
        common_name: Some("billing"),
        alternatives: Vec::new(),
        expired: true,
    });
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let versions: &'static [_] = Box::leak(Box::new([version]));
        let dial = Dial::new(&authority, "shop.test").versions(versions);
        let good = dial.clone().identity(&clients.issue(&["spiffe://shop/a"]));
        let mut client = good.connect(served.address()).await.unwrap();
        client.get("shop.test", "/").await.expect(200);
        let stranger = Authority::new("clients").issue(&["spiffe://shop/a"]);
        for (what, dial, address) in [
            ("none", dial.clone(), served.address()),
            (
                "a stranger's",
                dial.clone().identity(&stranger),
                served.address(),
            ),
            (
                "an old one",
                dial.clone().identity(&expired),
                served.address(),
            ),
            (
                "a stranger's",
                dial.clone().identity(&stranger),
                optional.address(),
            ),
            (
                "an old one",
                dial.clone().identity(&expired),
                optional.address(),
            ),
        ] {
            // In TLS 1.3 a client learns of it with the first answer.
            if let Ok(mut client) = dial.connect(address).await {
                let answer = client.get("shop.test", "/").await;
                assert_eq!(answer.status, 0, "{what}, {version:?}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_speaks_plain_http_gets_no_answer_and_nobody_else_is_hurt() {
    let authority = Authority::new("authority");
    let served = serve(tls(&authority.issue(&["shop.test"]))).await;
    let mut stream = TcpStream::connect(served.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well: the rest of the request was never read.
    let _ = within("the end", stream.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert!(answer.len() <= 7, "an alert at most: {answer:?}");
    let dial = Dial::new(&authority, "shop.test");
    let mut client = dial.connect(served.address()).await.unwrap();
    client.get("shop.test", "/").await.expect(200);
}

/// The first bytes of a handshake: a record of 512 bytes is announced, and does not come.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01";

#[tokio::test]
async fn a_handshake_that_stalls_is_closed_at_the_limit_and_holds_nobody_up() {
    const LIMIT: Duration = Duration::from_millis(300);
    let authority = Authority::new("authority");
    let served = Served::with(hello(), |server| {
        server
            .tls(tls(&authority.issue(&["shop.test"])))
            .tls_handshake_timeout(LIMIT)
            // Which does not hold for a handshake.
            .keep_alive(Duration::from_millis(1))
    })
    .await;
    let began = Instant::now();
    let mut stalled = Vec::new();
    for bytes in [&b""[..], HALF_A_HELLO] {
        let mut stream = TcpStream::connect(served.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stalled.push(stream);
    }
    let dial = Dial::new(&authority, "shop.test");
    let client = dial.connect(served.address()).await;
    assert!(client.is_ok() && began.elapsed() < LIMIT);
    for mut stream in stalled {
        let mut rest = Vec::new();
        within("the server to close", stream.read_to_end(&mut rest))
            .await
            .unwrap();
        assert_eq!(rest, b"");
        assert!(began.elapsed() >= LIMIT);
    }
}

#[tokio::test]
async fn a_handshake_that_is_under_way_is_finished_by_a_drain_and_cut_at_its_end() {
    let authority = Authority::new("authority");
    let mut served = Served::with(hello(), |server| {
        server
            .tls(tls(&authority.issue(&["shop.test"])))
            .drain_timeout(Duration::from_secs(5))
    })
    .await;
    let mut stalled = TcpStream::connect(served.address()).await.unwrap();
    stalled.write_all(HALF_A_HELLO).await.unwrap();
    let slow = TcpStream::connect(served.address()).await.unwrap();
    // Both have been accepted when a third, which came after them, was answered.
    let dial = Dial::new(&authority, "shop.test");
    let mut third = dial.connect(served.address()).await.unwrap();
    third.get("shop.test", "/").await.expect(200);
    let began = Instant::now();
    served.begin_shutdown();
    // Longer than a connection without a request may rest in a drain.
    tokio::time::sleep(Duration::from_millis(800)).await;
    let mut slow = dial
        .connect_over(slow)
        .await
        .expect("a handshake in the drain");
    slow.get("shop.test", "/").await.expect(200);
    let mut rest = Vec::new();
    let _ = within("the cut", stalled.read_to_end(&mut rest)).await;
    assert!(began.elapsed() >= Duration::from_millis(4900));
    eventually("the end of the server", || served.has_ended()).await;
}

#[test]
fn a_server_without_certificates_of_use_does_not_start() {
    let error = Server::new(hello())
        .tls(Tls::from_pem_bytes("", ""))
        .run()
        .unwrap_err();
    assert!(error.is_config());
    assert_eq!(
        error.to_string(),
        "tls: the certificate that was given as text has no certificate in it: it is empty\n\
         tls: the private key that was given as text has no private key in it: it is empty"
    );
}
