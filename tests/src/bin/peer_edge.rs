//! The gateways of the benchmark of layers: one route, the defaults, one worker, and the layers that `--layers` names.
//!
//! `--folder` has `key.pem`, `keys.txt` and `htpasswd`, which `tests/peers/edge.py` writes. `random` is the gateway of the memory run: what
//! it knows of callers, addresses and URLs is bounded, whatever they send. It writes its tokens to `tokens.txt`.

use std::{
    error::Error,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use prox::{
    BoxError, Endpoint, Gateway, Request, Response, Server,
    dsl::{handler, header, principal},
    middleware::{
        ApiKeys, Basic, BodyLimit, Cache, Cors, Csrf, Headers, IdentityHeaders, InFlight,
        Introspect, IpRules, Jwt, Key, KeyDigest, KeyStore, RateLimit, RequestId, Require,
        SecurityHeaders,
    },
    testing::Issuer,
};
use prox_tests::flags::flag;

/// The origin of the page that asks.
const PAGE: &str = "https://www.example.com";

/// More than any machine has requests.
const MANY: u32 = 100_000_000;

/// The keys of limits that few requests reach: so many come within a minute, and the limit of all addresses has the default.
const FEW: usize = 8192;

/// The tokens of the memory run.
const TOKENS: usize = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let listen: SocketAddr = flag("listen", None)?;
    let upstream: Endpoint = flag("upstream", None)?;
    let layers: String = flag("layers", Some("none".into()))?;
    let folder: PathBuf = flag("folder", Some(".".into()))?;
    let server = Server::new(gateway(&layers, upstream, &folder)?)
        .address(listen)
        .workers(1);
    match &*layers {
        "random" => server.trusted_proxies(["127.0.0.1"]).run()?,
        _ => server.run()?,
    }
    Ok(())
}

fn jwt(folder: &Path) -> Jwt {
    // Without the file the gateway does not start: an empty text is not a key.
    let pem = fs::read_to_string(folder.join("key.pem")).unwrap_or_default();
    Jwt::pem(pem)
        .issued_by("https://id.example.com/")
        .audience("shop")
}

fn cors() -> Cors {
    Cors::origins([PAGE]).credentials()
}

fn per_client() -> RateLimit {
    RateLimit::per_second(MANY)
}

fn gateway(layers: &str, url: Endpoint, folder: &Path) -> Result<Gateway, Box<dyn Error>> {
    let file = |name: &str| folder.join(name);
    let gateway = match layers {
        "none" => prox::gateway! { "/" => url },
        "Cors" => prox::gateway! { "/" => url with [cors()] },
        "Csrf" => prox::gateway! { "/" => url with [Csrf::new()] },
        "SecurityHeaders" => prox::gateway! { "/" => url with [SecurityHeaders::new()] },
        "RequestId" => prox::gateway! { "/" => url with [RequestId::new()] },
        "IpRules" => {
            prox::gateway! { "/" => url with [IpRules::allow(["127.0.0.0/8", "10.0.0.0/8"])] }
        }
        "BodyLimit" => prox::gateway! { "/" => url with [BodyLimit::max(1 << 20)] },
        "Headers" => prox::gateway! {
            "/" => url with [Headers::request().set("x-host", "{host}").remove("x-debug")],
        },
        "RateLimit" => prox::gateway! { "/" => url with [per_client()] },
        "RateLimit, 2" => {
            prox::gateway! { "/" => url with [per_client(), RateLimit::per_hour(MANY)] }
        }
        "InFlight" => prox::gateway! { "/" => url with [InFlight::max(MANY)] },
        "ApiKeys" => prox::gateway! { "/" => url with [ApiKeys::file(file("keys.txt"))] },
        "Basic" => prox::gateway! {
            "/" => url with [Basic::htpasswd(file("htpasswd")).cache(std::time::Duration::from_hours(24))],
        },
        "Jwt" => prox::gateway! { "/" => url with [jwt(folder)] },
        "Jwt, Require" => {
            prox::gateway! { "/" => url with [jwt(folder), Require::scope("orders")] }
        }
        "Jwt, IdentityHeaders" => prox::gateway! {
            "/" => url with [jwt(folder), IdentityHeaders::new().subject("x-user")],
        },
        "Jwt, RateLimit" => prox::gateway! {
            "/" => url with [jwt(folder), RateLimit::per_second(MANY).by(principal())],
        },
        // All of it together, in the order in which one writes them.
        "edge" => prox::gateway! {
            require auth;
            "/" => url with [
                cors(),
                per_client(),
                jwt(folder),
                Require::scope("orders"),
                RateLimit::per_second(MANY).by(principal()),
                IdentityHeaders::new().subject("x-user"),
            ],
        },
        // A route without layers, and routes with them in the same gateway.
        "beside" => {
            let others = url.clone();
            prox::gateway! {
                backend others = others;
                "/" => url,
                "/page" => others with [cors(), SecurityHeaders::new(), RequestId::new()],
                "/limited" => others with [per_client(), InFlight::max(MANY), BodyLimit::max(1 << 20)],
                "/known" => others with [jwt(folder), Require::scope("orders"), RateLimit::per_second(MANY).by(principal())],
            }
        }
        "random" => return random(url, folder),
        other => return Err(format!("no such layers: {other}").into()),
    };
    Ok(gateway?)
}

/// Each place that keeps something of what clients send.
fn random(url: Endpoint, folder: &Path) -> Result<Gateway, Box<dyn Error>> {
    let issuer = Issuer::new("https://id.example.com/");
    let tokens: Vec<String> = (0..TOKENS)
        .map(|number| {
            let token = issuer.token(format!("user-{number}")).audience("shop");
            token.scope("orders").expires_in(24 * 3600).sign()
        })
        .collect();
    fs::write(folder.join("tokens.txt"), tokens.join("\n"))?;
    let fetched = Jwt::issuer(issuer.url()).fetch_by(issuer).audience("shop");
    let asked = Introspect::new(handler(introspect)).audience("shop");
    let per_user = || RateLimit::per_second(MANY).by(principal()).max_keys(FEW);
    let users = Basic::htpasswd(folder.join("htpasswd"));
    let gateway = prox::gateway! {
        with [Cors::origins([PAGE]), RateLimit::per_second(MANY), InFlight::max(MANY)];
        require auth;
        backend shop = url;
        "/jwt" => shop with [fetched, per_user(), IdentityHeaders::new().subject("x-user")],
        "/introspect" => shop with [asked, per_user(), IdentityHeaders::new().subject("x-user")],
        "/keys" => shop with [ApiKeys::store(Store), per_user()],
        "/basic" => shop with [users],
        "/tenant" => shop with [ApiKeys::store(Store), RateLimit::per_second(5).by(header("x-tenant")).max_keys(FEW), InFlight::max(5).by(header("x-tenant"))],
        "/pages" => handler(page) with [public, Csrf::new(), Cache::new(16 << 20)],
    };
    Ok(gateway?)
}

/// A response that may be kept for as long as the run is.
async fn page(req: Request) -> Response {
    let mut response = prox::IntoResponse::into_response(format!("{}\n", req.uri()).repeat(20));
    let field = http::HeaderValue::from_static("max-age=3600");
    response.headers_mut().insert("cache-control", field);
    response
}

/// Says that every second token is active: those with an even last byte.
async fn introspect(req: Request) -> String {
    let body = req.into_body().bytes(32 * 1024).await.unwrap_or_default();
    let token = body.split(|byte| *byte == b'&').next().unwrap_or_default();
    let digest = token
        .iter()
        .fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
    if digest.is_multiple_of(2) {
        format!(r#"{{"active":true,"sub":"user-{digest}","aud":"shop"}}"#)
    } else {
        r#"{"active":false}"#.to_owned()
    }
}

/// Knows every second key.
#[derive(Clone)]
struct Store;

impl KeyStore for Store {
    async fn find(&self, digest: &KeyDigest) -> Result<Option<Key>, BoxError> {
        let [first, second, ..] = *digest.bytes();
        let name = format!("caller-{first}-{second}");
        Ok((first % 2 == 0).then(|| Key::new(name)))
    }
}
