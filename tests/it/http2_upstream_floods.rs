//! Upstreams of HTTP/2 that send more frames than the exchanges call for, and those that send many for good reasons.

use prox_tests::{
    client::RawClient,
    events::Events,
    frame_origin::{FrameOrigin, Step, data, frame, kind, ok},
    frames::{END_HEADERS, Frame, FrameClient, code, kind as all},
    gateway::{Served, served},
    wait::{Gate, eventually},
};

/// A gateway before an upstream that does what `script` says about the head of each request.
async fn before(
    script: impl Fn(u32) -> Vec<Step> + Send + Sync + 'static,
) -> (FrameOrigin, Served, prox::Cluster) {
    let origin = FrameOrigin::start(&[], move |head| script(head.stream)).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]).http2().pool(prox::PoolOptions::new().streams(200));
        "/" => users,
    };
    let (served, backend) = served(gateway).await;
    (origin, served, backend)
}

/// `103`, with its name from the static table (RFC 7541, A).
const EARLY_HINTS: [u8; 5] = [0x08, 3, b'1', b'0', b'3'];

#[tokio::test]
async fn a_flood_ends_the_connection_with_a_farewell_an_event_and_a_count() {
    for (kind_of, flags, on_stream, payload, name) in [
        (all::PING, 0, false, &[0; 8][..], "PING"),
        (all::PING, 1, false, &[0; 8], "PING"),
        (all::SETTINGS, 0, false, &[], "SETTINGS"),
        (all::WINDOW_UPDATE, 0, false, &[0, 0, 0, 1], "WINDOW_UPDATE"),
        (all::WINDOW_UPDATE, 0, true, &[0, 0, 0, 1], "WINDOW_UPDATE"),
        (all::HEADERS, END_HEADERS, true, &EARLY_HINTS, "HEADERS"),
        (all::PRIORITY, 0, true, &[0, 0, 0, 0, 1], "PRIORITY"),
        (200, 0, false, &[], "other frames"),
    ] {
        let events = Events::record();
        let (origin, gateway, backend) = before(move |stream| {
            let stream = if on_stream { stream } else { 0 };
            vec![frame(kind_of, flags, stream, payload); 1_500]
        })
        .await;
        gateway.get("/").await.expect(502);
        origin.reached(kind::GOAWAY, 1).await;
        let farewell = &origin.frames(kind::GOAWAY)[0].payload;
        assert_eq!(farewell[4..8], code::ENHANCE_YOUR_CALM.to_be_bytes());
        assert_eq!(farewell[..4], [0; 4], "an upstream opens no streams");
        eventually("the connection to be closed", || origin.open() == 0).await;
        assert_eq!(backend.counters().floods, 1, "{name}");
        let told = events.first("flood of HTTP/2 frames");
        assert_eq!(told.field("frames"), Some(name));
        assert_eq!(told.field("backend"), Some("users"));
        assert!(told.field("endpoint").is_some());
    }
}

#[tokio::test]
async fn empty_data_without_end_is_a_flood() {
    let (origin, gateway, backend) = before(|stream| {
        let mut steps = vec![ok(stream, false)];
        steps.extend(vec![data(stream, b"", false); 1_500]);
        steps
    })
    .await;
    assert_eq!(gateway.get("/").await.status, 200);
    origin.reached(kind::GOAWAY, 1).await;
    assert_eq!(backend.counters().floods, 1);
}

#[tokio::test]
async fn empty_data_between_pieces_is_none() {
    let (_origin, gateway, backend) = before(|stream| {
        let mut steps = vec![ok(stream, false)];
        for _ in 0..2_000 {
            steps.extend([data(stream, b"x", false), data(stream, b"", false)]);
        }
        steps.push(data(stream, b"", true));
        steps
    })
    .await;
    for _ in 0..3 {
        let answer = gateway.get("/").await.expect(200);
        assert_eq!(answer.text().len(), 2_000);
    }
    assert_eq!(backend.counters().floods, 0);
}

#[tokio::test]
async fn a_head_is_accepted_however_it_is_cut() {
    let (origin, gateway, _) = before(|stream| {
        let value = "y".repeat(500);
        let block = [&[0x88, 0, 1, b'x', 127, 0xf5, 2][..], value.as_bytes()].concat();
        let mut steps = vec![frame(all::HEADERS, 0, stream, &[])];
        for (at, byte) in block.iter().enumerate() {
            let last = at + 1 == block.len();
            let flags = if last { END_HEADERS } else { 0 };
            steps.push(frame(all::CONTINUATION, flags, stream, &[*byte]));
        }
        steps.push(data(stream, b"ok", true));
        steps
    })
    .await;
    for _ in 0..3 {
        let answer = gateway.get("/").await.expect(200);
        assert_eq!(answer.field("x").map(str::len), Some(500));
    }
    assert_eq!(origin.accepted(), 1);
}

/// h2 forgets a stream after a while, or when there are many, and refuses data for it then: each piece of it.
#[tokio::test]
async fn data_on_its_way_for_clients_that_have_left_is_no_flood() {
    const CLIENTS: usize = 150;
    /// What h2 remembers.
    const REMEMBERED: usize = 50;
    let gates: Vec<Gate> = (0..12).map(|_| Gate::new()).collect();
    let held = gates.clone();
    let (origin, gateway, backend) = before(move |stream| {
        if stream > 2 * u32::try_from(CLIENTS).unwrap() {
            return vec![ok(stream, true)];
        }
        let mut steps = vec![ok(stream, false), data(stream, b"first", false)];
        for gate in &held {
            steps.extend([Step::Wait(gate.clone()), data(stream, b"late", false)]);
        }
        steps
    })
    .await;
    let mut clients: Vec<RawClient> = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = gateway.client().await;
        client.request("GET", "/").await;
        assert_eq!(client.response_head().await.status, 200);
        clients.push(client);
    }
    drop(clients);
    let mut resets = CLIENTS;
    origin.reached(kind::RST_STREAM, resets).await;
    for gate in gates {
        gate.open();
        resets += CLIENTS - REMEMBERED;
        origin.reached(kind::RST_STREAM, resets).await;
    }
    gateway.get("/").await.expect(200);
    assert_eq!(origin.accepted(), 1);
    assert_eq!(backend.counters().floods, 0);
}

/// Each stream may be full of small messages, while its client is away.
#[tokio::test]
async fn small_messages_that_nobody_reads_are_no_flood() {
    const STALLED: u32 = 40;
    let (origin, gateway, backend) = before(|stream| {
        if stream > 2 * STALLED {
            return vec![ok(stream, true)];
        }
        let message = Frame::new(all::DATA, 0, stream, [7; 50]).bytes();
        vec![ok(stream, false), Step::Write(message.repeat(5_000))]
    })
    .await;
    let mut client = FrameClient::connect(gateway.address()).await;
    for number in 0..STALLED {
        client.send(&Frame::get(number * 2 + 1, "/", &[])).await;
    }
    origin.reached(kind::HEADERS, STALLED as usize).await;
    // Its answer comes behind all the others.
    gateway.get("/").await.expect(200);
    gateway.get("/").await.expect(200);
    assert_eq!((origin.accepted(), origin.open()), (1, 1));
    assert_eq!(backend.counters().floods, 0);
}
