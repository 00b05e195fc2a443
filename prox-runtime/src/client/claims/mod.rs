//! What a trusted proxy says of the client that it forwards for: `X-Forwarded-*`, or else `Forwarded` (RFC 7239).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Trust;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The most entries that are looked at: more proxies than that do not stand in a row.
const MAX_ENTRIES: usize = 32;

/// What is believed of the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// The client, and the proxies behind it in the order in which the request came through them, but for the peer.
    pub(super) chain: Vec<IpAddr>,
    pub(super) secure: Option<bool>,
    pub(super) host: Option<HeaderValue>,
}

impl Claims {
    /// Reads what a trusted peer has sent. `Forwarded` counts only where no `X-Forwarded-` field is.
    pub(super) fn read(headers: &HeaderMap, trust: &Trust) -> Self {
        let [fors, proto, host] = [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST]
            .map(|name| headers.get_all(name));
        let mut walk = Walk::new(trust);
        let plain = [&fors, &proto, &host]
            .iter()
            .any(|values| values.iter().next().is_some());
        if plain {
            let entries = fors
                .iter()
                .rev()
                .flat_map(|value| value.as_bytes().rsplit(|&byte| byte == b','));
            for entry in entries.take(MAX_ENTRIES) {
                let entry = entry.trim_ascii();
                if !entry.is_empty() && !walk.step(address(entry)) {
                    break;
                }
            }
            walk.claims.secure = proto
                .iter()
                .next_back()
                .and_then(|value| secure(last(value)));
            walk.claims.host = host.iter().next_back().and_then(|value| named(last(value)));
        } else {
            for value in headers.get_all(header::FORWARDED).iter().rev() {
                if !walk.forwarded(value.as_bytes()) {
                    break;
                }
            }
        }
        walk.claims.chain.reverse();
        walk.claims
    }
}

/// The way back through the proxies, from the nearest on.
struct Walk<'t> {
    trust: &'t Trust,
    claims: Claims,
    left: usize,
}

impl<'t> Walk<'t> {
    fn new(trust: &'t Trust) -> Self {
        Self {
            trust,
            claims: Claims::default(),
            left: MAX_ENTRIES,
        }
    }

    /// Goes on to an address; false when what is left of it is not to be believed.
    fn step(&mut self, ip: Option<IpAddr>) -> bool {
        let Some(ip) = ip else {
            return false;
        };
        self.claims.chain.push(ip);
        self.trust.has(Some(ip))
    }

    /// Goes through one field of RFC 7239. The element that names the client was written by the proxy that it spoke to.
    fn forwarded(&mut self, value: &[u8]) -> bool {
        let Some(elements) = split(value, b',') else {
            return false;
        };
        for element in elements.iter().rev() {
            if self.left == 0 {
                return false;
            }
            self.left -= 1;
            if element.is_empty() {
                continue;
            }
            let Some(pairs) = split(element, b';') else {
                return false;
            };
            let mut ip = None;
            for pair in pairs {
                let Some(at) = pair.iter().position(|&byte| byte == b'=') else {
                    return false;
                };
                let (name, value) = (&pair[..at], unquoted(&pair[at + 1..]));
                if name.eq_ignore_ascii_case(b"for") {
                    ip = address(value);
                } else if name.eq_ignore_ascii_case(b"proto") {
                    self.claims.secure = secure(value).or(self.claims.secure);
                } else if name.eq_ignore_ascii_case(b"host") {
                    self.claims.host = named(value).or(self.claims.host.take());
                }
            }
            if !self.step(ip) {
                return false;
            }
        }
        true
    }
}

/// Splits outside of quotes, and trims the parts; nothing when a quote is not closed.
fn split(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(text[start..at].trim_ascii());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim_ascii());
    (!quoted).then_some(parts)
}

/// The inside of a quoted string; what is escaped in it is neither an address nor a host, and stays as it is.
fn unquoted(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(value)
}

/// An address, with or without a port, IPv6 also in brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = || text.parse().ok();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    let in_brackets = || {
        let inside = text.strip_prefix('[')?.strip_suffix(']')?;
        inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    };
    let ip: IpAddr = bare().or_else(with_port).or_else(in_brackets)?;
    Some(ip.to_canonical())
}

/// The last item of a list: what the nearest proxy has said.
fn last(value: &HeaderValue) -> &[u8] {
    let value = value.as_bytes();
    let start = value
        .iter()
        .rposition(|&byte| byte == b',')
        .map_or(0, |at| at + 1);
    value[start..].trim_ascii()
}

fn secure(scheme: &[u8]) -> Option<bool> {
    let is = |name: &[u8]| scheme.eq_ignore_ascii_case(name);
    if is(b"https") || is(b"wss") {
        Some(true)
    } else if is(b"http") || is(b"ws") {
        Some(false)
    } else {
        None
    }
}

/// A host, with or without a port, if it is made of what hosts are made of.
fn named(host: &[u8]) -> Option<HeaderValue> {
    let fits = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']')
    };
    if host.is_empty() || !host.iter().all(fits) {
        return None;
    }
    HeaderValue::from_bytes(host).ok()
}

#[cfg(test)]
mod tests;
