//! Expectations, decided over the same tree that runs.

use proc_macro2::{Ident, TokenTree};

use super::{answers::status, slashes::takes};
use crate::{
    diag::{Diagnostics, Flaw, location},
    model::{Host, Methods, Model, Route, tree::Forest},
    syntax::{
        ast::{Expect, Outcome, Setup, Target},
        calls::Call,
        host::HostName,
        source::target_text,
        url::{Asked, asked},
        words::nearest,
    },
};

pub(super) fn check(model: &Model, forest: &Forest, diag: &mut Diagnostics) {
    for expect in &model.expects {
        let Ok(on) = listener(model, expect, diag) else {
            continue;
        };
        let wanted = match &expect.outcome {
            Outcome::Name(name) => known(model, name, diag).then(|| name.to_string()),
            Outcome::Status(literal) => {
                let text = literal.to_string();
                let good = matches!(text.parse(), Ok(200..=599_u16));
                if !good {
                    diag.error(
                        literal.span(),
                        format!("`{literal}` is not a response status"),
                    )
                    .help("write a status such as 404, or the name of a backend or a handler");
                }
                good.then_some(text)
            }
        };
        match asked(&expect.url.value) {
            Err(flaw) => diag.flaw(&expect.url, flaw),
            Ok(asked) if !is_known(model, expect, &asked, diag) => {}
            Ok(asked) => {
                if let Some(wanted) = wanted {
                    decide(model, forest, (expect, on), &asked, &wanted, diag);
                }
            }
        }
    }
}

/// The number of the listener that the request comes to, if it names one. An unknown name is reported.
fn listener(model: &Model, expect: &Expect, diag: &mut Diagnostics) -> Result<Option<usize>, ()> {
    let Some(name) = &expect.on else {
        return Ok(None);
    };
    let mut names = model.ons.iter().map(|on| on.name.value.as_str());
    if let Some(number) = names.clone().position(|known| known == name.value) {
        return Ok(Some(number));
    }
    let near = nearest(&name.value, names.clone());
    let error = diag.error(
        name.span,
        format!("no block `on {}` in this gateway", name.token),
    );
    match near.or_else(|| names.next()) {
        Some(known) => error.help(format!(
            "write `on \"{known}\"`, or leave it out for a listener without a block"
        )),
        None => error.help("leave it out: every listener has the same routes"),
    };
    Err(())
}

/// Whether the host of the request is a name, or a variable of a host block. An unknown variable is reported.
fn is_known(model: &Model, expect: &Expect, asked: &Asked, diag: &mut Diagnostics) -> bool {
    let Some(name) = variable(&asked.host) else {
        return true;
    };
    if model.hosts.iter().any(|host| host.has_variable(name)) {
        return true;
    }
    let at = expect.url.value.find(&asked.host).unwrap_or(0);
    let variables = model.hosts.iter().flat_map(|host| &host.variables);
    let variables: Vec<String> = variables.map(ToString::to_string).collect();
    let near = nearest(name, variables.iter().map(String::as_str));
    let help = match near.or_else(|| variables.first().map(String::as_str)) {
        Some(near) => format!("write `{{{near}}}`, or the host itself"),
        None => format!("write `host {name} {{ .. }}` for its routes, or the host itself"),
    };
    let flaw = Flaw {
        at: at..at + asked.host.len(),
        message: format!("`{name}` is not the variable of a host block"),
        help,
    };
    diag.flaw(&expect.url, flaw);
    false
}

/// The name in `{NAME}`.
fn variable(host: &str) -> Option<&str> {
    host.strip_prefix('{')?.strip_suffix('}')
}

/// Whether any route can be meant by the name.
fn known(model: &Model, name: &Ident, diag: &mut Diagnostics) -> bool {
    let mut all: Vec<String> = model
        .setup
        .iter()
        .filter_map(|setup| match setup {
            Setup::Backend(backend) => Some(backend.name.to_string()),
            Setup::Let(_) => None,
        })
        .collect();
    for route in &model.routes {
        all.extend(route.target.iter().flat_map(names));
    }
    let word = name.to_string();
    if all.contains(&word) {
        return true;
    }
    let error = diag.error(name, format!("no backend or handler is named `{name}`"));
    match nearest(&word, all.iter().map(String::as_str)) {
        Some(near) => error.help(format!("write `{near}`")),
        None => error.help("write the name of a backend, the name of a handler, or a status"),
    };
    false
}

/// What becomes of a request that has nothing but its method and URL.
enum Decision<'m> {
    Taken(&'m Route),
    Refused(u16),
}

fn decide(
    model: &Model,
    forest: &Forest,
    (expect, on): (&Expect, Option<usize>),
    asked: &Asked,
    wanted: &str,
    diag: &mut Diagnostics,
) {
    let asked_hosts = hosts(model, on, &asked.host);
    // With a path, a guard or a host missing, nobody can say what would happen.
    let holes = model.hosts.iter().any(|host| host.hole)
        || model.routes.iter().any(|route| {
            asked_hosts.contains(&route.host)
                && (route.pattern.is_none() || route.accepts.is_hole())
        });
    if holes || forest.overflow.is_some() {
        return;
    }
    let method = &expect.method;
    let decision = decision(
        model,
        forest,
        &asked_hosts,
        asked,
        model.method(&method.name),
    );
    let at = expect.on.as_ref().map(|on| format!("on {} ", on.token));
    let request = format!("{}{method} {}", at.unwrap_or_default(), expect.url.value);
    match decision {
        Decision::Refused(status) => {
            if wanted != status.to_string() {
                const REFUSING: &str =
                    "an `expect` has no headers, cookies or client address for guards";
                let why = match status {
                    400 => String::from("the target of its route does not accept an encoded slash"),
                    404 => format!("no route matches its path; {REFUSING}"),
                    _ => format!("no route for its path accepts the method; {REFUSING}"),
                };
                diag.error(
                    expect.url.span,
                    format!("expected `{request}` to be answered by `{wanted}`, but the answer is {status}"),
                )
                .note(why)
                .help(format!("write `=> {status};`, or add a route that matches it"));
            }
        }
        Decision::Taken(route) => {
            let Some(target) = &route.target else {
                return;
            };
            if names(target).iter().any(|name| name == wanted) {
                return;
            }
            let there = location(route.path.span);
            let by = names(target).first().cloned();
            let error = diag.error(
                expect.url.span,
                format!(
                    "expected `{request}` to be answered by `{wanted}`, but it is answered by `{}`",
                    target_text(target)
                ),
            );
            error.note(format!("it matches the route `{}`{there}", route.shown()));
            match by {
                Some(name) => error.help(format!(
                    "write `=> {name};`, or add a more specific route that matches it"
                )),
                None => error.help("add a more specific route that matches it"),
            };
        }
    }
}

/// The number of the route that takes a request for the URL, or the status of the refusal; nothing when it is no URL.
#[cfg(test)]
pub(crate) fn outcome(
    model: &Model,
    forest: &Forest,
    on: Option<usize>,
    method: &str,
    url: &str,
) -> Option<Result<usize, u16>> {
    let asked = asked(url).ok()?;
    let hosts = hosts(model, on, &asked.host);
    Some(
        match decision(model, forest, &hosts, &asked, model.method(method)) {
            Decision::Taken(taken) => Ok(model
                .routes
                .iter()
                .position(|route| std::ptr::eq(route, taken))?),
            Decision::Refused(status) => Err(status),
        },
    )
}

/// The hosts whose routes are asked, one after the other: that of the listener, then that of every listener.
fn hosts(model: &Model, on: Option<usize>, asked: &str) -> Vec<usize> {
    let own = on.map(|on| host_of(model, Some(on), asked));
    own.into_iter()
        .chain([host_of(model, None, asked)])
        .collect()
}

/// The exact name, else the longest suffix, else every other host; of a listener, or of every listener.
pub(super) fn host_of(model: &Model, on: Option<usize>, asked: &str) -> usize {
    if let Some(variable) = variable(asked) {
        let has = |host: &Host| host.on == on && host.has_variable(variable);
        let place = model.hosts.iter().position(has);
        return place.unwrap_or_else(|| model.root(on));
    }
    let mut best: Option<(usize, usize)> = None;
    let places = model.hosts.iter().enumerate();
    for (place, host) in places.filter(|(_, host)| host.on == on) {
        for (name, _) in host.known() {
            let length = match name {
                HostName::Exact(name) if name == asked => usize::MAX,
                HostName::Suffix(suffix) => match asked.strip_suffix(suffix.as_str()) {
                    Some(rest) if rest.len() > 1 && rest.ends_with('.') => suffix.len(),
                    _ => continue,
                },
                HostName::Exact(_) => continue,
            };
            if best.is_none_or(|(longest, _)| length > longest) {
                best = Some((length, place));
            }
        }
    }
    best.map_or_else(|| model.root(on), |(_, place)| place)
}

fn decision<'m>(
    model: &'m Model,
    forest: &Forest,
    hosts: &[usize],
    asked: &Asked,
    method: Methods,
) -> Decision<'m> {
    let mut status = 404;
    let candidates = hosts
        .iter()
        .flat_map(|host| forest.find(*host, &asked.path));
    for candidate in candidates {
        let Some(route) = model.routes.get(candidate.route) else {
            continue;
        };
        // Which of its routes takes the request, and whether one does, only a mounted gateway knows.
        if route.mount.is_some() {
            return Decision::Taken(route);
        }
        // Of a request that has nothing but its URL, only the query can make a guard accept it.
        if !route.accepts.accepts_query(&asked.query) {
            continue;
        }
        if Methods(candidate.methods).contains(method) {
            let target = route.target.as_ref();
            let slashes = asked.path.to_ascii_uppercase().contains("%2F");
            if slashes && target.and_then(|target| takes(model, target)) == Some(false) {
                return Decision::Refused(400);
            }
            return Decision::Taken(route);
        }
        status = 405;
    }
    Decision::Refused(status)
}

/// What an expectation may call the target: its backend, its handler, its status, those of its arms.
fn names(target: &Target) -> Vec<String> {
    match target {
        Target::Url(_) => Vec::new(),
        Target::Split(split) => split
            .arms
            .iter()
            .flat_map(|arm| names(&arm.target))
            .collect(),
        Target::Expr(expr) => match expr.tokens.as_slice() {
            [TokenTree::Ident(word), TokenTree::Group(group), ..] => called(
                &word.to_string(),
                &Call {
                    name: word,
                    method: false,
                    group,
                },
            ),
            [TokenTree::Ident(name), ..] => vec![name.to_string()],
            _ => Vec::new(),
        },
    }
}

fn called(word: &str, call: &Call<'_>) -> Vec<String> {
    match word {
        "handler" | "service" => {
            let args = call.args();
            let tokens = args.first().map_or(&[][..], |arg| &arg.tokens);
            let path = tokens
                .iter()
                .all(|token| matches!(token, TokenTree::Ident(_) | TokenTree::Punct(_)));
            match tokens.last() {
                Some(TokenTree::Ident(last)) if path => vec![last.to_string()],
                _ => Vec::new(),
            }
        }
        "gateway" => {
            let args = call.args();
            let tokens = args.first().map_or(&[][..], |arg| &arg.tokens);
            let path = tokens
                .iter()
                .take_while(|token| !matches!(token, TokenTree::Group(_)));
            let names = path.filter_map(|token| match token {
                TokenTree::Ident(name) if name != "new" => Some(name.to_string()),
                _ => None,
            });
            names.last().into_iter().collect()
        }
        "redirect" | "respond" => status(call).iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}
