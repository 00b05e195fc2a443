//! Options that contradict each other, or that change nothing without another.

use proc_macro2::{Delimiter, Group, Ident, Literal, TokenTree};

use super::domains::is_target;
use crate::{
    diag::{Diagnostics, Place},
    model::Model,
    syntax::{
        arguments,
        calls::{Call, each_expr, each_option},
        cursor::{text_of, tokens_of},
        units::{Unit, unit},
    },
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let is_backend = |name: &Ident| model.takes_options(name);
    for target in model.targets() {
        each_expr(target, &mut |expr| {
            each_option(&expr.tokens, &is_backend, &mut |call| {
                turned_round(call, diag);
            });
            if is_target(model, &expr.tokens) {
                let options = options_of(&expr.tokens);
                let sticky = options.iter().find(|(option, _)| *option == "sticky");
                if let Some((_, group)) = sticky {
                    cookie(&tokens_of(group.stream()), diag);
                }
            }
            // Only of a cluster that begins here is known what it has.
            if let [TokenTree::Ident(word), TokenTree::Group(cluster), rest @ ..] =
                expr.tokens.as_slice()
                && word == "cluster"
            {
                lonely(cluster, &options_of(rest), diag);
            }
        });
    }
}

/// An option of a chain, and its arguments.
type Written<'t> = (&'t Ident, &'t Group);

fn options_of(chain: &[TokenTree]) -> Vec<Written<'_>> {
    let options = chain.windows(3).filter_map(|part| match part {
        [
            TokenTree::Punct(dot),
            TokenTree::Ident(option),
            TokenTree::Group(group),
        ] if dot.as_char() == '.' => Some((option, group)),
        _ => None,
    });
    options.collect()
}

/// Options that need another one, or endpoints of a kind, to do anything.
fn lonely(cluster: &Group, options: &[Written<'_>], diag: &mut Diagnostics) {
    let has = |name: &str| options.iter().find(|(option, _)| *option == name);
    if let (Some((queue, _)), None) = (has("queue"), has("max_connections")) {
        diag.error(
            *queue,
            "this queue is never used: the connections have no limit",
        )
        .help("add `.max_connections(100)`, or remove it");
    }
    let inner = tokens_of(cluster.stream());
    if let Some([TokenTree::Ident(_), TokenTree::Group(_), dns @ ..]) = arguments(&inner).get(1) {
        ttls(&options_of(dns), diag);
    }
    let check = has("health").map(|(_, group)| tokens_of(group.stream()));
    if let (Some([TokenTree::Ident(grpc), TokenTree::Group(_), ..]), None) =
        (check.as_deref(), has("http2").or_else(|| has("http2_if")))
        && grpc == "grpc"
    {
        diag.error(
            grpc,
            "`grpc()` needs HTTP/2, which this cluster does not use",
        )
        .help("add `.http2()` before `.health(..)`");
    }
    for option in [
        "allow_equal_lengths",
        "allow_folded_fields",
        "allow_bare_line_feeds",
    ] {
        if let (Some((lenient, _)), Some(_)) = (has(option), has("http2")) {
            diag.error(
                *lenient,
                format!("`{option}` has no effect: it is about lines of HTTP/1.1, and this cluster uses HTTP/2"),
            )
            .help("remove it");
        }
    }
    if let (Some((tls, _)), Some(false)) = (has("tls"), any_https(cluster)) {
        diag.error(*tls, "`.tls(..)` has no effect: no endpoint is `https://`")
            .help("write `https://` in the URLs of the endpoints, or remove it");
    }
}

/// `Sticky::cookie(..)` with attributes with which a browser drops the cookie.
fn cookie(sticky: &[TokenTree], diag: &mut Diagnostics) {
    let Some(made) = sticky.iter().position(
        |token| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis),
    ) else {
        return;
    };
    let (path, chain) = sticky.split_at(made);
    let of_type = |name: &str| matches!(path.last(), Some(TokenTree::Ident(last)) if last == name);
    if !of_type("cookie") || !path.iter().any(|token| token.to_string() == "Sticky") {
        return;
    }
    let options = options_of(chain);
    let has = |name: &str| options.iter().find(|(option, _)| *option == name);
    let argument = |name: &str| has(name).map(|(_, group)| tokens_of(group.stream()));
    let secure = argument("secure");
    let is =
        |value: &str| matches!(secure.as_deref(), Some([TokenTree::Ident(word)]) if word == value);
    if let Some(value) = argument("same_site")
        && let Some(TokenTree::Ident(last)) = value.last()
        && last == "None"
        && (secure.is_none() || is("false"))
    {
        diag.error(
            Place::of(&value, last.span()),
            "browsers reject a `SameSite=None` cookie without `Secure`",
        )
        .help("add `.secure(true)`");
    }
    let name = chain.first().and_then(|arguments| match arguments {
        TokenTree::Group(group) => text_of(tokens_of(group.stream()).first()?),
        _ => None,
    });
    let Some(name) = name else { return };
    let begins = |prefix: &str| {
        let start = name.value.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let host = begins("__Host-");
    if let (true, Some((option, _)), true) =
        (host || begins("__Secure-"), has("secure"), is("false"))
    {
        diag.error(
            *option,
            format!(
                "browsers reject the cookie `{}` without `Secure`",
                name.value
            ),
        )
        .help("remove it, or rename the cookie");
    }
    let root = argument("path").is_none_or(|path| {
        let text = path.first().and_then(text_of);
        text.is_none_or(|text| text.value == "/")
    });
    let wrong = has("domain").or_else(|| has("path").filter(|_| !root));
    if let (true, Some((option, _))) = (host, wrong) {
        diag.error(
            *option,
            format!(
                "browsers reject the cookie `{}` with a domain, or with a path other than `/`",
                name.value
            ),
        )
        .help("remove it, or rename the cookie");
    }
}

/// `dns(..).min_ttl(..).max_ttl(..)`.
fn ttls(options: &[Written<'_>], diag: &mut Diagnostics) {
    let time = |name: &str| {
        let (_, group) = options.iter().find(|(option, _)| *option == name)?;
        let inner = tokens_of(group.stream());
        let literal = only_literal(&inner)?.clone();
        match unit(&literal) {
            Some(Ok(Unit::Millis(millis))) => Some((literal, millis)),
            _ => None,
        }
    };
    if let (Some((min, short)), Some((max, long))) = (time("min_ttl"), time("max_ttl"))
        && short > long
    {
        diag.error(
            max.span(),
            format!("`max_ttl` of `{max}` is less than `min_ttl` of `{min}`"),
        )
        .help(format!("write `.min_ttl({max}).max_ttl({min})`"));
    }
}

/// Whether an endpoint speaks TLS; none if that is not known before the gateway starts.
fn any_https(cluster: &Group) -> Option<bool> {
    let inner = tokens_of(cluster.stream());
    let written = arguments(&inner);
    let [TokenTree::Group(list)] = written.get(1)? else {
        return None;
    };
    let elements = tokens_of(list.stream());
    let mut secure = false;
    for element in arguments(&elements) {
        let url = text_of(element.first()?)?;
        secure |= url.value.starts_with("https:");
    }
    Some(secure)
}

/// `.back_off(first, longest)` and `.eject_for(first, longest)`.
fn turned_round(call: &Call<'_>, diag: &mut Diagnostics) {
    if call.name != "back_off" && call.name != "eject_for" {
        return;
    }
    let inner = tokens_of(call.group.stream());
    let times = arguments(&inner).into_iter().filter_map(only_literal);
    let times: Vec<&Literal> = times.collect();
    if let [first, longest] = times.as_slice()
        && let (Some(Ok(Unit::Millis(short))), Some(Ok(Unit::Millis(long)))) =
            (unit(first), unit(longest))
        && short > long
    {
        let (name, both) = (call.name, Place::of(&inner, call.group.span()));
        diag.error(
            both,
            format!("`{name}` expects the initial time, then the maximum, which is shorter here"),
        )
        .help(format!("write `.{name}({longest}, {first})`"));
    }
}

fn only_literal(argument: &[TokenTree]) -> Option<&Literal> {
    match argument {
        [TokenTree::Literal(literal)] => Some(literal),
        _ => None,
    }
}
