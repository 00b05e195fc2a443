//! Routes that differ by lists of values, `{v: 'v1' | 'v2'}`, where neither list is within the other: for what is in both lists
//! nothing says which goes first.

use std::collections::{BTreeMap, HashSet};

use super::{
    reach::left,
    routes::{self, guard},
    witness::{path_with, witness_at},
};
use crate::{
    diag::Diagnostics,
    model::{
        Methods, Model, Route,
        guard::Guard,
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
                .find_map(|earlier| Some((earlier, tie(model, forest, earlier, later)?)));
            if let Some((earlier, tie)) = tie {
                report(model, earlier.1, later.1, &tie, diag);
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

/// What two routes both take, and no more specific route takes before them.
struct Tie {
    path: String,
    methods: Methods,
    guard: Guard,
}

fn tie(model: &Model, forest: &Forest, a: &(usize, &Route), b: &(usize, &Route)) -> Option<Tie> {
    let common = a.1.methods.common(b.1.methods);
    let both = a.1.accepts.common(&b.1.accepts)?;
    // The same closure twice is the same guard, whatever it does.
    let same = guard(a.1).filter(|own| guard(b.1).as_ref() == Some(own));
    if common.is_empty() || (both.is_opaque() && same.is_none()) {
        return None;
    }
    let has_guard = |candidate: &&Candidate| {
        let route = model.routes.get(candidate.route);
        same.is_some() && route.and_then(guard) == same
    };
    paths(a.1, b.1).into_iter().find_map(|path| {
        let candidates = forest.find(a.1.host, &path).iter();
        let before = candidates.take_while(|candidate| ![a.0, b.0].contains(&candidate.route));
        let before: Vec<Candidate> = before.copied().collect();
        let taken = before.iter().filter(has_guard);
        let untaken = taken.fold(common, |left, candidate| {
            left.without(Methods(candidate.methods))
        });
        let methods = left(model, &before, &both, untaken);
        (!methods.is_empty()).then(|| Tie {
            path,
            methods,
            guard: both.clone(),
        })
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

fn report(model: &Model, earlier: &Route, later: &Route, tie: &Tie, diag: &mut Diagnostics) {
    const HELP: &str = "remove the common values from one of the lists, or add a route for only those values, which goes first";
    let witness = witness_at(model, later, &tie.path, tie.methods, &tie.guard);
    let note = format!("{witness} would match both, and neither list contains the other");
    routes::tie((earlier, later), &note, HELP, diag);
}
