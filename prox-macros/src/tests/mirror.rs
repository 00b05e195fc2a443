//! What an editor relies on: up to the caret, the mirror does not depend on what is typed there.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};

use super::{CARD, EXPRESSION};
use crate::syntax::words::is_keyword;

/// What an editor inserts at the caret.
const MARKER: &str = "xintellijRulezz";

/// Every stream that is `tokens` with the marker at the end of one of its names, or in one of its gaps.
fn marked(tokens: &TokenStream, gaps: bool) -> Vec<TokenStream> {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let marker = TokenTree::Ident(Ident::new(MARKER, proc_macro2::Span::call_site()));
    let mut all = Vec::new();
    for place in 0..=tokens.len() {
        let (before, after) = tokens.split_at(place);
        let mut put = |middle: Vec<TokenTree>, after: &[TokenTree]| {
            all.push(
                before
                    .iter()
                    .cloned()
                    .chain(middle)
                    .chain(after.iter().cloned())
                    .collect(),
            );
        };
        if gaps {
            put(vec![marker.clone()], after);
        }
        match after.split_first() {
            Some((TokenTree::Ident(name), after)) if !is_keyword(name) && !gaps => {
                let name = Ident::new(&format!("{name}{MARKER}"), name.span());
                put(vec![TokenTree::Ident(name)], after);
            }
            Some((TokenTree::Group(group), after)) => {
                for inner in marked(&group.stream(), gaps) {
                    put(
                        vec![TokenTree::Group(Group::new(group.delimiter(), inner))],
                        after,
                    );
                }
            }
            _ => {}
        }
    }
    all
}

/// The texts of the tokens, groups opened.
fn texts(tokens: TokenStream, out: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                out.push(format!("{:?} open", group.delimiter()));
                texts(group.stream(), out);
                out.push(format!("{:?} close", group.delimiter()));
            }
            token => out.push(token.to_string()),
        }
    }
}

fn expanded(source: TokenStream) -> Vec<String> {
    let krate: TokenStream = "prox".parse().unwrap();
    let output = crate::expand(krate.into_iter().chain(source).collect());
    let mut out = Vec::new();
    texts(output, &mut out);
    out
}

#[test]
fn before_the_caret_nothing_depends_on_the_name_at_it() {
    for source in [CARD, EXPRESSION] {
        let source: TokenStream = source.parse().unwrap();
        let real = expanded(source.clone());
        let mut seen = 0;
        for marked in marked(&source, false) {
            let shown = marked.to_string();
            let fake = expanded(marked);
            let Some(place) = fake.iter().position(|text| text.contains(MARKER)) else {
                continue;
            };
            seen += 1;
            let name = fake[place].strip_suffix(MARKER);
            // The line of an attribute or of the documentation is no place to type a word.
            if name.is_none() {
                continue;
            }
            assert!(fake[..place] == real[..place], "{shown}");
            assert_eq!(name, Some(real[place].as_str()), "{shown}");
        }
        assert!(seen > 20, "{seen}");
    }
}

#[test]
fn a_policy_that_is_missing_before_its_comma_leaves_a_hole() {
    let gateway = |policy: &str| {
        let source = format!(r#"backend a = cluster({policy}, ["http://10.0.0.1:80"]); "/" => a,"#);
        expanded(source.parse().unwrap())
    };
    let (real, fake) = (gateway(""), gateway(MARKER));
    let place = fake.iter().position(|text| text == MARKER).unwrap();
    assert_eq!(fake[..place], real[..place]);
    assert_eq!(real[place], "__hole");
}

#[test]
fn wherever_a_name_is_typed_the_mirror_has_it_before_anything_else() {
    for source in [CARD, EXPRESSION] {
        for marked in marked(&source.parse().unwrap(), true) {
            let shown = marked.to_string();
            let fake = expanded(marked);
            let Some(place) = fake.iter().position(|text| text == MARKER) else {
                continue;
            };
            let errors = fake.iter().position(|text| text == "compile_error");
            assert!(errors.is_none_or(|errors| place < errors), "{shown}");
        }
    }
}
