//! Where a preflight of CORS goes (Fetch, 4.8): to a layer of the route that it asks for, if one answers preflights.

use http::Method;

use super::{Inner, refusal::Refusal};
use crate::{
    handler::Parts,
    middleware::Layer,
    route::{Candidate, Methods},
};

impl Inner {
    /// Directs a preflight that asks for this method. Without a layer for preflights it stays where it was `found` to go as an
    /// ordinary request. Beside the route stand the methods that its layer may tell of.
    pub(super) fn preflight(
        &self,
        candidates: &[Candidate],
        asks: Methods,
        found: Result<usize, Refusal>,
        parts: &Parts,
    ) -> (Result<usize, Refusal>, Methods) {
        if let Some((asked, candidate)) = self.asked(candidates, asks, parts)
            && !self.names_options(candidates, asked, parts)
            && let Some((layer, depth)) = self.answering(candidate)
        {
            let answerable = self.around(candidates, layer).union(asks);
            let route = candidate.route as usize;
            let taken = match found {
                Ok(index) if index == route => Ok(index),
                _ => Err(Refusal::preflight(route, depth, candidate.methods).answering(answerable)),
            };
            return (taken, answerable);
        }
        let (route, depth) = match &found {
            Ok(index) => (Some(*index), usize::MAX),
            Err(refusal) => match refusal.within {
                Some(within) => (Some(within.route), within.depth),
                None => (None, 0),
            },
        };
        let layers = route
            .and_then(|route| self.entries.get(route))
            .and_then(|entry| entry.layers.answering());
        let answerable = match layers {
            Some((layer, place)) if place <= depth => self.around(candidates, layer),
            _ => Methods::NONE,
        };
        let found = found.map_err(|refusal| refusal.answering(answerable));
        (found, answerable)
    }

    /// The route of the method, if a layer of it answers preflights, and its place among the candidates. A preflight has none of the
    /// fields that it announces, so a guard that does not accept it decides only where another route takes the method as well.
    fn asked(
        &self,
        candidates: &[Candidate],
        asks: Methods,
        parts: &Parts,
    ) -> Option<(usize, Candidate)> {
        let mut unheard = None;
        for (place, candidate) in candidates.iter().enumerate() {
            if !candidate.methods.contains(asks) {
                continue;
            }
            let answers = self.answering(*candidate).is_some();
            let answering = Some((place, *candidate)).filter(|_| answers);
            if self.accepts(*candidate, parts) {
                return answering.or(unheard);
            }
            unheard = unheard.or(answering);
        }
        unheard
    }

    /// Whether a route names `OPTIONS` at the path of this candidate, or at a more specific one.
    fn names_options(&self, candidates: &[Candidate], asked: usize, parts: &Parts) -> bool {
        let options = Methods::of(&Method::OPTIONS);
        let path = |candidate: &Candidate| {
            let info = self.routes.0.get(candidate.route as usize);
            info.map(|info| info.path)
        };
        let end = candidates.get(asked).and_then(path);
        let mut there = candidates
            .iter()
            .enumerate()
            .take_while(|(place, candidate)| *place <= asked || path(candidate) == end);
        there.any(|(_, candidate)| {
            candidate.methods != Methods::ALL
                && candidate.methods.contains(options)
                && self.accepts(*candidate, parts)
        })
    }

    /// The methods of the path whose routes all have this as their outermost layer for preflights.
    fn around(&self, candidates: &[Candidate], layer: &Layer) -> Methods {
        let (mut within, mut without) = (Methods::NONE, Methods::NONE);
        let mut decided = Methods::NONE;
        for candidate in candidates {
            let methods = candidate.methods.without(decided);
            let answering = self.answering(*candidate);
            if answering.is_some_and(|(other, _)| other.is_same(layer)) {
                within = within.union(methods);
            } else {
                without = without.union(methods);
            }
            if !candidate.guarded {
                decided = decided.union(methods);
            }
        }
        within.without(without)
    }

    fn answering(&self, candidate: Candidate) -> Option<(&Layer, usize)> {
        let entry = self.entries.get(candidate.route as usize)?;
        entry.layers.answering()
    }

    pub(super) fn accepts(&self, candidate: Candidate, parts: &Parts) -> bool {
        let entry = self.entries.get(candidate.route as usize);
        let guard = entry.and_then(|entry| entry.guard.as_deref());
        guard.is_none_or(|guard| guard.accepts(parts))
    }
}
