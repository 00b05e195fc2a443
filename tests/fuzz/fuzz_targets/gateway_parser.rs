//! The whole of the macro, over any text that has tokens.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| prox_fuzz::gateway(text));
