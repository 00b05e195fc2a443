//! What must not compile, and what its mistakes are told; `ui/README.md` says how it is kept.

#![allow(missing_docs, reason = "a test has no documentation")]

#[path = "ui/gallery.rs"]
mod gallery;
#[path = "ui/words.rs"]
mod words;

use std::process::Command;

/// The compiler whose messages the `.stderr` files hold. Another compiler words its own part of a message differently.
const COMPILER: &str = "1.95.";

/// Compares the messages with any compiler, to see what it says differently.
const ANY_COMPILER: &str = "PROX_ANY_COMPILER";

/// Checked in one run of cargo, apart from the others, so that nothing has to be linked.
#[test]
fn every_mistake_is_told_as_expected() {
    let version = compiler();
    if is_expected(&version) || std::env::var_os(ANY_COMPILER).is_some() {
        trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
        return;
    }
    let skipped = format!(
        "the expected messages are those of rustc {COMPILER}*, found rustc {version}; \
         run with that compiler, or set {ANY_COMPILER}=1 to see what differs"
    );
    // A run of CI that compares nothing would pass in silence.
    assert!(std::env::var_os("CI").is_none(), "{skipped}");
    eprintln!("not run: {skipped}");
}

#[test]
fn what_is_right_compiles_without_a_warning_and_runs() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.pass(words::program());
}

/// The version of the compiler, such as `1.95.0` or `1.96.0-nightly`.
fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc)
        .arg("--version")
        .output()
        .expect("cargo has just run this compiler");
    // `rustc 1.95.0 (59807616e 2026-04-14)`
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

/// A nightly or a beta of the same number has other messages too.
fn is_expected(version: &str) -> bool {
    version.starts_with(COMPILER) && !version.contains('-')
}

#[test]
fn the_expected_compiler_is_a_release_of_one_number() {
    assert!(is_expected("1.95.0") && is_expected("1.95.1"));
    assert!(!is_expected("1.96.0") && !is_expected("1.95.0-nightly") && !is_expected(""));
}
