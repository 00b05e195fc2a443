use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Wake, Waker},
};

use proptest::prelude::*;

use super::{
    line::{Line, Wait},
    *,
};

const MS: Duration = Duration::from_millis(1);

fn queue(places: usize, options: QueueOptions) -> Arc<Queue> {
    Arc::new(Queue::new(places, options))
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_served_in_the_order_in_which_they_came() {
    let queue = queue(1, QueueOptions::new());
    let first = queue.enter(None).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in 0..5 {
        let (queue, order) = (Arc::clone(&queue), Arc::clone(&order));
        tokio::spawn(async move {
            let _permit = queue.enter(None).await.unwrap();
            lock(&order).push(number);
            tokio::time::sleep(MS).await;
        });
        settle().await;
    }
    assert_eq!(queue.waiting(), 5);
    drop(first);
    tokio::time::sleep(MS * 20).await;
    assert_eq!(*lock(&order), [0, 1, 2, 3, 4]);
    assert!(queue.try_enter().is_some());
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes_who_has_been_given_a_place_and_has_not_run_yet() {
    let queue = queue(1, QueueOptions::new());
    let first = queue.enter(None).await.unwrap();
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.enter(None).await.is_ok() }
    });
    settle().await;
    drop(first);
    assert!(queue.try_enter().is_none());
    assert!(waiting.await.unwrap());
    assert!(queue.try_enter().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_after_its_time() {
    let queue = queue(1, QueueOptions::new());
    let _first = queue.enter(None).await.unwrap();
    let start = Instant::now();
    assert_eq!(queue.enter(None).await.unwrap_err(), Refused::TooLong);
    assert_eq!(start.elapsed().as_millis(), 1_000);
    assert_eq!(queue.waiting(), 0);
    assert_eq!(Failure::from(Refused::TooLong), Failure::QueueFull);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_time_of_its_request() {
    let queue = queue(1, QueueOptions::new());
    let _first = queue.enter(None).await.unwrap();
    let start = Instant::now();
    let end = Some(start + MS * 300);
    assert_eq!(queue.enter(end).await.unwrap_err(), Refused::End);
    assert_eq!(start.elapsed().as_millis(), 300);
    assert_eq!(Failure::from(Refused::End), Failure::ResponseTimeout);
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_at_once() {
    let queue = queue(1, QueueOptions::new().length(2));
    let _first = queue.enter(None).await.unwrap();
    for _ in 0..2 {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move { queue.enter(None).await });
    }
    settle().await;
    let start = Instant::now();
    assert_eq!(queue.enter(None).await.unwrap_err(), Refused::Full);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(queue.waiting(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_line_of_no_length_lets_nobody_wait() {
    let queue = queue(2, QueueOptions::new().length(0));
    let _held = (
        queue.enter(None).await.unwrap(),
        queue.enter(None).await.unwrap(),
    );
    assert_eq!(queue.enter(None).await.unwrap_err(), Refused::Full);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_leaves_the_line_at_once() {
    let queue = queue(1, QueueOptions::new());
    let first = queue.enter(None).await.unwrap();
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { drop(queue.enter(None).await) })
        })
        .collect();
    settle().await;
    tasks[0].abort();
    tasks[2].abort();
    settle().await;
    assert_eq!(queue.waiting(), 1);
    drop(first);
    settle().await;
    assert!(tasks[1].is_finished());
    assert!(queue.try_enter().is_some());
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_with_a_place_just_given_hands_it_on() {
    let queue = queue(1, QueueOptions::new());
    let first = queue.enter(None).await.unwrap();
    let (mut going, mut next) = (Box::pin(queue.enter(None)), Box::pin(queue.enter(None)));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(going.as_mut().poll(cx).is_pending());
    assert!(next.as_mut().poll(cx).is_pending());
    drop(first);
    drop(going);
    assert!(next.as_mut().poll(cx).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_time_of_any_length_does_not_overflow() {
    let queue = queue(1, QueueOptions::new().timeout(Duration::MAX));
    let first = queue.enter(None).await.unwrap();
    let mut wait = Box::pin(queue.enter(None));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(wait.as_mut().poll(cx).is_pending());
    drop(first);
    assert!(wait.as_mut().poll(cx).is_ready());
}

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug)]
enum Step {
    TryEnter,
    Join,
    Leave,
    /// Polls the one who waits at this place.
    Poll(usize),
    /// Drops it.
    Drop(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => Just(Step::TryEnter),
        3 => Just(Step::Join),
        3 => Just(Step::Leave),
        3 => (0..8_usize).prop_map(Step::Poll),
        2 => (0..8_usize).prop_map(Step::Drop),
    ];
    prop::collection::vec(step, 0..200)
}

/// One who waits, as the line and as the model see it.
struct Waiter<'l> {
    wait: Wait<'l>,
    woken: Arc<Count>,
    polled: bool,
    name: usize,
}

/// The simplest thing that is right: a list of names, and who has been given a place.
struct Model {
    free: usize,
    line: VecDeque<usize>,
    given: Vec<usize>,
}

impl Model {
    fn leave(&mut self) {
        match self.line.pop_front() {
            Some(head) => self.given.push(head),
            None => self.free += 1,
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_a_list_of_names_does(places in 1..4_usize, longest in 0..6_usize, steps in steps()) {
        let line = Line::new(places);
        let mut model = Model { free: places, line: VecDeque::new(), given: Vec::new() };
        let mut waiters: Vec<Waiter<'_>> = Vec::new();
        let mut held = 0;
        for (name, step) in steps.into_iter().enumerate() {
            match step {
                Step::TryEnter => {
                    let entered = line.try_enter();
                    prop_assert_eq!(entered, model.free > 0);
                    held += usize::from(entered);
                    model.free -= usize::from(entered);
                }
                Step::Join => {
                    let joined = line.wait(longest);
                    prop_assert_eq!(joined.is_some(), model.free > 0 || model.line.len() < longest);
                    if let Some(wait) = joined {
                        if model.free > 0 {
                            model.free -= 1;
                            model.given.push(name);
                        } else {
                            model.line.push_back(name);
                        }
                        waiters.push(Waiter { wait, woken: Arc::default(), polled: false, name });
                    }
                }
                Step::Leave if held > 0 => {
                    held -= 1;
                    line.leave();
                    model.leave();
                }
                Step::Poll(at) if at < waiters.len() => {
                    let waiter = &mut waiters[at];
                    let waker = Waker::from(Arc::clone(&waiter.woken));
                    let poll = std::pin::Pin::new(&mut waiter.wait).poll(&mut Context::from_waker(&waker));
                    prop_assert_eq!(poll.is_ready(), model.given.contains(&waiter.name));
                    waiter.polled = true;
                    if poll == Poll::Ready(()) {
                        let name = waiters.remove(at).name;
                        model.given.retain(|given| *given != name);
                        held += 1;
                    }
                }
                Step::Drop(at) if at < waiters.len() => {
                    let name = waiters.remove(at).name;
                    if model.given.contains(&name) {
                        model.given.retain(|given| *given != name);
                        model.leave();
                    } else {
                        model.line.retain(|waiting| *waiting != name);
                    }
                }
                _ => {}
            }
            prop_assert_eq!(line.waiting(), model.line.len());
            for waiter in &waiters {
                let due = waiter.polled && model.given.contains(&waiter.name);
                prop_assert_eq!(waiter.woken.0.load(Ordering::Relaxed), usize::from(due));
            }
        }
        drop(waiters);
        (0..held).for_each(|_| line.leave());
        let free = (0..100).take_while(|_| line.try_enter()).count();
        prop_assert_eq!(free, places, "no place is lost, and none is made");
    }
}

#[test]
#[ignore = "a measurement"]
fn nanoseconds_of_a_place_that_is_free() {
    const TURNS: u32 = 100_000;
    let queue = queue(1, QueueOptions::new());
    let best = (0..50)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..TURNS {
                drop(std::hint::black_box(queue.try_enter()));
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(TURNS)
        })
        .fold(f64::MAX, f64::min);
    println!("enter and leave: {best:.1} ns");
}
