//! The server that a fake is: it speaks HTTP for real, on a pipe.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, Weak},
    task::Poll,
};

use bytes::Bytes;
use http::{StatusCode, header};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWriteExt, sync::Notify};

use super::{
    body::{PacedBody, Then},
    fake::Inner,
    fault::{Fault, GO_AWAY},
    reply::Reply,
    seen::Seen,
    switch::Switch,
    wire::{SharedEnd, pipe},
};
use crate::{cluster::Endpoint, connect::Protocol, stream::Stream, sync::lock};

/// A connection to a fake.
#[derive(Debug)]
pub(super) struct Connection {
    end: SharedEnd,
    how: Mutex<Option<Bytes>>,
    ends: Notify,
}

impl Connection {
    /// Ends it in good order.
    pub(super) fn close(&self) {
        self.say(Bytes::new());
    }

    /// Resets it, behind all that was written.
    fn reset(&self) {
        self.end.reset();
        self.close();
    }

    /// Ends it behind these bytes.
    fn say(&self, last: Bytes) {
        *lock(&self.how) = Some(last);
        self.ends.notify_one();
    }
}

/// A connection to an endpoint of a fake, which is served in a task of its own.
pub(super) fn begin(
    fake: &Arc<Inner>,
    endpoint: &Endpoint,
    protocol: Protocol,
) -> (Stream, Weak<Connection>) {
    let (stream, end) = pipe();
    let connection = Arc::new(Connection {
        end,
        how: Mutex::default(),
        ends: Notify::new(),
    });
    let known = Arc::downgrade(&connection);
    tokio::spawn(run(
        Arc::clone(fake),
        endpoint.clone(),
        connection,
        protocol,
    ));
    (Stream::boxed(stream), known)
}

async fn run(
    fake: Arc<Inner>,
    endpoint: Endpoint,
    connection: Arc<Connection>,
    protocol: Protocol,
) {
    let io = TokioIo::new(connection.end.clone());
    // What a task of a stream holds must not keep the pipe open.
    let known = Arc::downgrade(&connection);
    let service = service_fn(move |req| {
        let (fake, endpoint, known) = (Arc::clone(&fake), endpoint.clone(), known.clone());
        async move { Ok::<_, Infallible>(answer(&fake, endpoint, known, req).await) }
    });
    if protocol == Protocol::Http2 {
        #[cfg(feature = "http2")]
        {
            let http =
                hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
                    .enable_connect_protocol()
                    .serve_connection(io, service);
            until(http, &connection.ends).await;
        }
    } else {
        let http = hyper::server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .with_upgrades();
        until(http, &connection.ends).await;
    }
    let last = lock(&connection.how).take();
    if let Some(last) = last {
        let mut end = connection.end.clone();
        // The gateway may have gone.
        let _ = end.write_all(&last).await;
        let _ = end.shutdown().await;
    }
}

/// Drives a connection until it has ended, or is to end.
async fn until<F: Future>(http: F, ends: &Notify) {
    let (mut http, mut ends) = (pin!(http), pin!(ends.notified()));
    poll_fn(|cx| {
        if ends.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        http.as_mut().poll(cx).map(|_| ())
    })
    .await;
}

/// The body of a reply, which may end its connection.
type Sent = PacedBody<Box<dyn FnMut() + Send>>;

async fn answer(
    fake: &Arc<Inner>,
    endpoint: Endpoint,
    connection: Weak<Connection>,
    mut req: http::Request<Incoming>,
) -> http::Response<Sent> {
    let upgrade = hyper::upgrade::on(&mut req);
    let (parts, body) = req.into_parts();
    let agent = parts.headers.get(header::USER_AGENT);
    let is_check = agent.is_some_and(|agent| agent == "prox-health-check");
    let mut seen = Seen {
        method: parts.method,
        uri: parts.uri,
        version: parts.version,
        headers: parts.headers,
        body: Bytes::new(),
        endpoint: match endpoint.socket() {
            Some(path) => path.display().to_string(),
            None => host_and_port(&endpoint),
        },
        place: endpoint.clone(),
        params: Vec::new(),
    };
    let number = (!is_check).then(|| fake.sees(seen.clone()));
    let fault = fake.fault(&endpoint, false);
    let connection = || connection.upgrade();
    match &fault {
        Some(Fault::Reset) => {
            if let Some(connection) = connection() {
                connection.reset();
            }
            return std::future::pending().await;
        }
        Some(Fault::Stall) => return std::future::pending().await,
        Some(Fault::Raw(bytes)) => {
            if let Some(connection) = connection() {
                connection.say(bytes.clone().into());
            }
            return std::future::pending().await;
        }
        Some(Fault::GoAway) => {
            if let Some(connection) = connection() {
                connection.say(Bytes::from_static(GO_AWAY));
            }
            return std::future::pending().await;
        }
        Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
        _ => {}
    }
    let is_upgrade = Switch::is_asked(&seen);
    if !is_upgrade {
        // What the gateway has broken off is answered by nobody.
        let Ok(body) = body.collect().await else {
            return std::future::pending().await;
        };
        seen.body = body.to_bytes();
    }
    let rules = fake.rules();
    let taken = rules.iter().find_map(|rule| rule.take(&mut seen));
    if let Some(number) = number {
        fake.knows(number, &seen);
    }
    let reply = match taken {
        Some((answers, gate)) => {
            if let Some(gate) = gate {
                gate.pass().await;
            }
            answers(seen.clone()).await
        }
        None if is_check => {
            fake.checks
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            passed(&seen)
        }
        None => Reply::text(fake.expected_not(&seen)).with_status(501),
    };
    if let Some(switch) = reply.switch.clone() {
        return switched(&seen, &reply, switch, upgrade);
    }
    let known = connection().as_ref().map(Arc::downgrade);
    let cut = move || {
        if let Some(connection) = known.as_ref().and_then(Weak::upgrade) {
            connection.reset();
        }
    };
    response(reply, fault.as_ref(), Box::new(cut))
}

/// `10.0.0.2:8080`, or `[::1]:8080`.
fn host_and_port(endpoint: &Endpoint) -> String {
    let (host, port) = (endpoint.host(), endpoint.port());
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The answer to a check: the endpoint is well.
fn passed(seen: &Seen) -> Reply {
    if seen.path() != "/grpc.health.v1.Health/Check" {
        return Reply::status(200);
    }
    // A message of two bytes: the field `status` is `SERVING`.
    Reply::status(200)
        .header("content-type", "application/grpc")
        .body(&[0, 0, 0, 0, 2, 8, 1][..])
        .trailer("grpc-status", "0")
}

fn response(
    reply: Reply,
    fault: Option<&Fault>,
    cut: Box<dyn FnMut() + Send>,
) -> http::Response<Sent> {
    let mut body = PacedBody::new(reply.parts, reply.trailers, cut);
    match fault {
        Some(&Fault::Cut(bytes)) => body = body.after(bytes, Then::Cut),
        Some(&Fault::Pause(bytes, time)) => body = body.after(bytes, Then::Pause(time)),
        Some(&Fault::Slow(bytes, time)) => body = body.slow(bytes, time),
        _ => {}
    }
    let mut response = http::Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

/// The answer that switches protocols; what comes then is run beside it.
fn switched(
    seen: &Seen,
    reply: &Reply,
    switch: Switch,
    upgrade: hyper::upgrade::OnUpgrade,
) -> http::Response<Sent> {
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            switch.run(TokioIo::new(upgraded)).await;
        }
    });
    let mut response = response(Reply::default(), None, Box::new(|| {}));
    response.headers_mut().extend(reply.headers.clone());
    if seen.is_http2() {
        return response;
    }
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    Switch::agree(seen, response.headers_mut());
    response
}
