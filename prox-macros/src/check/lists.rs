//! Routes that differ by lists of values, `{v: 'v1' | 'v2'}`, where neither list is within the other: for what is in both lists
//! nothing says which goes first.

use std::collections::{BTreeMap, HashSet};

use super::{
    routes::{guard, shown},
    witness::{path_with, witness_at},
};
use crate::{
    diag::{Diagnostics, location},
    model::{
        Methods, Model, Route,
        tree::{Candidate, Forest},
    },
    syntax::pattern::{Kind, Lie, Segment, Tail},
};

/// More paths than this are not tried for two routes; lists of so many common values are in no gateway.
const MOST_PATHS: usize = 4096;

/// Reports pairs of routes that tie; gives the routes of these pairs.
pub(super) fn check(model: &Model, forest: &Forest, diag: &mut Diagnostics) -> HashSet<usize> {
    let mut groups: BTreeMap<(usize, String), Vec<(usize, &Route)>> = BTreeMap::new();
    for (place, route) in model.routes.iter().enumerate().filter(|(_, r)| has_list(r)) {
        if let Some(class) = route.class() {
            let group = groups.entry((route.host, class)).or_default();
            group.push((place, route));
        }
    }
    let mut found = HashSet::new();
    for group in groups.values() {
        for (at, later) in group.iter().enumerate() {
            let before = group.iter().take(at);
            let tie = before
                .filter(|earlier| earlier.1.lie(later.1) == Lie::Across)
                .find_map(|earlier| Some((earlier, tie(forest, earlier, later)?)));
            if let Some((earlier, (path, methods))) = tie {
                report(model, earlier.1, later.1, &path, methods, diag);
                found.extend([earlier.0, later.0]);
            }
        }
    }
    found
}

fn has_list(route: &Route) -> bool {
    let segments = route.pattern.iter().flat_map(|pattern| &pattern.segments);
    segments
        .into_iter()
        .any(|segment| matches!(segment, Segment::Param(_, Kind::OneOf(_))))
}

/// A path that both routes take with these methods, and that no more specific route takes before them.
fn tie(forest: &Forest, a: &(usize, &Route), b: &(usize, &Route)) -> Option<(String, Methods)> {
    let common = a.1.methods.common(b.1.methods);
    let opaque = a.1.accepts.is_opaque() || b.1.accepts.is_opaque();
    if common.is_empty()
        || a.1.accepts.common(&b.1.accepts).is_none()
        || (opaque && guard(a.1) != guard(b.1))
    {
        return None;
    }
    paths(a.1, b.1).into_iter().find_map(|path| {
        let left = left(forest.find(a.1.host, &path), [a.0, b.0], common);
        (!left.is_empty()).then_some((path, left))
    })
}

/// The methods with which a request gets to one of the routes.
fn left(candidates: &[Candidate], routes: [usize; 2], methods: Methods) -> Methods {
    let before = candidates
        .iter()
        .take_while(|candidate| !routes.contains(&candidate.route))
        .filter(|candidate| !candidate.guarded);
    before.fold(methods, |left, candidate| {
        left.without(Methods(candidate.methods))
    })
}

/// A path for each choice among the values that both have, as it ends and as it goes on.
fn paths(a: &Route, b: &Route) -> Vec<String> {
    let (Some(own), Some(others)) = (&a.pattern, &b.pattern) else {
        return Vec::new();
    };
    let pairs = own.segments.iter().zip(&others.segments);
    let choices = pairs.filter_map(|pair| match pair {
        (Segment::Param(_, Kind::OneOf(own)), Segment::Param(_, Kind::OneOf(others))) => {
            Some(own.iter().filter(|value| others.contains(value)))
        }
        _ => None,
    });
    let mut chosen: Vec<Vec<&String>> = vec![Vec::new()];
    for values in choices {
        let values: Vec<&String> = values.collect();
        chosen = chosen
            .iter()
            .flat_map(|before| {
                values.iter().map(|value| {
                    let mut next = before.clone();
                    next.push(value);
                    next
                })
            })
            .take(MOST_PATHS)
            .collect();
    }
    let ends: &[&str] = match own.tail {
        Tail::Prefix => &["", "/~", "/~/~"],
        Tail::Exact | Tail::Rest(_) => &[""],
    };
    let paths = chosen.iter().map(|values| {
        let mut values = values.iter();
        path_with(a, &mut |kind| match kind {
            Kind::OneOf(_) => values.next().map_or_else(String::new, |v| (*v).clone()),
            kind => kind.example("~").to_owned(),
        })
    });
    paths
        .flat_map(|path| ends.iter().map(move |end| format!("{path}{end}")))
        .collect()
}

fn report(
    model: &Model,
    a: &Route,
    b: &Route,
    path: &str,
    methods: Methods,
    diag: &mut Diagnostics,
) {
    let both = a.accepts.common(&b.accepts).unwrap_or_default();
    let witness = witness_at(model, b, path, methods, &both);
    let witness = format!("{witness} would match both, and neither list is within the other");
    let (first, second) = (shown(a), shown(b));
    diag.error(
        b.path.span,
        format!("`{second}` ties with `{first}` above{}", location(a.path.span)),
    )
    .note(&witness)
    .help("take the common values out of one of the lists, or write a route for them alone, which goes first");
    diag.error(
        a.path.span,
        format!(
            "`{first}` ties with `{second}` below{}",
            location(b.path.span)
        ),
    )
    .note(witness);
}
