//! What tells callers apart that are known: the words `principal()` and `claim(..)`.

use std::borrow::Cow;

use crate::{
    client::Client,
    handler::Parts,
    identity::{Claim, Principal},
    middleware::{KeyParts, KeyReads, LimitKey, role},
    route::RequestExt,
};

/// Tells known callers apart, by who has vouched for them and their subject: see [`principal`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ByPrincipal;

/// Tells known callers apart by who they are: `RateLimit::per_second(10).by(principal())`.
pub fn principal() -> ByPrincipal {
    ByPrincipal
}

impl ByPrincipal {
    /// The text of a caller; nothing if it is not known.
    ///
    /// Callers whom different authenticators or issuers call the same are different.
    pub fn of(&self, parts: &Parts) -> Option<String> {
        let who = parts.principal()?;
        let issuer = who.issuer().unwrap_or_default();
        Some(format!("{}\n{issuer}\n{}", who.scheme(), who.subject()))
    }
}

/// Tells known callers apart by one of their claims: see [`claim`].
#[derive(Clone, Debug)]
pub struct ByClaim(String);

/// Tells known callers apart by the claim at this [path](crate::Principal::claim), such as their tenant:
/// `RateLimit::per_second(100).by(claim("tenant"))`.
pub fn claim(path: impl Into<String>) -> ByClaim {
    ByClaim(path.into())
}

impl ByClaim {
    /// The claim of a caller, as a text or as JSON; nothing if the caller is not known or lacks it.
    pub fn of(&self, parts: &Parts) -> Option<String> {
        let claim = parts.principal()?.claim(&self.0)?;
        claim.shown().map(Cow::into_owned)
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.0
    }
}

impl LimitKey for ByPrincipal {
    type Role = role::NeedsIdentity;

    fn write(&self, parts: &mut KeyParts<'_>) {
        let Some(who) = parts.principal() else {
            return parts.add(None);
        };
        let issuer = who.issuer().unwrap_or_default();
        parts.add_joined(&[who.scheme(), "\n", issuer, "\n", who.subject()]);
    }

    fn kept(&self, _: Option<&Client>, principal: Option<&Principal>) -> Option<[u64; 2]> {
        principal.map(Principal::fingerprint)
    }

    fn reads(&self) -> KeyReads {
        KeyReads::Nothing
    }
}

impl LimitKey for ByClaim {
    type Role = role::NeedsIdentity;

    fn write(&self, parts: &mut KeyParts<'_>) {
        let claim = parts.principal().and_then(|who| who.claim(&self.0));
        let shown = claim.and_then(Claim::shown);
        parts.add(shown.as_deref().map(str::as_bytes));
    }

    fn reads(&self) -> KeyReads {
        KeyReads::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{body::Body, handler::Request, identity::Principal};

    #[test]
    fn callers_of_two_issuers_with_one_name_are_two() {
        let of = |who: Principal| {
            let (mut parts, _) = Request::new(Body::empty()).into_parts();
            parts.extensions.insert(who);
            (principal().of(&parts), claim("tenant").of(&parts))
        };
        let ada = Principal::new("jwt", "ada").with_issuer("https://a");
        let other = Principal::new("jwt", "ada").with_issuer("https://b");
        assert_ne!(of(ada.clone()).0, of(other).0);
        assert_eq!(of(ada.clone()), of(ada.clone()));
        assert_eq!(
            of(ada.clone().with_claim("tenant", "acme")).1.as_deref(),
            Some("acme")
        );
        assert_eq!(of(ada.with_claim("tenant", 7)).1.as_deref(), Some("7"));
        let (parts, _) = Request::new(Body::empty()).into_parts();
        assert_eq!(
            (principal().of(&parts), claim("a").of(&parts)),
            (None, None)
        );
    }
}
