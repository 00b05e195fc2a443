//! Targets that are none whatever their names mean, in the forms that are usual elsewhere.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenTree};
use quote::quote_spanned;

use super::{
    Parser,
    ast::{Expr, Setup},
    calls::mentions,
    cursor::{is_string, text_of, tokens_of},
    expr::list,
    source::source,
    target::{cluster, is},
    words::{OF_CLUSTERS, OPTIONS},
};
use crate::diag::Place;

impl Parser<'_> {
    /// The target as it was meant, or none if nobody knows; what is no target whatever its names mean is reported.
    #[expect(clippy::too_many_lines, reason = "one form after the other")]
    pub(super) fn target_form(&mut self, expr: Expr) -> Option<Expr> {
        let shown = source(&expr.tokens);
        match expr.tokens.as_slice() {
            [TokenTree::Group(list), rest @ ..]
                if list.delimiter() == Delimiter::Bracket && is_option(rest) =>
            {
                self.diag
                    .error(list.span(), "expected a target, found a list of URLs")
                    .help(format!("write `cluster(rr, {shown})`"))
                    .untyped();
                let mut meant = cluster(&TokenTree::Group(list.clone()).into());
                meant.tokens.extend(rest.iter().cloned());
                Some(meant)
            }
            [first, dot, TokenTree::Ident(option), rest @ ..]
                if is_url_with_option(&expr.tokens) =>
            {
                let url = first.to_string();
                let options = shown.strip_prefix(&url).unwrap_or_default();
                self.diag
                    .error(
                        option,
                        format!("`{option}` is an option of a cluster, found a URL"),
                    )
                    .help(format!("write `cluster(rr, [{url}]){options}`"))
                    .untyped();
                let mut meant = cluster(&quote_spanned!(Span::mixed_site()=> [#first]));
                meant.tokens.extend([dot.clone(), option.clone().into()]);
                meant.tokens.extend(rest.iter().cloned());
                Some(meant)
            }
            [TokenTree::Ident(word), TokenTree::Group(group)] if word == "handler" => {
                let inner = tokens_of(group.stream());
                if let Some((function, request)) = called_with_request(&inner)
                    && !self.may_be_variable(&request)
                {
                    self.diag
                        .error(
                            &request,
                            format!(
                                "expected a function, found a call: the gateway calls `{function}` for each request"
                            ),
                        )
                        .help(format!("write `handler({function})`"));
                    return None;
                }
                let [TokenTree::Literal(literal)] = inner.as_slice() else {
                    return Some(expr);
                };
                self.diag
                    .error(
                        literal.span(),
                        format!("expected a function, found `{literal}`"),
                    )
                    .help(format!(
                        "write `respond(200, {literal})`, or the name of an `async fn`"
                    ));
                None
            }
            [TokenTree::Ident(word), TokenTree::Group(group), rest @ ..]
                if word == "redirect" || word == "respond" =>
            {
                let args = list(&tokens_of(group.stream()), group.span_close());
                let temporary = rest
                    .iter()
                    .any(|token| matches!(token, TokenTree::Ident(kind) if kind == "temporary"));
                let Some(meant) = answer(word, &args, temporary) else {
                    return Some(expr);
                };
                let parts = if word == "redirect" {
                    "a location"
                } else {
                    "a string"
                };
                self.diag
                    .error(word, format!("`{word}` expects a status and {parts}"))
                    .help(format!("write `{meant}`"))
                    .untyped();
                None
            }
            [TokenTree::Ident(word), TokenTree::Group(group), ..]
                if word == "cluster" && group.delimiter() != Delimiter::Parenthesis =>
            {
                let fields = in_fields(group);
                self.diag
                    .error(word, "expected `(..)` after `cluster`")
                    .help(format!("write `cluster({fields})`"))
                    .untyped();
                None
            }
            tokens if is_closure(tokens) => {
                let block =
                    matches!(tokens.last(), Some(TokenTree::Group(_))) && !shown.contains('|');
                let (what, start) = if block {
                    ("an `async` block", "|_| ")
                } else {
                    ("a closure", "")
                };
                self.diag
                    .error(expr.span(), format!("expected a target, found {what}"))
                    .help(format!("write `handler({start}{shown})`"));
                None
            }
            [TokenTree::Ident(word)] if word == "None" => {
                self.diag
                    .error(word, "expected a target, found `None`")
                    .help("write `respond(404, \"\")`, or remove the route: a request that no route matches is answered with 404");
                None
            }
            [TokenTree::Ident(word), rest @ ..] if word == "return" && rest.len() < 2 => {
                let status = source(rest);
                let known = matches!(status.parse(), Ok(200..=599_u16));
                if !known && !rest.is_empty() {
                    return Some(expr);
                }
                let status = if known { &*status } else { "404" };
                self.diag
                    .error(word, "expected a target, found `return`")
                    .help(format!("write `respond({status}, \"\")`"))
                    .untyped();
                None
            }
            tokens @ [TokenTree::Literal(first), ..]
                if !is_string(expr.tokens.first()?) && tokens.iter().all(is_part_of_host) =>
            {
                let status = matches!(shown.parse(), Ok(100..=599_u16));
                let port = shown.parse::<u16>().is_ok();
                let all: String = expr.tokens.iter().map(ToString::to_string).collect();
                if status {
                    self.diag
                        .error(first.span(), format!("expected a target, found `{first}`"))
                        .help(format!("write `respond({first}, \"\")`"));
                } else if port {
                    self.diag
                        .error(first.span(), format!("expected a target, found `{first}`"))
                        .help(format!("write `\"http://127.0.0.1:{first}\"`"));
                } else {
                    self.diag
                        .error(
                            Place::of(&expr.tokens, first.span()),
                            "expected a URL in quotes",
                        )
                        .help(format!("write `\"http://{all}\"`"));
                }
                None
            }
            tokens @ [TokenTree::Ident(host), .., colon, TokenTree::Literal(_)]
                if is(colon, ':') && tokens.iter().all(is_part_of_host) =>
            {
                let all: String = tokens.iter().map(ToString::to_string).collect();
                self.diag
                    .error(Place::of(tokens, host.span()), "expected a URL in quotes")
                    .help(format!("write `\"http://{all}\"`"));
                None
            }
            _ => Some(expr),
        }
    }

    /// Whether a variable may have the name: around a gateway without a name, or in the lines so far.
    fn may_be_variable(&self, name: &Ident) -> bool {
        let Some(named) = &self.gateway.named else {
            return true;
        };
        named.fields.iter().any(|field| field.name == *name)
            || self.gateway.setup.iter().any(|setup| match setup {
                Setup::Let(binding) => mentions(&binding.pattern, name),
                Setup::Backend(backend) => backend.name == *name,
            })
    }
}

/// The arguments of `cluster { policy: rr, endpoints: [..] }`, without their names.
fn in_fields(group: &Group) -> String {
    let tokens = tokens_of(group.stream());
    let fields = tokens.split(|token| is(token, ','));
    let values = fields
        .filter(|field| !field.is_empty())
        .map(|field| match field {
            [TokenTree::Ident(_), sign, value @ ..] if is(sign, ':') || is(sign, '=') => {
                source(value)
            }
            value => source(value),
        });
    values.collect::<Vec<_>>().join(", ")
}

/// Whether the tokens are a closure or an `async` block.
fn is_closure(tokens: &[TokenTree]) -> bool {
    let word = |at: usize, word: &str| matches!(tokens.get(at), Some(TokenTree::Ident(ident)) if ident == word);
    let mut at = usize::from(word(0, "async"));
    let is_async = at > 0;
    at += usize::from(word(at, "move"));
    match tokens.get(at) {
        Some(TokenTree::Group(group)) => {
            is_async && group.delimiter() == Delimiter::Brace && at + 1 == tokens.len()
        }
        Some(bar) => is(bar, '|'),
        None => false,
    }
}

/// The function and the argument of `hello(req)`, where the argument is called like a request.
fn called_with_request(inner: &[TokenTree]) -> Option<(String, Ident)> {
    let (TokenTree::Group(group), function) = inner.split_last()? else {
        return None;
    };
    let path = function
        .iter()
        .all(|token| matches!(token, TokenTree::Ident(_)) || is(token, ':'));
    match tokens_of(group.stream()).as_slice() {
        [TokenTree::Ident(request)]
            if path
                && matches!(function.last(), Some(TokenTree::Ident(_)))
                && ["req", "request", "_"].iter().any(|name| request == name) =>
        {
            Some((source(function), request.clone()))
        }
        _ => None,
    }
}

/// An answer with its status and its text, if one of them is missing, or they are turned round.
fn answer(word: &Ident, args: &[Expr], temporary: bool) -> Option<String> {
    let text = |arg: &Expr| match arg.tokens.as_slice() {
        [only] => text_of(only).map(|text| text.token.to_string()),
        _ => None,
    };
    let number = |arg: &Expr| source(&arg.tokens).parse::<u16>().ok();
    let usual = match (word == "redirect", temporary) {
        (true, true) => 307,
        (true, false) => 308,
        (false, _) => 200,
    };
    let (status, shown) = match args {
        [only] => match (text(only), number(only)) {
            (Some(text), _) => (usual, text),
            (_, Some(status)) if word == "redirect" => (status, String::from("\"/new\"")),
            (_, Some(status)) => (status, String::from("\"\"")),
            _ => return None,
        },
        [first, second] => (number(second)?, text(first)?),
        _ => return None,
    };
    Some(format!("{word}({status}, {shown})"))
}

/// Whether this is `"http://a".option`.
fn is_url_with_option(tokens: &[TokenTree]) -> bool {
    let Some((url, rest)) = tokens.split_first() else {
        return false;
    };
    text_of(url).is_some_and(|url| url.value.contains("://")) && !rest.is_empty() && is_option(rest)
}

/// Whether this is nothing, or `.option`.
fn is_option(tokens: &[TokenTree]) -> bool {
    match tokens {
        [] => true,
        [dot, TokenTree::Ident(option), ..] => {
            let mut options = OPTIONS.iter().chain(&OF_CLUSTERS);
            is(dot, '.') && options.any(|known| option == known)
        }
        _ => false,
    }
}

fn is_part_of_host(token: &TokenTree) -> bool {
    match token {
        TokenTree::Punct(punct) => matches!(punct.as_char(), '.' | '-' | ':'),
        TokenTree::Ident(_) | TokenTree::Literal(_) => true,
        TokenTree::Group(_) => false,
    }
}
