//! The same exchanges over HTTP/1.1 and HTTP/2 on either side: whatever is spoken, the same arrives.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use prox_tests::{
    client::{HyperClient, RequestBody, Speaks, body, text},
    filler::{Digest, Filler},
    gateway::Served,
    service::{CutOff, Frames, ServiceOrigin, Stalling, data},
    wait::{eventually, within},
};

const LARGE: u64 = 5_000_000;

/// One client, one gateway, one origin, and how many exchanges the origin is working on.
struct Pair {
    name: String,
    version: Speaks,
    client: HyperClient,
    gateway: Served,
    origin: ServiceOrigin,
    working: Arc<AtomicUsize>,
}

impl Pair {
    async fn new(front: Speaks, back: Speaks) -> Self {
        let working = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&working);
        let origin = ServiceOrigin::start(back, move |request| {
            let guard = Working::new(&count);
            async move {
                let answer = answer(request).await;
                drop(guard);
                answer
            }
        })
        .await;
        let url = origin.endpoint();
        let gateway = match back {
            Speaks::Http1 => Served::start(prox::gateway! { "/" => cluster(rr, [url]) }).await,
            Speaks::Http2 => {
                Served::start(prox::gateway! { "/" => cluster(rr, [url]).http2() }).await
            }
        };
        Self {
            name: format!("{front:?} to {back:?}"),
            version: front,
            client: HyperClient::speaking(front, gateway.address()).await,
            gateway,
            origin,
            working,
        }
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        self.version.request(path).method(method)
    }

    async fn send(&mut self, request: Request<RequestBody>) -> Response<Incoming> {
        let name = self.name.clone();
        self.client
            .send(request)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    async fn get(&mut self, path: &str) -> Response<Incoming> {
        let request = self.request(Method::GET, path).body(nothing());
        let request = request.expect("the parts of a request");
        self.send(request).await
    }
}

async fn every() -> Vec<Pair> {
    let mut all = Vec::new();
    for front in [Speaks::Http1, Speaks::Http2] {
        for back in [Speaks::Http1, Speaks::Http2] {
            all.push(Pair::new(front, back).await);
        }
    }
    all
}

struct Working(Arc<AtomicUsize>);

impl Working {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn nothing() -> RequestBody {
    body(Empty::new())
}

/// What the origin says to each path.
async fn answer(request: Request<Incoming>) -> Result<Response<RequestBody>, CutOff> {
    let (head, incoming) = request.into_parts();
    let response = Response::builder();
    let response = match head.uri.path() {
        // hyper would send the body.
        "/hello" if head.method == Method::HEAD => {
            response.header("content-length", "5").body(nothing())
        }
        "/hello" => response.body(text("hello")),
        "/204" => response.status(204).body(nothing()),
        "/304" => response.status(304).header("etag", "\"x\"").body(nothing()),
        "/echo" => {
            let length = head.headers.get("content-length").cloned();
            let response = match length {
                Some(length) => response.header("x-length", length),
                None => response,
            };
            response.body(body(incoming))
        }
        "/filler" => response.body(body(Frames(Filler::new(LARGE).map(data)))),
        "/digest" => response.body(body(Full::from(format!("{:?}", digest(incoming).await)))),
        "/trailers" => {
            let collected = incoming.collect().await.map_err(|_| CutOff)?;
            let mut fields = collected.trailers().cloned().unwrap_or_default();
            fields.insert("x-more", HeaderValue::from_static("more"));
            let frames = [data("body"), Ok(Frame::trailers(fields))];
            response
                .header("trailer", "x-sum, x-more")
                .body(body(Frames(frames.into_iter())))
        }
        "/early" => response.status(413).body(text("too much")),
        "/cookies" => {
            let cookies = head.headers.get_all("cookie").iter();
            let cookies: Vec<&str> = cookies.filter_map(|one| one.to_str().ok()).collect();
            let cookies = Full::from(cookies.join(" | "));
            response
                .header("set-cookie", "a=1")
                .header("set-cookie", "b=2")
                .body(body(cookies))
        }
        "/headers" => {
            let mut response = response;
            for (name, value) in &head.headers {
                if name.as_str().starts_with("x-many") {
                    response = response.header(name, value);
                }
            }
            response.body(nothing())
        }
        "/hop" => {
            let mut names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            response.body(body(Full::from(names.join(" "))))
        }
        "/dies" => return Err(CutOff),
        "/dies-in-mid-body" => response.body(body(Stalling::after("half of it").then_fails())),
        _ => {
            // Who does not read does not see that nobody is there any more.
            incoming.collect().await.map_err(|_| CutOff)?;
            pending::<()>().await;
            response.body(nothing())
        }
    };
    Ok(response.expect("the parts of a response"))
}

async fn digest(mut incoming: Incoming) -> Digest {
    let mut digest = Digest::default();
    while let Some(Ok(frame)) = incoming.frame().await {
        if let Some(data) = frame.data_ref() {
            digest.update(data);
        }
    }
    digest
}

async fn read(response: Response<Incoming>) -> String {
    let collected = within("a body", response.into_body().collect()).await;
    let bytes = collected.expect("a whole body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn small_responses_pass() {
    for mut pair in every().await {
        let response = pair.get("/hello").await;
        assert_eq!(response.status(), 200, "{}", pair.name);
        assert_eq!(response.headers()["content-length"], "5", "{}", pair.name);
        assert_eq!(read(response).await, "hello", "{}", pair.name);
        assert_eq!(pair.origin.accepted(), 1);
    }
}

#[tokio::test]
async fn responses_without_a_body_have_none() {
    for mut pair in every().await {
        let head = pair
            .request(Method::HEAD, "/hello")
            .body(nothing())
            .unwrap();
        let response = pair.send(head).await;
        assert_eq!(response.headers()["content-length"], "5", "{}", pair.name);
        assert_eq!(read(response).await, "", "{}", pair.name);
        for (path, status) in [("/204", 204), ("/304", 304)] {
            let response = pair.get(path).await;
            assert_eq!(response.status(), status, "{}", pair.name);
            assert_eq!(read(response).await, "", "{}", pair.name);
        }
        assert_eq!(
            read(pair.get("/hello").await).await,
            "hello",
            "{}",
            pair.name
        );
        assert_eq!(pair.origin.accepted(), 1, "{}", pair.name);
    }
}

#[tokio::test]
async fn a_body_of_known_length_keeps_it() {
    for mut pair in every().await {
        let post = pair.request(Method::POST, "/echo").body(text("a body"));
        let response = pair.send(post.unwrap()).await;
        assert_eq!(response.headers()["x-length"], "6", "{}", pair.name);
        assert_eq!(read(response).await, "a body", "{}", pair.name);
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_passes() {
    for mut pair in every().await {
        let frames = Frames([data("in "), data("two pieces")].into_iter());
        let post = pair.request(Method::POST, "/echo").body(body(frames));
        let response = pair.send(post.unwrap()).await;
        assert!(
            !response.headers().contains_key("x-length"),
            "{}",
            pair.name
        );
        assert_eq!(read(response).await, "in two pieces", "{}", pair.name);
    }
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    for mut pair in every().await {
        let whole = Digest::of_filler(LARGE);
        let response = pair.get("/filler").await;
        let got = within("the response", digest(response.into_body())).await;
        assert_eq!(got, whole, "{}", pair.name);
        let filler = body(Frames(Filler::new(LARGE).map(data)));
        let post = pair.request(Method::POST, "/digest").body(filler);
        let said = read(pair.send(post.unwrap()).await).await;
        assert_eq!(said, format!("{whole:?}"), "{}", pair.name);
        let filler = body(Frames(Filler::new(LARGE).map(data)));
        let post = pair.request(Method::POST, "/echo").body(filler);
        let response = pair.send(post.unwrap()).await;
        let got = within("the echo", digest(response.into_body())).await;
        assert_eq!(got, whole, "{}", pair.name);
    }
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    for mut pair in every().await {
        let mut sum = HeaderMap::new();
        sum.insert("x-sum", HeaderValue::from_static("abc"));
        let frames = Frames([data("body"), Ok(Frame::trailers(sum))].into_iter());
        let post = pair
            .request(Method::POST, "/trailers")
            .header("te", "trailers")
            .header("trailer", "x-sum")
            .body(body(frames));
        let response = pair.send(post.unwrap()).await;
        let collected = within("the body", response.into_body().collect()).await;
        let collected = collected.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        assert_eq!(trailers["x-sum"], "abc", "{}", pair.name);
        assert_eq!(trailers["x-more"], "more", "{}", pair.name);
        assert_eq!(collected.to_bytes(), "body", "{}", pair.name);
    }
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_is_passed_on() {
    for mut pair in every().await {
        let unfinished = body(Stalling::after("a piece"));
        let post = pair.request(Method::POST, "/early").body(unfinished);
        let response = pair.send(post.unwrap()).await;
        assert_eq!(response.status(), 413, "{}", pair.name);
        assert_eq!(read(response).await, "too much", "{}", pair.name);
        eventually("the exchange to be over", || pair.working.load(SeqCst) == 0).await;
        assert_eq!(pair.gateway.get("/hello").await.expect(200).text(), "hello");
    }
}

#[tokio::test]
async fn cookies_arrive_whole_and_are_set_one_by_one() {
    for mut pair in every().await {
        let get = pair.request(Method::GET, "/cookies");
        let get = match pair.version {
            Speaks::Http1 => get.header("cookie", "a=1; b=2"),
            Speaks::Http2 => get.header("cookie", "a=1").header("cookie", "b=2"),
        };
        let response = pair.send(get.body(nothing()).unwrap()).await;
        let set: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(set, ["a=1", "b=2"], "{}", pair.name);
        assert_eq!(read(response).await, "a=1; b=2", "{}", pair.name);
    }
}

#[tokio::test]
async fn many_headers_pass() {
    for mut pair in every().await {
        let mut get = pair.request(Method::GET, "/headers");
        for number in 0..80 {
            get = get.header(format!("x-many-{number}"), "v".repeat(100));
        }
        let response = pair.send(get.body(nothing()).unwrap()).await;
        let count = response
            .headers()
            .keys()
            .filter(|name| name.as_str().starts_with("x-many-"));
        assert_eq!(count.count(), 80, "{}", pair.name);
    }
}

#[tokio::test]
async fn nothing_that_belongs_to_one_connection_passes() {
    for mut pair in every().await {
        let mut get = pair.request(Method::GET, "/hop").header("te", "trailers");
        if pair.version == Speaks::Http1 {
            get = get
                .header("connection", "keep-alive, x-private")
                .header("x-private", "1")
                .header("keep-alive", "timeout=5")
                .header("proxy-connection", "keep-alive");
        }
        let response = pair.send(get.body(nothing()).unwrap()).await;
        let names = read(response).await;
        let expected = "te x-forwarded-for x-forwarded-host x-forwarded-proto";
        assert_eq!(names.replace("host te", "te"), expected, "{}", pair.name);
    }
}

#[tokio::test]
async fn an_upstream_that_dies_before_its_head_is_a_502() {
    for mut pair in every().await {
        let response = pair.get("/dies").await;
        assert_eq!(response.status(), 502, "{}", pair.name);
        assert_eq!(
            read(pair.get("/hello").await).await,
            "hello",
            "{}",
            pair.name
        );
    }
}

#[tokio::test]
async fn an_upstream_that_dies_in_mid_body_never_looks_like_a_clean_end() {
    for mut pair in every().await {
        let response = pair.get("/dies-in-mid-body").await;
        assert_eq!(response.status(), 200, "{}", pair.name);
        let mut incoming = response.into_body();
        let mut got = Vec::new();
        let error = loop {
            match within("the end", incoming.frame()).await {
                Some(Ok(frame)) => got.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => break error,
                None => panic!("{}: a clean end after {got:?}", pair.name),
            }
        };
        assert_eq!(got, b"half of it", "{}: {error:?}", pair.name);
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_along() {
    for mut pair in every().await {
        let get = pair.request(Method::GET, "/hang").body(nothing()).unwrap();
        let waiting = pair.client.begin(get);
        eventually("the request", || pair.working.load(SeqCst) == 1).await;
        match pair.version {
            // A stream is reset, and the connection stays.
            Speaks::Http2 => drop(waiting),
            Speaks::Http1 => pair.client.leave(),
        }
        let what = format!("{}: the request to be cancelled", pair.name);
        eventually(&what, || pair.working.load(SeqCst) == 0).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_upload_takes_its_request_along() {
    for mut pair in every().await {
        let unfinished = body(Stalling::after("a piece"));
        let post = pair
            .request(Method::POST, "/hang")
            .body(unfinished)
            .unwrap();
        let waiting = pair.client.begin(post);
        eventually("the request", || pair.working.load(SeqCst) == 1).await;
        match pair.version {
            Speaks::Http2 => drop(waiting),
            Speaks::Http1 => pair.client.leave(),
        }
        let what = format!("{}: the request to be cancelled", pair.name);
        eventually(&what, || pair.working.load(SeqCst) == 0).await;
    }
}

#[tokio::test]
async fn two_hundred_requests_at_once_are_all_answered() {
    for pair in every().await {
        let address = pair.gateway.address();
        let (connections, each) = match pair.version {
            Speaks::Http1 => (200, 1),
            Speaks::Http2 => (4, 50),
        };
        let mut clients = Vec::new();
        let mut waiting = Vec::new();
        for number in 0..connections {
            let mut client = HyperClient::speaking(pair.version, address).await;
            for part in 0..each {
                let content = format!("body {number} {part}");
                let post = pair.request(Method::POST, "/echo");
                let post = post.body(body(Full::from(content.clone()))).unwrap();
                waiting.push((content, tokio::spawn(client.begin(post))));
            }
            clients.push(client);
        }
        for (content, response) in waiting {
            let response = within("two hundred answers", response).await.unwrap();
            assert_eq!(read(response.unwrap()).await, content, "{}", pair.name);
        }
    }
}
