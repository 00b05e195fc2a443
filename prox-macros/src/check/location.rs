//! The location of a redirect: a path or a URL, with parts of the request and parameters of the route in it.
//!
//! No client may choose where others are sent: in the authority only `{host}` can stand, and a location starts with what is
//! written.

use std::ops::Range;

use super::template::{characters, names, unclosed};
use crate::{
    diag::{Diagnostics, Flaw},
    model::Route,
    syntax::{ast::Text, words::nearest},
};

/// The parts that are no parameters.
const PARTS: [&str; 5] = ["scheme", "host", "path", "below", "query"];

/// What is wrong with the parts of a location, whatever the route is.
fn parts_flaw(location: &str) -> Option<Flaw> {
    let flaw = |at: Range<usize>, message: String, help: &str| {
        Some(Flaw {
            at,
            message,
            help: help.to_owned(),
        })
    };
    if let Some(flaw) = unclosed(location) {
        return Some(flaw);
    }
    let names = names(location);
    let (first, _) = names.first()?;
    let authority = authority(location);
    let written = location.get(..first.start).unwrap_or_default();
    let starts = ["/", "{path}", "{below}"]
        .iter()
        .any(|start| location.starts_with(start));
    for (at, name) in &names {
        if name.is_empty() {
            return flaw(
                at.clone(),
                String::from("missing name of the parameter `{}`"),
                "write `{id}`",
            );
        }
        if authority
            .as_ref()
            .is_some_and(|authority| authority.contains(&at.start))
            && *name != "host"
        {
            return flaw(
                at.clone(),
                format!(
                    "`{{{name}}}` is not allowed in the host: a client could redirect others to any host"
                ),
                "only `{host}`, the host of the request, is allowed there; write a route for each host",
            );
        }
        let before = location.get(..at.start).unwrap_or_default();
        let behind = location.get(at.end..).unwrap_or_default();
        match *name {
            "scheme" if at.start > 0 || !behind.starts_with("://") => {
                return flaw(
                    at.clone(),
                    String::from("`{scheme}` must be at the start, before `://`"),
                    "write `\"{scheme}://{host}{path}{query}\"`",
                );
            }
            "path" | "below" if before.ends_with('/') && !before.ends_with("//") => {
                return flaw(
                    at.start - 1..at.end,
                    format!("duplicate `/`: `{{{name}}}` starts with one"),
                    "remove the slash before it",
                );
            }
            "query" if !(behind.is_empty() || behind.starts_with('#')) => {
                return flaw(
                    at.clone(),
                    String::from(
                        "nothing can follow `{query}`, which includes the `?` and the whole query",
                    ),
                    "move it to the end",
                );
            }
            _ => {}
        }
    }
    if authority.is_none() && !starts {
        return flaw(
            first.clone(),
            if written.is_empty() {
                String::from(
                    "a location cannot start with a parameter: a client could redirect others to any host",
                )
            } else {
                String::from(
                    "a location with parameters must start with `/`, `{path}`, or a scheme and a host",
                )
            },
            "write `\"/..\"`, `\"https://{host}{path}{query}\"` or `\"{path}\"`",
        );
    }
    None
}

/// Where the authority is.
fn authority(location: &str) -> Option<Range<usize>> {
    let start = if location.starts_with("//") {
        2
    } else {
        let (scheme, _) = location.split_once("://")?;
        let named = scheme == "{scheme}"
            || (!scheme.is_empty()
                && scheme
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)));
        named.then_some(scheme.len() + 3)?
    };
    let rest = location.get(start..)?;
    let ends = ["/", "?", "#", "{path}", "{below}", "{query}"];
    let end = ends.iter().filter_map(|end| rest.find(end)).min();
    Some(start..start + end.unwrap_or(rest.len()))
}

/// Reports what the location names and the route lacks; says whether there is any.
pub(super) fn missing(location: &Text, route: &Route, diag: &mut Diagnostics) -> bool {
    let Some(pattern) = &route.pattern else {
        return true;
    };
    let params: Vec<&str> = pattern.params().collect();
    let mut found = false;
    for (at, name) in names(&location.value) {
        let (own, part) = (params.contains(&name), PARTS.contains(&name));
        let (message, help) = if own && part {
            (
                format!(
                    "`{{{name}}}` is ambiguous: a parameter of this route, and a part of the request"
                ),
                format!("give the parameter another name in `{pattern}`"),
            )
        } else if own || part {
            continue;
        } else {
            let help = match nearest(name, params.iter().copied().chain(PARTS)) {
                Some(near) => format!("write `{{{near}}}`"),
                None if name == "rest"
                    || name == "tail"
                    || name == "uri"
                    || name == "request_uri" =>
                {
                    String::from(
                        "write `{below}` for the path below this route, or `{path}{query}` for the whole",
                    )
                }
                None => format!(
                    "the parameters of a location are those of the path `{pattern}`, and `{{scheme}}`, `{{host}}`, `{{path}}`, `{{below}}`, `{{query}}`"
                ),
            };
            (
                format!("the path of this route has no parameter `{name}`"),
                help,
            )
        };
        found = true;
        diag.flaw(location, Flaw { at, message, help });
    }
    found
}

/// What is wrong with a location, whatever the route is.
pub(super) fn form(location: &str) -> Option<Flaw> {
    let flaw = |at, message: &str, help| {
        Some(Flaw {
            at,
            message: message.to_owned(),
            help,
        })
    };
    if let Some(flaw) = parts_flaw(location) {
        return Some(flaw);
    }
    if let Some(flaw) = characters(location, "a location") {
        return Some(flaw);
    }
    if ["{path}", "{below}", "{scheme}://"]
        .iter()
        .any(|start| location.starts_with(start))
    {
        return None;
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
        "the location of a redirect must start with `/` or a scheme",
        if host {
            format!("write `\"https://{location}\"`, or `\"/{location}\"`")
        } else {
            format!("write `\"/{location}\"`")
        },
    )
}
