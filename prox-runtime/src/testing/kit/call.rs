//! Clients of a gateway under test.

use std::{
    fmt,
    future::{Future, IntoFuture, poll_fn},
    net::{IpAddr, Ipv4Addr},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Uri, header, uri::PathAndQuery};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::{task::JoinHandle, time::Instant};

use super::{
    answer::{Answer, Fate},
    body::PacedBody,
    harness::{Core, Recorded, arrival},
    reply::field,
    switch::Bytestream,
    wire::{SharedEnd, pipe},
};
use crate::server::pretend::Arrival;

/// Where clients are that do not say it: an address for documentation (RFC 5737).
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A request of a client; made by [`Harness::request`](super::Harness::request). It is sent when it is awaited, on a connection of its
/// own.
#[must_use = "a request is sent when it is awaited"]
pub struct Call {
    core: Arc<Core>,
    method: Method,
    url: Uri,
    headers: HeaderMap,
    body: Bytes,
    pace: Option<(usize, Duration)>,
    http2: bool,
    arrival: Arrival,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

/// A request that is under way; made by [`Call::start`].
#[must_use = "the answer comes when it is awaited"]
#[derive(Debug)]
pub struct Calling(JoinHandle<Answer>);

impl Calling {
    /// Has the client leave: its connection is closed.
    pub fn abort(self) {
        self.0.abort();
    }

    /// Whether the answer is there.
    pub fn is_done(&self) -> bool {
        self.0.is_finished()
    }
}

impl Future for Calling {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let joined = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(joined.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("the client of this answer has left: {error}"),
        }))
    }
}

impl Call {
    #[track_caller]
    pub(super) fn new(core: Arc<Core>, method: Method, url: &str) -> Self {
        let whole = if url.starts_with('/') {
            format!("http://localhost{url}")
        } else {
            url.to_owned()
        };
        let parsed = whole.parse::<Uri>().ok();
        let parsed = parsed.filter(|url| {
            let scheme = url.scheme_str();
            matches!(scheme, Some("http" | "https")) && url.authority().is_some()
        });
        let Some(url) = parsed else {
            panic!("{url:?} is not a URL: expected `https://host/path`, or `/path`");
        };
        let mut arrival = arrival(&core, CLIENT);
        arrival.secure = url.scheme_str() == Some("https");
        Self {
            core,
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            pace: None,
            http2: false,
            arrival,
        }
    }

    /// Adds a field.
    ///
    /// # Panics
    ///
    /// When this is not a field of HTTP.
    #[track_caller]
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let (name, value) = field(name, value.as_ref());
        self.headers.append(name, value);
        self
    }

    /// Sends this body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends so many bytes of the body at a time, with a pause between them.
    pub fn slowly(mut self, bytes: usize, pause: Duration) -> Self {
        self.pace = Some((bytes, pause));
        self
    }

    /// Comes from this address; `192.0.2.1` by default.
    ///
    /// # Panics
    ///
    /// When this is not an address.
    #[track_caller]
    pub fn from(mut self, ip: impl AsRef<str>) -> Self {
        let ip = ip.as_ref();
        let Ok(address) = ip.parse::<IpAddr>() else {
            panic!("{ip:?} is not an address: expected one such as `192.0.2.1`");
        };
        self.arrival.peer.set_ip(address);
        self
    }

    /// Comes to the listener of this name: it reaches the routes of `on "internal" { .. }`.
    pub fn on(mut self, listener: &str) -> Self {
        self.arrival.listener = Some(listener.into());
        self
    }

    /// Speaks HTTP/2.
    #[cfg(feature = "http2")]
    pub fn h2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Sends it now, in a task of its own.
    pub fn start(self) -> Calling {
        Calling(tokio::spawn(self.ask()))
    }

    /// Sends it, and has its connection switched to the protocol that it asks for in `Upgrade`.
    ///
    /// # Panics
    ///
    /// When the answer is not `101`.
    pub async fn switch(mut self, protocol: &str) -> Bytestream {
        let said = [("connection", "upgrade"), ("upgrade", protocol)];
        for (name, value) in said {
            let (name, value) = field(name, value);
            self.headers.insert(name, value);
        }
        let asked = format!("{self:?}");
        let (_, end) = self.open();
        let request = self.request();
        let (mut sender, connection) =
            match hyper::client::conn::http1::handshake(TokioIo::new(end)).await {
                Ok(opened) => opened,
                Err(error) => panic!("{asked}: {error}"),
            };
        tokio::spawn(connection.with_upgrades());
        let mut response = match sender.send_request(request).await {
            Ok(response) => response,
            Err(error) => panic!("{asked}: expected status 101, found no answer: {error}"),
        };
        let status = response.status().as_u16();
        assert!(
            status == 101,
            "{asked}: expected status 101, found {status}"
        );
        match hyper::upgrade::on(&mut response).await {
            Ok(upgraded) => Bytestream::new(TokioIo::new(upgraded)),
            Err(error) => panic!("{asked}: {error}"),
        }
    }

    /// A connection to the gateway.
    fn open(&self) -> (Recorded, SharedEnd) {
        let (gateway, end) = pipe();
        let recorded = Recorded::new(&self.core.gateway);
        self.core
            .front
            .serve(recorded.clone(), gateway, &self.arrival);
        (recorded, end)
    }

    fn request(&self) -> http::Request<PacedBody<fn()>> {
        let mut body = PacedBody::new(vec![self.body.clone()], None, (|| ()) as fn());
        if let Some((bytes, pause)) = self.pace {
            body = body.slow(bytes, pause);
        }
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method.clone();
        request.headers_mut().clone_from(&self.headers);
        if self.http2 {
            *request.version_mut() = http::Version::HTTP_2;
            *request.uri_mut() = self.url.clone();
            return request;
        }
        let path = self.url.path_and_query().cloned();
        *request.uri_mut() = path.unwrap_or(PathAndQuery::from_static("/")).into();
        if let Some(authority) = self.url.authority()
            && let Ok(host) = authority.as_str().try_into()
        {
            request.headers_mut().entry(header::HOST).or_insert(host);
        }
        request
    }

    async fn ask(self) -> Answer {
        let asked = format!("{self:?}");
        let (recorded, end) = self.open();
        let began = Instant::now();
        let request = self.request();
        let got = if self.http2 {
            over_http2(end, request).await
        } else {
            over_http1(end, request).await
        };
        let time = began.elapsed();
        // What the server knows of the end of a request, it knows once its task has run.
        tokio::task::yield_now().await;
        let fate = recorded.first().map(|tally| Fate {
            route: tally.taken_by().and_then(|route| {
                let routes = self.core.gateway.routes();
                routes.get(route).copied()
            }),
            backend: tally.backend(),
            endpoint: tally.endpoint(),
            tries: tally.tries(),
            failure: tally.failure(),
        });
        Answer {
            asked,
            head: got.head,
            body: got.body.freeze(),
            trailers: got.trailers,
            broken: got.broken,
            time,
            fate: fate.unwrap_or_default(),
        }
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.ask())
    }
}

/// A connection on which nothing is spoken yet.
pub(super) fn connect(core: &Arc<Core>) -> Bytestream {
    let (gateway, end) = pipe();
    let arrival = arrival(core, CLIENT);
    core.front
        .serve(Recorded::new(&core.gateway), gateway, &arrival);
    Bytestream::new(end)
}

/// What came of an answer.
#[derive(Default)]
struct Got {
    head: Option<(http::StatusCode, HeaderMap)>,
    body: BytesMut,
    trailers: Option<HeaderMap>,
    broken: Option<String>,
}

type Sending = PacedBody<fn()>;

async fn over_http1(end: SharedEnd, request: http::Request<Sending>) -> Got {
    match hyper::client::conn::http1::handshake(TokioIo::new(end)).await {
        Ok((mut sender, connection)) => {
            beside(connection, async {
                let response = sender.send_request(request).await;
                read(response).await
            })
            .await
        }
        Err(error) => Got::broken(&error),
    }
}

#[cfg(feature = "http2")]
async fn over_http2(end: SharedEnd, request: http::Request<Sending>) -> Got {
    let executor = hyper_util::rt::TokioExecutor::new();
    match hyper::client::conn::http2::handshake(executor, TokioIo::new(end)).await {
        Ok((mut sender, connection)) => {
            beside(connection, async {
                let response = sender.send_request(request).await;
                read(response).await
            })
            .await
        }
        Err(error) => Got::broken(&error),
    }
}

/// Nobody asks for it without the feature.
#[cfg(not(feature = "http2"))]
async fn over_http2(end: SharedEnd, request: http::Request<Sending>) -> Got {
    over_http1(end, request).await
}

impl Got {
    fn broken(error: &hyper::Error) -> Self {
        Self {
            broken: Some(error.to_string()),
            ..Self::default()
        }
    }
}

async fn read(response: Result<http::Response<Incoming>, hyper::Error>) -> Got {
    let (parts, mut body) = match response {
        Ok(response) => response.into_parts(),
        Err(error) => return Got::broken(&error),
    };
    let mut got = Got {
        head: Some((parts.status, parts.headers)),
        ..Got::default()
    };
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => got.body.extend_from_slice(&data),
            Ok(Err(frame)) => got.trailers = frame.into_trailers().ok(),
            Err(error) => got.broken = Some(error.to_string()),
        }
    }
    got
}

/// Drives a connection while an exchange on it is under way; when the connection ends, the exchange finds out by itself.
async fn beside<T>(connection: impl Future, exchange: impl Future<Output = T>) -> T {
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut ended = false;
    poll_fn(|cx| {
        ended = ended || connection.as_mut().poll(cx).is_ready();
        exchange.as_mut().poll(cx)
    })
    .await
}
