//! `tests/data/translated/reverse_proxy.go`: the gateway of a publisher, by `httputil.ReverseProxy` behind a `ServeMux`.
//!
//! The patterns of `ServeMux` are nearly those of this language. `Rewrite` becomes options of a target, `ModifyResponse` and handlers around
//! the proxy become layers.

use prox::middleware::{BodyLimit, Headers, IpRules};

use super::{Upstreams, hold};

fn gateway(upstreams: &Upstreams) -> prox::Result<prox::Gateway> {
    let (articles_at, comments_at) = (upstreams.at("articles"), upstreams.at("comments"));
    let (images_at, office_at) = (upstreams.at("images"), upstreams.at("office"));
    let site_at = upstreams.at("site");
    prox::gateway! {
        backend articles = cluster(rr, [articles_at]).connect_timeout(2s).response_timeout(10s);
        backend comments = cluster(rr, [comments_at]).connect_timeout(2s).response_timeout(10s);
        backend images = cluster(rr, [images_at]).connect_timeout(2s).response_timeout(10s);
        backend office = cluster(rr, [office_at]).connect_timeout(2s).response_timeout(10s);
        backend site = cluster(rr, [site_at]).connect_timeout(2s).response_timeout(10s);

        host "news.example.com" with [
            Headers::request().remove("x-debug"),
            Headers::response().remove("x-powered-by").set("x-content-type-options", "nosniff"),
        ] {
            GET "/api/articles" => articles.rewrite("/v2/articles"),
            POST exact "/api/articles/{id}/comments" => comments
                with [BodyLimit::max(64KiB), Headers::request().set("x-site", "news")],
            "/images" => images.rewrite("/"),
            "/office" => office.preserve_host() with [IpRules::allow(["127.0.0.0/8"])],
            "/" => site.preserve_host(),
        }
        host "www.news.example.com" { "/" => redirect(301, "https://news.example.com{path}{query}") }
        exact "/healthz" => respond(200, "ok"),

        expect GET "https://news.example.com/api/articles/7/comments" => articles;
        expect POST "https://news.example.com/api/articles/7/comments" => comments;
        expect GET "https://news.example.com/healthz" => site;
    }
}

#[tokio::test]
async fn the_handlers_do_what_the_program_does() {
    let names = ["articles", "comments", "images", "office", "site"];
    hold("reverse_proxy.toml", &names, gateway).await;
}
