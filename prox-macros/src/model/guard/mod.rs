//! Guards, as far as they can be decided: what stands behind `if` as a set of requests.
//!
//! A guard is a conjunction of tests, at most one for each key of a request. Of a key that a request repeats the first
//! counts, so each key has at most one value, and two tests on the same key either exclude each other, or one implies the
//! other. What is no literal, a closure above all, makes the guard opaque: it accepts some of the requests that its tests
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
        if let Key::Cookie(_) = key {
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
        let has_cookie = self.tests.keys().any(|key| matches!(key, Key::Cookie(_)));
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
            && other.tests.iter().all(|(key, test)| {
                self.tests
                    .get(key)
                    .is_some_and(|own| own.common(test).as_ref() == Some(own))
            })
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
        if by.iter().any(|other| self.implies(other)) {
            return true;
        }
        // Of all tests only networks can be put together from finitely many smaller ones.
        let Some(network) = self.network() else {
            return false;
        };
        let near: Vec<&Self> = by
            .iter()
            .copied()
            .filter(|other| !other.opaque && self.common(other).is_some())
            .collect();
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
                Key::Query(name) => value(name).is_some_and(|value| test.accepts(value)),
                _ => false,
            })
    }
}

impl Test {
    fn common(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Exists, test) | (test, Self::Exists) => Some(test.clone()),
            (Self::Within(a), Self::Within(b)) => a.common(*b).map(Self::Within),
            (Self::Is(value), test) | (test, Self::Is(value)) => {
                test.accepts(value).then(|| Self::Is(value.clone()))
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
            Self::Within(_) => false,
        }
    }

    /// Whatever implies another test of the same key is narrower.
    fn narrowness(&self) -> usize {
        match self {
            Self::Exists => 1,
            Self::StartsWith(prefix) => 1 + prefix.len(),
            Self::Is(value) => 2 + value.len(),
            Self::Within(network) => 1 + network.bits() as usize,
        }
    }
}

fn cookies() -> Key {
    Key::Header(String::from("cookie"))
}

#[cfg(test)]
mod tests;
