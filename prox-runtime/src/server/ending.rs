//! How a server ends: how long each step of it takes, said in code or by the environment.

use std::time::Duration;

use super::{Options, ServerVariables, good};
use crate::{error::Result, time::FOREVER};

/// What is waited for at SIGINT, which a person sends who waits.
pub(super) const OF_A_PERSON: Duration = Duration::from_millis(500);

/// What was said in code of the end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ending {
    pub(super) delay: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) timeout: Option<Duration>,
}

impl Ending {
    /// Puts it into the options; what the code does not say is what the environment says.
    ///
    /// # Errors
    ///
    /// All that is wrong with the variables.
    pub(super) fn settle(self, options: &mut Options, variables: &ServerVariables) -> Result {
        let mut problems = Vec::new();
        for (said, name, option) in [
            (self.delay, "SHUTDOWN_DELAY", &mut options.shutdown_delay),
            (self.idle, "DRAIN_IDLE", &mut options.drain_idle),
            (self.timeout, "DRAIN_TIMEOUT", &mut options.drain_timeout),
        ] {
            match said.map_or_else(|| variables.time(name), |said| Ok(Some(said))) {
                Ok(Some(time)) => *option = time.min(FOREVER),
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        good(&problems)
    }
}

/// When idle connections are closed, from the begin of the drain on.
///
/// They wait for their next request for `idle`, and are closed one by one within a second after it, so that their clients do not all
/// connect elsewhere at once. All of that has ended by the half of the drain, so that a request that crosses the close has time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    idle: Duration,
    spread: Duration,
}

impl Leaving {
    pub(super) fn new(idle: Duration, drain_timeout: Duration) -> Self {
        let half = drain_timeout / 2;
        let spread = Duration::from_secs(1).min(idle).min(half);
        Self {
            idle: idle.min(half.saturating_sub(spread)),
            spread,
        }
    }

    /// How long the connection of this number waits.
    pub(super) fn of(self, number: u64) -> Duration {
        /// The golden section of 2^16: multiples of it lie evenly in the circle.
        const STEP: u64 = 40_503;
        let place = u32::from((number.wrapping_mul(STEP) & 0xffff) as u16);
        self.idle + self.spread * place / 0x1_0000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vars::Env;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_code_wins_over_the_environment() {
        let env = Env::from([("SHUTDOWN_DELAY", "3s"), ("DRAIN_IDLE", " 250ms ")]);
        let variables = ServerVariables::new(env);
        let said = Ending {
            delay: Some(millis(1)),
            ..Ending::default()
        };
        let mut options = Options::default();
        said.settle(&mut options, &variables).unwrap();
        let times = |options: &Options| {
            [
                options.shutdown_delay,
                options.drain_idle,
                options.drain_timeout,
            ]
        };
        assert_eq!(times(&options), [millis(1), millis(250), millis(10_000)]);
        let none = ServerVariables::new(Env::empty());
        let mut options = Options::default();
        Ending::default().settle(&mut options, &none).unwrap();
        assert_eq!(times(&options), [millis(0), millis(5000), millis(10_000)]);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let env = Env::from([("DRAIN_IDLE", "5"), ("DRAIN_TIMEOUT", "-1s")]);
        let result = Ending::default().settle(&mut Options::default(), &ServerVariables::new(env));
        let error = format!("{:?}", result.unwrap_err());
        assert_eq!(error.lines().count(), 2, "{error}");
        assert!(error.contains("DRAIN_IDLE is \"5\": expected a number with a unit"));
    }

    #[test]
    fn idle_connections_leave_one_by_one_within_a_second_and_half_of_the_drain() {
        for (idle, timeout, first, last) in [
            (5000, 10_000, 4000, 5000),
            (5000, 60_000, 5000, 6000),
            (500, 10_000, 500, 1000),
            (60_000, 10_000, 4000, 5000),
            (5000, 1000, 0, 500),
            (0, 10_000, 0, 0),
            (5000, 0, 0, 0),
        ] {
            let leaving = Leaving::new(millis(idle), millis(timeout));
            let mut times: Vec<Duration> = (0..100).map(|number| leaving.of(number)).collect();
            times.sort_unstable();
            assert_eq!(times[0], millis(first), "{idle} {timeout}");
            assert!(times[99] <= millis(last), "{idle} {timeout}");
            let most = times
                .windows(2)
                .map(|pair| pair[1].saturating_sub(pair[0]))
                .max();
            let evenly = millis(last - first) / 40;
            assert!(most.unwrap() <= evenly, "{idle} {timeout}: {most:?}");
        }
    }
}
