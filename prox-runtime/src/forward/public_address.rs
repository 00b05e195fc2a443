//! Responses of an upstream that speaks of its own address: `Location`, `Content-Location`, `Refresh` and `Set-Cookie` as the
//! client has to see them.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    pattern::{is_rest, name_of},
    rewrite::Template,
};

/// What a client has called: its host, its scheme, and the route that took its request.
#[derive(Clone, Debug)]
pub(crate) struct Public {
    /// The host without its port, in lower case.
    host: String,
    scheme: &'static str,
    route: Option<Taken>,
}

/// A route and the path that it has taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) pattern: &'static str,
    pub(crate) exact: bool,
    pub(crate) path: String,
}

/// What an upstream takes for its own address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own<'a> {
    /// Whether it is called by https.
    pub(crate) secure: bool,
    /// The authority of its endpoint.
    pub(crate) authority: &'a str,
    /// The `Host` that it got.
    pub(crate) sent: &'a str,
    /// The base path of its endpoint, empty or with a slash before it.
    pub(crate) base: &'a str,
    /// The path that it got instead of that of the client.
    pub(crate) template: Option<&'a Template>,
}

impl Own<'_> {
    fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

impl Public {
    pub(crate) fn new(authority: &str, scheme: &'static str, route: Option<Taken>) -> Self {
        Self {
            host: host_and_port(authority).0.to_ascii_lowercase(),
            scheme,
            route,
        }
    }

    /// Rewrites the fields that name the upstream's own address.
    pub(crate) fn apply(&self, headers: &mut HeaderMap, own: Own<'_>) {
        for (name, rewrite) in [
            (header::LOCATION, Self::url as Rewrite),
            (header::CONTENT_LOCATION, Self::url),
            (header::REFRESH, Self::refresh),
            (header::SET_COOKIE, Self::cookie),
        ] {
            self.each(headers, &name, own, rewrite);
        }
    }

    fn each(&self, headers: &mut HeaderMap, name: &HeaderName, own: Own<'_>, rewrite: Rewrite) {
        let header::Entry::Occupied(mut entry) = headers.entry(name) else {
            return;
        };
        for value in entry.iter_mut() {
            let rewritten = str::from_utf8(value.as_bytes())
                .ok()
                .and_then(|text| rewrite(self, text, own))
                .and_then(|text| HeaderValue::from_str(&text).ok());
            if let Some(rewritten) = rewritten {
                *value = rewritten;
            }
        }
    }

    /// A URL of the upstream as a path of the client's own origin; none if it stays as it is.
    fn url(&self, url: &str, own: Own<'_>) -> Option<String> {
        let (local, absolute) = self.local(url, own)?;
        let end = local.find(['?', '#']).unwrap_or(local.len());
        let (path, tail) = local.split_at(end);
        let path = if path.is_empty() { "/" } else { path };
        if !absolute && own.template.is_none() && own.base.is_empty() {
            return None;
        }
        let public = self.undo(path, own)?;
        // A path with two slashes at its start would be another host.
        let guard = if public.starts_with("//") || public.starts_with("/\\") {
            "/."
        } else {
            ""
        };
        Some(format!("{guard}{public}{tail}"))
    }

    /// What is behind the authority of a URL of the upstream's own, and whether there was an authority.
    fn local<'u>(&self, url: &'u str, own: Own<'_>) -> Option<(&'u str, bool)> {
        let after = |scheme: &str| {
            let start = url.get(..scheme.len())?;
            let rest = url.get(scheme.len()..)?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        };
        let (scheme, rest) = if let Some(rest) = after("http://") {
            ("http", rest)
        } else if let Some(rest) = after("https://") {
            ("https", rest)
        } else if let Some(rest) = url.strip_prefix("//") {
            (own.scheme(), rest)
        } else if url.starts_with('/') && !url.starts_with("/\\") {
            return Some((url, false));
        } else {
            return None;
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, local) = rest.split_at(end);
        let is_own = scheme == own.scheme() && is_same(scheme, authority, own.authority);
        // By the Host that it got, it may believe what it was told of the client's scheme. Of any other scheme it is another
        // place, such as that to which it sends clients of http.
        let as_sent =
            [own.scheme(), self.scheme].contains(&scheme) && is_same(scheme, authority, own.sent);
        (!local.starts_with('\\') && (is_own || as_sent)).then_some((local, true))
    }

    /// The path of the client for a path of the upstream, if there is one.
    fn undo(&self, path: &str, own: Own<'_>) -> Option<String> {
        if path.split('/').any(is_dots) {
            return None;
        }
        let rest = path.strip_prefix(own.base)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let Some(template) = own.template else {
            return Some(if rest.is_empty() { "/" } else { rest }.to_owned());
        };
        self.route.as_ref()?.undo(template.text(), rest)
    }

    /// `5; url=http://..`
    fn refresh(&self, value: &str, own: Own<'_>) -> Option<String> {
        let is_time = |c: char| c.is_ascii_digit() || c == '.';
        let behind = value.trim_start().trim_start_matches(is_time);
        let rest = behind.trim_start().trim_start_matches([';', ',']);
        if rest.len() == value.len() || rest.len() == behind.len() {
            return None;
        }
        let rest = rest.trim_start();
        let word = rest
            .get(..3)
            .is_some_and(|word| word.eq_ignore_ascii_case("url"));
        let named = rest.get(3..).filter(|_| word).map(str::trim_start);
        let url = match named.and_then(|rest| rest.strip_prefix('=')) {
            Some(url) => url.trim_start(),
            None => rest,
        };
        let (url, end) = match url.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inner = &url[1..];
                (inner, inner.find(quote).unwrap_or(inner.len()))
            }
            _ => (url, url.trim_end().len()),
        };
        let (url, tail) = url.split_at(end);
        let head = value.get(..value.len() - url.len() - tail.len())?;
        let url = self.url(url, own)?;
        Some(format!("{head}{url}{tail}"))
    }

    /// A cookie whose `Domain` and `Path` are those of the client's address.
    fn cookie(&self, cookie: &str, own: Own<'_>) -> Option<String> {
        let promised = cookie.trim_start().get(.."__Host-".len());
        if promised.is_some_and(|start| start.eq_ignore_ascii_case("__Host-")) {
            // It has no domain, and its path is `/`, or a browser drops it.
            return None;
        }
        let mut changed = false;
        let mut parts: Vec<Cow<'_, str>> = Vec::new();
        for (place, part) in cookie.split(';').enumerate() {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            if place > 0 && name.eq_ignore_ascii_case("domain") && self.is_foreign(value, own) {
                changed = true;
                continue;
            }
            if place > 0
                && name.eq_ignore_ascii_case("path")
                && value.starts_with('/')
                && let Some(path) = self.undo(value.strip_suffix('/').unwrap_or(value), own)
                && path != value
            {
                changed = true;
                parts.push(Cow::Owned(format!(" {name}={path}")));
                continue;
            }
            parts.push(Cow::Borrowed(part));
        }
        changed.then(|| parts.join(";"))
    }

    /// Whether a domain is that of the upstream, and not that of the client, so that a browser would drop the cookie.
    fn is_foreign(&self, domain: &str, own: Own<'_>) -> bool {
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        let covers = |authority: &str| matches_domain(host_and_port(authority).0, domain);
        !matches_domain(&self.host, domain) && (covers(own.authority) || covers(own.sent))
    }
}

type Rewrite = fn(&Public, &str, Own<'_>) -> Option<String>;

impl Taken {
    /// The path of this route for one that its template makes.
    fn undo(&self, template: &str, path: &str) -> Option<String> {
        let mut values: Vec<(&str, &str)> = Vec::new();
        let mut rest = path;
        for segment in segments(template) {
            let inner = rest.strip_prefix('/')?;
            if let Some(name) = name_of(segment)
                && self.takes_the_rest(name)
            {
                values.push((name, inner));
                rest = "";
                continue;
            }
            let end = inner.find('/').unwrap_or(inner.len());
            let (value, behind) = inner.split_at(end);
            match segment.split_once('{') {
                None => (value == segment).then_some(())?,
                Some((before, part)) => {
                    let (name, after) = part.split_once('}')?;
                    // Where one value ends and the next begins is not known.
                    (!after.contains('{')).then_some(())?;
                    let value = value.strip_prefix(before)?.strip_suffix(after)?;
                    (!value.is_empty()).then_some(())?;
                    values.push((name, value));
                }
            }
            rest = behind;
        }
        if self.exact && !rest.is_empty() {
            return None;
        }
        let mut out = String::with_capacity(self.pattern.len() + path.len());
        let mut current = self.path.as_str();
        for segment in segments(self.pattern) {
            let inner = current.strip_prefix('/').unwrap_or_default();
            let end = inner.find('/').unwrap_or(inner.len());
            let (own, behind) = inner.split_at(end);
            current = behind;
            out.push('/');
            let Some(name) = name_of(segment) else {
                out.push_str(segment);
                continue;
            };
            let value = values.iter().find(|(other, _)| *other == name);
            match (value, is_rest(segment)) {
                (Some((_, value)), _) => out.push_str(value),
                (None, true) => out.push_str(inner),
                (None, false) => out.push_str(own),
            }
        }
        if !rest.is_empty() && segments(self.pattern).last().is_some_and(is_rest) {
            return None;
        }
        out.push_str(rest);
        Some(if out.is_empty() { "/".into() } else { out })
    }

    fn takes_the_rest(&self, name: &str) -> bool {
        let last = segments(self.pattern).last();
        last.is_some_and(|last| is_rest(last) && name_of(last) == Some(name))
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// Whether a client would resolve the segment away.
fn is_dots(segment: &str) -> bool {
    let plain = segment.replace("%2e", ".").replace("%2E", ".");
    plain == "." || plain == ".."
}

/// Whether two authorities are one place for this scheme.
fn is_same(scheme: &str, one: &str, other: &str) -> bool {
    let default = if scheme == "https" { "443" } else { "80" };
    let ((one, port), (other, other_port)) = (host_and_port(one), host_and_port(other));
    let port_of = |port: &str| if port.is_empty() { default } else { port }.to_owned();
    one.eq_ignore_ascii_case(other) && port_of(port) == port_of(other_port)
}

/// The host without a dot at its end, and the port or nothing.
fn host_and_port(authority: &str) -> (&str, &str) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
        _ => (authority, ""),
    };
    (host.strip_suffix('.').unwrap_or(host), port)
}

/// Whether a browser takes a cookie of `domain` from `host` (RFC 6265, 5.1.3).
fn matches_domain(host: &str, domain: &str) -> bool {
    if host.eq_ignore_ascii_case(domain) {
        return true;
    }
    let is_address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    let Some(start) = host.len().checked_sub(domain.len() + 1) else {
        return false;
    };
    let end = host.get(start..).and_then(|end| end.strip_prefix('.'));
    !is_address && !domain.is_empty() && end.is_some_and(|end| end.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests;
