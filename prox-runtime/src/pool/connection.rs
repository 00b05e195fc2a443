//! One HTTP/1.1 connection to an upstream, and a request on it.

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::{Method, Response};
use http_body::Body as _;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{task::coop::unconstrained, time::Instant};

use super::socket::{SharedTape, Socket};
use crate::{
    body::Body,
    error::{Error, Failure},
    handler::Request,
    stream::Stream,
    sync::lock,
    time::LazyTimer,
};

/// The most bytes of a response that are held for one connection.
const MAX_BUFFER: usize = 128 * 1024;

/// A connection that is driven by whoever holds it.
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    /// Gone once it has ended: only then does hyper give back a request that it never began to send.
    driver: Option<Driver>,
    tape: SharedTape,
    timer: LazyTimer,
    idle_since: Instant,
    used: bool,
}

type Driver = http1::Connection<TokioIo<Socket>, Body>;

/// A request that got no response.
pub(crate) struct SendFailure {
    pub(crate) error: Error,
    /// The request, if it may be sent once more: the connection was a kept one that turned out dead, and either nothing of
    /// the request had left, or all of it may be repeated and nothing had come back.
    pub(crate) again: Option<Request>,
}

impl Connection {
    /// Speaks HTTP/1.1 on a stream that was just opened.
    ///
    /// # Errors
    ///
    /// When the stream is of no use already.
    pub(crate) async fn new(stream: Stream) -> Result<Box<Self>, Error> {
        let tape = SharedTape::default();
        let socket = Socket::new(stream, Arc::clone(&tape));
        let (sender, driver) = http1::Builder::new()
            // One copy of a small message is cheaper than a vectored write of its parts.
            .writev(false)
            // What is read ahead of a slow client, for each connection; a head of a response must fit in as well.
            .max_buf_size(MAX_BUFFER)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(|error| Error::caused(Failure::Connect, error))?;
        Ok(Box::new(Self {
            sender,
            driver: Some(driver),
            tape,
            timer: LazyTimer::default(),
            idle_since: Instant::now(),
            used: false,
        }))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.driver.is_some() && !self.sender.is_closed()
    }

    /// Looks whether the upstream has closed it meanwhile.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.is_open()
    }

    /// Whether the exchange is over, both ways, and another may begin.
    pub(crate) fn is_reusable(&mut self) -> bool {
        if !self.sender.is_ready() {
            self.drive(&mut Context::from_waker(Waker::noop()));
        }
        self.is_open() && self.sender.is_ready()
    }

    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// Marks the begin of a pause between requests.
    pub(super) fn rest(&mut self) {
        self.used = true;
        self.idle_since = Instant::now();
    }

    /// Moves bytes both ways, as far as the sockets allow.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, cx);
    }

    /// Whether `deadline` has passed; else the task is woken when it does.
    pub(crate) fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        self.timer.poll(cx, deadline)
    }

    /// Sends a request, and waits for the head of its response while `deadline` allows.
    ///
    /// `deadline` is asked whenever the wait goes on, since an upload that makes progress moves it.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the connection must be dropped too: the exchange is half done.
    pub(crate) async fn send(
        &mut self,
        request: Request,
        mut deadline: impl FnMut() -> Option<(Instant, Failure)>,
    ) -> Result<Response<Incoming>, SendFailure> {
        // A connection that was opened for this request fails for a reason that a second one would meet as well.
        let kept = self.used;
        lock(&self.tape).rewind(kept && is_repeatable(&request));
        let mut response = pin!(unconstrained(self.sender.try_send_request(request)));
        let (driver, timer) = (&mut self.driver, &mut self.timer);
        let result = poll_fn(|cx| {
            drive(driver, cx);
            // Only the driver, polled just before, makes the response ready: nobody else needs to be woken for it, and
            // the cooperative budget must not hide it.
            let mut quiet = Context::from_waker(Waker::noop());
            match response.as_mut().poll(&mut quiet) {
                Poll::Ready(Ok(response)) => return Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut error)) => {
                    let unsent = error.take_message();
                    return Poll::Ready(Err((classify(error.into_error()), unsent)));
                }
                Poll::Pending => {}
            }
            if driver.is_none() {
                return Poll::Ready(Err((Error::failure(Failure::Reset), None)));
            }
            match deadline() {
                Some((at, failure)) if timer.poll(cx, at).is_ready() => {
                    Poll::Ready(Err((Error::failure(failure), None)))
                }
                _ => Poll::Pending,
            }
        })
        .await;
        result.map_err(|(error, unsent)| {
            let tape = lock(&self.tape);
            let dead = kept && error.as_failure() == Some(Failure::Reset);
            let again = match unsent {
                Some(unsent) if dead => Some(unsent),
                None if dead => tape.replay(),
                _ => None,
            };
            let error = if tape.is_unsent() {
                error
            } else {
                error.after_send()
            };
            SendFailure { error, again }
        })
    }
}

fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    // How it ended is told to the request that was under way, or does not matter.
    if driver
        .as_mut()
        .is_some_and(|driver| Pin::new(driver).poll(cx).is_ready())
    {
        *driver = None;
    }
}

/// Whether a request may be sent twice: its method is idempotent (RFC 9110, 9.2.2), and it has no body.
fn is_repeatable(request: &Request) -> bool {
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
fn classify(error: hyper::Error) -> Error {
    // A body of ours that failed has said itself what happened.
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(failure) = cause.downcast_ref::<Error>().and_then(Error::as_failure) {
            return Error::caused(failure, error);
        }
        source = cause.source();
    }
    let failure = if error.is_parse() {
        Failure::MalformedResponse
    } else {
        Failure::Reset
    };
    Error::caused(failure, error)
}
