#!/usr/bin/env python3
"""Replaces the process of Prox, and reloads nginx and HAProxy, 20 times in 60 s under load, and prints what clients saw of it.

Each proxy has its turn. It stands before one upstream, and gets requests on connections that are kept, on new ones and over HTTP/2, slow
uploads, slow downloads, and WebSockets that last as long as the run. The number of its workers changes with each replacement. For Prox, one
process of 20 cannot start, and one is killed before it serves. The exit code is 1 when a client of Prox fails, or a process or a descriptor
is left. Descriptors are counted without load, before it and after one more replacement, with as many workers.

Needs nginx and HAProxy from the distribution, and the program `handover_probe` of `tests/src/bin`, built with

    cargo build --profile bench-peers -p prox-tests --bin handover_probe

`just handover` does both. Everything stays on the loopback interface, and ends when this ends.
"""

import argparse
import asyncio
import collections
import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

from run import REPOSITORY, Failure, exit_code, free_port, note, positive

BUILD = "cargo build --profile bench-peers -p prox-tests --bin handover_probe"
WORKERS = [2, 3, 1]
# How long a client waits for anything.
PATIENCE = 10.0
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
HEAD = (
    "| proxy | kept | new | HTTP/2 | uploads | downloads | echoes in tunnels | failed | closed tunnels | slowest | a replacement takes "
    "| processes left | descriptors |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)
KINDS = ["kept", "new", "HTTP/2", "upload", "download", "tunnel"]

NGINX = """\
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log crit;
worker_processes {workers};
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        "" "";
    }}
    upstream origin {{
        server 127.0.0.1:{upstream};
        keepalive 64;
    }}
    server {{
        listen 127.0.0.1:{listen};
        listen 127.0.0.1:{http2} http2;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""

HAPROXY = """\
global
    nbthread {workers}
    maxconn 8192
    stats socket {directory}/haproxy.sock mode 600 level admin expose-fd listeners
defaults
    mode http
    option http-keep-alive
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
frontend clients
    bind 127.0.0.1:{listen}
    bind 127.0.0.1:{http2} proto h2
    default_backend origin
backend origin
    server origin 127.0.0.1:{upstream}
"""


# The upstream.


async def answer(reader, writer):
    """Answers each request of one connection."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            if "upgrade: websocket" in head:
                writer.write(SWITCHED)
                while data := await reader.read(4096):
                    writer.write(data)
                    await writer.drain()
                break
            if length := re.search(r"content-length: (\d+)", head):
                await reader.readexactly(int(length[1]))
            if " /slow " in head:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
                for _ in range(50):
                    writer.write(b"0123456789")
                    await writer.drain()
                    await asyncio.sleep(0.1)
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
    writer.close()


async def originate(listen):
    """Serves as the upstream for ever."""
    server = await asyncio.start_server(answer, "127.0.0.1", listen, backlog=1024)
    await server.serve_forever()


# The load.


class Results:
    """What clients saw, by kind."""

    def __init__(self):
        self.counts = collections.Counter()
        self.failures = collections.Counter()
        self.slowest = 0.0

    async def of(self, kind, exchange, slow=True):
        """Counts one exchange; whether it went well."""
        began = time.monotonic()
        try:
            await asyncio.wait_for(exchange, PATIENCE)
        except (OSError, EOFError, asyncio.TimeoutError, ValueError) as error:
            what = "closed" if isinstance(error, EOFError) else type(error).__name__
            self.failures[f"{kind}: {what}"] += 1
            return False
        self.counts[kind] += 1
        if slow:
            self.slowest = max(self.slowest, time.monotonic() - began)
        return True


async def response(reader):
    """Reads a whole response; whether the connection goes on."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if not head.startswith("http/1.1 200"):
        raise ValueError(head.splitlines()[0])
    if "transfer-encoding: chunked" in head:
        while (size := int((await reader.readline()).strip(), 16)) > 0:
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        await reader.readexactly(int(re.search(r"content-length: (\d+)", head)[1]))
    return "connection: close" not in head


class Clients:
    """One of each kind."""

    def __init__(self, port, http2, results, until):
        self.port, self.http2, self.results, self.until = port, http2, results, until

    def goes_on(self):
        return time.monotonic() < self.until

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def kept(self):
        """Requests on a connection that is kept; one that has been closed is replaced before a request, as clients do."""
        reader = writer = None
        while self.goes_on():
            if writer is None or reader.at_eof():
                if writer:
                    writer.close()
                writer = None

            async def exchange():
                nonlocal reader, writer
                if writer is None:
                    reader, writer = await self.connect()
                writer.write(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
                if not await response(reader):
                    writer.close()
                    writer = None

            if not await self.results.of("kept", exchange()):
                writer = None
            await asyncio.sleep(random.expovariate(20))

    async def new(self):
        """A connection for each request."""
        while self.goes_on():

            async def exchange():
                reader, writer = await self.connect()
                writer.write(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
                await response(reader)
                writer.close()

            await self.results.of("new", exchange())
            await asyncio.sleep(0.005)

    async def upload(self):
        """A body that takes two seconds."""
        while self.goes_on():

            async def exchange():
                reader, writer = await self.connect()
                writer.write(b"POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 200\r\n\r\n")
                for _ in range(20):
                    writer.write(b"0123456789")
                    await writer.drain()
                    await asyncio.sleep(0.1)
                await response(reader)
                writer.close()

            await self.results.of("upload", exchange(), slow=False)

    async def download(self):
        """A response that takes five seconds."""
        while self.goes_on():

            async def exchange():
                reader, writer = await self.connect()
                writer.write(b"GET /slow HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
                await response(reader)
                writer.close()

            await self.results.of("download", exchange(), slow=False)

    async def tunnel(self):
        """One WebSocket for all of the time."""
        connection = None

        async def begin():
            nonlocal connection
            connection = reader, writer = await self.connect()
            writer.write(
                b"GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 101 " not in head.splitlines()[0]:
                raise ValueError(head)

        async def echo():
            reader, writer = connection
            writer.write(b"ping")
            if await reader.readexactly(4) != b"ping":
                raise ValueError("another echo")

        while self.goes_on():
            if await self.results.of("tunnel", echo() if connection else begin()):
                await asyncio.sleep(0.1)
            else:
                connection = None
        if connection:
            connection[1].close()

    async def over_http2(self):
        """Requests one after the other over HTTP/2. What `GOAWAY` says was not heard is sent again, as clients do."""
        client = None
        while self.goes_on():

            async def exchange():
                nonlocal client
                while True:
                    if client is None or client.leaves:
                        client = await Http2.connect(self.http2)
                    if await client.get():
                        return

            if not await self.results.of("HTTP/2", exchange()):
                client = None
            await asyncio.sleep(random.expovariate(20))


class Http2:
    """As much of HTTP/2 as one `GET` after the other needs (RFC 9113)."""

    DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.stream = -1
        self.leaves = False
        self.last = 2**31 - 1

    @classmethod
    async def connect(cls, port):
        self = cls(*await asyncio.open_connection("127.0.0.1", port))
        self.writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.send(cls.SETTINGS, 0, 0, b"")
        self.send(cls.WINDOW, 0, 0, struct.pack(">I", 2**30))
        return self

    def send(self, kind, flags, stream, payload):
        self.writer.write(struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload)

    async def get(self):
        """Whether it was answered; otherwise it was not heard."""
        # The server may have said `GOAWAY` meanwhile: what has come is read first.
        while self.reader._buffer or self.reader.at_eof():
            if self.reader.at_eof():
                self.leaves = True
                return False
            await self.frame()
        if self.leaves:
            return False
        self.stream += 2
        # `:method: GET`, `:scheme: http`, `:path: /`, and a literal `:authority`.
        self.send(self.HEADERS, 0x5, self.stream, b"\x82\x86\x84\x41\x06a.test")
        well = None
        while True:
            try:
                kind, flags, stream, payload = await self.frame()
            except (OSError, asyncio.IncompleteReadError):
                if self.leaves and self.stream > self.last:
                    return False
                raise
            if self.stream > self.last:
                return False
            if stream != self.stream:
                continue
            if kind == self.RST_STREAM:
                # REFUSED_STREAM: it was not heard.
                if struct.unpack(">I", payload)[0] == 7:
                    self.leaves = True
                    return False
                raise ValueError("a reset stream")
            if kind == self.HEADERS:
                # `:status: 200` has a number of its own; before it there may be a change of the table's size.
                well = b"\x88" in payload[:6]
            if kind in (self.HEADERS, self.DATA) and flags & 1:
                if not well:
                    raise ValueError("another status")
                return True

    async def frame(self):
        head = await self.reader.readexactly(9)
        length = int.from_bytes(head[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        payload = await self.reader.readexactly(length)
        if kind == self.SETTINGS and not flags & 1:
            self.send(self.SETTINGS, 1, 0, b"")
        if kind == self.PING and not flags & 1:
            self.send(self.PING, 1, 0, payload)
        if kind == self.GOAWAY:
            self.leaves = True
            self.last = struct.unpack(">I", payload[:4])[0] & 0x7FFFFFFF
        return kind, flags, stream, payload


async def load(port, http2, seconds, results):
    """Loads a proxy for so long."""
    clients = Clients(port, http2, results, time.monotonic() + seconds)
    kinds = [(clients.kept, 20), (clients.new, 4), (clients.over_http2, 8), (clients.upload, 8), (clients.download, 8), (clients.tunnel, 8)]
    await asyncio.gather(*(kind() for kind, count in kinds for _ in range(count)))


# The proxies.


def until(what, condition, patience=20.0):
    """Waits for a state."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"waited {patience:.0f} s in vain: {what}")
        time.sleep(0.01)


def accepts(port):
    import socket

    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Proxy:
    """A proxy under test. All of its processes are in process groups that it made."""

    def __init__(self, directory, upstream):
        self.directory, self.upstream = directory, upstream
        self.listen, self.http2 = free_port(), free_port()
        self.children = []

    def spawn(self, command, **options):
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
        self.children.append(child)
        return child

    def fill(self, config, workers):
        return config.format(directory=self.directory, workers=workers, listen=self.listen, http2=self.http2, upstream=self.upstream)

    def pids(self):
        """The processes that it has now."""
        found = [child.pid for child in self.children if child.poll() is None]
        for pid in found:
            with contextlib.suppress(OSError):
                for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                    found.extend(int(child) for child in children.read_text().split())
        return found

    def left(self):
        """Waits until processes of earlier generations have ended; how many have not."""
        end = time.monotonic() + 10
        while (left := len(self.pids()) - self.usual) > 0 and time.monotonic() < end:
            time.sleep(0.1)
        return left

    def descriptors(self):
        """How many descriptors its processes have open at least in a second: those of checks of health come and go."""
        fewest = []
        for _ in range(30):
            time.sleep(0.03)
            fewest.append(sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids()))
        return min(fewest)

    def stop(self):
        for child in self.children:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(child.pid, number)
                    child.wait(timeout=3)


class Prox(Proxy):
    """A process for each replacement."""

    name = "Prox"
    # The one that serves.
    usual = 1

    def __init__(self, directory, upstream, programs):
        super().__init__(directory, upstream)
        self.program = f"{programs}/handover_probe"
        self.http2 = self.listen

    def begin(self, workers, **other):
        env = {
            "HOST": "127.0.0.1",
            "PORT": str(self.listen),
            "HANDOVER": str(self.directory / "prox.sock"),
            "UPSTREAM": f"http://127.0.0.1:{self.upstream}",
            "NEEDED": f"http://127.0.0.1:{self.upstream}",
            "THREADS": str(workers),
            "LOG_FORMAT": "text",
            **other,
        }
        told = self.directory / f"prox-{len(self.children)}.log"
        with told.open("w") as log:
            child = self.spawn([self.program], env=env, stderr=log, stdout=subprocess.DEVNULL)
        return child, told

    def start(self, workers):
        self.begin(workers)
        until("Prox to listen", lambda: accepts(self.listen))

    def replace(self, turn, workers):
        if turn == 6:
            child, _ = self.begin(workers, UPSTREAM="nonsense")
            child.wait(timeout=20)
        if turn == 13:
            # It waits for its readiness, and has the sockets.
            child, told = self.begin(workers, NEEDED="http://127.0.0.1:1")
            until("the sockets to be taken", lambda: "listening" in told.read_text())
            child.kill()
            child.wait(timeout=20)
        began = time.monotonic()
        child, told = self.begin(workers)
        until("a new process to take over", lambda: "took over" in told.read_text())
        return time.monotonic() - began


class Nginx(Proxy):
    """New workers of one master."""

    name = "nginx"
    usual = None

    def start(self, workers):
        self.config = self.directory / "nginx.conf"
        self.config.write_text(self.fill(NGINX, workers))
        self.usual = 1 + workers
        self.spawn(["nginx", "-c", str(self.config), "-e", "stderr"], stderr=subprocess.DEVNULL)
        until("nginx to listen", lambda: accepts(self.listen))

    def replace(self, turn, workers):
        self.config.write_text(self.fill(NGINX, workers))
        before = set(self.pids())
        self.usual = 1 + workers
        began = time.monotonic()
        os.kill(self.children[0].pid, signal.SIGHUP)
        until("new workers", lambda: len(set(self.pids()) - before) >= workers)
        return time.monotonic() - began


class Haproxy(Proxy):
    """A new worker of one master, which gets the sockets."""

    name = "HAProxy"
    usual = 2

    def start(self, workers):
        self.config = self.directory / "haproxy.cfg"
        self.config.write_text(self.fill(HAPROXY, workers))
        self.spawn(["haproxy", "-W", "-q", "-f", str(self.config)], stderr=subprocess.DEVNULL)
        until("HAProxy to listen", lambda: accepts(self.listen))

    def replace(self, turn, workers):
        self.config.write_text(self.fill(HAPROXY, workers))
        before = set(self.pids())
        began = time.monotonic()
        os.kill(self.children[0].pid, signal.SIGUSR2)
        until("a new worker", lambda: set(self.pids()) - before)
        return time.monotonic() - began


def go_through(proxy, options):
    """One proxy under load while it is replaced; its row, and whether it lost nothing."""
    note(proxy.name)
    results, took = Results(), []
    try:
        proxy.start(WORKERS[0])
        before = proxy.descriptors()
        loading = threading.Thread(target=lambda: asyncio.run(load(proxy.listen, proxy.http2, options.seconds, results)), daemon=True)
        loading.start()
        every = options.seconds / (options.count + 1)
        began = time.monotonic()
        for turn in range(1, options.count + 1):
            time.sleep(max(0.0, began + turn * every - time.monotonic()))
            took.append(proxy.replace(turn, WORKERS[turn % len(WORKERS)]))
        loading.join(timeout=options.seconds + 60)
        if loading.is_alive():
            raise Failure("the load does not end")
        left = proxy.left()
        proxy.replace(options.count + 1, WORKERS[0])
        left = max(left, proxy.left())
        after = proxy.descriptors()
    finally:
        proxy.stop()
    failed = results.failures.total()
    kinds = ", ".join(f"{count} × {kind}" for kind, count in results.failures.most_common())
    cells = [proxy.name, *(str(results.counts[kind]) for kind in KINDS), f"**{failed}** ({kinds})" if failed else "0"]
    cells.append(str(sum(count for kind, count in results.failures.items() if kind.startswith("tunnel"))))
    cells += [f"{results.slowest:.2f} s", f"{sorted(took)[len(took) // 2] * 1e3:.0f} ms", str(left), f"{before}, then {after}"]
    row = "| " + " | ".join(cells) + " |"
    note(row)
    return row, failed == 0 and left == 0 and after <= before


def write(table):
    """Puts the table in its place on the page."""
    page = REPOSITORY / "docs" / "faults.md"
    text, count = re.subn(r"\| proxy \| kept \|.*\n(\|.*\n)+", lambda _: table + "\n", page.read_text())
    if count != 1:
        raise Failure("docs/faults.md has no table of replacements")
    page.write_text(text)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=positive, default=60, help="how long the load lasts for each proxy (60)")
    parser.add_argument("--count", type=positive, default=20, help="how often each is replaced (20)")
    parser.add_argument("--only", default="prox,nginx,haproxy", help="proxies, for example prox,nginx")
    parser.add_argument("--write", action="store_true", help="write the table to docs/faults.md, too")
    parser.add_argument("--programs", help="where the built program is (target/bench-peers)")
    parser.add_argument("--origin", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    target = os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")
    options.programs = pathlib.Path(options.programs or pathlib.Path(target) / "bench-peers").resolve()
    return options


def work(options):
    """Runs what the command line asks for; the exit code is 1 when Prox loses something."""
    only = [word.strip().lower() for word in options.only.split(",") if word.strip()]
    if unknown := set(only) - {"prox", "nginx", "haproxy"}:
        raise Failure(f"no such proxy: {', '.join(sorted(unknown))}")
    needed = {"prox": f"{options.programs}/handover_probe", "nginx": "nginx", "haproxy": "haproxy"}
    if missing := [needed[name] for name in only if not shutil.which(needed[name])]:
        raise Failure(f"missing: {', '.join(missing)}; Prox is built with: {BUILD}")
    upstream = free_port()
    origin = subprocess.Popen([sys.executable, __file__, "--origin", str(upstream)], stdin=subprocess.DEVNULL)
    rows, is_well = [], True
    try:
        until("the upstream to listen", lambda: accepts(upstream))
        with tempfile.TemporaryDirectory(prefix="prox-handover-") as name:
            directory = pathlib.Path(name)
            every = {
                "prox": lambda: Prox(directory, upstream, options.programs),
                "nginx": lambda: Nginx(directory, upstream),
                "haproxy": lambda: Haproxy(directory, upstream),
            }
            for proxy in every:
                if proxy in only:
                    row, well = go_through(every[proxy](), options)
                    rows.append(row)
                    is_well &= well or proxy != "prox"
    finally:
        origin.terminate()
        origin.wait()
    table = "\n".join([HEAD, *rows])
    print(table)
    if options.write:
        write(table)
    return 0 if is_well else 1


def main():
    """The exit code of the command line."""
    options = arguments()
    if options.origin:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(originate(options.origin))
        return 0
    return exit_code(lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
