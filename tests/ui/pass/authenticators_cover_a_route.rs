//! Each authenticator covers a route, alone and with another; what needs a caller may stand behind it.

use std::time::Duration;

use prox::{
    Secret,
    middleware::{
        AccessLog, ApiKeys, AuthenticateExt, Basic, ClientCerts, ForwardAuth, IdentityHeaders,
        Introspect, Jwt, Require,
    },
};

prox::gateway! {
    struct Covered;

    with [AccessLog::json().principals()];
    require auth;

    env SECRET: Secret;

    backend users = "http://10.0.0.1:8080";
    backend id = "http://10.0.0.5:8080";
    backend login = "http://10.0.0.6:9091";

    let issuer = Jwt::issuer("http://127.0.0.1:9000/").audience("shop");
    let people = ForwardAuth::new(login).uri("/verify").copy(["remote-user"]).subject("remote-user").cookies();
    let opaque = Introspect::new(id).client("gateway", SECRET.clone()).cache(10s).audience("shop");
    let either = ClientCerts::any().or(opaque.clone()).or(issuer.clone()).or(people.clone());
    let optional = issuer.clone().optional();

    "/issuer" => users with [issuer],
    "/issuer/fetched" => users with [Jwt::issuer("http://127.0.0.1:9000/").fetch_by(id).max_stale(1h).any_audience()],
    "/keys" => users with [Jwt::jwks("http://127.0.0.1:9000/jwks.json").issued_by("http://127.0.0.1:9000/").audience("shop"), Require::scope("a")],
    "/secret" => users with [Jwt::secret(SECRET).audience("shop"), IdentityHeaders::new().subject("x-user")],
    "/opaque" => users with [opaque, Require::claim("tenant").is("acme")],
    "/opaque/url" => users with [Introspect::new("http://10.0.0.5:8080").timeout(Duration::from_secs(1)).any_audience()],
    "/login" => users with [people],
    "/login/url" => users with [ForwardAuth::new("http://10.0.0.6:9091").expect_header("x-auth").headers(["cookie"]).timeout(500ms)],
    "/either" => users with [either],
    "/optional" => users with [optional, Require::that(|_, _| true)],
    "/files" => users with [ApiKeys::file("keys.txt").or(Basic::user("ada", "$2y$05$abcdefghijklmnopqrstuuKzJJ8aXJZ9w7bTz8n6sJp1mV6dYkEkq"))],
}

fn main() {
    println!("{}", Covered::ROUTES);
}
