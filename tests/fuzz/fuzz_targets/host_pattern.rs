//! Names of hosts.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| prox_fuzz::host(text));
