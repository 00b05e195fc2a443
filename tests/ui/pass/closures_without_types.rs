//! Closures as guards and layers, whose arguments have no types.

prox::gateway! {
    pub struct Shop { beta: bool }

    let few = 5;

    with [|req, next| next.run(req), async |req, next| next.run(req).await];

    "/" if |parts| parts.headers.is_empty() => respond(200, "a"),
    "/a" if move |parts| beta && parts.headers.len() < few => respond(200, "b") with [
        async move |mut req, next| {
            req.headers_mut().remove("x-few");
            let _ = few;
            next.run(req).await
        },
        move |req, next| { let _ = few; next.run(req) },
    ],
    "/b" => handler(async |req| req.uri().to_string()),
}

fn here(text: &'static str) -> prox::Result<prox::Gateway> {
    prox::gateway! {
        "/" if |parts| parts.uri.path().len() < 9 => respond(200, text) with [move |req, next| { let _ = text; next.run(req) }],
    }
}

fn main() -> prox::Result {
    here("x")?;
    Shop::new(true).map(drop)
}
