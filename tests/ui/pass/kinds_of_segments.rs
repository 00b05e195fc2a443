//! Parameters of a kind, and lists of values in quotes of both forms.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    GET "/users/{id: int}" => users.rewrite("/people/{id}"),
    GET "/users/{id:uuid}" => users,
    "/users/{name: slug}" { exact "/" => users, "/{any}" => users }
    r#"/{v: "v1" | "v2"}/orders"# => users.rewrite("/{v}"),
    "/{v: 'v1'}/orders" => users,

    expect GET "/users/7" => users;
    expect GET "/users/a.b" => 404;
    expect GET "/v2/orders" => users;
}

fn main() -> prox::Result {
    Shop::new().map(drop)
}
