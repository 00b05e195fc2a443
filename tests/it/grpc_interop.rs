//! The cases of gRPC's own interoperability tests that `grpc.rs` has not, under their names, with tonic on both sides.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use bytes::Bytes;
use http::uri::PathAndQuery;
use prox_tests::{
    frames::{END_HEADERS, Frame, FrameClient, code, kind, literals},
    wait::{eventually, within},
};
use tokio::sync::mpsc::{self, Sender};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{
    Code, Request, Response, Status, Streaming,
    metadata::{MetadataMap, MetadataValue},
};

use crate::grpc::{Chain, Messages, Raw, Seen, message};

const INITIAL: &str = "x-grpc-test-echo-initial";
const TRAILING: &str = "x-grpc-test-echo-trailing-bin";

/// White space, and characters of and beyond the first plane of Unicode.
const SPECIAL: &str =
    "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";

/// Gives each message back as it comes; `fail` is answered with a status, and `sleep` not at all. What the metadata asks for
/// comes first, and with the status.
pub(crate) async fn interop(
    request: Request<Streaming<Bytes>>,
    seen: Seen,
) -> Result<Response<Messages>, Status> {
    let waiting = seen.wait();
    let (metadata, _, mut messages) = request.into_parts();
    let initial = metadata.get(INITIAL).cloned();
    let (sender, answers) = mpsc::channel(1);
    tokio::spawn(async move {
        let _waiting = waiting;
        loop {
            let next = tokio::select! {
                next = messages.message() => next,
                // The call is over for whoever would read the answers.
                () = sender.closed() => return,
            };
            let answer = match next {
                Ok(Some(message)) if message == "fail" => Err(failure(&metadata)),
                Ok(Some(message)) if message == "sleep" => {
                    sender.closed().await;
                    return;
                }
                Ok(Some(message)) => Ok(message),
                Ok(None) | Err(_) => return,
            };
            if sender.send(answer).await.is_err() {
                return;
            }
        }
    });
    let answers: Messages = Box::pin(ReceiverStream::new(answers));
    let mut response = Response::new(answers);
    if let Some(initial) = initial {
        response.metadata_mut().insert(INITIAL, initial);
    }
    Ok(response)
}

fn failure(metadata: &MetadataMap) -> Status {
    let mut status = Status::new(Code::Unknown, SPECIAL);
    if let Some(trailing) = metadata.get_bin(TRAILING) {
        status.metadata_mut().insert_bin(TRAILING, trailing.clone());
    }
    status
}

/// Begins a call that goes both ways, with whatever `prepare` adds to it.
async fn begin(
    chain: &mut Chain,
    prepare: impl FnOnce(&mut Request<ReceiverStream<Bytes>>),
) -> (Sender<Bytes>, Result<Response<Streaming<Bytes>>, Status>) {
    let (sender, messages) = mpsc::channel(1);
    let mut request = Request::new(ReceiverStream::new(messages));
    prepare(&mut request);
    within("the channel", chain.client.0.ready())
        .await
        .expect("a channel");
    let path = PathAndQuery::from_static("/test/Interop");
    let answer = chain.client.0.streaming(request, path, Raw);
    (sender, within("an answer", answer).await)
}

async fn send(sender: &Sender<Bytes>, content: impl Into<Bytes>) {
    let sent = within("room for a message", sender.send(content.into())).await;
    sent.expect("the call goes on");
}

async fn next(stream: &mut Streaming<Bytes>) -> Result<Option<Bytes>, Status> {
    within("a message", stream.message()).await
}

#[tokio::test]
async fn empty_stream() {
    let mut chain = Chain::start().await;
    let (sender, answer) = begin(&mut chain, |_| {}).await;
    let mut stream = answer.unwrap().into_inner();
    drop(sender);
    assert_eq!(next(&mut stream).await.unwrap(), None);
    let trailers = stream.trailers().await.unwrap();
    assert!(
        trailers.is_none_or(|trailers| trailers.get("grpc-status").is_none_or(|code| code == "0"))
    );
}

#[tokio::test]
async fn ping_pong() {
    let mut chain = Chain::start().await;
    let (sender, answer) = begin(&mut chain, |_| {}).await;
    let mut stream = answer.unwrap().into_inner();
    for size in [31_415, 9, 2_653, 58_979] {
        let content = vec![7; size];
        send(&sender, content.clone()).await;
        assert!(
            next(&mut stream).await.unwrap().unwrap() == content,
            "{size}"
        );
    }
    drop(sender);
    assert_eq!(next(&mut stream).await.unwrap(), None);
}

#[tokio::test]
async fn client_streaming() {
    let mut chain = Chain::start().await;
    let sizes = [27_182, 8, 1_828, 45_904];
    let messages = tokio_stream::iter(sizes.map(|size| Bytes::from(vec![1; size])));
    within("the channel", chain.client.0.ready()).await.unwrap();
    let path = PathAndQuery::from_static("/test/Join");
    let answer = chain
        .client
        .0
        .client_streaming(Request::new(messages), path, Raw);
    let joined = within("an answer", answer).await.unwrap().into_inner();
    assert_eq!(joined.len(), sizes.iter().sum::<usize>());
}

#[tokio::test]
async fn custom_metadata() {
    let mut chain = Chain::start().await;
    let (sender, answer) = begin(&mut chain, |request| {
        let metadata = request.metadata_mut();
        metadata.insert(
            INITIAL,
            MetadataValue::from_static("test_initial_metadata_value"),
        );
        metadata.insert_bin(TRAILING, MetadataValue::from_bytes(b"\xab\xab\xab"));
    })
    .await;
    let answer = answer.unwrap();
    assert_eq!(
        answer.metadata().get(INITIAL).unwrap(),
        "test_initial_metadata_value"
    );
    send(&sender, "fail").await;
    let status = next(&mut answer.into_inner()).await.unwrap_err();
    let trailing = status.metadata().get_bin(TRAILING).unwrap();
    assert_eq!(trailing.to_bytes().unwrap(), &b"\xab\xab\xab"[..]);
}

#[tokio::test]
async fn status_code_and_special_status_message() {
    let mut chain = Chain::start().await;
    let (sender, answer) = begin(&mut chain, |_| {}).await;
    let mut stream = answer.unwrap().into_inner();
    send(&sender, "before").await;
    assert_eq!(next(&mut stream).await.unwrap().unwrap(), "before");
    send(&sender, "fail").await;
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unknown, SPECIAL));
}

#[tokio::test]
async fn cancel_after_begin() {
    let mut chain = Chain::start().await;
    let mut client = chain.client.clone();
    let (sender, messages) = mpsc::channel::<Bytes>(1);
    let call = tokio::spawn(async move {
        client.0.ready().await.expect("a channel");
        let path = PathAndQuery::from_static("/test/Join");
        let request = Request::new(ReceiverStream::new(messages));
        client.0.client_streaming(request, path, Raw).await
    });
    let seen = chain.upstream.seen.clone();
    eventually("the server to see the call", || {
        seen.calls.load(SeqCst) == 1
    })
    .await;
    call.abort();
    // The stream of messages is let go with the call.
    within("the call to end", sender.closed()).await;
    chain
        .client
        .unary("/test/Same", message("x"))
        .await
        .unwrap();
}

#[tokio::test]
async fn cancel_after_first_response() {
    const MESSAGE: &[u8] = b"\0\0\0\0\x05first";
    let mut chain = Chain::start().await;
    // tonic's client ends such a call only together with its own messages; this one is given up in the middle of both.
    let mut client = FrameClient::connect(chain.gateway.address()).await;
    let call = literals(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "gateway.test"),
        (":path", "/test/Interop"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]);
    client
        .send(&Frame::new(kind::HEADERS, END_HEADERS, 1, call))
        .await;
    client.send(&Frame::new(kind::DATA, 0, 1, MESSAGE)).await;
    let answer = client.next_of(kind::DATA).await.unwrap();
    assert_eq!(answer.payload, MESSAGE);
    let seen = chain.upstream.seen.clone();
    assert_eq!(seen.waiting.load(SeqCst), 1);
    let cancel = code::CANCEL.to_be_bytes();
    client
        .send(&Frame::new(kind::RST_STREAM, 0, 1, cancel))
        .await;
    seen.nobody_waits().await;
    chain
        .client
        .unary("/test/Same", message("x"))
        .await
        .unwrap();
}

#[tokio::test]
async fn timeout_on_sleeping_server() {
    let mut chain = Chain::start().await;
    let timeout = |request: &mut Request<ReceiverStream<Bytes>>| {
        request.set_timeout(Duration::from_millis(150));
    };
    let (sender, answer) = begin(&mut chain, timeout).await;
    let mut stream = answer.unwrap().into_inner();
    send(&sender, "sleep").await;
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    chain.upstream.seen.nobody_waits().await;
}

#[tokio::test]
async fn server_streaming_of_large_messages() {
    let mut chain = Chain::start().await;
    let (sender, answer) = begin(&mut chain, |_| {}).await;
    let mut stream = answer.unwrap().into_inner();
    let sizes = [31_415_usize, 9, 2_653, 314_159];
    let sending = async {
        for size in sizes {
            send(&sender, vec![3; size]).await;
        }
        drop(sender);
    };
    let reading = async {
        let mut lengths = Vec::new();
        while let Some(message) = stream.next().await {
            lengths.push(message.unwrap().len());
        }
        lengths
    };
    let ((), lengths) = within("the call", async { tokio::join!(sending, reading) }).await;
    assert_eq!(lengths, sizes);
}
