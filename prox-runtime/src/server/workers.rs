//! Worker threads: one single-threaded runtime each, with its own listener on the shared address.

use std::{
    io::{IsTerminal, Write},
    thread,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};

use super::{
    Options, ShutdownFuture, drain,
    listener::{self, Listener, check_free},
    place::Place,
    unix::UnixSocket,
};
use crate::{
    error::{Error, Result},
    handler::Dispatch,
    tls::Termination,
};

/// Runs the workers until the shutdown, and joins them.
pub(super) fn run<G: Dispatch>(
    gateway: G,
    mut places: Vec<Place>,
    workers: Option<usize>,
    shutdown: Option<ShutdownFuture>,
    options: Options,
) -> Result {
    let count = workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let sockets = places
        .iter()
        .map(|place| match place {
            Place::Tcp(address) => check_free(*address).map(|()| None),
            // One socket that all workers accept from: a path cannot be shared like a port.
            Place::Unix(path) => UnixSocket::bind(path, options.unix_mode).map(Some),
        })
        .collect::<Result<Vec<_>>>()?;
    let mut bound = Vec::with_capacity(count);
    for _ in 0..count {
        let runtime = runtime()?;
        let mut listeners = Vec::with_capacity(places.len());
        for (place, socket) in places.iter_mut().zip(&sockets) {
            let _entered = runtime.enter();
            listeners.push(match (place, socket) {
                (_, Some(socket)) => Listener::unix(socket)?,
                (Place::Tcp(address), None) => {
                    let listener = listener::bind(*address, true)?;
                    // Port 0 is chosen by the first listener; the others share its choice.
                    *address = listener.local_addr().map_err(|error| {
                        Error::io("cannot tell the address of the listener", error)
                    })?;
                    Listener::Tcp(listener)
                }
                (Place::Unix(_), None) => continue,
            });
        }
        bound.push((runtime, listeners));
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
    let shutdown = if let Some(shutdown) = shutdown {
        shutdown
    } else {
        let _entered = runtime.enter();
        Box::pin(drain::signal()?)
    };
    announce(&places, &gateway, options.tls.is_some());

    let (stop, stopped) = watch::channel(false);
    let (running, mut all_done) = mpsc::channel::<()>(1);
    let threads: Vec<_> = others
        .enumerate()
        .map(|(index, (runtime, listeners))| {
            let (gateway, options, stopped) = (gateway.clone(), options.clone(), stopped.clone());
            let running = running.clone();
            thread::Builder::new()
                .name(format!("prox-{}", index + 1))
                .spawn(move || {
                    // Dropped at the end, whatever the end is.
                    let _running = running;
                    runtime.block_on(listener::serve(gateway, listeners, options, until(stopped)));
                })
                .map_err(|error| Error::io("cannot start a worker thread", error))
        })
        .collect::<Result<_>>()?;
    runtime.block_on(async move {
        let _watching = options.tls.as_ref().and_then(Termination::watch);
        let due = drain::due(gateway.clone(), shutdown, options.shutdown_delay, true);
        tokio::spawn(async move {
            due.await;
            let _ = stop.send(true);
            // Whoever asks twice does not want to wait.
            if let Ok(again) = drain::signal() {
                again.await;
                std::process::exit(130);
            }
        });
        listener::serve(gateway, own_listeners, options, until(stopped)).await;
        // The others may drain for longer, and until then a second signal has to be heard.
        drop(running);
        let _ = all_done.recv().await;
    });
    for thread in threads {
        // A worker's panic was printed when it happened; the others have drained all the same.
        if thread.join().is_err() {
            return Err(Error::config("a worker thread panicked"));
        }
    }
    Ok(())
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone has nothing more to say, which means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io("cannot start a worker's runtime", error))
}

/// One line for a person, none for a log.
fn announce<G: Dispatch>(places: &[Place], gateway: &G, secure: bool) {
    let mut stdout = std::io::stdout();
    let s = if secure { "s" } else { "" };
    if stdout.is_terminal() {
        let places: Vec<String> = places
            .iter()
            .map(|place| match place {
                Place::Tcp(address) => format!("http{s}://{address}"),
                Place::Unix(path) => format!("unix:{}", path.display()),
            })
            .collect();
        // A terminal that went away meanwhile is no reason not to serve.
        let _ = writeln!(
            stdout,
            "listening on {} ({})",
            places.join(" and "),
            gateway.summary()
        );
    }
}
