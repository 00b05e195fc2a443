//! A new process takes the listening sockets from the running one, so that no connection is lost when a gateway is replaced.
//!
//! The running process listens at the path of the hand-over (`give`). A new one connects there (`take`), gets a handle on each
//! listening socket, and waits until its gateway is ready. Then it accepts and says so, and the old one drains. A listening socket
//! is open in one of them at any time, so the kernel never resets its queue.

#[cfg(all(feature = "handover", target_os = "linux"))]
mod activation;
#[cfg(all(feature = "handover", target_os = "linux"))]
mod give;
#[cfg_attr(
    not(feature = "handover"),
    allow(
        dead_code,
        unreachable_pub,
        reason = "without the feature only the variable is read"
    )
)]
mod options;
#[cfg(all(feature = "handover", target_os = "linux"))]
mod reload;
mod sockets;
#[cfg(all(feature = "handover", target_os = "linux"))]
mod take;
#[cfg(all(feature = "handover", target_os = "linux"))]
mod takeover;
#[cfg(not(all(feature = "handover", target_os = "linux")))]
#[path = "unsupported.rs"]
mod takeover;
#[cfg(all(feature = "handover", target_os = "linux"))]
mod wire;

use std::{
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{mpsc, watch};

#[cfg_attr(
    not(feature = "handover"),
    allow(unreachable_pub, reason = "it is exported with the feature")
)]
pub use self::options::Handover;
pub(super) use self::{
    options::{Settled, settle},
    sockets::{Sockets, dealt},
    takeover::{Handing, Takeover},
};
use super::{
    admin,
    drain::{Drain, Shutdown},
    place::Place,
};
use crate::error::Result;

/// Adds the sockets that systemd has bound for this process.
///
/// # Errors
///
/// When one of them does not listen at an address or a path.
#[cfg(all(feature = "handover", target_os = "linux"))]
pub(super) fn activated(sockets: &mut Sockets) -> Result {
    activation::add(sockets)
}

/// Without the feature there are none.
#[cfg(not(all(feature = "handover", target_os = "linux")))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
pub(super) fn activated(_: &mut Sockets) -> Result {
    Ok(())
}

/// What another process has taken over from this one.
#[derive(Clone, Debug)]
pub(super) struct Given {
    places: Arc<[Place]>,
    /// How long the drain takes at most.
    timeout: Duration,
    /// True once the shutdown has come.
    hurry: watch::Receiver<bool>,
}

impl Given {
    /// Whether the other process listens on this place.
    pub(super) fn has(&self, place: &Place) -> bool {
        self.places.contains(place)
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Waits until the drain is to take no longer than any other.
    pub(super) fn hurried(&self) -> impl Future<Output = ()> + use<> {
        let mut hurry = self.hurry.clone();
        async move {
            if hurry.wait_for(|hurry| *hurry).await.is_err() {
                // No shutdown can come any more.
                pending::<()>().await;
            }
        }
    }
}

/// Shortens the drain after a hand-over.
#[derive(Debug)]
pub(super) struct Hurry(watch::Sender<bool>);

impl Hurry {
    /// Waits for the shutdown. From then on the drain takes no longer than any other.
    pub(super) async fn at(self, shutdown: Shutdown) {
        shutdown.await;
        tracing::info!(target: "prox", "ending sooner");
        self.0.send_replace(true);
    }
}

/// Done when the drain is to begin: `due` is, or another process has taken over. The admin listener ends if that process has its socket.
pub(super) async fn due(
    handing: Option<Handing>,
    due: impl Future<Output = Duration>,
    admin: Option<admin::Stop>,
) -> (Drain, Option<Hurry>) {
    let Some(handing) = handing else {
        return (Drain::from(due.await), None);
    };
    let (drain, hurry) = handing.or(due).await;
    if let (Some(given), Some(admin)) = (&drain.given, admin) {
        admin.stop_if(|place| given.has(place));
    }
    (drain, hurry)
}

/// When a listener may accept: at once, or once a [`Gate`] is open.
#[derive(Clone, Debug, Default)]
pub(super) struct Begin(Option<Waits>);

#[derive(Clone, Debug)]
struct Waits {
    open: watch::Receiver<bool>,
    /// Dropped when the listener accepts.
    _accepts: mpsc::Sender<()>,
}

impl Begin {
    /// Waits until the listener may accept.
    pub(super) async fn wait(self) {
        if let Some(mut waits) = self.0 {
            // A gate that is gone stays shut: the server ends.
            if waits.open.wait_for(|open| *open).await.is_err() {
                pending::<()>().await;
            }
        }
    }
}

/// Holds listeners back until a new process is ready.
#[cfg_attr(
    not(all(feature = "handover", target_os = "linux")),
    allow(dead_code, reason = "all accept at once")
)]
#[derive(Debug)]
struct Gate {
    open: watch::Sender<bool>,
    accepting: mpsc::Receiver<()>,
    begin: Begin,
}

#[cfg_attr(
    not(all(feature = "handover", target_os = "linux")),
    allow(dead_code, reason = "all accept at once")
)]
impl Gate {
    fn new() -> Self {
        let (open, waits) = watch::channel(false);
        let (accepts, accepting) = mpsc::channel(1);
        Self {
            open,
            accepting,
            begin: Begin(Some(Waits {
                open: waits,
                _accepts: accepts,
            })),
        }
    }

    fn begin(&self) -> Begin {
        self.begin.clone()
    }

    /// Lets all accept, and waits until they do.
    async fn open(mut self) {
        drop(self.begin);
        self.open.send_replace(true);
        while self.accepting.recv().await.is_some() {}
    }
}
