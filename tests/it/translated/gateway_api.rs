//! `tests/data/translated/gateway_api.yaml`: five `HTTPRoute`s of the Gateway API for one gateway.
//!
//! Both languages let the most specific path win, then the method, then fields. What differs: the `Host` that goes upstream is the
//! client's where the route does not name another, as the Gateway API has it, so each backend says `.preserve_host()`.

use prox::middleware::Headers;

use super::{Upstreams, hold};

fn gateway(upstreams: &Upstreams) -> prox::Result<prox::Gateway> {
    let (v1, v2) = (upstreams.at("store-v1"), upstreams.at("store-v2"));
    let (for_get, for_post) = (upstreams.at("readers"), upstreams.at("writers"));
    let copies = upstreams.at("shadow");
    prox::gateway! {
        backend store_v1 = cluster(rr, [v1]).preserve_host();
        backend store_v2 = cluster(rr, [v2]).preserve_host();
        backend readers = cluster(rr, [for_get]).preserve_host();
        backend writers = cluster(rr, [for_post]).preserve_host();
        backend shadow = cluster(rr, [copies]);

        host "store.example.com" | "*.store.example.com" {
            "/" => split { 90 => store_v1, 10 => store_v2 },
            "/" if header("env").is("canary") => store_v2,
            GET exact "/healthz" => store_v1,
        }
        host "rewrite.example.com" {
            "/cart" => store_v1.host_header("elsewhere.example.net").rewrite("/v2/cart").timeout(10s),
            "/legacy" => store_v1.rewrite("/"),
        }
        host "redirect.example.com" {
            "/cayenne" => redirect(302, "/paprika{below}{query}"),
            "/secure" => redirect(301, "https://secure.example.com{path}{query}"),
            exact "/moved" => redirect(308, "{scheme}://store.example.com/new{query}"),
        }
        host "match.example.com" {
            "/api" {
                POST "/" => writers,
                GET "/" => readers,
                GET "/" if header("version").is("2").and(header("color").is("orange")) => store_v2,
                GET "/" if query("animal").is("whale") => store_v1,
            }
        }
        host "filter.example.com" with [
            Headers::request().set("x-tenant", "blue").add("x-trail", "edge").remove("x-debug"),
            Headers::response().set("x-served-by", "edge").remove("x-powered-by"),
        ] {
            "/" => store_v1.mirror(shadow, 1.0),
        }

        expect GET "http://store.example.com/healthz" => store_v1;
        expect POST "http://match.example.com/api" => writers;
        expect PUT "http://match.example.com/api" => 405;
        expect GET "http://match.example.com/apis" => 404;
    }
}

#[tokio::test]
async fn the_routes_do_what_the_gateway_api_says() {
    let names = ["store-v1", "store-v2", "readers", "writers", "shadow"];
    hold("gateway_api.toml", &names, gateway).await;
}
