//! What stands right of `=>`: split, rewrite, redirect, respond, handlers, and backends that routes share.

use prox::{IntoResponse, Request};
use prox_tests::{
    client::{HyperClient, head, text},
    gateway::Served,
    origin::{Origin, Reply},
};

async fn named(name: &'static str) -> Origin {
    Origin::start(Reply::ok(name)).await
}

#[tokio::test]
async fn a_split_is_exact_over_each_round() {
    let (a, b) = (named("a").await, named("b").await);
    let (stable, canary) = (a.endpoint(), b.endpoint());
    let gateway = Served::start(prox::gateway! {
        backend stable = stable;
        backend canary = cluster(rr, [canary]);
        "/" => split { 9 => stable, 1 => canary },
        "/fixed" => split { 1 => respond(200, "x"), 1 => respond(201, "y") },
    })
    .await;
    let mut client = gateway.client().await;
    for _ in 0..50 {
        client.get("/").await.expect(200);
    }
    assert_eq!((a.count(), b.count()), (45, 5));
    let statuses = [
        client.get("/fixed").await.status,
        client.get("/fixed").await.status,
    ];
    assert_eq!(statuses.iter().sum::<u16>(), 401);
}

#[tokio::test]
async fn a_rewrite_fills_in_parameters_and_keeps_what_follows() {
    let origin = named("a").await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        backend people = cluster(rr, [url]);
        "/users/{id}"               => people.rewrite("/people/{id}"),
        exact "/exact/{x}/{y}"      => people.rewrite("/{y}/{x}"),
        "/strip"                    => people.rewrite("/"),
        "/files/{*rest}"            => people.rewrite("/static/{*rest}"),
        "/split/{id}"               => split { 1 => people.rewrite("/s/{id}") },
        "/layered/{id}"             => people.rewrite("/l/{id}") with [pass],
    })
    .await;
    for (target, upstream) in [
        ("/users/7", "/people/7"),
        ("/users/7/", "/people/7/"),
        ("/users/7/orders?a=b", "/people/7/orders?a=b"),
        ("/users/a%20b", "/people/a%20b"),
        ("/users/%3f", "/people/%3F"),
        ("/exact/1/2?q=%2f", "/2/1?q=%2f"),
        ("/strip", "/"),
        ("/strip/", "/"),
        ("/strip/a//b", "/a//b"),
        ("/strip?x", "/?x"),
        ("/files/a/b/c", "/static/a/b/c"),
        ("/split/7/x", "/s/7/x"),
        ("/layered/7/x", "/l/7/x"),
    ] {
        gateway.get(target).await.expect(200);
        assert_eq!(origin.last().target(), upstream, "{target}");
    }
}

#[tokio::test]
async fn a_mount_that_leads_to_a_base_path_adds_no_slash() {
    let origin = named("a").await;
    let (based, bare) = (format!("{}/api", origin.endpoint()), origin.endpoint());
    let based: prox::Endpoint = based.parse().expect("an endpoint");
    let gateway = Served::start(prox::gateway! {
        backend api = cluster(rr, [based]);
        "/mount"          => api.rewrite("/"),
        "/kept"           => api.rewrite("/v1"),
        exact "/exact"    => api.rewrite("/"),
        "/layered"        => api.rewrite("/") with [pass],
        "/whole"          => api,
        "/bare"           => cluster(rr, [bare]).rewrite("/"),
    })
    .await;
    for (target, upstream) in [
        ("/mount", "/api"),
        ("/mount?x=1", "/api?x=1"),
        ("/mount/", "/api/"),
        ("/mount/?x=1", "/api/?x=1"),
        ("/mount/a?x=1", "/api/a?x=1"),
        ("/kept?x=1", "/api/v1?x=1"),
        ("/exact?x=1", "/api?x=1"),
        ("/layered?x=1", "/api?x=1"),
        ("/whole?x=1", "/api/whole?x=1"),
        ("/bare?x=1", "/?x=1"),
    ] {
        gateway.get(target).await.expect(200);
        assert_eq!(origin.last().target(), upstream, "{target}");
    }
}

async fn pass(req: Request, next: prox::Next) -> impl IntoResponse {
    next.run(req).await
}

#[tokio::test]
async fn redirects_say_where_to() {
    let gateway = Served::start(prox::gateway! {
        "/old" => redirect(308, "/new"),
        "/away" => redirect(302, "https://example.com/?a=b"),
    })
    .await;
    let mut client = gateway.client().await;
    let answer = client.get("/old/below").await.expect(308);
    assert_eq!(answer.field("location"), Some("/new"));
    let answer = client.post("/away", "body").await.expect(302);
    assert_eq!(answer.field("location"), Some("https://example.com/?a=b"));
    client.request("HEAD", "/old").await;
    client.response("HEAD").await.expect(308);
}

#[tokio::test]
async fn fixed_responses_are_text() {
    let gateway = Served::start(prox::gateway! {
        "/gone"  => respond(410, "moved away in 2025"),
        "/empty" => respond(204, ""),
    })
    .await;
    let mut client = gateway.client().await;
    let answer = client.get("/gone").await.expect(410);
    assert_eq!(answer.text(), "moved away in 2025");
    assert_eq!(
        answer.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    client.get("/empty").await.expect(204);
    client.request("HEAD", "/gone").await;
    let answer = client.response("HEAD").await.expect(410);
    assert_eq!(answer.field("content-length"), Some("18"));
    client.get("/gone").await.expect(410);
}

#[tokio::test]
async fn a_body_that_a_fixed_response_does_not_read_does_no_harm() {
    let gateway = Served::start(prox::gateway! { "/" => respond(200, "ok") }).await;
    let mut client = gateway.client().await;
    let smuggled = "GET /evil HTTP/1.1\r\nHost: x\r\n\r\n";
    client.post("/", smuggled).await.expect(200);
    client.get("/").await.expect(200);
    client
        .send(head("POST", "/", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n")
        .await;
    client.response("POST").await.expect(200);
}

#[tokio::test]
async fn an_async_function_and_a_closure_are_handlers() {
    async fn echo(req: Request) -> impl IntoResponse {
        let (parts, body) = req.into_parts();
        match body.bytes(1024).await {
            Ok(bytes) => format!(
                "{} {} {}",
                parts.method,
                parts.uri,
                String::from_utf8_lossy(&bytes)
            ),
            Err(error) => return error.into_response(),
        }
        .into_response()
    }
    let greeting = String::from("hello");
    let greet = move |_: Request| std::future::ready(greeting.clone());
    let gateway = Served::start(prox::gateway! {
        "/echo" => handler(echo),
        "/greet" => handler(greet),
        "/never" => handler(|_| async { prox::Failure::Forbidden }),
    })
    .await;
    let mut client = gateway.client().await;
    assert_eq!(
        client.post("/echo?x=1", "body").await.expect(200).text(),
        "POST /echo?x=1 body"
    );
    assert_eq!(client.get("/greet").await.expect(200).text(), "hello");
    client.get("/never").await.expect(403);
    client.post("/echo", &"x".repeat(2000)).await.expect(413);
}

#[tokio::test]
async fn a_handler_knows_its_client_and_its_route() {
    use prox::RequestExt;
    async fn about(req: Request) -> impl IntoResponse {
        let ip = req.client_ip().map(|ip| ip.to_string()).unwrap_or_default();
        let route = req.route().map(|route| route.path).unwrap_or_default();
        format!("{ip} {route} {}", req.param("id").unwrap_or_default())
    }
    let gateway = Served::start(prox::gateway! { "/a" { "/{id}" => handler(about) } }).await;
    assert_eq!(
        gateway.get("/a/7/b").await.expect(200).text(),
        "127.0.0.1 /a/{id} 7"
    );
}

#[tokio::test]
async fn routes_to_one_backend_share_its_connections() {
    let origin = named("a").await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        backend shared = cluster(rr, [url]);
        "/a" => shared,
        "/b" => shared.timeout(10s),
        "/c" => shared.preserve_host(),
    })
    .await;
    for path in ["/a", "/b", "/c", "/a"] {
        gateway.get(path).await.expect(200);
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn an_option_of_one_route_is_not_that_of_another() {
    let origin = Origin::start(
        Reply::new()
            .pause(std::time::Duration::from_millis(300))
            .head(200, &[], "Content-Length: 0"),
    )
    .await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        backend slow = cluster(rr, [url]);
        "/patient" => slow,
        "/hasty" => slow.response_timeout(50ms),
    })
    .await;
    gateway.get("/hasty").await.expect(504);
    gateway.get("/patient").await.expect(200);
}

#[tokio::test]
async fn a_hyper_client_gets_along() {
    let origin =
        Origin::with(|seen| Reply::ok(format!("{} {}", seen.method(), seen.target()))).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = HyperClient::connect(gateway.address()).await;
    for path in ["/a", "/b"] {
        let request = http::Request::post(path)
            .header("host", "gateway.test")
            .body(text("body"))
            .unwrap();
        let response = client.send(request).await.unwrap();
        let body = http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap()
            .to_bytes();
        assert_eq!(body, format!("POST {path}"));
    }
}

#[test]
fn what_is_wrong_with_a_gateway_is_said_all_at_once() {
    let (none, twice) = (Vec::<String>::new(), String::from("http://127.0.0.1:1"));
    let again = twice.clone();
    let bad = String::from("ftp://127.0.0.1");
    let gateway = prox::gateway! {
        backend empty = cluster(rr, none);
        backend doubled = cluster(rr, [twice, again]);
        "/a" => empty,
        "/b" => doubled,
        "/c" => cluster(rr, [bad]),
    };
    let error = gateway.unwrap_err().to_string();
    for part in ["no endpoints", "twice", "ftp://127.0.0.1"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
