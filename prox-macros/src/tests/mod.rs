//! Tests of the whole way through the macro, outside of the compiler.

mod guard_order;
mod guards;
mod messages;
mod mirror;
mod size;
mod tree;
mod truncation;

use proc_macro2::{Span, TokenStream};

use crate::{
    diag::Diagnostics,
    model::{self, Model, tree::Forest},
    syntax::{
        self,
        ast::{Expr, Setup, Target},
        cursor::tokens_of,
        marks::Mark,
    },
};

/// The model, the trees and the messages of a gateway, without the token before it.
fn compiled(source: &str) -> (Model, Forest, Diagnostics) {
    let stream: TokenStream = source.parse().unwrap();
    let mut diag = Diagnostics::default();
    let gateway = syntax::parse(&tokens_of(stream), Span::call_site(), &mut diag);
    let model = model::lower(gateway, &mut diag);
    let forest = Forest::new(&model);
    crate::check::check(&model, &forest, &mut diag);
    (model, forest, diag)
}

fn messages(source: &str) -> Vec<String> {
    let (_, _, diag) = compiled(source);
    diag.messages().into_iter().map(str::to_owned).collect()
}

/// Puts `()` and the like in place of the user's expressions, patterns and types.
pub(crate) fn make_opaque(model: &mut Model) {
    let plain = |text: &str| tokens_of(text.parse().unwrap());
    for env in &mut model.env {
        env.ty = plain("T");
        env.default = env.default.take().map(|_| opaque());
    }
    for setup in &mut model.setup {
        match setup {
            Setup::Let(binding) => {
                binding.pattern = plain("x");
                binding.value = opaque();
            }
            Setup::Backend(backend) => opaque_target(&mut backend.target),
        }
    }
    for layer in &mut model.layers {
        *layer = opaque();
    }
    for route in &mut model.routes {
        opaque_target(&mut route.target);
        route.guard = route.guard.take().map(|_| opaque());
    }
    for field in model.named.iter_mut().flat_map(|named| &mut named.fields) {
        field.ty = plain("T");
    }
    for mark in &mut model.marks {
        match mark {
            Mark::Env { ty, .. } => *ty = plain("T"),
            Mark::Let { pattern, value, .. } => {
                *pattern = plain("x");
                *value = value.take().map(|_| opaque());
            }
            Mark::Value(_, expr) | Mark::Expr(expr) => *expr = opaque(),
            Mark::Word(..) => {}
        }
    }
}

fn opaque_target(target: &mut Option<Target>) {
    if let Some(target) = target {
        opaque_one(target);
    }
}

fn opaque_one(target: &mut Target) {
    match target {
        Target::Expr(expr) => *expr = opaque(),
        Target::Split(split) => {
            for arm in &mut split.arms {
                opaque_one(&mut arm.target);
            }
        }
        Target::Url(_) => {}
    }
}

fn opaque() -> Expr {
    Expr {
        tokens: tokens_of("()".parse().unwrap()),
    }
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
        "/checkout" => split { 95 => users, 5 => canary },
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
