//! The ends of connections, in virtual time: whatever a connection is doing, the end of the drain is kept, and what was accepted
//! before its end is answered.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::{Instant, sleep},
};

use super::*;
use crate::{
    body::Body,
    client::{Client, Trust},
    error::Failure,
    handler::{Request, Response},
    respond,
    server::{Connections, Options, connection},
    stream::Stream,
    tunnel::{Switched, Tunnel},
    watch::Tally,
};

/// Less and more than an idle connection is left open in a drain.
const LIMITS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
/// How long idle connections wait for a request.
const IDLE: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_hours(1);

/// Answers after a while with so many bytes; `/switch` with a tunnel to nowhere.
#[derive(Clone, Debug)]
struct Answers {
    after: Duration,
    length: usize,
}

impl Dispatch for Answers {
    async fn dispatch(&self, req: &mut Request, _: &Arc<Client>, _: &Tally) -> Response {
        if req.uri().path() == "/switch" {
            let (near, far) = duplex(1);
            let upstream = Tunnel::new(Stream::boxed(near), LONG, far);
            let mut response = Response::default();
            *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
            response.extensions_mut().insert(Switched::new(upstream));
            return response;
        }
        sleep(self.after).await;
        Response::new(Body::from(vec![b'x'; self.length]))
    }

    async fn refuse(&self, _: Request, failure: Failure, _: &Arc<Client>, _: &Tally) -> Response {
        respond::failure(failure, false)
    }

    fn summary(&self) -> String {
        String::new()
    }
}

/// The client's end of a connection.
fn connect(tracker: &Arc<Tracker>, answers: &Answers, options: Options) -> DuplexStream {
    let (near, far) = duplex(1 << 20);
    let peer = "127.0.0.1:1".parse().ok();
    tokio::spawn(connection::serve(
        answers.clone(),
        Stream::boxed(near),
        peer,
        Arc::new(options),
        tracker.enter(),
        Connections::default().enter(),
    ));
    far
}

fn never() -> Answers {
    Answers {
        after: LONG,
        length: 0,
    }
}

/// Sends this, and fails when the drain then takes longer than it may.
async fn kept(options: &Options, sent: &[u8]) {
    for limit in LIMITS {
        let options = Options {
            drain_timeout: limit,
            ..options.clone()
        };
        let (took, cut) = drained(options, sent, limit).await;
        assert!(took <= limit + Duration::from_millis(2), "{took:?}");
        assert_eq!(cut, usize::from(took >= limit), "{took:?}");
    }
}

async fn drained(options: Options, sent: &[u8], limit: Duration) -> (Duration, usize) {
    let tracker = Arc::new(Tracker::default());
    let mut client = connect(&tracker, &never(), options);
    client.write_all(sent).await.unwrap();
    // Until all of it has been looked at.
    sleep(Duration::from_millis(1)).await;
    tracker.drain(IDLE);
    let began = Instant::now();
    let cut = tracker.finish(limit).await;
    drop(client);
    (began.elapsed(), cut)
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_drain_is_kept_in_http1() {
    for sent in [
        "",
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
        // What is refused may go on for a moment.
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /switch HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nup",
    ] {
        kept(&Options::default(), sent.as_bytes()).await;
    }
}

/// When each of 20 idle connections is closed, from the begin of a drain on in which they wait for so long.
async fn closes(options: Options, idle: Duration) -> Vec<Duration> {
    let tracker = Arc::new(Tracker::default());
    let clients: Vec<DuplexStream> = (0..20)
        .map(|_| connect(&tracker, &never(), options.clone()))
        .collect();
    sleep(Duration::from_millis(1)).await;
    tracker.drain(idle);
    let began = Instant::now();
    let mut ends = Vec::new();
    for mut client in clients {
        ends.push(tokio::spawn(async move {
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
            began.elapsed()
        }));
    }
    assert_eq!(tracker.finish(options.drain_timeout).await, 0);
    let mut all = Vec::new();
    for end in ends {
        all.push(end.await.unwrap());
    }
    all.sort_unstable();
    all
}

#[tokio::test(start_paused = true)]
async fn idle_connections_wait_and_are_closed_one_by_one() {
    const SLACK: Duration = Duration::from_millis(5);
    for (idle, timeout, first, last) in [
        (5000, 10_000, 4000, 5000),
        (5000, 60_000, 5000, 6000),
        // A person waits.
        (500, 10_000, 500, 1000),
        (5000, 1000, 0, 500),
    ] {
        let [idle, timeout, first, last] = [idle, timeout, first, last].map(Duration::from_millis);
        let options = Options {
            drain_timeout: timeout,
            ..Options::default()
        };
        let ends = closes(options, idle).await;
        assert!(ends[0] >= first && ends[19] <= last + SLACK, "{ends:?}");
        let apart = ends.windows(2).filter(|pair| pair[1] > pair[0] + SLACK);
        assert!(apart.count() >= 15, "{ends:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_an_idle_connection_waits_for_is_answered_and_is_its_last() {
    for millis in [100, 3900] {
        let tracker = Arc::new(Tracker::default());
        let answers = Answers {
            after: Duration::from_secs(4),
            length: 5,
        };
        let mut client = connect(&tracker, &answers, Options::default());
        sleep(Duration::from_millis(1)).await;
        tracker.drain(IDLE);
        sleep(Duration::from_millis(millis)).await;
        let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        client.write_all(get).await.unwrap();
        let mut answer = String::new();
        let (read, cut) = tokio::join!(
            client.read_to_string(&mut answer),
            tracker.finish(Duration::from_secs(10))
        );
        read.unwrap();
        assert_eq!(cut, 0);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(answer.ends_with("xxxxx"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_makes_room_waits_for_a_moment() {
    let tracker = Arc::new(Tracker::default());
    let mut client = connect(&tracker, &never(), Options::default());
    sleep(Duration::from_millis(1)).await;
    let began = Instant::now();
    tracker.each(|watch| watch.drain());
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(500) && took < Duration::from_secs(1),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_drain_is_due_after_the_delay_and_says_for_how_long_connections_wait() {
    let options = Options {
        shutdown_delay: Duration::from_secs(7),
        ..Options::default()
    };
    for (reason, wanted) in [
        (Reason::Asked, IDLE),
        (Reason::Person, Duration::from_millis(500)),
    ] {
        let began = Instant::now();
        let shutdown = std::future::ready(reason);
        let idle = due(never(), shutdown, &options, false);
        let mut due = Due::new(async { Drain::from(idle.await) });
        (&mut due).await;
        assert_eq!(
            (due.drain().idle, began.elapsed()),
            (wanted, Duration::from_secs(7))
        );
        // It stays done.
        (&mut due).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_drain_is_kept_while_a_proxy_does_not_say_who_the_client_is() {
    for sent in ["", "PROXY TCP4"] {
        let options = Options {
            proxy_protocol: Trust::read(["127.0.0.1"]).ok(),
            ..Options::default()
        };
        kept(&options, sent.as_bytes()).await;
    }
}

#[cfg(feature = "tls")]
#[tokio::test(start_paused = true)]
async fn the_end_of_the_drain_is_kept_in_a_handshake() {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pem = |text: String| crate::tls::Pem::bytes(text);
    let tls = crate::tls::Tls::pem(
        pem(issued.cert.pem()),
        pem(issued.signing_key.serialize_pem()),
    );
    let termination = tls.start(true).unwrap();
    for sent in [&[][..], &[0x16, 3, 1, 0, 200, 1]] {
        let options = Options {
            tls: Some(Arc::clone(&termination)),
            ..Options::default()
        };
        kept(&options, sent).await;
    }
}

#[cfg(feature = "http2")]
mod http2 {
    use super::*;
    use crate::frames::{
        PREFACE,
        testing::{frame, read},
    };

    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    const WINDOW_UPDATE: u8 = 8;

    const ACK: u8 = 1;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;

    fn opening() -> Vec<u8> {
        let settings = frame(SETTINGS, 0, 0, &[]);
        let ack = frame(SETTINGS, ACK, 0, &[]);
        [PREFACE, &settings, &ack].concat()
    }

    /// `GET /` of the authority `a`, by the static table of RFC 7541.
    fn get(stream: u32) -> Vec<u8> {
        let block = [0x82, 0x86, 0x84, 0x01, 1, b'a'];
        frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
    }

    /// The body of a stream in these bytes, if it is whole.
    fn body(bytes: &[u8], wanted: u32) -> Option<usize> {
        let mut length = 0;
        for (kind, flags, stream, payload) in read(bytes) {
            if stream == wanted && kind == DATA {
                length += payload.len();
                if flags & END_STREAM != 0 {
                    return Some(length);
                }
            }
        }
        None
    }

    async fn rest(client: &mut DuplexStream) -> Vec<u8> {
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        all
    }

    /// Reads until a ping comes, and answers it.
    async fn answer_ping(client: &mut DuplexStream) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut head = [0; 9];
            client.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            client.read_exact(&mut payload).await.unwrap();
            all.extend([&head[..], &payload].concat());
            if head[3] == PING {
                let answer = frame(PING, ACK, 0, &payload);
                client.write_all(&answer).await.unwrap();
                return all;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_drain_is_kept() {
        let open = opening();
        for more in [vec![], get(1), frame(HEADERS, 0, 1, &[])] {
            kept(&Options::default(), &[open.clone(), more].concat()).await;
        }
        // Before it is known what is spoken.
        kept(&Options::default(), &PREFACE[..10]).await;
        kept(&Options::default(), PREFACE).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_crosses_the_goodbye_is_answered_however_long_it_takes() {
        let tracker = Arc::new(Tracker::default());
        let answers = Answers {
            after: Duration::from_secs(30),
            length: 5,
        };
        let options = Options::default();
        let keep_alive = options.keep_alive;
        let mut client = connect(&tracker, &answers, options);
        client.write_all(&opening()).await.unwrap();
        sleep(keep_alive + Duration::from_millis(100)).await;
        client.write_all(&get(1)).await.unwrap();
        let all = rest(&mut client).await;
        assert!(read(&all).iter().any(|(kind, ..)| *kind == GOAWAY));
        assert_eq!(body(&all, 1), Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_comes_early_in_a_drain_is_answered_within_its_time() {
        for (millis, answered) in [(100, true), (700, false)] {
            let tracker = Arc::new(Tracker::default());
            let answers = Answers {
                after: Duration::from_secs(8),
                length: 5,
            };
            let mut client = connect(&tracker, &answers, Options::default());
            client.write_all(&opening()).await.unwrap();
            sleep(Duration::from_millis(1)).await;
            tracker.drain(IDLE);
            sleep(Duration::from_millis(millis)).await;
            client.write_all(&get(1)).await.unwrap();
            let mut all = Vec::new();
            if answered {
                all = answer_ping(&mut client).await;
            }
            let finish = tracker.finish(Duration::from_secs(30));
            let (cut, more) = tokio::join!(finish, rest(&mut client));
            all.extend(more);
            assert_eq!(body(&all, 1), Some(5));
            assert_eq!(cut, 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_the_end_of_a_response_slowly_gets_it_after_the_goodbye() {
        const LENGTH: usize = 200_000;
        /// What a stream may be sent before its client says more (RFC 9113, 6.9.2).
        const WINDOW: usize = 65_535;
        let tracker = Arc::new(Tracker::default());
        let answers = Answers {
            after: Duration::ZERO,
            length: LENGTH,
        };
        let mut client = connect(&tracker, &answers, Options::default());
        client.write_all(&opening()).await.unwrap();
        client.write_all(&get(1)).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        tracker.drain(IDLE);
        let mut all = answer_ping(&mut client).await;
        // It takes one window each 20 s.
        let opens = async {
            for _ in 0..LENGTH / WINDOW {
                sleep(Duration::from_secs(20)).await;
                for stream in [0, 1] {
                    let room = u32::try_from(WINDOW).unwrap().to_be_bytes();
                    let update = frame(WINDOW_UPDATE, 0, stream, &room);
                    client.write_all(&update).await.unwrap();
                }
            }
            rest(&mut client).await
        };
        let (more, cut) = tokio::join!(opens, tracker.finish(LONG));
        all.extend(more);
        assert_eq!(body(&all, 1), Some(LENGTH));
        assert_eq!(cut, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_answer_the_goodbye_is_closed_to_in_a_moment() {
        let tracker = Arc::new(Tracker::default());
        let options = Options::default();
        let keep_alive = options.keep_alive;
        let began = Instant::now();
        let mut client = connect(&tracker, &never(), options);
        client.write_all(&opening()).await.unwrap();
        rest(&mut client).await;
        let took = began.elapsed();
        assert!(took > keep_alive, "{took:?}");
        assert!(took < keep_alive + Duration::from_secs(6), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_answers_the_goodbye_is_closed_to_at_once() {
        let tracker = Arc::new(Tracker::default());
        let mut client = connect(&tracker, &never(), Options::default());
        client.write_all(&opening()).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        tracker.drain(IDLE);
        let began = Instant::now();
        answer_ping(&mut client).await;
        rest(&mut client).await;
        assert!(began.elapsed() < Duration::from_millis(100));
        assert_eq!(tracker.finish(LONG).await, 0);
    }
}
