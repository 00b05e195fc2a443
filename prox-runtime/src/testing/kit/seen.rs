//! Requests as a fake has got them.

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version, header};

use crate::cluster::Endpoint;

/// A request that came to a fake. There is one for each try.
#[derive(Clone, Debug)]
pub struct Seen {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) place: Endpoint,
    pub(super) endpoint: String,
    pub(super) params: Vec<(String, String)>,
}

impl Seen {
    /// The method: `GET`.
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The query, without its question mark; `None` if there is none.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The host that it is for: `Host`, or `:authority` over HTTP/2.
    pub fn host(&self) -> Option<&str> {
        let authority = self.uri.authority().map(http::uri::Authority::as_str);
        authority.or_else(|| self.header(header::HOST.as_str()))
    }

    /// What stands at `{name}` in the pattern of the rule that takes the request, as it was sent.
    ///
    /// # Panics
    ///
    /// When the pattern has no such name.
    #[track_caller]
    pub fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(known, _)| known == name);
        let Some((_, value)) = found else {
            panic!("the pattern of the rule has no `{{{name}}}`");
        };
        value
    }

    /// The first field of this name; `None` if there is none, or its value is not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body, as far as it has come.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The endpoint that it came to: `10.0.0.2:8080`, or the path of a Unix socket.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether it came over HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.version == Version::HTTP_2
    }
}
