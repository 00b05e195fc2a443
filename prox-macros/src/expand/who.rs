//! Who may enter a route, as far as the text tells.

use proc_macro2::TokenTree;

use crate::{
    around::middleware,
    model::{Model, names::Names},
    syntax::{
        ast::{Expr, Setup},
        calls::plain,
        source::source,
    },
    vocab::{self, Slot},
};

/// Whether a layer decides who may enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decides {
    Yes,
    No,
    /// Only its type can tell.
    Unknown,
}

/// For each route the layers that may decide it under `require auth`, and elsewhere those that surely do.
pub(super) fn who(model: &Model) -> Vec<String> {
    let layers = model.layers.iter();
    let layers: Vec<(Decides, String)> = layers
        .map(|layer| (decides(model, layer), source(&layer.tokens)))
        .collect();
    let who = model.routes.iter().map(|route| {
        let layers = route.layers.iter().filter_map(|layer| layers.get(*layer));
        let deciding = layers.filter(|(decides, _)| match decides {
            Decides::Yes => true,
            Decides::No => false,
            Decides::Unknown => route.required,
        });
        let deciding: Vec<&str> = deciding.map(|(_, text)| text.as_str()).collect();
        deciding.join(", ")
    });
    who.collect()
}

fn decides(model: &Model, layer: &Expr) -> Decides {
    let value = value_of(model, layer);
    match value.tokens.as_slice() {
        [TokenTree::Ident(name), TokenTree::Group(_)] if name == "admits" => Decides::Yes,
        _ if is_word(&model.names, value) => Decides::Yes,
        [TokenTree::Ident(name), ..] => {
            let name = name.to_string();
            match middleware(&name).filter(|_| !model.names.is_own_type(&name)) {
                Some(known) if known.decides => Decides::Yes,
                Some(_) => Decides::No,
                None => Decides::Unknown,
            }
        }
        _ => Decides::Unknown,
    }
}

/// Whether the layer is a word of the language alone, and not a name of the user's.
pub(super) fn is_word(names: &Names, layer: &Expr) -> bool {
    layer.only_ident().is_some_and(|name| {
        let name = name.to_string();
        vocab::is(Slot::Layer, &name) && names.is_layer_word(&name)
    })
}

/// What a layer is, if it is the name of a `let` line.
fn value_of<'m>(model: &'m Model, layer: &'m Expr) -> &'m Expr {
    let Some(name) = layer.only_ident() else {
        return layer;
    };
    if !model.names.is_own(plain(&name.to_string())) {
        return layer;
    }
    let mut values = model.setup.iter().filter_map(|setup| match setup {
        Setup::Let(binding) => match binding.pattern.first() {
            Some(TokenTree::Ident(own)) if own == name => Some(&binding.value),
            _ => None,
        },
        Setup::Backend(_) => None,
    });
    values.next().unwrap_or(layer)
}
