//! Tells browsers to be strict with the responses of a gateway.

use std::{fmt, marker::PhantomData, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{
    About, Middleware,
    steps::{self, Head, Kept, Needs, Passed, Step},
};
use crate::{client::Client, handler::Response};

const YEAR: u64 = 365 * 24 * 60 * 60;

/// The values that `Referrer-Policy` can have (Referrer Policy, 3).
const POLICIES: [&str; 8] = [
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
];

/// Sets fields that make browsers strict, on every response that passes it.
///
/// | field | by default |
/// |---|---|
/// | `X-Content-Type-Options` | `nosniff` |
/// | `Referrer-Policy` | `strict-origin-when-cross-origin`; see [`referrer_policy`](Self::referrer_policy) |
/// | `Content-Security-Policy` | `frame-ancestors 'none'`; see [`frame_ancestors`](Self::frame_ancestors) |
/// | `Strict-Transport-Security` (RFC 6797) | `max-age=31536000`, only where the client speaks `https`; see [`hsts`](Self::hsts) |
///
/// A field that the upstream has set stays as it is, unless [`force`](Self::force) was asked for. A policy of the upstream without
/// `frame-ancestors` stays too, and the layer's is added: a browser enforces both. Responses that switch protocols (`101`) pass
/// as they are.
///
/// The client speaks `https` with this gateway, or with a [trusted proxy](crate::Server::trusted_proxies) before it that says so.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, Middleware, Next, Request, middleware::SecurityHeaders, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let layer = SecurityHeaders::new();
/// let response = layer.handle(Request::new(Body::empty()), Next::new(handler(|_| async { "hi" }))).await;
/// assert_eq!(response.headers()["x-content-type-options"], "nosniff");
/// assert_eq!(response.headers()["content-security-policy"], "frame-ancestors 'none'");
/// // The client of this example does not speak TLS.
/// assert!(!response.headers().contains_key("strict-transport-security"));
/// # });
/// ```
#[derive(Clone)]
pub struct SecurityHeaders<S = OneHost> {
    max_age: u64,
    subdomains: bool,
    preload: bool,
    /// What the three above make.
    hsts: HeaderValue,
    referrer: HeaderValue,
    framing: HeaderValue,
    force: bool,
    problems: Vec<String>,
    kind: PhantomData<fn() -> S>,
}

/// Marks [`SecurityHeaders`] whose `Strict-Transport-Security` is for one host.
#[derive(Clone, Copy, Debug)]
pub struct OneHost(());

/// Marks [`SecurityHeaders`] whose `Strict-Transport-Security` is for all subdomains too.
#[derive(Clone, Copy, Debug)]
pub struct Subdomains(());

impl SecurityHeaders<OneHost> {
    /// The fields of the table.
    pub fn new() -> Self {
        let layer = Self {
            max_age: YEAR,
            subdomains: false,
            preload: false,
            hsts: HeaderValue::from_static(""),
            referrer: HeaderValue::from_static("strict-origin-when-cross-origin"),
            framing: HeaderValue::from_static("frame-ancestors 'none'"),
            force: false,
            problems: Vec::new(),
            kind: PhantomData,
        };
        layer.ready()
    }

    /// Asks for `https` on all subdomains as well (`includeSubDomains`). By default it is asked for on the host alone.
    ///
    /// A subdomain that has no `https` cannot be reached any more.
    pub fn include_subdomains(self) -> SecurityHeaders<Subdomains> {
        let layer = SecurityHeaders {
            max_age: self.max_age,
            subdomains: true,
            preload: false,
            hsts: self.hsts,
            referrer: self.referrer,
            framing: self.framing,
            force: self.force,
            problems: self.problems,
            kind: PhantomData,
        };
        layer.ready()
    }
}

impl Default for SecurityHeaders<OneHost> {
    fn default() -> Self {
        Self::new()
    }
}

impl SecurityHeaders<Subdomains> {
    /// Agrees to the host's place in the list that browsers bring along (`preload`). Leaving that list takes months.
    ///
    /// It needs [`include_subdomains`](SecurityHeaders::include_subdomains) before it. With an age of less than a year the gateway
    /// does not start, because the list does not take such a host.
    ///
    /// ```compile_fail
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// prox::middleware::SecurityHeaders::new().preload();
    /// ```
    pub fn preload(mut self) -> Self {
        self.preload = true;
        self.ready()
    }
}

impl<S> SecurityHeaders<S> {
    /// How long a browser remembers to use `https` alone, in whole seconds; a year by default. 0 makes it forget.
    pub fn hsts(mut self, max_age: Duration) -> Self {
        self.max_age = max_age.as_secs();
        self.ready()
    }

    /// What a browser says in `Referer` when it leaves a page; `strict-origin-when-cross-origin` by default.
    ///
    /// Anything but a policy is an error when the gateway starts.
    pub fn referrer_policy(mut self, policy: impl AsRef<str>) -> Self {
        let policy = policy.as_ref();
        match POLICIES.iter().find(|known| **known == policy) {
            Some(known) => self.referrer = HeaderValue::from_static(known),
            None => self.problems.push(format!(
                "{policy:?} is not a policy for referrers, write one of {}",
                POLICIES.join(", ")
            )),
        }
        self
    }

    /// Which pages may have the responses in a frame, such as `'self'` or `https://partner.example.com`; by default none.
    ///
    /// What cannot be an element of the list is an error when the gateway starts.
    pub fn frame_ancestors<E: AsRef<str>>(mut self, sources: impl IntoIterator<Item = E>) -> Self {
        let mut policy = String::from("frame-ancestors");
        let mut count = 0;
        for source in sources {
            let source = source.as_ref();
            let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b';' | b',');
            if source.is_empty() || !source.bytes().all(fits) {
                let problem =
                    format!("{source:?} cannot be a frame ancestor, write \"'self'\" or an origin");
                self.problems.push(problem);
                continue;
            }
            policy.push(' ');
            policy.push_str(source);
            count += 1;
        }
        if count == 0 {
            policy.push_str(" 'none'");
        }
        if let Ok(policy) = HeaderValue::try_from(policy) {
            self.framing = policy;
        }
        self
    }

    /// Replaces what upstreams have set. A policy of the upstream in `Content-Security-Policy` is not replaced: the layer's is added,
    /// and a browser enforces both.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    fn ready(mut self) -> Self {
        let mut value = format!("max-age={}", self.max_age);
        if self.subdomains {
            value.push_str("; includeSubDomains");
        }
        if self.preload {
            value.push_str("; preload");
        }
        if let Ok(value) = HeaderValue::try_from(value) {
            self.hsts = value;
        }
        self
    }

    fn write(&self, headers: &mut HeaderMap, secure: bool) {
        let nosniff = HeaderValue::from_static("nosniff");
        let fields = [
            (header::X_CONTENT_TYPE_OPTIONS, Some(nosniff)),
            (header::REFERRER_POLICY, Some(self.referrer.clone())),
            (
                header::STRICT_TRANSPORT_SECURITY,
                secure.then(|| self.hsts.clone()),
            ),
        ];
        for (name, value) in fields {
            if self.force {
                headers.remove(&name);
            }
            if let Some(value) = value
                && !headers.contains_key(&name)
            {
                headers.insert(name, value);
            }
        }
        let policies = headers.get_all(header::CONTENT_SECURITY_POLICY);
        if self.force || !policies.iter().any(names_frame_ancestors) {
            headers.append(header::CONTENT_SECURITY_POLICY, self.framing.clone());
        }
    }
}

/// Whether a policy says who may have the page in a frame (CSP 3, 6.4.2).
fn names_frame_ancestors(policy: &HeaderValue) -> bool {
    let directives = policy.as_bytes().split(|byte| matches!(byte, b';' | b','));
    let mut names = directives.filter_map(|directive| {
        let mut words = directive.split(u8::is_ascii_whitespace);
        words.find(|word| !word.is_empty())
    });
    names.any(|name| name.eq_ignore_ascii_case(b"frame-ancestors"))
}

/// Kept of a request over TLS.
const SECURE: usize = 1;

impl<S: 'static> Step for SecurityHeaders<S> {
    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        let scheme = head.client().map(Client::scheme);
        Some(Ok(if scheme == Some("https") {
            Kept::Number(SECURE)
        } else {
            Kept::Number(0)
        }))
    }

    fn after(&self, kept: Kept, response: &mut Response) {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            self.write(response.headers_mut(), matches!(kept, Kept::Number(SECURE)));
        }
    }
}

impl<S: 'static> Middleware for SecurityHeaders<S> {
    steps::as_middleware!();

    fn about(&self, about: &mut About) {
        for problem in &self.problems {
            about.problem(format!("`SecurityHeaders`: {problem}"));
        }
        if self.preload && self.max_age < YEAR {
            about.problem(format!(
                "`SecurityHeaders`: `.preload()` needs an age of at least a year, found {} s",
                self.max_age
            ));
        }
    }
}

impl<S> fmt::Debug for SecurityHeaders<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityHeaders")
            .field("hsts", &self.hsts)
            .field("referrer_policy", &self.referrer)
            .field("framing", &self.framing)
            .field("force", &self.force)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        body::Body,
        handler::{Request, handler},
        middleware::{IntoLayer, Next},
    };

    const NAMES: [&str; 4] = [
        "x-content-type-options",
        "referrer-policy",
        "content-security-policy",
        "strict-transport-security",
    ];

    /// The fields of a response whose upstream has set these.
    async fn fields<S: 'static>(
        layer: SecurityHeaders<S>,
        secure: bool,
        set: &'static [(&'static str, &'static str)],
        status: u16,
    ) -> Vec<String> {
        let target = handler(move |_: Request| async move {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in set {
                response
                    .headers_mut()
                    .append(*name, HeaderValue::from_static(value));
            }
            response
        });
        let mut req = Request::new(Body::empty());
        let client = Client::new(None);
        let client = if secure { client.over_tls() } else { client };
        req.extensions_mut().insert(Arc::new(client));
        let response = layer.handle(req, Next::new(target)).await;
        let all = NAMES.map(|name| response.headers().get_all(name));
        all.iter()
            .flat_map(|values| {
                values
                    .iter()
                    .map(|value| value.to_str().unwrap().to_owned())
            })
            .collect()
    }

    #[tokio::test]
    async fn the_defaults_are_those_of_the_table() {
        let expected = [
            "nosniff",
            "strict-origin-when-cross-origin",
            "frame-ancestors 'none'",
            "max-age=31536000",
        ];
        assert_eq!(
            fields(SecurityHeaders::new(), true, &[], 200).await,
            expected
        );
        assert_eq!(
            fields(SecurityHeaders::new(), false, &[], 502).await,
            expected[..3]
        );
        assert_eq!(
            fields(SecurityHeaders::new(), true, &[], 101).await,
            [""; 0]
        );
    }

    #[tokio::test]
    async fn what_the_upstream_has_set_stays_unless_it_is_forced() {
        const SET: &[(&str, &str)] = &[
            ("x-content-type-options", "own"),
            ("referrer-policy", "origin"),
            (
                "content-security-policy",
                "default-src 'self'; Frame-Ancestors 'self'",
            ),
            ("strict-transport-security", "max-age=1"),
        ];
        let own = SET.iter().map(|(_, value)| (*value).to_owned());
        let own: Vec<_> = own.collect();
        assert_eq!(fields(SecurityHeaders::new(), true, SET, 200).await, own);
        let forced = [
            "nosniff",
            "strict-origin-when-cross-origin",
            "default-src 'self'; Frame-Ancestors 'self'",
            "frame-ancestors 'none'",
            "max-age=31536000",
        ];
        let force = || SecurityHeaders::new().force();
        assert_eq!(fields(force(), true, SET, 200).await, forced);
        // RFC 6797, 7.2: never over http.
        assert_eq!(fields(force(), false, SET, 200).await, forced[..4]);
    }

    #[tokio::test]
    async fn a_policy_about_something_else_gets_company() {
        const SET: &[(&str, &str)] = &[(
            "content-security-policy",
            "default-src 'self'; report-to frame-ancestors",
        )];
        let told = fields(SecurityHeaders::new(), false, SET, 200).await;
        assert_eq!(
            told[2..],
            [
                "default-src 'self'; report-to frame-ancestors",
                "frame-ancestors 'none'"
            ]
        );
    }

    #[tokio::test]
    async fn options_are_heard_in_any_order() {
        let day = Duration::from_hours(24);
        let layer = SecurityHeaders::new()
            .hsts(day)
            .include_subdomains()
            .referrer_policy("no-referrer")
            .frame_ancestors(["'self'", "https://partner.test"]);
        let expected = [
            "nosniff",
            "no-referrer",
            "frame-ancestors 'self' https://partner.test",
            "max-age=86400; includeSubDomains",
        ];
        assert_eq!(fields(layer, true, &[], 200).await, expected);
        let layer = SecurityHeaders::new()
            .include_subdomains()
            .preload()
            .hsts(2 * 365 * day);
        let told = fields(layer, true, &[], 200).await;
        assert_eq!(told[3], "max-age=63072000; includeSubDomains; preload");
    }

    #[test]
    fn wrong_options_are_problems_that_name_the_value() {
        let layer = SecurityHeaders::new()
            .hsts(Duration::from_secs(5))
            .include_subdomains()
            .preload()
            .referrer_policy("never")
            .frame_ancestors(["'self'; script-src *", "a, b", ""]);
        let about = layer.into_layer().about();
        let problems = about.problems();
        assert_eq!(problems.len(), 5, "{problems:#?}");
        assert!(problems[0].starts_with(
            "`SecurityHeaders`: \"never\" is not a policy for referrers, write one of no-referrer,"
        ));
        assert!(problems[1].contains("\"'self'; script-src *\" cannot be a frame ancestor"));
        assert!(problems[4].ends_with("needs an age of at least a year, found 5 s"));
    }
}
