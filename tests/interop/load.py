"""Calls of gRPC for a while, at several rates, through a gateway that others attack meanwhile."""

import contextlib
import json
import pathlib
import subprocess
import sys
import threading
import time

import grpc
import grpc_peer

HERE = pathlib.Path(__file__).resolve().parent
THREADS = 8
WAIT = 20
# Messages a second on each stream.
RATES = [50, 200, 1000]
STREAMS = 4
MESSAGE = b"m" * 50


@contextlib.contextmanager
def attacked(port):
    """Floods the gateway, and fails if one of the floods did not end as it must."""
    process = subprocess.Popen([sys.executable, HERE / "attackers.py", str(port)], stdout=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=60)
    made = json.loads(said)
    wrong = {name: counts for name, counts in made.items() if counts[0] != counts[1]}
    assert not wrong and all(count for count, _ in made.values()), f"floods and farewells: {made}"


def unary(channel, seconds):
    """Small calls on one channel, as fast as `THREADS` threads can."""
    same = grpc_peer.call(channel, "unary_unary", "Same")
    end = time.monotonic() + seconds
    done, failed = [], []

    def work():
        while time.monotonic() < end:
            try:
                assert same(MESSAGE, timeout=WAIT) == MESSAGE
            except grpc.RpcError as error:
                failed.append(f"{error.code()}: {error.details()}")
            else:
                done.append(None)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, f"{len(failed)} of {len(failed) + len(done)} failed: {failed[0]}"
    return f"{len(done)} calls"


def streams(channel, seconds, rate):
    """Bidirectional streams on one channel, each with `rate` messages a second."""
    echo = grpc_peer.call(channel, "stream_stream", "Echo")
    failed, got = [], []

    def work():
        begin, count = time.monotonic(), int(seconds * rate)

        def messages():
            for number in range(count):
                # A busy machine may fall behind; what is late is sent at once.
                time.sleep(max(0, begin + number / rate - time.monotonic()))
                yield MESSAGE

        try:
            answers = sum(answer == MESSAGE for answer in echo(messages(), timeout=seconds * 20 + WAIT))
        except grpc.RpcError as error:
            failed.append(f"{error.code()}: {error.details()} after {time.monotonic() - begin:.1f} s")
        else:
            got.append((answers, count))

    threads = [threading.Thread(target=work) for _ in range(STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, f"{len(failed)} of {STREAMS} failed: {failed[0]}"
    assert all(answers == count for answers, count in got), got
    return f"{sum(count for _, count in got)} messages"


def javascript(packages, port, seconds, rate):
    """The same with gRPC's implementation for Node."""
    parts = ["node", HERE / "grpc_load.mjs", packages, f"127.0.0.1:{port}", seconds, rate]
    done = subprocess.run(list(map(str, parts)), capture_output=True, text=True, timeout=seconds * 20 + 60, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-600:]
    return done.stdout.strip()
