//! Flow control: whoever does not read stops nobody else, and costs a bounded amount of memory.

use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use prox_tests::{
    client::{HyperClient, Speaks, body, text},
    filler::Filler,
    gateway::Served,
    memory::Growth,
    service::{Frames, ServiceOrigin, data},
    wait::within,
};

const LARGE: u64 = 100_000_000;

async fn served() -> (Served, ServiceOrigin) {
    let origin = ServiceOrigin::start(Speaks::Http2, |request: Request<_>| async move {
        Ok(Response::new(match request.uri().path() {
            "/large" => body(Frames(Filler::new(LARGE).map(data))),
            _ => text("small"),
        }))
    })
    .await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [url]).http2() }).await;
    (gateway, origin)
}

fn get(path: &str) -> Request<prox_tests::client::RequestBody> {
    Request::get(format!("http://gateway.test{path}"))
        .body(body(Empty::new()))
        .expect("the parts of a request")
}

#[tokio::test]
async fn a_reader_that_stands_still_stops_no_other_and_costs_little() {
    let (gateway, origin) = served().await;
    let growth = Growth::measure();
    let mut stalled = Vec::new();
    for _ in 0..4 {
        let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
        let response = client.send(get("/large")).await.unwrap();
        stalled.push((client, response));
    }
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    for _ in 0..200 {
        let response = client.send(get("/small")).await.unwrap();
        let collected = within("a small body", response.into_body().collect()).await;
        assert_eq!(collected.unwrap().to_bytes(), "small");
    }
    let response = client.send(get("/large")).await.unwrap();
    let mut length = 0;
    let mut incoming = response.into_body();
    while let Some(frame) = within("more of a body", incoming.frame()).await {
        length += frame
            .unwrap()
            .into_data()
            .map_or(0, |data| data.len() as u64);
    }
    assert_eq!(length, LARGE);
    assert_eq!(origin.accepted(), 1, "all of them shared one connection");
    // Origin, gateway and clients are one process: each of the stalled holds a window of hyper's client (2 MiB) and ours.
    let most = growth.most();
    // Other tests run beside this one; were the stalled read ahead, it would be 400 MB.
    assert!(most < 250 << 20, "{} KiB", most >> 10);
    drop(stalled);
}
