//! Traces: which spans a collector gets, and which context an upstream does.

use std::{net::TcpListener, time::Duration};

use prox::{Admin, Embed, Env, HedgeOptions, IntoResponse, Request, RequestExt, TraceOptions};
use prox_tests::{
    certs::{Authority, Folder},
    client::{HyperClient, RawClient, Speaks, head, text},
    collector::{Collector, Span},
    gateway::Served,
    origin::{Origin, Reply},
    ports::Refused,
    secure::Front,
    wait::{Gate, eventually, within},
};
use tower::ServiceExt;

use crate::{
    retries::InTurn,
    upgrades::{SWITCHED, Upstream, WEBSOCKET},
};

const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";

/// A case of `data/trace_context.txt`.
#[derive(Debug, Default)]
struct Case {
    name: String,
    fields: Vec<(String, String)>,
    goes_on: bool,
    state: Option<String>,
}

fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = Vec::new();
    for line in include_str!("../data/trace_context.txt").lines() {
        let text = line.replace("\\t", "\t");
        if let Some(field) = text.strip_prefix("> ") {
            let (name, value) = field.split_once(": ").expect("a field");
            let case = all.last_mut().expect("a name before it");
            case.fields.push((name.to_owned(), value.to_owned()));
        } else if let Some(wanted) = text.strip_prefix("< ") {
            let case = all.last_mut().expect("a name before it");
            case.goes_on = wanted != "new";
            case.state = wanted.strip_prefix("kept ").map(str::to_owned);
        } else if !text.is_empty() && !text.starts_with('#') {
            all.push(Case {
                name: text,
                ..Case::default()
            });
        }
    }
    assert!(all.len() > 80, "{}", all.len());
    all
}

impl Case {
    fn request(&self) -> String {
        let lines = self
            .fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        head("GET", "/", &lines.collect::<Vec<_>>().concat())
    }
}

/// A gateway before this origin, with these variables.
async fn traced(origin: &Origin, env: Env) -> Served {
    let url = origin.endpoint();
    Served::start(env.within(|| prox::gateway! { "/" => url })).await
}

/// The trace, the span and the flags of a `traceparent`.
fn parts(traceparent: &str) -> (&str, &str, &str) {
    let mut parts = traceparent.split('-');
    let mut next = || parts.next().expect("four parts");
    assert_eq!(next(), "00", "{traceparent}");
    (next(), next(), next())
}

/// The fields of a request that have this name, whatever its case.
fn fields(seen: &prox_tests::origin::Seen, name: &str) -> Vec<String> {
    let all = seen.head.fields.all(name);
    all.into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn contexts_are_read_by_the_rules_of_the_w3c() {
    let (collector, origin) = (Collector::start().await, Origin::start(Reply::ok("")).await);
    // The sender is a stranger, and its trace goes on all the same.
    let gateway = traced(&origin, collector.env()).await;
    for case in cases() {
        let mut client = gateway.client().await;
        client.send(case.request()).await;
        client.response("GET").await.expect(200);
        let seen = origin.last();
        let [traceparent] = &fields(&seen, "traceparent")[..] else {
            panic!("{}: {case:?}: {seen:?}", case.name);
        };
        let (trace, span, flags) = parts(traceparent);
        assert_eq!(trace == TRACE, case.goes_on, "{case:?}: {traceparent}");
        assert_ne!(span, PARENT, "{case:?}");
        assert_eq!(flags, "01", "{case:?}");
        let state = fields(&seen, "tracestate");
        assert_eq!(
            state,
            case.state.iter().cloned().collect::<Vec<_>>(),
            "{case:?}"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn without_traces_a_context_passes_byte_for_byte() {
    let origin = Origin::start(Reply::ok("")).await;
    for env in [
        Env::empty(),
        Env::from([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
            ("OTEL_SDK_DISABLED", "true"),
        ]),
    ] {
        let gateway = traced(&origin, env).await;
        for case in cases() {
            let mut client = gateway.client().await;
            client.send(case.request()).await;
            client.response("GET").await.expect(200);
            let seen = origin.last();
            for name in ["traceparent", "tracestate", "trace-parent", "trace.state"] {
                let sent = case
                    .fields
                    .iter()
                    .filter(|(known, _)| known.eq_ignore_ascii_case(name));
                // Spaces around a value are not part of it.
                let sent: Vec<_> = sent.map(|(_, value)| value.trim().to_owned()).collect();
                assert_eq!(fields(&seen, name), sent, "{case:?}");
            }
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_request_has_a_span_and_its_try_has_another() {
    let (collector, origin) = (
        Collector::start().await,
        Origin::start(Reply::ok("hello")).await,
    );
    let url = origin.endpoint();
    let gateway = collector.env().within(|| {
        prox::gateway! { backend users = url; "/v1/users/{id}" => users }
    });
    let gateway = Served::with(gateway, |server| {
        server.traces(TraceOptions::new().header("x-tenant").header("x-none"))
    })
    .await;
    let mut client = gateway.client().await;
    let lines = "x-tenant: acme\r\nx-other: no\r\n";
    client
        .send(head("GET", "/v1/users/7?token=hunter2", lines))
        .await;
    client.response("GET").await.expect(200);
    let spans = collector.wait(2).await;
    let [server, attempt] = &spans[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(server.name, "GET /v1/users/{id}");
    assert!(server.is_server && !server.is_error && server.parent.is_empty());
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/v1/users/{id}"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("url.path", "/v1/users/7"),
        ("server.address", "gateway.test"),
        ("client.address", "127.0.0.1"),
        ("network.peer.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("http.request.header.x-tenant", "acme"),
        ("error.type", ""),
    ] {
        assert_eq!(server.get(name), value, "{name}: {server:#?}");
    }
    assert_eq!(
        (attempt.name.as_str(), &attempt.parent),
        ("GET", &server.id)
    );
    assert!(!attempt.is_server && !attempt.is_error);
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.full", &format!("{}/v1/users/7", origin.url())),
        ("server.address", "127.0.0.1"),
        ("server.port", &origin.address().port().to_string()),
        ("network.peer.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("prox.backend", "users"),
        ("http.request.resend_count", ""),
    ] {
        assert_eq!(attempt.get(name), value, "{name}: {attempt:#?}");
    }
    let sent = origin.last();
    assert_eq!(
        sent.field("traceparent"),
        Some(&*format!("00-{}-{}-01", server.trace, attempt.id))
    );
    let all = format!("{spans:?}");
    assert!(
        !all.contains("hunter2") && !all.contains("x-other"),
        "{all}"
    );
    assert_eq!(server.resource["telemetry.sdk.language"], "rust");
}

#[tokio::test]
async fn each_try_has_a_span_with_its_number() {
    let collector = Collector::start().await;
    let busy = Origin::start(Reply::status(503, &[], "busy")).await;
    let (good, dead) = (Origin::start(Reply::ok("good")).await, Refused::new());
    let (a, b, c) = (dead.endpoint(), busy.endpoint(), good.endpoint());
    let gateway = collector.env().within(|| {
        prox::gateway! {
            backend users = cluster(InTurn, [a, b, c]).retry(2);
            "/" => users,
        }
    });
    let gateway = Served::start(gateway).await;
    gateway.get("/").await.expect(200);
    let spans = collector.wait(4).await;
    let [server, first, second, third] = &spans[..] else {
        panic!("{spans:#?}");
    };
    assert!(server.is_server && !server.is_error);
    let of = |span: &Span| {
        assert_eq!(span.parent, server.id);
        [
            "http.request.resend_count",
            "error.type",
            "http.response.status_code",
        ]
        .map(|name| span.get(name).to_owned())
    };
    assert_eq!(of(first), ["", "connect", ""]);
    assert_eq!(of(second), ["1", "503", "503"]);
    assert_eq!(of(third), ["2", "", "200"]);
    assert_eq!(
        [first, second, third].map(|span| span.is_error),
        [true, true, false]
    );
    for (origin, span) in [(&busy, second), (&good, third)] {
        let sent = origin.last();
        let (trace, id, flags) = parts(sent.field("traceparent").expect("a context"));
        assert_eq!((trace, id, flags), (&*server.trace, &*span.id, "01"));
    }
}

#[tokio::test]
async fn a_hedged_request_has_a_span_for_each_endpoint() {
    let collector = Collector::start().await;
    let slow = Origin::start(Reply::new().stall()).await;
    let fast = Origin::start(Reply::ok("fast")).await;
    let (a, b) = (slow.endpoint(), fast.endpoint());
    let options = HedgeOptions::from(Duration::from_millis(30));
    let gateway = collector.env().within(|| {
        prox::gateway! {
            backend users = cluster(InTurn, [a, b]).hedge(options);
            "/" => users,
        }
    });
    let gateway = Served::start(gateway).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "fast");
    let spans = collector.wait(3).await;
    let [server, lost, won] = &spans[..] else {
        panic!("{spans:#?}");
    };
    assert!(server.is_server);
    assert_eq!((lost.get("prox.cancelled"), lost.is_error), ("true", false));
    assert_eq!(won.get("http.request.resend_count"), "1");
    assert_eq!(won.get("http.response.status_code"), "200");
    assert_eq!((&lost.parent, &won.parent), (&server.id, &server.id));
}

#[tokio::test]
async fn a_copy_has_a_span_in_the_same_trace() {
    let collector = Collector::start().await;
    let users = Origin::start(Reply::ok("users")).await;
    let canary = Origin::start(Reply::ok("canary")).await;
    let (a, b) = (users.endpoint(), canary.endpoint());
    let gateway = collector.env().within(|| {
        prox::gateway! {
            backend users = cluster(rr, [a]);
            backend canary = cluster(rr, [b]);
            "/" => users.mirror(canary, 1.0),
        }
    });
    let gateway = Served::start(gateway).await;
    gateway.get("/").await.expect(200);
    let spans = collector.wait(3).await;
    let server = spans
        .iter()
        .find(|span| span.is_server)
        .expect("a server's span");
    let copy = spans.iter().find(|span| span.get("prox.mirror") == "true");
    let copy = copy.expect("a span of the copy");
    assert_eq!(
        (copy.get("prox.backend"), &copy.parent),
        ("canary", &server.id)
    );
    assert_eq!(copy.get("http.request.resend_count"), "");
    let sent = canary.last();
    let (trace, id, _) = parts(sent.field("traceparent").expect("one"));
    assert_eq!((trace, id), (&*copy.trace, &*copy.id));
}

async fn told(req: Request) -> impl IntoResponse {
    let own = req.extensions().get::<prox::TraceContext>().copied();
    let asked = req.trace_context();
    assert_eq!(own, asked);
    asked.map_or_else(String::new, |context| context.to_string())
}

#[tokio::test]
async fn what_the_gateway_answers_has_one_span_and_a_handler_finds_its_context() {
    let collector = Collector::start().await;
    let gateway = collector.env().within(|| {
        prox::gateway! {
            "/told" => handler(told),
            "/gone" => respond(410, ""),
            "/moved" => redirect(308, "/told"),
            "/broken" => handler(|_| async { prox::http::StatusCode::INTERNAL_SERVER_ERROR }),
        }
    });
    let gateway = Served::start(gateway).await;
    let context = gateway.get("/told").await.expect(200).text();
    gateway.get("/gone").await.expect(410);
    gateway.get("/moved").await.expect(308);
    gateway.get("/nowhere").await.expect(404);
    gateway.get("/broken").await.expect(500);
    let spans = collector.wait(5).await;
    let short: Vec<_> = spans
        .iter()
        .map(|span| {
            let status = span.get("http.response.status_code");
            (
                span.name.as_str(),
                status,
                span.get("error.type"),
                span.is_error,
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            ("GET /told", "200", "", false),
            ("GET /gone", "410", "", false),
            ("GET /moved", "308", "", false),
            ("GET", "404", "no_route", false),
            ("GET /broken", "500", "500", true),
        ]
    );
    assert_eq!(context, format!("00-{}-{}-01", spans[0].trace, spans[0].id));
}

#[tokio::test]
async fn the_span_of_a_tunnel_ends_with_it() {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    let url = upstream.endpoint();
    let gateway = collector.env().within(|| prox::gateway! { "/chat" => url });
    let gateway = Served::start(gateway).await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/chat", WEBSOCKET)).await;
    let (_, upstream) = upstream.switch().await;
    assert!(SWITCHED.contains("101"));
    assert_eq!(client.response_head().await.head.word(1), "101");
    // Another request ends in between, and is exported.
    gateway.get("/none").await.expect(404);
    collector.wait(1).await;
    drop(client);
    drop(upstream);
    let spans = collector.wait(3).await;
    let tunnel: Vec<_> = spans
        .iter()
        .filter(|span| span.get("http.response.status_code") == "101")
        .collect();
    assert_eq!(tunnel.len(), 2, "{spans:#?}");
    let other = spans
        .iter()
        .find(|span| span.get("error.type") == "no_route");
    let other = other.expect("the other request");
    for span in tunnel {
        assert!(span.time.0 < other.time.0 && span.time.1 > other.time.1);
        assert!(!span.is_error);
    }
}

#[tokio::test]
async fn a_client_that_leaves_makes_no_error_and_a_cut_body_does() {
    let collector = Collector::start().await;
    let origin = Origin::with(|seen| match seen.target() {
        "/cut" => Reply::new()
            .head(200, &[], "content-length: 9")
            .write("half")
            .close(),
        _ => Reply::new().stall(),
    })
    .await;
    let gateway = traced(&origin, collector.env()).await;
    let mut client = gateway.client().await;
    client.request("GET", "/stalls").await;
    origin.reached(1).await;
    drop(client);
    let gone = collector.wait(2).await;
    assert!(gone.iter().all(|span| !span.is_error), "{gone:#?}");
    assert_eq!(gone[0].get("error.type"), "client_gone");
    assert_eq!(gone[0].get("http.response.status_code"), "499");
    assert_eq!(gone[1].get("prox.cancelled"), "true");
    let mut client = gateway.client().await;
    client.request("GET", "/cut").await;
    client.response_head().await;
    let all = collector.wait(4).await;
    let cut: Vec<_> = all
        .iter()
        .filter(|span| span.get("http.response.status_code") == "200")
        .collect();
    assert_eq!(cut.len(), 2, "{all:#?}");
    assert!(
        cut.iter()
            .all(|span| span.is_error && !span.get("error.type").is_empty()),
        "{cut:#?}"
    );
}

#[tokio::test]
async fn http2_has_a_span_for_each_stream() {
    let (collector, origin) = (
        Collector::start().await,
        Origin::start(Reply::ok("hello")).await,
    );
    let gateway = traced(&origin, collector.env()).await;
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    for _ in 0..2 {
        let request = Speaks::Http2
            .request("/")
            .body(text(""))
            .expect("a request");
        let answer = client.send(request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        prox_tests::client::read(answer).await;
    }
    let spans = collector.wait(4).await;
    let servers: Vec<_> = spans.iter().filter(|span| span.is_server).collect();
    assert_eq!(servers.len(), 2);
    assert_ne!(servers[0].trace, servers[1].trace);
    for server in servers {
        assert_eq!(server.get("network.protocol.version"), "2");
        assert!(!server.get("server.address").is_empty());
    }
}

/// What a request with this `traceparent` flag becomes: the trace and the flag at the upstream, and how many spans there are.
async fn passed(env: Env, trusted: bool, flag: Option<&str>) -> (bool, bool, String) {
    let origin = Origin::start(Reply::ok("")).await;
    let url = origin.endpoint();
    let gateway = env.within(|| prox::gateway! { "/" => url });
    let gateway = Served::with(gateway, |server| {
        if trusted {
            server.trusted_proxies(["127.0.0.0/8"])
        } else {
            server
        }
    })
    .await;
    let line = flag.map(|flag| format!("traceparent: 00-{TRACE}-{PARENT}-{flag}\r\n"));
    let mut client = gateway.client().await;
    client
        .send(head("GET", "/", &line.unwrap_or_default()))
        .await;
    client.response("GET").await.expect(200);
    gateway.stop().await;
    let sent = origin.last();
    let (trace, span, flags) = parts(sent.field("traceparent").expect("one"));
    (trace == TRACE, span == PARENT, flags.to_owned())
}

#[tokio::test]
async fn the_flag_of_a_parent_counts_from_a_trusted_proxy_only() {
    for (sampler, trusted, flag, same_trace, same_span, sent, recorded) in [
        (
            "parentbased_always_on",
            true,
            Some("01"),
            true,
            false,
            "01",
            true,
        ),
        (
            "parentbased_always_on",
            true,
            Some("00"),
            true,
            true,
            "00",
            false,
        ),
        (
            "parentbased_always_on",
            false,
            Some("00"),
            true,
            false,
            "01",
            true,
        ),
        (
            "parentbased_always_on",
            false,
            None,
            false,
            false,
            "01",
            true,
        ),
        (
            "parentbased_always_off",
            true,
            Some("01"),
            true,
            false,
            "01",
            true,
        ),
        (
            "parentbased_always_off",
            false,
            Some("01"),
            true,
            false,
            "00",
            false,
        ),
        (
            "parentbased_always_off",
            false,
            None,
            false,
            false,
            "00",
            false,
        ),
        ("always_off", true, Some("01"), true, true, "01", false),
        ("always_on", true, Some("00"), true, false, "01", true),
    ] {
        let collector = Collector::start().await;
        let env = collector.env().set("OTEL_TRACES_SAMPLER", sampler);
        let found = passed(env, trusted, flag).await;
        let about = format!("{sampler} {trusted} {flag:?}");
        assert_eq!(found, (same_trace, same_span, sent.to_owned()), "{about}");
        let spans = collector.spans();
        assert_eq!(spans.len(), if recorded { 2 } else { 0 }, "{about}");
        if recorded && same_trace {
            assert_eq!(
                (
                    &*spans[0].trace,
                    spans.iter().filter(|span| span.parent == PARENT).count()
                ),
                (TRACE, 1)
            );
        }
    }
}

#[tokio::test]
async fn a_trace_keeps_its_state() {
    let (collector, origin) = (Collector::start().await, Origin::start(Reply::ok("")).await);
    let gateway = traced(&origin, collector.env()).await;
    let mut client = gateway.client().await;
    let lines = format!(
        "traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: a=1\r\ntracestate: b=2\r\nbaggage: x=1\r\n"
    );
    client.send(head("GET", "/", &lines)).await;
    client.response("GET").await.expect(200);
    let spans = collector.wait(2).await;
    assert!(
        spans.iter().all(|span| span.state == "a=1,b=2"),
        "{spans:#?}"
    );
    assert_eq!(origin.last().field("baggage"), Some("x=1"));
}

#[tokio::test]
async fn so_many_traces_are_recorded_in_a_second() {
    let (collector, origin) = (Collector::start().await, Origin::start(Reply::ok("")).await);
    let url = origin.endpoint();
    let gateway = collector.env().within(|| prox::gateway! { "/" => url });
    let gateway = Served::with(gateway, |server| {
        server.traces(TraceOptions::new().limit(0))
    })
    .await;
    for _ in 0..3 {
        gateway.get("/").await.expect(200);
    }
    gateway.stop().await;
    assert!(collector.spans().is_empty());
    let flags = origin.requests();
    let flags = flags
        .iter()
        .map(|seen| parts(seen.field("traceparent").expect("one")).2);
    assert!(flags.into_iter().all(|flags| flags == "00"));
}

#[tokio::test]
async fn the_end_of_the_server_exports_what_is_left() {
    let (collector, origin) = (Collector::start().await, Origin::start(Reply::ok("")).await);
    let env = collector.env().set("OTEL_BSP_SCHEDULE_DELAY", 3_600_000);
    let gateway = traced(&origin, env).await;
    for _ in 0..5 {
        gateway.get("/").await.expect(200);
    }
    assert_eq!(collector.origin().count(), 0);
    gateway.stop().await;
    assert_eq!(collector.spans().len(), 10);
}

#[tokio::test]
async fn a_full_batch_does_not_wait() {
    let (collector, origin) = (Collector::start().await, Origin::start(Reply::ok("")).await);
    let env = collector.env().set("OTEL_BSP_SCHEDULE_DELAY", 3_600_000);
    let gateway = traced(&origin, env.set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 4)).await;
    gateway.get("/").await.expect(200);
    gateway.get("/").await.expect(200);
    collector.wait(4).await;
}

/// How many spans a gateway says it has dropped.
fn dropped(gateway: &prox::Gateway) -> u64 {
    let text = gateway.metrics();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("prox_spans_dropped_total "));
    line.expect("the metric").parse().expect("a number")
}

#[tokio::test]
async fn a_collector_that_is_down_slow_or_refuses_costs_spans_and_no_request() {
    let origin = Origin::start(Reply::ok("")).await;
    let url = origin.endpoint();
    let closed = Refused::new();
    let slow = Collector::start().await;
    let gate = Gate::new();
    slow.origin().once((0..9).map(|_| Reply::new().wait(&gate)));
    let refuses = Collector::start().await;
    refuses
        .origin()
        .once((0..99).map(|_| Reply::status(400, &[], "no")));
    for (about, place) in [
        ("down", closed.endpoint().to_string()),
        ("slow", slow.origin().url()),
        ("refuses", refuses.origin().url()),
    ] {
        let url = url.clone();
        let env = Env::from([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", place.as_str()),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
        ]);
        let gateway = env
            .within(|| prox::gateway! { "/" => url })
            .expect("it can start");
        let served = Served::start(gateway.clone()).await;
        for _ in 0..20 {
            served.get("/").await.expect(200);
        }
        eventually(about, || dropped(&gateway) == 40).await;
        served.stop().await;
    }
    gate.open();
}

#[tokio::test]
async fn a_busy_collector_is_asked_again() {
    let (collector, origin) = (Collector::start().await, Origin::start(Reply::ok("")).await);
    collector.origin().once([
        Reply::status(503, &[("retry-after", "0")], "busy"),
        Reply::status(429, &[], "busy"),
        Reply::new().reset(),
    ]);
    let url = origin.endpoint();
    let gateway = collector
        .env()
        .within(|| prox::gateway! { "/" => url })
        .expect("it can start");
    let served = Served::start(gateway.clone()).await;
    served.get("/").await.expect(200);
    // Each of the four requests has the two spans, or there was one more for a span that was not ready.
    eventually("the batch to be sent again", || {
        collector.spans().len() >= 8
    })
    .await;
    assert_eq!(dropped(&gateway), 0);
    served.stop().await;
}

#[tokio::test]
async fn a_server_whose_collector_is_silent_ends_in_time() {
    let mut collector = Collector::start().await;
    let gate = Gate::new();
    collector
        .origin()
        .once((0..9).map(|_| Reply::new().wait(&gate)));
    let origin = Origin::start(Reply::ok("")).await;
    let gateway = traced(&origin, collector.env()).await;
    gateway.get("/").await.expect(200);
    collector.origin().reached(1).await;
    let began = tokio::time::Instant::now();
    gateway.stop().await;
    // The timeout of the export is 10 s, and the end takes 2 s of it.
    assert!(
        began.elapsed() < Duration::from_secs(9),
        "{:?}",
        began.elapsed()
    );
    collector.origin_mut().stop().await;
}

#[tokio::test]
async fn what_is_set_is_on_each_batch() {
    let (collector, origin) = (Collector::start().await, Origin::start(Reply::ok("")).await);
    let env = collector
        .env()
        .set("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x%25y")
        .set("OTEL_SERVICE_NAME", "shop")
        .set(
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=other,deployment.environment.name=test",
        );
    let gateway = traced(&origin, env).await;
    gateway.get("/").await.expect(200);
    let spans = collector.wait(2).await;
    assert_eq!(spans[0].resource["service.name"], "shop");
    assert_eq!(spans[0].resource["deployment.environment.name"], "test");
    assert_eq!(
        collector.origin().last().field("authorization"),
        Some("Bearer x%y")
    );
}

mod named {
    prox::gateway! {
        pub(super) struct Corner;
        "/" => respond(204, ""),
    }
}

#[tokio::test]
async fn the_service_is_the_gateway_unless_a_variable_says_another_name() {
    let collector = Collector::start().await;
    let gateway = named::Corner::with_env(collector.env()).expect("it can start");
    let gateway = Served::start(gateway).await;
    gateway.get("/").await.expect(204);
    let spans = collector.wait(1).await;
    assert_eq!(spans[0].resource["service.name"], "Corner");
}

#[tokio::test]
async fn what_is_wrong_is_said_at_once_and_before_anything_listens() {
    let env = Env::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("DRAIN_IDLE", "5"),
    ]);
    let gateway = env.within(|| prox::gateway! { "/" => respond(204, "") });
    let server = prox::Server::new(gateway).traces(TraceOptions::new().header("cookie"));
    let error = format!("{:?}", server.check().expect_err("five things are wrong"));
    for part in [
        "OTEL_EXPORTER_OTLP_ENDPOINT is \"collector:4317\": expected a URL such as http://localhost:4318",
        "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS has no `name=value`",
        "OTEL_TRACES_SAMPLER is \"jaeger_remote\"",
        "`cookie` names a secret",
        "DRAIN_IDLE is \"5\"",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_provider_of_the_users_own_gets_the_same_spans() {
    use prox::opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

    #[derive(Clone, Debug, Default)]
    struct Kept(std::sync::Arc<std::sync::Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(
            &self,
            batch: Vec<SpanData>,
        ) -> prox::opentelemetry_sdk::error::OTelSdkResult {
            self.0.lock().expect("no test panics with it").extend(batch);
            Ok(())
        }
    }

    let (kept, origin) = (Kept::default(), Origin::start(Reply::ok("")).await);
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(kept.clone())
        .build();
    let url = origin.endpoint();
    let env = Env::from([("OTEL_BSP_SCHEDULE_DELAY", "20")]);
    let gateway = env.within(|| prox::gateway! { "/" => url });
    let gateway = Served::with(gateway, |server| server.tracer_provider(provider)).await;
    let mut client = RawClient::connect(gateway.address()).await;
    let line = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\n");
    client.send(head("GET", "/", &line)).await;
    client.response("GET").await.expect(200);
    within("the end", gateway.stop()).await;
    let spans = kept.0.lock().expect("no test panics with it").clone();
    assert_eq!(spans.len(), 2, "{spans:#?}");
    let sent = origin.last();
    let (trace, id, _) = parts(sent.field("traceparent").expect("one"));
    for span in &spans {
        assert_eq!(span.span_context.trace_id().to_string(), TRACE);
        assert_eq!(span.span_context.trace_id().to_string(), trace);
    }
    let attempt = spans
        .iter()
        .find(|span| span.span_context.span_id().to_string() == id);
    let attempt = attempt.expect("the span that the upstream was told");
    let server = spans
        .iter()
        .find(|span| span.parent_span_id.to_string() == PARENT);
    let server = server.expect("the span of the request");
    assert_eq!(attempt.parent_span_id, server.span_context.span_id());
    assert!(server.parent_span_is_remote && !attempt.parent_span_is_remote);
}

#[tokio::test]
async fn a_collector_may_speak_tls() {
    let collector = Collector::start().await;
    let authority = Authority::new("collectors");
    let front = Front::start(
        collector.origin().address(),
        &authority.issue(&["127.0.0.1"]),
        None,
    )
    .await;
    let folder = Folder::new();
    let roots = folder.write("roots.pem", authority.pem());
    let origin = Origin::start(Reply::ok("")).await;
    let env = collector
        .env()
        .set(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("https://{}", front.address()),
        )
        .set("OTEL_EXPORTER_OTLP_CERTIFICATE", roots.display());
    let gateway = traced(&origin, env).await;
    gateway.get("/").await.expect(200);
    collector.wait(2).await;
    assert!(!front.handshakes().is_empty());
}

#[tokio::test]
async fn one_thread_exports_traces_and_answers_operators() {
    let (collector, origin) = (Collector::start().await, Origin::start(Reply::ok("")).await);
    let url = origin.endpoint();
    let admin = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = admin.local_addr().expect("a listener has an address");
    let env = collector
        .env()
        .set("OTEL_EXPORTER_OTLP_HEADERS", "x-own=hunter2");
    let gateway = env.within(|| prox::gateway! { "/" => url });
    let gateway = Served::with(gateway, |server| server.admin(Admin::from(admin))).await;
    gateway.get("/").await.expect(200);
    collector.wait(2).await;
    assert_eq!(collector.origin().last().field("x-own"), Some("hunter2"));
    let mut operator = RawClient::connect(address).await;
    operator
        .send("GET /config HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        .await;
    let config = operator.response("GET").await.expect(200).text();
    assert!(config.contains("OTEL_EXPORTER_OTLP_HEADERS"), "{config}");
    assert!(
        config.contains("\"otel\"") && !config.contains("hunter2"),
        "{config}"
    );
    gateway.get("/").await.expect(200);
    gateway.stop().await;
    assert_eq!(collector.spans().len(), 4);
}

#[tokio::test]
async fn a_call_by_grpc_that_fails_is_an_error_whatever_its_status() {
    let (collector, dead) = (Collector::start().await, Refused::new());
    let url = dead.endpoint();
    let gateway = collector
        .env()
        .within(|| prox::gateway! { "/shop.Cart/{method}" => url });
    let gateway = Served::start(gateway).await;
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let request = Speaks::Http2
        .request("/shop.Cart/Get")
        .method("POST")
        .header("content-type", "application/grpc")
        .body(text(""))
        .expect("a request");
    let answer = client.send(request).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let spans = collector.wait(2).await;
    let [server, attempt] = &spans[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(server.name, "POST /shop.Cart/{method}");
    assert_eq!(
        (server.get("error.type"), server.is_error),
        ("connect", true)
    );
    assert_eq!(
        (attempt.get("error.type"), attempt.is_error),
        ("connect", true)
    );
}

/// Requests of a gateway in a server of somebody else's.
async fn embedded(service: &prox::Embedded, lines: &[(&str, &str)]) -> u16 {
    let mut request = http::Request::get("http://shop.test/").header("host", "shop.test");
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    let request = request.body(prox::Body::empty()).expect("a request");
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    response.into_body().bytes(1024).await.expect("a body");
    status
}

#[tokio::test]
async fn an_embedded_gateway_has_spans_if_it_is_told_so() {
    let (collector, origin) = (Collector::start().await, Origin::start(Reply::ok("")).await);
    let url = origin.endpoint();
    let gateway = collector
        .env()
        .within(|| prox::gateway! { "/" => url })
        .expect("it can start");
    let silent = Embed::new(gateway.clone()).service().expect("a service");
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let lines = [("traceparent", &*parent)];
    assert_eq!(embedded(&silent, &lines).await, 200);
    assert_eq!(origin.last().field("traceparent"), Some(&*parent));
    let traced = Embed::new(gateway).traces(TraceOptions::new()).service();
    let traced = traced.expect("a service");
    assert_eq!(embedded(&traced, &lines).await, 200);
    let seen = origin.last();
    let (trace, span, flags) = parts(seen.field("traceparent").expect("a context"));
    assert_eq!((trace, flags), (TRACE, "01"));
    let (span, clone) = (span.to_owned(), traced.clone());
    drop(traced);
    assert_eq!(embedded(&clone, &[]).await, 200);
    // What is left is exported when the last clone is gone.
    drop(clone);
    let spans = collector.wait(4).await;
    let of_trace: Vec<&Span> = spans.iter().filter(|span| span.trace == TRACE).collect();
    let [one, two] = &of_trace[..] else {
        panic!("{spans:#?}");
    };
    let (server, client) = if one.is_server {
        (one, two)
    } else {
        (two, one)
    };
    assert_eq!((&*server.parent, &*client.id), (PARENT, &*span));
    assert_eq!(client.parent, server.id);
    assert_eq!(spans.len(), 4);
}

#[tokio::test]
async fn what_is_wrong_with_the_traces_of_an_embedded_gateway_is_said_at_the_start() {
    let env = Env::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://127.0.0.1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
    ]);
    let gateway = env
        .within(|| prox::gateway! { "/" => respond(200, "") })
        .expect("it can start");
    assert!(Embed::new(gateway.clone()).service().is_ok());
    let error = Embed::new(gateway)
        .traces(TraceOptions::new().header("cookie"))
        .service();
    let error = format!("{:?}", error.expect_err("three problems"));
    for part in [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "`cookie`",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("hunter2"), "{error}");
}
