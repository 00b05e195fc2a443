//! What a line of the access log looks like.

use std::{
    borrow::Cow,
    fmt::{self, Write},
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderValue, Method, Uri};

use super::RequestIdValue;
use crate::{civil::Rfc3339, error::Failure, identity::Principal, observe::Refused, watch::Tally};

/// The most bytes of a `Host` and of a `User-Agent` that are written.
const LONGEST: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Text,
}

/// One request, all of it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) time: SystemTime,
    pub(super) id: Option<RequestIdValue>,
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
    /// Whether the caller is named.
    pub(super) principals: bool,
}

/// Where a request went.
#[derive(Debug, Default)]
pub(super) struct Hop {
    pub(super) backend: Option<Arc<str>>,
    pub(super) endpoint: Option<Arc<str>>,
    pub(super) tries: u32,
    pub(super) connect: Duration,
    pub(super) first_byte: Option<Duration>,
    pub(super) caller: Option<Principal>,
}

impl Hop {
    pub(super) fn of(tally: &Tally) -> Self {
        Self {
            backend: tally.backend(),
            endpoint: tally.endpoint(),
            tries: tally.tries(),
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
            principals: false,
        }
    }
}

impl Record {
    /// How the caller has proved who it is.
    fn auth(&self) -> Option<&'static str> {
        self.hop.caller.as_ref().map(Principal::scheme)
    }

    /// Who the caller is, if it may be written.
    fn principal(&self) -> Option<&str> {
        let caller = self.hop.caller.as_ref().filter(|_| self.principals);
        let subject = caller?.subject();
        let end = subject.floor_char_boundary(LONGEST);
        subject.get(..end)
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
}

impl Format {
    /// The line of a request, with its end.
    pub(super) fn line(self, record: &Record) -> String {
        match self {
            Self::Json => json(record),
            Self::Text => text(record),
        }
    }

    /// The line of what was refused before it was a request.
    pub(super) fn refused(self, time: SystemTime, refused: &Refused) -> String {
        let failure = refused.reason().failure();
        let status = refused.answer().map(|status| status.as_u16());
        match self {
            Self::Json => {
                let mut line = Object(String::with_capacity(256));
                line.text("time", Rfc3339(time));
                line.some("client", refused.client_ip());
                line.some("method", refused.method());
                line.some("path", refused.path());
                if let Some(status) = status {
                    line.raw("status", status);
                }
                line.some("error_type", failure);
                line.text("refused", refused.reason());
                line.some(
                    "detail",
                    Some(refused.details()).filter(|text| !text.is_empty()),
                );
                line.0.push_str("}\n");
                line.0
            }
            Self::Text => {
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
                match status {
                    Some(status) => drop(write!(line, "{status}")),
                    None => line.push('-'),
                }
                let _ = write!(line, " refused={}", refused.reason());
                if !refused.details().is_empty() {
                    let _ = write!(line, " detail={}", Word(refused.details()));
                }
                line.push('\n');
                line
            }
        }
    }

    /// The line that says how many lines there are not.
    pub(super) fn lost(self, time: SystemTime, lines: u64) -> String {
        let time = Rfc3339(time);
        match self {
            Self::Json => format!("{{\"time\":\"{time}\",\"lost_lines\":{lines}}}\n"),
            Self::Text => format!("{time} lost_lines={lines}\n"),
        }
    }
}

fn json(record: &Record) -> String {
    let mut line = Object(String::with_capacity(512));
    line.text("time", Rfc3339(record.time));
    line.some("id", record.id.as_ref());
    line.some("client", record.client);
    line.text("method", &record.method);
    line.some("host", record.host());
    line.text("path", record.uri.path());
    line.some("route", record.route);
    line.some("auth", record.auth());
    line.some("principal", record.principal());
    line.raw("status", record.status);
    line.some("error_type", record.failure);
    let hop = &record.hop;
    if hop.tries > 0 {
        line.some("backend", hop.backend.as_deref());
        line.some("endpoint", hop.endpoint.as_deref());
        line.raw("tries", hop.tries);
        line.raw("connect_ms", Millis(hop.connect));
    }
    if let Some(first_byte) = hop.first_byte {
        line.raw("first_byte_ms", Millis(first_byte));
    }
    line.raw("total_ms", Millis(record.total));
    line.raw("bytes_in", record.received);
    line.raw("bytes_out", record.sent);
    if record.aborted {
        line.raw("aborted", true);
    }
    line.some("user_agent", record.user_agent.as_ref().map(lossy));
    line.0.push_str("}\n");
    line.0
}

/// A JSON object (RFC 8259) in the making. Writing to a `String` cannot fail, so its results are not looked at.
struct Object(String);

impl Object {
    fn name(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        let _ = write!(self.0, "\"{name}\":");
    }

    fn raw(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        let _ = write!(self.0, "{value}");
    }

    fn text(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        self.0.push('"');
        let _ = write!(Escaped(&mut self.0), "{value}");
        self.0.push('"');
    }

    fn some(&mut self, name: &str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }
}

/// Escapes what goes through it, as JSON does it; a terminal is as safe from it as a parser.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_special) {
            let (plain, from) = rest.split_at(at);
            self.0.push_str(plain);
            let mut chars = from.chars();
            match chars.next() {
                Some('"') => self.0.push_str("\\\""),
                Some('\\') => self.0.push_str("\\\\"),
                Some('\n') => self.0.push_str("\\n"),
                Some('\r') => self.0.push_str("\\r"),
                Some('\t') => self.0.push_str("\\t"),
                Some(other) => write!(self.0, "\\u{:04x}", u32::from(other))?,
                None => {}
            }
            rest = chars.as_str();
        }
        self.0.push_str(rest);
        Ok(())
    }
}

/// None of them takes more than four hexadecimal digits.
fn is_special(char: char) -> bool {
    matches!(char, '"' | '\\' | '\u{2028}' | '\u{2029}') || char.is_control()
}

fn text(record: &Record) -> String {
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
        Word(format_args!("{host}{}", record.uri.path())),
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
    if let Some(route) = &record.route {
        field("route", route);
    }
    if let Some(auth) = record.auth() {
        field("auth", &auth);
    }
    if let Some(principal) = record.principal() {
        field("principal", &principal);
    }
    let hop = &record.hop;
    if hop.tries > 0 {
        field("backend", &hop.backend.as_deref().unwrap_or_default());
        field("endpoint", &hop.endpoint.as_deref().unwrap_or_default());
        field("tries", &hop.tries);
        field("connect", &format_args!("{}ms", Millis(hop.connect)));
    }
    if let Some(first_byte) = hop.first_byte {
        field("first_byte", &format_args!("{}ms", Millis(first_byte)));
    }
    if let Some(id) = &record.id {
        field("id", id);
    }
    if let Some(user_agent) = record.user_agent.as_ref().map(lossy) {
        field("user_agent", &user_agent);
    }
    line.push('\n');
    line
}

/// A value of a line of text: escaped, and in quotes if it would else look like several or like none.
struct Word<T>(T);

impl<T: fmt::Display> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut word = String::new();
        write!(Escaped(&mut word), "{}", self.0)?;
        if word.is_empty() || word.contains(|char: char| char == '"' || char.is_whitespace()) {
            write!(f, "\"{word}\"")
        } else {
            f.write_str(&word)
        }
    }
}

fn lossy(value: &HeaderValue) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    String::from_utf8_lossy(bytes.get(..LONGEST).unwrap_or(bytes))
}

/// Milliseconds with three digits after the point.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
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
                caller: None,
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
            Format::Json.line(&record()),
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
            Format::Text.line(&record()),
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
        let json = Format::Json.line(&record);
        assert!(json.contains(r#""user_agent":"a\t\\"#), "{json}");
        assert!(json.contains("\u{fffd}\\u009b31m\\\"\"}"), "{json}");
        assert!(!Format::Text.line(&record).contains('\u{9b}'));
    }

    #[test]
    fn every_control_character_is_escaped() {
        let mut line = Object(String::new());
        line.text("x", "\0\u{1f}\u{7f}\n\r\u{2028}é😀");
        assert_eq!(line.0, "{\"x\":\"\\u0000\\u001f\\u007f\\n\\r\\u2028é😀\"");
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

    #[test]
    fn dates_are_right_around_leap_days_and_centuries() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(Rfc3339(time).to_string(), date);
        }
    }
}
