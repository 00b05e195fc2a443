//! Configurations of other gateways, in the shapes that large applications have, translated whole. What each translation has to
//! do is a table in `tests/data/translated`, beside the configuration that it was made from.

mod openapi;

use std::{collections::BTreeMap, sync::Arc};

use prox::{Endpoint, Request};
use prox_tests::{client::RawClient, gateway::Served, wire::lines};

/// Upstreams by name, each of which answers what it was asked.
struct Upstreams(BTreeMap<&'static str, Served>);

impl Upstreams {
    async fn start(names: &[&'static str]) -> Self {
        let mut started = BTreeMap::new();
        for &name in names {
            started.insert(name, Served::start(echo(name)).await);
        }
        Self(started)
    }

    /// Where an upstream listens.
    fn at(&self, name: &str) -> Endpoint {
        let url = format!("http://{}", self.0[name].address());
        url.parse().expect("it is a URL")
    }
}

/// Answers with its name, the request line, and the fields that came, a line each.
fn echo(name: &'static str) -> prox::Result<prox::Gateway> {
    let name = Arc::new(name);
    prox::gateway! {
        "/" => handler(move |req: Request| {
            let name = Arc::clone(&name);
            async move {
                let target = req.uri().path_and_query().map_or("/", |target| target.as_str());
                let mut text = format!("{name}\n{} {target}\n", req.method());
                for (field, value) in req.headers() {
                    let value = String::from_utf8_lossy(value.as_bytes());
                    text.push_str(&format!("{field}: {value}\n"));
                }
                text
            }
        }),
    }
}

/// A response, with what an upstream saw, if one answered.
struct Seen {
    status: u16,
    /// The name of the upstream, and the request line that came to it.
    upstream: Option<(String, String)>,
}

/// Sends a request for a URL, of which the host goes into `Host`.
async fn send(client: &mut RawClient, method: &str, url: &str, headers: &[String]) -> Seen {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let lines = lines(headers);
    client
        .send(format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"
        ))
        .await;
    let answer = client.response(method).await;
    let text = answer.text();
    let mut told = text.lines();
    let upstream = told.next().zip(told.next());
    Seen {
        status: answer.status,
        upstream: upstream
            .filter(|_| answer.status == 200)
            .map(|(name, line)| (name.to_owned(), line.to_owned())),
    }
}
