#!/usr/bin/env python3
"""Measures how fast a gateway with everything on answers, and what memory it has when it is idle.

Everything is: a listener for operators, metrics, traces, an access log, checks of health, TLS, the sockets of a hand-over, and layers that
need no key. All features are compiled in. *First answer* is the time from the call that starts the process to the head of its first response
from the upstream. *First next* is the time to the first question for an event, as AWS Lambda counts it. *CPU* is the time that its threads
spent on a core until then. *Idle* is the resident memory after a second without a client; what is not its own are pages of the program and
of libraries, which the kernel shares between processes. The exit code is 1 when a median is over its budget.

    cargo build --profile bench-peers -p prox-tests --features programs --bin start_probe

`just start` does both. Everything stays on the loopback interface, and ends when this ends.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

from run import REPOSITORY, Failure, exit_code, free_port, positive

BUILD = "cargo build --profile bench-peers -p prox-tests --features programs --bin start_probe"
PATIENCE = 10.0
# The most that a median may be, in milliseconds and MiB.
ANSWER, MEMORY, NEXT = 10.0, 8.0, 15.0
REQUEST = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"


def begin(program, **env):
    """Starts it; the process, and when that was."""
    began = time.monotonic()
    # Without the closing of descriptors Python does not copy itself for it.
    child = subprocess.Popen([program], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False)
    return child, began


def end(child):
    child.terminate()
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def memory(child, field="VmRSS"):
    """Its resident memory in MiB, or (`RssAnon`) what of it is its own."""
    for line in pathlib.Path(f"/proc/{child.pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise Failure("the process has no memory")


def cpu(child):
    """The milliseconds that its threads have spent on a core."""
    stats = pathlib.Path(f"/proc/{child.pid}/task").glob("*/schedstat")
    return sum(int(stat.read_text().split()[0]) for stat in stats) / 1e6


def answered(port, tls):
    """Whether it answers with 200."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as stream:
        with tls.wrap_socket(stream, server_hostname="a.test") if tls else contextlib.nullcontext(stream) as connection:
            connection.sendall(REQUEST)
            return connection.recv(4096).startswith(b"HTTP/1.1 200")
    return False


def serve(program, env, port, tls):
    """The milliseconds to its first answer, those on a core, its idle memory, its own, and that after a second of requests."""
    child, began = begin(program, **env)
    try:
        while not answered(port, tls):
            if child.poll() is not None:
                raise Failure(f"it ended with {child.returncode} instead of serving")
            if time.monotonic() - began > PATIENCE:
                raise Failure("it does not serve")
            time.sleep(0.0002)
        first, busy = (time.monotonic() - began) * 1e3, cpu(child)
        time.sleep(1)
        idle, own = memory(child), memory(child, "RssAnon")
        until = time.monotonic() + 1
        while time.monotonic() < until:
            answered(port, tls)
        return first, busy, idle, own, memory(child)
    finally:
        end(child)


def ask(program, env):
    """The milliseconds to its first question for an event, those on a core, its memory, and its own."""
    with socket.create_server(("127.0.0.1", 0)) as api:
        api.settimeout(PATIENCE)
        env = {**env, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:%d" % api.getsockname()[1]}
        child, began = begin(program, **env)
        try:
            stream, _ = api.accept()
            with stream:
                head = stream.recv(4096)
                first, busy = (time.monotonic() - began) * 1e3, cpu(child)
                if b"/runtime/invocation/next" not in head:
                    raise Failure(f"it asked for something else: {head[:100]}")
                time.sleep(1)
                return first, busy, memory(child), memory(child, "RssAnon")
        finally:
            end(child)


def row(name, found, budget):
    """One row of the table, and whether it keeps its budgets."""
    times, busy, idle, own, *after = zip(*found)
    median = statistics.median
    cells = [name, f"{median(times):.1f} ms ({min(times):.1f}-{max(times):.1f})", f"{median(busy):.1f} ms", f"{budget:.0f} ms"]
    cells += [f"{median(idle):.1f} MiB", f"{median(own):.1f} MiB", f"{median(after[0]):.1f} MiB" if after else ""]
    return "| " + " | ".join(cells) + " |", median(times) <= budget and median(idle) <= MEMORY


def work(options):
    """Runs what the command line asks for."""
    program = f"{options.programs}/start_probe"
    if not shutil.which(program):
        raise Failure(f"missing: {program}; it is built with: {BUILD}")
    upstream = free_port()
    origin = [sys.executable, str(pathlib.Path(__file__).with_name("handover.py")), "--origin", str(upstream)]
    origin = subprocess.Popen(origin, stdin=subprocess.DEVNULL)
    rows = []
    try:
        until = time.monotonic() + PATIENCE
        while not answered(upstream, None):
            if time.monotonic() > until:
                raise Failure("the upstream does not listen")
            time.sleep(0.01)
        with tempfile.TemporaryDirectory(prefix="prox-start-") as directory:
            certificate, key = f"{directory}/cert.pem", f"{directory}/key.pem"
            command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "90"]
            command += ["-subj", "/CN=a.test", "-addext", "subjectAltName=DNS:a.test", "-keyout", key, "-out", certificate]
            subprocess.run(command, check=True, capture_output=True)
            tls = ssl.create_default_context(cafile=certificate)
            common = {"UPSTREAM": f"http://127.0.0.1:{upstream}", "HOST": "127.0.0.1"}
            for name, context in (("clear text", None), ("TLS", tls)):
                found = []
                for number in range(options.rounds):
                    port = free_port()
                    env = {
                        **common,
                        "PORT": str(port),
                        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{upstream}",
                        "ADMIN": f"unix:{directory}/admin-{number}.sock",
                        "HANDOVER": f"{directory}/handover-{number}.sock",
                    }
                    if context:
                        env |= {"CERTIFICATE": certificate, "KEY": key}
                    found.append(serve(program, env, port, context))
                rows.append(row(f"first answer, {name}", found, ANSWER))
            function = {f"AWS_LAMBDA_FUNCTION_{name}": value for name, value in (("NAME", "shop"), ("VERSION", "1"), ("MEMORY_SIZE", "128"))}
            rows.append(row("first next, AWS Lambda", [ask(program, {**common, **function}) for _ in range(options.rounds)], NEXT))
    finally:
        origin.terminate()
        origin.wait()
    print("| start | median (min-max) | CPU | at most | idle RSS | its own | RSS after a second of requests |\n|---|---:|---:|---:|---:|---:|---:|")
    print("\n".join(text for text, _ in rows))
    return 0 if all(well for _, well in rows) else 1


def main():
    """The exit code of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=20, help="how often each is started (20)")
    parser.add_argument("--programs", help="where the built program is (target/bench-peers)")
    options = parser.parse_args()
    target = os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")
    options.programs = pathlib.Path(options.programs or pathlib.Path(target) / "bench-peers").resolve()
    return exit_code(lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
