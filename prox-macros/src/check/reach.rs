//! Routes that can never be reached: every request that they could take is taken by a route that is asked before.

use std::collections::HashSet;

use super::{
    routes::shown,
    witness::{path, witness},
};
use crate::{
    diag::{Diagnostics, location},
    model::{
        Methods, Model, Route,
        guard::Guard,
        tree::{Candidate, Forest},
    },
};

/// Says nothing of routes that are in conflict, which has been reported.
pub(super) fn check(
    model: &Model,
    forest: &Forest,
    conflicting: &HashSet<usize>,
    diag: &mut Diagnostics,
) {
    let reached = reached(model, forest);
    for (place, route) in model.routes.iter().enumerate() {
        let reached = reached.get(place).copied().unwrap_or(true);
        if reached || route.pattern.is_none() || conflicting.contains(&place) {
            continue;
        }
        let what = if route.guard.is_some() {
            "can never be reached, so its guard is never tested"
        } else {
            "can never be reached"
        };
        let error = diag.error(
            route.path.span,
            format!(
                "`{}` {what}: more specific routes match all of its requests",
                shown(route)
            ),
        );
        if let Some((winner, taken)) = winner(model, forest, place, route) {
            let there = location(winner.path.span);
            error.note(format!(
                "for example, {} matches `{}`{there}",
                witness(model, route, first(route.methods), &taken),
                shown(winner)
            ));
        }
        error.help("remove the route, or narrow the others");
    }
}

/// One of the methods.
fn first(methods: Methods) -> Methods {
    methods.each().next().unwrap_or(methods)
}

/// Which routes take at least one request.
fn reached(model: &Model, forest: &Forest) -> Vec<bool> {
    let mut reached = vec![false; model.routes.len()];
    let mut done = vec![false; forest.lists.len()];
    let mut mark = |list: usize| {
        match done.get_mut(list) {
            Some(done) if !*done => *done = true,
            _ => return,
        }
        let candidates = forest.lists.get(list).map_or(&[][..], Vec::as_slice);
        let mut taken = Methods(0);
        for (at, candidate) in candidates.iter().enumerate() {
            let methods = Methods(candidate.methods);
            let untaken = methods.without(taken);
            if let (Some(reached), Some(route)) = (
                reached.get_mut(candidate.route),
                model.routes.get(candidate.route),
            ) {
                let before = candidates.get(..at).unwrap_or_default();
                *reached = *reached || !left(model, before, &route.accepts, untaken).is_empty();
            }
            if !candidate.guarded {
                taken = taken.union(methods);
            }
        }
    };
    for (number, state) in forest.states.iter().enumerate() {
        // Every path has a slash, so none ends where a host's tree starts.
        if !forest.roots.contains(&number) {
            mark(state.end);
        }
        mark(state.slash);
        mark(state.more);
    }
    reached
}

/// The methods with which a request that `accepts` takes can pass all of these routes.
pub(super) fn left(
    model: &Model,
    before: &[Candidate],
    accepts: &Guard,
    methods: Methods,
) -> Methods {
    let passes = methods.each().filter(|method| {
        let guards: Vec<&Guard> = before
            .iter()
            .filter(|earlier| Methods(earlier.methods).contains(*method))
            .filter_map(|earlier| Some(&model.routes.get(earlier.route)?.accepts))
            .collect();
        !accepts.is_covered(&guards)
    });
    passes.fold(Methods(0), Methods::union)
}

/// A route that is asked before one that can never be reached, and requests of that one that it surely takes.
fn winner<'m>(
    model: &'m Model,
    forest: &Forest,
    place: usize,
    route: &Route,
) -> Option<(&'m Route, Guard)> {
    let method = route.methods.each().next()?;
    let before = forest
        .find(route.host, &path(model, route))
        .iter()
        .take_while(|candidate| candidate.route != place)
        .filter(|candidate| Methods(candidate.methods).contains(method))
        .filter_map(|candidate| model.routes.get(candidate.route));
    let mut asked: Vec<&Guard> = Vec::new();
    let mut taking: Vec<(&Route, Guard)> = Vec::new();
    for winner in before {
        let both = winner.accepts.common(&route.accepts);
        let sure = both.filter(|both| both.implies(&winner.accepts));
        if let Some(rest) = sure.and_then(|both| both.rest(&asked)) {
            taking.push((winner, Guard::of_case(rest)));
        }
        asked.push(&winner.accepts);
    }
    let all = taking
        .iter()
        .position(|(winner, _)| route.accepts.implies(&winner.accepts));
    taking.into_iter().nth(all.unwrap_or(0))
}
