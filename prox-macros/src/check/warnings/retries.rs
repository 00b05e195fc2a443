//! Retries that hardly ever happen: what takes only methods that are not idempotent is sent once.
//!
//! That a backend is asked for retries and takes `POST` among others is nothing unusual, and each of the others is retried. So
//! nothing is said of that.

use std::collections::{HashMap, HashSet};

use proc_macro2::{Ident, TokenTree};

use super::Warning;
use crate::{
    model::{Methods, Model, Route},
    syntax::{
        ast::{Backend, Expr, Setup, Target},
        calls::{each_expr, each_name, each_option, plain},
        cursor::tokens_of,
        lints::{NOT_RETRIED, allows},
    },
};

pub(super) fn check(model: &Model, found: &mut Vec<Warning>) {
    for route in model.routes.iter().filter(|route| is_sent_once(route)) {
        if route.allowed.iter().any(|lint| lint == NOT_RETRIED) {
            continue;
        }
        for expr in exprs(route) {
            if let Some(Asked {
                word,
                retries: Some(retries),
            }) = asked(model, expr)
            {
                found.push(warning(&word, &retries, &route.shown(), "the route"));
            }
        }
    }
    // Made once, and only for a backend that asks for retries.
    let mut uses = None;
    for setup in &model.setup {
        if let Setup::Backend(backend) = setup
            && !allows(&backend.attrs, NOT_RETRIED)
            && let Some(Target::Expr(expr)) = &backend.target
            && let Some(Asked {
                word,
                retries: Some(retries),
            }) = asked(model, expr)
            && let Some(route) = uses
                .get_or_insert_with(|| Uses::new(model))
                .only_sent_once(model, backend)
        {
            found.push(warning(&word, &retries, &route.shown(), "the backend"));
        }
    }
}

/// A `.retry(..)`.
struct Asked {
    word: Ident,
    /// How many, as it is written; none if there are none, if nobody knows, or if they are for every method.
    retries: Option<String>,
}

/// What the last `.retry(..)` of a target asks for.
fn asked(model: &Model, expr: &Expr) -> Option<Asked> {
    let mut last = None;
    each_option(
        &expr.tokens,
        &|name| model.takes_options(name),
        &mut |call| {
            if call.name == "retry" {
                let inner = tokens_of(call.group.stream());
                last = Some(Asked {
                    word: call.name.clone(),
                    retries: retries(&inner),
                });
            }
        },
    );
    last
}

/// `2`, or `RetryOptions::new(2)` with options that leave the methods alone.
fn retries(inner: &[TokenTree]) -> Option<String> {
    let number = |token: &TokenTree| {
        let text = token.to_string();
        let count: u32 = text.parse().ok()?;
        (count > 0).then_some(text)
    };
    let has = |word: &str| {
        inner
            .iter()
            .any(|token| matches!(token, TokenTree::Ident(ident) if ident == word))
    };
    match inner {
        [only] => number(only),
        _ if has("RetryOptions") && !has("any_method") => {
            let new = inner.windows(2).find_map(|part| match part {
                [TokenTree::Ident(new), TokenTree::Group(group)] if new == "new" => Some(group),
                _ => None,
            });
            match tokens_of(new?.stream()).as_slice() {
                [only] => number(only),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether no request of the route is sent again once a byte of it has left (RFC 9110, 9.2.2).
fn is_sent_once(route: &Route) -> bool {
    // Of methods beyond the nine nothing is known.
    let once = ["POST", "PATCH", "CONNECT"]
        .into_iter()
        .fold(Methods(!0x1ff & Methods::ALL.0), |all, method| {
            all.union(Methods::of(method, &[]))
        });
    route.pattern.is_some() && route.methods.without(once).is_empty()
}

/// Which expressions name what.
struct Uses<'m> {
    by_routes: HashMap<String, Vec<(&'m Route, &'m Expr)>>,
    /// How many do, those of routes included.
    all: HashMap<String, usize>,
}

impl<'m> Uses<'m> {
    fn new(model: &'m Model) -> Self {
        let mut uses = Self {
            by_routes: HashMap::new(),
            all: HashMap::new(),
        };
        for route in &model.routes {
            for expr in exprs(route) {
                for name in names(expr) {
                    uses.by_routes.entry(name).or_default().push((route, expr));
                }
            }
        }
        for expr in model.exprs() {
            for name in names(expr) {
                *uses.all.entry(name).or_default() += 1;
            }
        }
        uses
    }

    /// The first route of the backend, if all of them are sent once with the retries of the backend, and nothing else uses it.
    fn only_sent_once(&self, model: &Model, backend: &Backend) -> Option<&'m Route> {
        let name = backend.name.to_string();
        let routes = self.by_routes.get(plain(&name))?;
        let alone = self.all.get(plain(&name)) == Some(&routes.len());
        let once = routes
            .iter()
            .all(|(route, expr)| is_sent_once(route) && asked(model, expr).is_none());
        (alone && once)
            .then(|| routes.first().map(|(route, _)| *route))
            .flatten()
    }
}

fn names(expr: &Expr) -> HashSet<String> {
    let mut names = HashSet::new();
    each_name(&expr.tokens, &mut |name| {
        names.insert(plain(name).to_owned());
    });
    names
}

fn exprs(route: &Route) -> Vec<&Expr> {
    let mut all = Vec::new();
    if let Some(target) = &route.target {
        each_expr(target, &mut |expr| all.push(expr));
    }
    all
}

fn warning(word: &Ident, retries: &str, route: &str, line: &str) -> Warning {
    let subject = if line == "the route" {
        format!("`{route}` accepts")
    } else {
        format!("all routes of the backend, such as `{route}`, accept")
    };
    Warning {
        at: word.span(),
        lint: NOT_RETRIED,
        text: format!(
            "only failed connections are retried here\n\
             note: {subject} only methods that are not idempotent, and such a request is not sent twice\n\
             help: write `.retry(prox::RetryOptions::new({retries}).any_method())` if a request may arrive twice; else remove it, or write \
             `#[allow({NOT_RETRIED})]` above {line}"
        ),
    }
}
