//! Metrics beside those of requests: each value moves with what it tells of.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http_body_util::BodyExt as _;
use prox::{BreakerOptions, Gateway, Server};
use prox_tests::{
    certs::{Authority, Folder},
    client::{HyperClient, Speaks, head, text},
    gateway::Served,
    origin::{Origin, Reply},
    secure::Dial,
    wait::{Gate, eventually},
};

use crate::{
    metrics::{counts, samples, value},
    tls::tls,
};

/// The value of a sample that is there.
fn known(gateway: &Gateway, name: &str) -> f64 {
    let all = samples(&gateway.metrics());
    *all.get(name)
        .unwrap_or_else(|| panic!("{name} in {all:#?}"))
}

#[tokio::test]
async fn connections_of_clients_are_counted_by_whether_they_speak_tls() {
    let authority = Authority::new("authority");
    let issued = authority.issue(&["shop.test", "other.test"]);
    let gateway = prox::gateway! { "/" => respond(200, "hello") };
    let gateway = gateway.expect("the gateway can start");
    let clear = Served::start(gateway.clone()).await;
    let secure = Served::with(gateway.clone(), |server| server.tls(tls(&issued))).await;
    let (clear_text, encrypted) = (
        "prox_open_connections{tls=\"false\"}",
        "prox_open_connections{tls=\"true\"}",
    );
    let mut one = clear.client().await;
    one.get("/").await.expect(200);
    let dial = Dial::new(&authority, "shop.test");
    let mut two = dial.connect(secure.address()).await.expect("a handshake");
    two.get("shop.test", "/").await.expect(200);
    counts(&gateway, clear_text, 1.0).await;
    counts(&gateway, encrypted, 1.0).await;
    counts(&gateway, "prox_connections_total", 2.0).await;
    drop((one, two));
    eventually("the end of the connections", || {
        value(&gateway, clear_text) + value(&gateway, encrypted) < 0.5
    })
    .await;
    counts(&gateway, "prox_connections_total", 2.0).await;
    clear.stop().await;
    secure.stop().await;
    counts(&gateway, "prox_connections_total", 2.0).await;
}

#[tokio::test]
async fn the_end_of_a_certificate_is_that_of_the_files_as_they_are_now() {
    let name = "prox_certificate_expiry_timestamp_seconds{name=\"shop.test\"}";
    let authority = Authority::new("authority");
    let old = authority.issue_with(prox_tests::certs::Names {
        alternatives: vec!["shop.test"],
        expired: true,
        ..prox_tests::certs::Names::default()
    });
    let folder = Folder::new();
    let certificate = folder.write("cert.pem", &old.certificate);
    let key = folder.write("key.pem", &old.key);
    let files = prox::Tls::pem(&certificate, &key).reload_interval(Duration::from_millis(20));
    let gateway = prox::gateway! { "/" => respond(200, "hello") };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::with(gateway.clone(), |server| server.tls(files)).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a clock behind 1970").as_secs_f64();
    eventually("the certificate", || gateway.metrics().contains(name)).await;
    assert!(known(&gateway, name) < now);
    // Another certificate for the same name: the first end counts.
    let second = Served::with(gateway.clone(), |server| {
        server.tls(tls(&authority.issue(&["shop.test"])))
    })
    .await;
    assert!(known(&gateway, name) < now);
    let new = authority.issue(&["shop.test"]);
    folder.write("key.pem", &new.key);
    folder.write("cert.pem", &new.certificate);
    eventually("the new certificate", || known(&gateway, name) > now).await;
    served.stop().await;
    second.stop().await;
    eventually("no certificate", || !gateway.metrics().contains(name)).await;
}

#[tokio::test]
async fn connections_to_a_backend_are_active_or_idle_and_opening_them_takes_time() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::with(move |seen| match seen.target() {
        "/held" => Reply::new()
            .wait(&held)
            .write("HTTP/1.1 204 No Content\r\n\r\n"),
        _ => Reply::ok("hello"),
    })
    .await;
    let url = origin.endpoint();
    let gateway = prox::gateway! {
        backend users = url;
        "/" => users,
    };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    let state = |state: &str| {
        format!(
            "http_client_open_connections{{backend=\"users\",http_connection_state=\"{state}\"}}"
        )
    };
    let (active, idle) = (state("active"), state("idle"));
    assert!(known(&gateway, &active) + known(&gateway, &idle) < 0.5);
    served.get("/").await.expect(200);
    counts(&gateway, &idle, 1.0).await;
    assert!(known(&gateway, &active) < 0.5);
    let opened = "prox_connect_duration_seconds_count{backend=\"users\"}";
    counts(&gateway, opened, 1.0).await;

    let mut one = served.client().await;
    one.request("GET", "/held").await;
    let mut two = served.client().await;
    two.request("GET", "/held").await;
    origin.reached(3).await;
    counts(&gateway, &active, 2.0).await;
    assert!(known(&gateway, &idle) < 0.5);
    counts(&gateway, opened, 2.0).await;
    gate.open();
    one.response("GET").await.expect(204);
    two.response("GET").await.expect(204);
    counts(&gateway, &idle, 2.0).await;
    assert!(known(&gateway, &active) < 0.5);
    served.stop().await;
}

#[tokio::test]
async fn a_request_that_waits_for_a_place_is_measured_and_others_are_not() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::with(move |_| {
        Reply::new()
            .wait(&held)
            .write("HTTP/1.1 204 No Content\r\n\r\n")
    })
    .await;
    let url = origin.endpoint();
    let queue = prox::QueueOptions::new()
        .length(1)
        .timeout(Duration::from_hours(1));
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]).max_connections(1).queue(queue);
        "/" => users,
    };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    let waited = "prox_queue_duration_seconds_count{backend=\"users\"}";
    let mut one = served.client().await;
    one.request("GET", "/").await;
    origin.reached(1).await;
    let waiting = format!(
        "prox_endpoint_waiting{{backend=\"users\",endpoint=\"{}\"}}",
        origin.endpoint()
    );
    let mut two = served.client().await;
    two.request("GET", "/").await;
    counts(&gateway, &waiting, 1.0).await;
    // The line is full: this one does not wait.
    served.get("/").await.expect(503);
    assert!(!gateway.metrics().contains("prox_queue_duration_seconds"));
    // One that leaves has waited.
    two.reset();
    counts(&gateway, waited, 1.0).await;
    let mut three = served.client().await;
    three.request("GET", "/").await;
    counts(&gateway, &waiting, 1.0).await;
    gate.open();
    one.response("GET").await.expect(204);
    three.response("GET").await.expect(204);
    counts(&gateway, waited, 2.0).await;
    served.stop().await;
}

#[tokio::test]
async fn an_open_breaker_and_a_drain_are_shown() {
    let origin = Origin::start(Reply::status(500, &[], "broken")).await;
    let url = origin.endpoint();
    let breaker = BreakerOptions::new()
        .share(50, 2, Duration::from_mins(1))
        .open_for(Duration::from_hours(1));
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]).breaker(breaker);
        "/" => users,
    };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    let open = "prox_breaker_open{backend=\"users\"}";
    assert!(known(&gateway, open) < 0.5);
    for _ in 0..2 {
        served.get("/").await.expect(500);
    }
    counts(&gateway, open, 1.0).await;
    assert!(known(&gateway, "prox_draining") < 0.5);
    assert!(known(&gateway, "prox_ready") > 0.5);
    gateway.drain();
    assert!(known(&gateway, "prox_draining") > 0.5);
    assert!(known(&gateway, "prox_ready") < 0.5);
    served.stop().await;
}

#[tokio::test]
async fn workers_are_busy_have_tasks_and_answer_each_scrape() {
    let gateway = prox::gateway! {
        "/" => respond(200, "hello"),
        GET "/metrics" => prox::metrics(),
    };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    let busy = "prox_worker_busy_seconds_total{worker=\"0\"}";
    let ping = "prox_worker_ping_seconds{worker=\"0\"}";
    assert!(!gateway.metrics().contains("prox_worker_ping_seconds{"));
    let scraped = served.get("/metrics").await.expect(200).text();
    let all = samples(&scraped);
    assert!(all.get(ping).is_some_and(|&took| took >= 0.0), "{scraped}");
    assert!(
        all.get("prox_worker_tasks{worker=\"0\"}")
            .is_some_and(|&tasks| tasks >= 1.0),
        "{scraped}"
    );
    let before = all[busy];
    // The test and the server share a runtime.
    while known(&gateway, busy) <= before {
        served.get("/").await.expect(200);
    }
    served.stop().await;
    assert!(!gateway.metrics().contains("prox_worker_ping_seconds{"));
    assert!(known(&gateway, busy) > before);
}

fn own(count: &Arc<AtomicU64>) -> impl Fn(&mut String) + Send + Sync + 'static {
    let count = Arc::clone(count);
    move |out: &mut String| {
        let count = count.fetch_add(1, Relaxed) + 1;
        out.push_str(
            "# HELP shop_orders_total Orders of \"today\".\n# TYPE shop_orders_total counter\n",
        );
        let _ = writeln!(out, "shop_orders_total{{kind=\"a\\\"b\"}} {count}");
        out.push_str("# TYPE prox_ready gauge\nprox_ready 7\n");
        out.push_str("shop_broken one\nshop_depth 2.5\n");
    }
}

#[tokio::test]
async fn metrics_of_ones_own_are_in_both_formats_as_long_as_the_server_is_there() {
    let gateway =
        prox::gateway! { GET "/metrics" => prox::metrics(), "/" => respond(200, "hello") };
    let gateway = gateway.expect("the gateway can start");
    let count = Arc::default();
    let served = Served::with(gateway.clone(), |server| server.metrics_from(own(&count))).await;
    counts(&gateway, "shop_depth", 2.5).await;
    let answer = served.get("/metrics").await.expect(200).text();
    let all = samples(&answer);
    assert!(
        all.contains_key("shop_orders_total{kind=\"a\\\"b\"}"),
        "{answer}"
    );
    assert!(!answer.contains("shop_broken"), "{answer}");
    assert!((all["prox_ready"] - 1.0).abs() < 1e-9, "{answer}");
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let series = all.len() as f64;
    assert!(
        (all["prox_metrics_series"] - series).abs() < 1e-9,
        "{answer}"
    );
    let mut client = served.client().await;
    let accept = "accept: application/openmetrics-text; version=1.0.0\r\n";
    client.send(head("GET", "/metrics", accept)).await;
    let answer = client.response("GET").await.expect(200).text();
    assert!(
        answer.contains("# TYPE shop_orders counter\nshop_orders_total{kind="),
        "{answer}"
    );
    assert!(
        answer.contains("# TYPE shop_depth unknown\nshop_depth 2.5\n# EOF\n"),
        "{answer}"
    );
    drop(client);
    served.stop().await;
    eventually("the end of the server", || {
        !gateway.metrics().contains("shop_")
    })
    .await;
}

/// Gives `input` to a program, and checks that it finds nothing wrong.
fn passes(program: &str, arguments: &[&str], input: &str) -> bool {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return false;
    };
    let mut stdin = child.stdin.take().expect("it was piped");
    let input = input.to_owned();
    let writes = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    let _ = writes.join();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{program}: {said}"
    );
    true
}

const PARSE: &str = "import sys
text = sys.stdin.read()
if text.endswith('# EOF\\n'):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
else:
    from prometheus_client.parser import text_string_to_metric_families as parse
assert sum(len(family.samples) for family in parse(text)) > 50
";

/// The official checks; they need `promtool`, and Python with `prometheus_client`. `just metrics` says where they are.
#[tokio::test]
async fn scrapes_under_load_pass_the_official_checks() {
    let origin = Origin::with(|seen| match seen.target() {
        "/missing" => Reply::status(404, &[], "no"),
        _ => Reply::ok("hello"),
    })
    .await;
    let url = origin.endpoint();
    let breaker = BreakerOptions::new();
    let gateway = prox::gateway! {
        backend users = cluster(p2c, [url]).breaker(breaker).max_connections(1);
        "/" => users,
        GET "/metrics" => prox::metrics(),
    };
    let gateway = gateway.expect("the gateway can start");
    let authority = Authority::new("authority");
    let secure = Served::with(gateway.clone(), |server: Server<Gateway>| {
        server.tls(tls(&authority.issue(&["shop.test"])))
    })
    .await;
    let served = Served::with(gateway, |server| server.metrics_from(|out: &mut String| {
        out.push_str("# HELP shop_orders_total Orders.\n# TYPE shop_orders_total counter\nshop_orders_total 1\n");
    })).await;
    let load: Vec<_> = [Speaks::Http1, Speaks::Http2, Speaks::Http1]
        .into_iter()
        .map(|speaks| {
            let address = served.address();
            tokio::spawn(async move {
                let mut client = HyperClient::speaking(speaks, address).await;
                for number in 0_u64.. {
                    let target =
                        ["/", "/missing", "/users"][usize::try_from(number % 3).expect("small")];
                    let request = speaks.request(target).body(text("")).expect("a request");
                    if let Ok(response) = client.send(request).await {
                        let _ = response.into_body().collect().await;
                    }
                }
            })
        })
        .collect();
    origin.reached(50).await;
    let mut client = served.client().await;
    let texts = [client.get("/metrics").await.expect(200).text(), {
        let accept = "accept: application/openmetrics-text; version=1.0.0\r\n";
        client.send(head("GET", "/metrics", accept)).await;
        client.response("GET").await.expect(200).text()
    }];
    for task in &load {
        task.abort();
    }
    for text in &texts {
        samples(text);
    }
    let promtool = std::env::var("PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let [text, open] = &texts;
    if !passes(&promtool, &["check", "metrics"], text) {
        eprintln!("SKIPPED: there is no promtool to check the metrics with");
    }
    let import = Command::new(&python)
        .args(["-c", "import prometheus_client"])
        .output();
    if import.is_ok_and(|output| output.status.success()) {
        for text in [text, open] {
            assert!(passes(&python, &["-c", PARSE], text));
        }
    } else {
        eprintln!("SKIPPED: there is no prometheus_client to parse the metrics with");
    }
    drop(client);
    served.stop().await;
    secure.stop().await;
}
