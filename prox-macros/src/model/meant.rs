//! Calls that may mean a word of the language as well as a function of the user with the same name.

use std::collections::HashSet;

use proc_macro2::{Group, Ident, TokenTree};

use super::{
    lacking::{is_bare_target, is_foreign_guard, is_wrong_function},
    names::{Names, Whose},
};
use crate::{
    diag::Diagnostics,
    syntax::{
        calls::{is_method, mentions},
        cursor::tokens_of,
        expr_list, lookup,
    },
    vocab::{self, Slot},
};

/// Reports words that may be the user's own functions, each name once.
#[derive(Default)]
pub(super) struct Meant {
    reported: HashSet<String>,
}

/// The words of one expression.
struct Reader<'a> {
    names: &'a Names,
    meant: &'a mut Meant,
    diag: &'a mut Diagnostics,
    ambiguous: bool,
}

impl Meant {
    /// Whether a word of the target may be something else, or is none that the target can have.
    pub(super) fn is_target_ambiguous(
        &mut self,
        target: &[TokenTree],
        names: &Names,
        diag: &mut Diagnostics,
    ) -> bool {
        if is_bare_target(target, names, diag) {
            return true;
        }
        let mut reader = self.reader(names, diag);
        reader.target(target);
        reader.ambiguous
    }

    /// Whether a word of the guard may be something else, or is none that a guard can have.
    pub(super) fn is_guard_ambiguous(
        &mut self,
        guard: &[TokenTree],
        names: &Names,
        diag: &mut Diagnostics,
    ) -> bool {
        if is_foreign_guard(guard, names, diag) || is_wrong_function(guard, names, diag) {
            return true;
        }
        let mut reader = self.reader(names, diag);
        reader.guard(guard);
        reader.ambiguous
    }

    fn reader<'a>(&'a mut self, names: &'a Names, diag: &'a mut Diagnostics) -> Reader<'a> {
        Reader {
            names,
            meant: self,
            diag,
            ambiguous: false,
        }
    }
}

impl Reader<'_> {
    fn target(&mut self, tokens: &[TokenTree]) {
        let head = self.head(tokens, Slot::Target);
        if let Some((name, group)) = head
            && name == "cluster"
        {
            let arguments = expr_list(&tokens_of(group.stream()), group.span_close());
            if let Some(policy) = arguments.first()
                && let Some((_, group)) = self.head(&policy.tokens, Slot::KeyedPolicy)
            {
                self.head(&tokens_of(group.stream()), Slot::Key);
            }
            if let Some(found) = arguments.get(1).filter(|found| lookup::of(found).is_some()) {
                self.head(&found.tokens, Slot::Discovery);
            }
        }
        self.options(tokens);
    }

    /// `.sticky(cookie(..))` and `.health(http(..))`.
    fn options(&mut self, tokens: &[TokenTree]) {
        for (place, token) in tokens.iter().enumerate() {
            let before = tokens.get(..place).unwrap_or_default();
            if let (TokenTree::Ident(name), Some(TokenTree::Group(group)), true) =
                (token, tokens.get(place + 1), is_method(before))
            {
                let inner = tokens_of(group.stream());
                if name == "sticky" {
                    self.head(&inner, Slot::Key);
                } else if name == "health" {
                    self.head(&inner, Slot::Check);
                }
            }
        }
    }

    fn guard(&mut self, tokens: &[TokenTree]) {
        if self.head(tokens, Slot::Key).is_none() {
            return;
        }
        for (place, token) in tokens.iter().enumerate() {
            let before = tokens.get(..place).unwrap_or_default();
            if let (TokenTree::Ident(name), Some(TokenTree::Group(group)), true) =
                (token, tokens.get(place + 1), is_method(before))
                && (name == "and" || name == "or")
            {
                self.guard(&tokens_of(group.stream()));
            }
        }
    }

    /// The word of the slot at the start, and its arguments; reports that something else may be meant.
    fn head<'t>(&mut self, tokens: &'t [TokenTree], slot: Slot) -> Option<(&'t Ident, &'t Group)> {
        let [TokenTree::Ident(name), TokenTree::Group(group), ..] = tokens else {
            return None;
        };
        let text = name.to_string();
        if !vocab::is(slot, &text) {
            return None;
        }
        let inner = tokens_of(group.stream());
        let arguments = expr_list(&inner, group.span_close()).len();
        let whose = self
            .names
            .call_in_slot(&text, arguments, mentions(&inner, name));
        if let Whose::Both(other) = whose {
            self.ambiguous = true;
            if self.meant.reported.insert(text.clone()) {
                self.diag
                    .error(
                        name,
                        format!("`{text}` is ambiguous: a word of the language, and {other}"),
                    )
                    .help("rename yours");
            }
        }
        Some((name, group))
    }
}
