//! What is counted agrees with all that counts the same, is bounded, never goes back, and is as the server's options say.

use std::collections::{BTreeMap, BTreeSet};

use http_body_util::BodyExt;
use prox::{Embed, MetricsOptions};
use prox_tests::{
    client::{HyperClient, RawClient, Speaks, text},
    gateway::Served,
    log::Log,
    origin::{Origin, Reply},
    wait::{eventually, within},
};

use crate::metrics::{counts, requests, samples, value};

/// A stream of numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        let place = usize::try_from(self.next()).expect("64 bits") % all.len();
        all[place]
    }
}

#[tokio::test]
async fn the_numbers_are_those_of_the_clients_and_of_the_access_log() {
    let origin = Origin::with(|seen| match seen.target() {
        "/up/missing" => Reply::status(404, &[], "no"),
        "/up/broken" => Reply::status(503, &[], "broken"),
        _ => Reply::ok("hello"),
    })
    .await;
    let (log, url) = (Log::new(), origin.endpoint());
    let layer = log.layer();
    let gateway = prox::gateway! {
        with [layer];
        "/up" => url,
        GET "/own" => respond(200, "own"),
    };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;

    // Method, status and error_type, as clients see them.
    let mut seen = BTreeMap::<(String, String), u32>::new();
    let (mut dice, mut bytes, mut all) = (Dice(7), 0, 0);
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(HyperClient::speaking(speaks, served.address()).await);
        }
        for _ in 0..100 {
            for client in &mut clients {
                let method = dice.of(&["GET", "GET", "POST", "DELETE", "PURGE"]);
                let target = dice.of(&["/up/1", "/up/missing", "/up/broken", "/own", "/none"]);
                let request = speaks.request(target).method(method).body(text(""));
                let response = client.send(request.expect("a request")).await;
                let response = response.expect("an answer");
                let status = response.status().as_str().to_owned();
                let body = response.into_body().collect().await.expect("its body");
                bytes += body.to_bytes().len();
                *seen.entry((method.to_owned(), status)).or_default() += 1;
                all += 1;
            }
        }
    }

    let lines = log.lines(all).await;
    let mut logged = BTreeMap::<(String, String), u32>::new();
    for line in &lines {
        let method = line.field("method").expect("a method").to_owned();
        *logged
            .entry((method, line.status().to_string()))
            .or_default() += 1;
    }
    assert_eq!(logged, seen);

    let label = |name: &str, label: &str| {
        let (_, rest) = name.split_once(&format!("{label}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let by_key = || {
        let mut counted = BTreeMap::<(String, String), u32>::new();
        for (name, count) in samples(&gateway.metrics()) {
            if !name.starts_with("prox_requests_total{") {
                continue;
            }
            let method = label(&name, "http_request_method").expect("a method");
            let status = label(&name, "http_response_status_code").expect("a status");
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let count = count as u32;
            *counted.entry((method, status)).or_default() += count;
        }
        counted
    };
    let wanted: BTreeMap<_, _> = seen
        .iter()
        .map(|((method, status), count)| {
            let method = method.replace("PURGE", "_OTHER");
            ((method, status.clone()), *count)
        })
        .collect();
    eventually("all requests to be counted", || by_key() == wanted).await;

    let sum = |family: &str| -> f64 {
        let all = samples(&gateway.metrics());
        let of_family = all
            .iter()
            .filter(|(name, _)| name.split('{').next() == Some(family));
        of_family.map(|(_, count)| count).sum()
    };
    let close = |family: &str, wanted: usize| {
        let wanted = f64::from(u32::try_from(wanted).expect("not that many"));
        assert!((sum(family) - wanted).abs() < 1e-9, "{family}");
    };
    close("prox_response_body_bytes_total", bytes);
    close("http_server_request_duration_seconds_count", all);
    close("prox_protocol_requests_total", all);
    close("prox_endpoint_requests_total", origin.count());
    close("http_client_request_duration_seconds_count", origin.count());
    served.stop().await;
}

/// A request with a method of its own, and mostly with a path and a host of its own.
fn strange(number: u32) -> String {
    let host = match number % 3 {
        0 => format!("h{number}.shop.test"),
        1 => format!("h{number}.test"),
        _ => "a.shop.test".to_owned(),
    };
    let path = match number % 4 {
        0 => format!("/v1/{number}"),
        1 => format!("/other/{number}?q={number}"),
        _ => format!("/{number}"),
    };
    format!("M{number} {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {number}\r\n\r\n")
}

/// Sends these in one piece, and waits for all answers.
async fn ask(client: &mut RawClient, numbers: std::ops::Range<u32>) {
    let together: String = numbers.clone().map(strange).collect();
    client.send(together).await;
    for _ in numbers {
        client.response("GET").await;
    }
}

#[tokio::test]
async fn a_hundred_thousand_hosts_paths_and_methods_make_no_series() {
    const CONNECTIONS: u32 = 4;
    const BATCH: u32 = 50;
    let gateway = prox::gateway! {
        host "*.shop.test" { "/v1/{id}" => respond(200, "ok"), }
        host _ { "/other/{rest}" => respond(404, "no"), }
    };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    let names = || {
        samples(&gateway.metrics())
            .into_keys()
            .collect::<BTreeSet<_>>()
    };
    let mut client = served.client().await;
    ask(&mut client, 0..100).await;
    let before = names();
    let memory = gateway.metrics().len();
    let clients = (0..CONNECTIONS).map(|number| {
        let address = served.address();
        let share = 100_000 / CONNECTIONS;
        tokio::spawn(async move {
            let mut client = RawClient::connect(address).await;
            let first = 100 + number * share;
            for batch in 0..share / BATCH {
                let first = first + batch * BATCH;
                ask(&mut client, first..first + BATCH).await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("its requests are answered");
    }
    let all = || -> f64 {
        let samples = samples(&gateway.metrics());
        let requests = samples
            .iter()
            .filter(|(name, _)| name.starts_with("prox_requests_total"));
        requests.map(|(_, count)| count).sum()
    };
    eventually("all requests to be counted", || all() > 100_099.5).await;
    assert!((all() - 100_100.0).abs() < 1e-9);
    assert_eq!(names(), before);
    // Only digits are added.
    let more = gateway.metrics().len() - memory;
    assert!(more < before.len() * 8, "{more} bytes");
    served.stop().await;
}

/// The counters of an exposition, with the parts of histograms, which never go back.
fn counters(text: &str) -> BTreeMap<String, f64> {
    let counter = |name: &str| {
        let family = name.split('{').next().unwrap_or(name);
        ["_total", "_bucket", "_count", "_sum"]
            .iter()
            .any(|end| family.ends_with(end))
    };
    let all = samples(text).into_iter();
    all.filter(|(name, _)| counter(name)).collect()
}

#[tokio::test]
async fn counters_do_not_go_back_when_servers_and_workers_are_started_again() {
    let origin = Origin::start(Reply::ok("hello")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = gateway.expect("the gateway can start");
    let mut before = BTreeMap::new();
    for round in 1..=4_u32 {
        // Each round has threads of its own, which end with it.
        let own = gateway.clone();
        let counted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(3)
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let served = Served::start(own.clone()).await;
                let mut client = served.client().await;
                client
                    .send("GET / HTTP/1.1\r\nHost: a\r\nHost: b c\r\nX : y\r\n\r\n")
                    .await;
                assert_eq!(client.response_head().await.status, 400);
                for _ in 0..20 {
                    served.get("/").await.expect(200);
                }
                let route = "host=\"_\",http_route=\"/\",";
                let wanted = 20.0 * f64::from(round);
                counts(&own, &requests(route, "GET", 200, ""), wanted).await;
                served.stop().await;
                counters(&own.metrics())
            })
        });
        let counted = within("the round to end", async {
            tokio::task::spawn_blocking(move || counted.join()).await
        })
        .await;
        let now = counted.expect("a thread").expect("a round without a panic");
        for (name, count) in &before {
            let later = now.get(name);
            assert!(later >= Some(count), "{name}: {count}, then {later:?}");
        }
        let refused = "prox_connections_refused_total{reason=\"malformed\"}";
        let refused = now.get(refused).copied().unwrap_or_default();
        assert!(
            (refused - f64::from(round)).abs() < 1e-9,
            "{refused} in round {round}"
        );
        before = now;
    }
}

mod mounted {
    prox::gateway! {
        pub(super) struct Orders { url: prox::Endpoint }
        backend store = url;
        "/orders/{id}" => store,
        host "*.orders.test" { "/" => respond(200, "orders"), }
        GET "/info" => respond(200, "info"),
    }
}

#[tokio::test]
async fn routes_of_a_mounted_gateway_are_counted_by_their_whole_pattern() {
    let origin = Origin::start(Reply::ok("hello")).await;
    let (one, two) = (origin.endpoint(), origin.endpoint());
    let gateway = prox::gateway! {
        "/v1" => gateway(mounted::Orders::new(one)),
        "/v2" => gateway(mounted::Orders::new(two)),
        GET "/info" => respond(200, "outer"),
    };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    for (target, times) in [
        ("/v1/orders/7", 3),
        ("/v2/orders/7", 2),
        ("/v1/info", 1),
        ("/info", 4),
    ] {
        for _ in 0..times {
            served.get(target).await.expect(200);
        }
    }
    served.get("/v1/none").await.expect(404);
    for (pattern, times) in [
        ("/v1/orders/{id}", 3.0),
        ("/v2/orders/{id}", 2.0),
        ("/v1/info", 1.0),
        ("/info", 4.0),
    ] {
        let route = format!("host=\"_\",http_route=\"{pattern}\"");
        counts(
            &gateway,
            &requests(&format!("{route},"), "GET", 200, ""),
            times,
        )
        .await;
        let durations = format!("http_server_request_duration_seconds_count{{{route}}}");
        counts(&gateway, &durations, times).await;
    }
    counts(&gateway, &requests("", "GET", 404, "no_route"), 1.0).await;
    // Backends of one name share their samples, whichever gateway they are of.
    let tries = "http_client_request_duration_seconds_count{backend=\"store\"}";
    counts(&gateway, tries, 5.0).await;
    served.stop().await;
}

#[tokio::test]
async fn the_buckets_and_the_status_are_as_the_options_say() {
    let origin = Origin::with(|seen| match seen.target() {
        "/missing" => Reply::status(404, &[], "no"),
        _ => Reply::ok("hello"),
    })
    .await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = gateway.expect("the gateway can start");
    let options = MetricsOptions::new().buckets([0.5, 60.0]).by_status();
    let served = Served::with(gateway.clone(), |server| server.metrics(options.clone())).await;
    served.get("/").await.expect(200);
    served.get("/missing").await.expect(404);
    let route = "host=\"_\",http_route=\"/\",http_request_method=\"GET\"";
    for status in [200, 404] {
        let name = format!(
            "http_server_request_duration_seconds_count{{{route},http_response_status_code=\"{status}\"}}"
        );
        counts(&gateway, &name, 1.0).await;
    }
    let text = gateway.metrics();
    let bounds: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split_once("le=\"")?.1.split_once('"'))
        .map(|(bound, _)| bound)
        .collect();
    assert_eq!(bounds, BTreeSet::from(["+Inf", "0.5", "60.0"]), "{text}");
    assert!(
        text.contains("http_client_request_duration_seconds_bucket"),
        "{text}"
    );
    served.stop().await;

    // The same again is no contradiction; others are.
    let same = Served::with(gateway.clone(), |server| server.metrics(options)).await;
    same.stop().await;
    let error = prox::Server::new(gateway.clone())
        .metrics(MetricsOptions::new())
        .check()
        .expect_err("the gateway counts with other buckets");
    assert!(
        format!("{error:?}").contains("other `MetricsOptions`"),
        "{error:?}"
    );
}

#[test]
fn buckets_that_make_no_histogram_are_refused_at_the_start() {
    let gateway = || {
        let gateway = prox::gateway! { "/" => respond(200, "ok") };
        gateway.expect("the gateway can start")
    };
    let many: Vec<f64> = (1..=65).map(f64::from).collect();
    for (buckets, problem) in [
        (vec![], "expected at least one bound"),
        (vec![1.0, 0.5], "expected bounds that ascend"),
        (vec![0.5, f64::INFINITY], "expected bounds that are finite"),
        (many, "expected at most 64 bounds, found 65"),
    ] {
        let options = MetricsOptions::new().buckets(buckets);
        let server = prox::Server::new(gateway()).metrics(options.clone());
        let embedded = Embed::new(gateway()).metrics(options).service().map(|_| ());
        for refused in [server.check(), embedded] {
            let error = format!("{:?}", refused.expect_err(problem));
            assert!(error.contains("metrics: buckets: "), "{error}");
            assert!(error.contains(problem), "{error}");
        }
    }
    let good = Embed::new(gateway()).metrics(MetricsOptions::new().buckets([1.0]));
    let service = good.service().expect("one bound is enough");
    assert!(!service.gateway().metrics().contains("le="));
    assert!(value(service.gateway(), "prox_ready") > 0.5);
}
