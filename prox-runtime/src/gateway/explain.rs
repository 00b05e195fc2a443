//! What a gateway knows of itself before it is made: its tables, and which route would take a request.

use std::borrow::Cow;

use http::{Method, Version, uri::Authority};

use super::{Gateway, IntoGateway, MAX_URI};
use crate::{
    error::{Failure, Result},
    forward::{host, path},
    route::{Explanation, Methods, Routes, Table, Variables},
};

/// The tables of a gateway, which are there before it is made.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    table: &'static Table,
    routes: Routes,
    variables: Variables,
}

impl Description {
    /// The description that these tables make.
    pub const fn new(table: &'static Table, routes: Routes, variables: Variables) -> Self {
        Self {
            table,
            routes,
            variables,
        }
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
        explain(self.table, self.routes, method, url)
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
    let (method, url) = (method.as_ref(), url.as_ref());
    match read(table, method, url) {
        Ok((methods, host, path)) => Explanation::of(
            method,
            &host,
            &path,
            routes,
            methods,
            table.find(&host, &path),
            table.own_methods(),
        ),
        Err(failure) => Explanation::refused(method, url, failure),
    }
}

/// The method, the host and the canonical path of a request for `url`.
fn read(table: &Table, method: &str, url: &str) -> Result<(Methods, String, String), Failure> {
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Failure::MalformedRequest)?;
    let (authority, target) = split(url);
    if target.len() > MAX_URI {
        return Err(Failure::UriTooLong);
    }
    let path = target.split('?').next().unwrap_or_default();
    let path = path::canonical(path)?.into_owned();
    let host = match authority {
        None => String::new(),
        Some(authority) => host_of(authority)?,
    };
    Ok((table.method(&method), host, path))
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

    static EMPTY: Table = Table::new("", &[], &[], &[], &[], &[]);

    fn place(url: &str) -> Result<(String, String), Failure> {
        read(&EMPTY, "GET", url).map(|(_, host, path)| (host, path))
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
            "/a%2Fb",
            "/a b",
            "no/slash",
            "http://a b/",
            "http:///x",
            "http://a:99999/",
        ] {
            assert_eq!(place(url), Err(Failure::MalformedRequest), "{url}");
        }
        assert!(read(&EMPTY, "G T", "/").is_err());
        let long = format!("/{}", "a".repeat(MAX_URI));
        assert_eq!(place(&long), Err(Failure::UriTooLong));
    }
}
