//! One alternative of a guard: a conjunction of tests, at most one for each key of a request.

use std::{cmp::Ordering, collections::BTreeMap};

use super::{Key, set::Set};

/// What accepts a request of which each key is in the set of its test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Case {
    /// None accepts everything. A cookie that must be there has its header among them.
    tests: BTreeMap<Key, Set>,
    /// Accepts only some of these requests, and it is not known which.
    pub(super) opaque: bool,
}

impl Case {
    /// None if no request is in the set.
    pub(super) fn of(key: Key, set: Set) -> Option<Self> {
        let tests = BTreeMap::from([(key, set)]);
        Self {
            tests,
            opaque: false,
        }
        .sound()
    }

    /// The same, accepting only some of these requests.
    pub(super) fn opaque(self) -> Self {
        Self {
            opaque: true,
            ..self
        }
    }

    pub(crate) fn test(&self, key: &Key) -> Option<&Set> {
        self.tests.get(key)
    }

    /// The tests, without the one that follows from others.
    pub(crate) fn tests(&self) -> impl Iterator<Item = (&Key, &Set)> {
        let needs_cookie = self.needs_cookie();
        self.tests
            .iter()
            .filter(move |(key, _)| !(needs_cookie && key.is_cookies()))
    }

    pub(crate) fn without(&self, key: &Key) -> Self {
        let mut rest = self.clone();
        rest.tests.remove(key);
        if matches!(key, Key::Cookie(_)) && !rest.needs_cookie() {
            rest.tests.remove(&Key::cookies());
        }
        rest
    }

    /// How many conditions it has. All that a request without cookies can fulfil counts as one: `header("cookie").absent()`
    /// accepts less than any number of cookies that must be absent.
    pub(super) fn conditions(&self) -> usize {
        let weak = |(key, set): &(&Key, &Set)| {
            key.is_cookies() || matches!(key, Key::Cookie(_)) && set.has_absent()
        };
        let strong = self.tests().filter(|test| !weak(test)).count();
        strong + usize::from(self.tests().any(|test| weak(&test)))
    }

    /// More conditions before fewer, narrower ones before wider, and what is opaque before the same without it. Whatever is
    /// within another is greater.
    pub(super) fn specificity(&self, other: &Self) -> Ordering {
        let count = self.conditions().cmp(&other.conditions());
        count
            .then_with(|| self.narrowness(other))
            .then(self.opaque.cmp(&other.opaque))
    }

    fn narrowness(&self, other: &Self) -> Ordering {
        let all = Set::all();
        let (mut own, mut others) = (self.tests.iter().peekable(), other.tests.iter().peekable());
        loop {
            let key = match (own.peek(), others.peek()) {
                (Some((a, _)), Some((b, _))) => *a.min(b),
                (Some((key, _)), None) | (None, Some((key, _))) => *key,
                (None, None) => return Ordering::Equal,
            };
            let a = own.next_if(|(own, _)| *own == key).map_or(&all, |t| t.1);
            let b = others.next_if(|(o, _)| *o == key).map_or(&all, |t| t.1);
            let order = a.narrowness(b);
            if order != Ordering::Equal {
                return order;
            }
        }
    }

    /// What both accept.
    pub(super) fn common(&self, other: &Self) -> Option<Self> {
        if self.is_apart(other) {
            return None;
        }
        let mut common = self.clone();
        common.opaque |= other.opaque;
        for (key, set) in &other.tests {
            common.narrow(key.clone(), set);
        }
        common.sound()
    }

    /// Whether some key tells surely that no request is accepted by both. Says nothing of cookies beside their header.
    fn is_apart(&self, other: &Self) -> bool {
        let mut own = self.tests.iter();
        own.any(|(key, set)| other.tests.get(key).is_some_and(|other| !set.meets(other)))
    }

    /// Whether the tests of `other` accept whatever those of this case accept.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let none = self.has_no_cookies();
        other.tests.iter().all(|(key, set)| {
            let lacks = none && matches!(key, Key::Cookie(_)) && set.has_absent();
            lacks || self.tests.get(key).is_some_and(|own| own.is_within(set))
        })
    }

    /// What this case accepts and the tests of `other` do not, in parts that are apart.
    pub(super) fn minus(&self, other: &Self) -> Vec<Self> {
        if self.common(other).is_none() {
            return vec![self.clone()];
        }
        let mut parts = Vec::new();
        let mut rest = self.clone();
        for (key, set) in other.tests() {
            let own = rest.tests.get(key).cloned().unwrap_or_else(Set::all);
            let mut part = rest.clone();
            part.tests.insert(key.clone(), own.without(set));
            parts.extend(part.sound());
            rest.narrow(key.clone(), set);
            match rest.sound() {
                Some(sound) => rest = sound,
                None => break,
            }
        }
        parts
    }

    /// What accepts only what either accepts and differs from both in one key, which may be anything that either says of it.
    pub(super) fn merged(&self, other: &Self, into: &mut Vec<Self>) {
        for one in self.in_forms() {
            for two in other.in_forms() {
                for key in one.tests.keys().filter(|key| two.tests.contains_key(key)) {
                    let (Some(own), Some(others)) = (one.tests.get(key), two.tests.get(key)) else {
                        continue;
                    };
                    let either = own.or(others);
                    if either == *own || either == *others {
                        continue;
                    }
                    let mut rest = one.clone();
                    rest.tests.remove(key);
                    let mut beside = two.clone();
                    beside.tests.remove(key);
                    for (key, set) in beside.tests {
                        rest.narrow(key, &set);
                    }
                    rest.tests.insert(key.clone(), either);
                    into.extend(rest.sound());
                }
            }
        }
    }

    /// Itself, and what of it has no cookies, where only the absence of some is asked for.
    fn in_forms(&self) -> Vec<Self> {
        let mut forms = vec![self.clone()];
        let asks = self.tests.keys().any(|key| matches!(key, Key::Cookie(_)));
        if asks && !self.needs_cookie() {
            let mut none = self.clone();
            none.narrow(Key::cookies(), &Set::absent());
            forms.extend(none.sound());
        }
        forms
    }

    /// Asks for this set, too.
    fn narrow(&mut self, key: Key, set: &Set) {
        let test = self.tests.entry(key).or_insert_with(Set::all);
        *test = test.and(set);
    }

    fn needs_cookie(&self) -> bool {
        let mut tests = self.tests.iter();
        tests.any(|(key, set)| matches!(key, Key::Cookie(_)) && !set.has_absent())
    }

    fn has_no_cookies(&self) -> bool {
        let test = self.tests.get(&Key::cookies());
        test.is_some_and(|set| *set == Set::absent())
    }

    /// The same in the one form of it; none if no request is accepted.
    fn sound(mut self) -> Option<Self> {
        self.tests.retain(|_, set| !set.is_all());
        // A cookie comes in a header.
        if self.needs_cookie() {
            self.narrow(Key::cookies(), &Set::exists());
        }
        if self.has_no_cookies() {
            let lacks = |key: &Key, set: &Set| matches!(key, Key::Cookie(_)) && set.has_absent();
            self.tests.retain(|key, set| !lacks(key, set));
        }
        let empty = self.tests.values().any(Set::is_empty);
        (!empty).then_some(self)
    }
}
