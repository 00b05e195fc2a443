//! The running process: it listens for a new one, gives it a handle on each listening socket, and learns when it is serving.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicBool,
            Ordering::{AcqRel, Release},
        },
    },
    time::Duration,
};

use tokio::{
    io::Interest,
    net::UnixStream,
    sync::Notify,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{sockets::Offer, wire};
use crate::{
    server::{
        accept::{PAUSE, has_left},
        connections::before,
        place::Place,
        unix::UnixSocket,
    },
    sync::lock,
};

/// How many processes may be connected at a time.
const MOST: usize = 8;

/// How long one may take to say what it wants, and to take what it gets.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a new process may take from then on until it serves. It waits for its readiness for at most half of this.
const STARTS: Duration = Duration::from_mins(1);

/// How long a new process may take to make its own socket that of the path.
const MOVES: Duration = Duration::from_secs(10);

type OnGiven = Box<dyn FnOnce(Vec<Place>) + Send>;

/// What is given to the first process that takes it.
pub(super) struct Giver {
    offers: Arc<Mutex<Vec<Offer>>>,
    watchdog: Option<Duration>,
    on_given: Mutex<Option<OnGiven>>,
    /// Whether a process is taking over, or has.
    is_taking: AtomicBool,
    done: Notify,
}

impl Giver {
    /// `on_given` gets the places that a new process listens on, once it serves.
    pub(super) fn new(
        offers: Arc<Mutex<Vec<Offer>>>,
        watchdog: Option<Duration>,
        on_given: impl FnOnce(Vec<Place>) + Send + 'static,
    ) -> Self {
        Self {
            offers,
            watchdog,
            on_given: Mutex::new(Some(Box::new(on_given))),
            is_taking: AtomicBool::new(false),
            done: Notify::new(),
        }
    }

    /// Answers at this socket until a process has taken over.
    pub(super) async fn serve(self, file: UnixSocket) {
        let listener = match file.listener() {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(target: "prox", ?error, "there can be no hand-over");
                return;
            }
        };
        let giver = Arc::new(self);
        let mut peers = JoinSet::new();
        let mut done = pin!(giver.done.notified());
        while let Some(accepted) = before(done.as_mut(), listener.accept()).await {
            while peers.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) if peers.len() < MOST => {
                    peers.spawn(peer(stream, Arc::clone(&giver)));
                }
                Ok(_) => tracing::warn!(target: "prox", "too many processes ask for a hand-over"),
                Err(error) if has_left(&error) => {}
                // The process has no descriptor left.
                Err(_) => {
                    if before(done.as_mut(), sleep(PAUSE)).await.is_none() {
                        break;
                    }
                }
            }
        }
    }

    /// Says whether this process removes the files of the Unix sockets of these places at its end.
    fn owns(&self, owns: bool, of: impl Fn(&Place) -> bool) {
        for offer in lock(&self.offers).iter().filter(|offer| of(&offer.place)) {
            if let Some(file) = &offer.file {
                file.owns(owns);
            }
        }
    }

    /// Each line of the answer, with the descriptors that go with it.
    fn messages(&self) -> io::Result<Vec<(Vec<u8>, Vec<OwnedFd>)>> {
        let mut messages = vec![([wire::SOCKETS, b"\n"].concat(), Vec::new())];
        for offer in lock(&self.offers).iter() {
            let place = wire::place(&offer.place);
            if place.contains(&b'\n') {
                // It cannot be written, so the new process finds the path in use, and says so.
                continue;
            }
            let sockets: Vec<&OwnedFd> = offer.sockets.values().collect();
            for some in sockets.chunks(wire::OF_ONE_MESSAGE) {
                let copies = some.iter().map(|socket| socket.try_clone());
                let copies = copies.collect::<io::Result<Vec<_>>>()?;
                let count = format!(" {}\n", copies.len());
                messages.push(([place.as_slice(), count.as_bytes()].concat(), copies));
            }
        }
        if let Some(watchdog) = self.watchdog {
            messages.push((wire::watchdog(watchdog), Vec::new()));
        }
        messages.push(([wire::END, b"\n"].concat(), Vec::new()));
        Ok(messages)
    }
}

/// The right to take over; it is given back when this is dropped.
struct Taking<'a>(Option<&'a Giver>);

impl<'a> Taking<'a> {
    fn begin(giver: &'a Giver) -> Option<Self> {
        // Made lazily: one that is made in vain would give the right of another process back.
        (!giver.is_taking.swap(true, AcqRel)).then(|| Self(Some(giver)))
    }

    /// It is not given back.
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        if let Some(giver) = self.0 {
            giver.is_taking.store(false, Release);
        }
    }
}

async fn peer(stream: UnixStream, giver: Arc<Giver>) {
    let pid = match stream.peer_cred() {
        Ok(peer) if peer.uid() == rustix::process::geteuid().as_raw() => peer.pid(),
        Ok(peer) => {
            let uid = peer.uid();
            tracing::warn!(target: "prox", uid, "a hand-over was refused: the new process belongs to another user");
            return refuse(&stream, "the running process belongs to another user").await;
        }
        Err(error) => {
            tracing::warn!(target: "prox", %error, "a hand-over was refused: the new process is not known");
            return;
        }
    };
    let mut received = wire::Received::text();
    // One that only connects, and says nothing, is left alone.
    let Ok(Ok(first)) = timeout(PATIENCE, line(&stream, &mut received)).await else {
        return;
    };
    if first != wire::TAKE {
        return refuse(&stream, "the running process has another version of prox").await;
    }
    let Some(taking) = Taking::begin(&giver) else {
        let _ = timeout(PATIENCE, say(&stream, &[wire::BUSY, b"\n"].concat(), &[])).await;
        return;
    };
    // If this process is ended meanwhile, the new one serves at once, and needs the files.
    giver.owns(false, |_| true);
    match give(&stream, &mut received, &giver).await {
        Ok(places) => {
            taking.keep();
            giver.owns(true, |place| !places.contains(place));
            let on = places.iter().map(Place::to_string).collect::<Vec<_>>();
            let on = on.join(" and ");
            tracing::info!(target: "prox", pid, on, "handed over, draining");
            if let Some(on_given) = lock(&giver.on_given).take() {
                on_given(places);
            }
            let _ = timeout(PATIENCE, say(&stream, &[wire::BYE, b"\n"].concat(), &[])).await;
            // The new process leaves when its own socket is at the path. Until then others must not find this path without a process.
            let _ = timeout(MOVES, line(&stream, &mut received)).await;
            giver.done.notify_one();
        }
        Err(problem) => {
            giver.owns(true, |_| true);
            tracing::warn!(target: "prox", pid, problem, "a hand-over has failed, serving on");
            refuse(&stream, &problem).await;
        }
    }
}

/// Gives the sockets away; the places that the new process listens on, once it serves.
async fn give(
    stream: &UnixStream,
    received: &mut wire::Received,
    giver: &Giver,
) -> Result<Vec<Place>, String> {
    let messages = giver.messages().map_err(|error| error.to_string())?;
    let sending = async {
        for (text, sockets) in messages {
            let sockets: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
            say(stream, &text, &sockets).await?;
        }
        Ok::<(), io::Error>(())
    };
    match timeout(PATIENCE, sending).await {
        Ok(sent) => sent.map_err(|error| ended(&error))?,
        Err(_) => return Err(String::from("the new process does not take the sockets")),
    }
    let mut places = Vec::new();
    let serving = async {
        loop {
            let line = line(stream, received).await;
            let line = line.map_err(|error| ended(&error))?;
            if line == wire::SERVING {
                return Ok(());
            }
            let place = line.strip_prefix(wire::TOOK).and_then(wire::read_place);
            places.push(place.ok_or("the new process said something else")?);
        }
    };
    match timeout(STARTS, serving).await {
        Ok(served) => served.map_err(|problem: String| problem)?,
        Err(_) => return Err(format!("the new process does not serve after {STARTS:?}")),
    }
    let offers = lock(&giver.offers);
    places.retain(|place| offers.iter().any(|offer| offer.place == *place));
    Ok(places)
}

fn ended(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset => String::from("the new process ended before it served"),
        _ => error.to_string(),
    }
}

async fn refuse(stream: &UnixStream, reason: &str) {
    let text = [wire::NO, reason.as_bytes(), b"\n"].concat();
    // A process that has left by itself does not ask why.
    let _ = timeout(PATIENCE, say(stream, &text, &[])).await;
}

/// Waits for the next line.
///
/// # Errors
///
/// When the other side has left, or says too much.
pub(super) async fn line(
    stream: &UnixStream,
    received: &mut wire::Received,
) -> io::Result<Vec<u8>> {
    loop {
        if let Some(line) = received.line() {
            return Ok(line.to_vec());
        }
        stream.readable().await?;
        match stream.try_io(Interest::READABLE, || received.receive(stream)) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

/// Sends all of a text; the descriptors go with its first byte.
///
/// # Errors
///
/// When the other side has left.
pub(super) async fn say(
    stream: &UnixStream,
    mut text: &[u8],
    mut sockets: &[BorrowedFd<'_>],
) -> io::Result<()> {
    while !text.is_empty() {
        stream.writable().await?;
        match stream.try_io(Interest::WRITABLE, || wire::send(stream, text, sockets)) {
            Ok(sent) => {
                text = text.get(sent..).unwrap_or_default();
                sockets = &[];
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
