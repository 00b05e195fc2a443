//! The match trees as flat lists of integers, which the runtime's constant functions turn into static tables.

use std::collections::HashMap;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote_spanned;

use super::{Context, matcher, mounts};
use crate::{
    check::slashes,
    model::{
        Host,
        tree::{Forest, State},
    },
    syntax::{host::HostName, pattern::Class},
};

/// No child: the first node is that of the hosts, to which nothing leads.
const NONE: u32 = 0;

/// Marks the row of a node whose other segments differ by their class.
const TYPED: u32 = 1 << 31;

/// All tables of a gateway. What stands in each list is described where the runtime reads it.
#[derive(Default)]
pub(crate) struct Flat {
    pub(crate) text: String,
    pub(crate) nodes: Vec<u32>,
    pub(crate) edges: Vec<u32>,
    /// The first node of each tree; the last tree is that of every other host.
    pub(crate) trees: Vec<u32>,
    pub(crate) lists: Vec<u32>,
    pub(crate) candidates: Vec<u32>,
    /// The nodes behind segments that are no literals, by their class.
    pub(crate) kinds: Vec<u32>,
}

impl Flat {
    pub(crate) const NODE: usize = 7;
    pub(crate) const EDGE: usize = 5;
    pub(crate) const CANDIDATE: usize = 2;

    /// The tables of these hosts and trees.
    pub(crate) fn new(hosts: &[Host], forest: &Forest) -> Self {
        let mut flat = Builder::default();
        let mut exact = Vec::new();
        let mut suffixes = Vec::new();
        // The first host of the model is every other, whose tree is the last here.
        for (tree, host) in hosts.iter().skip(1).enumerate() {
            for (name, _) in host.known() {
                match name {
                    HostName::Exact(name) => exact.push((name.as_str(), count(tree + 1))),
                    HostName::Suffix(name) => suffixes.push((name.as_str(), count(tree + 1))),
                }
            }
        }
        flat.hosts(&exact);
        flat.hosts(&suffixes);
        for state in &forest.states {
            flat.state(state);
        }
        let mut flat = flat.flat;
        let roots = forest.roots.iter().map(|root| node_number(*root));
        flat.trees = roots.clone().skip(1).chain(roots.take(1)).collect();
        for list in &forest.lists {
            flat.lists
                .push(count(flat.candidates.len() / Self::CANDIDATE));
            for candidate in list {
                let guard = u32::from(candidate.guarded) << 31;
                flat.candidates
                    .extend([count(candidate.route), candidate.methods | guard]);
            }
        }
        flat.lists
            .push(count(flat.candidates.len() / Self::CANDIDATE));
        flat
    }
}

/// The first two nodes are those of the hosts.
fn node_number(state: usize) -> u32 {
    count(state + 2)
}

/// Nothing in a gateway comes near this bound, which is far above that of the states.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[derive(Default)]
struct Builder {
    flat: Flat,
    /// Where in the text a long name is.
    places: HashMap<String, u32>,
}

impl Builder {
    fn hosts(&mut self, names: &[(&str, u32)]) {
        let (slots, size, seed) = self.children(names);
        self.flat.nodes.extend([slots, size, seed, NONE, 0, 0, 0]);
    }

    fn state(&mut self, state: &State) {
        let children: Vec<(&str, u32)> = state
            .literals
            .iter()
            .map(|(name, next)| (name.as_str(), node_number(*next)))
            .collect();
        let (slots, size, seed) = self.children(&children);
        let other = if state.kinds.is_empty() {
            state.other.map_or(NONE, node_number)
        } else {
            let row = count(self.flat.kinds.len() / Class::ALL.len());
            let next = Class::ALL.map(|class| state.other(class).map_or(NONE, node_number));
            self.flat.kinds.extend(next);
            row | TYPED
        };
        self.flat.nodes.extend([
            slots,
            size,
            seed,
            other,
            count(state.end),
            count(state.slash),
            count(state.more),
        ]);
    }

    /// Puts the children of a node into a hash table of their own: where it starts, its size and its seed.
    fn children(&mut self, children: &[(&str, u32)]) -> (u32, u32, u32) {
        let start = count(self.flat.edges.len() / Flat::EDGE);
        if children.is_empty() {
            return (start, 0, 0);
        }
        // A table that is half empty has short ways; small ones can afford more room for having one slot a child.
        let mut size = (children.len() * 2).next_power_of_two();
        let (clashes, mut seed) = best_seed(children, size);
        if clashes > 0 && children.len() <= 16 {
            size *= 2;
            (_, seed) = best_seed(children, size);
        }
        let mut slots: Vec<Option<(&str, u32)>> = vec![None; size];
        for child in children {
            let mut slot = slot(child.0, seed, size);
            while let Some(Some(_)) = slots.get(slot % size) {
                slot += 1;
            }
            if let Some(free) = slots.get_mut(slot % size) {
                *free = Some(*child);
            }
        }
        for slot in slots {
            match slot {
                None => self.flat.edges.extend([0, 0, 0, 0, NONE]),
                Some((name, next)) => {
                    let [low, high] = halves(key(name.as_bytes()));
                    let text = self.text(name);
                    self.flat
                        .edges
                        .extend([low, high, count(name.len()), text, next]);
                }
            }
        }
        (start, count(size), seed)
    }

    /// The place of a name in the text; short ones are in their key.
    fn text(&mut self, name: &str) -> u32 {
        if name.len() <= 8 {
            return 0;
        }
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = count(self.flat.text.len());
        self.flat.text.push_str(name);
        self.places.insert(name.to_owned(), place);
        place
    }
}

/// How many children share a slot with another under the best seed, and that seed.
fn best_seed(children: &[(&str, u32)], size: usize) -> (usize, u32) {
    let tries: u32 = if children.len() <= 64 { 64 } else { 4 };
    let mut best = (usize::MAX, 0);
    let mut taken = vec![u32::MAX; size];
    for seed in 0..tries {
        let mut clashes = 0;
        for (name, _) in children {
            match taken.get_mut(slot(name, seed, size)) {
                Some(last) if *last != seed => *last = seed,
                _ => clashes += 1,
            }
        }
        best = best.min((clashes, seed));
        if clashes == 0 {
            break;
        }
    }
    best
}

/// The slot of a name, which is less than `size`, a power of two from 2 on.
fn slot(name: &str, seed: u32, size: usize) -> usize {
    usize::try_from(hash(name, seed) >> (64 - size.trailing_zeros())).unwrap_or(0)
}

/// The first eight bytes as a little-endian number. This and the next two are the runtime's own functions, which the
/// crate must not depend on; a test holds them equal.
pub(crate) fn key(name: &[u8]) -> u64 {
    let mut word = [0; 8];
    for (slot, byte) in word.iter_mut().zip(name) {
        *slot = *byte;
    }
    u64::from_le_bytes(word)
}

fn hash(name: &str, seed: u32) -> u64 {
    let bytes = name.as_bytes();
    let tail = bytes
        .last_chunk::<8>()
        .map_or(0, |tail| u64::from_le_bytes(*tail).rotate_left(29));
    (key(bytes) ^ tail)
        .wrapping_add(bytes.len() as u64)
        .wrapping_mul(multiplier(seed))
}

fn multiplier(seed: u32) -> u64 {
    let mut x = u64::from(seed).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) | 1
}

fn halves(key: u64) -> [u32; 2] {
    let half = |part: u64| u32::try_from(part & 0xffff_ffff).unwrap_or(0);
    [half(key), half(key >> 32)]
}

/// The static `Table` as an expression.
pub(super) fn table(context: &Context<'_>) -> TokenStream {
    let model = context.model;
    let span = Span::mixed_site();
    let own = &model.own_methods;
    let krate = &context.krate;
    let mounted = mounted(context);
    let own = match &mounted {
        Some(_) => Some(
            quote_spanned!(span=> .with_methods(#krate::__private::mounted_methods_of!([#(#own),*], MOUNTS))),
        ),
        None => (!own.is_empty()).then(|| quote_spanned!(span=> .with_methods(&[#(#own),*]))),
    };
    let mounts = mounted
        .as_ref()
        .map(|_| quote_spanned!(span=> .with_mounts(MOUNTS)));
    let routes = model.routes.iter().enumerate();
    let takes = routes.filter(|(_, route)| {
        let target = route.target.as_ref();
        target.and_then(|target| slashes::takes(model, target)) == Some(true)
    });
    let takes: Vec<u32> = takes
        .map(|(place, _)| u32::try_from(place).unwrap_or(u32::MAX))
        .collect();
    let list = integers(&takes);
    let slashes = (!takes.is_empty()).then(|| quote_spanned!(span=> .with_slashes(&[#list])));
    if model.ons.is_empty() {
        let table = trees(context, &model.hosts, context.forest);
        return quote_spanned!(span=> { #mounted #table #own #slashes #mounts });
    }
    let mut tables = model.tables().into_iter().map(|hosts| {
        let forest = Forest::of(model, hosts.clone());
        let hosts = model.hosts.get(hosts).unwrap_or_default();
        trees(context, hosts, &forest)
    });
    let table = tables.next();
    let names = model.ons.iter().map(|on| &on.name.value);
    let listeners = names.zip(tables);
    let listeners = listeners.map(|(name, table)| quote_spanned!(span=> (#name, #table)));
    let count = Literal::usize_unsuffixed(model.ons.len());
    quote_spanned!(span=> {
        #mounted
        static LISTENERS: [(&str, #krate::__private::Table); #count] = [#(#listeners),*];
        #table #own #slashes #mounts .with_listeners(&LISTENERS)
    })
}

/// The constant with the mounts, if there are any.
fn mounted(context: &Context<'_>) -> Option<TokenStream> {
    let krate = &context.krate;
    let mounts = mounts::list(context)?;
    let count = Literal::usize_unsuffixed(mounts.len());
    Some(quote_spanned!(Span::mixed_site()=>
        const MOUNTS: &[#krate::__private::Mount] = &#krate::__private::mounts::<#count>([#(#mounts),*]);
    ))
}

/// The table of these hosts, which the forest was made for.
fn trees(context: &Context<'_>, hosts: &[Host], forest: &Forest) -> TokenStream {
    let krate = &context.krate;
    let flat = Flat::new(hosts, forest);
    let span = Span::mixed_site();
    let text = &flat.text;
    let count = |list: &[u32], each: usize| Literal::usize_unsuffixed(list.len() / each);
    let (nodes, node_count) = (integers(&flat.nodes), count(&flat.nodes, Flat::NODE));
    let (edges, edge_count) = (integers(&flat.edges), count(&flat.edges, Flat::EDGE));
    let candidates = integers(&flat.candidates);
    let candidate_count = count(&flat.candidates, Flat::CANDIDATE);
    let lists = integers(&flat.lists);
    // As in the flat list: every other host comes last.
    let mut matchers = matcher::matchers(context, forest);
    if !matchers.is_empty() {
        matchers.rotate_left(1);
    }
    let mounts = mounts::list(context);
    let mounted = mounted(context);
    let read = Ident::new(
        if mounts.is_some() {
            "mounted_candidates"
        } else {
            "candidates"
        },
        span,
    );
    let list_of_mounts = mounts.map(|_| quote_spanned!(span=> , MOUNTS));
    let kinds = integers(&flat.kinds);
    let kinds = (!flat.kinds.is_empty()).then(|| quote_spanned!(span=> .with_kinds(&[#kinds])));
    let names = host_names(hosts);
    let functions = matchers.iter().flatten().map(|(_, function)| function);
    let trees = flat.trees.iter().zip(&matchers).map(|(root, matcher)| {
        let root = Literal::u32_unsuffixed(*root);
        let code = if let Some((name, _)) = matcher {
            quote_spanned!(span=> ::core::option::Option::Some(#name))
        } else {
            quote_spanned!(span=> ::core::option::Option::None)
        };
        quote_spanned!(span=> #krate::__private::Tree::new(#root, #code))
    });
    quote_spanned!(span=> {
        #(#functions)*
        static NODES: [#krate::__private::Node; #node_count] = #krate::__private::nodes(&[#nodes]);
        static EDGES: [#krate::__private::Edge; #edge_count] = #krate::__private::edges(&[#edges]);
        #mounted
        static CANDIDATES: [#krate::__private::Candidate; #candidate_count] =
            #krate::__private::#read(&[#candidates] #list_of_mounts);
        #krate::__private::Table::new(
            #text,
            &NODES,
            &EDGES,
            &[#(#trees),*],
            &[#lists],
            &CANDIDATES,
        ) #kinds #names
    })
}

/// The hosts that are written in the blocks, and the variables, each with the number of its tree; none without variables.
fn host_names(hosts: &[Host]) -> Option<TokenStream> {
    if hosts.iter().all(|host| host.variables.is_empty()) {
        return None;
    }
    let span = Span::mixed_site();
    let blocks = || {
        let blocks = hosts.iter().enumerate().skip(1);
        blocks.map(|(tree, host)| (Literal::usize_unsuffixed(tree), host))
    };
    let written = blocks().flat_map(|(tree, host)| {
        let names = host.names.iter().map(|(_, text)| &text.value);
        names.map(move |name| quote_spanned!(span=> (#name, #tree)))
    });
    let variables = blocks().flat_map(|(tree, host)| {
        let names = host.variables.iter().map(ToString::to_string);
        names.map(move |name| quote_spanned!(span=> (#name, #tree)))
    });
    Some(quote_spanned!(span=> .with_host_names((&[#(#written),*], &[#(#variables),*]))))
}

fn integers(list: &[u32]) -> TokenStream {
    let literals = list.iter().map(|number| Literal::u32_unsuffixed(*number));
    quote_spanned!(Span::mixed_site()=> #(#literals),*)
}
