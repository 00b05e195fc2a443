//! Names that patterns bind: those of `let`, of parameters, of `for`, and of the arms of a `match`.

use std::ops::Range;

use super::lex::{Kind, Token};

/// The names that a pattern binds.
pub(super) fn pattern(tokens: &[Token<'_>], range: Range<usize>, seen: &mut dyn FnMut(&str)) {
    let mut braces = 0_usize;
    for place in range.clone() {
        let Some(token) = tokens.get(place) else {
            return;
        };
        match token.kind {
            Kind::Open(b'{') => braces += 1,
            Kind::Close(b'}') => braces = braces.saturating_sub(1),
            Kind::Ident => {
                let next = tokens.get(place + 1).filter(|_| place + 1 < range.end);
                let path = next.is_some_and(|next| {
                    matches!(next.kind, Kind::Open(b'(' | b'{')) || next.is(b'!')
                });
                let colon = next.is_some_and(|next| next.is(b':'));
                let in_path = colon && tokens.get(place + 2).is_some_and(|next| next.is(b':'));
                let field = colon && braces > 0;
                let behind_path = place
                    .checked_sub(1)
                    .and_then(|before| tokens.get(before))
                    .is_some_and(|before| before.is(b':'))
                    && place
                        .checked_sub(2)
                        .and_then(|before| tokens.get(before))
                        .is_some_and(|before| before.is(b':'));
                if !path && !in_path && !field && !behind_path && !is_word_of_patterns(&token.text)
                {
                    seen(&token.text);
                }
            }
            _ => {}
        }
    }
}

/// The names of parameters, each with its type, which may be empty, and how many parameters there are.
pub(super) fn parameters(
    tokens: &[Token<'_>],
    range: Range<usize>,
    seen: &mut dyn FnMut(&str, Range<usize>),
) -> usize {
    let mut count = 0;
    let mut at = range.start;
    while at < range.end {
        let end = comma(tokens, at..range.end);
        let colon = direct(tokens, at..end).find(|place| {
            let is = |place: usize| tokens.get(place).is_some_and(|token| token.is(b':'));
            is(*place) && !is(place + 1) && !place.checked_sub(1).is_some_and(is)
        });
        if end > at {
            count += usize::from(!tokens.get(at..end).is_some_and(is_receiver));
            let ty = colon.map_or(end..end, |colon| colon + 1..end);
            let names = at..colon.unwrap_or(end);
            pattern(tokens, names, &mut |name| seen(name, ty.clone()));
        }
        at = end + 1;
    }
    count
}

/// `self`, in any of its forms.
fn is_receiver(parameter: &[Token<'_>]) -> bool {
    parameter.iter().any(|token| token.is_word("self"))
}

/// Where the next `,` stands that is in no bracket, angle brackets included, or the end.
fn comma(tokens: &[Token<'_>], range: Range<usize>) -> usize {
    let mut angles = 0_usize;
    let mut before = None;
    for place in direct(tokens, range.clone()) {
        let Some(token) = tokens.get(place) else {
            break;
        };
        match token.kind {
            Kind::Punct(b'<') => angles += 1,
            Kind::Punct(b'>') if before != Some(Kind::Punct(b'-')) => {
                angles = angles.saturating_sub(1);
            }
            Kind::Punct(b',') if angles == 0 => return place,
            _ => {}
        }
        before = Some(token.kind);
    }
    range.end
}

/// The places of the tokens that are in no bracket; of brackets there is the opening one.
pub(super) fn direct<'t>(
    tokens: &'t [Token<'_>],
    range: Range<usize>,
) -> impl Iterator<Item = usize> + 't {
    let mut at = range.start;
    std::iter::from_fn(move || {
        if at >= range.end {
            return None;
        }
        let place = at;
        at = match tokens.get(place) {
            Some(token) if matches!(token.kind, Kind::Open(_)) => token.mate.max(place) + 1,
            _ => place + 1,
        };
        Some(place)
    })
}

/// A closure whose first bar, or a word before it, stands there: its parameters, and where its body starts.
pub(super) fn closure(tokens: &[Token<'_>], start: usize) -> Option<(Range<usize>, usize)> {
    let mut at = start;
    while tokens
        .get(at)
        .is_some_and(|token| token.is_word("move") || token.is_word("async"))
    {
        at += 1;
    }
    if !tokens.get(at)?.is(b'|') || (at == start && ends_operand(tokens, start)) {
        return None;
    }
    let inside = direct(tokens, at + 1..tokens.len());
    let end = inside
        .take_while(|place| {
            tokens.get(*place).is_some_and(|token| {
                !token.is(b';') && !matches!(token.kind, Kind::Close(_) | Kind::Open(b'{'))
            })
        })
        .find(|place| tokens.get(*place).is_some_and(|token| token.is(b'|')))?;
    Some((at + 1..end, end + 1))
}

/// Whether what stands before is an operand, so that a bar is an operator.
fn ends_operand(tokens: &[Token<'_>], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).and_then(|before| tokens.get(before)) else {
        return false;
    };
    match before.kind {
        Kind::Ident => ![
            "return", "move", "async", "in", "else", "match", "if", "break",
        ]
        .contains(&&*before.text),
        Kind::Literal | Kind::Close(_) => true,
        Kind::Punct(byte) => matches!(byte, b'?' | b'|'),
        Kind::Open(_) | Kind::Lifetime => false,
    }
}

/// Words of Rust that bind nothing in a pattern.
fn is_word_of_patterns(word: &str) -> bool {
    const WORDS: [&str; 13] = [
        "_", "box", "const", "else", "false", "if", "let", "move", "mut", "ref", "self", "static",
        "true",
    ];
    WORDS.contains(&word)
}
