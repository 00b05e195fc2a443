//! The upstreams of the demo, in the same process: the services of the shop, and an identity provider.

use std::{future::pending, sync::mpsc, thread};

use prox::{
    Endpoint, Env, Error, IntoResponse, Request, Server,
    middleware::{Key, KeyDigest, KeyStore},
    testing::Issuer,
};

/// The services of the shop, and who signs its tokens.
pub struct Demo {
    pub catalog: [Endpoint; 2],
    pub canary: Endpoint,
    pub orders: Endpoint,
    pub issuer: Issuer,
}

/// Starts all of it on a thread of its own, for as long as the process lives.
pub fn start() -> prox::Result<Demo> {
    let failed = |error| Error::io("cannot start the demo", error);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let (sender, started) = mpsc::channel();
    thread::spawn(move || {
        runtime.block_on(async move {
            let demo = all().await;
            let is_there = demo.is_ok();
            // The other end waits for it.
            let _ = sender.send(demo);
            if is_there {
                pending::<()>().await;
            }
        });
    });
    started
        .recv()
        .map_err(|_| Error::config("the thread of the demo has ended"))?
}

async fn all() -> prox::Result<Demo> {
    let failed = |error| Error::io("cannot start the identity provider of the demo", error);
    Ok(Demo {
        catalog: [service("catalog-1").await?, service("catalog-2").await?],
        canary: service("catalog-canary").await?,
        orders: service("orders").await?,
        issuer: Issuer::start().await.map_err(failed)?,
    })
}

/// A service that says its name, what it was asked for, and who the gateway says the caller is.
async fn service(name: &'static str) -> prox::Result<Endpoint> {
    let failed = |error| Error::io("cannot start a service of the demo", error);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    // The variables of the process, such as `ADMIN`, are those of the gateway in front.
    let gateway = Env::empty().within(|| {
        prox::gateway! {
            "/" => handler(move |req: Request| async move {
            let user = req.headers().get("x-user");
            let user = user.and_then(|user| user.to_str().ok()).unwrap_or("nobody");
            let text = format!("{name}: {} {} for {user}\n", req.method(), req.uri());
            // Long enough to be compressed.
            format!("{text}{}\n", ".".repeat(2048)).into_response()
        })
        }
    })?;
    let server = Server::new(gateway).listener(listener).shutdown(pending());
    tokio::spawn(server.serve());
    format!("http://{address}")
        .parse()
        .map_err(|error| Error::config(format!("the address of a demo service: {error}")))
}

/// The key of the partner of the demo. A real gateway has the digests of keys in a file, or in a store.
pub const PARTNER_KEY: &str = "demo-key-of-a-partner-do-not-use-it";

/// The partners of the shop.
#[derive(Debug)]
pub struct Partners;

impl KeyStore for Partners {
    async fn find(
        &self,
        digest: &KeyDigest,
    ) -> Result<Option<Key>, Box<dyn std::error::Error + Send + Sync>> {
        let known = *digest == KeyDigest::of(PARTNER_KEY);
        Ok(known.then(|| Key::new("acme").scopes(["stock"]).claim("plan", "gold")))
    }
}
