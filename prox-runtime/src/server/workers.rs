//! Worker threads: one single-threaded runtime each, with its own listeners on the shared addresses.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};

use super::{
    Prepared, accept,
    acceptors::{self, Worker},
    certificates::Certificates,
    crew::Crew,
    drain::{self, Drain, Shutdown},
    handover::Sockets,
    listener::Line,
    logs,
    ops::Ops,
    start::{Due, Start, takes_systemds},
    watch as watch_certificates,
};
use crate::{
    error::{Error, Result},
    handler::Dispatch,
    metrics::Measured,
    observe::outputs,
    sync::cores,
};

/// Runs the workers until the shutdown, and joins them.
pub(super) fn run<G: Dispatch>(prepared: Prepared<G>, workers: Option<usize>) -> Result {
    let Prepared {
        gateway,
        mut lines,
        options,
        admin,
        traces,
        handover,
        shutdown,
    } = prepared;
    let mut start = Start::new(handover, takes_systemds(&lines))?;
    let begin = start.begin();
    let count = workers.unwrap_or_else(cores);
    let sockets = &mut start.sockets;
    let ops = Ops::start(admin, traces, &gateway, count, sockets, &begin)?;
    let bound = bind(&mut lines, count, &mut start.sockets)?;
    let beats = start.workers(ops.admin(), count);
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
        Shutdown::new(shutdown)?
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
            let begin = begin.clone();
            let running = running.clone();
            let beats = beats.clone();
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
                        let own =
                            accept::serve(gateway, listeners, options, begin, due, beating).await;
                        cut.fetch_add(own, Relaxed);
                    });
                })
                .map_err(|error| Error::io("cannot start a worker thread", error))
        })
        .collect::<Result<_>>()?;
    runtime.block_on(async move {
        let _watching = watch_certificates(&lines);
        // A socket that was bound before is closed with the last handle on it.
        drop(lines);
        let stops = start.stops(shutdown.clone());
        let due = drain::due(gateway.clone(), stops, &options, true);
        let due = start.serves(&gateway, due, ops.admin(), beats.clone());
        tokio::spawn(async move {
            let Due {
                drain,
                hurry,
                watchdog: _watchdog,
            } = due.await;
            let _ = stop.send(Some(drain));
            if let Some(hurry) = hurry {
                hurry.at(shutdown).await;
            }
            end_at_a_signal().await;
        });
        let beating = beats.map(|workers| workers.join(0));
        let _member = crew.join(0);
        let due = until(stopped);
        // Its logs are there until they are written.
        let _kept = gateway.clone();
        let own = accept::serve(gateway, own_listeners, options, begin, due, beating).await;
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

/// Ends the process at the next signal: a person who asks twice does not want to wait.
async fn end_at_a_signal() {
    if let Ok(again) = drain::signal() {
        again.await;
        tracing::warn!(target: "prox", "ended by a second signal");
        outputs::flush().await;
        std::process::exit(130);
    }
}

/// The runtime of each worker, and what it accepts from.
fn bind(
    lines: &mut [Line],
    count: usize,
    sockets: &mut Sockets,
) -> Result<Vec<(Runtime, Vec<accept::Open>)>> {
    let common = acceptors::common(lines, sockets, true)?;
    let mut bound = Vec::with_capacity(count);
    for number in 0..count {
        let runtime = runtime()?;
        let open = {
            let _entered = runtime.enter();
            let worker = Worker {
                number,
                count,
                shares: true,
            };
            acceptors::of_worker(lines, &common, worker, sockets)?
        };
        bound.push((runtime, open));
    }
    sockets.check_activated()?;
    Ok(bound)
}

/// How to drain, once the drain is due.
async fn until(mut stopped: watch::Receiver<Option<Drain>>) -> Drain {
    // A sender that is gone has nothing more to say, and ends all the same.
    let due = stopped.wait_for(Option::is_some).await;
    due.map_or_else(
        |_| Drain::default(),
        |drain| drain.clone().unwrap_or_default(),
    )
}

/// A runtime of one thread.
pub(super) fn runtime() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io("cannot start a worker's runtime", error))
}
