//! Signs that are percent-encoded in a path: a star, and a slash before a target that takes it.

prox::gateway! {
    pub struct Shop;

    backend files = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]).encoded_slashes();
    backend users = cluster(rr, ["http://10.0.1.1:8080", "http://10.0.1.2:8080"]);

    "/a%2Ab" => users,
    "/a%2Fb" => files,
    "/c%2Fd" => users.encoded_slashes(),
    "/e%2Ff" => split { 1 => files, 2 => users.encoded_slashes(), 3 => respond(200, "x") },
    "/g%2Fh" { GET "/i" => files }

    expect GET "/a%2Fb/c" => files;
    expect GET "/c%2Fd" => users;
}

fn main() -> prox::Result {
    Shop::new().map(drop)
}
