//! Balancing policies in quotes, and by the names that other proxies give them.

use proc_macro2::{Ident, TokenTree};

use super::clusters::meant;
use crate::{
    diag::Diagnostics,
    model::Model,
    syntax::{
        ast::Expr,
        calls::{Call, plain},
        cursor::text_of,
        source::source,
        words::{POLICIES, nearest},
    },
};

/// What to write, and what it is called elsewhere.
const SYNONYMS: [(&str, &[&str]); 9] = [
    (
        "`rr`",
        &["round_robin", "roundrobin", "static_rr", "round_robbin"],
    ),
    (
        "`weighted`",
        &[
            "wrr",
            "weighted_round_robin",
            "weighted_rr",
            "weight",
            "weights",
        ],
    ),
    (
        "`p2c`",
        &[
            "power_of_two",
            "power_of_two_choices",
            "two_choices",
            "random_two",
            "random_two_choices",
            "peak_ewma",
            "p2c_ewma",
            "ewma",
            "least_time",
            "least_response_time",
        ],
    ),
    (
        "`hash(client_ip())`",
        &["ip_hash", "iphash", "source_hash", "source_ip", "source"],
    ),
    (
        "`hash(header(\"x-user\"))`",
        &[
            "hash",
            "consistent_hash",
            "consistent_hashing",
            "consistent",
            "ring_hash",
            "maglev",
            "uri_hash",
            "url_hash",
        ],
    ),
    (
        "`least_conn`",
        &[
            "leastconn",
            "least_connections",
            "least_connection",
            "least_request",
            "least_requests",
            "leastconns",
            "least_outstanding_requests",
        ],
    ),
    ("`random`", &["rand", "rnd"]),
    (
        "`rr`, and `.sticky(cookie(\"session\"))` after the cluster",
        &[
            "sticky",
            "sticky_session",
            "sticky_sessions",
            "sticky_cookie",
            "session_affinity",
        ],
    ),
    (
        "`rr`, and `.priority(1)` after each standby endpoint",
        &[
            "failover",
            "first_available",
            "first_alive",
            "active_passive",
        ],
    ),
];

/// A policy in quotes, or of another proxy. Any other name may be a policy of the user's own, so of those that nothing has
/// rustc speaks.
pub(super) fn check(model: &Model, call: &Call<'_>, diag: &mut Diagnostics) {
    let args = call.args();
    let policy = match meant(&args) {
        Some((_, policy, _)) => Some(policy),
        None => args.into_iter().next(),
    };
    let Some(policy) = policy else {
        return;
    };
    if let Some(meant) = foreign(model, &policy) {
        let shown = source(&policy.tokens);
        diag.error(
            policy.span(),
            format!("`{shown}` is not a balancing policy"),
        )
        .help(format!("write {meant}"));
        return;
    }
    let Some(name) = quoted_policy(&policy) else {
        return;
    };
    let error = diag.error(&name, format!("`\"{name}\"` is not a balancing policy"));
    match word(&name.to_string()) {
        Some(word) => error.help(format!("write {word}, without quotes")),
        None => error.help(format!(
            "the policies are `{}`, `hash(key)`, or a value that implements `prox::Balancer`",
            POLICIES.join("`, `")
        )),
    };
}

/// What to write for a policy of other proxies, if the name can be nothing else.
///
/// A gateway with a name is no part of a function: it sees its own lines and the items of its module, of which only functions
/// and modules are written in lower case. So such a name that no line declares is a mistake for sure. A gateway that is an
/// expression sees the variables around it, which may be called anything. An item of ours by that name would hide them, since
/// what a block declares comes before what stands around the block; so there rustc says that there is no such name.
pub(crate) fn foreign(model: &Model, policy: &Expr) -> Option<&'static str> {
    let name = policy.only_ident()?.to_string();
    // Of `hash` without its key something else is said.
    let known = (name != "hash").then(|| synonym(&name))??;
    (model.named.is_some() && !model.declared().contains(plain(&name))).then_some(known)
}

fn synonym(name: &str) -> Option<&'static str> {
    SYNONYMS
        .iter()
        .find(|(_, others)| others.contains(&name))
        .map(|(ours, _)| *ours)
}

/// The policy that is meant by a text.
fn word(text: &str) -> Option<String> {
    synonym(text).map(str::to_owned).or_else(|| {
        // One letter is too little to tell a slip from a name.
        let near = POLICIES
            .into_iter()
            .filter(|policy| policy.len() > 4 || *policy == text);
        nearest(text, near).map(|near| format!("`{near}`"))
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
