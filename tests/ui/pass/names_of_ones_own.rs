//! Names and methods of a user's own that look like mistakes, or like words of the language.

#![deny(warnings)]

use prox::{Balancer, Handler, Pick, Request, Response};

/// A policy that is called as another gateway calls one of its own.
#[derive(Debug)]
struct RoundRobin;

impl Balancer for RoundRobin {
    fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
        pick.available().next()
    }
}

/// A handler with methods that are called as options are.
#[derive(Clone)]
struct Mine(u64);

impl Mine {
    fn timeout(self, seconds: u64) -> Self {
        Self(self.0 + seconds)
    }

    fn every(self, text: &str) -> Self {
        Self(self.0 + text.len() as u64)
    }
}

impl Handler for Mine {
    async fn call(&self, req: Request) -> Response {
        Response::new(req.into_body())
    }
}

mod other {
    pub(super) fn redirect(to: &str, from: u16) -> super::Mine {
        super::Mine(to.len() as u64 + u64::from(from))
    }

    pub(super) fn cluster(only: u64) -> super::Mine {
        super::Mine(only)
    }
}

async fn home(req: Request) -> Response {
    Response::new(req.into_body())
}

fn main() -> prox::Result {
    let round_robin = RoundRobin;
    let users = "http://10.0.0.3:8080";
    let both = [Mine(1), Mine(2)];
    let mine = Mine(3);
    let orders = "http://10.0.0.4:8080";
    let gateway = prox::gateway! {
        backend first = cluster(round_robin, [users, orders]).timeout(3s).idle_timeout(5m);
        backend second = cluster(RoundRobin, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

        "/first" => first,
        "/second" => second.response_timeout(Duration::from_secs(1)),
        "/mine" => mine.timeout(30).every("5"),
        "/both" => both[1].clone().timeout(30),
        "/list" => [Mine(1), Mine(2)][0].clone(),
        "/redirect" => other::redirect("x", 200),
        "/cluster" => other::cluster(0),
        "/relative" => redirect(302, "../first"),
        "/home" => handler(|req: Request| async move {
            let away = |status: u16| if status == 302 { Some("/home") } else { None };
            let redirect = |status: u16, _to: &str| away(status);
            if redirect(302, "/home").is_some() { home(req).await } else { Response::new(req.into_body()) }
        }),
    };
    gateway.map(drop)
}
