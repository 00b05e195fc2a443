//! URLs in literals: of upstreams, and of expectations.

use std::ops::Range;

use crate::diag::{Flaw, shown};

/// What is wrong with the URL of an upstream, if anything is; `tls` when the feature of that name is on.
pub(crate) fn upstream(value: &str, tls: bool) -> Option<Flaw> {
    if let Some(flaw) = super::socket::elsewhere(value) {
        return Some(flaw);
    }
    if let Some(place) = value.strip_prefix("unix:") {
        return super::socket::flaw(place);
    }
    if let Some(at) = value.find("${") {
        return Some(flaw(
            at..value.len(),
            "variables are not inserted into a URL",
            String::from("declare `env UPSTREAM: Endpoint;`, and write `cluster(rr, [UPSTREAM])`"),
        ));
    }
    if let Some((url, weight)) = value.split_once(" weight=") {
        return Some(flaw(
            url.len()..value.len(),
            "the weight of an endpoint comes after its quotes",
            format!("write `\"{url}\".weight({weight})`"),
        ));
    }
    if let Some(at) = value.find([',', ' ', ';'])
        && let Some(second) = value.get(at + 1..).filter(|rest| !rest.trim().is_empty())
        && value.starts_with("http")
    {
        let first = value.get(..at).unwrap_or_default();
        let second = second
            .split([',', ' ', ';'])
            .map(str::trim)
            .filter(|url| !url.is_empty());
        let all: Vec<String> = [first]
            .into_iter()
            .chain(second)
            .map(|url| format!("\"{url}\""))
            .collect();
        if all.iter().all(|url| url.contains("://")) {
            return Some(flaw(
                at..value.len(),
                "unexpected second URL in one string: several endpoints are a cluster",
                format!("write `cluster(rr, [{}])`", all.join(", ")),
            ));
        }
    }
    let Some((scheme, rest)) = value.split_once("://") else {
        return Some(no_scheme(value));
    };
    let start = scheme.len() + 3;
    match scheme {
        "http" => {}
        "https" if tls => {}
        "https" => {
            return Some(flaw(
                0..5,
                "an `https` upstream needs the feature `tls`",
                format!(
                    "write `prox = {{ .., features = [\"tls\"] }}` in Cargo.toml (`cargo add prox --features tls`), or \
                     `\"http://{rest}\"` if the upstream speaks plain HTTP"
                ),
            ));
        }
        _ => {
            return Some(flaw(
                0..scheme.len(),
                format!("unknown scheme `{scheme}`"),
                format!("write `\"http://{rest}\"`"),
            ));
        }
    }
    if let Some(at) = rest.find(['?', '#']) {
        let what = if rest.get(at..).is_some_and(|s| s.starts_with('?')) {
            "query"
        } else {
            "fragment"
        };
        return Some(flaw(
            start + at..value.len(),
            format!("unexpected {what} in the URL of an upstream"),
            format!(
                "write `\"{scheme}://{}\"`",
                rest.get(..at).unwrap_or_default()
            ),
        ));
    }
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    authority_flaw(scheme, authority, path, start).or_else(|| path_flaw(path, start + end))
}

fn no_scheme(value: &str) -> Flaw {
    let scheme = ["http:", "https:"]
        .into_iter()
        .find(|scheme| value.starts_with(scheme));
    let rest = value.trim_start_matches(|c: char| scheme.is_some() && c != ':');
    let rest = rest.trim_start_matches([':', '/']);
    let rest = if rest.is_empty() {
        "127.0.0.1:8080"
    } else {
        rest
    };
    Flaw {
        at: 0..scheme.map_or(0, str::len),
        message: String::from("the URL of an upstream must start with `http://`"),
        help: if scheme.is_none()
            && value.bytes().all(|b| b.is_ascii_alphabetic() || b == b' ')
            && !value.is_empty()
        {
            format!("write `\"http://{rest}\"`, or `respond(200, \"{value}\")` for a fixed answer")
        } else {
            format!("write `\"http://{rest}\"`")
        },
    }
}

fn authority_flaw(scheme: &str, authority: &str, path: &str, start: usize) -> Option<Flaw> {
    let all = start..start + authority.len();
    if let Some((user, host)) = authority.rsplit_once('@') {
        return Some(flaw(
            start..start + user.len() + 1,
            "user and password are not allowed in the URL of an upstream",
            format!("write `\"{scheme}://{host}{path}\"`"),
        ));
    }
    let (host, port) = match authority.rfind(']') {
        Some(end) if authority.starts_with('[') => {
            let (host, after) = authority.split_at(end + 1);
            (host, after.strip_prefix(':'))
        }
        _ => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Some(flaw(
            all,
            "missing host in the URL of an upstream",
            String::from("write `\"http://127.0.0.1:8080\"`"),
        ));
    }
    if let Some(bad) = host_flaw(host, start) {
        return Some(bad);
    }
    if let Some(port) = port {
        let at = all.end - port.len()..all.end;
        let good = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        match port.parse::<u16>() {
            Ok(0) => {
                return Some(flaw(
                    at,
                    "port 0 cannot be reached",
                    String::from("write the port on which the upstream listens"),
                ));
            }
            Ok(_) if good => {}
            _ => {
                return Some(flaw(
                    at,
                    format!("`{port}` is not a port"),
                    String::from("a port is a number from 1 to 65535"),
                ));
            }
        }
    }
    None
}

fn host_flaw(host: &str, start: usize) -> Option<Flaw> {
    let at = start..start + host.len();
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').unwrap_or_default();
        return match address.parse::<std::net::Ipv6Addr>() {
            Ok(_) => None,
            Err(_) => Some(flaw(
                at,
                "malformed IPv6 address",
                String::from("write `\"http://[2001:db8::1]:8080\"`"),
            )),
        };
    }
    if let Some((part, help)) = no_address(host) {
        return Some(flaw(
            start + part.start..start + part.end,
            format!("`{host}` is not an IP address"),
            help,
        ));
    }
    let bad = host.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')));
    let bad = bad?;
    let character = host.get(bad..).and_then(|s| s.chars().next())?;
    if !character.is_ascii() {
        return Some(flaw(
            at,
            "an international host name must be punycode-encoded",
            format!("write `{}`", super::punycode::encoded_host(host)),
        ));
    }
    Some(flaw(
        start + bad..start + bad + 1,
        format!("`{character}` is not allowed in a host"),
        String::from("a host consists of letters, digits, `-`, `_` and `.`"),
    ))
}

/// What is wrong with a host of numbers alone, which no name can be: the part, and what to write.
pub(crate) fn no_address(host: &str) -> Option<(Range<usize>, String)> {
    let numbers = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !numbers || host.is_empty() || host.parse::<std::net::Ipv4Addr>().is_ok() {
        return None;
    }
    let mut start = 0;
    for number in host.split('.') {
        let at = start..start + number.len();
        start = at.end + 1;
        if number.len() > 1 && number.starts_with('0') {
            let plain = number.trim_start_matches('0');
            let plain = if plain.is_empty() { "0" } else { plain };
            return Some((at, format!("write `{plain}`, without leading zeros")));
        }
        if !number.is_empty() && number.parse::<u8>().is_err() {
            return Some((
                at,
                String::from("each number of an IPv4 address is from 0 to 255"),
            ));
        }
    }
    let all = 0..host.len();
    Some((
        all,
        String::from("an IPv4 address has four numbers: `10.0.0.1`"),
    ))
}

pub(super) fn path_flaw(path: &str, start: usize) -> Option<Flaw> {
    let mut at = start;
    for segment in path.split('/') {
        if matches!(segment, "." | "..") {
            return Some(flaw(
                at..at + segment.len(),
                format!("`{segment}` is not allowed as a segment in the URL of an upstream"),
                String::from("write the resolved path"),
            ));
        }
        at += segment.len() + 1;
    }
    let bad = path.find(|c: char| !c.is_ascii_graphic() || c == '\\' || c == '{' || c == '}')?;
    let character = path.get(bad..).and_then(|s| s.chars().next())?;
    let at = start + bad..start + bad + character.len_utf8();
    if matches!(character, '{' | '}') {
        return Some(flaw(
            at,
            "parameters are not allowed in the URL of an upstream",
            String::from("write `cluster(rr, [\"http://..\"]).rewrite(\"/path/{name}\")`"),
        ));
    }
    Some(flaw(
        at,
        format!("{} is not allowed unencoded in a URL", shown(character)),
        String::from("percent-encode it"),
    ))
}

fn flaw(at: Range<usize>, message: impl Into<String>, help: String) -> Flaw {
    Flaw {
        at,
        message: message.into(),
        help,
    }
}

/// The place of an upstream without a flaw, in one spelling for all that mean the same.
pub(crate) fn place(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        // Files have their names in upper and lower case.
        return value.trim_end_matches([':', '/']).to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    let port: u16 = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
    let host = host.strip_suffix('.').unwrap_or(host);
    let bare = host.trim_matches(['[', ']']);
    let host = match bare.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.to_ascii_lowercase(),
    };
    format!("{scheme}://{host} {port}{}", path.trim_end_matches('/'))
}

/// What an expectation asks for: the host, empty if there is none, the path and the query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: String,
}

/// Reads the URL of an expectation: absolute, or a path for the routes of every other host.
pub(crate) fn asked(value: &str) -> Result<Asked, Flaw> {
    let (authority, rest) = match value.split_once("://") {
        Some(("http" | "https", rest)) => {
            rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
        }
        Some((scheme, _)) => {
            return Err(Flaw {
                at: 0..scheme.len(),
                message: format!("unknown scheme `{scheme}`"),
                help: String::from("write `https://` or a path"),
            });
        }
        None if value.starts_with('/') => ("", value),
        None => {
            return Err(Flaw {
                at: 0..0,
                message: String::from("expected a URL with its scheme, or a path"),
                help: format!("write `\"https://{value}\"`, or a path such as `\"/v1\"`"),
            });
        }
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let start = value
        .find(path)
        .filter(|_| !path.is_empty())
        .unwrap_or(value.len());
    if let Some(mut flaw) = path_flaw(path, start) {
        // It is the URL of a request.
        flaw.message = flaw
            .message
            .replace("the URL of an upstream", "the URL of a request");
        if flaw.help.contains(".rewrite") {
            flaw.help = String::from("write a value instead, as in a request: `\"/users/7\"`");
        }
        return Err(flaw);
    }
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    // The name of a variable, whose value is the host, has upper case.
    let host = if host.starts_with('{') {
        host.to_owned()
    } else {
        host.to_ascii_lowercase()
    };
    Ok(Asked {
        host,
        path: if path.is_empty() {
            String::from("/")
        } else {
            path.to_owned()
        },
        query: query.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_upstreams_have_no_flaw() {
        for url in [
            "http://10.0.0.1:8080",
            "http://users",
            "http://users/base/x",
            "http://[::1]:80/",
        ] {
            assert_eq!(upstream(url, false), None, "{url}");
        }
    }

    /// The same table is held against what a gateway takes when it starts.
    #[test]
    fn one_place_has_many_spellings() {
        for line in include_str!("../../../tests/data/places.txt").lines() {
            let Some((verdict @ ("same" | "apart"), urls)) = line.split_once(' ') else {
                continue;
            };
            let (one, other) = urls.split_once(' ').unwrap();
            assert_eq!(place(one) == place(other), verdict == "same", "{urls}");
        }
    }

    #[test]
    fn each_flaw_has_the_form_to_write() {
        let cases = [
            (
                "10.0.0.1:80",
                "the URL of an upstream must start with `http://`",
                "write `\"http://10.0.0.1:80\"`",
            ),
            (
                "http:/a",
                "the URL of an upstream must start with `http://`",
                "write `\"http://a\"`",
            ),
            ("ftp://a", "unknown scheme `ftp`", "write `\"http://a\"`"),
            (
                "http://u:p@a/b",
                "user and password are not allowed in the URL of an upstream",
                "write `\"http://a/b\"`",
            ),
            (
                "http://a?b",
                "unexpected query in the URL of an upstream",
                "write `\"http://a\"`",
            ),
            (
                "http://a:0",
                "port 0 cannot be reached",
                "write the port on which the upstream listens",
            ),
            (
                "http://a:99999",
                "`99999` is not a port",
                "a port is a number from 1 to 65535",
            ),
            (
                "http://",
                "missing host in the URL of an upstream",
                "write `\"http://127.0.0.1:8080\"`",
            ),
            (
                "http://a/../b",
                "`..` is not allowed as a segment in the URL of an upstream",
                "write the resolved path",
            ),
        ];
        for (url, message, help) in cases {
            let found = upstream(url, false).unwrap();
            assert_eq!(
                (found.message.as_str(), found.help.as_str()),
                (message, help),
                "{url}"
            );
        }
        assert!(
            upstream("http://a/{id}", false)
                .unwrap()
                .help
                .contains("rewrite")
        );
    }

    #[test]
    fn https_is_a_mistake_without_its_feature_only() {
        let refused = upstream("https://a:8443", false).unwrap();
        assert_eq!(refused.at, 0..5);
        assert_eq!(
            refused.message,
            "an `https` upstream needs the feature `tls`"
        );
        assert!(refused.help.contains("features = [\"tls\"]"));
        assert!(refused.help.contains("`\"http://a:8443\"`"));
        assert_eq!(upstream("https://a:8443", true), None);
        // What else is wrong is said with the scheme that was written.
        let query = upstream("https://a?b", true).unwrap();
        assert_eq!(query.help, "write `\"https://a\"`");
    }

    #[test]
    fn an_expectation_has_a_host_or_a_path_alone() {
        let full = asked("https://Api.example.com:8443/v1?x=1#y").unwrap();
        assert_eq!(
            (full.host.as_str(), full.path.as_str(), full.query.as_str()),
            ("api.example.com", "/v1", "x=1")
        );
        assert_eq!(asked("https://a.b").unwrap().path, "/");
        assert_eq!(asked("/v1").unwrap().host, "");
        assert!(asked("a.b/v1").is_err());
        assert!(asked("/a/../b").is_err());
    }
}
