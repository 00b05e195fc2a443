//! Guards on what is absent and on one of several values, and the order of guards with several conditions.

use prox_tests::{client::head, gateway::Served};

prox::gateway! {
    struct Guarded;

    "/auth" if header("authorization").absent() => respond(401, "who"),
    "/auth" if header("authorization").exists() => respond(200, "in"),

    "/color" if header("x-color").one_of(["red", "orange"]) => respond(200, "warm"),
    "/color" if header("x-color").one_of(["blue", "green"]) => respond(200, "cold"),
    "/color" if header("x-color").is("red") => respond(200, "red"),
    "/color" => respond(200, "none"),

    "/more" if header("a").is("1").and(header("b").is("2")) => respond(200, "a and b"),
    "/more" if header("c").is("3") => respond(200, "c"),
    "/more" => respond(200, "other"),

    "/query" if query("q").absent() => respond(400, "write ?q="),
    "/query" if query("q").one_of(["1", "2"]) => respond(200, "few"),
    "/query" if query("q").exists() => respond(200, "any"),
    "/cookie" if cookie("c").absent() => respond(200, "no cookie"),
    "/cookie" if cookie("c").exists() => respond(200, "cookie"),

    expect GET "/query" => 400;
    expect GET "/query?q=2" => 200;
    expect GET "/auth" => 401;
}

#[tokio::test]
async fn each_request_goes_to_the_most_specific_guard_that_accepts_it() {
    let gateway = Served::start(Guarded::new()).await;
    let mut client = gateway.client().await;
    for (target, lines, text) in [
        ("/auth", "", "who"),
        ("/auth", "Authorization: x\r\n", "in"),
        ("/auth", "Authorization:\r\n", "in"),
        ("/color", "X-Color: red\r\n", "red"),
        ("/color", "X-Color: orange\r\n", "warm"),
        ("/color", "X-Color: green\r\nX-Color: red\r\n", "cold"),
        ("/color", "X-Color: Red\r\n", "none"),
        ("/color", "", "none"),
        ("/more", "a: 1\r\nb: 2\r\nc: 3\r\n", "a and b"),
        ("/more", "a: 1\r\nc: 3\r\n", "c"),
        ("/more", "a: 1\r\n", "other"),
        ("/query?x=1", "", "write ?q="),
        ("/query?q=2", "", "few"),
        ("/query?q", "", "any"),
        ("/cookie", "", "no cookie"),
        ("/cookie", "Cookie: d=1\r\n", "no cookie"),
        ("/cookie", "Cookie: d=1; c\r\n", "cookie"),
    ] {
        client.send(head("GET", target, lines)).await;
        let answer = client.response("GET").await;
        assert_eq!(answer.text(), text, "{target} {lines}");
    }
}
