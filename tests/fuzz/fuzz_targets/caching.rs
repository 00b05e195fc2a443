//! What a cache reads of strangers: `Cache-Control`, dates, ages and validators. The input is a request and a response, with an empty
//! line between, one field a line.

#![no_main]
#![allow(dead_code, reason = "of what is included not all is used")]

#[path = "../../../prox-runtime/src/middleware/cache/conditions.rs"]
mod conditions;
#[path = "../../../prox-runtime/src/middleware/cache/directives.rs"]
mod directives;
#[path = "../../../prox-runtime/src/middleware/fields.rs"]
mod fields;
#[path = "../../../prox-runtime/src/middleware/cache/policy.rs"]
mod policy;

mod middleware {
    pub(crate) use crate::fields;
}

use std::time::{Duration, SystemTime};

use directives::Directives;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use policy::{Defaults, Wish, judge};

const NAMES: [&str; 12] = [
    "age",
    "authorization",
    "cache-control",
    "content-type",
    "date",
    "etag",
    "expires",
    "if-modified-since",
    "if-none-match",
    "last-modified",
    "pragma",
    "vary",
];

fn headers<'l>(lines: impl Iterator<Item = &'l [u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some((kind, value)) = line.split_first() else {
            continue;
        };
        let name = NAMES[usize::from(kind.wrapping_sub(b'a')) % NAMES.len()];
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let request = headers(lines.by_ref().take_while(|line| !line.is_empty()));
    let response = headers(lines);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let authorized = request.contains_key("authorization");
    let judged = |defaults| judge(StatusCode::OK, &response, authorized, defaults, now);
    let policy = judged(Defaults::default());
    if let Ok(policy) = &policy {
        // What says anywhere that it is not for everybody is not stored.
        let said = Directives::of(&response).expect("it was read before");
        assert!(!said.no_store && !said.private && !said.no_cache);
        assert!(said.max_age.or(said.s_maxage).is_some() || response.contains_key("expires"));
        for resident in [0, 1, 60, u64::MAX].map(Duration::from_secs) {
            let fresh = policy.is_fresh(resident);
            assert!(!fresh || policy.serves_while_revalidating(resident));
            assert!(!fresh || policy.serves_if_error(resident));
            assert!(!fresh || policy.ttl(resident) >= 0);
            // A client can only ask for a fresher one.
            let wish = Wish::of(&request);
            assert!(!wish.takes(policy, resident) || Wish::default().takes(policy, resident));
        }
        // A day of freshness where nothing is said changes nothing where something is.
        let fresh = Some(Duration::from_secs(86_400));
        let more = Defaults {
            fresh,
            ..Defaults::default()
        };
        assert_eq!(judged(more).as_ref(), Ok(policy));
    }
    let has = conditions::has_already(&request, &response);
    assert!(!has || response.contains_key("etag") || response.contains_key("last-modified"));
    let mut again = HeaderMap::new();
    if conditions::revalidate(&mut again, &response) {
        // An answer with the same validators is about the same response.
        assert!(conditions::is_about(&response, &response) || !again.contains_key("if-none-match"));
    } else {
        assert!(again.is_empty());
    }
});
