//! How often a network may be wrong.

use std::{net::IpAddr, time::Duration};

use tokio::time::Instant;

use crate::expiring::Expiring;

/// A try comes back after this time, and so many may come at once.
const PAUSE: Duration = Duration::from_secs(6);
const AT_ONCE: u32 = 10;

/// How many networks are told apart; those beyond share one.
const MOST: usize = 10_000;

/// The tries of each network, as the time at which it has all of them again.
#[derive(Debug)]
pub(super) struct Patience(Expiring<Option<Network>, (), Instant>);

impl Default for Patience {
    fn default() -> Self {
        Self(Expiring::new(MOST))
    }
}

/// An IPv4 address, or the first half of an IPv6 address.
type Network = u64;

fn network(ip: Option<IpAddr>) -> Option<Network> {
    Some(match ip?.to_canonical() {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        // The first half of an address of the internet is above every IPv4 address.
        IpAddr::V6(ip) => u64::try_from(ip.to_bits() >> 64).unwrap_or_default(),
    })
}

/// A try, and the network that it was taken from. One beyond the table has it from the share of all such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken(Option<Network>);

impl Patience {
    /// Takes a try, or says how long there is none.
    pub(super) fn take(&mut self, ip: Option<IpAddr>, now: Instant) -> Result<Taken, Duration> {
        let mut key = network(ip);
        if self.0.end(&key).is_none() && !self.0.has_room(now) {
            key = None;
        }
        let full = self.0.end(&key).unwrap_or(now).max(now);
        let wait = (full + PAUSE).saturating_duration_since(now + PAUSE * AT_ONCE);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.0.put(key, (), full + PAUSE);
        Ok(Taken(key))
    }

    /// Gives a try back that was not wrong.
    pub(super) fn give_back(&mut self, taken: &Taken) {
        let full = self.0.end(&taken.0);
        if let Some(less) = full.and_then(|full| full.checked_sub(PAUSE)) {
            self.0.put(taken.0, (), less);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "a client may have no address")]
    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn ten_tries_and_then_one_every_six_seconds() {
        let mut patience = Patience::default();
        let now = Instant::now();
        for _ in 0..10 {
            assert!(patience.take(ip("192.0.2.1"), now).is_ok());
        }
        assert_eq!(patience.take(ip("::ffff:192.0.2.1"), now), Err(PAUSE));
        assert!(patience.take(ip("192.0.2.2"), now).is_ok());
        assert!(patience.take(ip("192.0.2.1"), now + PAUSE).is_ok());
        assert!(patience.take(ip("192.0.2.1"), now + PAUSE).is_err());
        patience.give_back(&Taken(network(ip("192.0.2.1"))));
        assert!(patience.take(ip("192.0.2.1"), now + PAUSE).is_ok());
        for _ in 0..10 {
            assert!(patience.take(ip("2001:db8::1"), now).is_ok());
        }
        assert!(
            patience.take(ip("2001:db8::2"), now).is_err(),
            "one network"
        );
        assert!(patience.take(None, now).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_so_many_networks_and_no_more() {
        let mut patience = Patience::default();
        let now = Instant::now();
        for number in 0..2 * u32::try_from(MOST).unwrap() {
            let _ = patience.take(Some(IpAddr::from(number.to_be_bytes())), now);
        }
        assert!(patience.0.len() <= MOST + 1);
        assert!(patience.take(ip("203.0.113.7"), now + PAUSE).is_ok());
    }
    #[tokio::test(start_paused = true)]
    async fn a_right_password_takes_nothing_of_what_networks_beyond_the_table_share() {
        let mut patience = Patience::default();
        let now = Instant::now();
        for number in 0..u32::try_from(MOST).unwrap() {
            let taken = patience.take(Some(IpAddr::from(number.to_be_bytes())), now);
            assert!(taken.is_ok());
        }
        for number in 0..100 {
            let taken = patience.take(Some(IpAddr::from([203, 0, 113, number])), now);
            patience.give_back(&taken.expect("it was given back each time"));
        }
    }
}
