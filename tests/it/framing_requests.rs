//! Requests that could be understood in more than one way: what is refused, and what of it reaches an upstream.

use prox_tests::{
    client::RawClient,
    gateway::Served,
    origin::{Origin, Reply},
    wire::End,
};

use crate::framing_cases::{Case, REQUESTS};

async fn gateway() -> (Origin, Served) {
    let origin = Origin::with(|seen| Reply::ok(seen.target())).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    (origin, gateway)
}

/// The statuses of as many answers as there should be, and what comes behind them until the connection is closed.
async fn refusal(mut client: RawClient, count: usize) -> (Vec<u16>, Vec<u8>) {
    let statuses = statuses(&mut client, count).await;
    (statuses, client.closed().await)
}

async fn statuses(client: &mut RawClient, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(client.response("GET").await.status);
    }
    statuses
}

fn expected(case: &Case) -> Vec<u16> {
    match case.verdict {
        Ok(messages) => vec![200; messages],
        // What goes wrong behind a whole request does not take its answer away.
        Err(_) if case.about.starts_with("a body that is longer") => vec![200, 400],
        Err(_) => vec![400],
    }
}

#[tokio::test]
async fn what_has_one_meaning_is_answered_and_all_else_is_a_400_that_closes() {
    let (origin, gateway) = gateway().await;
    let mut wrong = Vec::new();
    for case in REQUESTS {
        let before = origin.count();
        let mut client = gateway.client().await;
        client.send(case.bytes).await;
        let expected = expected(case);
        let (statuses, rest) = if case.verdict.is_ok() {
            (statuses(&mut client, expected.len()).await, Vec::new())
        } else {
            refusal(client, expected.len()).await
        };
        if statuses != expected || !rest.is_empty() {
            wrong.push(format!(
                "{}: {statuses:?} and {rest:?} instead of {expected:?}",
                case.about
            ));
        }
        let whole = origin.requests()[before..]
            .iter()
            .filter(|seen| seen.body.end == End::Complete)
            .count();
        let answered = expected.iter().filter(|status| **status == 200).count();
        if whole != answered {
            wrong.push(format!("{}: {whole} whole requests went on", case.about));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let smuggled = |seen: &prox_tests::origin::Seen| seen.target() == "/smuggled";
    assert!(!origin.requests().iter().any(smuggled));
    gateway.get("/healthy").await.expect(200);
}

#[tokio::test]
async fn what_is_wrong_with_a_head_is_found_before_any_of_it_goes_on() {
    let (origin, gateway) = gateway().await;
    for line in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Content-Length: 0\r\nContent-Length: 0\r\n",
        "A: b\nC: d\r\n",
    ] {
        let mut client = gateway.client().await;
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{line}\r\n");
        client.send(request).await;
        client.response("POST").await.expect(400);
    }
    assert_eq!(origin.accepted(), 0);
}

#[tokio::test]
async fn a_body_that_goes_wrong_ends_the_request_that_has_begun() {
    let (origin, gateway) = gateway().await;
    let mut client = gateway.client().await;
    let head = "POST /begun HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}5\r\nhello\r\n")).await;
    origin.reached(1).await;
    client
        .send("5\r\nhelloGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let answer = client.response("POST").await.expect(400);
    assert!(answer.closes());
    origin.left_alone().await;
    assert_eq!(origin.count(), 1);
    assert_eq!(origin.last().body.end, End::Cut);
}

#[tokio::test]
async fn a_route_that_does_not_read_the_body_is_no_way_around_it() {
    let gateway = Served::start(prox::gateway! { "/here" => respond(200, "ok") }).await;
    let mut client = gateway.client().await;
    let head = "POST /here HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let smuggled = "0 \r\n\r\nGET /here HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(format!("{head}{smuggled}")).await;
    let (statuses, rest) = refusal(client, 1).await;
    assert!(matches!(statuses[..], [200 | 400]), "{statuses:?}");
    assert!(rest.is_empty(), "{rest:?}");
}
