//! Many clients at once, on several threads: everyone gets their own answer, and nothing is left behind.

use prox_tests::{
    client::{RawClient, head},
    gateway::Served,
    origin::{Origin, Reply},
    wait::{eventually, within},
    wire::End,
};

/// An origin that answers in many ways, always with what it was asked.
async fn echo() -> Origin {
    Origin::with(|seen| {
        let text = seen.target().to_owned();
        match seen.target().len() % 4 {
            0 => Reply::ok(text),
            1 => Reply::chunks(&[], &[&text[..1], &text[1..]], &[]),
            2 => Reply::new().head(200, &[], "").write(text).close(),
            _ => Reply::status(200, &[("Connection", "close")], text).close(),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everyone_gets_their_own_answer() {
    let (one, two) = (echo().await, echo().await);
    let (a, b) = (one.endpoint(), two.endpoint());
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [a, b]) }).await;
    let address = gateway.address();
    let clients: Vec<_> = (0..32)
        .map(|client| {
            tokio::spawn(async move {
                let mut connection = RawClient::connect(address).await;
                for round in 0..40 {
                    let target = format!("/{client}/{}", "x".repeat(round));
                    let method = ["GET", "POST", "PUT"][round % 3];
                    if method == "GET" {
                        connection.request(method, &target).await;
                    } else {
                        connection.request_with(method, &target, &target).await;
                    }
                    let answer = connection.response(method).await.expect(200);
                    assert_eq!(answer.text(), target);
                }
            })
        })
        .collect();
    for client in clients {
        within("a client to be done", client)
            .await
            .expect("a client is content");
    }
    assert_eq!(one.count() + two.count(), 32 * 40);
    let uploads = one
        .requests()
        .into_iter()
        .chain(two.requests())
        .filter(|seen| seen.method() != "GET");
    for seen in uploads {
        assert_eq!(seen.body.text(), seen.target());
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_leave_at_any_moment_leave_nothing_behind() {
    let slow = std::time::Duration::from_millis(3);
    let origin = Origin::with(move |_| {
        Reply::new()
            .pause(slow)
            .head(200, &[], "Transfer-Encoding: chunked")
            .write("2\r\nhi\r\n")
            .pause(slow)
            .write("0\r\n\r\n")
    })
    .await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => cluster(least_conn, [url]) }).await;
    let address = gateway.address();
    let clients: Vec<_> = (0..60_u64)
        .map(|number| {
            tokio::spawn(async move {
                for round in 0..4 {
                    let mut client = RawClient::connect(address).await;
                    let request = head("POST", "/", "Content-Length: 20\r\n") + "ten bytes.";
                    let part = usize::try_from(number * 3 + round)
                        .unwrap_or(0)
                        .min(request.len());
                    client.send(&request[..part]).await;
                    if number % 3 == 0 {
                        client.send("ten bytes.").await;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(number % 8)).await;
                    if number % 2 == 0 {
                        client.reset();
                    }
                }
            })
        })
        .collect();
    for client in clients {
        within("a client to leave", client)
            .await
            .expect("a client does not panic");
    }
    let answer = RawClient::connect(address).await.get("/").await.expect(200);
    assert_eq!(answer.body.end, End::Complete);
    eventually("only idle connections to be open", || {
        let complete = origin
            .requests()
            .iter()
            .filter(|seen| seen.body.end == End::Complete)
            .count();
        origin.open() <= complete
    })
    .await;
    gateway.stop().await;
    origin.left_alone().await;
}
