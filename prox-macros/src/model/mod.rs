//! The gateway as data: what was written, with its scopes unfolded and its literals understood.

mod audience;
pub(crate) mod guard;
pub(crate) mod lacking;
mod lower;
mod meant;
pub(crate) mod mount;
pub(crate) mod names;
mod options;
mod order;
pub(crate) mod tree;

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenTree};

pub(crate) use self::lower::lower;
use self::{guard::Guard, mount::Mount, names::Names};
use crate::around::Declared;
use crate::syntax::{
    ast::{Env, Expect, Expr, Named, Setup, Target, Text},
    calls::{each_expr, plain},
    host::HostName,
    marks::Mark,
    methods,
    pattern::{Lie, Pattern, Segment, Tail},
    words::METHODS,
};

/// All of a gateway.
pub(crate) struct Model {
    pub(crate) named: Option<Named>,
    pub(crate) env: Vec<Env>,
    /// What is made once, in the order of the source.
    pub(crate) setup: Vec<Setup>,
    /// The places of these in the order in which they are made.
    pub(crate) order: Vec<usize>,
    /// Each layer once, however many routes share it.
    pub(crate) layers: Vec<Expr>,
    /// The layers for every request, by their places.
    pub(crate) every: Vec<usize>,
    /// The first is every host that no other names.
    pub(crate) hosts: Vec<Host>,
    /// The listeners with routes of their own. Their hosts follow those for every listener, one listener after the other.
    pub(crate) ons: Vec<On>,
    /// The methods beyond the nine that routes name, in the order of their bits.
    pub(crate) own_methods: Vec<String>,
    /// In the order of the source; a route's place is its number.
    pub(crate) routes: Vec<Route>,
    pub(crate) expects: Vec<Expect>,
    /// Whose the names are that words have, too.
    pub(crate) names: Names,
    /// Whether layers were lost by a mistake, which has been reported.
    pub(crate) lost_layers: bool,
    /// Items of Rust that stand in the gateway by mistake; what they declare is there.
    pub(crate) strays: Vec<TokenTree>,
    /// What the mirror is made of; nothing else reads it.
    pub(crate) marks: Vec<Mark>,
}

impl Model {
    /// The first host of a listener, or that of every listener: every host that no other there names.
    pub(crate) fn root(&self, on: Option<usize>) -> usize {
        on.and_then(|on| self.ons.get(on)).map_or(0, |on| on.root)
    }

    /// The listener that alone has the route.
    pub(crate) fn on(&self, route: &Route) -> Option<&On> {
        self.ons.get(self.hosts.get(route.host)?.on?)
    }

    /// The places of the hosts of each table: those for every listener, then those of each listener.
    pub(crate) fn tables(&self) -> Vec<std::ops::Range<usize>> {
        let starts = std::iter::once(0).chain(self.ons.iter().map(|on| on.root));
        let ends = self.ons.iter().map(|on| on.root).chain([self.hosts.len()]);
        starts.zip(ends).map(|(start, end)| start..end).collect()
    }

    /// What answers: backends and routes, in no particular order.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Target> {
        let backends = self.setup.iter().filter_map(|setup| match setup {
            Setup::Backend(backend) => backend.target.as_ref(),
            Setup::Let(_) => None,
        });
        backends.chain(self.routes.iter().filter_map(|route| route.target.as_ref()))
    }

    /// The set of one method.
    pub(crate) fn method(&self, name: &str) -> Methods {
        Methods::of(name, &self.own_methods)
    }

    /// The name of the first method of a set, or one that no route names.
    pub(crate) fn example(&self, methods: Methods) -> String {
        let bit = methods.0.trailing_zeros() as usize;
        let own = bit
            .checked_sub(METHODS.len() + 1)
            .and_then(|place| self.own_methods.get(place));
        let unnamed = || {
            ["PURGE", "REPORT", "SEARCH"]
                .into_iter()
                .find(|name| !self.own_methods.iter().any(|own| own == name))
                .unwrap_or("UNKNOWN")
        };
        let fixed = METHODS.get(bit).copied();
        own.map_or_else(|| fixed.unwrap_or_else(unnamed).to_owned(), Clone::clone)
    }

    /// What stands beside the gateway under its name, so that its items cannot.
    pub(crate) fn twin(&self) -> Option<Declared> {
        let name = self.named.as_ref()?.name.to_string();
        self.names.around().beside(plain(&name))
    }

    /// Whether a backend has this name.
    pub(crate) fn is_backend(&self, name: &Ident) -> bool {
        self.setup
            .iter()
            .any(|setup| matches!(setup, Setup::Backend(backend) if backend.name == *name))
    }

    /// Whether the options of a target can be behind this name: it is a backend, or a variable of the type `Endpoint`.
    pub(crate) fn takes_options(&self, name: &Ident) -> bool {
        self.is_backend(name) || self.is_endpoint(name)
    }

    /// The variable of the environment of this name.
    pub(crate) fn variable(&self, name: &Ident) -> Option<&Env> {
        self.env.iter().find(|variable| variable.name == *name)
    }

    /// Whether a variable of the environment has this name, and the type `Endpoint`.
    pub(crate) fn is_endpoint(&self, name: &Ident) -> bool {
        let variable = self.variable(name);
        variable.is_some_and(|variable| is_named(&variable.ty, "Endpoint"))
    }

    /// Whether the type of a variable names `Host`.
    pub(crate) fn names_host(&self) -> bool {
        let mut types = self.env.iter().flat_map(|variable| &variable.ty);
        types.any(|token| matches!(token, TokenTree::Ident(name) if name == "Host"))
    }

    /// The names that the gateway itself declares.
    pub(crate) fn declared(&self) -> HashSet<String> {
        let mut known = HashSet::new();
        let mut see = |name: &Ident| known.insert(plain(&name.to_string()).to_owned());
        self.env.iter().for_each(|env| {
            see(&env.name);
        });
        for field in self.named.iter().flat_map(|named| &named.fields) {
            see(&field.name);
        }
        for setup in &self.setup {
            match setup {
                Setup::Backend(backend) => {
                    see(&backend.name);
                }
                Setup::Let(binding) => {
                    for token in &binding.pattern {
                        if let TokenTree::Ident(name) = token {
                            see(name);
                        }
                    }
                }
            }
        }
        known
    }

    /// Every expression of the user.
    pub(crate) fn exprs(&self) -> Vec<&Expr> {
        let mut all: Vec<&Expr> = self
            .env
            .iter()
            .filter_map(|env| env.default.as_ref())
            .collect();
        all.extend(self.setup.iter().filter_map(|setup| match setup {
            Setup::Let(binding) => Some(&binding.value),
            Setup::Backend(_) => None,
        }));
        for target in self.targets() {
            each_expr(target, &mut |expr| all.push(expr));
        }
        all.extend(&self.layers);
        all.extend(self.routes.iter().filter_map(|route| route.guard.as_ref()));
        all
    }
}

/// A listener with routes of its own.
pub(crate) struct On {
    pub(crate) name: Text,
    /// Its first host: every host that no other of it names.
    pub(crate) root: usize,
}

/// The hosts of one block.
pub(crate) struct Host {
    /// The listener, by its number, that alone has them.
    pub(crate) on: Option<usize>,
    /// As written, joined by `|`; `_` for the first.
    pub(crate) label: String,
    /// Those that are written in the block.
    pub(crate) names: Vec<(HostName, Text)>,
    /// The variables whose values are hosts.
    pub(crate) variables: Vec<Ident>,
    /// The literal defaults of these.
    pub(crate) defaults: Vec<(HostName, Text)>,
    /// A segment of no kind that a route of the host asks for.
    pub(crate) plain: &'static str,
    /// Whether one of the names is none, which has been reported.
    pub(crate) hole: bool,
}

impl Host {
    /// All names that are known while compiling.
    pub(crate) fn known(&self) -> impl Iterator<Item = &(HostName, Text)> {
        self.names.iter().chain(&self.defaults)
    }

    /// A name for each of its names and variables, as it can be asked for.
    pub(crate) fn examples(&self) -> impl Iterator<Item = String> {
        let known = self.known().map(|(name, _)| match name {
            HostName::Exact(name) => name.clone(),
            HostName::Suffix(name) => format!("any.{name}"),
        });
        known.chain(self.variables.iter().map(|name| format!("{{{name}}}")))
    }

    /// Whether the value of this variable is one of its hosts.
    pub(crate) fn has_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| variable == name)
    }

    /// Whether it is every host that no other names.
    pub(crate) fn is_every_other(&self) -> bool {
        self.names.is_empty() && self.variables.is_empty()
    }

    /// Every host that no other of the listener, or of those for every listener, names.
    fn every_other(on: Option<usize>) -> Self {
        Self {
            on,
            label: String::from("_"),
            names: Vec::new(),
            variables: Vec::new(),
            defaults: Vec::new(),
            plain: "7",
            hole: false,
        }
    }
}

/// A route with all that its scopes add to it.
pub(crate) struct Route {
    /// The warnings that are allowed on it.
    pub(crate) allowed: Vec<String>,
    pub(crate) host: usize,
    /// The literal as written, without the scopes.
    pub(crate) path: Text,
    /// The whole pattern; none if the literal, or that of a scope, is no path.
    pub(crate) pattern: Option<Pattern>,
    pub(crate) exact: bool,
    /// The methods that it takes, with `HEAD` where `GET` brings it.
    pub(crate) methods: Methods,
    /// As written, joined by `|`; `*` if there are none.
    pub(crate) label: String,
    pub(crate) guard: Option<Expr>,
    /// What the guard accepts, as far as it can be decided; everything if there is none.
    pub(crate) accepts: Guard,
    /// None if it is missing.
    pub(crate) target: Option<Target>,
    /// The gateway that it mounts.
    pub(crate) mount: Option<Mount>,
    /// Outermost first.
    pub(crate) layers: Vec<usize>,
    /// Where each of the layers stands, since a layer that is a name is one wherever it stands.
    pub(crate) places: Vec<Span>,
    /// Whether a layer has to say who may enter.
    pub(crate) required: bool,
}

/// A set of methods, one bit each. As in the runtime, the bit behind the nine is for every method that no route names, and those
/// above are for the methods beyond the nine that routes name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Methods(pub(crate) u32);

impl Methods {
    pub(crate) const ALL: Self = Self(0x7fff_ffff);
    pub(crate) const OTHER: Self = Self(0x200);
    pub(crate) const GET: Self = Self(1);
    pub(crate) const HEAD: Self = Self(2);
    /// How many methods beyond the nine a gateway can name.
    pub(crate) const MOST_OWN: usize = 21;

    /// The set of one method; that of every other if no route names it.
    pub(crate) fn of(word: &str, own: &[String]) -> Self {
        let fixed = METHODS.iter().position(|method| *method == word);
        let own = || {
            let place = own.iter().position(|method| method == word);
            place.map(|place| METHODS.len() + 1 + place)
        };
        fixed.or_else(own).map_or(Self::OTHER, |bit| {
            Self(
                1_u32
                    .checked_shl(u32::try_from(bit).unwrap_or(u32::MAX))
                    .unwrap_or(0)
                    & Self::ALL.0,
            )
        })
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its methods, one by one.
    pub(crate) fn each(self) -> impl Iterator<Item = Self> {
        (0..31)
            .map(|bit| Self(1 << bit))
            .filter(move |method| self.contains(*method))
    }
}

impl Route {
    /// The whole path for people: the pattern, or the literal where there is none.
    pub(crate) fn shown_path(&self) -> String {
        match &self.pattern {
            Some(pattern) => pattern.to_string(),
            None => self.path.value.clone(),
        }
    }

    /// What the route matches, as it would be written at the top level of a host.
    pub(crate) fn shown(&self) -> String {
        let methods = if self.label == "*" {
            String::new()
        } else {
            let words: Vec<String> = self.label.split('|').map(methods::shown).collect();
            format!("{} ", words.join("|"))
        };
        let exact = if self.exact { "exact " } else { "" };
        format!("{methods}{exact}{}", self.shown_path())
    }

    /// The shape with all lists of values alike: routes of one class are alike to the order in which routes are asked.
    pub(crate) fn class(&self) -> Option<String> {
        let shape = self.shape()?;
        let list = |segment: &str| segment.starts_with("{=");
        let segments = shape.split('/');
        let segments: Vec<&str> = segments.map(|s| if list(s) { "{=}" } else { s }).collect();
        Some(segments.join("/"))
    }

    /// How the paths of two routes of one class lie.
    pub(crate) fn lie(&self, other: &Self) -> Lie {
        let (Some(own), Some(others)) = (&self.pattern, &other.pattern) else {
            return Lie::Apart;
        };
        let pairs = own.segments.iter().zip(&others.segments);
        let lists = pairs.filter_map(|pair| match pair {
            (Segment::Param(_, own), Segment::Param(_, others)) => Some(own.lie(others)),
            _ => None,
        });
        lists.fold(Lie::Same, |all, next| match (all, next) {
            (Lie::Apart, _) | (_, Lie::Apart) => Lie::Apart,
            (Lie::Same, lie) | (lie, Lie::Same) => lie,
            (all, next) if all == next => all,
            _ => Lie::Across,
        })
    }

    /// The pattern without the names of its parameters: routes with the same shape match the same paths.
    pub(crate) fn shape(&self) -> Option<String> {
        let pattern = self.pattern.as_ref()?;
        let mut shape = String::new();
        for segment in &pattern.segments {
            match segment {
                Segment::Literal(text) => {
                    shape.push('/');
                    shape.push_str(text);
                }
                Segment::Param(_, kind) => {
                    shape.push('/');
                    shape.push_str(&kind.shape());
                }
            }
        }
        shape.push_str(match pattern.tail {
            Tail::Exact => "",
            Tail::Prefix => "{/}",
            Tail::Rest(_) => "/{*}",
        });
        Some(shape)
    }
}

/// The name of the struct of the backends.
pub(crate) fn backends_name(named: &Named) -> String {
    format!("{}Backends", plain(&named.name.to_string()))
}

/// Whether a type has this name, perhaps with a path before it.
pub(crate) fn is_named(ty: &[TokenTree], name: &str) -> bool {
    matches!(ty.last(), Some(TokenTree::Ident(last)) if last == name)
}
