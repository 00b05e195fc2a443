use http::HeaderValue;

use super::{super::budget::BudgetOptions, *};

struct Case {
    options: RetryOptions,
    budget: Budget,
    now: Instant,
    rng: Rng,
}

impl Case {
    fn new(options: RetryOptions) -> Self {
        let now = Instant::now();
        Self {
            options,
            budget: Budget::new(BudgetOptions::default(), now),
            now,
            rng: Rng::seeded(1),
        }
    }

    fn decide(&self, change: impl FnOnce(&mut Attempt<'static>)) -> Verdict {
        let mut attempt = Attempt {
            method: &Method::GET,
            failed: Failed::Reset,
            retries: 0,
            moves: 0,
            body_again: true,
            another_endpoint: true,
            end: None,
        };
        change(&mut attempt);
        self.options
            .decide(&attempt, &self.budget, self.now, &self.rng)
    }

    fn retries(&self, change: impl FnOnce(&mut Attempt<'static>)) -> bool {
        matches!(self.decide(change), Verdict::Retry { .. })
    }
}

fn status(code: u16) -> Failed {
    Failed::Status(StatusCode::from_u16(code).unwrap(), RetryAfter::Nothing)
}

#[test]
fn without_being_asked_only_a_failure_to_connect_is_tried_again_elsewhere() {
    let case = Case::new(RetryOptions::default());
    let connect = |attempt: &mut Attempt<'static>| {
        attempt.failed = Failed::Connect;
        attempt.method = &Method::POST;
        attempt.body_again = false;
    };
    let wait = Duration::ZERO;
    let after = |moves| {
        case.decide(|attempt| {
            connect(attempt);
            attempt.moves = moves;
        })
    };
    for moves in 0..3 {
        assert_eq!(after(moves), Verdict::Retry { wait });
    }
    assert_eq!(after(3), Verdict::GiveUp(Reason::Off));
    let alone = case.decide(|attempt| {
        connect(attempt);
        attempt.another_endpoint = false;
    });
    assert_eq!(alone, Verdict::GiveUp(Reason::Off));
    assert_eq!(case.decide(|_| {}), Verdict::GiveUp(Reason::Off));
}

#[test]
fn idempotent_requests_are_tried_again_and_others_are_not() {
    let case = Case::new(RetryOptions::new(1));
    for method in [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
    ] {
        let method: &'static Method = Box::leak(Box::new(method));
        assert!(case.retries(|attempt| attempt.method = method), "{method}");
    }
    for method in [&Method::POST, &Method::PATCH, &Method::CONNECT] {
        let verdict = case.decide(|attempt| attempt.method = method);
        assert_eq!(verdict, Verdict::GiveUp(Reason::Method));
    }
    let any = Case::new(RetryOptions::new(1).any_method());
    assert!(any.retries(|attempt| attempt.method = &Method::POST));
}

#[test]
fn only_what_another_try_can_mend_is_tried_again() {
    let case = Case::new(RetryOptions::new(1));
    for failed in [
        status(502),
        status(503),
        status(504),
        Failed::Reset,
        Failed::TryTimeout,
    ] {
        assert!(
            case.retries(|attempt| attempt.failed = failed),
            "{failed:?}"
        );
    }
    for failed in [
        status(200),
        status(500),
        status(404),
        status(429),
        Failed::Other,
    ] {
        let verdict = case.decide(|attempt| attempt.failed = failed);
        assert_eq!(verdict, Verdict::GiveUp(Reason::Final));
    }
    let own = Case::new(RetryOptions::new(1).on([StatusCode::TOO_MANY_REQUESTS]));
    assert!(own.retries(|attempt| attempt.failed = status(429)));
    assert!(!own.retries(|attempt| attempt.failed = status(503)));
}

#[test]
fn a_body_that_is_gone_is_not_sent_again() {
    let case = Case::new(RetryOptions::new(1));
    let verdict = case.decide(|attempt| attempt.body_again = false);
    assert_eq!(verdict, Verdict::GiveUp(Reason::Body));
    assert!(case.options.keeps_bodies_of(&Method::PUT));
    assert!(!case.options.keeps_bodies_of(&Method::POST));
    assert!(!RetryOptions::default().keeps_bodies_of(&Method::PUT));
}

#[test]
fn there_are_as_many_retries_as_were_asked_for() {
    let case = Case::new(RetryOptions::new(2));
    assert!(case.retries(|attempt| attempt.retries = 1));
    let third = case.decide(|attempt| attempt.retries = 2);
    assert_eq!(third, Verdict::GiveUp(Reason::Count));
    assert!(case.retries(|attempt| {
        attempt.failed = Failed::Connect;
        attempt.another_endpoint = false;
        attempt.retries = 1;
    }));
}

#[test]
fn an_endpoint_that_is_gone_does_not_count_as_a_retry() {
    let case = Case::new(RetryOptions::new(2));
    let wait = Duration::ZERO;
    let lost = |attempt: &mut Attempt<'static>| {
        attempt.failed = Failed::Lost;
        attempt.retries = 2;
    };
    for moves in 0..3 {
        let verdict = case.decide(|attempt| {
            lost(attempt);
            attempt.moves = moves;
        });
        assert_eq!(verdict, Verdict::Retry { wait });
    }
    let fourth = case.decide(|attempt| {
        lost(attempt);
        attempt.moves = 3;
    });
    assert_eq!(fourth, Verdict::GiveUp(Reason::Count));
    let alone = case.decide(|attempt| {
        lost(attempt);
        attempt.another_endpoint = false;
    });
    assert_eq!(alone, Verdict::GiveUp(Reason::Count));
    // It may have been processed there.
    let once = case.decide(|attempt| {
        lost(attempt);
        attempt.method = &Method::POST;
    });
    assert_eq!(once, Verdict::GiveUp(Reason::Method));
    let gone = case.decide(|attempt| {
        lost(attempt);
        attempt.body_again = false;
    });
    assert_eq!(gone, Verdict::GiveUp(Reason::Body));
    let unasked = Case::new(RetryOptions::default()).decide(lost);
    assert_eq!(unasked, Verdict::GiveUp(Reason::Off));
    // What was gone before takes nothing from the retries that were asked for.
    assert!(case.retries(|attempt| (attempt.moves, attempt.retries) = (3, 1)));
}

#[test]
fn a_retry_waits_for_a_random_time_that_doubles_and_is_bounded() {
    let case = Case::new(RetryOptions::new(10));
    for (retries, limit) in [(0, 25), (1, 50), (2, 100), (3, 200), (4, 250), (40, 250)] {
        let waits = (0..2_000).map(|_| case.options.back_off_before(retries, &case.rng));
        let (low, high) = waits.fold((Duration::MAX, Duration::ZERO), |(low, high), wait| {
            (low.min(wait), high.max(wait))
        });
        let limit = Duration::from_millis(limit);
        assert!(low < limit / 100, "{low:?}");
        assert!(high <= limit && high > limit * 99 / 100, "{high:?}");
    }
}

#[test]
fn a_short_retry_after_is_waited_for_and_a_long_one_passed_on() {
    let case = Case::new(RetryOptions::new(1));
    let after = |after| {
        let failed = Failed::Status(StatusCode::SERVICE_UNAVAILABLE, after);
        case.decide(|attempt| attempt.failed = failed)
    };
    let wait = Duration::from_secs(1);
    assert_eq!(after(RetryAfter::After(wait)), Verdict::Retry { wait });
    for long in [
        RetryAfter::After(Duration::from_secs(2)),
        RetryAfter::Unclear,
    ] {
        assert_eq!(after(long), Verdict::GiveUp(Reason::RetryAfter));
    }
}

#[test]
fn retry_after_is_read_as_seconds() {
    let of = |text: &'static str| {
        let value = HeaderValue::from_static(text);
        RetryAfter::of(&[(header::RETRY_AFTER, value)].into_iter().collect())
    };
    assert_eq!(RetryAfter::of(&HeaderMap::new()), RetryAfter::Nothing);
    assert_eq!(of("120"), RetryAfter::After(Duration::from_mins(2)));
    assert_eq!(
        of("99999999999999999999999"),
        RetryAfter::After(Duration::MAX)
    );
    for unclear in [
        "Fri, 31 Dec 1999 23:59:59 GMT",
        "-1",
        "+1",
        "",
        "1.5",
        "soon",
    ] {
        assert_eq!(of(unclear), RetryAfter::Unclear, "{unclear}");
    }
}

#[test]
fn a_retry_must_fit_into_the_time_of_the_request() {
    let case = Case::new(RetryOptions::new(1));
    let end = case.now + Duration::from_secs(1);
    assert!(case.retries(|attempt| attempt.end = Some(end)));
    let late = case.decide(|attempt| attempt.end = Some(case.now));
    assert_eq!(late, Verdict::GiveUp(Reason::NoTime));
    let after = RetryAfter::After(Duration::from_secs(1));
    let asked = case.decide(|attempt| {
        attempt.failed = Failed::Status(StatusCode::SERVICE_UNAVAILABLE, after);
        attempt.end = Some(end);
    });
    assert_eq!(asked, Verdict::GiveUp(Reason::NoTime));
}

#[test]
fn a_used_up_budget_ends_retries_and_a_refusal_takes_nothing() {
    let case = Case::new(RetryOptions::new(1));
    for _ in 0..500 {
        case.retries(|attempt| attempt.method = &Method::POST);
    }
    let granted = (0..200).filter(|_| case.retries(|_| {})).count();
    assert_eq!(granted, 100);
    assert_eq!(case.decide(|_| {}), Verdict::GiveUp(Reason::Budget));
}

#[test]
fn a_try_ends_with_its_own_limit_or_the_requests() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    let options = RetryOptions::new(1).per_try_timeout(second);
    assert_eq!(options.try_limit(None, now), Some(second));
    assert_eq!(
        options.try_limit(Some(now + second / 2), now),
        Some(second / 2)
    );
    assert_eq!(
        options.try_limit(Some(now), now + second),
        Some(Duration::ZERO)
    );
    assert_eq!(RetryOptions::new(1).try_limit(None, now), None);
}

#[test]
fn what_was_not_processed_is_bounded_by_time_and_budget_alone() {
    let case = Case::new(RetryOptions::default());
    let again = |retries, end| {
        case.decide(|attempt| {
            attempt.failed = Failed::Unprocessed;
            attempt.method = &Method::POST;
            attempt.retries = retries;
            attempt.end = end;
        })
    };
    let start = case.now;
    let is_retried = |verdict| matches!(verdict, Verdict::Retry { .. });
    assert!((1..=50).all(|retries| is_retried(again(retries, None))));
    assert_eq!(again(1, Some(start)), Verdict::GiveUp(Reason::NoTime));
    let used_up = (0..1_000).find(|_| !is_retried(again(1, None)));
    assert!(used_up.is_some(), "the budget has an end");
    assert_eq!(again(1, None), Verdict::GiveUp(Reason::Budget));
}
