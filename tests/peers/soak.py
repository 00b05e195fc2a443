#!/usr/bin/env python3
"""Loads Prox for an hour while its upstreams fail, one fault a minute, and watches its memory and its descriptors.

Prox is told to retry and to check, as in `faults.py`, and balances the same four upstreams. The load is an open loop of `GET`s, which a
retry may repeat: none of them may fail. Each minute has 10 s of peace, a fault of 15 s, and the rest to recover. The exit code is 1 when
a request failed, or memory or descriptors grew.

It needs the programs of `tests/src/bin`, built with

    cargo build --release -p prox-tests --features programs --bin fault_prox --bin fault_origin --bin steady

`just soak-faults` does both. Everything stays on the loopback interface, and ends when this ends.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

from faults import BUILD, UPSTREAMS, Origin, Request, contenders, each, kill_at_once, restart_in_turn
from run import LOAD_CORE, REPOSITORY, Failure, exit_code, note, positive, spawn, stop

MINUTE = 60
PEACE = 10
FAULT = 15
# Seconds between two looks at the process.
EVERY = 5
# What memory may differ by between the second quarter of the time and the last, in MiB; and descriptors, in the quiet seconds.
GROWTH = 2
MORE_DESCRIPTORS = 16


def faults():
    """A name, what is done, how it is mended, and how many upstreams it is done to; each in its minute, and then anew."""
    mode = lambda says: (each(Origin.tell, says), each(Origin.tell, "well"))
    return [
        ("one is killed", each(Origin.kill), each(Origin.start), 1),
        ("one is stopped (SIGSTOP)", each(Origin.halt), each(Origin.resume), 1),
        ("all are restarted in turn", restart_in_turn(1), lambda _: None, UPSTREAMS),
        ("one answers 500", *mode("status 500"), 1),
        ("one answers after 10 s", *mode("late 10000"), 1),
        ("one accepts and never answers", *mode("silent"), 1),
        ("two are killed at once", each(Origin.kill), each(Origin.start), 2),
        ("three are killed at once", each(Origin.kill), each(Origin.start), 3),
        ("three are killed in one moment", kill_at_once, each(Origin.start), 3),
    ]


class Look:
    """What the process had at one moment."""

    def __init__(self, process, start, quiet):
        self.at = time.monotonic() - start
        self.memory = process.memory()
        self.descriptors = len(list(pathlib.Path(f"/proc/{process.child.pid}/fd").iterdir()))
        self.quiet = quiet


def wait(until, looks, process, start, quiet):
    """Looks at the process until a time."""
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, EVERY))
        if process.child.poll() is not None:
            raise Failure("Prox has ended")
        looks.append(Look(process, start, quiet))


def work(options):
    """The exit code."""
    with tempfile.TemporaryDirectory(prefix="prox-soak-") as name, contextlib.ExitStack() as pieces:
        contender = next(one for one in contenders(options.programs) if one.name == "Prox, told")
        origins = [Origin(options.programs, number, pieces) for number in range(UPSTREAMS)]
        process = contender.serve(pathlib.Path(name), origins, pieces)
        process.wait_until_serving()
        seconds = options.minutes * MINUTE
        command = [f"{options.programs}/steady", "--target", f"127.0.0.1:{process.port}", "--rate", str(options.rate), "--seconds", str(seconds)]
        load = spawn(command, LOAD_CORE, subprocess.PIPE)
        pieces.callback(stop, load)
        # Read while it runs; else it could not write its report.
        report = pieces.enter_context(concurrent.futures.ThreadPoolExecutor(1)).submit(load.stdout.read)
        start, clock = time.monotonic(), time.time()
        looks, all_faults = [], faults()
        for minute in range(options.minutes):
            fault, do, mend, count = all_faults[minute % len(all_faults)]
            hurt = [origins[(minute + place) % UPSTREAMS] for place in range(count)]
            begin = start + minute * MINUTE
            wait(begin + PEACE, looks, process, start, True)
            do(hurt)
            wait(begin + PEACE + FAULT, looks, process, start, False)
            mend(hurt)
            wait(begin + MINUTE, looks, process, start, False)
            note(f"minute {minute + 1}: {fault}; {looks[-1].memory:.2f} MiB, {looks[-1].descriptors} descriptors")
        lines = report.result(timeout=120).splitlines()
    requests = [Request.read(line) for line in lines]
    if len(requests) != seconds * options.rate:
        raise Failure(f"expected {seconds * options.rate} requests, found {len(requests)}")
    return told(options, requests, looks, clock, [fault for fault, *_ in all_faults])


def told(options, requests, looks, clock, names):
    """Prints what there was to see; the exit code."""
    problems = []
    failed = [request for request in requests if not request.is_good()]
    for request in failed:
        minute = int((request.due - clock) // MINUTE)
        problems.append(f"minute {minute + 1} ({names[minute % len(names)]}): {request.failure()} after {request.took:.2f} s")
    times = sorted(request.took * 1e3 for request in requests)
    at = lambda share: times[min(int(len(times) * share), len(times) - 1)]
    quarter = max(len(looks) // 4, 1)
    early, late = looks[quarter : 2 * quarter] or looks, looks[-quarter:]
    middle = lambda some: statistics.median(look.memory for look in some)
    quiet = lambda some: max((look.descriptors for look in some if look.quiet), default=0)
    growth, more = middle(late) - middle(early), quiet(late) - quiet(early)
    if growth > GROWTH:
        problems.append(f"memory grew by {growth:.2f} MiB, and may by {GROWTH}")
    if more > MORE_DESCRIPTORS:
        problems.append(f"there were {more} more descriptors, and may be {MORE_DESCRIPTORS}")
    head = "| minutes | faults | requests | failed | p50 | p99 | slowest | memory, second quarter | last quarter | highest | descriptors in peace, second quarter | last quarter | highest |"
    row = (
        f"| {options.minutes} | {options.minutes} | {len(requests)} | {len(failed)} | {at(0.5):.1f} ms | {at(0.99):.1f} ms | {times[-1] / 1e3:.2f} s "
        f"| {middle(early):.2f} MiB | {middle(late):.2f} MiB | {max(look.memory for look in looks):.2f} MiB "
        f"| {quiet(early)} | {quiet(late)} | {max(look.descriptors for look in looks)} |"
    )
    table = "\n".join([head, "|---:" * head.count(" | ") + "|---:|", row])
    print(table)
    if options.write:
        write(table, looks)
    for problem, count in collections.Counter(problems).items():
        note(f"missed: {problem}" + (f" ({count} times)" if count > 1 else ""))
    return 1 if problems else 0


def write(table, looks):
    """Puts the table into docs/faults.md, and the curve beside it."""
    page = REPOSITORY / "docs" / "faults.md"
    text = page.read_text()
    text, count = re.subn(r"\| minutes \| faults \|.*\n(\|.*\n)+", lambda _: table + "\n", text, count=1)
    if count != 1:
        raise Failure("docs/faults.md has no table of the soak")
    page.write_text(text)
    (REPOSITORY / "docs" / "soak.svg").write_text(curve(looks))


def curve(looks):
    """Memory and descriptors over time, as SVG."""
    width, height, left, top = 760, 300, 50, 20
    end = max(look.at for look in looks)
    across = lambda at: left + at / end * (width - 2 * left)

    def line(values, color):
        most = max(values) * 1.2
        down = lambda value: top + (1 - value / most) * (height - 3 * top)
        points = " ".join(f"{across(look.at):.1f},{down(value):.1f}" for look, value in zip(looks, values))
        return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>', most

    memory, most_memory = line([look.memory for look in looks], "#b7410e")
    descriptors, most_descriptors = line([look.descriptors for look in looks], "#33658a")
    bottom = height - 2 * top
    text = lambda x, y, words, color="#444", anchor="middle": f'<text x="{x:.0f}" y="{y:.0f}" fill="{color}" text-anchor="{anchor}">{words}</text>'
    minutes = round(end / MINUTE)
    step = max(minutes // 6, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<path d="M{left} {top}V{bottom}H{width - left}V{top}" fill="none" stroke="#999"/>',
        memory,
        descriptors,
        *(text(across(minute * MINUTE), bottom + 15, f"{minute} min") for minute in range(0, minutes + 1, step)),
        text(left - 5, top + 5, f"{most_memory:.0f} MiB", "#b7410e", "end"),
        text(left - 5, bottom, "0", "#b7410e", "end"),
        text(width - left + 5, top + 5, f"{most_descriptors:.0f}", "#33658a", "start"),
        text(width - left + 5, bottom, "0", "#33658a", "start"),
        text(width / 2 - 90, height - 8, "resident memory", "#b7410e"),
        text(width / 2 + 90, height - 8, "open descriptors", "#33658a"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def arguments():
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=positive, default=60, help="how long, with a fault each minute (60)")
    parser.add_argument("--rate", type=positive, default=300, help="requests a second (300)")
    parser.add_argument("--write", action="store_true", help="write the table to docs/faults.md and the curve to docs/soak.svg, too")
    parser.add_argument("--programs", help="where the built programs are (target/release)")
    options = parser.parse_args()
    target = os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")
    options.programs = pathlib.Path(options.programs or pathlib.Path(target) / "release").resolve()
    if missing := [one for one in ("fault_prox", "fault_origin", "steady") if not (options.programs / one).exists()]:
        raise Failure(f"missing: {', '.join(missing)}; build with: {BUILD}")
    return options


if __name__ == "__main__":
    sys.exit(exit_code(lambda: work(arguments())))
