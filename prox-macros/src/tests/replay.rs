//! The seeds of the fuzz targets, and every input that one of them ever failed on.

use std::{fs, path::Path};

use super::harness;

/// Runs one target on all of its files; they are bytes, as a fuzzer writes them.
fn replay(target: &str, run: fn(&str)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fuzz/seeds")
        .join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the seeds are there") {
        let path = entry.expect("the folder can be read").path();
        let bytes = fs::read(&path).expect("a seed can be read");
        // A target, too, sees what stands before the first byte that is no text.
        run(bytes.utf8_chunks().next().map_or("", |text| text.valid()));
        count += 1;
    }
    assert!(count > 3, "{target} has no seeds");
}

#[test]
fn what_the_parser_was_fuzzed_with_expands() {
    replay("gateway_parser", harness::gateway);
}

#[test]
fn what_paths_were_fuzzed_with_is_told_apart() {
    replay("path_pattern", harness::path);
}

#[test]
fn what_hosts_were_fuzzed_with_is_told_apart() {
    replay("host_pattern", harness::host);
}
