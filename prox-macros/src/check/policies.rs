//! Balancing policies in quotes.

use proc_macro2::{Ident, TokenTree};

use super::clusters::meant;
use crate::{
    diag::Diagnostics,
    syntax::{
        ast::Expr,
        calls::Call,
        cursor::text_of,
        words::{POLICIES, nearest},
    },
};

/// A policy in quotes. Any name may be a policy of the user's own, so of those that nothing has rustc speaks.
pub(super) fn check(call: &Call<'_>, diag: &mut Diagnostics) {
    let args = call.args();
    let policy = match meant(&args) {
        Some((_, policy, _)) => Some(policy),
        None => args.into_iter().next(),
    };
    let Some(name) = policy.as_ref().and_then(quoted_policy) else {
        return;
    };
    let error = diag.error(&name, format!("`\"{name}\"` is no balancing policy"));
    match word(&name.to_string()) {
        Some(word) => error.help(format!("write `{word}`, without quotes")),
        None => error.help(format!(
            "the policies are `{}`, `hash(key)`, or a value that implements `prox::Balancer`",
            POLICIES.join("`, `")
        )),
    };
}

/// The policy that is meant by a text.
fn word(text: &str) -> Option<&'static str> {
    const SYNONYMS: [(&str, &[&str]); 7] = [
        ("rr", &["round_robin", "roundrobin"]),
        (
            "weighted",
            &["wrr", "weighted_round_robin", "weighted_rr", "weight"],
        ),
        (
            "p2c",
            &[
                "power_of_two",
                "power_of_two_choices",
                "two_choices",
                "peak_ewma",
                "ewma",
                "least_time",
            ],
        ),
        (
            "hash(client_ip())",
            &["ip_hash", "iphash", "source_hash", "source"],
        ),
        (
            "hash(header(\"x-user\"))",
            &["hash", "consistent_hash", "ring_hash", "maglev"],
        ),
        (
            "least_conn",
            &[
                "leastconn",
                "least_connections",
                "least_connection",
                "least_request",
                "least_requests",
                "leastconns",
            ],
        ),
        ("random", &["rand", "rnd"]),
    ];
    let synonym = SYNONYMS
        .iter()
        .find(|(_, others)| others.contains(&text))
        .map(|(ours, _)| *ours);
    synonym.or_else(|| {
        // One letter is too little to tell a slip from a name.
        let near = POLICIES
            .into_iter()
            .filter(|policy| policy.len() > 4 || *policy == text);
        nearest(text, near)
    })
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
