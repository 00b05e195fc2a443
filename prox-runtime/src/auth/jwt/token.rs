//! What a token has to be, as a pure function of the token, the keys and the time.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    json,
    key::{Alg, Key},
};
use crate::identity::{Claim, Principal};

/// The longest token, and the most keys that are tried for a token that names none.
const LONGEST: usize = 16 * 1024;
const MOST_TRIED: usize = 8;

/// What the user asks of tokens.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// To the letter, if it is known.
    pub(super) issuer: Option<String>,
    /// One of these; nothing if any audience is right.
    pub(super) audiences: Option<Vec<String>>,
    pub(super) leeway: Duration,
    pub(super) max_age: Option<Duration>,
    pub(super) token_type: Option<String>,
    /// Whether a token may have no end.
    pub(super) unbounded: bool,
}

/// A token whose signature and claims are right; its times are judged each time that it is used.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    pub(super) principal: Principal,
    pub(super) times: Times,
}

/// Seconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
}

impl Times {
    /// Whether the token counts at this time.
    pub(super) fn hold(&self, now: f64, rules: &Rules) -> bool {
        let leeway = rules.leeway.as_secs_f64();
        let ended = self.exp.map_or(!rules.unbounded, |exp| now >= exp + leeway);
        let begun = |time: Option<f64>| time.is_none_or(|time| now + leeway >= time);
        let young = rules.max_age.is_none_or(|age| {
            self.iat
                .is_some_and(|iat| now < iat + age.as_secs_f64() + leeway)
        });
        !ended && begun(self.nbf) && begun(self.iat) && young
    }
}

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
    claims(part(payload)?, rules)
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

fn claims(claims: BTreeMap<String, Claim>, rules: &Rules) -> Option<Verified> {
    let issuer = match claims.get("iss") {
        None => None,
        Some(issuer) => Some(issuer.as_text()?.to_owned()),
    };
    if rules.issuer.is_some() && rules.issuer != issuer {
        return None;
    }
    let audience = claims.get("aud");
    let is_audience = match audience {
        None => false,
        Some(Claim::Text(_)) => true,
        Some(Claim::List(list)) => list.iter().all(|item| item.as_text().is_some()),
        Some(_) => return None,
    };
    if let Some(wanted) = &rules.audiences {
        let audience = audience.filter(|_| is_audience)?;
        if !wanted.iter().any(|wanted| audience.has(wanted)) {
            return None;
        }
    }
    let times = Times {
        exp: time(&claims, "exp")?,
        nbf: time(&claims, "nbf")?,
        iat: time(&claims, "iat")?,
    };
    let mut subject = None;
    for name in ["sub", "client_id", "azp"] {
        if let Some(claim) = claims.get(name) {
            subject = Some(claim.as_text()?.to_owned());
            break;
        }
    }
    let mut principal = Principal::new("jwt", subject.filter(|subject| !subject.is_empty())?);
    if let Some(issuer) = issuer {
        principal = principal.with_issuer(issuer);
    }
    for name in ["scope", "scp"] {
        match claims.get(name) {
            None => {}
            Some(Claim::Text(text)) => {
                principal = principal.with_scopes(text.split_ascii_whitespace());
            }
            Some(Claim::List(list)) => {
                principal = principal.with_scopes(list.iter().filter_map(Claim::as_text));
            }
            Some(_) => return None,
        }
    }
    for (name, claim) in claims {
        principal = principal.with_claim(name, claim);
    }
    Some(Verified { principal, times })
}

/// A time, if it is there; nothing if it is not one.
#[expect(clippy::cast_precision_loss, reason = "times are far below 2^53")]
#[expect(
    clippy::option_option,
    reason = "a time that is malformed, absent, and there"
)]
fn time(claims: &BTreeMap<String, Claim>, name: &str) -> Option<Option<f64>> {
    let time = match claims.get(name) {
        None => return Some(None),
        Some(Claim::Integer(time)) => *time as f64,
        Some(Claim::Number(time)) => *time,
        Some(_) => return None,
    };
    (time.is_finite() && time >= 0.0).then_some(Some(time))
}
