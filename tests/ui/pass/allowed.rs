//! Everything that is warned of, allowed on its line.

#![deny(warnings, dead_code)]

prox::gateway! {
    struct Edge;

    /// Set by the platform, for others.
    #[allow(unused)]
    env NODE_NAME: Option<String>;
    #[allow(unused_variables, reason = "read when the second phase begins")]
    env PHASE: u32 = 1;
    env _ZONE: Option<String>;

    #[allow(unused_variables)]
    let later = 5;
    #[expect(unused_mut)]
    let mut text = format!("{GREETING} and {}", "bye");
    env GREETING: String = "hello".to_owned();

    /// Only looked at from outside.
    #[allow(dead_code)]
    backend spare = "http://10.0.0.9:8080";
    #[allow(unused, reason = "drained by hand")]
    backend old = cluster(rr, ["http://10.0.0.8:8080"]);
    backend _new = "http://10.0.0.7:8080";

    #[allow(no_fallback)]
    "/beta" if header("x-beta").is("1") => respond(200, text),
    "/beta" if header("x-beta").is("0") => respond(200, "stable"),
    "/admin" if header("x-internal").exists() => respond(200, "only for some"),
    #[allow(no_fallback, reason = "others have no account")]
    "/v4" if client_ip().within("0.0.0.0/0") => respond(200, "an older client"),
}

#[allow(unused)]
fn nothing_said_of_an_expression() -> prox::Result<prox::Gateway> {
    let name = "a";
    prox::gateway! {
        #[allow(unused)]
        env REGION: Option<String>;
        #[allow(dead_code)]
        backend spare = "http://10.0.0.9:8080";
        backend used = "http://10.0.0.8:8080";

        let text = format!("{used:?} {name}");
        "/" => respond(200, text),
    }
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    let backends = edge.backends();
    assert_eq!(
        (backends.spare.name(), backends.old.name()),
        ("spare", "old")
    );
    assert_eq!(Edge::ENV[3].needed_by, "let mut text");
    assert_eq!(Edge::ENV[0].needed_by, "");
    assert_eq!(nothing_said_of_an_expression()?.routes().len(), 1);
    Ok(())
}
