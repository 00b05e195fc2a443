//! Names of hosts: what may stand after `host`.

use crate::diag::Flaw;

/// A host that holds nothing bad.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HostName {
    /// This name, and no other.
    Exact(String),
    /// `*.suffix`, without the star and its dot: one label or more before it.
    Suffix(String),
}

/// Reads the name of a host, or says what is wrong with it.
pub(crate) fn parse(value: &str) -> Result<HostName, Flaw> {
    let flaw = |at: std::ops::Range<usize>, message: &str, help: String| {
        Err(Flaw {
            at,
            message: message.to_owned(),
            help,
        })
    };
    if value.is_empty() {
        return flaw(
            0..0,
            "empty host name",
            String::from("write `host _` for all other hosts"),
        );
    }
    if let Some((scheme, rest)) = value.split_once("://") {
        let host = rest.split(['/', ':', '?', '#']).next().unwrap_or_default();
        return flaw(
            0..scheme.len() + 3,
            "unexpected scheme in a host",
            format!("write `\"{host}\"`"),
        );
    }
    if let Some(at) = value.find(['/', '?', '#']) {
        let host = value.get(..at).unwrap_or_default();
        let path = value.get(at..).unwrap_or_default();
        return flaw(
            at..value.len(),
            "unexpected path in a host",
            format!("write `host \"{host}\" {{ \"{path}\" => .. }}`"),
        );
    }
    if value.starts_with('[') {
        return address(value);
    }
    if let Some((host, port)) = value.split_once(':') {
        return flaw(
            host.len()..value.len(),
            "unexpected port in a host: hosts match on every port",
            format!(
                "write `\"{host}\"`{}",
                if port.is_empty() {
                    ""
                } else {
                    "; the listening address is set on the server (`PORT`)"
                }
            ),
        );
    }
    if value == "_" {
        return flaw(
            0..1,
            "unexpected quotes around `_`",
            String::from("write `host _` for all other hosts"),
        );
    }
    if let Some(name) = value.strip_prefix('.') {
        return flaw(
            0..1,
            "unexpected `.` at the start of a host",
            format!("write `\"*.{name}\"` for its subdomains, or `\"{name}\"`"),
        );
    }
    if value == "*" {
        return flaw(
            0..1,
            "`*` alone is not a host",
            String::from("write `host _` for all other hosts, or `\"*.example.com\"`"),
        );
    }
    let (name, suffix) = match value.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (value, false),
    };
    if let Some(at) = name.find('*') {
        let at = at + value.len() - name.len();
        return flaw(
            at..at + 1,
            "`*` is allowed only as the first label of a host",
            String::from("write `\"*.example.com\"`"),
        );
    }
    name_flaws(value, value.len() - name.len())?;
    if let Some((at, help)) = super::url::no_address(value) {
        return Err(Flaw {
            at,
            message: format!("`{value}` is not an IP address"),
            help,
        });
    }
    let name = name.to_owned();
    Ok(if suffix {
        HostName::Suffix(name)
    } else {
        HostName::Exact(name)
    })
}

fn name_flaws(value: &str, start: usize) -> Result<(), Flaw> {
    let all = start..value.len();
    let flaw = |at, message: String, help: String| Err(Flaw { at, message, help });
    if let Some(at) = value.find(|c: char| !c.is_ascii()) {
        let end = value.rfind(|c: char| !c.is_ascii()).unwrap_or(at);
        let end = value
            .get(end..)
            .and_then(|s| s.chars().next())
            .map_or(end, |c| end + c.len_utf8());
        return flaw(
            at..end,
            String::from("an international host name must be punycode-encoded"),
            format!("write `\"{}\"`", super::punycode::encoded_host(value)),
        );
    }
    if let Some((Some(host), _)) = super::pattern::rule(value) {
        return flaw(
            all,
            String::from("expected a host name, found a rule"),
            format!("write `\"{host}\"`"),
        );
    }
    let names: Vec<&str> = value
        .split([' ', ','])
        .filter(|name| !name.is_empty())
        .collect();
    if names.len() > 1 && names.iter().all(|name| name.contains('.')) {
        return flaw(
            all,
            String::from("expected separate quotes around each host"),
            format!("write `host \"{}\"`", names.join("\" | \"")),
        );
    }
    if let Some(at) = value.find(|c: char| c.is_ascii_uppercase()) {
        return flaw(
            at..at + 1,
            String::from("a host must be in lower case; matching ignores case"),
            format!("write `\"{}\"`", value.to_ascii_lowercase()),
        );
    }
    if value.ends_with('.') {
        return flaw(
            value.len() - 1..value.len(),
            String::from("unexpected `.` at the end of a host: hosts match with and without it"),
            format!("write `\"{}\"`", value.trim_end_matches('.')),
        );
    }
    if value.len() > 253 {
        return flaw(
            all,
            format!(
                "host too long: expected at most 253 bytes, found {}",
                value.len()
            ),
            String::new(),
        );
    }
    let mut at = start;
    for label in value.get(start..).unwrap_or_default().split('.') {
        let place = at..at + label.len();
        at = place.end + 1;
        if label.is_empty() {
            return flaw(
                place.start.saturating_sub(1)..place.start + 1,
                String::from("empty label in a host"),
                String::from("write one `.` between two labels"),
            );
        }
        if label.len() > 63 {
            return flaw(
                place,
                format!(
                    "label too long: expected at most 63 bytes, found {}",
                    label.len()
                ),
                String::new(),
            );
        }
        let bad = |b: u8| !(b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if let Some(offset) = label.bytes().position(bad) {
            return flaw(
                place.start + offset..place.start + offset + 1,
                format!(
                    "`{}` is not allowed in a host",
                    label
                        .get(offset..)
                        .and_then(|s| s.chars().next())
                        .unwrap_or(' ')
                ),
                String::from("a host consists of letters, digits, `-`, `_` and `.`"),
            );
        }
        if label.starts_with('-') || label.ends_with('-') {
            return flaw(
                place,
                String::from("`-` is not allowed at the start or end of a label"),
                String::from("remove it"),
            );
        }
    }
    Ok(())
}

/// An IPv6 address in brackets, in the form in which clients send it.
fn address(value: &str) -> Result<HostName, Flaw> {
    let inner = value
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match inner.map(str::parse::<std::net::Ipv6Addr>) {
        Some(Ok(address)) if format!("[{address}]") == value => {
            Ok(HostName::Exact(value.to_owned()))
        }
        Some(Ok(address)) => Err(Flaw {
            at: 0..value.len(),
            message: String::from("an IP address must be in its shortest form"),
            help: format!("write `\"[{address}]\"`"),
        }),
        _ => Err(Flaw {
            at: 0..value.len(),
            message: String::from("malformed IPv6 address"),
            help: String::from("write `\"[2001:db8::1]\"`, without a port"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_hosts_are_kept() {
        let exact = |name: &str| Ok(HostName::Exact(name.to_owned()));
        assert_eq!(parse("api.example.com"), exact("api.example.com"));
        assert_eq!(parse("localhost"), exact("localhost"));
        assert_eq!(parse("127.0.0.1"), exact("127.0.0.1"));
        assert_eq!(parse("[::1]"), exact("[::1]"));
        assert_eq!(parse("*.a.b"), Ok(HostName::Suffix(String::from("a.b"))));
    }

    #[test]
    fn each_flaw_has_the_form_to_write() {
        let cases = [
            (
                "https://a.b/c",
                "unexpected scheme in a host",
                "write `\"a.b\"`",
            ),
            (
                "a.b/c",
                "unexpected path in a host",
                "write `host \"a.b\" { \"/c\" => .. }`",
            ),
            (
                "Api.example.com",
                "a host must be in lower case; matching ignores case",
                "write `\"api.example.com\"`",
            ),
            (
                "a.*.b",
                "`*` is allowed only as the first label of a host",
                "write `\"*.example.com\"`",
            ),
            (
                "a..b",
                "empty label in a host",
                "write one `.` between two labels",
            ),
            (
                "bücher.example",
                "an international host name must be punycode-encoded",
                "write `\"xn--bcher-kva.example\"`",
            ),
            (
                "a b",
                "` ` is not allowed in a host",
                "a host consists of letters, digits, `-`, `_` and `.`",
            ),
            (
                "a.b.",
                "unexpected `.` at the end of a host: hosts match with and without it",
                "write `\"a.b\"`",
            ),
            (
                "[0::1]",
                "an IP address must be in its shortest form",
                "write `\"[::1]\"`",
            ),
        ];
        for (host, message, help) in cases {
            let found = parse(host).unwrap_err();
            assert_eq!(
                (found.message.as_str(), found.help.as_str()),
                (message, help),
                "{host}"
            );
        }
        assert!(
            parse("a.b:80")
                .unwrap_err()
                .message
                .contains("unexpected port")
        );
        assert!(parse(&"a".repeat(64)).unwrap_err().message.contains("63"));
        assert!(parse(&"a.".repeat(130)).is_err());
        assert!(parse("*").unwrap_err().help.contains("host _"));
        assert!(parse("").is_err());
    }
}
