//! Path patterns: what a route's path may be.

mod literal;
mod segment;

use std::fmt;

pub(crate) use self::literal::encoded;
use self::{
    literal::characters,
    segment::{Piece, segment},
};
use crate::diag::Flaw;

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
    /// `{name}`: any text that is not empty.
    Param(String),
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
            Segment::Param(name) => Some(name.as_str()),
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
                Segment::Param(name) => write!(f, "/{{{name}}}")?,
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
    let mut flaws = Vec::new();
    characters(value, &mut flaws);
    let Some(rest) = value.strip_prefix('/') else {
        flaws.push(no_slash(value));
        return Err(flaws);
    };
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
                    message: String::from("a path has no empty segment"),
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
                    "`exact` has nothing to add to `{*..}`, which takes the whole rest of the path",
                ),
                help: String::from("leave `exact` out"),
            }),
            Ok(Piece::Rest(_)) => flaws.push(Flaw {
                at,
                message: String::from(
                    "`{*..}` takes the whole rest of the path, so nothing can follow it",
                ),
                help: String::from("put it at the end, or write `{name}` for one segment"),
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
            message: String::from("a path has no host: it starts with `/`"),
            help: format!("write `host \"{host}\" {{ \"{path}\" => target }}`"),
        };
    }
    Flaw {
        at: 0..0,
        message: String::from("a path starts with `/`"),
        help: format!("write `\"/{value}\"`"),
    }
}

fn trailing_slash(value: &str) -> Flaw {
    let plain = value.trim_end_matches('/');
    Flaw {
        at: value.len() - 1..value.len(),
        message: String::from("a prefix has no `/` at its end"),
        help: format!(
            "write `\"{plain}\"`, which takes `{plain}`, `{plain}/` and all below, or `exact \"{plain}/\"` for that path alone"
        ),
    }
}

fn repeated(value: &str, pattern: &Pattern, flaws: &mut Vec<Flaw>) {
    let names: Vec<&str> = pattern.params().collect();
    for (place, name) in names.iter().enumerate() {
        if names.iter().take(place).any(|other| other == name) {
            let at = value.rfind(&format!("{name}}}")).unwrap_or_default();
            flaws.push(Flaw {
                at: at..at + name.len(),
                message: format!("the parameter `{name}` is there twice"),
                help: String::from("give one of them another name"),
            });
            return;
        }
    }
}

#[cfg(test)]
mod tests;
