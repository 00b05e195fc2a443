//! Tests of the whole way through the macro, outside of the compiler.

mod diff;
mod domains;
mod expectations;
mod features;
mod guard_order;
mod guards;
mod harness;
mod hosts;
mod layers;
mod listeners;
mod messages;
mod methods;
mod mirror;
mod opaque;
mod redirects;
mod replay;
mod segments;
mod size;
mod times;
mod tree;
mod truncation;
mod vocab;
mod warnings;

use proc_macro2::{Span, TokenStream};

pub(crate) use self::opaque::make_opaque;

use crate::{
    diag::Diagnostics,
    model::{self, Model, tree::Forest},
    syntax::{self, cursor::tokens_of},
};

/// The model, the trees and the messages of a gateway, without the token before it.
fn compiled(source: &str) -> (Model, Forest, Diagnostics) {
    compiled_of(source.parse().unwrap())
}

fn compiled_of(stream: TokenStream) -> (Model, Forest, Diagnostics) {
    let mut diag = Diagnostics::default();
    let gateway = syntax::parse(&tokens_of(stream), Span::call_site(), &mut diag);
    let model = model::lower(gateway, &mut diag);
    let forest = Forest::new(&model);
    crate::check::check(&model, &forest, &mut diag);
    diag.finish();
    (model, forest, diag)
}

fn messages(source: &str) -> Vec<String> {
    let (_, _, diag) = compiled(source);
    diag.messages().into_iter().map(str::to_owned).collect()
}

/// The example of the language's description.
const CARD: &str = r#"
    /// The public edge of the shop.
    pub struct Shop { db: PgPool }

    env USERS_URL: Endpoint;
    env RATE: u32 = 100;

    let auth = Jwt::jwks("https://id.example.com/jwks.json").audience("shop");
    let ratelimit = RateLimit::per_second(RATE).burst(20);

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
        "/checkout" => split { 95 => users.mirror(canary, 0.1), 5 => canary }.sticky(cookie("variant")),
        GET "/hello" => handler(hello),
        "/admin"  => service(axum_router(db)),
        "/old"    => redirect(308, "/v1"),
        "/gone"   => respond(410, "moved away in 2025"),
    }
    host "*.tenants.example.com" | "tenants.example.com" { "/" => "http://tenants:8080" }
    host _ with [auth] { with [ratelimit]; GET | HEAD "/files/{*rest}" => users }

    expect GET  "https://api.example.com/v1/users/7"  => users;
    expect POST "https://api.example.com/nowhere"     => 404;
"#;

/// The same language in expression position.
const EXPRESSION: &str = r#"
    env URLS: Vec<Endpoint> = Vec::<Endpoint>::from([a, b]);
    let limit: HashMap<String, u32> = |a, b| a + b;
    backend users = "http://127.0.0.1:9000";
    with [cors, move |req: Request, next: Next| async move { next.run(req).await }];
    GET "/a" if |req: &Parts| req.uri.path() != "/a/b" => users.timeout(1.5s).max_body(16KiB) with [limit],
    exact "/b/" => make::<A, B>(match x { 1 => users, _ => canary }),
    "/c" { with [auth]; "/{x}/{y}" { DELETE "/" => respond(204, "") } }
    "/" => split { 1 => "http://a:1", 2 => handler(m::f), }
"#;
