//! What a layer tells a gateway that starts.

/// What a layer says of itself, once, when its gateway starts: see [`Middleware::about`](super::Middleware::about).
///
/// ```
/// use prox_runtime::{Middleware, Next, Request, Response, middleware::About};
///
/// /// Takes requests with at most so many bytes in their query.
/// struct MaxQuery(usize);
///
/// impl Middleware for MaxQuery {
///     async fn handle(&self, req: Request, next: Next) -> Response {
///         next.run(req).await
///     }
///
///     fn about(&self, about: &mut About) {
///         if self.0 == 0 {
///             about.problem("`MaxQuery` of 0 refuses every query: write at least 1");
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct About {
    problems: Vec<String>,
    preflight: bool,
}

impl About {
    /// Says what is wrong with the layer as it is configured. The gateway does not start. The error lists the problems of all
    /// layers, each with its route, beside everything else that is wrong.
    ///
    /// A text is lower case, names the wrong value and the fix, and has no full stop.
    pub fn problem(&mut self, problem: impl Into<String>) -> &mut Self {
        self.problems.push(problem.into());
        self
    }

    /// Says that the layer answers preflights of CORS.
    ///
    /// A preflight for a route with such a layer goes to the layers of that route, also where another route takes `OPTIONS`,
    /// unless a route of the path names `OPTIONS`.
    pub fn preflight(&mut self) -> &mut Self {
        self.preflight = true;
        self
    }

    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }

    pub(crate) fn answers_preflights(&self) -> bool {
        self.preflight
    }
}
