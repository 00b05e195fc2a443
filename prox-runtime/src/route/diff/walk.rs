//! All paths that two tables tell apart: the patterns of both in one trie, which is walked segment by segment.
//!
//! As in the macro's construction of the match tree, a state is the set of places in the trie that are alive, with the routes that
//! the walk has passed and that take whatever follows. States are visited by the number of their segments, so the first path to a
//! list of candidates is a short one.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::pattern::{Classes, Pattern, Segment, Tail, example};
use crate::route::class;

/// More states than this are not walked: patterns overlap in exponentially many ways.
const MOST_STATES: usize = 400_000;

/// A candidate by its place in the order in which candidates are asked; those of the first table come before those of the second.
pub(super) type Number = u32;

#[derive(Default)]
struct Place {
    literals: BTreeMap<String, usize>,
    lists: BTreeMap<Vec<String>, usize>,
    kinds: BTreeMap<Classes, usize>,
    exact: Vec<Number>,
    prefix: Vec<Number>,
    rest: Vec<Number>,
}

/// The patterns of both tables.
pub(super) struct Trie(Vec<Place>);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Subset {
    alive: Vec<usize>,
    passed: Vec<Number>,
}

/// How the path to a state ends.
struct Step {
    before: usize,
    segment: String,
}

impl Trie {
    pub(super) fn new<'p>(patterns: impl Iterator<Item = (Number, &'p Pattern)>) -> Self {
        let mut trie = Self(vec![Place::default()]);
        for (number, pattern) in patterns {
            trie.insert(number, pattern);
        }
        trie
    }

    fn insert(&mut self, number: Number, pattern: &Pattern) {
        let mut at = 0;
        for segment in &pattern.segments {
            let new = self.0.len();
            let Some(place) = self.0.get_mut(at) else {
                return;
            };
            at = match segment {
                Segment::Literal(text) => *place.literals.entry(text.clone()).or_insert(new),
                Segment::OneOf(values) => *place.lists.entry(values.clone()).or_insert(new),
                Segment::Kind(classes) => *place.kinds.entry(*classes).or_insert(new),
            };
            if at == new {
                self.0.push(Place::default());
            }
        }
        if let Some(place) = self.0.get_mut(at) {
            match pattern.tail {
                Tail::Exact => place.exact.push(number),
                Tail::Prefix => place.prefix.push(number),
                Tail::Rest => place.rest.push(number),
            }
        }
    }
}

/// What walks a trie, and shows each list of candidates once, with a path that has it.
pub(super) struct Walk<'t> {
    trie: &'t Trie,
    /// The list without what is never asked.
    cut: &'t dyn Fn(&mut Vec<Number>),
    states: Vec<(Subset, Option<Step>)>,
    known: HashMap<Subset, usize>,
    seen: HashSet<Vec<Number>>,
}

impl<'t> Walk<'t> {
    pub(super) fn new(trie: &'t Trie, cut: &'t dyn Fn(&mut Vec<Number>)) -> Self {
        let mut walk = Self {
            trie,
            cut,
            states: Vec::new(),
            known: HashMap::new(),
            seen: HashSet::new(),
        };
        let root = Subset {
            alive: vec![0],
            passed: Vec::new(),
        };
        walk.go(root, None);
        walk
    }

    /// Visits all states. Returns how many there were; none if there are too many.
    pub(super) fn run(mut self, show: &mut dyn FnMut(&[Number], String)) -> Option<usize> {
        let mut done = 0;
        while done < self.states.len() {
            if self.states.len() > MOST_STATES {
                return None;
            }
            self.visit(done, show);
            done += 1;
        }
        Some(done)
    }

    fn go(&mut self, subset: Subset, step: Option<Step>) {
        if subset.alive.is_empty() || self.known.contains_key(&subset) {
            return;
        }
        self.known.insert(subset.clone(), self.states.len());
        self.states.push((subset, step));
    }

    fn visit(&mut self, number: usize, show: &mut dyn FnMut(&[Number], String)) {
        let Some((subset, _)) = self.states.get(number) else {
            return;
        };
        let subset = subset.clone();
        let trie = self.trie;
        let alive = || subset.alive.iter().filter_map(|place| trie.0.get(*place));
        let merged = |list: &[Number], more: &mut dyn Iterator<Item = Number>| {
            let mut all: Vec<Number> = list.iter().copied().chain(more).collect();
            all.sort_unstable();
            all.dedup();
            (self.cut)(&mut all);
            all
        };
        let passed = merged(
            &subset.passed,
            &mut alive().flat_map(|place| &place.prefix).copied(),
        );
        let below = merged(&passed, &mut alive().flat_map(|place| &place.rest).copied());
        let end = merged(
            &passed,
            &mut alive().flat_map(|place| &place.exact).copied(),
        );
        let slashed = alive().filter_map(|place| trie.0.get(*place.literals.get("")?));
        let slash = merged(
            &passed,
            &mut slashed.flat_map(|place| &place.exact).copied(),
        );

        let mut names: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for place in alive() {
            let literals = place.literals.iter();
            let literals = literals.map(|(name, next)| (name.as_str(), *next));
            let lists = place.lists.iter();
            let lists = lists.flat_map(|(names, next)| names.iter().map(|n| (n.as_str(), *next)));
            for (name, next) in literals.chain(lists).filter(|(name, _)| !name.is_empty()) {
                names.entry(name).or_default().push(next);
            }
        }
        let of_class: Vec<Vec<usize>> = (0..4)
            .map(|class| {
                let kinds = alive().flat_map(|place| &place.kinds);
                let mut next: Vec<usize> = kinds
                    .filter(|(classes, _)| classes.has(class))
                    .map(|(_, next)| *next)
                    .collect();
                next.sort_unstable();
                next
            })
            .collect();
        let is_literal = |text: &str| names.contains_key(text);
        // The first class that goes nowhere shows what is taken below; where there is none, a doubled slash does.
        let nowhere = [0, 2, 1, 3].into_iter().find(|class| {
            let next = of_class.get(usize::from(*class));
            next.is_some_and(Vec::is_empty)
        });
        let below_path = match nowhere {
            Some(class) => format!("/{}", example(class, &is_literal)),
            None => String::from("//x"),
        };
        if number > 0 {
            self.show(number, "", end, show);
        }
        self.show(number, "/", slash, show);
        self.show(number, &below_path, below.clone(), show);

        let mut children: Vec<(String, Vec<usize>)> = Vec::new();
        for class in [0, 2, 1, 3_u8] {
            let next = of_class
                .get(usize::from(class))
                .cloned()
                .unwrap_or_default();
            if !children.iter().any(|(_, known)| *known == next) {
                children.push((example(class, &is_literal), next));
            }
        }
        for (name, mut next) in names {
            let class = usize::from(class(name.as_bytes()));
            next.extend(of_class.get(class).into_iter().flatten());
            next.sort_unstable();
            next.dedup();
            children.push((name.to_owned(), next));
        }
        for (segment, alive) in children {
            let subset = Subset {
                alive,
                passed: below.clone(),
            };
            let step = Step {
                before: number,
                segment,
            };
            self.go(subset, Some(step));
        }
    }

    fn show(
        &mut self,
        number: usize,
        behind: &str,
        list: Vec<Number>,
        show: &mut dyn FnMut(&[Number], String),
    ) {
        if list.is_empty() || self.seen.contains(&list) {
            return;
        }
        show(&list, self.path(number) + behind);
        self.seen.insert(list);
    }

    /// The path to a state.
    fn path(&self, mut number: usize) -> String {
        let mut segments = Vec::new();
        while let Some((_, Some(step))) = self.states.get(number) {
            segments.push(step.segment.as_str());
            number = step.before;
        }
        let mut path = String::new();
        for segment in segments.into_iter().rev() {
            path.push('/');
            path.push_str(segment);
        }
        path
    }
}
