//! What a parameter takes: any segment, one of a kind, or one of a list.
//!
//! Which kinds contain which is known: `int` and `uuid` are disjoint, and `slug` contains both. So every segment is of one
//! [`Class`] for the match tree, which stays deterministic, and a route that can never be reached is found.

use std::{collections::BTreeSet, fmt};

use super::{
    literal::{encoded, is_answered, literal},
    segment::is_name,
};
use crate::{diag::Flaw, syntax::words::nearest};

/// What a parameter takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any segment that is not empty.
    Any,
    /// Only decimal digits.
    Int,
    /// A UUID with hyphens, in upper or lower case (RFC 9562, 4).
    Uuid,
    /// Letters and digits of ASCII, `-` and `_`.
    Slug,
    /// One of these, each once, in the order in which they are written.
    OneOf(Vec<String>),
}

/// The kinds of segments by which the match tree branches, the narrower first. Every segment of a class before is also a slug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Int,
    Uuid,
    Slug,
    Other,
}

impl Class {
    pub(crate) const ALL: [Self; 4] = [Self::Int, Self::Uuid, Self::Slug, Self::Other];

    /// Whether a kind of this class takes the segments of a class; `Other` takes any segment.
    pub(crate) fn takes(self, segment: Self) -> bool {
        self == segment || self == Self::Other || (self == Self::Slug && segment != Self::Other)
    }

    /// A segment that `Other` takes, and that no kind up to this class takes.
    pub(crate) fn beyond(self) -> &'static str {
        match self {
            Self::Int | Self::Uuid => "x",
            Self::Slug | Self::Other => "~x",
        }
    }

    /// The class of a segment. The runtime has the same function; a test holds them equal.
    pub(crate) fn of(segment: &str) -> Self {
        let bytes = segment.as_bytes();
        let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
        if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit) {
            Self::Int
        } else if bytes.len() == 36
            && bytes.iter().enumerate().all(|(at, byte)| {
                if hyphen(at) {
                    *byte == b'-'
                } else {
                    byte.is_ascii_hexdigit()
                }
            })
        {
            Self::Uuid
        } else if !bytes.is_empty()
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        {
            Self::Slug
        } else {
            Self::Other
        }
    }
}

/// How the segments that two parameters take lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    Same,
    /// The first takes less.
    Within,
    /// The first takes more.
    Around,
    Apart,
    /// Some are taken by both, and each takes some that the other does not.
    Across,
}

impl Kind {
    /// The names of the kinds.
    pub(crate) const NAMES: [&str; 3] = ["int", "uuid", "slug"];

    /// The class that it takes; none of a list, which takes no class as a whole.
    pub(crate) fn class(&self) -> Option<Class> {
        match self {
            Self::Any => Some(Class::Other),
            Self::Int => Some(Class::Int),
            Self::Uuid => Some(Class::Uuid),
            Self::Slug => Some(Class::Slug),
            Self::OneOf(_) => None,
        }
    }

    /// Whether it takes the segment.
    #[cfg(test)]
    pub(crate) fn takes(&self, segment: &str) -> bool {
        let of = |class: Class| !segment.is_empty() && class.takes(Class::of(segment));
        match self {
            Self::OneOf(values) => values.iter().any(|value| value == segment),
            kind => kind.class().is_some_and(of),
        }
    }

    /// The smaller goes first, behind a literal; all lists are alike.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::OneOf(_) => 2,
            Self::Int => 3,
            Self::Uuid => 4,
            Self::Slug => 5,
            Self::Any => 6,
        }
    }

    /// Of two lists.
    pub(crate) fn lie(&self, other: &Self) -> Lie {
        let (Self::OneOf(own), Self::OneOf(others)) = (self, other) else {
            return if self == other {
                Lie::Same
            } else {
                Lie::Across
            };
        };
        let own: BTreeSet<&String> = own.iter().collect();
        let others: BTreeSet<&String> = others.iter().collect();
        match () {
            () if own == others => Lie::Same,
            () if own.is_subset(&others) => Lie::Within,
            () if own.is_superset(&others) => Lie::Around,
            () if own.is_disjoint(&others) => Lie::Apart,
            () => Lie::Across,
        }
    }

    /// The same for all kinds that take the same segments.
    pub(crate) fn shape(&self) -> String {
        match self {
            Self::OneOf(values) => {
                let values: BTreeSet<&str> = values.iter().map(String::as_str).collect();
                let values: Vec<&str> = values.into_iter().collect();
                format!("{{={}}}", values.join("|"))
            }
            kind => format!("{{{kind}}}"),
        }
    }

    /// A segment that it takes, and that no narrower kind takes; `plain` is one that only `Any` takes.
    pub(crate) fn example<'e>(&'e self, plain: &'e str) -> &'e str {
        match self {
            Self::Any => plain,
            Self::Int => "7",
            Self::Uuid => "00000000-0000-4000-8000-000000000000",
            Self::Slug => "a",
            Self::OneOf(values) => values.first().map_or("7", String::as_str),
        }
    }
}

/// As it stands in the braces behind the name; nothing for any segment.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Int => f.write_str(": int"),
            Self::Uuid => f.write_str(": uuid"),
            Self::Slug => f.write_str(": slug"),
            Self::OneOf(values) => {
                for (place, value) in values.iter().enumerate() {
                    f.write_str(if place == 0 { ": " } else { " | " })?;
                    write!(f, "'{value}'")?;
                }
                Ok(())
            }
        }
    }
}

const FORMS: &str = "a parameter is `{name}`, `{id: int}`, `{id: uuid}`, `{name: slug}` or a list, `{v: 'v1' | 'v2'}`";

/// Reads what stands behind the colon of `{name: kind}`, from `start` on in the path.
pub(super) fn kind(name: &str, text: &str, start: usize) -> Result<Kind, Flaw> {
    let trimmed = text.trim();
    let at = start + (text.len() - text.trim_start().len());
    let whole = at..at + trimmed.len();
    match trimmed {
        "int" => return Ok(Kind::Int),
        "uuid" => return Ok(Kind::Uuid),
        "slug" => return Ok(Kind::Slug),
        _ => {}
    }
    let flaw = |message: String, help: String| {
        Err(Flaw {
            at: whole.clone(),
            message,
            help,
        })
    };
    if trimmed.is_empty() {
        return flaw(
            format!("expected a kind after `:` for the parameter `{name}`"),
            format!("write `{{{name}}}` for any segment, or `{{{name}: int}}`"),
        );
    }
    if trimmed.contains(['\'', '"']) {
        return list(name, text, start);
    }
    let meant = match trimmed {
        "integer" | "number" | "digits" | "num" | "digit" | "i8" | "i16" | "i32" | "i64" | "u8"
        | "u16" | "u32" | "u64" | "u128" | "usize" | "long" | "[0-9]+" | "\\d+" | "[0-9]*"
        | "\\d*" => Some("int"),
        "guid" | "UUID" | "Uuid" | "Guid" | "GUID" => Some("uuid"),
        "word" | "\\w+" | "alnum" | "[a-z0-9-]+" | "[a-zA-Z0-9_-]+" | "[\\w-]+" => Some("slug"),
        _ => nearest(trimmed, Kind::NAMES),
    };
    if let Some(meant) = meant {
        return flaw(
            format!("`{trimmed}` is not a parameter kind"),
            format!("write `{{{name}: {meant}}}`"),
        );
    }
    if matches!(
        trimmed,
        "str" | "string" | "String" | "&str" | "text" | "any" | "[^/]+" | ".+" | "*"
    ) {
        return flaw(
            format!("`{trimmed}` is not a parameter kind"),
            format!("write `{{{name}}}`, which matches any segment"),
        );
    }
    if trimmed == "path" || trimmed == ".*" {
        return flaw(
            format!("`{trimmed}` is not a parameter kind"),
            format!("write `{{*{name}}}` for the rest of the path"),
        );
    }
    let words: Vec<&str> = trimmed
        .trim_matches(['(', ')'])
        .split('|')
        .map(str::trim)
        .collect();
    if words.len() > 1
        && words
            .iter()
            .all(|word| !word.is_empty() && !word.contains(['[', '\\', '+', '*', '(']))
    {
        let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        return flaw(
            String::from("expected quotes around the values of a list"),
            format!("write `{{{name}: {}}}`", words.join(" | ")),
        );
    }
    if trimmed.contains(['[', '\\', '+', '*', '(', '^', '$', '.']) {
        return flaw(
            String::from("regular expressions are not supported in paths"),
            String::from(FORMS),
        );
    }
    if is_name(trimmed) {
        return flaw(
            format!("`{trimmed}` is not a parameter kind"),
            format!(
                "the kinds are `int`, `uuid` and `slug`; a value needs quotes: `{{{name}: '{trimmed}'}}`"
            ),
        );
    }
    flaw(
        format!("`{trimmed}` is not a parameter kind"),
        String::from(FORMS),
    )
}

/// `'v1' | 'v2'`, in quotes of either form.
fn list(name: &str, text: &str, start: usize) -> Result<Kind, Flaw> {
    let mut values: Vec<String> = Vec::new();
    let mut at = start;
    for part in text.split('|') {
        let value = part.trim();
        let place = at + (part.len() - part.trim_start().len());
        let whole = place..place + value.len();
        at += part.len() + 1;
        let flaw = |message: String, help: String| {
            Err(Flaw {
                at: whole.clone(),
                message,
                help,
            })
        };
        let quotes = ['\'', '"'];
        let inner = quotes.iter().find_map(|quote| {
            let inner = value.strip_prefix(*quote)?.strip_suffix(*quote)?;
            (!inner.contains(quotes)).then_some(inner)
        });
        let Some(inner) = inner else {
            if value.is_empty() {
                return flaw(
                    String::from("expected a value in this list"),
                    format!("write `{{{name}: 'v1' | 'v2'}}`"),
                );
            }
            let plain = value.replace(quotes, "");
            let kind = Kind::NAMES.contains(&plain.as_str());
            return flaw(
                if kind {
                    format!("a parameter cannot have both the kind `{plain}` and a list of values")
                } else {
                    String::from("write the values of a list in quotes, with `|` between them")
                },
                if kind {
                    String::from("write a route for each")
                } else {
                    format!("write `{{{name}: 'v1' | 'v2'}}`")
                },
            );
        };
        if inner.is_empty() || matches!(inner, "." | "..") {
            return flaw(
                format!("`{inner}` is not a path segment"),
                String::from("remove it"),
            );
        }
        let also = "?#\\{}";
        let bad = |c: &char| !c.is_ascii_graphic() || also.contains(*c);
        if let Some(character) = inner.chars().find(bad) {
            return flaw(
                format!(
                    "{} is not allowed unencoded in a path segment",
                    crate::diag::shown(character)
                ),
                if inner.chars().any(is_answered) {
                    String::from("remove it: such requests are answered with 400")
                } else {
                    format!("write `'{}'`", encoded(inner, also))
                },
            );
        }
        let inner = literal(inner, place + 1)?;
        if values.contains(&inner) {
            return flaw(
                format!("duplicate value `{inner}`"),
                String::from("remove one of them"),
            );
        }
        values.push(inner);
    }
    Ok(Kind::OneOf(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENTS: [&str; 12] = [
        "7",
        "007",
        "-7",
        "7a",
        "a-b_C",
        "a.b",
        "v1",
        "%20",
        "00000000-0000-4000-8000-00000000000a",
        "00000000-0000-4000-8000-00000000000g",
        "00000000000000000000000000000000000a",
        "000000000000000000000000000000000000",
    ];

    #[test]
    fn the_classes_nest_as_the_tree_takes_for_granted() {
        for segment in SEGMENTS {
            let takes = |kind: Kind| kind.takes(segment);
            if takes(Kind::Int) || takes(Kind::Uuid) {
                assert!(takes(Kind::Slug), "{segment}");
            }
            assert!(!(takes(Kind::Int) && takes(Kind::Uuid)), "{segment}");
            assert!(takes(Kind::Any));
            assert_eq!(
                Class::of(segment) as u8,
                prox_runtime::class(segment.as_bytes()),
                "{segment}"
            );
        }
        assert_eq!(Class::of(""), Class::Other);
        assert_eq!(prox_runtime::class(b""), Class::Other as u8);
        for kind in [Kind::Any, Kind::Int, Kind::Uuid, Kind::Slug] {
            assert!(!kind.takes(""));
            assert!(kind.takes(kind.example("~")), "{kind:?}");
        }
    }

    #[test]
    fn lists_lie_as_sets_do() {
        let list = |values: &[&str]| Kind::OneOf(values.iter().map(ToString::to_string).collect());
        let lie = |a: &[&str], b: &[&str]| list(a).lie(&list(b));
        assert_eq!(lie(&["a", "b"], &["b", "a"]), Lie::Same);
        assert_eq!(lie(&["a"], &["b", "a"]), Lie::Within);
        assert_eq!(lie(&["a", "b"], &["b"]), Lie::Around);
        assert_eq!(lie(&["a"], &["b"]), Lie::Apart);
        assert_eq!(lie(&["a", "c"], &["b", "c"]), Lie::Across);
        assert_eq!(list(&["a", "b"]).shape(), list(&["b", "a"]).shape());
    }
}
