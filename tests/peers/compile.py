#!/usr/bin/env python3
"""Measures what compiling a gateway costs, by its number of routes, and prints one Markdown table.

It writes a cargo project with a gateway of GitHub's shapes: each route has one of eight chains of layers, and goes to one of
eight backends or to a handler, a redirect or a fixed answer. Its dependencies are built before. Then it touches the source
and asks cargo for `check`, `build` and `build --release`, without what the compiler keeps from the last time (`CARGO_INCREMENTAL=0`), and for
`check` with it after an edit of one route, which is what one waits for while writing. Times are medians.

`--auth` measures what `require auth;` costs: the same gateway with it and without it, in which each route has a layer that says who may
enter.

The expansion is what `rustc -Ztime-passes` says of `macro_expand_crate`, less what it says of a gateway of one route; the
compiler is asked for it with `RUSTC_BOOTSTRAP=1` in a run of its own. It has the macro's own work, which is unoptimised
as in every build, and the parsing of what the macro has written. `just bench-compile` runs it.
"""

import argparse
import dataclasses
import pathlib
import re
import resource
import shlex
import statistics
import subprocess
import sys
import time

import github
from github import Project

MOST_CHECK_MS = 2.0
MOST_EXPANSION_SECONDS = 0.5
# What a release build compiles of a gateway of one route: the gateway, and not the server below it.
MOST_RELEASE_SECONDS = 4.0
EMPTY = "1"
FEWEST = 100

HEAD = """//! A gateway; written by tests/peers/compile.py.

use prox::{Next, Request, Response, middleware::{RateLimit, RequestId}};

async fn auth(req: Request, next: Next) -> Response {
    next.run(req).await
}

"""

HANDLER = "async fn {name}(_: Request) -> &'static str {{\n    \"{name}\"\n}}\n\n"

GATEWAY = """prox::gateway! {{
    /// Written by a program.
    pub struct Edge;

    env RATE: u32 = 100;

    let limit = RateLimit::per_second(RATE).burst(20);
    let id = RequestId::new();

{auth}{backends}
{routes}}}

fn main() -> prox::Result {{
    prox::run(Edge::new())
}}
"""

BACKENDS = [f"backend_{name}" for name in github.AREAS[:8]]
LAYERS = ["auth", "limit", "id", "id, auth", "id, limit", "auth, limit", "id, auth, limit"]
CHAINS = ["", *(f" with [{layers}]" for layers in LAYERS)]
# Each of them says who may enter.
GUARDS = ["callers", "public", "id, callers", "limit, callers", "callers, auth", "id, limit, callers", "public, limit"]
GUARDED = [f" with [{layers}]" for layers in [*GUARDS, 'callers, prox::middleware::Require::scope("orders")']]
CALLERS = "    let callers = prox::middleware::ClientCerts::any();\n\n"


def target(place, handlers):
    """The target of a route: of ten, seven go to a backend."""
    if handlers:
        return f"handler(h{place})"
    backend = BACKENDS[place % len(BACKENDS)]
    kind = place % 10
    if kind < 5:
        return backend
    if kind < 7:
        return f"{backend}.timeout({1 + place % 7}s)"
    return ["handler(hello)", f'redirect(308, "/moved/{place}")', 'respond(410, "gone")'][kind - 7]


def source(routes, handlers, chains=CHAINS, auth=""):
    """The source of a gateway of these routes, each with a handler of its own if `handlers`."""
    names = [f"h{place}" for place in range(len(routes))] if handlers else ["hello"]
    functions = "".join(HANDLER.format(name=name) for name in names)
    backends = [
        f'    backend {name} = cluster(rr, ["http://10.0.{place}.1:8080", "http://10.0.{place}.2:8080"]).timeout(5s);\n'
        for place, name in enumerate(BACKENDS)
    ]
    lines = [
        f'    {route.method} "{route.path}" => {target(place, handlers)}{chains[place % len(chains)]},\n'
        for place, route in enumerate(routes)
    ]
    return HEAD + functions + GATEWAY.format(auth=auth, backends="".join(backends), routes="".join(lines))


@dataclasses.dataclass
class Cost:
    """Seconds on the clock and of CPU time."""

    wall: float
    cpu: float


@dataclasses.dataclass
class Subject:
    """A gateway that is compiled, with what was measured of it."""

    routes: int
    text: str
    check: list = dataclasses.field(default_factory=list)
    build: list = dataclasses.field(default_factory=list)
    release: list = dataclasses.field(default_factory=list)
    edit: list = dataclasses.field(default_factory=list)
    expansion: list = dataclasses.field(default_factory=list)

    def middle(self, what, field):
        """The median of one field of one list of costs."""
        return statistics.median(getattr(cost, field) for cost in getattr(self, what))


def cost(project, *arguments, **environment):
    """What cargo costs, with the source touched before."""
    (project.source / "main.rs").touch()
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    project.cargo(*arguments, **environment)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def compiler(project):
    """The call of rustc by which cargo checks the gateway: its arguments and the variables before them."""
    (project.source / "main.rs").touch()
    printed = project.cargo("check", "-v", CARGO_INCREMENTAL="0")
    words = shlex.split(re.findall(r"Running `(.*)`", printed)[-1])
    first = next(place for place, word in enumerate(words) if "=" not in word)
    return words[first:], dict(word.split("=", 1) for word in words[:first])


def expansion(project, call):
    """The seconds of rustc for expanding the macros of the gateway."""
    arguments, variables = call
    arguments = [word for word in arguments if not word.startswith(("--error-format", "--json"))]
    done = subprocess.run(
        [*arguments, "-Ztime-passes"],
        cwd=project.directory,
        env=project.environment | variables | {"RUSTC_BOOTSTRAP": "1"},
        text=True,
        capture_output=True,
        check=True,
    )
    return float(re.search(r"time:\s+([\d.]+).*\smacro_expand_crate$", done.stdout + done.stderr, re.MULTILINE)[1])


def measure(name, subject, project, rounds):
    """All turns of a gateway, after one that fills what the compiler keeps from one time to the next."""
    path = project.source / "main.rs"
    path.write_text(subject.text)
    project.cargo("check", CARGO_INCREMENTAL="1")
    for number in range(rounds):
        subject.check.append(cost(project, "check", CARGO_INCREMENTAL="0"))
        subject.build.append(cost(project, "build", CARGO_INCREMENTAL="0"))
        subject.release.append(cost(project, "build", "--release", CARGO_INCREMENTAL="0"))
        path.write_text(subject.text.replace('"/authorizations"', f'"/authorizations-{number}"', 1))
        subject.edit.append(cost(project, "check", CARGO_INCREMENTAL="1"))
        path.write_text(subject.text)
        subject.expansion.append(expansion(project, compiler(project)))
        took = f"check {subject.check[-1].cpu:.2f} CPU s, build {subject.build[-1].cpu:.2f} CPU s"
        print(f"{name}, round {number + 1}/{rounds}: {took}", file=sys.stderr, flush=True)


def subjects(counts):
    """The gateways by name."""
    found = {EMPTY: Subject(1, source(github.routes(1), False))}
    for count in counts:
        found[f"{count:_}".replace("_", " ")] = Subject(count, source(github.routes(count), False))
    found["1 000, as many handlers"] = Subject(1000, source(github.routes(1000), True))
    return found


def guarded():
    """The gateways that tell what `require auth` costs."""
    found = {EMPTY: Subject(1, source(github.routes(1), False))}
    for name, auth in {"1 000, callers": "", "1 000, callers, `require auth`": "    require auth;\n\n"}.items():
        auth = CALLERS + auth
        found[name] = Subject(1000, source(github.routes(1000), False, GUARDED, auth))
    return found


def table(measured):
    """The Markdown table; what a route costs is without what a gateway of one route does."""
    lines = [
        "| routes | check: s (CPU s) | CPU ms a route | build: s (CPU s) | CPU ms a route | release: s (CPU s) "
        "| CPU ms a route | check after an edit, s | expansion, s | ms a route |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    empty = measured[EMPTY]
    for name, subject in measured.items():

        def each(seconds):
            # Below that, what a route costs drowns in what every crate does.
            return f"{seconds * 1e3 / subject.routes:.2f}" if subject.routes >= FEWEST else "-"

        cells = []
        for what in ("check", "build", "release"):
            wall, cpu = subject.middle(what, "wall"), subject.middle(what, "cpu")
            cells += [f"{wall:.2f} ({cpu:.2f})", each(cpu - empty.middle(what, "cpu"))]
        expand = statistics.median(subject.expansion) - (statistics.median(empty.expansion) if name != EMPTY else 0)
        lines.append(
            f"| {name} | {' | '.join(cells)} | {subject.middle('edit', 'wall'):.2f} | {expand:.3f} | {each(expand)} |"
        )
    return "\n".join(lines)


def missed(measured):
    """The targets that are not met."""
    empty = measured[EMPTY]
    release = empty.middle("release", "cpu")
    if release > MOST_RELEASE_SECONDS:
        yield f"a release build of one route takes {release:.2f} s of CPU time, not {MOST_RELEASE_SECONDS:g}"
    for name, subject in measured.items():
        if subject.routes < FEWEST:
            continue
        check = (subject.middle("check", "cpu") - empty.middle("check", "cpu")) * 1e3 / subject.routes
        if check > MOST_CHECK_MS:
            yield f"{name}: `cargo check` takes {check:.2f} ms a route, not {MOST_CHECK_MS:g}"
        expand = statistics.median(subject.expansion) - statistics.median(empty.expansion)
        if subject.routes == 1000 and expand > MOST_EXPANSION_SECONDS:
            yield f"{name}: the expansion takes {expand:.2f} s, not {MOST_EXPANSION_SECONDS:g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="times each is compiled (3)")
    parser.add_argument("--counts", default="10,100,1000,5000", help="numbers of routes")
    parser.add_argument("--prox", type=pathlib.Path, default=github.REPOSITORY / "prox", help="the crate to measure")
    parser.add_argument("--auth", action="store_true", help="what `require auth` costs, in place of numbers of routes")
    options = parser.parse_args()
    project = Project("bench-compile", options.prox.resolve())
    measured = guarded() if options.auth else subjects([int(count) for count in options.counts.split(",")])
    (project.source / "main.rs").write_text(measured[EMPTY].text)
    for incremental in ("0", "1"):
        for command in (["check"], ["build"], ["build", "--release"]):
            project.cargo(*command, CARGO_INCREMENTAL=incremental)
    for name, subject in measured.items():
        measure(name, subject, project, options.rounds)
    print(table(measured))
    for text in missed(measured):
        print(f"missed: {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
