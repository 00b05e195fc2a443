//! `tests/data/translated/haproxy.cfg`: a shop, with sessions, an API, a checkout with a queue, an office and WebSockets.
//!
//! ACLs over the host and the path become hosts and paths; those over the method, a field or an address become methods, guards and
//! layers. HAProxy sends the client's `Host`, so each backend says `.preserve_host()`.

use prox::{
    QueueOptions, Sticky,
    middleware::{BodyLimit, Headers, IpRules, RateLimit},
};

use super::{Upstreams, hold, send};
use prox_tests::gateway::Served;

const NAMES: [&str; 9] = [
    "site-1", "site-2", "spare", "api-1", "api-2", "beta", "checkout", "office", "live",
];

fn gateway(upstreams: &Upstreams) -> prox::Result<prox::Gateway> {
    let (site_1, site_2) = (upstreams.at("site-1"), upstreams.at("site-2"));
    let spare = upstreams.at("spare").priority(1);
    let (api_1, api_2) = (upstreams.at("api-1"), upstreams.at("api-2"));
    let (beta, office_at) = (upstreams.at("beta"), upstreams.at("office"));
    let (checkout_at, live_at) = (upstreams.at("checkout"), upstreams.at("live"));
    let media_at = upstreams.at("media");
    prox::gateway! {
        backend site = cluster(least_conn, [site_1, site_2, spare])
            .preserve_host()
            .connect_timeout(2s).idle_timeout(30s).retry(2)
            .health(http("/healthz").host("shop.example.com").every(5s).timeout(2s).fall(3).rise(2))
            .max_connections(200).queue(QueueOptions::new().timeout(2s))
            .sticky(Sticky::cookie("SHOPSESSION").secure(true));
        backend api = cluster(hash(header("x-tenant")), [api_1.weight(2), api_2])
            .preserve_host().connect_timeout(2s).idle_timeout(30s).retry(2);
        backend api_beta = cluster(rr, [beta]).preserve_host().connect_timeout(2s).idle_timeout(30s).retry(2);
        backend checkout = cluster(rr, [checkout_at])
            .preserve_host().connect_timeout(2s).response_timeout(10s).idle_timeout(10s)
            .max_connections(50).queue(QueueOptions::new().timeout(2s));
        backend office = cluster(rr, [office_at]).preserve_host();
        backend live = cluster(rr, [live_at]).preserve_host().idle_timeout(1h);
        backend media = cluster(rr, [media_at]).preserve_host();

        let edge = Headers::request().set("x-edge", "shop").remove("x-debug");
        let browser = Headers::response()
            .set("strict-transport-security", "max-age=31536000")
            .remove("x-powered-by");

        host "shop.example.com" with [edge.clone(), browser.clone()] {
            "/" => site,
            "/api" with [BodyLimit::max(1MiB)] {
                "/" => api.rewrite("/internal"),
                "/" if header("x-beta").is("1") => api_beta.rewrite("/internal"),
                "/v1" => respond(410, ""),
            }
            "/checkout" => checkout with [RateLimit::per_second(10).burst(100).quiet()],
            "/office" => office with [IpRules::allow(["127.0.0.1", "192.0.2.0/24"])],
            exact "/live" => live,
            exact "/healthz" => respond(200, "ok"),
        }
        host "media.shop.example.com" with [
            edge,
            browser,
            Headers::response().set("cache-control", "public, max-age=86400"),
        ] {
            "/" => media,
            exact "/healthz" => respond(200, "ok"),
        }
        host "www.shop.example.com" {
            "/" => redirect(301, "https://shop.example.com{path}{query}"),
        }
        exact "/healthz" => respond(200, "ok"),

        expect GET "https://shop.example.com/api/orders" => api;
        expect GET "https://shop.example.com/apis" => site;
        expect GET "https://shop.example.com/live/1" => site;
        expect GET "https://other.example.com/" => 404;
    }
}

fn names() -> Vec<&'static str> {
    NAMES.into_iter().chain(["media"]).collect()
}

#[tokio::test]
async fn the_backends_do_what_haproxy_does() {
    hold("haproxy.toml", &names(), gateway).await;
}

#[tokio::test]
async fn a_session_stays_at_its_server() {
    let upstreams = Upstreams::start(&names()).await;
    let served = Served::start(gateway(&upstreams)).await;
    let url = "https://shop.example.com/";
    let mut client = served.client().await;
    let first = send(&mut client, "GET", url, &[]).await;
    let cookie = first.fields.first("set-cookie").expect("a cookie");
    assert!(cookie.starts_with("SHOPSESSION="), "{cookie}");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("Secure"),
        "{cookie}"
    );
    let pair = cookie.split(';').next().expect("a pair");
    let name = first.upstream.expect("an answer").0;
    for _ in 0..20 {
        let again = send(&mut client, "GET", url, &[format!("Cookie: {pair}")]).await;
        assert_eq!(again.upstream.expect("an answer").0, name);
        assert!(again.fields.lacks("set-cookie"));
    }
}
