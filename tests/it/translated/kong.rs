//! `tests/data/translated/kong.yaml`: the API of a payments company, with keys for partners, an application, and webhooks that come in.
//!
//! Consumers are a file of digests, groups are scopes. With `require auth` a route that a plugin was forgotten on does not compile.

use prox::middleware::{ApiKeys, BodyLimit, Cors, Headers, IpRules, RateLimit, RequestId, Require};

use super::{Upstreams, hold};

fn gateway(upstreams: &Upstreams) -> prox::Result<prox::Gateway> {
    let (accounts_at, payments_at) = (upstreams.at("accounts"), upstreams.at("payments"));
    let (app_at, webhooks_at) = (upstreams.at("app"), upstreams.at("webhooks"));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/data/translated/kong.keys");
    prox::gateway! {
        require auth;

        backend accounts = cluster(rr, [accounts_at]).connect_timeout(2s).timeout(10s).retry(2);
        backend payments = cluster(rr, [payments_at]);
        backend app = cluster(rr, [app_at]);
        backend webhooks = cluster(rr, [webhooks_at]);

        let keys = ApiKeys::file(file);
        let partners = Require::scope("partners");

        host "api.pay.example" {
            GET | POST | PATCH "/accounts" => accounts
                with [keys.clone(), partners.clone(), RateLimit::per_minute(600).by(principal())],
            "/payments" => payments.rewrite("/internal")
                with [RequestId::new(), keys, partners, BodyLimit::max(64KiB)],
            "/v0" => respond(410, "version 0 has ended") with [public],
        }
        host "app.pay.example" with [
            public,
            Cors::origins(["https://app.pay.example"])
                .credentials()
                .methods(["GET", "POST"])
                .headers(["content-type", "x-csrf"]),
            Headers::response().remove("x-powered-by").default("x-frame-options", "DENY"),
        ] {
            "/" => app,
        }
        host "hooks.pay.example" {
            POST exact "/{provider: slug}/events" => webhooks
                with [IpRules::allow(["127.0.0.1", "198.51.100.0/24"]), RateLimit::per_second(20)],
        }

        expect GET "https://api.pay.example/accounts/7" => accounts;
        expect DELETE "https://api.pay.example/accounts/7" => 405;
        expect POST "https://hooks.pay.example/stripe/events" => webhooks;
    }
}

#[tokio::test]
async fn the_services_do_what_kong_does() {
    hold(
        "kong.toml",
        &["accounts", "payments", "app", "webhooks"],
        gateway,
    )
    .await;
}
