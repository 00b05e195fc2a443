//! Several listeners of one server, and routes for one of them alone.

use std::{
    net::SocketAddr,
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prox::{Client, Embed, Gateway, Listener, Request, RequestExt, Server};
use prox_tests::{
    certs::{Authority, Folder},
    client::{HyperClient, RawClient, Speaks, head, read, text},
    ports::free_port,
    secure::Dial,
    wait::{Gate, eventually, within},
};
use tokio::{net::TcpListener, process::Command, sync::oneshot, task::JoinHandle};
use tower::ServiceExt;

use crate::{run::signal, tls::tls, unix_sockets};

/// A socket on a free port, and where it is.
async fn socket() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

/// A server that ends with the sender.
fn serve(server: Server<Gateway>) -> (oneshot::Sender<()>, JoinHandle<prox::Result>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let server = server.shutdown(async { drop(stopped.await) });
    (stop, tokio::spawn(server.serve()))
}

async fn who(req: Request) -> String {
    let client = req.client().expect("a client");
    format!(
        "{:?} {} {:?}",
        client.listener(),
        client.scheme(),
        client.ip()
    )
}

/// The status and the body of a `GET`, in both versions of HTTP, which have to agree.
async fn get(address: SocketAddr, target: &str) -> (u16, String) {
    let mut answers = Vec::new();
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let mut client = HyperClient::speaking(speaks, address).await;
        let request = speaks.request(target).body(text("")).expect("a request");
        let answer = client.send(request).await.expect("an answer");
        let status = answer.status().as_u16();
        answers.push((status, read(answer).await));
        client.leave();
    }
    assert_eq!(answers[0], answers[1], "{target}");
    answers.remove(0)
}

fn own_routes() -> prox::Result<Gateway> {
    prox::gateway! {
        "/" => handler(who),
        POST "/both" => respond(200, "post"),
        "/shared" => respond(200, "for all"),
        host "a.test" { "/" => respond(200, "a") }
        on "internal" {
            "/metrics" => respond(200, "metrics"),
            GET "/both" => respond(200, "get"),
            PUT "/mine" => respond(200, "put"),
            "/shared" if header("x-mine").exists() => respond(200, "mine"),
            host "a.test" { "/own" => respond(200, "own") }
        }
        on "closed" { "/" => respond(403, "closed") }
        expect on "internal" GET "/metrics" => 200;
        expect on "closed" GET "https://a.test/" => 403;
    }
}

#[tokio::test]
async fn a_listener_has_its_own_routes_and_those_for_all() {
    let ((public, at), (internal, inside), (closed, shut), (plain, unnamed)) = (
        socket().await,
        socket().await,
        socket().await,
        socket().await,
    );
    let server = Server::new(own_routes())
        .listener(Listener::new("public").bound(public))
        .listener(Listener::new("internal").bound(internal))
        .listener(Listener::new("closed").bound(closed))
        .listener(plain);
    let (stop, task) = serve(server);
    let ok = |text: &str| (200, text.to_owned());
    let ip = "Some(127.0.0.1)";
    assert_eq!(
        get(at, "/metrics").await,
        ok(&format!("Some(\"public\") http {ip}"))
    );
    assert_eq!(
        get(unnamed, "/metrics").await,
        ok(&format!("None http {ip}"))
    );
    assert_eq!(get(inside, "/metrics").await, ok("metrics"));
    assert_eq!(get(inside, "/metrics/x").await, ok("metrics"));
    assert_eq!(
        get(inside, "/other").await,
        ok(&format!("Some(\"internal\") http {ip}"))
    );
    assert_eq!(get(inside, "/shared").await, ok("for all"));
    assert_eq!(get(shut, "/shared").await, (403, "closed".into()));
    // A path with other methods in both: both are asked, and both are told of.
    assert_eq!(get(inside, "/both").await, ok("get"));
    assert_eq!(
        get(at, "/both").await,
        ok(&format!("Some(\"public\") http {ip}"))
    );
    let ask = async |address, method, target: &str, lines| {
        let mut client = RawClient::connect(address).await;
        client.send(head(method, target, lines)).await;
        client.response(method).await
    };
    assert_eq!(
        ask(inside, "POST", "/both", "").await.expect(200).text(),
        "post"
    );
    assert_eq!(
        ask(inside, "PUT", "/mine", "").await.expect(200).text(),
        "put"
    );
    assert_eq!(
        ask(inside, "GET", "/shared", "X-Mine: 1\r\n").await.text(),
        "mine"
    );
    assert_eq!(
        ask(at, "GET", "/shared", "X-Mine: 1\r\n").await.text(),
        "for all"
    );
    // The host is chosen among those of the listener, then among those for all.
    let on_host = async |address, target: &str| {
        let mut client = RawClient::connect(address).await;
        client
            .send(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"))
            .await;
        client.response("GET").await.text()
    };
    assert_eq!(on_host(inside, "/own").await, "own");
    assert_eq!(on_host(inside, "/metrics").await, "a");
    assert_eq!(on_host(at, "/own").await, "a");
    drop(stop);
    within("the end", task).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_no_route_of_either_takes_is_refused_once() {
    let gateway = prox::gateway! {
        POST "/x" => respond(200, "post"),
        on "internal" { GET "/x" => respond(200, "get"), "/y" if |_| false => respond(200, "") }
    };
    let (internal, inside) = socket().await;
    let server = Server::new(gateway).listener(Listener::new("internal").bound(internal));
    let (_stop, _task) = serve(server);
    let mut client = RawClient::connect(inside).await;
    client.request("DELETE", "/x").await;
    let answer = client.response("DELETE").await.expect(405);
    assert_eq!(answer.field("allow"), Some("GET, HEAD, POST"));
    client.get("/y").await.expect(404);
    client.get("/z").await.expect(404);
}

#[tokio::test]
async fn clear_text_is_sent_to_https_by_the_same_process() {
    let authority = Authority::new("authority");
    let ((http, clear), (https, secure)) = (socket().await, socket().await);
    let gateway = prox::gateway! {
        on "http" { "/" => redirect(308, "https://{host}{path}{query}") }
        "/" => handler(who),
        "/deep/down" => handler(who),
    };
    let server = Server::new(gateway)
        .listener(Listener::new("http").bound(http))
        .listener(
            Listener::new("https")
                .bound(https)
                .tls(tls(&authority.issue(&["shop.test"]))),
        );
    let (_stop, _task) = serve(server);
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let mut client = HyperClient::speaking(speaks, clear).await;
        let request = speaks.request("/deep/down?x=1").body(text("")).unwrap();
        let answer = client.send(request).await.unwrap();
        assert_eq!(answer.status(), 308);
        assert_eq!(
            answer.headers()["location"],
            "https://gateway.test/deep/down?x=1"
        );
    }
    let dial = Dial::new(&authority, "shop.test");
    let mut client = dial.connect(secure).await.unwrap();
    let answer = client.get("shop.test", "/deep/down").await.expect(200);
    assert!(
        answer.text().starts_with("Some(\"https\") https"),
        "{answer:?}"
    );
    let stream = dial.alpn(&["h2"]).stream(secure).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://shop.test/")
        .body(text(""))
        .unwrap();
    let answer = within("an answer", client.send_request(request))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn tls_of_the_server_is_for_listeners_that_say_nothing_else() {
    let authority = Authority::new("authority");
    let ((one, secure), (two, clear), (three, other)) =
        (socket().await, socket().await, socket().await);
    let gateway = prox::gateway! { "/" => handler(who) };
    let server = Server::new(gateway)
        .tls(tls(&authority.issue(&["shop.test"])))
        .listener(Listener::new("a").bound(one))
        .listener(Listener::new("b").bound(two).clear_text())
        .listener(
            Listener::new("c")
                .bound(three)
                .tls(tls(&authority.issue(&["other.test"]))),
        );
    let (_stop, _task) = serve(server);
    let mut client = Dial::new(&authority, "shop.test")
        .connect(secure)
        .await
        .unwrap();
    client.get("shop.test", "/").await.expect(200);
    assert!(get(clear, "/").await.1.starts_with("Some(\"b\") http "));
    let mut client = Dial::new(&authority, "other.test")
        .connect(other)
        .await
        .unwrap();
    client.get("other.test", "/").await.expect(200);
    assert!(
        Dial::new(&authority, "shop.test")
            .connect(other)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn trust_and_the_proxy_protocol_are_said_for_one_listener() {
    let ((one, all), (two, nobody), (three, proxied)) =
        (socket().await, socket().await, socket().await);
    let gateway = prox::gateway! { "/" => handler(who) };
    let server = Server::new(gateway)
        .trusted_proxies(["127.0.0.1"])
        .listener(Listener::new("all").bound(one))
        .listener(Listener::new("nobody").bound(two).trusted_proxies([""; 0]))
        .listener(
            Listener::new("proxied")
                .bound(three)
                .proxy_protocol(["127.0.0.1"]),
        );
    let (_stop, _task) = serve(server);
    let ask = async |address, first: &str| {
        let mut client = RawClient::connect(address).await;
        client.send(first).await;
        client
            .send(head("GET", "/", "X-Forwarded-For: 203.0.113.9\r\n"))
            .await;
        client.response("GET").await.expect(200).text()
    };
    assert_eq!(ask(all, "").await, "Some(\"all\") http Some(203.0.113.9)");
    assert_eq!(
        ask(nobody, "").await,
        "Some(\"nobody\") http Some(127.0.0.1)"
    );
    let line = "PROXY TCP4 198.51.100.7 127.0.0.1 4711 80\r\n";
    assert_eq!(
        ask(proxied, line).await,
        "Some(\"proxied\") http Some(198.51.100.7)"
    );
}

#[tokio::test]
async fn a_unix_socket_is_a_listener_with_trust_of_its_own() {
    let folder = Folder::new();
    let path = folder.path("admin.sock");
    let (public, at) = socket().await;
    let gateway = prox::gateway! {
        on "admin" { "/admin" => handler(who) }
        "/" => handler(who),
    };
    let server = Server::new(gateway)
        .listener(Listener::new("public").bound(public))
        .listener(
            Listener::new("admin")
                .unix(&path)
                .trusted_proxies(["unix:"]),
        );
    let (stop, task) = serve(server);
    eventually("a socket", || path.exists()).await;
    let forwarded = "X-Forwarded-For: 203.0.113.9\r\n";
    assert_eq!(
        unix_sockets::get(&path, "/admin", forwarded).await.1,
        "Some(\"admin\") http Some(203.0.113.9)"
    );
    assert_eq!(
        get(at, "/admin").await.1,
        "Some(\"public\") http Some(127.0.0.1)"
    );
    drop(stop);
    within("the end", task).await.unwrap().unwrap();
    assert!(!path.exists(), "the last listener removes the file");
}

#[tokio::test]
async fn all_listeners_drain_together() {
    let gate = Gate::new();
    let held = gate.clone();
    let reached = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&reached);
    let answer_late = move |_: Request| {
        let (seen, held) = (Arc::clone(&seen), held.clone());
        async move {
            seen.fetch_add(1, Ordering::Relaxed);
            held.passed().await;
            "done"
        }
    };
    let gateway = prox::gateway! {
        "/held" => handler(answer_late),
        "/" => respond(200, "ok"),
    };
    let ((one, first), (two, second)) = (socket().await, socket().await);
    let server = Server::new(gateway)
        .listener(Listener::new("a").bound(one))
        .listener(Listener::new("b").bound(two));
    let connections = server.connections();
    let (stop, task) = serve(server);
    let mut clients = [
        RawClient::connect(first).await,
        RawClient::connect(second).await,
    ];
    for client in &mut clients {
        client.request("GET", "/held").await;
    }
    eventually("both to be open", || connections.open() == 2).await;
    eventually("both to be held", || reached.load(Ordering::Relaxed) == 2).await;
    drop(stop);
    for address in [first, second] {
        eventually("connections to be refused", || {
            std::net::TcpStream::connect(address).is_err()
        })
        .await;
    }
    gate.open();
    for client in &mut clients {
        let answer = client.response("GET").await.expect(200);
        assert!(answer.closes(), "{answer:?}");
    }
    within("the end", task).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_limit_of_connections_is_for_all_listeners_together() {
    let gateway = prox::gateway! { "/" => respond(200, "ok") };
    let ((one, first), (two, second)) = (socket().await, socket().await);
    let server = Server::new(gateway)
        .max_connections(1)
        .listener(Listener::new("a").bound(one))
        .listener(Listener::new("b").bound(two));
    let connections = server.connections();
    let (_stop, _task) = serve(server);
    let mut client = RawClient::connect(first).await;
    client.get("/").await.expect(200);
    // The second one takes the place of the first, which is idle.
    let mut other = RawClient::connect(second).await;
    other.get("/").await.expect(200);
    client.closed().await;
    assert_eq!(connections.open(), 1);
    assert!(connections.waited() > 0);
}

#[tokio::test]
async fn an_embedded_gateway_is_told_its_listener() {
    let ask = async |service: &prox::Embedded, client: Option<Client>| {
        let mut request = http::Request::get("/metrics").header("host", "a.b");
        if let Some(client) = client {
            request = request.extension(Arc::new(client));
        }
        let request = request.body(text("")).unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8_lossy(&body).into_owned()
    };
    let service = Embed::new(own_routes()).on("internal").service().unwrap();
    assert_eq!(ask(&service, None).await, "metrics");
    let local = Client::new(Some(([127, 0, 0, 1], 1).into()));
    assert_eq!(ask(&service, Some(local.clone())).await, "metrics");
    assert_eq!(
        ask(&service, Some(local.clone().on("closed"))).await,
        "closed"
    );
    let service = Embed::new(own_routes()).service().unwrap();
    assert!(ask(&service, Some(local.clone())).await.starts_with("None"));
    assert_eq!(ask(&service, Some(local.on("internal"))).await, "metrics");
}

#[tokio::test]
async fn all_that_is_wrong_with_listeners_is_one_error() {
    let error = Server::new(own_routes())
        .listener(Listener::new("internl").bind("9000"))
        .listener(Listener::new("Public").bind("127.0.0.1:9"))
        .serve()
        .await
        .unwrap_err();
    let error = format!("{error:?}");
    assert!(
        error.contains("listener `internl`: \"9000\" is a port without an address"),
        "{error}"
    );
    assert!(
        error.contains("\"Public\" is not a name of a listener"),
        "{error}"
    );
    let error = Server::new(own_routes())
        .listener(Listener::new("internl").bind("127.0.0.1:0"))
        .listener(Listener::new("closed").bind("127.0.0.1:0"))
        .serve()
        .await
        .unwrap_err();
    let error = format!("{error:?}");
    assert!(
        error.contains("`on \"internal\"`, but no listener has this name: the listeners of the server are \"internl\", \"closed\""),
        "{error}"
    );
    // Nobody has told the server of any.
    let error = format!("{:?}", prox::Server::new(own_routes()).check().unwrap_err());
    assert!(error.contains("Listener::new(\"internal\")"), "{error}");
    assert!(error.contains("Listener::new(\"closed\")"), "{error}");
}

fn probe(args: &[&str], variables: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_listeners_probe"));
    command
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command.envs(
        variables
            .iter()
            .map(|(name, value)| (*name, value.as_str())),
    );
    command
}

async fn output(args: &[&str], variables: &[(&str, String)]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = within("the probe to end", probe(args, variables).output())
        .await
        .expect("it can be run");
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn workers_listen_where_the_environment_says() {
    let (port, inside) = (free_port(), free_port());
    let variables = [
        ("HOST", String::from("127.0.0.1")),
        ("PORT", port.to_string()),
        ("INTERNAL_LISTEN", format!("127.0.0.1:{inside}")),
    ];
    let mut child = probe(&[], &variables)
        .spawn()
        .expect("the probe can be run");
    let [public, internal] = [port, inside].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    for address in [public, internal] {
        eventually("the gateway to listen", || {
            std::net::TcpStream::connect(address).is_ok()
        })
        .await;
    }
    for _ in 0..8 {
        assert_eq!(get(public, "/metrics").await.1, "site");
        assert_eq!(get(internal, "/metrics").await.1, "metrics");
        assert_eq!(get(internal, "/").await.1, "site");
    }
    signal(&child, "TERM").await;
    assert_eq!(
        within("the end", child.wait()).await.unwrap().code(),
        Some(0)
    );
}

#[tokio::test]
async fn two_listeners_on_one_place_are_refused() {
    let (code, error) = output(&["check"], &[("PORT", String::from("8080"))]).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("`public` and `internal`, listen on 0.0.0.0:8080: set INTERNAL_LISTEN, or write `.bind(..)`"),
        "{error}"
    );
    let place = || String::from("unix:/run/x.sock");
    let both = [("INTERNAL_LISTEN", place()), ("PUBLIC_LISTEN", place())];
    let (code, error) = output(&["check"], &both).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("listen on unix:/run/x.sock: give one of them"),
        "{error}"
    );
    let (code, error) = output(&["check"], &[("INTERNAL_LISTEN", String::from("here"))]).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("INTERNAL_LISTEN: \"here\" is not an address to listen on"),
        "{error}"
    );
    let (code, error) = output(&["check"], &[("WITHOUT", String::from("1"))]).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("the listeners of the server are \"public\""),
        "{error}"
    );
    let (code, told) = output(&["check"], &[("INTERNAL_LISTEN", String::from(":9000"))]).await;
    assert_eq!((code, told.as_str()), (Some(0), "the gateway can start\n"));
}

#[tokio::test]
async fn the_command_line_knows_listeners() {
    let told = async |args: &[&str]| {
        let (code, text) = output(args, &[]).await;
        assert_eq!(code, Some(0), "{text}");
        text
    };
    let routes = told(&["routes"]).await;
    assert!(
        routes.contains("on internal: _  *       /metrics"),
        "{routes}"
    );
    assert!(
        told(&["routes", "--json"])
            .await
            .contains("\"listener\":\"internal\"")
    );
    assert!(
        told(&["routes", "--mermaid"])
            .await
            .contains("on internal: every other host")
    );
    let explained = told(&["explain", "GET", "/metrics", "--on", "internal"]).await;
    assert!(
        explained.starts_with("GET /metrics on any other host at the listener internal\n"),
        "{explained}"
    );
    assert!(
        explained.contains("/metrics => respond(200, \"metrics\")"),
        "{explained}"
    );
    let elsewhere = told(&["explain", "GET", "/metrics"]).await;
    assert!(
        elsewhere.contains("/ => respond(200, \"site\")"),
        "{elsewhere}"
    );
    let with = told(&["explain", "GET", "/x", "--on", "internal", "-H", "x: 1"]).await;
    assert!(with.contains("respond(200, \"site\")"), "{with}");
    let env = told(&["env"]).await;
    for name in ["PUBLIC_LISTEN", "INTERNAL_LISTEN", "HOST", "PORT"] {
        assert!(env.lines().any(|line| line.starts_with(name)), "{env}");
    }
    let (code, error) = output(&["explain", "GET", "/", "--on", "intrnal"], &[]).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("no `on \"intrnal\"` in this gateway: it has internal"),
        "{error}"
    );
}
