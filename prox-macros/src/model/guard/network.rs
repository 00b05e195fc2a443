//! Networks in CIDR notation.

use std::net::IpAddr;

use crate::{diag::Flaw, syntax::url::no_address};

/// A network: all addresses that begin with the same bits. IPv4 and IPv6 have nothing in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `10.0.0.0/8`, or one address.
    pub(crate) fn parse(text: &str) -> Result<Self, Flaw> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let flaw = |at, message: String, help: String| Err(Flaw { at, message, help });
        if let Some((at, help)) = no_address(address) {
            return flaw(at, format!("`{address}` is not an IP address"), help);
        }
        let Ok(base) = address.parse::<IpAddr>() else {
            return flaw(
                0..address.len(),
                format!("`{address}` is not an IP address"),
                String::from(
                    "write a network such as `\"10.0.0.0/8\"` or `\"2001:db8::/32\"`, or one address",
                ),
            );
        };
        let most = width(base);
        let bits = match bits {
            None => most,
            Some(digits) => {
                let number = digits.parse().ok().filter(|bits| *bits <= most);
                match number.filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit())) {
                    Some(bits) => bits,
                    None => {
                        return flaw(
                            address.len() + 1..text.len(),
                            format!("`{digits}` is not a prefix length"),
                            format!("write a number of bits from 0 to {most}"),
                        );
                    }
                }
            }
        };
        let network = Self { base, bits }.masked();
        if network.base != base {
            return flaw(
                0..text.len(),
                format!("`{text}` has bits set after its prefix"),
                format!(
                    "write `\"{}/{bits}\"` for the network, or `\"{base}\"` for one address",
                    network.base
                ),
            );
        }
        match base {
            IpAddr::V6(ip) if bits >= 96 && ip.to_ipv4_mapped().is_some() => {
                let v4 = ip
                    .to_ipv4_mapped()
                    .map_or_else(String::new, |ip| ip.to_string());
                flaw(
                    0..text.len(),
                    String::from("IPv4 clients never have an IPv4-mapped IPv6 address here"),
                    format!("write `\"{v4}/{}\"`", bits - 96),
                )
            }
            _ => Ok(network),
        }
    }

    pub(crate) fn bits(self) -> u32 {
        self.bits
    }

    /// An address in it.
    pub(crate) fn example(self) -> IpAddr {
        self.base
    }

    fn masked(self) -> Self {
        let base = match self.base {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                IpAddr::from((ip.to_bits() & mask).to_be_bytes())
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                IpAddr::from((ip.to_bits() & mask).to_be_bytes())
            }
        };
        Self { base, ..self }
    }
}

fn width(base: IpAddr) -> u32 {
    if base.is_ipv4() { 32 } else { 128 }
}
