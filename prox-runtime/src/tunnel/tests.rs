use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::Instant,
};

use super::*;

const IDLE: Duration = Duration::from_mins(1);

struct Joined {
    client: DuplexStream,
    upstream: DuplexStream,
    task: JoinHandle<Ended>,
    moved: Arc<AtomicU64>,
}

/// A tunnel at work, with a buffer of so many bytes at each end.
fn joined(buffer: usize) -> Joined {
    let (client, inner) = duplex(buffer);
    let (upstream, outer) = duplex(buffer);
    let switched = Switched::new(Tunnel::new(Stream::boxed(outer), IDLE, ()));
    let moved = Arc::new(AtomicU64::new(u64::MAX));
    let told = Arc::clone(&moved);
    switched.at_end(move |all, _| told.store(all.up * 1000 + all.down, Relaxed));
    let tunnel = switched.clone().take().expect("nobody took it before");
    assert!(switched.take().is_none());
    Joined {
        client,
        upstream,
        task: tokio::spawn(tunnel.join(Stream::boxed(inner))),
        moved,
    }
}

async fn read(stream: &mut DuplexStream, count: usize) -> String {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_end_of_one_direction_leaves_the_other_open() {
    for client_first in [true, false] {
        let mut joined = joined(1024);
        let (first, second) = if client_first {
            (&mut joined.client, &mut joined.upstream)
        } else {
            (&mut joined.upstream, &mut joined.client)
        };
        first.write_all(b"last").await.unwrap();
        first.shutdown().await.unwrap();
        let mut all = String::new();
        second.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "last");
        second.write_all(b"still here").await.unwrap();
        assert_eq!(read(first, 10).await, "still here");
        assert!(!joined.task.is_finished());
        second.shutdown().await.unwrap();
        assert_eq!(joined.task.await.unwrap(), Ended::Whole);
        let (up, down) = if client_first { (4, 10) } else { (10, 4) };
        assert_eq!(joined.moved.load(Relaxed), up * 1000 + down);
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_in_either_direction_keep_it_open_and_silence_ends_it() {
    let mut joined = joined(1024);
    let start = Instant::now();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(59)).await;
        joined.client.write_all(b"a").await.unwrap();
        read(&mut joined.upstream, 1).await;
        tokio::time::sleep(Duration::from_secs(59)).await;
        joined.upstream.write_all(b"b").await.unwrap();
        read(&mut joined.client, 1).await;
    }
    let last = Instant::now();
    assert!(last - start > 3 * IDLE);
    assert_eq!(joined.task.await.unwrap(), Ended::Idle);
    assert!(last.elapsed() >= IDLE && last.elapsed() < IDLE + Duration::from_secs(1));
    assert_eq!(joined.moved.load(Relaxed), 2002);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_nobody_takes_are_no_progress() {
    let mut joined = joined(16);
    let start = Instant::now();
    let full = joined.client.write_all(&vec![0; 1 << 20]).await;
    assert!(full.is_err(), "the tunnel ended before it took all of them");
    assert_eq!(joined.task.await.unwrap(), Ended::Idle);
    assert!(start.elapsed() >= IDLE);
}

#[tokio::test]
async fn what_a_slow_receiver_leaves_is_bounded_and_comes_in_order() {
    let mut joined = joined(1000);
    let sent: Vec<u8> = (0..=250_u8).cycle().take(500_000).collect();
    let expected = sent.clone();
    let (mut from, mut to) = tokio::io::split(joined.client);
    let sender = tokio::spawn(async move {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    });
    tokio::task::yield_now().await;
    let mut got = Vec::new();
    let mut part = [0; 333];
    loop {
        let count = joined.upstream.read(&mut part).await.unwrap();
        if count == 0 {
            break;
        }
        got.extend_from_slice(&part[..count]);
    }
    assert!(got == expected);
    sender.await.unwrap();
    joined.upstream.write_all(b"ok").await.unwrap();
    drop(joined.upstream);
    let mut answer = String::new();
    from.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "ok");
    assert_eq!(joined.task.await.unwrap(), Ended::Whole);
}

#[tokio::test]
async fn a_side_that_is_gone_ends_it() {
    let mut joined = joined(1024);
    drop(joined.client);
    joined.upstream.write_all(b"for nobody").await.unwrap();
    assert_eq!(joined.task.await.unwrap(), Ended::Failed(Side::Client));
    let mut rest = String::new();
    joined.upstream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_tunnel_that_nobody_takes_is_closed_and_told_of() {
    let (_upstream, outer) = duplex(64);
    let guard = Arc::new(());
    let tunnel = Tunnel::new(Stream::boxed(outer), IDLE, Arc::clone(&guard));
    let switched = Switched::new(tunnel);
    let told = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&told);
    switched.at_end(move |moved, _| {
        assert_eq!(moved, Moved::default());
        count.fetch_add(1, Relaxed);
    });
    assert_eq!(Arc::strong_count(&guard), 2);
    drop(switched);
    assert_eq!(Arc::strong_count(&guard), 1);
    assert_eq!(told.load(Relaxed), 1);
}
