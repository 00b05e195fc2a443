//! Why something is dropped before its end.
//!
//! A request whose client leaves ends by being dropped, and so does one that the gateway cuts off. Whatever is told of it is told
//! by what is dropped. So the place that cuts says why for as long as it drops, on its own thread, and a request pays nothing
//! for it.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use crate::error::Failure;

thread_local! {
    static WHY: Cell<Option<Failure>> = const { Cell::new(None) };
}

/// Runs `drops`; what it drops [ends](why) for this reason.
pub(crate) fn because<R>(why: Option<Failure>, drops: impl FnOnce() -> R) -> R {
    let _before = Before(WHY.replace(why));
    drops()
}

/// Why what is being dropped has not come to its end; the client has left where nothing else is known.
pub(crate) fn why() -> Failure {
    if std::thread::panicking() {
        return Failure::Panicked;
    }
    // A thread that ends has dropped what is here.
    let why = WHY.try_with(Cell::get).ok().flatten();
    why.unwrap_or(Failure::ClientGone)
}

/// What holds again afterwards, even behind a panic.
struct Before(Option<Failure>);

impl Drop for Before {
    fn drop(&mut self) {
        let _ = WHY.try_with(|why| why.set(self.0));
    }
}

pin_project! {
    /// A task of a server. Only a runtime that ends drops it before its end, and then the gateway has ended.
    pub(crate) struct Task<F> {
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Task<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut future = this.project().future;
            because(Some(Failure::Drained), || future.set(None));
        }
    }
}

impl<F> Task<F> {
    pub(crate) fn new(future: F) -> Self {
        Self {
            future: Some(future),
        }
    }
}

impl<F: Future<Output = ()>> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut future = self.project().future;
        if let Some(running) = future.as_mut().as_pin_mut() {
            ready!(running.poll(cx));
            future.set(None);
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_holds_as_long_as_it_is_said() {
        assert_eq!(why(), Failure::ClientGone);
        because(Some(Failure::Drained), || {
            assert_eq!(why(), Failure::Drained);
            because(None, || assert_eq!(why(), Failure::ClientGone));
            assert_eq!(why(), Failure::Drained);
        });
        assert_eq!(why(), Failure::ClientGone);
    }
}
