//! The gallery of messages, `docs/messages.md`: each mistake of `fail/`, and what it is told.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// What the page begins with.
const INTRODUCTION: &str = "\
# What mistakes are told

Each of these gateways has a mistake, and this is all that the compiler says of it, as `cargo check` prints it: at the
token that is wrong, with what to write instead. The type is used afterwards in each of the programs, so what is not here
is not said: no error follows from another.

The page is written by `just messages` from the programs in [`tests/ui/fail`](../tests/ui/fail), which are checked in every
run of the tests.
";

/// The sections: a title, and the subjects with which the names of its fixtures begin.
const SECTIONS: [(&str, &[&str]); 18] = [
    ("Routes", &["route", "guard_never", "scope"]),
    ("Hosts", &["host"]),
    ("Paths", &["path"]),
    ("Parameters", &["param"]),
    ("Methods", &["method"]),
    ("Guards", &["guard"]),
    ("Targets", &["target"]),
    ("Mounted gateways", &["mount"]),
    (
        "Upstreams",
        &[
            "upstream",
            "endpoint_twice",
            "endpoint_list",
            "endpoints_empty",
            "weight",
            "policy",
            "dns",
            "srv",
        ],
    ),
    (
        "Options and units",
        &["option", "health", "mirror", "unit", "rewrite"],
    ),
    ("Answers and splits", &["redirect", "respond", "split"]),
    (
        "Lines",
        &["line", "arrow", "comma", "semicolon", "attribute"],
    ),
    (
        "Layers",
        &[
            "with",
            "layer_in",
            "layer_list",
            "layer_that_is_a_",
            "auth_",
        ],
    ),
    (
        "Declarations",
        &[
            "struct",
            "backend_twice",
            "backend_w",
            "backend_in",
            "backend_named",
            "env_default",
            "env_twice",
            "env_without",
            "let",
            "await",
        ],
    ),
    ("Expectations", &["expect"]),
    ("Warnings, here denied", &["warn"]),
    (
        "Names and types, told by rustc",
        &[
            "",
            "guard_that_is_none",
            "option_misspelled",
            "policy_unknown",
            "target_that_is_none",
            "target_function",
            "target_handler_called",
            "target_service",
        ],
    ),
    ("Many at once", &["many"]),
];

struct Mistake {
    name: String,
    /// The first line of the program.
    title: String,
    message: String,
}

/// With `PROX_MESSAGES=write` the page is written.
#[test]
fn the_gallery_shows_every_message_as_it_is() {
    let page = page(&mistakes());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/messages.md");
    if std::env::var_os("PROX_MESSAGES").is_some() {
        fs::write(&path, page).expect("docs/messages.md can be written");
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/messages.md is not what the fixtures say: run `just messages`"
    );
}

fn mistakes() -> Vec<Mistake> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/fail");
    let mut programs: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the fixtures are there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    programs.sort();
    programs.iter().map(|program| mistake(program)).collect()
}

fn mistake(program: &Path) -> Mistake {
    let name = program.file_stem().unwrap_or_default();
    let source = fs::read_to_string(program).expect("the fixture can be read");
    let title = source
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("//! "));
    let message = fs::read_to_string(program.with_extension("stderr")).unwrap_or_default();
    assert!(
        !message.is_empty(),
        "{} has no `.stderr`",
        program.display()
    );
    Mistake {
        name: name.to_string_lossy().into_owned(),
        title: title.expect("a fixture begins with `//!`").to_owned(),
        // In a user's workspace the place in a message is a path as well.
        message: message
            .replace("$DIR/ui/fail/", "src/")
            .replace("ui/fail/", "src/"),
    }
}

fn page(mistakes: &[Mistake]) -> String {
    let mut sections: BTreeMap<usize, Vec<&Mistake>> = BTreeMap::new();
    for mistake in mistakes {
        sections
            .entry(section(&mistake.name))
            .or_default()
            .push(mistake);
    }
    let mut page = String::from(INTRODUCTION);
    page.push('\n');
    for (place, mistakes) in &sections {
        let (title, count) = (SECTIONS[*place].0, mistakes.len());
        let anchor = title.to_lowercase().replace(' ', "-").replace(',', "");
        writeln!(page, "* [{title}](#{anchor}) ({count})").expect("a string takes all");
    }
    for (place, mistakes) in &sections {
        write!(page, "\n## {}\n", SECTIONS[*place].0).expect("a string takes all");
        for Mistake {
            name,
            title,
            message,
        } in mistakes
        {
            write!(page, "\n### `{name}`\n\n{title}\n\n```text\n{message}```\n")
                .expect("a string takes all");
        }
    }
    page
}

/// The section with the longest of the beginnings of the name.
fn section(name: &str) -> usize {
    let length = |subjects: &[&str]| {
        subjects
            .iter()
            .filter(|subject| name.starts_with(**subject))
            .map(|subject| subject.len() + 1)
            .max()
    };
    let best = SECTIONS
        .iter()
        .enumerate()
        .max_by_key(|(place, (_, subjects))| (length(subjects), usize::MAX - place));
    best.map_or(0, |(place, _)| place)
}
