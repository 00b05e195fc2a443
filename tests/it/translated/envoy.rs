//! `tests/data/translated/envoy.yaml`: the API of a carrier, with a stream of events, a mirror, a canary and a portal.
//!
//! The first route that fits wins in Envoy; here the most specific one does, so the order of the lines is free. Envoy sends the client's
//! `Host`, so each backend says `.preserve_host()`. What its outlier detection is set to is what a backend does here by default.

use prox::{QueueOptions, RetryOptions, middleware::Headers};

use super::{Upstreams, hold};

fn gateway(upstreams: &Upstreams) -> prox::Result<prox::Gateway> {
    let (tracking_1, tracking_2) = (upstreams.at("tracking-1"), upstreams.at("tracking-2"));
    let (next, events_at) = (upstreams.at("tracking-next"), upstreams.at("events"));
    let (stable, canary) = (upstreams.at("shipments"), upstreams.at("shipments-next"));
    let (rates_1, rates_2) = (upstreams.at("rates-1"), upstreams.at("rates-2"));
    let portal_at = upstreams.at("portal");
    prox::gateway! {
        backend tracking = cluster(p2c, [tracking_1, tracking_2])
            .preserve_host()
            .connect_timeout(1s)
            .health(http("/healthz").every(5s).timeout(1s).fall(3).rise(2))
            .max_connections(200).queue(QueueOptions::new().length(200));
        backend tracking_next = cluster(rr, [next]).preserve_host();
        backend events = cluster(rr, [events_at]).preserve_host().response_timeout(1h).idle_timeout(1h);
        backend shipments = cluster(rr, [stable]).preserve_host().timeout(10s);
        backend shipments_next = cluster(rr, [canary]).preserve_host().timeout(10s);
        backend rates = cluster(hash(header("x-account")), [rates_1, rates_2]).timeout(15s);
        backend portal = cluster(rr, [portal_at]).preserve_host().timeout(15s);

        host "api.carrier.example" with [
            Headers::response().set("strict-transport-security", "max-age=31536000").remove("x-powered-by"),
        ] {
            exact "/healthz" => respond(200, "ok"),
            "/v2/tracking" if header("accept").starts_with("text/event-stream") => events,
            "/v2/tracking" => tracking
                .timeout(3s)
                .retry(RetryOptions::new(2).per_try_timeout(1s))
                .mirror(tracking_next, 1.0),
            "/v2/shipments" if header("x-beta").is("1") => shipments_next.rewrite("/shipments"),
            "/v2/shipments" => split {
                95 => shipments.rewrite("/shipments"),
                5 => shipments_next.rewrite("/shipments"),
            } with [Headers::request().set("x-edge", "carrier").remove("x-debug")],
            POST "/v2/rates" => rates.host_header("rates.internal"),
            "/v1" => redirect(308, "/v2/deprecated{query}"),
        }
        host "portal.carrier.example" | "*.portal.carrier.example" { "/" => portal }

        expect GET "https://api.carrier.example/v2/tracking/7" => tracking;
        expect GET "https://api.carrier.example/v2/trackings" => 404;
        expect GET "https://api.carrier.example/v2/rates" => 405;
        expect GET "https://eu.portal.carrier.example/" => portal;
    }
}

#[tokio::test]
async fn the_routes_do_what_envoy_does() {
    let names = [
        "tracking-1",
        "tracking-2",
        "tracking-next",
        "events",
        "shipments",
        "shipments-next",
        "rates-1",
        "rates-2",
        "portal",
    ];
    hold("envoy.toml", &names, gateway).await;
}
