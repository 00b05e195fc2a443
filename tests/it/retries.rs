//! Requests that are tried again, and those that must not be.

use std::time::Duration;

use prox::RetryOptions;
use prox_tests::{
    client::head,
    frame_origin::{Frame, FrameOrigin, Step, frame, kind, ok},
    gateway::Served,
    origin::{Origin, Reply},
};
use tokio::time::Instant;

async fn named(name: &'static str) -> Origin {
    Origin::start(Reply::ok(name)).await
}

async fn failing() -> Origin {
    Origin::start(Reply::status(503, &[], "busy")).await
}

/// Tries the endpoints in the order in which they are written.
#[derive(Debug)]
pub(crate) struct InTurn;

impl prox::Balancer for InTurn {
    fn pick(&self, pick: &prox::Pick<'_>) -> Option<usize> {
        pick.available().next()
    }
}

async fn before(bad: &Origin, good: &Origin, retry: impl Into<RetryOptions>) -> Served {
    let (bad, good, retry) = (bad.endpoint(), good.endpoint(), retry.into());
    Served::start(prox::gateway! { "/" => cluster(InTurn, [bad, good]).retry(retry) }).await
}

#[tokio::test]
async fn an_answer_of_503_is_asked_for_elsewhere() {
    let (bad, good) = (failing().await, named("good").await);
    let gateway = before(&bad, &good, 1).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "good");
    assert_eq!((bad.count(), good.count()), (1, 1));
}

#[tokio::test]
async fn a_reset_is_tried_again_elsewhere() {
    let (bad, good) = (
        Origin::start(Reply::new().reset()).await,
        named("good").await,
    );
    let gateway = before(&bad, &good, 1).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "good");
}

#[tokio::test]
async fn nothing_is_tried_again_unasked() {
    let (bad, good) = (failing().await, named("good").await);
    let gateway = before(&bad, &good, 0).await;
    assert_eq!(gateway.get("/").await.expect(503).text(), "busy");
    assert_eq!(good.count(), 0);
}

#[tokio::test]
async fn a_post_is_tried_again_only_if_that_is_said() {
    let (bad, good) = (failing().await, named("good").await);
    let gateway = before(&bad, &good, 1).await;
    let answer = gateway.client().await.post("/", "once").await;
    assert_eq!(answer.expect(503).text(), "busy");
    assert_eq!(good.count(), 0);

    let gateway = before(&bad, &good, RetryOptions::new(1).any_method()).await;
    let answer = gateway.client().await.post("/", "twice").await;
    assert_eq!(answer.expect(200).text(), "good");
    assert_eq!(good.last().body.text(), "twice");
}

#[tokio::test]
async fn a_body_is_sent_again_whole() {
    let (bad, good) = (
        Origin::start(Reply::new().early().reset()).await,
        named("good").await,
    );
    let gateway = before(&bad, &good, 1).await;
    let body = "x".repeat(60_000);
    let mut client = gateway.client().await;
    let fields = format!("Content-Length: {}\r\n", body.len());
    client.send(head("PUT", "/", &fields)).await;
    client.send(&body[..1_000]).await;
    // The rest comes only after the first try has failed.
    bad.reached(1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.send(&body[1_000..]).await;
    assert_eq!(client.response("PUT").await.expect(200).text(), "good");
    assert_eq!(good.last().body.text(), body);
}

#[tokio::test]
async fn a_body_over_64_kib_is_not_sent_again() {
    let (bad, good) = (failing().await, named("good").await);
    let gateway = before(&bad, &good, 1).await;
    let body = "x".repeat(70_000);
    let mut client = gateway.client().await;
    for chunked in [false, true] {
        let framing = if chunked {
            "Transfer-Encoding: chunked\r\n".to_owned()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        client.send(head("PUT", "/", &framing)).await;
        if chunked {
            client
                .send(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
                .await;
        } else {
            client.send(&body).await;
        }
        client.response("PUT").await.expect(503);
    }
    assert_eq!((bad.count(), good.count()), (2, 0));
}

#[tokio::test]
async fn a_try_that_takes_too_long_is_given_up_for_another() {
    let (bad, good) = (
        Origin::start(Reply::new().stall()).await,
        named("good").await,
    );
    let options = RetryOptions::new(1).per_try_timeout(Duration::from_millis(200));
    let gateway = before(&bad, &good, options).await;
    let began = Instant::now();
    assert_eq!(gateway.get("/").await.expect(200).text(), "good");
    assert!(began.elapsed() >= Duration::from_millis(200));
    bad.left_alone().await;
}

/// Three upstreams that all die with the requests under way on their kept connections, and one that lives.
struct Killed {
    dead: Vec<Origin>,
    good: Origin,
    gateway: Served,
}

impl Killed {
    /// Each of them has answered on a connection that is kept, `.retry(retries)`.
    async fn new(retries: u32) -> Self {
        let dead = [named("a").await, named("b").await, named("c").await];
        let good = named("good").await;
        let all = dead.iter().chain([&good]).map(Origin::endpoint);
        let all: Vec<prox::Endpoint> = all.collect();
        let gateway =
            Served::start(prox::gateway! { "/" => cluster(rr, all).retry(retries) }).await;
        let mut client = gateway.client().await;
        for _ in 0..4 {
            client.get("/").await.expect(200);
        }
        Self {
            dead: dead.into(),
            good,
            gateway,
        }
    }

    fn count(&self) -> usize {
        self.dead.iter().map(Origin::count).sum()
    }
}

#[tokio::test]
async fn three_upstreams_that_die_at_once_cost_no_retry() {
    // What is sent on the kept connection, and on the next one, is lost.
    for (method, body) in [("GET", ""), ("PUT", "body"), ("DELETE", "")] {
        let killed = Killed::new(1).await;
        for origin in &killed.dead {
            origin.once([Reply::new().reset(), Reply::new().reset()]);
        }
        let mut client = killed.gateway.client().await;
        client.request_with(method, "/", body).await;
        let answer = client.response(method).await.expect(200);
        assert_eq!(answer.text(), "good", "{method}");
        assert_eq!(killed.count(), 3 + 3 * 2, "{method}");
        assert_eq!(killed.good.last().body.text(), body);
        assert_eq!(killed.good.count(), 2);
    }
}

#[tokio::test]
async fn upstreams_that_are_gone_cost_no_retry() {
    let mut killed = Killed::new(1).await;
    for origin in &mut killed.dead[..2] {
        origin.stop().await;
    }
    // What was gone before leaves the one retry to who answers that it has no time.
    killed.dead[2].once([Reply::status(503, &[], "busy")]);
    assert_eq!(killed.gateway.get("/").await.expect(200).text(), "good");
    assert_eq!(killed.dead[2].count(), 2);
}

#[tokio::test]
async fn a_loss_is_free_once_for_each_endpoint_and_three_move_on() {
    let killed = Killed::new(1).await;
    // All of them lose whatever comes; a try is lost on a kept connection and then on a new one.
    for origin in killed.dead.iter().chain([&killed.good]) {
        origin.once(vec![Reply::new().reset(); 20]);
    }
    killed.gateway.get("/").await.expect(502);
    // Three go on elsewhere, one is the retry, which finds no kept connection any more.
    assert_eq!(killed.count() + killed.good.count(), 4 + 4 * 2 + 1);
}

#[tokio::test]
async fn what_may_have_been_done_is_not_sent_to_another_upstream() {
    let killed = Killed::new(3).await;
    let before = killed.count() + killed.good.count();
    for origin in killed.dead.iter().chain([&killed.good]) {
        origin.once([Reply::new().reset()]);
    }
    let mut client = killed.gateway.client().await;
    client.post("/", "pay 10 euros").await.expect(502);
    assert_eq!(killed.count() + killed.good.count(), before + 1);
}

#[tokio::test]
async fn a_shared_connection_that_dies_with_its_requests_costs_no_retry() {
    for (method, status, tries) in [("GET", 200, 9), ("PUT", 200, 9), ("POST", 502, 4)] {
        // Something has come meanwhile, so that the upstream was alive when the request came.
        let script = |head: &Frame| match (head.connection, head.stream) {
            (0, 1) => vec![ok(head.stream, true)],
            _ => vec![frame(kind::PING, 0, 0, &[0; 8]), Step::Close],
        };
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(FrameOrigin::start(&[], script).await);
        }
        all.push(FrameOrigin::start(&[], |head| vec![ok(head.stream, true)]).await);
        let urls: Vec<prox::Endpoint> = all.iter().map(FrameOrigin::endpoint).collect();
        let gateway =
            Served::start(prox::gateway! { "/" => cluster(rr, urls).http2().retry(1) }).await;
        let mut client = gateway.client().await;
        for _ in 0..4 {
            client.get("/").await.expect(200);
        }
        client.request_with(method, "/", "").await;
        client.response(method).await.expect(status);
        let requests = |origin: &FrameOrigin| origin.frames(kind::HEADERS).len();
        assert_eq!(
            all[..3].iter().map(requests).sum::<usize>(),
            tries,
            "{method}"
        );
        assert_eq!(requests(&all[3]), if status == 200 { 2 } else { 1 });
    }
}

#[tokio::test]
async fn the_last_answer_is_passed_on_when_all_fail() {
    let (bad, worse) = (
        failing().await,
        Origin::start(Reply::status(502, &[], "worse")).await,
    );
    let gateway = before(&bad, &worse, 1).await;
    assert_eq!(gateway.get("/").await.expect(502).text(), "worse");
    let gateway = before(&bad, &worse, 3).await;
    gateway.get("/").await;
    assert_eq!(bad.count() + worse.count(), 2 + 4);
}

#[tokio::test]
async fn a_long_retry_after_is_passed_on() {
    let patient = Origin::start(Reply::status(503, &[("Retry-After", "30")], "later")).await;
    let good = named("good").await;
    let gateway = before(&patient, &good, 1).await;
    let answer = gateway.get("/").await.expect(503);
    assert_eq!(answer.field("retry-after"), Some("30"));
}

#[tokio::test]
async fn the_budget_bounds_what_retries_add() {
    let (bad, worse) = (failing().await, failing().await);
    let (one, two) = (bad.endpoint(), worse.endpoint());
    let budget = prox::BudgetOptions::percent(20);
    let gateway = Served::start(
        prox::gateway! { "/" => cluster(rr, [one, two]).retry(3).retry_budget(budget) },
    )
    .await;
    let mut client = gateway.client().await;
    for _ in 0..50 {
        client.get("/").await.expect(503);
    }
    let extra = bad.count() + worse.count() - 50;
    assert!((1..=10).contains(&extra), "{extra} retries of 50 requests");
}

#[tokio::test]
async fn a_client_that_leaves_is_tried_for_no_more() {
    let (bad, good) = (
        Origin::start(Reply::new().stall()).await,
        named("good").await,
    );
    let gateway = before(&bad, &good, 1).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    bad.reached(1).await;
    drop(client);
    bad.left_alone().await;
    assert_eq!(good.count(), 0);
}

#[tokio::test]
async fn a_place_is_waited_for_in_line_and_not_for_ever() {
    let gate = prox_tests::wait::Gate::new();
    let origin = Origin::start(Reply::new().wait(&gate).head(200, &[], "Content-Length: 0")).await;
    let url = origin.endpoint();
    let queue = prox::QueueOptions::new()
        .length(1)
        .timeout(Duration::from_millis(300));
    let gateway =
        Served::start(prox::gateway! { "/" => cluster(rr, [url]).max_connections(1).queue(queue) })
            .await;
    let mut first = gateway.client().await;
    first.request("GET", "/").await;
    origin.reached(1).await;
    // One waits, and gives up; another finds the line full.
    let mut second = gateway.client().await;
    second.request("GET", "/").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let full = gateway.get("/").await.expect(503);
    assert_eq!(full.field("retry-after"), Some("1"));
    second.response("GET").await.expect(503);
    assert_eq!(origin.count(), 1);
    gate.open();
    first.response("GET").await.expect(200);
    gateway.get("/").await.expect(200);
}
