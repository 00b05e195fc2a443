//! Redirects with parts of the request in their location.

use prox_tests::{client::head, gateway::Served};

prox::gateway! {
    struct Moved;

    host "secure.test" { "/" => redirect(308, "https://{host}{path}{query}") }
    host "port.test" { "/" => redirect(307, "{scheme}://{host}:8443{path}{query}") }
    "/old"           => redirect(308, "/new{below}{query}"),
    "/u/{id: int}"   => redirect(301, "/users/{id}?from=u{query}"),
    "/files/{*rest}" => redirect(302, "/{rest}"),
    "/below"         => redirect(302, "{below}"),
    "/some"          => split { 1 => redirect(303, "/either{below}") },

    expect GET "/old/x" => 308;
}

#[tokio::test]
async fn parts_of_the_request_are_kept_and_none_leads_elsewhere() {
    let gateway = Served::start(Moved::new()).await;
    let mut client = gateway.client().await;
    for (host, target, status, location) in [
        (
            "secure.test:80",
            "/a//b?x=%2F&y",
            308,
            "https://secure.test/a//b?x=%2F&y",
        ),
        (
            "SECURE.test",
            "//evil.test/x",
            308,
            "https://secure.test//evil.test/x",
        ),
        (
            "secure.test",
            "/@evil.test",
            308,
            "https://secure.test/@evil.test",
        ),
        ("port.test", "/%7Ea?b", 307, "http://port.test:8443/~a?b"),
        ("any.test", "/old", 308, "/new"),
        ("any.test", "/old/a/../b/?q=1", 308, "/new/b/?q=1"),
        ("any.test", "/u/7?a=b", 301, "/users/7?from=u&a=b"),
        ("any.test", "/files/a/b", 302, "/a/b"),
        ("any.test", "/files//evil.test/x", 302, "/evil.test/x"),
        ("any.test", "/files///evil.test", 302, "/evil.test"),
        ("any.test", "/below//evil.test", 302, "/evil.test"),
        ("any.test", "/below", 302, "/"),
        ("any.test", "/some/x", 303, "/either/x"),
    ] {
        client
            .send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        let answer = client.response("GET").await.expect(status);
        assert_eq!(answer.field("location"), Some(location), "{host}{target}");
    }
    // What could split a response or change the host is refused before it is a route.
    for target in ["/files/%5Cevil.test", "/old/%0D%0Aset-cookie:x", "/old/%00"] {
        client.send(head("GET", target, "")).await;
        let answer = client.response("GET").await;
        let location = answer.field("location").unwrap_or("/new");
        assert!(location.starts_with("/new"), "{target}: {location}");
        assert_eq!(answer.field("set-cookie"), None);
    }
}

#[test]
fn a_location_that_is_made_at_start_is_proved_then() {
    let made = |location: &str| {
        let location = location.to_owned();
        let gateway = prox::gateway! { "/old/{id}" => redirect(308, location) };
        gateway.map(drop).map_err(|error| format!("{error:?}"))
    };
    assert!(made("/new/{id}").is_ok());
    let error = made("/new/{name}").unwrap_err();
    assert!(error.contains("names `{name}`, which the path"), "{error}");
    let error = made("https://{id}.example.com/").unwrap_err();
    assert!(
        error.contains("would let a client choose the host"),
        "{error}"
    );
}
