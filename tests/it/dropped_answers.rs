//! Answers that nobody reads: what is left of them is read first where it is short, so that their connections are used again.

use std::{io, time::Duration};

use prox::{HedgeOptions, HttpCheck, Middleware, MirrorOptions, Next, Request, Response};
use prox_tests::{
    gateway::{Served, served},
    origin::{Origin, Reply},
    wait::{eventually, within},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::sleep,
};

use crate::retries::InTurn;

/// A body comes so much later than its head. The gateway waits for it far longer.
const LATER: Duration = Duration::from_millis(5);

async fn good() -> Origin {
    Origin::start(Reply::ok("good")).await
}

/// Its body comes after its head.
fn late(status: u16, framing: &str, body: &str) -> Reply {
    Reply::new()
        .head(status, &[], framing)
        .pause(LATER)
        .write(body)
}

/// An endpoint whose answers are retried, and another one. Each request waits until those before it are over for good.
async fn retried(bad: &Origin, requests: usize) -> Served {
    let good = good().await;
    let (a, b) = (bad.endpoint(), good.endpoint());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(InTurn, [a, b]).retry(1).without_passive();
        "/" => users,
    })
    .await;
    for _ in 0..requests {
        assert_eq!(gateway.get("/").await.expect(200).text(), "good");
        eventually("the answer is over", || {
            users.endpoints().all(|endpoint| endpoint.active() == 0)
        })
        .await;
    }
    assert_eq!(bad.count(), requests);
    gateway
}

#[tokio::test]
async fn a_retried_answer_with_a_short_rest_costs_no_connection() {
    let chunked = "Transfer-Encoding: chunked";
    for reply in [
        Reply::status(503, &[], "busy"),
        Reply::status(503, &[], ""),
        Reply::new()
            .head(503, &[], chunked)
            .write("2\r\nbu\r\n2\r\nsy\r\n0\r\nX-Trailer: yes\r\n\r\n"),
        late(503, "Content-Length: 4", "busy"),
        late(503, chunked, "4\r\nbusy\r\n0\r\n\r\n"),
        late(503, "Content-Length: 10000", &"x".repeat(10_000)),
    ] {
        let told = format!("{reply:?}");
        let bad = Origin::start(reply).await;
        let _gateway = retried(&bad, 8).await;
        assert_eq!(bad.accepted(), 1, "{told}");
    }
}

#[tokio::test]
async fn a_retried_answer_with_a_long_rest_or_none_to_come_is_closed() {
    let endless = || Reply::new().head(503, &[], "Content-Length: 10").stall();
    let bad = Origin::start(endless()).await;
    let _gateway = retried(&bad, 2).await;
    eventually("the connections are closed", || bad.open() == 0).await;

    let long = Reply::new()
        .head(503, &[], "Content-Length: 1000000")
        .stall();
    let bad = Origin::start(long).await;
    let _gateway = retried(&bad, 2).await;
    eventually("the connections are closed", || bad.open() == 0).await;
}

/// Answers failures of upstreams in its own words.
struct Own;

impl Middleware for Own {
    async fn handle(&self, req: Request, next: Next) -> Response {
        let response = next.run(req).await;
        if response.status() == 500 {
            let mut own = Response::new("sorry".into());
            *own.status_mut() = http::StatusCode::BAD_GATEWAY;
            own
        } else {
            response
        }
    }
}

#[tokio::test]
async fn an_answer_that_a_layer_replaces_costs_no_connection_if_its_rest_is_short() {
    let bad = Origin::start(late(500, "Content-Length: 4", "dead")).await;
    let url = bad.endpoint();
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [url]);
        "/" => users with [Own],
    })
    .await;
    for _ in 0..8 {
        assert_eq!(gateway.get("/").await.expect(502).text(), "sorry");
        eventually("the answer is over", || {
            users.endpoints().all(|endpoint| endpoint.active() == 0)
        })
        .await;
    }
    assert_eq!((bad.count(), bad.accepted()), (8, 1));
}

#[tokio::test]
async fn the_answer_of_a_hedge_that_lost_costs_no_connection_if_its_rest_is_short() {
    let delay = Duration::from_millis(5);
    // It fails before the other one answers, but is still to send its body then.
    let slow = Reply::new()
        .pause(4 * delay)
        .head(500, &[], "Content-Length: 4")
        .pause(20 * delay)
        .write("dead");
    let second = Reply::new()
        .pause(12 * delay)
        .head(200, &[], "Content-Length: 4")
        .write("good");
    let (first, second) = (Origin::start(slow).await, Origin::start(second).await);
    let (a, b) = (first.endpoint(), second.endpoint());
    let options =
        HedgeOptions::after(delay).budget(prox::BudgetOptions::percent(100).and_per_second(100));
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(InTurn, [a, b]).hedge(options).without_passive();
        "/" => users,
    })
    .await;
    for _ in 0..8 {
        gateway.get("/").await;
        eventually("both answers are over", || {
            users.endpoints().all(|endpoint| endpoint.active() == 0)
        })
        .await;
    }
    assert_eq!((first.count(), first.accepted()), (8, 1));
}

#[tokio::test]
async fn of_the_answer_of_a_mirror_only_a_part_is_read() {
    let (users, canary) = (
        good().await,
        Origin::start(Reply::filler(100_000_000, false)).await,
    );
    let (a, b, options) = (
        users.endpoint(),
        canary.endpoint(),
        MirrorOptions::new(1.0).timeout(Duration::from_mins(5)),
    );
    let gateway = Served::start(prox::gateway! {
        backend users = cluster(rr, [a]);
        backend canary = cluster(rr, [b]);
        "/" => users.mirror(canary, options),
    })
    .await;
    gateway.get("/").await.expect(200);
    canary.reached(1).await;
    eventually("the connection is closed", || canary.open() == 0).await;
}

#[tokio::test]
async fn a_check_reads_its_answer_to_the_end_so_that_nothing_is_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let check = HttpCheck::new("/healthz").every(Duration::from_millis(20));
    let url = format!("http://{address}");
    let (_gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [url]).health(check);
        "/" => users,
    })
    .await;
    let one = async || -> io::Result<usize> {
        let (mut stream, _) = listener.accept().await?;
        let mut buffer = [0; 1024];
        let mut read = 0;
        while !buffer[..read].ends_with(b"\r\n\r\n") {
            read += stream.read(&mut buffer[read..]).await?;
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwe")
            .await?;
        sleep(LATER).await;
        let early = stream.try_read(&mut buffer);
        assert!(early.is_err(), "it is still open: {early:?}");
        stream.write_all(b"ll").await?;
        stream.read(&mut buffer).await
    };
    for _ in 0..5 {
        let ended = within("a check", one()).await;
        assert_eq!(ended.expect("the connection is not reset"), 0);
    }
    assert_eq!(users.counters().unhealthy, 0);
}
