//! The one place that knows tower's rules: readiness before a call, and a clone for each.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tower_service::Service;

use super::{IntoLayer, Layer, Next, Wrap};
use crate::{
    body::Body,
    error::{BoxError, Error, Failure, Place},
    handler::{BoxHandler, Handler, Request, Response},
    respond,
};

/// A tower service as a [`Handler`]; made by [`service`].
///
/// A request runs on a clone of its own, made ready first. So state that must be shared between requests has to be
/// shared by the service's clones, as tower's own services do.
///
/// It does not name the service, so that what is wrong with one is said once.
pub struct ServiceHandler {
    handler: BoxHandler,
    name: &'static str,
}

/// Whatever [`service`] takes: the marker is the type of the bodies that the service answers with.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tower service",
    label = "this cannot answer a request",
    note = "a service is a `tower::Service<prox::Request>` that is `Clone + Send + Sync`, such as an axum `Router`; write `handler(f)` for an async function"
)]
#[doc(hidden)]
pub trait IntoService<M> {
    /// What runs for a request. It stands here so that a service with a future that cannot be sent is told of that.
    type Runs;

    /// Erases the type.
    fn into_service(self) -> ServiceHandler
    where
        Self: Send + Sync,
        Self::Runs: Send;
}

#[diagnostic::do_not_recommend]
impl<S, B> IntoService<B> for S
where
    S: Service<Request, Response = http::Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    S::Future: 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Runs = S::Future;

    fn into_service(self) -> ServiceHandler
    where
        S: Send + Sync,
        S::Future: Send,
    {
        ServiceHandler {
            handler: BoxHandler::new(Cloned(self)),
            name: std::any::type_name::<S>(),
        }
    }
}

/// Makes any [`tower_service::Service`] the target of a route, such as an axum `Router`.
///
/// Errors of services, of tower layers, and of the bodies that they put around others become rows of the failure table. The causes
/// of an error are searched as well. These are known:
///
/// | error | status |
/// |---|---|
/// | [`prox::Error`](Error) | its own |
/// | `http_body_util::LengthLimitError`, which tower-http's `RequestBodyLimitLayer` gives | `413` |
/// | tower's and tokio's `Elapsed`, tower-http's body timeouts, `io::ErrorKind::TimedOut` | `408` from the body of a request, else `504` |
/// | tower's `Overloaded`, from `LoadShedLayer` | `503` |
/// | `io::ErrorKind::InvalidData` and `UnexpectedEof`, which decompression gives | `400` from the body of a request, `502` from that of a response |
/// | any other, such as `Closed` of tower's `BufferLayer` | `500` |
///
/// A response whose body fails has begun already. It is cut, and the log has the name of the row.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use std::convert::Infallible;
/// use prox::{Body, Request, Response, dsl::service};
///
/// let target = service(tower::service_fn(|_: Request| async {
///     Ok::<_, Infallible>(Response::new(Body::from("from tower")))
/// }));
/// ```
pub fn service<M, S>(service: S) -> ServiceHandler
where
    S: IntoService<M> + Send + Sync,
    S::Runs: Send,
{
    service.into_service()
}

impl Handler for ServiceHandler {
    fn call(&self, req: Request) -> impl Future<Output = Response> + Send {
        self.handler.call_boxed(req)
    }

    fn into_boxed(self) -> BoxHandler {
        self.handler
    }
}

impl fmt::Debug for ServiceHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A service that handles a request on a clone of its own.
struct Cloned<S>(S);

impl<S, B> Handler for Cloned<S>
where
    S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn call(&self, req: Request) -> impl Future<Output = Response> + Send {
        // The clone that was made ready is the one that is called, and no other.
        let mut service = self.0.clone();
        async move {
            let grpc = respond::is_grpc(req.headers());
            let ready = std::future::poll_fn(|cx| service.poll_ready(cx).map_err(Into::into)).await;
            let result = match ready {
                Ok(()) => service.call(req).await.map_err(Into::into),
                Err(error) => Err(error),
            };
            match result {
                Ok(response) => {
                    let mut response = response.map(Body::new);
                    response.body_mut().placed(Place::Response);
                    response
                }
                Err(error) => respond::failure(failure_of(error), grpc),
            }
        }
    }
}

fn failure_of(error: BoxError) -> Failure {
    let error = Error::foreign(error, Place::Service);
    let failure = error.as_failure().unwrap_or(Failure::Internal);
    if failure == Failure::Internal {
        tracing::error!(target: "prox", ?error, "a service or a layer failed");
    }
    failure
}

/// Marks a [`tower_layer::Layer`].
#[derive(Debug)]
pub struct Tower<B>(PhantomData<B>);

#[diagnostic::do_not_recommend]
impl<L, S, B> IntoLayer<Tower<(S, B)>> for L
where
    L: tower_layer::Layer<Next, Service = S> + 'static,
    S: Service<Request, Response = http::Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    S::Future: 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Shared = L;
    type Service = S;
    type Runs = S::Future;

    fn into_layer(self) -> Layer
    where
        L: Send + Sync,
        S: Send + Sync,
        S::Future: Send,
    {
        Layer(Arc::new(TowerLayer(self)))
    }
}

struct TowerLayer<L>(L);

impl<L, S, B> Wrap for TowerLayer<L>
where
    L: tower_layer::Layer<Next, Service = S> + Send + Sync + 'static,
    S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn wrap(&self, inner: BoxHandler) -> BoxHandler {
        BoxHandler::new(Cloned(self.0.layer(Next(inner))))
    }
}

/// Makes a layer of a tower layer whose service takes requests with a body of another crate, such as those of axum's `from_fn`.
///
/// Most tower layers take any body, and stand in `with [..]` as they are. A layer that is written for one body needs this: `body` makes
/// its body of a [`Body`], as it streams. What the service answers with can be any body. Errors are those of [`service`].
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } pub mod middleware { pub use prox_runtime::middleware::*; } }
/// use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
/// use prox::{Body, Error, middleware::with_body};
/// use tower::util::MapRequestLayer;
///
/// type Boxed = UnsyncBoxBody<bytes::Bytes, Error>;
///
/// let layer = MapRequestLayer::new(|req: http::Request<Boxed>| req);
/// let layer = with_body(layer, |body: Body| body.boxed_unsync());
/// ```
///
/// With axum it is `with [with_body(from_fn(stamp), axum::body::Body::new)]`.
pub fn with_body<L, B, R>(
    layer: L,
    body: impl Fn(Body) -> B + Clone + Send + Sync + 'static,
) -> Layer
where
    L: tower_layer::Layer<Next> + Send + Sync + 'static,
    L::Service:
        Service<http::Request<B>, Response = http::Response<R>> + Clone + Send + Sync + 'static,
    <L::Service as Service<http::Request<B>>>::Error: Into<BoxError>,
    <L::Service as Service<http::Request<B>>>::Future: Send + 'static,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    B: 'static,
{
    Converted { layer, body }.into_layer()
}

/// A layer whose service takes another body.
struct Converted<L, F> {
    layer: L,
    body: F,
}

impl<L: tower_layer::Layer<Next>, F: Clone> tower_layer::Layer<Next> for Converted<L, F> {
    type Service = WithBody<L::Service, F>;

    fn layer(&self, inner: Next) -> Self::Service {
        WithBody {
            service: self.layer.layer(inner),
            body: self.body.clone(),
        }
    }
}

/// A service that is given another body.
#[derive(Clone)]
struct WithBody<S, F> {
    service: S,
    body: F,
}

impl<S, F, B> Service<Request> for WithBody<S, F>
where
    S: Service<http::Request<B>>,
    F: Fn(Body) -> B,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, req: Request) -> S::Future {
        self.service.call(req.map(&self.body))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        future::{Ready, pending, ready},
        time::Duration,
    };

    use ::tower::{load_shed::LoadShed, timeout::TimeoutLayer, util::MapRequestLayer};
    use http::HeaderValue;

    use super::*;
    use crate::{
        handler::{IntoResponse, handler},
        middleware::Middleware,
    };

    fn request() -> Request {
        Request::new(Body::empty())
    }

    /// Panics when it is called without having been made ready; a clone is not.
    #[derive(Default)]
    struct Strict {
        ready: bool,
    }

    impl Clone for Strict {
        fn clone(&self) -> Self {
            Self::default()
        }
    }

    impl Service<Request> for Strict {
        type Response = Response;
        type Error = Infallible;
        type Future = Ready<Result<Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.ready = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request) -> Self::Future {
            assert!(std::mem::take(&mut self.ready), "called without poll_ready");
            ready(Ok("ready".into_response()))
        }
    }

    #[tokio::test]
    async fn every_call_is_on_a_service_that_was_made_ready() {
        let target = BoxHandler::new(service(Strict::default()));
        for _ in 0..2 {
            assert_eq!(target.call(request()).await.status(), 200);
        }
    }

    /// Is never ready.
    #[derive(Clone)]
    struct Busy;

    impl Service<Request> for Busy {
        type Response = Response;
        type Error = Infallible;
        type Future = Ready<Result<Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Pending
        }

        fn call(&mut self, _: Request) -> Self::Future {
            unreachable!("it is never ready")
        }
    }

    #[tokio::test]
    async fn a_request_that_a_load_shedder_turns_away_gets_503() {
        let target = BoxHandler::new(service(LoadShed::new(Busy)));
        let response = target.call(request()).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.extensions().get(), Some(&Failure::QueueFull));
        assert_eq!(response.headers()["retry-after"], "1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_longer_than_a_timeout_layer_allows_gets_504() {
        let layer = TimeoutLayer::new(Duration::from_secs(5)).into_layer();
        let target = layer.wrap(BoxHandler::new(handler(|_| pending::<()>())));
        let response = target.call(request()).await;
        assert_eq!(response.status(), 504);
        assert_eq!(response.extensions().get(), Some(&Failure::ResponseTimeout));
    }

    #[tokio::test]
    async fn an_error_of_ones_own_keeps_its_kind_and_any_other_is_a_500() {
        let failing = |error: fn() -> BoxError| {
            let failing = ::tower::service_fn(move |_: Request| ready(Err::<Response, _>(error())));
            BoxHandler::new(service(failing))
        };
        let own = failing(|| Error::failure(Failure::Forbidden).into());
        assert_eq!(own.call(request()).await.status(), 403);
        let any = failing(|| "no reason".into());
        assert_eq!(any.call(request()).await.status(), 500);
    }

    fn note(mut req: Request, name: &'static str) -> Request {
        let name = HeaderValue::from_static(name);
        req.headers_mut().append("x-layer", name);
        req
    }

    async fn function(req: Request, next: Next) -> impl IntoResponse {
        next.run(note(req, "function")).await
    }

    struct OwnMiddleware;

    impl Middleware for OwnMiddleware {
        async fn handle(&self, req: Request, next: Next) -> Response {
            next.run(note(req, "native")).await
        }
    }

    async fn layers(req: Request) -> String {
        let layers = req.headers().get_all("x-layer").iter();
        let layers: Vec<_> = layers.map(|name| name.to_str().unwrap()).collect();
        layers.join(" ")
    }

    #[tokio::test]
    async fn layers_of_every_form_stand_side_by_side_and_run_outermost_first() {
        let layers_outermost_first = [
            function.into_layer(),
            MapRequestLayer::new(|req: Request| note(req, "tower")).into_layer(),
            (|req, next: Next| next.run(note(req, "closure"))).into_layer(),
            OwnMiddleware.into_layer(),
        ];
        let target = layers_outermost_first
            .iter()
            .rev()
            .fold(BoxHandler::new(handler(layers)), |inner, layer| {
                layer.wrap(inner)
            });
        let body = target.call(request()).await.into_body();
        assert_eq!(
            body.bytes(64).await.unwrap(),
            "function tower closure native"
        );
    }
}
