//! An axum router in a gateway, and a gateway in an axum router.
//!
//! `cargo run -p axum-both-ways` has the gateway outside: it takes the requests, and the router is the target of some routes.
//! `cargo run -p axum-both-ways -- inside` has the router outside: what it does not know goes to the gateway.

#[cfg(test)]
mod tests;

use std::{error::Error, net::SocketAddr};

use axum::{
    Router,
    extract::{ConnectInfo, Path},
    routing::get,
};
use prox::{Client, Embed, Embedded, Parts, middleware::RateLimit};

/// What this program answers itself.
fn router() -> Router {
    Router::new()
        .route("/own", get(async || "answered by axum\n"))
        .route(
            "/own/{id}",
            get(async |Path(id): Path<u64>| format!("number {id}, answered by axum\n")),
        )
}

prox::gateway! {
    /// The gateway outside: the router is a target like any other, behind the layers of the gateway.
    pub struct Outside { router: Router }

    /// What answers the rest.
    env LEGACY_URL: Endpoint = "http://127.0.0.1:9000";

    backend legacy = cluster(rr, [LEGACY_URL]);

    with [RateLimit::per_second(100).burst(20)];

    "/own" => service(router),
    "/" => legacy,
}

prox::gateway! {
    /// The gateway inside: it passes on what the router does not know.
    pub struct Inside;

    env LEGACY_URL: Endpoint = "http://127.0.0.1:9000";

    backend legacy = cluster(rr, [LEGACY_URL]);

    "/" => legacy,
}

/// The gateway as a service of axum, which knows the address of the client.
fn embedded() -> prox::Result<Embedded> {
    Embed::new(Inside::new())
        .client(|req: &Parts| {
            let info = req.extensions.get::<ConnectInfo<SocketAddr>>();
            Client::new(info.map(|info| info.0))
        })
        .service()
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = "0.0.0.0:8080";
    println!(
        "try, with something on port 9000:
  curl -i localhost:8080/own/7       # axum
  curl -i localhost:8080/elsewhere   # the upstream
"
    );
    if std::env::args().nth(1).as_deref() == Some("inside") {
        return inside(address);
    }
    Ok(prox::run(Outside::new(router()))?)
}

#[tokio::main]
async fn inside(address: &str) -> Result<(), Box<dyn Error>> {
    let legacy = embedded()?;
    let gateway = legacy.gateway().clone();
    let router = router().fallback_service(legacy);
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(
        listener,
        router.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(async move {
        // Without a signal the server goes on.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        gateway.drain();
    })
    .await?;
    Ok(())
}
