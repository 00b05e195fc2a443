//! Where redirects lead.

use proc_macro2::TokenTree;

use super::answers::status;
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
        for (status, location) in &redirects {
            match form(&location.value) {
                Some(flaw) => diag.flaw(location, flaw),
                None if plain && leads_back(model, forest, place, *status, &location.value) => {
                    circle(route, location, diag);
                }
                None => {}
            }
        }
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

/// Whether the route that redirects surely takes the request that follows.
fn leads_back(model: &Model, forest: &Forest, place: usize, status: u16, location: &str) -> bool {
    let Some(route) = model.routes.get(place) else {
        return false;
    };
    let holes = model.routes.iter().any(|other| {
        other.host == route.host && (other.pattern.is_none() || other.accepts.is_hole())
    });
    if holes
        || forest.overflow.is_some()
        || !location.starts_with('/')
        || location.starts_with("//")
    {
        return false;
    }
    let location = location.split('#').next().unwrap_or_default();
    let (path, query) = location.split_once('?').unwrap_or((location, ""));
    // Clients follow 301, 302 and 303 with `GET`, and 307 and 308 with the same method.
    let method = if route.methods.contains(Methods::GET) || !matches!(status, 307 | 308) {
        Methods::GET
    } else {
        match route.methods.each().next() {
            Some(method) => method,
            None => return false,
        }
    };
    let taken = forest.find(route.host, path).iter().find(|candidate| {
        let accepts = model
            .routes
            .get(candidate.route)
            .is_some_and(|route| route.accepts.accepts_query(query));
        accepts && Methods(candidate.methods).contains(method)
    });
    taken.is_some_and(|candidate| candidate.route == place)
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
