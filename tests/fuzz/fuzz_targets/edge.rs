//! Lists of origins, and what browsers send in `Origin`: the list, an empty line, and one origin a line.

#![no_main]
#![allow(dead_code, reason = "of what is included not all is used")]

#[path = "../../../prox-runtime/src/middleware/origins.rs"]
mod origins;

use origins::Origins;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (list, asked) = text.split_once("\n\n").unwrap_or((text, ""));
    let (mut origins, mut problems) = (Origins::default(), Vec::new());
    origins.add(list.lines(), &mut problems);
    assert!(problems.len() <= list.lines().count());
    for problem in &problems {
        assert!(problem.contains("is not an origin: "), "{problem}");
    }
    for origin in asked.lines().chain(list.lines()) {
        if origins.has(origin) {
            // Nothing is let in that is not an origin, or that no line of the list could mean.
            let (_, host) = origin.split_once("://").expect("an origin has a scheme");
            assert!(
                !host.contains(['/', '@', '*', ' ', ',']) && !host.is_empty(),
                "{origin:?}"
            );
            let host = host.split(':').next().unwrap_or_default();
            let end = host.rsplit('.').next().unwrap_or_default();
            assert!(list.to_ascii_lowercase().contains(end), "{origin:?}");
        }
    }
    assert!(!origins.has("null") && !origins.has(""));
});
