//! TLS with upstreams: whom the gateway believes, what it says of itself, and what becomes of what fails.

use std::time::Duration;

use prox::{Cluster, Endpoint, Failure, Gateway, Pem, UpstreamTls};
use prox_tests::{
    certs::{Authority, Folder, Issued, Names},
    client::{Speaks, body},
    gateway::Served,
    origin::{Accept, Origin, Reply},
    secure::Front,
    service::ServiceOrigin,
    wire::End,
};
use tokio::{io::AsyncWriteExt, net::TcpListener, task::JoinSet};
use tower::ServiceExt;

/// Long enough for what was written before to arrive.
const SHORT: Duration = Duration::from_millis(100);

/// An origin with TLS in front of it.
struct Upstream {
    origin: Origin,
    front: Front,
}

impl Upstream {
    async fn start(issued: &Issued, clients: Option<&Authority>) -> Self {
        let origin = Origin::start(Reply::ok("secret")).await;
        let front = Front::start(origin.address(), issued, clients).await;
        Self { origin, front }
    }

    fn url(&self, host: &str) -> Endpoint {
        let port = self.front.address().port();
        let url = format!("https://{host}:{port}/base");
        url.parse().expect("an endpoint")
    }
}

fn trusting(authority: &Authority) -> UpstreamTls {
    UpstreamTls::new().roots(Pem::bytes(authority.pem()))
}

fn gateway(url: Endpoint, tls: UpstreamTls) -> Gateway {
    prox::gateway! { "/" => cluster(rr, [url]).tls(tls) }.expect("a gateway that can start")
}

/// The status and the failure that a request gets.
async fn failure_of(gateway: &Gateway) -> (u16, Option<Failure>) {
    let request = http::Request::get("http://shop.test/").header("host", "shop.test");
    let request = request.body(prox::Body::empty()).expect("a request");
    let response = gateway.clone().oneshot(request).await.unwrap();
    let failure = response.extensions().get::<Failure>().copied();
    (response.status().as_u16(), failure)
}

const REFUSED: (u16, Option<Failure>) = (502, Some(Failure::Tls));

#[tokio::test]
async fn an_upstream_is_believed_by_its_roots_and_its_name() {
    let authority = Authority::new("authority");
    let upstream = Upstream::start(&authority.issue(&["localhost"]), None).await;
    let gateway = gateway(upstream.url("localhost"), trusting(&authority));
    let served = Served::start(gateway).await;
    let mut client = served.client().await;
    for _ in 0..3 {
        assert_eq!(client.get("/x").await.expect(200).text(), "secret");
    }
    let seen = upstream.origin.last();
    assert_eq!(seen.target(), "/base/x");
    let authority = format!("localhost:{}", upstream.front.address().port());
    assert_eq!(seen.field("host"), Some(&*authority));
    assert_eq!(seen.field("x-forwarded-proto"), Some("http"));
    let handshakes = upstream.front.handshakes();
    assert_eq!(handshakes.len(), 1, "the connection is kept");
    assert_eq!(handshakes[0].sni.as_deref(), Some("localhost"));
    assert_eq!(handshakes[0].alpn.as_deref(), Some("http/1.1"));
    assert_eq!(handshakes[0].client, None);
}

#[tokio::test]
async fn an_upstream_that_is_not_who_it_should_be_is_a_502() {
    let (authority, stranger) = (Authority::new("authority"), Authority::new("authority"));
    let good = authority.issue(&["localhost"]);
    let expired = authority.issue_with(Names {
        alternatives: vec!["localhost"],
        expired: true,
        ..Names::default()
    });
    for (what, issued, host, tls) in [
        ("another authority", &good, "localhost", trusting(&stranger)),
        (
            "the roots of this machine",
            &good,
            "localhost",
            machine(&stranger),
        ),
        ("another name", &good, "127.0.0.1", trusting(&authority)),
        (
            "another name is expected",
            &good,
            "localhost",
            trusting(&authority).sni("other.test"),
        ),
        ("out of date", &expired, "localhost", trusting(&authority)),
    ] {
        let upstream = Upstream::start(issued, None).await;
        let gateway = gateway(upstream.url(host), tls);
        assert_eq!(failure_of(&gateway).await, REFUSED, "{what}");
        assert_eq!(upstream.origin.count(), 0, "{what}");
    }
}

/// Without roots of one's own there must be some on the machine; where there are none, others are as good for the test.
fn machine(other: &Authority) -> UpstreamTls {
    let url: Endpoint = "https://localhost".parse().expect("an endpoint");
    match prox::gateway! { "/" => url } {
        Ok(_) => UpstreamTls::new(),
        Err(error) => {
            assert!(error.to_string().contains("ca-certificates"), "{error}");
            trusting(other)
        }
    }
}

#[tokio::test]
async fn another_name_may_be_expected_and_an_address_is_not_asked_for() {
    let authority = Authority::new("authority");
    let issued = authority.issue(&["users.internal", "127.0.0.1"]);
    let upstream = Upstream::start(&issued, None).await;
    let named = gateway(
        upstream.url("127.0.0.1"),
        trusting(&authority).sni("users.internal"),
    );
    assert_eq!(failure_of(&named).await, (200, None));
    let address = gateway(upstream.url("127.0.0.1"), trusting(&authority));
    assert_eq!(failure_of(&address).await, (200, None));
    let asked: Vec<_> = upstream
        .front
        .handshakes()
        .into_iter()
        .map(|seen| seen.sni)
        .collect();
    assert_eq!(asked, [Some("users.internal".to_owned()), None]);
}

#[tokio::test]
async fn a_certificate_that_an_upstream_has_signed_itself_may_be_its_root() {
    let issued = Issued::self_signed("localhost");
    let upstream = Upstream::start(&issued, None).await;
    let tls = UpstreamTls::new().roots(Pem::bytes(issued.certificate));
    let gateway = gateway(upstream.url("localhost"), tls);
    assert_eq!(failure_of(&gateway).await, (200, None));
}

#[tokio::test]
async fn whoever_answers_is_believed_only_when_the_danger_was_named() {
    let authority = Authority::new("authority");
    let expired = authority.issue_with(Names {
        alternatives: vec!["other.test"],
        expired: true,
        ..Names::default()
    });
    let upstream = Upstream::start(&expired, None).await;
    let gateway = gateway(
        upstream.url("localhost"),
        UpstreamTls::new().danger_accept_invalid_certs(),
    );
    assert_eq!(failure_of(&gateway).await, (200, None));
}

#[tokio::test]
async fn an_upstream_that_asks_for_a_certificate_gets_it() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let upstream = Upstream::start(&authority.issue(&["localhost"]), Some(&clients)).await;
    let own = clients.issue(&["spiffe://shop/gateway"]);
    let with = |issued: &Issued| {
        let (certificate, key) = (issued.certificate.clone(), issued.key.clone());
        trusting(&authority).client_certificate(Pem::bytes(certificate), Pem::bytes(key))
    };
    let known = gateway(upstream.url("localhost"), with(&own));
    assert_eq!(failure_of(&known).await, (200, None));
    assert!(upstream.front.handshakes()[0].client.is_some());
    // Who shows none, or another, is refused; in TLS 1.3 after the handshake.
    let unknown = gateway(upstream.url("localhost"), trusting(&authority));
    assert_eq!(failure_of(&unknown).await, REFUSED);
    let stranger = Authority::new("clients").issue(&["spiffe://shop/gateway"]);
    let stranger = gateway(upstream.url("localhost"), with(&stranger));
    assert_eq!(failure_of(&stranger).await, REFUSED);
    assert_eq!(upstream.origin.count(), 1);
}

#[tokio::test]
async fn an_upstream_that_speaks_no_tls_is_a_502_and_the_next_one_is_asked() {
    let authority = Authority::new("authority");
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let _plain = JoinSet::from_iter([async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    }]);
    let wrong: Endpoint = format!("https://{address}").parse().unwrap();
    let alone = gateway(wrong.clone(), trusting(&authority));
    assert_eq!(failure_of(&alone).await, REFUSED);

    let upstream = Upstream::start(&authority.issue(&["localhost"]), None).await;
    let right = upstream.url("localhost");
    let both = prox::gateway! { "/" => cluster(rr, [wrong, right]).tls(trusting(&authority)) };
    let both = both.unwrap();
    for _ in 0..4 {
        assert_eq!(
            failure_of(&both).await,
            (200, None),
            "nothing was sent to the first"
        );
    }
}

#[tokio::test]
async fn a_body_that_ends_without_a_farewell_is_not_whole() {
    let authority = Authority::new("authority");
    let upstream = Upstream::start(&authority.issue(&["localhost"]), None).await;
    // Its end is told by the end of the connection, which anybody between can bring about.
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf";
    let served = Served::start(gateway(upstream.url("localhost"), trusting(&authority))).await;
    upstream.origin.once([Reply::new().write(head).close()]);
    let whole = served.get("/").await;
    assert_eq!(
        (whole.text(), whole.body.end),
        ("half".into(), End::Complete)
    );
    upstream
        .origin
        .once([Reply::new().write(head).pause(SHORT).reset()]);
    let half = served.get("/").await;
    assert_eq!((half.text(), half.body.end), ("half".into(), End::Cut));
}

#[tokio::test]
async fn a_handshake_is_part_of_the_connect_timeout() {
    let origin = Origin::start(Reply::ok("never")).await;
    origin.accepts(Accept::Ignore);
    let url: Endpoint = format!("https://{}", origin.address()).parse().unwrap();
    let tls = UpstreamTls::new().danger_accept_invalid_certs();
    let limit = Duration::from_millis(150);
    let gateway = prox::gateway! { "/" => cluster(rr, [url]).tls(tls).connect_timeout(limit) };
    let failure = failure_of(&gateway.unwrap()).await;
    assert_eq!(failure, (504, Some(Failure::ConnectTimeout)));
}

#[tokio::test]
async fn endpoints_with_and_without_tls_may_stand_side_by_side() {
    let authority = Authority::new("authority");
    let upstream = Upstream::start(&authority.issue(&["localhost"]), None).await;
    let (secure, plain) = (upstream.url("localhost"), upstream.origin.endpoint());
    let tls = trusting(&authority);
    let gateway = prox::gateway! { "/" => cluster(rr, [secure, plain]).tls(tls) }.unwrap();
    for _ in 0..4 {
        assert_eq!(failure_of(&gateway).await, (200, None));
    }
    let targets: Vec<String> = upstream
        .origin
        .requests()
        .iter()
        .map(|seen| seen.target().into())
        .collect();
    assert_eq!(targets, ["/base/", "/", "/base/", "/"]);
}

#[test]
fn everything_that_is_wrong_with_a_backend_is_said_at_the_start() {
    fn told(tls: UpstreamTls, url: &'static str) -> String {
        let url: Endpoint = url.parse().unwrap();
        let gateway: prox::Result<Gateway> = prox::gateway! {
            backend users = cluster(rr, [url]).tls(tls);
            "/" => users,
        };
        gateway.unwrap_err().to_string()
    }
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    let issued = authority.issue(&["gateway.test"]);
    let certificate = folder.write("gateway.pem", &issued.certificate);
    let wrong = folder.write("wrong.key", authority.issue(&["gateway.test"]).key);
    let error = told(
        UpstreamTls::new()
            .sni("no name")
            .roots("/nowhere/ca.pem")
            .client_certificate(certificate, wrong),
        "https://users.internal",
    );
    assert!(error.contains("backend `users`: "), "{error}");
    assert!(
        error.contains("the name \"no name\" of `.sni(..)` is no host"),
        "{error}"
    );
    assert!(
        error.contains("/nowhere/ca.pem cannot be read as a list of roots"),
        "{error}"
    );
    assert!(error.contains("wrong.key is not the key of"), "{error}");

    let useless = told(trusting(&authority), "http://users.internal");
    assert!(useless.contains("no endpoint is https"), "{useless}");
    let nameless = told(trusting(&authority), "https://-users-");
    assert!(
        nameless.contains("\"-users-\" cannot be in a certificate"),
        "{nameless}"
    );
}

#[test]
fn a_literal_https_upstream_compiles_and_is_told_as_it_was_written() {
    let authority = Authority::new("authority");
    let tls = UpstreamTls::new().roots(Pem::bytes(authority.pem()));
    let gateway = prox::gateway! {
        backend users = cluster(rr, ["https://users.internal/v1"]).tls(tls);
        "/" => users,
    };
    let gateway = gateway.unwrap();
    let users: &Cluster = gateway.backend("users").unwrap();
    let endpoint = users.endpoints().next().unwrap();
    assert_eq!(endpoint.to_string(), "https://users.internal/v1");
    assert_eq!((endpoint.port(), endpoint.is_secure()), (443, true));
}

#[tokio::test]
async fn an_upstream_that_may_speak_http2_and_does_not_is_spoken_to_in_http_1_1() {
    let authority = Authority::new("authority");
    let issued = authority.issue(&["localhost"]);
    for protocols in [&["http/1.1"][..], &[]] {
        let origin = Origin::start(Reply::ok("in HTTP/1.1")).await;
        let front = Front::speaking(protocols, origin.address(), &issued, None).await;
        let url: Endpoint = format!("https://localhost:{}", front.address().port())
            .parse()
            .expect("an endpoint");
        let tls = trusting(&authority);
        let gateway = prox::gateway! { "/" => cluster(rr, [url]).http2().tls(tls) };
        let gateway = Served::start(gateway).await;
        let mut client = gateway.client().await;
        for _ in 0..3 {
            assert_eq!(client.get("/x").await.expect(200).text(), "in HTTP/1.1");
        }
        assert_eq!(origin.last().head.start, "GET /x HTTP/1.1");
        assert_eq!(
            client.post("/x", "body").await.expect(200).text(),
            "in HTTP/1.1"
        );
        let handshakes = front.handshakes();
        assert_eq!(handshakes.len(), 1, "the connection is kept");
        assert_eq!(handshakes[0].alpn.as_deref(), protocols.first().copied());
    }
}

#[tokio::test]
async fn an_upstream_that_may_speak_http2_and_does_is_spoken_to_in_it() {
    let authority = Authority::new("authority");
    let issued = authority.issue(&["localhost"]);
    let origin = ServiceOrigin::start(Speaks::Http2, |request| async move {
        let version = format!("{:?}", request.version());
        Ok(http::Response::new(body(http_body_util::Full::from(
            version,
        ))))
    })
    .await;
    let address = origin.address();
    let front = Front::speaking(&["h2", "http/1.1"], address, &issued, None).await;
    let url: Endpoint = format!("https://localhost:{}", front.address().port())
        .parse()
        .expect("an endpoint");
    let tls = trusting(&authority);
    let gateway = prox::gateway! { "/" => cluster(rr, [url]).http2().tls(tls) };
    let gateway = Served::start(gateway).await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/").await.expect(200).text(), "HTTP/2.0");
    }
    assert_eq!(front.handshakes().len(), 1, "the connection is shared");
    assert_eq!(front.handshakes()[0].alpn.as_deref(), Some("h2"));
}
