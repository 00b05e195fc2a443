//! Path patterns: what a route's path may be.

use std::fmt;

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
        flaws.push(Flaw {
            at: 0..0,
            message: String::from("a path starts with `/`"),
            help: format!("write `\"/{value}\"`"),
        });
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

enum Piece {
    Segment(Segment),
    Rest(String),
}

fn segment(value: &str, piece: &str, start: usize) -> Result<Piece, Flaw> {
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
            message: String::from("`*` is no wildcard in a path"),
            help: if value.ends_with(piece) {
                let prefix = value.get(..start.saturating_sub(1)).unwrap_or_default();
                let prefix = if prefix.is_empty() { "/" } else { prefix };
                format!(
                    "write `\"{prefix}\"`, which takes all below it, or `{{*{name}}}` to name the rest"
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
                "a path has no `{dot}` segment: requests are matched after it is resolved"
            ),
            help: String::from("write the path that is meant"),
        });
    }
    match (piece.find('{'), piece.find('}')) {
        (None, None) => literal(piece, start).map(Piece::Segment),
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
            if open > 0 || close + 1 < piece.len() {
                return Err(Flaw {
                    at: whole,
                    message: String::from(
                        "a parameter takes a whole segment, with no text beside it",
                    ),
                    help: replaced(piece.get(open..=close).unwrap_or_default()),
                });
            }
            param(piece.get(1..close).unwrap_or_default(), start)
        }
    }
}

/// What other routers write for a parameter or for many paths, and what would be literal text here.
fn foreign(
    piece: &str,
    whole: &std::ops::Range<usize>,
    replaced: impl Fn(&str) -> String,
) -> Option<Flaw> {
    let flaw = |message: &str, help: String| {
        Some(Flaw {
            at: whole.clone(),
            message: message.to_owned(),
            help,
        })
    };
    if piece.chars().all(|c| c == '*') && piece.len() > 1 {
        return flaw("`**` is no wildcard in a path", replaced("{*rest}"));
    }
    if piece.contains('*') && !piece.contains('{') {
        return flaw(
            "`*` is no wildcard in a path, alone or beside text",
            String::from(
                "write `{name}` for a whole segment, and look at the rest of it in a guard: `if |req: &prox::Parts| ..`",
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
            flaw("a path has no regular expressions", replaced("{name}"))
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
    if let Some((name, kind)) = inner.split_once(':') {
        return flaw(
            format!("a parameter has a name only, not a type or a pattern such as `{kind}`"),
            format!("write `{{{name}}}`"),
        );
    }
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
            format!("the parameter `{form}` has no name"),
            format!("write `{example}`"),
        );
    }
    if !is_name(name) {
        return flaw(
            format!("`{name}` is no name for a parameter"),
            String::from("a name has letters, digits and `_`, and starts with no digit"),
        );
    }
    let name = name.to_owned();
    Ok(if rest {
        Piece::Rest(name)
    } else {
        Piece::Segment(Segment::Param(name))
    })
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// A literal segment in the form that requests are matched in.
fn literal(piece: &str, start: usize) -> Result<Segment, Flaw> {
    for (at, _) in piece.match_indices('%') {
        let digits = piece.get(at + 1..at + 3).unwrap_or_default();
        let place = start + at..start + (at + 3).min(piece.len());
        let Some(byte) = u8::from_str_radix(digits, 16)
            .ok()
            .filter(|_| digits.len() == 2)
        else {
            return Err(Flaw {
                at: place,
                message: String::from("`%` without two hexadecimal digits behind it"),
                help: String::from("write `%25` for a percent sign"),
            });
        };
        if matches!(byte, b'/' | b'\\' | 0) {
            return Err(Flaw {
                at: place,
                message: format!(
                    "no request with `%{digits}` in its path reaches a route: it is answered with 400"
                ),
                help: String::from("leave it out"),
            });
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            return Err(Flaw {
                at: place,
                message: format!("`{}` is matched without percent-encoding", char::from(byte)),
                help: format!("write `{}`", char::from(byte)),
            });
        }
        if digits.bytes().any(|digit| digit.is_ascii_lowercase()) {
            return Err(Flaw {
                at: place,
                message: String::from("percent-encoding is matched in upper case"),
                help: format!("write `%{}`", digits.to_ascii_uppercase()),
            });
        }
    }
    Ok(Segment::Literal(piece.to_owned()))
}

fn characters(value: &str, flaws: &mut Vec<Flaw>) {
    if let Some(at) = value.find(['?', '#']) {
        let what = if value[at..].starts_with('?') {
            "query"
        } else {
            "fragment"
        };
        let path = value.get(..at).unwrap_or_default();
        flaws.push(Flaw {
            at: at..value.len(),
            message: format!("a path has no {what}"),
            help: if what == "query" {
                format!("write `\"{path}\" if query(\"name\").is(\"value\")`")
            } else {
                format!("write `\"{path}\"`: no client sends a fragment")
            },
        });
    }
    let bad = |c: char| !c.is_ascii_graphic() || c == '\\';
    let Some(at) = value.find(bad) else {
        return;
    };
    let run: String = value
        .get(at..)
        .unwrap_or_default()
        .chars()
        .take_while(|c| bad(*c))
        .collect();
    let what = match run.chars().next() {
        Some(' ') => "a space",
        Some('\\') => "a backslash",
        Some(c) if c.is_ascii() => "a control character",
        _ => "a character that is not ASCII",
    };
    let help = if run.contains('\\') || run.chars().any(|c| c.is_ascii_control()) {
        String::from("leave it out: such requests are answered with 400")
    } else {
        format!("write `\"{}\"`", encoded(value))
    };
    flaws.push(Flaw {
        at: at..at + run.len(),
        message: format!("a path cannot contain {what} as it is"),
        help,
    });
}

/// As it is sent: everything outside of visible ASCII is percent-encoded.
pub(crate) fn encoded(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'!'..=b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
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
mod tests {
    use super::*;

    fn flaw(value: &str) -> Flaw {
        parse(value, false).unwrap_err().remove(0)
    }

    #[test]
    fn good_patterns_are_shown_as_written() {
        for path in [
            "/",
            "/v1/users/{id}",
            "/files/{*rest}",
            "/a%20b/~x",
            "/a.b/{_x1}",
        ] {
            assert_eq!(parse(path, false).unwrap().to_string(), path);
        }
        for path in ["/", "/api/", "/api"] {
            assert_eq!(parse(path, true).unwrap().to_string(), path);
        }
    }

    #[test]
    fn the_root_of_a_scope_is_the_scope() {
        let scope = parse("/v1/users", false).unwrap();
        let shown = |path, exact| parse(path, exact).unwrap().within(&scope).to_string();
        assert_eq!(shown("/", true), "/v1/users");
        assert_eq!(shown("/", false), "/v1/users");
        assert_eq!(shown("/x/", true), "/v1/users/x/");
        assert_eq!(shown("/{*rest}", false), "/v1/users/{*rest}");
    }

    #[test]
    fn each_flaw_has_the_form_to_write() {
        let cases = [
            ("api", "a path starts with `/`", "write `\"/api\"`"),
            ("/a//b", "a path has no empty segment", "write one `/`"),
            (
                "/users/:id",
                "a parameter is written `{id}`",
                "write `\"/users/{id}\"`",
            ),
            (
                "/x/*",
                "`*` is no wildcard in a path",
                "write `\"/x\"`, which takes all below it, or `{*rest}` to name the rest",
            ),
            (
                "/a b",
                "a path cannot contain a space as it is",
                "write `\"/a%20b\"`",
            ),
            (
                "/ä",
                "a path cannot contain a character that is not ASCII as it is",
                "write `\"/%C3%A4\"`",
            ),
            ("/{id", "unclosed `{`", "write a parameter as `{name}`"),
            ("/{}", "the parameter `{}` has no name", "write `{id}`"),
            (
                "/{a}.json",
                "a parameter takes a whole segment, with no text beside it",
                "write `\"/{a}\"`",
            ),
            (
                "/{a}/{a}",
                "the parameter `a` is there twice",
                "give one of them another name",
            ),
            (
                "/%7Euser",
                "`~` is matched without percent-encoding",
                "write `~`",
            ),
            (
                "/%e2",
                "percent-encoding is matched in upper case",
                "write `%E2`",
            ),
            (
                "/{id:int}",
                "a parameter has a name only, not a type or a pattern such as `int`",
                "write `{id}`",
            ),
        ];
        for (path, message, help) in cases {
            let found = flaw(path);
            assert_eq!(
                (found.message.as_str(), found.help.as_str()),
                (message, help),
                "{path}"
            );
        }
        assert!(flaw("/a/").help.contains("exact \"/a/\""));
        assert!(flaw("/a?b=c").help.contains("if query("));
        assert!(flaw("/a/../b").message.contains("`..`"));
        assert!(flaw("/{*a}/b").message.contains("nothing can follow"));
        assert!(flaw("/a%2Fb").message.contains("400"));
        assert!(flaw("/%zz").message.contains("two hexadecimal digits"));
    }
}
