//! The queue before an endpoint. The file is the runtime's own; only the `Mutex` above it is the checker's.

use loom::sync::{Arc, Mutex, MutexGuard};

#[path = "../../../prox-runtime/src/cluster/queue/line.rs"]
mod line;

use line::Line;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics")
}

/// All places are free again, and there are as many as there were.
fn is_whole(line: &Line, places: usize) {
    assert_eq!(line.waiting(), 0);
    assert_eq!((0..).take_while(|_| line.try_enter()).count(), places);
}

#[test]
fn whoever_waits_is_woken_when_a_place_is_left() {
    loom::model(|| {
        let line = Arc::new(Line::new(1));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let line = Arc::clone(&line);
                loom::thread::spawn(move || {
                    let wait = line.wait(2).expect("room in the line");
                    // Never returns if the wake-up is lost.
                    loom::future::block_on(wait);
                    line.leave();
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no thread panics");
        }
        is_whole(&line, 1);
    });
}

#[test]
fn whoever_goes_away_as_a_place_is_handed_over_hands_it_on() {
    loom::model(|| {
        let line = Arc::new(Line::new(1));
        assert!(line.try_enter());
        let going = {
            let line = Arc::clone(&line);
            loom::thread::spawn(move || drop(line.wait(2)))
        };
        let staying = {
            let line = Arc::clone(&line);
            loom::thread::spawn(move || {
                let wait = line.wait(2).expect("room in the line");
                loom::future::block_on(wait);
                line.leave();
            })
        };
        line.leave();
        going.join().expect("no thread panics");
        staying.join().expect("no thread panics");
        is_whole(&line, 1);
    });
}

#[test]
fn no_more_are_let_in_than_there_are_places() {
    use loom::sync::atomic::{AtomicUsize, Ordering};

    loom::model(|| {
        let line = Arc::new(Line::new(1));
        let inside = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|number| {
                let (line, inside) = (Arc::clone(&line), Arc::clone(&inside));
                loom::thread::spawn(move || {
                    if number == 0 {
                        let wait = line.wait(1).expect("room in the line");
                        loom::future::block_on(wait);
                    } else if !line.try_enter() {
                        return;
                    }
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                    inside.fetch_sub(1, Ordering::Relaxed);
                    line.leave();
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no thread panics");
        }
        is_whole(&line, 1);
    });
}
