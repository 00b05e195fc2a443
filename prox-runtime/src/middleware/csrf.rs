//! Refuses requests that pages of other origins make a browser send.

use http::{HeaderName, Method, header};

use super::{
    About, Middleware,
    origins::Origins,
    steps::{self, Head, Kept, Needs, Passed, Step},
};
use crate::{client::Client, error::Failure, respond};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses cross-origin requests of browsers with `403` ([`Failure::CrossOrigin`]), so that another page cannot act with the cookies
/// of its reader. It needs no token and no cookie.
///
/// The rule is that of `http.CrossOriginProtection` in Go 1.25, with the scheme compared as well. The first line that fits decides:
///
/// | request | |
/// |---|---|
/// | `GET`, `HEAD`, `OPTIONS` | passes: these must not change anything |
/// | `Sec-Fetch-Site: same-origin` or `none` | passes |
/// | `Origin` is [trusted](Self::trust) | passes |
/// | another `Sec-Fetch-Site` | is refused |
/// | `Origin` is the client's scheme, host and port | passes |
/// | another `Origin` | is refused |
/// | neither field | passes: it is not of a browser |
///
/// All browsers of the last years send `Sec-Fetch-Site` to `https` and to `localhost`, and `Origin` with every such request. A page
/// cannot set either of them. `same-site` is refused, because another subdomain can belong to somebody else. Several fields of one
/// of these names are refused.
///
/// The scheme and the host are those that the client sees. Behind a proxy that ends TLS they are known only if it is a
/// [trusted proxy](crate::Server::trusted_proxies).
///
/// A WebSocket begins with a `GET` and passes. Its handler has to compare `Origin`.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use http::HeaderValue;
/// use prox::{Body, Middleware, Next, Request, middleware::Csrf, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mut req = Request::new(Body::empty());
/// *req.method_mut() = http::Method::POST;
/// req.headers_mut().insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
/// let response = Csrf::new().handle(req, Next::new(handler(|_| async { "done" }))).await;
/// assert_eq!(response.status(), 403);
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Csrf {
    trusted: Origins,
    problems: Vec<String>,
}

impl Csrf {
    /// Trusts the origin of the gateway alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these origins as well, written as for [`Cors::origins`](super::Cors::origins): `https://*.example.com` is all
    /// subdomains.
    ///
    /// What is not an origin is an error when the gateway starts. `null` cannot be trusted.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::middleware::Csrf;
    ///
    /// let csrf = Csrf::new().trust(["https://admin.example.com"]);
    /// # let _ = csrf;
    /// ```
    pub fn trust<E: AsRef<str>>(mut self, origins: impl IntoIterator<Item = E>) -> Self {
        self.trusted.add(origins, &mut self.problems);
        self
    }

    fn passes(&self, head: &Head<'_>) -> bool {
        if matches!(*head.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            return true;
        }
        let site = Field::of(head, SEC_FETCH_SITE);
        if let Field::One("same-origin" | "none") = site {
            return true;
        }
        match (Field::of(head, header::ORIGIN), site) {
            (Field::One(origin), _) if self.trusted.has(origin) => true,
            (Field::One(origin), Field::None) => is_own(origin, head),
            (Field::None, Field::None) => true,
            _ => false,
        }
    }
}

/// What a request has of a field of which there must be one.
enum Field<'r> {
    None,
    One(&'r str),
    /// More than one, or bytes that are not text.
    Unclear,
}

impl<'r> Field<'r> {
    fn of(head: &'r Head<'_>, name: HeaderName) -> Self {
        let mut fields = head.headers().get_all(name).iter();
        match (fields.next(), fields.next()) {
            (None, _) => Self::None,
            (Some(field), None) => field.to_str().map_or(Self::Unclear, Self::One),
            (Some(_), Some(_)) => Self::Unclear,
        }
    }
}

/// Whether an origin is the one that the client sees for the gateway.
fn is_own(origin: &str, head: &Head<'_>) -> bool {
    let client = head.client();
    let scheme = client.map_or("http", |client| client.scheme());
    let claimed = client.and_then(Client::forwarded_host);
    let host = claimed
        .as_ref()
        .or_else(|| head.headers().get(header::HOST));
    let host = match (host, head.uri().authority()) {
        (Some(host), _) => host.to_str().unwrap_or_default(),
        (None, authority) => authority.map_or("", |authority| authority.as_str()),
    };
    let origin = origin
        .strip_prefix(scheme)
        .and_then(|rest| rest.strip_prefix("://"));
    let port = if scheme == "https" { ":443" } else { ":80" };
    let bare = |authority: &str| -> Box<str> {
        let host = authority.strip_suffix(port).unwrap_or(authority);
        host.strip_suffix(':')
            .unwrap_or(host)
            .to_ascii_lowercase()
            .into()
    };
    origin.is_some_and(|origin| !host.is_empty() && bare(origin) == bare(host))
}

impl Step for Csrf {
    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        Some(if self.passes(head) {
            Ok(Kept::Nothing)
        } else {
            let grpc = respond::is_grpc(head.headers());
            Err(Box::new(respond::failure(Failure::CrossOrigin, grpc)))
        })
    }
}

impl Middleware for Csrf {
    steps::as_middleware!();

    fn about(&self, about: &mut About) {
        for problem in &self.problems {
            about.problem(format!("`Csrf`: {problem}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        body::Body,
        handler::{Request, handler},
        middleware::IntoLayer,
    };

    fn goes_on(csrf: &Csrf, mut req: Request) -> bool {
        csrf.before(&mut Head::of(&mut req)).unwrap().is_ok()
    }

    /// A request to `shop.test` with the fields that are there.
    fn request(method: &str, host: &str, tls: bool, site: &str, origin: &str) -> Request {
        let mut builder = http::Request::builder().method(method).uri("/orders");
        for (name, value) in [("host", host), ("sec-fetch-site", site), ("origin", origin)] {
            if !value.is_empty() {
                builder = builder.header(name, value);
            }
        }
        let client = Client::new(None);
        let client = if tls { client.over_tls() } else { client };
        builder
            .extension(Arc::new(client))
            .body(Body::empty())
            .unwrap()
    }

    /// Method, host, scheme, `Sec-Fetch-Site`, `Origin`; `-` where there is none.
    const PASS: &str = "
        # Methods that change nothing.
        GET shop.test https cross-site https://evil.test
        HEAD shop.test https cross-site https://evil.test
        OPTIONS shop.test https cross-site https://evil.test
        # What browsers say.
        POST shop.test https same-origin https://shop.test
        POST shop.test https none -
        POST shop.test https same-origin https://evil.test
        # Trusted pages.
        POST shop.test https cross-site https://admin.test
        POST shop.test https - https://admin.test
        POST shop.test https same-site https://a.partner.test
        # Old browsers: scheme, host and port.
        POST shop.test https - https://shop.test
        POST SHOP.test:443 https - https://shop.test
        POST shop.test:8443 https - https://shop.test:8443
        POST [::1]:8080 http - http://[::1]:8080
        POST shop.test:80 http - http://shop.test
        # Programs.
        POST shop.test https - -
        POST - http - -
    ";

    const REFUSED: &str = "
        POST shop.test https cross-site https://evil.test
        POST shop.test https same-site https://a.shop.test
        POST shop.test https cross-site -
        POST shop.test https cross-site null
        POST shop.test https SAME-ORIGIN https://evil.test
        POST shop.test https cross-site https://shop.test
        PUT shop.test https cross-site https://evil.test
        PATCH shop.test https cross-site https://evil.test
        DELETE shop.test https cross-site https://evil.test
        get shop.test https cross-site https://evil.test
        PURGE shop.test https cross-site https://evil.test
        # Nearly trusted pages.
        POST shop.test https cross-site http://admin.test
        POST shop.test https cross-site https://evilpartner.test
        # Old browsers.
        POST shop.test https - http://shop.test
        POST shop.test http - https://shop.test
        POST shop.test https - https://shop.test:8443
        POST shop.test:80 https - https://shop.test
        POST shop.test https - https://shop.test.evil.test
        POST shop.test https - https://evil.test
        POST shop.test https - https://
        POST shop.test https - null
        POST - https - https://
    ";

    #[test]
    fn the_rule_is_that_of_the_table() {
        let csrf = Csrf::new().trust(["https://admin.test", "https://*.partner.test"]);
        for (cases, passes) in [(PASS, true), (REFUSED, false)] {
            let lines = cases.lines().map(str::trim);
            for case in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let words = case.split(' ').map(|word| word.trim_start_matches('-'));
                let words: Vec<_> = words.collect();
                let [method, host, scheme, site, origin] = words[..] else {
                    panic!("{case}");
                };
                let req = request(method, host, scheme == "https", site, origin);
                assert_eq!(goes_on(&csrf, req), passes, "{case}");
            }
        }
    }

    #[test]
    fn a_field_that_is_there_twice_or_is_not_text_never_helps() {
        let csrf = Csrf::new().trust(["https://admin.test"]);
        for (name, values) in [
            ("sec-fetch-site", [&b"same-origin"[..], b"same-origin"]),
            ("sec-fetch-site", [b"same-origin", b"cross-site"]),
            ("origin", [b"https://admin.test", b"https://admin.test"]),
            ("origin", [b"https://shop.test", b"https://evil.test"]),
        ] {
            let mut req = request("POST", "shop.test", true, "", "");
            for value in values {
                let value = http::HeaderValue::from_bytes(value).unwrap();
                req.headers_mut().append(name, value);
            }
            assert!(!goes_on(&csrf, req), "{name} {values:?}");
        }
        let mut req = request("POST", "shop.test", true, "", "");
        let value = http::HeaderValue::from_bytes(b"https://shop.test\xff").unwrap();
        req.headers_mut().insert("origin", value);
        assert!(!goes_on(&csrf, req));
    }

    #[tokio::test]
    async fn a_refusal_is_a_403_and_of_a_grpc_call_a_7() {
        let layer = Csrf::new().into_layer();
        let target = handler(|_: Request| async { "done" });
        let chain = layer.wrap(crate::handler::BoxHandler::new(target));
        let mut req = request("POST", "shop.test", true, "cross-site", "");
        let response = chain.call(req).await;
        assert_eq!(response.status(), 403);
        assert_eq!(response.extensions().get(), Some(&Failure::CrossOrigin));
        req = request("POST", "shop.test", true, "cross-site", "");
        let kind = http::HeaderValue::from_static("application/grpc");
        req.headers_mut().insert(header::CONTENT_TYPE, kind);
        let response = chain.call(req).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "7");
        assert_eq!(response.headers()["grpc-message"], "cross_origin");
        let response = chain
            .call(request("POST", "shop.test", true, "none", ""))
            .await;
        assert_eq!(response.status(), 200);
    }

    #[test]
    fn what_is_not_an_origin_is_a_problem() {
        let about = Csrf::new()
            .trust(["shop.test", "null"])
            .into_layer()
            .about();
        assert_eq!(
            about.problems(),
            [
                "`Csrf`: \"shop.test\" is not an origin: its scheme is missing, write \"https://shop.test\"",
                "`Csrf`: \"null\" is not an origin: documents of many sources share it, so it cannot be allowed",
            ]
        );
    }
}
