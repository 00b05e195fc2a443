//! The fields of CORS.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::{
    middleware::fields::tokens,
    route::{Methods, OwnMethods},
};

pub(super) const TRUE: HeaderValue = HeaderValue::from_static("true");
pub(super) const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");
const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");

/// What the answer to a preflight lists.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    /// The user's own list.
    methods: Option<Vec<Method>>,
    headers: Vec<HeaderName>,
    /// `headers` as a field; none for an empty list.
    allow_headers: Option<HeaderValue>,
    pub(super) expose: Option<HeaderValue>,
    pub(super) max_age: HeaderValue,
}

impl Default for Lists {
    fn default() -> Self {
        let headers = vec![header::CONTENT_TYPE, header::AUTHORIZATION];
        Self {
            methods: None,
            allow_headers: join(&headers),
            headers,
            expose: None,
            max_age: HeaderValue::from_static("600"),
        }
    }
}

impl Lists {
    pub(super) fn methods<E: AsRef<str>>(
        &mut self,
        methods: impl IntoIterator<Item = E>,
        problems: &mut Vec<String>,
    ) {
        let mut read = Vec::new();
        for name in methods {
            match method(name.as_ref()) {
                Ok(method) => read.push(method),
                Err(problem) => problems.push(problem),
            }
        }
        self.methods = Some(read);
    }

    pub(super) fn headers<E: AsRef<str>>(
        &mut self,
        list: impl IntoIterator<Item = E>,
        problems: &mut Vec<String>,
    ) {
        self.headers = names(list, problems);
        self.allow_headers = join(&self.headers);
    }

    pub(super) fn expose<E: AsRef<str>>(
        &mut self,
        list: impl IntoIterator<Item = E>,
        problems: &mut Vec<String>,
    ) {
        self.expose = join(&names(list, problems));
    }

    /// `Access-Control-Allow-Methods`, if the method that a preflight asks for is in it. A browser keeps the list and sends no
    /// preflight for these methods, so it has no method of a route behind another layer.
    pub(super) fn allowed(
        &self,
        asked: &Method,
        answerable: Methods,
        own: OwnMethods,
    ) -> Option<HeaderValue> {
        let asked = asked.as_str();
        match &self.methods {
            None => {
                let mut names = usual(answerable, own);
                if !names.contains(&asked) {
                    names.push(asked);
                }
                list(&names)
            }
            Some(methods) if methods.iter().any(|method| method == asked) => {
                self.listed(answerable, own)
            }
            Some(_) => None,
        }
    }

    /// `Access-Control-Allow-Methods` without a view to the method that is asked for.
    pub(super) fn listed(&self, answerable: Methods, own: OwnMethods) -> Option<HeaderValue> {
        match &self.methods {
            None => list(&usual(answerable, own)),
            Some(methods) => {
                let taken = |method: &&Method| answerable.contains(own.method(method));
                let names: Vec<_> = methods.iter().filter(taken).map(Method::as_str).collect();
                list(&names)
            }
        }
    }

    /// Whether all fields that a preflight announces are allowed.
    pub(super) fn allows_fields(&self, request: &HeaderMap) -> bool {
        let announced = request.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS);
        let mut names = announced.iter().flat_map(tokens);
        names.all(|name| {
            let is_it =
                |allowed: &HeaderName| name.eq_ignore_ascii_case(allowed.as_str().as_bytes());
            self.headers.iter().any(is_it)
        })
    }

    pub(super) fn write(&self, response: &mut HeaderMap, methods: Option<HeaderValue>) {
        if let Some(methods) = methods {
            response.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
        if let Some(names) = &self.allow_headers {
            response.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        response.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
    }
}

/// The names of methods that browsers send.
fn usual(methods: Methods, own: OwnMethods) -> Vec<&'static str> {
    let forbidden = Methods::of(&Method::CONNECT).union(Methods::of(&Method::TRACE));
    own.names(methods.without(forbidden)).collect()
}

fn method(name: &str) -> Result<Method, String> {
    let upper = name.to_ascii_uppercase();
    if matches!(upper.as_str(), "CONNECT" | "TRACE" | "TRACK") {
        return Err(format!("no browser sends {name:?}, remove it"));
    }
    let known = Methods::of(&upper.parse().unwrap_or_default()) != Methods::OTHER;
    match Method::from_bytes(name.as_bytes()) {
        Ok(_) if known && upper != name => Err(format!(
            "methods have upper case, write {upper:?} for {name:?}"
        )),
        Ok(method) if name != "*" => Ok(method),
        _ => Err(format!(
            "{name:?} is not a method, write one such as \"PUT\""
        )),
    }
}

fn names<E: AsRef<str>>(
    names: impl IntoIterator<Item = E>,
    problems: &mut Vec<String>,
) -> Vec<HeaderName> {
    let mut read = Vec::new();
    for name in names {
        let name = name.as_ref();
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) if name.as_str() != "*" => read.push(name),
            Ok(_) => problems.push("\"*\" does not name a field, write the names".into()),
            Err(_) => problems.push(format!("{name:?} is not the name of a field")),
        }
    }
    read
}

fn join(names: &[HeaderName]) -> Option<HeaderValue> {
    let names: Vec<_> = names.iter().map(HeaderName::as_str).collect();
    list(&names)
}

fn list(names: &[&str]) -> Option<HeaderValue> {
    let text = names.join(", ");
    HeaderValue::try_from(text)
        .ok()
        .filter(|value| !value.is_empty())
}

pub(super) fn asks_for_private_network(request: &HeaderMap) -> bool {
    request
        .get(REQUEST_PRIVATE_NETWORK)
        .is_some_and(|value| *value == TRUE)
}

/// Removes what an upstream, or a layer further in, has said.
pub(super) fn remove(headers: &mut HeaderMap) {
    let is_cors = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let found: Vec<HeaderName> = headers.keys().filter(is_cors).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

pub(super) fn vary_preflight(headers: &mut HeaderMap) {
    headers.insert(
        header::VARY,
        HeaderValue::from_static(
            "origin, access-control-request-method, access-control-request-headers",
        ),
    );
}
