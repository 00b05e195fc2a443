//! Which address of a name is connected to: all of them race, and each starts a little after the one before (RFC 8305).

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// How long an attempt has the network to itself, before the next address is tried beside it (RFC 8305, 5).
pub(super) const HEAD_START: Duration = Duration::from_millis(250);

/// How many attempts are under way at a time; a name may have any number of addresses.
const MOST: usize = 16;

/// The first connection that comes about, and the addresses that were no good.
#[derive(Debug)]
pub(super) struct Won<T> {
    pub(super) connection: T,
    /// Those that failed before, or that did not answer within their head start.
    pub(super) losers: Vec<SocketAddr>,
}

/// Connects to one of these addresses; what the others have begun is dropped when the first is there.
///
/// # Errors
///
/// When none of them can be connected to, what the last has said.
pub(super) async fn first<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<Won<T>>
where
    F: Future<Output = io::Result<T>>,
{
    if let [only] = *addresses {
        let connection = connect(only).await?;
        return Ok(Won {
            connection,
            losers: Vec::new(),
        });
    }
    let mut race = Race::new(addresses);
    let mut attempts = Attempts::new();
    let mut alarm: Option<Pin<Box<Sleep>>> = None;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    poll_fn(|cx| {
        loop {
            while let Poll::Ready((address, result)) = attempts.poll(cx) {
                match result {
                    Ok(connection) => {
                        let losers = race.losers(address, Instant::now());
                        return Poll::Ready(Ok(Won { connection, losers }));
                    }
                    Err(error) => {
                        race.failed(address);
                        failure = error;
                    }
                }
            }
            match race.step(Instant::now()) {
                Step::Start(address) => attempts.add(address, connect(address)),
                Step::Wait => return Poll::Pending,
                Step::WaitUntil(at) => {
                    let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
                    if alarm.deadline() != at {
                        alarm.as_mut().reset(at);
                    }
                    if alarm.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
                Step::Over => {
                    let failure = std::mem::replace(&mut failure, io::ErrorKind::NotFound.into());
                    return Poll::Ready(Err(failure));
                }
            }
        }
    })
    .await
}

/// The attempts that are under way.
struct Attempts<F>(Vec<(SocketAddr, Pin<Box<F>>)>);

impl<T, F: Future<Output = io::Result<T>>> Attempts<F> {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn add(&mut self, address: SocketAddr, attempt: F) {
        self.0.push((address, Box::pin(attempt)));
    }

    /// The result of one that has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(SocketAddr, io::Result<T>)> {
        for place in 0..self.0.len() {
            let (address, attempt) = &mut self.0[place];
            if let Poll::Ready(result) = attempt.as_mut().poll(cx) {
                let address = *address;
                self.0.remove(place);
                return Poll::Ready((address, result));
            }
        }
        Poll::Pending
    }
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Begin to connect to this address.
    Start(SocketAddr),
    /// Nothing, until an attempt ends or this time has come.
    WaitUntil(Instant),
    /// Nothing, until an attempt ends.
    Wait,
    /// No attempt is left.
    Over,
}

/// The state of a race; the time is told by the caller.
#[derive(Debug)]
struct Race {
    waiting: VecDeque<SocketAddr>,
    /// Those under way, with the time at which they began.
    running: Vec<(SocketAddr, Instant)>,
    failed: Vec<SocketAddr>,
    /// When the next may start, unless all before it fail first.
    next: Option<Instant>,
}

impl Race {
    /// A race of these addresses, the first first.
    fn new(addresses: Vec<SocketAddr>) -> Self {
        Self {
            waiting: addresses.into(),
            running: Vec::new(),
            failed: Vec::new(),
            next: None,
        }
    }

    fn step(&mut self, now: Instant) -> Step {
        if self.running.len() >= MOST {
            return Step::Wait;
        }
        if let Some(next) = self.next
            && !self.waiting.is_empty()
            && now < next
        {
            return Step::WaitUntil(next);
        }
        match self.waiting.pop_front() {
            Some(address) => {
                self.running.push((address, now));
                self.next = Some(now + HEAD_START);
                Step::Start(address)
            }
            None if self.running.is_empty() => Step::Over,
            None => Step::Wait,
        }
    }

    /// An attempt has failed: the next need not wait for its time.
    fn failed(&mut self, address: SocketAddr) {
        self.running.retain(|(running, _)| *running != address);
        self.failed.push(address);
        self.next = None;
    }

    /// The addresses that were no good, now that one has won.
    fn losers(&self, winner: SocketAddr, now: Instant) -> Vec<SocketAddr> {
        let late = |began: Instant| now.saturating_duration_since(began) >= HEAD_START;
        let silent = self.running.iter();
        let silent = silent.filter(|(address, began)| *address != winner && late(*began));
        let silent = silent.map(|(address, _)| *address);
        self.failed.iter().copied().chain(silent).collect()
    }
}

/// The addresses in the order in which they are tried: that of the resolver (RFC 6724), with the families by turns
/// (RFC 8305, 4).
pub(super) fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let before = ordered.len();
        ordered.extend(first.next());
        ordered.extend(second.next());
        if ordered.len() == before {
            return ordered;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, future::pending};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], 80))
    }

    fn v6(host: u16) -> SocketAddr {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, host], 80))
    }

    /// What an address does, and after how long.
    #[derive(Clone, Copy)]
    enum Does {
        Accepts(u64),
        Refuses(u64),
        Swallows,
    }
    use Does::*;

    /// Who won or not, after how many milliseconds, who lost, and when each was begun.
    struct Outcome {
        winner: Result<u8, io::ErrorKind>,
        after: u128,
        losers: Vec<SocketAddr>,
        begun: Vec<(usize, u128)>,
    }

    /// Races addresses that do this.
    async fn run(script: &[Does]) -> Outcome {
        let start = Instant::now();
        let begun = RefCell::new(Vec::new());
        let addresses: Vec<_> = (0_u8..).take(script.len()).map(address).collect();
        let won = first(addresses.clone(), |to| {
            let place = addresses.iter().position(|one| *one == to).unwrap();
            begun
                .borrow_mut()
                .push((place, start.elapsed().as_millis()));
            let does = script[place];
            async move {
                match does {
                    Accepts(after) => {
                        tokio::time::sleep(MS * u32::try_from(after).unwrap()).await;
                        Ok(u8::try_from(place).unwrap())
                    }
                    Refuses(after) => {
                        tokio::time::sleep(MS * u32::try_from(after).unwrap()).await;
                        Err(io::ErrorKind::ConnectionRefused.into())
                    }
                    Swallows => pending().await,
                }
            }
        })
        .await;
        let after = start.elapsed().as_millis();
        let (winner, losers) = match won {
            Ok(won) => (Ok(won.connection), won.losers),
            Err(error) => (Err(error.kind()), Vec::new()),
        };
        Outcome {
            winner,
            after,
            losers,
            begun: begun.into_inner(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_has_a_head_start_and_the_others_are_left_alone_if_it_answers() {
        let outcome = run(&[Accepts(200), Accepts(0), Accepts(0)]).await;
        assert_eq!((outcome.winner, outcome.after), (Ok(0), 200));
        assert_eq!(outcome.begun, [(0, 0)]);
        assert_eq!(outcome.losers, []);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_swallows_packets_costs_a_quarter_of_a_second() {
        let outcome = run(&[Swallows, Accepts(10)]).await;
        assert_eq!(outcome.winner, Ok(1));
        assert!((260..270).contains(&outcome.after), "{}", outcome.after);
        assert_eq!(outcome.losers, [address(0)]);
        let outcome = run(&[Swallows, Swallows, Swallows, Accepts(10)]).await;
        assert_eq!(outcome.winner, Ok(3));
        assert!((760..770).contains(&outcome.after), "{}", outcome.after);
        assert_eq!(outcome.losers, [0, 1, 2].map(address));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_refuses_costs_nothing() {
        let outcome = run(&[Refuses(0), Refuses(5), Accepts(10)]).await;
        assert_eq!(outcome.winner, Ok(2));
        assert!((15..20).contains(&outcome.after), "{}", outcome.after);
        assert_eq!(outcome.losers, [0, 1].map(address));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_slow_may_still_win() {
        let outcome = run(&[Accepts(400), Accepts(400)]).await;
        assert_eq!((outcome.winner, outcome.after), (Ok(0), 400));
        assert_eq!(outcome.begun.len(), 2);
        // The second has had no more than 150 ms.
        assert_eq!(outcome.losers, []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_starts_the_next_though_others_are_under_way() {
        let outcome = run(&[Swallows, Refuses(10), Accepts(10)]).await;
        assert_eq!(outcome.winner, Ok(2));
        assert!((270..280).contains(&outcome.after), "{}", outcome.after);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_the_last_says_why() {
        let outcome = run(&[Refuses(0), Refuses(5)]).await;
        assert_eq!(outcome.winner, Err(io::ErrorKind::ConnectionRefused));
        assert!(outcome.after < 10);
        let outcome = run(&[Refuses(5)]).await;
        assert_eq!(outcome.winner, Err(io::ErrorKind::ConnectionRefused));
        assert_eq!(run(&[]).await.winner, Err(io::ErrorKind::NotFound));
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_are_silent_each_is_asked_and_nothing_ends() {
        let script = [Swallows; 5];
        let race = tokio::time::timeout(Duration::from_secs(3), run(&script));
        assert!(race.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_with_many_addresses_does_not_open_as_many_sockets() {
        let begun = RefCell::new(0);
        let addresses = (0..40).map(address).collect();
        let race = first(addresses, |_| {
            *begun.borrow_mut() += 1;
            pending::<io::Result<()>>()
        });
        assert!(
            tokio::time::timeout(Duration::from_mins(1), race)
                .await
                .is_err()
        );
        assert_eq!(begun.into_inner(), MOST);
    }

    #[test]
    fn the_families_come_by_turns_and_keep_their_order() {
        let addresses = vec![v6(1), v6(2), v6(3), address(1), address(2)];
        let ordered = [v6(1), address(1), v6(2), address(2), v6(3)];
        assert_eq!(by_turns(addresses), ordered);
        let addresses = vec![address(1), address(2), v6(1)];
        assert_eq!(by_turns(addresses), [address(1), v6(1), address(2)]);
        assert_eq!(by_turns(vec![address(1)]), [address(1)]);
        assert_eq!(by_turns(Vec::new()), []);
    }
}
