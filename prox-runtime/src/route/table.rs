//! The static match tree: which routes could take a host and a path.
//!
//! The macro makes the tree deterministic, so nothing here backtracks: one probe of a static hash table for each segment
//! of the path. It writes flat lists of integers, which the constant functions of this module turn into structs, because
//! lists are four times as cheap to compile. Hosts of few routes come with the same tree as code ([`Matcher`]).

use std::fmt;

use http::Method;

use super::{
    hosts::{HostNames, Hosts},
    kind::{CLASSES, class},
    methods::Methods,
    mount::Mount,
    segment::{Segments, Step, key_of},
};

/// A route that could take a request, with what has to be asked before it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The place of the route in the gateway's table of routes.
    pub route: u32,
    /// The methods that it takes.
    pub methods: Methods,
    /// Whether its guard has to be asked.
    pub guarded: bool,
}

/// The match tree of one host as code: the number of the list of candidates for a path.
pub type Matcher = fn(&str) -> u32;

/// The match tree of a gateway: host, then path, to the [`Candidate`]s, the most specific first.
#[derive(Clone, Copy)]
pub struct Table {
    text: &'static str,
    nodes: &'static [Node],
    edges: &'static [Edge],
    trees: &'static [Tree],
    lists: &'static [u32],
    candidates: &'static [Candidate],
    own: &'static [&'static str],
    kinds: &'static [u32],
    slashes: &'static [u32],
    listeners: &'static [(&'static str, Table)],
    mounts: &'static [Mount],
    host_names: HostNames,
}

impl Table {
    /// Puts together what the functions of this module made.
    ///
    /// The first node has the exact hosts as its children, the second the suffixes of hosts; their children are trees,
    /// counted from 1. The last tree is that of every other host.
    pub const fn new(
        text: &'static str,
        nodes: &'static [Node],
        edges: &'static [Edge],
        trees: &'static [Tree],
        lists: &'static [u32],
        candidates: &'static [Candidate],
    ) -> Self {
        Self {
            text,
            nodes,
            edges,
            trees,
            lists,
            candidates,
            own: &[],
            kinds: &[],
            slashes: &[],
            listeners: &[],
            mounts: &[],
            host_names: (&[], &[]),
        }
    }

    /// The same table for a gateway that names these methods beyond the nine, the lowest bit first.
    #[must_use]
    pub const fn with_methods(mut self, own: &'static [&'static str]) -> Self {
        self.own = own;
        self
    }

    /// The same table for a gateway with parameters of a [kind](class): four nodes for each row, one for each class of segments.
    #[must_use]
    pub const fn with_kinds(mut self, kinds: &'static [u32]) -> Self {
        self.kinds = kinds;
        self
    }

    /// The same table for a gateway with these routes whose targets take paths with an encoded slash; only [`explain`](crate::explain)
    /// reads it.
    #[must_use]
    pub const fn with_slashes(mut self, routes: &'static [u32]) -> Self {
        self.slashes = routes;
        self
    }

    /// The same table for a gateway with routes for these listeners alone: they are asked before those of this table.
    #[must_use]
    pub const fn with_listeners(mut self, listeners: &'static [(&'static str, Self)]) -> Self {
        self.listeners = listeners;
        self
    }

    /// The same table for a gateway with hosts from variables: the hosts that are written in it, and the variables.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_host_names(mut self, names: HostNames) -> Self {
        self.host_names = names;
        self
    }

    /// The hosts that are written in the gateway, and the variables; both are empty where no host is a variable.
    pub(super) fn host_names(&self) -> HostNames {
        self.host_names
    }

    /// This table, and those of its listeners.
    pub(super) fn with_tables_of_listeners(&'static self) -> impl Iterator<Item = &'static Self> {
        std::iter::once(self).chain(self.listeners.iter().map(|(_, table)| table))
    }

    /// The names of the listeners that have routes of their own.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = &'static str> {
        let mut all: Vec<&'static str> = self.listeners.iter().map(|(name, _)| *name).collect();
        self.listeners_of_mounts(&mut all);
        all.into_iter()
    }

    /// Adds the names of listeners that have routes in mounted gateways.
    fn listeners_of_mounts(&self, all: &mut Vec<&'static str>) {
        for table in self.mounts.iter().map(Mount::table) {
            for (name, _) in table.listeners {
                if !all.contains(name) {
                    all.push(name);
                }
            }
            table.listeners_of_mounts(all);
        }
    }

    /// The routes for the listener of this name alone, if there are any, with the name.
    #[inline]
    pub(crate) fn of_listener(&self, name: Option<&str>) -> Option<&'static (&'static str, Self)> {
        if self.listeners.is_empty() {
            return None;
        }
        let name = name?;
        self.listeners.iter().find(|(other, _)| *other == name)
    }

    /// The same table for a gateway in which these are mounted.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_mounts(mut self, mounts: &'static [Mount]) -> Self {
        self.mounts = mounts;
        self
    }

    pub(super) const fn mounts(&self) -> &'static [Mount] {
        self.mounts
    }

    /// Whether the target of a route takes paths with an encoded slash.
    pub(crate) fn takes_slashes(&self, route: u32) -> bool {
        match self.owner(route) {
            (Some(mounted), row) => mounted.takes_slashes(row),
            (None, row) => self.slashes.contains(&row),
        }
    }

    /// The methods beyond the nine that the gateway names.
    pub const fn own_methods(&self) -> &'static [&'static str] {
        self.own
    }

    /// The set of one method.
    #[inline]
    pub fn method(&self, method: &Method) -> Methods {
        Methods::of_named(method, self.own)
    }

    /// All routes that could take this host and path, the most specific first.
    ///
    /// `host` is lower case, without port and trailing dot, empty if there is none; `path` is canonical. The list ends after
    /// the first route that has no guard and takes every method, and is empty when no route takes the path.
    #[inline]
    pub fn find(&self, host: &str, path: &str) -> &'static [Candidate] {
        self.tree(host)
            .map_or(&[], |tree| self.list(self.number(tree, path)))
    }

    /// As [`find`](Self::find), but by the tables alone, whether or not the host's tree is also there as code.
    pub fn find_by_tables(&self, host: &str, path: &str) -> &'static [Candidate] {
        self.tree(host)
            .map_or(&[], |tree| self.list(self.walk(tree.root, path)))
    }

    /// As [`find`](Self::find), where the tables have these hosts.
    pub(crate) fn find_among(&self, hosts: &Hosts, host: &str, path: &str) -> &'static [Candidate] {
        self.tree_among(Some(hosts), host)
            .map_or(&[], |tree| self.list(self.number(tree, path)))
    }

    fn tree_among(&self, hosts: Option<&Hosts>, host: &str) -> Option<&'static Tree> {
        match hosts.and_then(|hosts| hosts.of(self)) {
            Some(named) => self.numbered_tree(named.tree(host)),
            None => self.tree(host),
        }
    }

    /// The number of the tree of a name that the table is written with.
    pub(super) fn tree_of_name(&self, name: &str) -> Option<u32> {
        match name.strip_prefix("*.") {
            Some(suffix) => self.child(self.nodes.get(1)?, suffix.as_bytes()),
            None => self.exact_host(name),
        }
    }

    /// The routes for the slash behind the prefix that the gateway is mounted at: its prefixes at the root, and no `exact "/"`.
    pub(super) fn find_slash(&self, hosts: Option<&Hosts>, host: &str) -> &'static [Candidate] {
        let root = self.tree_among(hosts, host).map(|tree| tree.root as usize);
        let root = root.and_then(|root| self.nodes.get(root));
        root.map_or(&[], |root| self.list(root.end))
    }

    #[inline]
    fn tree(&self, host: &str) -> Option<&'static Tree> {
        match self.trees {
            [only] => Some(only),
            _ => self.tree_of(host),
        }
    }

    fn tree_of(&self, host: &str) -> Option<&'static Tree> {
        let number = self.exact_host(host).or_else(|| self.suffix_host(host));
        self.numbered_tree(number)
    }

    /// The tree with this number; without a number that of every other host.
    fn numbered_tree(&self, number: Option<u32>) -> Option<&'static Tree> {
        match number {
            Some(number) => self.trees.get((number as usize).checked_sub(1)?),
            None => self.trees.last(),
        }
    }

    fn exact_host(&self, host: &str) -> Option<u32> {
        self.child(self.nodes.first()?, host.as_bytes())
    }

    /// The longest suffix is the one after the first dot.
    fn suffix_host(&self, host: &str) -> Option<u32> {
        let node = self.nodes.get(1)?;
        if node.mask == 0 {
            return None;
        }
        let bytes = host.as_bytes();
        (1..bytes.len())
            .filter(|at| bytes.get(*at) == Some(&b'.'))
            .find_map(|dot| self.child(node, bytes.get(dot + 1..)?))
    }

    fn number(&self, tree: &Tree, path: &str) -> u32 {
        match tree.code {
            Some(code) => code(path),
            None => self.walk(tree.root, path),
        }
    }

    fn walk(&self, root: u32, path: &str) -> u32 {
        let mut segments = Segments::new(path);
        let Some(mut node) = self.nodes.get(root as usize) else {
            return 0;
        };
        loop {
            let Step { key, segment, last } = segments.step();
            if segment.is_empty() {
                return if last { node.slash } else { node.more };
            }
            let next = self.probe(node, key, segment).unwrap_or(node.other);
            let child = match self.nodes.get(next as usize) {
                Some(child) if next != NONE => child,
                _ => match self.of_class(next, segment) {
                    Some(child) => child,
                    None => return node.more,
                },
            };
            if last {
                return child.end;
            }
            node = child;
        }
    }

    /// The child for a segment by its class, where it matters.
    fn of_class(&self, next: u32, segment: &[u8]) -> Option<&'static Node> {
        if next & TYPED == 0 {
            return None;
        }
        let row = (next & !TYPED) as usize * CLASSES;
        let next = *self.kinds.get(row + usize::from(class(segment)))?;
        self.nodes.get(next as usize).filter(|_| next != NONE)
    }

    /// Whether no route behind these could take anything.
    pub(crate) fn is_decided(candidates: &[Candidate]) -> bool {
        let last = candidates.last();
        last.is_some_and(|last| !last.guarded && last.methods == Methods::ALL)
    }

    fn list(&self, number: u32) -> &'static [Candidate] {
        let number = number as usize;
        match (self.lists.get(number), self.lists.get(number + 1)) {
            (Some(start), Some(end)) => self
                .candidates
                .get(*start as usize..*end as usize)
                .unwrap_or(&[]),
            _ => &[],
        }
    }

    fn child(&self, node: &Node, name: &[u8]) -> Option<u32> {
        self.probe(node, key_of(name), name)
    }

    #[inline]
    fn probe(&self, node: &Node, key: u64, name: &[u8]) -> Option<u32> {
        if node.mask == 0 {
            return None;
        }
        // The shift leaves as many bits as the mask has.
        let mut slot = u32::try_from(hash(key, name, node.multiplier) >> node.shift).unwrap_or(0);
        // Every node's part of the edges has an empty slot, so that the loop ends.
        loop {
            let place = (node.slots + (slot & node.mask)) as usize;
            let edge = self.edges.get(place)?;
            if edge.next == NONE {
                return None;
            }
            if edge.key == key && edge.len as usize == name.len() && self.is_text(edge, name) {
                return Some(edge.next);
            }
            slot += 1;
        }
    }

    #[inline]
    fn is_text(&self, edge: &Edge, name: &[u8]) -> bool {
        if name.len() <= 8 {
            return true;
        }
        let start = edge.text as usize;
        let Some(text) = self.text.as_bytes().get(start..start + name.len()) else {
            return false;
        };
        same(text, name)
    }
}

/// Whether two texts of one length, more than eight bytes with the same first eight, are equal: without a call of
/// `memcmp`, which takes longer than the rest of a step.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    let word = |chunk: &[u8; 8]| u64::from_le_bytes(*chunk);
    let (Some(x), Some(y)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return false;
    };
    if word(x) != word(y) {
        return false;
    }
    if b.len() <= 16 {
        return true;
    }
    let (a, _) = a.as_chunks::<8>();
    let (b, _) = b.as_chunks::<8>();
    a.iter().zip(b).skip(1).all(|(x, y)| word(x) == word(y))
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("nodes", &self.nodes.len())
            .field("trees", &self.trees.len())
            .finish_non_exhaustive()
    }
}

/// No child: the first node is that of the hosts, to which nothing leads.
const NONE: u32 = 0;

/// Marks the row of a node whose other segments differ by their class.
const TYPED: u32 = 1 << 31;

/// A state of the deterministic tree: what is known after some segments of the path.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    slots: u32,
    mask: u32,
    shift: u32,
    multiplier: u64,
    other: u32,
    end: u32,
    slash: u32,
    more: u32,
}

/// A child of a node, by the literal text that leads to it.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    key: u64,
    len: u32,
    text: u32,
    next: u32,
}

/// The tree of one host.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    root: u32,
    code: Option<Matcher>,
}

impl Tree {
    /// A tree that is walked by tables from this node, or by code if there is any.
    pub const fn new(root: u32, code: Option<Matcher>) -> Self {
        Self { root, code }
    }
}

/// Nodes from seven integers each: first slot, number of slots, seed of the hash, child for any other segment (or the row of
/// [kinds](Table::with_kinds), with the highest bit set), and the
/// lists for a path that ends here, that ends after a further slash, and that goes on to where no child is.
pub const fn nodes<const N: usize>(flat: &[u32]) -> [Node; N] {
    let mut nodes = [Node {
        slots: 0,
        mask: 0,
        shift: 0,
        multiplier: 0,
        other: NONE,
        end: 0,
        slash: 0,
        more: 0,
    }; N];
    let mut n = 0;
    while n < N {
        let at = n * 7;
        let size = flat[at + 1];
        nodes[n] = Node {
            slots: flat[at],
            mask: size.saturating_sub(1),
            shift: if size < 2 {
                0
            } else {
                64 - size.trailing_zeros()
            },
            multiplier: multiplier(flat[at + 2]),
            other: flat[at + 3],
            end: flat[at + 4],
            slash: flat[at + 5],
            more: flat[at + 6],
        };
        n += 1;
    }
    nodes
}

/// Edges from five integers each: the low and the high half of the key, the length, the place in the text, the next node.
pub const fn edges<const N: usize>(flat: &[u32]) -> [Edge; N] {
    let mut edges = [Edge {
        key: 0,
        len: 0,
        text: 0,
        next: NONE,
    }; N];
    let mut n = 0;
    while n < N {
        let at = n * 5;
        edges[n] = Edge {
            key: flat[at] as u64 | (flat[at + 1] as u64) << 32,
            len: flat[at + 2],
            text: flat[at + 3],
            next: flat[at + 4],
        };
        n += 1;
    }
    edges
}

/// Candidates from two integers each: the route, and the bits of its methods with the guard as the highest bit.
pub const fn candidates<const N: usize>(flat: &[u32]) -> [Candidate; N] {
    let mut candidates = [Candidate {
        route: 0,
        methods: Methods::NONE,
        guarded: false,
    }; N];
    let mut n = 0;
    while n < N {
        let bits = flat[n * 2 + 1];
        candidates[n] = Candidate {
            route: flat[n * 2],
            methods: Methods::from_bits(bits),
            guarded: bits >> 31 != 0,
        };
        n += 1;
    }
    candidates
}

/// The macro chooses the seed so that the children of a node spread well; it has the same two functions.
const fn multiplier(seed: u32) -> u64 {
    let mut x = (seed as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) | 1
}

#[inline]
fn hash(key: u64, name: &[u8], multiplier: u64) -> u64 {
    let tail = match name.last_chunk::<8>() {
        Some(tail) => u64::from_le_bytes(*tail).rotate_left(29),
        None => 0,
    };
    ((key ^ tail).wrapping_add(name.len() as u64)).wrapping_mul(multiplier)
}

/// That whole gateways are found as the rules say is tested where the tables are made, in the macro's crate.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_finds_nothing() {
        let table = Table::new("", &[], &[], &[], &[], &[]);
        assert!(table.find("a.b", "/").is_empty());
        assert!(table.find("", "").is_empty());
    }

    #[test]
    fn a_tree_as_code_is_asked_before_the_tables() {
        static NODES: [Node; 3] = nodes(&[
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1,
        ]);
        static CANDIDATES: [Candidate; 2] = candidates(&[7, 0x7fff_ffff, 8, 0x8000_0001]);
        static TREES: [Tree; 1] = [Tree::new(2, Some(|_| 2))];
        let table = Table::new("", &NODES, &[], &TREES, &[0, 0, 1, 2], &CANDIDATES);
        assert_eq!(table.find_by_tables("", "/x")[0].route, 7);
        let [by_code] = table.find("", "/x") else {
            panic!("one candidate");
        };
        assert!(by_code.guarded);
        assert_eq!(by_code.methods.to_string(), "GET");
    }
}
