//! What stands before a target: [`Middleware`], and the other two forms that `with [..]` takes.
//!
//! A [`Handler`] answers; middleware decides whether and how a handler is asked. Three forms stand side by side in
//! `with [..]`, with nothing to wrap: an `impl Middleware` (all of this module), any [`tower_layer::Layer`], and an async
//! function `async fn(Request, Next) -> impl IntoResponse`. One trait, [`IntoLayer`], takes them all.
//!
//! Of the project's own there are, in the order in which they are best written: [`AccessLog`], [`OnFailure`], [`Recover`],
//! [`RequestId`], [`SecurityHeaders`], [`Cors`], [`IpRules`], [`RateLimit`], [`InFlight`], [`BodyLimit`] and [`Csrf`]; and
//! [`ErrorPages`], [`Fallback`], [`Headers`] and [`Maintenance`]. With features of their own: `Compress`,
//! `Validate` and `MapBody`, and, behind all others, `Cache`.

mod about;
mod access_log;
mod body_limit;
#[cfg(feature = "cache")]
mod cache;
#[cfg(feature = "compression")]
mod compress;
mod cors;
mod csrf;
mod error_pages;
mod fallback;
mod fields;
mod headers;
mod in_flight;
mod ip_rules;
mod maintenance;
#[cfg(feature = "validate")]
mod map_body;
#[cfg(any(feature = "compression", feature = "validate"))]
mod media;
mod on_failure;
mod origins;
mod rate_limit;
mod recover;
mod request_id;
pub mod role;
mod security_headers;
pub(crate) mod steps;
mod tower;
#[cfg(feature = "validate")]
mod validate;

use std::{
    any::TypeId,
    convert::Infallible,
    fmt,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
};

use self::steps::Step;
use crate::{
    body::Body,
    error::{BoxError, Place},
    handler::{BoxFuture, BoxHandler, Handler, IntoResponse, Request, Response},
    observe::Refused,
};

pub(crate) use self::about::{Ready, Task};
#[cfg(feature = "cache")]
pub use self::cache::Cache;
#[cfg(feature = "compression")]
pub use self::compress::Compress;
#[cfg(feature = "validate")]
pub use self::map_body::MapBody;
#[cfg(feature = "redis")]
pub use self::rate_limit::Shared;
#[doc(hidden)]
pub use self::rate_limit::{KeyParts, KeyReads, KeyRole};
#[cfg(feature = "validate")]
pub use self::validate::Validate;
pub use self::{
    about::About,
    access_log::AccessLog,
    body_limit::BodyLimit,
    cors::{AnyOrigin, Cors, ListedOrigins},
    csrf::Csrf,
    error_pages::ErrorPages,
    fallback::Fallback,
    headers::{Headers, OfRequest, OfResponse},
    in_flight::InFlight,
    ip_rules::{Allowing, Denying, IpRules},
    maintenance::{Maintenance, Switch},
    on_failure::OnFailure,
    rate_limit::{
        ClientNetwork, Everyone, KeyText, LimitKey, Local, Param, PerRoute, RateLimit, param, route,
    },
    recover::Recover,
    request_id::{RequestId, RequestIdValue},
    role::{Declares, Role},
    security_headers::{OneHost, SecurityHeaders, Subdomains},
    tower::{ServiceHandler, service, with_body},
};
pub use crate::limits::Rate;
#[cfg(feature = "redis")]
pub use crate::limits::{Answer, Ask, Decision, LimitStore, Redis, StoreGuard, WhenDown};

/// Stands before a handler: looks at the request, asks [`Next`] or answers by itself, looks at the response.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Middleware, Next, Request, Response};
///
/// /// Says which version of the gateway answered.
/// struct Version(&'static str);
///
/// impl Middleware for Version {
///     async fn handle(&self, req: Request, next: Next) -> Response {
///         let mut response = next.run(req).await;
///         response.headers_mut().insert("x-gateway", http::HeaderValue::from_static(self.0));
///         response
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not middleware",
    label = "this cannot wrap a handler",
    note = "implement `prox::Middleware` for it: `async fn handle(&self, req: prox::Request, next: prox::Next) -> prox::Response`"
)]
pub trait Middleware: Send + Sync + 'static {
    /// Answers one request, most often by asking `next`.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the client leaves.
    fn handle(&self, req: Request, next: Next) -> impl Future<Output = Response> + Send;

    /// Is told of connections, and of requests on them, that a [`Server`](crate::Server) refused before there was a request for
    /// the gateway: malformed heads, slow heads, failed TLS handshakes. By default it does nothing.
    ///
    /// Only layers for every request, at the top of a gateway, are told. It is called on a worker thread, and must not block.
    fn refused(&self, refused: &Refused) {
        let _ = refused;
    }

    /// Tells what the gateway should know of the layer before it serves: what is wrong with its options, and more. It is called
    /// once, when the gateway starts. By default it does nothing.
    fn about(&self, about: &mut About) {
        let _ = about;
    }

    /// The same layer in two steps, if it needs no future of its own. It is for the layers of this crate.
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "a layer of another crate has a future")]
    fn __step(layer: &Arc<Self>) -> Option<Arc<dyn Step>>
    where
        Self: Sized,
    {
        let _ = layer;
        None
    }
}

/// All that comes after a middleware: the rest of the chain and the target.
///
/// It is also a [`tower_service::Service`], which is what tower layers wrap.
#[derive(Clone)]
pub struct Next(BoxHandler);

impl Next {
    /// The rest of a chain, for tests of one's own middleware.
    pub fn new(handler: impl Handler) -> Self {
        Self(BoxHandler::new(handler))
    }

    /// Asks the rest of the chain.
    pub fn run(self, mut req: Request) -> impl Future<Output = Response> + Send + 'static {
        // A layer may have put a body of another crate around the client's.
        req.body_mut().placed(Place::Request);
        self.0.call_boxed(req)
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Next")
    }
}

/// The rest of a chain takes any body, so that layers that change the type of the request's body can wrap it.
impl<B> tower_service::Service<http::Request<B>> for Next
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = NextFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: http::Request<B>) -> NextFuture {
        let mut req = req.map(Body::new);
        req.body_mut().placed(Place::Request);
        NextFuture(self.0.call_boxed(req))
    }
}

/// The future of [`Next`] as a service.
pub struct NextFuture(BoxFuture);

impl Future for NextFuture {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for NextFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NextFuture")
    }
}

trait Wrap: Send + Sync {
    fn wrap(&self, inner: BoxHandler) -> BoxHandler;

    /// It in two steps, if it has these.
    fn step(&self) -> Option<Arc<dyn Step>> {
        None
    }

    fn refused(&self, refused: &Refused) {
        let _ = refused;
    }

    fn about(&self, about: &mut About) {
        let _ = about;
    }

    /// Whether it is a middleware of this type.
    fn is(&self, kind: TypeId) -> bool {
        let _ = kind;
        false
    }
}

/// A layer of any form, ready to be put before handlers; cloning it is cheap, and clones share their state.
#[derive(Clone)]
pub struct Layer(Arc<dyn Wrap>);

impl Layer {
    /// Whether both are clones of one layer.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }

    /// The same number for clones of one layer, and another one for every other layer.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.0).cast::<()>().addr()
    }

    /// The same layer, with this role whatever it says.
    pub(crate) fn with_role(&self, role: Role) -> Self {
        Self(Arc::new(WithRole(self.clone(), role)))
    }

    /// Whether it is a middleware of this type. The layer itself cannot pretend to be of another type.
    pub(crate) fn is<T: Middleware>(&self) -> bool {
        self.0.is(TypeId::of::<T>())
    }

    /// What the layer says of itself.
    pub(crate) fn about(&self) -> About {
        let mut about = About::default();
        self.0.about(&mut about);
        about
    }

    /// Puts the layer before a handler.
    pub fn wrap(&self, inner: BoxHandler) -> BoxHandler {
        wrap(inner, std::slice::from_ref(self))
    }

    /// The layer in two steps, if it has these.
    pub(crate) fn step(&self) -> Option<Arc<dyn Step>> {
        self.0.step()
    }

    pub(crate) fn refused(&self, refused: &Refused) {
        self.0.refused(refused);
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layer")
    }
}

/// Puts layers before a handler; the first is the outermost. Neighbours that are steps share a future.
pub(crate) fn wrap(handler: BoxHandler, layers: &[Layer]) -> BoxHandler {
    let mut inner = handler;
    let mut neighbours = Vec::new();
    for layer in layers.iter().rev() {
        if let Some(step) = layer.step() {
            neighbours.push(step);
        } else {
            inner = layer.0.wrap(joined(inner, &mut neighbours));
        }
    }
    joined(inner, &mut neighbours)
}

/// Puts steps before a handler; the last is the outermost.
fn joined(inner: BoxHandler, neighbours: &mut Vec<Arc<dyn Step>>) -> BoxHandler {
    if neighbours.is_empty() {
        return inner;
    }
    let steps = neighbours.drain(..).rev().collect();
    steps::before(steps, inner)
}

/// A layer whose role the user has said.
struct WithRole(Layer, Role);

impl Wrap for WithRole {
    fn wrap(&self, inner: BoxHandler) -> BoxHandler {
        self.0.wrap(inner)
    }

    fn step(&self) -> Option<Arc<dyn Step>> {
        self.0.step()
    }

    fn refused(&self, refused: &Refused) {
        self.0.refused(refused);
    }

    fn about(&self, about: &mut About) {
        self.0.0.about(about);
        about.role(self.1);
    }

    fn is(&self, kind: TypeId) -> bool {
        self.0.0.is(kind)
    }
}

/// Whatever may stand in `with [..]`; the marker `M` tells the forms apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer",
    label = "this is not allowed in `with [..]`",
    note = "a layer is a `prox::Middleware`, a `tower::Layer` whose service is `Clone + Send + Sync`, or an `async fn(prox::Request, prox::Next) -> impl prox::IntoResponse`"
)]
pub trait IntoLayer<M> {
    /// What all workers share of it. It stands here, and not among the bounds of the forms, so that a layer with a part that cannot
    /// be shared is told of that part, and not that it is not a layer.
    type Shared;

    /// The service that a tower layer makes, which they share too.
    type Service;

    /// What runs for a request.
    type Runs;

    /// Erases the form.
    fn into_layer(self) -> Layer
    where
        Self::Shared: Send + Sync,
        Self::Service: Send + Sync,
        Self::Runs: Send;
}

/// Marks an `impl Middleware`.
#[derive(Debug)]
pub struct Native;

#[diagnostic::do_not_recommend]
impl<T: Middleware> IntoLayer<Native> for T {
    type Shared = ();
    type Service = ();
    type Runs = ();

    fn into_layer(self) -> Layer {
        Layer(Arc::new(NativeLayer(Arc::new(self))))
    }
}

struct NativeLayer<T>(Arc<T>);

impl<T: Middleware> Wrap for NativeLayer<T> {
    fn wrap(&self, inner: BoxHandler) -> BoxHandler {
        BoxHandler::new(Layered {
            layer: Arc::clone(&self.0),
            next: Next(inner),
        })
    }

    fn step(&self) -> Option<Arc<dyn Step>> {
        T::__step(&self.0)
    }

    fn refused(&self, refused: &Refused) {
        self.0.refused(refused);
    }

    fn about(&self, about: &mut About) {
        self.0.about(about);
    }

    fn is(&self, kind: TypeId) -> bool {
        kind == TypeId::of::<T>()
    }
}

struct Layered<T> {
    layer: Arc<T>,
    next: Next,
}

impl<T: Middleware> Handler for Layered<T> {
    fn call(&self, req: Request) -> impl Future<Output = Response> + Send {
        self.layer.handle(req, self.next.clone())
    }
}

/// Marks an async function.
#[derive(Debug)]
pub struct Function<Fut>(std::marker::PhantomData<Fut>);

#[diagnostic::do_not_recommend]
impl<F, Fut, R> IntoLayer<Function<Fut>> for F
where
    F: Fn(Request, Next) -> Fut + 'static,
    Fut: Future<Output = R> + 'static,
    R: IntoResponse,
{
    type Shared = F;
    type Service = ();
    type Runs = Fut;

    fn into_layer(self) -> Layer
    where
        F: Send + Sync,
        Fut: Send,
    {
        Layer(Arc::new(NativeLayer(Arc::new(FunctionLayer(self)))))
    }
}

struct FunctionLayer<F>(F);

impl<F, Fut, R> Middleware for FunctionLayer<F>
where
    F: Fn(Request, Next) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: IntoResponse,
{
    async fn handle(&self, req: Request, next: Next) -> Response {
        (self.0)(req, next).await.into_response()
    }
}

impl IntoLayer<Layer> for Layer {
    type Shared = ();
    type Service = ();
    type Runs = ();

    fn into_layer(self) -> Layer {
        self
    }
}
