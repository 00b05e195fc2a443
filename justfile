# The recipes are plain commands, to be read as such where `just` is not installed.

# Lists the recipes.
default:
    @just --list

# All that CI runs: formatting, clippy, each feature alone, docs, model checks, fuzzing, tests.
ci:
    .ci/run

# The quick part of it: formatting, clippy, docs.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps --locked

# Clippy with each feature alone, and with none.
features:
    .ci/features

# Licences, advisories, sources and versions of all dependencies, by the rules in deny.toml; needs cargo-deny.
deny:
    cargo deny --locked check

programs := "cargo build --profile bench-peers -p prox-tests --features programs --bins"

# Prox beside nginx, HAProxy and the bare hyper proxy: CPU time per request, latency, start, memory.
bench-peers *ARGS:
    {{ programs }}
    python3 tests/peers/run.py {{ ARGS }}

# Ten minutes of load on Prox (or `--soak SECONDS`): errors, and what its memory did.
soak *ARGS:
    {{ programs }}
    python3 tests/peers/run.py --soak 600 {{ ARGS }}

# What CORS, a token, its scope, two limits and the name of the caller cost together, beside HAProxy, Envoy and nginx (`--instructions`:
# each layer by callgrind).
bench-edge *ARGS:
    {{ programs }}
    python3 tests/peers/edge.py {{ ARGS }}

# Ten minutes of random tokens, keys, passwords, addresses, tenants and URLs: what the memory of Prox does.
soak-edge *ARGS:
    {{ programs }}
    python3 tests/peers/edge.py --memory 600 {{ ARGS }}

# Upstreams that are killed, stopped, restarted, or misbehave under load, behind Prox, HAProxy and nginx (`--short`: a minute).
faults *ARGS:
    cargo build --release -p prox-tests --features programs --bin fault_prox --bin fault_origin --bin steady
    python3 tests/peers/faults.py {{ ARGS }}

# An hour of load with a fault each minute (or `--minutes N`): failed requests, and what memory and descriptors did.
soak-faults *ARGS:
    cargo build --release -p prox-tests --features programs --bin fault_prox --bin fault_origin --bin steady
    python3 tests/peers/soak.py {{ ARGS }}

# Prox, nginx and HAProxy whose processes are replaced 20 times in 60 s under load, one proxy after the other; three minutes.
handover *ARGS:
    cargo build --profile bench-peers -p prox-tests --bin handover_probe
    python3 tests/peers/handover.py {{ ARGS }}

# How fast a gateway with everything on answers after its start, and its memory when it is idle; two minutes.
start *ARGS:
    cargo build --profile bench-peers -p prox-tests --features programs --bin start_probe
    python3 tests/peers/start.py {{ ARGS }}

# The match tree beside matchit, from 10 to 10 000 routes: time and allocations a lookup.
bench-route *ARGS:
    python3 tests/peers/route.py {{ ARGS }}

# What `cargo check`, `cargo build` and `cargo build --release` of a gateway cost, from 10 to 5 000 routes (`--auth`: what `require auth` adds).
bench-compile *ARGS:
    python3 tests/peers/compile.py {{ ARGS }}

# Other people's clients and servers through a gateway; `tests/interop/README.md` says which.
interop *ARGS:
    cargo test -p prox-tests --test it calls_of_tonic_go_on_for_a_minute -- --ignored --nocapture
    python3 tests/interop/run.py {{ ARGS }}

# Prox beside nginx, HAProxy and Caddy, as far as they are installed, on the tables of HTTP/1.1 and HTTP/2 (docs/conformance.md).
conformance:
    cargo test -p prox-tests --test it peers:: -- --ignored --nocapture

# Metrics and alerts before Prometheus' own tools: needs promtool, and Python with prometheus_client (the variables PROMTOOL and PYTHON
# say where they are).
metrics:
    cargo test -p prox-tests --test it scrapes_under_load_pass -- --nocapture
    ${PROMTOOL:-promtool} check rules deploy/prometheus/prox.rules.yaml
    ${PROMTOOL:-promtool} test rules deploy/prometheus/prox.test.yaml

# Each file of deploy/ before a tool of its platform; tests/deploy/validate.py says which, and how to install them (the variable PYTHON says
# where they are).
deploy:
    ${PYTHON:-python3} tests/deploy/validate.py

# What must not compile, and what its mistakes are told.
ui *ARGS:
    cargo test -p prox-tests --test ui {{ ARGS }}

# Accepts what the compiler says of the fixtures now, and writes the gallery anew; read the diff.
ui-bless:
    TRYBUILD=overwrite cargo test -p prox-tests --test ui every_mistake
    PROX_MESSAGES=write cargo test -p prox-tests --test ui gallery

# Writes docs/messages.md from the fixtures.
messages:
    PROX_MESSAGES=write cargo test -p prox-tests --test ui gallery

# Looks for an input that a target of tests/fuzz fails on, for so many seconds: `just fuzz path_pattern 60`.
fuzz TARGET SECONDS:
    mkdir -p tests/fuzz/corpus/{{ TARGET }}
    cd tests/fuzz && cargo fuzz run --fuzz-dir . --sanitizer none {{ TARGET }} corpus/{{ TARGET }} seeds/{{ TARGET }} -- -max_total_time={{ SECONDS }} -max_len=2048 -timeout=10 $(ls dictionaries/{{ TARGET }}.txt 2>/dev/null | sed 's/^/-dict=/')

# Each target of tests/fuzz for some seconds, from its seeds.
fuzz-all SECONDS:
    .ci/fuzz {{ SECONDS }}

# What workers share, with every order in which threads can take its locks.
loom:
    cargo test --manifest-path tests/loom/Cargo.toml --locked

# What an editor shows inside of a gateway, in a real rust-analyzer (`tests/ide/README.md`).
ide:
    python3 tests/ide/probe.py
    python3 tests/ide/probe.py --prefixes
