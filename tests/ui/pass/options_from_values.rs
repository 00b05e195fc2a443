//! Options whose values come from the environment, and options of a variable without a `backend` line.

use prox::{Env, SameSite, Sticky};

prox::gateway! {
    pub struct Shop;

    env API: Endpoint = "http://api.example";
    env PRESERVE: bool = true;
    env HTTP2: bool = false;
    env NAME: String = "app.example";
    env DOMAIN: String = "shop.example";

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"])
        .preserve_host_if(PRESERVE)
        .forwarded_if(PRESERVE)
        .encoded_slashes_if(PRESERVE)
        .required_if(!PRESERVE)
        .sticky(Sticky::cookie("shop").domain(DOMAIN).path("/").same_site(SameSite::Strict).secure(PRESERVE).max_age(1h));

    "/users/{id}" => users.host_header(&NAME),
    "/a%2Fb" => users,
    "/api" => API.rewrite("/").timeout(5s).http2_if(HTTP2),
    "/plain" => API,
    "/half" => split { 1 => API.rewrite("/half"), 2 => users },

}

fn main() -> prox::Result {
    Shop::new()?;
    Shop::with_env([("PRESERVE", "false"), ("HTTP2", "true")])?;
    let error = Shop::with_env(Env::from([("NAME", "a b"), ("DOMAIN", ".x")])).unwrap_err().to_string();
    assert!(error.contains("\"a b\" is not a host"), "{error}");
    assert!(error.contains("\".x\" is not the domain of a cookie"), "{error}");
    Ok(())
}
