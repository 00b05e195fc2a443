//! Closures and casts whose types have commas, beside other arguments.

use prox::{
    Next, Request, Response,
    middleware::Recover,
};

type Answer<T, E> = Result<T, E>;

prox::gateway! {
    pub struct Shop;

    let pairs = |one: u8, two: (u8, u8)| -> Vec<(u8, Answer<u8, (u8, u8)>)> { vec![(one, Err(two))] };
    let few = 5;

    with [
        async |req: Request, next: Next| -> Answer<Response, prox::Error> { Ok(next.run(req).await) },
        Recover::new(),
    ];

    "/a" => handler(async |req: Request| -> Result<String, prox::Error> {
        async {}.await;
        Ok(req.uri().to_string())
    }),
    "/b" => respond(if few < 6 { 200 } else { 500 }, format!("{:?}", pairs(1, (2, 3)))),
    "/c" if |parts: &prox::Parts| -> bool { parts.headers.len() < 5 && parts.headers.len() > 3 } => "http://10.0.0.1:8080",
    "/c" => respond(200, std::any::type_name::<Answer<u8, Answer<u16, u32>>>()),
}

fn main() -> prox::Result {
    Shop::new().map(drop)
}
