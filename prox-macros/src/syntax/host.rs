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
            "the name of the host is empty",
            String::from("write `host _` for every other host"),
        );
    }
    if let Some((scheme, rest)) = value.split_once("://") {
        let host = rest.split(['/', ':', '?', '#']).next().unwrap_or_default();
        return flaw(
            0..scheme.len() + 3,
            "a host has no scheme",
            format!("write `\"{host}\"`"),
        );
    }
    if let Some(at) = value.find(['/', '?', '#']) {
        let host = value.get(..at).unwrap_or_default();
        let path = value.get(at..).unwrap_or_default();
        return flaw(
            at..value.len(),
            "a host has no path",
            format!("write `host \"{host}\" {{ \"{path}\" => .. }}`"),
        );
    }
    if value.starts_with('[') {
        return address(value);
    }
    if let Some((host, port)) = value.split_once(':') {
        return flaw(
            host.len()..value.len(),
            "a host has no port: it is matched whatever the port is",
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
            "`_` in quotes is the name of a host",
            String::from("write `host _` for every other host"),
        );
    }
    if let Some(name) = value.strip_prefix('.') {
        return flaw(
            0..1,
            "a host starts with no dot",
            format!("write `\"*.{name}\"` for the hosts below it, or `\"{name}\"`"),
        );
    }
    if value == "*" {
        return flaw(
            0..1,
            "`*` alone is no host",
            String::from("write `host _` for every other host, or `\"*.example.com\"`"),
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
            "`*` stands for the first labels of a host only",
            String::from("write `\"*.example.com\"`"),
        );
    }
    name_flaws(value, value.len() - name.len())?;
    if let Some((at, help)) = super::url::no_address(value) {
        return Err(Flaw {
            at,
            message: format!("`{value}` is no IP address"),
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
            String::from("an international name is matched in its encoded form"),
            format!("write `\"{}\"`", super::punycode::encoded_host(value)),
        );
    }
    if let Some((Some(host), _)) = super::pattern::rule(value) {
        return flaw(
            all,
            String::from("a host is a name alone, and no rule"),
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
            String::from("each host stands in quotes of its own"),
            format!("write `host \"{}\"`", names.join("\" | \"")),
        );
    }
    if let Some(at) = value.find(|c: char| c.is_ascii_uppercase()) {
        return flaw(
            at..at + 1,
            String::from(
                "a host is written in lower case, and matched whatever the client's case is",
            ),
            format!("write `\"{}\"`", value.to_ascii_lowercase()),
        );
    }
    if value.ends_with('.') {
        return flaw(
            value.len() - 1..value.len(),
            String::from("a host has no dot at its end: it is matched with or without"),
            format!("write `\"{}\"`", value.trim_end_matches('.')),
        );
    }
    if value.len() > 253 {
        return flaw(
            all,
            format!("a host has at most 253 bytes, this has {}", value.len()),
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
                String::from("a host has no empty label"),
                String::from("write one `.` between two labels"),
            );
        }
        if label.len() > 63 {
            return flaw(
                place,
                format!(
                    "a label of a host has at most 63 bytes, this has {}",
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
                    "`{}` cannot be in a host",
                    label
                        .get(offset..)
                        .and_then(|s| s.chars().next())
                        .unwrap_or(' ')
                ),
                String::from("a host has letters, digits, `-`, `_` and `.`"),
            );
        }
        if label.starts_with('-') || label.ends_with('-') {
            return flaw(
                place,
                String::from("a label of a host neither starts nor ends with `-`"),
                String::from("take it away"),
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
            message: String::from("an address is written in its shortest form"),
            help: format!("write `\"[{address}]\"`"),
        }),
        _ => Err(Flaw {
            at: 0..value.len(),
            message: String::from("this is no IPv6 address in brackets"),
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
            ("https://a.b/c", "a host has no scheme", "write `\"a.b\"`"),
            (
                "a.b/c",
                "a host has no path",
                "write `host \"a.b\" { \"/c\" => .. }`",
            ),
            (
                "Api.example.com",
                "a host is written in lower case, and matched whatever the client's case is",
                "write `\"api.example.com\"`",
            ),
            (
                "a.*.b",
                "`*` stands for the first labels of a host only",
                "write `\"*.example.com\"`",
            ),
            (
                "a..b",
                "a host has no empty label",
                "write one `.` between two labels",
            ),
            (
                "bücher.example",
                "an international name is matched in its encoded form",
                "write `\"xn--bcher-kva.example\"`",
            ),
            (
                "a b",
                "` ` cannot be in a host",
                "a host has letters, digits, `-`, `_` and `.`",
            ),
            (
                "a.b.",
                "a host has no dot at its end: it is matched with or without",
                "write `\"a.b\"`",
            ),
            (
                "[0::1]",
                "an address is written in its shortest form",
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
        assert!(parse("a.b:80").unwrap_err().message.contains("no port"));
        assert!(parse(&"a".repeat(64)).unwrap_err().message.contains("63"));
        assert!(parse(&"a.".repeat(130)).is_err());
        assert!(parse("*").unwrap_err().help.contains("host _"));
        assert!(parse("").is_err());
    }
}
