//! `tests/data/translated/spring.yml`: the gateway of a bank's application, with accounts, transfers, statements and a help page.
//!
//! A predicate over a path, a host, a method or a weight has its own place in the language; the others are guards. Spring asks its routes
//! in an order; here `order: -1` is what a guard is anyway.

use prox::{
    BreakerOptions, Request, RetryOptions,
    http::StatusCode,
    middleware::{BodyLimit, Cors, Fallback, Headers},
};

use super::{Upstreams, hold};

async fn sorry(_: Request) -> &'static str {
    "The help pages are back soon."
}

fn gateway(upstreams: &Upstreams) -> prox::Result<prox::Gateway> {
    let (accounts_at, statements_at) = (upstreams.at("accounts"), upstreams.at("statements"));
    let (transfers_at, beta) = (upstreams.at("transfers"), upstreams.at("transfers-beta"));
    let (old, new) = (upstreams.at("site"), upstreams.at("site-new"));
    let help_at = upstreams.at("help");
    prox::gateway! {
        backend accounts = cluster(rr, [accounts_at]).connect_timeout(2s).response_timeout(10s)
            .retry(RetryOptions::new(2).on([
                StatusCode::INTERNAL_SERVER_ERROR,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ]));
        backend transfers = cluster(rr, [transfers_at]).connect_timeout(2s).response_timeout(20s);
        backend transfers_beta = cluster(rr, [beta]).connect_timeout(2s).response_timeout(10s);
        backend statements = cluster(rr, [statements_at]).connect_timeout(2s).response_timeout(10s);
        backend site = cluster(rr, [old]).preserve_host().connect_timeout(2s).response_timeout(10s);
        backend site_new = cluster(rr, [new]).preserve_host().connect_timeout(2s).response_timeout(10s);
        backend help = cluster(rr, [help_at]).connect_timeout(2s).response_timeout(10s)
            .breaker(BreakerOptions::new());

        with [Headers::request().add("x-channel", "app").remove("x-debug")];

        host "app.bank.example" {
            "/api" with [
                Cors::origins(["https://app.bank.example"])
                    .credentials()
                    .methods(["GET", "POST"])
                    .headers(["content-type", "x-csrf"]),
            ] {
                GET "/accounts" => accounts.rewrite("/accounts"),
                POST "/transfers" => transfers.rewrite("/transfers") with [BodyLimit::max(64KiB)],
                "/transfers" if header("x-beta").is("1") => transfers_beta.rewrite("/transfers"),
            }
            exact "/statements/{account}/{year}"
                if client_ip().within("127.0.0.1").or(client_ip().within("192.0.2.0/24"))
                => statements.rewrite("/v2/{year}/{account}")
                with [Headers::response().set("cache-control", "no-store")],
            "/" => split { 9 => site, 1 => site_new },
        }
        host "help.bank.example" | "*.help.bank.example" {
            "/" => help.rewrite("/pages") with [Fallback::to(prox::dsl::handler(sorry))],
        }
        host "www.bank.example" { "/" => redirect(302, "https://app.bank.example/{query}") }

        expect GET "https://app.bank.example/api/accounts/7" => accounts;
        expect POST "https://app.bank.example/api/transfers" => transfers;
    }
}

#[tokio::test]
async fn the_routes_do_what_spring_does() {
    let names = [
        "accounts",
        "statements",
        "transfers",
        "transfers-beta",
        "site",
        "site-new",
        "help",
    ];
    hold("spring.toml", &names, gateway).await;
}
