//! What must not compile, and what its mistakes are told; `ui/README.md` says how it is kept.

#![allow(missing_docs, reason = "a test has no documentation")]

#[path = "ui/gallery.rs"]
mod gallery;

use std::process::Command;

/// The compiler whose messages the `.stderr` files hold; another words its own part differently.
const COMPILER: &str = "1.95.";

/// Checked in one run of cargo, apart from the others, so that nothing has to be linked.
#[test]
fn every_mistake_is_told_as_expected() {
    if is_the_compiler() {
        trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
    } else {
        eprintln!("not run: the expected messages are those of rustc {COMPILER}*");
    }
}

#[test]
fn what_is_right_compiles_without_a_warning_and_runs() {
    trybuild::TestCases::new().pass("ui/pass/*.rs");
}

fn is_the_compiler() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    output.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout);
        // `rustc 1.95.0 (59807616e 2026-04-14)`; a nightly or a beta is `1.95.0-nightly`.
        let version = text.split_whitespace().nth(1).unwrap_or_default();
        version.starts_with(COMPILER) && !version.contains('-')
    })
}
