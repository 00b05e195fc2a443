//! What a line of the access log looks like.

use std::{
    borrow::Cow,
    fmt::{self, Write},
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderValue, Method, Uri};

use super::{RequestIdValue, options::Options};
use crate::{
    civil::Rfc3339,
    error::Failure,
    identity::Principal,
    observe::{
        Refused,
        lines::{Form, Millis, Object, Word},
        trace_context::TraceContext,
    },
    watch::Tally,
};

/// The most bytes of a `Host`, a `User-Agent`, and each value that is written by name.
const LONGEST: usize = 512;

/// One request, all of it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) time: SystemTime,
    pub(super) id: Option<RequestIdValue>,
    pub(super) trace: Option<TraceContext>,
    pub(super) client: Option<IpAddr>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) host: Option<HeaderValue>,
    pub(super) route: Option<&'static str>,
    pub(super) status: u16,
    pub(super) failure: Option<Failure>,
    pub(super) hop: Hop,
    pub(super) total: Duration,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) aborted: bool,
    pub(super) user_agent: Option<HeaderValue>,
    /// The fields that are written by name, if there are any.
    pub(super) fields: HeaderMap,
    /// How many such requests the line is for.
    pub(super) sample: Option<u64>,
}

/// Where a request went.
#[derive(Debug, Default)]
pub(super) struct Hop {
    pub(super) protocol: Option<&'static str>,
    pub(super) backend: Option<Arc<str>>,
    pub(super) endpoint: Option<Arc<str>>,
    pub(super) tries: u32,
    pub(super) queue: Option<Duration>,
    pub(super) connect: Duration,
    pub(super) first_byte: Option<Duration>,
    pub(super) caller: Option<Principal>,
}

impl Hop {
    pub(super) fn of(tally: &Tally) -> Self {
        Self {
            protocol: tally.protocol(),
            backend: tally.backend(),
            endpoint: tally.endpoint(),
            tries: tally.tries(),
            queue: tally.queue(),
            connect: tally.connect().unwrap_or_default(),
            first_byte: tally.first_byte(),
            caller: tally.principal(),
        }
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            time: UNIX_EPOCH,
            id: None,
            trace: None,
            client: None,
            method: Method::GET,
            uri: Uri::default(),
            host: None,
            route: None,
            status: 0,
            failure: None,
            hop: Hop::default(),
            total: Duration::ZERO,
            received: 0,
            sent: 0,
            aborted: false,
            user_agent: None,
            fields: HeaderMap::new(),
            sample: None,
        }
    }
}

impl Record {
    /// How the caller has proved who it is.
    fn auth(&self) -> Option<&'static str> {
        self.hop.caller.as_ref().map(Principal::scheme)
    }

    /// Who the caller is, if it may be written.
    fn principal(&self, options: &Options) -> Option<&str> {
        let caller = self.hop.caller.as_ref().filter(|_| options.principals);
        let subject = caller?.subject();
        let end = subject.floor_char_boundary(LONGEST);
        subject.get(..end)
    }

    /// The path, if it may be written.
    fn path(&self, options: &Options) -> Option<&str> {
        Some(self.uri.path()).filter(|_| options.path)
    }

    /// The host as it was asked for. A name and a password before it, which nobody should send, are left out.
    fn host(&self) -> Option<Cow<'_, str>> {
        let host = match self.uri.host() {
            Some(host) => host.into(),
            None => lossy(self.host.as_ref()?),
        };
        Some(match host.rsplit_once('@') {
            Some((_, host)) => host.to_owned().into(),
            None => host,
        })
    }

    /// The parts of the query that are written by name.
    fn query<'a>(&'a self, options: &'a Options) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self.uri.query().unwrap_or_default().split('&');
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let named = |(name, _): &(&str, &str)| options.query.iter().any(|known| known == name);
        // A client must not make a line longer by a name that it repeats.
        pairs
            .filter(named)
            .take(options.query.len())
            .map(|(name, value)| {
                let end = value.floor_char_boundary(LONGEST);
                (name, value.get(..end).unwrap_or_default())
            })
    }

    fn fields(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let fields = self.fields.iter();
        fields.map(|(name, value)| (name.as_str(), lossy(value)))
    }

    fn has_failed(&self) -> bool {
        self.status >= 500 || self.aborted
    }

    /// Whether it is a reason to look.
    pub(super) fn is_conspicuous(&self, slow: Duration) -> bool {
        self.has_failed() || self.total >= slow
    }
}

/// The line of a request, with its end.
pub(super) fn of(form: Form, record: &Record, options: &Options) -> String {
    match form {
        Form::Json => json(record, options),
        Form::Text => text(record, options),
        Form::Ecs => ecs(record, options),
        Form::Gcp => gcp(record, options),
    }
}

/// The line of what was refused before it was a request.
pub(super) fn refused(form: Form, time: SystemTime, refused: &Refused) -> String {
    if form == Form::Text {
        return refused_text(time, refused);
    }
    let failure = refused.reason().failure();
    let status = refused.answer().map(|status| status.as_u16());
    let details = Some(refused.details()).filter(|text| !text.is_empty());
    let mut line = form.object(time, 256);
    match form {
        Form::Json | Form::Text => {
            line.some("client", refused.client_ip());
            line.some("method", refused.method());
            line.some("path", refused.path());
            if let Some(status) = status {
                line.raw("status", status);
            }
        }
        Form::Ecs => {
            line.some("client.ip", refused.client_ip());
            line.some("http.request.method", refused.method());
            line.some("url.path", refused.path());
            if let Some(status) = status {
                line.raw("http.response.status_code", status);
            }
            line.some("error.type", failure);
            let mut labels = Object::new(128);
            labels.text("refused", refused.reason());
            labels.some("detail", details);
            line.raw("labels", labels.close());
            return line.line();
        }
        Form::Gcp => {
            line.text("severity", "INFO");
            let mut request = Object::new(128);
            request.some("requestMethod", refused.method());
            request.some("requestUrl", refused.path());
            if let Some(status) = status {
                request.raw("status", status);
            }
            request.some("remoteIp", refused.client_ip());
            line.raw("httpRequest", request.close());
        }
    }
    line.some("error_type", failure);
    line.text("refused", refused.reason());
    line.some("detail", details);
    line.line()
}

fn refused_text(time: SystemTime, refused: &Refused) -> String {
    let mut line = format!("{} ", Rfc3339(time));
    match refused.client_ip() {
        Some(client) => drop(write!(line, "{client}")),
        None => line.push('-'),
    }
    let _ = write!(
        line,
        " {} {} ",
        Word(refused.method().unwrap_or("-")),
        Word(refused.path().unwrap_or("-")),
    );
    match refused.answer() {
        Some(status) => drop(write!(line, "{}", status.as_u16())),
        None => line.push('-'),
    }
    let _ = write!(line, " refused={}", refused.reason());
    if !refused.details().is_empty() {
        let _ = write!(line, " detail={}", Word(refused.details()));
    }
    line.push('\n');
    line
}

fn json(record: &Record, options: &Options) -> String {
    let mut line = Form::Json.object(record.time, 512);
    line.some("id", record.id.as_ref());
    if let Some(trace) = &record.trace {
        line.text("trace_id", trace.trace_id());
        line.text("span_id", trace.span_id());
    }
    line.some("client", record.client);
    line.text("method", &record.method);
    line.some("host", record.host());
    line.some("path", record.path(options));
    line.some("protocol", record.hop.protocol);
    line.some("route", record.route);
    line.some("auth", record.auth());
    line.some("principal", record.principal(options));
    line.raw("status", record.status);
    line.some("error_type", record.failure);
    went(&mut line, record);
    line.raw("total_ms", Millis(record.total));
    line.raw("bytes_in", record.received);
    line.raw("bytes_out", record.sent);
    if record.aborted {
        line.raw("aborted", true);
    }
    line.some("user_agent", record.user_agent.as_ref().map(lossy));
    named(&mut line, record, options);
    line.line()
}

/// Where a request went, and how long that took.
fn went(line: &mut Object, record: &Record) {
    let hop = &record.hop;
    if hop.tries > 0 {
        line.some("backend", hop.backend.as_deref());
        line.some("endpoint", hop.endpoint.as_deref());
        line.raw("tries", hop.tries);
        if let Some(queue) = hop.queue {
            line.raw("queue_ms", Millis(queue));
        }
        line.raw("connect_ms", Millis(hop.connect));
    }
    if let Some(first_byte) = hop.first_byte {
        line.raw("first_byte_ms", Millis(first_byte));
    }
}

/// What is written by name, and the sample.
fn named(line: &mut Object, record: &Record, options: &Options) {
    let mut query = Object::new(0);
    for (name, value) in record.query(options) {
        query.text(name, value);
    }
    if !query.is_empty() {
        line.raw("query", query.close());
    }
    let mut headers = Object::new(0);
    for (name, value) in record.fields() {
        headers.text(name, value);
    }
    if !headers.is_empty() {
        line.raw("headers", headers.close());
    }
    if let Some(sample) = record.sample {
        line.raw("sample", sample);
    }
}

/// With the names of the Elastic Common Schema 8.11; what it has no name for is in `labels`.
fn ecs(record: &Record, options: &Options) -> String {
    let mut line = Form::Ecs.object(record.time, 768);
    line.some("http.request.id", record.id.as_ref());
    if let Some(trace) = &record.trace {
        line.text("trace.id", trace.trace_id());
        line.text("span.id", trace.span_id());
    }
    line.some("client.ip", record.client);
    line.text("http.request.method", &record.method);
    line.some("url.domain", record.host());
    line.some("url.path", record.path(options));
    line.some("http.version", record.hop.protocol);
    line.some("user.name", record.principal(options));
    line.raw("http.response.status_code", record.status);
    line.some("error.type", record.failure);
    let failed = record.has_failed();
    line.text("event.outcome", if failed { "failure" } else { "success" });
    // Nanoseconds.
    line.raw("event.duration", record.total.as_nanos());
    line.raw("http.request.body.bytes", record.received);
    line.raw("http.response.body.bytes", record.sent);
    line.some("user_agent.original", record.user_agent.as_ref().map(lossy));
    let mut labels = Object::new(256);
    labels.some("route", record.route);
    labels.some("auth", record.auth());
    went(&mut labels, record);
    if record.aborted {
        labels.raw("aborted", true);
    }
    named(&mut labels, record, options);
    if !labels.is_empty() {
        line.raw("labels", labels.close());
    }
    line.line()
}

/// With the names that Google Cloud's logging reads; all others are those of Prox.
fn gcp(record: &Record, options: &Options) -> String {
    let mut line = Form::Gcp.object(record.time, 768);
    let failed = record.has_failed();
    line.text("severity", if failed { "ERROR" } else { "INFO" });
    let mut request = Object::new(256);
    request.text("requestMethod", &record.method);
    let host = record.host().unwrap_or_default();
    let path = record.path(options).unwrap_or_default();
    request.text("requestUrl", format_args!("{host}{path}"));
    request.raw("status", record.status);
    request.some("remoteIp", record.client);
    request.some("userAgent", record.user_agent.as_ref().map(lossy));
    // 64-bit numbers are strings there.
    request.text("requestSize", record.received);
    request.text("responseSize", record.sent);
    request.text(
        "latency",
        format_args!("{:.6}s", record.total.as_secs_f64()),
    );
    if let Some(protocol) = record.hop.protocol {
        request.text("protocol", format_args!("HTTP/{protocol}"));
    }
    line.raw("httpRequest", request.close());
    if let Some(trace) = &record.trace {
        let id = trace.trace_id();
        match &options.project {
            Some(project) => line.text(
                "logging.googleapis.com/trace",
                format_args!("projects/{project}/traces/{id}"),
            ),
            None => line.text("logging.googleapis.com/trace", id),
        }
        line.text("logging.googleapis.com/spanId", trace.span_id());
    }
    line.some("id", record.id.as_ref());
    line.some("route", record.route);
    line.some("auth", record.auth());
    line.some("principal", record.principal(options));
    line.some("error_type", record.failure);
    went(&mut line, record);
    if record.aborted {
        line.raw("aborted", true);
    }
    named(&mut line, record, options);
    line.line()
}

fn text(record: &Record, options: &Options) -> String {
    let mut line = String::with_capacity(256);
    let _ = write!(line, "{} ", Rfc3339(record.time));
    match record.client {
        Some(client) => drop(write!(line, "{client}")),
        None => line.push('-'),
    }
    let host = record.host().unwrap_or_default();
    let _ = write!(
        line,
        " {} {} {} {}ms",
        Word(&record.method),
        Word(format_args!(
            "{host}{}",
            record.path(options).unwrap_or_default()
        )),
        record.status,
        Millis(record.total),
    );
    let mut field = |name: &str, value: &dyn fmt::Display| {
        let _ = write!(line, " {name}={}", Word(value));
    };
    field("in", &record.received);
    field("out", &record.sent);
    if let Some(failure) = &record.failure {
        field("error_type", failure);
    }
    if record.aborted {
        field("aborted", &true);
    }
    if let Some(protocol) = record.hop.protocol {
        field("protocol", &protocol);
    }
    if let Some(route) = &record.route {
        field("route", route);
    }
    if let Some(auth) = record.auth() {
        field("auth", &auth);
    }
    if let Some(principal) = record.principal(options) {
        field("principal", &principal);
    }
    let hop = &record.hop;
    if hop.tries > 0 {
        field("backend", &hop.backend.as_deref().unwrap_or_default());
        field("endpoint", &hop.endpoint.as_deref().unwrap_or_default());
        field("tries", &hop.tries);
        if let Some(queue) = hop.queue {
            field("queue", &format_args!("{}ms", Millis(queue)));
        }
        field("connect", &format_args!("{}ms", Millis(hop.connect)));
    }
    if let Some(first_byte) = hop.first_byte {
        field("first_byte", &format_args!("{}ms", Millis(first_byte)));
    }
    if let Some(id) = &record.id {
        field("id", id);
    }
    if let Some(trace) = &record.trace {
        field("trace_id", &trace.trace_id());
        field("span_id", &trace.span_id());
    }
    if let Some(user_agent) = record.user_agent.as_ref().map(lossy) {
        field("user_agent", &user_agent);
    }
    for (name, value) in record.query(options) {
        field(&format!("query.{name}"), &value);
    }
    for (name, value) in record.fields() {
        field(&format!("headers.{name}"), &value);
    }
    if let Some(sample) = record.sample {
        field("sample", &sample);
    }
    line.push('\n');
    line
}

fn lossy(value: &HeaderValue) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    String::from_utf8_lossy(bytes.get(..LONGEST).unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            time: UNIX_EPOCH + Duration::from_millis(1_785_233_096_789),
            client: Some("192.0.2.1".parse().unwrap()),
            uri: "/v1/users/7?token=secret".parse().unwrap(),
            host: Some(HeaderValue::from_static("api.example.com")),
            route: Some("/v1/users/{id}"),
            status: 200,
            hop: Hop {
                backend: Some("users".into()),
                endpoint: Some("http://10.0.0.1:8080".into()),
                tries: 1,
                connect: Duration::ZERO,
                first_byte: Some(Duration::from_micros(3200)),
                ..Hop::default()
            },
            total: Duration::from_micros(12_345),
            received: 0,
            sent: 1234,
            user_agent: Some(HeaderValue::from_static("curl/8.5 \"x\"")),
            ..Record::default()
        }
    }

    #[test]
    fn a_line_of_json_has_every_field_that_is_known() {
        assert_eq!(
            of(Form::Json, &record(), &Options::default()),
            concat!(
                r#"{"time":"2026-07-28T10:04:56.789Z","client":"192.0.2.1","method":"GET","#,
                r#""host":"api.example.com","path":"/v1/users/7","route":"/v1/users/{id}","#,
                r#""status":200,"backend":"users","endpoint":"http://10.0.0.1:8080","tries":1,"#,
                r#""connect_ms":0.000,"first_byte_ms":3.200,"total_ms":12.345,"#,
                r#""bytes_in":0,"bytes_out":1234,"user_agent":"curl/8.5 \"x\""}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_line_of_text_begins_with_what_people_look_for() {
        assert_eq!(
            of(Form::Text, &record(), &Options::default()),
            concat!(
                "2026-07-28T10:04:56.789Z 192.0.2.1 GET api.example.com/v1/users/7 200 12.345ms ",
                "in=0 out=1234 route=/v1/users/{id} backend=users endpoint=http://10.0.0.1:8080 ",
                "tries=1 connect=0.000ms first_byte=3.200ms user_agent=\"curl/8.5 \\\"x\\\"\"\n"
            )
        );
    }

    #[test]
    fn what_a_client_sends_stays_in_its_field() {
        let record = Record {
            user_agent: Some(HeaderValue::from_bytes(b"a\t\\\xff\xc2\x9b31m\"").unwrap()),
            ..record()
        };
        let json = of(Form::Json, &record, &Options::default());
        assert!(json.contains(r#""user_agent":"a\t\\"#), "{json}");
        assert!(json.contains("\u{fffd}\\u009b31m\\\"\"}"), "{json}");
        assert!(!of(Form::Text, &record, &Options::default()).contains('\u{9b}'));
    }

    #[test]
    fn a_password_in_the_host_is_left_out() {
        for record in [
            Record {
                uri: "http://anna:secret@example.com/".parse().unwrap(),
                ..record()
            },
            Record {
                host: Some(HeaderValue::from_static("anna:secret@example.com")),
                ..record()
            },
        ] {
            assert_eq!(record.host().unwrap(), "example.com");
        }
    }

    #[test]
    fn a_long_user_agent_is_cut() {
        let long = HeaderValue::try_from("x".repeat(LONGEST + 1)).unwrap();
        assert_eq!(lossy(&long).len(), LONGEST);
    }
}
