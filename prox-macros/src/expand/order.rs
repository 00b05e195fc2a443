//! The order of the layers around each route, and whether one of them says who may enter: judged by their types.
//!
//! Each distinct beginning of a chain is a state; a step to it has the span of its last layer where it is first written. A route
//! under `require auth` then has the span of its path. Routes and chains that are equal are judged once, since a compiler takes
//! time for each call.

use std::collections::HashMap;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote_spanned;

use super::{
    Context,
    exprs::at,
    setup::{lets, numbered},
};

pub(super) fn statements(context: &Context<'_>) -> TokenStream {
    let span = Span::mixed_site();
    let mut states: HashMap<(usize, usize), usize> = HashMap::new();
    // Each state is made from one that is a layer shorter.
    let mut steps: Vec<Vec<(TokenStream, TokenStream)>> = Vec::new();
    let mut out = TokenStream::new();
    let mut required = Vec::new();
    for (number, route) in context.model.routes.iter().enumerate() {
        let mut state = 0;
        for (depth, (layer, place)) in route.layers.iter().zip(&route.places).enumerate() {
            let next = states.len() + 1;
            state = *states.entry((state, *layer)).or_insert_with(|| {
                let after = numbered("__s", next);
                let before = placed(numbered("__s", state), *place);
                let role = placed(numbered("__r", *layer), *place);
                let step =
                    quote_spanned!(at(*place)=> __p::middleware::role::step(&#before, #role));
                if steps.len() == depth {
                    steps.push(Vec::new());
                }
                steps[depth].push((quote_spanned!(span=> #after), step));
                next
            });
        }
        if !route.required {
            continue;
        }
        required.push(Literal::usize_unsuffixed(number));
        // Without a layer it has been reported. The routes of a mounted gateway are looked at when it starts.
        if !route.layers.is_empty() && route.mount.is_none() {
            let state = placed(numbered("__s", state), route.path.span);
            out.extend(
                quote_spanned!(at(route.path.span)=> __p::middleware::role::covered(&#state);),
            );
        }
    }
    if !required.is_empty() {
        out.extend(quote_spanned!(span=> __asm.require(&[#(#required),*]);));
    }
    if states.is_empty() {
        return out;
    }
    let steps = steps.iter().map(|locals| lets(locals));
    quote_spanned!(span=> let __s0 = __p::middleware::role::open(); #(#steps)* #out)
}

/// A local at a place of the user, where its type is judged.
fn placed(mut local: Ident, place: Span) -> Ident {
    local.set_span(at(place));
    local
}
