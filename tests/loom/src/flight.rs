//! The single flight of questions to stores of keys and to issuers. The files are the runtime's own; the mutexes are the checker's.

use std::{
    future::pending,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use loom::{
    future::block_on,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

#[path = "../../../prox-runtime/src/auth/answers.rs"]
#[allow(dead_code, reason = "of what is included not all is used")]
mod answers;
#[path = "../../../prox-runtime/src/auth/turns.rs"]
mod turns;

use answers::{Answers, Unanswered};

const MINUTE: Duration = Duration::from_secs(60);
const KEY: u8 = 7;

/// A store, and what asks it.
struct Store {
    answers: Answers<u8, u32>,
    /// How many questions there were, and how many are under way.
    asked: AtomicUsize,
    under_way: AtomicUsize,
}

impl Store {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            answers: Answers::new(4),
            asked: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        })
    }

    async fn find(
        &self,
        answer: Result<Option<u32>, Unanswered>,
    ) -> Result<Option<u32>, Unanswered> {
        let ask = || async {
            assert_eq!(
                self.under_way.fetch_add(1, SeqCst),
                0,
                "two questions at once"
            );
            self.asked.fetch_add(1, SeqCst);
            self.under_way.fetch_sub(1, SeqCst);
            answer
        };
        let found = self.answers.find(KEY, MINUTE, ask).await?;
        Ok(found.map(|value| *value))
    }
}

/// With every order that stops a thread at most so many times where it does not have to wait.
fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

#[test]
fn of_requests_at_once_one_asks_and_all_have_its_answer() {
    for answer in [Some(1), None] {
        model(3, move || {
            let store = Store::new();
            let other = {
                let store = Arc::clone(&store);
                thread::spawn(move || block_on(store.find(Ok(answer))))
            };
            assert_eq!(block_on(store.find(Ok(answer))), Ok(answer));
            assert_eq!(other.join().expect("no thread panics"), Ok(answer));
            assert_eq!(store.asked.load(SeqCst), 1);
            assert!(store.answers.is_quiet());
        });
    }
}

#[test]
fn a_failure_is_that_of_a_question_which_the_request_has_waited_for() {
    model(3, || {
        let store = Store::new();
        let failing = {
            let store = Arc::clone(&store);
            thread::spawn(move || block_on(store.find(Err(Unanswered))))
        };
        let found = block_on(store.find(Ok(Some(1))));
        let failed = failing.join().expect("no thread panics");
        // Either the first question has failed for both, or each has what its own question or one before it said.
        let asked = store.asked.load(SeqCst);
        match (failed, found) {
            (Err(Unanswered), Err(Unanswered)) => assert_eq!(asked, 1),
            (Err(Unanswered), Ok(Some(1))) => assert_eq!(asked, 2),
            (Ok(Some(1)), Ok(Some(1))) => assert_eq!(asked, 1),
            other => panic!("{other:?}"),
        }
        assert!(store.answers.is_quiet());
        // No failure is kept.
        assert_eq!(block_on(store.find(Ok(Some(1)))), Ok(Some(1)));
    });
}

/// Begins a question that has no answer, or waits for that of another request, and leaves. Whether that was a failure.
fn leave(store: &Store) -> bool {
    let never = || async { pending().await };
    let mut find = pin!(store.answers.find(KEY, MINUTE, never));
    let mut context = Context::from_waker(Waker::noop());
    matches!(
        find.as_mut().poll(&mut context),
        Poll::Ready(Err(Unanswered))
    )
}

#[test]
fn a_client_that_leaves_while_its_request_asks_or_waits_lets_the_next_one_ask() {
    model(3, || {
        let store = Store::new();
        let leaving = {
            let store = Arc::clone(&store);
            thread::spawn(move || leave(&store))
        };
        assert_eq!(block_on(store.find(Ok(Some(1)))), Ok(Some(1)));
        let failed = leaving.join().expect("no thread panics");
        assert!(!failed, "nothing has failed");
        assert_eq!(store.asked.load(SeqCst), 1);
        assert!(store.answers.is_quiet());
    });
}

#[test]
fn a_client_that_leaves_the_queue_leaves_it_to_those_behind_it() {
    model(2, || {
        let store = Store::new();
        let leaving = {
            let store = Arc::clone(&store);
            thread::spawn(move || leave(&store))
        };
        let other = {
            let store = Arc::clone(&store);
            thread::spawn(move || block_on(store.find(Ok(Some(1)))))
        };
        // There are never two questions at once.
        assert_eq!(block_on(store.find(Ok(Some(1)))), Ok(Some(1)));
        assert_eq!(other.join().expect("no thread panics"), Ok(Some(1)));
        leaving.join().expect("no thread panics");
        assert_eq!(store.asked.load(SeqCst), 1);
        assert!(store.answers.is_quiet());
    });
}
