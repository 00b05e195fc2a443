//! The order in which backends and values are made. The lines of backends have none of their own: a backend that is used
//! above its line is made before it is used.

use std::collections::HashMap;

use proc_macro2::{Span, TokenTree};

use super::names::Names;
use crate::{
    diag::Diagnostics,
    syntax::{
        ast::{Backend, Expr, Setup},
        calls::{each_backend, each_expr, is_method, mentions, plain},
        cursor::tokens_of,
    },
};

/// The places of the lines in the order in which they can run. A line that cannot be ordered is reported, and loses its target.
pub(super) fn order(setup: &mut [Setup], names: &Names, diag: &mut Diagnostics) -> Vec<usize> {
    let mut backends = HashMap::new();
    for (place, line) in setup.iter().enumerate() {
        if let Setup::Backend(backend) = line {
            backends.entry(backend.name.to_string()).or_insert(place);
        }
    }
    let mut sorter = Sorter {
        setup,
        names,
        backends,
        states: vec![State::Waiting; setup.len()],
        order: Vec::new(),
        holes: Vec::new(),
        diag,
    };
    for place in 0..sorter.setup.len() {
        sorter.visit(place, place);
    }
    let Sorter { order, holes, .. } = sorter;
    for place in holes {
        if let Some(Setup::Backend(Backend { target, .. })) = setup.get_mut(place) {
            *target = None;
        }
    }
    order
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Open,
    Done,
}

struct Sorter<'a> {
    setup: &'a [Setup],
    names: &'a Names,
    backends: HashMap<String, usize>,
    states: Vec<State>,
    order: Vec<usize>,
    holes: Vec<usize>,
    diag: &'a mut Diagnostics,
}

impl Sorter<'_> {
    /// Puts what the line needs before it; `turn` is the line whose turn it is.
    fn visit(&mut self, place: usize, turn: usize) {
        if self.states.get(place) != Some(&State::Waiting) {
            return;
        }
        self.set(place, State::Open);
        for (name, needed) in self.needs(place) {
            let problem = match self.states.get(needed) {
                Some(State::Waiting) => {
                    if let Some(value) = self.value_between(needed, turn, place) {
                        Some((
                            format!(
                                "the backend `{name}` is declared below, and needs `{value}`, which is also declared below"
                            ),
                            format!("move both lines up, above the first use of `{name}`"),
                        ))
                    } else {
                        self.visit(needed, turn);
                        None
                    }
                }
                // Of a backend that is its own mirror something else is said.
                Some(State::Open) if needed != place => Some((
                    format!("the backends need each other: `{name}` also needs this one"),
                    String::from("use another backend here"),
                )),
                _ => None,
            };
            if let Some((message, help)) = problem {
                let span = self.use_of(place, &name);
                self.diag.error(span, message).help(help);
                self.holes.push(place);
            }
        }
        self.set(place, State::Done);
        self.order.push(place);
    }

    fn set(&mut self, place: usize, state: State) {
        if let Some(slot) = self.states.get_mut(place) {
            *slot = state;
        }
    }

    /// The backends that the line names, each once. A name that is declared above means that one.
    fn needs(&self, place: usize) -> Vec<(String, usize)> {
        let mut needs: Vec<(String, usize)> = Vec::new();
        for expr in self.exprs(place) {
            each_backend(&expr.tokens, &mut |name| {
                if let Some(needed) = self.backends.get(name)
                    && *needed != place
                    && !needs.iter().any(|(known, _)| known == name)
                {
                    needs.push((name.to_owned(), *needed));
                }
            });
        }
        needs.retain(|(name, needed)| *needed < place || !self.is_declared_above(name, place));
        needs
    }

    /// Whether something else has the name at this line: a field, a variable, a value above, or what stands around the gateway.
    fn is_declared_above(&self, name: &str, place: usize) -> bool {
        let above = self.setup.get(..place).unwrap_or_default();
        self.names.is_variable(name) || above.iter().any(|line| binds(line, name))
    }

    /// A value that the backend needs and that is declared from the line on whose turn it is.
    fn value_between(&self, needed: usize, turn: usize, place: usize) -> Option<String> {
        let between = self.setup.get(turn.min(place)..needed)?;
        let exprs = self.exprs(needed);
        between.iter().find_map(|line| {
            let Setup::Let(binding) = line else {
                return None;
            };
            let mut names = binding.pattern.iter().filter_map(|token| match token {
                TokenTree::Ident(name) if name != "mut" => Some(name),
                _ => None,
            });
            let name = names.find(|name| exprs.iter().any(|expr| mentions(&expr.tokens, name)))?;
            Some(name.to_string())
        })
    }

    fn exprs(&self, place: usize) -> Vec<&Expr> {
        let mut all = Vec::new();
        match self.setup.get(place) {
            Some(Setup::Let(binding)) => all.push(&binding.value),
            Some(Setup::Backend(backend)) => {
                if let Some(target) = &backend.target {
                    each_expr(target, &mut |expr| all.push(expr));
                }
            }
            None => {}
        }
        all
    }

    /// Where the line names the backend.
    fn use_of(&self, place: usize, name: &str) -> Span {
        let mut exprs = self.exprs(place).into_iter();
        exprs
            .find_map(|expr| find(&expr.tokens, name))
            .unwrap_or_else(Span::call_site)
    }
}

/// Whether the line is a `let` of this name.
fn binds(line: &Setup, name: &str) -> bool {
    match line {
        Setup::Let(binding) => {
            let pattern = binding.pattern.iter().cloned().collect();
            crate::around::pattern(pattern)
                .iter()
                .any(|bound| bound == name)
        }
        Setup::Backend(_) => false,
    }
}

fn find(tokens: &[TokenTree], name: &str) -> Option<Span> {
    tokens
        .iter()
        .enumerate()
        .find_map(|(place, token)| match token {
            TokenTree::Ident(ident) if !is_method(tokens.get(..place).unwrap_or_default()) => {
                (plain(&ident.to_string()) == plain(name)).then(|| ident.span())
            }
            TokenTree::Group(group) => find(&tokens_of(group.stream()), name),
            _ => None,
        })
}
