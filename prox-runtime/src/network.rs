//! Ranges of addresses, in CIDR notation.

use std::net::IpAddr;

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads an address, or one with a prefix length behind which no bit is set.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text
            .split_once('/')
            .map_or((text, None), |(a, b)| (a, Some(b)));
        let base: IpAddr = base.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
        };
        let host = match base {
            IpAddr::V4(ip) => ip.to_bits().checked_shl(bits).unwrap_or(0) != 0,
            IpAddr::V6(ip) => ip.to_bits().checked_shl(bits).unwrap_or(0) != 0,
        };
        // A client's address is never of the mapped form.
        let mapped = matches!(base, IpAddr::V6(ip) if bits >= 96 && ip.to_ipv4_mapped().is_some());
        (bits <= most && !host && !mapped).then_some(Self { base, bits })
    }

    /// The first address that it contains.
    pub(crate) fn first(self) -> IpAddr {
        self.base
    }

    /// The address behind the last one that it contains; nothing if there is none.
    pub(crate) fn behind(self) -> Option<IpAddr> {
        Some(match self.base {
            IpAddr::V4(base) => {
                let host = u32::MAX.checked_shr(self.bits).unwrap_or(0);
                IpAddr::V4((base.to_bits() | host).checked_add(1)?.into())
            }
            IpAddr::V6(base) => {
                let host = u128::MAX.checked_shr(self.bits).unwrap_or(0);
                IpAddr::V6((base.to_bits() | host).checked_add(1)?.into())
            }
        })
    }

    pub(crate) fn contains(self, ip: IpAddr) -> bool {
        match (self.base, ip) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                base.to_bits() & mask == ip.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                base.to_bits() & mask == ip.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// What the word `private` stands for: the networks that the internet does not route (RFC 1918, RFC 4193), and loopback.
const PRIVATE: [&str; 6] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "::1",
];

/// A list of networks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks(Vec<Network>);

impl Networks {
    /// Adds a network, an address, or those of the word `private`.
    ///
    /// # Errors
    ///
    /// What is wrong with the text and how to write it, or else `words`: what may be written there.
    pub(crate) fn add(&mut self, text: &str, words: &str) -> Result<(), String> {
        if text == "private" {
            let private = PRIVATE.iter().filter_map(|text| Network::parse(text));
            self.0.extend(private);
            return Ok(());
        }
        let network = Network::parse(text).ok_or_else(|| {
            let fix = fix(text).unwrap_or_else(|| words.to_owned());
            format!("{text:?} is not a network: {fix}")
        })?;
        self.0.push(network);
        Ok(())
    }

    pub(crate) fn contain(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(ip))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How to write what was nearly a network.
fn fix(text: &str) -> Option<String> {
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().ok()?;
    if let IpAddr::V6(ip) = address
        && let Some(ip) = ip.to_ipv4_mapped()
    {
        let network = match bits.parse::<u32>() {
            Ok(bits) => format!("{ip}/{}", bits.checked_sub(96)?),
            Err(_) => ip.to_string(),
        };
        Network::parse(&network)?;
        return Some(format!("mapped addresses count as IPv4, write {network:?}"));
    }
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
    let network = format!("{base}/{bits}");
    Network::parse(&network)?;
    Some(format!("bits are set behind its prefix, write {network:?}"))
}

/// Whether a host is this machine, so that no other machine is on the way.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>();
    address.map_or_else(
        |_| host.eq_ignore_ascii_case("localhost"),
        |address| address.to_canonical().is_loopback(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_a_network_is_told_how_to_be_one() {
        for (text, written) in [
            ("10.0.0.1/8", Some("10.0.0.0/8")),
            ("2001:db8::1/32", Some("2001:db8::/32")),
            ("::ffff:10.0.0.7", Some("10.0.0.7")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:10.0.0.0/64", None),
            ("10.0.0.0/33", None),
            ("lan", None),
            ("", None),
        ] {
            let problem = Networks::default()
                .add(text, "write something")
                .unwrap_err();
            let start = format!("{text:?} is not a network: ");
            let fix = problem.strip_prefix(&start).expect("the text is named");
            match written {
                Some(written) => {
                    let end = format!(", write {written:?}");
                    assert!(fix.ends_with(&end), "{problem}");
                }
                None => assert_eq!(fix, "write something"),
            }
        }
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let network = Network::parse("10.1.0.0/16").unwrap();
        assert!(network.contains("10.1.255.1".parse().unwrap()));
        assert!(!network.contains("10.2.0.1".parse().unwrap()));
        for wrong in [
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "::ffff:10.0.0.0/104",
            "x",
        ] {
            assert!(Network::parse(wrong).is_none(), "{wrong}");
        }
        for right in ["10.0.0.1", "0.0.0.0/0", "2001:db8::/32", "::/0", "::1"] {
            assert!(Network::parse(right).is_some(), "{right}");
        }
        let all = Network::parse("0.0.0.0/0").unwrap();
        assert!(all.contains("8.8.8.8".parse().unwrap()));
    }
}
