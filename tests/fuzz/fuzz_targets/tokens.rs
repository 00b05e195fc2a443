//! Tokens and key sets: the first byte says which. A set is JSON; a token is its three parts, as text, one a line, which are coded
//! here, or a whole token.
//!
//! No token passes that no key has signed.

#![no_main]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "of what is included not all is used"
)]

#[path = "../../../prox-runtime/src/auth/claims.rs"]
mod claims;
#[path = "../../../prox-runtime/src/tls/der.rs"]
mod der;
#[path = "../../../prox-runtime/src/fingerprint.rs"]
mod fingerprint;
#[path = "../../../prox-runtime/src/identity/mod.rs"]
mod identity;
#[path = "../../../prox-runtime/src/auth/json.rs"]
mod json;
#[path = "../../../prox-runtime/src/auth/jwt/key.rs"]
mod key;
#[path = "../../../prox-runtime/src/secret.rs"]
mod secret;
#[path = "../../../prox-runtime/src/auth/jwt/token.rs"]
mod token;

mod auth {
    pub(crate) use crate::{claims, json};
}

mod tls {
    pub(crate) use crate::der;
}

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use claims::Rules;

const SET: &[u8] = br#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}
]}"#;

static KEYS: LazyLock<Vec<key::Key>> = LazyLock::new(|| key::set(SET).expect("a set"));

fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    match kind % 3 {
        0 => {
            if let Ok(keys) = key::set(rest) {
                assert!(!keys.is_empty() && keys.len() <= 100);
            }
        }
        1 => {
            if let Ok(token) = std::str::from_utf8(rest) {
                refused(token);
            }
        }
        _ => {
            let parts = rest.split(|&byte| byte == b'\n');
            let parts: Vec<_> = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
            refused(&parts.join("."));
        }
    }
    // The claims of a token that somebody has signed, or that an issuer vouches for.
    if let Some(object) = json::object(rest) {
        for audiences in [None, Some(vec![String::from("shop")])] {
            let rules = rules(audiences);
            let Some(verified) = claims::read("jwt", object.clone(), rest, &rules) else {
                continue;
            };
            assert!(!verified.principal.subject().is_empty());
            let audience = object.get("aud").is_some_and(|aud| aud.has("shop"));
            assert!(audience || rules.audiences.is_none());
        }
    }
}

fn rules(audiences: Option<Vec<String>>) -> Rules {
    Rules {
        audiences,
        unbounded: true,
        ..Rules::default()
    }
}

fn refused(token: &str) {
    let _ = token::names_another_key(token, &KEYS);
    assert!(
        token::verify(token, &KEYS, &rules(None)).is_none(),
        "{token}"
    );
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));
