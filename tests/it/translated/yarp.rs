//! `tests/data/translated/yarp.json`: a store with a catalogue, baskets that stay at one server, and a site.
//!
//! Both let the most specific path win. YARP needs an `Order` where only a header tells two routes apart and both are to be sure; here a
//! guard is the more specific one.

use prox::{
    PassiveOptions, Sticky,
    middleware::{BodyLimit, Headers},
};

use super::{Upstreams, hold};

fn gateway(upstreams: &Upstreams) -> prox::Result<prox::Gateway> {
    let (catalog_1, catalog_2) = (upstreams.at("catalog-1"), upstreams.at("catalog-2"));
    let (beta, customers_at) = (upstreams.at("catalog-beta"), upstreams.at("customers"));
    let (baskets_1, baskets_2) = (upstreams.at("baskets-1"), upstreams.at("baskets-2"));
    let site_at = upstreams.at("site");
    prox::gateway! {
        backend catalog = cluster(p2c, [catalog_1, catalog_2])
            .health(http("/healthz").every(5s).timeout(2s))
            .passive(PassiveOptions::new().eject_for(30s, 5m));
        backend catalog_beta = cluster(rr, [beta]);
        backend baskets = cluster(least_conn, [baskets_1, baskets_2])
            .sticky(Sticky::cookie("basket").secure(true));
        backend customers = cluster(rr, [customers_at]).response_timeout(20s).idle_timeout(20s);
        backend site = cluster(rr, [site_at]).preserve_host();

        let frames = Headers::response().set("x-frame-options", "DENY");

        host "store.example.com" {
            GET "/api/catalog" => catalog.rewrite("/v3").timeout(5s)
                with [Headers::request().set("x-channel", "web").remove("x-debug")],
            GET "/api/catalog" if header("x-beta").is("1") => catalog_beta.rewrite("/v3"),
            "/api/baskets" => baskets.rewrite("/baskets").preserve_host() with [BodyLimit::max(64KiB)],
            // The base path of the destination stands in the template.
            exact "/customers/{id: int}/orders" => customers.rewrite("/legacy/orders/by-customer/{id}")
                with [Headers::response().remove("x-powered-by")],
            exact "/search" if query("q").exists() => catalog.rewrite("/v3/search"),
            "/" => site with [frames.clone()],
        }
        host "*.store.example.com" { "/" => site with [frames] }

        expect GET "https://store.example.com/api/catalog/shoes" => catalog;
        expect GET "https://store.example.com/customers/ann/orders" => site;
        expect GET "https://store.example.com/search" => site;
    }
}

#[tokio::test]
async fn the_routes_do_what_yarp_does() {
    let names = [
        "catalog-1",
        "catalog-2",
        "catalog-beta",
        "customers",
        "baskets-1",
        "baskets-2",
        "site",
    ];
    hold("yarp.toml", &names, gateway).await;
}
