//! Whether the process stood still: it was stopped, had no CPU for a while, or a handler blocked its thread.
//!
//! Then what runs out of time in it says nothing of others. It is seen by timers that go off late.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// A timer that goes off later than this has stood still.
const LATE: Duration = Duration::from_secs(2);

/// How often the time is looked at while work goes on.
const TICK: Duration = Duration::from_millis(500);

/// Whether a timer for this time goes off so late that the process stood still.
pub(crate) fn is_late(due: Instant, now: Instant) -> bool {
    now.saturating_duration_since(due) > LATE
}

/// Awaits some work, and says whether the process stood still meanwhile.
///
/// # Cancel safety
///
/// As that of the work.
pub(crate) async fn watched<F: Future>(work: F) -> (F::Output, bool) {
    let mut due = Instant::now() + TICK;
    let (mut work, mut tick) = (pin!(work), pin!(sleep_until(due)));
    let mut stood = false;
    poll_fn(|cx| {
        loop {
            // Before the work, so that what is ready only now counts as late.
            let now = Instant::now();
            stood |= is_late(due, now);
            if tick.as_mut().poll(cx).is_pending() {
                break;
            }
            due = now + TICK;
            tick.as_mut().reset(due);
        }
        work.as_mut().poll(cx).map(|output| (output, stood))
    })
    .await
}

/// Does some work, and does it anew if it failed while the process stood still.
pub(crate) async fn done<T, E, F>(mut work: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    loop {
        match watched(work()).await {
            (Err(_), true) => {}
            (result, _) => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn work_that_takes_long_has_not_stood_still() {
        assert_eq!(watched(sleep(60 * SECOND)).await, ((), false));
        assert_eq!(watched(async { 7 }).await, (7, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_of_time_is_seen_by_what_ends_with_it_and_behind_it() {
        for (jump, stands) in [(1, false), (3, true), (60, true)] {
            let stop = async {
                advance(SECOND * jump).await;
                sleep(SECOND).await;
            };
            assert_eq!(watched(stop).await.1, stands, "{jump}");
            let limited = timeout(SECOND / 2, async {
                advance(SECOND * jump).await;
                std::future::pending::<()>().await;
            });
            let (result, stood) = watched(limited).await;
            assert_eq!((result.is_err(), stood), (true, stands), "{jump}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_in_a_standstill_is_done_anew_and_other_failures_count() {
        let mut times = 0;
        let result: Result<(), u32> = done(|| {
            times += 1;
            let number = times;
            async move {
                if number < 3 {
                    advance(SECOND * 5).await;
                }
                Err(number)
            }
        })
        .await;
        assert_eq!(result, Err(3));
        let mut times = 0;
        let result: Result<u32, ()> = done(|| {
            times += 1;
            let number = times;
            async move {
                advance(SECOND * 5).await;
                Ok(number)
            }
        })
        .await;
        assert_eq!(result, Ok(1));
    }
}
