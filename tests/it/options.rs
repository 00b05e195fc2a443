//! Options whose values come from elsewhere, and options of a variable that is an endpoint.

use prox::{SameSite, Sticky};
use prox_tests::{
    client::RawClient,
    gateway::Served,
    origin::{Origin, Reply},
};

prox::gateway! {
    struct Shop;

    env API: Endpoint;
    env FLAG: bool;
    env NAME: String = "app.example:8443";

    backend users = cluster(rr, [API])
        .preserve_host_if(FLAG)
        .forwarded_if(FLAG)
        .encoded_slashes_if(FLAG);

    "/users" => users,
    "/named" => users.host_header(&NAME),
    "/api" => API.rewrite("/"),
    "/plain" => API,
    "/half" => split { 1 => API.rewrite("/one"), 1 => API.rewrite("/one").timeout(1h) },
    "/sticky" => cluster(rr, [API]).sticky(
        Sticky::cookie("s").same_site(SameSite::None).secure(true).path("/sticky").max_age(1h)
    ),
}

async fn shop(origin: &Origin, flag: bool) -> Served {
    Served::start(Shop::with_env([
        ("API", origin.url()),
        ("FLAG", flag.to_string()),
    ]))
    .await
}

/// The `Host` that the origin got last.
fn host(origin: &Origin) -> String {
    origin.last().field("host").unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_flag_from_the_environment_turns_an_option_on_or_off() {
    let origin = Origin::start(Reply::ok("ok")).await;
    for flag in [true, false] {
        let shop = shop(&origin, flag).await;
        let mut client = RawClient::connect(shop.address()).await;
        client
            .send(b"GET /users HTTP/1.1\r\nHost: shop.example\r\n\r\n")
            .await;
        assert_eq!(client.response("GET").await.status, 200);
        let own = origin.address().to_string();
        let wanted = if flag { "shop.example" } else { own.as_str() };
        assert_eq!(host(&origin), wanted);
        assert_eq!(origin.last().field("forwarded").is_some(), flag);
        let status = if flag { 200 } else { 400 };
        shop.get("/users/a%2Fb").await.expect(status);
    }
}

#[tokio::test]
async fn an_upstream_gets_the_host_of_ones_choice() {
    let origin = Origin::start(Reply::ok("ok")).await;
    // Also where the backend says to keep that of the client.
    for flag in [true, false] {
        let shop = shop(&origin, flag).await;
        shop.get("/named").await.expect(200);
        assert_eq!(host(&origin), "app.example:8443");
    }
}

#[tokio::test]
async fn options_of_a_variable_make_a_cluster_of_it() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let shop = shop(&origin, true).await;
    for (path, arrives) in [
        ("/api/x?y", "/x?y"),
        ("/plain/x", "/plain/x"),
        ("/half/x", "/one/x"),
    ] {
        shop.get(path).await.expect(200);
        assert_eq!(origin.last().target(), arrives);
    }
}

#[tokio::test]
async fn the_cookie_has_the_attributes_that_were_chosen() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let shop = shop(&origin, true).await;
    let answer = shop.get("/sticky").await.expect(200);
    let cookie = answer.field("set-cookie").unwrap_or_default().to_owned();
    let attributes = cookie.split_once("; ").map_or("", |(_, behind)| behind);
    assert_eq!(
        attributes,
        "Path=/sticky; Max-Age=3600; HttpOnly; SameSite=None; Secure"
    );
}
