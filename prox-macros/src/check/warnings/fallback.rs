//! Routes with guards that look as if together they took every request, and leave some without an answer.

use std::collections::BTreeMap;

use super::Warning;
use crate::{
    check::{
        routes::shown,
        witness::{path, witness},
    },
    model::{
        Methods, Model, Route,
        guard::{Key, Open},
        tree::Forest,
    },
    syntax::lints::NO_FALLBACK,
};

pub(super) fn check(model: &Model, forest: &Forest, found: &mut Vec<Warning>) {
    let mut groups: BTreeMap<(usize, String), Vec<&Route>> = BTreeMap::new();
    for route in &model.routes {
        if route.accepts.is_one_side()
            && let Some(shape) = route.shape()
        {
            groups.entry((route.host, shape)).or_default().push(route);
        }
    }
    // A route that tests for any value is the other side of one that tests for none.
    for route in &model.routes {
        if route.guard.is_some()
            && !route.accepts.is_one_side()
            && let Some(shape) = route.shape()
            && let Some(group) = groups.get_mut(&(route.host, shape))
        {
            group.push(route);
        }
    }
    for group in groups.values() {
        if group
            .iter()
            .any(|route| route.allowed.iter().any(|lint| lint == NO_FALLBACK))
        {
            continue;
        }
        let mut sides = group.iter().filter(|route| route.accepts.is_one_side());
        found.extend(sides.find_map(|side| of(model, forest, side, group)));
    }
}

/// What the route leaves over, alone or beside one of the group.
fn of(model: &Model, forest: &Forest, side: &Route, group: &[&Route]) -> Option<Warning> {
    if let Some(open) = side.accepts.open()
        && let Some(method) = unanswered(model, forest, side, side.methods, &open)
    {
        return Some(warning(model, side, None, method, &open));
    }
    group.iter().find_map(|other| {
        let open = side.accepts.open_beside(&other.accepts)?;
        let common = side.methods.common(other.methods);
        let method = unanswered(model, forest, side, common, &open)?;
        Some(warning(model, side, Some(other), method, &open))
    })
}

/// A method with which such a request is taken by no route, as far as all of them can be decided.
fn unanswered(
    model: &Model,
    forest: &Forest,
    route: &Route,
    methods: Methods,
    open: &Open,
) -> Option<Methods> {
    let candidates = forest.find(route.host, &path(model, route));
    methods.each().find(|method| {
        candidates
            .iter()
            .filter(|candidate| Methods(candidate.methods).contains(*method))
            .filter_map(|candidate| model.routes.get(candidate.route))
            .all(|route| !route.accepts.is_opaque() && route.accepts.asks_for(&open.key))
    })
}

fn warning(
    model: &Model,
    side: &Route,
    other: Option<&Route>,
    method: Methods,
    open: &Open,
) -> Warning {
    let lacks = match &open.key {
        Key::Header(name) => format!("without the header `{name}`"),
        Key::Query(name) => format!("without the parameter `{name}` in its query"),
        Key::Cookie(name) => format!("without the cookie `{name}`"),
        Key::ClientIp if side.accepts.is_for_ipv4() => String::from("from an IPv6 address"),
        Key::ClientIp => String::from("from an IPv4 address"),
    };
    let request = witness(model, side, method, &open.rest);
    let routes = match other {
        Some(other) => format!(
            "`{}` and `{}` match only requests that have it",
            shown(side),
            shown(other)
        ),
        None => format!("`{}` matches only addresses of one family", shown(side)),
    };
    Warning {
        at: side.path.span,
        lint: NO_FALLBACK,
        text: format!(
            "no route matches {request} {lacks}\n\
             note: {routes}, and every route for this path has such a guard\n\
             help: add a route without a guard for the rest, or `#[allow({NO_FALLBACK})]` above this one"
        ),
    }
}
