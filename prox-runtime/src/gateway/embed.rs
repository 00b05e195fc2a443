//! A gateway in a server of somebody else's, with what a server of ours knows of a client.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use super::{Gateway, GatewayFuture, IntoGateway, service::answered, shared::server_variables};
use crate::{
    body::Body,
    client::{Client, Trust},
    error::{BoxError, Result},
    forward::{claims, via::Via},
    handler::{Dispatch, Parts, Request, Response},
    metrics::MetricsOptions,
    server::{self, Edge, Options},
};

/// Makes a gateway a service for another server, such as axum's, which knows who the client is.
///
/// A [`Gateway`] is a service by itself, but nobody tells it who sends a request: `client_ip()` guards refuse, limits by address
/// count all clients as one, and the upstream gets no `X-Forwarded-For`. This finds the client where that server has put it,
/// and has the options of [`Server`](crate::Server) that are about requests.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use std::net::SocketAddr;
///
/// use prox::{Client, Embed, Parts};
/// # fn doc(gateway: prox::Gateway) -> prox::Result {
/// // What axum calls `ConnectInfo<SocketAddr>` here is an address.
/// let service = Embed::new(gateway)
///     .client(|req: &Parts| Client::new(req.extensions.get::<SocketAddr>().copied()))
///     .trusted_proxies(["10.0.0.0/8"])
///     .service()?;
/// # let _ = service;
/// # Ok(())
/// # }
/// ```
#[must_use = "it makes a service with `.service()`"]
pub struct Embed {
    gateway: Result<Gateway>,
    edge: Edge,
    client: Option<ClientOf>,
    listener: Option<Arc<str>>,
    metrics: Option<MetricsOptions>,
    #[cfg(feature = "otel")]
    traces: Option<crate::otel::Said>,
}

type ClientOf = Arc<dyn Fn(&Parts) -> Client + Send + Sync>;

impl Embed {
    /// Embeds this gateway; what is wrong with it is said by [`service`](Self::service).
    pub fn new(gateway: impl IntoGateway) -> Self {
        Self {
            gateway: gateway.into_gateway(),
            edge: Edge::default(),
            client: None,
            listener: None,
            metrics: None,
            #[cfg(feature = "otel")]
            traces: None,
        }
    }

    /// Says who sends a request: most often by an extension that the server has put there.
    ///
    /// With axum it is `|req: &Parts| Client::new(req.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0))`, and the
    /// router is served with `into_make_service_with_connect_info::<SocketAddr>()`. Where the server speaks TLS, add
    /// [`.over_tls()`](Client::over_tls).
    ///
    /// It is not asked for a request that has an `Arc<Client>` among its extensions already. Without it, and without that, the
    /// client is unknown.
    pub fn client(mut self, of: impl Fn(&Parts) -> Client + Send + Sync + 'static) -> Self {
        self.client = Some(Arc::new(of));
        self
    }

    /// Serves as the [listener](crate::Listener) of this name: requests reach the routes of `on "internal" { .. }`, too.
    ///
    /// A client that says its own listener, with [`Client::on`], is there.
    pub fn on(mut self, listener: impl Into<Arc<str>>) -> Self {
        self.listener = Some(listener.into());
        self
    }

    /// Believes what these proxies say of the client; see [`Server::trusted_proxies`](crate::Server::trusted_proxies), with
    /// `TRUSTED_PROXIES` in its place.
    ///
    /// Where the client is unknown, nobody is trusted: `unix:` stands for a [`Client`] without an address, and for no more.
    pub fn trusted_proxies<E: AsRef<str>>(mut self, from: impl IntoIterator<Item = E>) -> Self {
        self.edge.trusted = Some(Trust::read(from));
        self
    }

    /// Passes these claims on whoever makes them; see [`Server::pass_claims`](crate::Server::pass_claims).
    pub fn pass_claims<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.edge.passing = Some(claims::read(names));
        self
    }

    /// Adds `Via` with this name, and refuses a request that has come through here before: `508`. See
    /// [`Server::via`](crate::Server::via).
    pub fn via(mut self, name: impl AsRef<str>) -> Self {
        self.edge.via = Some(Via::new(name.as_ref()));
        self
    }

    /// Sets how the gateway counts; see [`Server::metrics`](crate::Server::metrics).
    pub fn metrics(mut self, options: MetricsOptions) -> Self {
        self.metrics = Some(options);
        self
    }

    /// Makes spans of the requests; see [`Server::traces`](crate::Server::traces). Without this call there are none: a server that traces has
    /// spans of its own.
    ///
    /// The variables that turn traces on for a [`Server`](crate::Server) do so here. A `traceparent` that the server around it has put on
    /// the request is the parent; its flag counts from a [trusted proxy](Self::trusted_proxies) alone. A thread of its own exports the spans.
    /// When the last clone of the service is dropped, it exports what is left for 2 s, unless the process ends before.
    #[cfg(feature = "otel")]
    pub fn traces(mut self, options: crate::otel::TraceOptions) -> Self {
        self.traces.get_or_insert_default().options = options;
        self
    }

    /// Gives the spans of requests to this provider; see [`Server::tracer_provider`](crate::Server::tracer_provider).
    #[cfg(feature = "otel")]
    pub fn tracer_provider(
        mut self,
        provider: opentelemetry_sdk::trace::SdkTracerProvider,
    ) -> Self {
        self.traces.get_or_insert_default().provider = Some(provider);
        self
    }

    /// The service.
    ///
    /// # Errors
    ///
    /// All that is wrong with the gateway and with these options, in one error.
    pub fn service(self) -> Result<Embedded> {
        let variables = server_variables(&self.gateway);
        let options = self.edge.settle(Options::default(), &variables);
        let metrics = self
            .metrics
            .as_ref()
            .map(MetricsOptions::settle)
            .transpose();
        let (gateway, (options, metrics)) =
            server::both(self.gateway, server::both(options, metrics))?;
        if let Some(settings) = metrics {
            gateway.count_as(&settings)?;
        }
        #[cfg(feature = "otel")]
        let (options, exporting) = {
            let begun = self
                .traces
                .map(|said| server::beside(said, &variables, &gateway));
            let (tracer, exporting) = begun.transpose()?.flatten().unzip();
            (Options { tracer, ..options }, exporting)
        };
        Ok(Embedded {
            gateway,
            inner: Arc::new(Inner {
                options,
                client: self.client,
                listener: self.listener,
                #[cfg(feature = "otel")]
                _traced: exporting,
            }),
        })
    }
}

impl fmt::Debug for Embed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embed")
            .field("gateway", &self.gateway)
            .field("edge", &self.edge)
            .finish_non_exhaustive()
    }
}

/// A gateway as a service that knows its clients; made by [`Embed`]. Cloning it is cheap, and clones share everything.
///
/// Readiness and `WebSocket`s are as with a [`Gateway`] as a service.
#[derive(Clone)]
pub struct Embedded {
    gateway: Gateway,
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    client: Option<ClientOf>,
    listener: Option<Arc<str>>,
    /// Exports spans until this is dropped.
    #[cfg(feature = "otel")]
    _traced: Option<server::Traced>,
}

impl Embedded {
    /// A gateway with the options of a server that has no sockets.
    #[cfg(feature = "lambda")]
    pub(super) fn of(gateway: Gateway, options: Options) -> Self {
        let (client, listener) = (None, None);
        Self {
            gateway,
            inner: Arc::new(Inner {
                options,
                client,
                listener,
                #[cfg(feature = "otel")]
                _traced: None,
            }),
        }
    }

    /// The gateway, to be asked whether it is [ready](Gateway::is_ready), or to be [drained](Gateway::drain).
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }
}

impl<B> tower_service::Service<http::Request<B>> for Embedded
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = GatewayFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.gateway.start();
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: http::Request<B>) -> GatewayFuture {
        self.gateway.start();
        let (gateway, inner) = (self.gateway.clone(), Arc::clone(&self.inner));
        let (req, known) = inner.identify(req.map(Body::new));
        answered(req, self.gateway.watch(), |mut req, tally| async move {
            let is_trusted = known.as_deref().is_some_and(|client| inner.trusts(client));
            let client = known.unwrap_or_else(|| Arc::new(Client::new(None)));
            let client = inner.placed(client);
            let options = &inner.options;
            server::dispatch(&gateway, options, &client, is_trusted, &mut req, &tally).await
        })
    }
}

impl Inner {
    /// Who sends a request, if that is known.
    fn identify(&self, req: Request) -> (Request, Option<Arc<Client>>) {
        if let Some(client) = req.extensions().get::<Arc<Client>>().cloned() {
            return (req, Some(client));
        }
        let Some(of) = &self.client else {
            return (req, None);
        };
        let (parts, body) = req.into_parts();
        let client = Arc::new(of(&parts));
        (Request::from_parts(parts, body), Some(client))
    }

    /// The client at the listener that this stands for.
    fn placed(&self, client: Arc<Client>) -> Arc<Client> {
        match &self.listener {
            Some(name) if client.listener().is_none() => {
                Arc::new(Arc::unwrap_or_clone(client).on(Arc::clone(name)))
            }
            _ => client,
        }
    }

    /// Whether the client is a proxy whose word is taken, which has not been done already.
    fn trusts(&self, client: &Client) -> bool {
        let trusted = self.options.trusted.as_ref();
        !client.is_behind() && trusted.is_some_and(|proxies| proxies.has(client.peer_ip()))
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}
