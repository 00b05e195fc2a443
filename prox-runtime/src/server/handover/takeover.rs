//! A process that takes part in hand-overs: from the question for the sockets, over its own readiness, to the day on which it gives
//! them away itself.

use std::{
    fs,
    future::{Future, poll_fn},
    os::unix::{fs::FileTypeExt, net::UnixStream as StdUnixStream},
    path::{Path, PathBuf},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use tokio::{
    net::UnixStream,
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    Begin, Gate, Given, Hurry, Settled, Sockets,
    give::{self, Giver},
    sockets::Offer,
    take, wire,
};
use crate::{
    error::{Error, Result},
    handler::Dispatch,
    server::{drain::Drain, notify::Notify, place::Place, unix::UnixSocket},
    sync::lock,
};

/// Who may connect.
const MODE: u32 = 0o600;

/// How often the readiness is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How long the workers may take until they accept.
const OPENS: Duration = Duration::from_secs(5);

/// How long the old process may take to answer.
const BYE: Duration = Duration::from_secs(10);

/// How often a path is tried that other processes bind and leave at the same time.
const TRIES: usize = 3;

/// A process that has its sockets, and does not serve yet.
#[derive(Debug)]
pub(in crate::server) struct Takeover {
    settled: Settled,
    /// At the path, or beside it as long as another process has it.
    file: UnixSocket,
    from: Option<(StdUnixStream, Gate)>,
}

impl Settled {
    /// Takes the sockets of the process that serves, if there is one. This blocks for a few seconds at most.
    ///
    /// # Errors
    ///
    /// When it does not give them, or the path cannot be used.
    pub(in crate::server) fn take(mut self, sockets: &mut Sockets) -> Result<Takeover> {
        check_kind(&self.path)?;
        sockets.keep();
        let mut tries = 0;
        loop {
            tries += 1;
            if let Some(stream) = take::connect(&self.path)? {
                let watchdog = take::take(&stream, &self.path, sockets)?;
                self.watchdog = watchdog.or(self.watchdog);
                let file = UnixSocket::bind(&beside(&self.path), MODE)?;
                return Ok(Takeover {
                    settled: self,
                    file,
                    from: Some((stream, Gate::new())),
                });
            }
            match UnixSocket::bind(&self.path, MODE) {
                Ok(file) => {
                    return Ok(Takeover {
                        settled: self,
                        file,
                        from: None,
                    });
                }
                Err(error) if tries >= TRIES => return Err(error),
                // Another process may have been quicker.
                Err(_) => {}
            }
        }
    }
}

/// Any file but a socket has something in it.
fn check_kind(path: &Path) -> Result {
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => Err(Error::config(format!(
            "HANDOVER is {}, which is not a socket: remove it, or write another path",
            path.display()
        ))),
        // What else is wrong with it is said when it is used.
        _ => Ok(()),
    }
}

/// Where the socket of a new process is until the old one has gone. There is one new process at a time.
fn beside(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".next");
    path.into()
}

impl Takeover {
    /// When the sockets of another process may be accepted from.
    pub(in crate::server) fn begin(&self) -> Begin {
        let gate = self.from.as_ref();
        gate.map_or_else(Begin::default, |(_, gate)| gate.begin())
    }

    /// Whether another process serves until this one is ready.
    pub(in crate::server) fn is_second(&self) -> bool {
        self.from.is_some()
    }

    /// Within which time systemd wants to hear that the main process lives.
    pub(in crate::server) fn watchdog(&self) -> Option<Duration> {
        self.settled.watchdog
    }

    /// Ends the take-over when the gateway is ready, tells systemd so, and gives its own sockets away from then on. The runtime must be
    /// entered.
    pub(in crate::server) fn start<G: Dispatch>(
        self,
        gateway: &G,
        sockets: Sockets,
        notify: &Notify,
    ) -> Handing {
        let (taken, offers) = sockets.finish();
        let offers = Arc::new(Mutex::new(offers));
        let (tells, given) = oneshot::channel();
        let settled = self.settled.clone();
        let task = tokio::spawn(run(
            self,
            gateway.clone(),
            taken,
            Arc::clone(&offers),
            tells,
            notify.clone(),
        ));
        Handing {
            settled,
            given: Some(given),
            offers,
            task: Some(task),
        }
    }
}

async fn run<G: Dispatch>(
    takeover: Takeover,
    gateway: G,
    taken: Vec<Place>,
    offers: Arc<Mutex<Vec<Offer>>>,
    tells: oneshot::Sender<Vec<Place>>,
    notify: Notify,
) {
    let Takeover {
        settled,
        mut file,
        from,
    } = takeover;
    if let Some((stream, gate)) = from {
        // The old process keeps the path until this connection ends.
        let _old = match serve_instead(stream, gate, &gateway, &settled, &taken).await {
            Ok(old) => old,
            Err(problem) => {
                tracing::error!(target: "prox", problem, "the hand-over has failed, so this process ends");
                gateway.drain();
                let _ = tells.send(Vec::new());
                return;
            }
        };
        for offer in lock(&offers).iter() {
            if let Some(file) = &offer.file {
                file.owns(true);
            }
        }
        let renamed = file.renamed(&settled.path);
        notify.ready(true);
        match renamed {
            Ok(renamed) => file = renamed,
            Err(error) => {
                tracing::warn!(target: "prox", ?error, "this process cannot hand over");
                return;
            }
        }
    }
    let on_given = move |places| {
        gateway.drain();
        let _ = tells.send(places);
    };
    Giver::new(offers, settled.watchdog, on_given)
        .serve(file)
        .await;
}

/// Waits for the readiness, lets the workers accept, and says so to the old process; the connection with it.
///
/// # Errors
///
/// Why the old process goes on.
async fn serve_instead<G: Dispatch>(
    stream: StdUnixStream,
    gate: Gate,
    gateway: &G,
    settled: &Settled,
    taken: &[Place],
) -> Result<UnixStream, String> {
    let stream = stream
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(stream))
        .map_err(|error| error.to_string())?;
    let mut received = wire::Received::text();
    let end = Instant::now() + settled.ready;
    let mut is_alone = false;
    while !is_alone {
        let waits_for = gateway.unready();
        if waits_for.is_empty() {
            break;
        }
        if Instant::now() >= end {
            let reason = waits_for.join(", ");
            tracing::warn!(target: "prox", reason, "taking over, although the gateway is not ready");
            break;
        }
        match timeout(LOOK, give::line(&stream, &mut received)).await {
            Err(_) => {}
            Ok(Ok(said)) => return Err(refusal(&said)),
            // The clients have no other process any more.
            Ok(Err(_)) => is_alone = true,
        }
    }
    if timeout(OPENS, gate.open()).await.is_err() {
        tracing::warn!(target: "prox", "taking over, although not every worker accepts yet");
    }
    let mut text = Vec::new();
    for place in taken {
        text.extend([wire::TOOK, &wire::place(place), b"\n"].concat());
    }
    text.extend([wire::SERVING, b"\n"].concat());
    let answer = async {
        give::say(&stream, &text, &[]).await?;
        give::line(&stream, &mut received).await
    };
    match timeout(BYE, answer).await {
        Ok(Ok(said)) if said == wire::BYE => {
            tracing::info!(target: "prox", "took over");
        }
        Ok(Ok(said)) => return Err(refusal(&said)),
        Ok(Err(error)) => {
            tracing::info!(target: "prox", %error, "took over from a process that has ended");
        }
        Err(_) => {
            tracing::warn!(target: "prox", "took over, but the old process does not answer");
        }
    }
    Ok(stream)
}

fn refusal(said: &[u8]) -> String {
    let reason = said.strip_prefix(wire::NO).unwrap_or(said);
    String::from_utf8_lossy(reason).into_owned()
}

/// A process that gives its sockets to the first that takes them. When this is dropped, it does not any more.
#[derive(Debug)]
pub(in crate::server) struct Handing {
    settled: Settled,
    given: Option<oneshot::Receiver<Vec<Place>>>,
    offers: Arc<Mutex<Vec<Offer>>>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Handing {
    fn drop(&mut self) {
        // A listener is closed with the last handle on it.
        lock(&self.offers).clear();
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

enum Why {
    Due(Duration),
    Given(Vec<Place>),
}

impl Handing {
    /// Done when `due` is, or another process has taken over.
    pub(in crate::server) async fn or(
        mut self,
        due: impl Future<Output = Duration>,
    ) -> (Drain, Option<Hurry>) {
        let mut due = pin!(due);
        let why = poll_fn(|cx| {
            if let Poll::Ready(idle) = due.as_mut().poll(cx) {
                return Poll::Ready(Why::Due(idle));
            }
            if let Some(given) = &mut self.given
                && let Poll::Ready(given) = Pin::new(given).poll(cx)
            {
                self.given = None;
                if let Ok(places) = given {
                    return Poll::Ready(Why::Given(places));
                }
            }
            Poll::Pending
        });
        match why.await {
            Why::Due(idle) => (Drain::from(idle), None),
            Why::Given(places) => {
                // It still has to say goodbye.
                self.task = None;
                let (hurry, hurried) = watch::channel(false);
                let given = Given {
                    places: places.into(),
                    timeout: self.settled.timeout,
                    hurry: hurried,
                };
                let drain = Drain {
                    idle: self.settled.idle,
                    given: Some(given),
                };
                (drain, Some(Hurry(hurry)))
            }
        }
    }
}
