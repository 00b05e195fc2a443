#!/usr/bin/env python3
"""Measures what the layers of the edge cost, and whether their memory stays flat. Each mode prints Markdown tables.

Without an option: Prox, HAProxy, Envoy and nginx, each of them as a plain proxy and with the rules of an edge: CORS, a token with its
scope, two limits, and the name of the caller for the upstream. The two take turns; the figure to trust is the ratio of the CPU time per
request within a round. HAProxy verifies the signature of each request (`jwt_verify`), Prox and Envoy keep what they have verified.
nginx has all of it but the token, which only its commercial edition knows.

`--before PROGRAM`: a route without layers, in a `peer_edge` that was built before, and in this one beside routes with layers.

`--instructions`: what each layer of Prox costs in instructions per request, by callgrind: the difference of two runs.

`--memory SECONDS`: random tokens, keys, passwords, addresses, tenants and URLs for so long, and the resident memory by the minute.

It needs what `run.py` needs, `openssl`, for `--instructions` valgrind and h2load. `just bench-edge` and `just soak-edge` build the
programs. Everything stays on the loopback interface, and ends when this ends.
"""

import argparse
import base64
import contextlib
import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import run
from run import ENVOY, HAPROXY, LOAD_CORE, NGINX, PROXY_CORE, REPOSITORY, REQUEST_HEADERS, REQUEST_PATH
from run import Failure, Load, Origin, Peer, exit_code, note, positive

ISSUER = "https://id.example.com/"
PAGE = "https://www.example.com"
KEY = "key-of-the-benchmark"
PASSWORD = "password-of-the-benchmark"
MOST_ADDED = 0.15
MOST_GROWTH = 0.02

# In the order of the chain: CORS, a limit, the token, its scope, a limit of the caller, the caller's name for the upstream.
HAPROXY_RULES = """\
    acl preflight method OPTIONS
    acl of_page var(txn.origin) -m str https://www.example.com
    http-request set-var(txn.origin) req.hdr(origin)
    http-request return status 204 if preflight of_page
    http-response set-header Access-Control-Allow-Origin %[var(txn.origin)] if of_page
    http-response set-header Access-Control-Allow-Credentials true if of_page
    http-response add-header Vary Origin
    http-request track-sc0 src table clients_by_address
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 100000000 }}
    http-request set-var(txn.bearer) http_auth_bearer
    http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
    http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.iss') -m str https://id.example.com/ }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.aud') -m str shop }}
    http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,"{directory}/key.pem") 1 }}
    http-request deny deny_status 403 unless {{ var(txn.bearer),jwt_payload_query('$.scope') -m sub orders }}
    http-request set-var(txn.subject) var(txn.bearer),jwt_payload_query('$.sub')
    http-request track-sc1 var(txn.subject) table clients_by_name
    http-request deny deny_status 429 if {{ sc_http_req_rate(1) gt 100000000 }}
    http-request set-header X-User %[var(txn.subject)]
"""

HAPROXY_TABLES = """\
backend clients_by_address
    stick-table type ip size 100k expire 10s store http_req_rate(1s)
backend clients_by_name
    stick-table type string len 64 size 100k expire 10s store http_req_rate(1s)
"""

ENVOY_CORS = """\
              typed_per_filter_config:
                envoy.filters.http.cors:
                  "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy
                  allow_origin_string_match:
                  - exact: https://www.example.com
                  allow_credentials: true
"""

ENVOY_LIMIT = """\
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: limit
              token_bucket:
                max_tokens: 1000000000
                tokens_per_fill: 1000000000
                fill_interval: 1s
              filter_enabled:
                default_value: {{ numerator: 100, denominator: HUNDRED }}
              filter_enforced:
                default_value: {{ numerator: 100, denominator: HUNDRED }}
"""

ENVOY_FILTERS = f"""\
          - name: envoy.filters.http.cors
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors
{ENVOY_LIMIT}\
          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                id:
                  issuer: https://id.example.com/
                  audiences: [shop]
                  forward: true
                  payload_in_metadata: claims
                  claim_to_headers:
                  - header_name: x-user
                    claim_name: sub
                  jwt_cache_config:
                    jwt_cache_size: 4096
                  local_jwks:
                    filename: {{directory}}/jwks.json
              rules:
              - match: {{{{ prefix: / }}}}
                requires: {{{{ provider_name: id }}}}
          - name: envoy.filters.http.rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                action: ALLOW
                policies:
                  scope:
                    permissions:
                    - any: true
                    principals:
                    - metadata:
                        filter: envoy.filters.http.jwt_authn
                        path:
                        - key: claims
                        - key: scope
                        value:
                          string_match:
                            contains: orders
{ENVOY_LIMIT}"""

NGINX_ZONES = """\
    limit_req_zone $binary_remote_addr zone=addresses:10m rate=1000000r/s;
    limit_req_zone $binary_remote_addr zone=addresses_too:10m rate=1000000r/s;
    map $http_origin $of_page {{ default ""; "https://www.example.com" $http_origin; }}
    map $http_origin $credentials {{ default ""; "https://www.example.com" true; }}
"""

NGINX_RULES = """\
            limit_req zone=addresses burst=1000000 nodelay;
            limit_req zone=addresses_too burst=1000000 nodelay;
            add_header Access-Control-Allow-Origin $of_page;
            add_header Access-Control-Allow-Credentials $credentials;
            add_header Vary Origin;
            proxy_set_header X-User "";
"""


def edge(config, *changes):
    """A configuration with other lines before some of its lines."""
    for line, before in changes:
        if config.count(line) != 1:
            raise Failure(f"the plain configuration does not have {line!r} once")
        config = config.replace(line, before + line)
    return config


def pairs(programs, directory):
    """The proxies by name, each of them plain and with the rules of an edge."""
    ours = [f"{programs}/peer_edge", "--listen", "127.0.0.1:{listen}", "--upstream", "http://127.0.0.1:{upstream}"]
    ours += ["--folder", str(directory), "--layers"]
    haproxy = ["haproxy", "-db", "-q", "-f", "{config}"]
    envoy = ["envoy", "--concurrency", "1", "--log-level", "error", "--disable-hot-restart", "-c", "{config}"]
    nginx = ["nginx", "-c", "{config}", "-e", "stderr"]
    with_rules = {
        "haproxy": edge(HAPROXY, ("    default_backend origin\n", HAPROXY_RULES)) + HAPROXY_TABLES,
        "envoy": edge(ENVOY, ("              routes:\n", ENVOY_CORS), ("          - name: envoy.filters.http.router\n", ENVOY_FILTERS)),
        "nginx": edge(NGINX, ("    server {{\n        listen", NGINX_ZONES), ("            proxy_pass", NGINX_RULES)),
    }
    return {
        "prox": (Peer("prox", [*ours, "none"]), Peer("prox_edge", [*ours, "edge"])),
        "haproxy": (Peer("haproxy", haproxy, HAPROXY), Peer("haproxy_edge", haproxy, with_rules["haproxy"])),
        "envoy": (Peer("envoy", envoy, ENVOY), Peer("envoy_edge", envoy, with_rules["envoy"])),
        "nginx": (Peer("nginx", nginx, NGINX), Peer("nginx_edge", nginx, with_rules["nginx"])),
    }


def base64url(data):
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*words, data=None):
    """What `openssl` writes."""
    return subprocess.run(["openssl", *words], input=data, capture_output=True, check=True).stdout


def credentials(directory):
    """Writes the files of all proxies, and returns a token that lasts for a day."""
    private = directory / "private.pem"
    private.write_bytes(openssl("genrsa", "2048"))
    (directory / "key.pem").write_bytes(openssl("rsa", "-in", str(private), "-pubout"))
    modulus = openssl("rsa", "-in", str(private), "-noout", "-modulus").decode().strip().partition("=")[2]
    key = {"kty": "RSA", "alg": "RS256", "use": "sig", "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"}
    (directory / "jwks.json").write_text(json.dumps({"keys": [key]}))
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    (directory / "keys.txt").write_text(f"acme sha256:{digest}\n")
    # The least cost, so that the memory run makes many of them.
    hashed = subprocess.run(["htpasswd", "-nbBC", "4", "ada", PASSWORD], capture_output=True, text=True, check=True)
    (directory / "htpasswd").write_text(hashed.stdout.strip() + "\n")
    claims = {"iss": ISSUER, "aud": "shop", "sub": "user-1", "scope": "orders stock", "exp": int(time.time()) + 86400}
    parts = [{"alg": "RS256", "typ": "JWT"}, claims]
    message = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    signature = openssl("dgst", "-sha256", "-sign", str(private), data=message.encode())
    return f"{message}.{base64url(signature)}"


def answer(port, headers):
    """The status of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", REQUEST_PATH, headers=headers)
        return connection.getresponse().status


def await_listener(process):
    """Waits until it answers, with whatever status."""
    deadline = time.monotonic() + run.START_TIMEOUT
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return answer(process.port, REQUEST_HEADERS)
        if process.child.poll() is not None or time.monotonic() > deadline:
            raise Failure(f"`{' '.join(process.command)}` does not serve")
        time.sleep(0.05)


def check(name, process, headers):
    """What is compared does what it says: the right token gets in, and neither none nor a wrong one does."""
    if (status := answer(process.port, headers)) != 200:
        raise Failure(f"{name} answers {status} to a request that it should let in")
    if not name.endswith("_edge") or name.startswith("nginx"):
        return
    wrong = headers["Authorization"][:-8] + "AAAAAAAA"
    for authorization in ({}, {"Authorization": wrong}):
        without = {key: value for key, value in headers.items() if key != "Authorization"}
        if (status := answer(process.port, without | authorization)) != 401:
            raise Failure(f"{name} answers {status} to a request without a right token")


@dataclasses.dataclass
class Turn:
    """What was measured of one proxy in all rounds."""

    cpu: list = dataclasses.field(default_factory=list)
    rate: list = dataclasses.field(default_factory=list)
    errors: int = 0

    def take(self, process, load, seconds):
        """One turn."""
        before = process.cpu_seconds()
        summary = load.run(process.port, seconds)
        requests = max(summary["requests"], 1)
        self.cpu.append((process.cpu_seconds() - before) / requests * 1e6)
        self.rate.append(requests / summary["micros"] * 1e6)
        self.errors += summary["errors"]


def compare(options, directory):
    """The table of the proxies with their rules and without them; whether Prox meets its target."""
    token = credentials(directory)
    headers = REQUEST_HEADERS | {"Origin": PAGE, "Authorization": f"Bearer {token}"}
    every = pairs(options.programs, directory)
    selected = {name: pair for name, pair in every.items() if name == "prox" or shutil.which(name)}
    load = Load(directory, options.connections, headers)
    measured = {peer.name: Turn() for pair in selected.values() for peer in pair}
    with contextlib.ExitStack() as pieces:
        origin = Origin(options.programs, options.body, pieces)
        running = {}
        for pair in selected.values():
            for peer in pair:
                running[peer.name] = process = peer.start(directory, origin.port, pieces)
                await_listener(process)
                check(peer.name, process, headers)
                load.run(process.port, run.WARM_UP_SECONDS)
        for number in range(options.rounds):
            for name, process in running.items():
                measured[name].take(process, load, options.seconds)
                note(f"round {number + 1}/{options.rounds}, {name}: {measured[name].cpu[-1]:.1f} µs/request")
    print("| proxy | plain, CPU µs/request | with the rules | added, µs | ratio: median (min-max) | errors |")
    print("|---|---:|---:|---:|---:|---:|")
    median = statistics.median
    for name, (plain, ruled) in selected.items():
        before, after = measured[plain.name], measured[ruled.name]
        ratios = [own / other for own, other in zip(after.cpu, before.cpu)]
        added = median(own - other for own, other in zip(after.cpu, before.cpu))
        print(
            f"| {name} | {median(before.cpu):.1f} | {median(after.cpu):.1f} | {added:+.1f} "
            f"| {median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) | {before.errors + after.errors} |"
        )
        if name == "prox":
            met = median(ratios) <= 1 + MOST_ADDED
    if not met:
        note(f"missed: the rules add more than {MOST_ADDED:.0%} to Prox")
    return met


def unlayered(options, directory):
    """The table of a route without layers before and now; the exit code is 0 whatever it says."""
    token = credentials(directory)
    load = Load(directory, options.connections, REQUEST_HEADERS | {"Origin": PAGE, "Authorization": f"Bearer {token}"})
    rest = ["--listen", "127.0.0.1:{listen}", "--upstream", "http://127.0.0.1:{upstream}", "--folder", str(directory), "--layers"]
    peers = [
        Peer("before", [options.before, *rest, "none"]),
        Peer("now", [f"{options.programs}/peer_edge", *rest, "none"]),
        Peer("now, beside routes with layers", [f"{options.programs}/peer_edge", *rest, "beside"]),
    ]
    measured = {peer.name: Turn() for peer in peers}
    with contextlib.ExitStack() as pieces:
        origin = Origin(options.programs, options.body, pieces)
        running = {}
        for peer in peers:
            running[peer.name] = process = peer.start(directory, origin.port, pieces)
            await_listener(process)
            load.run(process.port, run.WARM_UP_SECONDS)
        for number in range(options.rounds):
            for name, process in running.items():
                measured[name].take(process, load, options.seconds)
                note(f"round {number + 1}/{options.rounds}, {name}: {measured[name].cpu[-1]:.1f} µs/request")
    print("| gateway | CPU µs/request | ratio to before: median (min-max) | errors |")
    print("|---|---:|---:|---:|")
    for name, turn in measured.items():
        ratios = [own / other for own, other in zip(turn.cpu, measured["before"].cpu)]
        middle = statistics.median(ratios)
        print(f"| {name} | {statistics.median(turn.cpu):.1f} | {middle:.2f} ({min(ratios):.2f}-{max(ratios):.2f}) | {turn.errors} |")
    return True


# What is measured by instructions, and what the figure is compared with.
LAYERS = {
    "none": "none",
    "beside": "none",
    "Cors": "none",
    "Csrf": "none",
    "SecurityHeaders": "none",
    "RequestId": "none",
    "IpRules": "none",
    "BodyLimit": "none",
    "Headers": "none",
    "InFlight": "none",
    "RateLimit": "none",
    "RateLimit, 2": "none",
    "ApiKeys": "none",
    "Basic": "none",
    "Jwt": "none",
    "Jwt, Require": "Jwt",
    "Jwt, IdentityHeaders": "Jwt",
    "Jwt, RateLimit": "Jwt",
    "edge": "none",
}


def count(program, layers, requests, headers, origin, directory):
    """The instructions of a gateway that serves so many requests and ends."""
    port, out = run.free_port(), directory / "callgrind.out"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *program]
    command += ["--listen", f"127.0.0.1:{port}", "--upstream", f"http://127.0.0.1:{origin.port}", "--folder", str(directory)]
    with contextlib.ExitStack() as pieces:
        with open(directory / "valgrind.log", "w") as log:
            child = subprocess.Popen([*command, "--layers", layers], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        pieces.callback(stop_one, child)
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if (status := answer(port, headers)) != 200:
                    raise Failure(f"{layers}: {status}")
                break
            if child.poll() is not None or time.monotonic() > deadline:
                raise Failure((directory / "valgrind.log").read_text())
            time.sleep(0.2)
        fields = [word for name, value in headers.items() if name != "Host" for word in ("-H", f"{name}: {value}")]
        load = ["h2load", "--h1", "-c8", f"-n{requests}", *fields, f"http://127.0.0.1:{port}{REQUEST_PATH}"]
        report = subprocess.run(load, capture_output=True, text=True, timeout=300, check=True).stdout
        if f"{requests} succeeded" not in report or f"status codes: {requests} 2xx" not in report:
            raise Failure(f"{layers}: {report}")
        child.terminate()
        child.wait(timeout=60)
    return int(re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)[1])


def stop_one(child):
    """Ends a child that this driver has started, if it has not ended."""
    if child.poll() is None:
        child.kill()
        child.wait()


def instructions(options, directory):
    """The table of what each layer costs."""
    token = credentials(directory)
    basic = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
    found = {}
    with contextlib.ExitStack() as pieces:
        origin = Origin(options.programs, options.body, pieces)
        for layers in LAYERS:
            headers = REQUEST_HEADERS | {"Origin": PAGE, "X-Api-Key": KEY}
            headers["Authorization"] = f"Basic {basic}" if layers == "Basic" else f"Bearer {token}"
            few, many = (
                count([f"{options.programs}/peer_edge"], layers, requests, headers, origin, directory)
                for requests in (1000, 4000)
            )
            found[layers] = (many - few) / 3000
            note(f"{layers}: {found[layers]:.0f}")
    print("| layers | instructions/request | added | to |")
    print("|---|---:|---:|---|")
    for layers, base in LAYERS.items():
        added = found[layers] - found[base]
        cells = ("-", "-") if layers == base else (f"{added:+.0f} ({added / found[base]:+.1%})", base)
        print(f"| {layers} | {found[layers]:.0f} | {cells[0]} | {cells[1]} |")
    return True


# Nothing in it comes twice, but for some of the signed tokens. Every second address is one of IPv6.
RANDOM = r"""
local tokens = {}
for line in io.lines("{directory}/tokens.txt") do tokens[#tokens + 1] = line end
math.randomseed(os.time())
local random, format = math.random, string.format
local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local function word(length)
    local parts = {}
    for place = 1, length do
        local at = random(64)
        parts[place] = letters:sub(at, at)
    end
    return table.concat(parts)
end

local function base64(text)
    local out, rest, bits = {}, 0, 0
    for place = 1, #text do
        rest, bits = rest * 256 + text:byte(place), bits + 8
        while bits >= 6 do
            bits = bits - 6
            local at = math.floor(rest / 2 ^ bits)
            rest = rest - at * 2 ^ bits
            out[#out + 1] = letters:sub(at + 1, at + 1)
        end
    end
    if bits > 0 then
        local at = rest * 2 ^ (6 - bits)
        out[#out + 1] = letters:sub(at + 1, at + 1)
    end
    return table.concat(out)
end

local function address()
    if random(2) == 1 then
        return format("%d.%d.%d.%d", random(11, 126), random(0, 255), random(0, 255), random(1, 254))
    end
    return format("2001:%x:%x::%x", random(0, 65535), random(0, 65535), random(1, 65535))
end

local bearer = function(token) return "Authorization", "Bearer " .. token end
local kinds = {
    function() return "/jwt", bearer(tokens[random(#tokens)]) end,
    function()
        local head = base64('{"alg":"ES256","kid":"' .. word(12) .. '"}')
        local claims = base64('{"iss":"https://id.example.com/","aud":"shop","sub":"' .. word(8) .. '","exp":4000000000}')
        return "/jwt", bearer(head .. "." .. claims .. "." .. word(86))
    end,
    function() return "/jwt", bearer(word(random(1, 200))) end,
    function() return "/introspect", bearer(word(32)) end,
    function() return "/keys", "X-Api-Key", word(32) end,
    function() return "/tenant", "X-Api-Key", word(32) end,
    function() return "/pages/" .. word(16) .. "?q=" .. word(8), "X-Nothing", word(8) end,
    function() return "/" .. word(16), "Cookie", "session=" .. word(32) end,
}
local function basic() return "/basic", "Authorization", "Basic " .. base64(word(7) .. ":" .. word(8)) end

request = function()
    -- A password costs a hash, so there are few.
    local kind = random(50) == 1 and basic or kinds[random(#kinds)]
    local path, name, value = kind()
    local headers = {
        ["X-Forwarded-For"] = address(),
        ["Origin"] = "https://" .. word(8) .. ".test",
        ["X-Tenant"] = word(16),
        [name] = value,
    }
    return wrk.format("GET", path, headers)
end
"""


class RandomLoad(Load):
    """wrk with requests of which none is like another."""

    def __init__(self, directory, connections):
        super().__init__(directory, connections)
        script = self.script.read_text().partition("function done")
        self.script.write_text(RANDOM.replace("{directory}", str(directory)) + "".join(script[1:]))


def memory(options, directory):
    """The resident memory by the minute, and whether it is flat."""
    credentials(directory)
    command = [f"{options.programs}/peer_edge", "--listen", "127.0.0.1:{listen}", "--upstream", "http://127.0.0.1:{upstream}"]
    peer = Peer("random", [*command, "--folder", str(directory), "--layers", "random"])
    sizes = []
    with contextlib.ExitStack() as pieces:
        origin = Origin(options.programs, options.body, pieces)
        process = peer.start(directory, origin.port, pieces)
        await_listener(process)
        idle = process.memory()
        load = RandomLoad(directory, options.connections)
        began = time.monotonic()

        def second():
            sizes.append((time.monotonic() - began, process.memory()))

        summary = load.run(process.port, options.memory, second)
        peak = process.memory("VmHWM")
    step = options.memory / 10
    tenths = [[size for at, size in sizes if tenth * step <= at < (tenth + 1) * step] for tenth in range(10)]
    if not all(tenths):
        raise Failure("a memory run takes at least 20 seconds")
    medians = [statistics.median(tenth) for tenth in tenths]
    print(f"| idle | {' | '.join(f'{(tenth + 1) * step / 60:g} min' for tenth in range(10))} | peak | requests |")
    print("|---:|" + "---:|" * 12)
    print(f"| {idle:.1f} | {' | '.join(f'{size:.1f}' for size in medians)} | {peak:.1f} | {summary['requests']} |")
    # Until then the tables and the pages of the allocator fill up to their limits.
    growth = max(medians[-3:]) / medians[-3] - 1
    note(f"in the last three tenths: {growth:+.1%}")
    return growth <= MOST_GROWTH


def arguments():
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=9, help="turns of each proxy (9)")
    parser.add_argument("--seconds", type=positive, default=2, help="length of a turn (2)")
    parser.add_argument("--connections", type=positive, default=64, help="client connections (64)")
    parser.add_argument("--body", type=positive, default=13, help="the size of the response body, in bytes (13)")
    parser.add_argument("--instructions", action="store_true", help="what each layer costs, by callgrind")
    parser.add_argument("--before", metavar="PROGRAM", help="a `peer_edge` of before, to compare a route without layers")
    parser.add_argument("--memory", type=positive, metavar="SECONDS", help="random requests for so long")
    parser.add_argument("--programs", help="where the built programs are (target/bench-peers)")
    options = parser.parse_args()
    target = os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")
    options.programs = pathlib.Path(options.programs or pathlib.Path(target) / "bench-peers").resolve()
    return options


def work(options):
    """Runs what the command line asks for; the exit code is 1 when a target is missed."""
    mode = instructions if options.instructions else memory if options.memory else unlayered if options.before else compare
    needed = {"openssl": "openssl", "htpasswd": "apache2-utils", "wrk": "wrk"}
    if options.instructions:
        needed |= {"valgrind": "valgrind", "h2load": "nghttp2-client"}
    if missing := sorted(package for program, package in needed.items() if not shutil.which(program)):
        raise Failure(f"missing; on Debian and Ubuntu: apt-get install {' '.join(missing)}")
    os.sched_setaffinity(0, {LOAD_CORE} if mode is not instructions else {PROXY_CORE, LOAD_CORE})
    with tempfile.TemporaryDirectory(prefix="prox-edge-") as name:
        return 0 if mode(options, pathlib.Path(name)) else 1


def main():
    """The exit code of the command line."""
    options = arguments()
    return exit_code(lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
