//! What a handler or a layer can ask of a request that was routed: parameters, the route, the client.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderValue, uri::PathAndQuery};

use super::RouteInfo;
use crate::{
    client::Client,
    forward::upgrade::Asked,
    handler::{Parts, Request},
    identity::Principal,
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
        param(self.route.path, self.path.path(), name)
    }
}

/// Cuts the value of `{name}` out of `path`, which `pattern` is known to take.
pub(crate) fn param<'p>(pattern: &str, path: &'p str, name: &str) -> Option<&'p str> {
    let mut rest = path.strip_prefix('/')?;
    for segment in pattern.strip_prefix('/')?.split('/') {
        if let Some(inner) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            if let Some(tail) = inner.strip_prefix('*') {
                return (tail == name).then_some(rest);
            }
            let (own, _) = inner.split_once(':').unwrap_or((inner, ""));
            if own == name {
                return rest.split('/').next();
            }
        }
        rest = rest.split_once('/').map_or("", |(_, tail)| tail);
    }
    None
}

/// The names of the parameters of a path: `id` and `rest` of `/{id: int}/{*rest}`.
pub(crate) fn names(pattern: &str) -> impl Iterator<Item = &str> {
    let parameters = pattern
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    parameters.map(|inner| {
        let name = inner.strip_prefix('*').unwrap_or(inner);
        name.split_once(':').map_or(name, |(name, _)| name)
    })
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

    /// The address of the client.
    fn client_ip(&self) -> Option<IpAddr> {
        self.client().and_then(Client::ip)
    }
}

macro_rules! request_ext {
    ($type:ty, |$this:ident| $extensions:expr) => {
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

            fn upgrade(&self) -> Option<&HeaderValue> {
                let $this = self;
                $extensions.get::<Asked>().map(Asked::protocols)
            }
        }
    };
}

request_ext!(Request, |req| req.extensions());
request_ext!(Parts, |parts| parts.extensions);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_cut_out_by_name() {
        let pattern = "/v1/{tenant}/files/{*rest}";
        let path = "/v1/acme/files/a/b.txt";
        assert_eq!(param(pattern, path, "tenant"), Some("acme"));
        assert_eq!(param(pattern, path, "rest"), Some("a/b.txt"));
        assert_eq!(param(pattern, path, "id"), None);
    }

    #[test]
    fn a_parameter_before_the_rest_of_a_prefix_is_one_segment() {
        assert_eq!(param("/users/{id}", "/users/7/orders", "id"), Some("7"));
        assert_eq!(param("/users/{id}", "/users/7/", "id"), Some("7"));
        let typed = "/{v: 'v1' | 'v2'}/{id: int}";
        assert_eq!(param(typed, "/v2/7", "v"), Some("v2"));
        assert_eq!(param(typed, "/v2/7", "id"), Some("7"));
    }
}
