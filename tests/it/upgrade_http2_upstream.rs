//! WebSockets to upstreams that speak HTTP/2 (RFC 8441).

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, ext::Protocol, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prox_tests::{
    client::head,
    filler::{Digest, Filler},
    gateway::Served,
    wait::within,
    wire::{Framing, Reader},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    upgrade_http2::{client, extended, send},
    upgrades::{WEBSOCKET, expect, expect_end, write},
};

/// An upstream of HTTP/2 that echoes what comes on a WebSocket, and then says `over`.
pub(crate) async fn upstream(with_connect: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut http = http2::Builder::new(TokioExecutor::new());
            if with_connect {
                http.enable_connect_protocol();
            }
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    address
}

async fn answer(mut req: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let Some(protocol) = req.extensions_mut().remove::<Protocol>() else {
        return Ok(Response::new(Full::from("a page")));
    };
    let mut response = Response::new(Full::default());
    if req.uri().path() == "/forbidden" {
        *response.status_mut() = StatusCode::FORBIDDEN;
        *response.body_mut() = Full::from("no");
        return Ok(response);
    }
    assert_eq!(protocol.as_str(), "websocket");
    assert_eq!(req.method(), "CONNECT");
    assert_eq!(req.uri().path_and_query().unwrap(), "/chat?room=1");
    assert_eq!(req.headers()["sec-websocket-version"], "13");
    for name in ["sec-websocket-key", "connection", "upgrade"] {
        assert!(!req.headers().contains_key(name), "{name}");
    }
    response
        .headers_mut()
        .insert("sec-websocket-protocol", "chat".parse().unwrap());
    tokio::spawn(async move {
        let mut stream = TokioIo::new(hyper::upgrade::on(req).await.unwrap());
        let mut part = vec![0; 8192];
        loop {
            match stream.read(&mut part).await {
                Ok(0) | Err(_) => break,
                Ok(count) => stream.write_all(&part[..count]).await.unwrap(),
            }
        }
        let _ = stream.write_all(b"over").await;
        let _ = stream.shutdown().await;
    });
    Ok(response)
}

async fn serve(address: SocketAddr) -> Served {
    let url: prox::Endpoint = format!("http://{address}").parse().unwrap();
    Served::start(prox::gateway! { "/" => cluster(rr, [url]).http2() }).await
}

#[tokio::test]
async fn a_websocket_of_http_1_becomes_a_stream_of_the_upstream() {
    let gateway = serve(upstream(true).await).await;
    for lines in [
        WEBSOCKET.to_owned(),
        WEBSOCKET.replace("websocket", "other/1, websocket"),
    ] {
        let mut client = gateway.client().await;
        client.send(head("GET", "/chat?room=1", &lines)).await;
        let answer = client.response_head().await;
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(answer.head.fields.all("upgrade"), ["websocket"]);
        assert_eq!(answer.head.fields.all("connection"), ["upgrade"]);
        assert_eq!(answer.field("sec-websocket-protocol"), Some("chat"));
        let accept = answer.field("sec-websocket-accept");
        assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        let (mut reader, mut writer) = client.into_halves();
        for word in ["one", "two", "three"] {
            write(&mut writer, word).await;
            expect(&mut reader, word).await;
        }
        writer.shutdown().await.unwrap();
        expect(&mut reader, "over").await;
        expect_end(&mut reader).await;
    }
}

#[tokio::test]
async fn a_websocket_passes_from_stream_to_stream_and_nothing_of_it_is_lost() {
    const LENGTH: u64 = 20_000_000;
    let gateway = serve(upstream(true).await).await;
    let mut sender = client(&gateway).await;
    let answer = send(&mut sender, extended("websocket")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.headers().contains_key("sec-websocket-accept"));
    let stream = within("the stream", hyper::upgrade::on(answer))
        .await
        .unwrap();
    let (reader, mut writer) = tokio::io::split(TokioIo::new(stream));
    let mut reader = Reader::new(reader);
    let upload = async {
        for block in Filler::new(LENGTH) {
            writer.write_all(&block).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    };
    let download = reader.body(Framing::Length(LENGTH), |_| {});
    let ((), echoed) = within("20 MB there and back", async {
        tokio::join!(upload, download)
    })
    .await;
    assert_eq!(echoed.digest, Digest::of_filler(LENGTH));
    expect(&mut reader, "over").await;
    expect_end(&mut reader).await;
}

#[tokio::test]
async fn another_answer_of_the_upstream_is_an_ordinary_response() {
    let gateway = serve(upstream(true).await).await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/forbidden", WEBSOCKET)).await;
    let answer = client.response("GET").await.expect(403);
    assert_eq!(answer.text(), "no");
    client.get("/").await.expect(200);
}
