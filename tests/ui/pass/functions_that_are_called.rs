//! Calls in `handler(..)` and `with [..]` that return what is wanted.

use std::future::{Ready, ready};

use prox::{Next, Request, Response, middleware::RateLimit};

fn greeting(text: &'static str) -> impl Fn(Request) -> Ready<&'static str> + Clone {
    move |_| ready(text)
}

fn hello() -> impl Fn(Request) -> Ready<&'static str> {
    greeting("hello")
}

fn boxed() -> Box<dyn Fn(Request) -> Ready<&'static str> + Send + Sync> {
    Box::new(|_| ready("boxed"))
}

fn of<T: Default + prox::IntoResponse + Send + 'static>() -> impl Fn(Request) -> Ready<T> {
    |_| ready(T::default())
}

struct Greeter;

impl Greeter {
    fn answer() -> fn(Request) -> Ready<&'static str> {
        |_| ready("greeter")
    }

    fn with(&self, text: &'static str) -> impl Fn(Request) -> Ready<&'static str> + use<> {
        greeting(text)
    }
}

fn limit() -> RateLimit {
    RateLimit::per_second(100)
}

async fn pass(req: Request, next: Next) -> Response {
    next.run(req).await
}


prox::gateway! {
    struct Shop;

    let greeter = Greeter;

    with [limit()];

    "/a" => handler(hello()),
    "/b" => handler(greeting("hi")),
    "/c" => handler(boxed()),
    "/d" => handler(of::<String>()),
    "/e" => handler(Greeter::answer()),
    "/f" => handler(greeter.with("hi")),
}

fn main() -> prox::Result {
    assert_eq!(Shop::new()?.routes().len(), 6);

    let make = || greeting("hi");
    let gateway = prox::gateway! {
        with [limit(), pass];

        "/a" => handler(make()),
        "/b" => handler(make()),
    }?;
    assert_eq!(gateway.routes().len(), 2);
    Ok(())
}
