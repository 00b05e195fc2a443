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
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
};

use super::{
    access::Peer,
    answer::{Shared, answer},
};
use crate::{
    handler::Dispatch,
    server::{
        accept::{self, Acceptor},
        connections::before,
        handover::Begin,
    },
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

/// Answers from `begin` on, until `stop` is dropped or true.
pub(super) async fn listen<G: Dispatch>(
    acceptor: Acceptor,
    shared: Arc<Shared<G>>,
    begin: Begin,
    mut stop: watch::Receiver<bool>,
) {
    let mut open: VecDeque<Open> = VecDeque::with_capacity(MOST);
    let mut tasks = JoinSet::new();
    let mut stop = pin!(async {
        let _ = stop.wait_for(|stop| *stop).await;
    });
    if before(stop.as_mut(), begin.wait()).await.is_none() {
        return;
    }
    while let Some(accepted) = before(stop.as_mut(), acceptor.accept()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if accept::has_left(&error) => continue,
            Err(_) => {
                // The process has no descriptor left.
                if before(stop.as_mut(), tokio::time::sleep(accept::PAUSE))
                    .await
                    .is_none()
                {
                    break;
                }
                continue;
            }
        };
        while tasks.try_join_next().is_some() {}
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
        let task = tasks.spawn(serving);
        open.push_back(Open { task, asked });
    }
    drop(acceptor);
    for silent in open.iter().filter(|one| !one.asked.load(Relaxed)) {
        silent.task.abort();
    }
    let all = async { while tasks.join_next().await.is_some() {} };
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::{Instant, sleep},
    };

    use super::*;
    use crate::{
        client::Client,
        error::Failure,
        handler::{Request, Response},
        respond,
        server::admin::{Config, Workers},
        watch::Tally,
    };

    #[derive(Clone)]
    struct Nothing;

    impl Dispatch for Nothing {
        async fn dispatch(&self, _: &mut Request, _: &Arc<Client>, _: &Tally) -> Response {
            Response::default()
        }

        async fn refuse(&self, _: Request, why: Failure, _: &Arc<Client>, _: &Tally) -> Response {
            respond::failure(why, false)
        }

        fn summary(&self) -> String {
            String::new()
        }
    }

    /// The client's end of a connection on which so many bytes may be under way.
    fn connect(room: usize) -> DuplexStream {
        let shared = Arc::new(Shared {
            gateway: Nothing,
            workers: Arc::new(Workers::new(0)),
            token: None,
            config: Config::empty(),
        });
        let (near, far) = duplex(room);
        tokio::spawn(serve(
            Stream::boxed(near),
            Peer::Unix,
            shared,
            Arc::default(),
        ));
        far
    }

    /// When the connection has ended, and what came before that.
    async fn end(mut client: DuplexStream) -> (Duration, String) {
        let began = Instant::now();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        (began.elapsed(), answer)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_in_time_whatever_its_client_does() {
        for sent in [
            "",
            "GET / HT",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "POST /drain HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
        ] {
            let mut client = connect(1 << 16);
            client.write_all(sent.as_bytes()).await.unwrap();
            let (took, answer) = end(client).await;
            assert_eq!(answer, "", "{sent}");
            assert!(took >= TIME && took < TIME * 2, "{sent}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_bit_by_bit_or_takes_no_answer_has_no_more_time() {
        let mut slow = connect(1 << 16);
        let began = Instant::now();
        for byte in b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: yes\r\n\r\n" {
            if slow.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
        assert_eq!(end(slow).await.1, "");
        assert!(began.elapsed() < TIME * 2, "{:?}", began.elapsed());

        // The index is longer than the room for it.
        let mut full = connect(64);
        let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        full.write_all(get).await.unwrap();
        sleep(TIME * 2).await;
        let (_, answer) = end(full).await;
        assert!(answer.len() <= 64, "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_answered_once() {
        let mut client = connect(1 << 16);
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        client.write_all(get.repeat(3).as_bytes()).await.unwrap();
        let (took, answer) = end(client).await;
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1, "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(took < TIME, "{took:?}");
    }
}
