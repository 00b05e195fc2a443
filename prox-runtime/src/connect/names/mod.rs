//! The addresses of names, by the resolver of this machine (`getaddrinfo`): its `hosts` file, its DNS, whatever it is set up for.
//!
//! It blocks, for as long as 30 s when name servers do not answer, and tells nothing of how long an answer holds. So it has
//! threads of its own, there is one look-up of a name at a time, whoever wants it, and what it has said is kept for a while.

mod entry;
mod threads;

use std::{
    collections::HashMap,
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    sync::{Arc, LazyLock, Mutex},
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use self::{
    entry::{Ask, Entry, News},
    threads::Threads,
};
use super::race::by_turns;
use crate::sync::lock;

/// How many names are looked up at a time; others wait their turn.
const MOST_THREADS: usize = 16;

/// How many names are known at a time. The one that was not wanted for the longest time makes room for a new one.
const MOST_NAMES: usize = 4096;

/// What is known of names; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Names(Arc<Inner>);

struct Inner {
    look_up: LookUp,
    known: Mutex<HashMap<Arc<str>, Known>>,
    threads: Threads,
}

/// The addresses of a name, with port 0; it may block.
type LookUp = Box<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

#[derive(Debug, Default)]
struct Known {
    entry: Entry,
    /// Tells those who wait that a look-up has ended.
    ended: watch::Sender<()>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("known", &self.known)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl Names {
    /// Those of this machine, which all gateways of the process share.
    pub(super) fn system() -> &'static Self {
        static SYSTEM: LazyLock<Names> = LazyLock::new(|| {
            Names::new(MOST_THREADS, |name| {
                (name, 0).to_socket_addrs().map(Iterator::collect)
            })
        });
        &SYSTEM
    }

    pub(super) fn new(
        threads: usize,
        look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            look_up: Box::new(look_up),
            known: Mutex::default(),
            threads: Threads::new(threads),
        }))
    }

    /// The addresses of a name, in the order in which they are best tried.
    ///
    /// # Errors
    ///
    /// Why there are none: what the resolver says, or that it does not answer in time.
    ///
    /// # Cancel safety
    ///
    /// A look-up goes on when nobody waits for it any more.
    pub(super) async fn addresses(
        &self,
        name: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Arc<str>> {
        loop {
            let (ask, mut ended) = self.ask(name)?;
            match ask {
                Ask::Known(mut addresses) => {
                    for address in &mut addresses {
                        address.set_port(port);
                    }
                    return Ok(addresses);
                }
                Ask::Unknown(reason) => return Err(reason),
                Ask::Begin => self.begin(name),
                // Either way it is asked again.
                Ask::Wait(until) => drop(timeout_at(until, ended.changed()).await),
            }
        }
    }

    /// A connection came about, and these addresses of the name were no good.
    pub(super) fn slight(&self, name: &str, losers: Vec<SocketAddr>) {
        if !losers.is_empty() {
            self.change(name, |entry| entry.slight(losers, Instant::now()));
        }
    }

    /// No address of the name could be connected to.
    pub(super) fn doubt(&self, name: &str) {
        self.change(name, Entry::doubt);
    }

    fn change<T>(&self, name: &str, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut known = lock(&self.0.known);
        known.get_mut(name).map(|known| change(&mut known.entry))
    }

    fn ask(&self, name: &str) -> Result<(Ask, watch::Receiver<()>), Arc<str>> {
        let mut known = lock(&self.0.known);
        if !known.contains_key(name) {
            make_room(&mut known)?;
            known.insert(name.into(), Known::default());
        }
        let Some(Known { entry, ended }) = known.get_mut(name) else {
            return Err("it is not known".into());
        };
        // In this order, and under the lock, so that no end is missed.
        let ended = ended.subscribe();
        Ok((entry.ask(Instant::now()), ended))
    }

    fn begin(&self, name: &str) {
        let job = Job {
            names: self.clone(),
            name: name.into(),
            answer: None,
        };
        if let Err(error) = self.0.threads.run(move || job.run()) {
            tracing::error!(target: "prox", %error, "no thread can be started to look up names");
        }
    }

    fn ended(&self, name: &str, answer: Result<Vec<SocketAddr>, Arc<str>>) {
        let news = {
            let mut known = lock(&self.0.known);
            let Some(Known { entry, ended }) = known.get_mut(name) else {
                return;
            };
            let news = entry.answered(answer, Instant::now());
            ended.send_replace(());
            news
        };
        // Outside of the lock: whoever listens may connect to something.
        match news {
            Some(News::Lost(reason)) => {
                tracing::warn!(target: "prox", name, %reason, "a name cannot be looked up");
            }
            Some(News::Found) => {
                tracing::info!(target: "prox", name, "a name can be looked up again");
            }
            None => {}
        }
    }
}

/// # Errors
///
/// When there is none.
fn make_room(known: &mut HashMap<Arc<str>, Known>) -> Result<(), Arc<str>> {
    if known.len() < MOST_NAMES {
        return Ok(());
    }
    let idle = known.iter().filter(|(_, known)| !known.entry.is_busy());
    let oldest = idle.min_by_key(|(_, known)| known.entry.wanted());
    let oldest = oldest.map(|(name, _)| Arc::clone(name));
    oldest
        .and_then(|oldest| known.remove(&oldest))
        .map(drop)
        .ok_or_else(|| "too many names are looked up at a time".into())
}

/// One look-up. It says how it has ended even if it panics, or never begins.
struct Job {
    names: Names,
    name: Arc<str>,
    answer: Option<Result<Vec<SocketAddr>, Arc<str>>>,
}

impl Job {
    fn run(mut self) {
        let answer = match (self.names.0.look_up)(&self.name) {
            Ok(addresses) if addresses.is_empty() => Err("the name has no address".into()),
            Ok(addresses) => Ok(by_turns(addresses)),
            Err(error) => Err(error.to_string().into()),
        };
        self.answer = Some(answer);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let answer = self.answer.take();
        let answer = answer.unwrap_or_else(|| Err("the look-up could not be made".into()));
        self.names.ended(&self.name, answer);
    }
}

#[cfg(test)]
mod tests;
