//! What is said in code of traces.

use std::fmt;

use http::{HeaderName, header};
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::{observe::traces::Wanted, secret};

/// So many traces are recorded in a second, at most.
const LIMIT: u32 = 1_000;

/// What the spans of a server's requests have beyond the conventions, and how many there may be.
///
/// It changes nothing while traces are off. The guide [`tracing`](https://docs.rs/prox/latest/prox/docs/tracing/) says what turns them
/// on.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Server, TraceOptions};
///
/// # fn doc(gateway: prox::Gateway) {
/// let server = Server::new(gateway).traces(TraceOptions::new().header("x-tenant").limit(100));
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "this does nothing until a server is given it"]
pub struct TraceOptions {
    wanted: Wanted,
    limit: u32,
    problems: Vec<String>,
}

impl TraceOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            wanted: Wanted::default(),
            limit: LIMIT,
            problems: Vec::new(),
        }
    }

    /// Adds this field of the request to its span, as `http.request.header.<name>`; no field by default.
    ///
    /// `Authorization`, `Cookie`, and a name with `token`, `secret`, `key` or `password` in it are an error when the server starts.
    pub fn header(mut self, name: impl AsRef<str>) -> Self {
        let name = name.as_ref();
        let credentials = [
            header::AUTHORIZATION,
            header::PROXY_AUTHORIZATION,
            header::COOKIE,
            header::SET_COOKIE,
        ];
        match HeaderName::from_bytes(name.as_bytes()) {
            Err(_) => self.problems.push(format!(
                "`TraceOptions::header`: {name:?} is not a name of a header"
            )),
            Ok(name) if credentials.contains(&name) || secret::is_named(name.as_str()) => {
                self.problems.push(format!(
                    "`TraceOptions::header`: `{name}` names a secret, which must not be in a trace: remove it"
                ));
            }
            Ok(name) => self.wanted.fields.push(name),
        }
        self
    }

    /// Leaves `url.path` and the path of `url.full` out, for paths that are secrets, such as `/reset/{token}`. `http.route` has the
    /// pattern all the same.
    pub fn without_path(mut self) -> Self {
        self.wanted.without_path = true;
        self
    }

    /// Bounds the traces that are recorded in a second; 1 000 by default. A request above the limit is not recorded, whatever the
    /// sampler and its parent say.
    pub fn limit(mut self, in_a_second: u32) -> Self {
        self.limit = in_a_second;
        self
    }
}

impl Default for TraceOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// All that is said in code.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) options: TraceOptions,
    /// Where spans go instead of a collector.
    pub(crate) provider: Option<SdkTracerProvider>,
}

impl Said {
    pub(crate) fn problems(&self) -> &[String] {
        &self.options.problems
    }

    pub(crate) fn wanted(&self) -> Wanted {
        self.options.wanted.clone()
    }

    pub(crate) fn limit(&self) -> u32 {
        self.options.limit
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Said")
            .field("options", &self.options)
            .field("provider", &self.provider.is_some())
            .finish()
    }
}
