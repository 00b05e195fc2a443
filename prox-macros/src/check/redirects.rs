//! Where redirects lead.

use proc_macro2::TokenTree;

use super::{answers::status, expect::host_of};
use crate::{
    diag::{Diagnostics, Flaw},
    model::{Methods, Model, Route, tree::Forest},
    syntax::{
        ast::{Target, Text},
        calls::{Call, each_call, each_expr},
        cursor::text_of,
        pattern::encoded,
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
            if lead.location.value.starts_with('/') {
                circle(route, &lead.location, diag);
            }
            continue;
        }
        way.push(place);
        let way = way.iter().filter_map(|place| model.routes.get(*place));
        let way: Vec<String> = way
            .map(|route| match model.hosts.get(route.host) {
                Some(host) if route.host > 0 => format!("`{}{}`", host.label, route.shown_path()),
                _ => format!("`{}`", route.shown_path()),
            })
            .collect();
        diag.error(
            lead.location.span,
            "this redirect closes a circle, so a client never gets an answer",
        )
        .note(format!("a client is sent from {}", way.join(" to ")))
        .help("send one of them somewhere else");
    }
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

/// What is wrong with a location, whatever the route is.
fn form(location: &str) -> Option<Flaw> {
    let flaw = |at, message: &str, help| {
        Some(Flaw {
            at,
            message: message.to_owned(),
            help,
        })
    };
    if let Some(at) = location.find('{') {
        let end = location.find('}').map_or(location.len(), |end| end + 1);
        return flaw(
            at..end.max(at + 1),
            "the location of a redirect is sent as it is written, without parameters",
            String::from("write a handler that answers with a `Location` of its own"),
        );
    }
    if let Some(at) = location.find(|c: char| !c.is_ascii_graphic()) {
        return flaw(
            at..at + location[at..].chars().next().map_or(1, char::len_utf8),
            "the location of a redirect has no blanks and nothing outside of ASCII",
            format!("write `\"{}\"`", encoded(location)),
        );
    }
    let scheme = location.split_once(':').is_some_and(|(scheme, rest)| {
        // `localhost:8080` has a port, and no scheme.
        scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-".contains(&b))
            && !rest.starts_with(|c: char| c.is_ascii_digit())
    });
    if location.starts_with(['/', '?', '#', '.']) || scheme {
        return None;
    }
    let first = location.split('/').next().unwrap_or_default();
    let host = first.contains(['.', ':']);
    flaw(
        0..0,
        "the location of a redirect starts with `/` or with a scheme",
        if host {
            format!("write `\"https://{location}\"`, or `\"/{location}\"`")
        } else {
            format!("write `\"/{location}\"`")
        },
    )
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
    let (host, rest) = if location.starts_with('/') && !location.starts_with("//") {
        (route.host, location)
    } else {
        // Another port may be another server.
        let (_, rest) = location.split_once("://")?;
        let (name, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host = host_of(model, &name.to_ascii_lowercase());
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
        format!(
            "this redirect leads in a circle: `{shown}` takes `{}` as well",
            location.value
        ),
    )
    .help(format!(
        "write `exact \"{path}\"`, or a more specific route for `{target}`"
    ));
}
