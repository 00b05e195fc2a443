//! Routes that are there twice, and routes that tie.

use std::collections::{BTreeMap, HashSet};

use super::{lists, reach, witness::witness};
use crate::{
    diag::{Diagnostics, location},
    model::{
        Methods, Model, Route,
        guard::{Guard, Relation},
        tree::Forest,
    },
    syntax::source::source,
};

pub(super) fn check(model: &Model, forest: &Forest, diag: &mut Diagnostics) {
    methods(model, diag);
    let mut conflicting = conflicts(model, diag);
    if forest.overflow.is_none() {
        conflicting.extend(lists::check(model, forest, diag));
    }
    if let Some(host) = forest.overflow {
        let route = model.routes.iter().find(|route| route.host == host);
        let place = route.map_or_else(proc_macro2::Span::call_site, |route| route.path.span);
        diag.error(
            place,
            "the parameters of the routes of this host overlap in too many ways",
        )
        .help("write literal segments where parameters are not needed");
        return;
    }
    reach::check(model, forest, &conflicting, diag);
}

/// The same method twice on one route.
fn methods(model: &Model, diag: &mut Diagnostics) {
    for route in &model.routes {
        let mut seen = HashSet::new();
        if let Some(twice) = route.label.split('|').find(|method| !seen.insert(*method)) {
            diag.error(
                route.path.span,
                format!("duplicate method `{twice}` on this route"),
            )
            .help("remove one of them");
        }
    }
}

/// Two routes with the same pattern that both take a request, of which none goes before the other.
enum Conflict {
    /// Their guards accept the same requests.
    Same,
    /// Each guard accepts requests that the other does not; with these methods nothing decides what both accept.
    Overlap(Methods, Guard),
}

/// Reports pairs of routes that are in conflict; gives the routes of these pairs.
fn conflicts(model: &Model, diag: &mut Diagnostics) -> HashSet<usize> {
    let mut groups: BTreeMap<(usize, String), Vec<usize>> = BTreeMap::new();
    for (place, route) in model.routes.iter().enumerate() {
        if let Some(shape) = route.shape() {
            groups.entry((route.host, shape)).or_default().push(place);
        }
    }
    let mut found: Vec<(usize, usize, Conflict)> = Vec::new();
    for group in groups.values().filter(|group| group.len() > 1) {
        let group: Vec<(usize, &Route)> = group
            .iter()
            .filter_map(|place| Some((*place, model.routes.get(*place)?)))
            .collect();
        for (at, (later, b)) in group.iter().enumerate() {
            let earlier = group
                .iter()
                .take(at)
                .find_map(|(earlier, a)| Some((*later, *earlier, conflict(a, b, &group)?)));
            found.extend(earlier);
        }
    }
    found.sort_unstable_by_key(|(later, earlier, _)| (*later, *earlier));
    for (later, earlier, conflict) in &found {
        if let (Some(later), Some(earlier)) = (model.routes.get(*later), model.routes.get(*earlier))
        {
            match conflict {
                Conflict::Same => same(model, earlier, later, diag),
                Conflict::Overlap(methods, both) => {
                    overlap(model, (earlier, later), *methods, both, diag);
                }
            }
        }
    }
    found.into_iter().flat_map(|(a, b, _)| [a, b]).collect()
}

/// Whether nothing says which of two routes of a group, which have the same pattern, goes first.
fn conflict(a: &Route, b: &Route, group: &[(usize, &Route)]) -> Option<Conflict> {
    let methods = a.methods.common(b.methods);
    if methods.is_empty() {
        return None;
    }
    let any = |route: &Route| route.methods == Methods::ALL;
    match a.accepts.relation(&b.accepts) {
        Relation::Same => (any(a) == any(b)).then_some(Conflict::Same),
        // More conditions go before fewer.
        Relation::Overlap if a.accepts.conditions() != b.accepts.conditions() => None,
        Relation::Overlap => {
            let both = a.accepts.common(&b.accepts)?;
            // Routes for what both accept go before either.
            methods.each().find_map(|method| {
                let between: Vec<&Guard> = group
                    .iter()
                    .filter(|(_, route)| route.methods.contains(method))
                    .map(|(_, route)| &route.accepts)
                    .filter(|guard| guard.implies(&a.accepts) && guard.implies(&b.accepts))
                    .collect();
                let rest = both.rest(&between)?;
                Some(Conflict::Overlap(method, Guard::of_case(rest)))
            })
        }
        // The same closure twice is the same guard, whatever it does.
        Relation::Apart => (any(a) == any(b) && guard(a) == guard(b)).then_some(Conflict::Same),
    }
}

pub(super) fn guard(route: &Route) -> Option<String> {
    route.guard.as_ref().map(|guard| source(&guard.tokens))
}

pub(super) fn shown(route: &Route) -> String {
    match guard(route) {
        Some(guard) => format!("{} if {guard}", route.shown()),
        None => route.shown(),
    }
}

fn same(model: &Model, earlier: &Route, later: &Route, diag: &mut Diagnostics) {
    let common = earlier.methods.common(later.methods);
    let witness = witness(model, later, common, &later.accepts);
    let when = if later.accepts.is_opaque() && later.mount.is_none() {
        ", if the guard accepts it"
    } else {
        ""
    };
    let witness = format!("{witness} would match both{when}");
    let there = location(earlier.path.span);
    let here = location(later.path.span);
    let (a, b) = (shown(earlier), shown(later));
    if earlier.methods == later.methods {
        let twice = if a == b {
            format!("duplicate route `{b}`; the first is above{there}")
        } else {
            format!("`{b}` matches the same requests as `{a}` above{there}")
        };
        let error = diag.error(later.path.span, twice);
        error.note(witness);
        if earlier.shown_path() != later.shown_path() {
            error.note("paths that differ only in parameter names are the same");
        }
        if guard(earlier) != guard(later) {
            error.note("both guards accept the same requests");
        }
        error.help("remove one of them, or distinguish them by a method or a guard");
        diag.error(
            earlier.path.span,
            format!("the route `{a}` is repeated below{here}"),
        );
        return;
    }
    let help = format!("remove `{}` from one of them", model.example(common));
    tie((earlier, later), &witness, &help, diag);
}

fn overlap(
    model: &Model,
    (earlier, later): (&Route, &Route),
    methods: Methods,
    both: &Guard,
    diag: &mut Diagnostics,
) {
    let witness = witness(model, later, methods, both);
    let witness = format!("{witness} would match both, and neither guard is more specific");
    let (first, second) = (
        guard(earlier).unwrap_or_default(),
        guard(later).unwrap_or_default(),
    );
    let help = format!(
        "add a third route for requests that both accept, which goes first: `if {first}.and({second})`"
    );
    tie((earlier, later), &witness, &help, diag);
}

/// Reports at both routes that nothing says which of them takes the request of the note.
pub(super) fn tie(
    (earlier, later): (&Route, &Route),
    note: &str,
    help: &str,
    diag: &mut Diagnostics,
) {
    let (a, b) = (shown(earlier), shown(later));
    let there = location(earlier.path.span);
    diag.error(
        later.path.span,
        format!("`{b}` ties with `{a}` above{there}"),
    )
    .note(note)
    .help(help);
    let here = location(later.path.span);
    diag.error(
        earlier.path.span,
        format!("`{a}` ties with `{b}` below{here}"),
    )
    .note(note);
}
