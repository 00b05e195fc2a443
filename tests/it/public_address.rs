//! Responses of upstreams that speak of their own address.

use http::Request;
use http_body_util::Empty;
use prox_tests::{
    client::{Answer, HyperClient, Speaks, body},
    gateway::Served,
    origin::{Origin, Reply, Seen},
};

/// Answers with fields that name the origin as it is called.
fn reply(seen: &Seen) -> Reply {
    let host = seen.field("host").unwrap_or_default();
    let location = format!("http://{host}/login?from={}", seen.target());
    Reply::status(
        302,
        &[
            ("Location", location.as_str()),
            ("Content-Location", "/made/7"),
            ("Refresh", "5; url=/later"),
            ("Set-Cookie", "a=1; Path=/; Domain=127.0.0.1; HttpOnly"),
            ("Set-Cookie", "__Host-b=2; Path=/; Secure"),
            ("Link", "</made/7>; rel=self"),
        ],
        "http://inside",
    )
}

fn field<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.field(name).unwrap_or_default()
}

#[tokio::test]
async fn what_the_upstream_says_of_itself_is_said_of_the_route() {
    let origin = Origin::with(reply).await;
    let (url, based) = (origin.endpoint(), format!("{}/made", origin.url()));
    let based: prox::Endpoint = based.parse().unwrap();
    let own = origin.url();
    let gateway = Served::start(prox::gateway! {
        backend app = cluster(rr, [url]).rewrite("/");
        "/app" => app.public_address(),
        "/hedged" => app.public_address().hedge(1h),
        "/kept" => app.public_address().preserve_host(),
        "/named" => app.public_address().host_header("app.example"),
        "/off" => app.public_address_if(false),
        "/people/{id}" => app.public_address().rewrite("/made/{id}"),
        "/based" => cluster(rr, [based]).public_address(),
    })
    .await;
    for path in ["/app", "/hedged", "/kept", "/named"] {
        let answer = gateway.get(&format!("{path}/x")).await.expect(302);
        assert_eq!(field(&answer, "location"), format!("{path}/login?from=/x"));
        assert_eq!(field(&answer, "content-location"), format!("{path}/made/7"));
        assert_eq!(field(&answer, "refresh"), format!("5; url={path}/later"));
        let cookie = format!("a=1; Path={path}; HttpOnly");
        assert_eq!(field(&answer, "set-cookie"), cookie);
        assert_eq!(field(&answer, "link"), "</made/7>; rel=self");
        assert_eq!(answer.text(), "http://inside");
    }
    let off = gateway.get("/off/x").await.expect(302);
    assert_eq!(field(&off, "location"), format!("{own}/login?from=/x"));
    assert_eq!(field(&off, "content-location"), "/made/7");
    let made = gateway.get("/people/9").await.expect(302);
    assert_eq!(field(&made, "content-location"), "/people/7");
    assert_eq!(
        field(&made, "refresh"),
        "5; url=/later",
        "not below the template"
    );
    let based = gateway.get("/based").await.expect(302);
    assert_eq!(field(&based, "content-location"), "/7");
}

#[tokio::test]
async fn a_domain_that_is_right_for_the_client_stays() {
    let origin = Origin::with(reply).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/app" => cluster(rr, [url]).rewrite("/").public_address(),
    })
    .await;
    let mut client = gateway.client().await;
    client
        .send(b"GET /app HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n")
        .await;
    let answer = client.response("GET").await;
    assert_eq!(
        answer.head.fields.first("set-cookie"),
        Some("a=1; Path=/app; Domain=127.0.0.1; HttpOnly")
    );
    let all = String::from_utf8_lossy(&answer.head.raw).into_owned();
    assert!(all.contains("__Host-b=2; Path=/; Secure"), "{all}");
}

#[tokio::test]
async fn an_upstream_of_http2_and_a_client_of_http2_are_no_different() {
    let inner = Served::start(prox::gateway! {
        "/" => handler(|req: prox::Request| {
            let host = req.headers().get("host").and_then(|host| host.to_str().ok());
            let host = host.or_else(|| req.uri().authority().map(http::uri::Authority::as_str)).unwrap_or_default();
            let location = format!("http://{host}/login");
            let response = http::Response::builder().status(302).header("location", location);
            async move { response.body(prox::Body::empty()).expect("a location is a value") }
        }),
    })
    .await;
    let url: prox::Endpoint = format!("http://{}", inner.address()).parse().unwrap();
    let gateway = Served::start(prox::gateway! {
        "/app" => cluster(rr, [url]).http2().rewrite("/").public_address(),
    })
    .await;
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let get = Request::get("http://shop.example/app").body(body(Empty::new()));
    let response = client.send(get.unwrap()).await.unwrap();
    assert_eq!(response.status(), 302, "{response:?}");
    assert_eq!(response.headers()["location"], "/app/login");
}
