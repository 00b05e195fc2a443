//! Conditions on a route beyond host, path and method: what stands after `if`.

use std::{borrow::Cow, fmt, net::IpAddr, sync::Arc};

use http::header::{self, HeaderName, HeaderValue};

use super::RequestExt;
use crate::{client::Client, coding::of_form, handler::Parts, network::Network};

/// Decides whether a route takes a request that its host, path and method already accept.
///
/// Most guards are made by [`header()`], [`query`], [`cookie`] and [`client_ip`]; any `Fn(&prox::Parts) -> bool` is one too.
/// A guard is asked on every request that reaches it, so it must be quick and must not block.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Guard, Parts, dsl::header};
///
/// fn is_guard(_: impl Guard) {}
/// is_guard(header("x-beta").is("1"));
/// is_guard(|req: &Parts| req.version == http::Version::HTTP_11);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a guard",
    label = "this is not accepted after `if`",
    note = "a guard is `header(\"name\").is(\"value\")`, `query(..)`, `cookie(..)`, `client_ip().within(\"10.0.0.0/8\")`, or a `Fn(&prox::Parts) -> bool`"
)]
pub trait Guard: Send + Sync + 'static {
    /// Whether the route takes the request.
    fn accepts(&self, req: &Parts) -> bool;

    /// What is wrong with the guard as it is configured; asked once, when the gateway starts.
    ///
    /// # Errors
    ///
    /// One sentence that says what to write instead. By default there is none.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl<F: Fn(&Parts) -> bool + Send + Sync + 'static> Guard for F {
    fn accepts(&self, req: &Parts) -> bool {
        self(req)
    }
}

/// A guard made by one of the words of the language.
pub struct GuardFn {
    accepts: Box<dyn Fn(&Parts) -> bool + Send + Sync>,
    problem: Option<String>,
}

impl GuardFn {
    fn new(accepts: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        Self {
            accepts: Box::new(accepts),
            problem: None,
        }
    }

    fn broken(problem: String) -> Self {
        Self {
            accepts: Box::new(|_| false),
            problem: Some(problem),
        }
    }

    /// Accepts what both this guard and `other` accept.
    ///
    /// It goes before either of them alone, so it also decides between two routes whose guards can accept the same request.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::dsl::{cookie, header};
    ///
    /// let both = header("x-beta").exists().and(cookie("group").is("b"));
    /// # let _ = both;
    /// ```
    pub fn and(self, other: impl Guard) -> Self {
        Self {
            problem: self.problem_with(&other),
            accepts: Box::new(move |req| self.accepts(req) && other.accepts(req)),
        }
    }

    /// Accepts what this guard or `other` accepts, or both.
    ///
    /// It is as specific as the less specific of the two, and goes after either of them alone.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::dsl::{cookie, header};
    ///
    /// let either = header("x-beta").exists().or(cookie("group").is("b"));
    /// # let _ = either;
    /// ```
    pub fn or(self, other: impl Guard) -> Self {
        Self {
            problem: self.problem_with(&other),
            accepts: Box::new(move |req| self.accepts(req) || other.accepts(req)),
        }
    }

    /// Accepts what this guard does not accept. `header("x").is("1").not()` also accepts a request without the header.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::dsl::client_ip;
    ///
    /// let outside = client_ip().within("10.0.0.0/8").not();
    /// # let _ = outside;
    /// ```
    // `!guard` would read as a negation of the first call of its chain, which it is not.
    #[allow(clippy::should_implement_trait)]
    pub fn not(self) -> Self {
        Self {
            problem: self.problem.clone(),
            accepts: Box::new(move |req| !self.accepts(req)),
        }
    }

    fn problem_with(&self, other: &impl Guard) -> Option<String> {
        let problems: Vec<String> = [self.check(), other.check()]
            .into_iter()
            .filter_map(Result::err)
            .collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

impl Guard for GuardFn {
    fn accepts(&self, req: &Parts) -> bool {
        (self.accepts)(req)
    }

    fn check(&self) -> Result<(), String> {
        self.problem.clone().map_or(Ok(()), Err)
    }
}

impl fmt::Debug for GuardFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardFn")
    }
}

type First = dyn for<'r> Fn(&'r Parts) -> Option<&'r [u8]> + Send + Sync;

type Canonical = dyn for<'r> Fn(&'r Parts) -> Option<Cow<'r, [u8]>> + Send + Sync;

/// A part of a request that has a text: what [`header()`], [`query`] and [`cookie`] name.
///
/// A request can repeat it; what counts is the first. So of `.is("1")` and `.is("2")` never more than one accepts a request,
/// and a guard sees what `HeaderMap::get` gives to a handler. Names that no request can have are an error when the gateway
/// starts; in a literal they do not compile.
#[derive(Clone)]
pub struct RequestKey<K = ()> {
    first: Arc<First>,
    /// The same in one spelling, where a client can write it in several ways.
    canonical: Option<Arc<Canonical>>,
    problem: Option<String>,
    /// What is known of it that the others have not.
    kind: K,
}

/// What a [`RequestKey`] is that a gateway can also set: the cookie of this name.
#[derive(Clone, Debug)]
pub struct Cookie {
    name: String,
}

impl<K> RequestKey<K> {
    fn new(
        problem: Option<String>,
        kind: K,
        first: impl for<'r> Fn(&'r Parts) -> Option<&'r [u8]> + Send + Sync + 'static,
    ) -> Self {
        Self {
            first: Arc::new(first),
            canonical: None,
            problem,
            kind,
        }
    }

    fn spelled(
        mut self,
        canonical: impl for<'r> Fn(&'r Parts) -> Option<Cow<'r, [u8]>> + Send + Sync + 'static,
    ) -> Self {
        self.canonical = Some(Arc::new(canonical));
        self
    }

    /// What the request has there; of several, the first.
    pub(crate) fn bytes<'r>(&self, req: &'r Parts) -> Option<&'r [u8]> {
        (self.first)(req)
    }

    /// What an upstream reads there, whatever the spelling: without percent-encoding, quotes and spaces around it. A client does not
    /// get another bucket of a limit by another spelling.
    pub(crate) fn meaning<'r>(&self, req: &'r Parts) -> Option<Cow<'r, [u8]>> {
        match &self.canonical {
            Some(canonical) => canonical(req),
            None => self
                .bytes(req)
                .map(|bytes| Cow::Borrowed(bytes.trim_ascii())),
        }
    }

    /// What is wrong with the key as it is configured.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn guard(self, test: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> GuardFn {
        let Self { first, problem, .. } = self;
        GuardFn {
            accepts: Box::new(move |req| first(req).is_some_and(&test)),
            problem,
        }
    }

    /// Accepts requests in which it is present, and is exactly `value`.
    pub fn is(self, value: impl Into<String>) -> GuardFn {
        let value = value.into();
        self.guard(move |first| first == value.as_bytes())
    }

    /// Accepts requests in which it is present, whatever it is.
    pub fn exists(self) -> GuardFn {
        self.guard(|_| true)
    }

    /// Accepts requests in which it is not present.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::dsl::header;
    ///
    /// let anonymous = header("authorization").absent();
    /// # let _ = anonymous;
    /// ```
    pub fn absent(self) -> GuardFn {
        let Self { first, problem, .. } = self;
        GuardFn {
            accepts: Box::new(move |req| first(req).is_none()),
            problem,
        }
    }

    /// Accepts requests in which it is present, and is exactly one of `values`.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::dsl::header;
    ///
    /// let warm = header("x-color").one_of(["red", "orange"]);
    /// # let _ = warm;
    /// ```
    pub fn one_of<V: Into<String>>(self, values: impl IntoIterator<Item = V>) -> GuardFn {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        self.guard(move |first| values.iter().any(|value| first == value.as_bytes()))
    }

    /// Accepts requests in which it is present, and starts with `prefix`.
    pub fn starts_with(self, prefix: impl Into<String>) -> GuardFn {
        let prefix = prefix.into();
        self.guard(move |first| first.starts_with(prefix.as_bytes()))
    }
}

impl RequestKey<Cookie> {
    /// The name of the cookie.
    pub(crate) fn name(&self) -> &str {
        &self.kind.name
    }
}

impl<K> fmt::Debug for RequestKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestKey")
    }
}

/// The header `name`, compared without regard to case; its value is compared exactly. Of several such fields the first counts.
///
/// A guard sees a request without the fields that belong to the client's connection, such as `Connection` and `Keep-Alive`, and
/// without what a client must not claim. `header("upgrade")` is what [`RequestExt::upgrade`](crate::RequestExt::upgrade) says.
pub fn header(name: impl AsRef<str>) -> RequestKey {
    let name = name.as_ref();
    if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
        if name == header::UPGRADE {
            return RequestKey::new(None, (), |req| req.upgrade().map(HeaderValue::as_bytes));
        }
        RequestKey::new(None, (), move |req| {
            req.headers.get(&name).map(HeaderValue::as_bytes)
        })
    } else {
        let problem = format!("`{name}` is not a header name");
        RequestKey::new(Some(problem), (), |_| None)
    }
}

/// The parameter `name` of the query, as `a=1&name=value`; percent-encoding and `+` are left as they were sent. Of several
/// such parameters the first counts.
pub fn query(name: impl Into<String>) -> RequestKey {
    let name = name.into();
    let problem = (name.is_empty() || name.contains(['&', '=', '#', ' ']))
        .then(|| format!("`{name}` is not a query parameter name"));
    let decoded = of_form(name.as_bytes()).into_owned();
    let key = RequestKey::new(problem, (), move |req| {
        value(req.uri.query()?.as_bytes(), b'&', name.as_bytes())
    });
    key.spelled(move |req| {
        let mut pairs = req.uri.query()?.split('&').map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (of_form(name.as_bytes()), value)
        });
        let (_, value) = pairs.find(|(name, _)| **name == *decoded)?;
        Some(of_form(value.as_bytes()))
    })
}

/// The cookie `name`. Of several of that name the first counts.
pub fn cookie(name: impl Into<String>) -> RequestKey<Cookie> {
    let name = name.into();
    let problem = (name.is_empty() || name.contains([';', '=', ' ']))
        .then(|| format!("`{name}` is not a cookie name"));
    let kind = Cookie { name: name.clone() };
    let key = RequestKey::new(problem, kind, move |req| {
        let mut fields = req.headers.get_all(header::COOKIE).iter();
        fields.find_map(|field| value(field.as_bytes(), b';', name.as_bytes()))
    });
    let first = Arc::clone(&key.first);
    key.spelled(move |req| {
        let value = first(req)?;
        let quoted = value
            .strip_prefix(b"\"")
            .and_then(|value| value.strip_suffix(b"\""));
        Some(Cow::Borrowed(quoted.unwrap_or(value)))
    })
}

/// The text behind the first `name=`, or nothing behind a `name` alone.
fn value<'r>(text: &'r [u8], separator: u8, name: &[u8]) -> Option<&'r [u8]> {
    text.split(|byte| *byte == separator).find_map(|pair| {
        let pair = pair.trim_ascii();
        let end = pair.iter().position(|byte| *byte == b'=');
        let (key, rest) = pair.split_at(end.unwrap_or(pair.len()));
        (key == name).then(|| rest.strip_prefix(b"=").unwrap_or(rest))
    })
}

/// The address of the client; made by [`client_ip`].
#[derive(Clone, Copy, Debug)]
pub struct ClientIp(());

/// The address that the request came from.
pub fn client_ip() -> ClientIp {
    ClientIp(())
}

impl ClientIp {
    /// The address of the client; none when it came over a Unix socket.
    pub(crate) fn of(req: &Parts) -> Option<IpAddr> {
        req.extensions.get::<Arc<Client>>()?.ip()
    }

    /// Accepts requests from a network in CIDR notation, such as `"10.0.0.0/8"`, or from one address.
    ///
    /// IPv4 clients of an IPv6 socket count as what they are. Anything that is no network, or that has bits set behind its
    /// prefix, is an error when the gateway starts; in a literal it does not compile.
    pub fn within(self, network: &str) -> GuardFn {
        let Some(network) = Network::parse(network) else {
            return GuardFn::broken(format!(
                "`{network}` is not a network: write an address, or one with a prefix length such as \"10.0.0.0/8\""
            ));
        };
        GuardFn::new(move |req| Self::of(req).is_some_and(|ip| network.contains(ip)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, headers: &[(&'static str, &'static str)]) -> Parts {
        let mut builder = http::Request::builder().uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_header_is_found_whatever_its_case() {
        let req = request("/", &[("x-beta", "1")]);
        assert!(header("X-Beta").is("1").accepts(&req));
        assert!(!header("X-Beta").is("2").accepts(&req));
        assert!(!header("x-other").exists().accepts(&req));
    }

    #[test]
    fn a_query_parameter_and_a_cookie_are_found_by_name() {
        let req = request("/?a=1&beta=on", &[("cookie", "x=y; beta=on")]);
        assert!(query("beta").is("on").accepts(&req));
        assert!(cookie("beta").is("on").accepts(&req));
        assert!(!query("bet").exists().accepts(&req));
    }

    #[test]
    fn of_what_is_repeated_the_first_counts() {
        let req = request(
            "/?v=1&v=2",
            &[
                ("x", "1"),
                ("x", "2"),
                ("cookie", "c=1"),
                ("cookie", "d; c=2"),
            ],
        );
        for key in [header("x"), query("v")] {
            assert_eq!(key.bytes(&req), Some(&b"1"[..]));
            assert!(key.clone().is("1").accepts(&req));
            assert!(!key.is("2").accepts(&req));
        }
        assert!(cookie("c").is("1").accepts(&req));
        assert!(!cookie("c").is("2").accepts(&req));
        assert!(cookie("d").is("").accepts(&req));
    }

    #[test]
    fn both_guards_are_asked_and_checked() {
        let req = request("/?v=1", &[("x", "1")]);
        let beta = || header("x").is("1");
        assert!(beta().and(query("v").exists()).accepts(&req));
        assert!(!beta().and(query("w").exists()).accepts(&req));
        assert!(!beta().and(|_: &Parts| false).accepts(&req));
        let problem = header("x y").exists().and(cookie("").exists()).check();
        assert_eq!(
            problem.unwrap_err(),
            "`x y` is not a header name; `` is not a cookie name"
        );
    }

    #[test]
    fn alternatives_and_negations_are_asked_and_checked() {
        let req = request("/?v=1", &[("x", "1")]);
        let beta = || header("x").is("1");
        assert!(beta().or(query("w").exists()).accepts(&req));
        assert!(query("w").exists().or(beta()).accepts(&req));
        assert!(!query("w").exists().or(|_: &Parts| false).accepts(&req));
        assert!(!beta().not().accepts(&req));
        assert!(beta().not().not().accepts(&req));
        assert!(header("y").is("1").not().accepts(&req));
        let problem = header("x y").exists().not().or(cookie("").exists()).check();
        assert_eq!(
            problem.unwrap_err(),
            "`x y` is not a header name; `` is not a cookie name"
        );
        let broken = client_ip().within("10.0.0.0/33").not();
        assert!(broken.check().is_err());
    }

    #[test]
    fn a_cookie_beside_one_that_is_no_text_is_found() {
        let mut req = request("/", &[]);
        let line = HeaderValue::from_bytes(b"a=\xff; beta=on").unwrap();
        req.headers.append("cookie", line);
        assert!(cookie("beta").is("on").accepts(&req));
    }

    #[test]
    fn what_is_no_network_is_reported() {
        assert!(client_ip().within("10.0.0.0/33").check().is_err());
        assert!(client_ip().within("10.0.0.0/8").check().is_ok());
    }
}
