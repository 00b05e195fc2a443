//! Guards, as far as they can be decided: what comes after `if`, as a set of requests.
//!
//! A guard is a list of cases, of which one must accept the request. A case is a conjunction of tests, at most one for each key
//! of a request. Of a key that a request repeats the first counts, so each key has at most one value, and a test is the set of the
//! values that it accepts. So `.and(..)`, `.or(..)` and `.not()` are decided exactly. What is not a literal, a closure above all,
//! makes a case opaque: it accepts some of the requests that its tests accept, and it is not known which.

mod case;
mod network;
mod opposite;
mod read;
mod set;

use std::cmp::Ordering;

pub(crate) use self::{
    case::Case,
    network::Network,
    opposite::Open,
    read::{cookie_flaw, header_flaw, query_flaw, read},
    set::{Point, Set},
};

/// More cases than this are not decided.
const MOST_CASES: usize = 64;
/// More parts of a guard than this are not compared with other guards.
const MOST_PARTS: usize = 20_000;

/// What a guard accepts. Of a route without a guard it is every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    /// The least specific first, and none within another. Those that are not opaque are all that there can be: whatever has
    /// tests, and is surely accepted, is within one of them.
    cases: Vec<Case>,
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

impl Key {
    /// The header that has all cookies.
    fn cookies() -> Self {
        Self::Header(String::from("cookie"))
    }

    fn is_cookies(&self) -> bool {
        matches!(self, Self::Header(name) if name == "cookie")
    }
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

impl Default for Guard {
    fn default() -> Self {
        Self {
            cases: vec![Case::default()],
            hole: false,
        }
    }
}

impl Guard {
    /// Accepts some requests, and it is not known which.
    pub(crate) fn unknown() -> Self {
        Self {
            cases: vec![Case::default().opaque()],
            hole: false,
        }
    }

    /// Has a flaw, which has been reported.
    fn hole() -> Self {
        Self {
            hole: true,
            ..Self::unknown()
        }
    }

    fn of(key: Key, set: Set) -> Option<Self> {
        Self::of_cases(Case::of(key, set).into_iter().collect())
    }

    /// Of one case alone.
    pub(crate) fn of_case(case: Case) -> Self {
        Self {
            cases: vec![case],
            hole: false,
        }
    }

    /// In the one form of it; none if no request is accepted.
    fn of_cases(cases: Vec<Case>) -> Option<Self> {
        let mut cases = absorbed(cases);
        if cases.len() > 1 {
            match completed(cases) {
                Some(all) => cases = all,
                None => return Some(Self::unknown()),
            }
        }
        cases.sort_by(Case::specificity);
        (!cases.is_empty()).then_some(Self { cases, hole: false })
    }

    /// Whether it is not known of some requests whether they are accepted.
    pub(crate) fn is_opaque(&self) -> bool {
        self.cases.iter().any(|case| case.opaque)
    }

    pub(crate) fn is_hole(&self) -> bool {
        self.hole
    }

    /// Whether every request is surely accepted.
    pub(crate) fn is_everything(&self) -> bool {
        self.cases.contains(&Case::default())
    }

    /// The only case, if there is one that is not opaque.
    pub(crate) fn only_case(&self) -> Option<&Case> {
        match self.cases.as_slice() {
            [case] if !case.opaque => Some(case),
            _ => None,
        }
    }

    /// A case that shows what is accepted.
    pub(crate) fn example(&self) -> Option<&Case> {
        let sure = self.cases.iter().find(|case| !case.opaque);
        sure.or_else(|| self.cases.first())
    }

    #[cfg(test)]
    pub(crate) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// How many conditions the least specific case has.
    pub(crate) fn conditions(&self) -> usize {
        self.cases.first().map_or(0, Case::conditions)
    }

    /// What both accept, as far as it is known; none if no request is accepted by both.
    pub(crate) fn common(&self, other: &Self) -> Option<Self> {
        let pairs = self
            .cases
            .iter()
            .flat_map(|a| other.cases.iter().filter_map(|b| a.common(b)));
        let both = Self::of_cases(pairs.collect())?;
        Some(Self {
            hole: self.hole || other.hole,
            ..both
        })
    }

    /// What either accepts.
    fn or(&self, other: &Self) -> Self {
        let cases = self.cases.iter().chain(&other.cases).cloned().collect();
        Self::of_cases(cases).unwrap_or_else(Self::unknown)
    }

    /// What is not accepted; none if every request is.
    fn not(&self) -> Option<Self> {
        let outside = |cases: &mut dyn Iterator<Item = &Case>| {
            let mut parts = vec![Case::default()];
            for case in cases {
                parts = parts.iter().flat_map(|part| part.minus(case)).collect();
                if parts.len() > MOST_CASES * MOST_CASES {
                    return vec![Case::default().opaque()];
                }
            }
            parts
        };
        let mut cases = outside(&mut self.cases.iter());
        if self.is_opaque() {
            let perhaps = outside(&mut self.cases.iter().filter(|case| !case.opaque));
            cases.extend(perhaps.into_iter().map(Case::opaque));
        }
        Self::of_cases(cases)
    }

    /// Whether `other` surely accepts whatever this guard accepts.
    pub(crate) fn implies(&self, other: &Self) -> bool {
        let mut sure = other.cases.iter().filter(|case| !case.opaque);
        match (self.cases.as_slice(), sure.next(), sure.next()) {
            ([case], Some(only), None) => case.is_within(only),
            _ => self.is_covered(&[other]),
        }
    }

    pub(crate) fn relation(&self, other: &Self) -> Relation {
        if self.is_opaque() || other.is_opaque() {
            return Relation::Apart;
        }
        match (self.implies(other), other.implies(self)) {
            (true, true) => Relation::Same,
            (false, false) if self.common(other).is_some() => Relation::Overlap,
            _ => Relation::Apart,
        }
    }

    /// How specific a guard is: greater goes first. Of several cases the least specific counts, then the next. Whatever
    /// implies another guard is greater.
    pub(crate) fn specificity(&self, other: &Self) -> Ordering {
        let pairs = self.cases.iter().zip(&other.cases);
        let mut orders = pairs.map(|(a, b)| a.specificity(b));
        orders
            .find(|order| *order != Ordering::Equal)
            .unwrap_or_else(|| other.cases.len().cmp(&self.cases.len()))
    }

    /// Whether each request that this guard accepts is surely accepted by one of the others.
    pub(crate) fn is_covered(&self, by: &[&Self]) -> bool {
        self.rest(by).is_none()
    }

    /// Requests that this guard accepts, and none of the others surely does; none if there are none.
    pub(crate) fn rest(&self, by: &[&Self]) -> Option<Case> {
        let sure = by.iter().flat_map(|guard| &guard.cases);
        let sure: Vec<&Case> = sure.filter(|case| !case.opaque).collect();
        let mut budget = MOST_PARTS;
        self.cases
            .iter()
            .find_map(|case| rest_of(case, &sure, &mut budget))
    }

    /// Whether it surely accepts a request that has nothing but its URL, with this query.
    pub(crate) fn accepts_query(&self, query: &str) -> bool {
        let point = |name: &str| {
            let mut pairs = query
                .split('&')
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            let value = pairs.find(|(key, _)| *key == name);
            value.map_or(Point::Absent, |(_, value)| Point::Text(value.into()))
        };
        let mut sure = self.cases.iter().filter(|case| !case.opaque);
        sure.any(|case| {
            case.tests().all(|(key, set)| match key {
                Key::Query(name) => set.contains(&point(name)),
                _ => set.has_absent(),
            })
        })
    }
}

/// The first part of the case that none of the others accepts. Without a budget nothing is covered.
fn rest_of(case: &Case, by: &[&Case], budget: &mut usize) -> Option<Case> {
    if by.iter().any(|other| case.is_within(other)) {
        return None;
    }
    let near: Vec<&Case> = by
        .iter()
        .copied()
        .filter(|other| case.common(other).is_some())
        .collect();
    let Some((first, others)) = near.split_first() else {
        return Some(case.clone());
    };
    match budget.checked_sub(1) {
        Some(less) => *budget = less,
        None => return Some(case.clone()),
    }
    let parts = case.minus(first);
    parts.iter().find_map(|part| rest_of(part, others, budget))
}

/// The cases without those that are within another.
fn absorbed(cases: Vec<Case>) -> Vec<Case> {
    let mut kept: Vec<Case> = Vec::new();
    let within =
        |case: &Case, other: &Case| case.is_within(other) && (case.opaque || !other.opaque);
    for case in cases {
        if !kept.iter().any(|other| within(&case, other)) {
            kept.retain(|other| !within(other, &case));
            kept.push(case);
        }
    }
    kept
}

/// The cases with all that are within several of them together; none if there are too many.
fn completed(mut cases: Vec<Case>) -> Option<Vec<Case>> {
    loop {
        if cases.len() > MOST_CASES {
            return None;
        }
        let sure: Vec<&Case> = cases.iter().filter(|case| !case.opaque).collect();
        let mut new = Vec::new();
        for (at, a) in sure.iter().enumerate() {
            for b in sure.iter().take(at) {
                a.merged(b, &mut new);
            }
        }
        new.retain(|case| {
            !cases
                .iter()
                .any(|other| !other.opaque && case.is_within(other))
        });
        if new.is_empty() {
            return Some(cases);
        }
        cases.extend(new);
        cases = absorbed(cases);
    }
}

#[cfg(test)]
mod tests;
