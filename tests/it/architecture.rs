//! The modules import each other in one direction only: the table of `ARCHITECTURE.md`, read off the sources.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What each module of the runtime may import of the crate, besides itself. The first are the leaves; after them each
/// imports what stands before it. `gateway` puts all of it together, and `cli` alone imports it.
const RUNTIME: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("time", &[]),
    ("civil", &[]),
    ("coding", &[]),
    ("expiring", &[]),
    ("fingerprint", &[]),
    ("reread", &[]),
    ("sync", &[]),
    ("stream", &[]),
    ("identity", &["fingerprint"]),
    ("columns", &[]),
    ("inspect", &["secret"]),
    ("network", &[]),
    ("secret", &[]),
    ("limits", &["error", "secret", "sync", "tls"]),
    ("metrics", &["error", "sync"]),
    ("vars", &[]),
    ("words", &[]),
    (
        "tls",
        &["civil", "coding", "error", "reread", "stream", "sync"],
    ),
    ("client", &["fingerprint", "network", "tls"]),
    ("tunnel", &["stream", "sync", "time"]),
    (
        "watch",
        &["error", "identity", "metrics", "observe", "sync", "time"],
    ),
    ("body", &["error", "observe", "watch"]),
    ("replay", &["body", "error"]),
    ("respond", &["body", "error"]),
    ("forward", &["client", "coding", "error"]),
    ("framing", &[]),
    ("frames", &["sync"]),
    ("observe", &["civil", "error", "sync"]),
    ("connect", &["error", "stream", "sync", "tls"]),
    (
        "otel",
        &[
            "coding", "connect", "error", "observe", "secret", "sync", "tls",
        ],
    ),
    (
        "handler",
        &[
            "body", "client", "error", "inspect", "metrics", "observe", "respond", "watch",
        ],
    ),
    (
        "route",
        &[
            "client", "coding", "columns", "error", "forward", "handler", "identity", "network",
            "observe", "watch",
        ],
    ),
    (
        "middleware",
        &[
            "body", "civil", "client", "coding", "error", "handler", "identity", "limits",
            "network", "observe", "respond", "route", "secret", "sync", "time", "tunnel", "watch",
        ],
    ),
    (
        "auth",
        &[
            "secret",
            "body",
            "civil",
            "client",
            "cluster",
            "coding",
            "error",
            "expiring",
            "forward",
            "handler",
            "identity",
            "middleware",
            "network",
            "observe",
            "proxy",
            "reread",
            "respond",
            "route",
            "sync",
            "time",
            "tls",
            "watch",
        ],
    ),
    (
        "lambda",
        &[
            "body", "client", "coding", "error", "handler", "observe", "respond",
        ],
    ),
    // Of `handler` no more than the name of a request's type.
    (
        "pool",
        &[
            "body", "connect", "error", "frames", "framing", "handler", "replay", "stream", "sync",
            "time", "tls",
        ],
    ),
    (
        "cluster",
        &[
            "client", "coding", "connect", "error", "forward", "metrics", "network", "observe",
            "pool", "secret", "stream", "sync", "time", "tls",
        ],
    ),
    (
        "proxy",
        &[
            "body", "client", "cluster", "connect", "error", "forward", "handler", "observe",
            "pool", "replay", "respond", "route", "stream", "sync", "time", "tunnel", "watch",
        ],
    ),
    (
        "server",
        &[
            "body", "civil", "client", "coding", "columns", "error", "forward", "frames",
            "framing", "handler", "inspect", "metrics", "observe", "otel", "respond", "secret",
            "stream", "sync", "time", "tls", "tunnel", "vars", "watch",
        ],
    ),
    (
        "env",
        &["error", "route", "secret", "time", "vars", "words"],
    ),
    (
        "gateway",
        &[
            "auth",
            "body",
            "client",
            "cluster",
            "env",
            "error",
            "forward",
            "framing",
            "handler",
            "inspect",
            "lambda",
            "metrics",
            "middleware",
            "observe",
            "otel",
            "proxy",
            "respond",
            "route",
            "server",
            "stream",
            "sync",
            "time",
            "tunnel",
            "vars",
            "watch",
        ],
    ),
    (
        "cli",
        &[
            "auth", "error", "gateway", "route", "server", "vars", "words",
        ],
    ),
    // Kits for the tests of users.
    (
        "testing",
        &[
            "body",
            "client",
            "cluster",
            "connect",
            "error",
            "gateway",
            "handler",
            "identity",
            "metrics",
            "middleware",
            "observe",
            "route",
            "server",
            "stream",
            "sync",
            "vars",
            "watch",
        ],
    ),
];

/// What each module of the macro may import of the crate: tokens to syntax to model to checks and Rust.
///
/// The last of each are against the direction: small functions on tokens that two stages share.
const MACROS: &[(&str, &[&str])] = &[
    ("vocab", &[]),
    ("features", &[]),
    ("around", &["features"]),
    ("reader", &[]),
    ("diag", &["syntax"]),
    ("syntax", &["around", "diag", "vocab"]),
    ("model", &["around", "diag", "features", "syntax", "vocab"]),
    ("check", &["around", "diag", "features", "model", "syntax"]),
    (
        "expand",
        &[
            "around", "diag", "model", "reader", "syntax", "check", "vocab",
        ],
    ),
    (
        "pipeline",
        &[
            "around", "diag", "model", "reader", "syntax", "check", "expand",
        ],
    ),
];

#[test]
fn the_modules_of_the_runtime_import_only_what_stands_before_them() {
    hold("prox-runtime", RUNTIME);
}

#[test]
fn the_modules_of_the_macro_import_only_what_stands_before_them() {
    hold("prox-macros", MACROS);
}

fn hold(package: &str, table: &[(&str, &[&str])]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(package)
        .join("src");
    let mut wrong = BTreeSet::new();
    for file in files(&source) {
        let module = module(&source, &file);
        let text = fs::read_to_string(&file).expect("a source can be read");
        let allowed = table
            .iter()
            .find(|(name, _)| *name == module)
            .map(|(_, allowed)| *allowed);
        for import in imports(&text) {
            if import != module
                && !allowed.is_some_and(|allowed| allowed.contains(&import.as_str()))
            {
                wrong.insert(format!("{module} -> {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// All Rust files below, but for `lib.rs` and those of tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry of it").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() && name != "tests" {
            all.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !matches!(name, "lib.rs" | "tests.rs")
        {
            all.push(path);
        }
    }
    all
}

/// The first segment of a file's module path.
fn module(source: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(source).expect("a file of the crate");
    let first = inside
        .components()
        .next()
        .expect("a file has a name")
        .as_os_str();
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The first segments of all paths that begin with `crate::`, outside of tests and comments.
fn imports(text: &str) -> BTreeSet<String> {
    let code = without_tests(text);
    let code: String = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let mut all = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at]
            .ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | '$' | '#'))
        {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => all.extend(group_of(group)),
            None => all.extend([first_word(rest)]),
        }
    }
    all.remove("");
    all
}

/// The first segments of the items of a `{..}` group.
fn group_of(group: &str) -> Vec<String> {
    let (mut depth, mut items, mut start) = (0, Vec::new(), 0);
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(first_word(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(first_word(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

fn first_word(path: &str) -> String {
    path.trim_start()
        .chars()
        .take_while(|char| char.is_alphanumeric() || *char == '_')
        .collect()
}

/// The text without its `#[cfg(test)]` items.
fn without_tests(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        out += before;
        let end = after.find(['{', ';']).map_or(after.len(), |start| {
            if after[start..].starts_with(';') {
                start + 1
            } else {
                end_of_block(after, start)
            }
        });
        rest = &after[end..];
    }
    out + rest
}

/// Where the block that opens at `start` ends, by its indentation, which rustfmt keeps.
fn end_of_block(text: &str, start: usize) -> usize {
    let line = text[..start]
        .rfind('\n')
        .map_or("", |at| &text[at + 1..start]);
    let indent: String = line.chars().take_while(|char| *char == ' ').collect();
    let close = format!("\n{indent}}}");
    text[start..]
        .find(&close)
        .map_or(text.len(), |at| start + at + close.len())
}

#[test]
fn imports_are_read_as_rust_means_them() {
    let text = "use crate::{\n    body::Body,\n    error::{Error, Failure},\n    time,\n};\n// crate::comment\n\
                fn f(_: &crate::client::Client) { $crate::mine(); }\n\
                #[cfg(test)]\nmod tests {\n    use crate::pool::Pool;\n}\nuse crate::watch;\n";
    let found: Vec<String> = imports(text).into_iter().collect();
    assert_eq!(found, ["body", "client", "error", "time", "watch"]);
}

/// What a program filters by: `LOG=prox=debug` has all events of Prox.
#[test]
fn every_event_has_the_target_of_prox() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prox-runtime/src");
    let levels = ["error", "warn", "info", "debug", "trace"];
    let begins = levels.map(|level| format!("tracing::{level}!("));
    let (mut events, mut wrong) = (0, BTreeSet::new());
    for file in files(&source) {
        let text = without_tests(&fs::read_to_string(&file).expect("a text can be read"));
        for begin in &begins {
            for (place, _) in text.match_indices(begin) {
                let rest = text[place + begin.len()..].trim_start();
                events += 1;
                if !rest.starts_with("target: \"prox\",") {
                    wrong.insert(format!("{}: {begin}", file.display()));
                }
            }
        }
    }
    assert!(events > 50, "{events} were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Examples are copied. What runs on a worker in them must not wait for a disk, the network or a clock.
#[test]
fn no_example_blocks_a_worker() {
    const BLOCKS: [&str; 7] = [
        "std::fs::read",
        "std::fs::write",
        "std::fs::metadata",
        "std::net::TcpStream",
        "std::process::Command",
        "thread::sleep",
        "blocking::",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = ["prox/src", "prox-runtime/src"].map(|folder| root.join(folder));
    let sources = sources.iter().flat_map(|folder| files(folder));
    let examples = files(&root.join("examples"));
    let guides = fs::read_dir(root.join("prox/docs")).expect("a folder of guides");
    let guides = guides.map(|entry| entry.expect("an entry of it").path());
    let mut wrong = BTreeSet::new();
    let mut lines = 0;
    for file in sources.chain(examples).chain(guides) {
        let text = fs::read_to_string(&file).expect("a text can be read");
        // Of the runtime, comments alone are copied.
        let only_docs = !file.starts_with(root.join("examples"))
            && file.extension().is_some_and(|extension| extension == "rs");
        for line in text.lines() {
            if only_docs && !line.trim_start().starts_with("//") {
                continue;
            }
            lines += 1;
            if BLOCKS.iter().any(|blocks| line.contains(blocks)) {
                wrong.insert(format!("{}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(lines > 1000, "they were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
