//! What a client or an upstream sends in HTTP/1.1: the verdict does not depend on how the bytes arrive.
//!
//! The first byte says which side it is and what was asked, the next two where the bytes are cut.

#![no_main]
#![allow(dead_code, reason = "of what is included not all is used")]

#[path = "../../../prox-runtime/src/framing/mod.rs"]
mod framing;

use framing::{Asked, Requests, Responses, Violation};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [side, first, second, bytes @ ..] = input else {
        return;
    };
    let side = *side;
    let whole = verdict(side, &[bytes]);
    let [first, second] = [*first, *second].map(|cut| usize::from(cut) % (bytes.len() + 1));
    let (first, second) = (first.min(second), first.max(second));
    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
    assert_eq!(verdict(side, &pieces), whole);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(verdict(side, &single), whole);
    if let Err(violation) = whole {
        assert!(violation.good < bytes.len());
        assert_eq!(verdict(side, &[&bytes[..violation.good]]), Ok(()));
    }
});

/// What is found in all of the pieces; `good` counts from the first.
fn verdict(side: u8, pieces: &[&[u8]]) -> Result<(), Violation> {
    let mut requests = Requests::new(usize::MAX);
    let mut responses = Responses::default();
    let asked = [
        Asked::Head,
        Asked::Connect,
        Asked::Upgrade,
        Asked::HeadUpgrade,
        Asked::Other,
    ];
    responses.expect(asked[usize::from(side / 2) % 4]);
    let mut before = 0;
    for piece in pieces {
        let found = if side % 2 == 0 {
            requests.feed(piece)
        } else {
            responses.feed(piece)
        };
        found.map_err(|violation| Violation {
            good: before + violation.good,
            ..violation
        })?;
        before += piece.len();
    }
    Ok(())
}
