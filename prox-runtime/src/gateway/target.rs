//! What may stand right of `=>`.

use http::{HeaderValue, StatusCode, header};

use super::{Split, location::Location, measures::Awaited, readiness::Pending};
use crate::{
    body::Body,
    cluster::{Cluster, ClusterBuilder, Endpoint, upstream},
    error::{Error, Failure, Result},
    handler::{BoxHandler, Handler, IntoResponse, Request, Response},
    proxy::Proxy,
    respond as responses,
};

/// The target of a route, whatever it is.
#[derive(Debug)]
pub struct Target(pub(super) Kind);

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a target is made once, and is moved a few times"
)]
pub(super) enum Kind {
    Proxy(Proxy),
    /// The clusters that may get its requests, and its locations that depend on the request.
    Handler(BoxHandler, Vec<Cluster>, Vec<Location>),
    /// Says whether the gateway is ready, once it knows.
    Readiness(BoxHandler, Pending),
    /// Tells the metrics of the gateway, once it is put together.
    Metrics(BoxHandler, Awaited),
}

impl Target {
    fn handler(handler: impl Handler) -> Self {
        let handler = BoxHandler::new(handler);
        Self(Kind::Handler(handler, Vec::new(), Vec::new()))
    }

    pub(super) fn into_handler(self) -> BoxHandler {
        match self.0 {
            Kind::Proxy(proxy) => BoxHandler::new(proxy),
            Kind::Handler(handler, ..)
            | Kind::Readiness(handler, _)
            | Kind::Metrics(handler, _) => handler,
        }
    }

    /// The clusters that may get its requests.
    pub(super) fn clusters(&self) -> &[Cluster] {
        match &self.0 {
            Kind::Proxy(proxy) => std::slice::from_ref(proxy.cluster()),
            Kind::Handler(_, clusters, _) => clusters,
            Kind::Readiness(..) | Kind::Metrics(..) => &[],
        }
    }

    /// The locations that depend on the request.
    pub(super) fn locations(&self) -> &[Location] {
        match &self.0 {
            Kind::Handler(.., locations) => locations,
            Kind::Proxy(_) | Kind::Readiness(..) | Kind::Metrics(..) => &[],
        }
    }

    /// What is wrong with its locations on a route with this path.
    pub(super) fn check_locations(&self, path: &str) -> Vec<String> {
        let locations = self.locations();
        let lacks = |location: &Location| -> Vec<String> {
            let names = location.lacks(path).map(|name| {
                let text = location.text();
                format!("the location {text:?} names `{{{name}}}`, which the path {path:?} lacks")
            });
            names.collect()
        };
        locations.iter().flat_map(lacks).collect()
    }
}

/// Whatever may be the target of a route: a cluster, a backend, or a [`Handler`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a target",
    label = "this cannot answer a route",
    note = "a target is a URL, a backend, `cluster(..)`, `handler(f)`, `service(s)`, `redirect(..)`, `respond(..)`, or a type that implements `prox::Handler`"
)]
pub trait IntoTarget {
    /// Makes the target; `name` stands for it in logs and errors if it has none of its own.
    ///
    /// # Errors
    ///
    /// When it is not what it should be; reported when the gateway starts.
    fn into_target(self, name: &str) -> Result<Target>;
}

#[diagnostic::do_not_recommend]
impl<H: Handler> IntoTarget for H {
    fn into_target(self, _: &str) -> Result<Target> {
        Ok(Target::handler(self))
    }
}

impl IntoTarget for ClusterBuilder {
    fn into_target(self, name: &str) -> Result<Target> {
        self.build(name)?.into_target(name)
    }
}

impl IntoTarget for Cluster {
    fn into_target(self, _: &str) -> Result<Target> {
        if let Some(problem) = self.problem() {
            return Err(Error::config(problem));
        }
        Ok(Target(Kind::Proxy(Proxy::new(self))))
    }
}

impl IntoTarget for Endpoint {
    fn into_target(self, name: &str) -> Result<Target> {
        upstream(self).into_target(name)
    }
}

impl IntoTarget for Target {
    fn into_target(self, _: &str) -> Result<Target> {
        Ok(self)
    }
}

impl IntoTarget for Split {
    fn into_target(self, name: &str) -> Result<Target> {
        self.build(name)
    }
}

/// Whatever may stand right of `backend name =`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a backend",
    label = "expected `cluster(..)` or a URL",
    note = "write `cluster(rr, [\"http://10.0.0.1:8080\"])`; handlers need no `backend`, name them in the route"
)]
pub trait IntoBackend {
    /// Builds the backend under its name.
    ///
    /// # Errors
    ///
    /// All that is wrong with it; reported when the gateway starts.
    fn into_backend(self, name: &str) -> Result<Cluster>;
}

impl IntoBackend for ClusterBuilder {
    fn into_backend(self, name: &str) -> Result<Cluster> {
        self.build(name)
    }
}

impl IntoBackend for Endpoint {
    fn into_backend(self, name: &str) -> Result<Cluster> {
        upstream(self).build(name)
    }
}

impl IntoBackend for Cluster {
    fn into_backend(self, _: &str) -> Result<Cluster> {
        match self.problem() {
            Some(problem) => Err(Error::config(problem)),
            None => Ok(self),
        }
    }
}

/// Sends clients elsewhere; made by [`redirect`].
#[derive(Debug)]
pub struct Redirect {
    status: u16,
    location: String,
}

/// Answers with a redirect: 301, 302, 303, 307 or 308, and where to.
///
/// The location is a path of the same host, or a whole URL. It may have parts of the request in it:
///
/// | part | what it is |
/// |---|---|
/// | `{scheme}` | the scheme of the client's connection, at the start before `://` |
/// | `{host}` | the host of the request, without its port |
/// | `{path}` | the whole path, which starts with `/` |
/// | `{below}` | what the path has below the route's prefix: nothing, or a text that starts with `/` |
/// | `{query}` | `?` and the query, or nothing; `&` and the query behind another `?` |
/// | `{name}` | a parameter of the route, percent-encoded as it was sent |
///
/// ```text
/// "/"         => redirect(308, "https://{host}{path}{query}"),
/// "/old"      => redirect(308, "/new{below}{query}"),
/// "/u/{id}"   => redirect(301, "/users/{id}"),
/// ```
///
/// What a client sends does not move the location to another host, unless `{host}` says so: no parameter can stand before the path,
/// and a location without a host starts with exactly one slash. A request without a host where `{host}` is needed is answered with `400`.
pub fn redirect(status: u16, location: impl Into<String>) -> Redirect {
    Redirect {
        status,
        location: location.into(),
    }
}

impl IntoTarget for Redirect {
    fn into_target(self, name: &str) -> Result<Target> {
        let status = StatusCode::from_u16(self.status)
            .ok()
            .filter(|status| matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308))
            .ok_or_else(|| {
                Error::config(format!(
                    "`{name}`: {} does not redirect: write 301, 302, 303, 307 or 308",
                    self.status
                ))
            })?;
        let location = Location::new(&self.location)
            .map_err(|problem| Error::config(format!("`{name}`: {problem}")))?;
        let sent = move |location: HeaderValue| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = status;
            response.headers_mut().insert(header::LOCATION, location);
            response
        };
        if let Some(location) = location.fixed() {
            return Ok(fixed(move || sent(location.clone())));
        }
        let handler = BoxHandler::new(Moving {
            location: location.clone(),
            sent,
        });
        Ok(Target(Kind::Handler(handler, Vec::new(), vec![location])))
    }
}

/// A redirect whose location depends on the request.
struct Moving<F> {
    location: Location,
    sent: F,
}

impl<F: Fn(HeaderValue) -> Response + Send + Sync + 'static> Handler for Moving<F> {
    async fn call(&self, req: Request) -> Response {
        match self.location.of(&req) {
            Some(location) => (self.sent)(location),
            None => {
                responses::failure(Failure::MalformedRequest, responses::is_grpc(req.headers()))
            }
        }
    }
}

/// Always gives the same answer; made by [`respond`].
#[derive(Debug)]
pub struct Respond {
    status: u16,
    text: String,
}

/// Answers with a status and a text, sent as `text/plain; charset=utf-8`.
pub fn respond(status: u16, text: impl Into<String>) -> Respond {
    Respond {
        status,
        text: text.into(),
    }
}

impl IntoTarget for Respond {
    fn into_target(self, name: &str) -> Result<Target> {
        let status = StatusCode::from_u16(self.status)
            .ok()
            .filter(|status| (200..=599).contains(&status.as_u16()))
            .ok_or_else(|| {
                Error::config(format!(
                    "`{name}`: {} is no status to respond with: write one from 200 to 599",
                    self.status
                ))
            })?;
        let text = bytes::Bytes::from(self.text);
        let empty = text.is_empty() || matches!(status.as_u16(), 204 | 205 | 304);
        Ok(fixed(move || {
            if empty {
                return status.into_response();
            }
            let mut response = Response::new(Body::from(text.clone()));
            *response.status_mut() = status;
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/plain; charset=utf-8"),
            );
            response
        }))
    }
}

/// A handler that looks at nothing.
struct Fixed<F>(F);

impl<F: Fn() -> Response + Send + Sync + 'static> Handler for Fixed<F> {
    async fn call(&self, _: Request) -> Response {
        (self.0)()
    }
}

fn fixed(make: impl Fn() -> Response + Send + Sync + 'static) -> Target {
    Target::handler(Fixed(make))
}
