//! Which hosts a certificate is for (RFC 6125, 6.4; RFC 9110, 4.3.4).

use std::net::IpAddr;

/// The names of one certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// In lower case; the first label may be `*`.
    pub(super) hosts: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
}

impl Names {
    /// The first of them, for people.
    #[cfg(feature = "tls")]
    pub(super) fn first(&self) -> String {
        let address = || self.addresses.first().map(ToString::to_string);
        self.hosts
            .first()
            .cloned()
            .or_else(address)
            .unwrap_or_default()
    }

    /// Whether the certificate is for this host: lower case, without port and trailing dot, an IPv6 address in brackets.
    pub(crate) fn cover(&self, host: &str) -> bool {
        let literal = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(address) = literal.parse::<IpAddr>() {
            return self.addresses.contains(&address.to_canonical());
        }
        self.hosts.iter().any(|name| is_for(name, host))
    }
}

/// A `*` stands for exactly one label.
fn is_for(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => name == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            hosts: vec!["shop.example.com".into(), "*.tenants.example.com".into()],
            addresses: vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        }
    }

    #[test]
    fn a_star_covers_one_label_and_no_more() {
        for host in ["shop.example.com", "a.tenants.example.com"] {
            assert!(names().cover(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "a.shop.example.com",
            "tenants.example.com",
            ".tenants.example.com",
            "a.b.tenants.example.com",
            "*.example.com",
        ] {
            assert!(!names().cover(host), "{host}");
        }
    }

    #[test]
    fn addresses_are_compared_as_addresses() {
        for host in ["10.0.0.1", "[::1]", "[0:0::1]", "[::ffff:10.0.0.1]"] {
            assert!(names().cover(host), "{host}");
        }
        for host in ["10.0.0.2", "[::2]"] {
            assert!(!names().cover(host), "{host}");
        }
    }
}
