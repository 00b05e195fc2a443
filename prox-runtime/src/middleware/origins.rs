//! Lists of web origins (RFC 6454): those that a layer lets in.

use std::net::Ipv6Addr;

/// Origins, each written out, and patterns for all subdomains of a name.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins {
    /// In order.
    exact: Vec<Box<str>>,
    patterns: Vec<Pattern>,
}

/// `https://*.example.com`: what stands before the star, and what stands behind it.
#[derive(Clone, Debug)]
struct Pattern {
    start: Box<str>,
    end: Box<str>,
}

impl Origins {
    /// Adds origins. What is not an origin is added to `problems`, with the value and the fix.
    pub(super) fn add<E: AsRef<str>>(
        &mut self,
        entries: impl IntoIterator<Item = E>,
        problems: &mut Vec<String>,
    ) {
        for entry in entries {
            let entry = entry.as_ref();
            match parse(entry.trim()) {
                Ok(Entry::Exact(origin)) => self.exact.push(origin.into()),
                Ok(Entry::Pattern(pattern)) => self.patterns.push(pattern),
                Err(fix) => problems.push(format!("{entry:?} is not an origin: {fix}")),
            }
        }
        self.exact.sort_unstable();
        self.exact.dedup();
    }

    /// Whether an origin is in the list. A client sends it in lower case and without a default port (Fetch, 3.2).
    pub(super) fn has(&self, origin: impl AsRef<[u8]>) -> bool {
        let origin = origin.as_ref();
        let exact = self
            .exact
            .binary_search_by(|listed| listed.as_bytes().cmp(origin));
        if exact.is_ok() {
            return true;
        }
        // Those of a pattern are ASCII.
        let text = str::from_utf8(origin)
            .ok()
            .filter(|_| !self.patterns.is_empty());
        text.is_some_and(|origin| self.patterns.iter().any(|pattern| pattern.has(origin)))
    }
}

impl Pattern {
    fn has(&self, origin: &str) -> bool {
        let inner = origin
            .strip_prefix(&*self.start)
            .and_then(|rest| rest.strip_suffix(&*self.end));
        inner.is_some_and(|labels| labels.split('.').all(is_label))
    }
}

enum Entry {
    Exact(String),
    Pattern(Pattern),
}

/// Reads an entry of a list.
fn parse(text: &str) -> Result<Entry, String> {
    match text {
        "" => return Err("it is empty".into()),
        "*" => return Err("write `Cors::any()` to allow every origin".into()),
        "null" => return Err("documents of many sources share it, so it cannot be allowed".into()),
        _ => {}
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(format!(
            "its scheme is missing, write \"https://{}\"",
            text.trim_start_matches('/')
        ));
    };
    let scheme = scheme.to_ascii_lowercase();
    let starts = scheme.starts_with(|c: char| c.is_ascii_lowercase());
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if !starts || !scheme.chars().all(is_part) {
        return Err(format!("`{scheme}` is not a scheme, write `https`"));
    }
    if let Some(end) = rest.find(['/', '?', '#']) {
        return Err(format!(
            "it ends after the host and the port, write \"{scheme}://{}\"",
            rest.get(..end).unwrap_or_default()
        ));
    }
    let rest = rest.to_ascii_lowercase();
    let (host, port) = split(&rest)?;
    let port = match (scheme.as_str(), port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    if let Some(name) = host.strip_prefix("*.") {
        is_name(name)?;
        return Ok(Entry::Pattern(Pattern {
            start: format!("{scheme}://").into(),
            end: format!(".{name}{port}").into(),
        }));
    }
    if !host.starts_with('[') {
        is_name(host)?;
    }
    Ok(Entry::Exact(format!("{scheme}://{host}{port}")))
}

/// The host and the port of an authority.
fn split(authority: &str) -> Result<(&str, Option<u16>), String> {
    let end = match authority.find(']') {
        Some(end) => end + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(end).unwrap_or((authority, ""));
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').unwrap_or(address);
        if address.parse::<Ipv6Addr>().is_err() {
            return Err(format!("`{address}` is not an IPv6 address"));
        }
    }
    if port.is_empty() {
        return Ok((host, None));
    }
    let number = port.strip_prefix(':').filter(|port| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        digits && !port.starts_with('0')
    });
    match number.and_then(|port| port.parse().ok()) {
        Some(port) => Ok((host, Some(port))),
        None => Err(format!(
            "`{}` is not a port, write a number from 1 to 65535",
            port.trim_start_matches(':')
        )),
    }
}

fn is_name(name: &str) -> Result<(), String> {
    if !name.is_ascii() {
        return Err("browsers send it in ASCII, write the name in its `xn--` form".into());
    }
    if name.contains('*') {
        return Err("a star is the whole first label, write \"https://*.example.com\"".into());
    }
    if name.split('.').all(is_label) {
        Ok(())
    } else {
        Err(format!("`{name}` is not the name of a host"))
    }
}

fn is_label(label: &str) -> bool {
    let is_part = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    !label.is_empty() && label.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(entries: &[&str]) -> (Origins, Vec<String>) {
        let (mut origins, mut problems) = (Origins::default(), Vec::new());
        origins.add(entries, &mut problems);
        (origins, problems)
    }

    #[test]
    fn an_origin_is_compared_as_a_whole() {
        let (origins, problems) = origins(&[
            "https://shop.example.com",
            "HTTPS://Admin.Example.com:443",
            " http://localhost:3000 ",
            "http://[::1]:8080",
            "http://127.0.0.1:80",
            "capacitor://localhost",
            "https://*.partner.example",
            "https://*.preview.example:8443",
        ]);
        assert_eq!(problems, [""; 0]);
        for (origin, listed) in [
            ("https://shop.example.com", true),
            ("https://admin.example.com", true),
            ("http://localhost:3000", true),
            ("http://[::1]:8080", true),
            ("http://127.0.0.1", true),
            ("capacitor://localhost", true),
            ("http://shop.example.com", false),
            ("https://shop.example.com:444", false),
            ("https://shop.example.com.evil.test", false),
            ("https://shop.example.co", false),
            ("https://shop.example.com/", false),
            ("https://SHOP.example.com", false),
            ("https://evil.test", false),
            ("null", false),
            ("*", false),
            ("", false),
            // Patterns.
            ("https://a.partner.example", true),
            ("https://b.a.partner.example", true),
            ("https://partner.example", false),
            ("https://.partner.example", false),
            ("https://a..partner.example", false),
            ("https://evilpartner.example", false),
            ("http://a.partner.example", false),
            ("https://a.partner.example:8443", false),
            ("https://evil.test/.partner.example", false),
            ("https://evil.test:1.partner.example", false),
            ("https://u@a.partner.example", false),
            ("https://evil.test#.partner.example", false),
            ("https://a.partner.example.evil.test", false),
            ("https://a.preview.example:8443", true),
            ("https://a.preview.example", false),
        ] {
            assert_eq!(origins.has(origin), listed, "{origin:?}");
        }
    }

    #[test]
    fn what_is_not_an_origin_is_named_with_its_fix() {
        let cases = [
            ("", "it is empty"),
            ("*", "write `Cors::any()` to allow every origin"),
            (
                "null",
                "documents of many sources share it, so it cannot be allowed",
            ),
            (
                "shop.test",
                "its scheme is missing, write \"https://shop.test\"",
            ),
            (
                "//shop.test",
                "its scheme is missing, write \"https://shop.test\"",
            ),
            ("ht tps://a", "`ht tps` is not a scheme, write `https`"),
            ("://a", "`` is not a scheme, write `https`"),
            (
                "https://shop.test/",
                "it ends after the host and the port, write \"https://shop.test\"",
            ),
            (
                "https://shop.test?x",
                "it ends after the host and the port, write \"https://shop.test\"",
            ),
            (
                "https://a:0",
                "`0` is not a port, write a number from 1 to 65535",
            ),
            (
                "https://a:99999",
                "`99999` is not a port, write a number from 1 to 65535",
            ),
            (
                "https://a:",
                "`` is not a port, write a number from 1 to 65535",
            ),
            ("https://[::g]", "`::g` is not an IPv6 address"),
            (
                "https://b\u{fc}cher.test",
                "browsers send it in ASCII, write the name in its `xn--` form",
            ),
            (
                "https://*",
                "a star is the whole first label, write \"https://*.example.com\"",
            ),
            (
                "https://shop-*.test",
                "a star is the whole first label, write \"https://*.example.com\"",
            ),
            (
                "https://*.*.test",
                "a star is the whole first label, write \"https://*.example.com\"",
            ),
            ("https://", "`` is not the name of a host"),
            ("https://u@a", "`u@a` is not the name of a host"),
            ("https://a.", "`a.` is not the name of a host"),
            (
                "https://a, https://b",
                "it ends after the host and the port, write \"https://a, https:\"",
            ),
        ];
        let (_, problems) = origins(&cases.map(|(entry, _)| entry));
        let expected = cases.map(|(entry, fix)| format!("{entry:?} is not an origin: {fix}"));
        assert_eq!(problems, expected);
    }
}
