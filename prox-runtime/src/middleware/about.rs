//! What a layer tells a gateway that starts.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use http::HeaderName;

use super::Role;
use crate::route::RouteInfo;

type Check = Arc<dyn Fn(&RouteInfo) -> Result<(), String> + Send + Sync>;
type Work = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;
type Learn = Arc<dyn Fn(&[HeaderName], &[HeaderName]) + Send + Sync>;
type Question = Arc<dyn Fn() -> bool + Send + Sync>;

/// What a layer says of itself, once, when its gateway starts: see [`Middleware::about`](super::Middleware::about).
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Middleware, Next, Request, Response, middleware::About};
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
#[derive(Clone, Default)]
pub struct About {
    problems: Vec<String>,
    preflight: bool,
    role: Role,
    sets: Vec<HeaderName>,
    reads: Vec<HeaderName>,
    writes: Vec<HeaderName>,
    learns: Vec<Learn>,
    checks: Vec<Check>,
    tasks: Vec<Task>,
    ready: Vec<Ready>,
}

/// Work beside the requests.
#[derive(Clone)]
pub(crate) struct Task(Work);

impl Task {
    /// The work from its beginning.
    pub(crate) fn begin(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        (self.0)()
    }
}

/// A part of the question whether a gateway is ready.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) name: String,
    question: Question,
}

impl Ready {
    pub(crate) fn is_ready(&self) -> bool {
        (self.question)()
    }
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

    /// As [`problem`](Self::problem) for each of them.
    pub(crate) fn add_problems(&mut self, problems: &[String]) {
        self.problems.extend_from_slice(problems);
    }

    /// Says that the layer answers preflights of CORS.
    ///
    /// A preflight for a route with such a layer goes to the layers of that route, also where another route takes `OPTIONS`,
    /// unless a route of the path names `OPTIONS`.
    pub fn preflight(&mut self) -> &mut Self {
        self.preflight = true;
        self
    }

    /// Says what the layer does to the question who may enter; by default [`Role::Plain`].
    ///
    /// A gateway that starts checks the order of the layers of each route by their roles, as the compiler does by their types
    /// ([`Declares`](super::Declares)). A layer that says it several times has the last role.
    pub fn role(&mut self, role: Role) -> &mut Self {
        self.role = role;
        self
    }

    /// Says that the layer writes this field for upstreams, to tell them something that no client may claim.
    ///
    /// The field is then removed from every request of every route before guards and layers see it, from heads and from
    /// trailers. A name counts without regard to case, and letters and digits alone count: `X_User` is `x-user`. So it is safe
    /// for upstreams that fold names, and on routes without the layer.
    ///
    /// Names that carry credentials or frame the message (`authorization`, `cookie`, `host`, `content-*`, ..) are a problem.
    pub fn sets(&mut self, name: HeaderName) -> &mut Self {
        self.sets.push(name);
        self
    }

    /// Says that the layer reads credentials of clients from this field. If a layer [`sets`](Self::sets) it too, that is a
    /// problem, because the field would be removed before the layer can read it.
    pub fn reads(&mut self, name: HeaderName) -> &mut Self {
        self.reads.push(name);
        self
    }

    /// Checks the layer against each route that it stands around, such as the names of parameters in a template. The text of
    /// an error is a [`problem`](Self::problem) of that route.
    pub fn check(
        &mut self,
        check: impl Fn(&RouteInfo) -> Result<(), String> + Send + Sync + 'static,
    ) -> &mut Self {
        self.checks.push(Arc::new(check));
        self
    }

    /// Work beside the requests, such as fetching keys. `begin` is called when the gateway starts, and once more on another
    /// runtime if the first ends before the gateway does. The gateway ends the work when it is dropped.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped at any point where it waits.
    pub fn task<Fut>(&mut self, begin: impl Fn() -> Fut + Send + Sync + 'static) -> &mut Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.tasks.push(Task(Arc::new(move || Box::pin(begin()))));
        self
    }

    /// A part of [`Gateway::is_ready`](crate::Gateway::is_ready): the gateway is not ready while `question` answers `false`.
    /// [`Gateway::unready`](crate::Gateway::unready) then names `name`. The question must not block.
    pub fn ready(
        &mut self,
        name: impl Into<String>,
        question: impl Fn() -> bool + Send + Sync + 'static,
    ) -> &mut Self {
        self.ready.push(Ready {
            name: name.into(),
            question: Arc::new(question),
        });
        self
    }

    /// Says that the layer writes this field for upstreams. Unlike the fields that it [`sets`](Self::sets), clients may send it.
    pub(crate) fn writes(&mut self, name: HeaderName) {
        self.writes.push(name);
    }

    /// Has the names told that layers of the gateway set, and those that they write.
    #[cfg(feature = "cache")]
    pub(crate) fn learn(
        &mut self,
        learn: impl Fn(&[HeaderName], &[HeaderName]) + Send + Sync + 'static,
    ) {
        self.learns.push(Arc::new(learn));
    }

    /// Tells the layer the names that all layers of its gateway set, and those that they write.
    pub(crate) fn tell(&self, sets: &[HeaderName], writes: &[HeaderName]) {
        for learn in &self.learns {
            learn(sets, writes);
        }
    }

    pub(crate) fn names_written(&self) -> &[HeaderName] {
        &self.writes
    }

    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }

    pub(crate) fn answers_preflights(&self) -> bool {
        self.preflight
    }

    pub(crate) fn the_role(&self) -> Role {
        self.role
    }

    pub(crate) fn names_set(&self) -> &[HeaderName] {
        &self.sets
    }

    pub(crate) fn names_read(&self) -> &[HeaderName] {
        &self.reads
    }

    /// What is wrong with the layer on this route.
    pub(crate) fn on(&self, route: &RouteInfo) -> impl Iterator<Item = String> {
        self.checks.iter().filter_map(|check| check(route).err())
    }

    pub(crate) fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    pub(crate) fn questions(&self) -> &[Ready] {
        &self.ready
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("About")
            .field("problems", &self.problems)
            .field("preflight", &self.preflight)
            .field("role", &self.role)
            .field("sets", &self.sets)
            .field("reads", &self.reads)
            .finish_non_exhaustive()
    }
}
