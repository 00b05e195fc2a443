//! Conditions on a route beyond host, path and method: what stands after `if`.

use std::{fmt, net::IpAddr, sync::Arc};

use http::header;

use crate::{client::Client, handler::Parts};

/// Decides whether a route takes a request that its host, path and method already accept.
///
/// Most guards are made by [`header`], [`query`], [`cookie`] and [`client_ip`]; any `Fn(&prox::Parts) -> bool` is one too.
/// A guard is asked on every request that reaches it, so it must be quick and must not block.
///
/// ```
/// use prox_runtime::{Guard, Parts, header};
///
/// fn is_guard(_: impl Guard) {}
/// is_guard(header("x-beta").is("1"));
/// is_guard(|req: &Parts| req.version == http::Version::HTTP_11);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a guard",
    label = "this cannot stand after `if`",
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

type Values = dyn Fn(&Parts, &mut dyn FnMut(&[u8]) -> bool) -> bool + Send + Sync;

/// A part of a request that has a text, or several: what [`header`], [`query`] and [`cookie`] name.
#[derive(Clone)]
pub struct RequestKey(Arc<Values>);

impl RequestKey {
    fn new(
        any: impl Fn(&Parts, &mut dyn FnMut(&[u8]) -> bool) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(any))
    }

    /// Accepts requests in which it is present, and one of its values is exactly `value`.
    pub fn is(self, value: impl Into<String>) -> GuardFn {
        let value = value.into();
        GuardFn::new(move |req| (self.0)(req, &mut |found| found == value.as_bytes()))
    }

    /// Accepts requests in which it is present, with any value.
    pub fn exists(self) -> GuardFn {
        GuardFn::new(move |req| (self.0)(req, &mut |_| true))
    }

    /// Accepts requests in which it is present, and one of its values starts with `prefix`.
    pub fn starts_with(self, prefix: impl Into<String>) -> GuardFn {
        let prefix = prefix.into();
        GuardFn::new(move |req| (self.0)(req, &mut |found| found.starts_with(prefix.as_bytes())))
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestKey")
    }
}

/// The header `name`, compared without regard to case; its values are compared exactly.
pub fn header(name: impl Into<String>) -> RequestKey {
    let name = name.into();
    RequestKey::new(move |req, test| {
        req.headers
            .get_all(name.as_str())
            .iter()
            .any(|value| test(value.as_bytes()))
    })
}

/// The parameter `name` of the query, as `a=1&name=value`; percent-encoding and `+` are left as they were sent.
pub fn query(name: impl Into<String>) -> RequestKey {
    let name = name.into();
    RequestKey::new(move |req, test| {
        pairs(req.uri.query().unwrap_or_default(), '&')
            .any(|(key, value)| key == name && test(value.as_bytes()))
    })
}

/// The cookie `name`.
pub fn cookie(name: impl Into<String>) -> RequestKey {
    let name = name.into();
    RequestKey::new(move |req, test| {
        req.headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| {
                pairs(value, ';').any(|(key, value)| key == name && test(value.as_bytes()))
            })
    })
}

fn pairs(text: &str, separator: char) -> impl Iterator<Item = (&str, &str)> {
    text.split(separator).map(|pair| {
        pair.trim_ascii()
            .split_once('=')
            .unwrap_or((pair.trim_ascii(), ""))
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
    /// Accepts requests from a network in CIDR notation, such as `"10.0.0.0/8"`, or from one address.
    ///
    /// Anything else is an error when the gateway starts.
    pub fn within(self, network: &str) -> GuardFn {
        let Some((base, bits)) = network_of(network) else {
            return GuardFn::broken(format!(
                "`{network}` is no network: write an address, or one with a prefix length such as \"10.0.0.0/8\""
            ));
        };
        GuardFn::new(move |req| {
            req.extensions
                .get::<Arc<Client>>()
                .and_then(|client| client.ip())
                .is_some_and(|ip| contains(base, bits, ip))
        })
    }
}

fn network_of(text: &str) -> Option<(IpAddr, u32)> {
    let (base, bits) = text
        .split_once('/')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    let base: IpAddr = base.parse().ok()?;
    let most = if base.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some((base, bits))
}

fn contains(base: IpAddr, bits: u32, ip: IpAddr) -> bool {
    match (base, ip) {
        (IpAddr::V4(base), IpAddr::V4(ip)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            base.to_bits() & mask == ip.to_bits() & mask
        }
        (IpAddr::V6(base), IpAddr::V6(ip)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            base.to_bits() & mask == ip.to_bits() & mask
        }
        _ => false,
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
    fn a_network_holds_its_addresses_and_no_others() {
        let (base, bits) = network_of("10.1.0.0/16").unwrap();
        assert!(contains(base, bits, "10.1.255.1".parse().unwrap()));
        assert!(!contains(base, bits, "10.2.0.1".parse().unwrap()));
        assert!(client_ip().within("10.0.0.0/33").check().is_err());
        let (base, bits) = network_of("0.0.0.0/0").unwrap();
        assert!(contains(base, bits, "8.8.8.8".parse().unwrap()));
    }
}
