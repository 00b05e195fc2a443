//! The connections of the admin listener: few, and each for one request.

use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{sync::oneshot, task::AbortHandle};

use super::{
    access::Peer,
    answer::{Shared, answer},
};
use crate::{
    handler::Dispatch,
    server::{accept::Acceptor, connections::before},
    stream::{Linger, Stream, linger},
};

/// How many connections are open at a time.
const MOST: usize = 16;

/// How long a connection may take, from its begin to the last byte of the answer.
const TIME: Duration = Duration::from_secs(10);

/// How large the head of a request may be.
const HEAD: usize = 8 * 1024;

/// How many fields it may have.
const FIELDS: usize = 64;

/// How long the requests that are under way may take when the listener ends.
const END: Duration = Duration::from_secs(1);

/// What a client may still send behind an answer.
const REST: Linger = Linger {
    bytes: 64 * 1024,
    silence: Duration::from_millis(500),
    time: Duration::from_secs(1),
};

/// A connection that is open.
struct Open {
    task: AbortHandle,
    /// Whether a request has come.
    asked: Arc<AtomicBool>,
}

/// Answers until `stop` is dropped or sent.
pub(super) async fn listen<G: Dispatch>(
    acceptor: Acceptor,
    shared: Arc<Shared<G>>,
    stop: oneshot::Receiver<()>,
) {
    let mut open: VecDeque<Open> = VecDeque::with_capacity(MOST);
    let mut stop = pin!(async {
        let _ = stop.await;
    });
    while let Some(accepted) = before(stop.as_mut(), acceptor.accept()).await {
        let Ok((stream, peer)) = accepted else {
            // The process has no descriptor left, or the peer has left the queue.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        open.retain(|one| !one.task.is_finished());
        if open.len() >= MOST {
            // Those that are silent go first: they must not cost an answer that is under way.
            let silent = open.iter().position(|one| !one.asked.load(Relaxed));
            if let Some(one) = open.remove(silent.unwrap_or(0)) {
                one.task.abort();
            }
        }
        let peer = peer.map_or(Peer::Unix, |address| Peer::Ip(address.ip()));
        let asked = Arc::<AtomicBool>::default();
        let serving = serve(stream, peer, Arc::clone(&shared), Arc::clone(&asked));
        let task = tokio::spawn(serving).abort_handle();
        open.push_back(Open { task, asked });
    }
    drop(acceptor);
    open.retain(|one| one.asked.load(Relaxed));
    let all = async {
        while open.iter().any(|one| !one.task.is_finished()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Those that take longer end with the runtime.
    let _ = tokio::time::timeout(END, all).await;
}

async fn serve<G: Dispatch>(
    stream: Stream,
    peer: Peer,
    shared: Arc<Shared<G>>,
    asked: Arc<AtomicBool>,
) {
    let mut http = http1::Builder::new()
        .header_read_timeout(None)
        .keep_alive(false)
        .max_headers(FIELDS)
        .max_buf_size(HEAD)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|req| {
                asked.store(true, Relaxed);
                Box::pin(answer(Arc::clone(&shared), peer, req))
            }),
        );
    let exchange = std::future::poll_fn(|cx| Pin::new(&mut http).poll_without_shutdown(cx));
    let ended = tokio::time::timeout(TIME, exchange).await;
    if ended.is_ok() {
        linger(http.into_parts().io.into_inner(), REST).await;
    }
}
