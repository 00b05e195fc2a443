//! A request that a route takes, for people.

use crate::{
    model::{
        Methods, Model, Route,
        guard::{Case, Guard, Key},
    },
    syntax::pattern::{Kind, Segment, Tail},
};

/// A request for the route with one of the methods, which the guard accepts as far as it can be decided.
pub(super) fn witness(model: &Model, route: &Route, methods: Methods, guard: &Guard) -> String {
    witness_at(model, route, &path(model, route), methods, guard)
}

/// The same for this path.
pub(super) fn witness_at(
    model: &Model,
    route: &Route,
    path: &str,
    methods: Methods,
    guard: &Guard,
) -> String {
    let host = model.hosts.get(route.host);
    let host = host
        .and_then(|host| host.examples().next())
        .map_or_else(String::new, |host| format!("https://{host}"));
    let mut query = Vec::new();
    let mut beside = Vec::new();
    let mut from = String::new();
    let case = guard.example();
    for (key, set) in case.into_iter().flat_map(Case::tests) {
        match (key, set.example()) {
            (Key::Query(name), Some(value)) => query.push(format!("{name}={value}")),
            (Key::Header(name), Some(value)) => beside.push(format!("`{name}: {value}`")),
            (Key::Cookie(name), Some(value)) => beside.push(format!("the cookie `{name}={value}`")),
            (Key::ClientIp, Some(value)) => from = format!(" from {value}"),
            (Key::Header(name), None) => beside.push(format!("no `{name}`")),
            (Key::Cookie(name), None) => beside.push(format!("no cookie `{name}`")),
            // The query has nothing but what it must have.
            (Key::Query(_) | Key::ClientIp, None) => {}
        }
    }
    let mark = if query.is_empty() { "" } else { "?" };
    let with = if beside.is_empty() { "" } else { " with " };
    let on = model
        .on(route)
        .map(|on| format!(" on \"{}\"", on.name.value));
    let on = on.unwrap_or_default();
    format!(
        "`{} {host}{}{mark}{}`{with}{}{from}{on}",
        model.example(methods),
        path,
        query.join("&"),
        beside.join(" and ")
    )
}

/// A path that the route takes.
pub(super) fn path(model: &Model, route: &Route) -> String {
    let plain = plain(model, route.host);
    path_with(route, &mut |kind| kind.example(plain).to_owned())
}

/// A segment of no kind that a route of the host asks for.
pub(super) fn plain(model: &Model, host: usize) -> &'static str {
    model.hosts.get(host).map_or("7", |host| host.plain)
}

/// A path that the route takes, with these values for its parameters.
pub(super) fn path_with(route: &Route, value: &mut dyn FnMut(&Kind) -> String) -> String {
    let Some(pattern) = &route.pattern else {
        return String::from("/");
    };
    let mut path = String::new();
    for segment in &pattern.segments {
        path.push('/');
        match segment {
            Segment::Literal(text) => path.push_str(text),
            Segment::Param(_, kind) => path.push_str(&value(kind)),
        }
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
