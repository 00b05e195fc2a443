//! The statements that make a gateway when it starts: variables, values, backends, layers, routes.

use std::collections::{BTreeSet, HashMap};

use proc_macro2::{Ident, Literal, Span, TokenStream, TokenTree};
use quote::quote_spanned;

use super::{
    Context, called,
    exprs::{self, at},
    mounts, order, words,
};
use crate::syntax::{
    ast::{Backend, Env, Expr, Setup, Target},
    calls::plain,
    cursor::{is_string, tokens_of},
    default::{self, Form},
    lints::of_rustc,
};
use crate::{check::domains, model::names::Whose};

/// What differs between the two positions.
pub(super) struct Parts {
    pub(super) table: TokenStream,
    pub(super) routes: TokenStream,
    pub(super) variables: TokenStream,
    /// Leaves with an error.
    pub(super) fail: TokenStream,
}

/// Lints that the user's names and holes must not set off.
///
/// They are the same for every gateway, since they stand before the mirror.
pub(super) fn allow() -> TokenStream {
    quote_spanned!(Span::mixed_site()=>
        #[allow(
            non_snake_case,
            non_upper_case_globals,
            unexpected_cfgs,
            unused_braces,
            unused_imports,
            unused_mut,
            unused_parens,
            unreachable_code,
            clippy::diverging_sub_expression,
            clippy::too_many_arguments,
            clippy::too_many_lines,
            clippy::redundant_clone,
            clippy::wildcard_imports
        )]
    )
}

/// What a mistake has cut off from its uses is not unused.
pub(super) fn allow_unused(context: &Context<'_>) -> Option<TokenStream> {
    context
        .faulty
        .then(|| quote_spanned!(Span::mixed_site()=> #[allow(unused_variables)]))
}

/// All statements, after which `__asm` can be finished.
pub(super) fn body(context: &Context<'_>, parts: &Parts) -> TokenStream {
    let krate = &context.krate;
    let span = Span::mixed_site();
    let Parts {
        table,
        routes,
        variables,
        ..
    } = parts;
    // Apart, so that what is wrong inside of one stays there.
    let strays = (!context.model.strays.is_empty()).then(|| {
        let strays = &context.model.strays;
        quote_spanned!(span=> #krate::__private::items! { #(#strays)* })
    });
    let named = context.model.named.as_ref().map(|named| {
        let name = named.name.to_string();
        let name = plain(&name);
        quote_spanned!(span=> __asm.named(#name);)
    });
    let env = environment(context, parts);
    let setup = setup(context);
    let layers = layers(context);
    let order = order::statements(context);
    let targets = targets(context);
    let types = words::types(context);
    let policies = words::policies(context);
    quote_spanned!(span=>
        use #krate::__private as __p;
        #types
        #policies
        #strays
        let mut __asm = __p::Assembly::new(#table, #routes, #variables);
        #named
        #env
        #setup
        #layers
        #order
        #targets
    )
}

/// Reads all variables before the first is used, so that one error has all that are missing.
fn environment(context: &Context<'_>, parts: &Parts) -> TokenStream {
    let span = Span::mixed_site();
    let env = &context.model.env;
    if env.is_empty() {
        return TokenStream::new();
    }
    let reads = env.iter().enumerate().map(|(place, variable)| {
        let Env {
            attrs,
            name,
            ty,
            default,
        } = variable;
        let attrs: TokenStream = of_rustc(attrs).cloned().collect();
        let local = numbered("__e", place);
        let number = number(place);
        let ty: TokenStream = ty.iter().cloned().collect();
        let at = at(name.span());
        let read = match default {
            None => quote_spanned!(at=> __asm.env::<#ty, _>(#number)),
            Some(default) => self::default(context, &variable.ty, default, at, &number),
        };
        quote_spanned!(span=> #attrs let #local = #read;)
    });
    // Of a name that nothing uses there is a warning with a better text; one that is there twice is bound once.
    let names = env.iter().enumerate().map(|(place, variable)| {
        let name = &variable.name;
        let mut earlier = env.iter().take(place);
        if earlier.any(|earlier| earlier.name == *name) {
            quote_spanned!(span=> _)
        } else {
            quote_spanned!(span=> #name)
        }
    });
    let locals = (0..env.len()).map(|place| numbered("__e", place));
    let fail = &parts.fail;
    let mounts = mounts::lacks(context);
    let hosts = hosts(context);
    quote_spanned!(span=>
        #(#reads)*
        #hosts
        #[allow(unused_variables, clippy::shadow_unrelated)]
        let (#(::core::option::Option::Some(#names),)*) = (#(#locals,)*) else {
            #mounts
            #fail
        };
    )
}

/// Sets the hosts that are variables, before what is wrong with variables ends the start.
fn hosts(context: &Context<'_>) -> Option<TokenStream> {
    let model = context.model;
    let variables = model.env.iter().enumerate();
    let values = variables.filter_map(|(place, variable)| {
        let mut used = model.hosts.iter().flat_map(|host| &host.variables);
        let used = used.find(|name| **name == variable.name)?;
        let text = used.to_string();
        let at = at(used.span());
        let mut value = numbered("__e", place);
        value.set_span(at);
        Some(quote_spanned!(at=> (#text, #value.as_ref())))
    });
    let values: Vec<TokenStream> = values.collect();
    (!context.faulty && !values.is_empty())
        .then(|| quote_spanned!(Span::mixed_site()=> __asm.hosts(&[#(#values),*]);))
}

/// The variable `number`, or its default.
fn default(
    context: &Context<'_>,
    ty: &[TokenTree],
    default: &Expr,
    at: Span,
    number: &Literal,
) -> TokenStream {
    let form = default::form(ty, default);
    let ty: TokenStream = ty.iter().cloned().collect();
    match form {
        Form::Text(text) => quote_spanned!(at=> __asm.env_text::<#ty, _>(#number, #text)),
        Form::Texts(element, texts) => {
            let element: TokenStream = element.iter().cloned().collect();
            quote_spanned!(at=> __asm.env_texts::<#element>(#number, &[#(#texts),*]))
        }
        Form::List | Form::Some | Form::Plain => {
            let value = exprs::expr(context, default);
            let value = match form {
                Form::List => quote_spanned!(at=> ::std::vec::Vec::from(#value)),
                Form::Some => quote_spanned!(at=> ::core::option::Option::Some(#value)),
                _ => value,
            };
            quote_spanned!(at=> __asm.env_or::<#ty, _>(#number, || #value))
        }
    }
}

fn setup(context: &Context<'_>) -> TokenStream {
    let span = Span::mixed_site();
    let mut out = TokenStream::new();
    let mut made = BTreeSet::new();
    let setups = &context.model.setup;
    for setup in context
        .model
        .order
        .iter()
        .filter_map(|place| setups.get(*place))
    {
        match setup {
            Setup::Let(binding) => {
                let pattern: TokenStream = binding.pattern.iter().cloned().collect();
                let value = exprs::expr(context, &binding.value);
                let value = exprs::owning(context, &binding.value, &made, value);
                let attrs: TokenStream = of_rustc(&binding.attrs).cloned().collect();
                out.extend(rate(&binding.value));
                out.extend(quote_spanned!(span=> #attrs let #pattern = #value;));
            }
            Setup::Backend(backend) => {
                out.extend(self::backend(context, backend, &made));
                made.extend(context.places.get(&backend.name.to_string()).copied());
            }
        }
    }
    out
}

/// The handle of the gateway, and the user's variable.
fn backend(context: &Context<'_>, backend: &Backend, made: &BTreeSet<usize>) -> TokenStream {
    let krate = &context.krate;
    let name = &backend.name;
    let span = Span::mixed_site();
    let Some(place) = context
        .backends
        .iter()
        .position(|other| std::ptr::eq(*other, backend))
    else {
        return TokenStream::new();
    };
    let attrs: TokenStream = of_rustc(&backend.attrs).cloned().collect();
    let handle = backend_ident(place);
    let text = Literal::string(&name.to_string());
    let value = match &backend.target {
        Some(target @ (Target::Url(_) | Target::Expr(_))) => {
            let value = exprs::target(context, target, made);
            let at = at(target.span());
            quote_spanned!(at=> __asm.backend(#text, #value))
        }
        // A hole, which has been reported.
        Some(Target::Split(_)) | None => quote_spanned!(span=> ::core::unreachable!()),
    };
    quote_spanned!(span=>
        #attrs
        let #handle: #krate::Cluster = #value;
        #[allow(unused_variables, clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)]
        let #name = ::core::clone::Clone::clone(&#handle);
    )
}

/// How many locals one `let` makes. Each `let` is a scope within that of the `let` before it, and with information for debuggers the
/// compiler descends into all of them: thousands of them overflow its stack.
const AT_ONCE: usize = 64;

/// One `let` for many locals, each with its value, in their order.
pub(super) fn lets(locals: &[(TokenStream, TokenStream)]) -> TokenStream {
    let span = Span::mixed_site();
    let lets = locals.chunks(AT_ONCE).map(|some| match some {
        [(local, value)] => quote_spanned!(span=> let #local = #value;),
        some => {
            let (locals, values): (Vec<_>, Vec<_>) = some.iter().map(|(l, v)| (l, v)).unzip();
            quote_spanned!(span=> let (#(#locals),*) = (#(#values),*);)
        }
    });
    lets.collect()
}

fn layers(context: &Context<'_>) -> TokenStream {
    let all = context.all_backends();
    let span = Span::mixed_site();
    let (mut made, mut roles, mut declared) = (Vec::new(), Vec::new(), Vec::new());
    let mut out = TokenStream::new();
    for (place, layer) in context.model.layers.iter().enumerate() {
        let value = called::layer(layer).unwrap_or_else(|| {
            let value = exprs::layer(context, layer);
            exprs::owning(context, layer, &all, value)
        });
        out.extend(rate(layer));
        let [local, ty, role] = ["__l", "__t", "__r"].map(|prefix| numbered(prefix, place));
        let value = quote_spanned!(at(layer.span())=> __p::layer(#value));
        // What the value has borrowed, such as a lock, is given back before the next one is made.
        let value = quote_spanned!(span=> { let __made = #value; __made });
        made.push((quote_spanned!(span=> (#local, #ty)), value));
        roles.push((
            quote_spanned!(span=> #role),
            quote_spanned!(span=> #ty.role()),
        ));
        let value = quote_spanned!(span=> __p::declared(#local, #role));
        declared.push((quote_spanned!(span=> #local), value));
    }
    if !made.is_empty() {
        let lets = [made, roles, declared].map(|locals| lets(&locals));
        out = quote_spanned!(span=> use __p::middleware::role::Undeclared as _; #out #(#lets)*);
    }
    if !context.model.every.is_empty() {
        let every = context
            .model
            .every
            .iter()
            .map(|layer| numbered("__l", *layer));
        out.extend(quote_spanned!(span=> __asm.every(&[#(&#every),*]);));
    }
    out
}

/// Has the types judge a rate that refuses every request.
fn rate(expr: &Expr) -> Option<TokenStream> {
    let (make, path, number) = domains::rate(&expr.tokens)?;
    Some(quote_spanned!(at(number.span())=> {
        use __p::OtherLimit as _;
        __p::passes(__p::Limit(|| #(#path)* #make(1)).verdict());
    }))
}

/// The targets and guards of the routes: as data where a target needs no code, since a compiler takes milliseconds for each call.
fn targets(context: &Context<'_>) -> TokenStream {
    let all = context.all_backends();
    let mut chains = Chains::default();
    let mut plain = Plain::default();
    let mut calls = TokenStream::new();
    for (place, route) in context.model.routes.iter().enumerate() {
        let index = number(place);
        if let Some(target) = &route.target {
            let chain = chains.place(&route.layers);
            if let Some(mount) = &route.mount {
                calls.extend(mounts::call(context, mount, &index, chain));
                continue;
            }
            if !plain.takes(context, place, target, chain) {
                let value = exprs::target(context, target, &all);
                let layers = chain_of(chain);
                calls.extend(quote_spanned!(at(target.span())=>
                    __asm.route(#index, #value, #layers);
                ));
            }
        }
        if let Some(guard) = &route.guard {
            let value = exprs::guard(context, guard);
            let value = exprs::owning(context, guard, &all, value);
            calls.extend(quote_spanned!(at(guard.span())=> __asm.guard(#index, #value);));
        }
    }
    let chains = chains.statements();
    let plain = plain.statements(context);
    quote_spanned!(Span::mixed_site()=> #chains #calls #plain)
}

/// The lists of layers, each once.
#[derive(Default)]
struct Chains<'a> {
    all: Vec<&'a [usize]>,
    places: HashMap<&'a [usize], usize>,
}

impl<'a> Chains<'a> {
    fn place(&mut self, layers: &'a [usize]) -> usize {
        *self.places.entry(layers).or_insert_with(|| {
            self.all.push(layers);
            self.all.len() - 1
        })
    }

    /// A local for each, and one for all of them.
    fn statements(&self) -> TokenStream {
        let span = Span::mixed_site();
        let chains = self.all.iter().map(|layers| {
            let layers = layers.iter().map(|layer| numbered("__l", *layer));
            quote_spanned!(span=> &[#(&#layers),*])
        });
        let (count, locals) = (number(self.all.len()), (0..self.all.len()).map(chain_of));
        quote_spanned!(span=>
            let __chains: &[&[&__p::middleware::Layer]; #count] = &[#(#chains),*];
            let [#(#locals),*] = *__chains;
        )
    }
}

/// The layers of a chain.
pub(super) fn chain_of(place: usize) -> Ident {
    numbered("__c", place)
}

/// Routes whose targets are data.
#[derive(Default)]
struct Plain {
    backends: Vec<[usize; 3]>,
    redirects: Vec<([usize; 3], Literal)>,
    responses: Vec<([usize; 3], Literal)>,
}

impl Plain {
    /// Takes the route if its target is a backend alone, or an answer of literals.
    fn takes(
        &mut self,
        context: &Context<'_>,
        place: usize,
        target: &Target,
        chain: usize,
    ) -> bool {
        let Target::Expr(expr) = target else {
            return false;
        };
        if let Some(name) = expr.only_ident() {
            let backend = context.backend(name);
            self.backends
                .extend(backend.map(|backend| [place, backend, chain]));
            return backend.is_some();
        }
        let [TokenTree::Ident(word), TokenTree::Group(group)] = expr.tokens.as_slice() else {
            return false;
        };
        let inner = tokens_of(group.stream());
        let [
            TokenTree::Literal(status),
            TokenTree::Punct(_),
            text @ TokenTree::Literal(literal),
        ] = inner.as_slice()
        else {
            return false;
        };
        let list = match word.to_string().as_str() {
            "redirect" => &mut self.redirects,
            "respond" => &mut self.responses,
            _ => return false,
        };
        // Of a mistake rustc may have more to say.
        let word = context
            .model
            .names
            .call_in_slot(&word.to_string(), 2, false);
        if context.faulty || word != Whose::Word || !is_string(text) {
            return false;
        }
        let Ok(status) = status.to_string().parse::<u16>() else {
            return false;
        };
        list.push(([place, chain, status.into()], literal.clone()));
        true
    }

    fn statements(&self, context: &Context<'_>) -> TokenStream {
        let span = Span::mixed_site();
        let rows = |rows: &mut dyn Iterator<Item = &[usize; 3]>| -> TokenStream {
            let rows = rows.map(|row| {
                let row = row.map(Literal::usize_unsuffixed);
                quote_spanned!(span=> [#(#row),*])
            });
            quote_spanned!(span=> &[#(#rows),*])
        };
        let mut out = TokenStream::new();
        if !self.backends.is_empty() {
            let routes = rows(&mut self.backends.iter());
            let backends = (0..context.backends.len()).map(backend_ident);
            out.extend(
                quote_spanned!(span=> __asm.backends(#routes, &[#(&#backends),*], __chains);),
            );
        }
        for (method, list) in [
            ("redirects", &self.redirects),
            ("responses", &self.responses),
        ] {
            if list.is_empty() {
                continue;
            }
            let method = Ident::new(method, span);
            let routes = rows(&mut list.iter().map(|(row, _)| row));
            let texts = list.iter().map(|(_, text)| text);
            out.extend(quote_spanned!(span=> __asm.#method(#routes, &[#(#texts),*], __chains);));
        }
        out
    }
}

/// The handle of a backend, by its place among the backends.
pub(super) fn backend_ident(place: usize) -> Ident {
    numbered("__b", place)
}

pub(super) fn numbered(prefix: &str, place: usize) -> Ident {
    Ident::new(&format!("{prefix}{place}"), Span::mixed_site())
}

pub(super) fn number(place: usize) -> Literal {
    Literal::usize_unsuffixed(place)
}
