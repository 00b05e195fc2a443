use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZstdDecoder};
use http_body_util::BodyExt;
use tokio::io::AsyncReadExt;

use super::*;
use crate::{
    error::{Error, Failure},
    handler::{BoxHandler, handler},
    middleware::IntoLayer,
};

const TEXT: &str = "all work and no play makes jack a dull boy. ";

fn long() -> String {
    TEXT.repeat(100)
}

/// An answer with these fields, to a request with these.
async fn answer(
    layer: Compress,
    method: Method,
    accepts: &str,
    status: u16,
    fields: &[(&'static str, &'static str)],
) -> Response {
    let mut response = Response::new(Body::from(long()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in fields {
        let value = HeaderValue::from_static(value);
        response.headers_mut().append(*name, value);
    }
    let response = std::sync::Mutex::new(Some(response));
    let target = handler(move |_| {
        let response = response.lock().unwrap().take().unwrap();
        async move { response }
    });
    let mut req = Request::new(Body::empty());
    *req.method_mut() = method;
    let accepts = HeaderValue::from_str(accepts).unwrap();
    req.headers_mut().insert("accept-encoding", accepts);
    let target = layer.into_layer().wrap(BoxHandler::new(target));
    target.call(req).await
}

async fn decoded(coding: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    match coding {
        "gzip" => GzipDecoder::new(bytes).read_to_string(&mut text).await,
        "br" => BrotliDecoder::new(bytes).read_to_string(&mut text).await,
        "zstd" => ZstdDecoder::new(bytes).read_to_string(&mut text).await,
        other => panic!("{other}"),
    }
    .unwrap();
    text
}

fn field<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn each_coding_makes_a_text_shorter_and_can_be_read_again() {
    for coding in ["gzip", "br", "zstd"] {
        let fields = [
            ("content-type", "text/html; charset=utf-8"),
            ("content-length", "4400"),
            ("etag", "\"abc\""),
            ("accept-ranges", "bytes"),
            ("content-digest", "sha-256=:x:"),
            ("repr-digest", "sha-256=:x:"),
            ("vary", "origin"),
        ];
        let response = answer(Compress::new(), Method::GET, coding, 200, &fields).await;
        assert_eq!(field(&response, "content-encoding"), Some(coding));
        assert_eq!(field(&response, "etag"), Some("W/\"abc\""));
        for gone in [
            "content-length",
            "accept-ranges",
            "content-digest",
            "repr-digest",
        ] {
            assert_eq!(field(&response, gone), None, "{gone}");
        }
        let vary: Vec<_> = response.headers().get_all("vary").iter().collect();
        assert_eq!(vary, ["origin", "accept-encoding"]);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert!(bytes.len() < 500, "{coding} {}", bytes.len());
        assert_eq!(decoded(coding, &bytes).await, long());
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
async fn what_cannot_be_served_well_passes_untouched() {
    let json = ("content-type", "application/json");
    let get = Method::GET;
    let kind = |kind: &'static str| vec![("content-type", kind)];
    // Whether it is compressed, and whether it depends on what the client takes.
    for (method, accepts, status, fields, compressed, varies) in [
        (&get, "gzip", 200, vec![json], true, true),
        (&get, "gzip", 404, vec![json], true, true),
        (&get, "", 200, vec![json], false, true),
        (&get, "deflate", 200, vec![json], false, true),
        (&get, "*;q=0", 200, vec![json], false, true),
        (&Method::HEAD, "gzip", 200, vec![json], false, true),
        (&get, "gzip", 204, vec![json], false, false),
        (&get, "gzip", 206, vec![json], false, false),
        (&get, "gzip", 304, vec![json], false, false),
        (
            &get,
            "gzip",
            200,
            vec![json, ("content-encoding", "br")],
            false,
            false,
        ),
        (
            &get,
            "gzip",
            200,
            vec![json, ("content-range", "bytes 0-9/20")],
            false,
            false,
        ),
        (
            &get,
            "gzip",
            200,
            vec![json, ("cache-control", "private, No-Transform")],
            false,
            false,
        ),
        (
            &get,
            "gzip",
            200,
            vec![json, ("cache-control", "x=no-transform")],
            true,
            true,
        ),
        (
            &get,
            "gzip",
            200,
            kind("text/event-stream; charset=utf-8"),
            false,
            false,
        ),
        (
            &get,
            "gzip",
            200,
            kind("application/grpc+proto"),
            false,
            false,
        ),
        (
            &get,
            "gzip",
            200,
            kind("application/grpc-web"),
            false,
            false,
        ),
        (&get, "gzip", 200, kind("image/png"), false, false),
        (&get, "gzip", 200, kind("video/mp4"), false, false),
        (&get, "gzip", 200, vec![], false, false),
        (&get, "gzip", 200, kind("image/svg+xml"), true, true),
        (
            &get,
            "gzip",
            200,
            kind("application/problem+json"),
            true,
            true,
        ),
        (&get, "gzip", 200, kind("Text/JavaScript"), true, true),
        (&get, "gzip", 200, kind("application/wasm"), true, true),
    ] {
        let about = format!("{method} {accepts} {status} {fields:?}");
        let mut fields = fields;
        fields.push(("etag", "\"abc\""));
        let response = answer(Compress::new(), method.clone(), accepts, status, &fields).await;
        let had = fields.iter().any(|(name, _)| *name == "content-encoding");
        assert_eq!(
            field(&response, "content-encoding") == Some("gzip"),
            compressed,
            "{about}"
        );
        assert_eq!(field(&response, "vary").is_some(), varies, "{about}");
        let etag = if compressed { "W/\"abc\"" } else { "\"abc\"" };
        assert_eq!(field(&response, "etag"), Some(etag), "{about}");
        if !compressed && !had {
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(bytes.len(), long().len(), "{about}");
        }
    }
}

#[tokio::test]
async fn sizes_and_types_are_options() {
    let text = [("content-type", "text/plain")];
    let png = [("content-type", "image/png")];
    let compressed = async |layer: Compress, fields| {
        let response = answer(layer, Method::GET, "gzip", 200, fields).await;
        field(&response, "content-encoding").is_some()
    };
    assert!(compressed(Compress::new().min(4400), &text).await);
    assert!(!compressed(Compress::new().min(4401), &text).await);
    assert!(compressed(Compress::new().types(["image/*"]), &png).await);
    assert!(compressed(Compress::new().types(["image/PNG"]), &png).await);
    assert!(!compressed(Compress::new().types(["image/*"]), &text).await);
    let events = [("content-type", "text/event-stream")];
    assert!(!compressed(Compress::new().types(["text/*"]), &events).await);
}

/// What it gives, one after the other, and then it waits or ends.
struct Pieces(Vec<Result<Frame, Error>>, bool);

type Frame = http_body::Frame<bytes::Bytes>;

impl http_body::Body for Pieces {
    type Data = bytes::Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame, Error>>> {
        if self.0.is_empty() {
            if self.1 {
                return std::task::Poll::Pending;
            }
            assert!(
                !std::mem::replace(&mut self.1, true),
                "it is asked once at its end"
            );
            return std::task::Poll::Ready(None);
        }
        std::task::Poll::Ready(Some(self.0.remove(0)))
    }
}

fn data(text: &'static str) -> Frame {
    Frame::data(text.into())
}

#[tokio::test]
async fn what_there_is_goes_out_when_a_body_waits() {
    for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
        let body = Body::boxed(Pieces(vec![Ok(data("first ")), Ok(data("second"))], true));
        let mut body = Compressed::new(body, coding);
        let mut bytes = Vec::new();
        let mut text = String::new();
        // The reader may need several pieces, and none of them may be held back.
        while text != "first second" {
            let next = std::future::poll_fn(|cx| {
                let next = std::pin::Pin::new(&mut body);
                std::task::Poll::Ready(http_body::Body::poll_frame(next, cx))
            });
            let std::task::Poll::Ready(Some(Ok(frame))) = next.await else {
                panic!("{coding:?} holds back what there is: {text:?}");
            };
            bytes.extend(frame.into_data().unwrap());
            text = partly(coding, &bytes).await;
        }
    }
}

/// What can be read of a stream that has not ended.
async fn partly(coding: Coding, bytes: &[u8]) -> String {
    let mut out = [0; 64];
    let read = match coding {
        Coding::Gzip => GzipDecoder::new(bytes).read(&mut out).await,
        Coding::Brotli => BrotliDecoder::new(bytes).read(&mut out).await,
        Coding::Zstd => ZstdDecoder::new(bytes).read(&mut out).await,
    };
    String::from_utf8(out[..read.unwrap_or(0)].to_vec()).unwrap()
}

#[tokio::test]
async fn trailers_pass_and_a_body_that_fails_fails() {
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("x-sum"),
        HeaderValue::from_static("7"),
    )]);
    let pieces = vec![Ok(data("text")), Ok(Frame::trailers(trailers))];
    let body = Compressed::new(Body::boxed(Pieces(pieces, false)), Coding::Gzip);
    let collected = body.collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-sum"], "7");
    assert_eq!(decoded("gzip", &collected.to_bytes()).await, "text");

    let pieces = vec![Ok(data("text")), Err(Error::failure(Failure::Reset))];
    let body = Compressed::new(Body::boxed(Pieces(pieces, false)), Coding::Zstd);
    let error = body.collect().await.unwrap_err();
    assert_eq!(error.as_failure(), Some(Failure::Reset));
}

#[test]
fn malformed_types_are_said_at_start() {
    let problems = |layer: Compress| layer.into_layer().about().problems().join("\n");
    assert_eq!(
        problems(Compress::new().types(["text/*", "application/json"])),
        ""
    );
    assert!(problems(Compress::new().types([""; 0])).contains("compresses nothing"));
    for wrong in [
        "",
        "json",
        "text/",
        "/html",
        "*/*",
        "text/h tml",
        "text/html; q=1",
    ] {
        let said = problems(Compress::new().types([wrong]));
        assert!(said.contains("is not a media type"), "{wrong:?} {said}");
    }
}
