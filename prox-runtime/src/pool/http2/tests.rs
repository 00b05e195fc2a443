use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::{
    net::UnixStream,
    sync::{Notify, Semaphore},
};

use super::*;
use crate::error::Failure;

const LIMIT: Duration = Duration::from_secs(3);

fn streams() -> Streams {
    Streams::new(PoolOptions::new(), LIMIT, Arc::new(|_| ())).unwrap()
}

/// An upstream that takes every stream, and answers none.
async fn upstream(far: UnixStream) {
    let mut connection = h2::server::Builder::new()
        .max_concurrent_streams(2)
        .handshake::<_, bytes::Bytes>(far)
        .await
        .unwrap();
    let mut all = Vec::new();
    while let Some(Ok(stream)) = connection.accept().await {
        all.push(stream);
    }
}

fn opened() -> Opened {
    let (near, far) = UnixStream::pair().unwrap();
    tokio::spawn(upstream(far));
    Opened {
        stream: near.into(),
        protocol: Protocol::Http2,
    }
}

/// Opens as many connections as the semaphore permits.
fn permitted(permits: &Arc<Semaphore>) -> impl Fn() -> Connecting + Clone + Send + 'static {
    let permits = Arc::clone(permits);
    move || {
        let permits = Arc::clone(&permits);
        Box::pin(async move {
            permits.acquire().await.unwrap().forget();
            Ok(opened())
        })
    }
}

type Connecting = std::pin::Pin<Box<dyn Future<Output = Result<Opened, Error>> + Send>>;

fn stream(granted: Granted) -> Stream {
    match granted {
        Granted::Http2(stream) => stream,
        Granted::Http1(_) => panic!("the upstream speaks HTTP/2"),
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_never_gets_a_stream_of_the_connection_that_refused_it() {
    let (streams, permits) = (Arc::new(streams()), Arc::new(Semaphore::new(1)));
    let connect = permitted(&permits);
    let first = stream(streams.take(None, connect.clone()).await.unwrap());
    let refused = first.number();
    let wait = |avoid| {
        let (streams, connect) = (Arc::clone(&streams), connect.clone());
        tokio::spawn(async move { streams.take(avoid, connect).await.unwrap() })
    };
    let resend = wait(Some(refused));
    tokio::task::yield_now().await;
    // Behind it in the line is a request that may have any stream.
    let other = wait(None);
    tokio::task::yield_now().await;
    // The first connection gets room.
    drop(first);
    assert_eq!(stream(other.await.unwrap()).number(), refused);
    assert!(!resend.is_finished(), "there is no other connection yet");
    permits.add_permits(1);
    assert_ne!(stream(resend.await.unwrap()).number(), refused);
}

#[tokio::test(start_paused = true)]
async fn who_can_have_none_of_the_connections_is_told_when_no_other_comes_about() {
    let (streams, permits) = (streams(), Arc::new(Semaphore::new(1)));
    let first = stream(streams.take(None, permitted(&permits)).await.unwrap());
    let refused = || async { Err(Error::failure(Failure::Connect)) };
    let again = streams.take(Some(first.number()), refused);
    // In no time, and not when a limit has passed.
    let result = tokio::time::timeout(Duration::from_millis(1), again).await;
    assert!(result.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_while_it_connects_takes_nobody_along() {
    let streams = streams();
    let tries = Arc::new(AtomicUsize::new(0));
    let connect = {
        let tries = Arc::clone(&tries);
        move || {
            let is_first = tries.fetch_add(1, Relaxed) == 0;
            async move {
                assert!(!is_first, "a panic on purpose");
                Ok(opened())
            }
        }
    };
    let first = tokio::time::timeout(LIMIT, streams.take(None, connect.clone())).await;
    assert!(first.unwrap().is_err());
    let second = tokio::time::timeout(LIMIT, streams.take(None, connect)).await;
    stream(second.unwrap().unwrap());
}

#[test]
fn a_runtime_that_ends_takes_its_connections_and_its_tasks_along() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let streams = streams();
    let connect = || async { Ok(opened()) };
    runtime().block_on(async {
        stream(streams.take(None, connect).await.unwrap());
        assert!(streams.try_take(None, connect).is_some());
        // One more is being opened when the runtime ends.
        let begun = Arc::new(Notify::new());
        let endless = {
            let begun = Arc::clone(&begun);
            move || {
                let begun = Arc::clone(&begun);
                async move {
                    begun.notify_one();
                    std::future::pending().await
                }
            }
        };
        tokio::select! {
            _ = streams.take(Some(1), endless) => unreachable!("no other connection comes about"),
            () = begun.notified() => {}
        }
    });
    runtime().block_on(async {
        assert!(streams.try_take(None, connect).is_none());
        stream(streams.take(None, connect).await.unwrap());
    });
}
