//! An answer that comes before the request has ended reaches the client whole, whatever it still sends.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use prox::{IntoResponse, Next, Request, middleware::RateLimit};
use prox_tests::{
    certs::Authority,
    client::{Answer, HyperClient, RawClient, Speaks, body, head},
    frames::{END_HEADERS, END_STREAM, Frame, FrameClient, code, kind, literals},
    gateway::Served,
    origin::{Origin, Reply},
    ports::Refused,
    secure::Dial,
    wait::{Gate, within},
    wire::{End, Head, Reader},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tower_http::limit::RequestBodyLimitLayer;

use crate::tls::tls;

/// What a client sends before it reads.
const MUCH: usize = 10_000_000;

const LONG: &str = "a long answer ";

async fn nobody(_: Request, _: Next) -> impl IntoResponse {
    (StatusCode::UNAUTHORIZED, LONG.repeat(10_000))
}

async fn long(_: Request) -> String {
    LONG.repeat(100_000)
}

async fn reads_all(req: Request) -> impl IntoResponse {
    req.into_body().bytes(usize::MAX).await.map(drop)
}

async fn short(_: Request) -> &'static str {
    "short"
}

/// A gateway that answers early in many ways.
struct Early {
    gateway: Served,
    _origin: Origin,
    _refused: Refused,
}

impl Early {
    async fn start() -> Self {
        Self::with(|server| server).await
    }

    async fn with(
        limits: impl FnOnce(prox::Server<prox::Gateway>) -> prox::Server<prox::Gateway>,
    ) -> Self {
        let no = Reply::status(403, &[], LONG.repeat(1000)).early().stall();
        let origin = Origin::start(no).await;
        let refused = Refused::new();
        let (early, reads, gone) = (origin.endpoint(), origin.endpoint(), refused.endpoint());
        let gateway = prox::gateway! {
            GET "/get" => respond(200, "ok"),
            "/401" => handler(short) with [nobody],
            "/429" => handler(short) with [RateLimit::per_second(1).burst(1)],
            "/413" => reads with [RequestBodyLimitLayer::new(1000)],
            "/403" => early,
            "/502" => gone,
            "/long" => handler(long),
            "/short" => handler(short),
            "/308" => redirect(308, "/elsewhere"),
            "/410" => respond(410, "gone"),
            "/read" => handler(reads_all),
        };
        Self {
            gateway: Served::with(gateway, limits).await,
            _origin: origin,
            _refused: refused,
        }
    }
}

/// The targets, and the statuses with which they answer before the request has ended.
const ANSWERS: [(&str, u16); 10] = [
    ("/401", 401),
    ("/413", 413),
    ("/403", 403),
    ("/502", 502),
    ("/long", 200),
    ("/short", 200),
    ("/308", 308),
    ("/410", 410),
    ("/none", 404),
    ("/get", 405),
];

/// The bytes of a request, piece by piece: ten megabytes of many tests at a time are not to be held in memory.
#[derive(Clone)]
struct Upload {
    head: String,
    piece: Vec<u8>,
    count: usize,
    end: &'static str,
}

impl Upload {
    /// A request with a body of so many bytes.
    fn to(target: &str, framing: Framed, length: usize) -> Self {
        let piece = vec![b'x'; 1000];
        let (line, piece, end) = match framing {
            Framed::Length => (format!("Content-Length: {length}\r\n"), piece, ""),
            Framed::Chunked => (
                "Transfer-Encoding: chunked\r\n".to_owned(),
                [b"3e8\r\n", &piece[..], b"\r\n"].concat(),
                "0\r\n\r\n",
            ),
        };
        Self {
            head: head("POST", target, &line),
            piece,
            count: length / 1000,
            end,
        }
    }

    /// This, and much behind it that belongs to no request.
    fn garbage(head: String) -> Self {
        Self {
            head,
            piece: vec![b'x'; 1000],
            count: MUCH / 1000,
            end: "",
        }
    }

    async fn write<S: AsyncWrite + Unpin>(&self, stream: &mut S) {
        let all = async {
            if self.count <= 100 {
                // What is small comes in one piece.
                let whole = [
                    self.head.as_bytes(),
                    &self.piece.repeat(self.count),
                    self.end.as_bytes(),
                ];
                stream.write_all(&whole.concat()).await?;
                return stream.flush().await;
            }
            stream.write_all(self.head.as_bytes()).await?;
            for _ in 0..self.count / 50 {
                stream.write_all(&self.piece.repeat(50)).await?;
            }
            stream.write_all(self.end.as_bytes()).await?;
            stream.flush().await
        };
        // That the other end does not take it is seen by its answer.
        let _ = within("a request to be sent", all).await;
    }
}

#[derive(Clone, Copy, Debug)]
enum Framed {
    Length,
    Chunked,
}

const BOTH: [Framed; 2] = [Framed::Length, Framed::Chunked];

/// Sends everything, and only then reads.
async fn send_first(client: RawClient, upload: &Upload) -> (Answer, RawClient) {
    let (reader, mut writer) = client.into_halves();
    upload.write(&mut writer).await;
    let mut client = RawClient::of_halves(reader, writer);
    (client.response("POST").await, client)
}

#[tokio::test]
async fn a_client_that_sends_10_mb_before_it_reads_has_its_answer() {
    let early = Early::start().await;
    for (target, status) in ANSWERS {
        for framing in BOTH {
            let client = early.gateway.client().await;
            let upload = Upload::to(target, framing, MUCH);
            let (answer, mut client) = send_first(client, &upload).await;
            assert_eq!(answer.status, status, "{target} {framing:?} {answer:?}");
            assert_eq!(answer.body.end, End::Complete, "{target} {framing:?}");
            // What an upstream says while it may still be reading does not tell how the client's connection ends.
            if target != "/403" {
                assert!(answer.closes(), "{target} {framing:?} {answer:?}");
                assert!(client.closed().await.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn a_limit_of_rates_answers_early_too() {
    let early = Early::start().await;
    early
        .gateway
        .client()
        .await
        .post("/429", "")
        .await
        .expect(200);
    let client = early.gateway.client().await;
    let (answer, _) = send_first(client, &Upload::to("/429", Framed::Length, MUCH)).await;
    answer.expect(429);
}

async fn send_all<S: AsyncRead + AsyncWrite + Unpin>(stream: S, upload: &Upload) -> Head {
    let mut reader = Reader::new(stream);
    upload.write(reader.stream()).await;
    let head = within("an answer", reader.head()).await.expect("an answer");
    let framing = head.response_framing("POST");
    let body = within("a body", reader.body(framing, |_| {})).await;
    assert_eq!(body.end, End::Complete);
    head
}

#[tokio::test]
async fn over_tls_it_is_the_same() {
    let authority = Authority::new("authority");
    let issued = authority.issue(&["gateway.test"]);
    let early = Early::with(|server| server.tls(tls(&issued))).await;
    let dial = Dial::new(&authority, "gateway.test").alpn(&["http/1.1"]);
    for (target, status) in ANSWERS {
        let stream = dial.stream(early.gateway.address()).await.unwrap();
        let answer = send_all(stream, &Upload::to(target, Framed::Length, MUCH)).await;
        assert_eq!(answer.word(1), status.to_string(), "{target}");
    }
}

/// What the parser itself refuses is answered by the server and seen by nothing behind it.
#[tokio::test]
async fn a_refused_head_or_chunk_is_answered_whatever_follows_it() {
    let early = Early::start().await;
    let fields = "a: b\r\n".repeat(500);
    for (start, status) in [
        (head("POST", "/short", "A b: c\r\n"), 400),
        (head("POST", "/short", &fields), 431),
        (head("POST", &format!("/{}", "a".repeat(9000)), ""), 414),
        (
            head("POST", "/413", "Transfer-Encoding: chunked\r\n") + "no\r\n",
            400,
        ),
        (head("CONNECT", "gateway.test:80", ""), 405),
    ] {
        let client = early.gateway.client().await;
        let (answer, _) = send_first(client, &Upload::garbage(start)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.body.end, End::Complete);
        assert!(answer.closes(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_client_that_was_too_slow_has_its_408_whatever_it_still_sends() {
    let short = Duration::from_millis(100);
    let early = Early::with(|server| server.idle_timeout(short).header_timeout(short)).await;
    for start in [
        Upload::to("/read", Framed::Length, MUCH).head + "some of it",
        "POST / HTTP/1.1\r\nHost: gate".to_owned(),
    ] {
        let mut client = early.gateway.client().await;
        client.send(&start).await;
        // The gateway has given up when this is sent, or it is too little too late.
        tokio::time::sleep(short * 3).await;
        let (answer, _) = send_first(client, &Upload::garbage(String::new())).await;
        answer.expect(408);
    }
}

#[tokio::test]
async fn a_small_body_that_nobody_reads_does_not_cost_the_connection() {
    let early = Early::start().await;
    for (target, status) in ANSWERS.into_iter().filter(|(target, _)| *target != "/403") {
        let mut client = early.gateway.client().await;
        for framing in BOTH {
            for length in [1000, 30_000] {
                if (target, length) == ("/413", 1000) {
                    continue;
                }
                let upload = Upload::to(target, framing, length);
                let answer;
                (answer, client) = send_first(client, &upload).await;
                let answer = answer.expect(status);
                assert!(!answer.closes(), "{target} {framing:?} {length} {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_small_body_may_come_behind_its_answer() {
    let early = Early::start().await;
    let mut client = early.gateway.client().await;
    for _ in 0..3 {
        client
            .send(head("POST", "/401", "Content-Length: 5\r\n"))
            .await;
        let answer = client.response("POST").await.expect(401);
        assert!(!answer.closes());
        client.send("hello").await;
    }
    client.get("/get").await.expect(200);
}

#[tokio::test]
async fn a_refused_expectation_is_no_reason_to_ask_for_the_body() {
    let early = Early::start().await;
    let mut client = early.gateway.client().await;
    let lines = "Expect: 100-continue\r\nContent-Length: 5\r\n";
    client.send(head("POST", "/401", lines)).await;
    let answer = client.response("POST").await.expect(401);
    assert!(answer.interim.is_empty() && answer.closes(), "{answer:?}");
    assert!(client.closed().await.is_empty());
}

/// The bound: what a client sends for ever is not read for ever.
#[tokio::test]
async fn a_client_that_never_stops_is_cut_off() {
    let early = Early::start().await;
    let (mut reader, mut writer) = early.gateway.client().await.into_halves();
    let much = vec![b'x'; 1_000_000];
    let start = head("POST", "/401", "Transfer-Encoding: chunked\r\n");
    let endless = async {
        writer.write_all(start.as_bytes()).await.unwrap();
        let mut sent = 0_usize;
        loop {
            let chunk = [b"f4240\r\n", &much[..], b"\r\n"].concat();
            if writer.write_all(&chunk).await.is_err() {
                return sent;
            }
            sent += much.len();
        }
    };
    let read = async { reader.head().await.expect("an answer") };
    let (answer, sent) = within("the end", async { tokio::join!(read, endless) }).await;
    assert_eq!(answer.word(1), "401");
    assert!((MUCH..200_000_000).contains(&sent), "{sent}");
}

/// A handler that has dropped the body and is still at work.
#[tokio::test]
async fn a_client_that_leaves_is_noticed_though_its_body_is_not_read() {
    struct Noticed(std::sync::Arc<std::sync::Mutex<bool>>);
    impl Drop for Noticed {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = true;
        }
    }
    let (gate, dropped) = (
        Gate::new(),
        std::sync::Arc::new(std::sync::Mutex::new(false)),
    );
    let handle = {
        let (gate, dropped) = (gate.clone(), dropped.clone());
        move |req: Request| {
            let (gate, noticed) = (gate.clone(), Noticed(dropped.clone()));
            async move {
                drop(req);
                gate.open();
                let _noticed = noticed;
                std::future::pending::<()>().await;
            }
        }
    };
    let gateway = Served::start(prox::gateway! { "/" => handler(handle) }).await;
    let mut client = gateway.client().await;
    client.request_with("POST", "/", &"x".repeat(10_000)).await;
    gate.passed().await;
    drop(client);
    let noticed = || *dropped.lock().unwrap();
    prox_tests::wait::eventually("the handler's future to be dropped", noticed).await;
}

/// An upstream that says its refusal and closes with the request unread, which resets the connection.
#[tokio::test]
async fn an_upstream_that_refuses_and_leaves_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: prox::Endpoint = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut reader = Reader::new(stream);
            reader.head().await;
            let body = LONG.repeat(1000);
            let answer = format!(
                "HTTP/1.1 413 Too Large\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = reader.stream().write_all(answer.as_bytes()).await;
        }
    });
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    for framing in BOTH {
        for _ in 0..10 {
            let client = gateway.client().await;
            let (answer, _) = send_first(client, &Upload::to("/", framing, MUCH)).await;
            assert_eq!(answer.expect(413).text().len(), LONG.len() * 1000);
        }
    }
}

#[tokio::test]
async fn over_http_2_an_early_answer_ends_before_the_stream_is_reset_without_error() {
    let early = Early::start().await;
    for (target, _) in ANSWERS
        .into_iter()
        .filter(|(target, _)| !matches!(*target, "/403" | "/413"))
    {
        let mut client = FrameClient::connect(early.gateway.address()).await;
        // POST, http.
        let mut block = vec![0x83, 0x86];
        block.extend(literals(&[
            (":authority", "gateway.test"),
            (":path", target),
        ]));
        let open = Frame::new(kind::HEADERS, END_HEADERS, 1, block);
        assert!(client.send(&open).await);
        let piece = Frame::new(kind::DATA, 0, 1, vec![b'x'; 10_000]);
        assert!(client.send(&piece).await);
        let window = 10_000_000_u32.to_be_bytes();
        for stream in [0, 1] {
            client
                .send(&Frame::new(kind::WINDOW_UPDATE, 0, stream, window))
                .await;
        }
        let mut ended = false;
        let reset = loop {
            let frame = within("a frame", client.next())
                .await
                .expect("the connection lives");
            match frame.kind {
                kind::HEADERS | kind::DATA if frame.stream == 1 => {
                    assert!(!ended, "{frame:?}");
                    ended = frame.flags & END_STREAM != 0;
                }
                kind::RST_STREAM => break frame,
                kind::GOAWAY => panic!("{target}: {frame:?}"),
                _ => {}
            }
        };
        assert!(ended, "{target}: reset before the end of the answer");
        assert_eq!(reset.payload, code::NO_ERROR.to_be_bytes(), "{target}");
        // The client sends what was on its way, and the connection serves on.
        assert!(client.send(&piece).await);
        assert!(client.send(&Frame::get(3, "/get", &[])).await);
        let answer = client.next_of(kind::HEADERS).await.expect("an answer");
        assert_eq!(answer.stream, 3);
    }
}

#[tokio::test]
async fn over_http_2_many_uploads_are_answered_early_on_one_connection() {
    let early = Early::start().await;
    let mut client = HyperClient::speaking(Speaks::Http2, early.gateway.address()).await;
    let piece = Bytes::from(vec![b'x'; MUCH / 10]);
    for _ in 0..5 {
        // Each is read as it comes: one that is not would take the room of the others.
        let mut answers = JoinSet::new();
        for index in 0..60 {
            let (target, status) = ANSWERS[index % ANSWERS.len()];
            let request = http::Request::post(format!("http://gateway.test{target}"))
                .body(body(Full::new(piece.clone())))
                .unwrap();
            let answer = client.begin(request);
            answers.spawn(async move {
                let answer = answer.await.expect("an answer");
                assert_eq!(answer.status(), status);
                answer.into_body().collect().await.expect("a whole body");
            });
        }
        within("60 answers", answers.join_all()).await;
    }
}

#[tokio::test]
async fn a_drain_does_not_wait_for_what_a_client_sends_behind_its_answer() {
    let early = Early::start().await;
    let mut client = early.gateway.client().await;
    client
        .send(head("POST", "/401", "Content-Length: 10000000\r\n"))
        .await;
    client.response("POST").await.expect(401);
    within("the drain", early.gateway.stop()).await;
}
