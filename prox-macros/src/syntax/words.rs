//! The words of the language, and the nearest of them to a word that is none.

use proc_macro2::Ident;

pub(crate) use super::methods::is_method;
use super::{cursor::Cursor, methods::quoted};
use crate::vocab::{self, Slot, texts};

/// The balancing policies that are a word alone; `hash(key)` is one more.
pub(crate) const POLICIES: [&str; 5] = texts(Slot::Policy);

/// The health checks that are words.
pub(crate) const CHECKS: [&str; 3] = texts(Slot::Check);

/// What starts a guard, and what chooses something of a request.
pub(crate) const KEYS: [&str; 4] = texts(Slot::Key);

/// What can stand at the start of a line at the top level.
pub(crate) const ITEMS: [&str; 8] = texts(Slot::Item);

/// The options of `ClusterBuilder` that a backend on a route has not.
pub(crate) const OF_CLUSTERS: [&str; 25] = texts(Slot::ClusterOption);

/// The options that a backend has on a route, too.
pub(crate) const OPTIONS: [&str; 16] = texts(Slot::Option);

/// The methods that a route can name; a method's place is its bit.
pub(crate) const METHODS: [&str; 9] = texts(Slot::Method);

/// The option that is called so elsewhere.
pub(crate) fn option_elsewhere(word: &str) -> Option<&'static str> {
    vocab::by_other_name(&[Slot::Option, Slot::ClusterOption], word).map(|word| word.text)
}

/// What can stand in the place of the policy behind a cluster elsewhere.
pub(crate) const POLICY_ELSEWHERE: [&str; 6] = [
    "policy",
    "balance",
    "balancer",
    "lb_policy",
    "load_balancing",
    "load_balancer",
];

/// The one of `words` that was most likely meant: at most a third of its letters, or one, differ.
pub(crate) fn nearest<'w>(word: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    words
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be put in, taken out, changed, or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// Whether Rust takes the word for itself.
pub(crate) fn is_keyword(name: &Ident) -> bool {
    const KEYWORDS: [&str; 53] = [
        "Self", "_", "abstract", "as", "async", "await", "become", "box", "break", "const",
        "continue", "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for",
        "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut",
        "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait",
        "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while",
        "yield",
    ];
    KEYWORDS.binary_search(&&*name.to_string()).is_ok()
}

/// Whether an item or a route starts here, as far as its first tokens tell.
pub(crate) fn starts_line(c: &Cursor<'_>) -> bool {
    if let Some(ident) = c.ident(0) {
        let word = ident.to_string();
        return match word.as_str() {
            "env" | "backend" | "struct" => c.ident(1).is_some(),
            "pub" => c.is_word(1, "struct") || c.is_word(2, "struct"),
            "let" => c.ident(1).is_some() || c.peek(1).is_some_and(|t| !is_operator(t)),
            "with" => {
                let layers = c.group(1, proc_macro2::Delimiter::Bracket).is_some();
                layers || c.ident(1).is_some_and(|word| word != "as")
            }
            "require" => c.is_word(1, "auth"),
            "host" => c.is_string(1) || c.is_word(1, "_") || is_host_variable(c),
            "on" => is_listener(c),
            "expect" => {
                (c.is_word(1, "on") && c.is_string(2))
                    || c.ident(1)
                        .is_some_and(|method| is_method(&method.to_string()))
                    || (c.is_string(1) && c.is_string(2))
            }
            "exact" => {
                c.is_string(1)
                    || c.ident(1)
                        .is_some_and(|method| is_method(&method.to_string()))
            }
            method if is_method(method) => {
                let another = c.ident(1).is_some_and(|word| is_method(&word.to_string()));
                c.is_string(1) || c.is_punct(1, '|') || c.is_word(1, "exact") || another
            }
            _ => false,
        };
    }
    quoted(c).is_some()
        || c.is_string(0)
            && (c.is_arrow(1)
                || c.is_word(1, "if")
                || c.group(1, proc_macro2::Delimiter::Brace).is_some())
}

/// `on "internal" {` or `on "internal" with`.
pub(super) fn is_listener(c: &Cursor<'_>) -> bool {
    c.is_string(1) && (c.group(2, proc_macro2::Delimiter::Brace).is_some() || c.is_word(2, "with"))
}

/// `host API_HOST {`, `host API_HOST |` or `host API_HOST with`.
pub(super) fn is_host_variable(c: &Cursor<'_>) -> bool {
    c.ident(1).is_some()
        && (c.group(2, proc_macro2::Delimiter::Brace).is_some()
            || c.is_punct(2, '|')
            || c.is_word(2, "with"))
}

fn is_operator(token: &proc_macro2::TokenTree) -> bool {
    matches!(token, proc_macro2::TokenTree::Punct(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_slips_find_their_word() {
        assert_eq!(nearest("bakend", ITEMS), Some("backend"));
        assert_eq!(nearest("hots", ITEMS), Some("host"));
        assert_eq!(nearest("upstream", ITEMS), None);
        assert_eq!(nearest("GTE", METHODS), Some("GET"));
        assert_eq!(nearest("PSOT", METHODS), Some("POST"));
    }
}
