//! URLs that DNS is asked about: of `dns(..)`, and of `srv(..)`.

use proc_macro2::{Delimiter, Group, Ident, TokenTree};

use super::{ast::Expr, url};
use crate::{
    diag::Flaw,
    vocab::{self, Slot},
};

/// The word and its brackets, if the expression is `dns(..)` or `srv(..)`, perhaps with options behind it.
pub(crate) fn of(expr: &Expr) -> Option<(&Ident, &Group)> {
    match expr.tokens.as_slice() {
        [TokenTree::Ident(word), TokenTree::Group(group), ..]
            if vocab::is(Slot::Discovery, &word.to_string())
                && group.delimiter() == Delimiter::Parenthesis =>
        {
            Some((word, group))
        }
        _ => None,
    }
}

/// The same with a text where the URL is missing, which has been reported.
pub(crate) fn whole(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    if of(&expr).is_some()
        && let [_, TokenTree::Group(group), ..] = expr.tokens.as_mut_slice()
        && group.stream().is_empty()
    {
        let mut copy = Group::new(Delimiter::Parenthesis, quote::quote!(""));
        copy.set_span(group.span());
        *group = copy;
    }
    expr
}

/// What is wrong with the URL in `word(..)`, if anything is; `tls` when the feature of that name is on.
pub(crate) fn flaw(word: &str, value: &str, tls: bool) -> Option<Flaw> {
    if value.starts_with("unix:") {
        return Some(told(
            value,
            value,
            "a Unix socket cannot be looked up in DNS",
            format!("write `cluster(rr, [\"{value}\"])`"),
        ));
    }
    if let Some(flaw) = url::upstream(value, tls) {
        return Some(flaw);
    }
    let (scheme, rest) = value.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) if !host.starts_with('[') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok() {
        return Some(told(
            value,
            authority,
            format!("`{authority}` is an address, which needs no DNS"),
            format!("write `cluster(rr, [\"{value}\"])`, or a DNS name"),
        ));
    }
    let bare = host.strip_suffix('.').unwrap_or(host);
    if let Some(label) = bare
        .split('.')
        .find(|label| label.is_empty() || label.len() > 63)
    {
        return Some(told(
            value,
            if label.is_empty() { host } else { label },
            format!("`{host}` is not a DNS name"),
            "each part between the dots has 1 to 63 letters, digits, `-` or `_`",
        ));
    }
    let of_service = is_of_service(host);
    match (word, of_service, port) {
        ("dns", true, _) => Some(told(
            value,
            host,
            format!("`{host}` is a service name, which has SRV records, not addresses"),
            format!("write `srv(\"{scheme}://{host}{path}\")`"),
        )),
        ("srv", false, _) => Some(told(
            value,
            host,
            format!("`{host}` is not a service name"),
            format!(
                "write `srv(\"{scheme}://_http._tcp.{host}{path}\")`, or `dns(\"{value}\")` for all addresses of the name"
            ),
        )),
        ("srv", true, Some(port)) => Some(told(
            value,
            &value[scheme.len() + 3 + host.len()..][..=port.len()],
            "unexpected port: the ports of a service come from DNS",
            format!("write `srv(\"{scheme}://{host}{path}\")`"),
        )),
        _ => None,
    }
}

/// Whether it is like `_http._tcp.users.internal`.
fn is_of_service(host: &str) -> bool {
    let mut labels = host.splitn(3, '.');
    let mut underscored = || labels.next().is_some_and(|label| label.starts_with('_'));
    underscored() && underscored() && labels.next().is_some_and(|rest| !rest.is_empty())
}

/// A flaw of `part`, which is a part of `value`.
fn told(value: &str, part: &str, message: impl Into<String>, help: impl Into<String>) -> Flaw {
    let start = value.find(part).unwrap_or(0);
    Flaw {
        at: start..start + part.len(),
        message: message.into(),
        help: help.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_services_have_no_flaw() {
        for (word, url) in [
            ("dns", "http://users:8080"),
            ("dns", "http://users.internal./base"),
            ("srv", "http://_http._tcp.users.internal"),
            ("srv", "http://_grpc._tcp.users/base"),
        ] {
            assert_eq!(flaw(word, url, false), None, "{url}");
        }
    }

    #[test]
    fn each_flaw_has_the_form_to_write() {
        let cases = [
            (
                "dns",
                "users:8080",
                "users",
                "write `\"http://users:8080\"`",
            ),
            ("dns", "ftp://users", "ftp", "write `\"http://users\"`"),
            ("dns", "https://users", "https", "tls"),
            ("dns", "http://users/../x", "..", "the resolved path"),
            (
                "dns",
                "unix:/run/a.sock",
                "unix:/run/a.sock",
                "write `cluster(rr, [\"unix:/run/a.sock\"])`",
            ),
            (
                "dns",
                "http://10.0.0.1:80",
                "10.0.0.1:80",
                "write `cluster(rr, [\"http://10.0.0.1:80\"])`",
            ),
            (
                "dns",
                "http://[::1]:80",
                "[::1]:80",
                "write `cluster(rr, [\"http://[::1]:80\"])`",
            ),
            ("dns", "http://a..b", "a..b", "1 to 63"),
            (
                "dns",
                "http://_http._tcp.users:80/x",
                "_http._tcp.users",
                "write `srv(\"http://_http._tcp.users/x\")`",
            ),
            (
                "srv",
                "http://users:80",
                "users",
                "write `srv(\"http://_http._tcp.users\")`",
            ),
            (
                "srv",
                "http://_http.users",
                "_http.users",
                "_http._tcp._http.users",
            ),
            (
                "srv",
                "http://_http._tcp.users:80/x",
                ":80",
                "write `srv(\"http://_http._tcp.users/x\")`",
            ),
        ];
        for (word, url, at, help) in cases {
            let flaw = flaw(word, url, false).unwrap_or_else(|| panic!("{url}"));
            assert!(flaw.help.contains(help), "{url}: {}", flaw.help);
            if url.contains("://") {
                assert_eq!(&url[flaw.at], at, "{url}");
            }
        }
    }
}
