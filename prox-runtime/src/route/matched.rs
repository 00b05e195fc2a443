//! What a handler or a layer can ask of a request that was routed: parameters, the route, the client.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderValue, uri::PathAndQuery};

use super::RouteInfo;
use crate::{
    client::Client,
    forward::{pattern, upgrade::Asked},
    handler::{Parts, Request},
    identity::Principal,
    observe::TraceContext,
    watch::Tally,
};

/// The route that took a request, and the path as it was when it did.
///
/// Parameters are not captured while matching: each is cut out of the path when it is asked for.
#[derive(Clone, Debug)]
pub struct Matched {
    route: &'static RouteInfo,
    path: PathAndQuery,
}

impl Matched {
    pub(crate) fn new(route: &'static RouteInfo, path: PathAndQuery) -> Self {
        Self { route, path }
    }

    /// The row of the route in the gateway's table.
    pub fn route(&self) -> &'static RouteInfo {
        self.route
    }

    /// The path, in its canonical form.
    pub fn path(&self) -> &str {
        self.path.path()
    }

    /// The text of `{name}` in the path, as it was sent: percent-encoded.
    pub fn param(&self, name: &str) -> Option<&str> {
        pattern::param(self.route.path, self.path.path(), name)
    }
}

/// What Prox knows of a request, as methods on the request and on its head.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, Request, RequestExt};
///
/// let req = Request::new(Body::empty());
/// assert_eq!(req.param("id"), None); // it was not routed
/// ```
pub trait RequestExt {
    /// The text of `{name}` in the route's path, percent-encoded as it was sent; `None` when the route has no such name.
    fn param(&self, name: &str) -> Option<&str>;

    /// The row of the route in the gateway's table.
    fn route(&self) -> Option<&'static RouteInfo>;

    /// The connection that the request came on.
    fn client(&self) -> Option<&Client>;

    /// The protocols that the request asks for in `Upgrade`, such as `websocket`, where the client's connection can be switched.
    ///
    /// The request itself has no `Upgrade` and no `Connection` field any more: these belong to the client's connection. A proxied
    /// target asks its upstream for the same protocols.
    fn upgrade(&self) -> Option<&HeaderValue>;

    /// Who the caller is, behind an [authenticator](crate::auth::Authenticate); `None` if no authenticator has admitted it.
    ///
    /// Guards run before layers, and never see it.
    fn principal(&self) -> Option<&Principal>;

    /// What becomes of the request, for layers; `None` where no gateway has routed it, and where there are no layers.
    fn tally(&self) -> Option<&Tally>;

    /// The trace that the request belongs to; `None` if it has no valid `traceparent` and the gateway does not trace.
    fn trace_context(&self) -> Option<TraceContext>;

    /// All that is known of the caller, as the type that the authenticator was told to read: `Jwt::claims`, `Introspect::claims`.
    fn claims<T: 'static>(&self) -> Option<&T> {
        self.principal().and_then(Principal::typed)
    }

    /// The address of the client.
    fn client_ip(&self) -> Option<IpAddr> {
        self.client().and_then(Client::ip)
    }
}

macro_rules! request_ext {
    ($type:ty, |$this:ident| $extensions:expr, $headers:expr) => {
        impl RequestExt for $type {
            fn param(&self, name: &str) -> Option<&str> {
                let $this = self;
                $extensions.get::<Matched>()?.param(name)
            }

            fn route(&self) -> Option<&'static RouteInfo> {
                let $this = self;
                Some($extensions.get::<Matched>()?.route())
            }

            fn client(&self) -> Option<&Client> {
                let $this = self;
                $extensions.get::<Arc<Client>>().map(AsRef::as_ref)
            }

            fn principal(&self) -> Option<&Principal> {
                let $this = self;
                $extensions.get::<Principal>()
            }

            fn tally(&self) -> Option<&Tally> {
                let $this = self;
                $extensions.get::<Tally>()
            }

            fn upgrade(&self) -> Option<&HeaderValue> {
                let $this = self;
                $extensions.get::<Asked>().map(Asked::protocols)
            }

            fn trace_context(&self) -> Option<TraceContext> {
                let $this = self;
                let own = $extensions.get::<TraceContext>().copied();
                own.or_else(|| TraceContext::of($headers))
            }
        }
    };
}

request_ext!(Request, |req| req.extensions(), req.headers());
request_ext!(Parts, |parts| parts.extensions, &parts.headers);
