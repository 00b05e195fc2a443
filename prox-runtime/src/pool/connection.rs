//! One HTTP/1.1 connection to an upstream, and a request on it.

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::{Method, Response, StatusCode};
use http_body::Body as _;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{task::coop::unconstrained, time::Instant};

use super::{
    Counted, Patience,
    gate::Gate,
    socket::{SharedTape, Socket, Tape},
};
use crate::{
    body::Body,
    error::{Error, Failure},
    framing::{self, Asked, HeadLimits, Kind},
    handler::Request,
    stream::Stream,
    sync::{lock, thread_number},
    time::{LazyTimer, polled},
    tls,
};

/// The most bytes of a response's body that are read ahead of a slow client, for each connection.
const MAX_BUFFER: usize = 128 * 1024;

/// A buffer of hyper that is larger than this is not worth keeping for an idle connection.
const LARGE_BUFFER: usize = 16 * 1024;

/// A connection that is driven by whoever holds it.
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    /// Gone once it has ended: only then does hyper give back a request that it never began to send.
    driver: Option<Driver>,
    tape: SharedTape,
    limits: HeadLimits,
    /// Whether the request under way asks for another protocol.
    asks: bool,
    /// What is left of a connection that has ended while such a request was under way.
    switched: Option<Stream>,
    /// Why a connection has ended on which such a request was under way.
    broken: Option<hyper::Error>,
    gate: Arc<Gate>,
    /// Wakes through the gate.
    waker: Waker,
    timer: LazyTimer,
    opened: Instant,
    /// The number of the thread that opened it.
    home: usize,
    idle_since: Instant,
    used: bool,
    /// Counts it among the open ones of its pool.
    pub(super) counted: Option<Counted>,
}

type Driver = http1::Connection<TokioIo<Socket>, Body>;

/// A request that got no response.
pub(crate) struct SendFailure {
    pub(crate) error: Error,
    /// The request, if it may be sent again on another connection. Either the upstream has provably not processed it: nothing of
    /// it had left, or the upstream said so. Or the connection was a kept one that turned out to be dead, nothing had come back, and
    /// the method is idempotent.
    pub(crate) again: Option<Request>,
    /// Whether it was lost with a kept connection, before anything of a response to it had come back. The upstream may have processed it.
    pub(crate) lost: bool,
}

#[cfg(feature = "http2")]
impl SendFailure {
    /// It is not sent again because of how the connection was.
    pub(super) fn last(error: Error) -> Self {
        Self {
            error,
            again: None,
            lost: false,
        }
    }
}

impl Connection {
    /// Speaks HTTP/1.1 on a stream that was just opened. The heads of its responses are within `limits`.
    ///
    /// # Errors
    ///
    /// When the stream is of no use already.
    pub(crate) async fn new(stream: Stream, limits: HeadLimits) -> Result<Box<Self>, Error> {
        let tape = Tape::of(limits.lenient);
        let socket = Socket::new(stream, Arc::clone(&tape));
        let (sender, driver) = speak(socket, limits).await?;
        let gate = Arc::new(Gate::default());
        Ok(Box::new(Self {
            waker: Waker::from(Arc::clone(&gate)),
            gate,
            sender,
            driver: Some(driver),
            tape,
            limits,
            asks: false,
            switched: None,
            broken: None,
            timer: LazyTimer::default(),
            opened: Instant::now(),
            home: thread_number(),
            idle_since: Instant::now(),
            used: false,
            counted: None,
        }))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.driver.is_some() && !self.sender.is_closed()
    }

    /// Looks whether the upstream has closed it meanwhile.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.drive_alone();
        self.is_open()
    }

    /// Whether the exchange is over, both ways, and another may begin.
    pub(crate) fn is_reusable(&mut self) -> bool {
        if !self.sender.is_ready() {
            self.drive_alone();
        }
        self.is_open() && self.sender.is_ready() && lock(&self.tape).is_reusable()
    }

    /// Whether it has carried a request before.
    pub(crate) fn is_used(&self) -> bool {
        self.used
    }

    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// The shard of the pool that it is kept in.
    pub(super) fn home(&self) -> usize {
        self.home
    }

    /// Marks the begin of a pause between requests.
    pub(super) fn rest(&mut self) {
        self.used = true;
        self.idle_since = polled::now();
    }

    /// Gives back the memory that a large response or request took, if the exchange is over.
    ///
    /// hyper reads into larger buffers while they are filled, and reserves one for the next response, which an idle connection would
    /// keep; what it writes from keeps its size as well. It forgets both when it begins anew on the same socket.
    pub(super) fn slim(&mut self) {
        if lock(&self.tape).largest_buffer() <= LARGE_BUFFER || !self.is_reusable() {
            return;
        }
        let Some(parts) = self.driver.take().map(Driver::into_parts) else {
            return;
        };
        let begun = pin!(speak(parts.io.into_inner(), self.limits));
        // Otherwise the connection has no driver any more, and is closed.
        if parts.read_buf.is_empty()
            && let Poll::Ready(Ok((sender, driver))) =
                begun.poll(&mut Context::from_waker(Waker::noop()))
        {
            lock(&self.tape).forget_buffers();
            (self.sender, self.driver) = (sender, Some(driver));
            self.drive_alone();
        }
    }

    /// Moves bytes both ways, as far as the sockets allow.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        self.gate.lead_to(Some(cx.waker()));
        self.drive_through_gate();
    }

    /// Moves bytes both ways, and has nobody woken when more can be moved.
    pub(crate) fn drive_alone(&mut self) {
        self.gate.lead_to(None);
        self.drive_through_gate();
    }

    fn drive_through_gate(&mut self) {
        let Some(driver) = &mut self.driver else {
            return;
        };
        // How it ended is told to the request that was under way, or does not matter.
        let Poll::Ready(result) = Pin::new(driver).poll(&mut Context::from_waker(&self.waker))
        else {
            return;
        };
        let driver = self.driver.take();
        if !self.asks {
            return;
        }
        match result {
            Ok(()) => {
                self.switched = driver.map(|driver| {
                    let parts = driver.into_parts();
                    let mut stream = parts.io.into_inner().into_stream();
                    stream.unread(parts.read_buf);
                    stream
                });
            }
            Err(error) => self.broken = Some(error),
        }
    }

    /// Runs `f`, which tells the driver something that nobody has to be woken for; it has to be driven afterwards.
    pub(crate) fn tell<R>(&self, f: impl FnOnce() -> R) -> R {
        self.gate.shut(f)
    }

    /// Says whether the next request asks for another protocol: then the stream is kept when HTTP ends on it.
    pub(crate) fn asks_to_switch(&mut self, asks: bool) {
        self.asks = asks;
    }

    /// The stream behind a `101`, from its first byte on, if that was asked for.
    pub(crate) fn into_stream(mut self: Box<Self>) -> Option<Stream> {
        self.drive_alone();
        self.switched.take()
    }

    /// Whether `deadline` has passed; else the task is woken when it does.
    pub(crate) fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        self.timer.poll(cx, deadline)
    }

    /// Sends a request, and waits for the head of its response while `patience` allows. A `101` that came before the whole request
    /// was sent is held back until it is: then the other protocol begins.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the connection must be dropped too: the exchange is half done.
    pub(crate) async fn send(
        &mut self,
        request: Request,
        patience: &mut impl Patience,
    ) -> Result<Response<Incoming>, SendFailure> {
        // A connection that was opened for this request fails for a reason that a second one would meet as well.
        let kept = self.used;
        let asked = asked(request.method(), self.asks);
        lock(&self.tape).rewind(kept && is_repeatable(&request), asked);
        let response = self.gate.shut(|| self.sender.try_send_request(request));
        let mut response = pin!(unconstrained(response));
        let mut switch = None;
        let result = poll_fn(|cx| {
            self.drive(cx);
            // Only the driver, polled just before, makes the response ready: nobody else needs to be woken for it, and
            // the cooperative budget must not hide it.
            let mut quiet = Context::from_waker(Waker::noop());
            if switch.is_none() {
                match response.as_mut().poll(&mut quiet) {
                    Poll::Ready(Ok(response)) if self.asks && is_switch(&response) => {
                        switch = Some(response);
                    }
                    Poll::Ready(Ok(response)) => return Poll::Ready(Ok(response)),
                    Poll::Ready(Err(mut error)) => {
                        let unsent = error.take_message();
                        if error.error().is_parse_too_large() {
                            let fields = lock(&self.tape).most_fields();
                            let over = self.limits.exceeded(fields);
                            let error = Error::caused(Failure::MalformedResponse, over);
                            return Poll::Ready(Err((error, None)));
                        }
                        return Poll::Ready(Err((classify(error.into_error()), unsent)));
                    }
                    Poll::Pending => {}
                }
            }
            if self.driver.is_none() {
                return Poll::Ready(match switch.take() {
                    Some(response) if self.switched.is_some() => Ok(response),
                    _ => {
                        let broken = self.broken.take().map(classify);
                        let error = broken.unwrap_or_else(|| Error::failure(Failure::Reset));
                        Err((error, None))
                    }
                });
            }
            while let Some(at) = patience.deadline() {
                if self.timer.poll(cx, at).is_pending() {
                    break;
                }
                let heard = lock(&self.tape).has_heard();
                if let Some(failure) = patience.passed(heard) {
                    return Poll::Ready(Err((Error::failure(failure), None)));
                }
            }
            Poll::Pending
        })
        .await;
        result.map_err(|(error, unsent)| {
            let tape = lock(&self.tape);
            let is_reset = error.as_failure() == Some(Failure::Reset);
            let again = is_reset.then(|| unsent.or_else(|| tape.replay())).flatten();
            let lost = is_reset && kept && !tape.has_heard();
            let error = if tape.is_unsent() {
                error
            } else {
                error.after_send()
            };
            SendFailure { error, again, lost }
        })
    }
}

/// Begins to speak HTTP/1.1; that waits for nothing.
async fn speak(socket: Socket, limits: HeadLimits) -> Result<(SendRequest<Body>, Driver), Error> {
    http1::Builder::new()
        // Most requests are one small part, which a vectored write makes more expensive. What an upload takes for its copies, a
        // connection that rests gives back.
        .writev(false)
        .max_headers(limits.fields)
        .max_header_size(limits.bytes)
        .allow_obsolete_multiline_headers_in_responses(limits.lenient.folded_fields)
        // A head must fit in as well.
        .max_buf_size(limits.bytes.max(MAX_BUFFER))
        .handshake(TokioIo::new(socket))
        .await
        .map_err(|error| Error::caused(Failure::Connect, error))
}

fn is_switch(response: &Response<Incoming>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}

/// What the end of the response depends on.
fn asked(method: &Method, to_switch: bool) -> Asked {
    match *method {
        Method::HEAD if to_switch => Asked::HeadUpgrade,
        Method::HEAD => Asked::Head,
        Method::CONNECT => Asked::Connect,
        _ if to_switch => Asked::Upgrade,
        _ => Asked::Other,
    }
}

/// Whether a request may be sent twice: its method is idempotent (RFC 9110, 9.2.2), and it has no body.
pub(super) fn is_repeatable(request: &Request) -> bool {
    let idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    );
    idempotent && request.body().is_end_stream()
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("open", &self.is_open())
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// The row of the failure table for what hyper says of an exchange.
pub(crate) fn classify(error: hyper::Error) -> Error {
    // A body of ours that failed has said itself what happened.
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(failure) = cause.downcast_ref::<Error>().and_then(Error::as_failure) {
            return Error::caused(failure, error);
        }
        // In TLS 1.3 an upstream refuses a client's certificate when the handshake is over for the client.
        if cause.downcast_ref().is_some_and(tls::is_failure) {
            return Error::caused(Failure::Tls, error);
        }
        source = cause.source();
    }
    let failure = match framing::violation(&error) {
        // An upstream that says something between requests is about to close: no response has come.
        Some(Kind::Unsolicited) => Failure::Reset,
        None if !error.is_parse() => Failure::Reset,
        _ => Failure::MalformedResponse,
    };
    Error::caused(failure, error)
}

#[cfg(test)]
mod tests {
    use std::task::ready;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixStream,
    };

    use super::*;
    use crate::pool::patience::Endless;

    #[tokio::test]
    async fn a_request_of_which_nothing_has_left_is_given_back_whatever_it_is() {
        // The end of the connection is seen before the request is written, or by the write that fails.
        for is_seen in [false, true] {
            let (near, far) = UnixStream::pair().unwrap();
            let mut connection = Connection::new(near.into(), crate::pool::HEADS)
                .await
                .unwrap();
            drop(far);
            if is_seen {
                while connection.is_alive() {
                    tokio::task::yield_now().await;
                }
            }
            let mut request = Request::new(Body::from("hello"));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = "/a".parse().unwrap();
            let failed = connection.send(request, &mut Endless).await.unwrap_err();
            assert!(failed.error.is_retryable());
            let again = failed.again.expect("nothing of it has left");
            assert_eq!((again.method(), again.uri().path()), (&Method::POST, "/a"));
            assert_eq!(again.into_body().bytes(9).await.unwrap(), "hello");
        }
    }

    #[tokio::test]
    async fn a_connection_gives_the_buffers_of_large_responses_back_and_goes_on() {
        const LENGTH: usize = 1_000_000;
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut connection = Connection::new(near.into(), crate::pool::HEADS)
            .await
            .unwrap();
        tokio::spawn(async move {
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
            let response = [response.into_bytes(), vec![b'x'; LENGTH]].concat();
            let mut head = Vec::new();
            while far.read_buf(&mut head).await.unwrap() > 0 {
                if head.ends_with(b"\r\n\r\n") {
                    head.clear();
                    far.write_all(&response).await.unwrap();
                }
            }
        });
        for _ in 0..3 {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = "/".parse().unwrap();
            let Ok(response) = connection.send(request, &mut Endless).await else {
                panic!("there is no response");
            };
            let (mut body, mut length) = (response.into_body(), 0);
            poll_fn(|cx| {
                loop {
                    connection.drive(cx);
                    match ready!(Pin::new(&mut body).poll_frame(cx)) {
                        Some(frame) => length += frame.unwrap().into_data().unwrap().len(),
                        None => return Poll::Ready(()),
                    }
                }
            })
            .await;
            assert_eq!(length, LENGTH);
            assert!(lock(&connection.tape).largest_buffer() > LARGE_BUFFER);
            connection.slim();
            assert_eq!(lock(&connection.tape).largest_buffer(), 0);
            assert!(connection.is_alive());
        }
    }
}
