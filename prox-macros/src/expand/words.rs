//! The words of the language in expressions of the user, as paths to what they are.
//!
//! No import brings them in scope: it would hide the variables around it. A word in its slot is a path. Anywhere else, and
//! for a policy, which stands there as a name does, an item of the module comes first, as rustc finds it: the innermost of
//! two blocks has what the module has, the outermost the words.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::quote_spanned;

use super::{
    Context,
    exprs::{self, at, in_brackets},
    who::is_word,
};
use crate::{
    around::bound_in,
    model::names::Whose,
    syntax::{
        ast::Expr,
        calls::{is_in_path, is_method, mentions},
        cursor::tokens_of,
        expr_list,
        words::nearest,
    },
    vocab::{self, Slot, Word},
};

/// What an expression is for, and so which words can start it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Target,
    Guard,
    /// The first argument of a cluster.
    Policy,
    /// The second argument of a cluster.
    Endpoints,
    /// The argument of `.health(..)`.
    Check,
    /// What tells requests apart: the argument of `hash(..)` and `.sticky(..)`.
    Key,
    /// Anything else.
    Value,
}

impl Place {
    fn takes(self, slot: Slot) -> bool {
        match self {
            Self::Target => slot == Slot::Target,
            Self::Guard | Self::Key => slot == Slot::Key,
            Self::Policy => slot == Slot::KeyedPolicy,
            Self::Endpoints => slot == Slot::Discovery,
            Self::Check => slot == Slot::Check,
            Self::Value => false,
        }
    }
}

/// A call of a word, as it is meant.
pub(super) struct Meant {
    pub(super) word: &'static Word,
    pub(super) whose: Whose,
}

/// The word that is called at this place of the tokens, and whose it is; `whole` is the expression that they are a part of.
pub(super) fn called(
    context: &Context<'_>,
    tokens: &[TokenTree],
    at: usize,
    place: Place,
    whole: &[TokenTree],
) -> Option<Meant> {
    let (TokenTree::Ident(name), TokenTree::Group(group)) = (tokens.get(at)?, tokens.get(at + 1)?)
    else {
        return None;
    };
    let before = tokens.get(..at).unwrap_or_default();
    let declares = matches!(before.last(), Some(TokenTree::Ident(word)) if word == "fn");
    if group.delimiter() != Delimiter::Parenthesis
        || is_method(before)
        || is_in_path(before)
        || declares
    {
        return None;
    }
    let text = name.to_string();
    let word = vocab::called(&text)?;
    let meaning = if at == 0 && place.takes(word.slot) {
        in_slot(context, name, group)
    } else if bound_in(whole.iter().cloned().collect()).contains(&text) {
        Whose::User
    } else {
        context.model.names.call(&text)
    };
    Some(Meant {
        word,
        whose: meaning,
    })
}

fn in_slot(context: &Context<'_>, name: &Ident, group: &Group) -> Whose {
    let inner = tokens_of(group.stream());
    let arguments = expr_list(&inner, group.span_close()).len();
    let itself = mentions(&inner, name);
    let names = &context.model.names;
    names.call_in_slot(&name.to_string(), arguments, itself)
}

/// The tokens of the called word.
pub(super) fn path(meant: &Meant, name: &Ident) -> TokenStream {
    let span = at(name.span());
    let module = if meant.word.slot == Slot::Check {
        quote_spanned!(span=> health)
    } else {
        quote_spanned!(span=> scope)
    };
    match meant.whose {
        Whose::User => TokenTree::Ident(name.clone()).into(),
        // Of both it is reported.
        Whose::Word | Whose::Both(_) => in_brackets(
            name.span(),
            quote_spanned!(span=> __p::places::#module::#name),
        ),
        Whose::Unknown => in_sight(name, &module, name.span()),
    }
}

/// A name in the slot of words that is near to one of them: in sight of the words, so that rustc can say which was meant.
pub(super) fn misspelled(
    context: &Context<'_>,
    tokens: &[TokenTree],
    at: usize,
    place: Place,
    whole: &[TokenTree],
) -> Option<TokenStream> {
    let TokenTree::Ident(name) = tokens.get(at).filter(|_| at == 0)? else {
        return None;
    };
    let called = matches!(
        tokens.get(1),
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis
    );
    let at_name = exprs::at(name.span());
    let text = name.to_string();
    let takes = |slot| match (called, place) {
        (false, Place::Policy) => tokens.len() == 1 && slot == Slot::Policy,
        _ => called && place.takes(slot),
    };
    let words = vocab::WORDS.iter().filter(|word| takes(word.slot));
    let near = nearest(&text, words.map(|word| word.text))?;
    let known = near == text
        || context.model.names.call(&text) != Whose::Unknown
        || bound_in(whole.iter().cloned().collect()).contains(&text);
    let module = if place == Place::Check {
        quote_spanned!(Span::mixed_site()=> health)
    } else {
        quote_spanned!(Span::mixed_site()=> scope)
    };
    (!known).then(|| in_sight(name, &module, at_name))
}

/// The first argument of a cluster whose word is misspelled: what is said of the word is enough.
pub(super) fn policy_in_sight(tokens: &[TokenTree]) -> Option<TokenStream> {
    match tokens {
        [TokenTree::Ident(name), TokenTree::Punct(comma), ..]
            if comma.as_char() == ',' && vocab::is(Slot::Policy, &name.to_string()) =>
        {
            let module = quote_spanned!(Span::mixed_site()=> scope);
            Some(in_sight(name, &module, at(name.span())))
        }
        _ => None,
    }
}

/// What the module has by this name, else what is in that module of the words; in brackets with this span.
fn in_sight(name: &Ident, module: &TokenStream, brackets: Span) -> TokenStream {
    let block = |inner| {
        let mut block = Group::new(Delimiter::Brace, inner);
        block.set_span(brackets);
        block
    };
    let own = block(quote_spanned!(at(name.span())=> use self::*; #name));
    let value = block(quote_spanned!(at(name.span())=> use __p::places::#module::*; #own));
    in_brackets(brackets, TokenTree::Group(value).into())
}

/// A policy that is a word alone, if this is one.
pub(super) fn policy(
    context: &Context<'_>,
    policy: &Expr,
    whole: &[TokenTree],
) -> Option<TokenStream> {
    let name = policy.only_ident()?;
    let text = name.to_string();
    let keyed = vocab::is(Slot::KeyedPolicy, &text);
    if !keyed && !vocab::is(Slot::Policy, &text) {
        return None;
    }
    let meaning = if bound_in(whole.iter().cloned().collect()).contains(&text) {
        Whose::User
    } else {
        context.model.names.value(&text)
    };
    Some(match meaning {
        Whose::User => own(name),
        Whose::Word | Whose::Both(_) => built_in(&text, name.span()),
        // A policy that lacks its key, of which its type tells.
        Whose::Unknown if keyed => {
            let module = quote_spanned!(at(name.span())=> scope);
            in_sight(name, &module, name.span())
        }
        Whose::Unknown => {
            let function = function(&text);
            let policies = &mut context.policies.borrow_mut();
            policies.entry(text).or_insert_with(|| name.clone());
            quote_spanned!(at(name.span())=> #function())
        }
    })
}

/// A layer that is a word alone, if this is one.
pub(super) fn layer(context: &Context<'_>, layer: &Expr) -> Option<TokenStream> {
    let name = layer.only_ident()?;
    is_word(&context.model.names, layer).then(|| {
        // The text may not tell all that the module has.
        let module = quote_spanned!(at(name.span())=> scope);
        in_sight(name, &module, name.span())
    })
}

/// What the user has under the name of a policy. Only its type can tell that it is one.
fn own(name: &Ident) -> TokenStream {
    quote_spanned!(at(name.span())=> { use __p::NoPolicy as _; __p::OwnPolicy(#name).policy() })
}

/// The policy of the language with this name.
pub(super) fn built_in(name: &str, span: Span) -> TokenStream {
    let name = Ident::new(name, at(span));
    quote_spanned!(at(span)=> __p::places::scope::#name)
}

fn function(policy: &str) -> Ident {
    Ident::new(&format!("__policy_{policy}"), Span::mixed_site())
}

/// A function for each policy that is used: what the module has by its name, else the policy of the language.
pub(super) fn policies(context: &Context<'_>) -> TokenStream {
    let policies = context.policies.borrow();
    let functions = policies.iter().map(|(text, name)| {
        let function = function(text);
        let own = own(name);
        quote_spanned!(at(name.span())=>
            fn #function() -> impl __p::Balancer {
                use __p::places::scope::*;
                {
                    use self::*;
                    #own
                }
            }
        )
    });
    functions.collect()
}

/// The types that the language has in scope, but those by whose names the user has others.
pub(super) fn types(context: &Context<'_>) -> TokenStream {
    let span = Span::mixed_site();
    let host = context.model.names_host().then_some("Host");
    let types = ["Duration", "Endpoint"].into_iter().chain(host);
    let types = types.filter_map(|name| {
        let own = context.model.names.is_type(name);
        let name = Ident::new(name, span);
        (!own).then(|| quote_spanned!(span=> use __p::#name;))
    });
    let weighted = quote_spanned!(span=> use __p::Weighted as _;);
    weighted.into_iter().chain(types.flatten()).collect()
}
