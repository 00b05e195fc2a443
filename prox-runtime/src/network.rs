//! A range of addresses, in CIDR notation.

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

#[cfg(test)]
mod tests {
    use super::*;

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
