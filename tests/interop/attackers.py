"""Clients of HTTP/2 that flood a gateway with frames, one after the other, until this process is told to end.

`attackers.py PORT` prints for each kind of flood how often it was made, and how often it ended with GOAWAY(ENHANCE_YOUR_CALM).
"""

import contextlib
import json
import signal
import socket
import struct
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
ENHANCE_YOUR_CALM = 11
# More than a connection may send without a reason.
MANY = 1_500
PAUSE = 0.05


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def head(path, method):
    """A header block without Huffman coding and without the dynamic table."""
    authority = b"gateway.test"
    block = bytes([method, 0x86, 0x01, len(authority)]) + authority
    return block + bytes([0x04, len(path)]) + path


GET = head(b"/h1/hello", 0x82)
POST = head(b"/h1/digest", 0x83)


def reset_at_once():
    for stream in range(1, 2 * MANY, 2):
        yield frame(HEADERS, END_STREAM | END_HEADERS, stream, GET)
        yield frame(RST_STREAM, 0, stream, struct.pack("!I", 8))


def repeated(one, open_flags=END_HEADERS):
    return lambda: [frame(HEADERS, open_flags, 1, POST), one * MANY]


FLOODS = {
    "PING": repeated(frame(PING, 0, 0, bytes(8))),
    "SETTINGS": repeated(frame(SETTINGS, 0, 0)),
    "WINDOW_UPDATE": repeated(frame(WINDOW_UPDATE, 0, 1, struct.pack("!I", 1))),
    "PRIORITY": repeated(frame(PRIORITY, 0, 1, struct.pack("!IB", 3, 0))),
    "empty DATA": repeated(frame(DATA, 0, 1)),
    "empty CONTINUATION": repeated(frame(CONTINUATION, 0, 1), open_flags=0),
    "rapid reset": reset_at_once,
}


def attack(port, flood):
    """Makes a flood, and gives the code of the GOAWAY that ends it, if one does."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        # A gateway that closes early is looked at by what it has said.
        with contextlib.suppress(OSError):
            client.sendall(PREFACE + frame(SETTINGS, 0, 0) + b"".join(flood()))
        received = b""
        with contextlib.suppress(OSError):
            while piece := client.recv(1 << 16):
                received += piece
    code = None
    while len(received) >= 9:
        length, kind = int.from_bytes(received[:3], "big"), received[3]
        payload, received = received[9 : 9 + length], received[9 + length :]
        if kind == GOAWAY and len(payload) >= 8:
            code = int.from_bytes(payload[4:8], "big")
    return code


def main():
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    made = {name: [0, 0] for name in FLOODS}
    while not ended:
        for name, flood in FLOODS.items():
            if ended:
                break
            code = attack(int(sys.argv[1]), flood)
            made[name][0] += 1
            made[name][1] += code == ENHANCE_YOUR_CALM
            time.sleep(PAUSE)
    print(json.dumps(made))


if __name__ == "__main__":
    main()
