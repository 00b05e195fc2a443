//! Where a redirect leads: a location with parts of the request in it.
//!
//! | part | what it is |
//! |---|---|
//! | `{scheme}` | the scheme of the client's connection |
//! | `{host}` | the host of the request, without its port |
//! | `{path}` | the whole path, which starts with `/` |
//! | `{below}` | what the path has below the route's prefix: nothing, or a text that starts with `/` |
//! | `{query}` | `?` and the query, or nothing |
//! | `{name}` | a parameter of the route |
//!
//! Nothing that a client sends moves the location to another authority: a parameter cannot stand in the authority, and a
//! location without an authority starts with exactly one slash, whatever the path is.

use http::HeaderValue;

use crate::{
    client::Client,
    forward::{host, pattern::remainder},
    handler::Request,
    route::{Matched, RequestExt, names},
};

/// The location of a redirect, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    text: String,
    parts: Vec<Part>,
    /// Whether it has an authority, or a scheme.
    absolute: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Scheme,
    Host,
    Path,
    Below,
    Query,
    Param(String),
}

impl Location {
    /// Takes a location apart.
    ///
    /// # Errors
    ///
    /// What makes no location, whatever the request is; or one of which a client could choose the authority.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("the location {text:?} {what}");
        if HeaderValue::try_from(text).is_err() {
            return Err(format!("{text:?} cannot stand in a `Location` header"));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| wrong("has a `{` that is not closed"))?;
            parts.push(match name {
                "scheme" => Part::Scheme,
                "host" => Part::Host,
                "path" => Part::Path,
                "below" => Part::Below,
                "query" => Part::Query,
                "" => return Err(wrong("has a parameter without a name")),
                name => Part::Param(name.strip_prefix('*').unwrap_or(name).to_owned()),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let fixed = is_fixed(&parts);
        let authority = authority(text);
        let absolute = authority.is_some() || (fixed && !text.starts_with('/'));
        if let Some(authority) = authority {
            if parts_in(authority).any(|name| name != "host") {
                return Err(wrong(
                    "would let a client choose the host: only `{host}` can stand in it",
                ));
            }
        } else if !fixed
            && !["/", "{path}", "{below}"]
                .iter()
                .any(|start| text.starts_with(start))
        {
            return Err(wrong(
                "must start with `/`, `{path}`, a scheme and `//`, or `{scheme}://`",
            ));
        }
        if !fixed && parts.iter().skip(1).any(|part| *part == Part::Scheme) {
            return Err(wrong("has `{scheme}` elsewhere than at its start"));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
            absolute,
        })
    }

    /// The parameters that it names, and that the path of a route lacks.
    pub(crate) fn lacks<'l>(&'l self, path: &'l str) -> impl Iterator<Item = &'l str> {
        let names = move |name: &str| names(path).any(|own| own == name);
        self.parts.iter().filter_map(move |part| match part {
            Part::Param(name) if !names(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The same for every request, if it has no parts.
    pub(crate) fn fixed(&self) -> Option<HeaderValue> {
        let value = || HeaderValue::try_from(&self.text).ok();
        is_fixed(&self.parts).then(value).flatten()
    }

    /// The location for a request; none if the request has no host where one is needed, or makes none that can be sent.
    pub(crate) fn of(&self, req: &Request) -> Option<HeaderValue> {
        let matched = req.extensions().get::<Matched>();
        let mut out = String::with_capacity(self.text.len() + 64);
        for part in &self.parts {
            // Behind the path `&` and `=` would be read as those of the query.
            let in_query = out.contains(['?', '#']);
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Scheme => out.push_str(req.client().map_or("http", Client::scheme)),
                Part::Host => {
                    let host = host::of(req.uri(), req.headers(), req.version()).ok()?;
                    if host.is_empty() {
                        return None;
                    }
                    out.push_str(&host);
                }
                Part::Path => push(&mut out, req.uri().path(), in_query),
                Part::Below => {
                    let matched = matched?;
                    push(
                        &mut out,
                        remainder(matched.route().path, matched.path()),
                        in_query,
                    );
                }
                Part::Query => {
                    if let Some(query) = req.uri().query() {
                        out.push(if out.contains('?') { '&' } else { '?' });
                        out.push_str(query);
                    }
                }
                Part::Param(name) => push(&mut out, matched?.param(name)?, in_query),
            }
        }
        if !self.absolute {
            // `//evil.example` would be another host, and browsers take `\` for `/`.
            let start = out.find(|c| c != '/' && c != '\\').unwrap_or(out.len());
            out.replace_range(..start, "/");
        }
        HeaderValue::try_from(out).ok()
    }
}

/// Whether a location of these parts is the same for every request.
fn is_fixed(parts: &[Part]) -> bool {
    matches!(parts, [] | [Part::Text(_)])
}

fn push(out: &mut String, text: &str, in_query: bool) {
    if !in_query {
        out.push_str(text);
        return;
    }
    for character in text.chars() {
        match character {
            '&' => out.push_str("%26"),
            '=' => out.push_str("%3D"),
            '+' => out.push_str("%2B"),
            ';' => out.push_str("%3B"),
            character => out.push(character),
        }
    }
}

/// What stands behind `//`, up to the path; none if there is no authority.
fn authority(text: &str) -> Option<&str> {
    let rest = match text.strip_prefix("//") {
        Some(rest) => rest,
        None => text.split_once("://").and_then(|(scheme, rest)| {
            let named = scheme == "{scheme}"
                || (!scheme.is_empty()
                    && scheme
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)));
            named.then_some(rest)
        })?,
    };
    let end = ["/", "?", "#", "{path}", "{below}", "{query}"];
    let end = end.iter().filter_map(|end| rest.find(end)).min();
    rest.get(..end.unwrap_or(rest.len()))
}

fn parts_in(text: &str) -> impl Iterator<Item = &str> {
    text.split('{')
        .skip(1)
        .filter_map(|part| part.split('}').next())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{body::Body, route::RouteInfo};

    fn sent(
        location: &str,
        pattern: &'static str,
        uri: &str,
        host: Option<&str>,
    ) -> Option<String> {
        let route: &'static RouteInfo = Box::leak(Box::new(RouteInfo {
            listener: "",
            path: pattern,
            ..RouteInfo::EMPTY
        }));
        let mut req = Request::new(Body::empty());
        *req.uri_mut() = uri.parse().unwrap();
        if let Some(host) = host {
            req.headers_mut()
                .insert(http::header::HOST, host.parse().unwrap());
        }
        let path = req.uri().path_and_query().unwrap().clone();
        req.extensions_mut().insert(Matched::new(route, path));
        req.extensions_mut().insert(Arc::new(Client::new(None)));
        let location = Location::new(location).unwrap();
        let value = location.of(&req)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn parts_of_the_request_are_put_in_their_places() {
        let host = Some("Shop.example.com:8080");
        let cases = [
            (
                "https://{host}{path}{query}",
                "/",
                "/a/b?x=1&y",
                "https://shop.example.com/a/b?x=1&y",
            ),
            (
                "https://{host}:8443{path}",
                "/",
                "/a?x",
                "https://shop.example.com:8443/a",
            ),
            (
                "{scheme}://www.{host}{path}{query}",
                "/",
                "/",
                "http://www.shop.example.com/",
            ),
            ("/new{below}{query}", "/old", "/old", "/new"),
            ("/new{below}{query}", "/old", "/old/a/?q", "/new/a/?q"),
            (
                "/new/{id}?from=old{query}",
                "/old/{id: int}",
                "/old/7?a=b",
                "/new/7?from=old&a=b",
            ),
            ("/{*rest}", "/old/{*rest}", "/old/a/b", "/a/b"),
            (
                "/search?q={id}",
                "/s/{id}",
                "/s/a&b=c+d%26",
                "/search?q=a%26b%3Dc%2Bd%26",
            ),
            (
                "/login?next={path}{query}#top",
                "/",
                "/a?b=c",
                "/login?next=/a&b=c#top",
            ),
            ("https://a.test{below}", "/old", "/old", "https://a.test"),
        ];
        for (location, pattern, uri, wanted) in cases {
            assert_eq!(
                sent(location, pattern, uri, host).as_deref(),
                Some(wanted),
                "{location}"
            );
        }
    }

    #[test]
    fn no_path_leads_to_another_host() {
        let host = Some("shop.test");
        for (location, pattern, uri) in [
            ("{path}", "/", "//evil.test/x"),
            ("{path}x", "/", "///evil.test"),
            ("{below}", "/old", "/old//evil.test"),
            ("/{rest}", "/old/{*rest}", "/old//evil.test"),
            ("/{rest}", "/old/{*rest}", "/old///evil.test/%5C"),
            ("/{a}/{b}", "/{a}/{b}", "/%2Fevil.test/x"),
        ] {
            let sent = sent(location, pattern, uri, host).unwrap();
            assert!(
                sent.starts_with('/') && !sent.starts_with("//"),
                "{location}: {sent}"
            );
            assert!(!sent.starts_with("/\\"), "{location}: {sent}");
        }
        // The path never goes on with the host.
        for uri in [
            "/@evil.test",
            "/.evil.test",
            "//evil.test",
            "/:80@evil.test",
        ] {
            let sent = sent("https://{host}{path}", "/", uri, host).unwrap();
            assert!(sent.starts_with("https://shop.test/"), "{sent}");
        }
    }

    #[test]
    fn a_request_without_a_host_has_none_to_be_sent_to() {
        assert_eq!(sent("https://{host}/", "/", "/", Some("a b")), None);
        assert_eq!(sent("https://{host}/", "/", "/", None), None);
        assert!(sent("/x", "/", "/", None).is_some());
    }

    #[test]
    fn what_lets_a_client_choose_the_host_is_refused() {
        for location in [
            "https://{id}/x",
            "https://{id}.example.com/",
            "https://a.test:{id}/",
            "https://user{id}@{host}/",
            "//{id}/x",
            "{id}",
            "{*rest}/x",
            "{query}",
            "javascript:{id}",
            "https:{path}",
            "{scheme}:{path}",
            "{host}/x",
            "/a/{scheme}",
            "/a/{id",
            "/a/{}",
            "/a\r\nb",
        ] {
            assert!(Location::new(location).is_err(), "{location}");
        }
        for location in [
            "/x",
            "../x",
            "?a=b",
            "#top",
            "mailto:a@b",
            "https://a.test",
            "//a.test/x",
        ] {
            assert!(
                Location::new(location).unwrap().fixed().is_some(),
                "{location}"
            );
        }
    }

    #[test]
    fn parameters_that_the_path_lacks_are_named() {
        let location = Location::new("/{id}/{rest}/{none}").unwrap();
        let lacks: Vec<&str> = location.lacks("/x/{id: int}/{*rest}").collect();
        assert_eq!(lacks, ["none"]);
    }
}
