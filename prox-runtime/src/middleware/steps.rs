//! Layers that need no future of their own: a step on the way in, and one on the way back.
//!
//! A [`Middleware`](super::Middleware) holds the request and the response in a future on the heap, which costs more than most layers
//! do. The layers of this crate that only look at a request, or write into a response, are a [`Step`] instead. Neighbours share one
//! future, and before a backend they need none: the gateway takes them on its own way to the proxy.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use http::{HeaderValue, request::Parts};
use tokio::time::Instant;

use super::Next;
use crate::{
    body::Body,
    client::Client,
    error::Place,
    handler::{BoxHandler, Handler, Request, Response},
    watch::Tally,
};

/// What a layer remembers of a request for the way back.
pub(crate) enum Kept {
    /// It has nothing to do there.
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

    /// Tells layers further in, which are not its neighbours, of the name.
    fn pass_on(&self, head: &mut Head<'_>) {
        let _ = head;
    }
}

/// A request on its way through steps.
pub(crate) struct Head<'a> {
    pub(crate) parts: Parts,
    pub(crate) body: Body,
    /// Who sent it, where that is not among the extensions.
    client: Option<&'a Arc<Client>>,
    /// The clock is read once for all limits.
    now: Option<Instant>,
    /// The place of the step among its neighbours of the same name, from 1 on.
    place: usize,
}

impl<'a> Head<'a> {
    pub(crate) fn of(req: Request) -> Self {
        let (parts, body) = req.into_parts();
        Self {
            parts,
            body,
            client: None,
            now: None,
            place: 1,
        }
    }

    /// The head of a request that this client has sent, and that came at this time. Its extensions do not tell the client.
    pub(crate) fn of_client(req: Request, client: &'a Arc<Client>, now: Instant) -> Self {
        Self {
            client: Some(client),
            now: Some(now),
            ..Self::of(req)
        }
    }

    pub(crate) fn into_request(self) -> Request {
        Request::from_parts(self.parts, self.body)
    }

    pub(crate) fn client(&self) -> Option<&Client> {
        match self.client {
            Some(client) => Some(client),
            None => self.parts.extensions.get::<Arc<Client>>().map(Arc::as_ref),
        }
    }

    pub(crate) fn tally(&self) -> Option<&Tally> {
        self.parts.extensions.get()
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
        Self {
            list: steps.into_iter().zip(places).collect(),
            needs,
        }
    }

    pub(crate) fn needs(&self) -> Needs {
        self.needs
    }

    /// Room for what they keep.
    pub(crate) fn room(&self) -> Vec<Kept> {
        Vec::with_capacity(self.list.len())
    }

    /// The way in, as far as nothing has to be waited for. `kept` has an element for each step that is passed.
    pub(crate) fn enter(&self, head: &mut Head<'_>, kept: &mut Vec<Kept>) -> Entered {
        for (step, place) in self.list.iter().skip(kept.len()) {
            head.place = *place;
            match step.before(head) {
                Some(Ok(more)) => kept.push(more),
                Some(Err(response)) => return Entered::Answered(response),
                None => return Entered::Waits,
            }
        }
        Entered::Through
    }

    /// The way in from a step on that has to wait; nothing if none answers the request.
    pub(crate) async fn wait(
        &self,
        head: &mut Head<'_>,
        kept: &mut Vec<Kept>,
    ) -> Option<Box<Response>> {
        while let Some((step, place)) = self.list.get(kept.len()) {
            head.place = *place;
            match step.wait(head).await {
                Ok(more) => kept.push(more),
                Err(response) => return Some(response),
            }
            head.now = None;
            match self.enter(head, kept) {
                Entered::Through => break,
                Entered::Answered(response) => return Some(response),
                Entered::Waits => {}
            }
        }
        None
    }

    /// The way back through the steps that were passed.
    pub(crate) fn leave(&self, kept: Vec<Kept>, response: &mut Response) {
        for ((step, _), kept) in self.list.iter().zip(kept).rev() {
            step.after(kept, response);
        }
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
    async fn call(&self, req: Request) -> Response {
        let mut kept = self.steps.room();
        let mut head = Head::of(req);
        let answered = match self.steps.enter(&mut head, &mut kept) {
            Entered::Through => None,
            Entered::Answered(response) => Some(response),
            // A future of its own, so that those that do not wait have no room for it.
            Entered::Waits => Box::pin(self.steps.wait(&mut head, &mut kept)).await,
        };
        let mut response = match answered {
            Some(response) => *response,
            None => self.end.call_boxed(self.to_end(head)).await,
        };
        self.steps.leave(kept, &mut response);
        response
    }
}

impl Chain {
    /// The request for what comes behind the steps.
    fn to_end(&self, mut head: Head<'_>) -> Request {
        for (step, _) in &self.steps.list {
            step.pass_on(&mut head);
        }
        let mut req = head.into_request();
        req.body_mut().placed(Place::Request);
        req
    }
}

/// Puts steps before a handler.
pub(super) fn before(steps: Vec<Arc<dyn Step>>, end: BoxHandler) -> BoxHandler {
    BoxHandler::new(Chain {
        steps: Steps::new(steps),
        end,
    })
}

/// A step as the layer that it is, before whatever comes next.
pub(crate) async fn handle(step: &(impl Step + ?Sized), req: Request, next: Next) -> Response {
    let mut head = Head::of(req);
    let passed = match step.before(&mut head) {
        Some(passed) => passed,
        None => step.wait(&mut head).await,
    };
    match passed {
        Ok(kept) => {
            step.pass_on(&mut head);
            let mut response = next.run(head.into_request()).await;
            step.after(kept, &mut response);
            response
        }
        Err(response) => *response,
    }
}
