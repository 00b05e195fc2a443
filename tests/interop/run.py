#!/usr/bin/env python3
"""Runs other people's clients and servers through a gateway, and prints `ok` or `FAILED` for each case.

Clients: curl, h2load, httpx, websockets, undici and grpcio. Upstreams: Python's http.server, Node's http2, websockets and
grpcio. What comes from PyPI and npm is installed into a temporary folder (or into `--packages`, where it stays); curl,
h2load (Debian: nghttp2-client), node and npm have to be there. README.md says what is covered.

Everything stays on the loopback interface, and ends when this ends. The exit code is 1 if a case has failed.
"""

import argparse
import asyncio
import contextlib
import hashlib
import http.server
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import venv

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PYTHON_PACKAGES = ["httpx[http2]", "websockets", "grpcio"]
NODE_PACKAGES = ["undici", "@grpc/grpc-js"]
PROGRAMS = {"curl": "curl", "h2load": "nghttp2-client", "node": "nodejs", "npm": "npm"}
UPSTREAMS = ["h1", "h2", "tls-h1", "tls-h2"]
UPLOAD = 20 << 20
GIBIBYTE = 1 << 30
MEMORY_LIMIT = 40 << 20
PATIENCE = 60


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", action="store_true", help="build the gateway with the profile release")
    parser.add_argument("--gateway", type=pathlib.Path, help="a gateway that is built already")
    parser.add_argument("--packages", type=pathlib.Path, help="where to keep what is installed")
    parser.add_argument("--only", default="", help="run only the cases whose name has this in it")
    parser.add_argument("--seconds", type=int, default=60, help="how long each case of load takes")
    arguments = parser.parse_args()
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        sys.exit(f"not installed: apt-get install {' '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="prox-interop-") as folder:
        packages = arguments.packages or pathlib.Path(folder) / "packages"
        python = install(packages)
        if pathlib.Path(sys.prefix).resolve() != (packages / "venv").resolve():
            # The same again, with the packages at hand.
            command = [python, __file__, *sys.argv[1:], "--packages", packages]
            return subprocess.run(command, check=False).returncode
        gateway = arguments.gateway or build(arguments.release)
        return run(gateway.resolve(), packages, pathlib.Path(folder), arguments.only, arguments.seconds)


def install(packages):
    """Installs what comes from PyPI and npm, unless it is there; gives the Python that has it."""
    python = packages / "venv" / "bin" / "python"
    if not (packages / "complete").exists():
        print("installing into", packages, flush=True)
        venv.create(packages / "venv", with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PYTHON_PACKAGES], check=True)
        (packages / "package.json").write_text("{}\n")
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", *NODE_PACKAGES]
        subprocess.run(npm, cwd=packages, check=True)
        (packages / "complete").touch()
    return python


def build(release):
    """Builds the gateway, and gives its path."""
    command = ["cargo", "build", "-p", "prox-tests", "--features", "programs", "--bin", "interop_gateway"]
    subprocess.run(command + ["--release"] * release, cwd=REPOSITORY, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return target / ("release" if release else "debug") / "interop_gateway"


class Http1(http.server.BaseHTTPRequestHandler):
    """Python's own server: the upstream that speaks HTTP/1.1."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        action, argument = (self.path.split("/") + [""])[2:4]
        length = int(argument) if action == "bytes" else 5
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        piece = b"x" * min(length, 1 << 18) if action == "bytes" else b"hello"
        while length > 0:
            self.wfile.write(piece[:length])
            length -= len(piece)

    do_HEAD = do_GET

    def do_POST(self):
        if "/refuse" in self.path:
            # At once, before a byte of the body; then the end is waited for, so that no reset overtakes the answer.
            self.answer(413, b"too large", close=True)
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(2)
            with contextlib.suppress(OSError):
                while self.rfile.read1(1 << 16):
                    pass
            return
        digest, length = hashlib.sha256(), 0
        for piece in self.pieces():
            digest.update(piece)
            length += len(piece)
        self.answer(200, f"{length} {digest.hexdigest()}".encode())

    do_PUT = do_POST

    def answer(self, status, body, close=False):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def pieces(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            left = int(self.headers.get("Content-Length", 0))
            while left > 0:
                piece = self.rfile.read(min(left, 1 << 18))
                left -= len(piece)
                yield piece
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_):
        # A client that leaves is none.
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc()


class Gateway:
    """A gateway in a process of its own."""

    def __init__(self, program, upstreams, folder, secure):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        flags = {"listen": f"127.0.0.1:{self.port}", "folder": folder, "secure": str(secure).lower(), **upstreams}
        command = [program] + [part for name, value in flags.items() for part in (f"--{name}", str(value))]
        self.process = subprocess.Popen(command)
        scheme, host = ("https", "localhost") if secure else ("http", "127.0.0.1")
        self.url = f"{scheme}://{host}:{self.port}"
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit("the gateway does not start")
            time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def peak(self):
        """The most memory that was ever resident, in bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) << 10

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


class Cases:
    """Runs cases, and counts those that have failed."""

    def __init__(self, only):
        self.only = only
        self.run = self.failed = 0

    def __call__(self, name, case, *arguments):
        if self.only not in name:
            return
        began = time.monotonic()
        try:
            said = case(*arguments)
        except Exception as error:  # noqa: BLE001: whatever it is, the case has failed
            lines = " | ".join(str(error).splitlines()[-12:])
            self.told(name, f"{type(error).__name__}: {lines}")
        else:
            self.told(name, None, said or f"{time.monotonic() - began:.1f} s")

    def told(self, name, failure, said=""):
        self.run += 1
        self.failed += failure is not None
        print(f"ok     {name} ({said})" if failure is None else f"FAILED {name}: {failure}", flush=True)


def run(program, packages, folder, only, seconds):
    subprocess.run([program, "--certificates", folder], check=True)
    upload = folder / "upload"
    upload.write_bytes(os.urandom(UPLOAD))
    cases = Cases(only)
    with contextlib.ExitStack() as stack:
        upstreams = start_upstreams(stack, folder)
        grpc_server = upstreams.pop("server")
        plain = Gateway(program, upstreams, folder, secure=False)
        stack.callback(plain.stop)
        secure = Gateway(program, upstreams, folder, secure=True)
        stack.callback(secure.stop)
        curl_cases(cases, plain, secure, folder, upload)
        h2load_cases(cases, plain, secure, upload)
        httpx_cases(cases, plain, secure, folder)
        websockets_cases(cases, plain, secure, folder)
        undici_cases(cases, plain, secure, folder, packages)
        grpc_cases(cases, plain, secure, folder, grpc_server)
        load_cases(cases, plain, packages, seconds)
        memory_cases(cases, plain)
        for gateway in (plain, secure):
            cases("the gateway is still there", check, gateway.process.poll(), None)
    print(f"{cases.run - cases.failed} of {cases.run} cases ok")
    return 1 if cases.failed or not cases.run else 0


def start_upstreams(stack, folder):
    import grpc_peer
    import websockets.sync.server

    http1 = Server(("127.0.0.1", 0), Http1)
    stack.callback(http1.shutdown)
    threading.Thread(target=http1.serve_forever, daemon=True).start()

    def echo(connection):
        for message in connection:
            connection.send(message)

    echoing = websockets.sync.server.serve(echo, "127.0.0.1", 0, max_size=None)
    stack.callback(echoing.shutdown)
    threading.Thread(target=echoing.serve_forever, daemon=True).start()

    node = subprocess.Popen(["node", HERE / "upstream.mjs", folder], stdout=subprocess.PIPE, text=True)
    stack.callback(node.wait)
    stack.callback(node.terminate)
    h2, tls = node.stdout.readline().split()

    grpc_server = grpc_peer.Server()
    stack.callback(grpc_server.stop)
    return {
        "h1": f"http://127.0.0.1:{http1.server_port}",
        "h2": f"http://127.0.0.1:{h2}",
        "tls": f"https://localhost:{tls}",
        "websockets": f"http://127.0.0.1:{echoing.socket.getsockname()[1]}",
        "grpc": f"http://127.0.0.1:{grpc_server.port}",
        "server": grpc_server,
    }


def check(is_, should):
    if is_ != should:
        raise AssertionError(f"{is_!r} instead of {should!r}")


def command(*parts, **options):
    done = subprocess.run(parts, capture_output=True, timeout=PATIENCE * 4, check=False, **options)
    if done.returncode:
        raise AssertionError(f"{parts[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-600:]}")
    return done


def curl(*parts):
    done = command("curl", "-4", "-sS", "-v", "--max-time", str(PATIENCE), *map(str, parts))
    return done.stdout.decode(), done.stderr.decode(errors="replace")


def curl_cases(cases, plain, secure, folder, upload):
    authority = ["--cacert", folder / "authority.pem"]
    kinds = {
        "h1": (plain, ["--http1.1"], "1.1"),
        "h2c": (plain, ["--http2-prior-knowledge"], "2"),
        "TLS, h1": (secure, ["--http1.1", *authority], "1.1"),
        "TLS, h2 by ALPN": (secure, [*authority], "2"),
    }
    digest = f"{UPLOAD} {hashlib.sha256(upload.read_bytes()).hexdigest()}"
    for kind, (gateway, flags, version) in kinds.items():
        for upstream in UPSTREAMS:
            base = f"{gateway.url}/{upstream}"

            def get():
                said, _ = curl(*flags, "-w", "%{http_version} %{http_code}", f"{base}/hello")
                check(said, f"hello{version} 200")

            def head():
                said, _ = curl(*flags, "-I", f"{base}/bytes/1000")
                check("content-length: 1000" in said.lower(), True)
                check(said.splitlines()[0].split()[1], "200")

            def download():
                shape = "%{size_download} %{http_code}"
                said, _ = curl(*flags, "-o", os.devnull, "-w", shape, f"{base}/bytes/{UPLOAD}")
                check(said, f"{UPLOAD} 200")

            def post(*more):
                logged_post(*more)

            def logged_post(*more):
                said, log = curl(*flags, *more, "--data-binary", f"@{upload}", f"{base}/digest")
                check(said, digest)
                return log

            def chunked():
                check(curl(*flags, "-T", "-", f"{base}/digest")[0].split()[0], "0")
                post("-H", "Transfer-Encoding: chunked", "-H", "Expect:")

            def expect():
                # If nobody says to continue, curl waits longer than the whole may take.
                log = logged_post("-H", "Expect: 100-continue", "--expect100-timeout", str(PATIENCE * 2))
                check(" 100" in next(line for line in log.splitlines() if line.startswith("< HTTP/")), True)

            def early():
                body = ["-H", "Expect:", "--data-binary", f"@{upload}"]
                said, _ = curl(*flags, *body, "-w", "%{http_code}", f"{base}/refuse")
                check(said, "too large413")

            name = f"curl {kind} -> {upstream}"
            cases(f"{name}: GET", get)
            cases(f"{name}: HEAD", head)
            cases(f"{name}: download of 20 MiB", download)
            cases(f"{name}: upload of 20 MiB", post, "-H", "Expect:")
            if version == "1.1":
                cases(f"{name}: upload without a length", chunked)
                if "h1" in upstream:
                    cases(f"{name}: Expect: 100-continue", expect)
                # Over HTTP/2, curl 7.88 takes the reset after such an answer for an error, with Node's server too; h2load
                # asks for it there.
                cases(f"{name}: 413 before the body", early)


def h2load_cases(cases, plain, secure, upload):
    def load(url, count):
        said = command("h2load", "-n", str(count), "-c", "10", "-m", "20", url).stdout.decode()
        line = next(line for line in said.splitlines() if line.startswith("requests:"))
        check(f"{count} succeeded, 0 failed, 0 errored, 0 timeout" in line, True)
        return next(line for line in said.splitlines() if line.startswith("finished in")).split(", ")[1]

    def early(url):
        said = command("h2load", "-n", "50", "-c", "5", "-m", "2", "-d", upload, url).stdout.decode()
        check("0 errored, 0 timeout" in said, True)
        check("0 2xx, 0 3xx, 50 4xx, 0 5xx" in said, True)

    for kind, gateway in (("h2c", plain), ("TLS", secure)):
        for upstream in UPSTREAMS:
            cases(f"h2load {kind} -> {upstream}: 413 before the body", early, f"{gateway.url}/{upstream}/refuse")
    cases("h2load h2c -> h2: 20 000 requests", load, f"{plain.url}/h2/hello", 20_000)
    cases("h2load h2c -> h1: 5 000 requests", load, f"{plain.url}/h1/hello", 5_000)
    cases("h2load TLS -> h2: 20 000 requests", load, f"{secure.url}/h2/hello", 20_000)


def httpx_cases(cases, plain, secure, folder):
    import httpx

    trust = ssl.create_default_context(cafile=folder / "authority.pem")

    def exchange(gateway, flags, version):
        body = os.urandom(5 << 20)
        digest = f"{len(body)} {hashlib.sha256(body).hexdigest()}"

        def pieces():
            for at in range(0, len(body), 100_000):
                yield body[at : at + 100_000]

        with httpx.Client(verify=trust, timeout=PATIENCE, **flags) as client:
            for upstream in UPSTREAMS:
                base = f"{gateway.url}/{upstream}"
                answer = client.get(f"{base}/bytes/3000000")
                check((answer.http_version, answer.status_code, len(answer.content)), (version, 200, 3_000_000))
                check(client.head(f"{base}/bytes/7").headers["content-length"], "7")
                check(client.post(f"{base}/digest", content=body).text, digest)
                check(client.post(f"{base}/digest", content=pieces()).text, digest)

    async def together(flags):
        async with httpx.AsyncClient(verify=trust, timeout=PATIENCE, **flags) as client:
            answers = await asyncio.gather(*(client.get(f"{secure.url}/h2/bytes/{n}") for n in range(100)))
        check([len(answer.content) for answer in answers], [*range(100)])

    cases("httpx TLS, h2", exchange, secure, {"http2": True}, "HTTP/2")
    cases("httpx TLS, h1", exchange, secure, {}, "HTTP/1.1")
    cases("httpx h2c", exchange, plain, {"http1": False, "http2": True}, "HTTP/2")
    cases("httpx h1", exchange, plain, {}, "HTTP/1.1")
    cases("httpx TLS, h2: 100 at once", lambda: asyncio.run(together({"http2": True})))


def websockets_cases(cases, plain, secure, folder):
    from websockets.sync.client import connect

    trust = ssl.create_default_context(cafile=folder / "authority.pem")

    def echo(gateway, **flags):
        url = gateway.url.replace("http", "ws", 1) + "/websockets"
        with connect(url, max_size=None, open_timeout=PATIENCE, **flags) as client:
            for message in ["text", "", "ü" * 70_000, b"\x00\xff", os.urandom(2 << 20), [b"in ", b"pieces"]]:
                client.send(message)
                whole = b"".join(message) if isinstance(message, list) else message
                check(client.recv(timeout=PATIENCE) == whole, True)
            check(client.ping().wait(PATIENCE), True)
        check((client.protocol.close_code, client.protocol.close_sent.code), (1000, 1000))

    cases("websockets h1: echo, ping, close", echo, plain)
    cases("websockets h1 without compression", lambda: echo(plain, compression=None))
    cases("websockets TLS: echo, ping, close", lambda: echo(secure, ssl=trust))


def undici_cases(cases, plain, secure, folder, packages):
    if cases.only and cases.only not in "undici":
        return
    script, authority = HERE / "undici.mjs", folder / "authority.pem"
    try:
        said = command("node", script, packages, plain.url, secure.url, authority).stdout.decode()
    except (AssertionError, subprocess.TimeoutExpired) as error:
        return cases.told("undici", str(error))
    for line in said.splitlines():
        result, name = line.split(" ", 1)
        cases.told(name, None if result == "ok" else "see above")


def grpc_cases(cases, plain, secure, folder, server):
    import grpc
    import grpc_peer

    trust = grpc.ssl_channel_credentials((folder / "authority.pem").read_bytes())
    with (
        grpc.insecure_channel(f"127.0.0.1:{plain.port}") as clear,
        grpc.secure_channel(f"localhost:{secure.port}", trust) as sealed,
    ):
        for kind, channel in (("h2c", clear), ("TLS", sealed)):
            for case in grpc_peer.CASES:
                cases(f"grpcio {kind}: {case.__name__.replace('_', ' ')}", case, channel, server)


def load_cases(cases, gateway, packages, seconds):
    """Small calls and messages without a pause, first alone and then beside clients that flood the gateway."""
    import grpc
    import load

    def h2load():
        url = f"{gateway.url}/h2/hello"
        said = command("h2load", "-D", str(seconds), "-c", "4", "-m", "20", url).stdout.decode()
        line = next(line for line in said.splitlines() if line.startswith("requests:"))
        check("0 failed, 0 errored, 0 timeout" in line, True)
        return line.split(", ")[2]

    def each(name, beside):
        with grpc.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
            def beside_attackers(case, *arguments):
                with beside():
                    return case(*arguments)

            cases(f"load, grpcio{name}: unary calls", beside_attackers, load.unary, channel, seconds)
            for rate in load.RATES:
                named = f"load, grpcio{name}: streams of {rate} messages a second"
                cases(named, beside_attackers, load.streams, channel, seconds, rate)
            for rate in (0, *load.RATES):
                named = "unary calls" if rate == 0 else f"streams of {rate} messages a second"
                arguments = (packages, gateway.port, seconds, rate)
                cases(f"load, grpc-js{name}: {named}", beside_attackers, load.javascript, *arguments)
            cases(f"load, h2load{name}", beside_attackers, h2load)

    each("", contextlib.nullcontext)
    each(" beside attackers", lambda: load.attacked(gateway.port))


def memory_cases(cases, gateway):
    def moved(*flags):
        gateway.forget_peak()
        curl(*flags)
        peak = gateway.peak()
        if peak > MEMORY_LIMIT:
            raise AssertionError(f"the peak was {peak / (1 << 20):.1f} MiB")
        return f"peak {peak / (1 << 20):.1f} MiB"

    def upload(flag):
        # A file without content of its own, which takes no room.
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(GIBIBYTE)
            return moved(flag, "-H", "Expect:", "-T", file.name, f"{gateway.url}/h1/digest")

    for kind, flag in (("h1", "--http1.1"), ("h2c", "--http2-prior-knowledge")):
        download = f"{gateway.url}/h1/bytes/{GIBIBYTE}"
        cases(f"memory {kind} -> h1: download of 1 GiB", moved, flag, "-o", os.devnull, download)
        cases(f"memory {kind} -> h1: upload of 1 GiB", upload, flag)


if __name__ == "__main__":
    sys.exit(main())
