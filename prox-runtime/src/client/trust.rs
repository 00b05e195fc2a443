//! Whose word is taken: the proxies that stand before this one.

use std::net::IpAddr;

use crate::network::Network;

/// What the word `private` stands for: the networks that the internet does not route (RFC 1918, RFC 4193), and loopback.
const PRIVATE: [&str; 6] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "::1",
];

/// A set of addresses, and whether those that have none belong to it: who comes through a Unix socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    networks: Vec<Network>,
    unix: bool,
}

impl Trust {
    /// Reads networks, addresses, `private` and `unix:`.
    ///
    /// # Errors
    ///
    /// Each entry that is none of these, and what to write.
    pub(crate) fn read<E: AsRef<str>>(
        entries: impl IntoIterator<Item = E>,
    ) -> Result<Self, Vec<String>> {
        let mut trust = Self::default();
        let mut problems = Vec::new();
        for entry in entries {
            match entry.as_ref().trim() {
                "private" => trust
                    .networks
                    .extend(PRIVATE.iter().filter_map(|text| Network::parse(text))),
                "unix:" => trust.unix = true,
                text => match Network::parse(text) {
                    Some(network) => trust.networks.push(network),
                    None => problems.push(format!("{text:?} is no network: {}", fix(text))),
                },
            }
        }
        if problems.is_empty() {
            Ok(trust)
        } else {
            Err(problems)
        }
    }

    /// Whether the word of this peer is taken; nothing is the address of who comes through a Unix socket.
    pub(crate) fn has(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(ip) => self.networks.iter().any(|network| network.contains(ip)),
            None => self.unix,
        }
    }
}

/// What to write instead of an entry that is none.
fn fix(text: &str) -> String {
    let written = text.split_once('/').and_then(|(address, bits)| {
        let address: IpAddr = address.parse().ok()?;
        let bits: u32 = bits.parse().ok()?;
        let base: IpAddr = match address {
            IpAddr::V4(ip) => (ip.to_bits()
                & u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0))
            .to_be_bytes()
            .into(),
            IpAddr::V6(ip) => (ip.to_bits()
                & u128::MAX
                    .checked_shl(128_u32.checked_sub(bits)?)
                    .unwrap_or(0))
            .to_be_bytes()
            .into(),
        };
        Some(format!("{base}/{bits}"))
    });
    match written {
        Some(network) if Network::parse(&network).is_some() => {
            format!("bits are set behind its prefix, write {network:?}")
        }
        _ => "write an address, a network such as \"10.0.0.0/8\", \"private\" or \"unix:\"".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(entries: &[&str], peer: &str) -> bool {
        Trust::read(entries)
            .unwrap()
            .has(Some(peer.parse().unwrap()))
    }

    #[test]
    fn networks_addresses_and_words_are_read() {
        assert!(has(&["10.0.0.0/8", "::1"], "10.9.9.9"));
        assert!(has(&["10.0.0.0/8", "::1"], "::1"));
        assert!(!has(&["10.0.0.0/8", "::1"], "11.0.0.1"));
        assert!(has(&[" private "], "192.168.7.7") && has(&["private"], "fd00::1"));
        assert!(!has(&["private"], "8.8.8.8"));
    }

    #[test]
    fn who_comes_through_a_unix_socket_is_trusted_by_that_word_alone() {
        assert!(Trust::read(["unix:"]).unwrap().has(None));
        assert!(!Trust::read(["0.0.0.0/0", "::/0"]).unwrap().has(None));
        assert!(!has(&["unix:"], "127.0.0.1"));
    }

    #[test]
    fn every_wrong_entry_is_named_with_what_to_write() {
        let problems = Trust::read([
            "10.0.0.1/8",
            "::1",
            "2001:db8::1/32",
            "lb.local",
            "10.0.0.0/33",
            "",
        ])
        .unwrap_err();
        assert_eq!(problems.len(), 5, "{problems:#?}");
        assert!(
            problems[0].ends_with("bits are set behind its prefix, write \"10.0.0.0/8\""),
            "{problems:#?}"
        );
        assert!(
            problems[1].ends_with("write \"2001:db8::/32\""),
            "{problems:#?}"
        );
        assert!(
            problems[2].starts_with("\"lb.local\" is no network: write an address"),
            "{problems:#?}"
        );
    }
}
