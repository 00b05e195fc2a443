//! Closures and functions as layers that take other arguments.

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";

    "/a" => users with [|req| async move { req }],
    "/b" => users with [async |next, req| next.run(req).await],
    "/c" => users with [async |next: prox::Next, req: prox::Request| next.run(req).await],
    "/d" => users with [async |req: &prox::Request, next: prox::Next| next.run(req).await],
    "/e" => users with [async |req: prox::Parts, next: prox::Next| next.run(req).await],
    "/f" => users with [|| async {}],
    "/g" => users with [one_argument, prox::middleware::Recover::new()],
    "/h" => users with [three_arguments],
    "/users" => users,
}

async fn one_argument(req: prox::Request) -> prox::Response {
    prox::IntoResponse::into_response(req.uri().path().to_owned())
}

async fn three_arguments(req: prox::Request, _: u8, next: prox::Next) -> prox::Response {
    next.run(req).await
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
