//! Guards on what is absent, and on one of several values.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    "/users" if header("authorization").absent() => respond(401, "who are you?"),
    "/users" if header("authorization").exists().and(header("x-color").one_of(["red", "blue"])) => users,
    "/users" if header("authorization").exists() => "http://10.0.0.3:8080",
    "/search" if query("q").absent() => respond(400, "write ?q="),
    "/search" if query("v").one_of(["1", "2"]).and(query("q").exists()) => users,

    expect GET "/users" => 401;
    expect GET "/search?v=2" => 400;
    expect GET "/search?q=x&v=2" => users;
}

fn main() -> prox::Result {
    Shop::new().map(drop)
}
