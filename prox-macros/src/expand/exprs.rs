//! Expressions of the user as they stand in the expansion: with units as values, and endpoints of any form side by side.

use std::{cell::RefCell, collections::BTreeSet};

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::quote_spanned;

use super::{
    Context, called, mirror,
    words::{self, Meant, Place},
};
use crate::{
    check::{
        clusters,
        domains::{self, StandIn},
        mirrors, policies, position, units, upstreams,
    },
    model::{lacking, names::Whose},
    syntax::{
        arguments,
        ast::{Expr, Target, Weight},
        calls::{self, each_backend, is_health_check, is_method},
        cursor::tokens_of,
        expr_list, lookup,
        marks::{HOLE, Slot},
        units::{Unit, unit},
        words::is_keyword,
    },
    vocab,
};

/// A span with the hygiene of the macro at a place of the user, so that rustc's messages point there.
///
/// An editor shows what every name at that place means. So only what has no meaning outside of the code that runs, which an
/// editor does not see, may have it: locals, methods, and paths that begin with `__p`.
pub(super) fn at(place: Span) -> Span {
    Span::mixed_site().located_at(place)
}

/// The expression with its units and endpoints written out.
pub(super) fn expr(context: &Context<'_>, expr: &Expr) -> TokenStream {
    written_out(context, expr, Place::Value)
}

/// The same for a guard.
pub(super) fn guard(context: &Context<'_>, guard: &Expr) -> TokenStream {
    let value = written_out(context, guard, Place::Guard);
    if is_closure(&guard.tokens) {
        return quote_spanned!(at(guard.span())=> __p::closure_as_guard(#value));
    }
    value
}

/// The same for a layer.
pub(super) fn layer(context: &Context<'_>, layer: &Expr) -> TokenStream {
    if let Some(word) = words::layer(context, layer) {
        return word;
    }
    let value = expr(context, layer);
    if is_closure(&layer.tokens) {
        return quote_spanned!(at(layer.span())=> __p::closure_as_layer(#value));
    }
    value
}

/// Whether the expression is a closure, so that what takes it can tell the types of its arguments.
fn is_closure(tokens: &[TokenTree]) -> bool {
    let mut rest = tokens;
    while let [TokenTree::Ident(word), behind @ ..] = rest
        && (word == "async" || word == "move")
    {
        rest = behind;
    }
    matches!(rest.first(), Some(TokenTree::Punct(bar)) if bar.as_char() == '|')
}

fn written_out(context: &Context<'_>, expr: &Expr, place: Place) -> TokenStream {
    if place == Place::Value && lacking::has_no_value(&context.model.names, &expr.tokens) {
        // Reported; a layer that is always there stands in for it.
        return quote_spanned!(at(expr.span())=> __p::middleware::Recover::new());
    }
    let rewriting = Rewriting {
        context,
        options: place == Place::Target && has_options(context, &expr.tokens),
        endpoint: false,
        mirror: None,
        place,
        whole: &expr.tokens,
    };
    let tokens = rewriting.tokens(&expr.tokens);
    if context.model.named.is_none() || !position::awaits(&expr.tokens) {
        return tokens;
    }
    // Reported; it is of the right type where rustc has nothing more to say of it.
    let value = quote_spanned!(Span::mixed_site()=> async { #tokens });
    quote_spanned!(at(expr.span())=> __p::awaited(#value))
}

/// The expression for an editor: without what nobody wrote, and with the names of policies on paths, and noted.
pub(super) fn mirrored(
    context: &Context<'_>,
    tokens: &[TokenTree],
    target: bool,
    policies: &mut Vec<(Slot, Ident)>,
) -> TokenStream {
    let noted = RefCell::default();
    let rewriting = Rewriting {
        context,
        options: target && has_options(context, tokens),
        endpoint: false,
        mirror: Some(&noted),
        place: if target { Place::Target } else { Place::Value },
        whole: tokens,
    };
    let out = rewriting.tokens(tokens);
    policies.extend(noted.take());
    out
}

fn has_options(context: &Context<'_>, tokens: &[TokenTree]) -> bool {
    let takes_options = |name: &Ident| {
        context.places.contains_key(&name.to_string()) || context.model.is_endpoint(name)
    };
    calls::has_options(tokens, &takes_options)
}

/// What stands for a called name that is near to a word, and none.
const MISSPELLED: &str = "";

#[derive(Clone, Copy)]
struct Rewriting<'a> {
    context: &'a Context<'a>,
    /// Whether the methods are the options of a target.
    options: bool,
    /// Whether the methods are those of an endpoint.
    endpoint: bool,
    /// Where policies and checks are noted, for the mirror.
    mirror: Option<&'a RefCell<Vec<(Slot, Ident)>>>,
    /// What the tokens are for.
    place: Place,
    /// All of the expression that they are a part of.
    whole: &'a [TokenTree],
}

impl Rewriting<'_> {
    fn tokens(&self, tokens: &[TokenTree]) -> TokenStream {
        let mut out = TokenStream::new();
        let mut word = None;
        for (place, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Literal(literal) => out.extend(self.literal(literal)),
                TokenTree::Group(group) => {
                    let before = tokens.get(..place).unwrap_or_default();
                    let inner = self.group(before, group, word.take());
                    let mut copy = Group::new(group.delimiter(), inner);
                    copy.set_span(group.span());
                    out.extend([TokenTree::Group(copy)]);
                }
                // Reported.
                TokenTree::Punct(_) if units::is_sign(tokens, place) => {}
                TokenTree::Ident(name) => {
                    let called = words::called(self.context, tokens, place, self.place, self.whole);
                    let called = called.filter(|meant| meant.whose != Whose::User);
                    word = called.as_ref().map(|meant| meant.word.text);
                    out.extend(match &called {
                        Some(meant) => self.word(meant, name),
                        None => match self.misspelled(tokens, place) {
                            Some(near) => {
                                word = Some(MISSPELLED);
                                near
                            }
                            None => self.imported(tokens, place, name),
                        },
                    });
                }
                TokenTree::Punct(_) => out.extend([token.clone()]),
            }
        }
        out
    }

    /// A name; one of a type of ours that should have been imported, which has been reported, with its path.
    fn imported(&self, tokens: &[TokenTree], place: usize, name: &Ident) -> TokenStream {
        let found = lacking::unimported(&self.context.model.names, tokens, place);
        match found.filter(|_| self.mirror.is_none()) {
            Some(found) if found.middleware => {
                quote_spanned!(at(name.span())=> __p::middleware::#name)
            }
            Some(_) => quote_spanned!(at(name.span())=> __p::#name),
            None => TokenTree::Ident(name.clone()).into(),
        }
    }

    fn misspelled(&self, tokens: &[TokenTree], place: usize) -> Option<TokenStream> {
        self.mirror.is_none().then_some(())?;
        words::misspelled(self.context, tokens, place, self.place, self.whole)
    }

    /// A called word. An editor has all of them in scope but the checks.
    fn word(&self, meant: &Meant, name: &Ident) -> TokenStream {
        match self.mirror {
            None => words::path(meant, name),
            Some(_) if meant.word.slot == vocab::Slot::Check => {
                mirror::path(Slot::Health, Some(name))
            }
            Some(_) => TokenTree::Ident(name.clone()).into(),
        }
    }

    /// The inside of a group; of one behind a called word with that word.
    fn group(&self, before: &[TokenTree], group: &Group, word: Option<&str>) -> TokenStream {
        let inner = tokens_of(group.stream());
        let method = match before.split_last() {
            Some((TokenTree::Ident(name), earlier)) if is_method(earlier) => Some(name.to_string()),
            _ => None,
        };
        let method = method.as_deref();
        if let Some(noted) = self.mirror
            && self.options
            && method == Some("health")
        {
            return self.mirrored_health(&inner, noted);
        }
        if word == Some("cluster") {
            return self.cluster(&inner, group);
        }
        if let (Some(MISSPELLED), Place::Target, Some(policy)) =
            (word, self.place, words::policy_in_sight(&inner))
        {
            let rest = Self {
                place: Place::Value,
                ..*self
            };
            let rest = rest.tokens(inner.get(1..).unwrap_or_default());
            return policy.into_iter().chain(rest).collect();
        }
        let inside = Self {
            options: self.options && self.context.owners.of_settings(&inner).is_some(),
            endpoint: false,
            place: match (word, method) {
                (Some("hash"), _) | (_, Some("sticky")) => Place::Key,
                (_, Some("health")) if self.options => Place::Check,
                (_, Some("and" | "or")) if self.place == Place::Guard => Place::Guard,
                _ => Place::Value,
            },
            ..*self
        };
        if self.mirror.is_none()
            && word == Some("handler")
            && let Some(judged) = called::handler(&inner, |tokens| inside.tokens(tokens))
        {
            return judged;
        }
        if self.mirror.is_none()
            && let Some((TokenTree::Ident(option), _)) = before.split_last()
            && let Some(owner) = self.owner(before, group)
        {
            let wrong = mirrors::is_wrong(option, before, group);
            return inside.arguments(owner, option, wrong, &inner);
        }
        inside.tokens(&inner)
    }

    /// What has the methods of the chain that these tokens end with, if they are options of ours.
    fn owner(&self, before: &[TokenTree], group: &Group) -> Option<domains::Owner> {
        if self.endpoint {
            return Some("endpoint");
        }
        let chain = arguments(before).pop()?;
        let chain = [chain, &[TokenTree::Group(group.clone())]].concat();
        if self.options {
            return self.context.owners.owner(&chain);
        }
        matches!(self.place, Place::Policy | Place::Key)
            .then(|| self.context.owners.of_settings(&chain))?
    }

    /// The arguments of an option. What is not of the right type has been reported; what stands for it keeps rustc from speaking
    /// of it, too.
    fn arguments(
        &self,
        owner: domains::Owner,
        option: &Ident,
        wrong: bool,
        inner: &[TokenTree],
    ) -> TokenStream {
        let mut out = TokenStream::new();
        if domains::is_without_arguments(owner, option, inner) {
            let mut place = 0;
            while let Some(kind) = domains::kind(owner, option, place) {
                out.extend(self.stand_in(kind, option.span()));
                out.extend(quote_spanned!(at(option.span())=> ,));
                place += 1;
            }
            return out;
        }
        for (place, argument) in arguments(inner).into_iter().enumerate() {
            let Some(last) = argument.last().map(TokenTree::span) else {
                continue;
            };
            if place > 0 {
                out.extend(quote_spanned!(at(last)=> ,));
            }
            let at = at(last);
            out.extend(match domains::stand_in(owner, option, place, argument) {
                Some(kind) => self.stand_in(kind, last),
                None if place == 0 && wrong => {
                    quote_spanned!(at=> ::core::unreachable!())
                }
                None => match (domains::is_share(owner, option, place), argument) {
                    (true, [TokenTree::Literal(share)]) => fraction(share),
                    _ => self.tokens(argument),
                },
            });
        }
        out
    }

    /// Something of the type of an argument.
    fn stand_in(&self, kind: StandIn, span: Span) -> TokenStream {
        let at = at(span);
        match kind {
            StandIn::Duration => self.millis(0, span),
            StandIn::Whole => quote_spanned!(at=> 1),
            StandIn::Fraction => quote_spanned!(at=> 1.0),
            StandIn::Text => quote_spanned!(at=> ""),
            StandIn::Range => quote_spanned!(at=> ..),
            StandIn::Flag => quote_spanned!(at=> true),
        }
    }

    /// `rr, [A, "http://b".weight(3)]` with each element of the list as an endpoint.
    fn cluster(&self, inner: &[TokenTree], group: &Group) -> TokenStream {
        if let Some(policies) = self.mirror {
            return self.mirrored_cluster(inner, policies);
        }
        let mut out = TokenStream::new();
        let written = expr_list(inner, group.span_close());
        let arguments = match clusters::meant(&written) {
            // Reported; the form keeps rustc from speaking of it, too.
            Some((_, policy, list)) => vec![policy, list],
            None => written,
        };
        let policy = Self {
            place: Place::Policy,
            options: false,
            ..*self
        };
        let endpoints = Self {
            place: Place::Endpoints,
            ..policy
        };
        for (place, argument) in arguments.iter().enumerate() {
            if place > 0 {
                out.extend(quote_spanned!(at(argument.span())=> ,));
            }
            match argument.tokens.as_slice() {
                [TokenTree::Group(list)]
                    if place == 1 && list.delimiter() == Delimiter::Bracket =>
                {
                    let elements = expr_list(&tokens_of(list.stream()), list.span_close());
                    out.extend(if elements.is_empty() {
                        // Reported; of a type, since nothing else tells what the list is of.
                        quote_spanned!(Span::mixed_site()=> <[__p::Endpoint; 0] as ::core::default::Default>::default())
                    } else {
                        let elements = elements.iter().map(|element| {
                            let value = endpoints.endpoints(element);
                            quote_spanned!(at(element.span())=> __p::endpoint(#value))
                        });
                        quote_spanned!(at(list.span())=> [#(#elements),*])
                    });
                }
                [TokenTree::Literal(_)]
                    if place == 0 && policies::quoted_policy(argument).is_some() =>
                {
                    out.extend(words::built_in("rr", argument.span()));
                }
                // Reported.
                [TokenTree::Ident(_)]
                    if place == 0 && policies::foreign(self.context.model, argument).is_some() =>
                {
                    out.extend(words::built_in("rr", argument.span()));
                }
                _ if place == 1 => out.extend(endpoints.endpoints(&lookup::whole(argument))),
                tokens if place == 0 => out.extend(
                    words::policy(self.context, argument, self.whole)
                        .unwrap_or_else(|| policy.tokens(tokens)),
                ),
                tokens => out.extend(self.tokens(tokens)),
            }
        }
        out
    }

    /// As it is written, with the policy on a path if it is a name or could be one, and with all that follows as the endpoints,
    /// so that nothing is said of the number of arguments but what the checks say.
    fn mirrored_cluster(
        &self,
        inner: &[TokenTree],
        policies: &RefCell<Vec<(Slot, Ident)>>,
    ) -> TokenStream {
        let comma = inner.iter().position(is_comma);
        let (policy, rest) = inner.split_at(comma.unwrap_or(inner.len()));
        let mut out = match policy {
            [] => mirror::path(Slot::Policy, None),
            [TokenTree::Ident(name)] if name == HOLE => mirror::path(Slot::Policy, None),
            [TokenTree::Ident(name)] if !is_keyword(name) => {
                policies.borrow_mut().push((Slot::Policy, name.clone()));
                mirror::path(Slot::Policy, Some(name))
            }
            tokens => self.tokens(tokens),
        };
        let span = Span::mixed_site();
        out.extend(match rest {
            [comma, endpoints @ ..] if arguments(endpoints).len() > 1 => {
                let tuple = Group::new(Delimiter::Parenthesis, self.tokens(endpoints));
                quote_spanned!(span=> #comma __prox::endpoints(#tuple))
            }
            [comma] => quote_spanned!(span=> #comma __prox::endpoints(())),
            [] => quote_spanned!(span=> , __prox::endpoints(())),
            rest => self.endpoint_list(rest),
        });
        out
    }

    /// As it is written, with the check on a path if it is a name or a call, or could be one.
    fn mirrored_health(
        &self,
        inner: &[TokenTree],
        noted: &RefCell<Vec<(Slot, Ident)>>,
    ) -> TokenStream {
        let inside = Self {
            options: is_health_check(inner),
            place: Place::Check,
            ..*self
        };
        match inner {
            [] => mirror::path(Slot::Health, None),
            [TokenTree::Ident(name), rest @ ..]
                if !is_keyword(name)
                    && matches!(rest.first(), None | Some(TokenTree::Group(_))) =>
            {
                if rest.is_empty() {
                    noted.borrow_mut().push((Slot::Health, name.clone()));
                }
                let mut out = mirror::path(Slot::Health, Some(name));
                out.extend(inside.tokens(rest));
                out
            }
            tokens => inside.tokens(tokens),
        }
    }

    /// Endpoints are of several types, which an array would not take.
    fn endpoint_list(&self, tokens: &[TokenTree]) -> TokenStream {
        let [before @ .., TokenTree::Group(list)] = tokens else {
            return self.tokens(tokens);
        };
        let elements = tokens_of(list.stream());
        let repeated = elements
            .iter()
            .any(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';'));
        if list.delimiter() != Delimiter::Bracket || repeated || !ends_with_comma(before) {
            return self.tokens(tokens);
        }
        let mut out = self.tokens(before);
        let tuple = Group::new(Delimiter::Parenthesis, self.tokens(&elements));
        out.extend(quote_spanned!(Span::mixed_site()=> __prox::endpoints(#tuple)));
        out
    }

    /// A variable of the environment may stand in several clusters, so each takes a copy.
    fn endpoints(&self, value: &Expr) -> TokenStream {
        // Reported.
        if let Some((url, _)) = upstreams::weighted_pair(value) {
            return TokenTree::Literal(url).into();
        }
        let name = value.only_ident();
        let variable = name.filter(|name| self.context.model.variable(name).is_some());
        let inside = Self {
            endpoint: true,
            ..*self
        };
        match variable {
            // Where the list takes it, so that rustc points there.
            Some(name) => {
                quote_spanned!(at(name.span())=> __p::core::clone::Clone::clone(&#name))
            }
            None => inside.tokens(&value.tokens),
        }
    }

    fn literal(&self, literal: &Literal) -> TokenStream {
        let span = literal.span();
        match unit(literal) {
            Some(Ok(Unit::Millis(millis))) => self.millis(millis, span),
            Some(Ok(Unit::Bytes(bytes))) => {
                let number = format!("{bytes}usize").parse();
                let mut number: Literal = number.unwrap_or_else(|_| Literal::usize_suffixed(0));
                if self.mirror.is_some() {
                    number.set_span(span);
                    return TokenTree::Literal(number).into();
                }
                // clippy looks at how a literal of the user is written.
                number.set_span(at(span));
                in_brackets(span, TokenTree::Literal(number).into())
            }
            // What is no value has been reported; one of the right type keeps rustc from speaking of it, too.
            Some(Err(_)) if literal.to_string().ends_with(['b', 'B']) => {
                quote_spanned!(at(span)=> 0_usize)
            }
            Some(Err(_)) => self.millis(0, span),
            None => TokenTree::Literal(literal.clone()).into(),
        }
    }

    fn millis(&self, millis: u64, span: Span) -> TokenStream {
        let mut number = Literal::u64_unsuffixed(millis);
        if self.mirror.is_some() {
            let krate = &self.context.krate;
            return quote_spanned!(Span::mixed_site()=> #krate::__private::Duration::from_millis(#number));
        }
        number.set_span(span);
        // In brackets of the user, so that rustc says what is wrong with its type here, and not of the gateway as a whole.
        in_brackets(
            span,
            quote_spanned!(at(span)=> __p::Duration::from_millis(#number)),
        )
    }
}

/// In brackets of the user, so that rustc points to all of an expression that begins with what the macro writes.
pub(super) fn in_brackets(span: Span, value: TokenStream) -> TokenStream {
    let mut brackets = Group::new(Delimiter::Parenthesis, value);
    brackets.set_span(span);
    TokenTree::Group(brackets).into()
}

/// With its type, which nothing else tells.
fn fraction(literal: &Literal) -> TokenStream {
    let text = literal.to_string();
    let typed = text.ends_with(|c: char| c.is_ascii_digit()) && !text.contains("f64");
    let typed = typed.then(|| format!("{text}_f64").parse().ok()).flatten();
    let mut typed: Literal = typed.unwrap_or_else(|| literal.clone());
    typed.set_span(at(literal.span()));
    TokenTree::Literal(typed).into()
}

fn ends_with_comma(tokens: &[TokenTree]) -> bool {
    tokens.last().is_some_and(is_comma)
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}

/// A target, with its own handles of those backends that it names and that are `made` before it.
pub(super) fn target(
    context: &Context<'_>,
    target: &Target,
    made: &BTreeSet<usize>,
) -> TokenStream {
    let value = target_value(context, target, made);
    // The arms of a split take their own handles.
    let Target::Expr(expr) = target else {
        return value;
    };
    if let Some(name) = expr.only_ident()
        && context
            .places
            .get(&name.to_string())
            .is_some_and(|place| made.contains(place))
    {
        return copy(name);
    }
    let value = with_handles(context, &expr.tokens, made, value);
    // A variable can be the target of several routes, so each takes a copy.
    match expr.tokens.first() {
        Some(TokenTree::Ident(name)) if context.model.is_endpoint(name) => {
            let copy = copy(name);
            let allow = quote_spanned!(Span::mixed_site()=>
                #[allow(
                    clippy::shadow_reuse,
                    clippy::shadow_same,
                    clippy::shadow_unrelated
                )]
            );
            quote_spanned!(Span::mixed_site()=> { #allow let #name = #copy; #value })
        }
        _ => value,
    }
}

/// The value of an expression that is no target, with its own handles of the backends that it names: it may keep them.
pub(super) fn owning(
    context: &Context<'_>,
    expr: &Expr,
    made: &BTreeSet<usize>,
    value: TokenStream,
) -> TokenStream {
    with_handles(context, &expr.tokens, made, value)
}

fn with_handles(
    context: &Context<'_>,
    tokens: &[TokenTree],
    made: &BTreeSet<usize>,
    value: TokenStream,
) -> TokenStream {
    let mut used: BTreeSet<usize> = BTreeSet::new();
    each_backend(tokens, &mut |name| {
        used.extend(context.places.get(name).copied());
    });
    let span = Span::mixed_site();
    let used = used
        .into_iter()
        .filter(|place| made.contains(place))
        .filter_map(|place| context.backends.get(place).copied());
    let handles: Vec<TokenStream> = used
        .map(|backend| {
            let name = &backend.name;
            let value = copy(name);
            quote_spanned!(span=>
                #[allow(
                    unused_variables,
                    clippy::shadow_reuse,
                    clippy::shadow_same,
                    clippy::shadow_unrelated
                )]
                let #name = #value;
            )
        })
        .collect();
    if handles.is_empty() {
        return value;
    }
    // A wrong type of the value is an error at the whole block, so the block is at the user's expression.
    let place = tokens.first().map_or(span, TokenTree::span);
    let inner = quote_spanned!(span=> #(#handles)* #value);
    let mut block = Group::new(Delimiter::Brace, inner);
    block.set_span(at(place));
    TokenTree::Group(block).into()
}

/// The spans are those of nothing: an editor would show what they mean beside what the name means.
fn copy(name: &Ident) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> ::core::clone::Clone::clone(&#name))
}

/// Whether a variable of the environment has this name.
fn is_variable(context: &Context<'_>, value: &Expr) -> bool {
    let name = value.only_ident();
    name.is_some_and(|name| context.model.variable(name).is_some())
}

fn target_value(context: &Context<'_>, target: &Target, made: &BTreeSet<usize>) -> TokenStream {
    match target {
        Target::Url(url) => {
            let token = &url.token;
            quote_spanned!(at(url.span)=> __p::upstream(#token))
        }
        Target::Expr(value) => written_out(context, value, Place::Target),
        Target::Split(split) => {
            let arms = split.arms.iter().map(|arm| {
                let weight = match &arm.weight {
                    // A variable of another type has been reported.
                    Weight::Value(value) if context.faulty && is_variable(context, value) => {
                        quote_spanned!(at(value.span())=> 1)
                    }
                    Weight::Value(value) => {
                        // So that a value of another type is an error at its name, without the signature of `arm`.
                        let share = Ident::new("__share", Span::mixed_site());
                        let value = expr(context, value);
                        quote_spanned!(at(arm.weight.span())=> { let #share: u32 = #value; #share })
                    }
                    Weight::Number(_) => {
                        let mut weight = Literal::u32_suffixed(arm.share().unwrap_or(1));
                        weight.set_span(at(arm.weight.span()));
                        TokenTree::Literal(weight).into()
                    }
                };
                // Each arm takes its own handles.
                let target = self::target(context, &arm.target, made);
                quote_spanned!(at(arm.target.span())=> .arm(#weight, #target))
            });
            let options = split.options.as_ref().map(|options| expr(context, options));
            quote_spanned!(at(split.span)=> __p::Split::new()#(#arms)*#options)
        }
    }
}
