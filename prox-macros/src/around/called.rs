//! Whether what has a name can be called, as far as a type or a value tells.

use std::ops::Range;

use proc_macro2::TokenStream;

use super::{
    bound,
    lex::{self, Kind, Token},
};

/// Whether a value can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    Never,
    Maybe,
    As(Function),
}

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) arguments: usize,
    pub(crate) is_async: bool,
}

impl Calls {
    /// Of a value of this type; an empty one tells nothing.
    pub(crate) fn of_type(ty: TokenStream) -> Self {
        let tokens = lex::of_stream(ty);
        of_type(&tokens, 0..tokens.len())
    }

    /// Of this value.
    pub(crate) fn of_value(value: TokenStream) -> Self {
        let tokens = lex::of_stream(value);
        of_value(&tokens, 0..tokens.len())
    }
}

pub(super) fn of_type(tokens: &[Token<'_>], ty: Range<usize>) -> Calls {
    const FUNCTIONS: [&str; 7] = [
        "AsyncFn",
        "AsyncFnMut",
        "AsyncFnOnce",
        "Fn",
        "FnMut",
        "FnOnce",
        "fn",
    ];
    let tokens = tokens.get(ty).unwrap_or_default();
    let function = tokens
        .iter()
        .position(|token| token.kind == Kind::Ident && FUNCTIONS.contains(&&*token.text));
    if let Some(at) = function {
        // From here on: the mates of brackets are places in the whole list.
        let rest = tokens.get(at + 1..).unwrap_or_default();
        let is_async = tokens
            .get(at)
            .is_some_and(|token| token.text.starts_with("Async"))
            || rest
                .iter()
                .any(|token| token.is_word("Future") || token.is_word("BoxFuture"));
        return Calls::As(Function {
            arguments: arguments(rest),
            is_async,
        });
    }
    match tokens {
        [] => Calls::Maybe,
        // The parameter of a function with generics.
        [name] if name.text.len() < 3 && name.text.starts_with(char::is_uppercase) => Calls::Maybe,
        _ => Calls::Never,
    }
}

/// How many types stand in the brackets at the start.
fn arguments(tokens: &[Token<'_>]) -> usize {
    let (mut depth, mut count, mut empty) = (0_usize, 0, true);
    for token in tokens {
        match token.kind {
            Kind::Open(_) | Kind::Punct(b'<') => depth += 1,
            Kind::Close(_) if depth == 1 => break,
            Kind::Close(_) | Kind::Punct(b'>') => depth = depth.saturating_sub(1),
            Kind::Punct(b',') if depth == 1 => {
                count += usize::from(!empty);
                empty = true;
                continue;
            }
            _ => {}
        }
        empty &= depth == 1 && matches!(token.kind, Kind::Open(_));
    }
    count + usize::from(!empty)
}

pub(super) fn of_value(tokens: &[Token<'_>], value: Range<usize>) -> Calls {
    if let Some((parameters, body)) = bound::closure(tokens, value.start) {
        let word = |at: usize| tokens.get(at).is_some_and(|token| token.is_word("async"));
        return Calls::As(Function {
            arguments: bound::parameters(tokens, parameters, &mut |_, _| ()),
            is_async: word(value.start) || word(body),
        });
    }
    let Some(first) = tokens.get(value.start).filter(|_| !value.is_empty()) else {
        return Calls::Maybe;
    };
    match first.kind {
        Kind::Literal | Kind::Open(b'[') | Kind::Punct(b'&' | b'-' | b'!') => Calls::Never,
        // `RateLimit::new(..)`, `Url { .. }`, `vec![..]`, `format!(..)`
        Kind::Ident if first.text.starts_with(char::is_uppercase) => Calls::Never,
        Kind::Ident
            if tokens
                .get(value.start + 1)
                .is_some_and(|next| next.is(b'!')) =>
        {
            Calls::Never
        }
        _ => Calls::Maybe,
    }
}
