//! A request that a route takes, for people.

use std::net::IpAddr;

use crate::{
    model::{
        Methods, Model, Route,
        guard::{Guard, Key, Test},
    },
    syntax::{
        host::HostName,
        pattern::{Kind, Segment, Tail},
    },
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
    let host = model
        .hosts
        .get(route.host)
        .and_then(|host| host.names.first());
    let host = match host {
        Some((HostName::Exact(name), _)) => format!("https://{name}"),
        Some((HostName::Suffix(name), _)) => format!("https://any.{name}"),
        None => String::new(),
    };
    let mut query = Vec::new();
    let mut beside = Vec::new();
    let mut from = String::new();
    for (key, test) in guard.tests() {
        if *test == Test::Absent {
            // The query of a witness has nothing but what it must have.
            match key {
                Key::Header(name) => beside.push(format!("no `{name}`")),
                Key::Cookie(name) => beside.push(format!("no cookie `{name}`")),
                Key::Query(_) | Key::ClientIp => {}
            }
            continue;
        }
        let value = value(test);
        match key {
            Key::Query(name) => query.push(format!("{name}={value}")),
            Key::Header(name) => beside.push(format!("`{name}: {value}`")),
            Key::Cookie(name) => beside.push(format!("the cookie `{name}={value}`")),
            Key::ClientIp => from = format!(" from {value}"),
        }
    }
    let mark = if query.is_empty() { "" } else { "?" };
    let with = if beside.is_empty() { "" } else { " with " };
    format!(
        "`{} {host}{}{mark}{}`{with}{}{from}",
        model.example(methods),
        path,
        query.join("&"),
        beside.join(" and ")
    )
}

fn value(test: &Test) -> String {
    match test {
        Test::Exists | Test::Absent => String::from("1"),
        Test::OneOf(values) => values.first().cloned().unwrap_or_default(),
        Test::StartsWith(value) | Test::Is(value) => value.clone(),
        Test::Within(network) => IpAddr::to_string(&network.example()),
    }
}

/// A path that the route takes.
pub(super) fn path(model: &Model, route: &Route) -> String {
    let plain = plain(model, route.host);
    path_with(route, &mut |kind| kind.example(plain).to_owned())
}

/// A segment of no kind that a route of the host asks for.
pub(super) fn plain(model: &Model, host: usize) -> &'static str {
    let segments = model
        .routes
        .iter()
        .filter(|route| route.host == host)
        .flat_map(|route| route.pattern.iter().flat_map(|pattern| &pattern.segments));
    let mut plain = "7";
    for segment in segments {
        match segment {
            Segment::Param(_, Kind::Slug) => return "~x",
            Segment::Param(_, Kind::Int) => plain = "x",
            _ => {}
        }
    }
    plain
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
