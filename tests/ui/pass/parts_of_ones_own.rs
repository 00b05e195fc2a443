//! A balancer, a handler, middleware, a tower layer, a guard and a type of a variable that a user wrote.

#![deny(warnings, dead_code)]

use prox::{Balancer, Handler, Middleware, Next, Parts, Pick, Request, Response};
use std::{
    str::FromStr,
    task::{Context, Poll},
};

#[derive(Debug)]
struct First;

impl Balancer for First {
    fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
        pick.available().next()
    }
}

struct Echo;

impl Handler for Echo {
    async fn call(&self, req: Request) -> Response {
        Response::new(req.into_body())
    }
}

#[derive(Clone)]
struct Stamp(&'static str);

impl Middleware for Stamp {
    async fn handle(&self, req: Request, next: Next) -> Response {
        let mut response = next.run(req).await;
        let value = http::HeaderValue::from_static(self.0);
        response.headers_mut().insert("x-stamp", value);
        response
    }
}

struct Plain;

impl<S> tower::Layer<S> for Plain {
    type Service = PlainService<S>;

    fn layer(&self, inner: S) -> PlainService<S> {
        PlainService(inner)
    }
}

#[derive(Clone)]
struct PlainService<S>(S);

impl<S: tower::Service<Request>> tower::Service<Request> for PlainService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, req: Request) -> S::Future {
        self.0.call(req)
    }
}

fn at_night(_: &Parts) -> bool {
    true
}

struct Level(u8);

impl FromStr for Level {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

prox::gateway! {
    struct Own;

    env LEVEL: Level = Level(3);

    let stamp = Stamp("own");
    let level = LEVEL.0;

    backend users = cluster(First, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    with [stamp.clone(), Plain];

    "/users" if at_night => users with [async |req, next: Next| next.run(req).await],
    "/users" if move |_: &Parts| level > 2 => users,
    "/users" => Echo with [stamp],
}

fn main() -> prox::Result {
    let own = Own::new()?;
    assert_eq!(own.backends().users.endpoints().len(), 2);
    Ok(())
}
