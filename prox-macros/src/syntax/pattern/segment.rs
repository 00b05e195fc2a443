//! One segment of a path: a literal, a parameter, or what other routers write for one.

use std::ops::Range;

use super::{
    Segment,
    kind::{Kind, kind},
    literal::literal,
};
use crate::diag::Flaw;

/// What stands between two slashes.
pub(super) enum Piece {
    Segment(Segment),
    Rest(String),
}

pub(super) fn segment(value: &str, piece: &str, start: usize) -> Result<Piece, Flaw> {
    let whole = start..start + piece.len();
    let end = whole.end;
    let replaced = |with: &str| {
        let (before, after) = (value.get(..start), value.get(end..));
        format!(
            "write `\"{}{with}{}\"`",
            before.unwrap_or_default(),
            after.unwrap_or_default()
        )
    };
    if let Some(name) = piece.strip_prefix(':').filter(|name| is_name(name)) {
        return Err(Flaw {
            at: whole.clone(),
            message: format!("a parameter is written `{{{name}}}`"),
            help: replaced(&format!("{{{name}}}")),
        });
    }
    if let Some(name) = piece
        .strip_prefix('*')
        .filter(|name| name.is_empty() || is_name(name))
    {
        let name = if name.is_empty() { "rest" } else { name };
        return Err(Flaw {
            at: whole.clone(),
            message: String::from("`*` is not a wildcard in a path"),
            help: if value.ends_with(piece) {
                let prefix = value.get(..start.saturating_sub(1)).unwrap_or_default();
                let prefix = if prefix.is_empty() { "/" } else { prefix };
                format!(
                    "write `\"{prefix}\"`, which matches everything below it, or `{{*{name}}}` to name the rest; a literal star is `%2A`"
                )
            } else {
                replaced("{name}")
            },
        });
    }
    if let Some(flaw) = foreign(piece, &whole, replaced) {
        return Err(flaw);
    }
    if let Some(dot) = Some(piece).filter(|piece| matches!(*piece, "." | "..")) {
        return Err(Flaw {
            at: whole,
            message: format!(
                "`{dot}` is not allowed as a path segment: requests are matched after it is resolved"
            ),
            help: String::from("write the resolved path"),
        });
    }
    match (piece.find('{'), piece.find('}')) {
        (None, None) => literal(piece, start).map(|text| Piece::Segment(Segment::Literal(text))),
        (None, Some(close)) => Err(Flaw {
            at: start + close..start + close + 1,
            message: String::from("`}` without a `{` before it"),
            help: String::from("write a parameter as `{name}`"),
        }),
        (Some(open), close) => {
            let Some(close) = close.filter(|close| *close > open) else {
                return Err(Flaw {
                    at: start + open..start + open + 1,
                    message: String::from("unclosed `{`"),
                    help: String::from("write a parameter as `{name}`"),
                });
            };
            // A regular expression has braces of its own.
            let inner = piece.get(open + 1..close).unwrap_or_default();
            let close = match piece.rfind('}') {
                Some(last) if inner.contains(':') && inner.contains('{') => last,
                _ => close,
            };
            if open > 0 || close + 1 < piece.len() {
                return Err(Flaw {
                    at: whole,
                    message: String::from("a parameter must be a whole path segment"),
                    help: replaced(piece.get(open..=close).unwrap_or_default()),
                });
            }
            param(piece.get(1..close).unwrap_or_default(), start)
        }
    }
}

/// What other routers write for a parameter or for many paths, and what would be literal text here.
fn foreign(piece: &str, whole: &Range<usize>, replaced: impl Fn(&str) -> String) -> Option<Flaw> {
    let flaw = |message: &str, help: String| {
        Some(Flaw {
            at: whole.clone(),
            message: message.to_owned(),
            help,
        })
    };
    if piece.chars().all(|c| c == '*') && piece.len() > 1 {
        return flaw("`**` is not a wildcard in a path", replaced("{*rest}"));
    }
    if piece.contains('*') && !piece.contains('{') {
        return flaw(
            "`*` is not a wildcard in a path",
            format!(
                "write `{}` for the literal character; `{{name}}` matches a whole segment, and a guard can test it: `if |req: &prox::Parts| ..`",
                piece.replace('*', "%2A")
            ),
        );
    }
    for (open, close) in [('<', '>'), ('[', ']'), ('(', ')')] {
        let Some(inner) = piece.strip_prefix(open).and_then(|p| p.strip_suffix(close)) else {
            continue;
        };
        let name = inner.rsplit(':').next().unwrap_or_default();
        return if is_name(name) {
            flaw(
                &format!("a parameter is written `{{{name}}}`"),
                replaced(&format!("{{{name}}}")),
            )
        } else {
            flaw(
                "regular expressions are not supported in paths",
                replaced("{name}"),
            )
        };
    }
    None
}

fn param(inner: &str, start: usize) -> Result<Piece, Flaw> {
    let at = start..start + inner.len() + 2;
    let flaw = |message: String, help: String| Err(Flaw { at, message, help });
    if let Some(name) = inner.strip_suffix("...") {
        return flaw(
            String::from("the rest of a path is written `{*name}`"),
            format!("write `{{*{name}}}`"),
        );
    }
    if let Some(name) = inner.strip_prefix("**") {
        let name = name.replace('-', "_");
        let name = if is_name(&name) { &name } else { "rest" };
        return flaw(
            String::from("the rest of a path is written `{*name}`"),
            format!("write `{{*{name}}}`"),
        );
    }
    let (inner, what) = match inner.split_once(':') {
        Some((name, kind)) => (name.trim_end(), Some((start + 2 + name.len(), kind))),
        None => (inner, None),
    };
    let (name, rest) = match inner.strip_prefix('*') {
        Some(name) => (name, true),
        None => (inner, false),
    };
    if name.is_empty() {
        let (form, example) = if rest {
            ("{*}", "{*rest}")
        } else {
            ("{}", "{id}")
        };
        return flaw(
            format!("missing name of the parameter `{form}`"),
            format!("write `{example}`"),
        );
    }
    if !is_name(name) {
        return flaw(
            format!("`{name}` is not a parameter name"),
            String::from(
                "a name consists of letters, digits and `_`, and does not start with a digit",
            ),
        );
    }
    if let (true, Some(_)) = (rest, what) {
        return flaw(
            String::from("unexpected kind: `{*..}` matches any number of segments"),
            format!("write `{{*{name}}}`"),
        );
    }
    let kind = match what {
        Some((start, text)) => kind(name, text, start)?,
        None => Kind::Any,
    };
    let name = name.to_owned();
    Ok(if rest {
        Piece::Rest(name)
    } else {
        Piece::Segment(Segment::Param(name, kind))
    })
}

pub(super) fn is_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}
