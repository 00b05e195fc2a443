//! One HTTP/1.1 connection to an upstream, and a request on it.

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use http::Response;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::coop::unconstrained, time::Instant};

use crate::{
    body::Body,
    error::{Error, Failure},
    handler::Request,
    time::LazyTimer,
};

/// A connection that is driven by whoever holds it.
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    driver: http1::Connection<TokioIo<TcpStream>, Body>,
    /// The driver has ended, and must not be polled again.
    ended: bool,
    timer: LazyTimer,
    idle_since: Instant,
    used: bool,
}

/// A request that got no response.
pub(crate) struct SendFailure {
    pub(crate) error: Error,
    /// The request itself, when not a byte of it was sent.
    pub(crate) unsent: Option<Request>,
}

impl Connection {
    /// Speaks HTTP/1.1 on a stream that was just opened.
    ///
    /// # Errors
    ///
    /// When the stream is of no use already.
    pub(crate) async fn new(stream: TcpStream) -> Result<Box<Self>, Error> {
        let (sender, driver) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Error::caused(Failure::Connect, error))?;
        Ok(Box::new(Self {
            sender,
            driver,
            ended: false,
            timer: LazyTimer::default(),
            idle_since: Instant::now(),
            used: false,
        }))
    }

    /// Whether a request was answered on it before, so that the upstream may be closing it just now.
    pub(crate) fn is_reused(&self) -> bool {
        self.used
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.ended && !self.sender.is_closed()
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
        if !self.ended {
            // How it ended is told to the request that was under way, or does not matter.
            self.ended = Pin::new(&mut self.driver).poll(cx).is_ready();
        }
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
        let mut response = pin!(unconstrained(self.sender.try_send_request(request)));
        let (driver, ended, timer) = (&mut self.driver, &mut self.ended, &mut self.timer);
        poll_fn(|cx| {
            if !*ended {
                *ended = Pin::new(&mut *driver).poll(cx).is_ready();
            }
            // Only the driver, polled just before, makes the response ready: nobody else needs to be woken for it, and
            // the cooperative budget must not hide it.
            let mut quiet = Context::from_waker(Waker::noop());
            match response.as_mut().poll(&mut quiet) {
                Poll::Ready(Ok(response)) => return Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut error)) => {
                    return Poll::Ready(Err(SendFailure {
                        unsent: error.take_message(),
                        error: classify(error.into_error()),
                    }));
                }
                Poll::Pending => {}
            }
            if *ended {
                return Poll::Ready(Err(SendFailure::sent(Error::failure(Failure::Reset))));
            }
            match deadline() {
                Some((at, failure)) if timer.poll(cx, at).is_ready() => {
                    Poll::Ready(Err(SendFailure::sent(Error::failure(failure))))
                }
                _ => Poll::Pending,
            }
        })
        .await
    }
}

impl SendFailure {
    fn sent(error: Error) -> Self {
        Self {
            error: error.after_send(),
            unsent: None,
        }
    }
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
            return Error::caused(failure, error).after_send();
        }
        source = cause.source();
    }
    let failure = if error.is_parse() {
        Failure::MalformedResponse
    } else {
        Failure::Reset
    };
    Error::caused(failure, error).after_send()
}
