//! `Forwarded` (RFC 7239): the client and the proxies behind it, in one field.

use std::{fmt::Write, net::IpAddr};

use http::{HeaderMap, HeaderValue, header};

use super::headers::X_FORWARDED_HOST;
use crate::client::Client;

/// Says in `Forwarded` what the `X-Forwarded-` fields of the request say already.
///
/// The first element is about the client, and alone has a scheme and a host. There is no `by`: it would name an address
/// that is nobody's business.
pub(crate) fn add(headers: &mut HeaderMap, client: &Client) {
    let host = headers.get(X_FORWARDED_HOST);
    if let Ok(value) = HeaderValue::try_from(value(client, host)) {
        headers.insert(header::FORWARDED, value);
    }
}

fn value(client: &Client, host: Option<&HeaderValue>) -> String {
    let mut chain = client.chain();
    let mut text = String::from("for=");
    match chain.next() {
        Some(ip) => node(&mut text, ip),
        None => text.push_str("unknown"),
    }
    // What would have to be escaped in quotes is no host.
    let host = host
        .and_then(|host| host.to_str().ok())
        .filter(|host| !host.contains(['"', '\\']));
    if let Some(host) = host {
        let plain = !host.is_empty() && !host.contains(|c: char| !is_token(c));
        let quote = if plain { "" } else { "\"" };
        let _ = write!(text, ";host={quote}{host}{quote}");
    }
    let _ = write!(text, ";proto={}", client.scheme());
    for proxy in chain {
        text.push_str(", for=");
        node(&mut text, proxy);
    }
    text
}

fn node(text: &mut String, ip: IpAddr) {
    let _ = match ip {
        IpAddr::V4(ip) => write!(text, "{ip}"),
        IpAddr::V6(ip) => write!(text, "\"[{ip}]\""),
    };
}

/// What may stand in a value without quotes (RFC 9110, 5.6.2).
pub(super) fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: Option<&str>, host: Option<&'static str>) -> String {
        let client = Client::new(peer.map(|peer| peer.parse().unwrap()));
        value(&client, host.map(HeaderValue::from_static).as_ref())
    }

    #[test]
    fn what_has_a_colon_is_quoted() {
        assert_eq!(
            of(Some("192.0.2.1:4711"), Some("shop.test")),
            "for=192.0.2.1;host=shop.test;proto=http"
        );
        assert_eq!(
            of(Some("[2001:db8::1]:4711"), Some("shop.test:8443")),
            "for=\"[2001:db8::1]\";host=\"shop.test:8443\";proto=http"
        );
    }

    #[test]
    fn what_is_not_known_is_said_so_or_left_out() {
        assert_eq!(of(None, None), "for=unknown;proto=http");
        assert_eq!(of(None, Some("a\";for=6.6.6.6")), "for=unknown;proto=http");
    }
}
