//! The paths in examples of the documentation are those that users have: `prox` shows the documentation of the runtime.

use std::{fs, path::Path};

/// Shows every visible line of the documentation in this directory, with its place.
fn visible(dir: &Path, seen: &mut dyn FnMut(&str, &str)) {
    for entry in fs::read_dir(dir).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            visible(&path, seen);
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source");
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let Some(doc) = line.strip_prefix("///").or(line.strip_prefix("//!")) else {
                continue;
            };
            let doc = doc.trim_start();
            if !doc.starts_with("# ") {
                seen(&format!("{}:{}", path.display(), number + 1), doc);
            }
        }
    }
}

/// The names directly behind `prox::` in an import.
fn imported(line: &str) -> Vec<&str> {
    let Some(rest) = line.strip_prefix("use prox::") else {
        return Vec::new();
    };
    let rest = rest.trim_end_matches(';');
    let inner = rest
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let mut depth = 0;
    let names = inner.unwrap_or(rest).split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    names
        .map(|name| name.trim().split([':', ' ']).next().unwrap_or_default())
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn examples_name_what_the_facade_has() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let facade = fs::read_to_string(root.join("prox/src/lib.rs")).expect("the facade");
    let has = |name: &str| {
        let is_part = |c: char| c == '_' || c.is_alphanumeric();
        facade.split(|c| !is_part(c)).any(|word| word == name)
    };
    let mut wrong = Vec::new();
    let mut imports = 0;
    visible(&root.join("prox-runtime/src"), &mut |place, line| {
        if line.contains("prox_runtime::") {
            wrong.push(format!("{place}: {line}"));
        }
        for name in imported(line) {
            imports += 1;
            let is_module = line.contains(&format!("{name}::"));
            let is_there = match name {
                // Crates and a module that are passed on whole.
                "http" | "opentelemetry_sdk" | "testing" => has(name),
                name if is_module => facade.contains(&format!("pub mod {name}")),
                name => has(name),
            };
            if !is_there {
                wrong.push(format!("{place}: `prox` has no `{name}`"));
            }
        }
    });
    assert!(imports > 100, "only {imports} imports were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_are_taken_apart_at_their_commas() {
    assert_eq!(
        imported("use prox::{A, b::{C, D}, E as _};"),
        ["A", "b", "E"]
    );
    assert_eq!(imported("use prox::a::B;"), ["a"]);
    assert!(imported("use std::fmt;").is_empty());
}

#[test]
fn the_tests_that_the_security_guide_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("prox/docs/security.md")).expect("the guide");
    let (_, table) = page
        .split_once("# What is defended")
        .expect("the section with the table");
    let (table, _) = table
        .split_once("# What is not defended")
        .expect("the section after it");
    let tests = table
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.split('|').nth(2))
        .skip(2);
    let mut named = 0;
    for name in tests.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
        named += 1;
        let exists = [
            name.to_owned(),
            format!("tests/it/{name}.rs"),
            format!("tests/it/{name}/mod.rs"),
            format!("tests/fuzz/fuzz_targets/{name}.rs"),
        ];
        let is_recipe = name.strip_prefix("just ").is_some_and(|recipe| {
            let recipes = fs::read_to_string(root.join("justfile")).expect("the recipes");
            recipes.contains(&format!("\n{recipe} "))
        });
        assert!(
            is_recipe || exists.iter().any(|path| root.join(path).exists()),
            "`{name}` is not a test"
        );
    }
    assert!(named > 20, "expected the tests of each row, found {named}");
}
