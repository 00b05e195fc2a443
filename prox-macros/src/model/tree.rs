//! The match tree: the patterns of each host as a trie, made deterministic by subset construction.
//!
//! While a path is walked, several patterns can be alive at once: `/{a}/x` and `/v1/{b}` both are behind `/v1`. A state of
//! the deterministic tree is the set of places in the trie that are alive, with the routes that the walk has passed and
//! that take whatever follows. So each segment of a request is one step, and nothing is ever tried again.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use super::{Methods, Model, Route};
use crate::syntax::pattern::{Class, Kind, Segment, Tail};

/// More states than this mean that patterns overlap in exponentially many ways.
const MOST_STATES: usize = 200_000;

/// The match trees of all hosts, which share their lists of candidates.
pub(crate) struct Forest {
    pub(crate) states: Vec<State>,
    /// The first state of each host, in the order of the hosts that it was made for: all of the model's, or some.
    pub(crate) roots: Vec<usize>,
    /// Routes by number, the most specific first; the first list is empty.
    pub(crate) lists: Vec<Vec<Candidate>>,
    /// The host whose routes overlap in too many ways, if there is one; its tree is empty.
    pub(crate) overflow: Option<usize>,
}

/// What is known after some segments of a path.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// The state behind each literal segment.
    pub(crate) literals: Vec<(String, usize)>,
    /// The states behind other segments of a class, the narrower first.
    pub(crate) kinds: Vec<(Class, usize)>,
    /// The state behind any other segment that is not empty.
    pub(crate) other: Option<usize>,
    /// The list for a path that ends here.
    pub(crate) end: usize,
    /// The list for a path that ends after one more slash.
    pub(crate) slash: usize,
    /// The list for a path that goes on to where no state is.
    pub(crate) more: usize,
}

/// A route in a list, with what has to be asked before it takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Candidate {
    pub(crate) route: usize,
    pub(crate) methods: u32,
    pub(crate) guarded: bool,
}

impl State {
    /// The state behind a segment that is none of the literals.
    pub(crate) fn other(&self, class: Class) -> Option<usize> {
        let kind = self.kinds.iter().find(|(kind, _)| kind.takes(class));
        kind.map(|(_, next)| *next).or(self.other)
    }
}

impl Forest {
    /// Makes the trees of all hosts.
    pub(crate) fn new(model: &Model) -> Self {
        Self::of(model, 0..model.hosts.len())
    }

    /// Makes the trees of these hosts.
    pub(crate) fn of(model: &Model, hosts: Range<usize>) -> Self {
        let order = Order::new(&model.routes);
        let mut tries: Vec<Trie> = hosts.clone().map(|_| Trie::new()).collect();
        for (place, route) in model.routes.iter().enumerate() {
            let trie = route.host.checked_sub(hosts.start);
            let trie = trie.and_then(|host| tries.get_mut(host));
            if let (Some(trie), Some(rank)) = (trie, order.rank(place)) {
                trie.insert(route, rank);
            }
        }
        let mut lists = Lists::new();
        let mut states = Vec::new();
        let mut roots = Vec::new();
        let mut overflow = None;
        for (host, trie) in tries.iter().enumerate() {
            let construction = Construction {
                trie,
                order: &order,
                lists: &mut lists,
                base: states.len(),
                states: Vec::new(),
                subsets: Vec::new(),
                known: HashMap::new(),
            };
            roots.push(states.len());
            states.extend(construction.run().unwrap_or_else(|| {
                overflow.get_or_insert(host);
                vec![State::default()]
            }));
        }
        Self {
            states,
            roots,
            lists: lists.all,
            overflow,
        }
    }

    /// The candidates of a host for a canonical path: what the running tables give.
    pub(crate) fn find(&self, host: usize, path: &str) -> &[Candidate] {
        let list = self
            .roots
            .get(host)
            .map_or(0, |root| self.walk(*root, path));
        self.lists.get(list).map_or(&[], Vec::as_slice)
    }

    fn walk(&self, root: usize, path: &str) -> usize {
        let Some(mut state) = self.states.get(root) else {
            return 0;
        };
        let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
        while let Some(segment) = segments.next() {
            let last = segments.peek().is_none();
            if segment.is_empty() {
                return if last { state.slash } else { state.more };
            }
            let next = state
                .literals
                .iter()
                .find(|(literal, _)| literal == segment)
                .map(|(_, next)| *next)
                .or_else(|| state.other(Class::of(segment)));
            match next.and_then(|next| self.states.get(next)) {
                None => return state.more,
                Some(next) if last => return next.end,
                Some(next) => state = next,
            }
        }
        0
    }
}

/// All routes with a pattern, the most specific first, whatever the path. Among routes that take the same path it is the
/// order in which they are asked: by pattern, then by guard, then by methods. The place in the source decides only where
/// two routes cannot take the same request, or where a guard cannot be decided.
struct Order {
    sorted: Vec<Candidate>,
    ranks: Vec<Option<usize>>,
}

impl Order {
    fn new(routes: &[Route]) -> Self {
        let mut keyed: Vec<_> = routes
            .iter()
            .enumerate()
            .filter_map(|(place, route)| {
                let path = (specificity(route)?, values(route));
                Some((path, route, place))
            })
            .collect();
        keyed.sort_by(|(path, a, place), (other_path, b, other_place)| {
            let any = |route: &Route| route.methods == Methods::ALL;
            path.cmp(other_path)
                .then_with(|| b.accepts.specificity(&a.accepts))
                .then_with(|| any(a).cmp(&any(b)))
                .then(place.cmp(other_place))
        });
        let mut order = Self {
            sorted: Vec::new(),
            ranks: vec![None; routes.len()],
        };
        for (rank, (_, _, place)) in keyed.into_iter().enumerate() {
            if let (Some(route), Some(slot)) = (routes.get(place), order.ranks.get_mut(place)) {
                *slot = Some(rank);
                order.sorted.push(Candidate {
                    route: place,
                    methods: route.methods.0,
                    // A mounted gateway may have no route for a request.
                    guarded: route.guard.is_some() || route.mount.is_some(),
                });
            }
        }
        order
    }

    fn rank(&self, route: usize) -> Option<usize> {
        self.ranks.get(route).copied().flatten()
    }

    fn ends(&self, rank: usize) -> bool {
        self.sorted
            .get(rank)
            .is_some_and(|c| !c.guarded && c.methods == Methods::ALL.0)
    }
}

/// The order in which routes are asked that take the same path, a lower number first; none for a route without a pattern.
pub(crate) fn ranks(routes: &[Route]) -> Vec<Option<usize>> {
    Order::new(routes).ranks
}

/// How many values the lists of a path have: of two paths of which one takes whatever the other takes, that one has more.
fn values(route: &Route) -> usize {
    let segments = route.pattern.iter().flat_map(|pattern| &pattern.segments);
    let values = segments.map(|segment| match segment {
        Segment::Param(_, Kind::OneOf(values)) => values.len(),
        _ => 0,
    });
    values.sum()
}

/// Literal before parameter, of which the narrower goes first, before `{*rest}` before the end of a prefix; exact before all of them.
fn specificity(route: &Route) -> Option<Vec<u8>> {
    let pattern = route.pattern.as_ref()?;
    let mut key: Vec<u8> = pattern
        .segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(_) => 1,
            Segment::Param(_, kind) => kind.rank(),
        })
        .collect();
    key.push(match pattern.tail {
        Tail::Exact => 0,
        Tail::Rest(_) => 7,
        Tail::Prefix => 8,
    });
    Some(key)
}

/// The patterns of one host. Routes are kept by rank.
struct Trie {
    places: Vec<Place>,
}

#[derive(Default)]
struct Place {
    literals: BTreeMap<String, usize>,
    /// By their values, which are sorted.
    lists: BTreeMap<Vec<String>, usize>,
    /// Parameters by their class; any segment is of the widest.
    kinds: BTreeMap<Class, usize>,
    exact: Vec<usize>,
    prefix: Vec<usize>,
    rest: Vec<usize>,
}

impl Trie {
    fn new() -> Self {
        Self {
            places: vec![Place::default()],
        }
    }

    fn insert(&mut self, route: &Route, rank: usize) {
        let Some(pattern) = &route.pattern else {
            return;
        };
        let mut at = 0;
        for segment in &pattern.segments {
            let new = self.places.len();
            let Some(place) = self.places.get_mut(at) else {
                return;
            };
            at = match segment {
                Segment::Literal(text) => *place.literals.entry(text.clone()).or_insert(new),
                Segment::Param(_, Kind::OneOf(values)) => {
                    let mut values = values.clone();
                    values.sort_unstable();
                    *place.lists.entry(values).or_insert(new)
                }
                Segment::Param(_, kind) => {
                    let class = kind.class().unwrap_or(Class::Other);
                    *place.kinds.entry(class).or_insert(new)
                }
            };
            if at == new {
                self.places.push(Place::default());
            }
        }
        if let Some(place) = self.places.get_mut(at) {
            match pattern.tail {
                Tail::Exact => place.exact.push(rank),
                Tail::Prefix => place.prefix.push(rank),
                Tail::Rest(_) => place.rest.push(rank),
            }
        }
    }
}

/// The subset construction for one host.
struct Construction<'a> {
    trie: &'a Trie,
    order: &'a Order,
    lists: &'a mut Lists,
    /// The number of the first state of this host.
    base: usize,
    states: Vec<State>,
    /// What makes each state, by its place in `states`.
    subsets: Vec<Subset>,
    known: HashMap<Subset, usize>,
}

/// What makes a state: the places of the trie that are alive, and the ranks of the routes that take whatever follows.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Subset {
    alive: Vec<usize>,
    passed: Vec<usize>,
}

impl Construction<'_> {
    /// All states, the root first; none if there are too many.
    fn run(mut self) -> Option<Vec<State>> {
        self.number(Subset {
            alive: vec![0],
            passed: Vec::new(),
        });
        let mut done = 0;
        while let Some(subset) = self.subsets.get(done).cloned() {
            if self.states.len() > MOST_STATES {
                return None;
            }
            let state = self.state(&subset);
            if let Some(slot) = self.states.get_mut(done) {
                *slot = state;
            }
            done += 1;
        }
        Some(self.states)
    }

    fn number(&mut self, subset: Subset) -> usize {
        if let Some(number) = self.known.get(&subset) {
            return *number;
        }
        let number = self.base + self.states.len();
        self.states.push(State::default());
        self.subsets.push(subset.clone());
        self.known.insert(subset, number);
        number
    }

    fn state(&mut self, subset: &Subset) -> State {
        let trie = self.trie;
        let alive = || {
            subset
                .alive
                .iter()
                .filter_map(|place| trie.places.get(*place))
        };
        let ranks = |of: fn(&Place) -> &Vec<usize>| alive().flat_map(of).copied();
        let passed = self.merged(&subset.passed, ranks(|place| &place.prefix));
        let below = self.merged(&passed, ranks(|place| &place.rest));
        let end = self.merged(&passed, ranks(|place| &place.exact));
        let slashed = alive()
            .filter_map(|place| trie.places.get(*place.literals.get("")?))
            .flat_map(|place| place.exact.iter().copied());
        let slash = self.merged(&passed, slashed);

        // What a segment of each class goes on to, if it is not a literal.
        let others = Class::ALL.map(|class| {
            let kinds = alive().flat_map(|place| &place.kinds);
            let kinds = kinds.filter(|(kind, _)| kind.takes(class));
            let mut others: Vec<usize> = kinds.map(|(_, next)| *next).collect();
            others.sort_unstable();
            (class, others)
        });
        let [(_, int), (_, uuid), (_, slug), (_, other)] = &others;
        let mut names: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
        for place in alive() {
            let literals = place.literals.iter().map(|(name, next)| (name, *next));
            let lists = place.lists.iter();
            let lists = lists.flat_map(|(names, next)| names.iter().map(|name| (name, *next)));
            for (name, next) in literals.chain(lists).filter(|(name, _)| !name.is_empty()) {
                names.entry(name).or_default().push(next);
            }
        }
        let mut number = |alive: Vec<usize>| {
            self.number(Subset {
                alive,
                passed: below.clone(),
            })
        };
        let mut literals = Vec::new();
        for (name, mut next) in names {
            let class = Class::of(name);
            let of_class = others.iter().filter(|(other, _)| *other == class);
            next.extend(of_class.flat_map(|(_, others)| others));
            next.sort_unstable();
            literals.push((name.clone(), number(next)));
        }
        let mut kind = |alive: &[usize]| (!alive.is_empty()).then(|| number(alive.to_vec()));
        // Each class is asked for only where it leads elsewhere than what is asked after it.
        let mut kinds = Vec::new();
        for (class, next) in [(Class::Int, int), (Class::Uuid, uuid)] {
            if next != slug {
                kinds.extend(kind(next).map(|next| (class, next)));
            }
        }
        if slug != other {
            kinds.extend(kind(slug).map(|next| (Class::Slug, next)));
        }
        let other = kind(other);
        State {
            literals,
            kinds,
            other,
            end: self.lists.number(end, self.order),
            slash: self.lists.number(slash, self.order),
            more: self.lists.number(below, self.order),
        }
    }

    /// The ranks of both, in order, without those behind a route that takes everything.
    fn merged(&self, ranks: &[usize], more: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut all: Vec<usize> = ranks.iter().copied().chain(more).collect();
        all.sort_unstable();
        all.dedup();
        if let Some(last) = all.iter().position(|rank| self.order.ends(*rank)) {
            all.truncate(last + 1);
        }
        all
    }
}

/// Lists of candidates, each once.
struct Lists {
    all: Vec<Vec<Candidate>>,
    known: HashMap<Vec<usize>, usize>,
}

impl Lists {
    fn new() -> Self {
        Self {
            all: vec![Vec::new()],
            known: HashMap::from([(Vec::new(), 0)]),
        }
    }

    fn number(&mut self, ranks: Vec<usize>, order: &Order) -> usize {
        if let Some(number) = self.known.get(&ranks) {
            return *number;
        }
        let number = self.all.len();
        self.all.push(
            ranks
                .iter()
                .filter_map(|rank| order.sorted.get(*rank).copied())
                .collect(),
        );
        self.known.insert(ranks, number);
        number
    }
}
