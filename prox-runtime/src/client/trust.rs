//! Whose word is taken: the proxies that stand before this one.

use std::net::IpAddr;

use crate::network::Networks;

/// What may stand in a list of trusted proxies.
const WORDS: &str = "write an address, a network such as \"10.0.0.0/8\", \"private\" or \"unix:\"";

/// A set of addresses, and whether those that have none belong to it: who comes through a Unix socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    networks: Networks,
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
                "unix:" => trust.unix = true,
                text => problems.extend(trust.networks.add(text, WORDS).err()),
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
            Some(ip) => self.networks.contain(ip),
            None => self.unix,
        }
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
            problems[2].starts_with("\"lb.local\" is not a network: write an address"),
            "{problems:#?}"
        );
    }
}
