//! Path patterns: what a route's path may be.

mod kind;
mod literal;
mod segment;

use std::{fmt, ops::Range};

pub(crate) use self::{
    kind::{Class, Kind, Lie},
    literal::encoded,
};
use self::{
    literal::characters,
    segment::{Piece, segment},
};
use crate::{diag::Flaw, syntax::words::is_method};

/// A path pattern that holds nothing bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) segments: Vec<Segment>,
    pub(crate) tail: Tail,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Exactly this text; empty only at the end of an exact path, where it stands for a trailing slash.
    Literal(String),
    /// `{name}`, or `{name: kind}`.
    Param(String, Kind),
}

impl Segment {
    /// Whether both take the same texts.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(one), Self::Literal(other)) => one == other,
            (Self::Param(_, one), Self::Param(_, other)) => one.shape() == other.shape(),
            _ => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// The path ends here.
    Exact,
    /// The path ends here or goes on behind a slash.
    Prefix,
    /// `{*name}`: at least one byte behind a slash.
    Rest(String),
}

impl Pattern {
    /// The path of a route inside of a scope; an exact `/` there is the scope's own path.
    pub(crate) fn within(&self, scope: &Self) -> Self {
        let mut segments = scope.segments.clone();
        let own = self.segments == [Segment::Literal(String::new())] && !segments.is_empty();
        if !own {
            segments.extend(self.segments.iter().cloned());
        }
        Self {
            segments,
            tail: self.tail.clone(),
        }
    }

    /// The names of the parameters, in order.
    pub(crate) fn params(&self) -> impl Iterator<Item = &str> {
        let inner = self.segments.iter().filter_map(|segment| match segment {
            Segment::Param(name, _) => Some(name.as_str()),
            Segment::Literal(_) => None,
        });
        let rest = match &self.tail {
            Tail::Rest(name) => Some(name.as_str()),
            Tail::Exact | Tail::Prefix => None,
        };
        inner.chain(rest)
    }
}

/// As it would be written at the top level, without `exact`.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Param(name, kind) => write!(f, "/{{{name}{kind}}}")?,
            }
        }
        match &self.tail {
            Tail::Rest(name) => write!(f, "/{{*{name}}}"),
            _ if self.segments.is_empty() => f.write_str("/"),
            Tail::Exact | Tail::Prefix => Ok(()),
        }
    }
}

/// Reads a path pattern, or says all that is wrong with it.
pub(crate) fn parse(value: &str, exact: bool) -> Result<Pattern, Vec<Flaw>> {
    let Some(rest) = value.strip_prefix('/') else {
        return Err(vec![elsewhere(value).unwrap_or_else(|| no_slash(value))]);
    };
    let mut flaws = Vec::new();
    characters(value, &without_kinds(value), &mut flaws);
    let mut pattern = Pattern {
        segments: Vec::new(),
        tail: if exact { Tail::Exact } else { Tail::Prefix },
    };
    let mut start = 1;
    let mut pieces = rest.split('/').peekable();
    while let Some(piece) = pieces.next() {
        let last = pieces.peek().is_none();
        let at = start..start + piece.len();
        start = at.end + 1;
        if piece.is_empty() {
            match (last, exact) {
                (true, true) => pattern.segments.push(Segment::Literal(String::new())),
                (true, false) if rest.is_empty() => {}
                (true, false) => flaws.push(trailing_slash(value)),
                (false, _) => flaws.push(Flaw {
                    at: at.start - 1..at.start + 1,
                    message: String::from("empty path segment"),
                    help: String::from("write one `/`"),
                }),
            }
            continue;
        }
        match segment(value, piece, at.start) {
            Ok(Piece::Segment(segment)) => pattern.segments.push(segment),
            Ok(Piece::Rest(name)) if last && !exact => pattern.tail = Tail::Rest(name),
            Ok(Piece::Rest(_)) if last => flaws.push(Flaw {
                at,
                message: String::from(
                    "`exact` has no effect with `{*..}`, which matches the whole rest of the path",
                ),
                help: String::from("remove `exact`"),
            }),
            Ok(Piece::Rest(_)) => flaws.push(Flaw {
                at,
                message: String::from(
                    "nothing can follow `{*..}`, which matches the whole rest of the path",
                ),
                help: String::from("move it to the end, or write `{name}` for one segment"),
            }),
            Err(flaw) => flaws.push(flaw),
        }
    }
    repeated(value, &pattern, &mut flaws);
    if flaws.is_empty() {
        Ok(pattern)
    } else {
        Err(flaws)
    }
}

/// The path with other signs for the kinds of its parameters, which have rules of their own.
fn without_kinds(value: &str) -> String {
    let (mut open, mut kind) = (false, false);
    let plain = value.chars().flat_map(|character| {
        kind = match character {
            ':' if open => true,
            '}' | '/' => false,
            _ => kind,
        };
        open = match character {
            '{' => true,
            '}' | '/' => false,
            _ => open,
        };
        let count = if kind { character.len_utf8() } else { 1 };
        let blank = open && character == ' ';
        std::iter::repeat_n(if kind || blank { 'x' } else { character }, count)
    });
    plain.collect()
}

/// What other gateways write in the place of a path.
fn elsewhere(value: &str) -> Option<Flaw> {
    let flaw = |message: &str, help: String| {
        Some(Flaw {
            at: 0..value.len(),
            message: message.to_owned(),
            help,
        })
    };
    if let Some((host, path)) = rule(value) {
        let path = path.unwrap_or("/").trim_end_matches('*');
        let path = if path.len() > 1 {
            path.trim_end_matches('/')
        } else {
            "/"
        };
        return flaw(
            "expected a path, found a rule",
            match host {
                Some(host) => format!("write `host \"{host}\" {{ \"{path}\" => target }}`"),
                None => format!("write `\"{path}\"`"),
            },
        );
    }
    if matches!(value, "*" | "**") {
        return flaw(
            "`*` is not a wildcard in a path",
            String::from("write `\"/\"`, which matches everything below it"),
        );
    }
    if let Some((method, path)) = value.split_once(' ')
        && is_method(method)
    {
        return flaw(
            "the method must come before the quotes",
            format!("write `{method} \"{}\"`", path.trim_start()),
        );
    }
    if let Some(path) = value.strip_prefix('=').map(str::trim_start) {
        return flaw(
            "unexpected `=`: an exact path is written with `exact`",
            format!("write `exact \"{path}\"`"),
        );
    }
    if value.starts_with(['~', '^']) {
        let plain = value.trim_start_matches(['~', '*', '^', ' ']);
        let plain = plain.get(
            ..plain
                .find(['[', '(', '.', '\\', '$', '?', '+', '*'])
                .unwrap_or(plain.len()),
        );
        let prefix = plain.unwrap_or_default().trim_end_matches('/');
        return flaw(
            "regular expressions are not supported in paths",
            format!(
                "write `\"{prefix}/{{name}}\"` for any one segment, or `\"{}\"` for everything below",
                if prefix.is_empty() { "/" } else { prefix }
            ),
        );
    }
    None
}

/// The host and the path in ``Host(`a`) && PathPrefix(`/b`)``.
pub(crate) fn rule(value: &str) -> Option<(Option<&str>, Option<&str>)> {
    let quotes = ['`', '\'', '"'];
    let argument = |word: &str| {
        let (_, rest) = value.split_once(word)?;
        let rest = rest.strip_prefix('(')?.trim_start_matches(quotes);
        rest.split([')', ','])
            .next()
            .map(|text| text.trim_end_matches(quotes))
    };
    let host = argument("Host");
    let path = argument("PathPrefix").or_else(|| argument("Path"));
    (host.is_some() || path.is_some()).then_some((host, path))
}

fn no_slash(value: &str) -> Flaw {
    let plain = value.split_once("://").map_or(value, |(_, rest)| rest);
    let (host, path) = plain.split_at(plain.find('/').unwrap_or(plain.len()));
    let host = host.split(':').next().unwrap_or_default();
    let labels = host.split('.').filter(|label| !label.is_empty()).count();
    let named = labels > 1 && host.parse::<std::net::Ipv4Addr>().is_err();
    if plain.len() < value.len() || (named && crate::syntax::host::parse(host).is_ok()) {
        let path = if path.is_empty() { "/" } else { path };
        return Flaw {
            at: 0..value.len() - plain.len() + host.len(),
            message: String::from("unexpected host in a path, which starts with `/`"),
            help: format!("write `host \"{host}\" {{ \"{path}\" => target }}`"),
        };
    }
    Flaw {
        at: 0..0,
        message: String::from("a path must start with `/`"),
        help: format!("write `\"/{value}\"`"),
    }
}

fn trailing_slash(value: &str) -> Flaw {
    let plain = value.trim_end_matches('/');
    Flaw {
        at: value.len() - 1..value.len(),
        message: String::from("unexpected `/` at the end of a prefix"),
        help: format!(
            "write `\"{plain}\"`, which matches `{plain}`, `{plain}/` and everything below, or `exact \"{plain}/\"` for that path alone"
        ),
    }
}

fn repeated(value: &str, pattern: &Pattern, flaws: &mut Vec<Flaw>) {
    let names: Vec<&str> = pattern.params().collect();
    for (place, name) in names.iter().enumerate() {
        if names.iter().take(place).any(|other| other == name) {
            flaws.push(Flaw {
                at: last_of(value, name),
                message: format!("duplicate parameter `{name}`"),
                help: String::from("rename one of them"),
            });
            return;
        }
    }
}

/// Where the last parameter of this name has it: before `}`, or before a kind.
fn last_of(value: &str, name: &str) -> Range<usize> {
    let mut places = value.rmatch_indices(name).map(|(at, _)| at);
    let at = places.find(|at| {
        let before = value.get(..*at).unwrap_or_default();
        let behind = value.get(at + name.len()..).unwrap_or_default();
        before.trim_end_matches('*').ends_with('{') && behind.trim_start().starts_with(['}', ':'])
    });
    at.map_or(0..value.len(), |at| at..at + name.len())
}

#[cfg(test)]
mod tests;
