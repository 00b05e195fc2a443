//! Where redirects lead. What a location may be is in [`location`](super::location).

use std::borrow::Cow;

use proc_macro2::TokenTree;

use super::{
    answers::status,
    expect::host_of,
    location::{form, missing},
    witness::{path_with, plain},
};
use crate::{
    diag::Diagnostics,
    model::{Methods, Model, Route, tree::Forest},
    syntax::{
        ast::{Target, Text},
        calls::{Call, each_call, each_expr},
        cursor::text_of,
        pattern::Tail,
    },
};

pub(super) fn check(model: &Model, forest: &Forest, diag: &mut Diagnostics) {
    let mut leads: Vec<Option<Lead>> = Vec::new();
    for (place, route) in model.routes.iter().enumerate() {
        let mut redirects = Vec::new();
        if let Some(target) = &route.target {
            each_expr(target, &mut |expr| {
                each_call(&expr.tokens, &mut |call| redirects.extend(redirect(call)));
            });
        }
        // What is deeper in a target may be asked for now and then only.
        let plain = match &route.target {
            Some(Target::Expr(expr)) => matches!(
                expr.tokens.as_slice(),
                [TokenTree::Ident(word), TokenTree::Group(_)] if word == "redirect"
            ),
            _ => false,
        };
        let mut lead = None;
        for (status, location) in redirects {
            match form(&location.value) {
                Some(flaw) => diag.flaw(&location, flaw),
                None if missing(&location, route, diag) => {}
                None if plain => {
                    let from = follow(model, forest, place, status, &location.value);
                    lead = from.map(|to| Lead { to, location });
                }
                None => {}
            }
        }
        leads.push(lead);
    }
    circles(model, &leads, diag);
}

/// The route to which a redirect surely leads.
struct Lead {
    to: usize,
    location: Text,
}

/// Reports each circle once, at the redirect that is the last of it in the source.
fn circles(model: &Model, leads: &[Option<Lead>], diag: &mut Diagnostics) {
    for (place, lead) in leads.iter().enumerate() {
        let (Some(lead), Some(route)) = (lead, model.routes.get(place)) else {
            continue;
        };
        let mut way = vec![place];
        let mut next = lead.to;
        while let Some(Some(lead)) = leads.get(next)
            && !way.contains(&next)
        {
            way.push(next);
            next = lead.to;
        }
        if next != place || way.iter().any(|other| *other > place) {
            continue;
        }
        if way.len() == 1 {
            // Of a whole URL, the scheme or the port may be another server's.
            if is_local(&lead.location.value) {
                circle(route, &lead.location, diag);
            }
            continue;
        }
        way.push(place);
        let way = way.iter().filter_map(|place| model.routes.get(*place));
        let way: Vec<String> = way
            .map(|route| match model.hosts.get(route.host) {
                Some(host) if !host.is_every_other() => {
                    format!("`{}{}`", host.label, route.shown_path())
                }
                _ => format!("`{}`", route.shown_path()),
            })
            .collect();
        diag.error(
            lead.location.span,
            "this redirect closes a loop, so a client never gets an answer",
        )
        .note(format!("a client goes from {}", way.join(" to ")))
        .help("change the location of one of them");
    }
}

/// Whether the location is surely on the same host, and the same scheme and port.
fn is_local(location: &str) -> bool {
    [
        "/",
        "{path}",
        "{below}",
        "{scheme}://{host}/",
        "{scheme}://{host}{",
    ]
    .iter()
    .any(|start| location.starts_with(start))
}

/// The status and the location of `redirect(308, "/v1")`.
fn redirect(call: &Call<'_>) -> Option<(u16, Text)> {
    if call.method || call.name != "redirect" {
        return None;
    }
    let number = status(call).and_then(|status| status.to_string().parse().ok());
    let args = call.args();
    let [TokenTree::Literal(location)] = args.get(1)?.tokens.as_slice() else {
        return None;
    };
    let location = text_of(&TokenTree::Literal(location.clone()))?;
    Some((number.unwrap_or(308), location))
}

/// The route that surely takes the request that follows the redirect, if it is one of this gateway.
fn follow(
    model: &Model,
    forest: &Forest,
    place: usize,
    status: u16,
    location: &str,
) -> Option<usize> {
    let route = model.routes.get(place)?;
    let location = &*witnessed(model, forest, place, location)?;
    let (host, rest) = if location.starts_with('/') && !location.starts_with("//") {
        (route.host, location)
    } else {
        // Another port may be another server.
        let (_, rest) = location.split_once("://")?;
        let (name, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // A whole URL may lead to another listener.
        if model.on(route).is_some() {
            return None;
        }
        let host = host_of(model, None, &name.to_ascii_lowercase());
        (host, rest)
    };
    // Which hosts no block names, only the world knows.
    if host == 0 && (route.host != 0 || !location.starts_with('/')) {
        return None;
    }
    let holes = model.hosts.iter().any(|host| host.hole)
        || model.routes.iter().any(|other| {
            other.host == host && (other.pattern.is_none() || other.accepts.is_hole())
        });
    if holes || forest.overflow.is_some() {
        return None;
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = if path.is_empty() { "/" } else { path };
    // Clients follow 301, 302 and 303 with `GET`, and 307 and 308 with the same method.
    let method = if route.methods.contains(Methods::GET) || !matches!(status, 307 | 308) {
        Methods::GET
    } else {
        route.methods.each().next()?
    };
    let candidates = forest.find(host, path);
    let taken = candidates.iter().find(|candidate| {
        let accepts = model
            .routes
            .get(candidate.route)
            .is_some_and(|route| route.accepts.accepts_query(query));
        accepts && Methods(candidate.methods).contains(method)
    });
    taken.map(|candidate| candidate.route)
}

/// The location for the example of the route; none if it leads out of the gateway, or if another route takes the example.
fn witnessed<'l>(
    model: &Model,
    forest: &Forest,
    place: usize,
    location: &'l str,
) -> Option<Cow<'l, str>> {
    if !location.contains('{') {
        return Some(Cow::Borrowed(location));
    }
    let route = model.routes.get(place)?;
    let pattern = route.pattern.as_ref()?;
    let plain = plain(model, route.host);
    let mut names = pattern.params();
    let mut values = Vec::new();
    let filled = path_with(route, &mut |kind| {
        let value = kind.example(plain).to_owned();
        values.extend(names.next().map(|name| (name, value.clone())));
        value
    });
    if forest.find(route.host, &filled).first()?.route != place {
        return None;
    }
    if let Tail::Rest(name) = &pattern.tail {
        values.push((name, String::from("x")));
    }
    // The same scheme and host, or another server's.
    let mut filled_in = location
        .strip_prefix("{scheme}://{host}")
        .unwrap_or(location)
        .to_owned();
    if filled_in.contains("{host}") || filled_in.contains("{scheme}") || filled_in.starts_with(':')
    {
        return None;
    }
    for (name, value) in values {
        filled_in = filled_in.replace(&format!("{{{name}}}"), &value);
        filled_in = filled_in.replace(&format!("{{*{name}}}"), &value);
    }
    filled_in = filled_in.replace("{path}", &filled);
    filled_in = filled_in.replace("{below}", "").replace("{query}", "");
    if filled_in.is_empty() {
        filled_in.push('/');
    }
    Some(Cow::Owned(filled_in))
}

fn circle(route: &Route, location: &Text, diag: &mut Diagnostics) {
    let shown = route.shown();
    let path = route.shown_path();
    let target = location.value.split(['?', '#']).next().unwrap_or_default();
    if target.trim_end_matches('/') == path.trim_end_matches('/') {
        diag.error(location.span, format!("`{shown}` redirects to itself"))
            .help("write another path");
        return;
    }
    diag.error(
        location.span,
        format!("redirect loop: `{shown}` also matches `{}`", location.value),
    )
    .help(format!(
        "write `exact \"{path}\"`, or a more specific route for `{target}`"
    ));
}
