use std::{
    future::Future,
    sync::{
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use super::*;

/// Used up only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 0))
}

fn with_port(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 80))
}

/// A resolver that answers each look-up when it is told to.
struct Scripted {
    names: Names,
    begun: Arc<AtomicUsize>,
    answers: mpsc::Sender<io::Result<Vec<SocketAddr>>>,
}

fn scripted(threads: usize) -> Scripted {
    let begun = Arc::new(AtomicUsize::new(0));
    let (answers, next) = mpsc::channel::<io::Result<Vec<SocketAddr>>>();
    let (next, count) = (Mutex::new(next), Arc::clone(&begun));
    let names = Names::new(threads, move |_| {
        count.fetch_add(1, SeqCst);
        lock(&next).recv().unwrap_or_else(|_| Ok(vec![address(9)]))
    });
    Scripted {
        names,
        begun,
        answers,
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_want_a_name_make_one_look_up() {
    let resolver = scripted(4);
    let all: Vec<_> = (0..1000)
        .map(|_| {
            let names = resolver.names.clone();
            tokio::spawn(async move { names.addresses("users", 80).await })
        })
        .collect();
    until(|| resolver.begun.load(SeqCst) == 1).await;
    resolver.answers.send(Ok(vec![address(1)])).unwrap();
    for one in all {
        assert_eq!(within(one).await.unwrap().unwrap(), [with_port(1)]);
    }
    assert_eq!(resolver.begun.load(SeqCst), 1);
    assert_eq!(resolver.names.0.threads.count(), 1);
    // The answer holds on for a while.
    let again = within(resolver.names.addresses("users", 81)).await.unwrap();
    assert_eq!(again[0].port(), 81);
    assert_eq!(resolver.begun.load(SeqCst), 1);
}

#[tokio::test]
async fn a_resolver_that_hangs_holds_a_few_threads_and_no_other_work() {
    let resolver = scripted(3);
    for number in 0..50 {
        let names = resolver.names.clone();
        tokio::spawn(async move { names.addresses(&format!("name-{number}"), 80).await });
    }
    until(|| resolver.begun.load(SeqCst) == 3).await;
    assert_eq!(resolver.names.0.threads.count(), 3);
    // What reads files has threads of its own.
    let read = tokio::task::spawn_blocking(|| 7);
    assert_eq!(within(read).await.unwrap(), 7);
    assert_eq!(resolver.begun.load(SeqCst), 3);
    // When it works again, all of them are answered.
    drop(resolver.answers);
    until(|| resolver.begun.load(SeqCst) == 50).await;
}

#[tokio::test]
async fn an_error_is_the_answer_for_all_who_wait() {
    let resolver = scripted(1);
    let names = resolver.names.clone();
    let waiting = tokio::spawn(async move { names.addresses("users", 80).await });
    until(|| resolver.begun.load(SeqCst) == 1).await;
    resolver
        .answers
        .send(Err(io::Error::other("no such name")))
        .unwrap();
    let reason = within(waiting).await.unwrap().unwrap_err();
    assert_eq!(&*reason, "no such name");
    // It is not asked again at once.
    let reason = within(resolver.names.addresses("users", 80)).await;
    assert_eq!(&*reason.unwrap_err(), "no such name");
    assert_eq!(resolver.begun.load(SeqCst), 1);
}

#[tokio::test]
async fn a_name_without_addresses_and_a_look_up_that_panics_are_failures() {
    let resolver = scripted(1);
    resolver.answers.send(Ok(Vec::new())).unwrap();
    let reason = within(resolver.names.addresses("users", 80)).await;
    assert_eq!(&*reason.unwrap_err(), "the name has no address");
    let names = Names::new(1, |name| {
        assert_ne!(name, "bad", "on purpose");
        Ok(vec![address(1)])
    });
    let reason = within(names.addresses("bad", 80)).await;
    assert_eq!(&*reason.unwrap_err(), "the look-up could not be made");
    let good = within(names.addresses("good", 80)).await;
    assert_eq!(good.unwrap(), [with_port(1)]);
}

#[tokio::test]
async fn who_does_not_wait_any_more_leaves_the_answer_to_others() {
    let resolver = scripted(1);
    let names = resolver.names.clone();
    let waiting = tokio::spawn(async move { names.addresses("users", 80).await });
    until(|| resolver.begun.load(SeqCst) == 1).await;
    waiting.abort();
    resolver.answers.send(Ok(vec![address(1)])).unwrap();
    let found = within(resolver.names.addresses("users", 80)).await;
    assert_eq!(found.unwrap(), [with_port(1)]);
    assert_eq!(resolver.begun.load(SeqCst), 1);
}

#[tokio::test]
async fn names_that_nobody_wants_make_room() {
    let names = Names::new(4, |_| Ok(vec![address(1)]));
    for number in 0..MOST_NAMES + 10 {
        within(names.addresses(&format!("name-{number}"), 80))
            .await
            .unwrap();
    }
    let known = lock(&names.0.known);
    assert_eq!(known.len(), MOST_NAMES);
    assert!(!known.contains_key("name-0"));
    assert!(known.contains_key("name-10"));
}

#[tokio::test]
async fn the_name_of_this_machine_is_found() {
    let found = within(Names::system().addresses("localhost", 80)).await;
    let found = found.unwrap();
    assert!(found.iter().all(|address| address.ip().is_loopback()));
}
