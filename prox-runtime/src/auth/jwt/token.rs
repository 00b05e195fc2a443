//! What a token has to be, as a pure function of the token, the keys and the time.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::key::{Alg, Key};
use crate::{
    auth::{
        claims::{self, Rules, Verified},
        json,
    },
    identity::Claim,
};

/// The longest token, and the most keys that are tried for a token that names none.
const LONGEST: usize = 16 * 1024;
const MOST_TRIED: usize = 8;

/// Verifies a token. It says nothing of why a token is wrong, since only strangers would learn from it.
pub(super) fn verify(token: &str, keys: &[Key], rules: &Rules) -> Option<Verified> {
    if token.len() > LONGEST {
        return None;
    }
    let (message, signed) = token.rsplit_once('.')?;
    let (header, payload) = message.split_once('.')?;
    let header = part(header)?;
    let alg = Alg::read(header.get("alg")?.as_text()?)?;
    // Extensions that have to be understood, and none is; the rest changes what is signed, or how.
    if ["crit", "b64", "zip", "enc"]
        .iter()
        .any(|name| header.contains_key(*name))
    {
        return None;
    }
    if let Some(wanted) = &rules.token_type {
        let own = header.get("typ")?.as_text()?.to_ascii_lowercase();
        let own = own.strip_prefix("application/").unwrap_or(&own);
        if own != wanted {
            return None;
        }
    }
    let kid = match header.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_text()?),
    };
    let signed = URL_SAFE_NO_PAD.decode(signed).ok()?;
    let fitting = keys
        .iter()
        .filter(|key| key.is_for(alg) && key.is_named(kid));
    let mut tried = fitting.take(MOST_TRIED);
    if !tried.any(|key| key.verify(alg, message.as_bytes(), &signed)) {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    claims::read("jwt", json::object(&payload)?, &payload, rules)
}

/// Whether a token says that its key is one that is not among these.
pub(super) fn names_another_key(token: &str, keys: &[Key]) -> bool {
    let named = || {
        let (header, _) = token.split_once('.')?;
        let header = part(header).filter(|_| token.len() <= LONGEST)?;
        // Secrets are never fetched.
        let alg = Alg::read(header.get("alg")?.as_text()?)?;
        let kid = header.get("kid")?.as_text()?;
        Some(!alg.is_secret() && !keys.iter().any(|key| key.is_named(Some(kid))))
    };
    named().unwrap_or(false)
}

/// An object in base64url.
fn part(text: &str) -> Option<BTreeMap<String, Claim>> {
    json::object(&URL_SAFE_NO_PAD.decode(text).ok()?)
}
