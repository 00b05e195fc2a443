//! A gateway for many tenants: a host for each, a key for each, a limit for each, and a backend of its own for the large ones.
//!
//! `cargo run -p multi-tenant` serves with two demo services, and prints what to `curl`.

mod demo;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use prox::{
    Env, Failure, IntoResponse, Next, Request, RequestExt, Response,
    dsl::claim,
    middleware::{AccessLog, ApiKeys, IdentityHeaders, Key, KeyDigest, KeyStore, RateLimit},
};

prox::gateway! {
    /// Tenants below one domain.
    pub struct Tenants;

    /// The service of all tenants.
    env SHARED_URL: Endpoint;
    /// That of the largest one.
    env ACME_URL: Endpoint;

    backend shared = cluster(rr, [SHARED_URL]);
    backend acme = cluster(rr, [ACME_URL]);

    let keys = ApiKeys::store(Keys);
    let told = IdentityHeaders::new().claim("tenant", "x-tenant");
    let per_tenant = RateLimit::per_minute(60).burst(3).by(claim("tenant")).name("tenant");

    with [AccessLog::new()];
    require auth;

    host "acme.tenants.localhost" with [keys.clone(), own_host, per_tenant.clone(), told.clone()] {
        "/" => acme,
    }
    host "*.tenants.localhost" with [keys, own_host, per_tenant, told] {
        "/" => shared,
    }

    expect GET "http://acme.tenants.localhost/orders" => acme;
    expect GET "http://other.tenants.localhost/orders" => shared;
    expect GET "http://example.com/" => 404;
}

/// The keys of the tenants. In production this asks a database; `ApiKeys` keeps what it has learnt for a while.
#[derive(Clone, Debug)]
struct Keys;

/// The keys of the demo, with their tenants.
const KEYS: [(&str, &str); 2] = [("acme-key", "acme"), ("pear-key", "pear")];

impl KeyStore for Keys {
    async fn find(
        &self,
        digest: &KeyDigest,
    ) -> Result<Option<Key>, Box<dyn std::error::Error + Send + Sync>> {
        let known = KEYS.iter().find(|(key, _)| *digest == KeyDigest::of(key));
        Ok(known.map(|(_, tenant)| Key::new(*tenant).claim("tenant", *tenant)))
    }
}

/// A key opens the host of its own tenant, and no other.
async fn own_host(req: Request, next: Next) -> Response {
    let host = req.uri().host().map(str::to_owned).or_else(|| {
        let host = req.headers().get("host")?.to_str().ok()?;
        Some(host.to_owned())
    });
    let tenant = host.as_deref().and_then(|host| host.split('.').next());
    let caller = req.principal().map(|caller| caller.subject().to_owned());
    if tenant.is_some() && tenant == caller.as_deref() {
        next.run(req).await
    } else {
        Failure::Forbidden.into_response()
    }
}

fn main() -> prox::Result<ExitCode> {
    let mut variables = Env::process();
    if std::env::args().len() == 1 && std::env::var_os("SHARED_URL").is_none() {
        let (shared, acme) = (demo::start("shared")?, demo::start("acme")?);
        variables = variables.set("SHARED_URL", shared).set("ACME_URL", acme);
        let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
        print!(
            "try:
  curl -i http://acme.tenants.localhost:{port}/orders -H 'x-api-key: acme-key'   # a backend of its own
  curl -i http://pear.tenants.localhost:{port}/orders -H 'x-api-key: pear-key'   # the one of all tenants
  curl -i http://pear.tenants.localhost:{port}/orders -H 'x-api-key: acme-key'   # 403: the key of another tenant
  curl -i http://pear.tenants.localhost:{port}/orders                            # 401
"
        );
    }
    Ok(prox::cli(move || Tenants::with_env(variables)))
}
