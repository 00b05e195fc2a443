//! What stands where, in the order of the source, errors or not: the notes of which the expansion makes the mirror that an
//! editor looks into.
//!
//! An editor completes by reading the gateway once more with a made-up name at the caret. So what is noted before a name must
//! not depend on its text, only on what stands before it.

use proc_macro2::{Ident, TokenTree};

use super::{Parser, ast::Expr, cursor::Cursor, sound, words::starts_line};

/// The name of what is to be typed, in each module of words.
pub(crate) const HOLE: &str = "__hole";

/// One note.
pub(crate) enum Mark {
    /// A word of the language, whatever its text; none where one could be typed.
    Word(Slot, Option<Ident>),
    /// `env NAME: Type`, with no type if it is missing.
    Env {
        docs: Vec<String>,
        name: Ident,
        ty: Vec<TokenTree>,
    },
    /// `let pattern = value`, from the word on.
    Let {
        word: Ident,
        pattern: Vec<TokenTree>,
        value: Option<Expr>,
    },
    /// An expression; a name alone is most likely a word of the place.
    Value(Slot, Expr),
    /// An expression that has no words of its own.
    Expr(Expr),
}

/// Where a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Top,
    /// In the block of a listener.
    On,
    Inner,
    Method,
    Path,
    Layers,
    Target,
    Guard,
    Policy,
    Health,
    Outcome,
    /// Behind `require`.
    Required,
    /// In `with [..]`, by itself.
    Layer,
    /// Only for what is there, as `r#if`.
    Keyword,
}

impl Slot {
    /// The module of the words that can stand there, in the facade.
    pub(crate) fn module(self) -> &'static str {
        match self {
            Self::Top => "top",
            Self::On => "listener",
            Self::Inner => "inner",
            Self::Method => "method",
            Self::Path => "path",
            Self::Layers => "layers",
            Self::Target => "target",
            Self::Guard => "guard",
            Self::Policy => "policy",
            Self::Health => "health",
            Self::Outcome => "outcome",
            Self::Required => "required",
            Self::Layer => "layer",
            Self::Keyword => "keyword",
        }
    }
}

impl Parser<'_> {
    /// Takes the note; of an expression what can be one, since rustc reads the mirror, too.
    pub(super) fn mark(&mut self, mark: Mark) {
        let sound = |expr: Expr, names| {
            let tokens = sound::cut(&expr.tokens, names);
            (!tokens.is_empty()).then_some(Expr { tokens })
        };
        let mark = match mark {
            // The mirror takes a name behind a whole operand for the word `with`.
            Mark::Value(slot, expr) => match sound(expr, true) {
                Some(expr) => Mark::Value(slot, expr),
                None => Mark::Word(slot, None),
            },
            Mark::Expr(expr) => match sound(expr, false) {
                Some(expr) => Mark::Expr(expr),
                None => return,
            },
            Mark::Let {
                word,
                pattern,
                value,
            } => Mark::Let {
                word,
                pattern,
                value: value.and_then(|value| sound(value, false)),
            },
            mark => mark,
        };
        self.gateway.marks.push(mark);
    }

    /// Notes the word that stands next, or that one could.
    pub(super) fn mark_word(&mut self, slot: Slot, c: &Cursor<'_>) {
        self.mark(Mark::Word(slot, c.ident(0).cloned()));
    }

    /// Notes `with`, or what is there in its place.
    pub(super) fn mark_layers(&mut self, c: &Cursor<'_>) {
        let next_line = !c.is_word(0, "with") && starts_line(c);
        let word = c.ident(0).filter(|_| !next_line);
        self.mark(Mark::Word(Slot::Layers, word.cloned()));
    }

    /// Notes an expression, or that one could stand there.
    pub(super) fn mark_value(&mut self, slot: Slot, value: Option<&Expr>) {
        self.mark(match value {
            Some(value) => Mark::Value(slot, value.clone()),
            None => Mark::Word(slot, None),
        });
    }

    /// Notes what an `expect` expects.
    pub(super) fn mark_outcome(&mut self, outcome: Option<&TokenTree>) {
        match outcome {
            Some(TokenTree::Ident(name)) => {
                let tokens = vec![TokenTree::Ident(name.clone())];
                self.mark(Mark::Value(Slot::Outcome, Expr { tokens }));
            }
            Some(TokenTree::Literal(_)) => {}
            _ => self.mark(Mark::Word(Slot::Outcome, None)),
        }
    }
}
