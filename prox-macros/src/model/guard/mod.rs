//! Guards, as far as they can be decided: what stands behind `if` as a set of requests.
//!
//! A guard is a conjunction of tests, at most one for each key of a request. Of a key that a request repeats the first
//! counts, so each key has at most one value. Two tests on the same key exclude each other, or one implies the other, or they are
//! lists of values that have some in common. What is no literal, a closure above all, makes the guard opaque: it accepts some of the requests that its tests
//! accept, and nobody knows which.

mod network;
mod opposite;
mod read;

use std::collections::BTreeMap;

pub(crate) use self::{
    network::Network,
    opposite::Open,
    read::{cookie_flaw, header_flaw, query_flaw, read},
};

/// What a guard accepts; without tests it is every request, which is what a route without a guard accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guard {
    tests: BTreeMap<Key, Test>,
    opaque: bool,
    hole: bool,
}

/// A part of a request; a request has at most one value of each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// In lower case.
    Header(String),
    Query(String),
    Cookie(String),
    ClientIp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Exists,
    Absent,
    /// At least two, sorted.
    OneOf(Vec<String>),
    /// Never empty.
    StartsWith(String),
    Is(String),
    Within(Network),
}

/// How the requests of two guards lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// Both accept the same requests.
    Same,
    /// There is a request that both accept, and for each of them one that only it accepts.
    Overlap,
    /// No request is accepted by both, or one of them is more specific, or it cannot be proved.
    Apart,
}

/// How specific a guard is: greater goes first. Whatever a guard implies is less.
pub(crate) type Specificity = (usize, usize, bool);

impl Guard {
    /// Accepts nobody knows what.
    fn unknown() -> Self {
        Self {
            opaque: true,
            ..Self::default()
        }
    }

    /// Has a flaw, which has been reported.
    fn hole() -> Self {
        Self {
            hole: true,
            ..Self::unknown()
        }
    }

    fn of(key: Key, test: Test) -> Self {
        let test = match test {
            Test::StartsWith(prefix) if prefix.is_empty() => Test::Exists,
            test => test,
        };
        let mut tests = BTreeMap::new();
        if matches!(key, Key::Cookie(_)) && test != Test::Absent {
            // A cookie stands in a header.
            tests.insert(cookies(), Test::Exists);
        }
        tests.insert(key, test);
        Self {
            tests,
            ..Self::default()
        }
    }

    pub(crate) fn is_opaque(&self) -> bool {
        self.opaque
    }

    pub(crate) fn is_hole(&self) -> bool {
        self.hole
    }

    /// The conditions, without those that follow from others.
    pub(crate) fn tests(&self) -> impl Iterator<Item = (&Key, &Test)> {
        let has_cookie = self
            .tests
            .iter()
            .any(|(key, test)| matches!(key, Key::Cookie(_)) && *test != Test::Absent);
        self.tests
            .iter()
            .filter(move |(key, _)| !(has_cookie && **key == cookies()))
    }

    /// What both accept, as far as it is known; none if no request is accepted by both.
    pub(crate) fn common(&self, other: &Self) -> Option<Self> {
        let mut common = self.clone();
        common.opaque |= other.opaque;
        for (key, test) in &other.tests {
            let both = match common.tests.get(key) {
                Some(own) => own.common(test)?,
                None => test.clone(),
            };
            common.tests.insert(key.clone(), both);
        }
        Some(common)
    }

    /// Whether `other` surely accepts whatever this guard accepts.
    pub(crate) fn implies(&self, other: &Self) -> bool {
        !other.opaque
            && other
                .tests
                .iter()
                .all(|(key, test)| self.implies_test(key, test))
    }

    /// The same, also without cookies in a request that has none. The order of routes does not know of this: there are more tests
    /// in a guard without many cookies than in one without any.
    fn is_within(&self, other: &Self) -> bool {
        let none = self.tests.get(&cookies()) == Some(&Test::Absent);
        let lacks =
            |key: &Key, test: &Test| none && matches!(key, Key::Cookie(_)) && *test == Test::Absent;
        !other.opaque
            && other
                .tests
                .iter()
                .all(|(key, test)| lacks(key, test) || self.implies_test(key, test))
    }

    fn implies_test(&self, key: &Key, test: &Test) -> bool {
        let own = self.tests.get(key);
        own.is_some_and(|own| own.common(test).as_ref() == Some(own))
    }

    pub(crate) fn relation(&self, other: &Self) -> Relation {
        let opaque = self.opaque || other.opaque;
        if !opaque && self.tests == other.tests {
            Relation::Same
        } else if opaque
            || self.implies(other)
            || other.implies(self)
            || self.common(other).is_none()
        {
            Relation::Apart
        } else {
            Relation::Overlap
        }
    }

    /// More conditions before fewer, narrower ones before wider, and what is opaque before the same without it.
    pub(crate) fn specificity(&self) -> Specificity {
        let narrow = self.tests.values().map(Test::narrowness).sum();
        (self.tests().count(), narrow, self.opaque)
    }

    /// Whether each request that this guard accepts is surely accepted by one of the others.
    pub(crate) fn is_covered(&self, by: &[&Self]) -> bool {
        if by.iter().any(|other| self.is_within(other)) {
            return true;
        }
        let near: Vec<&Self> = by
            .iter()
            .copied()
            .filter(|other| !other.opaque && self.common(other).is_some())
            .collect();
        if let Some(parts) = self.parts(&near) {
            return parts.iter().all(|part| part.is_covered(&near));
        }
        let Some(network) = self.network() else {
            return false;
        };
        let splits = near.iter().any(|other| {
            other
                .network()
                .is_some_and(|other| other != network && network.contains(other))
        });
        splits
            && network.halves().is_some_and(|halves| {
                halves.into_iter().all(|half| {
                    let mut part = self.clone();
                    part.tests.insert(Key::ClientIp, Test::Within(half));
                    part.is_covered(&near)
                })
            })
    }

    /// The requests that it accepts in finitely many parts, by what the others ask for: each value of a list, or a key that is there
    /// and one that is not.
    fn parts(&self, near: &[&Self]) -> Option<Vec<Self>> {
        let list = self.tests.iter().find_map(|(key, test)| match test {
            Test::OneOf(values) if near.iter().any(|other| other.tests.contains_key(key)) => {
                Some((key, values))
            }
            _ => None,
        });
        let with = |key: &Key, test: Test| self.common(&Self::of(key.clone(), test));
        if let Some((key, values)) = list {
            let values = values
                .iter()
                .map(|value| with(key, Test::Is(value.clone())));
            return values.collect();
        }
        let absent = near
            .iter()
            .flat_map(|other| &other.tests)
            .find_map(|(key, test)| {
                (*test == Test::Absent && !self.tests.contains_key(key)).then_some(key)
            })?;
        let parts = [with(absent, Test::Absent), with(absent, Test::Exists)];
        Some(parts.into_iter().flatten().collect())
    }

    fn network(&self) -> Option<Network> {
        match self.tests.get(&Key::ClientIp) {
            Some(Test::Within(network)) => Some(*network),
            _ => None,
        }
    }

    /// Whether it surely accepts a request that has nothing but its URL, with this query.
    pub(crate) fn accepts_query(&self, query: &str) -> bool {
        let value = |name: &str| {
            query
                .split('&')
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        !self.opaque
            && self.tests.iter().all(|(key, test)| match key {
                Key::Query(name) => match value(name) {
                    Some(value) => test.accepts(value),
                    None => *test == Test::Absent,
                },
                _ => *test == Test::Absent,
            })
    }
}

impl Test {
    fn common(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Absent, Self::Absent) => Some(Self::Absent),
            (Self::Absent, _) | (_, Self::Absent) => None,
            (Self::Exists, test) | (test, Self::Exists) => Some(test.clone()),
            (Self::Within(a), Self::Within(b)) => a.common(*b).map(Self::Within),
            (Self::Is(value), test) | (test, Self::Is(value)) => {
                test.accepts(value).then(|| Self::Is(value.clone()))
            }
            (Self::OneOf(values), test) | (test, Self::OneOf(values)) => {
                let both = values.iter().filter(|value| test.accepts(value));
                Self::one_of(both.cloned().collect())
            }
            (Self::StartsWith(a), Self::StartsWith(b)) if a.starts_with(b.as_str()) => {
                Some(self.clone())
            }
            (Self::StartsWith(a), Self::StartsWith(b)) if b.starts_with(a.as_str()) => {
                Some(other.clone())
            }
            _ => None,
        }
    }

    fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Exists => true,
            Self::StartsWith(prefix) => value.starts_with(prefix.as_str()),
            Self::Is(wanted) => value == wanted,
            Self::OneOf(values) => values.iter().any(|wanted| wanted == value),
            Self::Within(_) | Self::Absent => false,
        }
    }

    /// One of these values; none for an empty list.
    fn one_of(mut values: Vec<String>) -> Option<Self> {
        values.sort_unstable();
        values.dedup();
        match values.as_slice() {
            [] => None,
            [only] => Some(Self::Is(only.clone())),
            _ => Some(Self::OneOf(values)),
        }
    }

    /// Whatever implies another test of the same key is narrower: a value before the lists that have it, these by their size before
    /// the starts that they have in common.
    fn narrowness(&self) -> usize {
        match self {
            Self::Exists | Self::Absent => 1,
            Self::StartsWith(prefix) => STEP * (1 + prefix.len()),
            Self::OneOf(values) => {
                let shortest = values.iter().map(String::len).min().unwrap_or(0);
                STEP * (2 + shortest) - 1 - values.len().min(STEP - 2)
            }
            Self::Is(value) => STEP * (2 + value.len()) - 1,
            Self::Within(network) => STEP * (1 + network.bits() as usize),
        }
    }
}

/// How far a letter more moves a test, so that lists of many sizes fit between.
const STEP: usize = 4096;

fn cookies() -> Key {
    Key::Header(String::from("cookie"))
}

#[cfg(test)]
mod tests;
