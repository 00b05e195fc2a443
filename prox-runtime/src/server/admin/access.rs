//! Which requests come from the inside.
//!
//! A browser of an operator can be made to send requests to a loopback address, and a name of a stranger can be made to mean that
//! address. So a loopback peer alone is not enough: the request names a loopback host, and comes neither from a page nor by way of a
//! proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, header, request::Parts};

use crate::secret::Secret;

/// What a request is sent from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// The mode of the socket's file says what may connect.
    Unix,
    Ip(IpAddr),
}

/// What opens the inside to any peer.
#[derive(Clone, Debug)]
pub(super) struct Token(Secret);

impl Token {
    /// Takes a secret that can be sent as it is.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without its text.
    pub(super) fn new(secret: Secret) -> Result<Self, &'static str> {
        // RFC 6750, 2.1
        let is_sent = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let text = secret.expose();
        if text.is_empty() {
            Err("is empty")
        } else if !text.bytes().all(is_sent) {
            Err("has characters that a token cannot have: use letters, digits and -._~+/=")
        } else {
            Ok(Self(secret))
        }
    }

    /// Whether it is this one. How long the answer takes does not depend on where they differ.
    fn is(&self, presented: &[u8]) -> bool {
        let own = self.0.expose().as_bytes();
        let differing = own.iter().zip(presented).fold(0, |all, (a, b)| all | a ^ b);
        own.len() == presented.len() && std::hint::black_box(differing) == 0
    }
}

/// Whether a request comes from the inside.
pub(super) fn is_inside(peer: Peer, head: &Parts, token: Option<&Token>) -> bool {
    match peer {
        Peer::Unix => true,
        Peer::Ip(ip) => {
            has_token(&head.headers, token)
                || (ip.to_canonical().is_loopback()
                    && names_loopback(head)
                    && !is_from_a_page(&head.headers)
                    && !is_forwarded(&head.headers))
        }
    }
}

fn has_token(headers: &HeaderMap, token: Option<&Token>) -> bool {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(token), Some(value), None) = (token, values.next(), values.next()) else {
        return false;
    };
    let value = value.as_bytes();
    match value.split_at_checked(b"Bearer ".len()) {
        Some((scheme, presented)) => {
            scheme.eq_ignore_ascii_case(b"Bearer ") && token.is(presented.trim_ascii())
        }
        None => false,
    }
}

/// Whether the request is for a host that only this machine means.
fn names_loopback(head: &Parts) -> bool {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let target = head.uri.authority().map(http::uri::Authority::as_str);
    host.to_str().is_ok_and(is_loopback_name) && target.is_none_or(is_loopback_name)
}

/// `localhost`, or a loopback address, with or without a port.
fn is_loopback_name(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let is_end = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        let address: Option<Ipv6Addr> = address.parse().ok();
        return is_end && address.is_some_and(|ip| ip.to_canonical().is_loopback());
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let address: Option<Ipv4Addr> = name.parse().ok();
    is_port(port)
        && (name.eq_ignore_ascii_case("localhost") || address.is_some_and(|ip| ip.is_loopback()))
}

/// Whether a page in a browser sends it. What a person types into the browser does not come from a page.
fn is_from_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get_all("sec-fetch-site").iter();
    let mut others = site.filter(|site| !matches!(site.as_bytes(), b"none" | b"same-origin"));
    headers.contains_key(header::ORIGIN) || others.next().is_some()
}

/// Whether a proxy on this machine passes it on for somebody else.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        matches!(name.as_str(), "forwarded" | "via" | "x-real-ip")
            || name.as_str().starts_with("x-forwarded-")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Peer = Peer::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    const AWAY: Peer = Peer::Ip(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)));

    fn inside(peer: Peer, target: &str, fields: &[(&str, &str)]) -> bool {
        let token = Token::new("s3cret".parse().unwrap()).unwrap();
        let mut request = http::Request::get(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        is_inside(peer, &head, Some(&token))
    }

    #[test]
    fn a_loopback_peer_names_a_loopback_host() {
        for (host, wanted) in [
            ("localhost", true),
            ("LocalHost:9901", true),
            ("127.0.0.1:9901", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("[::1]:9901", true),
            ("[::ffff:127.0.0.1]:9901", true),
            ("", false),
            ("localhost.", false),
            ("localhost.example.com", false),
            ("evil.localhost", false),
            ("127.0.0.1.nip.io:9901", false),
            ("127.1", false),
            ("0x7f000001", false),
            ("0.0.0.0:9901", false),
            ("10.0.0.9", false),
            ("[::]", false),
            ("[::1", false),
            ("[::1]9901", false),
            ("[::1]:x", false),
            ("localhost:x", false),
            ("localhost:1:2", false),
            ("user@localhost", false),
            ("evil.example, localhost", false),
        ] {
            assert_eq!(inside(LOCAL, "/", &[("host", host)]), wanted, "{host}");
            assert!(!inside(AWAY, "/", &[("host", host)]), "{host}");
            assert!(inside(Peer::Unix, "/", &[("host", host)]), "{host}");
        }
        assert!(!inside(LOCAL, "/", &[]), "no host");
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert!(!inside(LOCAL, "/", &twice));
        // A target with an authority names the host too.
        let local = [("host", "localhost")];
        assert!(inside(LOCAL, "http://localhost/routes", &local));
        assert!(!inside(LOCAL, "http://evil.example/routes", &local));
    }

    #[test]
    fn an_address_of_ipv4_in_ipv6_is_that_address() {
        let mapped = |ip: Ipv4Addr| Peer::Ip(ip.to_ipv6_mapped().into());
        let local = [("host", "localhost")];
        assert!(inside(mapped(Ipv4Addr::LOCALHOST), "/", &local));
        assert!(!inside(mapped(Ipv4Addr::new(10, 0, 0, 9)), "/", &local));
        assert!(inside(Peer::Ip(Ipv6Addr::LOCALHOST.into()), "/", &local));
    }

    #[test]
    fn a_page_and_a_proxy_are_outside() {
        for (name, value, wanted) in [
            ("accept", "*/*", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "same-site", false),
            ("origin", "http://localhost:9901", false),
            ("origin", "null", false),
            ("origin", "", false),
            ("forwarded", "for=192.0.2.1", false),
            ("x-forwarded-for", "192.0.2.1", false),
            ("x-forwarded-host", "localhost", false),
            ("x-real-ip", "127.0.0.1", false),
            ("via", "1.1 a", false),
        ] {
            let fields = [("host", "localhost"), (name, value)];
            assert_eq!(inside(LOCAL, "/", &fields), wanted, "{name}: {value}");
        }
    }

    #[test]
    fn a_token_opens_the_inside_to_any_peer() {
        for (value, wanted) in [
            ("Bearer s3cret", true),
            ("bearer  s3cret", true),
            ("Bearer s3cre", false),
            ("Bearer s3cret2", false),
            ("Bearer S3cret", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("s3cret", false),
            ("Basic s3cret", false),
            ("", false),
        ] {
            let fields = [("host", "admin.example"), ("authorization", value)];
            assert_eq!(inside(AWAY, "/", &fields), wanted, "{value}");
        }
        let twice = [("authorization", "Bearer s3cret"), ("authorization", "x")];
        assert!(!inside(AWAY, "/", &twice));
        // Without a token no value is right.
        let request = http::Request::get("/").header("authorization", "Bearer ");
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert!(!is_inside(AWAY, &head, None));
    }

    #[test]
    fn a_token_can_be_sent() {
        let problem = |text: &str| Token::new(text.parse().unwrap()).err();
        assert_eq!(problem("aA0-._~+/="), None);
        assert_eq!(problem(""), Some("is empty"));
        for text in [" ", "a b", "a\n", "\u{e9}", "a\"b", "a,b"] {
            let problem = problem(text).unwrap();
            assert!(problem.starts_with("has characters"), "{text}");
        }
    }
}
