//! What answers a request: [`Handler`], and [`IntoResponse`] for what handlers return.
//!
//! A handler ends a route; [`middleware`](crate::middleware) stands before one.

#[cfg(feature = "cache")]
use std::sync::Weak;
use std::{convert::Infallible, fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use crate::{
    body::Body,
    error::{BoxError, Error, Failure, Place},
    inspect::{Inspection, Operation},
    metrics::{Foreign, Measured, Requests, Samples, Settings},
    respond,
    watch::Tally,
};

/// A request on its way through the gateway.
pub type Request = http::Request<Body>;

/// A response on its way back.
pub type Response = http::Response<Body>;

/// The head of a request, as guards see it.
pub type Parts = http::request::Parts;

/// The future of an erased handler: one box at each seam.
pub(crate) type BoxFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Answers requests; there is no readiness and nothing is cloned for a request.
///
/// Most handlers are plain async functions: `handler(hello)` in a gateway, with
/// `async fn hello(req: prox::Request) -> impl prox::IntoResponse`. Implement the trait for one that has fields of its own.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Handler, Request, Response, IntoResponse};
///
/// struct Version(&'static str);
///
/// impl Handler for Version {
///     async fn call(&self, _: Request) -> Response {
///         self.0.into_response()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "this cannot answer a request",
    note = "a handler is `handler(f)` with `async fn f(req: prox::Request) -> impl prox::IntoResponse`, or a type that implements `prox::Handler`"
)]
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the client leaves.
    fn call(&self, req: Request) -> impl Future<Output = Response> + Send;

    /// Erases the type; an async function has a shorter way, which matters where a gateway has a thousand of them.
    #[doc(hidden)]
    fn into_boxed(self) -> BoxHandler
    where
        Self: Sized,
    {
        BoxHandler(Inner::Shared(Arc::new(self)))
    }
}

type Function = dyn Fn(Request) -> BoxFuture + Send + Sync;

#[derive(Clone)]
enum Inner {
    Shared(Arc<dyn Erased>),
    Function(Arc<Function>),
}

trait Erased: Send + Sync {
    fn call_erased(self: Arc<Self>, req: Request) -> BoxFuture;
}

impl<H: Handler> Erased for H {
    fn call_erased(self: Arc<Self>, req: Request) -> BoxFuture {
        Box::pin(async move { self.call(req).await })
    }
}

/// A [`Handler`] of any type, behind one pointer; cloning it is cheap.
#[derive(Clone)]
pub struct BoxHandler(Inner);

impl BoxHandler {
    /// Erases a handler's type.
    pub fn new(handler: impl Handler) -> Self {
        handler.into_boxed()
    }

    /// Answers one request.
    pub fn call(
        &self,
        req: Request,
    ) -> impl Future<Output = Response> + Send + Unpin + 'static + use<> {
        self.call_boxed(req)
    }

    pub(crate) fn call_boxed(&self, req: Request) -> BoxFuture {
        match &self.0 {
            Inner::Shared(handler) => Arc::clone(handler).call_erased(req),
            Inner::Function(function) => function(req),
        }
    }
}

/// Tells a handler from all others, as long as it is kept. It does not keep the handler.
#[cfg(feature = "cache")]
#[derive(Clone)]
pub(crate) struct Which(WeakInner);

#[cfg(feature = "cache")]
#[derive(Clone)]
enum WeakInner {
    Shared(Weak<dyn Erased>),
    Function(Weak<Function>),
}

#[cfg(feature = "cache")]
impl BoxHandler {
    /// What tells this handler, and its clones, from all others.
    pub(crate) fn which(&self) -> Which {
        Which(match &self.0 {
            Inner::Shared(handler) => WeakInner::Shared(Arc::downgrade(handler)),
            Inner::Function(function) => WeakInner::Function(Arc::downgrade(function)),
        })
    }
}

#[cfg(feature = "cache")]
impl Which {
    /// The address of the handler. No other handler gets it as long as this is kept.
    pub(crate) fn address(&self) -> usize {
        match &self.0 {
            WeakInner::Shared(handler) => handler.as_ptr().cast::<()>().addr(),
            WeakInner::Function(function) => function.as_ptr().cast::<()>().addr(),
        }
    }
}

#[cfg(feature = "cache")]
impl fmt::Debug for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.address())
    }
}

/// It is the same handler, without another pointer before it.
impl Handler for BoxHandler {
    fn call(&self, req: Request) -> impl Future<Output = Response> + Send {
        self.call_boxed(req)
    }

    fn into_boxed(self) -> BoxHandler {
        self
    }
}

impl<H: Handler> Handler for Arc<H> {
    fn call(&self, req: Request) -> impl Future<Output = Response> + Send {
        H::call(self, req)
    }

    fn into_boxed(self) -> BoxHandler {
        BoxHandler(Inner::Shared(self))
    }
}

impl<H: Handler> Handler for Box<H> {
    fn call(&self, req: Request) -> impl Future<Output = Response> + Send {
        H::call(self, req)
    }

    fn into_boxed(self) -> BoxHandler {
        H::into_boxed(*self)
    }
}

impl fmt::Debug for BoxHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxHandler")
    }
}

/// An async function as a handler; made by [`handler`].
///
/// It does not name the function, so that what is wrong with one is said once.
pub struct HandlerFn {
    function: Arc<Function>,
    name: &'static str,
}

/// What an async function returns when it is called, before it is awaited.
#[diagnostic::on_unimplemented(
    message = "a handler must be an async function; this one returns `{Self}`",
    label = "expected an `async fn`",
    note = "write `async fn` before the function, or give it a closure: `|req| async move {{ .. }}`"
)]
#[doc(hidden)]
pub trait Answer: Future {}

#[diagnostic::do_not_recommend]
impl<F: Future> Answer for F {}

/// Makes an async function the target of a route.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Request, IntoResponse, dsl::handler};
///
/// async fn hello(req: Request) -> impl IntoResponse {
///     format!("hello from {}", req.uri().path())
/// }
/// let target = handler(hello);
/// ```
pub fn handler<F, Fut, R>(function: F) -> HandlerFn
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Answer<Output = R> + Send + 'static,
    R: IntoResponse,
{
    HandlerFn {
        function: Arc::new(move |req| {
            let future = function(req);
            Box::pin(async move { future.await.into_response() })
        }),
        name: std::any::type_name::<F>(),
    }
}

impl Handler for HandlerFn {
    fn call(&self, req: Request) -> impl Future<Output = Response> + Send {
        (self.function)(req)
    }

    fn into_boxed(self) -> BoxHandler {
        BoxHandler(Inner::Function(self.function))
    }
}

impl fmt::Debug for HandlerFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a handler may return.
///
/// Text is sent as `text/plain; charset=utf-8`, bytes as `application/octet-stream`; `(StatusCode, T)` sets the status,
/// and any `http::Response` passes as it is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a response",
    label = "a handler must return a response",
    note = "return text, bytes, a `StatusCode`, `(StatusCode, T)`, a `Result` of two responses, or an `http::Response`"
)]
pub trait IntoResponse {
    /// Makes the response.
    fn into_response(self) -> Response;
}

impl<B> IntoResponse for http::Response<B>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn into_response(self) -> Response {
        let mut response = self.map(Body::new);
        response.body_mut().placed(Place::Response);
        response
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Response {
        Response::new(self)
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::new(Body::empty())
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self;
        response
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        respond::failure(self, false)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        respond::failure(self.as_failure().unwrap_or(Failure::Internal), false)
    }
}

impl IntoResponse for Infallible {
    fn into_response(self) -> Response {
        match self {}
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        *response.status_mut() = self.0;
        response
    }
}

fn typed(body: Body, kind: &'static str) -> Response {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

macro_rules! into_response {
    ($kind:literal: $($type:ty),*) => {$(
        impl IntoResponse for $type {
            fn into_response(self) -> Response {
                typed(Body::from(self), $kind)
            }
        }
    )*};
}

into_response!("text/plain; charset=utf-8": &'static str, String);
into_response!("application/octet-stream": Bytes, Vec<u8>, &'static [u8]);

/// Serves requests for the server, with what is known of the connection.
///
/// This is the seam between `server` and the gateway; users meet [`Handler`] instead.
#[doc(hidden)]
pub trait Dispatch: Clone + Send + Sync + 'static {
    /// Answers one request of `client`, and takes of it what it needs: a request is large, and each hand that it passes
    /// through by value copies it.
    fn dispatch(
        &self,
        req: &mut Request,
        client: &Arc<crate::client::Client>,
        tally: &Tally,
    ) -> impl Future<Output = Response> + Send;

    /// Answers a request that must not pass.
    fn refuse(
        &self,
        req: Request,
        failure: Failure,
        client: &Arc<crate::client::Client>,
        tally: &Tally,
    ) -> impl Future<Output = Response> + Send;

    /// Where the requests are counted.
    #[expect(
        private_interfaces,
        reason = "a gateway of another crate is not counted"
    )]
    fn requests(&self) -> Option<Arc<Requests>> {
        None
    }

    /// Counts in this way from now on.
    ///
    /// # Errors
    ///
    /// When it has begun to count in another way.
    #[expect(
        private_interfaces,
        reason = "a gateway of another crate is not counted"
    )]
    fn count_as(&self, settings: &Settings) -> Result<(), Error> {
        let _ = settings;
        Ok(())
    }

    /// Is told of what counts beside the requests.
    #[expect(
        private_interfaces,
        reason = "a gateway of another crate is not counted"
    )]
    fn attach(&self, source: &Arc<dyn Measured>) {
        let _ = source;
    }

    /// Shows metrics of the user's own.
    #[expect(
        private_interfaces,
        reason = "a gateway of another crate is not counted"
    )]
    fn attach_foreign(&self, foreign: &Arc<Foreign>) {
        let _ = foreign;
    }

    /// Finds out what takes time to find out; to be waited for before the [`samples`](Self::samples).
    fn prepare_samples(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// All metrics, as they are now.
    #[expect(
        private_interfaces,
        reason = "a gateway of another crate is not counted"
    )]
    fn samples(&self) -> Option<Samples> {
        None
    }

    /// Tells an operator of itself.
    #[expect(
        private_interfaces,
        reason = "a gateway of another crate is not inspected"
    )]
    fn inspect(&self) -> Inspection {
        Inspection::default()
    }

    /// The table of routes, as JSON or for people.
    fn routes_text(&self, json: bool) -> String {
        let _ = json;
        String::new()
    }

    /// Why it should get no requests; the question begins nothing.
    fn unready(&self) -> Vec<String> {
        Vec::new()
    }

    /// Changes an endpoint.
    ///
    /// # Errors
    ///
    /// Which backends or endpoints there are.
    #[expect(
        private_interfaces,
        reason = "a gateway of another crate has no backends"
    )]
    fn operate(&self, operation: &Operation<'_>) -> Result<(), String> {
        Err(format!("no backend `{}`", operation.backend))
    }

    /// Begins what goes on beside the requests, such as health checks; each worker says so once, on its runtime.
    fn start(&self) {}

    /// Is told when the server is to end: it should get no more requests, and those that come are served for a while.
    fn drain(&self) {}

    /// Is told of what the server refused before it was a request.
    fn refused(&self, refused: &crate::observe::Refused) {
        let _ = refused;
    }

    /// Its name, if it has one.
    fn name(&self) -> Option<&'static str> {
        None
    }

    /// The patterns of its routes, in the order of their numbers.
    fn patterns(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The names of the listeners that it has routes for.
    fn listeners(&self) -> Vec<&str> {
        Vec::new()
    }

    /// What is served, in a few words, for the line that a terminal gets.
    fn summary(&self) -> String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closure_is_a_handler() {
        let target = BoxHandler::new(handler(|req: Request| async move {
            (StatusCode::CREATED, req.uri().to_string())
        }));
        let response = target.call(Request::new(Body::empty())).await;
        assert_eq!(response.status(), 201);
        assert_eq!(response.into_body().bytes(9).await.unwrap(), "/");
    }

    #[test]
    fn text_says_its_type() {
        let response = Ok::<_, StatusCode>("hi").into_response();
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
    }
}
