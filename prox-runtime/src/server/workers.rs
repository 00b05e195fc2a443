//! Worker threads: one single-threaded runtime each, with its own listeners on the shared addresses.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};

use super::{
    Prepared,
    accept::{self, Acceptor, check_free},
    certificates::Certificates,
    crew::Crew,
    drain,
    listener::{Line, Where},
    logs,
    ops::Ops,
    place::Place,
    unix::UnixSocket,
    watch as watch_certificates,
};
use crate::{
    error::{Error, Result},
    handler::Dispatch,
    metrics::Measured,
    observe::outputs,
};

/// Runs the workers until the shutdown, and joins them.
pub(super) fn run<G: Dispatch>(prepared: Prepared<G>, workers: Option<usize>) -> Result {
    let Prepared {
        gateway,
        mut lines,
        options,
        admin,
        traces,
        shutdown,
    } = prepared;
    let count = workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let ops = Ops::start(admin, traces, &gateway, count)?;
    let sockets = sockets(&lines)?;
    let mut bound = Vec::with_capacity(count);
    for _ in 0..count {
        let runtime = runtime()?;
        let open = {
            let _entered = runtime.enter();
            acceptors(&mut lines, &sockets)?
        };
        bound.push((runtime, open));
    }
    // The listeners keep them.
    drop(sockets);
    let (first, others) = {
        let mut bound = bound.into_iter();
        let Some(first) = bound.next() else {
            return Ok(());
        };
        (first, bound)
    };

    let (runtime, own_listeners) = first;
    let shutdown = {
        let _entered = runtime.enter();
        drain::shutdown(shutdown)?
    };
    logs::tell_start(&lines, &gateway, ops.admin());
    let crew = Arc::<Crew>::default();
    gateway.attach(&(Arc::clone(&crew) as Arc<dyn Measured>));
    gateway.attach(&Certificates::of(&lines));

    let (stop, stopped) = watch::channel(None);
    let cut = Arc::<AtomicUsize>::default();
    let (running, mut all_done) = mpsc::channel::<()>(1);
    let threads: Vec<_> = others
        .enumerate()
        .map(|(index, (runtime, listeners))| {
            let (gateway, options, stopped) = (gateway.clone(), options.clone(), stopped.clone());
            let running = running.clone();
            let beats = ops.workers().cloned();
            let cut = Arc::clone(&cut);
            let crew = Arc::clone(&crew);
            thread::Builder::new()
                .name(format!("prox-{}", index + 1))
                .spawn(move || {
                    // Dropped at the end, whatever the end is.
                    let _running = running;
                    runtime.block_on(async {
                        let beating = beats.map(|workers| workers.join(index + 1));
                        let _member = crew.join(index + 1);
                        let due = until(stopped);
                        let own = accept::serve(gateway, listeners, options, due, beating).await;
                        cut.fetch_add(own, Relaxed);
                    });
                })
                .map_err(|error| Error::io("cannot start a worker thread", error))
        })
        .collect::<Result<_>>()?;
    let beats = ops.workers().cloned();
    runtime.block_on(async move {
        let _watching = watch_certificates(&lines);
        // A socket that was bound before is closed with the last handle on it.
        drop(lines);
        let due = drain::due(gateway.clone(), shutdown, &options, true);
        tokio::spawn(async move {
            let idle = due.await;
            let _ = stop.send(Some(idle));
            // Whoever asks twice does not want to wait.
            if let Ok(again) = drain::signal() {
                again.await;
                tracing::warn!(target: "prox", "ended by a second signal");
                outputs::flush().await;
                std::process::exit(130);
            }
        });
        let beating = beats.map(|workers| workers.join(0));
        let _member = crew.join(0);
        let due = until(stopped);
        // Its logs are there until they are written.
        let _kept = gateway.clone();
        let own = accept::serve(gateway, own_listeners, options, due, beating).await;
        // The others may drain for longer, and until then a second signal has to be heard.
        drop(running);
        let _ = all_done.recv().await;
        drain::tell_cut(own + cut.load(Relaxed));
        ops.end().await;
        logs::end().await;
    });
    for thread in threads {
        // A worker's panic was printed when it happened; the others have drained all the same.
        if thread.join().is_err() {
            return Err(Error::config("a worker thread panicked"));
        }
    }
    Ok(())
}

/// Checks the addresses, and binds the sockets that all workers share: a path cannot be shared like a port.
fn sockets(lines: &[Line]) -> Result<Vec<Option<UnixSocket>>> {
    lines
        .iter()
        .map(|line| match &line.at {
            Where::Place(Place::Tcp(address), by) => check_free(*address, *by).map(|()| None),
            Where::Place(Place::Unix(path), _) => {
                UnixSocket::bind(path, line.options.unix_mode).map(Some)
            }
            Where::Bound(_) => Ok(None),
        })
        .collect()
}

/// What one worker accepts from. Its runtime must be entered.
fn acceptors(lines: &mut [Line], sockets: &[Option<UnixSocket>]) -> Result<Vec<accept::Open>> {
    let mut open = Vec::with_capacity(lines.len());
    for (line, socket) in lines.iter_mut().zip(sockets) {
        let acceptor = match (&mut line.at, socket) {
            (_, Some(socket)) => Acceptor::unix(socket)?,
            (Where::Bound(socket), None) => Acceptor::tcp(socket)?,
            (Where::Place(Place::Tcp(address), by), None) => {
                let listener = accept::bind(*address, *by, true)?;
                // Port 0 is chosen by the first listener; the others share its choice.
                *address = listener
                    .local_addr()
                    .map_err(|error| Error::io("cannot tell the address of the listener", error))?;
                Acceptor::Tcp(listener)
            }
            (Where::Place(Place::Unix(_), _), None) => continue,
        };
        open.push((acceptor, Arc::clone(&line.options)));
    }
    Ok(open)
}

/// How long idle connections wait, once the drain is due.
async fn until(mut stopped: watch::Receiver<Option<Duration>>) -> Duration {
    // A sender that is gone has nothing more to say, and ends all the same.
    let due = stopped.wait_for(Option::is_some).await;
    due.map_or(Duration::ZERO, |idle| idle.unwrap_or_default())
}

/// A runtime of one thread.
pub(super) fn runtime() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io("cannot start a worker's runtime", error))
}
