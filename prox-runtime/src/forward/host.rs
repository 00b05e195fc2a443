//! Which host a request is for (RFC 9112, 3.2).

use std::borrow::Cow;

use http::{HeaderMap, Uri, Version, header, uri::Authority};

use crate::error::Failure;

/// The host that routes are matched against: lower case, without port and trailing dot; empty for an HTTP/1.0 request
/// that names none.
///
/// # Errors
///
/// [`Failure::MalformedRequest`] for two `Host` fields, none in HTTP/1.1, an absolute-form target of another scheme than
/// HTTP's or with another authority than `Host`, and for what is no host.
pub(crate) fn of<'r>(
    uri: &'r Uri,
    headers: &'r HeaderMap,
    version: Version,
) -> Result<Cow<'r, str>, Failure> {
    let mut fields = headers.get_all(header::HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(Failure::MalformedRequest);
    }
    // A gateway is no proxy to whatever scheme a client may name (RFC 9112, 3.2.2).
    let foreign = !matches!(uri.scheme_str(), None | Some("http" | "https"));
    if foreign {
        return Err(Failure::MalformedRequest);
    }
    let field = field
        .map(|value| value.to_str().map_err(|_| Failure::MalformedRequest))
        .transpose()?;
    let authority = match (uri.authority(), field) {
        (None, Some(field)) => field,
        (Some(authority), None) if version != Version::HTTP_11 => authority.as_str(),
        (Some(authority), Some(field)) if authority.as_str().eq_ignore_ascii_case(field) => field,
        (None, None) if version < Version::HTTP_11 => return Ok(Cow::Borrowed("")),
        _ => return Err(Failure::MalformedRequest),
    };
    canonical(authority).ok_or(Failure::MalformedRequest)
}

/// Whether a text that is written in a gateway can be sent as `Host`: a name or an address, with a port or without.
pub(crate) fn is_host(text: &str) -> bool {
    Authority::try_from(text)
        .is_ok_and(|authority| !text.contains('@') && !authority.host().is_empty())
}

fn canonical(authority: &str) -> Option<Cow<'_, str>> {
    if let Some(plain) = plain(authority) {
        return Some(Cow::Borrowed(plain));
    }
    let host = without_port(authority)?;
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Some(Cow::Owned(host.to_ascii_lowercase()))
    } else {
        Some(Cow::Borrowed(host))
    }
}

/// The host of an authority that is in its canonical form but for the port, as nearly all are; in one pass.
fn plain(authority: &str) -> Option<&str> {
    let is_plain = |&byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
    let length = authority.bytes().take_while(is_plain).count();
    let (host, port) = authority.split_at_checked(length)?;
    // Of five digits, texts are ordered as their numbers are.
    let is_port = |port: &str| {
        let fits = (1..=4).contains(&port.len()) || port.len() == 5 && port <= "65535";
        fits && port.bytes().all(|byte| byte.is_ascii_digit())
    };
    let ends = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    (ends && !host.is_empty() && !host.ends_with('.')).then_some(host)
}

/// Cuts the port off, and refuses what is neither a name, an IPv4 address nor an IPv6 address in brackets.
fn without_port(authority: &str) -> Option<&str> {
    let (host, port) = if authority.starts_with('[') {
        let (host, rest) = authority.split_at(authority.find(']')? + 1);
        let address = host.strip_prefix('[')?.strip_suffix(']')?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        (host, rest)
    } else {
        let at = authority.find(':').unwrap_or(authority.len());
        let (host, rest) = authority.split_at(at);
        let named = host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        (named.then_some(host)?, rest)
    };
    let digits = match port {
        "" => "",
        port => port.strip_prefix(':')?,
    };
    let valid = digits.is_empty() || digits.parse::<u16>().is_ok();
    (valid && !host.is_empty() && !digits.starts_with('+')).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::handler::Parts;

    fn of(parts: &Parts) -> Result<Cow<'_, str>, Failure> {
        super::of(&parts.uri, &parts.headers, parts.version)
    }

    fn parts(uri: &str, hosts: &[&'static str], version: Version) -> Parts {
        let mut builder = http::Request::builder().uri(uri).version(version);
        for host in hosts {
            builder = builder.header("host", *host);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn case_port_and_trailing_dot_do_not_matter() {
        for host in [
            "api.example.com",
            "API.example.com:8080",
            "api.example.com.",
            "api.example.com:",
            "api.example.com:65535",
            "api.example.com:00080",
        ] {
            let parts = parts("/", &[host], Version::HTTP_11);
            assert_eq!(of(&parts).as_deref(), Ok("api.example.com"), "{host}");
        }
    }

    #[test]
    fn what_is_ambiguous_or_no_host_is_refused() {
        for hosts in [
            &[][..],
            &[""],
            &[":80"],
            &["a.com", "a.com"],
            &["a b"],
            &["a@b"],
            &["a:99999"],
            &["a:65536"],
            &["a:6553a"],
            &["a:+80"],
            &["[::1"],
            &["a/b"],
            &["é"],
        ] {
            let parts = parts("/", hosts, Version::HTTP_11);
            assert!(of(&parts).is_err(), "{hosts:?}");
        }
        let differs = parts("http://a.com/", &["b.com"], Version::HTTP_11);
        assert!(of(&differs).is_err());
    }

    #[test]
    fn an_absolute_form_target_may_name_the_same_host() {
        let same = parts("http://a.com/x", &["A.com"], Version::HTTP_11);
        assert_eq!(of(&same).as_deref(), Ok("a.com"));
        let literal = parts("/", &["[::1]:80"], Version::HTTP_11);
        assert_eq!(of(&literal).as_deref(), Ok("[::1]"));
    }

    #[test]
    fn http_1_0_need_not_name_a_host() {
        assert_eq!(of(&parts("/", &[], Version::HTTP_10)).as_deref(), Ok(""));
    }
}
