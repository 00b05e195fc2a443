//! Configurations of other gateways, in the shapes that large applications have, translated whole. What each translation has to
//! do is a table in `tests/data/translated`, beside the configuration that it was made from.

mod envoy;
mod gateway_api;
mod haproxy;
mod kong;
mod nginx_forum;
mod nginx_social;
mod openapi;
mod reverse_proxy;
mod spring;
mod traefik;
mod yarp;

use std::{collections::BTreeMap, sync::Arc};

use prox::{Endpoint, IntoResponse, Request, http::HeaderValue};
use prox_tests::{
    client::RawClient,
    gateway::Served,
    table,
    wire::{Fields, lines},
};
use serde::Deserialize;

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
                    text.extend([field.as_str(), ": ", &value, "\n"]);
                }
                let mut response = text.into_response();
                for (field, value) in [
                    ("x-from", *name),
                    ("x-powered-by", "echo"),
                    ("server", "echo"),
                    ("x-amz-request-id", "1"),
                ] {
                    let value = HeaderValue::from_static(value);
                    response.headers_mut().insert(field, value);
                }
                response
            }
        }),
    }
}

/// A response, with what an upstream saw, if one answered.
struct Seen {
    status: u16,
    fields: Fields,
    /// The name of the upstream, and the request line that came to it.
    upstream: Option<(String, String)>,
    /// The fields that came to it.
    came: Vec<String>,
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
    let from_upstream = answer.head.fields.first("x-from").is_some();
    Seen {
        status: answer.status,
        upstream: upstream
            .filter(|_| from_upstream)
            .map(|(name, line)| (name.to_owned(), line.to_owned())),
        came: told.map(str::to_owned).collect(),
        fields: answer.head.fields,
    }
}

/// What a translation has to do with requests.
#[derive(Deserialize)]
struct Table {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// `GET http://host/path`
    request: String,
    #[serde(default)]
    headers: Vec<String>,
    /// The upstream that answers, and the request line that comes to it without its method.
    to: Option<String>,
    sees: Option<String>,
    /// Fields that come to it, and names of fields that do not.
    #[serde(default)]
    gets: Vec<String>,
    #[serde(default)]
    lacks: Vec<String>,
    #[serde(default = "ok")]
    status: u16,
    /// Fields of the response, and names of fields that it does not have.
    #[serde(default)]
    answers: Vec<String>,
    #[serde(default)]
    hides: Vec<String>,
}

fn ok() -> u16 {
    200
}

impl Case {
    fn wrong(&self, seen: &Seen) -> Vec<String> {
        let mut wrong = Vec::new();
        if seen.status != self.status {
            wrong.push(format!("status {}", seen.status));
        }
        let upstream = seen.upstream.as_ref();
        if self
            .to
            .as_ref()
            .is_some_and(|to| upstream.is_none_or(|(name, _)| name != to))
        {
            wrong.push(format!("upstream {upstream:?}"));
        }
        if let Some(target) = &self.sees {
            let came = upstream.and_then(|(_, line)| line.split_once(' '));
            if came.is_none_or(|(_, came)| came != target) {
                wrong.push(format!("upstream {upstream:?}"));
            }
        }
        let name = |line: &str| {
            line.split_once(": ")
                .map_or(line.to_owned(), |(name, _)| name.to_owned())
        };
        for line in &self.gets {
            if !seen.came.contains(line) {
                wrong.push(format!("{line:?} did not come: {:?}", seen.came));
            }
        }
        for line in &seen.came {
            if self.lacks.contains(&name(line)) {
                wrong.push(format!("{line:?} came"));
            }
        }
        for line in &self.answers {
            let (name, value) = line
                .split_once(": ")
                .expect("a field has a name and a value");
            if !seen.fields.all(name).contains(&value) {
                wrong.push(format!("{name}: {:?} is answered", seen.fields.all(name)));
            }
        }
        for name in &self.hides {
            if !seen.fields.lacks(name) {
                wrong.push(format!("{name}: {:?} is answered", seen.fields.all(name)));
            }
        }
        wrong
    }
}

/// Tries the requests of a table on a gateway before upstreams of these names.
async fn hold(
    table: &str,
    names: &[&'static str],
    gateway: impl FnOnce(&Upstreams) -> prox::Result<prox::Gateway>,
) {
    let upstreams = Upstreams::start(names).await;
    let served = Served::start(gateway(&upstreams)).await;
    let mut wrong = Vec::new();
    for case in table::load::<Table>(&format!("translated/{table}")).case {
        let (method, url) = case.request.split_once(' ').expect("a method and a URL");
        let mut client = served.client().await;
        let seen = send(&mut client, method, url, &case.headers).await;
        for what in case.wrong(&seen) {
            wrong.push(format!("{} {:?}: {what}", case.request, case.headers));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
