#!/usr/bin/env python3
"""Breaks upstreams under steady load, behind Prox and other reverse proxies, and prints what clients saw of it.

Each proxy balances four upstreams of its own, and gets a `GET` every so often, however long the answers take. All proxies
go through a scenario at the same time, one scenario after the other: some seconds of peace, the fault, and the time after
it is mended. What is counted is seen from outside, by the client and by the upstreams; only when an endpoint was taken out
of use is asked of the proxy itself. The exit code is 1 when Prox, told to retry and to check, misses a target of its own.

Needs nginx and HAProxy from the distribution, and the programs of `tests/src/bin`, built with

    cargo build --release -p prox-tests --features programs --bin fault_prox --bin fault_origin --bin steady

`just faults` does both. Everything stays on the loopback interface, and ends when this ends.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import http.client
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from run import LOAD_CORE, REPOSITORY, Failure, Peer, Process, exit_code, note, positive, spawn, stop

UPSTREAMS = 4
# A request that took longer than this, with success or without, was held up.
SLOW_MS = 1000
# How long the client of the load waits for an answer, and so how long a scenario can go on behind its end.
PATIENCE_MS = 40_000
# How long the proxies that are told so wait for an answer; the configurations below say it too.
TIMEOUT_MS = 2000
# What is looked up, where upstreams have a name.
NAME = "users.test"
BUILD = "cargo build --release -p prox-tests --features programs --bin fault_prox --bin fault_origin --bin steady"

NGINX = """\
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log crit;
worker_processes 1;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    keepalive_requests 1000000000;
    upstream origin {{
{upstream}
        keepalive 64;
    }}
    server {{
        listen 127.0.0.1:{listen};
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_connect_timeout 1s;
            proxy_read_timeout 2s;
            proxy_next_upstream error timeout http_500 http_502 http_503 http_504;
            proxy_next_upstream_tries 3;
        }}
    }}
}}
"""

HAPROXY = """\
global
    nbthread 1
    maxconn 8192
    stats socket {directory}/haproxy.sock mode 600 level operator
defaults
    mode http
    option http-keep-alive
    http-reuse always
    timeout connect 1s
    timeout client 60s
    timeout server 2s
    timeout check 1s
frontend clients
    bind 127.0.0.1:{listen}
    default_backend origin
backend origin
    balance roundrobin
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response response-timeout junk-response 500 502 503 504
    http-request disable-l7-retry unless {{ method GET HEAD OPTIONS PUT DELETE }}
    option httpchk GET /healthz
    default-server check inter 1s fall 3 rise 2 observe layer7 error-limit 10 on-error mark-down slowstart 30s
{upstream}
"""


class Contender(Peer):
    """A proxy in front of several upstreams."""

    # How one upstream is written, and what stands between them.
    endpoint = "http://{host}:{port}"
    between = ","

    def serve(self, directory, origins, pieces, names=None):
        """Starts it in front of these upstreams, or of what a name means."""
        own = directory / self.name.replace(" ", "-").replace(",", "")
        own.mkdir(exist_ok=True)
        peer = self.by_name(names.port, origins[0].port) if names else self
        written = (self.endpoint.format(host=one.host, port=one.port, number=n) for n, one in enumerate(origins))
        with starting:
            process = peer.start(own, self.between.join(written), pieces)
        process.directory = own
        return process

    def conditions(self, process):
        """Whether it uses each of the upstreams, by its own word; none when it does not say."""
        return None

    def by_name(self, nameserver, port):
        """The same, but that it finds its upstreams by the name, again and again."""
        raise NotImplementedError


class Prox(Contender):
    """Says so itself."""

    def by_name(self, nameserver, port):
        found = ["--name", f"http://{NAME}:{port}", "--nameserver", f"127.0.0.1:{nameserver}"]
        return dataclasses.replace(self, command=[*self.command, *found])

    def conditions(self, process):
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=2)
        with contextlib.closing(connection):
            connection.request("GET", "/-/state")
            words = connection.getresponse().read().decode().split()
        return [word in ("healthy", "warming") for word in words]


class Nginx(Contender):
    """Does not say."""

    endpoint = "        server {host}:{port};"
    between = "\n"

    def by_name(self, nameserver, port):
        # Only a variable is looked up more than once by this version, and it has no connections that are kept.
        found = f"resolver 127.0.0.1:{nameserver} valid=1s ipv6=off;\n            set $origin {NAME};"
        passes = f"{found}\n            proxy_pass http://$origin:{port};"
        return dataclasses.replace(self, config=self.config.replace("proxy_pass http://origin;", passes))


class Haproxy(Contender):
    """Says so on its socket."""

    endpoint = "    server upstream{number} {host}:{port}"
    between = "\n"

    def by_name(self, nameserver, port):
        resolvers = f"resolvers names\n    nameserver ours 127.0.0.1:{nameserver}\n    timeout resolve 1s\n    hold valid 1s\n"
        template = f"    server-template upstream {UPSTREAMS} {NAME}:{port} resolvers names resolve-prefer ipv4 init-addr none"
        config = self.config.replace("{upstream}", template).replace("defaults\n", resolvers + "defaults\n", 1)
        return dataclasses.replace(self, config=config)

    def conditions(self, process):
        with socket.socket(socket.AF_UNIX) as stats:
            stats.settimeout(2)
            stats.connect(str(process.directory / "haproxy.sock"))
            stats.sendall(b"show stat\n")
            lines = stats.makefile().read().lstrip("# ").splitlines()
        columns = lines[0].split(",")
        rows = (dict(zip(columns, line.split(","))) for line in lines[1:] if line)
        return [row["status"].startswith("UP") for row in rows if row["svname"].startswith("upstream")]


def contenders(programs):
    """All proxies, in the order of the table."""
    ours = [f"{programs}/fault_prox", "--listen", "127.0.0.1:{listen}", "--upstreams", "{upstream}"]
    told = ["--retries", "2", "--per-try-ms", str(TIMEOUT_MS), "--check-ms", "1000"]
    return [
        Prox("Prox", ours),
        Prox("Prox, told", [*ours, *told]),
        Haproxy("HAProxy", ["haproxy", "-db", "-q", "-f", "{config}"], HAPROXY),
        Nginx("nginx", ["nginx", "-c", "{config}", "-e", "stderr"], NGINX),
        # Measured when they are asked for: the defaults, but for retries without a limit for one try, or for the policy.
        Prox("Prox, retry", [*ours, "--retries", "2"]),
        Prox("Prox, p2c", [*ours, "--policy", "p2c"]),
        Prox("Prox, least_conn", [*ours, "--policy", "least_conn"]),
    ]


# What is measured when nothing else is said.
USUAL = ("Prox", "Prox, told", "HAProxy", "nginx")


# A child that is being started has a copy of each socket for a moment, and so of one that only looks for a free port.
starting = threading.Lock()


def port_of_ours(taken=set()):
    """A port that nobody has, nor gets for a connection of theirs while an upstream is down: none of the kernel's own range."""
    while True:
        port = random.randrange(15_000, 32_000)
        with starting, socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            if port not in taken:
                taken.add(port)
                return port


class Names(threading.Thread):
    """A nameserver that knows one name, whose addresses change; they may be remembered for a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.addresses = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with starting:
            self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        # A datagram of no length ends it.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self.join(timeout=5)
        self.socket.close()

    def run(self):
        while True:
            query, asker = self.socket.recvfrom(4096)
            if not query:
                return
            self.socket.sendto(self.answer(query), asker)

    def answer(self, query):
        """The answer of RFC 1035: addresses for a question of type A, and nothing else."""
        end = 12
        while query[end]:
            end += query[end] + 1
        question = query[12 : end + 5]
        found = list(self.addresses) if question[-4:-2] == b"\x00\x01" else []
        # An answer with authority, to one question, which the name in each record points to.
        head = query[:2] + b"\x84\x00" + struct.pack(">4H", 1, len(found), 0, 0)
        record = b"\xc0\x0c" + struct.pack(">2HIH", 1, 1, 1, 4)
        return head + question + b"".join(record + socket.inet_aton(address) for address in found)


class Origin:
    """One upstream, which can be killed, stopped, restarted, and told to misbehave."""

    def __init__(self, programs, number, pieces, host="127.0.0.1", port=None):
        self.host, self.port, self.control = host, port or port_of_ours(), port_of_ours()
        self.command = [f"{programs}/fault_origin", "--name", str(number)]
        self.command += ["--listen", f"{host}:{self.port}", "--control", f"127.0.0.1:{self.control}"]
        # Requests before its last start.
        self.before = 0
        self.pieces = pieces
        self.process = None
        self.start()

    def start(self):
        """Starts it, and waits until it listens."""
        with starting:
            process = self.pieces.enter_context(Process(self.command, self.port, LOAD_CORE))
        end = time.monotonic() + 10
        while True:
            try:
                self.say("count")
                break
            except OSError:
                if process.child.poll() is not None or time.monotonic() > end:
                    raise Failure(f"`{' '.join(self.command)}` does not serve") from None
                time.sleep(0.002)
        self.process = process

    def say(self, line):
        """Says something to its control port, and gives the answer."""
        with socket.create_connection(("127.0.0.1", self.control), timeout=5) as control:
            control.sendall(line.encode() + b"\n")
            return control.makefile().readline().strip()

    def tell(self, mode):
        """Makes it behave so."""
        if (answer := self.say(mode)) != "done":
            raise Failure(f"the upstream does not know what `{mode}` is: {answer}")

    def count(self):
        """The requests that it has got, health checks apart; those of the last moments before a kill may be missing."""
        if self.process is None:
            return self.before
        return self.before + int(self.say("count"))

    def end(self, how):
        """Ends it with a signal, and waits until it is gone."""
        end_at_once([self], how)

    def kill(self):
        self.end(signal.SIGKILL)

    def leave(self):
        """Lets it finish what is under way, and end."""
        self.end(signal.SIGTERM)

    def halt(self):
        """Keeps it from running; the kernel goes on accepting connections for it."""
        self.process.child.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.child.send_signal(signal.SIGCONT)


def end_at_once(origins, how):
    """Ends all of them with a signal in one moment, and waits until they are gone."""
    for origin in origins:
        origin.before = origin.count()
    processes = [origin.process for origin in origins]
    for origin, process in zip(origins, processes):
        origin.process = None
        process.child.send_signal(how)
    for process in processes:
        process.child.wait(timeout=5)


@dataclasses.dataclass
class Scenario:
    """One kind of fault: what is done to upstreams, and how it is mended."""

    name: str
    fault: object
    mend: object
    # The upstreams that it is done to.
    hurt: tuple = (0,)
    # Seconds of peace, of the fault, and after it.
    before: float = 3
    during: float = 8
    after: float = 14
    # Seconds that it takes to do what the fault consists of, beyond those.
    lasts: float = 0
    # What Prox must reach when it is told to retry and to check: at most so many failed requests, none slower than this.
    failures: int = 0
    slowest: float = None
    # Whether the upstreams can be asked, at any time, how many requests they have got.
    counts: bool = True
    # Whether the upstreams are found by name: at first the hurt ones, and from the fault on the others.
    named: bool = False


def each(action, *arguments):
    """Does something to all upstreams that the scenario hurts."""

    def done(origins):
        for origin in origins:
            action(origin, *arguments)

    return done


def restart_in_turn(pause):
    """Restarts one after the other, as a rolling deployment does: each is away for a while, and then for a while not."""

    def done(origins):
        for origin in origins:
            origin.end(signal.SIGTERM)
            time.sleep(pause)
            origin.start()
            time.sleep(pause)

    return done


def kill_at_once(origins):
    """Kills all of them in one moment: no request can find one of them dead before the others are."""
    end_at_once(origins, signal.SIGKILL)


def kill_at_once_again_and_again(times, pause, peace):
    """Kills all of them in one moment, and starts them after a while, so many times; in between, they are used again."""

    def done(origins):
        for _ in range(times):
            kill_at_once(origins)
            time.sleep(pause)
            each(Origin.start)(origins)
            time.sleep(peace)

    return done


def mode(name, says, **options):
    """An upstream that goes on running, and misbehaves."""
    return Scenario(name, each(Origin.tell, says), each(Origin.tell, "well"), **options)


def scenarios(short):
    """All that is done, in this order."""
    every = tuple(range(UPSTREAMS))
    long = {} if short else {"after": 32}
    # One try and its limit, twice, and some time for a busy machine.
    bounded = {"slowest": 2 * TIMEOUT_MS + 1000}
    all_of_them = [
        Scenario("one is killed", each(Origin.kill), each(Origin.start), counts=False, **long),
        Scenario("one is stopped (SIGSTOP)", each(Origin.halt), each(Origin.resume), counts=False, **bounded),
        Scenario(
            "all are restarted, one after the other",
            restart_in_turn(0.3 if short else 1),
            lambda _: None,
            hurt=every,
            during=0,
            lasts=4 if short else 10,
        ),
        mode("one answers 500", "status 500"),
        mode("one answers after 10 s", "late 10000", **bounded),
        mode("one accepts and never answers", "silent", **bounded, **long),
        mode("one is silent for 25 s", "silent", during=25, **bounded),
        # Work that takes long is no fault; those that are told that no answer takes longer than 2 s fail it.
        mode("an eighth of all answers takes 8 s", "poll 8000", hurt=every, failures=None),
        mode("one resets in mid-body", "cut", failures=None),
        Scenario("two are killed at once", each(Origin.kill), each(Origin.start), hurt=(0, 1), counts=False),
        Scenario("three are killed at once", each(Origin.kill), each(Origin.start), hurt=(0, 1, 2), counts=False),
        Scenario(
            "three are killed in one moment, 30 times",
            kill_at_once_again_and_again(30, 2, 8),
            lambda _: None,
            hurt=(0, 1, 2),
            during=0,
            lasts=302,
            counts=False,
        ),
        mode("all answer 503", "status 503", hurt=every, failures=None),
        Scenario("all are killed, and come back", each(Origin.kill), each(Origin.start), hurt=every, failures=None, counts=False),
        Scenario(
            "the name gets other addresses",
            lambda _: None,
            each(Origin.leave),
            hurt=(0, 1),
            during=6,
            counts=False,
            named=True,
        ),
    ]
    if short:
        left_out = ("one answers after 10 s", "one is silent for 25 s", "an eighth of all answers takes 8 s", "two are killed at once", "three are killed at once", "three are killed in one moment, 30 times")
        all_of_them = [scenario for scenario in all_of_them if scenario.name not in left_out]
        for scenario in all_of_them:
            scenario.before, scenario.after = 1, 2
            scenario.during = min(scenario.during, 2)
    return all_of_them


@dataclasses.dataclass
class Request:
    """A line of the load: when it was due and how long it took, in seconds, and how it ended."""

    due: float
    took: float
    status: int
    upstream: str
    end: str

    @classmethod
    def read(cls, line):
        due, took, status, upstream, end = line.split()
        return cls(float(due) / 1e3, float(took) / 1e3, int(status), upstream, end)

    def is_good(self):
        return self.end == "whole" and self.status == 200

    def failure(self):
        return str(self.status) if self.end == "whole" else self.end


@dataclasses.dataclass
class Result:
    """What one scenario did to the clients of one proxy."""

    requests: list
    # When the fault began, and when all was mended.
    began: float
    mended: float
    # Requests that all upstreams got, and those that the hurt ones got during the fault.
    tries: int
    asked: int
    # When the proxy has taken out the first upstream, and all hurt ones; none when it never did, or does not say.
    out: float

    def failures(self):
        return collections.Counter(request.failure() for request in self.requests if not request.is_good())

    def slow(self):
        return sum(request.took * 1e3 > SLOW_MS for request in self.requests)

    def slowest(self):
        return max(request.took for request in self.requests)

    def disturbed(self):
        """How long after the fault began the last request was due that failed or was slow."""
        bad = [request.due for request in self.requests if not request.is_good() or request.took * 1e3 > SLOW_MS]
        return max(max(bad) - self.began, 0) if bad else 0

    def back(self, hurt):
        """How long after the end of the fault each of the upstreams answered again: the last of them; none if one did not."""
        firsts = []
        for number in hurt:
            answers = (r.due + r.took for r in self.requests if r.upstream == str(number) and r.is_good() and r.due > self.mended)
            firsts.append(min(answers, default=None))
        return None if None in firsts else max(firsts) - self.mended

    def left(self, hurt):
        """How long after the beginning of the fault the last request was due that one of these upstreams answered."""
        theirs = [request.due for request in self.requests if request.upstream in map(str, hurt)]
        return max(max(theirs) - self.began, 0)

    def share(self, hurt, begin, end):
        """The part of its fair share that hurt upstreams got between two times."""
        window = [r for r in self.requests if begin <= r.due < end and r.is_good()]
        theirs = sum(r.upstream in map(str, hurt) for r in window)
        return theirs / len(window) / (len(hurt) / UPSTREAMS) if window else None

    def last(self):
        return max(request.due for request in self.requests)

    def extra(self):
        """Tries beyond the first ones, as a part of the requests."""
        return self.tries / len(self.requests) - 1


def go_through(scenario, contender, programs, options, directory):
    """One scenario with one proxy."""
    with contextlib.ExitStack() as pieces:
        names, hosts, port = None, ["127.0.0.1"] * UPSTREAMS, None
        if scenario.named:
            names = pieces.enter_context(Names())
            # An address has no port, so that they are told apart by their hosts.
            hosts, port = [f"127.0.0.{11 + number}" for number in range(UPSTREAMS)], port_of_ours()
            names.addresses = [hosts[number] for number in scenario.hurt]
        origins = [Origin(programs, number, pieces, hosts[number], port) for number in range(UPSTREAMS)]
        process = contender.serve(directory, origins, pieces, names)
        process.wait_until_serving()
        # The first check of each upstream is made at once, and should not fall into the fault.
        time.sleep(0.2)
        earlier = sum(origin.count() for origin in origins)
        watch = Watch(contender, process, scenario.hurt)
        if not scenario.named:
            pieces.enter_context(watch)
        hurt = [origins[number] for number in scenario.hurt]
        seconds = round(scenario.before + scenario.lasts + scenario.during + scenario.after)
        command = [f"{programs}/steady", "--target", f"127.0.0.1:{process.port}", "--rate", str(options.rate)]
        command += ["--seconds", str(seconds), "--patience-ms", str(options.patience * 1000)]
        with starting:
            load = spawn(command, LOAD_CORE, subprocess.PIPE)
        pieces.callback(stop, load)
        # Read while it runs; else it could not write its report.
        report = pieces.enter_context(concurrent.futures.ThreadPoolExecutor(1)).submit(load.stdout.read)
        time.sleep(scenario.before)
        asked = sum(origin.count() for origin in hurt)
        began = time.time()
        if names:
            names.addresses = [host for host in hosts if host not in names.addresses]
        scenario.fault(hurt)
        time.sleep(scenario.during)
        asked = sum(origin.count() for origin in hurt) - asked if scenario.counts else None
        scenario.mend(hurt)
        mended = time.time()
        lines = report.result(timeout=seconds + options.patience + 10).splitlines()
        tries = sum(origin.count() for origin in origins) - earlier
        if process.child.poll() is not None:
            raise Failure(f"{contender.name} has ended in the scenario `{scenario.name}`")
    requests = [Request.read(line) for line in lines]
    if not requests:
        raise Failure(f"the load in front of {contender.name} has failed")
    result = Result(requests, began, mended, tries, asked, watch.out_after(began))
    if names:
        result.out = result.left(scenario.hurt)
    return result


class Watch:
    """Asks a proxy again and again which upstreams it uses."""

    def __init__(self, contender, process, hurt):
        self.contender, self.process, self.hurt = contender, process, hurt
        self.seen = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(timeout=5)

    def look(self):
        while not self.over.wait(0.05):
            # A proxy that is just busy is asked again.
            with contextlib.suppress(OSError, http.client.HTTPException, IndexError):
                used = self.contender.conditions(self.process)
                if used is None:
                    return
                self.seen.append((time.time(), used))

    def out_after(self, began):
        """How long after this time the first of the hurt upstreams was out of use."""
        for at, used in self.seen:
            if at >= began and not all(used[number] for number in self.hurt):
                return at - began
        return None


HEAD = """\
| fault | proxy | requests | failed | over 1 s | slowest | disturbed for | out of use after | asked while it lasted | extra tries | back after | share then | at the end |
|---|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""


def row(scenario, contender, result):
    """One line of the table."""
    failures = result.failures()
    kinds = ", ".join(f"{count} × {kind}" for kind, count in failures.most_common())
    returns = scenario.during and not scenario.named
    back = result.back(scenario.hurt) if returns else None
    since = result.mended + (back or 0)
    some = lambda text, value: "-" if value is None else text.format(value)
    cells = [
        scenario.name,
        contender.name,
        str(len(result.requests)),
        f"**{failures.total()}** ({kinds})" if failures else "0",
        str(result.slow()),
        f"{result.slowest():.2f} s",
        some("{:.1f} s", result.disturbed()),
        some("{:.1f} s", result.out),
        some("{}", result.asked),
        f"{result.extra():+.1%}" if scenario.counts else "-",
        some("{:.1f} s", back),
        some("{:.0%}", result.share(scenario.hurt, since, since + 5) if back is not None else None),
        some("{:.0%}", result.share(scenario.hurt, result.last() - 3, result.last()) if returns else None),
    ]
    return "| " + " | ".join(cells) + " |"


def missed(scenario, result, options):
    """The targets that a proxy has missed."""
    failed = result.failures().total()
    if scenario.failures is not None and failed > scenario.failures:
        yield f"{failed} requests failed, and {scenario.failures} may"
    if scenario.slowest is not None and result.slowest() * 1e3 > scenario.slowest:
        yield f"a request took {result.slowest():.2f} s, and may take {scenario.slowest / 1e3:.2f} s"
    # A fifth, and ten a second, counted over the last ten seconds.
    seconds = len(result.requests) / options.rate
    budget = len(result.requests) // 5 + 10 * seconds + 100
    if scenario.counts and result.tries - len(result.requests) > budget:
        yield f"{result.tries - len(result.requests)} extra tries, and the budget is {budget:.0f}"


def write(table):
    """Puts the table, and what the other proxies are told, in the place of those of the page."""
    page = REPOSITORY / "docs" / "faults.md"
    text = re.sub(r"(\| fault \| proxy \|.*\n)(\|.*\n)+", lambda _: table + "\n", page.read_text(), count=1)
    for name, config, kind in (("nginx", NGINX, Nginx), ("haproxy", HAPROXY, Haproxy)):
        servers = (kind.endpoint.format(host="127.0.0.1", port=9000 + number, number=number) for number in range(UPSTREAMS))
        config = config.format(directory="/run", listen=8080, upstream="\n".join(servers))
        text = re.sub(f"```{name}\n(.*?)```", lambda _: f"```{name}\n{config}```", text, flags=re.DOTALL)
    page.write_text(text)


def arguments():
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="less of everything, in a minute")
    parser.add_argument("--rate", type=positive, default=300, help="requests a second for each proxy (300)")
    parser.add_argument("--only", default="", help="proxies, for example prox,nginx; `told` is Prox with retries and checks, `retry` with retries alone, `p2c` and `least_conn` are policies")
    parser.add_argument("--fault", default="", help="only faults whose name has this in it")
    parser.add_argument("--skip-missing", action="store_true", help="go on without the proxies that are not installed")
    parser.add_argument("--write", action="store_true", help="write the table and the configurations to docs/faults.md, too")
    parser.add_argument("--programs", help="where the built programs are (target/release)")
    options = parser.parse_args()
    target = os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")
    options.programs = pathlib.Path(options.programs or pathlib.Path(target) / "release").resolve()
    options.patience = 6 if options.short else PATIENCE_MS // 1000
    return options


def choose(options):
    """The proxies to measure, all of which can be started."""
    every = contenders(options.programs)
    words = {one.name.lower().replace("prox, ", ""): one for one in every}
    only = [word.strip().lower() for word in options.only.split(",") if word.strip()]
    if unknown := [word for word in only if word not in words]:
        raise Failure(f"no such proxy: {', '.join(unknown)}; there are {', '.join(words)}")
    selected = [words[word] for word in only] or [one for one in every if one.name in USUAL]
    built = [f"{options.programs}/{name}" for name in ("fault_prox", "fault_origin", "steady")]
    if missing := [program for program in built if not shutil.which(program)]:
        raise Failure(f"missing: {', '.join(missing)}; build with: {BUILD}")
    missing = [one.command[0] for one in selected if not shutil.which(one.command[0])]
    if missing and not options.skip_missing:
        install = f"apt-get install {' '.join(missing)}"
        raise Failure(f"missing: {', '.join(missing)}; on Debian and Ubuntu: {install}; or go without, by --skip-missing")
    if missing:
        note(f"not installed, and skipped: {', '.join(missing)}")
    return [one for one in selected if one.command[0] not in missing]


def work(options):
    """Runs what the command line asks for; the exit code is 1 when Prox misses a target."""
    selected = choose(options)
    chosen = [scenario for scenario in scenarios(options.short) if options.fault in scenario.name]
    if not chosen:
        raise Failure(f"no fault has `{options.fault}` in its name")
    rows, problems = [], []
    with tempfile.TemporaryDirectory(prefix="prox-faults-") as name:
        for scenario in chosen:
            note(scenario.name)
            with concurrent.futures.ThreadPoolExecutor(len(selected)) as turns:
                go = lambda one: go_through(scenario, one, options.programs, options, pathlib.Path(name))
                results = list(turns.map(go, selected))
            for contender, result in zip(selected, results):
                rows.append(row(scenario, contender, result))
                note(rows[-1])
                if "told" in contender.name:
                    problems += [f"{scenario.name}: {problem}" for problem in missed(scenario, result, options)]
    table = "\n".join([HEAD, *rows])
    print(table)
    if options.write:
        write(table)
    for problem in problems:
        note(f"missed: {problem}")
    return 1 if problems else 0


def main():
    """The exit code of the command line."""
    options = arguments()
    return exit_code(lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
