//! Preflights of CORS (Fetch, 4.8): questions of browsers before requests.

use http::{HeaderMap, Method, header};

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
