//! The name that nginx has for it.
prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080"]);

    "/users" => users.rewrite("/").proxy_redirect("http://10.0.0.1:8080/", "/users/"),
}

fn main() {
    let _ = Shop::new();
}
