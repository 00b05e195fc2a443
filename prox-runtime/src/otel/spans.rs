//! Makes spans of what was taken down, with the attributes of OpenTelemetry's stable conventions for HTTP.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::{Duration, SystemTime},
};

use http::{Method, Uri};
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::{
    error::Failure,
    observe::{
        TraceContext,
        traces::{Done, End, Ended, Recording},
    },
};

/// The most bytes of an attribute that a client has chosen.
const LONGEST: usize = 1024;

/// Makes spans.
#[derive(Debug)]
pub(super) struct Spans {
    /// The patterns of the routes, in the order of their numbers.
    pub(super) routes: Vec<&'static str>,
    pub(super) without_path: bool,
    pub(super) scope: InstrumentationScope,
}

impl Spans {
    pub(super) fn new(routes: Vec<&'static str>, without_path: bool) -> Self {
        let scope = InstrumentationScope::builder("prox").with_version(env!("CARGO_PKG_VERSION"));
        Self {
            routes,
            without_path,
            scope: scope.build(),
        }
    }

    /// The span of something that has ended.
    pub(super) fn span(&self, ended: &Ended) -> SpanData {
        match ended {
            Ended::Request(recording, end, took) => {
                let time = (recording.at(Duration::ZERO), recording.at(*took));
                self.of_request(recording, end, time)
            }
            Ended::Try(done) => self.of_try(done),
        }
    }

    fn of_request(
        &self,
        recording: &Recording,
        end: &End,
        (start_time, end_time): (SystemTime, SystemTime),
    ) -> SpanData {
        let seen = &recording.seen;
        let (method, original) = method(&seen.method);
        let route = end.route.and_then(|route| self.routes.get(route as usize));
        let verb = if method == "_OTHER" { "HTTP" } else { method };
        let name = match route {
            Some(route) => Cow::Owned(format!("{verb} {route}")),
            None => Cow::Borrowed(verb),
        };
        let mut all = Attributes::default();
        all.text("http.request.method", method);
        if let Some(original) = original {
            all.text("http.request.method_original", original);
        }
        all.text("url.scheme", seen.caller.scheme);
        if !self.without_path {
            all.text("url.path", bounded(seen.uri.path()));
        }
        if let Some(route) = route {
            all.text("http.route", *route);
        }
        all.number("http.response.status_code", i64::from(end.status));
        let host = match seen.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => seen.host.as_ref().and_then(|host| host.to_str().ok()),
        };
        if let Some(host) = host {
            all.server(host);
        }
        if let Some(client) = seen.caller.client {
            all.text("client.address", client.to_string());
        }
        if let Some(peer) = seen.caller.peer {
            all.peer(peer.ip().to_canonical(), peer.port());
        }
        if let Some(version) = end.protocol {
            all.text("network.protocol.version", version);
        }
        for (name, value) in &seen.fields {
            let value = String::from_utf8_lossy(value.as_bytes());
            let value = vec![bounded(&value).into()];
            let name = format!("http.request.header.{}", name.as_str());
            let value = opentelemetry::Value::Array(opentelemetry::Array::String(value));
            all.0.push(KeyValue::new(name, value));
        }
        let status = end.status;
        all.error(status, end.failure, 500);
        let parent = recording.parent.map(|parent| span_id(&parent));
        SpanData {
            span_context: self::context(recording, &recording.context),
            parent_span_id: parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: parent.is_some(),
            span_kind: SpanKind::Server,
            name,
            start_time,
            end_time,
            attributes: all.0,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: status_of(is_error(status, end.failure, 500)),
            instrumentation_scope: self.scope.clone(),
        }
    }

    fn of_try(&self, done: &Done) -> SpanData {
        let (method, original) = method(&done.method);
        let verb = if method == "_OTHER" { "HTTP" } else { method };
        let mut all = Attributes::default();
        all.text("http.request.method", method);
        if let Some(original) = original {
            all.text("http.request.method_original", original);
        }
        // A Unix socket has no URL.
        let url = Uri::from_str(&done.endpoint).ok();
        let authority = url.as_ref().and_then(Uri::authority);
        if let (Some(authority), Some(url)) = (authority, &url) {
            let scheme = url.scheme_str().unwrap_or("http");
            let path = done.sent.as_ref().map_or("", |(target, _)| target.path());
            let path = if self.without_path { "" } else { path };
            all.text(
                "url.full",
                bounded(&format!("{scheme}://{authority}{path}")),
            );
            let default = if scheme == "https" { 443 } else { 80 };
            let port = authority.port_u16().unwrap_or(default);
            let host = authority.host().trim_matches(['[', ']']);
            all.text("server.address", host.to_owned());
            all.number("server.port", i64::from(port));
            if let Ok(ip) = host.parse::<IpAddr>() {
                all.peer(ip, port);
            }
        } else {
            let path = done
                .endpoint
                .strip_prefix("unix:")
                .unwrap_or(&done.endpoint);
            all.text("server.address", path.to_owned());
            all.text("network.transport", "unix");
        }
        if let Some((_, http2)) = done.sent {
            all.text("network.protocol.version", if http2 { "2" } else { "1.1" });
        }
        if let Some(status) = done.status {
            all.number("http.response.status_code", i64::from(status.as_u16()));
        }
        if done.resent > 0 {
            all.number("http.request.resend_count", i64::from(done.resent));
        }
        all.text("prox.backend", done.backend.to_string());
        if done.is_copy {
            all.0.push(KeyValue::new("prox.mirror", true));
        }
        if done.status.is_none() && done.failure.is_none() {
            all.0.push(KeyValue::new("prox.cancelled", true));
        }
        let status = done.status.map_or(0, |status| status.as_u16());
        all.error(status, done.failure, 400);
        SpanData {
            span_context: self::context(&done.of, &done.context),
            parent_span_id: span_id(&done.of.context),
            parent_span_is_remote: false,
            span_kind: SpanKind::Client,
            name: Cow::Borrowed(verb),
            start_time: done.of.at(done.from),
            end_time: done.of.at(done.to),
            attributes: all.0,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: status_of(is_error(status, done.failure, 400)),
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// The attributes of a span.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn text(&mut self, name: &'static str, value: impl Into<opentelemetry::StringValue>) {
        let value: opentelemetry::StringValue = value.into();
        self.0.push(KeyValue::new(name, value));
    }

    fn number(&mut self, name: &'static str, value: i64) {
        self.0.push(KeyValue::new(name, value));
    }

    /// The name that a client has asked for.
    fn server(&mut self, host: &str) {
        // Nobody should send user information.
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => (name, port.parse::<u16>().ok()),
            _ => (host, None),
        };
        self.text("server.address", bounded(name.trim_matches(['[', ']'])));
        if let Some(port) = port {
            self.number("server.port", i64::from(port));
        }
    }

    fn peer(&mut self, ip: IpAddr, port: u16) {
        let peer = SocketAddr::new(ip, port);
        self.text("network.peer.address", peer.ip().to_string());
        self.number("network.peer.port", i64::from(peer.port()));
    }

    /// What went wrong: the name of a failure, or a status from `least` on.
    fn error(&mut self, status: u16, failure: Option<Failure>, least: u16) {
        match failure {
            Some(failure) => self.text("error.type", failure.name()),
            None if status >= least => self.text("error.type", status.to_string()),
            None => {}
        }
    }
}

/// Whether a span is one of an error. A client that leaves is not an error, and neither is a refusal of the gateway's own with a status that
/// is not an error on this side.
fn is_error(status: u16, failure: Option<Failure>, least: u16) -> bool {
    match failure {
        Some(Failure::ClientGone) => false,
        // A body that was cut, or a try without an answer.
        Some(_) if status < 400 => true,
        _ => status >= least,
    }
}

fn status_of(error: bool) -> Status {
    if error {
        Status::error("")
    } else {
        Status::Unset
    }
}

/// The name of a method among those that are known, and the method itself if it is not.
fn method(method: &Method) -> (&'static str, Option<String>) {
    let name = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => return ("_OTHER", Some(bounded(method.as_str()))),
    };
    (name, None)
}

fn context(recording: &Recording, context: &TraceContext) -> SpanContext {
    let state = recording
        .state
        .as_ref()
        .and_then(|state| state.to_str().ok());
    let state = state.and_then(|state| TraceState::from_str(state).ok());
    SpanContext::new(
        trace_id(context),
        span_id(context),
        TraceFlags::SAMPLED,
        false,
        state.unwrap_or_default(),
    )
}

pub(super) fn trace_id(context: &TraceContext) -> TraceId {
    TraceId::from_hex(context.trace_id()).unwrap_or(TraceId::INVALID)
}

pub(super) fn span_id(context: &TraceContext) -> SpanId {
    SpanId::from_hex(context.span_id()).unwrap_or(SpanId::INVALID)
}

fn bounded(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST);
    text.get(..end).unwrap_or_default().to_owned()
}
