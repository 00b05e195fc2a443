//! AWS Lambda: its events as requests, and responses in the form that it takes.
//!
//! `lambda_runtime` speaks to the Runtime API. What is here is the mapping of the three events of HTTP: of a REST API, of an HTTP API or
//! a function URL, and of an Application Load Balancer.

mod answer;
mod event;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    env,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::uri::Authority;
use http_body::Frame;
use http_body_util::{BodyDataStream, BodyExt as _};
use lambda_runtime::{Diagnostic, FunctionResponse, LambdaEvent, StreamResponse, service_fn};
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use self::{
    answer::{prelude, whole},
    event::{Kind, Unreadable},
};
use crate::{
    body::Body,
    error::{BoxError, Error, Failure, Result},
    handler::{Request, Response},
    observe::outputs,
    respond,
};

/// Where the Runtime API is; there is one if this process is a function.
const API: &str = "AWS_LAMBDA_RUNTIME_API";

/// What a response that is not streamed may have, with all that is around it.
const MOST: usize = 6 * 1024 * 1024;

/// What is left of the time of an invocation to tell that it has run out.
const REST: Duration = Duration::from_millis(100);

type Answer = FunctionResponse<Value, BodyDataStream<Body>>;

/// Whether this process is a function of AWS Lambda.
pub(crate) fn is_asked() -> bool {
    env::var_os(API).is_some_and(|place| !place.is_empty())
}

/// Answers events by this service until the process is ended; `streams` says whether responses are streamed.
///
/// # Errors
///
/// When the environment is not that of a function, or the Runtime API fails.
pub(crate) fn serve<S>(service: S, streams: bool) -> Result
where
    S: tower_service::Service<Request, Response = Response, Error = Infallible> + Clone + Send,
    S::Future: Send,
{
    check(|name| env::var(name).ok())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io("the runtime cannot be made", error))?;
    runtime.block_on(async {
        tracing::info!(target: "prox", streams, "serving AWS Lambda");
        let handler = service_fn(move |event| invoked(service.clone(), event, streams));
        let done = lambda_runtime::Runtime::new(handler).run().await;
        outputs::flush().await;
        done.map_err(|error| Error::config(format!("the Runtime API of AWS Lambda: {error}")))
    })
}

/// Says all that is wrong with the variables that `lambda_runtime` reads, which would panic.
fn check(variable: impl Fn(&str) -> Option<String>) -> Result {
    let mut problems = Vec::new();
    let api = variable(API).unwrap_or_default();
    if api.parse::<Authority>().is_err() {
        problems.push(format!("{API} is {api:?}: expected a host and a port"));
    }
    for name in ["AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"] {
        if variable(name).is_none() {
            problems.push(format!("{name} is not set"));
        }
    }
    let name = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
    match variable(name).map(|size| size.parse::<i32>()) {
        Some(Ok(_)) => {}
        Some(Err(_)) => problems.push(format!("{name} is not a number")),
        None => problems.push(format!("{name} is not set")),
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::config(format!(
        "{API} is set, but this is not a function of AWS Lambda:\n  {}\nhelp: unset {API} to serve by sockets",
        problems.join("\n  ")
    )))
}

/// Answers one event.
async fn invoked<S>(
    service: S,
    event: LambdaEvent<Value>,
    streams: bool,
) -> std::result::Result<Answer, Diagnostic>
where
    S: tower_service::Service<Request, Response = Response, Error = Infallible>,
{
    let deadline = deadline(event.context.deadline, SystemTime::now());
    let answer = match event::read(&event.payload) {
        Ok((kind, request)) => Ok(answered(service, kind, request, deadline, streams).await),
        Err(Unreadable(problem)) => {
            tracing::warn!(target: "prox", %problem, "an event is not a request");
            Err(Diagnostic {
                error_type: "prox.event".into(),
                error_message: problem,
            })
        }
    };
    // Between invocations the process is frozen, and what was not written is lost.
    outputs::flush().await;
    answer
}

/// The moment at which an invocation has to be answered; `at` is in milliseconds since 1970.
fn deadline(at: u64, now: SystemTime) -> Instant {
    let left = (UNIX_EPOCH + Duration::from_millis(at)).duration_since(now);
    Instant::now() + left.unwrap_or_default().saturating_sub(REST)
}

async fn answered<S>(
    mut service: S,
    kind: Kind,
    request: Request,
    deadline: Instant,
    streams: bool,
) -> Answer
where
    S: tower_service::Service<Request, Response = Response, Error = Infallible>,
{
    let grpc = respond::is_grpc(request.headers());
    let failed = |failure| respond::failure(failure, grpc);
    let called = timeout_at(deadline, service.call(request)).await;
    let response = called.map_or_else(
        |_| failed(Failure::ResponseTimeout),
        |Ok(response)| response,
    );
    let (parts, body) = response.into_parts();
    if streams {
        let body = Body::new(Timed::new(body, deadline));
        return FunctionResponse::StreamingResponse(StreamResponse {
            metadata_prelude: prelude(&parts),
            stream: BodyDataStream::new(body),
        });
    }
    let read = timeout_at(deadline, read(body)).await;
    let read = read.unwrap_or(Err(Failure::ResponseTimeout));
    let value = match read.and_then(|body| whole(kind, &parts, &body)) {
        Ok(value) => value,
        Err(failure) => {
            let (parts, body) = failed(failure).into_parts();
            let body = body
                .collect()
                .await
                .map(http_body_util::Collected::to_bytes);
            whole(kind, &parts, &body.unwrap_or_default()).unwrap_or_default()
        }
    };
    FunctionResponse::BufferedResponse(value)
}

/// Reads a body that is not longer than Lambda takes.
async fn read(body: Body) -> std::result::Result<Bytes, Failure> {
    let read = body.bytes(MOST).await;
    read.map_err(|error| match error.as_failure() {
        Some(Failure::BodyTooLarge) => too_long(),
        // The upstream has broken off. A part of a body would look like the whole.
        _ => Failure::Reset,
    })
}

fn too_long() -> Failure {
    tracing::warn!(
        target: "prox",
        "a response is longer than the 6 MB that AWS Lambda takes: set LAMBDA_STREAMING=on, and let the function URL stream"
    );
    Failure::MalformedResponse
}

/// A body that ends with its invocation.
struct Timed {
    body: Option<Body>,
    end: Pin<Box<Sleep>>,
}

impl Timed {
    fn new(body: Body, deadline: Instant) -> Self {
        Self {
            body: Some(body),
            end: Box::pin(sleep_until(deadline)),
        }
    }
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if this.end.as_mut().poll(cx).is_ready() {
            this.body = None;
            return Poll::Ready(Some(Err("the time of the invocation has run out".into())));
        }
        let frame = std::task::ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            // The body is dropped at once: its end is logged and counted when it is dropped.
            this.body = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }
}
