//! Upstreams that fail before their response: one row of the failure table each, and the next request works.

use std::time::Duration;

use prox_tests::{
    client::{HyperClient, text},
    gateway::Served,
    origin::{Accept, Origin, Reply},
    ports::{Refused, Unanswered},
    wire::End,
};

/// A time limit that is long enough for a healthy answer on this machine, and short enough to wait for.
const SHORT: Duration = Duration::from_millis(150);

/// Asks twice on one connection: the first request meets the failing reply, the second a healthy one.
async fn status_of(failing: Reply) -> u16 {
    let origin = Origin::start(Reply::ok("healthy")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => cluster(rr, [url]).response_timeout(SHORT) };
    let gateway = Served::start(gateway).await;
    let mut client = gateway.client().await;
    origin.once([failing]);
    let failed = client.get("/").await;
    assert!(
        !failed.text().contains("127.0.0.1"),
        "the inside is nobody's business: {failed:?}"
    );
    assert_eq!(client.get("/").await.expect(200).text(), "healthy");
    assert_eq!(failed.body.end, End::Complete, "{failed:?}");
    failed.status
}

#[tokio::test]
async fn an_upstream_that_refuses_connections_is_a_502() {
    let (refused, origin) = (Refused::new(), Origin::start(Reply::ok("healthy")).await);
    let (bad, good) = (refused.endpoint(), origin.endpoint());
    let gateway = prox::gateway! { "/bad" => bad, "/" => good };
    let gateway = Served::start(gateway).await;
    let mut client = gateway.client().await;
    client.get("/bad").await.expect(502);
    client.get("/").await.expect(200);
    client.get("/bad").await.expect(502);
}

#[tokio::test]
async fn an_upstream_that_does_not_accept_in_time_is_a_504() {
    let full = Unanswered::new();
    let url = full.endpoint();
    let gateway = prox::gateway! { "/" => cluster(rr, [url]).connect_timeout(SHORT) };
    let gateway = Served::start(gateway).await;
    gateway.get("/").await.expect(504);
}

#[tokio::test]
async fn an_upstream_that_answers_garbage_is_a_502() {
    assert_eq!(
        status_of(
            Reply::new()
                .write("\x16\x03\x01 no HTTP at all\r\n\r\n")
                .close()
        )
        .await,
        502
    );
    assert_eq!(
        status_of(Reply::new().write("HTTP/9.9 200 OK\r\n\r\n").close()).await,
        502
    );
    assert_eq!(
        status_of(Reply::new().write("HTTP/1.1 2x0 OK\r\n\r\n").close()).await,
        502
    );
    assert_eq!(
        status_of(
            Reply::new()
                .write("HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n")
                .close()
        )
        .await,
        502
    );
}

#[tokio::test]
async fn an_answer_with_two_lengths_is_a_502() {
    let two = Reply::new()
        .head(200, &[("Content-Length", "5")], "Content-Length: 7")
        .write("1234567");
    assert_eq!(status_of(two.close()).await, 502);
    let bad = Reply::new().head(200, &[], "Content-Length: -1").write("x");
    assert_eq!(status_of(bad.close()).await, 502);
}

#[tokio::test]
async fn an_upstream_that_closes_before_its_response_is_a_502() {
    assert_eq!(status_of(Reply::new().close()).await, 502);
}

#[tokio::test]
async fn an_upstream_that_closes_within_the_head_is_a_502() {
    assert_eq!(
        status_of(Reply::new().write("HTTP/1.1 200 OK\r\nContent-Le").close()).await,
        502
    );
}

#[tokio::test]
async fn an_upstream_that_resets_before_its_response_is_a_502() {
    assert_eq!(status_of(Reply::new().reset()).await, 502);
}

#[tokio::test]
async fn an_upstream_that_closes_every_connection_at_once_is_a_502() {
    let origin = Origin::start(Reply::ok("healthy")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    origin.accepts(Accept::Close);
    let mut client = gateway.client().await;
    client.get("/").await.expect(502);
    client.post("/", "body").await.expect(502);
    origin.accepts(Accept::Serve);
    client.get("/").await.expect(200);
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_a_504() {
    assert_eq!(status_of(Reply::new().stall()).await, 504);
}

#[tokio::test]
async fn an_upstream_that_stalls_within_the_head_is_a_504() {
    assert_eq!(
        status_of(Reply::new().write("HTTP/1.1 200 OK\r\n").stall()).await,
        504
    );
}

#[tokio::test]
async fn the_connection_of_a_request_that_timed_out_is_closed() {
    let origin = Origin::start(Reply::new().stall()).await;
    let url = origin.endpoint();
    let gateway =
        Served::start(prox::gateway! { "/" => cluster(rr, [url]).response_timeout(SHORT) }).await;
    gateway.get("/").await.expect(504);
    origin.left_alone().await;
}

#[tokio::test]
async fn an_upstream_that_reads_nothing_is_a_504() {
    let origin = Origin::start(Reply::new()).await;
    origin.accepts(Accept::Ignore);
    let url = origin.endpoint();
    let gateway = prox::gateway! {
        "/" => cluster(rr, [url]).response_timeout(SHORT).idle_timeout(SHORT)
    };
    let gateway = Served::start(gateway).await;
    let mut client = gateway.client().await;
    client.get("/").await.expect(504);
    client.post("/", "a few bytes").await.expect(504);

    // More than the sockets on the way can hold.
    let (mut reader, mut writer) = gateway.client().await.into_halves();
    let upload = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let head = prox_tests::client::head("POST", "/", "Content-Length: 100000000\r\n");
        writer.write_all(head.as_bytes()).await?;
        writer.write_all(&vec![0; 100_000_000]).await
    });
    let head = prox_tests::wait::within("an answer", reader.head())
        .await
        .expect("an answer");
    assert_eq!(head.word(1), "504");
    drop(reader);
    upload.abort();
}

#[tokio::test]
async fn a_total_timeout_bounds_the_wait_for_the_head() {
    let origin = Origin::start(Reply::new().stall()).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [url]).timeout(SHORT) }).await;
    gateway.get("/").await.expect(504);
    origin.left_alone().await;
}

#[tokio::test]
async fn a_slow_answer_within_the_limits_is_an_answer() {
    let origin = Origin::start(
        Reply::new()
            .pause(SHORT)
            .head(200, &[], "Content-Length: 2")
            .write("ok"),
    )
    .await;
    let url = origin.endpoint();
    let gateway =
        Served::start(prox::gateway! { "/" => cluster(rr, [url]).response_timeout(SHORT * 20) })
            .await;
    gateway.get("/").await.expect(200);
}

#[tokio::test]
async fn switching_protocols_that_nobody_asked_for_is_a_502() {
    let switch = Reply::new()
        .write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
    assert_eq!(status_of(switch.close()).await, 502);
}

#[tokio::test]
async fn a_failure_of_a_grpc_request_is_a_trailers_only_answer() {
    let refused = Refused::new();
    let url = refused.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let ask = async |kind: &str| {
        let request = http::Request::post("/pkg.Service/Call")
            .header("host", "gateway.test")
            .header("content-type", kind)
            .body(text("frame"))
            .unwrap();
        let mut client = HyperClient::connect(gateway.address()).await;
        client.send(request).await.unwrap()
    };
    let response = ask("application/grpc+proto").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "14");
    // gRPC-Web is another protocol, and has no trailers-only answers.
    let response = ask("application/grpc-web+proto").await;
    assert_eq!(response.status(), 502);
    assert!(!response.headers().contains_key("grpc-status"));
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_takes_the_upstream_request_with_it() {
    let origin = Origin::start(Reply::new().stall()).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    for reset in [false, true] {
        let mut client = gateway.client().await;
        client.request("GET", "/").await;
        origin.reached(origin.count() + 1).await;
        assert_eq!(origin.open(), 1);
        if reset {
            client.reset();
        } else {
            drop(client);
        }
        origin.left_alone().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_within_its_upload_takes_the_upstream_request_with_it() {
    let origin = Origin::start(Reply::ok("")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut client = gateway.client().await;
        let head = prox_tests::client::head("POST", "/", &format!("{framing}\r\n"));
        client.send(head + "5\r\nhello\r\n").await;
        origin.reached(origin.count() + 1).await;
        drop(client);
        origin.left_alone().await;
        let body = origin.last().body;
        assert_ne!(
            body.end,
            End::Complete,
            "half an upload is no upload: {body:?}"
        );
    }
    gateway.get("/").await.expect(200);
}

#[tokio::test]
async fn a_client_that_leaves_within_its_download_takes_the_upstream_request_with_it() {
    let endless = Reply::new()
        .head(200, &[], "Transfer-Encoding: chunked")
        .write("5\r\nhello\r\n")
        .stall();
    let origin = Origin::start(endless).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    assert_eq!(client.response_head().await.status, 200);
    drop(client);
    origin.left_alone().await;
}

/// A page of the documentation.
fn page(name: &str) -> String {
    let path = format!("{}/../prox/docs/{name}.md", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("the page is there")
}

#[test]
fn the_page_of_failures_has_a_section_for_each() {
    let page = page("failures");
    let mut sections: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let mut all = prox::Failure::ALL
        .map(|failure| format!("`{}` ({})", failure.name(), failure.status().as_u16()));
    sections.sort_unstable();
    all.sort_unstable();
    assert_eq!(sections, all);
}

#[test]
fn the_table_of_failures_has_a_row_for_each() {
    let page = page("overview");
    // What happened, the status, the code of gRPC, the name; a row may be of two failures.
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        (cells.len() == 6).then(|| (cells[2], cells[3], cells[4]))
    });
    let mut told = Vec::new();
    for (statuses, codes, names) in rows {
        for (at, name) in names.split(" / ").enumerate() {
            let of = |cell: &str| {
                cell.split(" / ")
                    .nth(at)
                    .or(cell.split(" / ").next())
                    .map(|cell| cell[..cell.len().min(3)].trim().to_owned())
            };
            told.push((name.trim_matches('`').to_owned(), of(statuses), of(codes)));
        }
    }
    for failure in prox::Failure::ALL {
        let row = (
            failure.name().to_owned(),
            Some(failure.status().as_u16().to_string()),
            Some(failure.grpc_code().to_string()),
        );
        assert!(told.contains(&row), "expected {row:?}, found {told:?}");
    }
}
