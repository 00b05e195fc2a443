//! The paths of the admin listener, and their answers.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;

use super::{
    access::{self, Peer, Token},
    config::Config,
    pulse::{Pulse, Workers},
    query, render,
};
use crate::{
    handler::Dispatch,
    inspect::{Change, Operation},
    metrics::Format,
    observe::logs,
};

/// The most that the body of a request may have; nothing reads it.
const MAX_BODY: usize = 8 * 1024;

/// What answers.
pub(super) struct Shared<G> {
    pub(super) gateway: G,
    pub(super) workers: Arc<Workers>,
    pub(super) token: Option<Token>,
    pub(super) config: Config,
}

type Answer = http::Response<Full<Bytes>>;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Index,
    Live,
    Ready,
    Metrics,
    WhyUnready,
    Routes,
    Endpoints,
    Config,
    Drain,
    Undrain,
    Weight,
    Log,
}

/// A path, what it asks for, and what it is for.
type Path = (&'static str, Asked, &'static str);

const PATHS: [Path; 13] = [
    ("/", Asked::Index, "this list"),
    ("/healthz", Asked::Live, "whether every worker answers"),
    ("/livez", Asked::Live, "the same"),
    (
        "/readyz",
        Asked::Ready,
        "whether the gateway should get requests",
    ),
    ("/metrics", Asked::Metrics, "metrics for Prometheus"),
    ("/ready", Asked::WhyUnready, "why the gateway is not ready"),
    ("/routes", Asked::Routes, "the table of routes"),
    (
        "/endpoints",
        Asked::Endpoints,
        "the endpoints, and the last error of each",
    ),
    ("/config", Asked::Config, "version, limits and variables"),
    (
        "/drain",
        Asked::Drain,
        "?backend=NAME&endpoint=ADDRESS  give an endpoint no new requests",
    ),
    (
        "/undrain",
        Asked::Undrain,
        "?backend=NAME&endpoint=ADDRESS  take it back into use",
    ),
    (
        "/weight",
        Asked::Weight,
        "?backend=NAME&endpoint=ADDRESS&weight=NUMBER  set its share of the requests",
    ),
    (
        "/log",
        Asked::Log,
        "?level=debug  write events from this level on, for ten minutes",
    ),
];

/// How long a level of events holds that was asked for here.
const LEVEL_HOLDS: Duration = Duration::from_mins(10);

impl Asked {
    /// Whether it is for the inside alone.
    fn is_inner(self) -> bool {
        !matches!(self, Self::Index | Self::Live | Self::Ready | Self::Metrics)
    }

    /// Whether it changes something.
    fn changes(self) -> bool {
        matches!(self, Self::Drain | Self::Undrain | Self::Weight | Self::Log)
    }
}

/// Answers one request.
pub(super) async fn answer<G: Dispatch>(
    shared: Arc<Shared<G>>,
    peer: Peer,
    req: http::Request<Incoming>,
) -> Result<Answer, Infallible> {
    let (head, body) = req.into_parts();
    // A body that is left unread would reset the connection, and the answer might be lost.
    let answer = if Limited::new(body, MAX_BODY).collect().await.is_err() {
        text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
    } else {
        of(&shared, peer, &head).await
    };
    Ok(answer)
}

async fn of<G: Dispatch>(shared: &Shared<G>, peer: Peer, head: &Parts) -> Answer {
    let path = head.uri.path();
    let Some((_, asked, _)) = PATHS.iter().find(|(known, ..)| *known == path) else {
        let help = format!("not found; the paths are\n{}", index());
        return text(StatusCode::NOT_FOUND, &help);
    };
    if asked.is_inner() && !access::is_inside(peer, head, shared.token.as_ref()) {
        return text(
            StatusCode::FORBIDDEN,
            "this path is for the inside: the Unix socket, a loopback address with a Host of this machine and without Origin \
             or fields of proxies, or `Authorization: Bearer` with the token of the admin listener",
        );
    }
    let allowed = if asked.changes() { "POST" } else { "GET, HEAD" };
    let is_allowed = match head.method {
        Method::POST => asked.changes(),
        Method::GET | Method::HEAD => !asked.changes(),
        _ => false,
    };
    if !is_allowed {
        let problem = format!("expected {allowed}, found {}", head.method);
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, &problem);
        let allowed = HeaderValue::from_static(allowed);
        refused.headers_mut().insert(header::ALLOW, allowed);
        return refused;
    }
    // No page can send this field without asking first, and no such question is answered.
    if asked.changes() && head.headers.get("x-prox").is_none_or(|value| value != "1") {
        return text(
            StatusCode::FORBIDDEN,
            "a change needs the field `X-Prox: 1`",
        );
    }
    match asked {
        Asked::Index => text(StatusCode::OK, index().trim_end()),
        Asked::Live => live(&shared.workers).await,
        Asked::Ready => match unready(shared).as_slice() {
            [] => text(StatusCode::OK, "ready"),
            _ => text(StatusCode::SERVICE_UNAVAILABLE, "not ready"),
        },
        Asked::WhyUnready => match unready(shared).as_slice() {
            [] => text(StatusCode::OK, "ready"),
            reasons => text(StatusCode::SERVICE_UNAVAILABLE, &reasons.join("\n")),
        },
        Asked::Metrics => metrics(shared, head).await,
        Asked::Routes if wants_text(head) => shown(TEXT, shared.gateway.routes_text(false)),
        Asked::Routes => shown(JSON, shared.gateway.routes_text(true)),
        Asked::Endpoints => {
            let backends = shared.gateway.inspect().backends;
            if wants_text(head) {
                shown(TEXT, render::endpoints_table(&backends, SystemTime::now()))
            } else {
                shown(JSON, render::endpoints_json(&backends))
            }
        }
        Asked::Config => {
            let gateway = shared.gateway.inspect();
            if wants_text(head) {
                shown(TEXT, render::config_table(&gateway, &shared.config))
            } else {
                shown(JSON, render::config_json(&gateway, &shared.config))
            }
        }
        Asked::Drain => operate(&shared.gateway, head, Some(Change::Drain)),
        Asked::Undrain => operate(&shared.gateway, head, Some(Change::Undrain)),
        Asked::Weight => operate(&shared.gateway, head, None),
        Asked::Log => log(head),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

async fn live(workers: &Workers) -> Answer {
    match workers.pulse().await {
        Pulse::Fine => text(StatusCode::OK, "ok"),
        Pulse::Starting => text(StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Pulse::Silent(number) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("worker {number} does not answer"),
        ),
    }
}

/// Why the gateway should get no requests.
fn unready<G: Dispatch>(shared: &Shared<G>) -> Vec<String> {
    // Before the workers run, the question could begin their work here.
    if shared.workers.are_there() {
        shared.gateway.unready()
    } else {
        vec![String::from("starting")]
    }
}

async fn metrics<G: Dispatch>(shared: &Shared<G>, head: &Parts) -> Answer {
    shared.gateway.prepare_samples().await;
    let format = Format::of_request(&head.headers);
    match shared.gateway.samples() {
        Some(samples) => shown(format.content_type(), samples.write(format)),
        None => text(StatusCode::NOT_FOUND, "this gateway counts nothing"),
    }
}

/// Changes one endpoint; `change` is nothing where the query says the weight.
fn operate<G: Dispatch>(gateway: &G, head: &Parts, change: Option<Change>) -> Answer {
    let query = head.uri.query().unwrap_or_default();
    let asked = if change.is_some() {
        query::read(query, ["backend", "endpoint"])
            .map(|[backend, endpoint]| (backend, endpoint, change))
    } else {
        query::read(query, ["backend", "endpoint", "weight"]).and_then(
            |[backend, endpoint, weight]| {
                let weight = weight.ok_or("`weight` is missing")?;
                let weight = weight.parse();
                let weight = weight.map_err(|_| "`weight` is not a number from 0 to 4294967295")?;
                Ok((backend, endpoint, Some(Change::Weight(weight))))
            },
        )
    };
    let (backend, endpoint, change) = match asked {
        Ok((Some(backend), Some(endpoint), Some(change))) => (backend, endpoint, change),
        Ok(_) => {
            return text(
                StatusCode::BAD_REQUEST,
                "`backend` and `endpoint` are both needed: ?backend=users&endpoint=10.0.0.1:8080",
            );
        }
        Err(problem) => return text(StatusCode::BAD_REQUEST, &problem),
    };
    let done = gateway.operate(&Operation {
        backend: &backend,
        endpoint: &endpoint,
        change,
    });
    match done {
        Ok(()) => changed(),
        Err(problem) => text(StatusCode::NOT_FOUND, &problem),
    }
}

/// Sets the level of the events for a while.
fn log(head: &Parts) -> Answer {
    let query = head.uri.query().unwrap_or_default();
    let level = query::read(query, ["level"]).and_then(|[level]| {
        let level = level.ok_or("`level` is missing: ?level=debug")?;
        logs::level(&level).map_err(|problem| format!("`level`: {problem}"))
    });
    let level = match level {
        Ok(level) => level,
        Err(problem) => return text(StatusCode::BAD_REQUEST, &problem),
    };
    let Some(widened) = logs::widen(level) else {
        return text(
            StatusCode::CONFLICT,
            "the program has a subscriber of its own, which decides about levels",
        );
    };
    tokio::spawn(async move {
        tokio::time::sleep(LEVEL_HOLDS).await;
        logs::restore(widened);
    });
    changed()
}

fn changed() -> Answer {
    let mut done = Answer::default();
    *done.status_mut() = StatusCode::NO_CONTENT;
    done
}

/// Whether a table is wanted, and no JSON.
fn wants_text(head: &Parts) -> bool {
    let accept = head.headers.get_all(header::ACCEPT).iter();
    let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
    let names = |kind: &str| {
        let mut ranges = accept.iter().flat_map(|value| value.split(','));
        ranges.any(|range| {
            let range = range.split(';').next().unwrap_or_default();
            range.trim().eq_ignore_ascii_case(kind)
        })
    };
    names("text/plain") && !names(JSON)
}

fn index() -> String {
    let lines = PATHS.iter().map(|(path, asked, what)| {
        let method = if asked.changes() { "POST" } else { "GET" };
        let gap = if what.starts_with('?') { "" } else { "  " };
        format!("{method} {path}{gap}{what}\n")
    });
    lines.collect()
}

fn text(status: StatusCode, text: &str) -> Answer {
    let mut answer = shown(TEXT, format!("{text}\n"));
    *answer.status_mut() = status;
    answer
}

fn shown(kind: &'static str, text: String) -> Answer {
    let mut answer = Answer::new(Full::from(text));
    let fields = answer.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // No page runs it as a script.
    let nosniff = HeaderValue::from_static("nosniff");
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_for_those_that_want_text() {
        for (accept, wanted) in [
            ("", false),
            ("*/*", false),
            ("text/plain", true),
            ("Text/Plain; q=0.9", true),
            ("text/html, text/plain", true),
            ("application/json, text/plain", false),
        ] {
            let request = http::Request::get("/").header("accept", accept);
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(wants_text(&head), wanted, "{accept}");
        }
    }

    #[test]
    fn what_changes_something_is_for_the_inside() {
        for (path, asked, _) in PATHS {
            assert!(asked.is_inner() || !asked.changes(), "{path}");
        }
        assert!(index().contains("POST /drain?backend=NAME&endpoint=ADDRESS  give"));
        assert!(index().contains("GET /healthz  whether"));
    }
}
