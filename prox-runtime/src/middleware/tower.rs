//! The one place that knows tower's rules: readiness before a call, and a clone for each.

use std::{fmt, future::Future, marker::PhantomData, sync::Arc};

use bytes::Bytes;
use tower_service::Service;

use super::{IntoLayer, Layer, Next, Wrap};
use crate::{
    body::Body,
    error::{BoxError, Error, Failure},
    handler::{BoxHandler, Handler, Request, Response},
    respond,
};

/// A tower service as a [`Handler`]; made by [`service`].
///
/// A request runs on a clone of its own, made ready first. So state that must be shared between requests has to be
/// shared by the service's clones, as tower's own services do.
pub struct ServiceHandler<S>(S);

/// Makes any [`tower_service::Service`] the target of a route, such as an axum `Router`.
///
/// Its errors become responses: a [`prox::Error`](Error) its own, tower's `Elapsed` a `504`, its `Overloaded` a `503`, any
/// other a `500`.
///
/// ```
/// use std::convert::Infallible;
/// use prox_runtime::{service, Body, Request, Response};
///
/// let target = service(tower::service_fn(|_: Request| async {
///     Ok::<_, Infallible>(Response::new(Body::from("from tower")))
/// }));
/// ```
pub fn service<S, B>(service: S) -> ServiceHandler<S>
where
    S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    ServiceHandler(service)
}

impl<S, B> Handler for ServiceHandler<S>
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
                Ok(response) => response.map(Body::new),
                Err(error) => respond::failure(failure_of(error), grpc),
            }
        }
    }
}

impl<S> fmt::Debug for ServiceHandler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<S>())
    }
}

fn failure_of(error: BoxError) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error.as_ref());
    while let Some(error) = cause {
        if let Some(failure) = error.downcast_ref::<Error>().and_then(Error::as_failure) {
            return failure;
        }
        if error.is::<tower::timeout::error::Elapsed>() {
            return Failure::ResponseTimeout;
        }
        if error.is::<tower::load_shed::error::Overloaded>() {
            return Failure::QueueFull;
        }
        cause = error.source();
    }
    tracing::error!(%error, "a service or a layer failed");
    Failure::Internal
}

/// Marks a [`tower_layer::Layer`].
#[derive(Debug)]
pub struct Tower<B>(PhantomData<B>);

#[diagnostic::do_not_recommend]
impl<L, S, B> IntoLayer<Tower<(S, B)>> for L
where
    L: tower_layer::Layer<Next, Service = S> + Send + Sync + 'static,
    S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn into_layer(self) -> Layer {
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
        BoxHandler::new(ServiceHandler(self.0.layer(Next(inner))))
    }
}
