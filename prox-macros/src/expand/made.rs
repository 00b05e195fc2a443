//! What the targets and layers of routes are made of: the lines of `backend` and `let` that they name.

use std::collections::HashMap;

use proc_macro2::TokenTree;

use crate::{
    around,
    model::{Model, Route},
    syntax::{
        ast::{Expr, Setup, Target},
        calls::{each_expr, each_name, plain},
        source::{source, target_text},
    },
};

/// The lines of `backend` and `let` by their names.
pub(super) struct Made {
    texts: Vec<String>,
    /// The places of the lines that bind a name, in the order of the source.
    places: HashMap<String, Vec<usize>>,
    /// The lines that each line is made of, itself included, in the order of the source.
    within: Vec<Vec<usize>>,
    /// The lines that each layer is made of.
    of_layers: Vec<Vec<usize>>,
}

impl Made {
    pub(super) fn new(model: &Model) -> Self {
        let texts = model.setup.iter().map(text).collect();
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, line) in model.setup.iter().enumerate() {
            for name in names(line) {
                places.entry(name).or_default().push(place);
            }
        }
        let mut made = Self {
            texts,
            places,
            within: Vec::new(),
            of_layers: Vec::new(),
        };
        let direct: Vec<Vec<usize>> = model.setup.iter().map(|line| made.named(line)).collect();
        made.within = (0..direct.len())
            .map(|place| reached(place, &direct))
            .collect();
        let layers = model.layers.iter();
        made.of_layers = layers
            .map(|layer| made.whole(&made.of_expr(layer)))
            .collect();
        made
    }

    /// The places of the lines that a route's guard, target and layers are made of, in the order of the source.
    pub(super) fn of(&self, route: &Route) -> Vec<usize> {
        let mut direct = Vec::new();
        if let Some(target) = &route.target {
            direct = self.of_target(target);
        }
        if let Some(guard) = &route.guard {
            direct.extend(self.of_expr(guard));
        }
        let layers = route.layers.iter();
        let layers = layers.filter_map(|layer| self.of_layers.get(*layer));
        direct.extend(layers.flatten());
        self.whole(&direct)
    }

    /// The source text of a line.
    pub(super) fn text(&self, place: usize) -> &str {
        self.texts.get(place).map_or("", String::as_str)
    }

    /// These lines with all that they are made of.
    fn whole(&self, places: &[usize]) -> Vec<usize> {
        let within = places.iter().filter_map(|place| self.within.get(*place));
        let mut all: Vec<usize> = within.flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The lines that a line names.
    fn named(&self, line: &Setup) -> Vec<usize> {
        match line {
            Setup::Let(binding) => self.of_expr(&binding.value),
            Setup::Backend(backend) => {
                let target = backend.target.as_ref();
                target.map_or_else(Vec::new, |target| self.of_target(target))
            }
        }
    }

    fn of_target(&self, target: &Target) -> Vec<usize> {
        let mut places = Vec::new();
        each_expr(target, &mut |expr| places.extend(self.of_expr(expr)));
        places
    }

    fn of_expr(&self, expr: &Expr) -> Vec<usize> {
        let mut places = Vec::new();
        each_name(&expr.tokens, &mut |name| {
            places.extend(self.places.get(plain(name)).into_iter().flatten());
        });
        places
    }
}

/// The backend that a target is, perhaps with options of the route's own; empty for any other target.
pub(super) fn backend(model: &Model, route: &Route) -> String {
    let first = match &route.target {
        Some(Target::Expr(expr)) => expr.tokens.first(),
        _ => None,
    };
    match first {
        Some(TokenTree::Ident(name)) if model.is_backend(name) => {
            plain(&name.to_string()).to_owned()
        }
        _ => String::new(),
    }
}

fn names(line: &Setup) -> Vec<String> {
    match line {
        Setup::Backend(backend) => vec![plain(&backend.name.to_string()).to_owned()],
        Setup::Let(binding) => around::pattern(binding.pattern.iter().cloned().collect()),
    }
}

fn text(line: &Setup) -> String {
    match line {
        Setup::Backend(backend) => {
            let target = backend.target.as_ref();
            let target = target.map_or_else(String::new, target_text);
            format!("backend {} = {target}", backend.name)
        }
        Setup::Let(binding) => format!(
            "let {} = {}",
            source(&binding.pattern),
            source(&binding.value.tokens)
        ),
    }
}

/// A line and all that it names, directly or through others.
fn reached(start: usize, direct: &[Vec<usize>]) -> Vec<usize> {
    let mut seen = vec![false; direct.len()];
    let mut open = vec![start];
    while let Some(place) = open.pop() {
        if let Some(slot) = seen.get_mut(place)
            && !*slot
        {
            *slot = true;
            open.extend(direct.get(place).into_iter().flatten());
        }
    }
    let places = seen.iter().enumerate();
    let seen = places.filter(|(_, seen)| **seen);
    seen.map(|(place, _)| place).collect()
}
