//! Sets of what one key of a request can be: nothing, a text, or an address. They are closed under all that guards can say.

use std::{cmp::Ordering, iter::Peekable, net::IpAddr, slice::Iter};

use super::Network;

/// What a key of a request is. The order makes each test of the language a few ranges.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// The request does not have the key.
    Absent,
    /// The bytes of a value, in the order of bytes.
    Text(Vec<u8>),
    Address {
        is_v6: bool,
        bits: u128,
    },
}

/// A set of points, as the ascending list of those at which membership turns; below the first nothing is in the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set(Vec<Point>);

/// A set of the simplest kinds, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape<'s> {
    Absent,
    Exists,
    Is(&'s [u8]),
    /// Whatever is of the one family of addresses.
    Family {
        is_v6: bool,
    },
    Other,
}

impl Set {
    /// Whatever it is.
    pub(crate) fn all() -> Self {
        Self(vec![Point::Absent])
    }

    pub(crate) fn absent() -> Self {
        Self(vec![Point::Absent, Point::Text(Vec::new())])
    }

    pub(crate) fn exists() -> Self {
        Self(vec![Point::Text(Vec::new())])
    }

    pub(crate) fn is(value: &str) -> Self {
        Self::one_of([value])
    }

    /// One of the values; empty without any.
    pub(crate) fn one_of<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut values: Vec<&str> = values.into_iter().collect();
        values.sort_unstable();
        values.dedup();
        let mut turns: Vec<Point> = Vec::new();
        for value in values {
            let start = Point::Text(value.as_bytes().to_vec());
            let mut next = value.as_bytes().to_vec();
            next.push(0);
            if turns.last() == Some(&start) {
                turns.pop();
            } else {
                turns.push(start);
            }
            turns.push(Point::Text(next));
        }
        Self(turns)
    }

    pub(crate) fn starts_with(prefix: &str) -> Self {
        let start = prefix.as_bytes().to_vec();
        let mut end = start.clone();
        // No byte of UTF-8 is the greatest.
        if let Some(last) = end.last_mut() {
            *last = last.saturating_add(1);
        }
        if end.is_empty() {
            return Self::exists();
        }
        Self(vec![Point::Text(start), Point::Text(end)])
    }

    pub(crate) fn within(network: Network) -> Self {
        let (is_v6, bits) = match network.example() {
            IpAddr::V4(ip) => (false, u128::from(ip.to_bits())),
            IpAddr::V6(ip) => (true, ip.to_bits()),
        };
        let mut turns = vec![Point::Address { is_v6, bits }];
        let width = if is_v6 { 128 } else { 32 };
        let size = 1_u128.checked_shl(width - network.bits());
        let end = size.and_then(|size| bits.checked_add(size));
        match end {
            Some(end) if is_v6 || end < 1 << 32 => turns.push(Point::Address { is_v6, bits: end }),
            // What follows the last of the one family is the first of the other.
            _ if !is_v6 => turns.push(Point::Address {
                is_v6: true,
                bits: 0,
            }),
            _ => {}
        }
        Self(turns)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn is_all(&self) -> bool {
        matches!(self.0.as_slice(), [Point::Absent])
    }

    pub(crate) fn has_absent(&self) -> bool {
        self.0.first() == Some(&Point::Absent)
    }

    pub(crate) fn contains(&self, point: &Point) -> bool {
        self.0.partition_point(|turn| turn <= point) % 2 == 1
    }

    pub(crate) fn and(&self, other: &Self) -> Self {
        self.with(other, |a, b| a && b)
    }

    pub(crate) fn or(&self, other: &Self) -> Self {
        self.with(other, |a, b| a || b)
    }

    pub(crate) fn without(&self, other: &Self) -> Self {
        self.with(other, |a, b| a && !b)
    }

    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.walk(other).all(|(_, a, b)| !a || b)
    }

    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.walk(other).any(|(_, a, b)| a && b)
    }

    /// Whether it goes first: greater is narrower. Whatever is within another set is narrower. Of two others, the one is that
    /// lacks the first point at which they differ.
    pub(crate) fn narrowness(&self, other: &Self) -> Ordering {
        let first = self.walk(other).find(|(_, a, b)| a != b);
        first.map_or(Ordering::Equal, |(_, a, b)| b.cmp(&a))
    }

    pub(crate) fn shape(&self) -> Shape<'_> {
        match self.0.as_slice() {
            [Point::Absent, Point::Text(start)] if start.is_empty() => Shape::Absent,
            [Point::Text(start)] if start.is_empty() => Shape::Exists,
            [Point::Text(value), Point::Text(next)]
                if next.split_last() == Some((&0, value.as_slice())) =>
            {
                Shape::Is(value)
            }
            [
                Point::Address {
                    is_v6: false,
                    bits: 0,
                },
                Point::Address {
                    is_v6: true,
                    bits: 0,
                },
            ] => Shape::Family { is_v6: false },
            [
                Point::Address {
                    is_v6: true,
                    bits: 0,
                },
            ] => Shape::Family { is_v6: true },
            _ => Shape::Other,
        }
    }

    /// A point of it that people can read, as a text; none if it is that the key is absent, or if there is none.
    pub(crate) fn example(&self) -> Option<String> {
        if self.has_absent() {
            return None;
        }
        match self.0.first()? {
            Point::Absent => None,
            Point::Address { is_v6: false, bits } => {
                let bits = u32::try_from(*bits).unwrap_or(u32::MAX);
                Some(IpAddr::from(bits.to_be_bytes()).to_string())
            }
            Point::Address { is_v6: true, bits } => {
                Some(IpAddr::from(bits.to_be_bytes()).to_string())
            }
            Point::Text(start) => Some(self.text(start)),
        }
    }

    fn text(&self, start: &[u8]) -> String {
        let has = |text: &String| self.contains(&Point::Text(text.as_bytes().to_vec()));
        let common = String::from_utf8_lossy(start.strip_suffix(&[0]).unwrap_or(start));
        let more = ["1", "2", "x", "y", "0"];
        let tried = more.iter().map(|more| format!("{common}{more}"));
        let own = (!start.is_empty() && !start.ends_with(&[0])).then(|| common.to_string());
        let bare = more.iter().map(|text| String::from(*text));
        let mut all = own.into_iter().chain(tried).chain(bare);
        all.find(has).unwrap_or_else(|| common.to_string())
    }

    fn with(&self, other: &Self, both: impl Fn(bool, bool) -> bool) -> Self {
        let mut turns: Vec<Point> = Vec::new();
        for (point, a, b) in self.walk(other) {
            if both(a, b) != (turns.len() % 2 == 1) {
                turns.push(point.clone());
            }
        }
        Self(turns)
    }

    /// The points at which either turns, and whether each has what follows.
    fn walk<'s>(&'s self, other: &'s Self) -> Walk<'s> {
        Walk {
            own: self.0.iter().peekable(),
            other: other.0.iter().peekable(),
            inside: (false, false),
        }
    }
}

struct Walk<'s> {
    own: Peekable<Iter<'s, Point>>,
    other: Peekable<Iter<'s, Point>>,
    inside: (bool, bool),
}

impl<'s> Iterator for Walk<'s> {
    type Item = (&'s Point, bool, bool);

    fn next(&mut self) -> Option<Self::Item> {
        let next = match (self.own.peek(), self.other.peek()) {
            (Some(a), Some(b)) => *a.min(b),
            (a, b) => *a.or(b)?,
        };
        if self.own.next_if(|turn| *turn == next).is_some() {
            self.inside.0 = !self.inside.0;
        }
        if self.other.next_if(|turn| *turn == next).is_some() {
            self.inside.1 = !self.inside.1;
        }
        Some((next, self.inside.0, self.inside.1))
    }
}
