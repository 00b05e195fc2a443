//! One line for each request, when its response has ended.
//!
//! `tracing` is for what the gateway has to say; this is for what it did. A line never waits for whoever reads it: see
//! [`AccessLog::writer`].

mod body;
mod line;
mod options;

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use http::{Method, header};
use http_body::Body as _;
use tokio::time::Instant;

use self::{
    body::Sent,
    line::{Hop, Record},
    options::Options,
};
use super::{
    About, Middleware, Next,
    request_id::{IdSlot, RequestIdValue},
};
use crate::{
    body::Body,
    error::Failure,
    handler::{Request, Response},
    observe::{
        Refused, ending,
        lines::{Choice, Form},
        queue::{self, Queue},
    },
    route::RequestExt,
    tunnel::{Ended, Moved, Side, Switched},
    watch::Tally,
};

/// Writes one line a request to the standard output, when the response has ended.
///
/// Put it first in `with [..]`, so that it sees what all the other layers do. These are the fields; one that is not known
/// or does not apply is left out:
///
/// | field | what it is |
/// |---|---|
/// | `time` | when the request came: UTC, RFC 3339, milliseconds |
/// | `trace_id`, `span_id` | of a valid `traceparent`, or with traces of the request's own span |
/// | `id` | the id that [`RequestId`](super::RequestId) gave |
/// | `client` | the address of the client |
/// | `method`, `host`, `path` | of the request; without the query, which may hold secrets |
/// | `protocol` | the version of HTTP of the client: `1.0`, `1.1` or `2` |
/// | `route` | the pattern of the route, such as `/v1/users/{id}` |
/// | `auth` | how the caller has proved who it is: `basic`, `jwt`, .. |
/// | `principal` | who it is, with [`principals`](Self::principals); at most 512 bytes of it |
/// | `status` | of the response; `499` when the client left before it, `503` when the gateway ended before it |
/// | `error_type` | the [name](Failure::name) of the failure, when the gateway answered by itself or the response was cut |
/// | `backend`, `endpoint`, `tries` | where the request went last, and how many endpoints or connections were tried |
/// | `queue_ms` | how long it waited for a place at an endpoint with a queue; part of `connect_ms` |
/// | `connect_ms`, `first_byte_ms` | until there was a connection, and from there to the head of the upstream's response |
/// | `total_ms` | from the request's head to the end of the response's body |
/// | `bytes_in`, `bytes_out` | of the two bodies, as far as they were read |
/// | `aborted` | `true` when the response, or a tunnel, was not carried to its end |
/// | `user_agent` | at most 512 bytes of it |
/// | `query`, `headers` | what [`query`](Self::query) and [`header`](Self::header) name |
/// | `sample` | how many requests the line is for; see [`sample`](Self::sample) |
///
/// What a [`Server`](crate::Server) refuses before it is a request has a line as well, if the log stands at the top of the
/// gateway: with the [reason](crate::Refusal) in `refused`, what was wrong in `detail`, and `time`, `client`, `method`, `path`,
/// `status` and `error_type` as far as they are known.
///
/// A WebSocket, or whatever else a connection was switched to, is one line as well, with status `101`. It is written when it
/// ends: `total_ms` is then how long it was open, and `bytes_in` and `bytes_out` are all that went through it.
///
/// No other header is ever written, so no credentials are. Whatever a client sends, it cannot make a second line or break
/// out of a field: control characters are escaped, and bytes that are no UTF-8 become U+FFFD.
///
/// # Loss
///
/// Lines go through a queue of 8192 to a thread that writes many at once. When the output blocks and the queue is full,
/// lines are dropped rather than requests stopped; how many is written as a line of its own (`lost_lines`) as soon as there
/// is room. A [`Server`](crate::Server) that has drained waits until everything is written, for up to a second. So does the
/// drop of the last clone, but not on a thread of an async runtime, which it would block: where another server serves the
/// gateway, await [`flush`](Self::flush) before the program ends. A process that is killed, or calls [`std::process::exit`],
/// loses what it had in the queue.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, IntoResponse, Middleware, Next, Request, middleware::AccessLog, dsl::handler};
///
/// async fn hello(_: Request) -> impl IntoResponse {
///     "hello"
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let log = AccessLog::json();
/// let response = log.handle(Request::new(Body::empty()), Next::new(handler(hello))).await;
/// // The line is written once the body has been read.
/// response.into_body().bytes(1024).await?;
/// # Ok::<_, prox::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct AccessLog {
    form: Choice,
    options: Arc<Options>,
    queue: Arc<Queue>,
}

impl AccessLog {
    /// Writes what the variable `LOG_FORMAT` says, `json`, `text`, `ecs` or `gcp`; by default text where stdout is a terminal,
    /// and JSON elsewhere. A [`Server`](crate::Server) reads the variable when it starts.
    pub fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        Self::of(Choice::Open { terminal }, io::stdout())
    }

    /// One JSON object a line.
    pub fn json() -> Self {
        Self::of(Choice::Made(Form::Json), io::stdout())
    }

    /// Text for people: time, client, method, host and path, status and the total time; then `name=value`.
    pub fn text() -> Self {
        Self::of(Choice::Made(Form::Text), io::stdout())
    }

    /// One JSON object a line, with the names of the Elastic Common Schema 8.11. What it has no name for is in `labels`.
    pub fn ecs() -> Self {
        Self::of(Choice::Made(Form::Ecs), io::stdout())
    }

    /// One JSON object a line, as Google Cloud's logging reads it: `severity`, `httpRequest` and the trace. With a project, such as
    /// `my-project`, its console links a line with the trace.
    pub fn gcp(project: &str) -> Self {
        let log = Self::of(Choice::Made(Form::Gcp), io::stdout());
        log.with(|options| options.project = Some(project.into()))
    }

    /// Writes to somewhere else than the standard output.
    ///
    /// `writer` gets many lines in one call, on a thread of its own, and is flushed after each call. The thread starts with the
    /// first line. `writer` may block; what it fails to take is lost. Clones that were made before go on writing to where they
    /// did.
    ///
    /// ```no_run
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::middleware::AccessLog;
    ///
    /// let file = std::fs::File::options().append(true).create(true).open("access.log")?;
    /// let log = AccessLog::json().writer(file);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn writer(self, writer: impl Write + Send + 'static) -> Self {
        Self {
            queue: Self::of(self.form, writer).queue,
            ..self
        }
    }

    /// Writes who the caller is: the subject that the authenticator has found out, such as a user's name. Off by default, since a log
    /// of what people do is personal data.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// let log = prox::middleware::AccessLog::json().principals();
    /// ```
    pub fn principals(self) -> Self {
        self.with(|options| options.principals = true)
    }

    /// Writes a line for one request in so many; for each by default.
    ///
    /// These requests always have a line: with a status of 500 or more, with a response that was cut, and slow ones. A line that is
    /// one in a hundred says `"sample":100`, so that counts can be made from lines.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// let log = prox::middleware::AccessLog::new().sample(100);
    /// ```
    pub fn sample(self, one_in: u64) -> Self {
        self.with(|options| options.sample(one_in))
    }

    /// Says from which total time on a request is slow, and has a line whatever the [`sample`](Self::sample); 1 s by default.
    pub fn slow(self, limit: Duration) -> Self {
        self.with(|options| options.slow = limit)
    }

    /// Writes these parts of the query, as they came, in an object `query`; at most 512 bytes of each.
    ///
    /// A name with `token`, `secret`, `key` or `password` in it is an error when the gateway starts.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// let log = prox::middleware::AccessLog::new().query(["page", "sort"]);
    /// ```
    pub fn query<N: AsRef<str>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.with(|options| {
            for name in names {
                options.query(name.as_ref());
            }
        })
    }

    /// Writes this field of the request in an object `headers`; at most 512 bytes of it.
    ///
    /// `Authorization`, `Cookie`, and a name with `token`, `secret`, `key` or `password` in it are an error when the gateway starts.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// let log = prox::middleware::AccessLog::new().header("x-tenant");
    /// ```
    pub fn header(self, name: impl AsRef<str>) -> Self {
        self.with(|options| options.header(name.as_ref()))
    }

    /// Leaves `path` out, for paths that are secrets, such as `/reset/{token}`. `route` has the pattern all the same.
    pub fn without_path(self) -> Self {
        self.with(|options| options.path = false)
    }

    /// Waits until all lines so far are written, for up to a second.
    ///
    /// A [`Server`](crate::Server) does the same when it ends. Call it at the end of a program in which another server serves
    /// the gateway. The runtime must have its timer enabled.
    ///
    /// # Cancel safety
    ///
    /// Lines are written whether or not the future is polled to its end.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::middleware::AccessLog;
    ///
    /// # async fn doc() {
    /// let log = AccessLog::json();
    /// // A gateway with `log.clone()` is served here, by axum for example.
    /// log.flush().await;
    /// # }
    /// ```
    pub async fn flush(&self) {
        self.queue.flush().await;
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(&mut self.options));
        self
    }

    fn of(form: Choice, writer: impl Write + Send + 'static) -> Self {
        let queue = Queue::new(&queue::ACCESS_LOG, form, queue::CAPACITY, writer);
        Self {
            form,
            options: Arc::default(),
            queue: Arc::new(queue),
        }
    }
}

impl Default for AccessLog {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog")
            .field("form", &self.form)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Middleware for AccessLog {
    async fn handle(&self, req: Request, next: Next) -> Response {
        let (req, mut entry) = Entry::begin(self, req);
        let response = next.run(req).await;
        entry.answered(&response);
        if let Some(tunnel) = response.extensions().get::<Switched>() {
            tunnel.at_end(|moved, ended| entry.tunnelled(moved, ended));
            return response;
        }
        if response.body().is_end_stream() {
            entry.complete();
            return response;
        }
        response.map(|body| Body::boxed(Sent::new(body, entry)))
    }

    fn refused(&self, refused: &Refused) {
        let line = line::refused(self.form.form(), SystemTime::now(), refused);
        self.queue.push(line);
    }

    fn about(&self, about: &mut About) {
        about.add_problems(&self.options.problems);
    }
}

/// What is known of one request; its line is written when it is dropped.
struct Entry {
    log: AccessLog,
    record: Record,
    started: Instant,
    tally: Option<Tally>,
    id: IdSlot,
    received: Arc<AtomicU64>,
    /// How long the response's body is said to be.
    length: Option<u64>,
}

impl Entry {
    fn begin(log: &AccessLog, mut req: Request) -> (Request, Self) {
        let record = Record {
            time: SystemTime::now(),
            id: req.extensions().get::<RequestIdValue>().cloned(),
            client: req.client_ip(),
            method: req.method().clone(),
            uri: req.uri().clone(),
            host: req.headers().get(header::HOST).cloned(),
            route: req.route().map(|route| route.path),
            user_agent: req.headers().get(header::USER_AGENT).cloned(),
            trace: req.trace_context(),
            fields: log.options.fields(&req),
            ..Record::default()
        };
        let id = IdSlot::default();
        let extensions = req.extensions_mut();
        extensions.insert(id.clone());
        let tally = extensions.get::<Tally>().cloned();
        let received = Arc::new(AtomicU64::new(0));
        let req = if req.body().is_end_stream() {
            req
        } else {
            let count = Arc::clone(&received);
            let add = move |bytes: usize| _ = count.fetch_add(bytes as u64, Relaxed);
            req.map(|body| body.counted(add))
        };
        let entry = Self {
            log: log.clone(),
            record,
            started: Instant::now(),
            tally,
            id,
            received,
            length: None,
        };
        (req, entry)
    }

    fn answered(&mut self, response: &Response) {
        let record = &mut self.record;
        record.status = response.status().as_u16();
        record.failure = response.extensions().get().copied();
        // Until the body says otherwise.
        record.aborted = true;
        let length = response.headers().get(header::CONTENT_LENGTH);
        self.length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    }

    /// A tunnel is one line, at its end, with all that went through it.
    fn tunnelled(mut self, moved: Moved, ended: Option<Ended>) {
        self.received.fetch_add(moved.up, Relaxed);
        self.record.sent += moved.down;
        match ended {
            Some(Ended::Whole) => self.complete(),
            Some(Ended::Idle) => self.failed(Some(Failure::ResponseTimeout)),
            Some(Ended::Failed(Side::Client)) => self.failed(Some(Failure::ClientGone)),
            Some(Ended::Failed(Side::Upstream)) => self.failed(Some(Failure::Reset)),
            // It is dropped, as a request is.
            None => {}
        }
    }

    fn complete(&mut self) {
        self.record.aborted = false;
    }

    fn sent(&mut self, bytes: usize) {
        self.record.sent += bytes as u64;
    }

    fn failed(&mut self, failure: Option<Failure>) {
        self.record.failure = failure.or(self.record.failure);
    }

    /// Whether the server had no reason to ask for more of the body.
    fn is_whole(&self) -> bool {
        self.record.method == Method::HEAD
            || matches!(self.record.status, 204 | 304)
            || self.length.is_some_and(|length| self.record.sent >= length)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let record = &mut self.record;
        if record.status == 0 {
            // The future was dropped before it answered.
            let failure = ending::why();
            record.status = failure.status().as_u16();
            record.failure = Some(failure);
        } else if record.aborted && record.failure.is_none() {
            record.failure = Some(ending::why());
        }
        record.total = self.started.elapsed();
        let log = &self.log;
        if log.options.sample > 1 && !record.is_conspicuous(log.options.slow) {
            if !log.options.is_sampled() {
                return;
            }
            record.sample = Some(log.options.sample);
        }
        if let Some(id) = self.id.get() {
            record.id = Some(id.clone());
        }
        if let Some(tally) = &self.tally {
            record.hop = Hop::of(tally);
            record.failure = record.failure.or(tally.failure());
        }
        record.received = self.received.load(Relaxed);
        log.queue
            .push(line::of(log.form.form(), record, &log.options));
    }
}

#[cfg(test)]
mod tests;
