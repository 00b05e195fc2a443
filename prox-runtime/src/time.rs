//! Clocks and timers that cost nothing on the common path.

pub(crate) mod polled;
pub(crate) mod standstill;

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    task::coop::unconstrained,
    time::{Instant, Sleep, sleep_until},
};

/// What a limit is cut to, so that adding it to a time cannot overflow.
pub(crate) const FOREVER: Duration = Duration::from_hours(24 * 365);

/// A time in nanoseconds, as far as 64 bits hold them: 584 years.
pub(crate) fn whole_nanos(time: Duration) -> u64 {
    let seconds = time.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(time.subsec_nanos().into())
}

/// A time in whole seconds, rounded up, as `Retry-After` has it.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    let more = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(more)
}

/// Reads a length of time as variables have it: `250ms`, `5s`, `2m` or `1h`.
///
/// # Errors
///
/// What is wrong with the text.
pub(crate) fn read(text: &str) -> Result<Duration, &'static str> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("expected a number with a unit: 250ms, 5s, 2m or 1h"),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(per_unit))
        .map(Duration::from_millis)
        .ok_or("the number before the unit is missing or too large")
}

/// A timer that is registered once in a while instead of once a request.
///
/// A deadline that moves on is only written down; the registered alarm goes off at the old time, sees that it was early,
/// and is set again. With a limit of 30 s that is one registration in 30 s, however many requests pass.
#[derive(Default)]
pub(crate) struct LazyTimer {
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whom the alarm wakes.
    wakes: Option<Waker>,
}

impl LazyTimer {
    /// Ready once `deadline` has passed; else the task is woken at the deadline, or some time before.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        } else if !alarm.is_elapsed()
            && let Some(wakes) = &self.wakes
            && wakes.will_wake(cx.waker())
        {
            return Poll::Pending;
        }
        // The cooperative budget must not keep the alarm from being registered.
        while pin!(unconstrained(alarm.as_mut())).poll(cx).is_ready() {
            if alarm.deadline() >= deadline || Instant::now() >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
        self.wakes = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl fmt::Debug for LazyTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyTimer")
            .field("alarm", &self.alarm.as_ref().map(|alarm| alarm.deadline()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_on_is_kept() {
        let start = Instant::now();
        let mut timer = LazyTimer::default();
        let first = start + Duration::from_secs(1);
        poll_fn(|cx| {
            assert!(timer.poll(cx, first).is_pending());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| timer.poll(cx, start + Duration::from_secs(5))).await;
        assert!(start.elapsed() >= Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_nearer_is_kept() {
        let start = Instant::now();
        let mut timer = LazyTimer::default();
        poll_fn(|cx| {
            assert!(
                timer
                    .poll(cx, start + Duration::from_hours(24))
                    .is_pending()
            );
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| timer.poll(cx, start + Duration::from_secs(2))).await;
        assert!(start.elapsed() < Duration::from_secs(3));
    }
}
