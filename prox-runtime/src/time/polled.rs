//! The time within one poll of a task: the clock is read once for all that happens at the end of a request.

use std::cell::Cell;

use tokio::time::Instant;

thread_local! {
    static KNOWN: Cell<Known> = const { Cell::new(Known::Elsewhere) };
}

/// What is known of the time of the poll that runs on this thread.
#[derive(Clone, Copy)]
enum Known {
    /// No poll has begun that reads the clock once.
    Elsewhere,
    Unread,
    At(Instant),
}

/// A poll of a task, until it is dropped.
#[derive(Debug)]
#[must_use = "the poll ends when this is dropped"]
pub(crate) struct Poll(());

impl Poll {
    pub(crate) fn begin() -> Self {
        KNOWN.set(Known::Unread);
        Self(())
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        KNOWN.set(Known::Elsewhere);
    }
}

/// The time now, which is that of the rest of this poll.
pub(crate) fn read() -> Instant {
    let time = Instant::now();
    if !matches!(KNOWN.get(), Known::Elsewhere) {
        KNOWN.set(Known::At(time));
    }
    time
}

/// The time now, or some microseconds ago: when this poll has asked for it first. It is the time now where no poll has begun.
pub(crate) fn now() -> Instant {
    match KNOWN.get() {
        Known::At(time) => time,
        Known::Unread | Known::Elsewhere => read(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_poll_has_one_time() {
        let later = || tokio::time::advance(Duration::from_secs(1));
        let start = Instant::now();
        later().await;
        assert_eq!((now() - start).as_secs(), 1);
        let poll = Poll::begin();
        assert_eq!((now() - start).as_secs(), 1);
        later().await;
        assert_eq!((now() - start).as_secs(), 1);
        assert_eq!((read() - start).as_secs(), 2);
        later().await;
        assert_eq!((now() - start).as_secs(), 2);
        drop(poll);
        assert_eq!((now() - start).as_secs(), 3);
        let _next = Poll::begin();
        later().await;
        assert_eq!((now() - start).as_secs(), 4);
    }
}
