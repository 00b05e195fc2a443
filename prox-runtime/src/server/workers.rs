//! Worker threads: one single-threaded runtime each, with its own listener on the shared address.

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    thread,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};

use super::{
    Options, ShutdownFuture, drain,
    listener::{self, check_free},
};
use crate::{
    error::{Error, Result},
    handler::Dispatch,
};

/// Runs the workers until the shutdown, and joins them.
pub(super) fn run<G: Dispatch>(
    gateway: G,
    address: SocketAddr,
    workers: Option<usize>,
    shutdown: Option<ShutdownFuture>,
    options: Options,
) -> Result {
    let count = workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    check_free(address)?;
    let mut address = address;
    let mut bound = Vec::with_capacity(count);
    for _ in 0..count {
        let runtime = runtime()?;
        let listener = {
            let _entered = runtime.enter();
            listener::bind(address, true)?
        };
        // Port 0 is chosen by the first listener; the others share its choice.
        address = listener
            .local_addr()
            .map_err(|error| Error::io("cannot tell the address of the listener", error))?;
        bound.push((runtime, listener));
    }
    let (first, others) = {
        let mut bound = bound.into_iter();
        let Some(first) = bound.next() else {
            return Ok(());
        };
        (first, bound)
    };

    let (runtime, own_listener) = first;
    let shutdown = if let Some(shutdown) = shutdown {
        shutdown
    } else {
        let _entered = runtime.enter();
        Box::pin(drain::signal()?)
    };
    announce(address, &gateway);

    let (stop, stopped) = watch::channel(false);
    let (running, mut all_done) = mpsc::channel::<()>(1);
    let threads: Vec<_> = others
        .enumerate()
        .map(|(index, (runtime, listener))| {
            let (gateway, options, stopped) = (gateway.clone(), options.clone(), stopped.clone());
            let running = running.clone();
            thread::Builder::new()
                .name(format!("prox-{}", index + 1))
                .spawn(move || {
                    // Dropped at the end, whatever the end is.
                    let _running = running;
                    runtime.block_on(listener::serve(gateway, listener, options, until(stopped)));
                })
                .map_err(|error| Error::io("cannot start a worker thread", error))
        })
        .collect::<Result<_>>()?;
    runtime.block_on(async move {
        tokio::spawn(async move {
            shutdown.await;
            let _ = stop.send(true);
            // Whoever asks twice does not want to wait.
            if let Ok(again) = drain::signal() {
                again.await;
                std::process::exit(130);
            }
        });
        listener::serve(gateway, own_listener, options, until(stopped)).await;
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
fn announce<G: Dispatch>(address: SocketAddr, gateway: &G) {
    let mut stdout = std::io::stdout();
    if stdout.is_terminal() {
        // A terminal that went away meanwhile is no reason not to serve.
        let _ = writeln!(
            stdout,
            "listening on http://{address} ({})",
            gateway.summary()
        );
    }
}
