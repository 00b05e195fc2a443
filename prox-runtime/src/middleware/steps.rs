//! Layers that need no future of their own: a step on the way in, and one on the way back.
//!
//! A [`Middleware`](super::Middleware) holds the request and the response in a future on the heap, which costs more than most layers
//! do. The layers of this crate that only look at a request, or write into a response, are a [`Step`] instead. Neighbours share one
//! future, and before a backend they need none: the gateway takes them on its own way to the proxy.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
};

use http::{Extensions, HeaderMap, HeaderValue, Method, Uri, request::Parts};
use tokio::time::Instant;

use super::{
    Next,
    rate_limit::{limits_above, tell_limits},
};
use crate::{
    body::Body,
    client::Client,
    error::Place,
    handler::{BoxHandler, Handler, Request, Response},
    identity::Principal,
    watch::Tally,
};

/// What a layer remembers of a request for the way back.
pub(crate) enum Kept {
    /// It has nothing to do there, and is not asked.
    Nothing,
    Number(usize),
    Field(HeaderValue),
    /// A field, and a number of the layer.
    Numbered(HeaderValue, usize),
    Other(Box<dyn std::any::Any + Send>),
}

impl Kept {
    /// What it is of a type of the layer's own.
    pub(crate) fn other<T: 'static>(self) -> Option<T> {
        match self {
            Self::Other(kept) => kept.downcast().ok().map(|kept| *kept),
            _ => None,
        }
    }
}

/// The request goes on, or is answered.
pub(crate) type Passed = Result<Kept, Box<Response>>;

/// The future of a step that has to wait.
pub(crate) type Waiting<'a> = Pin<Box<dyn Future<Output = Passed> + Send + 'a>>;

/// What a layer needs beyond the request and the response themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The extensions that a gateway puts into requests. A function of the user may ask for any of them.
    pub(crate) extensions: bool,
    /// Care for the framing of both messages: it writes fields of any name, or changes bodies.
    pub(crate) framing: bool,
}

impl Needs {
    pub(crate) const NOTHING: Self = Self {
        extensions: false,
        framing: false,
    };
    pub(crate) const EXTENSIONS: Self = Self {
        extensions: true,
        framing: false,
    };
    pub(crate) const ALL: Self = Self {
        extensions: true,
        framing: true,
    };

    fn and(self, other: Self) -> Self {
        Self {
            extensions: self.extensions || other.extensions,
            framing: self.framing || other.framing,
        }
    }
}

/// A layer in two steps.
pub(crate) trait Step: Send + Sync {
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    /// The way in. `None` if it has to wait: then [`wait`](Self::wait) is asked, for the request as it is.
    fn before(&self, head: &mut Head<'_>) -> Option<Passed>;

    /// The way in, for what has to wait.
    fn wait<'a>(&'a self, head: &'a mut Head<'_>) -> Waiting<'a> {
        let passed = self.before(head).unwrap_or(Ok(Kept::Nothing));
        Box::pin(std::future::ready(passed))
    }

    /// The way back, with what [`before`](Self::before) has kept. It sees the answers of layers further in, too.
    fn after(&self, kept: Kept, response: &mut Response) {
        let _ = (kept, response);
    }

    /// The name that it shares with others around a request.
    fn name(&self) -> Option<&str> {
        None
    }

    /// What it tells clients of its rates at this place, if it does that in the same way for each request. It then tells what is left in
    /// the text of the [head](Head::told), if there is one.
    fn policy(&self, place: usize) -> Option<HeaderValue> {
        let _ = place;
        None
    }

    /// Tells layers further in, which are not its neighbours, of the name.
    fn pass_on(&self, head: &mut Head<'_>) {
        let _ = head;
    }
}

/// A request on its way through steps.
pub(crate) struct Head<'a> {
    /// Without its head while that is taken out of it.
    req: &'a mut Request,
    /// The head, from the first time on that a step has asked for it. Most steps do not: to move it costs more than they do.
    parts: Option<Parts>,
    /// Who sent it, where that is not among the extensions.
    client: Option<&'a Arc<Client>>,
    /// Who the caller is, where that is not among the extensions.
    principal: Option<Principal>,
    /// Whether nothing reads the extensions behind the steps, or in them.
    alone: bool,
    /// What limits tell, where all of them write into one text.
    told: Option<Vec<u8>>,
    /// The clock is read once for all limits.
    now: Option<Instant>,
    /// The place of the step among its neighbours of the same name, from 1 on.
    place: usize,
}

impl<'a> Head<'a> {
    #[inline]
    pub(crate) fn of(req: &'a mut Request) -> Self {
        Self {
            req,
            parts: None,
            client: None,
            principal: None,
            alone: false,
            told: None,
            now: None,
            place: 1,
        }
    }

    /// The head of a request that this client has sent, and that came at this time. Its extensions do not tell the client.
    #[inline]
    pub(crate) fn of_client(req: &'a mut Request, client: &'a Arc<Client>, now: Instant) -> Self {
        let mut head = Self::of(req);
        head.client = Some(client);
        head.now = Some(now);
        head
    }

    /// None of the steps reads the extensions of the request, and neither does the target.
    pub(crate) fn goes_alone(&mut self) {
        self.alone = true;
    }

    /// The request is whole again.
    pub(crate) fn end(self) {
        if let Some(parts) = self.parts {
            let body = std::mem::take(self.req.body_mut());
            *self.req = Request::from_parts(parts, body);
        }
    }

    /// The head as functions of the user get it.
    pub(crate) fn parts(&mut self) -> &mut Parts {
        self.parts.get_or_insert_with(|| {
            let (parts, body) = std::mem::take(self.req).into_parts();
            *self.req.body_mut() = body;
            parts
        })
    }

    /// The head, if [`parts`](Self::parts) was called before.
    pub(crate) fn taken(&self) -> Option<&Parts> {
        self.parts.as_ref()
    }

    pub(crate) fn method(&self) -> &Method {
        let parts = self.parts.as_ref();
        parts.map_or_else(|| self.req.method(), |parts| &parts.method)
    }

    pub(crate) fn uri(&self) -> &Uri {
        let parts = self.parts.as_ref();
        parts.map_or_else(|| self.req.uri(), |parts| &parts.uri)
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        let parts = self.parts.as_ref();
        parts.map_or_else(|| self.req.headers(), |parts| &parts.headers)
    }

    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        match &mut self.parts {
            Some(parts) => &mut parts.headers,
            None => self.req.headers_mut(),
        }
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        let parts = self.parts.as_ref();
        parts.map_or_else(|| self.req.extensions(), |parts| &parts.extensions)
    }

    pub(crate) fn extensions_mut(&mut self) -> &mut Extensions {
        match &mut self.parts {
            Some(parts) => &mut parts.extensions,
            None => self.req.extensions_mut(),
        }
    }

    pub(crate) fn body_mut(&mut self) -> &mut Body {
        self.req.body_mut()
    }

    /// Who the caller is, if an authenticator has found that out.
    pub(crate) fn principal(&self) -> Option<&Principal> {
        match &self.principal {
            Some(principal) => Some(principal),
            None => self.extensions().get(),
        }
    }

    /// An authenticator has found out who the caller is.
    pub(crate) fn is_of(&mut self, principal: Principal) {
        if self.alone {
            self.principal = Some(principal);
        } else {
            self.extensions_mut().insert(principal);
        }
    }

    /// The text into which neighbouring limits write what is left.
    pub(crate) fn told(&mut self) -> Option<&mut Vec<u8>> {
        self.told.as_mut()
    }

    pub(crate) fn client(&self) -> Option<&Client> {
        match self.client {
            Some(client) => Some(client),
            None => self.extensions().get::<Arc<Client>>().map(Arc::as_ref),
        }
    }

    pub(crate) fn tally(&self) -> Option<&Tally> {
        self.extensions().get()
    }

    /// The place of the step among its neighbours of the same name, from 1 on.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// The time at which the steps began, or go on after a wait.
    pub(crate) fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(Instant::now)
    }
}

/// How far a request has come.
pub(crate) enum Entered {
    /// Through all steps.
    Through,
    /// A step has answered it.
    Answered(Box<Response>),
    /// The next step has to wait.
    Waits,
}

/// Neighbours, the outermost first.
pub(crate) struct Steps {
    /// Each with its place among those of the same name.
    list: Box<[(Arc<dyn Step>, usize)]>,
    needs: Needs,
    /// Whether there are limits that tell clients of themselves together.
    tell_together: bool,
    /// What they tell of their rates.
    policies: OnceLock<HeaderValue>,
}

/// How far a request has come through steps, and what they have kept.
pub(crate) struct Way {
    passed: usize,
    /// What steps have kept, each with the place of its step. The first has a place without an allocation: most chains keep no more.
    first: Option<(usize, Kept)>,
    others: Vec<(usize, Kept)>,
    told: Option<Vec<u8>>,
}

impl Steps {
    pub(crate) fn new(steps: Vec<Arc<dyn Step>>) -> Self {
        let needs = steps.iter().map(|step| step.needs());
        let needs = needs.fold(Needs::NOTHING, Needs::and);
        let places: Vec<usize> = (0..steps.len())
            .map(|at| {
                let same = |other: &&Arc<dyn Step>| other.name() == steps[at].name();
                1 + steps.iter().take(at).filter(same).count()
            })
            .collect();
        let named = steps.iter().filter(|step| step.name().is_some());
        let together = named.clone().all(|step| step.policy(1).is_some());
        Self {
            needs,
            // Another step could come between, and write the same fields.
            tell_together: together && named.count() > 1 && !needs.framing,
            policies: OnceLock::new(),
            list: steps.into_iter().zip(places).collect(),
        }
    }

    pub(crate) fn needs(&self) -> Needs {
        self.needs
    }

    /// The way of a request that has this head.
    pub(crate) fn way(&self, head: &Head<'_>) -> Way {
        let together = self.tell_together && !limits_above(head.extensions());
        Way {
            passed: 0,
            first: None,
            others: Vec::new(),
            told: together.then(|| Vec::with_capacity(96)),
        }
    }

    /// The way in, as far as nothing has to be waited for.
    pub(crate) fn enter(&self, head: &mut Head<'_>, way: &mut Way) -> Entered {
        head.told = way.told.take();
        let mut entered = Entered::Through;
        while let Some((step, place)) = self.list.get(way.passed) {
            head.place = *place;
            match step.before(head) {
                Some(Ok(kept)) => way.pass(kept),
                Some(Err(response)) => {
                    entered = Entered::Answered(response);
                    break;
                }
                None => {
                    entered = Entered::Waits;
                    break;
                }
            }
        }
        way.told = head.told.take();
        entered
    }

    /// The way in from a step on that has to wait; nothing if none answers the request.
    pub(crate) async fn wait(&self, head: &mut Head<'_>, way: &mut Way) -> Option<Box<Response>> {
        while let Some((step, place)) = self.list.get(way.passed) {
            head.place = *place;
            match step.wait(head).await {
                Ok(kept) => way.pass(kept),
                Err(response) => return Some(response),
            }
            head.now = None;
            match self.enter(head, way) {
                Entered::Through => break,
                Entered::Answered(response) => return Some(response),
                Entered::Waits => {}
            }
        }
        None
    }

    /// The way back through the steps that were passed.
    pub(crate) fn leave(&self, mut way: Way, response: &mut Response) {
        if let Some(told) = way.told.filter(|told| !told.is_empty()) {
            let policies = if way.passed == self.list.len() {
                let policies = self.policies.get_or_init(|| self.policies(way.passed));
                policies.clone()
            } else {
                self.policies(way.passed)
            };
            tell_limits(response.headers_mut(), policies, told);
        }
        while let Some((place, kept)) = way.others.pop().or_else(|| way.first.take()) {
            if let Some((step, _)) = self.list.get(place) {
                step.after(kept, response);
            }
        }
    }

    /// What the limits among the first steps tell of their rates.
    fn policies(&self, passed: usize) -> HeaderValue {
        let steps = self.list.iter().take(passed);
        let each = steps.filter_map(|(step, place)| step.policy(*place));
        let each: Vec<_> = each.collect();
        let each: Vec<&[u8]> = each.iter().map(HeaderValue::as_bytes).collect();
        HeaderValue::from_bytes(&each.join(&b", "[..])).expect("a list of values is a value")
    }
}

impl Way {
    /// A step is passed.
    fn pass(&mut self, kept: Kept) {
        if !matches!(kept, Kept::Nothing) {
            let kept = (self.passed, kept);
            if self.first.is_none() {
                self.first = Some(kept);
            } else {
                self.others.push(kept);
            }
        }
        self.passed += 1;
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Steps").field(&self.list.len()).finish()
    }
}

/// Neighbours before a handler.
struct Chain {
    steps: Steps,
    end: BoxHandler,
}

impl Handler for Chain {
    async fn call(&self, mut req: Request) -> Response {
        let mut head = Head::of(&mut req);
        let mut way = self.steps.way(&head);
        let answered = match self.steps.enter(&mut head, &mut way) {
            Entered::Through => None,
            Entered::Answered(response) => Some(response),
            // A future of its own, so that those that do not wait have no room for it.
            Entered::Waits => Box::pin(self.steps.wait(&mut head, &mut way)).await,
        };
        let mut response = if let Some(response) = answered {
            *response
        } else {
            for (step, _) in &self.steps.list {
                step.pass_on(&mut head);
            }
            head.end();
            req.body_mut().placed(Place::Request);
            self.end.call_boxed(req).await
        };
        self.steps.leave(way, &mut response);
        response
    }
}

/// Puts steps before a handler.
pub(super) fn before(steps: Vec<Arc<dyn Step>>, end: BoxHandler) -> BoxHandler {
    BoxHandler::new(Chain {
        steps: Steps::new(steps),
        end,
    })
}

/// What makes a layer of a [`Step`], in its `impl Middleware`.
macro_rules! as_middleware {
    () => {
        fn handle(
            &self,
            req: $crate::handler::Request,
            next: $crate::middleware::Next,
        ) -> impl ::std::future::Future<Output = $crate::handler::Response> + Send {
            $crate::middleware::steps::handle(self, req, next)
        }

        #[allow(private_interfaces, reason = "as in the trait")]
        fn __step(
            layer: &::std::sync::Arc<Self>,
        ) -> Option<::std::sync::Arc<dyn $crate::middleware::steps::Step>> {
            Some(::std::sync::Arc::clone(layer) as _)
        }
    };
}
pub(crate) use as_middleware;

/// A step as the layer that it is, before whatever comes next.
pub(crate) async fn handle(step: &(impl Step + ?Sized), mut req: Request, next: Next) -> Response {
    let mut head = Head::of(&mut req);
    let passed = match step.before(&mut head) {
        Some(passed) => passed,
        None => step.wait(&mut head).await,
    };
    match passed {
        Ok(kept) => {
            step.pass_on(&mut head);
            head.end();
            let mut response = next.run(req).await;
            if !matches!(kept, Kept::Nothing) {
                step.after(kept, &mut response);
            }
            response
        }
        Err(response) => *response,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{
        handler::{IntoResponse, handler},
        middleware::{IntoLayer, Layer, Middleware, RateLimit, wrap},
        sync::lock,
    };

    type Log = Arc<Mutex<Vec<String>>>;

    /// Writes down when it is passed, and may wait or answer.
    struct Noted {
        name: &'static str,
        log: Log,
        waits: bool,
        answers: bool,
    }

    impl Noted {
        fn says(&self, what: &str) {
            lock(&self.log).push(format!("{what} {}", self.name));
        }

        fn passes(&self) -> Passed {
            self.says("in");
            if self.answers {
                return Err(Box::new("answered".into_response()));
            }
            Ok(Kept::Other(Box::new(Gone(
                self.name,
                Arc::clone(&self.log),
            ))))
        }
    }

    /// Writes down when it is dropped.
    struct Gone(&'static str, Log);

    impl Drop for Gone {
        fn drop(&mut self) {
            lock(&self.1).push(format!("gone {}", self.0));
        }
    }

    impl Step for Noted {
        fn before(&self, _: &mut Head<'_>) -> Option<Passed> {
            (!self.waits).then(|| self.passes())
        }

        fn wait<'a>(&'a self, _: &'a mut Head<'_>) -> Waiting<'a> {
            Box::pin(async {
                tokio::task::yield_now().await;
                self.passes()
            })
        }

        fn after(&self, kept: Kept, _: &mut Response) {
            assert_eq!(kept.other::<Gone>().unwrap().0, self.name);
            self.says("out");
        }
    }

    impl Middleware for Noted {
        fn handle(&self, req: Request, next: Next) -> impl Future<Output = Response> + Send {
            super::handle(self, req, next)
        }

        fn __step(layer: &Arc<Self>) -> Option<Arc<dyn Step>> {
            Some(Arc::clone(layer) as Arc<dyn Step>)
        }
    }

    fn noted(log: &Log, name: &'static str, waits: bool, answers: bool) -> Layer {
        let log = Arc::clone(log);
        let noted = Noted {
            name,
            log,
            waits,
            answers,
        };
        noted.into_layer()
    }

    async fn asked(layers: &[Layer]) -> Response {
        let target = BoxHandler::new(handler(async |_| "target"));
        let req = Request::new(Body::empty());
        wrap(target, layers).call(req).await
    }

    #[tokio::test]
    async fn neighbours_are_passed_in_order_whether_they_wait_or_not() {
        async fn foreign(req: Request, next: Next) -> Response {
            next.run(req).await
        }
        for waits in 0..8_u8 {
            let log = Log::default();
            let waits = |place: u8| waits & 1 << place != 0;
            let layers = [
                noted(&log, "a", waits(0), false),
                noted(&log, "b", waits(1), false),
                foreign.into_layer(),
                noted(&log, "c", waits(2), false),
            ];
            asked(&layers).await;
            let expected = "in a, in b, in c, gone c, out c, gone b, out b, gone a, out a";
            assert_eq!(lock(&log).join(", "), expected);
        }
    }

    #[tokio::test]
    async fn the_answer_of_a_step_is_seen_by_those_before_it_alone() {
        for (waits, others) in [(false, false), (true, false), (false, true), (true, true)] {
            let log = Log::default();
            let layers = [
                noted(&log, "a", others, false),
                noted(&log, "b", waits, true),
                noted(&log, "c", others, false),
            ];
            let response = asked(&layers).await;
            assert_eq!(response.into_body().bytes(9).await.unwrap(), "answered");
            assert_eq!(lock(&log).join(", "), "in a, in b, gone a, out a");
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_dropped_when_the_client_leaves() {
        for waits in [false, true] {
            let log = Log::default();
            let layers = [noted(&log, "a", waits, false)];
            let target = handler(|_| std::future::pending::<&str>());
            let mut future =
                wrap(BoxHandler::new(target), &layers).call(Request::new(Body::empty()));
            for _ in 0..2 {
                assert!(futures_now(&mut future).is_none());
            }
            assert_eq!(lock(&log).join(", "), "in a");
            drop(future);
            assert_eq!(lock(&log).join(", "), "in a, gone a");
        }
    }

    fn futures_now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match Pin::new(future).poll(&mut cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn limits_of_one_name_are_told_apart_across_layers_of_others() {
        async fn foreign(req: Request, next: Next) -> Response {
            next.run(req).await
        }
        let limit = |rate| RateLimit::per_second(rate).global().into_layer();
        let expected = "\"default\";q=1;w=1, \"default-2\";q=2;w=1, \"default-3\";q=3;w=1, \"default-4\";q=4;w=1";
        let other = RateLimit::per_second(9).global().quiet().into_layer();
        let layers = [limit(1), other.clone(), limit(2), limit(3), limit(4)];
        let response = asked(&layers).await;
        assert_eq!(response.headers()["ratelimit-policy"], expected);
        let left = [1, 2, 3, 4].map(|rate| match rate {
            1 => "\"default\";r=0;t=1".to_owned(),
            rate => format!("\"default-{rate}\";r={};t=1", rate - 1),
        });
        assert_eq!(response.headers()["ratelimit"], left.join(", "));
        // The outermost refuses, and the others are not asked.
        let response = asked(&layers).await;
        assert_eq!(
            response.headers()["ratelimit-policy"],
            "\"default\";q=1;w=1"
        );
        let layers = [limit(2), limit(1), limit(3)];
        for expected in [
            "\"default\";q=2;w=1, \"default-2\";q=1;w=1, \"default-3\";q=3;w=1",
            "\"default\";q=2;w=1, \"default-2\";q=1;w=1",
        ] {
            let response = asked(&layers).await;
            assert_eq!(response.headers()["ratelimit-policy"], expected);
        }
        for place in 0..=4 {
            let mut layers = vec![limit(1), limit(2), limit(3), limit(4)];
            layers.insert(place, foreign.into_layer());
            layers.insert(1, other.clone());
            let response = asked(&layers).await;
            assert_eq!(response.headers()["ratelimit-policy"], expected, "{place}");
        }
    }
}
