//! What is known of one name, and whether it has to be looked up: a state machine that is told the time.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::Instant;

/// How long an answer is used without asking again.
pub(super) const FRESH: Duration = Duration::from_secs(5);

/// How long the last good answer is used while the name cannot be looked up.
pub(super) const KEPT: Duration = Duration::from_hours(1);

/// How long a look-up is waited for where there is an older answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// How long a look-up is waited for where there is none; after that it has failed, whatever comes of it.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// How long nobody asks again after a failure, and after an answer whose addresses could not be connected to.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// How long an address that was no good is tried after all others.
pub(super) const SLIGHTED: Duration = Duration::from_secs(10);

/// What is to be done for who wants to connect to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Connect to these, in this order.
    Known(Vec<SocketAddr>),
    /// The name cannot be looked up, for this reason.
    Unknown(Arc<str>),
    /// A look-up is under way: ask again when it has ended, or at this time.
    Wait(Instant),
    /// Begin a look-up, and ask again.
    Begin,
}

/// Whether something is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The name cannot be looked up any more.
    Lost(Arc<str>),
    /// It can be again.
    Found,
}

/// What is known of one name. Its addresses have port 0.
#[derive(Debug, Default)]
pub(super) struct Entry {
    good: Option<Good>,
    /// The last failure, if no answer has come since.
    failed: Option<(Arc<str>, Instant)>,
    /// When the look-up that is under way has begun.
    began: Option<Instant>,
    /// Addresses that were no good, and until when that counts.
    slighted: HashMap<SocketAddr, Instant>,
    /// When somebody wanted it last.
    wanted: Option<Instant>,
}

#[derive(Debug)]
struct Good {
    addresses: Vec<SocketAddr>,
    at: Instant,
    /// Whether none of the addresses could be connected to.
    doubted: bool,
}

impl Good {
    fn is_fresh(&self, now: Instant) -> bool {
        let limit = if self.doubted { PAUSE } else { FRESH };
        now.saturating_duration_since(self.at) < limit
    }

    fn is_kept(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < KEPT
    }
}

impl Entry {
    /// Somebody wants to connect.
    pub(super) fn ask(&mut self, now: Instant) -> Ask {
        self.wanted = Some(now);
        if let Some(good) = &self.good
            && good.is_fresh(now)
        {
            return Ask::Known(self.order(&good.addresses, now));
        }
        let kept = self.good.as_ref().filter(|good| good.is_kept(now));
        let known = |good: &Good| Ask::Known(self.order(&good.addresses, now));
        if let Some(began) = self.began {
            let until = began + if kept.is_some() { PATIENCE } else { LIMIT };
            if now < until {
                return Ask::Wait(until);
            }
            return kept.map_or_else(|| Ask::Unknown(SILENT.into()), known);
        }
        if let Some((reason, at)) = &self.failed
            && now.saturating_duration_since(*at) < PAUSE
        {
            return kept.map_or_else(|| Ask::Unknown(Arc::clone(reason)), known);
        }
        self.began = Some(now);
        Ask::Begin
    }

    /// A look-up has ended.
    pub(super) fn answered(
        &mut self,
        answer: Result<Vec<SocketAddr>, Arc<str>>,
        now: Instant,
    ) -> Option<News> {
        self.began = None;
        match answer {
            Ok(addresses) => {
                self.slighted
                    .retain(|address, until| *until > now && addresses.contains(address));
                self.good = Some(Good {
                    addresses,
                    at: now,
                    doubted: false,
                });
                self.failed.take().map(|_| News::Found)
            }
            Err(reason) => {
                let news = self
                    .failed
                    .is_none()
                    .then(|| News::Lost(Arc::clone(&reason)));
                self.failed = Some((reason, now));
                news
            }
        }
    }

    /// A connection came about, and these addresses were no good.
    pub(super) fn slight(&mut self, losers: impl IntoIterator<Item = SocketAddr>, now: Instant) {
        let known = self.good.iter().flat_map(|good| &good.addresses);
        let known: Vec<SocketAddr> = known.copied().collect();
        for mut loser in losers {
            loser.set_port(0);
            if known.contains(&loser) {
                self.slighted.insert(loser, now + SLIGHTED);
            }
        }
    }

    /// None of the addresses could be connected to: they may be those of before.
    pub(super) fn doubt(&mut self) {
        if let Some(good) = &mut self.good {
            good.doubted = true;
        }
    }

    /// Whether a look-up is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.began.is_some()
    }

    /// When somebody wanted it last.
    pub(super) fn wanted(&self) -> Option<Instant> {
        self.wanted
    }

    /// As the resolver has it, but those that were no good come last.
    fn order(&self, addresses: &[SocketAddr], now: Instant) -> Vec<SocketAddr> {
        let is_slighted = |address: &&SocketAddr| {
            let until = self.slighted.get(*address);
            until.is_some_and(|until| *until > now)
        };
        let (last, first): (Vec<&SocketAddr>, Vec<&SocketAddr>) =
            addresses.iter().partition(is_slighted);
        first.into_iter().chain(last).copied().collect()
    }
}

/// Why a look-up that is still under way has failed.
const SILENT: &str = "the look-up has taken longer than 10 s";

#[cfg(test)]
mod tests {
    use super::*;

    const A: SocketAddr = address(1);
    const B: SocketAddr = address(2);

    const fn address(last: u8) -> SocketAddr {
        let ip = std::net::Ipv4Addr::new(192, 0, 2, last);
        SocketAddr::V4(std::net::SocketAddrV4::new(ip, 0))
    }

    const MS: Duration = Duration::from_millis(1);

    fn known(addresses: &[SocketAddr]) -> Ask {
        Ask::Known(addresses.to_vec())
    }

    fn wrong() -> Result<Vec<SocketAddr>, Arc<str>> {
        Err("no".into())
    }

    /// An entry that was answered with A and B, and the time of that.
    fn answered() -> (Entry, Instant) {
        let (mut entry, now) = (Entry::default(), Instant::now());
        assert_eq!(entry.ask(now), Ask::Begin);
        assert_eq!(entry.answered(Ok(vec![A, B]), now), None);
        (entry, now)
    }

    #[test]
    fn one_look_up_serves_all_who_come_meanwhile() {
        let (mut entry, now) = (Entry::default(), Instant::now());
        assert_eq!(entry.ask(now), Ask::Begin);
        assert_eq!(entry.ask(now + MS), Ask::Wait(now + LIMIT));
        assert_eq!(entry.ask(now + MS * 2), Ask::Wait(now + LIMIT));
        entry.answered(Ok(vec![A]), now + MS * 3);
        assert_eq!(entry.ask(now + MS * 3), known(&[A]));
    }

    #[test]
    fn an_answer_is_used_for_five_seconds() {
        let (mut entry, now) = answered();
        assert_eq!(entry.ask(now + FRESH - MS), known(&[A, B]));
        assert_eq!(entry.ask(now + FRESH), Ask::Begin);
        // Who comes now waits for a while, and takes the old one if nothing comes.
        let again = now + FRESH + PATIENCE;
        assert_eq!(entry.ask(now + FRESH), Ask::Wait(again));
        assert_eq!(entry.ask(again), known(&[A, B]));
        assert_eq!(entry.ask(again + LIMIT), known(&[A, B]));
        entry.answered(Ok(vec![B]), again + LIMIT);
        assert_eq!(entry.ask(again + LIMIT), known(&[B]));
    }

    #[test]
    fn the_last_good_answer_is_kept_for_an_hour_of_failures() {
        let (mut entry, now) = answered();
        let mut time = now + FRESH;
        let mut told = Vec::new();
        while time < now + KEPT {
            assert_eq!(entry.ask(time), Ask::Begin);
            told.extend(entry.answered(wrong(), time));
            assert_eq!(entry.ask(time), known(&[A, B]));
            assert_eq!(entry.ask(time + PAUSE - MS), known(&[A, B]));
            time += PAUSE;
        }
        assert_eq!(told, [News::Lost("no".into())]);
        assert_eq!(entry.ask(time), Ask::Begin);
        entry.answered(wrong(), time);
        assert_eq!(entry.ask(time), Ask::Unknown("no".into()));
        entry.ask(time + PAUSE);
        let news = entry.answered(Ok(vec![A]), time + PAUSE);
        assert_eq!(news, Some(News::Found));
    }

    #[test]
    fn a_failure_without_an_older_answer_is_the_answer_for_a_second() {
        let (mut entry, now) = (Entry::default(), Instant::now());
        assert_eq!(entry.ask(now), Ask::Begin);
        assert_eq!(entry.answered(wrong(), now), Some(News::Lost("no".into())));
        assert_eq!(entry.ask(now + PAUSE - MS), Ask::Unknown("no".into()));
        assert_eq!(entry.ask(now + PAUSE), Ask::Begin);
        assert_eq!(entry.answered(wrong(), now + PAUSE), None);
    }

    #[test]
    fn a_look_up_that_never_ends_has_failed_and_no_other_is_begun() {
        let (mut entry, now) = (Entry::default(), Instant::now());
        assert_eq!(entry.ask(now), Ask::Begin);
        assert_eq!(entry.ask(now + LIMIT), Ask::Unknown(SILENT.into()));
        assert_eq!(entry.ask(now + KEPT), Ask::Unknown(SILENT.into()));
        assert!(entry.is_busy());
    }

    #[test]
    fn an_address_that_was_no_good_comes_last_for_ten_seconds() {
        let (mut entry, now) = answered();
        let tried = SocketAddr::new(A.ip(), 8080);
        entry.slight([tried, address(99)], now);
        assert_eq!(entry.ask(now), known(&[B, A]));
        entry.ask(now + FRESH);
        entry.answered(Ok(vec![A, B]), now + FRESH);
        assert_eq!(entry.ask(now + FRESH), known(&[B, A]));
        assert_eq!(entry.ask(now + SLIGHTED - MS), known(&[B, A]));
        entry.ask(now + SLIGHTED);
        entry.answered(Ok(vec![A, B]), now + SLIGHTED);
        assert_eq!(entry.ask(now + SLIGHTED), known(&[A, B]));
        assert!(entry.slighted.is_empty());
    }

    #[test]
    fn an_answer_that_leads_nowhere_is_asked_for_again_but_not_all_the_time() {
        let (mut entry, now) = answered();
        entry.doubt();
        assert_eq!(entry.ask(now + PAUSE - MS), known(&[A, B]));
        assert_eq!(entry.ask(now + PAUSE), Ask::Begin);
        entry.answered(Ok(vec![B]), now + PAUSE);
        assert_eq!(entry.ask(now + PAUSE + FRESH - MS), known(&[B]));
    }
}
