//! Closures that are no guard or no layer, whatever their names mean: their arguments are others.

use proc_macro2::{Span, TokenTree};

use super::{Parser, ast::Expr, expr::list, source::source, target::is};
use crate::diag::Place;

/// The start of a closure.
struct Closure<'t> {
    /// The word `async`, if it is there.
    is_async: Option<&'t TokenTree>,
    bar: Span,
    written: &'t [TokenTree],
    parameters: Vec<Expr>,
}

impl Parser<'_> {
    /// Reports a closure that is not a guard; says whether it is one.
    pub(super) fn is_wrong_guard(&mut self, tokens: &[TokenTree]) -> bool {
        const HELP: &str = "write `|req: &prox::Parts| ..`";
        if let Some(word) = waits(tokens) {
            self.diag
                .error(word.span(), "a guard cannot be `async`")
                .help("write a closure that decides at once, or a layer that waits: `with [check]`")
                .untyped();
            return true;
        }
        let Some(closure) = closure(tokens) else {
            return false;
        };
        let [parameter] = closure.parameters.as_slice() else {
            self.diag
                .error(
                    Place::of(closure.written, closure.bar),
                    format!(
                        "a guard closure must take exactly one argument, found {}",
                        closure.parameters.len()
                    ),
                )
                .help(HELP)
                .untyped();
            return true;
        };
        let Some(ty) = type_of(parameter).filter(|ty| is_not_parts(ty)) else {
            return false;
        };
        self.diag
            .error(
                Place::of(ty, closure.bar),
                format!(
                    "a guard closure expects `&prox::Parts`, found `{}`",
                    source(ty)
                ),
            )
            .help(format!(
                "{HELP}: it has `req.headers`, `req.uri` and `req.method`"
            ))
            .untyped();
        true
    }

    /// Reports a closure that is not a layer; says whether it is one.
    pub(super) fn is_wrong_layer(&mut self, tokens: &[TokenTree]) -> bool {
        const HELP: &str =
            "write `async |req: prox::Request, next: prox::Next| next.run(req).await`";
        let Some(closure) = closure(tokens) else {
            return false;
        };
        let place = Place::of(closure.written, closure.bar);
        let [first, second] = closure.parameters.as_slice() else {
            self.diag
                .error(
                    place,
                    format!(
                        "a layer closure must take exactly two arguments, found {}",
                        closure.parameters.len()
                    ),
                )
                .help(HELP)
                .untyped();
            return true;
        };
        let named = |parameter: &Expr, names: &[&str]| {
            type_of(parameter)
                .and_then(last_name)
                .is_some_and(|name| names.contains(&name.as_str()))
        };
        let untyped = |parameter: &Expr, name: &str| matches!(parameter.tokens.as_slice(), [TokenTree::Ident(word)] if word == name);
        let turned = named(first, &["Next"])
            || named(second, &["Request"])
            || untyped(first, "next") && (untyped(second, "req") || untyped(second, "request"));
        let by_reference = |parameter: &Expr, name: &str| {
            let ty = type_of(parameter).filter(|ty| ty.first().is_some_and(|first| is(first, '&')));
            ty.and_then(last_name).is_some_and(|last| last == name)
        };
        if turned {
            self.diag
                .error(place, "the request must come before `next`")
                .help(HELP)
                .untyped();
            return true;
        }
        let other = named(first, &["Parts", "HeaderMap", "Uri", "Body"]);
        if !other && !by_reference(first, "Request") && !by_reference(second, "Next") {
            return false;
        }
        self.diag
            .error(
                place,
                format!(
                    "a layer closure expects `prox::Request` and `prox::Next`, found `{}`",
                    source(closure.written)
                ),
            )
            .help(HELP)
            .untyped();
        true
    }
}

/// The word `async` of a closure or a block that waits.
fn waits(tokens: &[TokenTree]) -> Option<&TokenTree> {
    if let Some(closure) = closure(tokens) {
        return closure.is_async;
    }
    let [word @ TokenTree::Ident(name), rest @ ..] = tokens else {
        return None;
    };
    let block = match rest {
        [TokenTree::Group(_)] => true,
        [TokenTree::Ident(second), TokenTree::Group(_)] => second == "move",
        _ => false,
    };
    (name == "async" && block).then_some(word)
}

fn closure(tokens: &[TokenTree]) -> Option<Closure<'_>> {
    let word = |at: usize, word: &str| {
        let token = tokens.get(at);
        token.filter(|token| matches!(token, TokenTree::Ident(ident) if ident == word))
    };
    let is_async = word(0, "async");
    let start = usize::from(is_async.is_some());
    let start = start + usize::from(word(start, "move").is_some());
    let bar = tokens.get(start).filter(|token| is(token, '|'))?;
    let rest = tokens.get(start + 1..)?;
    let end = rest.iter().position(|token| is(token, '|'))?;
    let written = rest.get(..end)?;
    Some(Closure {
        is_async,
        bar: bar.span(),
        written,
        parameters: list(written, bar.span()),
    })
}

fn type_of(parameter: &Expr) -> Option<&[TokenTree]> {
    let tokens = &parameter.tokens;
    let colon = tokens.iter().position(|token| is(token, ':'))?;
    tokens.get(colon + 1..)
}

/// The last name of the path of a type.
fn last_name(ty: &[TokenTree]) -> Option<String> {
    let path = ty.split(|token| is(token, '<')).next()?;
    match path.last()? {
        TokenTree::Ident(last) => Some(last.to_string()),
        _ => None,
    }
}

/// Whether the type is surely not `&prox::Parts`: another type that a request has, or `Parts` in another form.
fn is_not_parts(ty: &[TokenTree]) -> bool {
    const OTHERS: [&str; 9] = [
        "Request",
        "HttpRequest",
        "HeaderMap",
        "Uri",
        "Method",
        "Body",
        "Client",
        "str",
        "String",
    ];
    let Some(last) = last_name(ty) else {
        return false;
    };
    let by_reference = ty.first().is_some_and(|first| is(first, '&'));
    let is_mut = matches!(ty.get(1), Some(TokenTree::Ident(word)) if word == "mut");
    OTHERS.contains(&last.as_str()) || last == "Parts" && (!by_reference || is_mut)
}
