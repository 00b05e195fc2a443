use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::{
    task::JoinHandle,
    time::{Instant, advance, sleep},
};

use super::{
    cases::{fields, lines},
    *,
};
use crate::{
    body::Body,
    error::{Error, Failure},
    handler::{BoxHandler, Parts as Head, handler},
    middleware::IntoLayer,
    sync::lock,
};

const MIB: usize = 1024 * 1024;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Request {
    let mut request = http::Request::builder().method(method).uri(target);
    request = request.header("host", "gateway.test");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

fn get(target: &str) -> Request {
    request("GET", target, &[])
}

fn response(status: u16, fields: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = http::Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

fn fresh(body: impl Into<Body>) -> Response {
    response(200, &[("cache-control", "max-age=60")], body)
}

/// An upstream behind a cache.
struct Upstream {
    cache: Cache,
    target: BoxHandler,
    seen: Arc<Mutex<Vec<Head>>>,
}

impl Upstream {
    fn new<F, Fut>(cache: Cache, answer: F) -> Self
    where
        F: Fn(usize, Head) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response> + Send + 'static,
    {
        let seen = Arc::<Mutex<Vec<Head>>>::default();
        let own = Arc::clone(&seen);
        let inner = handler(move |req: Request| {
            let head = req.into_parts().0;
            let mut seen = lock(&own);
            seen.push(head.clone());
            answer(seen.len(), head)
        });
        let target = cache.clone().into_layer().wrap(BoxHandler::new(inner));
        Self {
            cache,
            target,
            seen,
        }
    }

    fn calls(&self) -> usize {
        lock(&self.seen).len()
    }

    async fn ask(&self, req: Request) -> (StatusCode, String, String) {
        read(self.target.call(req).await).await
    }

    async fn get(&self, target: &str) -> (String, String) {
        let (_, status, body) = self.ask(get(target)).await;
        (status, body)
    }

    fn begin(&self, req: Request) -> JoinHandle<(StatusCode, String, String)> {
        let answer = self.target.call(req);
        tokio::spawn(async move { read(answer.await).await })
    }
}

/// The status, what the cache says, and the body.
async fn read(response: Response) -> (StatusCode, String, String) {
    let (head, body) = response.into_parts();
    let said = head.headers.get("cache-status");
    let said = said.map_or("", |said| said.to_str().unwrap());
    let said = said.strip_prefix("prox; ").unwrap_or(said).to_owned();
    let body = match body.bytes(usize::MAX).await {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("{error}"),
    };
    // What is read in a task of its own is stored in it as well.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    (head.status, said, body)
}

fn cache() -> Cache {
    Cache::new(64 * MIB)
}

#[tokio::test(start_paused = true)]
async fn responses_are_stored_as_the_table_says() {
    let table = include_str!("../../../../tests/data/cache_storing.txt");
    for line in lines(table) {
        let mut parts = line.split('|').map(str::trim);
        let mut part = || parts.next().unwrap_or_default();
        let (wanted, status, of_response, of_request) = (part(), part(), part(), part());
        let status = status.parse().unwrap();
        let upstream = Upstream::new(cache(), move |_, _| async move {
            response(status, &fields(of_response), "body")
        });
        let ask = || upstream.ask(request("GET", "/a", &fields(of_request)));
        let (first, second) = (ask().await, ask().await);
        let hit = second.1.starts_with("hit");
        let found = match (hit, second.0.as_u16()) {
            (true, 304) => "304",
            (true, _) => "hit",
            (false, _) => "passes",
        };
        assert_eq!(found, wanted, "{line}\n{first:?} {second:?}");
        assert_eq!((first.0, &first.2), (second.0, &second.2), "{line}");
        if found != "304" {
            assert_eq!((second.0.as_u16(), &*second.2), (status, "body"), "{line}");
        }
    }
}

/// An upstream that answers with all that it is told, and lets everybody store that.
async fn mirror(_: usize, head: Head) -> Response {
    let mut text = format!("{} {} {:?}\n", head.method, head.uri, head.version);
    let fields: BTreeMap<_, _> = (head.headers.keys())
        .map(|name| (name.as_str(), head.headers.get_all(name)))
        .collect();
    for (name, values) in fields {
        for value in values {
            text.extend([name, ": ", value.to_str().unwrap(), "\n"]);
        }
    }
    let fields = [("cache-control", "public, max-age=60")];
    response(200, &fields, text)
}

#[tokio::test(start_paused = true)]
async fn no_request_changes_what_somebody_else_gets() {
    let table = include_str!("../../../../tests/data/cache_poisoning.txt");
    let victim = || request("GET", "/page?a=1", &[("accept", "text/html")]);
    let clean = Upstream::new(cache(), mirror).ask(victim()).await;
    for line in lines(table) {
        let same = line.strip_prefix("same | ");
        let mut parts = same.unwrap_or(line).splitn(3, '|').map(str::trim);
        let mut part = || parts.next().unwrap_or_default();
        let attack = request(part(), part(), &fields(part()));
        let upstream = Upstream::new(cache(), mirror);
        upstream.ask(attack).await;
        let calls = upstream.calls();
        let (status, said, body) = upstream.ask(victim()).await;
        assert_eq!((status, &body), (clean.0, &clean.2), "{line}");
        assert!(!body.contains("evil"), "{line}");
        if same.is_some() {
            assert!(said.starts_with("hit"), "{line}: {said}");
            assert_eq!(upstream.calls(), calls);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_requests_one_goes_to_the_upstream() {
    let upstream = Upstream::new(cache(), |_, _| async {
        sleep(seconds(1)).await;
        fresh("body")
    });
    let all: Vec<_> = (0..50).map(|_| upstream.begin(get("/a"))).collect();
    let mut said = BTreeMap::<_, usize>::new();
    for one in all {
        let (status, how, body) = one.await.unwrap();
        assert_eq!((status.as_u16(), &*body), (200, "body"));
        *said.entry(how).or_default() += 1;
    }
    let wanted = [("fwd=miss; collapsed", 49), ("fwd=miss; stored", 1)];
    let said: Vec<_> = said.iter().map(|(how, count)| (&**how, *count)).collect();
    assert_eq!((said.as_slice(), upstream.calls()), (&wanted[..], 1));
    assert!(upstream.cache.flights.is_empty());
    assert_eq!(upstream.get("/a").await.0, "hit; ttl=59");
}

#[tokio::test(start_paused = true)]
async fn no_request_waits_longer_than_five_seconds_for_another() {
    let upstream = Upstream::new(cache(), |call, _| async move {
        sleep(if call == 1 { seconds(3600) } else { seconds(1) }).await;
        fresh("body")
    });
    let began = Instant::now();
    let first = upstream.begin(get("/a"));
    tokio::task::yield_now().await;
    let others: Vec<_> = (0..9).map(|_| upstream.begin(get("/a"))).collect();
    for other in others {
        assert_eq!(other.await.unwrap().2, "body");
    }
    assert_eq!((began.elapsed(), upstream.calls()), (seconds(6), 10));
    assert_eq!(first.await.unwrap().2, "body");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_stored_lets_all_ask_for_themselves_for_a_minute() {
    let upstream = Upstream::new(cache(), |_, head| async move {
        sleep(seconds(1)).await;
        let who = head.headers.get("cookie");
        let who = who.map_or("nobody", |who| who.to_str().unwrap());
        response(200, &[("cache-control", "private")], who.to_owned())
    });
    let cookies = ["a=1", "a=2", "a=3"];
    let ask = |cookie| request("GET", "/me", &[("cookie", cookie)]);
    let began = Instant::now();
    let all = cookies.map(|cookie| upstream.begin(ask(cookie)));
    for (one, cookie) in all.into_iter().zip(cookies) {
        // Each gets an answer to its own request, also the one that asked for all.
        assert_eq!(one.await.unwrap().2, cookie);
    }
    assert_eq!((began.elapsed(), upstream.calls()), (seconds(2), 4));
    advance(seconds(57)).await;
    for (calls, said) in [
        (5, "fwd=miss; detail=uncacheable"),
        (6, "fwd=miss; detail=uncacheable"),
    ] {
        let (_, how, body) = upstream.ask(ask("a=1")).await;
        assert_eq!((&*how, &*body, upstream.calls()), (said, "a=1", calls));
    }
    advance(seconds(2)).await;
    let (_, how, _) = upstream.ask(ask("a=1")).await;
    assert_eq!((&*how, upstream.calls()), ("fwd=miss; detail=private", 8));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_takes_nothing_from_those_that_wait() {
    let upstream = Upstream::new(cache(), |_, _| async {
        sleep(seconds(2)).await;
        fresh("body")
    });
    let first = upstream.begin(get("/a"));
    tokio::task::yield_now().await;
    let second = upstream.begin(get("/a"));
    sleep(seconds(1)).await;
    first.abort();
    assert_eq!(second.await.unwrap().2, "body");
    assert_eq!(upstream.calls(), 2);
    // Once a response has begun it is stored whether or not its client reads it.
    drop(upstream.target.call(get("/b")).await);
    sleep(seconds(1)).await;
    assert_eq!(upstream.get("/b").await.0, "hit; ttl=57");
    assert!(upstream.cache.flights.is_empty());
}

/// A body in pieces, with a pause before each, and an end.
struct Pieces {
    left: Vec<&'static str>,
    end: Option<Frame<Bytes>>,
    fails: bool,
    panics: bool,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

fn pieces(left: &[&'static str]) -> Pieces {
    Pieces {
        left: left.iter().rev().copied().collect(),
        end: None,
        fails: false,
        panics: false,
        pause: None,
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let pause = self
            .pause
            .get_or_insert_with(|| Box::pin(sleep(seconds(1))));
        std::task::ready!(pause.as_mut().poll(cx));
        self.pause = None;
        if let Some(piece) = self.left.pop() {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece.as_bytes())))));
        }
        assert!(!self.panics, "a body that panics");
        if self.fails {
            return Poll::Ready(Some(Err(Error::failure(Failure::Reset))));
        }
        Poll::Ready(self.end.take().map(Ok))
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_holds_up_nobody() {
    let upstream = Upstream::new(cache(), |_, _| async {
        fresh(Body::new(pieces(&["a", "b"])))
    });
    let slow = upstream.target.call(get("/a")).await;
    let (_, said, body) = upstream.begin(get("/a")).await.unwrap();
    assert_eq!((&*said, &*body), ("fwd=miss; collapsed", "ab"));
    assert_eq!(slow.into_body().bytes(9).await.unwrap(), "ab");
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_arrives_piece_by_piece() {
    let upstream = Upstream::new(cache(), |_, _| async {
        fresh(Body::new(pieces(&["a", "b", "c"])))
    });
    let began = Instant::now();
    let mut body = upstream.target.call(get("/a")).await.into_body();
    for (time, piece) in [(1, "a"), (2, "b"), (3, "c")] {
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), piece);
        assert_eq!(began.elapsed(), seconds(time));
    }
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn bodies_that_break_or_are_too_long_or_have_trailers_are_not_stored() {
    const LONG: &str = "0123456789";
    type Make = fn() -> Body;
    let cases: [(&str, Make, &str); 6] = [
        (
            "broken",
            || {
                let mut body = pieces(&["a"]);
                body.fails = true;
                Body::boxed(body)
            },
            "reset",
        ),
        (
            "panics",
            || {
                let mut body = pieces(&["a"]);
                body.panics = true;
                Body::boxed(body)
            },
            "internal",
        ),
        ("long", || Body::boxed(pieces(&[LONG, "x"])), "0123456789x"),
        (
            "long and known",
            || Body::from("0123456789x"),
            "0123456789x",
        ),
        (
            "trailers",
            || {
                let mut body = pieces(&["a"]);
                let trailers = [(
                    HeaderName::from_static("x-a"),
                    HeaderValue::from_static("1"),
                )];
                body.end = Some(Frame::trailers(trailers.into_iter().collect()));
                Body::boxed(body)
            },
            "a",
        ),
        ("short", || Body::boxed(pieces(&[LONG])), LONG),
    ];
    for (about, make, text) in cases {
        let own = cache().max_body(LONG.len());
        let upstream = Upstream::new(own, move |_, _| async move { fresh(make()) });
        for _ in 0..2 {
            let (_, body) = upstream.get("/a").await;
            assert_eq!(body, text, "{about}");
        }
        let calls = if about == "short" { 1 } else { 2 };
        assert_eq!(upstream.calls(), calls, "{about}");
        assert!(upstream.cache.flights.is_empty(), "{about}");
    }
    let own = cache().max_body(LONG.len());
    let upstream = Upstream::new(own, |_, _| async {
        let mut body = pieces(&["a"]);
        let trailers = [(
            HeaderName::from_static("x-a"),
            HeaderValue::from_static("1"),
        )];
        body.end = Some(Frame::trailers(trailers.into_iter().collect()));
        fresh(Body::boxed(body))
    });
    let answer = upstream.target.call(get("/a")).await;
    let whole = answer.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap()["x-a"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_stale_response_is_used_while_it_is_asked_for_again() {
    let upstream = Upstream::new(cache(), |call, _| async move {
        sleep(seconds(2)).await;
        let fields = [("cache-control", "max-age=10, stale-while-revalidate=20")];
        response(200, &fields, call.to_string())
    });
    let get = async || upstream.get("/a").await;
    assert_eq!(get().await.1, "1");
    advance(seconds(9)).await;
    for _ in 0..3 {
        let began = Instant::now();
        let (said, body) = get().await;
        assert_eq!((&*said, &*body), ("hit; ttl=-1", "1"));
        assert_eq!(began.elapsed(), seconds(0));
    }
    sleep(seconds(3)).await;
    assert_eq!(upstream.calls(), 2);
    assert_eq!(get().await, ("hit; ttl=7".into(), "2".into()));
    // After that time it is waited for.
    advance(seconds(28)).await;
    assert_eq!(get().await, ("fwd=stale; stored".into(), "3".into()));
    assert!(upstream.cache.flights.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stale_response_takes_the_place_of_errors() {
    for (answer, said) in [
        (None, "fwd=stale; detail=stale-if-error"),
        (
            Some(503),
            "fwd=stale; fwd-status=503; detail=stale-if-error",
        ),
        (
            Some(500),
            "fwd=stale; fwd-status=500; detail=stale-if-error",
        ),
    ] {
        let up = Arc::new(AtomicUsize::new(1));
        let own = Arc::clone(&up);
        let upstream = Upstream::new(cache(), move |_, _| {
            let up = own.load(SeqCst);
            async move {
                let fields = [("cache-control", "max-age=10, stale-if-error=60")];
                match (up, answer) {
                    (0, None) => crate::respond::failure(Failure::Connect, false),
                    (0, Some(status)) => response(status, &[], "down"),
                    _ => response(200, &fields, "body"),
                }
            }
        });
        let get = async || upstream.get("/a").await;
        get().await;
        up.store(0, SeqCst);
        advance(seconds(20)).await;
        assert_eq!(get().await, (said.into(), "body".into()));
        let calls = upstream.calls();
        // The upstream is not asked again at once.
        advance(seconds(4)).await;
        assert_eq!(get().await, ("hit; ttl=-14".into(), "body".into()));
        assert_eq!(upstream.calls(), calls);
        advance(seconds(2)).await;
        assert_eq!(get().await, (said.into(), "body".into()));
        assert_eq!(upstream.calls(), calls + 1);
        up.store(1, SeqCst);
        advance(seconds(6)).await;
        assert_eq!(get().await.0, "fwd=stale; stored");
        up.store(0, SeqCst);
        // It is too old by now.
        advance(seconds(70)).await;
        assert_ne!(get().await.1, "body");
        assert!(upstream.cache.flights.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_not_kept_and_not_hidden_without_a_word() {
    let upstream = Upstream::new(cache(), |call, _| async move {
        match call {
            2 | 3 => crate::respond::failure(Failure::Connect, false),
            _ => response(200, &[("cache-control", "max-age=10")], "body"),
        }
    });
    upstream.get("/a").await;
    advance(seconds(11)).await;
    for _ in 0..2 {
        let (status, said, _) = upstream.ask(get("/a")).await;
        assert_eq!((status.as_u16(), &*said), (502, "fwd=stale; detail=error"));
    }
    assert_eq!(upstream.get("/a").await.0, "fwd=stale; stored");
}

#[tokio::test(start_paused = true)]
async fn a_response_is_confirmed_by_its_validators() {
    let upstream = Upstream::new(cache(), |call, head| async move {
        let tag = head.headers.get("if-none-match");
        assert_eq!(tag.is_some(), call > 1);
        match call {
            1 => {
                let fields = [
                    ("cache-control", "max-age=10"),
                    ("etag", "\"a\""),
                    ("x-old", "1"),
                    ("x-kept", "1"),
                    ("content-type", "text/plain"),
                ];
                response(200, &fields, "body")
            }
            2 => {
                let fields = [
                    ("cache-control", "max-age=20"),
                    ("etag", "\"a\""),
                    ("x-old", "2"),
                ];
                response(304, &fields, "")
            }
            3 => response(304, &[("etag", "\"b\"")], ""),
            _ => response(
                200,
                &[("cache-control", "max-age=10"), ("etag", "\"b\"")],
                "other",
            ),
        }
    });
    upstream.get("/a").await;
    advance(seconds(11)).await;
    let answer = upstream.target.call(get("/a")).await;
    assert_eq!(answer.headers()["x-old"], "2");
    assert_eq!(answer.headers()["x-kept"], "1");
    let (status, said, body) = read(answer).await;
    let wanted = "fwd=stale; fwd-status=304; stored";
    assert_eq!((status.as_u16(), &*said, &*body), (200, wanted, "body"));
    assert_eq!(
        upstream.get("/a").await,
        ("hit; ttl=20".into(), "body".into())
    );
    // A client that has it already gets no body, and its validators do not go up.
    let has = request("GET", "/a", &[("if-none-match", "\"a\"")]);
    let (status, said, body) = upstream.ask(has).await;
    assert_eq!((status.as_u16(), &*said, &*body), (304, "hit; ttl=20", ""));
    advance(seconds(21)).await;
}

#[tokio::test(start_paused = true)]
async fn a_304_about_another_response_is_asked_again_without_validators() {
    let upstream = Upstream::new(cache(), |call, head| async move {
        let conditional = head.headers.contains_key("if-none-match");
        assert_eq!(conditional, call == 2, "{call}");
        if call == 2 {
            return response(304, &[("etag", "\"b\"")], "");
        }
        let fields = [("cache-control", "max-age=10"), ("etag", "\"a\"")];
        response(200, &fields, call.to_string())
    });
    upstream.get("/a").await;
    advance(seconds(11)).await;
    let wanted = ("fwd=stale; detail=not-modified".into(), "3".into());
    assert_eq!(upstream.get("/a").await, wanted);
}

#[tokio::test(start_paused = true)]
async fn the_age_of_a_response_grows_and_what_others_have_said_stays() {
    let upstream = Upstream::new(cache(), |_, _| async {
        sleep(seconds(3)).await;
        let fields = [
            ("cache-control", "max-age=60"),
            ("age", "7"),
            ("cache-status", "inner; hit"),
            ("link", "a"),
            ("link", "b"),
        ];
        response(200, &fields, "body")
    });
    for (wait, age) in [(0, "10"), (0, "10"), (5, "15")] {
        advance(seconds(wait)).await;
        let answer = upstream.target.call(get("/a")).await;
        let fields = answer.headers();
        assert_eq!(fields["age"], age);
        assert_eq!(fields.get_all("age").iter().count(), 1);
        assert_eq!(fields["cache-status"], "inner; hit");
        assert_eq!(fields.get_all("cache-status").iter().count(), 2);
        assert_eq!(fields.get_all("link").iter().count(), 2);
        assert!(fields.contains_key("date"));
        read(answer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_makes_the_cache_forget_the_path_and_a_failed_one_does_not() {
    let upstream = Upstream::new(cache(), |_, head| async move {
        if head.method == Method::GET {
            return fresh("body");
        }
        let status = head
            .uri
            .query()
            .map_or(204, |status| status.parse().unwrap());
        response(status, &[], "")
    });
    let hits = async |target| upstream.get(target).await.0.starts_with("hit");
    for (method, target, forgets) in [
        ("POST", "/a", true),
        ("PUT", "/a?303", true),
        ("DELETE", "/a", true),
        ("PATCH", "/a", true),
        ("OPTIONS", "/a", false),
        ("POST", "/a?400", false),
        ("POST", "/a?500", false),
        ("POST", "/b", false),
    ] {
        for target in ["/a", "/a?x"] {
            hits(target).await;
            assert!(hits(target).await);
        }
        let (_, said, _) = upstream.ask(request(method, target, &[])).await;
        assert_eq!(said, "fwd=method");
        for target in ["/a", "/a?x"] {
            assert_eq!(hits(target).await, !forgets, "{method} {target}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_a_change_or_a_purge_is_not_stored_after_it() {
    let upstream = Upstream::new(cache(), |call, head| async move {
        if head.method == Method::POST {
            return response(204, &[], "");
        }
        sleep(seconds(2)).await;
        fresh(call.to_string())
    });
    for change in [true, false] {
        let before = upstream.begin(get("/a"));
        sleep(seconds(1)).await;
        if change {
            upstream.ask(request("POST", "/a", &[])).await;
        } else {
            upstream.cache.purge("/nothing");
        }
        // A request that comes after the change does not wait for one from before it.
        let after = upstream.begin(get("/a")).await.unwrap();
        let before = before.await.unwrap();
        assert_ne!(before.2, after.2);
        let (said, body) = upstream.get("/a").await;
        assert!(said.starts_with("hit"), "{said}");
        assert_eq!(body, after.2);
        assert_eq!(upstream.cache.purge("/a"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_forgets_a_path_or_all_below_it() {
    let upstream = Upstream::new(cache(), |_, _| async { fresh("body") });
    let targets = ["/", "/a", "/a?x", "/a/b", "/ab"];
    for (path, count, left) in [
        ("/a", 2, &["/", "/a/b", "/ab"][..]),
        ("/a/*", 3, &["/", "/ab"][..]),
        ("/*", 5, &[][..]),
        ("/a/", 0, &targets[..]),
        ("a", 0, &targets[..]),
    ] {
        for target in targets {
            upstream.get(target).await;
        }
        assert_eq!(upstream.cache.purge(path), count, "{path}");
        for target in targets {
            let hit = upstream.get(target).await.0.starts_with("hit");
            assert_eq!(hit, left.contains(&target), "{path} {target}");
        }
    }
    assert_eq!(upstream.cache.purge_all(), 5);
    assert_eq!(upstream.cache.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_head_is_answered_with_what_a_get_has_stored() {
    let upstream = Upstream::new(cache(), |_, _| async { fresh("body") });
    let head = async || upstream.ask(request("HEAD", "/a", &[])).await.1;
    assert_eq!(head().await, "fwd=miss");
    assert_eq!(head().await, "fwd=miss");
    upstream.get("/a").await;
    assert_eq!(head().await, "hit; ttl=60");
    assert_eq!(upstream.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn callers_have_their_own_responses_unless_all_share_them() {
    let name = HeaderName::from_static("x-user");
    for shared in [false, true] {
        let own = if shared {
            cache().shared_by_all()
        } else {
            cache()
        };
        let upstream = Upstream::new(own, |_, head| async move {
            let who = head.extensions.get::<Principal>();
            let who = who.map_or("nobody", Principal::subject);
            let told = head.headers.get("x-user");
            let told = told.map_or("", |told| told.to_str().unwrap());
            let plan = head.headers.get("x-plan").is_some();
            fresh(format!("{who} {told} {plan}"))
        });
        upstream.cache.clone().into_layer().about().tell(
            std::slice::from_ref(&name),
            &[HeaderName::from_static("x-plan")],
        );
        let ask = async |issuer: &str, subject: &'static str| {
            let mut req = get("/a");
            let who = Principal::new("jwt", subject).with_issuer(issuer);
            req.extensions_mut().insert(who);
            let fields = req.headers_mut();
            fields.insert("x-user", HeaderValue::from_static(subject));
            fields.insert("x-plan", HeaderValue::from_static("gold"));
            upstream.ask(req).await.2
        };
        let (one, other) = (ask("i", "ann").await, ask("i", "bob").await);
        if shared {
            assert_eq!((&*one, &*other), ("nobody  true", "nobody  true"));
            assert_eq!(upstream.calls(), 1);
        } else {
            assert_eq!((&*one, &*other), ("ann ann true", "bob bob true"));
            ask("another", "ann").await;
            assert_eq!(upstream.calls(), 3);
        }
        assert_eq!(ask("i", "ann").await, one);
    }
}

#[tokio::test(start_paused = true)]
async fn a_field_of_the_key_goes_up() {
    let own = cache().key(["Cookie", "x-tenant"]);
    let upstream = Upstream::new(own, |_, head| async move {
        let told = head.headers.get("cookie");
        fresh(
            told.map_or("none", |told| told.to_str().unwrap())
                .to_owned(),
        )
    });
    for cookie in ["a=1", "a=2", "a=1"] {
        let req = request("GET", "/a", &[("cookie", cookie)]);
        assert_eq!(upstream.ask(req).await.2, cookie);
    }
    assert_eq!(upstream.get("/a").await.1, "none");
    assert_eq!(upstream.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn two_places_have_their_own_responses() {
    let cache = cache();
    let place = |text: &'static str| {
        let target = handler(move |_| async move { fresh(text) });
        cache.clone().into_layer().wrap(BoxHandler::new(target))
    };
    for _ in 0..2 {
        let (one, other) = (place("one"), place("other"));
        for (target, text) in [(&one, "one"), (&other, "other"), (&one, "one")] {
            let (_, said, body) = read(target.call(get("/a")).await).await;
            assert_eq!(body, text, "{said}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_memory_has_a_bound_whatever_clients_ask_and_hold() {
    const BYTES: usize = 8 * MIB;
    let upstream = Upstream::new(Cache::new(BYTES), |_, head| async move {
        let length = head
            .uri
            .query()
            .map_or(100, |length| length.parse().unwrap());
        fresh(vec![b'x'; length])
    });
    for number in 0..5000 {
        let target = format!("/{number}/{}", "y".repeat(1000));
        upstream.get(&target).await;
    }
    let bytes = usize::try_from(upstream.cache.bytes()).unwrap();
    assert!(bytes > BYTES / 2 && bytes <= BYTES, "{bytes}");
    // Bodies that clients do not read count as long as they have them.
    let mut held = Vec::new();
    for number in 0..64 {
        let target = format!("/{number}?{}", MIB / 2);
        upstream.get(&target).await;
        held.push(upstream.target.call(get(&target)).await);
    }
    let hits = |response: &Response| {
        let said = response.headers()["cache-status"].to_str().unwrap();
        said.contains("; hit")
    };
    let count = held.iter().filter(|response| hits(response)).count();
    assert!((8..=32).contains(&count), "{count}");
    drop(held);
    let (said, _) = upstream.get("/new?1000").await;
    assert_eq!(said, "fwd=miss; stored");
    assert!(upstream.get("/new?1000").await.0.starts_with("hit"));
    upstream.cache.purge_all();
    assert_eq!(upstream.cache.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_cache_says_nothing_and_another_name_is_said() {
    let says = async |cache: Cache| {
        let upstream = Upstream::new(cache, |_, _| async { fresh("body") });
        upstream.get("/a").await.0
    };
    assert_eq!(says(cache().quiet()).await, "");
    assert_eq!(says(cache().name("edge")).await, "edge; fwd=miss; stored");
}

#[tokio::test(start_paused = true)]
async fn freshness_is_given_where_an_upstream_says_nothing() {
    for (fields, stored) in [
        (&[][..], true),
        (&[("cache-control", "public")][..], true),
        (&[("cache-control", "max-age=0")][..], false),
        (&[("cache-control", "no-cache")][..], false),
        (&[("expires", "0")][..], false),
        (&[("set-cookie", "a=b")][..], false),
    ] {
        let upstream = Upstream::new(cache().ttl(seconds(5)), move |_, _| async move {
            response(200, fields, "body")
        });
        upstream.get("/a").await;
        let hit = upstream.get("/a").await.0 == "hit; ttl=5";
        assert_eq!(hit, stored, "{fields:?}");
    }
    // What the gateway answers by itself is not stored.
    let upstream = Upstream::new(cache().ttl(seconds(5)), |_, _| async {
        crate::respond::failure(Failure::NoRoute, false)
    });
    upstream.get("/a").await;
    assert_eq!(upstream.get("/a").await.0, "fwd=miss; detail=error");
}

#[tokio::test(start_paused = true)]
async fn staleness_is_given_where_an_upstream_says_nothing() {
    let own = cache()
        .stale_while_revalidate(seconds(20))
        .stale_if_error(seconds(60));
    let upstream = Upstream::new(own, |call, _| async move {
        match call {
            1 => response(200, &[("cache-control", "max-age=10")], "body"),
            _ => crate::respond::failure(Failure::Connect, false),
        }
    });
    upstream.get("/a").await;
    advance(seconds(15)).await;
    assert_eq!(upstream.get("/a").await.0, "hit; ttl=-5");
    advance(seconds(40)).await;
    assert_eq!(
        upstream.get("/a").await.0,
        "fwd=stale; detail=stale-if-error"
    );
    advance(seconds(20)).await;
    assert_eq!(upstream.get("/a").await.0, "fwd=stale; detail=error");
}

#[test]
fn mistakes_are_said_at_start() {
    let problems = |cache: Cache| cache.into_layer().about().problems().join("\n");
    assert_eq!(problems(cache().key(["x-a"]).name("edge.eu:1")), "");
    assert_eq!(problems(Cache::new(8 * MIB)), "");
    for (cache, part) in [
        (
            Cache::new(0),
            "`Cache::new(0)` has no room for 8 bodies of 1048576 bytes",
        ),
        (Cache::new(8 * MIB - 1), "no room"),
        (cache().max_body(64 * MIB), "no room"),
        (cache().max_body(0), "`Cache::max_body(0)` stores nothing"),
        (cache().ttl(seconds(0)), "`Cache::ttl` of 0 stores nothing"),
        (
            cache().key(["a b"]),
            "`Cache::key`: \"a b\" is not the name of a field",
        ),
        (
            cache().name("my cache"),
            "`Cache::name`: \"my cache\" is not a token",
        ),
    ] {
        let problems = problems(cache);
        assert!(problems.contains(part), "{problems:?}");
    }
}

#[test]
fn its_role_is_that_of_its_type() {
    let about = cache().into_layer().about();
    assert_eq!(
        about.the_role(),
        <<Cache as Declares>::Role as role::IsRole>::ROLE
    );
}
