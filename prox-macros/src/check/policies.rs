//! Balancing policies that are none, as far as the macro can know the names.

use proc_macro2::{Ident, TokenTree};

use super::clusters::meant;
use crate::{
    diag::Diagnostics,
    model::Model,
    syntax::{
        ast::{Expr, Setup},
        calls::Call,
        cursor::text_of,
        words::{POLICIES, nearest},
    },
};

/// The policy, if it is a name that nothing has.
pub(super) fn check(model: &Model, call: &Call<'_>, diag: &mut Diagnostics) {
    let args = call.args();
    let policy = match meant(&args) {
        Some((_, policy, _)) => Some(policy),
        None => args.into_iter().next(),
    };
    let quoted = policy.as_ref().and_then(quoted_policy);
    if let Some(name) = &quoted {
        let word = policy_meant(model, name).and_then(Meant::word);
        let word = word.map_or_else(|| name.to_string(), str::to_owned);
        let known = POLICIES.contains(&word.as_str());
        diag.error(name, format!("`\"{name}\"` is no balancing policy"))
            .help(if known {
                format!("write `{word}`, without quotes")
            } else {
                the_policies()
            });
        return;
    }
    let Some(name) = policy.as_ref().and_then(Expr::only_ident) else {
        return;
    };
    let Some(word) = policy_meant(model, name) else {
        return;
    };
    let error = diag.error(name, format!("`{name}` is no balancing policy"));
    match word.word() {
        Some(word) => error.help(format!("write `{word}`")),
        None => error.help(the_policies()),
    };
}

fn the_policies() -> String {
    let words = POLICIES.join("`, `");
    format!("the policies are `{words}`, or a value that implements `prox::Balancer`")
}

/// What was meant by a name that is no policy.
#[derive(Clone, Copy)]
pub(crate) enum Meant {
    Word(&'static str),
    /// No policy of ours does the same.
    Unknown,
}

impl Meant {
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Self::Word(word) => Some(word),
            Self::Unknown => None,
        }
    }
}

/// What is meant by a name that is no policy; none if it is one, or may be the user's own.
pub(crate) fn policy_meant(model: &Model, name: &Ident) -> Option<Meant> {
    const SYNONYMS: [(&str, &[&str]); 3] = [
        (
            "rr",
            &[
                "round_robin",
                "roundrobin",
                "RoundRobin",
                "RR",
                "wrr",
                "weighted_round_robin",
                "weighted_rr",
            ],
        ),
        (
            "least_conn",
            &[
                "leastconn",
                "least_connections",
                "least_connection",
                "LeastConn",
                "least_request",
                "least_requests",
                "leastconns",
            ],
        ),
        ("random", &["rand", "Random", "rnd"]),
    ];
    /// Those that say by what, and not how.
    const OTHERS: [&str; 8] = [
        "ip_hash",
        "iphash",
        "consistent_hash",
        "ring_hash",
        "maglev",
        "sticky",
        "source_hash",
        "first",
    ];
    let word = name.to_string();
    let mut declared = model.env.iter().map(|env| &env.name);
    let own = model.setup.iter().any(|setup| match setup {
        Setup::Let(binding) => binding
            .pattern
            .iter()
            .any(|token| matches!(token, TokenTree::Ident(ident) if ident == name)),
        Setup::Backend(backend) => backend.name == *name,
    });
    let field = model
        .named
        .iter()
        .flat_map(|named| &named.fields)
        .any(|field| field.name == *name);
    if own
        || field
        || declared.any(|declared| declared == name)
        || POLICIES.contains(&word.as_str())
    {
        return None;
    }
    let synonym = SYNONYMS
        .iter()
        .find(|(_, others)| others.contains(&word.as_str()));
    if let Some((ours, _)) = synonym {
        return Some(Meant::Word(ours));
    }
    if OTHERS.contains(&word.as_str()) {
        return Some(Meant::Unknown);
    }
    // One letter is too little to tell a slip from a name.
    let near = POLICIES.into_iter().filter(|policy| policy.len() > 4);
    nearest(&word, near).map(Meant::Word)
}

/// A policy in quotes, which is no URL.
pub(crate) fn quoted_policy(arg: &Expr) -> Option<Ident> {
    let [TokenTree::Literal(literal)] = arg.tokens.as_slice() else {
        return None;
    };
    let word = text_of(&TokenTree::Literal(literal.clone()))?.value;
    let name = word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    (name && !word.is_empty()).then(|| Ident::new(&word, literal.span()))
}
