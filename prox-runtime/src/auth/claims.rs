//! What a token says, once it is known who says it: its claims, and the rules that they have to fulfil.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde_core::de::DeserializeOwned;

use crate::identity::{Claim, Principal};

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
    /// The claims that may name the caller, the first that is there.
    pub(super) subjects: &'static [&'static str],
    /// Whether a token may have no end.
    pub(super) unbounded: bool,
    /// The type that the claims are read as, besides.
    pub(super) typed: Option<Typed>,
}

/// Puts claims, which are JSON, into a caller as a value of the user's type; nothing if they are not one.
type Read = dyn Fn(&[u8], Principal) -> Option<Principal> + Send + Sync;

/// Reads claims as a value of the user's type.
#[derive(Clone)]
pub(super) struct Typed(Arc<Read>);

impl Typed {
    pub(super) fn of<T: DeserializeOwned + Send + Sync + 'static>() -> Self {
        Self(Arc::new(|json, who| {
            let claims: T = serde_json::from_slice(json).ok()?;
            Some(who.with_typed(claims))
        }))
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed")
    }
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

impl Default for Rules {
    fn default() -> Self {
        Self {
            issuer: None,
            audiences: None,
            leeway: Duration::from_mins(1),
            max_age: None,
            token_type: None,
            subjects: &["sub", "client_id", "azp"],
            unbounded: false,
            typed: None,
        }
    }
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

/// Reads the claims of a token whose origin is known, and which are this JSON. Nothing if they are not right; the times are judged
/// later.
pub(super) fn read(
    scheme: &'static str,
    claims: BTreeMap<String, Claim>,
    json: &[u8],
    rules: &Rules,
) -> Option<Verified> {
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
    for name in rules.subjects {
        if let Some(claim) = claims.get(*name) {
            subject = Some(claim.as_text()?.to_owned());
            break;
        }
    }
    let mut principal = Principal::new(scheme, subject.filter(|subject| !subject.is_empty())?);
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
    if let Some(Typed(read)) = &rules.typed {
        principal = read(json, principal)?;
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
