//! The gateway of a small shop, with what a team needs in production: customers with tokens, partners with keys, operators on a host
//! of their own, limits, CORS, compression, a canary, metrics. Its services and its identity provider run in this same process, so
//! that it works on a fresh machine.
//!
//! `cargo run -p advanced` prints what to `curl`, tokens included. `cargo run -p advanced -- routes` prints the routes.

mod demo;

use prox::{
    Endpoint, Secret, cli_with,
    dsl::{claim, principal},
    middleware::{
        AccessLog, ApiKeys, BodyLimit, Compress, Cors, IdentityHeaders, IntoLayer, Jwt, Layer,
        LimitKey, RateLimit, Recover, Redis, RequestId, Require, SecurityHeaders, WhenDown,
    },
};

use demo::Partners;

prox::gateway! {
    /// The gateway of a small shop.
    pub struct Shop {
        customers: Jwt,
        catalogs: Vec<Endpoint>,
        canary_catalog: Endpoint,
        orders_at: Endpoint,
    }

    /// Where limits are kept that all replicas share. Without it each replica has its own.
    env REDIS_URL: Option<Secret>;
    /// The share of the canary beside 90 for the catalog; 0 turns it off.
    env CANARY: u32 = 10;
    /// Where operators come.
    env OPS_HOST: Host = "ops.localhost";

    let per_customer = shared(RateLimit::per_minute(60).burst(20).by(principal()).name("customer"), REDIS_URL.as_ref());
    let per_plan = shared(RateLimit::per_minute(600).by(claim("plan")).name("plan"), REDIS_URL.as_ref());

    backend catalog = cluster(p2c, catalogs).retry(1).health(tcp().every(2s)).required();
    backend canary = cluster(rr, [canary_catalog]);
    backend orders = cluster(rr, [orders_at]).timeout(5s);

    with [AccessLog::text(), RequestId::new(), Recover::new(), SecurityHeaders::new(), RateLimit::per_second(50).burst(100)];
    // A route below without a layer that says who may enter does not compile.
    require auth;

    // Customers, from the shop's own page.
    host "shop.localhost" with [Cors::origins(["https://shop.example.com"]).credentials()] {
        "/catalog" => split { CANARY => canary, 90 => catalog } with [public, Compress::new()],

        "/orders" with [customers, per_customer, IdentityHeaders::new().subject("x-user")] {
            GET "/{id: int}" => orders with [Require::scope("orders")],
            POST exact "/" => orders with [Require::scope("orders"), BodyLimit::max(64 * 1024)],
        }
    }

    // Partners, from their own programs.
    host "partners.localhost" {
        "/stock" => catalog.rewrite("/catalog") with [ApiKeys::store(Partners), Require::scope("stock"), per_plan, IdentityHeaders::new().subject("x-user")],
    }

    // Operators. In production this is a listener that only the inside reaches: `on "internal" { .. }`.
    host OPS_HOST {
        GET "/readyz" => prox::readiness() with [public],
        GET "/metrics" => prox::metrics() with [public],
    }

    expect GET  "http://shop.localhost/catalog/chairs" => catalog;
    expect POST "http://shop.localhost/orders" => orders;
    expect GET  "http://shop.localhost/orders/chair" => 404;
    expect GET  "http://partners.localhost/orders/7" => 404;
}

/// A limit that all replicas share, where there is a store. While that is down, each replica has the limit for itself.
fn shared<K: LimitKey>(limit: RateLimit<K>, store: Option<&Secret>) -> Layer {
    match store {
        Some(url) => limit
            .shared(&Redis::url(url.clone()), WhenDown::Local)
            .into_layer(),
        None => limit.into_layer(),
    }
}

fn main() -> prox::Result<std::process::ExitCode> {
    let demo = demo::start()?;
    let customers = Jwt::issuer(demo.issuer.url()).audience("shop");
    let token = |subject: &str, scope: &str| {
        let token = demo.issuer.token(subject).audience("shop");
        token.scope(scope).expires_in(3600).sign()
    };
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    if std::env::args().len() == 1 {
        print!(
            "{}",
            try_it(&port, &token("ada", "orders"), &token("eve", ""))
        );
    }
    let [one, two] = demo.catalog;
    let catalogs = vec![one, two];
    Ok(cli_with(
        || Shop::new(customers, catalogs, demo.canary, demo.orders),
        |server| server.admin("127.0.0.1:9901"),
    ))
}

fn try_it(port: &str, token: &str, weak: &str) -> String {
    let key = demo::PARTNER_KEY;
    format!(
        "try:
  curl -i http://shop.localhost:{port}/catalog/chairs                # one in ten goes to the canary
  curl -i --compressed http://shop.localhost:{port}/catalog/chairs   # compressed
  curl -i http://shop.localhost:{port}/orders/7                      # 401
  curl -i http://shop.localhost:{port}/orders/7 -H 'authorization: Bearer {token}'
  curl -i http://shop.localhost:{port}/orders/7 -H 'authorization: Bearer {weak}'   # 403: the token lacks the scope
  curl -i http://shop.localhost:{port}/orders/chair                  # 404: an id is a number
  curl -i http://partners.localhost:{port}/stock                     # 401
  curl -i http://partners.localhost:{port}/stock -H 'x-api-key: {key}'
  curl -i -X OPTIONS http://shop.localhost:{port}/orders -H 'origin: https://shop.example.com' -H 'access-control-request-method: POST'
  curl -s http://ops.localhost:{port}/metrics                        # what all of that has counted
  curl -s http://127.0.0.1:9901/endpoints -H 'accept: text/plain'    # for operators of this machine

"
    )
}
