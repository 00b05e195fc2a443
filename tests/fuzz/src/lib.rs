//! The inside of prox-macros as an ordinary library, since a crate of procedural macros exports nothing else.
//!
//! The modules are the files of the macro, and what must hold is the file that its own tests use. Outside of the compiler the
//! tokens are those of proc-macro2.

#![allow(dead_code, reason = "of what is included not all is used")]

extern crate proc_macro;

#[path = "../../../prox-macros/src/around/mod.rs"]
mod around;
#[path = "../../../prox-macros/src/check/mod.rs"]
mod check;
#[path = "../../../prox-macros/src/diag.rs"]
mod diag;
#[path = "../../../prox-macros/src/expand/mod.rs"]
mod expand;
#[path = "../../../prox-macros/src/features.rs"]
mod features;
#[path = "../../../prox-macros/src/tests/harness.rs"]
mod harness;
#[path = "../../../prox-macros/src/model/mod.rs"]
mod model;
#[path = "../../../prox-macros/src/tests/opaque.rs"]
mod opaque;
#[path = "../../../prox-macros/src/pipeline.rs"]
mod pipeline;
#[path = "../../../prox-macros/src/reader.rs"]
mod reader;
#[path = "../../../prox-macros/src/syntax/mod.rs"]
mod syntax;
#[path = "../../../prox-macros/src/vocab.rs"]
mod vocab;

/// A gateway of any tokens expands to code that parses.
pub fn gateway(source: &str) {
    harness::gateway(source);
}

/// Any text is a pattern of paths, or is told what is wrong.
pub fn path(text: &str) {
    harness::path(text);
}

/// Any text is a host, or is told what is wrong.
pub fn host(text: &str) {
    harness::host(text);
}
