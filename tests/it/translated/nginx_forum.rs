//! `tests/data/translated/nginx_forum.conf`: a forum, with a message bus that holds requests, and a host for avatars.
//!
//! nginx's two servers for one name, on port 80 and on port 443, are two gateways here. A regular expression over the path becomes
//! segments of a kind, of which the compiler knows what they take.

use prox::middleware::{BodyLimit, Headers};

use super::{Upstreams, hold};

fn port_80() -> prox::Result<prox::Gateway> {
    prox::gateway! {
        host "forum.example.com" {
            "/" => redirect(301, "https://{host}{path}{query}"),
        }
    }
}

fn port_443(upstreams: &Upstreams) -> prox::Result<prox::Gateway> {
    let (app_1, app_2) = (upstreams.at("app-1"), upstreams.at("app-2"));
    let app_bus = upstreams.at("bus");
    prox::gateway! {
        backend forum = cluster(rr, [app_1, app_2]).preserve_host();
        backend bus = cluster(rr, [app_bus]).preserve_host().timeout(120s);

        host "forum.example.com" with [
            BodyLimit::max(10MiB),
            Headers::response().set("strict-transport-security", "max-age=31536000"),
        ] {
            "/" => forum,
            "/message-bus" => bus,
            exact "/srv/status" => forum,
            "/uploads" => forum with [
                Headers::response().set("cache-control", "public, max-age=31536000, immutable"),
            ],
            "/t" {
                exact "/{topic: slug}/{number: int}" => forum,
                "/" => respond(404, "there is no such topic"),
            }
            "/secure-media-uploads" => respond(403, "not for you"),
            exact "/favicon.ico" => respond(204, ""),
            "/letter_avatar" => redirect(301, "https://avatars.example.com{path}{query}"),
        }
        host "avatars.example.com" {
            "/letter_avatar" => forum.rewrite("/avatars"),
        }

        expect GET "https://forum.example.com/t/my-topic/12" => forum;
        expect GET "https://forum.example.com/t/my-topic/twelve" => 404;
        expect GET "https://avatars.example.com/" => 404;
    }
}

#[tokio::test]
async fn port_443_does_what_nginx_does() {
    hold("nginx_forum.toml", &["app-1", "app-2", "bus"], port_443).await;
}

#[tokio::test]
async fn port_80_leads_to_https() {
    hold("nginx_forum_80.toml", &[], |_| port_80()).await;
}
