//! Where redirects lead. What a location may be is in [`location`](super::location).

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use proc_macro2::TokenTree;

use super::{
    answers::status,
    expect::host_of,
    location::{form, missing},
    witness::{path_with, plain},
};
use crate::{
    diag::Diagnostics,
    model::{Host, Methods, Model, Route, tree::Forest},
    syntax::{
        ast::{Target, Text},
        calls::{Call, each_call, each_expr},
        cursor::text_of,
        pattern::Tail,
    },
};

pub(super) fn check(model: &Model, forest: &Forest, diag: &mut Diagnostics) {
    let mut redirects = Vec::new();
    for (place, route) in model.routes.iter().enumerate() {
        let mut calls = Vec::new();
        if let Some(target) = &route.target {
            each_expr(target, &mut |expr| {
                each_call(&expr.tokens, &mut |call| calls.extend(redirect(call)));
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
        for (status, location) in calls {
            match form(&location.value) {
                Some(flaw) => diag.flaw(&location, flaw),
                None if missing(&location, route, diag) => {}
                None if plain => redirects.push(Redirect {
                    place,
                    status,
                    location,
                }),
                None => {}
            }
        }
    }
    let mut known = BTreeSet::new();
    // The routes of one host.
    let leads = leads(&redirects, |redirect| {
        let host = model.routes.get(redirect.place)?.host;
        follow(model, forest, redirect, &[host])
    });
    circles(model, &leads, &mut known, diag);
    // The routes of a listener, and those for every listener.
    for hosts in at_listeners(model) {
        let leads = self::leads(&redirects, |redirect| {
            let route = model.routes.get(redirect.place)?;
            let here = hosts.contains(&route.host);
            here.then(|| follow(model, forest, redirect, &hosts))?
        });
        circles(model, &leads, &mut known, diag);
    }
}

/// A route that is nothing but a redirect.
struct Redirect {
    place: usize,
    status: u16,
    location: Text,
}

/// The route to which a redirect surely leads, by the place of the redirect.
type Leads<'r> = BTreeMap<usize, (usize, &'r Text)>;

fn leads(redirects: &[Redirect], follow: impl Fn(&Redirect) -> Option<usize>) -> Leads<'_> {
    let leads = redirects.iter().filter_map(|redirect| {
        let to = follow(redirect)?;
        Some((redirect.place, (to, &redirect.location)))
    });
    leads.collect()
}

/// The hosts that are asked one after the other for a request to a listener, for each host that a block names and for any other.
fn at_listeners(model: &Model) -> BTreeSet<[usize; 2]> {
    let names = model.hosts.iter().flat_map(Host::examples);
    let names: BTreeSet<String> = names.chain([String::new()]).collect();
    let listeners = (0..model.ons.len()).flat_map(|on| {
        let hosts = |name: &String| [Some(on), None].map(|on| host_of(model, on, name));
        names.iter().map(hosts).collect::<Vec<_>>()
    });
    listeners.collect()
}

/// Reports each circle once, at the redirect that is the last of it in the source.
fn circles(
    model: &Model,
    leads: &Leads<'_>,
    known: &mut BTreeSet<Vec<usize>>,
    diag: &mut Diagnostics,
) {
    for (&place, &(to, location)) in leads {
        let Some(route) = model.routes.get(place) else {
            continue;
        };
        let mut way = vec![place];
        let mut next = to;
        while let Some((to, _)) = leads.get(&next)
            && !way.contains(&next)
        {
            way.push(next);
            next = *to;
        }
        if next != place || way.iter().any(|other| *other > place) || !known.insert(way.clone()) {
            continue;
        }
        if way.len() == 1 {
            // Of a whole URL, the scheme or the port may be another server's.
            if is_local(&location.value) {
                circle(route, location, diag);
            }
            continue;
        }
        way.push(place);
        let way = way.iter().filter_map(|place| model.routes.get(*place));
        let way: Vec<String> = way
            .map(|route| {
                let on = model.on(route);
                let on = on.map_or_else(String::new, |on| format!("on {} ", on.name.token));
                let host = model.hosts.get(route.host);
                let host = host.filter(|host| !host.is_every_other());
                let host = host.map_or("", |host| &host.label);
                format!("`{on}{host}{}`", route.shown_path())
            })
            .collect();
        diag.error(
            location.span,
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

/// The route that surely takes the request that follows the redirect, if it is one of this gateway; these hosts are asked for the
/// request, one after the other.
fn follow(model: &Model, forest: &Forest, redirect: &Redirect, hosts: &[usize]) -> Option<usize> {
    let Redirect { place, status, .. } = *redirect;
    let route = model.routes.get(place)?;
    let location = &*witnessed(model, forest, redirect, hosts)?;
    let (hosts, rest) = if location.starts_with('/') && !location.starts_with("//") {
        (hosts, location)
    } else {
        // Another port may be another server.
        let (_, rest) = location.split_once("://")?;
        let (name, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // A whole URL may lead to another listener.
        if model.on(route).is_some() || hosts.len() > 1 {
            return None;
        }
        let host = host_of(model, None, &name.to_ascii_lowercase());
        // Which hosts no block names, only the world knows.
        if host == 0 {
            return None;
        }
        (&[host][..], rest)
    };
    let holes = model.hosts.iter().any(|host| host.hole)
        || model.routes.iter().any(|other| {
            hosts.contains(&other.host) && (other.pattern.is_none() || other.accepts.is_hole())
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
    let mut candidates = hosts.iter().flat_map(|host| forest.find(*host, path));
    let taken = candidates.find(|candidate| {
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
    redirect: &'l Redirect,
    hosts: &[usize],
) -> Option<Cow<'l, str>> {
    let Redirect {
        place, location, ..
    } = redirect;
    let location = &*location.value;
    if !location.contains('{') {
        return Some(Cow::Borrowed(location));
    }
    let route = model.routes.get(*place)?;
    let pattern = route.pattern.as_ref()?;
    // A greater value is of fewer kinds.
    let plain = hosts.iter().map(|host| plain(model, *host)).max()?;
    let mut names = pattern.params();
    let mut values = Vec::new();
    let filled = path_with(route, &mut |kind| {
        let value = kind.example(plain).to_owned();
        values.extend(names.next().map(|name| (name, value.clone())));
        value
    });
    let mut candidates = hosts.iter().flat_map(|host| forest.find(*host, &filled));
    if candidates.next()?.route != *place {
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
