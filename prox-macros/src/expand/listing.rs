//! The constant tables: `ROUTES` and `ENV`.

use std::collections::HashMap;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote_spanned;

use super::{
    Context,
    made::{Made, backend},
    mounts,
};
use crate::{
    diag::line,
    model::{Model, Route, tree},
    syntax::{
        ast::{Env, Setup},
        calls::{each_expr, mentions},
        source::{source, target_text},
    },
};

/// The rows of `ROUTES`, as flat lists.
pub(super) fn routes(context: &Context<'_>) -> TokenStream {
    let krate = &context.krate;
    let model = context.model;
    let names: Vec<String> = model
        .layers
        .iter()
        .map(|layer| source(&layer.tokens))
        .collect();
    let mut chains: Vec<&[usize]> = vec![&[]];
    let mut known: HashMap<&[usize], usize> = HashMap::from([(chains_empty(), 0)]);
    let mut texts = Vec::new();
    let mut numbers = Vec::new();
    let all_made = Made::new(model);
    let mut made_of: Vec<Vec<usize>> = vec![Vec::new()];
    let mut known_made: HashMap<Vec<usize>, usize> = HashMap::from([(Vec::new(), 0)]);
    let ranks = ranks(model);
    for ((route, who), rank) in model.routes.iter().zip(&context.who).zip(ranks) {
        let chain = *known.entry(&route.layers).or_insert_with(|| {
            chains.push(&route.layers);
            chains.len() - 1
        });
        let lines = all_made.of(route);
        let made = *known_made.entry(lines).or_insert_with_key(|lines| {
            made_of.push(lines.clone());
            made_of.len() - 1
        });
        texts.extend(row(context, route, who).map(|text| Literal::string(&text)));
        numbers.extend([
            usize::from(route.exact),
            chain,
            line(route.path.span) as usize,
            made,
            rank,
        ]);
    }
    let numbers = numbers.into_iter().map(Literal::usize_unsuffixed);
    let chains = chains.iter().map(|chain| {
        let layers = chain.iter().filter_map(|layer| names.get(*layer));
        quote_spanned!(Span::mixed_site()=> &[#(#layers),*])
    });
    let made_of = made_of.iter().map(|lines| {
        let texts = lines.iter().map(|line| all_made.text(*line));
        quote_spanned!(Span::mixed_site()=> &[#(#texts),*])
    });
    let count = Literal::usize_unsuffixed(model.routes.len());
    let mut rows = quote_spanned!(Span::mixed_site()=> #krate::__private::routes(
        &[#(#texts),*],
        &[#(#chains),*],
        &[#(#made_of),*],
        &[#(#numbers),*],
        ::core::file!(),
    ));
    let listeners = listeners(model);
    if !listeners.is_empty() {
        rows = quote_spanned!(Span::mixed_site()=>
            #krate::__private::on_listeners(#rows, &[#(#listeners),*])
        );
    }
    if let Some(mounts) = mounts::list(context) {
        let number = Literal::usize_unsuffixed(mounts.len());
        let checks = mounts::checks(context);
        return quote_spanned!(Span::mixed_site()=> {
            const OWN: [#krate::RouteInfo; #count] = #rows;
            const MOUNTS: &[#krate::__private::Mount] =
                &#krate::__private::mounts::<#number>([#(#mounts),*]);
            #checks
            #krate::__private::mounted!(OWN, MOUNTS)
        });
    }
    quote_spanned!(Span::mixed_site()=> {
        const ROWS: [#krate::RouteInfo; #count] = #rows;
        #krate::Routes::new(&ROWS)
    })
}

const fn chains_empty() -> &'static [usize] {
    &[]
}

/// The first route of each listener, the one behind its last, and its name.
fn listeners(model: &Model) -> Vec<TokenStream> {
    let ranges = model.tables().into_iter().skip(1).zip(&model.ons);
    let rows = ranges.map(|(hosts, on)| {
        let is_own = |route: &Route| hosts.contains(&route.host);
        let start = model
            .routes
            .iter()
            .take_while(|route| !is_own(route))
            .count();
        let own = model.routes.iter().skip(start);
        let end = start + own.take_while(|route| is_own(route)).count();
        let name = &on.name.value;
        let [start, end] = [start, end].map(Literal::usize_unsuffixed);
        quote_spanned!(Span::mixed_site()=> (#start, #end, #name))
    });
    rows.collect()
}

/// The order in which routes are asked: those for a listener alone go before those for every listener.
pub(crate) fn ranks(model: &Model) -> Vec<usize> {
    let ranks = tree::ranks(&model.routes);
    let mut places: Vec<usize> = (0..model.routes.len()).collect();
    places.sort_by_key(|place| {
        let route = model.routes.get(*place);
        let everywhere = route.is_none_or(|route| model.on(route).is_none());
        (everywhere, ranks.get(*place).copied().flatten())
    });
    let mut order = vec![0; places.len()];
    for (rank, place) in places.into_iter().enumerate() {
        if let Some(slot) = order.get_mut(place) {
            *slot = rank;
        }
    }
    order
}

/// Host, path, methods, guard, target, who may enter, and the backend.
fn row(context: &Context<'_>, route: &Route, who: &str) -> [String; 7] {
    let host = context.model.hosts.get(route.host);
    [
        host.map_or_else(String::new, |host| host.label.clone()),
        route.shown_path(),
        route.label.clone(),
        guard_text(route),
        route.target.as_ref().map_or_else(String::new, target_text),
        who.to_owned(),
        backend(context.model, route),
    ]
}

/// The source text of a route's guard, or nothing.
pub(crate) fn guard_text(route: &Route) -> String {
    route
        .guard
        .as_ref()
        .map_or_else(String::new, |guard| source(&guard.tokens))
}

/// The rows of `ENV`.
pub(super) fn variables(context: &Context<'_>) -> TokenStream {
    let krate = &context.krate;
    let rows = rows(context);
    if let Some(mounts) = mounts::list(context) {
        let number = Literal::usize_unsuffixed(mounts.len());
        return quote_spanned!(Span::mixed_site()=> {
            const OWN: &[#krate::EnvInfo] = #rows;
            const MOUNTS: &[#krate::__private::Mount] =
                &#krate::__private::mounts::<#number>([#(#mounts),*]);
            #krate::__private::mounted_variables!(OWN, MOUNTS)
        });
    }
    quote_spanned!(Span::mixed_site()=> #krate::Variables::new(#rows))
}

/// The rows of the gateway's own variables.
pub(super) fn rows(context: &Context<'_>) -> TokenStream {
    let krate = &context.krate;
    let rows = context.model.env.iter().map(|variable| {
        let Env {
            name, ty, default, ..
        } = variable;
        let name_text = name.to_string();
        let ty = source(ty);
        let default = if let Some(default) = default {
            let text = source(&default.tokens);
            quote_spanned!(Span::mixed_site()=> ::core::option::Option::Some(#text))
        } else {
            quote_spanned!(Span::mixed_site()=> ::core::option::Option::None)
        };
        let doc = doc_text(variable);
        let needed_by = needed_by(context, name).join(", ");
        quote_spanned!(Span::mixed_site()=> #krate::EnvInfo {
            name: #name_text,
            ty: #ty,
            default: #default,
            doc: #doc,
            needed_by: #needed_by,
        })
    });
    quote_spanned!(Span::mixed_site()=> &[#(#rows),*])
}

/// The documentation comment on a variable.
pub(super) fn doc_text(variable: &Env) -> String {
    let lines: Vec<&str> = variable
        .attrs
        .iter()
        .filter_map(|attr| attr.doc.as_deref())
        .map(str::trim)
        .collect();
    lines.join("\n")
}

/// What names the variable: backends, values, layers and routes.
fn needed_by(context: &Context<'_>, name: &Ident) -> Vec<String> {
    let model = context.model;
    let mut users = Vec::new();
    for setup in &model.setup {
        match setup {
            Setup::Backend(backend) => {
                let mut used = false;
                if let Some(target) = &backend.target {
                    each_expr(target, &mut |expr| used |= mentions(&expr.tokens, name));
                }
                if used {
                    users.push(format!("backend {}", backend.name));
                }
            }
            Setup::Let(binding) if mentions(&binding.value.tokens, name) => {
                users.push(format!("let {}", source(&binding.pattern)));
            }
            Setup::Let(_) => {}
        }
    }
    if model.hosts.iter().any(|host| host.variables.contains(name)) {
        users.push(format!("host {name}"));
    }
    for layer in &model.layers {
        if mentions(&layer.tokens, name) {
            users.push(source(&layer.tokens));
        }
    }
    for route in &model.routes {
        let mut used = route
            .guard
            .as_ref()
            .is_some_and(|guard| mentions(&guard.tokens, name));
        if let Some(target) = &route.target {
            each_expr(target, &mut |expr| used |= mentions(&expr.tokens, name));
        }
        if used {
            users.push(route.shown());
        }
    }
    users
}
