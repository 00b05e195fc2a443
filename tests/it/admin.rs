//! The admin listener: what it answers to which requests, how little a client can do to it, and when it is there.

use std::{
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use prox::{Admin, Env, Gateway, Server};
use prox_tests::{
    client::{Answer, RawClient, head},
    gateway::Served,
    origin::{Origin, Reply},
    ports::{Refused, free_port},
    wait::{Gate, eventually, within},
    wire::lines,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

const TOKEN: &str = "s3cret-of-the-admin";

/// A gateway with an admin listener.
struct Administered {
    served: Served,
    admin: SocketAddr,
}

impl Administered {
    async fn start(gateway: prox::Result<Gateway>) -> Self {
        Self::with(gateway, |server| server).await
    }

    async fn with(
        gateway: prox::Result<Gateway>,
        limits: impl FnOnce(Server<Gateway>) -> Server<Gateway>,
    ) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let admin = socket.local_addr().expect("an address");
        let served = Served::with(gateway, |server| {
            let token = TOKEN.parse().expect("a text is a secret");
            limits(server.admin(Admin::from(socket).token(token)))
        })
        .await;
        Self { served, admin }
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "").await
    }

    /// Sends a request with the `Host` of a person on this machine.
    async fn ask(&self, method: &str, target: &str, fields: &str) -> Answer {
        let fields = format!("Host: localhost\r\n{fields}");
        self.raw(
            method,
            &format!("{method} {target} HTTP/1.1\r\n{fields}\r\n"),
        )
        .await
    }

    async fn raw(&self, method: &str, bytes: &str) -> Answer {
        let mut client = RawClient::connect(self.admin).await;
        client.send(bytes).await;
        client.response(method).await
    }

    async fn change(&self, target: &str) -> Answer {
        self.ask("POST", target, "X-Prox: 1\r\nContent-Length: 0\r\n")
            .await
    }
}

fn hello() -> prox::Result<Gateway> {
    prox::gateway! { "/" => respond(200, "hello") }
}

#[tokio::test]
async fn the_probes_are_for_all_and_the_rest_is_for_the_inside() {
    let gateway = Administered::start(hello()).await;
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    let evil = "Host: evil.example\r\n";
    let cases = [
        ("Host: localhost:9901\r\n", true),
        ("Host: 127.0.0.1\r\n", true),
        ("Host: [::1]:1\r\n", true),
        // A name of a stranger that means the loopback address.
        (evil, false),
        ("Host: localhost.evil.example\r\n", false),
        // A page of a stranger.
        ("Host: localhost\r\nOrigin: http://evil.example\r\n", false),
        ("Host: localhost\r\nOrigin: null\r\n", false),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", false),
        ("Host: localhost\r\nSec-Fetch-Site: none\r\n", true),
        // A proxy on this machine that passes on what strangers ask.
        ("Host: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n", false),
        ("Host: localhost\r\nForwarded: for=192.0.2.1\r\n", false),
        ("Host: localhost\r\nVia: 1.1 nginx\r\n", false),
        ("Host: localhost\r\nAuthorization: Bearer wrong\r\n", true),
        (
            "Host: evil.example\r\nAuthorization: Bearer wrong\r\n",
            false,
        ),
        (&format!("{evil}{token}"), true),
        (
            &format!("{evil}Origin: http://evil.example\r\n{token}"),
            true,
        ),
        (&format!("{evil}{token}{token}"), false),
    ];
    for (fields, inside) in cases {
        for (path, inner) in [
            ("/healthz", false),
            ("/livez", false),
            ("/readyz", false),
            ("/metrics", false),
            ("/", false),
            ("/ready", true),
            ("/routes", true),
            ("/endpoints", true),
            ("/config", true),
        ] {
            let wanted = if inside || !inner { 200 } else { 403 };
            let request = format!("GET {path} HTTP/1.1\r\n{fields}\r\n");
            let answer = gateway.raw("GET", &request).await;
            assert_eq!(answer.status, wanted, "{path} {fields}: {answer:?}");
            assert_eq!(answer.field("cache-control"), Some("no-store"), "{path}");
            assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        }
    }
    // HTTP/1.0 has no Host.
    let answer = gateway.raw("GET", "GET /routes HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer.status, 403);
    let answer = gateway.raw("GET", "GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
}

#[tokio::test]
async fn none_of_its_paths_is_on_the_public_port_and_no_route_is_on_it() {
    let gateway = Administered::start(prox::gateway! { "/mine" => respond(200, "mine") }).await;
    for path in [
        "/healthz", "/readyz", "/metrics", "/routes", "/config", "/drain",
    ] {
        assert_eq!(gateway.served.get(path).await.status, 404, "{path}");
    }
    let lost = gateway.get("/mine").await.expect(404);
    assert!(lost.text().contains("GET /healthz"), "{lost:?}");
    for path in ["/healthz/", "//healthz", "/%68ealthz", "/HEALTHZ", "*"] {
        let answer = gateway.get(path).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_change_is_a_post_that_no_page_can_send() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Administered::start(prox::gateway! {
        backend users = cluster(rr, [url]);
        "/" => users,
    })
    .await;
    let drain = format!("/drain?backend=users&endpoint={}", origin.address());
    for (method, fields, wanted) in [
        ("GET", "X-Prox: 1\r\n", 405),
        ("PUT", "X-Prox: 1\r\nContent-Length: 0\r\n", 405),
        ("OPTIONS", "X-Prox: 1\r\n", 405),
        ("POST", "Content-Length: 0\r\n", 403),
        ("POST", "X-Prox: 2\r\nContent-Length: 0\r\n", 403),
        (
            "POST",
            "X-Prox: 1\r\nOrigin: null\r\nContent-Length: 0\r\n",
            403,
        ),
    ] {
        let answer = gateway.ask(method, &drain, fields).await;
        assert_eq!(answer.status, wanted, "{method} {fields}: {answer:?}");
        gateway.served.get("/").await.expect(200);
    }
    assert_eq!(
        gateway.ask("GET", &drain, "").await.field("allow"),
        Some("POST")
    );
    assert_eq!(
        gateway
            .ask("POST", "/routes", "Content-Length: 0\r\n")
            .await
            .field("allow"),
        Some("GET, HEAD")
    );
    gateway.ask("HEAD", "/healthz", "").await.expect(200);

    assert!(gateway.change(&drain).await.expect(204).text().is_empty());
    gateway.served.get("/").await.expect(503);
    let undrain = drain.replace("/drain", "/undrain");
    gateway.change(&undrain).await.expect(204);
    gateway.served.get("/").await.expect(200);
    let weight = drain.replace("/drain", "/weight");
    gateway
        .change(&format!("{weight}&weight=7"))
        .await
        .expect(204);
    let told = gateway.get("/endpoints").await.expect(200).text();
    assert!(told.contains("\"weight\":7"), "{told}");
    // A body does no harm, and does nothing.
    let fields = "X-Prox: 1\r\nContent-Length: 5\r\n";
    let request = format!("POST {undrain} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\nhello");
    gateway.raw("POST", &request).await.expect(204);

    for (target, status, wanted) in [
        ("/drain", 400, "both needed"),
        ("/drain?backend=users", 400, "both needed"),
        (
            "/drain?backend=users&endpoint=a&x=1",
            400,
            "unknown parameter `x`",
        ),
        (
            "/drain?backend=a&backend=b",
            400,
            "duplicate parameter `backend`",
        ),
        (
            "/drain?backend=%zz&endpoint=a",
            400,
            "`backend` is malformed",
        ),
        (
            "/weight?backend=users&endpoint=a",
            400,
            "`weight` is missing",
        ),
        (
            "/weight?backend=users&endpoint=a&weight=-1",
            400,
            "is not a number",
        ),
        ("/log", 400, "`level` is missing"),
        ("/log?level=loud", 400, "expected `off`"),
        (
            "/drain?backend=orders&endpoint=a",
            404,
            "the gateway has users",
        ),
        ("/drain?backend=users&endpoint=a", 404, &origin.url()),
    ] {
        let answer = gateway.change(target).await;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        assert!(answer.text().contains(wanted), "{target}: {answer:?}");
    }
}

#[tokio::test]
async fn ready_says_why_not() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let mut gateway = Administered::with(
        prox::gateway! {
            backend users = cluster(rr, [url]).required();
            "/" => users,
        },
        |server| server.shutdown_delay(Duration::from_hours(1)),
    )
    .await;
    assert_eq!(gateway.get("/ready").await.expect(200).text(), "ready\n");
    assert_eq!(gateway.get("/readyz").await.expect(200).text(), "ready\n");
    let drain = format!("/drain?backend=users&endpoint={}", origin.address());
    gateway.change(&drain).await.expect(204);
    // Who reaches the port learns nothing of the inside.
    assert_eq!(
        gateway.get("/readyz").await.expect(503).text(),
        "not ready\n"
    );
    assert_eq!(
        gateway.get("/ready").await.expect(503).text(),
        "backend users: no endpoint is well\n"
    );
    let metrics = gateway.get("/metrics").await.expect(200).text();
    assert!(metrics.contains("\nprox_ready 0\n"), "{metrics}");
    gateway
        .change(&drain.replace("/drain", "/undrain"))
        .await
        .expect(204);
    gateway.get("/ready").await.expect(200);
    gateway.served.begin_shutdown();
    within("the gateway to be unready", async {
        while gateway.get("/readyz").await.status != 503 {}
    })
    .await;
    assert_eq!(gateway.get("/ready").await.expect(503).text(), "draining\n");
    gateway.get("/healthz").await.expect(200);
    gateway.served.get("/").await.expect(200);
}

#[tokio::test]
async fn endpoints_are_told_with_the_last_error_of_each() {
    let (origin, refused) = (Origin::start(Reply::ok("ok")).await, Refused::new());
    let (well, ill) = (origin.endpoint(), refused.endpoint());
    let dead = ill.to_string();
    let gateway = Administered::start(prox::gateway! {
        backend users = cluster(rr, [well]);
        backend orders = cluster(rr, [ill]);
        "/users" => users,
        "/orders" => orders,
    })
    .await;
    gateway.served.get("/users").await.expect(200);
    gateway.served.get("/orders").await.expect(502);
    let answer = gateway.get("/endpoints").await.expect(200);
    assert_eq!(answer.field("content-type"), Some("application/json"));
    let told: serde_json::Value = serde_json::from_str(&answer.text()).expect("JSON");
    let backends = told["backends"].as_array().expect("a list");
    let of = |name: &str| {
        let found = backends.iter().find(|backend| backend["name"] == name);
        &found.expect("the backend is told")["endpoints"][0]
    };
    assert_eq!(of("users")["condition"], "healthy");
    assert_eq!(of("users")["last_error"], serde_json::Value::Null);
    assert_eq!(of("users")["idle"], 1);
    assert_eq!(of("orders")["address"], dead.as_str());
    let reason = of("orders")["last_error"]["reason"]
        .as_str()
        .expect("a text");
    assert!(reason.contains("connect"), "{reason}");

    let table = gateway
        .ask("GET", "/endpoints", "Accept: text/plain\r\n")
        .await;
    assert_eq!(
        table.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let table = table.text();
    assert!(table.starts_with("BACKEND"), "{table}");
    assert!(
        table
            .lines()
            .any(|line| line.starts_with("orders") && line.ends_with("ago)"))
    );
}

#[tokio::test]
async fn routes_and_configuration_are_told_and_secrets_are_not() {
    let env = [
        ("DB_URL", "postgres://ada:hunter2@10.0.0.1/db"),
        ("API_KEY", "hunter2"),
        ("PLAIN", "seen"),
        ("ADMIN_TOKEN", "hunter2"),
        ("TRUSTED_PROXIES", "10.0.0.0/8"),
    ];
    let gateway = Env::from(env).within(|| {
        prox::gateway! {
            env DB_URL: String;
            env API_KEY: prox::Secret;
            env PLAIN: String;
            env RATE: u32 = 5;
            GET "/told" => respond(200, format!("{DB_URL} {API_KEY:?} {PLAIN} {RATE}")),
        }
    });
    let gateway = Administered::start(gateway).await;
    let routes = gateway.get("/routes").await.expect(200).text();
    let told: serde_json::Value = serde_json::from_str(&routes).expect("JSON");
    assert_eq!(told[0]["path"], "/told");
    let table = gateway
        .ask("GET", "/routes", "Accept: text/plain\r\n")
        .await;
    assert!(table.text().starts_with("HOST"), "{table:?}");

    let config = gateway.get("/config").await.expect(200).text();
    assert!(!config.contains("hunter2"), "{config}");
    let told: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    let value = |name: &str| {
        let all = told["variables"].as_array().expect("a list");
        let found = all.iter().find(|variable| variable["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {config}"))["value"].clone()
    };
    assert_eq!(value("DB_URL"), "postgres://(secret)@10.0.0.1/db");
    assert_eq!(value("API_KEY"), "set");
    assert_eq!(value("PLAIN"), "seen");
    assert_eq!(value("RATE"), "5");
    assert_eq!(value("TRUSTED_PROXIES"), "10.0.0.0/8");
    assert_eq!(told["routes"], 1);
    assert_eq!(told["limits"]["header_timeout"], "10s");
    assert_eq!(told["limits"]["drain_idle"], "500ms");
    assert!(config.contains("\"version\""));
    let table = gateway
        .ask("GET", "/config", "Accept: text/plain\r\n")
        .await
        .text();
    assert!(
        table.contains("PLAIN") && !table.contains("hunter2"),
        "{table}"
    );
}

#[tokio::test]
async fn metrics_are_those_of_the_gateway_in_the_format_that_is_asked_for() {
    let gateway = hello().expect("the gateway can start");
    let administered = Administered::start(Ok(gateway.clone())).await;
    administered.served.get("/").await.expect(200);
    let wanted = "prox_requests_total{host=\"_\",http_route=\"/\",http_request_method=\"GET\",http_response_status_code=\"200\"} 1";
    eventually("the request to be counted", || {
        gateway.metrics().contains(wanted)
    })
    .await;
    let text = administered.get("/metrics").await.expect(200);
    assert_eq!(
        text.field("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(text.text().contains(wanted));
    let open = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let open = administered.ask("GET", "/metrics", open).await.expect(200);
    assert!(open.text().ends_with("# EOF\n"), "{open:?}");
}

#[tokio::test]
async fn a_client_that_is_silent_slow_or_too_large_costs_no_probe() {
    let gateway = Administered::start(hello()).await;
    // Silent ones, and some in the middle of a head.
    let mut held = Vec::new();
    for number in 0..64 {
        let mut stream = TcpStream::connect(gateway.admin).await.expect("it accepts");
        if number % 2 == 0 {
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nHo")
                .await
                .expect("it is open");
        }
        held.push(stream);
        if number % 8 == 0 {
            gateway.get("/healthz").await.expect(200);
        }
    }
    gateway.get("/readyz").await.expect(200);
    // The oldest were closed; no more than 16 are open.
    within("the oldest to be closed", async {
        let mut byte = [0];
        for stream in &mut held[..40] {
            assert!(matches!(stream.read(&mut byte).await, Ok(0) | Err(_)));
        }
    })
    .await;

    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a".repeat(9000)
    );
    let answer = gateway.raw("GET", &long).await;
    assert!(matches!(answer.status, 414 | 431), "{answer:?}");
    let wide = format!("X: {}\r\n", "a".repeat(9000));
    assert_eq!(gateway.ask("GET", "/healthz", &wide).await.status, 431);
    let many = lines((0..200).map(|number| format!("X-{number}: 1")));
    assert_eq!(gateway.ask("GET", "/healthz", &many).await.status, 431);
    let body = format!(
        "{}{}",
        head("POST", "/drain", "Content-Length: 99999\r\n"),
        "a".repeat(9000)
    );
    assert_eq!(gateway.raw("POST", &body).await.status, 413);
    let answer = gateway.raw("GET", "GET\r\n\r\n").await;
    assert_eq!(answer.status, 400);
    // Each connection is for one request.
    let answer = gateway.get("/healthz").await.expect(200);
    assert!(answer.closes(), "{answer:?}");
}

#[tokio::test]
async fn many_that_ask_at_once_are_answered() {
    let gateway = Administered::start(hello()).await;
    for _ in 0..20 {
        let all = (0..8).map(|_| gateway.get("/metrics"));
        for answer in all_of(all).await {
            answer.expect(200);
        }
    }
}

/// Awaits all of them at once.
async fn all_of<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (one, done) in all.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = one.as_mut().poll(cx)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_worker_whose_thread_is_blocked_is_told_and_found_well_again() {
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let public = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let admin = socket.local_addr().expect("an address");
    let address = public.local_addr().expect("an address");
    let (shutdown, ended) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let gateway = prox::gateway! {
            "/block" => handler(move |_req: prox::Request| {
                let blocked = Arc::clone(&blocked);
                async move {
                    // It holds up the thread of the worker.
                    let _ = blocked.lock().expect("no panic").recv();
                    "released"
                }
            }),
        };
        Server::new(gateway)
            .workers(1)
            .listener(public)
            .admin(Admin::from(socket))
            .shutdown(async move {
                let _ = ended.await;
            })
            .run()
    });
    let get = |target: &'static str| async move {
        let mut client = RawClient::connect(admin).await;
        client
            .send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
            .await;
        client.response("GET").await
    };
    within("the worker to be well", async {
        while get("/healthz").await.status != 200 {}
    })
    .await;
    let mut client = RawClient::connect(address).await;
    client.request("GET", "/block").await;
    within("the worker to be found", async {
        while get("/healthz").await.status != 503 {}
    })
    .await;
    let answer = get("/healthz").await.expect(503);
    assert_eq!(answer.text(), "worker 0 does not answer\n");
    // All the rest is told all the same.
    get("/metrics").await.expect(200);
    get("/routes").await.expect(200);
    release.send(()).expect("the handler waits");
    client.response("GET").await.expect(200);
    get("/healthz").await.expect(200);
    let _ = shutdown.send(());
    within(
        "the server to end",
        tokio::task::spawn_blocking(|| thread.join()),
    )
    .await
    .expect("a thread")
    .expect("no panic")
    .expect("a good end");
}

/// A path of a socket in a folder of its own.
fn socket_path(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("prox-admin-it-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder.join(name)
}

async fn ask_unix(path: &PathBuf, target: &str) -> String {
    let mut stream = UnixStream::connect(path).await.expect("it accepts");
    let request = format!("GET {target} HTTP/1.1\r\nHost: any.example\r\nOrigin: null\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut answer = String::new();
    within("the answer", stream.read_to_string(&mut answer))
        .await
        .expect("it answers");
    answer
}

#[tokio::test]
async fn a_unix_socket_is_the_inside_and_is_for_its_owner() {
    let path = socket_path("inside.sock");
    let gateway = Served::with(hello(), |server| server.admin(Admin::unix(&path))).await;
    gateway.get("/").await.expect(200);
    for target in ["/routes", "/healthz", "/config"] {
        let answer = ask_unix(&path, target).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n"),
            "{target}: {answer}"
        );
    }
    let mode = std::fs::metadata(&path)
        .expect("the file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    gateway.stop().await;
    assert!(!path.exists(), "it is removed at the end");
}

#[tokio::test]
async fn it_is_there_until_the_end_of_the_drain_and_no_longer() {
    let gate = Gate::new();
    let reply = Reply::new().wait(&gate).head(200, &[], "Content-Length: 2");
    let origin = Origin::start(reply.write("ok")).await;
    let url = origin.endpoint();
    let mut gateway = Administered::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.served.client().await;
    client.request("GET", "/").await;
    origin.reached(1).await;
    gateway.served.begin_shutdown();
    let public = gateway.served.address();
    eventually("new connections to be refused", || {
        std::net::TcpStream::connect(public).is_err()
    })
    .await;
    assert_eq!(gateway.get("/ready").await.expect(503).text(), "draining\n");
    gateway.get("/healthz").await.expect(200);
    let metrics = gateway.get("/metrics").await.expect(200).text();
    assert!(
        metrics.contains("\nhttp_server_active_requests 1\n"),
        "{metrics}"
    );
    // A connection that is silent does not hold up the end.
    let silent = TcpStream::connect(gateway.admin).await.expect("it accepts");
    gate.open();
    client.response("GET").await.expect(200);
    gateway.served.stop().await;
    assert!(std::net::TcpStream::connect(gateway.admin).is_err());
    drop(silent);
}

#[tokio::test]
async fn a_server_that_cannot_start_leaves_no_admin_listener() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    let path = socket_path("failed.sock");
    let server = Server::new(hello())
        .address(address)
        .admin(Admin::unix(&path));
    let error = server.serve().await.expect_err("the port is taken");
    assert!(
        format!("{error:?}").contains("cannot listen on"),
        "{error:?}"
    );
    eventually("the socket to be closed", || !path.exists()).await;

    let server = Server::new(hello())
        .address(address)
        .admin(address.to_string());
    let error = format!("{:?}", server.serve().await.expect_err("one place"));
    assert!(
        error.contains("the admin listener and the listener"),
        "{error}"
    );
    for (admin, wanted) in [
        (Admin::bind("9901"), "write :9901 for every address"),
        (Admin::bind(address), "cannot listen on"),
        (
            Admin::unix("/nowhere/at/all.sock"),
            "its directory does not exist",
        ),
    ] {
        let server = Server::new(hello())
            .address(([127, 0, 0, 1], 0).into())
            .admin(admin);
        let error = format!("{:?}", server.serve().await.expect_err("no such place"));
        assert!(error.contains(wanted), "{error}");
    }
    let checked = Server::new(hello()).admin("9901").check();
    assert!(
        format!("{checked:?}").contains("write :9901"),
        "{checked:?}"
    );
}

#[tokio::test]
async fn two_gateways_of_one_process_have_listeners_of_their_own() {
    let one = Administered::start(prox::gateway! { "/one" => respond(200, "1") }).await;
    let two = Administered::start(prox::gateway! { "/two" => respond(200, "2") }).await;
    assert!(one.get("/routes").await.text().contains("/one"));
    assert!(two.get("/routes").await.text().contains("/two"));
    one.served.stop().await;
    // A process that another test starts has the socket for a moment.
    eventually("the listener to be gone", || {
        std::net::TcpStream::connect(one.admin).is_err()
    })
    .await;
    two.get("/healthz").await.expect(200);

    // The variable is for one of them; the code says so.
    let admin = two.admin.to_string();
    let made = || Env::from([("ADMIN", &admin)]).within(hello);
    let server = Server::new(made()).address(([127, 0, 0, 1], 0).into());
    let error = format!("{:?}", server.serve().await.expect_err("it is taken"));
    assert!(error.contains(".admin(prox::Admin::off())"), "{error}");
    let third = Served::with(made(), |server| server.admin(Admin::off())).await;
    third.get("/").await.expect(200);
}

fn probe(args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cli_probe"));
    command
        .args(args)
        .env_clear()
        .envs(variables.iter().copied());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A process that ends with the test.
struct Process(std::process::Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("tasks");
        let name = |task: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
        };
        tasks
            .filter_map(name)
            .map(|name| name.trim().to_owned())
            .collect()
    }
}

fn health(args: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = probe(args, variables).output().expect("the probe");
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn health_asks_the_process_that_runs_with_the_same_variables() {
    let (port, admin) = (free_port().to_string(), free_port());
    let path = socket_path("health.sock");
    let places = [
        format!("127.0.0.1:{admin}"),
        format!(":{admin}"),
        format!("unix:{}", path.display()),
    ];
    for place in places {
        let variables = [
            ("USERS_URL", "http://127.0.0.1:9"),
            ("HOST", "127.0.0.1"),
            ("PORT", &*port),
            ("ADMIN", &*place),
        ];
        let (code, text) = health(&["health"], &variables);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("cannot ask the gateway at"), "{text}");
        let process = Process(probe(&["serve"], &variables).spawn().expect("the probe"));
        eventually("the gateway to be well", || {
            health(&["health"], &variables).0 == Some(0)
        })
        .await;
        assert_eq!(
            health(&["health", "live"], &variables),
            (Some(0), "ok\n".into())
        );
        assert_eq!(
            health(&["health", "ready"], &variables),
            (Some(0), "ready\n".into())
        );
        assert!(process.threads().contains(&"prox-ops".into()));
        drop(process);
    }
}

#[tokio::test]
async fn without_an_admin_listener_health_connects_and_there_is_no_thread_for_it() {
    let port = free_port().to_string();
    let variables = [
        ("USERS_URL", "http://127.0.0.1:9"),
        ("HOST", "127.0.0.1"),
        ("PORT", &*port),
    ];
    assert_eq!(health(&["health"], &variables).0, Some(1));
    let process = Process(probe(&["serve"], &variables).spawn().expect("the probe"));
    eventually("the gateway to be well", || {
        health(&["health"], &variables).0 == Some(0)
    })
    .await;
    let (_, text) = health(&["health"], &variables);
    assert_eq!(text, format!("127.0.0.1:{port} takes connections\n"));
    let threads = process.threads();
    assert!(
        !threads.iter().any(|name| name == "prox-ops"),
        "{threads:?}"
    );
    drop(process);
    // What listens at the place of the admin listener may be something else.
    let other = Served::start(hello()).await;
    let admin = other.address().to_string();
    let (code, text) =
        tokio::task::spawn_blocking(move || health(&["health"], &[("ADMIN", &admin)]))
            .await
            .expect("a thread");
    assert_eq!(code, Some(1), "{text}");
}
