//! The requests that a list of candidates tells apart: methods, and what their guards look at.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    super::accepts::{Accepts, Key, Test},
    witness::RouteWitness,
};
use crate::network::Network;

/// More combinations of values than this are not compared.
pub(super) const MOST_COMBINATIONS: usize = 4096;

/// The methods that a row takes; none takes every method.
pub(super) type MethodSet = Option<BTreeSet<String>>;

/// The methods that these sets tell apart: each that is named, and one that is not.
pub(super) fn methods<'m>(sets: impl Iterator<Item = &'m MethodSet>) -> Vec<String> {
    const USUAL: [&str; 10] = [
        "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "PURGE", "REPORT", "SEARCH",
    ];
    let named: BTreeSet<&String> = sets.flatten().flatten().collect();
    let is_free = |name: &str| !named.iter().any(|known| *known == name);
    let mut unnamed = USUAL.into_iter().map(str::to_owned);
    let numbered = (0_u32..).map(|number| format!("OTHER{number}"));
    let unnamed = unnamed
        .find(|name| is_free(name))
        .or_else(|| numbered.into_iter().find(|name| is_free(name)));
    let usual = USUAL
        .into_iter()
        .filter(|name| !is_free(name))
        .map(str::to_owned);
    let others = named.iter().filter(|name| !USUAL.contains(&name.as_str()));
    let others = others.map(|name| (*name).clone());
    unnamed.into_iter().chain(usual).chain(others).collect()
}

/// The values of each key that guards tell apart, and the guards that only a real request can decide.
pub(super) struct Asked {
    values: Vec<(Key, Vec<Option<String>>)>,
    opaque: Vec<String>,
}

/// One combination of them.
pub(super) struct Combination {
    values: BTreeMap<Key, String>,
    /// The guards that are taken to accept.
    accepting: Vec<String>,
}

impl Asked {
    pub(super) fn of<'a>(guards: impl Iterator<Item = &'a Accepts>) -> Self {
        let mut tests: BTreeMap<&Key, Vec<&Test>> = BTreeMap::new();
        let mut opaque = BTreeSet::new();
        for guard in guards {
            opaque.extend(guard.opaque().map(str::to_owned));
            guard.each(&mut |key, test| tests.entry(key).or_default().push(test));
        }
        let values = tests.into_iter();
        Self {
            values: values
                .map(|(key, tests)| (key.clone(), of_key(key, &tests)))
                .collect(),
            opaque: opaque.into_iter().collect(),
        }
    }

    /// How many combinations there are.
    pub(super) fn count(&self) -> usize {
        let opaque = self.opaque.iter().map(|_| 2);
        let values = self.values.iter().map(|(_, values)| values.len());
        values.chain(opaque).fold(1, usize::saturating_mul)
    }

    /// The combination of this number, of which the first has the fewest values.
    pub(super) fn combination(&self, mut number: usize) -> Combination {
        let mut digit = |base: usize| {
            let digit = number % base.max(1);
            number /= base.max(1);
            digit
        };
        let mut accepting = Vec::new();
        for guard in &self.opaque {
            if digit(2) == 1 {
                accepting.push(guard.clone());
            }
        }
        let mut all = BTreeMap::new();
        for (key, values) in &self.values {
            if let Some(Some(value)) = values.get(digit(values.len())) {
                all.insert(key.clone(), value.clone());
            }
        }
        Combination {
            values: all,
            accepting,
        }
    }
}

impl Combination {
    /// This one, and another of other guards.
    pub(super) fn with(&self, other: Self) -> Self {
        let mut all = other;
        let values = self.values.iter();
        all.values
            .extend(values.map(|(key, value)| (key.clone(), value.clone())));
        all.accepting.extend(self.accepting.iter().cloned());
        all
    }

    /// Whether a guard accepts the request.
    pub(super) fn passes(&self, guard: &Accepts) -> bool {
        let value = |key: &Key| self.value(key);
        match guard.opaque() {
            Some(text) => self.accepting.iter().any(|known| known == text),
            None => guard.decides(&value) == Some(true),
        }
    }

    fn value(&self, key: &Key) -> Option<String> {
        let value = self.values.get(key).cloned();
        match key {
            // A cookie is in that header.
            Key::Header(name) if name == "cookie" => value.or_else(|| self.cookies()),
            _ => value,
        }
    }

    fn cookies(&self) -> Option<String> {
        let pairs = self.values.iter().filter_map(|(key, value)| match key {
            Key::Cookie(name) => Some(format!("{name}={value}")),
            _ => None,
        });
        let pairs: Vec<String> = pairs.collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// The request.
    pub(super) fn witness(
        &self,
        method: &str,
        listener: &str,
        host: &str,
        path: &str,
    ) -> RouteWitness {
        let mut url = match host {
            "" => path.to_owned(),
            host => format!("https://{host}{path}"),
        };
        let mut headers = Vec::new();
        let mut client = None;
        let mut mark = '?';
        for (key, value) in &self.values {
            match key {
                Key::Query(name) => {
                    url.push(mark);
                    url.push_str(name);
                    url.push('=');
                    url.push_str(value);
                    mark = '&';
                }
                Key::Header(name) if name == "cookie" => {}
                Key::Header(name) => headers.push((name.clone(), value.clone())),
                Key::Cookie(_) => {}
                Key::Client => client = value.parse().ok(),
            }
        }
        let cookies = self.value(&Key::Header(String::from("cookie")));
        headers.extend(cookies.map(|cookies| (String::from("cookie"), cookies)));
        RouteWitness {
            method: method.to_owned(),
            url,
            headers,
            client,
            listener: listener.to_owned(),
            guards: self.accepting.clone(),
        }
    }
}

/// A value of each class that the tests of one key tell apart: absent, each literal, each prefix, and another.
fn of_key(key: &Key, tests: &[&Test]) -> Vec<Option<String>> {
    if *key == Key::Client {
        return clients(tests);
    }
    let mut literals: BTreeSet<&str> = BTreeSet::new();
    let mut prefixes: BTreeSet<&str> = BTreeSet::from([""]);
    for test in tests {
        match test {
            Test::Is(value) => {
                literals.insert(value);
            }
            Test::OneOf(values) => literals.extend(values.iter().map(String::as_str)),
            Test::StartsWith(prefix) => {
                prefixes.insert(prefix);
            }
            Test::Exists | Test::Absent | Test::Within(_) => {}
        }
    }
    let mut values = vec![None];
    for prefix in &prefixes {
        // Behind the prefix stands what no longer prefix, and no literal, has there.
        let longer = || {
            literals
                .iter()
                .chain(&prefixes)
                .filter(|text| text.len() > prefix.len())
        };
        let letters = ('0'..='9').chain('a'..='z').skip(1).chain(['0']);
        let free = letters
            .map(|letter| format!("{prefix}{letter}"))
            .find(|value| !longer().any(|text| text.starts_with(value.as_str())));
        values.push(Some(free.unwrap_or_else(|| format!("{prefix}~~"))));
    }
    let literals = literals.into_iter().chain(prefixes.into_iter().skip(1));
    for literal in literals {
        let literal = Some(literal.to_owned());
        if !values.contains(&literal) {
            values.push(literal);
        }
    }
    values
}

/// An address in each part of the networks: where each begins, and behind its end.
fn clients(tests: &[&Test]) -> Vec<Option<String>> {
    let mut addresses: BTreeSet<IpAddr> = BTreeSet::new();
    for test in tests {
        if let Test::Within(text) = test
            && let Some(network) = Network::parse(text)
        {
            addresses.insert(network.first());
            addresses.extend(network.behind());
        }
    }
    let known = addresses
        .into_iter()
        .map(|address| Some(address.to_string()));
    std::iter::once(None).chain(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_that_tests_tell_apart_is_asked_for() {
        let key = Key::Header("x".into());
        let tests = [
            Test::Is("1".into()),
            Test::StartsWith("1".into()),
            Test::StartsWith("a".into()),
            Test::OneOf(vec!["ab".into(), "2".into()]),
        ];
        let tests: Vec<&Test> = tests.iter().collect();
        let values = of_key(&key, &tests);
        let mut outcomes: Vec<Vec<bool>> = values
            .iter()
            .map(|value| {
                tests
                    .iter()
                    .map(|test| test.takes(value.as_deref()))
                    .collect()
            })
            .collect();
        outcomes.sort();
        outcomes.dedup();
        // Nothing, "1", "1" and more, "a" and more, "ab", "2".
        assert_eq!(outcomes.len(), 6, "{values:?}");
    }

    #[test]
    fn each_part_of_networks_has_an_address() {
        let tests = [
            "10.0.0.0/8",
            "10.0.0.0/10",
            "10.192.0.0/10",
            "10.1.2.3",
            "::1",
            "fc00::/7",
        ];
        let tests = tests.map(|network| Test::Within(network.into()));
        let tests: Vec<&Test> = tests.iter().collect();
        let values = clients(&tests);
        let outcome = |value: &Option<String>| -> String {
            let taken = tests.iter().map(|test| test.takes(value.as_deref()));
            taken.map(|taken| if taken { '1' } else { '0' }).collect()
        };
        let outcomes: BTreeSet<String> = values.iter().map(outcome).collect();
        for wanted in [
            "000000", "100000", "110000", "101000", "110100", "000010", "000001",
        ] {
            assert!(outcomes.contains(wanted), "{wanted} {outcomes:?}");
        }
    }

    #[test]
    fn each_method_is_asked_for_and_one_more() {
        let set = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let sets = [set(&["GET", "HEAD"]), None, set(&["LOCK"])];
        assert_eq!(methods(sets.iter()), ["POST", "GET", "HEAD", "LOCK"]);
        assert_eq!(methods([None].iter()), ["GET"]);
    }
}
