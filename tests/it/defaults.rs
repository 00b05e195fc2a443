//! The table of defaults, number by number: what holds unless a user writes something else.

use std::fmt::Debug;

use prox::{
    BreakerOptions, BudgetOptions, CheckOptions, PassiveOptions, PoolOptions, QueueOptions,
    RetryOptions, RoundRobin, Server, SlowStart,
};

/// Panics unless these are all among the fields of `options`.
#[track_caller]
fn holds(options: &impl Debug, fields: &[&str]) {
    let text = format!("{options:?}");
    for field in fields {
        let found = text
            .split_once(field)
            .is_some_and(|(_, behind)| behind.starts_with([',', ' ']));
        assert!(found, "{field} is not in {text}");
    }
}

#[test]
fn the_limits_of_clients_are_those_of_the_table() {
    let server = Server::new(prox::gateway! { "/" => respond(200, "ok") });
    holds(
        &server,
        &[
            "header_timeout: 10s",
            "keep_alive: 60s",
            "idle_timeout: 60s",
            "drain_timeout: 10s",
            "max_header_size: 65536",
            "max_headers: 100",
            "max_streams: 100",
            "tls_handshake_timeout: 10s",
            "half_close: false",
            "trusted: None",
            "proxy_protocol: None",
            "via: None",
        ],
    );
}

#[test]
fn the_limits_of_upstreams_are_those_of_the_table() {
    let upstream = prox::dsl::cluster(RoundRobin::new(), ["http://10.0.0.1:80"]);
    holds(
        &upstream,
        &[
            "connect_timeout: 3s",
            "response_timeout: 30s",
            "timeout: None",
            "idle_timeout: 60s",
            "host: Upstream",
            "encoded_slashes: false",
            "forwarded: false",
            "max_connections: None",
            "http2: false",
            "breaker: None",
            "sticky: None",
            "health: None",
        ],
    );
    holds(
        &PoolOptions::new(),
        &[
            "max_idle: None",
            "idle_timeout: 60s",
            "lifetime: None",
            "streams: 64",
        ],
    );
    holds(&QueueOptions::new(), &["length: 1024", "timeout: 1s"]);
}

#[test]
fn the_numbers_of_retries_are_those_of_the_table() {
    holds(
        &RetryOptions::default(),
        &[
            "retries: 0",
            "per_try: None",
            "any_method: false",
            "statuses: [502, 503, 504]",
            "first: 25ms",
            "longest: 250ms",
            "patience: 1s",
        ],
    );
    holds(
        &BudgetOptions::default(),
        &["percent: 20", "per_second: 10"],
    );
}

#[test]
fn the_numbers_of_health_are_those_of_the_table() {
    holds(
        &CheckOptions::new(),
        &[
            "every: 10s",
            "changing: 1s",
            "timeout: 3s",
            "fall: 3",
            "rise: 2",
        ],
    );
    holds(
        &PassiveOptions::new(),
        &[
            "in_a_row: 5",
            "volume: 20",
            "percent: 50",
            "window: 10s",
            "first: 5s",
            "longest: 300s",
            "most: 50",
        ],
    );
    holds(&SlowStart::default(), &["over: 30s", "from: 10"]);
    holds(
        &BreakerOptions::new(),
        &[
            "percent: 50",
            "volume: 20",
            "window: 10s",
            "open: 5s",
            "probes: 3",
        ],
    );
}
