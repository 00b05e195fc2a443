use std::{
    convert::Infallible,
    future::pending,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Version};
use http_body::Frame;
use http_body_util::BodyExt;

use super::*;
use crate::{
    client::Client,
    error::Error,
    handler::{BoxHandler, Handler, IntoResponse, handler},
    middleware::{IntoLayer, Recover, RequestId},
    sync::lock,
    watch::Watch,
};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs one exchange through the log and then `target`; gives the lines that it wrote.
async fn logged<F: Future<Output = ()>>(
    target: impl Handler,
    exchange: impl FnOnce(BoxHandler) -> F,
) -> String {
    let lines = Lines::default();
    let log = AccessLog::json().writer(lines.clone());
    exchange(log.clone().into_layer().wrap(BoxHandler::new(target))).await;
    log.flush().await;
    let lines = lock(&lines.0).clone();
    String::from_utf8(lines).unwrap()
}

fn request(body: impl Into<Body>) -> Request {
    let mut req = Request::new(body.into());
    *req.uri_mut() = "/a?token=secret".parse().unwrap();
    let credentials = HeaderValue::from_static("Bearer secret");
    req.headers_mut().insert("authorization", credentials);
    req
}

/// A body of frames that come one by one, of a length that nobody knows.
struct Frames(std::vec::IntoIter<Result<Frame<Bytes>, Error>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(self.0.next())
    }
}

fn frames(frames: Vec<Result<Frame<Bytes>, Error>>) -> Response {
    Response::new(Body::boxed(Frames(frames.into_iter())))
}

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

async fn two_frames(_: Request) -> Response {
    frames(vec![Ok(data("0123")), Ok(data("456"))])
}

#[test]
fn a_log_has_no_thread_before_its_first_line() {
    let stdout = AccessLog::json();
    let log = stdout.clone().writer(Lines::default());
    assert!(!stdout.queue.has_started() && !log.queue.has_started());
    log.queue.push("line\n".into());
    assert!(log.queue.has_started() && !stdout.queue.has_started());
}

#[tokio::test]
async fn the_caller_is_named_only_where_that_is_wanted() {
    use crate::{
        auth::{Authenticate, Verdict},
        handler::Parts,
        identity::Principal,
    };

    struct Known(&'static str);

    impl Authenticate for Known {
        async fn authenticate(&self, _: &mut Parts) -> Verdict {
            let subject = format!("{}\"\n{}", self.0, "\u{e4}".repeat(600));
            Verdict::Admitted(Principal::new("test", subject))
        }

        fn challenge(&self) -> Option<HeaderValue> {
            None
        }
    }

    for (named, json) in [(true, true), (true, false), (false, true), (false, false)] {
        let lines = Lines::default();
        let log = if json {
            AccessLog::json()
        } else {
            AccessLog::text()
        };
        let log = if named { log.principals() } else { log };
        let log = log.writer(lines.clone());
        let inner = Known("inner")
            .into_layer()
            .wrap(BoxHandler::new(handler(async |_| "a")));
        let target = Known("outer").into_layer().wrap(inner);
        let exchange = Watch::new(None).request(&Method::GET, Version::HTTP_11);
        exchange.tally().detail();
        let mut req = request("");
        req.extensions_mut().insert(exchange.tally().clone());
        let response = log.clone().into_layer().wrap(target).call(req).await;
        response.into_body().bytes(9).await.unwrap();
        log.flush().await;
        let line = String::from_utf8(lock(&lines.0).clone()).unwrap();
        let auth = if json {
            r#""auth":"test""#
        } else {
            " auth=test"
        };
        assert!(line.contains(auth), "{line}");
        let name = if json {
            r#""principal":"inner\"\n\u00e4"#
        } else {
            r#" principal="inner\"\n"#
        };
        let name = name.replace("\\u00e4", "\u{e4}");
        assert_eq!(line.contains(&name), named, "{line}");
        assert_eq!(line.contains("principal"), named, "{line}");
        assert!(
            line.len() < 1200 && line.matches('\n').count() == 1,
            "{line}"
        );
    }
    let line = logged(handler(async |_| "a"), async |target| {
        target
            .call(request(""))
            .await
            .into_body()
            .bytes(9)
            .await
            .unwrap();
    });
    assert!(!line.await.contains("auth"));
}

#[tokio::test]
async fn one_line_is_written_when_the_body_has_ended() {
    async fn echo(req: Request) -> impl IntoResponse {
        req.into_body().bytes(64).await
    }
    let line = logged(handler(echo), async |target| {
        let response = target.call(request("0123456789")).await;
        assert_eq!(response.body().size_hint().exact(), Some(10));
        response.into_body().bytes(64).await.unwrap();
    });
    let line = line.await;
    assert_eq!(line.matches('\n').count(), 1);
    assert!(
        line.contains(r#""path":"/a","status":200,"total_ms":"#),
        "{line}"
    );
    assert!(
        line.ends_with("\"bytes_in\":10,\"bytes_out\":10}\n"),
        "{line}"
    );
    assert!(!line.contains("secret"), "{line}");
}

#[tokio::test]
async fn a_response_without_a_body_has_its_line_at_once() {
    let line = logged(handler(|_| async {}), async |target| {
        assert!(target.call(request("")).await.body().is_end_stream());
    });
    let line = line.await;
    assert!(
        line.ends_with("\"bytes_in\":0,\"bytes_out\":0}\n"),
        "{line}"
    );
}

#[tokio::test]
async fn trailers_pass() {
    let trailers = || HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("x"))]);
    let ended =
        move |_| async move { frames(vec![Ok(data("0")), Ok(Frame::trailers(trailers()))]) };
    let line = logged(handler(ended), async |target| {
        let body = target.call(request("")).await.into_body();
        let whole = body.collect().await.unwrap();
        assert_eq!(whole.trailers(), Some(&trailers()));
    });
    assert!(line.await.ends_with("\"bytes_out\":1}\n"));
}

#[tokio::test]
async fn a_body_that_is_dropped_early_is_marked() {
    let line = logged(handler(two_frames), async |target| {
        let mut body = target.call(request("")).await.into_body();
        body.frame().await.unwrap().unwrap();
    });
    let line = line.await;
    assert!(
        line.ends_with("\"bytes_out\":4,\"aborted\":true}\n"),
        "{line}"
    );
}

#[tokio::test]
async fn a_body_that_fails_says_why() {
    let failing = |_| async { frames(vec![Ok(data("0123")), Err(Failure::Reset.into())]) };
    let line = logged(handler(failing), async |target| {
        let body = target.call(request("")).await.into_body();
        body.bytes(64).await.unwrap_err();
    });
    let line = line.await;
    assert!(
        line.contains(r#""status":200,"error_type":"reset""#),
        "{line}"
    );
    assert!(
        line.ends_with("\"bytes_out\":4,\"aborted\":true}\n"),
        "{line}"
    );
}

#[tokio::test]
async fn a_body_that_nobody_has_to_read_is_not_marked() {
    let line = logged(handler(two_frames), async |target| {
        let mut head = request("");
        *head.method_mut() = Method::HEAD;
        drop(target.call(head).await);
    });
    assert!(!line.await.contains("aborted"));

    // A server stops at the length that the header says.
    let sized = |req| async {
        let mut response = two_frames(req).await;
        let length = HeaderValue::from_static("7");
        response.headers_mut().insert("content-length", length);
        response
    };
    let line = logged(handler(sized), async |target| {
        let mut body = target.call(request("")).await.into_body();
        body.frame().await.unwrap().unwrap();
        body.frame().await.unwrap().unwrap();
    });
    assert!(line.await.ends_with("\"bytes_out\":7}\n"));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_response_is_a_499() {
    let line = logged(handler(|_| pending::<()>()), async |target| {
        let mut answer = pin!(target.call(request("")));
        let polled = answer
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    });
    let line = line.await;
    assert!(
        line.contains(r#""status":499,"error_type":"client_gone""#),
        "{line}"
    );
    assert!(!line.contains("aborted"), "{line}");
}

async fn broken(_: Request) -> Infallible {
    panic!("a bug")
}

#[tokio::test]
async fn a_panic_is_a_500_on_either_side_of_recover() {
    let inside = Recover::new()
        .into_layer()
        .wrap(BoxHandler::new(handler(broken)));
    let line = logged(handler(move |req| inside.call(req)), async |target| {
        drop(target.call(request("")).await);
    });
    let line = line.await;
    assert!(
        line.contains(r#""status":500,"error_type":"panicked""#),
        "{line}"
    );

    let line = logged(handler(broken), async |target| {
        drop(
            Recover::new()
                .into_layer()
                .wrap(target)
                .call(request(""))
                .await,
        );
    });
    let line = line.await;
    assert!(
        line.contains(r#""status":500,"error_type":"panicked""#),
        "{line}"
    );
}

#[tokio::test]
async fn where_the_request_went_is_read_from_its_tally() {
    async fn upstream(req: Request) -> &'static str {
        // The thread that writes has the real time.
        tokio::time::pause();
        let tally = req.tally().unwrap();
        let came = Instant::now();
        tally.tries_at(&"users".into(), &"http://10.0.0.2:8080".into());
        tally.tries_at(&"users".into(), &"http://10.0.0.1:8080".into());
        tokio::time::advance(Duration::from_millis(1)).await;
        tally.connected(came);
        let sent = Instant::now();
        tokio::time::advance(Duration::from_micros(2500)).await;
        tally.has_head(sent, came, Instant::now());
        tokio::time::resume();
        "ok"
    }
    let watch = Watch::new(None);
    let exchange = watch.request(&Method::GET, Version::HTTP_11);
    exchange.tally().detail();
    let line = logged(handler(upstream), async |target| {
        let mut req = request("");
        let peer = "[2001:db8::1]:80".parse().unwrap();
        let client = Arc::new(Client::new(Some(peer)));
        req.extensions_mut().insert(client);
        req.extensions_mut().insert(exchange.tally().clone());
        target.call(req).await.into_body().bytes(64).await.unwrap();
    });
    let line = line.await;
    let hop = concat!(
        r#""backend":"users","endpoint":"http://10.0.0.1:8080","tries":2,"#,
        r#""connect_ms":1.000,"first_byte_ms":2.500,"#
    );
    assert!(line.contains(hop), "{line}");
    assert!(line.contains(r#""client":"2001:db8::1""#), "{line}");
}

#[tokio::test]
async fn the_id_is_known_wherever_the_layer_that_gives_it_stands() {
    let id = |response: &Response| {
        let id = response.headers()["x-request-id"].to_str().unwrap();
        format!("\"id\":\"{id}\"")
    };
    let mut given = String::new();
    let inside = RequestId::new().into_layer();
    let inside = inside.wrap(BoxHandler::new(handler(|_| async {})));
    let line = logged(handler(move |req| inside.call(req)), async |target| {
        given = id(&target.call(request("")).await);
    });
    let line = line.await;
    assert!(line.contains(&given), "{line}");

    let line = logged(handler(|_| async {}), async |target| {
        let outside = RequestId::new().into_layer().wrap(target);
        given = id(&outside.call(request("")).await);
    });
    let line = line.await;
    assert!(line.contains(&given), "{line}");
}
