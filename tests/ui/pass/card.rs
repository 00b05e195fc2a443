//! The gateway of the language's description, with a field, variables, layers of all forms and a service.

#![deny(warnings, dead_code)]

use prox::{
    IntoResponse, Next, Request, Response,
    middleware::{AccessLog, RateLimit, Recover},
};
use tower_http::cors::CorsLayer;

/// What an embedding program hands to its gateway.
#[derive(Clone)]
pub struct Database(&'static str);

async fn hello(req: Request) -> impl IntoResponse {
    format!("hello from {}", req.uri().path())
}

async fn auth(req: Request, next: Next) -> impl IntoResponse {
    if req.headers().contains_key("authorization") {
        Ok(next.run(req).await)
    } else {
        Err(respond_401())
    }
}

fn respond_401() -> Response {
    (http::StatusCode::UNAUTHORIZED, "who are you?").into_response()
}

fn admin(db: Database) -> axum::Router {
    axum::Router::new().route("/admin", axum::routing::get(move || async move { db.0 }))
}

prox::gateway! {
    /// The public edge of the shop.
    pub struct Shop { db: Database }

    /// Where the users are.
    env USERS_URL: Endpoint;
    env RATE: u32 = 100;

    let ratelimit = RateLimit::per_second(RATE).burst(20);

    /// Whoever buys.
    backend users = cluster(least_conn, [USERS_URL, "http://10.0.0.2:8080".weight(3)])
        .health(http("/healthz").every(5s).timeout(1s))
        .retry(2)
        .timeout(3s);
    backend canary = cluster(rr, ["http://10.0.1.1:8080"]);

    with [AccessLog::json(), Recover::new()];

    host "api.example.com" with [auth] {
        "/v1" => cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]) with [ratelimit],

        "/v1/users" {
            GET "/{id}"                  => users.rewrite("/people/{id}"),
            GET "/{id}" if header("x-beta").is("1") => canary,
            POST exact "/"               => users.timeout(10s),
        }
        "/checkout" => split { 95 => users, 5 => canary },
        GET "/hello" => handler(hello) with [CorsLayer::permissive()],
        "/admin"  => service(admin(db)),
        "/old"    => redirect(308, "/v1"),
        "/gone"   => respond(410, "moved away in 2025"),
    }
    host "*.tenants.example.com" { "/" => "http://tenants:8080" }

    expect GET  "https://api.example.com/v1/users/7"  => users;
    expect POST "https://api.example.com/nowhere"     => 404;
}

fn main() -> prox::Result {
    let error = Shop::new(Database("postgres")).unwrap_err().to_string();
    assert!(error.contains("USERS_URL is not set"), "{error}");
    assert_eq!((Shop::ROUTES.len(), Shop::ENV.len()), (10, 2));
    let explanation = Shop::explain("GET", "https://api.example.com/v1/users/7");
    assert_eq!(
        explanation.route().unwrap().target,
        r#"users.rewrite("/people/{id}")"#
    );
    Ok(())
}
