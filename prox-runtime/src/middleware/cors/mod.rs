//! Lets pages of other origins use what stands behind it (Fetch, 3.2).

mod fields;
#[cfg(test)]
mod tests;

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use http::{HeaderValue, Method, StatusCode, header};

use self::fields::Lists;
use super::{
    About, Declares, Middleware, Role,
    fields::vary,
    origins::Origins,
    role,
    steps::{self, Head, Kept, Needs, Passed, Step},
};
use crate::{
    body::Body,
    error::Failure,
    handler::{Parts, Response},
    respond,
    route::{Answerable, Methods, OwnMethods, asked_method},
};

/// Answers preflights, and says in responses which origins may read them.
///
/// It stands at the top of a gateway, on a host, on a scope or on a route, outside of layers that turn callers away: a preflight has
/// no credentials, and a page can read a `401`, a `429` or a `502` only if the response has passed this layer.
///
/// # Preflights
///
/// A preflight is an `OPTIONS` request with `Origin` and `Access-Control-Request-Method`. It goes to the route of the method that it
/// asks for, so `POST "/notes" => notes with [Cors::origins([..])]` needs no route for `OPTIONS`. Guards on fields do not count for
/// it. A route that names `OPTIONS` at that path goes first. The answer is
///
/// - `204` with the `Access-Control-*` fields and `Vary`, when the origin, the method and the fields are allowed,
/// - `403` ([`Failure::CrossOrigin`]) when one of them is not. For an origin that is not allowed it has no `Access-Control-*` field,
/// - `404` or `405` where no route with this layer takes the method.
///
/// Other `OPTIONS` requests pass.
///
/// # Other requests
///
/// All of them pass, whatever their origin: a browser hides the response from a page that may not read it, but the request was
/// made. [`Csrf`](super::Csrf) refuses such requests. All `Access-Control-*` fields of an upstream are removed, then those
/// of the layer are written. `Vary` gets `Origin`, except for [`any`](Self::any). Of several such layers around a route the
/// outermost one counts.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use http::{HeaderValue, header};
/// use prox::{Body, Middleware, Next, Request, middleware::Cors, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let cors = Cors::origins(["https://shop.example.com", "https://*.example.org"]).credentials();
/// let mut req = Request::new(Body::empty());
/// req.headers_mut().insert(header::ORIGIN, HeaderValue::from_static("https://a.example.org"));
/// let response = cors.handle(req, Next::new(handler(|_| async { "hello" }))).await;
/// assert_eq!(response.headers()["access-control-allow-origin"], "https://a.example.org");
/// assert_eq!(response.headers()["access-control-allow-credentials"], "true");
/// assert_eq!(response.headers()["vary"], "origin");
/// # });
/// ```
#[derive(Clone)]
pub struct Cors<O = ListedOrigins> {
    allow: Allow,
    credentials: bool,
    private_network: bool,
    lists: Lists,
    problems: Vec<String>,
    kind: PhantomData<fn() -> O>,
}

/// Marks a [`Cors`] layer that allows some origins, and may allow credentials.
#[derive(Clone, Copy, Debug)]
pub struct ListedOrigins(());

/// Marks a [`Cors`] layer that allows every origin.
#[derive(Clone, Copy, Debug)]
pub struct AnyOrigin(());

#[derive(Clone)]
enum Allow {
    Any,
    Listed(Origins),
    If(Arc<Predicate>),
}

type Predicate = dyn Fn(&str, &Parts) -> bool + Send + Sync;

impl Cors<ListedOrigins> {
    /// Allows these origins: scheme, host, and port unless it is the default one of the scheme.
    ///
    /// `https://*.example.com` allows all subdomains of `example.com`, of one label or more, and not `example.com` itself. What is
    /// not an origin is an error when the gateway starts. `null` is never allowed, because any sandboxed document has it.
    pub fn origins<E: AsRef<str>>(origins: impl IntoIterator<Item = E>) -> Self {
        let (mut listed, mut wrong) = (Origins::default(), Vec::new());
        listed.add(origins, &mut wrong);
        Self {
            problems: wrong,
            ..Self::of(Allow::Listed(listed))
        }
    }

    /// Allows the origins for which the function says so, such as those of a tenant. It gets the origin and the request.
    ///
    /// It is called for each request with one `Origin` field, so it must be quick and must not block. It is not asked about `null`.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{RequestExt, middleware::Cors};
    ///
    /// // For routes with `{tenant}` in their path.
    /// let cors = Cors::origin_if(|origin, parts| {
    ///     let tenant = parts.param("tenant").unwrap_or_default();
    ///     origin == format!("https://{tenant}.example.com")
    /// });
    /// # let _ = cors;
    /// ```
    pub fn origin_if(allows: impl Fn(&str, &Parts) -> bool + Send + Sync + 'static) -> Self {
        Self::of(Allow::If(Arc::new(allows)))
    }

    /// Allows pages to send cookies, certificates and stored passwords, and to read the responses to such requests. By default they
    /// may not.
    ///
    /// [`Cors::any`] does not have it: every page on the web could act with the rights of its reader.
    ///
    /// ```compile_fail
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// prox::middleware::Cors::any().credentials();
    /// ```
    pub fn credentials(mut self) -> Self {
        self.credentials = true;
        self
    }
}

impl Cors<AnyOrigin> {
    /// Allows every origin, without credentials: for what anyone may read.
    pub fn any() -> Self {
        Self::of(Allow::Any)
    }
}

impl<O> Cors<O> {
    fn of(allow: Allow) -> Self {
        Self {
            allow,
            credentials: false,
            private_network: false,
            lists: Lists::default(),
            problems: Vec::new(),
            kind: PhantomData,
        }
    }

    /// The methods that pages may use; by default those for which there is a route with this layer at the path.
    ///
    /// A method of the list that no such route has is not allowed. A name that is not a method, and one that no browser sends, are
    /// errors when the gateway starts.
    pub fn methods<E: AsRef<str>>(mut self, methods: impl IntoIterator<Item = E>) -> Self {
        self.lists.methods(methods, &mut self.problems);
        self
    }

    /// The request fields that pages may set beyond those that every page may; by default `content-type` and `authorization`. The
    /// list replaces these.
    ///
    /// What is not the name of a field is an error when the gateway starts, and so is `*`, which does not include `authorization`.
    pub fn headers<E: AsRef<str>>(mut self, names: impl IntoIterator<Item = E>) -> Self {
        self.lists.headers(names, &mut self.problems);
        self
    }

    /// The response fields that pages may read beyond those that every page may; by default none.
    ///
    /// What is not the name of a field is an error when the gateway starts, and so is `*`.
    pub fn expose<E: AsRef<str>>(mut self, names: impl IntoIterator<Item = E>) -> Self {
        self.lists.expose(names, &mut self.problems);
        self
    }

    /// How long a browser may keep the answer to a preflight, in whole seconds; 10 minutes by default. Browsers cut it, Chromium to
    /// 2 hours.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.lists.max_age = HeaderValue::from(age.as_secs());
        self
    }

    /// Allows pages of public networks to use a gateway in a private one (Private Network Access). By default they may not.
    pub fn private_network(mut self) -> Self {
        self.private_network = true;
        self
    }

    /// What `Access-Control-Allow-Origin` says of the caller. Nothing for a denied one, and for one that does not say where it is from:
    /// a request of the same origin, or not of a browser.
    fn caller(&self, head: &Head<'_>) -> Option<HeaderValue> {
        if let Allow::Any = self.allow {
            return Some(HeaderValue::from_static("*"));
        }
        let mut sent = head.headers().get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (sent.next(), sent.next()) else {
            return None;
        };
        let allowed = match &self.allow {
            Allow::Listed(origins) => origins.has(origin),
            Allow::If(allows) => {
                let text = origin.to_str().ok()?;
                text != "null" && allows(text, head.taken()?)
            }
            Allow::Any => true,
        };
        allowed.then(|| origin.clone())
    }

    /// Answers a preflight that asks for a method of a route behind the layer.
    fn preflight(&self, head: &Head<'_>, asked: &Method, answerable: Methods) -> Response {
        let own = OwnMethods::of(head.extensions());
        let Some(origin) = self.caller(head) else {
            let mut response = respond::failure(Failure::CrossOrigin, false);
            fields::vary_preflight(response.headers_mut());
            return response;
        };
        let methods = self.lists.allowed(asked, answerable, own);
        let allowed = methods.is_some() && self.lists.allows_fields(head.headers());
        let mut response = if allowed {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        } else {
            respond::failure(Failure::CrossOrigin, false)
        };
        let headers = response.headers_mut();
        fields::vary_preflight(headers);
        self.allow_origin(headers, origin);
        let methods = methods.or_else(|| self.lists.listed(answerable, own));
        self.lists.write(headers, methods);
        if self.private_network && fields::asks_for_private_network(head.headers()) {
            headers.insert(fields::ALLOW_PRIVATE_NETWORK, fields::TRUE);
        }
        response
    }

    fn allow_origin(&self, headers: &mut http::HeaderMap, origin: HeaderValue) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, fields::TRUE);
        }
    }

    /// Writes the fields of a response that is not the answer to a preflight, for an origin that may read it.
    fn write(&self, headers: &mut http::HeaderMap, origin: Option<HeaderValue>) {
        fields::remove(headers);
        if !matches!(self.allow, Allow::Any) {
            vary(headers, "origin");
        }
        if let Some(origin) = origin {
            self.allow_origin(headers, origin);
            if let Some(names) = &self.lists.expose {
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, names.clone());
            }
        }
    }
}

/// Kept of a preflight that another layer, or the target of another route, answers.
const OF_PREFLIGHT: usize = 1;

impl<O: 'static> Step for Cors<O> {
    fn needs(&self) -> Needs {
        match self.allow {
            Allow::If(_) => Needs::EXTENSIONS,
            Allow::Any | Allow::Listed(_) => Needs::NOTHING,
        }
    }

    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        if let Allow::If(_) = self.allow {
            head.parts();
        }
        let asked = asked_method(head.method(), head.headers());
        if let Some(asked) = &asked {
            // Without a gateway around it there is no route that could not take the method.
            let known = head.extensions().get::<Answerable>();
            let answerable = known.map_or(Methods::ALL, |known| known.0);
            if answerable.contains(OwnMethods::of(head.extensions()).method(asked)) {
                return Some(Err(Box::new(self.preflight(head, asked, answerable))));
            }
        }
        Some(Ok(match (self.caller(head), asked) {
            (None, _) => Kept::Number(0),
            (Some(origin), None) => Kept::Field(origin),
            (Some(origin), Some(_)) => Kept::Numbered(origin, OF_PREFLIGHT),
        }))
    }

    fn after(&self, kept: Kept, response: &mut Response) {
        let origin = match kept {
            Kept::Field(origin) => Some(origin),
            // A success is not a word of this layer.
            Kept::Numbered(origin, OF_PREFLIGHT) if !response.status().is_success() => Some(origin),
            _ => None,
        };
        self.write(response.headers_mut(), origin);
    }
}

impl<O: 'static> Middleware for Cors<O> {
    steps::as_middleware!();

    fn about(&self, about: &mut About) {
        about.preflight().role(Role::Preflights);
        for problem in &self.problems {
            about.problem(format!("`Cors`: {problem}"));
        }
    }
}

impl<O> Declares for Cors<O> {
    type Role = role::Preflights;
}

impl<O> fmt::Debug for Cors<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Cors");
        match &self.allow {
            Allow::Any => debug.field("origins", &"any"),
            Allow::Listed(origins) => debug.field("origins", origins),
            Allow::If(_) => debug.field("origins", &"by a function"),
        };
        debug
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
