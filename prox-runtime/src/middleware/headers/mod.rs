//! Sets, adds, removes and renames fields of requests and responses.

mod template;

use std::marker::PhantomData;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use self::template::Template;
use super::{
    About, Middleware, Role,
    steps::{self, Head, Kept, Passed, Step},
};
use crate::handler::{Parts, Response};

/// Fields that frame a message, or belong to one connection: the gateway's alone.
const RESERVED: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Changes fields of requests ([`Headers::request`]) or of responses ([`Headers::response`]), one rule after the other.
///
/// A value may have parts of the request in braces: `{tenant}` for a parameter of the path, as it was sent; `{host}`, `{client_ip}`,
/// `{request_id}` of [`RequestId`](super::RequestId), and `{claim:tenant}` of the caller. A brace is written twice. Where a part is
/// not there the field is not written, and with [`set`](Headers::set) it is removed.
///
/// Fields that frame a message or belong to a connection (`Content-Length`, `Connection`, `Host`, `Upgrade`, ..) are an error when the
/// gateway starts, as are malformed names and values, and parameters that a route has not. A field of requests with a claim in it is
/// guarded: no client can send it, on no route.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, Middleware, Next, Request, dsl::handler, middleware::Headers};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let layer = Headers::request().set("x-edge", "eu").remove("x-debug").default("accept", "*/*");
/// let echo = handler(async |req: Request| format!("{:?}", req.headers()));
/// let response = layer.handle(Request::new(Body::empty()), Next::new(echo)).await;
/// let text = response.into_body().bytes(1024).await.unwrap();
/// assert_eq!(text, r#"{"x-edge": "eu", "accept": "*/*"}"#);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Headers<M = OfRequest> {
    rules: Vec<Rule>,
    problems: Vec<String>,
    message: PhantomData<M>,
}

/// Marks [`Headers::request`].
#[derive(Clone, Copy, Debug)]
pub struct OfRequest(());

/// Marks [`Headers::response`].
#[derive(Clone, Copy, Debug)]
pub struct OfResponse(());

#[derive(Clone, Debug)]
enum Rule {
    Set(HeaderName, Template),
    Add(HeaderName, Template),
    Default(HeaderName, Template),
    Remove(HeaderName),
    Rename(HeaderName, HeaderName),
}

impl Headers<OfRequest> {
    /// Changes fields of requests, for what is behind the layer.
    pub fn request() -> Self {
        Self::new()
    }
}

impl Headers<OfResponse> {
    /// Changes fields of responses, for the client.
    pub fn response() -> Self {
        Self::new()
    }
}

impl<M> Headers<M> {
    fn new() -> Self {
        Self {
            rules: Vec::new(),
            problems: Vec::new(),
            message: PhantomData,
        }
    }

    /// Writes a field instead of all of this name.
    pub fn set(self, name: &str, value: &str) -> Self {
        self.valued(name, value, Rule::Set)
    }

    /// Writes a field beside those of this name.
    pub fn add(self, name: &str, value: &str) -> Self {
        self.valued(name, value, Rule::Add)
    }

    /// Writes a field if there is none of this name.
    pub fn default(self, name: &str, value: &str) -> Self {
        self.valued(name, value, Rule::Default)
    }

    /// Removes all fields of this name.
    pub fn remove(mut self, name: &str) -> Self {
        if let Some(name) = self.name(name) {
            self.rules.push(Rule::Remove(name));
        }
        self
    }

    /// Gives all fields of a name another one. Where there are some, they replace those of the new name.
    pub fn rename(mut self, from: &str, to: &str) -> Self {
        if let (Some(from), Some(to)) = (self.name(from), self.name(to)) {
            self.rules.push(Rule::Rename(from, to));
        }
        self
    }

    fn valued(mut self, name: &str, value: &str, rule: fn(HeaderName, Template) -> Rule) -> Self {
        let template = Template::read(value);
        match (self.name(name), template) {
            (Some(name), Ok(template)) => self.rules.push(rule(name, template)),
            (_, Err(problem)) => self.problems.push(problem),
            (None, Ok(_)) => {}
        }
        self
    }

    fn name(&mut self, name: &str) -> Option<HeaderName> {
        let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
            self.problems
                .push(format!("{name:?} is not the name of a field"));
            return None;
        };
        if RESERVED.contains(&parsed.as_str()) {
            self.problems.push(format!(
                "`{parsed}` frames the message or belongs to the connection, and is the gateway's alone: remove it"
            ));
            return None;
        }
        Some(parsed)
    }

    fn about_rules(&self, of: &'static str, for_upstreams: bool, about: &mut About) {
        for problem in &self.problems {
            about.problem(format!("`Headers::{of}`: {problem}"));
        }
        if self.rules.is_empty() && self.problems.is_empty() {
            about.problem(format!(
                "`Headers::{of}` has no rule: add `.set(..)`, or remove it"
            ));
        }
        for rule in &self.rules {
            let (Rule::Set(name, template)
            | Rule::Add(name, template)
            | Rule::Default(name, template)) = rule
            else {
                continue;
            };
            if template.identifies() {
                about.role(Role::NeedsIdentity);
            }
            match (for_upstreams, template.identifies()) {
                (true, true) => _ = about.sets(name.clone()),
                (true, false) => about.writes(name.clone()),
                (false, _) => {}
            }
            let template = template.clone();
            about.check(move |route| match template.missing(route) {
                Some(param) => Err(format!("`Headers::{of}`: the path has no `{{{param}}}`")),
                None => Ok(()),
            });
        }
    }
}

impl Rule {
    /// The value that it writes for a request, if it writes one.
    fn value(&self, req: &Parts) -> Option<HeaderValue> {
        match self {
            Self::Set(_, template) | Self::Add(_, template) | Self::Default(_, template) => {
                template.value(req)
            }
            Self::Remove(_) | Self::Rename(..) => None,
        }
    }

    fn apply(&self, headers: &mut HeaderMap, value: Option<HeaderValue>) {
        match (self, value) {
            (Self::Set(name, _), Some(value)) => {
                headers.insert(name.clone(), value);
            }
            (Self::Set(name, _), None) | (Self::Remove(name), _) => {
                headers.remove(name);
            }
            (Self::Add(name, _), Some(value)) => {
                headers.append(name.clone(), value);
            }
            (Self::Default(name, _), Some(value)) => {
                headers.entry(name.clone()).or_insert(value);
            }
            (Self::Add(..) | Self::Default(..), None) => {}
            (Self::Rename(from, to), _) => rename(headers, from, to),
        }
    }
}

fn rename(headers: &mut HeaderMap, from: &HeaderName, to: &HeaderName) {
    if from == to {
        return;
    }
    if let header::Entry::Occupied(fields) = headers.entry(from.clone()) {
        let (_, values) = fields.remove_entry_mult();
        let values: Vec<_> = values.collect();
        headers.remove(to);
        for value in values {
            headers.append(to.clone(), value);
        }
    }
}

impl Step for Headers<OfRequest> {
    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        let parts = head.parts();
        // No template reads a field that a rule may change.
        for rule in &self.rules {
            let value = rule.value(parts);
            rule.apply(&mut parts.headers, value);
        }
        Some(Ok(Kept::Nothing))
    }
}

impl Middleware for Headers<OfRequest> {
    steps::as_middleware!();

    fn about(&self, about: &mut About) {
        self.about_rules("request", true, about);
    }
}

/// The values of all rules.
type Values = Vec<Option<HeaderValue>>;

impl Step for Headers<OfResponse> {
    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        // What is told of the request is what the layer saw of it.
        let parts = head.parts();
        let values: Values = self.rules.iter().map(|rule| rule.value(parts)).collect();
        Some(Ok(Kept::Other(Box::new(values))))
    }

    fn after(&self, kept: Kept, response: &mut Response) {
        let values = kept.other::<Values>().unwrap_or_default();
        for (rule, value) in self.rules.iter().zip(values) {
            rule.apply(response.headers_mut(), value);
        }
    }
}

impl Middleware for Headers<OfResponse> {
    steps::as_middleware!();

    fn about(&self, about: &mut About) {
        self.about_rules("response", false, about);
    }
}

#[cfg(test)]
mod tests;
