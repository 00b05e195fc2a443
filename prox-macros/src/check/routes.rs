//! Routes that are there twice, that tie, and that can never be reached.

use std::collections::{BTreeMap, HashSet};

use crate::{
    diag::{Diagnostics, location},
    expand::text::source,
    model::{Methods, Model, Route, tree::Forest},
    syntax::{
        host::HostName,
        pattern::{Segment, Tail},
    },
};

pub(super) fn check(model: &Model, forest: &Forest, diag: &mut Diagnostics) {
    methods(model, diag);
    let conflicting = conflicts(model, diag);
    if let Some(host) = forest.overflow {
        let route = model.routes.iter().find(|route| route.host == host);
        let place = route.map_or_else(proc_macro2::Span::call_site, |route| route.path.span);
        diag.error(
            place,
            "the parameters of this host's routes overlap in too many ways",
        )
        .help("write literal segments where parameters are not needed");
        return;
    }
    unreachable(model, forest, &conflicting, diag);
}

/// The same method twice on one route.
fn methods(model: &Model, diag: &mut Diagnostics) {
    for route in &model.routes {
        let mut seen = HashSet::new();
        if let Some(twice) = route.label.split('|').find(|method| !seen.insert(*method)) {
            diag.error(
                route.path.span,
                format!("the method `{twice}` is there twice on this route"),
            )
            .help("take one of them away");
        }
    }
}

/// Pairs of routes with the same pattern that both could take a request; gives the routes of these pairs.
fn conflicts(model: &Model, diag: &mut Diagnostics) -> HashSet<usize> {
    let mut groups: BTreeMap<(usize, String), Vec<usize>> = BTreeMap::new();
    for (place, route) in model.routes.iter().enumerate() {
        if let Some(shape) = route.shape() {
            groups.entry((route.host, shape)).or_default().push(place);
        }
    }
    let mut found: Vec<(usize, usize)> = Vec::new();
    for group in groups.values().filter(|group| group.len() > 1) {
        for (at, later) in group.iter().enumerate() {
            let earlier = group.iter().take(at).find(|earlier| {
                match (model.routes.get(**earlier), model.routes.get(*later)) {
                    (Some(a), Some(b)) => conflict(a, b),
                    _ => false,
                }
            });
            found.extend(earlier.map(|earlier| (*later, *earlier)));
        }
    }
    found.sort_unstable();
    for (later, earlier) in &found {
        if let (Some(later), Some(earlier)) = (model.routes.get(*later), model.routes.get(*earlier))
        {
            report(model, earlier, later, diag);
        }
    }
    found.into_iter().flat_map(|(a, b)| [a, b]).collect()
}

/// Whether nothing says which of two routes with the same pattern comes first.
fn conflict(a: &Route, b: &Route) -> bool {
    let any = |route: &Route| route.methods == Methods::ALL;
    any(a) == any(b) && !a.methods.common(b.methods).is_empty() && guard(a) == guard(b)
}

fn guard(route: &Route) -> Option<String> {
    route.guard.as_ref().map(|guard| source(&guard.tokens))
}

fn report(model: &Model, earlier: &Route, later: &Route, diag: &mut Diagnostics) {
    let witness = witness(model, later, earlier.methods.common(later.methods));
    let there = location(earlier.path.span);
    let here = location(later.path.span);
    let (a, b) = (shown(earlier), shown(later));
    if earlier.methods == later.methods {
        let twice = if a == b {
            format!("the route `{b}` is there twice; the first is above{there}")
        } else {
            format!("`{b}` takes the same requests as `{a}` above{there}")
        };
        let error = diag.error(later.path.span, twice);
        error.note(format!("`{witness}` would match both"));
        if a != b {
            error.note("the names of parameters do not tell paths apart");
        }
        error.help("take one of them away, or tell them apart with a method or a guard");
        diag.error(
            earlier.path.span,
            format!("the route `{a}` is there again below{here}"),
        );
        return;
    }
    let common = earlier.methods.common(later.methods).example();
    diag.error(
        later.path.span,
        format!("`{b}` ties with `{a}` above{there}"),
    )
    .note(format!("`{witness}` would match both"))
    .help(format!("take `{common}` out of one of them"));
    diag.error(
        earlier.path.span,
        format!("`{a}` ties with `{b}` below{here}"),
    )
    .note(format!("`{witness}` would match both"));
}

fn shown(route: &Route) -> String {
    match guard(route) {
        Some(guard) => format!("{} if {guard}", route.shown()),
        None => route.shown(),
    }
}

/// A request that the route takes.
fn witness(model: &Model, route: &Route, methods: Methods) -> String {
    let host = model
        .hosts
        .get(route.host)
        .and_then(|host| host.names.first());
    let host = match host {
        Some((HostName::Exact(name), _)) => format!("https://{name}"),
        Some((HostName::Suffix(name), _)) => format!("https://any.{name}"),
        None => String::new(),
    };
    format!("{} {host}{}", methods.example(), witness_path(route))
}

fn witness_path(route: &Route) -> String {
    let Some(pattern) = &route.pattern else {
        return String::from("/");
    };
    let mut path = String::new();
    for segment in &pattern.segments {
        path.push('/');
        path.push_str(match segment {
            Segment::Literal(text) => text,
            Segment::Param(_) => "7",
        });
    }
    if matches!(pattern.tail, Tail::Rest(_)) {
        path.push_str("/x");
    }
    if path.is_empty() {
        String::from("/")
    } else {
        path
    }
}

/// Routes of which every request is taken by routes that are asked before.
fn unreachable(
    model: &Model,
    forest: &Forest,
    conflicting: &HashSet<usize>,
    diag: &mut Diagnostics,
) {
    let mut reached = vec![false; model.routes.len()];
    let mut mark = |list: usize| {
        let mut covered = Methods(0);
        for candidate in forest.lists.get(list).into_iter().flatten() {
            let methods = Methods(candidate.methods);
            if let Some(reached) = reached.get_mut(candidate.route) {
                *reached |= !methods.without(covered).is_empty();
            }
            if !candidate.guarded {
                covered = covered.union(methods);
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
    for (place, route) in model.routes.iter().enumerate() {
        let reached = reached.get(place).copied().unwrap_or(true);
        if reached || route.pattern.is_none() || conflicting.contains(&place) {
            continue;
        }
        let what = if route.guard.is_some() {
            "its guard is never asked"
        } else {
            "it can never be reached"
        };
        let error = diag.error(
            route.path.span,
            format!(
                "`{}` is in vain: {what}, since more specific routes take all of its requests",
                shown(route)
            ),
        );
        let winner = forest
            .find(route.host, &witness_path(route))
            .first()
            .and_then(|candidate| model.routes.get(candidate.route));
        if let Some(winner) = winner {
            let there = location(winner.path.span);
            error.note(format!(
                "for example `{}` is taken by `{}`{there}",
                witness(model, route, route.methods),
                shown(winner)
            ));
        }
        error.help("take the route away, or narrow the others down");
    }
}
