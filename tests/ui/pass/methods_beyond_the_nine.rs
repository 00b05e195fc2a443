//! Methods that are words because they are registered, and those in quotes.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    GET | QUERY "/users" => users,
    PROPFIND | "VERSION-CONTROL" exact "/dav" => users,
    "INVALIDATE" "/cache" => users,
    "/cache" { "INVALIDATE" | PURGE "/inner" => users }
    "BREW" | POST "/coffee" if header("x-pot").exists() => users,

    expect QUERY "/users/7" => users;
    expect "VERSION-CONTROL" "/dav" => users;
    expect "BREW" "/cache" => 405;
}

fn main() -> prox::Result {
    Shop::new().map(drop)
}
