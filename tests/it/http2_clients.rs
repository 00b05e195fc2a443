//! HTTP/2 clients that do too much, too little, or wrong.

use std::time::Duration;

use prox_tests::{
    frames::{END_HEADERS, END_STREAM, Frame, FrameClient, block, kind},
    gateway::Served,
    origin::{Origin, Reply},
    wait::eventually,
};
use tokio::time::Instant;

const SHORT: Duration = Duration::from_millis(200);

async fn gateway(origin: &Origin) -> Served {
    let url = origin.endpoint();
    Served::start(prox::gateway! { "/" => url }).await
}

#[tokio::test]
async fn a_request_is_forwarded_like_any_other() {
    let origin = Origin::with(|seen| Reply::ok(seen.target())).await;
    let gateway = gateway(&origin).await;
    let mut client = FrameClient::connect(gateway.address()).await;
    let crumbs = [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")];
    client.send(&Frame::get(1, "/x?y=1", &crumbs)).await;
    let data = client.next_of(kind::DATA).await.unwrap();
    assert_eq!(data.payload, b"/x?y=1");
    let seen = origin.last();
    let field = |name: &str| seen.head.fields.first(name).map(str::to_owned);
    assert_eq!(field("cookie").as_deref(), Some("a=1; b=2"));
    assert_eq!(field("x-forwarded-host").as_deref(), Some("gateway.test"));
    assert_eq!(field("te").as_deref(), Some("trailers"));
}

#[tokio::test]
async fn a_stream_whose_client_takes_nothing_is_reset_and_the_others_go_on() {
    let origin = Origin::with(|seen| match seen.target() {
        "/large" => Reply::filler(1 << 20, false),
        _ => Reply::ok("small"),
    })
    .await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, |server| server.idle_timeout(SHORT)).await;
    let mut client = FrameClient::connect(gateway.address()).await;
    // Room on the connection, but no more than the default on the stream.
    let room = Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 16, 0, 0]);
    client.send(&room).await;
    let began = Instant::now();
    client.send(&Frame::get(1, "/large", &[])).await;
    client.send(&Frame::get(3, "/small", &[])).await;
    let reset = client.next_of(kind::RST_STREAM).await.unwrap();
    assert_eq!(reset.stream, 1);
    assert!(began.elapsed() >= SHORT);
    client.send(&Frame::get(5, "/small", &[])).await;
    assert_eq!(client.next_of(kind::DATA).await.unwrap().stream, 5);
    eventually("the upstream to be left", || origin.open() <= 1).await;
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_body_gets_a_408() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, |server| server.idle_timeout(SHORT)).await;
    let mut client = FrameClient::connect(gateway.address()).await;
    let mut post = block("/", &[("content-length", "5")]);
    post[0] = 0x83;
    client
        .send(&Frame::new(kind::HEADERS, END_HEADERS, 1, post))
        .await;
    let head = client.next_of(kind::HEADERS).await.unwrap();
    // `:status` by its name in the static table, with a value of its own.
    assert!(
        head.payload.windows(3).any(|part| part == b"408") || head.payload.starts_with(&[0x48]),
        "{head:?}"
    );
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go_away() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, |server| server.keep_alive(SHORT)).await;
    let mut client = FrameClient::connect(gateway.address()).await;
    client.send(&Frame::get(1, "/", &[])).await;
    assert!(client.next_of(kind::DATA).await.is_some());
    assert!(client.next_of(kind::GOAWAY).await.is_some());
    client.closed().await;
}

#[tokio::test]
async fn a_drain_says_go_away_and_finishes_what_is_under_way() {
    let origin = Origin::start(
        Reply::new()
            .pause(SHORT)
            .head(200, &[], "Content-Length: 2")
            .write("ok"),
    )
    .await;
    let mut gateway = gateway(&origin).await;
    let mut client = FrameClient::connect(gateway.address()).await;
    client.send(&Frame::get(1, "/", &[])).await;
    eventually("the request to arrive", || origin.count() == 1).await;
    gateway.begin_shutdown();
    assert!(client.next_of(kind::GOAWAY).await.is_some());
    assert_eq!(client.next_of(kind::DATA).await.unwrap().payload, b"ok");
    client.closed().await;
    gateway.stop().await;
}

#[tokio::test]
async fn another_authority_than_host_is_refused() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let gateway = gateway(&origin).await;
    let mut client = FrameClient::connect(gateway.address()).await;
    client
        .send(&Frame::get(1, "/", &[("host", "other.test")]))
        .await;
    let head = client.next_of(kind::HEADERS).await.unwrap();
    assert_eq!(head.payload[0], 0x8c, ":status 400");
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    async fn hello(_: prox::Request) -> &'static str {
        "hello"
    }
    let gateway = Served::start(prox::gateway! { "/" => handler(hello) }).await;
    let mut client = FrameClient::connect(gateway.address()).await;
    let mut block = block("/", &[]);
    block.remove(0);
    let method = [&[0, 7][..], b":method", &[4], b"HEAD"].concat();
    let block = [method, block].concat();
    let flags = END_STREAM | END_HEADERS;
    client
        .send(&Frame::new(kind::HEADERS, flags, 1, block))
        .await;
    let head = client.next_of(kind::HEADERS).await.unwrap();
    assert_eq!(head.flags & END_STREAM, END_STREAM);
    client.send(&Frame::get(3, "/", &[])).await;
    let data = client.next_of(kind::DATA).await.unwrap();
    assert_eq!((data.stream, &*data.payload), (3, &b"hello"[..]));
}

#[tokio::test]
async fn uploads_that_nobody_reads_leave_the_others_their_room() {
    async fn stuck(req: prox::Request) {
        std::future::pending::<()>().await;
        drop(req);
    }
    let gateway = prox::gateway! {
        "/" => respond(200, "ok"),
        "/stuck" => handler(stuck),
    };
    let gateway = Served::start(gateway).await;
    let mut client = FrameClient::connect(gateway.address()).await;
    // The room of the connection is made known after the settings.
    client.next_of(kind::WINDOW_UPDATE).await.unwrap();
    for stream in (1..20).step_by(2) {
        let mut post = block("/stuck", &[]);
        post[0] = 0x83;
        let open = Frame::new(kind::HEADERS, END_HEADERS, stream, post);
        client.send(&open).await;
        for _ in 0..8 {
            let part = Frame::new(kind::DATA, 0, stream, [0; 16_000]);
            client.send(&part).await;
        }
    }
    client.send(&Frame::get(101, "/", &[])).await;
    assert_eq!(client.next_of(kind::DATA).await.unwrap().stream, 101);
}

#[tokio::test]
async fn too_many_fields_are_refused() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let gateway = gateway(&origin).await;
    let mut client = FrameClient::connect(gateway.address()).await;
    let names: Vec<String> = (0..101).map(|number| format!("x-{number}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    client.send(&Frame::get(1, "/", &fields)).await;
    client.next_of(kind::HEADERS).await.unwrap();
    assert_eq!(origin.count(), 0);
    client.send(&Frame::get(3, "/", &[])).await;
    assert_eq!(client.next_of(kind::DATA).await.unwrap().stream, 1);
    assert_eq!(client.next_of(kind::DATA).await.unwrap().stream, 3);
}
