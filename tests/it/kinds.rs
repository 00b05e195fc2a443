//! Parameters of a kind and lists of values, by the match code of small hosts and by the tables.

use prox::{
    IntoResponse, Request, RequestExt,
    dsl::param,
    middleware::{Headers, InFlight, RateLimit},
};
use prox_tests::{
    client::head,
    gateway::Served,
    origin::{Origin, Reply},
};

/// Says what was captured.
async fn id(req: Request) -> impl IntoResponse {
    format!(
        "{} {}",
        req.route().expect("it is routed").path,
        req.param("id").expect("the path has it")
    )
}

prox::gateway! {
    struct Typed;

    "/users/{id: int}"                => handler(id),
    "/users/{id: uuid}"               => handler(id),
    "/users/{id: slug}"               => handler(id),
    "/users/{id: 'me' | 'all%20'}/x"  => handler(id),
    "/users/{id}"                     => handler(id),
    "/{id: 'v1' | 'v2'}/orders"       => handler(id),
    GET "/only/{id: int}/y"           => handler(id),

    expect GET "/v3/orders" => 404;
    expect POST "/only/7/y" => 405;
    expect GET "/only/x/y" => 404;
}

const CASES: [(&str, Option<&str>); 14] = [
    ("/users/42", Some("/users/{id: int} 42")),
    ("/users/%34%32/x", Some("/users/{id: int} 42")),
    (
        "/users/F81D4FAE-7dec-11d0-a765-00a0c91e6bf6/x",
        Some("/users/{id: uuid} F81D4FAE-7dec-11d0-a765-00a0c91e6bf6"),
    ),
    (
        "/users/f81d4fae7dec11d0a76500a0c91e6bf6",
        Some("/users/{id: slug} f81d4fae7dec11d0a76500a0c91e6bf6"),
    ),
    ("/users/-42", Some("/users/{id: slug} -42")),
    ("/users/me", Some("/users/{id: slug} me")),
    ("/users/me/x/y", Some("/users/{id: 'me' | 'all%20'}/x me")),
    (
        "/users/all%20/x",
        Some("/users/{id: 'me' | 'all%20'}/x all%20"),
    ),
    ("/users/all%20", Some("/users/{id} all%20")),
    ("/users/4.2", Some("/users/{id} 4.2")),
    ("/v2/orders/7", Some("/{id: 'v1' | 'v2'}/orders v2")),
    ("/v3/orders", None),
    ("/only/7/y", Some("/only/{id: int}/y 7")),
    ("/only/a/y", None),
];

#[tokio::test]
async fn the_narrowest_kind_takes_the_segment() {
    let gateway = Served::start(Typed::new()).await;
    let mut client = gateway.client().await;
    for (path, wanted) in CASES {
        client.send(head("GET", path, "")).await;
        let answer = client.response("GET").await;
        let answer = answer.expect(if wanted.is_some() { 200 } else { 404 });
        if let Some(wanted) = wanted {
            assert_eq!(answer.text(), wanted, "{path}");
        }
    }
}

#[tokio::test]
async fn a_rewrite_names_a_parameter_of_a_kind() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let users = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/users/{id: int}" => cluster(rr, [users]).rewrite("/people/{id}"),
    })
    .await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/users/7/x", "")).await;
    client.response("GET").await.expect(200);
    assert_eq!(origin.last().target(), "/people/7/x");
}

#[test]
fn a_layer_names_a_parameter_of_a_kind() {
    let made = prox::gateway! {
        "/a/{id: int}" => respond(200, "a") with [RateLimit::per_second(5).by(param("id"))],
        "/b/{v: 'x' | 'y'}" => respond(200, "b") with [InFlight::max(5).by(param("v"))],
        "/c/{*rest}" => respond(200, "c") with [InFlight::max(5).by(param("rest"))],
        "/d/{id: int}" => respond(200, "d") with [Headers::request().set("x-id", "{id}")],
    };
    assert!(made.is_ok(), "{made:?}");
}

#[test]
fn explain_finds_the_same_route() {
    for (path, wanted) in CASES {
        let explanation = Typed::explain("GET", path);
        let route = explanation.route().map(|route| route.path);
        let wanted = wanted
            .and_then(|wanted| wanted.rsplit_once(' '))
            .map(|(route, _)| route);
        assert_eq!(route, wanted, "{path}");
    }
}
