//! What a gateway knows of itself before it is made: its tables, and which route would take a request.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use http::{HeaderMap, Method, StatusCode, Uri, Version, header, uri::Authority};

use super::{Gateway, IntoGateway, MAX_URI};
use crate::{
    body::Body,
    client::Client,
    error::{Failure, Result},
    forward::{
        headers::{self, Present},
        host, path,
    },
    handler::Request,
    route::{Explanation, Hosts, Known, Routes, Table, Variables},
    vars::Env,
};

/// The tables of a gateway, which are there before it is made.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    table: &'static Table,
    routes: Routes,
    variables: Variables,
    version: Option<(&'static str, &'static str)>,
    /// The listener that requests come to.
    listener: Option<&'static str>,
}

impl Description {
    /// The description that these tables make.
    pub const fn new(table: &'static Table, routes: Routes, variables: Variables) -> Self {
        Self {
            table,
            routes,
            variables,
            version: None,
            listener: None,
        }
    }

    /// The same with the name and the version of the package that the gateway is written in, if they are known.
    #[must_use]
    pub const fn versioned(
        mut self,
        name: Option<&'static str>,
        version: Option<&'static str>,
    ) -> Self {
        if let (Some(name), Some(version)) = (name, version) {
            self.version = Some((name, version));
        }
        self
    }

    /// The same for requests that come to the listener of this name; `None` if no `on` has it.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::Description;
    ///
    /// fn scraped(description: &Description) -> Option<&'static str> {
    ///     let internal = description.on("internal")?;
    ///     internal.explain("GET", "/metrics").route().map(|route| route.target)
    /// }
    /// ```
    #[must_use]
    pub fn on(&self, listener: &str) -> Option<Self> {
        let name = self.table.listeners().find(|name| *name == listener)?;
        Some(Self {
            listener: Some(name),
            ..*self
        })
    }

    /// The names of the listeners that have routes of their own.
    pub fn listeners(&self) -> impl Iterator<Item = &'static str> {
        self.table.listeners()
    }

    /// The name and the version of the package that the gateway is written in.
    pub fn version(&self) -> Option<(&'static str, &'static str)> {
        self.version
    }

    /// The table of routes, in the order of the source.
    pub fn routes(&self) -> Routes {
        self.routes
    }

    /// The variables of the environment that are read when the gateway is made.
    pub fn variables(&self) -> Variables {
        self.variables
    }

    /// Says which route would take a request, and why; `url` is absolute, or a path for a request that names no host.
    pub fn explain(&self, method: &str, url: &str) -> Explanation {
        self.explain_among(None, method, url, None)
    }

    /// The same for a request with these headers, from this address, so that guards are decided, but for closures. A `Host` among
    /// the headers counts where `url` is a path.
    ///
    /// Fields that the gateway removes from the request of a client, such as what only a trusted proxy may claim, are removed
    /// here too. Fields that its layers write for upstreams are not: the description does not have the layers.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use http::{HeaderMap, HeaderValue};
    /// use prox::Description;
    ///
    /// fn beta(description: &Description) -> Option<&'static str> {
    ///     let headers = HeaderMap::from_iter([("x-beta".parse().ok()?, HeaderValue::from_static("1"))]);
    ///     let explanation = description.explain_with("GET", "/users/7", &headers, None);
    ///     explanation.route().map(|route| route.target)
    /// }
    /// ```
    pub fn explain_with(
        &self,
        method: &str,
        url: &str,
        headers: &HeaderMap,
        from: Option<IpAddr>,
    ) -> Explanation {
        self.explain_among(None, method, url, Some((headers, from)))
    }

    /// The same where tables have these hosts.
    pub(crate) fn explain_among(
        &self,
        hosts: Option<&Hosts>,
        method: &str,
        url: &str,
        whole: Option<Whole<'_>>,
    ) -> Explanation {
        explained(self, method, url, whole, hosts)
    }

    /// The hosts from the variables of the environment; a malformed variable has no host.
    pub(crate) fn hosts(&self) -> Option<Hosts> {
        let env = Env::current();
        let mut hosts = Hosts::default();
        let value = |name: &str| {
            let text = env.get(name).ok()?;
            let default = || {
                let variable = self.variables.iter().find(|row| row.name == name)?;
                variable.plain_default()
            };
            text.or_else(default)?.parse().ok()
        };
        for table in self.table.with_mounted_tables() {
            // Making the gateway reports duplicates.
            hosts.set(table, &value);
        }
        Some(hosts).filter(|hosts| !hosts.is_empty())
    }
}

/// What can be [described](Description) without being made: every gateway with a name.
///
/// The macro writes this for `pub struct Shop;`. A gateway without a name has no type of its own to hang its tables on, so
/// it has to be made first: that is what `None` says.
pub trait Describe: IntoGateway {
    /// The description of every gateway of this type.
    fn describe() -> Option<Description> {
        None
    }
}

impl Describe for Gateway {}

impl<G: Describe> Describe for Result<G> {
    fn describe() -> Option<Description> {
        G::describe()
    }
}

impl Gateway {
    /// The tables of the gateway.
    pub fn description(&self) -> Description {
        Description::new(self.0.table, self.0.routes, self.0.variables)
    }
}

/// Explains which route of a gateway would take `method` on `url`, an absolute URL or a path.
///
/// The method, the host and the path are read as those of a request: what a request would be refused for is refused here.
pub fn explain(
    table: &'static Table,
    routes: Routes,
    method: impl AsRef<str>,
    url: impl AsRef<str>,
) -> Explanation {
    let description = Description::new(table, routes, Variables::new(&[]));
    description.explain(method.as_ref(), url.as_ref())
}

/// The headers of a request, and the address that it comes from.
pub(crate) type Whole<'a> = (&'a HeaderMap, Option<IpAddr>);

fn explained(
    description: &Description,
    method: &str,
    url: &str,
    whole: Option<Whole<'_>>,
    hosts: Option<&Hosts>,
) -> Explanation {
    let Description {
        table,
        routes,
        listener,
        ..
    } = *description;
    let asked = match read(method, url, whole.map(|(headers, _)| headers)) {
        Ok(asked) => asked,
        Err(failure) => return Explanation::refused(method, url, failure),
    };
    let (mut parts, _) = Request::new(Body::empty()).into_parts();
    parts.method = asked.method.clone();
    parts.uri = asked.target.clone();
    if let Some((headers, from)) = whole {
        let client = Client::new(from.map(|ip| (ip, 0).into()));
        parts.headers = headers.clone();
        let present = Present::of_client(&parts.headers, None);
        if let Err(failure) = headers::admit(&mut parts.headers, present, &client) {
            return Explanation::refused(method, url, failure);
        }
        parts.extensions.insert(Arc::new(client));
    }
    let known = Known {
        parts: &parts,
        whole: whole.is_some(),
        slashes: asked.slashes,
        listener,
        hosts,
    };
    let methods = table.method(&asked.method);
    let explanation = Explanation::of(
        method,
        &asked.host,
        &asked.path,
        routes,
        methods,
        table,
        known,
    );
    // A path with an encoded slash that no route takes is malformed.
    if asked.slashes
        && explanation
            .status()
            .is_some_and(|status| status != StatusCode::BAD_REQUEST)
    {
        return Explanation::refused(method, url, Failure::MalformedRequest);
    }
    explanation
}

/// What a request for a URL asks for.
struct Asked {
    method: Method,
    host: String,
    /// The canonical path, and whether it has an encoded slash.
    path: String,
    slashes: bool,
    /// The path with the query.
    target: Uri,
}

fn read(method: &str, url: &str, headers: Option<&HeaderMap>) -> Result<Asked, Failure> {
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Failure::MalformedRequest)?;
    let (authority, target) = split(url);
    if target.len() > MAX_URI {
        return Err(Failure::UriTooLong);
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (path, slashes) = path::with_slashes(path)?;
    let path = path.into_owned();
    let named = headers.and_then(|headers| headers.get(header::HOST));
    let named = named.and_then(|host| host.to_str().ok());
    let host = match authority.or(named) {
        None => String::new(),
        Some(authority) => host_of(authority)?,
    };
    let mark = if query.is_empty() { "" } else { "?" };
    Ok(Asked {
        method,
        host,
        target: format!("{path}{mark}{query}")
            .parse()
            .map_err(|_| Failure::MalformedRequest)?,
        path,
        slashes,
    })
}

/// As it would stand in `Host`: a client sends no user.
fn host_of(authority: &str) -> Result<String, Failure> {
    let named = authority.rsplit('@').next().unwrap_or_default();
    let authority: Authority = named.parse().map_err(|_| Failure::MalformedRequest)?;
    let uri = http::Uri::builder()
        .authority(authority)
        .build()
        .map_err(|_| Failure::MalformedRequest)?;
    let headers = http::HeaderMap::new();
    host::of(&uri, &headers, Version::HTTP_2).map(Cow::into_owned)
}

/// The authority, if there is one, and the path with its query. A client sends no fragment, and a path that is never empty.
fn split(url: &str) -> (Option<&str>, String) {
    let url = url.split('#').next().unwrap_or_default();
    let (authority, target) = match url.split_once("://") {
        Some((_, rest)) => {
            let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(authority), target)
        }
        None => (None, url),
    };
    if target.is_empty() || target.starts_with('?') {
        (authority, format!("/{target}"))
    } else {
        (authority, target.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Result<(String, String), Failure> {
        read("GET", url, None).map(|asked| (asked.host, asked.path))
    }

    #[test]
    fn a_url_is_read_as_a_request_for_it_would_be() {
        let cases = [
            (
                "https://API.example.com:8443/v1?x=/y",
                "api.example.com",
                "/v1",
            ),
            ("http://u@a.b./#x", "a.b", "/"),
            ("http://a.b?x", "a.b", "/"),
            ("http://[::1]:80/x", "[::1]", "/x"),
            ("/just/a/path?q", "", "/just/a/path"),
            ("", "", "/"),
            (
                "http://a.b/x/../%7euser/caf\u{e9}/%c3%A9",
                "a.b",
                "/~user/caf%C3%A9/%C3%A9",
            ),
            ("/a/./b/..", "", "/a/"),
        ];
        for (url, host, path) in cases {
            assert_eq!(place(url), Ok((host.to_owned(), path.to_owned())), "{url}");
        }
    }

    #[test]
    fn what_a_request_is_refused_for_is_refused() {
        for url in [
            "/a/../..",
            "/a b",
            "no/slash",
            "http://a b/",
            "http:///x",
            "http://a:99999/",
            "/a?b c",
            "/a?b=\u{7f}",
        ] {
            assert_eq!(place(url), Err(Failure::MalformedRequest), "{url}");
        }
        assert!(read("G T", "/", None).is_err());
        let long = format!("/{}", "a".repeat(MAX_URI));
        assert_eq!(place(&long), Err(Failure::UriTooLong));
    }
}
