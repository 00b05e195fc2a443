//! `tests/data/translated/nginx_social.conf`: a social network, with a stream over WebSocket and media on another origin.
//!
//! Files that nginx serves itself (`try_files`) are left to the application, or to a `tower_http::services::ServeDir` behind `service(..)`.

use prox::middleware::{BodyLimit, Headers, RateLimit};

use super::{Upstreams, hold};

fn gateway(upstreams: &Upstreams) -> prox::Result<prox::Gateway> {
    let (pages, objects) = (upstreams.at("web"), upstreams.at("media"));
    let (stream_1, stream_2) = (upstreams.at("stream-1"), upstreams.at("stream-2"));
    prox::gateway! {
        backend web = cluster(rr, [pages]).preserve_host();
        backend streaming = cluster(least_conn, [stream_1, stream_2]).idle_timeout(1h);
        backend media = cluster(rr, [objects]);

        let login = RateLimit::per_minute(10).burst(5);

        host "social.example.com" with [
            BodyLimit::max(99MiB),
            Headers::response().set("strict-transport-security", "max-age=63072000; includeSubDomains"),
            Headers::request().remove("proxy"),
        ] {
            "/" => web,
            exact "/sw.js" => web with [
                Headers::response().set("cache-control", "public, max-age=604800, must-revalidate"),
            ],
            "/api/v1/streaming" => streaming,
            "/auth/sign_in" => web with [login],
            "/system" => media.rewrite("/social-media") with [
                Headers::response()
                    .remove("x-amz-request-id")
                    .set("x-content-type-options", "nosniff")
                    .set("content-security-policy", "default-src 'none'; form-action 'none'"),
            ],
        }

        expect GET "https://social.example.com/api/v1/streaming/user" => streaming;
        expect GET "https://social.example.com/api/v1/timelines" => web;
    }
}

#[tokio::test]
async fn it_does_what_nginx_does() {
    let names = ["web", "media", "stream-1", "stream-2"];
    hold("nginx_social.toml", &names, gateway).await;
}
