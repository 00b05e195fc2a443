//! Times of one target that contradict each other.

use super::messages;

#[test]
fn a_part_is_under_the_whole() {
    let cases: [(&str, &[&str]); 12] = [
        (
            r#""/" => cluster(rr, [A]).timeout(1s).hedge(2s)"#,
            &["`.hedge(2s)` has no effect: `.timeout(1s)` ends the request first"],
        ),
        (
            r#"backend users = "http://u"; "/" => users.response_timeout(5s).timeout(3s)"#,
            &["`.response_timeout(5s)` has no effect: `.timeout(3s)` ends the request first"],
        ),
        (
            r#""/" => cluster(rr, [A]).timeout(2m).response_timeout(120s)"#,
            &["`.response_timeout(120s)` has no effect: `.timeout(2m)` ends the request first"],
        ),
        (
            r#"backend a = cluster(rr, ["http://a"]).retry(RetryOptions::new(2).per_try_timeout(1s)).timeout(1s); "/" => a"#,
            &["`.per_try_timeout(1s)` has no effect: `.timeout(1s)` ends the request first"],
        ),
        (
            r#"backend a = cluster(rr, ["http://a"]).timeout(1s); "/" => split { 1 => a.retry(RetryOptions::new(1).per_try_timeout(2s)), 2 => a }"#,
            &[
                "`.per_try_timeout(2s)` has no effect: `.timeout(1s)` of its backend ends the request first",
            ],
        ),
        // A route in a hurry leaves the others their time.
        (
            r#"backend a = cluster(rr, ["http://a"]).connect_timeout(5s); "/" => a.timeout(1s)"#,
            &[],
        ),
        // The last of each counts.
        (
            r#"backend a = cluster(rr, ["http://a"]).timeout(1s); "/" => a.retry(RetryOptions::new(1).per_try_timeout(2s)).timeout(3s)"#,
            &[],
        ),
        // What is idle may be a tunnel, which the request does not end.
        (
            r#"backend users = "http://u"; "/" => users.idle_timeout(1m).response_timeout(999ms).timeout(1s)"#,
            &[],
        ),
        (
            r#"backend users = "http://u"; "/" => users.retry(RetryOptions::new(1).per_try_timeout(999ms)).timeout(1s)"#,
            &[],
        ),
        // The last retry counts as a whole, so that nothing is said of the time of the first.
        (
            r#"backend a = cluster(rr, ["http://a"]).retry(RetryOptions::new(2).per_try_timeout(2s)).retry(2).timeout(1s); "/" => a"#,
            &["duplicate `.retry(..)`: it replaces the one before"],
        ),
        (
            r#""/" => cluster(rr, [A]).retry(prox::RetryOptions::new(2).patience(2s)).timeout(1s)"#,
            &["`.patience(2s)` has no effect: `.timeout(1s)` ends the request first"],
        ),
        // Nobody knows, or it is something else's.
        (
            r#"backend users = "http://u"; "/" => users.response_timeout(WAIT).timeout(1s), "/b" => handler(x.connect_timeout(2s)).timeout(1s)"#,
            &[],
        ),
    ];
    for (source, wanted) in cases {
        assert_eq!(first_lines(source), *wanted, "{source}");
    }
}

#[test]
fn a_health_check_ends_before_the_next() {
    let cases: [(&str, &[&str]); 5] = [
        (
            r#"backend a = cluster(rr, ["http://a"]).health(http("/healthz").every(3s).timeout(3s)); "/" => a"#,
            &["a health check with a timeout of 3s cannot run every 3s"],
        ),
        (
            r#""/" => cluster(rr, ["http://a"]).health(tcp().timeout(1m).every(10s)).timeout(5s)"#,
            &["a health check with a timeout of 1m cannot run every 10s"],
        ),
        (
            r#"backend a = cluster(rr, ["http://a"]).health(http("/healthz").every(10s).timeout(3s)); "/" => a"#,
            &[],
        ),
        // The total of requests is nothing to a health check.
        (
            r#""/" => cluster(rr, ["http://a"]).health(http("/").every(10s).timeout(8s)).timeout(1s)"#,
            &[],
        ),
        (
            r#""/" => cluster(rr, ["http://a"]).health(http("/").every(PACE).timeout(8s))"#,
            &[],
        ),
    ];
    for (source, wanted) in cases {
        assert_eq!(first_lines(source), *wanted, "{source}");
    }
}

#[test]
fn a_time_that_never_runs_out_is_told_what_to_write() {
    assert_eq!(
        messages(
            r#"backend users = "http://u"; "/" => users.retry(RetryOptions::new(2).per_try_timeout(5s)).timeout(3s)"#
        ),
        [
            "`.per_try_timeout(5s)` has no effect: `.timeout(3s)` ends the request first\n\
             note: `per_try_timeout` bounds the time of one try, `timeout` the whole request\n\
             help: write less than 3s, or remove it"
        ]
    );
}

#[test]
fn limits_let_something_through_and_are_reached() {
    let cases: [(&str, &[&str]); 8] = [
        (
            r#""/" => cluster(rr, [A]).max_connections(0)"#,
            &["`max_connections` of 0 lets no request through"],
        ),
        (
            r#""/" => cluster(rr, [A]).queue(QueueOptions::new())"#,
            &["this queue is never used: the connections have no limit"],
        ),
        (
            r#""/" => cluster(rr, [A]).queue(QueueOptions::new()).max_connections(9)"#,
            &[],
        ),
        (
            r#""/" => cluster(rr, [A]).retry(RetryOptions::new(1).back_off(1s, 25ms))"#,
            &["`back_off` expects the initial time, then the maximum, which is shorter here"],
        ),
        (
            r#""/" => cluster(rr, [A]).passive(PassiveOptions::new().eject_for(5m, 5s)).retry(RetryOptions::new(1).back_off(25ms, 1s))"#,
            &["`eject_for` expects the initial time, then the maximum, which is shorter here"],
        ),
        (
            r#""/" => cluster(rr, [A]).breaker(BreakerOptions::new().share(150, 20, 10s))"#,
            &["`share` of 150 % never opens the breaker"],
        ),
        (
            r#""/" => cluster(rr, [A]).breaker(BreakerOptions::new().share(100, 20, 10).open_for(5))"#,
            &[
                "`share` expects a duration, but `10` has no unit",
                "`open_for` expects a duration, but `5` has no unit",
            ],
        ),
        // What another crate has is its own.
        (r#""/" => mine(0).max_connections(0).back_off(2s, 1s)"#, &[]),
    ];
    for (source, wanted) in cases {
        assert_eq!(first_lines(source), *wanted, "{source}");
    }
}

fn first_lines(source: &str) -> Vec<String> {
    let first = |text: &String| text.lines().next().map(str::to_owned);
    messages(source).iter().filter_map(first).collect()
}
