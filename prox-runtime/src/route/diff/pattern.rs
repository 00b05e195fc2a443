//! The path pattern of a row, read back from its text.

use super::{super::class, row::Row};
use crate::forward::pattern::{is_rest, name_of};

/// A path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) segments: Vec<Segment>,
    pub(super) tail: Tail,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// Exactly this text; empty only at the end of an exact path, where it stands for a trailing slash.
    Literal(String),
    /// Any segment whose class the mask has.
    Kind(Classes),
    /// One of these, sorted.
    OneOf(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Tail {
    Exact,
    Prefix,
    /// At least one byte behind a slash.
    Rest,
}

/// A set of [classes](class) of segments, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Classes(u8);

impl Classes {
    pub(super) const ANY: Self = Self(0b1111);

    pub(super) fn has(self, class: u8) -> bool {
        self.0 & (1 << class) != 0
    }
}

impl Pattern {
    pub(super) fn of(row: &Row) -> Self {
        let path = row.path.strip_prefix('/').unwrap_or(&row.path);
        let mut tail = if row.exact { Tail::Exact } else { Tail::Prefix };
        let mut segments = Vec::new();
        if path.is_empty() && !row.exact {
            return Self { segments, tail };
        }
        for text in path.split('/') {
            match name_of(text) {
                Some(_) if is_rest(text) => tail = Tail::Rest,
                Some(_) => segments.push(param(text)),
                None => segments.push(Segment::Literal(text.to_owned())),
            }
        }
        Self { segments, tail }
    }
}

fn param(text: &str) -> Segment {
    let inner = text.trim_matches(['{', '}']);
    let kind = inner.split_once(':').map_or("", |(_, kind)| kind.trim());
    match kind {
        "" => Segment::Kind(Classes::ANY),
        "int" => Segment::Kind(Classes(0b0001)),
        "uuid" => Segment::Kind(Classes(0b0010)),
        "slug" => Segment::Kind(Classes(0b0111)),
        values => {
            let values = values
                .split('|')
                .map(|value| value.trim().trim_matches('\''));
            let mut values: Vec<String> = values.map(str::to_owned).collect();
            values.sort_unstable();
            Segment::OneOf(values)
        }
    }
}

/// A segment of a class that none of the literals is.
pub(super) fn example(of: u8, is_literal: &dyn Fn(&str) -> bool) -> String {
    let candidates = (7_u64..).map(|number| match of {
        0 => number.to_string(),
        1 => format!("00000000-0000-4000-8000-{number:012}"),
        2 if number == 7 => String::from("x"),
        2 => format!("x{number}"),
        _ if number == 7 => String::from("x.y"),
        _ => format!("x.{number}"),
    });
    let mut free = candidates.filter(|text| !is_literal(text));
    let found = free.next().unwrap_or_default();
    debug_assert_eq!(class(found.as_bytes()), of);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::RouteInfo;

    fn pattern(path: &'static str, exact: bool) -> Pattern {
        Pattern::of(&Row::from(&RouteInfo {
            path,
            exact,
            ..RouteInfo::EMPTY
        }))
    }

    #[test]
    fn the_text_of_a_pattern_is_read_back() {
        let literal = |text: &str| Segment::Literal(text.into());
        assert_eq!(pattern("/", false).segments, []);
        assert_eq!(pattern("/", true).segments, [literal("")]);
        assert_eq!(pattern("/a/", true).segments, [literal("a"), literal("")]);
        let all = pattern("/a/{x}/{n: int}/{v: 'v2' | 'v1'}/{*rest}", false);
        assert_eq!(all.tail, Tail::Rest);
        assert_eq!(
            all.segments,
            [
                literal("a"),
                Segment::Kind(Classes::ANY),
                Segment::Kind(Classes(1)),
                Segment::OneOf(vec!["v1".into(), "v2".into()]),
            ]
        );
    }

    #[test]
    fn an_example_is_of_its_class() {
        for of in 0..4 {
            let first = example(of, &|_| false);
            let second = example(of, &|text| text == first);
            assert_ne!(first, second);
            assert_eq!(class(first.as_bytes()), of);
            assert_eq!(class(second.as_bytes()), of);
        }
    }
}
