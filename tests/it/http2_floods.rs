//! Clients of HTTP/2 that send more frames than their requests call for, and those that send many for good reasons.

use prox::Server;
use prox_tests::{
    events::Events,
    filler::Filler,
    frames::{END_HEADERS, END_STREAM, Frame, FrameClient, block, code, kind},
    gateway::Served,
    origin::{Origin, Reply},
    wait::{eventually, within},
};
use tracing::Level;

use crate::grpc::{Chain, message};

/// A gateway of handlers: `/` answers, `/echo` gives back what it gets piece by piece, `/large` gives a lot, `/stuck` waits.
async fn served() -> (Served, prox::Connections) {
    async fn echo(req: prox::Request) -> prox::Body {
        req.into_body()
    }
    async fn large(_: prox::Request) -> bytes::Bytes {
        Filler::new(4 << 20).flatten().collect::<Vec<u8>>().into()
    }
    async fn stuck(req: prox::Request) {
        std::future::pending::<()>().await;
        drop(req);
    }
    let gateway = prox::gateway! {
        "/" => respond(200, "ok"),
        "/echo" => handler(echo),
        "/large" => handler(large),
        "/stuck" => handler(stuck),
    };
    let mut connections = None;
    let served = Served::with(gateway, |server: Server<_>| {
        connections = Some(server.connections());
        server
    })
    .await;
    (served, connections.expect("the server was asked"))
}

/// Opens a request with a body.
fn post(stream: u32, path: &str) -> Frame {
    let mut block = block(path, &[]);
    block[0] = 0x83;
    Frame::new(kind::HEADERS, END_HEADERS, stream, block)
}

fn window_update(stream: u32, by: u32) -> Frame {
    Frame::new(kind::WINDOW_UPDATE, 0, stream, by.to_be_bytes())
}

fn reset(stream: u32) -> Frame {
    let code = code::CANCEL.to_be_bytes();
    Frame::new(kind::RST_STREAM, 0, stream, code)
}

#[tokio::test]
async fn a_flood_ends_with_a_farewell_an_event_and_a_count() {
    let events = Events::record();
    let (gateway, connections) = served().await;
    let mut floods = 0;
    for (frame, name) in [
        (Frame::new(kind::PING, 0, 0, [0; 8]), "PING"),
        (Frame::new(kind::PING, 1, 0, [0; 8]), "PING"),
        (Frame::new(kind::SETTINGS, 0, 0, []), "SETTINGS"),
        (window_update(0, 1), "WINDOW_UPDATE"),
        (window_update(1, 1), "WINDOW_UPDATE"),
        (
            Frame::new(kind::PRIORITY, 0, 1, [0, 0, 0, 3, 1]),
            "PRIORITY",
        ),
        (Frame::new(kind::DATA, 0, 1, []), "empty DATA"),
        (Frame::new(200, 0, 0, []), "other frames"),
    ] {
        let mut client = FrameClient::connect(gateway.address()).await;
        client.send(&post(1, "/stuck")).await;
        client.write(&frame.bytes().repeat(1_200)).await;
        let farewell = client.farewell().await;
        assert_eq!(farewell, Some((1, code::ENHANCE_YOUR_CALM)), "{frame:?}");
        floods += 1;
        assert_eq!(connections.floods(), floods, "{frame:?}");
        let told = events.all().pop().unwrap();
        assert_eq!(told.level(), Level::WARN);
        assert_eq!(told.message(), "flood of HTTP/2 frames");
        assert_eq!(told.field("frames"), Some(name));
        assert_eq!(told.field("client"), Some("127.0.0.1"));
    }
    gateway.get("/").await.expect(200);
}

#[tokio::test]
async fn a_header_block_of_nothing_is_a_flood() {
    let (gateway, connections) = served().await;
    let mut client = FrameClient::connect(gateway.address()).await;
    let open = Frame::new(kind::HEADERS, END_STREAM, 1, block("/", &[]));
    client.send(&open).await;
    let nothing = Frame::new(kind::CONTINUATION, 0, 1, []);
    client.write(&nothing.bytes().repeat(1_200)).await;
    let farewell = client.farewell().await;
    assert_eq!(farewell, Some((1, code::ENHANCE_YOUR_CALM)));
    assert_eq!(connections.floods(), 1);
}

#[tokio::test]
async fn a_header_block_without_end_is_cut_off() {
    let (gateway, connections) = served().await;
    let mut client = FrameClient::connect(gateway.address()).await;
    let open = Frame::new(kind::HEADERS, END_STREAM, 1, block("/", &[]));
    client.send(&open).await;
    let field = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat().repeat(100);
    let more = Frame::new(kind::CONTINUATION, 0, 1, field);
    client.write(&more.bytes().repeat(30)).await;
    let farewell = client.farewell().await;
    assert_eq!(
        farewell.map(|(_, code)| code),
        Some(code::ENHANCE_YOUR_CALM)
    );
    assert_eq!(connections.floods(), 1);
}

/// CVE-2023-44487.
#[tokio::test]
async fn streams_that_are_reset_at_once_are_cut_off() {
    let origin = Origin::start(Reply::new().stall()).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = FrameClient::connect(gateway.address()).await;
    let requests = (0..1_200).map(|number| number * 2 + 1);
    let pairs = requests.flat_map(|stream| [Frame::get(stream, "/", &[]), reset(stream)]);
    let bytes: Vec<u8> = pairs.flat_map(|frame| frame.bytes()).collect();
    client.write(&bytes).await;
    let farewell = client.farewell().await.expect("a GOAWAY");
    assert_eq!(farewell.1, code::ENHANCE_YOUR_CALM);
    assert!(origin.count() <= 1_000, "{}", origin.count());
    eventually("the upstream to be left", || origin.open() == 0).await;
}

/// CVE-2025-8671: a window that gets too large has the gateway reset the stream.
#[tokio::test]
async fn streams_that_the_gateway_has_to_reset_at_once_are_cut_off() {
    let origin = Origin::start(Reply::new().stall()).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = FrameClient::connect(gateway.address()).await;
    let requests = (0..2_000).map(|number| number * 2 + 1);
    let too_much = (1 << 31) - 1;
    let pairs = requests.flat_map(|stream| {
        [
            Frame::get(stream, "/", &[]),
            window_update(stream, too_much),
        ]
    });
    let bytes: Vec<u8> = pairs.flat_map(|frame| frame.bytes()).collect();
    client.write(&bytes).await;
    let farewell = client.farewell().await.expect("a GOAWAY");
    assert_eq!(farewell.1, code::ENHANCE_YOUR_CALM);
    assert!(origin.count() <= 1_200, "{}", origin.count());
    eventually("the upstream to be left", || origin.open() == 0).await;
}

#[tokio::test]
async fn the_farewell_follows_the_frame_that_is_being_written() {
    let (gateway, connections) = served().await;
    let mut client = FrameClient::connect(gateway.address()).await;
    client.send(&Frame::get(1, "/large", &[])).await;
    client.send(&window_update(0, 1 << 30)).await;
    client.send(&window_update(1, 1 << 30)).await;
    // More than the data so far has earned, while the socket is full.
    let pings = Frame::new(kind::PING, 1, 0, [0; 8]).bytes();
    for _ in 0..1_000 {
        if connections.floods() > 0 || !client.write(&pings.repeat(1_000)).await {
            break;
        }
    }
    // The frames are whole up to the end, or they would not be read as such.
    let farewell = within("the farewell", client.farewell()).await;
    assert_eq!(connections.floods(), 1);
    assert_eq!(
        farewell.map(|(_, code)| code),
        Some(code::ENHANCE_YOUR_CALM)
    );
}

#[tokio::test]
async fn a_header_block_is_accepted_however_it_is_cut() {
    let (gateway, connections) = served().await;
    let mut client = FrameClient::connect(gateway.address()).await;
    let long = "x".repeat(1_000);
    let names: Vec<String> = (0..55).map(|number| format!("x-{number}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*long)).collect();
    for (stream, fields, size) in [(1, &fields[..2], 1), (3, &fields, 7), (5, &fields, 300)] {
        let block = block("/", fields);
        let mut bytes = Frame::new(kind::HEADERS, END_STREAM, stream, []).bytes();
        let mut parts = block.chunks(size).peekable();
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() {
                END_HEADERS
            } else {
                0
            };
            bytes.extend(Frame::new(kind::CONTINUATION, flags, stream, part).bytes());
        }
        client.write(&bytes).await;
        let data = client.next_of(kind::DATA).await.unwrap();
        assert_eq!((data.stream, &*data.payload), (stream, &b"ok"[..]));
    }
    assert_eq!(connections.floods(), 0);
}

#[tokio::test]
async fn empty_data_between_messages_goes_on_for_ever() {
    let (gateway, connections) = served().await;
    let mut client = FrameClient::connect(gateway.address()).await;
    client.send(&post(1, "/echo")).await;
    for number in 0..3_000_u32 {
        let message = number.to_be_bytes();
        let mut bytes = Frame::new(kind::DATA, 0, 1, message).bytes();
        bytes.extend(Frame::new(kind::DATA, 0, 1, []).bytes());
        client.write(&bytes).await;
        let data = client.next_of(kind::DATA).await.unwrap();
        assert_eq!(data.payload, message);
    }
    client
        .send(&Frame::new(kind::DATA, END_STREAM, 1, []))
        .await;
    let end = client.next_of(kind::DATA).await.unwrap();
    assert_eq!((end.payload.len(), end.flags), (0, END_STREAM));
    assert_eq!(connections.floods(), 0);
}

/// What grpcio does, as fast as it goes.
#[tokio::test]
async fn a_stream_of_messages_with_two_window_updates_and_a_ping_for_each_goes_on_for_ever() {
    let (gateway, connections) = served().await;
    let mut client = FrameClient::connect(gateway.address()).await;
    client.send(&post(1, "/echo")).await;
    for _ in 0..3_000 {
        client.send(&Frame::new(kind::DATA, 0, 1, [1; 5])).await;
        assert!(client.next_of(kind::DATA).await.is_some());
        let answers = [
            window_update(0, 5),
            window_update(1, 5),
            Frame::new(kind::PING, 0, 0, [0; 8]),
        ];
        let bytes: Vec<u8> = answers.iter().flat_map(Frame::bytes).collect();
        client.write(&bytes).await;
    }
    assert_eq!(connections.floods(), 0);
}

#[tokio::test]
async fn requests_earn_the_frames_that_go_with_them() {
    let (gateway, connections) = served().await;
    let mut client = FrameClient::connect(gateway.address()).await;
    for number in 0..3_000 {
        let stream = number * 2 + 1;
        let frames = [
            Frame::new(kind::PRIORITY, 0, stream, [0, 0, 0, 0, 1]),
            post(stream, "/echo"),
            window_update(stream, 1 << 20),
            Frame::new(kind::DATA, END_STREAM, stream, [1; 7]),
            window_update(0, 7),
            Frame::new(kind::SETTINGS, 0, 0, []),
        ];
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        client.write(&bytes).await;
        let data = client.next_of(kind::DATA).await.unwrap();
        assert_eq!((data.stream, data.payload.len()), (stream, 7));
        // Too late, as the answer may overtake it.
        client.send(&reset(stream)).await;
    }
    assert_eq!(connections.floods(), 0);
}

/// A hundred at a time, which are given up together, as those of a client with one deadline.
#[tokio::test]
async fn calls_that_are_given_up_are_no_flood() {
    let (gateway, connections) = served().await;
    let mut client = FrameClient::connect(gateway.address()).await;
    // As long as the calls of a client with such a deadline take. It is no wait for a state.
    let deadline = std::time::Duration::from_millis(40);
    for round in 0..20 {
        let streams: Vec<u32> = (0..100)
            .map(|number| (round * 100 + number) * 2 + 1)
            .collect();
        let opened = streams
            .iter()
            .map(|stream| Frame::get(*stream, "/stuck", &[]));
        let bytes: Vec<u8> = opened.flat_map(|frame| frame.bytes()).collect();
        client.write(&bytes).await;
        // The answer shows that the gateway has read them.
        client.send(&Frame::new(kind::PING, 0, 0, [0; 8])).await;
        client.next_of(kind::PING).await.unwrap();
        tokio::time::sleep(deadline).await;
        let bytes: Vec<u8> = streams.iter().flat_map(|one| reset(*one).bytes()).collect();
        client.write(&bytes).await;
    }
    client.send(&Frame::get(9_999, "/", &[])).await;
    assert_eq!(client.next_of(kind::DATA).await.unwrap().stream, 9_999);
    assert_eq!(connections.floods(), 0);
}

/// h2 forgets a stream after a while, or when there are many, and refuses data for it then.
#[tokio::test]
async fn uploads_that_were_answered_early_are_no_flood() {
    let (gateway, connections) = served().await;
    let mut client = FrameClient::connect(gateway.address()).await;
    client.next_of(kind::WINDOW_UPDATE).await.unwrap();
    for number in 0..400 {
        let stream = number * 2 + 1;
        client.send(&post(stream, "/")).await;
        // It is answered, and does not read on.
        assert!(client.next_of(kind::DATA).await.is_some());
        let late = Frame::new(kind::DATA, 0, stream, [0; 100]).bytes();
        client.write(&late.repeat(8)).await;
    }
    client.send(&Frame::get(9_999, "/", &[])).await;
    assert_eq!(client.next_of(kind::DATA).await.unwrap().stream, 9_999);
    assert_eq!(connections.floods(), 0);
}

/// Connections that are a flood of pings each, one after the other, until the other end of `calm` is gone.
async fn attack(address: std::net::SocketAddr, calm: std::sync::Weak<()>) -> u32 {
    let ping = Frame::new(kind::PING, 0, 0, [0; 8]).bytes();
    let mut count = 0;
    while calm.strong_count() > 0 {
        let mut client = FrameClient::connect(address).await;
        client.write(&ping.repeat(1_200)).await;
        let farewell = client.farewell().await;
        assert_eq!(farewell, Some((0, code::ENHANCE_YOUR_CALM)));
        count += 1;
    }
    count
}

#[tokio::test]
async fn calls_of_tonic_go_on_beside_floods() {
    let chain = Chain::start().await;
    let calls = std::sync::Arc::new(());
    let calm = std::sync::Arc::downgrade(&calls);
    let attackers = tokio::spawn(attack(chain.gateway.address(), calm));
    let callers = (0..8).map(|_| {
        let mut client = chain.client.clone();
        tokio::spawn(async move {
            for _ in 0..200 {
                let answer = client.unary("/test/Same", message("hello")).await.unwrap();
                assert_eq!(answer.get_ref(), "hello");
            }
        })
    });
    for task in callers.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    drop(calls);
    assert!(attackers.await.unwrap() > 0);
}

/// Unary calls as fast as they go, and streams of 50, 200 and 1 000 messages a second, alone and beside floods.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "two minutes of load, for `just interop`"]
async fn calls_of_tonic_go_on_for_a_minute() {
    use tokio::time::{Duration, Instant};
    const MINUTE: Duration = Duration::from_mins(1);
    for attacked in [false, true] {
        let chain = Chain::start().await;
        let calls = std::sync::Arc::new(());
        let calm = std::sync::Arc::downgrade(&calls);
        let attackers = attacked.then(|| tokio::spawn(attack(chain.gateway.address(), calm)));
        let end = Instant::now() + MINUTE;
        let callers = (0..8).map(|_| {
            let mut client = chain.client.clone();
            tokio::spawn(async move {
                let mut count = 0;
                while Instant::now() < end {
                    let answer = client.unary("/test/Same", message("hello")).await.unwrap();
                    assert_eq!(answer.get_ref(), "hello");
                    count += 1;
                }
                count
            })
        });
        let callers: Vec<_> = callers.collect();
        let streams = [50, 200, 1_000].map(|rate| {
            let mut client = chain.client.clone();
            tokio::spawn(async move { (rate, client.talk(rate, MINUTE).await) })
        });
        let mut unary = 0;
        for caller in callers {
            unary += caller.await.unwrap();
        }
        println!("attacked: {attacked}; unary calls: {unary}");
        for stream in streams {
            let (rate, (sent, received)) = stream.await.unwrap();
            assert_eq!(sent, received, "{rate} a second");
            println!("attacked: {attacked}; messages at {rate} a second: {received}");
        }
        drop(calls);
        if let Some(attackers) = attackers {
            println!("floods: {}", attackers.await.unwrap());
        }
    }
}
