//! WebSockets through each authenticator, of clients of HTTP/1.1 and of HTTP/2: who is let in has a tunnel, and who is not has a
//! refusal that the upstream never hears of.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use http::{HeaderName, HeaderValue, StatusCode};
use hyper_util::rt::TokioIo;
use prox::{
    ClientAuth, Pem,
    middleware::{
        ApiKeys, AuthenticateExt, Basic, ClientCerts, ForwardAuth, IdentityHeaders, Introspect, Jwt,
    },
    testing::Issuer,
};
use prox_tests::{
    certs::{Authority, Names},
    client::head,
    gateway::Served,
    origin::{Origin, Reply, Seen},
    secure::Dial,
    wait::within,
    wire::{Head, Reader},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, split},
    net::TcpStream,
};

use crate::{
    authenticators::file,
    introspection,
    tls::tls,
    upgrade_http2::{Sender, accept, client, client_over, extended, send},
    upgrades::{Upstream, WEBSOCKET, expect, expect_end, write},
};

/// What upstreams get of a request that is let in.
const ROOM: &str = "/chat?room=1";

type Field = (&'static str, String);

/// What an authenticator lets in and refuses.
struct Door {
    name: &'static str,
    right: Asked,
    wrong: Vec<(Asked, u16)>,
    /// The caller as upstreams see it.
    user: &'static str,
}

/// The target and a field of a request.
#[derive(Clone)]
struct Asked(String, Option<Field>);

fn with(name: &'static str, value: impl Into<String>) -> Asked {
    Asked(ROOM.into(), Some((name, value.into())))
}

fn without() -> Asked {
    Asked(ROOM.into(), None)
}

fn at(target: impl Into<String>) -> Asked {
    Asked(target.into(), None)
}

/// Agrees to the next request.
async fn agree(upstream: &Upstream) -> (Head, Reader<TcpStream>) {
    let (head, mut server) = upstream.request().await;
    let key = head.fields.first("sec-websocket-key").unwrap();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\nhello",
        accept(key)
    );
    write(server.stream(), answer).await;
    (head, server)
}

/// Words both ways through a tunnel, and its end.
async fn converse<R, W>(reader: R, mut writer: W, server: &mut Reader<TcpStream>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut reader = Reader::new(reader);
    expect(&mut reader, "hello").await;
    talk(&mut reader, &mut writer, server).await;
}

async fn talk<R, W>(reader: &mut Reader<R>, writer: &mut W, server: &mut Reader<TcpStream>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    write(writer, "ping").await;
    writer.flush().await.unwrap();
    expect(server, "ping").await;
    write(server.stream(), "pong").await;
    expect(reader, "pong").await;
    writer.shutdown().await.unwrap();
    expect_end(server).await;
}

/// Lines of a request for a WebSocket over HTTP/1.1. The client claims to be another caller.
fn lines(asked: &Asked) -> String {
    let Asked(target, field) = asked;
    let field = field.as_ref();
    let field = field.map_or(String::new(), |(name, value)| {
        format!("{name}: {value}\r\n")
    });
    head(
        "GET",
        target,
        &format!("{WEBSOCKET}X-User: mallory\r\n{field}"),
    )
}

async fn over_http1(door: &Door, gateway: &Served, upstream: &Upstream) {
    let name = door.name;
    let mut client = gateway.client().await;
    for (wrong, status) in &door.wrong {
        client.send(lines(wrong)).await;
        let answer = client.response("GET").await;
        assert_eq!(answer.status, *status, "{name}: {}", wrong.0);
        assert_eq!(answer.field("upgrade"), None, "{name}");
    }
    // On the same connection, which no refusal has harmed.
    client.send(lines(&door.right)).await;
    let (seen, mut server) = agree(upstream).await;
    judge(door, &seen);
    assert_eq!(client.response_head().await.status, 101, "{name}");
    let (mut reader, mut writer) = client.into_halves();
    expect(&mut reader, "hello").await;
    talk(&mut reader, &mut writer, &mut server).await;
}

/// The same request as an extended `CONNECT`.
fn stream(asked: &Asked) -> http::Request<http_body_util::Empty<bytes::Bytes>> {
    let Asked(target, field) = asked;
    let mut request = extended("websocket");
    *request.uri_mut() = format!("http://gateway.test{target}").parse().unwrap();
    let fields = request.headers_mut();
    fields.insert("x-user", HeaderValue::from_static("mallory"));
    if let Some((name, value)) = field {
        let name = HeaderName::from_static(name);
        fields.insert(name, value.parse().unwrap());
    }
    request
}

async fn over_http2(door: &Door, sender: &mut Sender, upstream: &Upstream) {
    let name = door.name;
    for (wrong, status) in &door.wrong {
        let answer = send(sender, stream(wrong)).await;
        assert_eq!(answer.status(), *status, "{name}: {}", wrong.0);
    }
    let (answer, (seen, mut server)) =
        tokio::join!(send(sender, stream(&door.right)), agree(upstream));
    judge(door, &seen);
    assert_eq!(answer.status(), StatusCode::OK, "{name}");
    let tunnel = within("the stream", hyper::upgrade::on(answer)).await;
    let (reader, writer) = split(TokioIo::new(tunnel.unwrap()));
    converse(reader, writer, &mut server).await;
}

/// The first request that the upstream has heard of is that of the caller who was let in.
fn judge(door: &Door, seen: &Head) {
    let name = door.name;
    assert_eq!(seen.start, format!("GET {ROOM} HTTP/1.1"), "{name}");
    assert_eq!(seen.fields.all("upgrade"), ["websocket"], "{name}");
    assert_eq!(seen.fields.all("x-user"), [door.user], "{name}");
}

/// Checks a door before a gateway with its authenticator.
macro_rules! check {
    ($door:expr, $auth:expr) => {{
        let upstream = Upstream::start().await;
        let (url, auth) = (upstream.endpoint(), $auth);
        let gateway = Served::start(prox::gateway! {
            require auth;
            "/" => url with [auth, IdentityHeaders::new().subject("x-user")],
        })
        .await;
        let door = $door;
        over_http1(&door, &gateway, &upstream).await;
        over_http2(&door, &mut client(&gateway).await, &upstream).await;
    }};
}

fn door(name: &'static str, right: Asked, wrong: &[Asked]) -> Door {
    let wrong = wrong.iter().cloned().map(|asked| (asked, 401));
    Door {
        name,
        right,
        wrong: wrong.collect(),
        user: "ada",
    }
}

#[tokio::test]
async fn a_websocket_needs_a_password_or_a_key() {
    // ada:open sesame, and ada:wrong
    let (right, wrong) = ("Basic YWRhOm9wZW4gc2VzYW1l", "Basic YWRhOndyb25n");
    let basic = || Basic::htpasswd(file("htpasswd/bcrypt.txt"));
    let wrong = with("authorization", wrong);
    check!(
        door(
            "Basic",
            with("authorization", right),
            &[without(), wrong.clone()],
        ),
        basic()
    );
    let keys = || ApiKeys::file(file("keys.txt"));
    let key = "test-key-of-acme";
    let of_acme = |name, right, wrong| Door {
        user: "acme",
        ..door(name, right, &[without(), wrong])
    };
    check!(
        of_acme(
            "ApiKeys",
            with("x-api-key", key),
            with("x-api-key", "wrong"),
        ),
        keys()
    );
    check!(
        of_acme(
            "ApiKeys by query",
            at(format!("{ROOM}&key={key}")),
            at(format!("{ROOM}&key=wrong")),
        ),
        keys().query("key")
    );
    check!(
        of_acme("ApiKeys or Basic", with("x-api-key", key), wrong),
        basic().or(keys())
    );
}

#[tokio::test]
async fn a_websocket_needs_a_token() {
    let issuer = Issuer::start().await.unwrap();
    let auth = || Jwt::issuer(issuer.url()).audience("shop");
    let right = issuer.token("ada").audience("shop").sign();
    let wrong = issuer.token("ada").audience("stock").sign();
    let late = issuer.token("ada").audience("shop").expires_in(-100).sign();
    let bearer = |token: &str| with("authorization", format!("Bearer {token}"));
    check!(
        door(
            "Jwt",
            bearer(&right),
            &[without(), bearer(&wrong), bearer(&late)],
        ),
        auth()
    );
    // A browser cannot set fields of a WebSocket. What it has is the query and cookies.
    let query = |token: &str| at(format!("{ROOM}&access_token={token}"));
    check!(
        door(
            "Jwt by query",
            query(&right),
            &[without(), bearer(&right), query(&wrong)],
        ),
        auth().query("access_token")
    );
    let cookie = |token: &str| with("cookie", format!("session={token}"));
    check!(
        door("Jwt by cookie", cookie(&right), &[without(), cookie(&late)]),
        auth().cookie("session")
    );
}

#[tokio::test]
async fn a_websocket_needs_a_token_that_its_issuer_knows() {
    let (issuer, asked) = introspection::issuer().await;
    let auth = Introspect::new(introspection::endpoint(&issuer))
        .client("shop", introspection::secret())
        .audience("shop");
    let bearer = |token: &str| with("authorization", format!("Bearer {token}"));
    let mut door = door(
        "Introspect",
        bearer("ada"),
        &[without(), bearer("mallory"), bearer("stock")],
    );
    door.wrong.push((bearer("odd"), 503));
    check!(door, auth);
    assert!(
        asked
            .lock()
            .unwrap()
            .iter()
            .all(|line| line == "POST /introspect")
    );
}

/// A service that knows one session, and sends other people to a page.
fn verify(seen: &Seen) -> Reply {
    match seen.field("cookie") {
        Some("session=1") => {
            let fields = [("remote-user", "ada"), ("set-cookie", "session=2")];
            Reply::status(200, &fields, "")
        }
        Some("session=down") => Reply::status(500, &[], ""),
        Some(_) => Reply::status(403, &[], "no"),
        None => Reply::status(302, &[("location", "https://login.test/")], ""),
    }
}

#[tokio::test]
async fn a_websocket_passes_if_a_service_says_so() {
    let service = Origin::with(verify).await;
    let auth = ForwardAuth::new(service.endpoint())
        .uri("/verify")
        .copy(["remote-user"])
        .subject("remote-user")
        .cookies();
    let session = |value: &str| with("cookie", format!("session={value}"));
    let mut door = door("ForwardAuth", session("1"), &[]);
    door.wrong = vec![
        (without(), 302),
        (session("3"), 403),
        (session("down"), 503),
    ];
    check!(door, auth.clone());
    for seen in service.requests() {
        // An ordinary request, about an ordinary request.
        assert_eq!((seen.method(), seen.target()), ("GET", "/verify"));
        for name in ["upgrade", "content-length", "transfer-encoding"] {
            assert!(seen.lacks(name), "{name}");
        }
        assert_ne!(seen.field("connection"), Some("upgrade"));
        assert_eq!(seen.field("x-forwarded-method"), Some("GET"));
        assert_eq!(seen.field("x-forwarded-uri"), Some(ROOM));
        assert_eq!(seen.field("sec-websocket-version"), Some("13"));
    }
    assert_eq!(service.count(), 8);

    // What the service adds for the client is on the answer that begins the tunnel.
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url with [auth] }).await;
    let mut client = gateway.client().await;
    client.send(lines(&session("1"))).await;
    let _server = agree(&upstream).await;
    let answer = client.response_head().await;
    assert_eq!(
        (answer.status, answer.field("set-cookie")),
        (101, Some("session=2"))
    );
    let mut sender = crate::upgrade_http2::client(&gateway).await;
    let (answer, _server) =
        tokio::join!(send(&mut sender, stream(&session("1"))), agree(&upstream));
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["set-cookie"]),
        (200, &HeaderValue::from_static("session=2"))
    );
}

#[tokio::test]
async fn a_websocket_needs_a_certificate() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway = prox::gateway! {
        require auth;
        "/" => url with [ClientCerts::dns("ada.test"), IdentityHeaders::new().subject("x-user")],
    };
    let auth = ClientAuth::optional(Pem::bytes(clients.pem()));
    let gateway = Served::with(gateway, |server| {
        server.tls(tls(&authority.issue(&["gateway.test"])).client_auth(auth))
    })
    .await;
    let [ada, bob] = ["ada.test", "bob.test"].map(|name| {
        let alternatives = vec![name];
        clients.issue_with(Names {
            common_name: None,
            alternatives,
            expired: false,
        })
    });
    let dial = |protocol: &str| Dial::new(&authority, "gateway.test").alpn(&[protocol]);
    let door = Door {
        user: "ada.test",
        ..door("ClientCerts", without(), &[])
    };
    for refused in [dial("http/1.1"), dial("http/1.1").identity(&bob)] {
        let (reader, mut writer) = split(refused.stream(gateway.address()).await.unwrap());
        write(&mut writer, lines(&door.right)).await;
        writer.flush().await.unwrap();
        let answer = within("the answer", Reader::new(reader).head()).await;
        assert_eq!(answer.unwrap().word(1), "403");
    }
    let dialed = dial("http/1.1").identity(&ada);
    let (reader, mut writer) = split(dialed.stream(gateway.address()).await.unwrap());
    write(&mut writer, lines(&door.right)).await;
    writer.flush().await.unwrap();
    let (seen, mut server) = agree(&upstream).await;
    judge(&door, &seen);
    let mut reader = Reader::new(reader);
    let answer = within("the answer", reader.head()).await;
    assert_eq!(answer.unwrap().word(1), "101");
    expect(&mut reader, "hello").await;
    talk(&mut reader, &mut writer, &mut server).await;

    for refused in [dial("h2"), dial("h2").identity(&bob)] {
        let mut sender = client_over(refused.stream(gateway.address()).await.unwrap()).await;
        let answer = send(&mut sender, stream(&door.right)).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    let dialed = dial("h2").identity(&ada);
    let mut sender = client_over(dialed.stream(gateway.address()).await.unwrap()).await;
    over_http2(&door, &mut sender, &upstream).await;
}
