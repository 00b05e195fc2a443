//! Requests that no route takes: what they are answered, and which layers see that.

use std::sync::OnceLock;

use http::{Method, header};

use super::Inner;
use crate::{
    body::Body,
    error::Failure,
    forward::host,
    handler::{BoxHandler, Handler, Request, Response},
    middleware::{Layer, wrap},
    respond as responses,
    route::{Candidate, Methods, OwnMethods},
};

/// Why no route takes a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    failure: Failure,
    allow: Methods,
    /// The layers that see the answer; nothing for those that stand before every request alone.
    pub(super) within: Option<Within>,
    /// The route that a preflight asks for.
    pub(super) asked: Option<usize>,
    /// The methods that a preflight may be told of.
    pub(super) answerable: Methods,
}

/// So many of the layers of a route, from the outermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Within {
    pub(super) route: usize,
    pub(super) depth: usize,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            allow: Methods::NONE,
            within: None,
            asked: None,
            answerable: Methods::NONE,
        }
    }
}

/// The candidates that have refused a request so far.
///
/// A path that is there without the method is a `405`, which the layers see that stand around all routes of the path. A preflight
/// (Fetch, 4.8) is answered within the layers of the route that it asks for, so that one of them may answer it. It carries none
/// of the fields of the request that it announces, so a guard does not decide which route that is, unless there are several.
pub(super) struct Refused<'a> {
    inner: &'a Inner,
    allow: Methods,
    within: Option<Within>,
    /// The method that a preflight asks for.
    asks: Option<Methods>,
    /// The route of that method whose guard accepts the preflight as it is, or else one whose guard does not.
    asked: Option<usize>,
    unheard: Option<usize>,
}

impl<'a> Refused<'a> {
    pub(super) fn new(inner: &'a Inner, asks: Option<Methods>) -> Self {
        Self {
            inner,
            allow: Methods::NONE,
            within: None,
            asks,
            asked: None,
            unheard: None,
        }
    }

    /// The guard of this one does not accept the request.
    pub(super) fn by_guard(&mut self, candidate: Candidate) {
        if self.is_asked(candidate) {
            self.unheard = self.unheard.or(Some(candidate.route as usize));
        }
    }

    /// This one would take the request with another method.
    pub(super) fn by_method(&mut self, candidate: Candidate) {
        let route = candidate.route as usize;
        self.allow = self.allow.union(candidate.methods);
        if self.is_asked(candidate) {
            self.asked = self.asked.or(Some(route));
        }
        let Some(layers) = self.layers(route) else {
            return;
        };
        match self.within {
            None => {
                let depth = layers.list.len();
                self.within = Some(Within { route, depth });
            }
            // Those of less specific paths do not stand around this one.
            Some(within) if self.path(route) == self.path(within.route) => {
                let depth = self
                    .layers(within.route)
                    .map_or(0, |first| first.common(layers));
                self.within = Some(Within {
                    depth: depth.min(within.depth),
                    ..within
                });
            }
            Some(_) => {}
        }
    }

    pub(super) fn end(self) -> Refusal {
        let asked = self.asked.or(self.unheard);
        let around = |route| {
            let depth = self.layers(route)?.list.len();
            Some(Within { route, depth })
        };
        Refusal {
            failure: if self.allow.is_empty() {
                Failure::NoRoute
            } else {
                Failure::MethodNotAllowed
            },
            allow: self.allow,
            within: asked.and_then(around).or(self.within),
            asked,
            answerable: Methods::NONE,
        }
    }

    fn is_asked(&self, candidate: Candidate) -> bool {
        self.asks
            .is_some_and(|method| candidate.methods.contains(method))
    }

    fn layers(&self, route: usize) -> Option<&'a Layers> {
        self.inner.entries.get(route).map(|entry| &entry.layers)
    }

    fn path(&self, route: usize) -> Option<&'static str> {
        self.inner.routes.0.get(route).map(|info| info.path)
    }
}

/// The layers of a route, the outermost first, and what answers within some of them for requests that no route takes.
///
/// The latter is made when it is needed, and at most once.
pub(super) struct Layers {
    list: Vec<Layer>,
    refusals: Box<[OnceLock<BoxHandler>]>,
    /// The place of the outermost one that answers preflights.
    answering: Option<usize>,
}

impl Layers {
    pub(super) fn new(list: Vec<Layer>, answers: impl Fn(&Layer) -> bool) -> Self {
        Self {
            refusals: list.iter().map(|_| OnceLock::new()).collect(),
            answering: list.iter().position(answers),
            list,
        }
    }

    /// The outermost layer that answers preflights, and how many layers there are up to it.
    pub(super) fn answering(&self) -> Option<(&Layer, usize)> {
        let place = self.answering?;
        Some((self.list.get(place)?, place + 1))
    }

    /// How many there are.
    pub(super) fn depth(&self) -> usize {
        self.list.len()
    }

    /// How many of the outermost are the same.
    fn common(&self, other: &Self) -> usize {
        let pairs = self.list.iter().zip(&other.list);
        pairs.take_while(|(one, other)| one.is_same(other)).count()
    }

    /// What refuses within so many of them; nothing for none.
    pub(super) fn refusals(&self, depth: usize) -> Option<&BoxHandler> {
        let place = depth.checked_sub(1)?;
        let (made, layers) = (self.refusals.get(place)?, self.list.get(..depth)?);
        Some(made.get_or_init(|| wrap(BoxHandler::new(Refuse), layers)))
    }
}

/// Whether a request asks what the server can do, and not for anything that a route has (RFC 9110, 9.3.7).
fn is_ping(req: &Request) -> bool {
    *req.method() == Method::OPTIONS
        && req.uri().path() == "*"
        && host::of(req.uri(), req.headers(), req.version()).is_ok()
}

impl Refusal {
    /// A preflight that a layer of the route `route` answers, so many layers in.
    pub(super) fn preflight(route: usize, depth: usize, allow: Methods) -> Self {
        Self {
            failure: Failure::MethodNotAllowed,
            allow,
            within: Some(Within { route, depth }),
            asked: Some(route),
            answerable: Methods::NONE,
        }
    }

    /// The same within these layers, if no route has the path.
    pub(super) fn within(self, within: Option<Within>) -> Self {
        Self {
            within: self.within.or(within),
            ..self
        }
    }

    /// The same, with the methods that a preflight may be told of.
    pub(super) fn answering(self, answerable: Methods) -> Self {
        Self { answerable, ..self }
    }

    pub(super) fn response(self, req: &Request) -> Response {
        if self.failure == Failure::MalformedRequest && is_ping(req) {
            return Response::new(Body::empty());
        }
        let mut response = responses::failure(self.failure, responses::is_grpc(req.headers()));
        if self.failure == Failure::MethodNotAllowed {
            let mut allow = String::new();
            for name in OwnMethods::of(req.extensions()).names(self.allow) {
                if !allow.is_empty() {
                    allow.push_str(", ");
                }
                allow.push_str(name);
            }
            if let Ok(allow) = header::HeaderValue::try_from(allow) {
                response.headers_mut().insert(header::ALLOW, allow);
            }
        }
        response
    }
}

/// The end of the chain for requests that no route takes.
pub(super) struct Refuse;

impl Handler for Refuse {
    async fn call(&self, req: Request) -> Response {
        let refusal = req.extensions().get::<Refusal>().copied();
        refusal
            .unwrap_or_else(|| Failure::NoRoute.into())
            .response(&req)
    }
}
