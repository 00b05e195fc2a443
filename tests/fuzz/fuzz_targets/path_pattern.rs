//! Paths of routes.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| prox_fuzz::path(text));
