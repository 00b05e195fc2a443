//! Redirects that keep parts of the request.

prox::gateway! {
    pub struct Shop;

    "/old/{id: int}" => redirect(301, "/users/{id}{query}"),
    "/files/{*rest}" => redirect(302, "/assets/{rest}"),
    "/docs" => redirect(308, "https://docs.example.com{below}{query}"),
    "/" => redirect(308, "https://{host}{path}{query}"),

    expect GET "/old/7" => 301;
}

fn main() -> prox::Result {
    Shop::new().map(drop)
}
