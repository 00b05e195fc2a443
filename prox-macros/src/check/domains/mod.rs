//! Literals of options: each has a domain in one table, and is checked there.
//!
//! Only options of ours are looked at: those behind a backend or a cluster, and those of the values in their arguments, such as
//! `RetryOptions::new(2)`. The methods of any other value may have the same names, and mean something else.

mod literal;
mod problem;
mod table;
mod text;

use proc_macro2::{Delimiter, Ident, Literal, Span, TokenTree};

use self::{
    problem::{What, problem},
    table::{Domain, domain},
};
use crate::{
    diag::{Diagnostics, Place},
    model::{Model, names::Whose},
    syntax::{
        arguments,
        calls::{Call, each_expr, has_options, is_in_path, is_method, mentions},
        cursor::tokens_of,
    },
};

/// What has options; see the table.
pub(crate) type Owner = &'static str;

/// The type of the value that replaces an argument with an error, so that rustc reports no second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandIn {
    Duration,
    Whole,
    Fraction,
    Text,
    Range,
    Flag,
}

/// Whether the methods behind the first of these tokens are options of a target: of a backend, or of a `split`, whose options
/// start with the dot.
pub(super) fn is_target(model: &Model, tokens: &[TokenTree]) -> bool {
    let of_split = matches!(tokens.first(), Some(TokenTree::Punct(dot)) if dot.as_char() == '.');
    of_split || has_options(tokens, &|name: &Ident| model.takes_options(name))
}

/// What has options in a gateway: a name that it declares is not a word of the language in it.
pub(crate) struct Owners<'m> {
    model: &'m Model,
}

impl<'m> Owners<'m> {
    pub(crate) fn new(model: &'m Model) -> Self {
        Self { model }
    }

    /// What has the methods behind the first of these tokens.
    pub(crate) fn owner(&self, tokens: &[TokenTree]) -> Option<Owner> {
        if is_target(self.model, tokens) {
            return Some("target");
        }
        self.of_settings(tokens)
    }

    /// What has the methods of a value in the arguments of an option.
    pub(crate) fn of_settings(&self, tokens: &[TokenTree]) -> Option<Owner> {
        if let [TokenTree::Ident(name), TokenTree::Group(group), ..] = tokens {
            const WORDS: [(&str, Owner); 9] = [
                ("http", "check"),
                ("tcp", "check"),
                ("grpc", "check"),
                ("hash", "hash"),
                ("cookie", "key"),
                ("header", "key"),
                ("query", "key"),
                ("dns", "dns"),
                ("srv", "dns"),
            ];
            let word = name.to_string();
            let (_, owner) = WORDS.iter().find(|(known, _)| word == *known)?;
            let names = &self.model.names;
            let inner = tokens_of(group.stream());
            let given = arguments(&inner).len();
            // A function of the user may be meant as well, which is reported.
            let both = || {
                let itself = mentions(&inner, name);
                matches!(names.call_in_slot(&word, given, itself), Whose::Both(_))
            };
            return (!names.is_own(&word) && !both()).then_some(*owner);
        }
        // The last but one name of `prox::RetryOptions::new(..)`.
        let path: Vec<&Ident> = tokens
            .iter()
            .take_while(|token| match token {
                TokenTree::Ident(_) => true,
                TokenTree::Punct(punct) => punct.as_char() == ':',
                TokenTree::Group(_) | TokenTree::Literal(_) => false,
            })
            .filter_map(|token| match token {
                TokenTree::Ident(word) => Some(word),
                _ => None,
            })
            .collect();
        let ty = path.len().checked_sub(2).and_then(|at| path.get(at))?;
        if ["HttpCheck", "GrpcCheck", "TcpCheck"]
            .iter()
            .any(|check| *ty == check)
        {
            return Some("check");
        }
        let mut slots = table::SLOTS.iter().copied().flatten();
        let known = slots.find(|slot| slot.of.starts_with(char::is_uppercase) && **ty == slot.of);
        known.map(|slot| slot.of)
    }
}

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let names = Owners::new(model);
    for target in model.targets() {
        each_expr(target, &mut |expr| {
            if let Some(owner) = names.owner(&expr.tokens) {
                chain(&expr.tokens, owner, &names, diag);
            }
        });
    }
}

/// Checks the arguments of all calls of a chain, and of the values in them.
fn chain(tokens: &[TokenTree], owner: Owner, names: &Owners<'_>, diag: &mut Diagnostics) {
    for (place, token) in tokens.iter().enumerate() {
        let (TokenTree::Ident(name), Some(TokenTree::Group(group))) =
            (token, tokens.get(place + 1))
        else {
            continue;
        };
        let before = tokens.get(..place).unwrap_or_default();
        let behind = is_method(before) || is_in_path(before);
        if group.delimiter() != Delimiter::Parenthesis || !(behind || place == 0) {
            continue;
        }
        let inner = tokens_of(group.stream());
        let call = Call {
            name,
            method: behind,
            group,
        };
        // Of `RetryOptions::new` the last name alone says nothing.
        let ty = before
            .iter()
            .rev()
            .find(|token| matches!(token, TokenTree::Ident(_)));
        let shown = match ty.filter(|_| is_in_path(before)) {
            Some(ty) => format!("{ty}::{name}"),
            None => name.to_string(),
        };
        if is_without_arguments(owner, name, &inner)
            && let Some(domain) = domain(owner, &name.to_string(), 0)
        {
            let (what, example) = domain.described();
            diag.error(name, format!("`{shown}` expects {what}"))
                .help(format!("write `{shown}({example})`"))
                .untyped();
            continue;
        }
        for (place, argument) in arguments(&inner).into_iter().enumerate() {
            if let Some(domain) = domain(owner, &name.to_string(), place) {
                judge(&shown, argument, domain, diag);
            }
            // A cluster without its list has been reported, and is being typed.
            if name == "cluster" && !is_method(before) && arguments(&inner).len() < 2 {
                continue;
            }
            for (inner, owner) in inside(owner, &call, place, argument, names) {
                chain(&inner, owner, names, diag);
            }
        }
    }
}

/// The values in an argument that have options themselves.
fn inside(
    owner: Owner,
    call: &Call<'_>,
    place: usize,
    argument: &[TokenTree],
    names: &Owners<'_>,
) -> Vec<(Vec<TokenTree>, Owner)> {
    if let (false, "target", "cluster", [TokenTree::Group(list)]) =
        (call.method, owner, &*call.name.to_string(), argument)
        && list.delimiter() == Delimiter::Bracket
        && place == 1
    {
        let elements = tokens_of(list.stream());
        let elements = arguments(&elements).into_iter();
        return elements
            .map(|element| (element.to_vec(), "endpoint"))
            .collect();
    }
    names
        .of_settings(argument)
        .map(|owner| (argument.to_vec(), owner))
        .into_iter()
        .collect()
}

/// Whether an option that takes something has nothing between its brackets, which is reported.
pub(crate) fn is_without_arguments(owner: Owner, option: &Ident, inner: &[TokenTree]) -> bool {
    // Of `TcpCheck::new()` the last name alone says nothing.
    let check = owner == "check" && option == "new";
    inner.is_empty() && !check && domain(owner, &option.to_string(), 0).is_some()
}

/// Of what type an argument is, if it has a domain.
pub(crate) fn kind(owner: Owner, option: &Ident, place: usize) -> Option<StandIn> {
    domain(owner, &option.to_string(), place).map(Domain::stand_in)
}

/// The type of the value that replaces the argument, if the argument has an error and another type than its slot.
pub(crate) fn stand_in(
    owner: Owner,
    option: &Ident,
    place: usize,
    argument: &[TokenTree],
) -> Option<StandIn> {
    let domain = domain(owner, &option.to_string(), place)?;
    problem(domain, &option.to_string(), argument)?.stand_in
}

/// Whether the argument is a share, whose type no literal tells.
pub(crate) fn is_share(owner: Owner, option: &Ident, place: usize) -> bool {
    matches!(
        domain(owner, &option.to_string(), place),
        Some(Domain::Share)
    )
}

fn judge(option: &str, argument: &[TokenTree], domain: &Domain, diag: &mut Diagnostics) {
    let Some(found) = problem(domain, option, argument) else {
        return;
    };
    match found.what {
        What::Flaw(text, flaw) => diag.flaw(&text, flaw),
        What::Whole(message) => {
            let error = diag.error(Place::of(argument, Span::call_site()), message);
            error.help(found.help);
            if found.stand_in.is_some() {
                error.untyped();
            }
        }
    }
}

/// The number of a `RateLimit` that is out of its bounds, and what makes the limit but for its options. Only types can tell whose
/// `RateLimit` it is.
pub(crate) fn rate(tokens: &[TokenTree]) -> Option<(&Ident, Vec<TokenTree>, Literal)> {
    let at = tokens.windows(5).position(|part| match part {
        [
            TokenTree::Ident(ty),
            colon,
            _,
            TokenTree::Ident(make),
            TokenTree::Group(_),
        ] => {
            let makes = make == "per_second" || make == "per_minute";
            ty == "RateLimit" && makes && is_in_path(std::slice::from_ref(colon))
        }
        _ => false,
    })?;
    let rate = (at + 3..tokens.len()).find_map(|place| {
        let (TokenTree::Ident(option), TokenTree::Group(group)) =
            (tokens.get(place)?, tokens.get(place + 1)?)
        else {
            return None;
        };
        let domain = domain("RateLimit", &option.to_string(), 0)?;
        let inner = tokens_of(group.stream());
        match (
            problem(domain, &option.to_string(), &inner),
            inner.as_slice(),
        ) {
            (Some(_), [TokenTree::Literal(literal)]) => Some(literal.clone()),
            _ => None,
        }
    })?;
    let (TokenTree::Ident(make), path) = (tokens.get(at + 3)?, tokens.get(..at + 3)?) else {
        return None;
    };
    Some((make, path.to_vec(), rate))
}

/// Whether an argument has a domain.
#[cfg(test)]
pub(crate) fn has(owner: &str, option: &str, place: usize) -> bool {
    domain(owner, option, place).is_some()
}
