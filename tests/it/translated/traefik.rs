//! `tests/data/translated/traefik.yaml`: a suite of applications that a company hosts itself, one host each.
//!
//! Traefik orders routers by the length of their rules. Here the path decides, then the method, then the guard, and `expect` says what
//! comes of it.

use prox::middleware::{BodyLimit, Headers, IpRules, RateLimit};

use super::{Upstreams, hold};

fn gateway(upstreams: &Upstreams) -> prox::Result<prox::Gateway> {
    let (chat_1, chat_2) = (upstreams.at("chat-1"), upstreams.at("chat-2"));
    let (hub_at, files_at) = (upstreams.at("hub"), upstreams.at("files"));
    let (registry_at, grafana_at) = (upstreams.at("registry"), upstreams.at("grafana"));
    let (stable_at, beta_at) = (upstreams.at("apps"), upstreams.at("apps-beta"));
    prox::gateway! {
        backend chat = cluster(rr, [chat_1, chat_2]).preserve_host().sticky(prox::Sticky::cookie("chat").secure(true));
        backend hub = cluster(rr, [hub_at]).preserve_host();
        backend files = cluster(rr, [files_at]).preserve_host().health(http("/status.php").every(10s).timeout(3s));
        backend registry = cluster(rr, [registry_at]).preserve_host();
        backend grafana = cluster(rr, [grafana_at]).preserve_host();
        backend apps_stable = cluster(rr, [stable_at]).preserve_host().retry(2);
        backend apps_beta = cluster(rr, [beta_at]).preserve_host().retry(2);

        let office = IpRules::allow(["127.0.0.1/32", "192.0.2.0/24"]);
        let hsts = Headers::response()
            .set("strict-transport-security", "max-age=31536000")
            .set("x-content-type-options", "nosniff");

        host "chat.example.com" with [hsts.clone()] {
            "/" => chat with [BodyLimit::max(10MiB)],
            "/notifications/hub" => hub,
        }
        host "files.example.com" {
            "/" => files with [
                hsts.clone(),
                Headers::request().set("x-suite", "files"),
                Headers::response().set("x-robots-tag", "none").remove("server"),
            ],
            exact "/.well-known/carddav" => redirect(301, "https://{host}/remote.php/dav"),
            exact "/.well-known/caldav" => redirect(301, "https://{host}/remote.php/dav"),
        }
        host "registry.example.com" with [hsts] {
            "/v2" {
                PUT | POST | PATCH | DELETE "/" => registry with [office.clone()],
                "/" => registry with [RateLimit::per_second(100).burst(200)],
            }
        }
        host "apps.example.com" {
            "/metrics" => grafana.rewrite("/") with [office],
            "/" if header("user-agent").starts_with("Beta/") => apps_beta,
            "/" => split { 9 => apps_stable, 1 => apps_beta },
        }

        expect PUT "https://registry.example.com/v2/a/manifests/1" => registry;
        expect GET "https://registry.example.com/v1/" => 404;
    }
}

#[tokio::test]
async fn the_routers_do_what_traefik_does() {
    let names = [
        "chat-1",
        "chat-2",
        "hub",
        "files",
        "registry",
        "grafana",
        "apps",
        "apps-beta",
    ];
    hold("traefik.toml", &names, gateway).await;
}
