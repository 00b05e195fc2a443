#!/usr/bin/env python3
"""Measures the match tree that `prox::gateway!` makes against `matchit`, and prints one Markdown table.

It writes a cargo project of gateways with 10 to 10 000 routes, a main function that looks paths up in each, and builds it
with the release profile that every project has. All that look up take turns in rounds, in an order that rotates, over the
same shuffled requests; a time is the median and the least of the rounds, in nanoseconds a lookup.

Before it measures, it checks that Prox's code and its tables give the same lists, and that the path that each request was
made of is the one that wins. `just bench-route` runs it. The project stays, to be read or profiled.
"""

import argparse
import json
import pathlib
import random
import statistics
import subprocess

import github
from github import Project

LEAST_REQUESTS = 1000

MAIN = r"""
//! Looks up requests in gateways; written by tests/peers/route.py.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::HashMap,
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Instant,
};

use matchit::Router;
use prox::__private::{Candidate, Methods, Table};

// GATEWAYS

/// Counts allocations.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A line of the file of requests: host, method and path, and the path of the route that takes it, `-` if none does.
struct Request {
    host: &'static str,
    method: Methods,
    path: &'static str,
    wanted: &'static str,
}

fn requests(text: &'static str) -> Vec<Request> {
    text.lines()
        .map(|line| {
            let [host, method, path, wanted] = *line.split('\t').collect::<Vec<_>>() else { panic!("{line}") };
            Request { host, method: Methods::of(&method.parse().unwrap()), path, wanted }
        })
        .collect()
}

/// matchit knows no hosts, so there is a map of routers, or a router alone where a gateway has no hosts either.
enum Routers {
    One(Router<usize>),
    Hosts(HashMap<&'static str, Router<usize>>),
}

impl Routers {
    /// The routers, and how many paths they refuse. With `prefixes` a path takes what is below it, as Prox's do.
    fn new(routes: prox::Routes, prefixes: bool) -> (Self, usize) {
        let mut hosts: HashMap<&str, Router<usize>> = HashMap::new();
        let mut paths: Vec<_> = routes.iter().map(|route| (route.host, route.path)).collect();
        paths.sort_unstable();
        paths.dedup();
        let mut refused = 0;
        for (number, (host, path)) in paths.into_iter().enumerate() {
            let router = hosts.entry(host).or_default();
            let mut taken = router.insert(path, number).is_ok();
            if prefixes && !path.contains("{*") {
                taken &= router.insert(format!("{path}/{{*rest}}"), number).is_ok();
            }
            refused += usize::from(!taken);
        }
        match hosts.remove("_") {
            Some(router) => (Self::One(router), refused),
            None => (Self::Hosts(hosts), refused),
        }
    }

    #[inline]
    fn find(&self, host: &str, path: &str) -> bool {
        let router = match self {
            Self::One(router) => router,
            Self::Hosts(hosts) => match hosts.get(host) {
                Some(router) => router,
                None => return false,
            },
        };
        black_box(router.at(path)).is_ok()
    }
}

/// Looks all requests up once; gives the nanoseconds for each, and how many were found.
fn pass(requests: &[Request], find: impl Fn(&Request) -> bool) -> (f64, usize) {
    let start = Instant::now();
    let mut found = 0;
    for request in requests {
        found += usize::from(find(black_box(request)));
    }
    (start.elapsed().as_nanos() as f64 / requests.len() as f64, found)
}

fn check(routes: prox::Routes, table: &'static Table, requests: &[Request]) {
    for Request { host, method, path, wanted } in requests {
        let list = table.find(host, path);
        assert_eq!(list, table.find_by_tables(host, path), "{host}{path}");
        let taken = |candidate: &&Candidate| candidate.methods.contains(*method);
        let winner = list.iter().find(taken).map_or("-", |winner| routes[winner.route as usize].path);
        assert_eq!(winner, *wanted, "{host}{path}");
    }
}

fn measure(name: &str, kind: &str, routes: prox::Routes, table: &'static Table, text: &'static str, rounds: usize) {
    let requests = requests(text);
    check(routes, table, &requests);
    let (paths, refused) = Routers::new(routes, false);
    let (prefixes, refused_prefixes) = Routers::new(routes, true);
    let subjects: [&dyn Fn() -> (f64, usize); 4] = [
        &|| pass(&requests, |r| !black_box(table.find(r.host, r.path)).is_empty()),
        &|| pass(&requests, |r| !black_box(table.find_by_tables(r.host, r.path)).is_empty()),
        &|| pass(&requests, |r| paths.find(r.host, r.path)),
        &|| pass(&requests, |r| prefixes.find(r.host, r.path)),
    ];
    // A pass over few requests is over too soon for the clock.
    let passes = (10_000 / requests.len()).max(1);
    let mut times = vec![Vec::new(); subjects.len()];
    let mut found = [0; 4];
    let mut allocations = [0.0; 4];
    for (subject, run) in subjects.iter().enumerate() {
        let before = ALLOCATIONS.load(Relaxed);
        found[subject] = run().1;
        allocations[subject] = (ALLOCATIONS.load(Relaxed) - before) as f64 / requests.len() as f64;
    }
    for round in 0..rounds {
        for turn in 0..subjects.len() {
            let subject = (round + turn) % subjects.len();
            // Without this the one behind matchit's larger trees would find its own out of the cache.
            subjects[subject]();
            let time: f64 = (0..passes).map(|_| subjects[subject]().0).sum();
            times[subject].push(time / passes as f64);
        }
    }
    println!(
        "{{\"name\": {name:?}, \"kind\": {kind:?}, \"requests\": {}, \"times\": {times:?}, \"found\": {found:?}, \
         \"allocations\": {allocations:?}, \"refused\": [{refused}, {refused_prefixes}]}}",
        requests.len(),
    );
}

fn main() {
    let rounds = std::env::args().nth(1).unwrap().parse().unwrap();
// CALLS
}
"""


TABLE = """
impl Gateway {
    pub fn table() -> &'static prox::__private::Table {
        Self::__table()
    }
}
"""


def gateways():
    """What is measured, by its name in the table."""
    counts = {f"{count:_}".replace("_", " "): github.routes(count) for count in (10, 100, 1000, 10_000)}
    return counts | {
        "1 000 siblings": github.siblings(1000),
        "1 000 on 20 hosts": github.on_hosts(1000, 20),
    }


def gateway(routes):
    """A module with a gateway of these routes; all go to one upstream, since only looking up is measured."""
    by_host = {}
    for route in routes:
        by_host.setdefault(route.host, []).append(f'{route.method} "{route.path}" => origin,\n')
    lines = ["prox::gateway! {\n    pub struct Gateway;\n    backend origin = \"http://127.0.0.1:9000\";\n"]
    for host, entries in by_host.items():
        inside = "    ".join(["    ", *entries])
        lines.append(f'    host "{host}" {{\n{inside}    }}\n' if host else inside)
    return "".join([*lines, "}\n", TABLE])


def takes(routes):
    """Says of a host and a path whether a route takes it: the meaning of routes, as simply as it can be written."""
    roots = {}
    for route in routes:
        node = roots.setdefault(route.host, {})
        for segment in route.segments():
            if segment.startswith("{*"):
                node["rest"] = True
                break
            node = node.setdefault("{}" if segment.startswith("{") else segment, {})
        else:
            node["end"] = True

    def taken(host, path):
        nodes = [roots[host]]
        for segment in path[1:].split("/"):
            if any("rest" in node for node in nodes):
                return True
            nodes = [node[key] for node in nodes for key in (segment, "{}") if key in node]
            if any("end" in node for node in nodes):
                return True
        return False

    return taken


def hits(routes):
    """Requests that hit, each route as often as any other."""
    for turn in range(-(-LEAST_REQUESTS // len(routes))):
        yield from (
            (route.host, route.method, github.request_path(route, turn * len(routes) + number), route.path)
            for number, route in enumerate(routes)
        )


def misses(routes):
    """As many that miss: paths of hits that end too soon, or with a letter too many in one of their segments."""
    taken, choose = takes(routes), random.Random(2)
    found, number = [], 0
    while len(found) < max(LEAST_REQUESTS, len(routes)):
        route = routes[number % len(routes)]
        segments = github.request_path(route, number)[1:].split("/")
        place = choose.randrange(len(segments))
        if choose.random() < 0.5:
            segments[place] += "x"
        else:
            segments = segments[: max(place, 1)]
        path = "/" + "/".join(segments)
        if not taken(route.host, path):
            found.append((route.host, route.method, path, "-"))
        number += 1
    return found


def build(options):
    """Writes and builds the project, and gives back its program."""
    project = Project("bench-route", options.prox, 'matchit = "0.9"', options.profile)
    shuffle = random.Random(1).shuffle
    modules, calls = [], []
    for place, (name, routes) in enumerate(gateways().items()):
        module = f"gateway_{place}"
        (project.source / f"{module}.rs").write_text(gateway(routes))
        modules.append(f"mod {module};")
        for kind, requests in (("hit", list(hits(routes))), ("miss", misses(routes))):
            shuffle(requests)
            lines = ["\t".join([host or "api.example.com", *rest]) for host, *rest in requests]
            (project.source / f"{module}_{kind}.txt").write_text("\n".join(lines))
            calls.append(
                f'    measure("{name}", "{kind}", {module}::Gateway::ROUTES, {module}::Gateway::table(), '
                f'include_str!("{module}_{kind}.txt"), rounds);'
            )
    main = MAIN.replace("// GATEWAYS", "\n".join(modules)).replace("// CALLS", "\n".join(calls))
    (project.source / "main.rs").write_text(main)
    project.cargo("build", "--release")
    return pathlib.Path(project.environment["CARGO_TARGET_DIR"]) / "release" / "bench-route"


def ratio(own, other):
    """The median of the ratios within a round."""
    return f"{statistics.median(mine / theirs for mine, theirs in zip(own, other)):.2f}"


def table(results):
    """The Markdown table."""
    lines = [
        "| routes | request | Prox | Prox, tables alone | matchit, the paths alone | matchit, prefixes "
        "| Prox to matchit, the paths alone | to prefixes | allocations a lookup: Prox, matchit "
        "| refused: paths, prefixes |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        cells = [f"{statistics.median(times):.0f} ({min(times):.0f})" for times in result["times"]]
        ratios = [ratio(result["times"][0], result["times"][other]) for other in (2, 3)]
        own, tables, theirs, _ = result["allocations"]
        lines.append(
            f"| {result['name']} | {result['kind']} | {' | '.join(cells)} | {' | '.join(ratios)} "
            f"| {max(own, tables):g}, {theirs:.2g} | {result['refused'][0]}, {result['refused'][1]} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31, help="turns of each (31)")
    parser.add_argument("--prox", type=pathlib.Path, default=github.REPOSITORY / "prox", help="the crate to measure")
    parser.add_argument("--lto", action="store_true", help='with `lto = "fat"` and one codegen unit')
    options = parser.parse_args()
    options.prox = options.prox.resolve()
    options.profile = '[profile.release]\nlto = "fat"\ncodegen-units = 1\n' if options.lto else ""
    program = build(options)
    done = subprocess.run([program, str(options.rounds)], text=True, stdout=subprocess.PIPE, check=True)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    print(table(results))
    leaks = [result for result in results if any(result["allocations"][:2])]
    if leaks:
        raise SystemExit("looking up has allocated")


if __name__ == "__main__":
    main()
