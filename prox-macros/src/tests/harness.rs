//! What must hold for any text; the fuzz targets in `tests/fuzz` include this file, and the tests replay what they found.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};

use super::opaque::make_opaque;
use crate::{
    diag::{Diagnostics, Flaw},
    pipeline,
    syntax::{ast::Text, host, pattern},
};

/// rustc itself runs out of stack somewhere behind this.
const DEEPEST: usize = 64;

/// A gateway of any tokens expands to code that parses, be it items or an expression.
pub(crate) fn gateway(source: &str) {
    // What is no sequence of tokens never reaches a macro.
    let Ok(tokens) = source.parse::<TokenStream>() else {
        return;
    };
    if depth(&tokens) > DEEPEST {
        return;
    }
    let krate = TokenTree::Ident(Ident::new("prox", Span::call_site()));
    let input: TokenStream = [krate].into_iter().chain(tokens).collect();
    pipeline::expand(input.clone());
    let output = pipeline::expand_with(input, make_opaque);
    let items = syn::parse2::<syn::File>(output.clone());
    let block = syn::parse2::<syn::ExprBlock>(output.clone());
    if let (Err(items), Err(block)) = (items, block) {
        panic!("{source}\nexpands to\n{output}\nas items: {items}, as a block: {block}");
    }
}

/// How deep the groups stand in each other, without recursion.
fn depth(tokens: &TokenStream) -> usize {
    let mut deepest = 0;
    let mut left = vec![(tokens.clone(), 0)];
    while let Some((tokens, depth)) = left.pop() {
        deepest = deepest.max(depth);
        for token in tokens {
            if let TokenTree::Group(group) = token
                && depth <= DEEPEST
            {
                let deeper = usize::from(group.delimiter() != Delimiter::None);
                left.push((group.stream(), depth + deeper));
            }
        }
    }
    deepest
}

/// Any text is a pattern, which reads back as itself, or is told what is wrong, and where.
pub(crate) fn path(text: &str) {
    for exact in [false, true] {
        match pattern::parse(text, exact) {
            Ok(pattern) => {
                let shown = pattern.to_string();
                let Ok(again) = pattern::parse(&shown, exact) else {
                    panic!("{text:?} is shown as {shown:?}, which is no path");
                };
                assert_eq!(again.to_string(), shown, "{text:?}");
                assert!(is_canonical(&shown), "{text:?} is taken for {shown:?}");
            }
            Err(flaws) => {
                assert!(!flaws.is_empty(), "{text:?} is refused without a reason");
                for flaw in flaws {
                    told(text, flaw);
                }
            }
        }
    }
}

/// Whether a path has nothing in it that a request's path, brought to its one form, cannot have.
fn is_canonical(path: &str) -> bool {
    let is_encoded = |rest: &str| {
        let digits = rest.get(..2).unwrap_or_default().as_bytes();
        digits.len() == 2
            && digits
                .iter()
                .all(|digit| b"0123456789ABCDEF".contains(digit))
    };
    // Of a parameter the name alone counts.
    let path = &path
        .split('{')
        .enumerate()
        .fold(String::new(), |out, (at, part)| {
            let inner = part.find('}').filter(|_| at > 0);
            out + inner.map_or(part, |end| part.get(end..).unwrap_or_default())
        });
    path.bytes().all(|byte| byte.is_ascii_graphic())
        && !path.contains(['?', '#', '\\'])
        && !path.contains("//")
        && path.split('%').skip(1).all(is_encoded)
}

/// Any text is a host, or is told what is wrong, and where.
pub(crate) fn host(text: &str) {
    match host::parse(text) {
        Ok(_) => {
            assert!(text.len() <= 255 && text.is_ascii(), "{text:?} is no host");
            assert_eq!(text, text.to_ascii_lowercase(), "hosts are in lower case");
            assert!(!text.contains(['/', '@', ' ']), "{text:?} is no host");
        }
        Err(flaw) => told(text, flaw),
    }
}

/// What is wrong is a part of the text that can be drawn, and has words.
fn told(text: &str, flaw: Flaw) {
    assert!(!flaw.message.is_empty(), "{text:?} is told nothing");
    let part = text.get(flaw.at.clone());
    assert!(part.is_some(), "{:?} is no part of {text:?}", flaw.at);
    let text = Text::meant(text.to_owned(), Span::call_site());
    let mut diag = Diagnostics::default();
    diag.flaw(&text, flaw);
    diag.to_tokens();
}
