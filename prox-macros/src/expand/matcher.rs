//! The match tree of a small host as nested `match`es: what a reader of the expansion hopes to see, and the fastest there.
//!
//! It is the same tree as in the tables; a test holds both equal.

use std::collections::BTreeMap;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote_spanned;

use super::{Context, tables::key};
use crate::{
    model::tree::{Forest, State},
    syntax::pattern::Class,
};

/// A host with more states than this is walked by tables, which then are as fast and cost less to compile.
const MOST_STATES: usize = 64;

/// All hosts together, for gateways of very many small hosts.
const MOST_STATES_OF_ALL: usize = 512;

/// The function of each host that has one, in the order of the forest's hosts.
pub(super) fn matchers(
    context: &Context<'_>,
    forest: &Forest,
) -> Vec<Option<(Ident, TokenStream)>> {
    let mut left = MOST_STATES_OF_ALL;
    let roots = forest.roots.iter().enumerate();
    roots
        .map(|(host, root)| {
            let size = size(forest, *root, MOST_STATES.min(left))?;
            left -= size;
            Some(function(context, forest, host, *root))
        })
        .collect()
}

/// How many states the code has, since states that are shared are written out; none if more than `most`, or if the
/// host takes nothing.
fn size(forest: &Forest, root: usize, most: usize) -> Option<usize> {
    let mut waiting = vec![root];
    let mut count = 0;
    while let Some(number) = waiting.pop() {
        count += 1;
        if count > most {
            return None;
        }
        if let Some(state) = forest.states.get(number) {
            waiting.extend(state.literals.iter().map(|(_, next)| *next));
            waiting.extend(state.kinds.iter().map(|(_, next)| *next));
            waiting.extend(state.other);
        }
    }
    let root = forest.states.get(root)?;
    let takes = count > 1 || root.slash != 0 || root.more != 0;
    takes.then_some(count)
}

fn function(
    context: &Context<'_>,
    forest: &Forest,
    host: usize,
    root: usize,
) -> (Ident, TokenStream) {
    let krate = &context.krate;
    let span = Span::mixed_site();
    let name = Ident::new(&format!("host_{host}"), span);
    let mut code = Code {
        krate: &context.krate,
        forest,
        constants: BTreeMap::new(),
    };
    let body = code.root(root);
    let constants = code.constants.iter().map(|(name, text)| {
        let name = Ident::new(name, span);
        quote_spanned!(span=> const #name: u64 = #krate::__private::key(#text);)
    });
    let function = quote_spanned!(span=>
        #[allow(clippy::all, clippy::pedantic)]
        fn #name(path: &str) -> u32 {
            #(#constants)*
            #body
        }
    );
    (name, function)
}

struct Code<'a> {
    krate: &'a TokenStream,
    forest: &'a Forest,
    /// The first eight bytes of literals by the name of their constant.
    constants: BTreeMap<String, String>,
}

impl Code<'_> {
    fn root(&mut self, number: usize) -> TokenStream {
        let krate = self.krate;
        let body = self.state(number);
        let same = self
            .forest
            .states
            .get(number)
            .is_some_and(|s| is_leaf(s) && s.slash == s.more);
        if same {
            return quote_spanned!(Span::mixed_site()=> let _ = path; #body);
        }
        quote_spanned!(Span::mixed_site()=>
            let mut segments = #krate::__private::Segments::new(path);
            #body
        )
    }

    /// The end of a block, with the number of the list as its value and the cursor before the next segment.
    fn state(&mut self, number: usize) -> TokenStream {
        let span = Span::mixed_site();
        let forest = self.forest;
        let Some(state) = forest.states.get(number) else {
            return quote_spanned!(span=> 0);
        };
        let (slash, more) = (list(state.slash), list(state.more));
        if is_leaf(state) {
            return if state.slash == state.more {
                quote_spanned!(span=> #more)
            } else {
                quote_spanned!(span=> if segments.step().is_trailing_slash() { #slash } else { #more })
            };
        }
        let empty = if state.slash == state.more {
            quote_spanned!(span=> #more)
        } else {
            quote_spanned!(span=> if step.last { #slash } else { #more })
        };
        let arms: Vec<TokenStream> = state
            .literals
            .iter()
            .map(|(literal, next)| {
                let constant = Ident::new(&self.constant(literal), span);
                let then = self.behind(*next);
                // Shorter literals are told apart from longer ones by the zeros behind them in their key.
                if literal.len() < 8 {
                    quote_spanned!(span=> #constant => #then,)
                } else {
                    let bytes = Literal::byte_string(literal.as_bytes());
                    quote_spanned!(span=> #constant if step.segment == #bytes => #then,)
                }
            })
            .collect();
        let kinds: Vec<TokenStream> = state
            .kinds
            .iter()
            .map(|(class, next)| {
                let krate = self.krate;
                let is = Ident::new(
                    match class {
                        Class::Int => "is_int",
                        Class::Uuid => "is_uuid",
                        Class::Slug | Class::Other => "is_slug",
                    },
                    span,
                );
                let then = self.behind(*next);
                quote_spanned!(span=> _ if #krate::__private::#is(step.segment) => #then,)
            })
            .collect();
        let other = if let Some(next) = state.other {
            self.behind(next)
        } else {
            quote_spanned!(span=> #more)
        };
        quote_spanned!(span=>
            let step = segments.step();
            match step.key {
                0 => #empty,
                #(#arms)*
                #(#kinds)*
                _ => #other,
            }
        )
    }

    /// What is behind a segment: the path ends with it, or goes on.
    fn behind(&mut self, number: usize) -> TokenStream {
        let span = Span::mixed_site();
        let forest = self.forest;
        let Some(state) = forest.states.get(number) else {
            return quote_spanned!(span=> 0);
        };
        let end = list(state.end);
        if is_leaf(state) && state.end == state.slash && state.end == state.more {
            return quote_spanned!(span=> #end);
        }
        let then = self.state(number);
        quote_spanned!(span=> if step.last { #end } else { #then })
    }

    /// The constant of a literal: its letters in upper case, with a number where two literals would share a name.
    fn constant(&mut self, literal: &str) -> String {
        let letters: String = literal
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        let start = if letters.starts_with(|c: char| c.is_ascii_digit()) {
            "N"
        } else {
            ""
        };
        let base = match letters.as_str() {
            letters if letters.bytes().all(|b| b == b'_') => format!("SEGMENT{letters}"),
            letters => format!("{start}{letters}"),
        };
        let mut name = base.clone();
        let mut number = 2;
        loop {
            let other = self.constants.get(&name);
            if other.is_none_or(|text| key(text.as_bytes()) == key(literal.as_bytes())) {
                break;
            }
            name = format!("{base}_{number}");
            number += 1;
        }
        self.constants
            .entry(name.clone())
            .or_insert_with(|| literal.to_owned());
        name
    }
}

fn is_leaf(state: &State) -> bool {
    state.literals.is_empty() && state.kinds.is_empty() && state.other.is_none()
}

fn list(number: usize) -> Literal {
    Literal::usize_unsuffixed(number)
}
