//! Preflights of CORS (Fetch, 4.8): questions of browsers before requests.

use http::{Extensions, HeaderMap, Method, header};

use super::Methods;

/// The method that a preflight asks for; nothing for any other request.
pub(crate) fn asked_method(method: &Method, headers: &HeaderMap) -> Option<Method> {
    if *method != Method::OPTIONS || !headers.contains_key(header::ORIGIN) {
        return None;
    }
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(asked.as_bytes()).ok()
}

/// The methods for which the outermost layer that answers preflights stands around the route of the path. The gateway puts it
/// into the extensions of each preflight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answerable(pub(crate) Methods);

/// The methods beyond the nine that the gateway names. A gateway that names some puts them into the extensions of preflights and of
/// requests that no route takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OwnMethods(pub(crate) &'static [&'static str]);

impl OwnMethods {
    /// Those of the gateway that has put them there.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    /// The set of one method.
    pub(crate) fn method(self, method: &Method) -> Methods {
        Methods::of_named(method, self.0)
    }

    /// The names in a set.
    pub(crate) fn names(self, methods: Methods) -> impl Iterator<Item = &'static str> {
        methods.names_with(self.0)
    }
}
