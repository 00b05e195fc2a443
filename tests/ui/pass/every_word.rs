//! Every word of the language in every form.

#![deny(warnings, dead_code)]

use prox::middleware::{RateLimit, Recover, RequestId};
use std::{convert::Infallible, time::Duration};

async fn hello(_: prox::Request) -> &'static str {
    "hello"
}

mod handlers {
    pub async fn bye(_: prox::Request) -> Result<(http::StatusCode, String), http::StatusCode> {
        Ok((http::StatusCode::OK, "bye".to_owned()))
    }
}

prox::gateway! {
    /// Two lines
    /// of documentation.
    #[must_use]
    pub(crate) struct Edge {
        /// The name that is shown.
        pub name: String,
        waits: Vec<(u8, Duration)>,
    }

    env TOKEN: Option<String>;
    env URLS: Vec<Endpoint> = vec!["http://10.0.0.1:80".parse().unwrap()];
    env WAIT: Duration = 250ms;

    let waits: Vec<Duration> = waits.into_iter().map(|(_, wait)| wait).chain([1.5s, 2m, 1h]).collect();
    let (limit, token) = (16KiB + 1MiB + 2GiB, TOKEN.unwrap_or_default());
    let text = format!("{name} {waits:?} {limit} {token}");

    backend alone = "http://10.0.0.1:8080/base";
    backend shared = cluster(random, URLS).connect_timeout(WAIT).idle_timeout(60s).response_timeout(5s);
    backend kept = cluster(rr, ["http://[::1]:8080", "http://b".weight(2)]).preserve_host().health(tcp().every(2s)).required();
    backend called = cluster(p2c, ["http://c:50051"]).http2().health(grpc().service("shop.Orders").every(5s).timeout(1s));

    with [Recover::new()];
    with [RequestId::new(), |req: prox::Request, next: prox::Next| next.run(req),];

    GET | POST exact "/both" => alone,
    GET "/both" => shared,
    "/users" with [RateLimit::per_second(5)] {
        with [RequestId::new()];
        "/" => alone,
        exact "/all" => shared.rewrite("/"),
        "/{id}" {
            PATCH "/" => alone.rewrite("/people/{id}"),
            DELETE | PUT "/orders/{order}" => kept.rewrite("/{order}/of/{id}") with [],
            "/files/{*path}" => split { 1 => alone, 2 => shared, 3 => "http://c", 4 => respond(200, "four") }
        },
    }
    host "one.example.com" | "*.example.com" with [Recover::new()] {
        "/" => handler(hello),
        "/bye" => handler(handlers::bye),
        "/closure" => handler(async |_: prox::Request| "closure"),
        "/service" => service(tower::service_fn(|_: prox::Request| async {
            Ok::<_, Infallible>(http::Response::new(prox::Body::empty()))
        })),
    }
    host "one.example.org" {
        GET "/" if header("x-beta").is("1") => redirect(308, "/beta"),
        GET "/query" if query("beta").exists() => redirect(303, "/beta"),
        GET "/cookie" if cookie("beta").starts_with("y") => redirect(302, "/beta"),
        GET "/client" if client_ip().within("10.0.0.0/8") => redirect(301, "/beta"),
        GET "/closure" if |parts: &prox::Parts| parts.uri.path().len() > 9 => respond(414, "too long"),
        GET "/" => respond(200, text),
    }
    host _ {
        "/any" => kept,
        "/both/again" => split { 1 => kept.mirror(alone, 0.5), 2 => called }.sticky(cookie("side")) with [RequestId::new()],
        "/mirrored" => kept.mirror(called, prox::MirrorOptions::new(1.0).at_once(3).timeout(250ms)),
        "/readyz" => prox::readiness(),
        "/found" => cluster(rr, dns("http://users.internal:8080").min_ttl(2s).max_ttl(30s)).slow_start(prox::SlowStart::off()),
        "/places" => cluster(p2c, srv("http://_http._tcp.users.internal/base"))
    }

    expect GET "/both" => alone;
    expect HEAD "/both/more" => shared;
    expect PUT "/both" => 405;
    expect GET "https://two.example.com/bye" => bye;
    expect GET "https://one.example.org/query?beta" => 303;
    expect GET "https://one.example.org/" => 200;
}

fn main() -> prox::Result {
    let edge = Edge::new("edge".to_owned(), vec![(1, Duration::from_secs(1))])?;
    let EdgeBackends { alone, shared, .. } = edge.backends();
    assert_eq!((alone.name(), shared.endpoints().len()), ("alone", 1));
    assert_eq!(edge.routes().len(), Edge::ROUTES.len());
    let copy: prox::Gateway = prox::IntoGateway::into_gateway(edge.clone())?;
    println!(
        "{edge:?}\n{}{}{}",
        Edge::ROUTES,
        Edge::ENV,
        copy.explain("GET", "/both")
    );
    Ok(())
}
