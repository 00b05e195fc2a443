//! Who a caller is, once an authenticator has found that out.
//!
//! It is a leaf: authenticators write it, layers and handlers read it.

mod claim;

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    hash::Hash,
    sync::{Arc, OnceLock},
};

use http::HeaderValue;

pub use self::claim::Claim;
use crate::fingerprint::Fingerprint;

/// Who the caller is: what an authenticator has found out, and nothing that the caller only says.
///
/// Layers and handlers find it with [`RequestExt::principal`](crate::RequestExt::principal). Cloning it is cheap.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Claim, Principal};
///
/// let caller = Principal::new("api-key", "acme")
///     .with_scopes(["orders"])
///     .with_claim("plan", "gold");
/// assert_eq!(caller.subject(), "acme");
/// assert!(caller.has_scope("orders") && !caller.has_scope("order"));
/// assert_eq!(caller.claim("plan").and_then(Claim::as_text), Some("gold"));
/// ```
#[derive(Clone)]
pub struct Principal(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    scheme: &'static str,
    subject: String,
    /// That of its scheme, its issuer and its subject.
    fingerprint: Fingerprint,
    /// The subject as the value of a field, written once; nothing if no field can carry it.
    field: OnceLock<Option<HeaderValue>>,
    issuer: Option<String>,
    scopes: Vec<String>,
    claims: BTreeMap<String, Claim>,
    typed: Option<Arc<dyn Any + Send + Sync>>,
}

impl Principal {
    /// A caller that has proved by `scheme` to be `subject`. The scheme is a word for logs: `basic`, `jwt`, `api-key`.
    pub fn new(scheme: &'static str, subject: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            scheme,
            subject: subject.into(),
            fingerprint: Fingerprint::default(),
            field: OnceLock::new(),
            issuer: None,
            scopes: Vec::new(),
            claims: BTreeMap::new(),
            typed: None,
        }))
    }

    /// The same caller, vouched for by this issuer.
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        let inner = self.inner();
        inner.issuer = Some(issuer.into());
        inner.fingerprint = Fingerprint::default();
        self
    }

    /// The same caller, which may also do this. A scope that is there twice counts once.
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        let inner = self.inner();
        for scope in scopes {
            let scope = scope.into();
            if !inner.scopes.contains(&scope) {
                inner.scopes.push(scope);
            }
        }
        self
    }

    /// The same caller, of whom this is known too. A claim of the same name is replaced.
    pub fn with_claim(mut self, name: impl Into<String>, claim: impl Into<Claim>) -> Self {
        self.inner().claims.insert(name.into(), claim.into());
        self
    }

    /// The same caller, with all that is known of it as a value of a type of one's own.
    pub fn with_typed<T: Send + Sync + 'static>(mut self, claims: T) -> Self {
        self.inner().typed = Some(Arc::new(claims));
        self
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// Who it is, as the authenticator names callers. Two authenticators may give the same name to different callers.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The subject as the value of a field, which `write` makes of it the first time; nothing if no field can carry it.
    pub(crate) fn subject_field(
        &self,
        write: impl FnOnce(&str) -> Option<HeaderValue>,
    ) -> Option<HeaderValue> {
        let field = self.0.field.get_or_init(|| write(&self.0.subject));
        field.clone()
    }

    /// A name of 128 bits for who it is: that of its scheme, its issuer and its subject.
    pub(crate) fn fingerprint(&self) -> [u64; 2] {
        self.0.fingerprint.get(|hasher| {
            let issuer = self.issuer().unwrap_or_default();
            // A string ends with a byte that no string has.
            (self.scheme(), issuer, self.subject()).hash(hasher);
        })
    }

    /// How it has proved that: `basic`, `api-key`, `jwt`, `client-cert`, ..
    pub fn scheme(&self) -> &'static str {
        self.0.scheme
    }

    /// Who has vouched for it, such as the issuer of its token.
    pub fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_deref()
    }

    /// What it may do.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.scopes.iter().map(String::as_str)
    }

    /// Whether it has this scope, to the letter.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.scopes.iter().any(|own| own == scope)
    }

    /// What is known of it under this path of names, with `.` between them: `tenant`, `realm_access.roles`.
    ///
    /// A claim whose whole name is the path comes first: `https://example.com/tenant` has dots in its name.
    pub fn claim(&self, path: &str) -> Option<&Claim> {
        claim::at(&self.0.claims, path)
    }

    /// All claims by their names.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &Claim)> {
        self.0
            .claims
            .iter()
            .map(|(name, claim)| (name.as_str(), claim))
    }

    /// All that is known of it as a value of this type, if the authenticator was told to read it so.
    pub fn typed<T: 'static>(&self) -> Option<&T> {
        self.0.typed.as_deref()?.downcast_ref()
    }
}

/// Without the claims, which may be private.
impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("scheme", &self.0.scheme)
            .field("subject", &self.0.subject)
            .field("issuer", &self.0.issuer)
            .field("scopes", &self.0.scopes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_found_by_its_whole_name_first_and_then_by_its_path() {
        let realm = Claim::Object(BTreeMap::from([("roles".to_owned(), Claim::from("admin"))]));
        let caller = Principal::new("test", "a")
            .with_claim("https://example.com/tenant", "acme")
            .with_claim("realm.roles", "whole")
            .with_claim("realm", realm.clone())
            .with_claim("access", realm);
        let text = |path: &str| caller.claim(path).and_then(Claim::as_text);
        assert_eq!(text("https://example.com/tenant"), Some("acme"));
        assert_eq!(text("realm.roles"), Some("whole"));
        assert_eq!(text("access.roles"), Some("admin"));
        for absent in [
            "access.role",
            "access",
            "access.roles.x",
            "",
            ".",
            "x.roles",
        ] {
            assert_eq!(text(absent), None, "{absent}");
        }
    }

    #[test]
    fn clones_share_and_a_change_leaves_the_others_alone() {
        let one = Principal::new("test", "a").with_scopes(["x", "x", "y"]);
        let other = one.clone().with_scopes(["z"]).with_typed(7_u8);
        assert_eq!(one.scopes().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(other.scopes().count(), 3);
        assert_eq!((one.typed::<u8>(), other.typed::<u8>()), (None, Some(&7)));
        assert_eq!(other.typed::<u16>(), None);
    }

    #[test]
    fn its_fingerprint_is_that_of_who_it_is() {
        let of = |who: Principal| who.fingerprint();
        let ada = Principal::new("jwt", "ada");
        let mark = of(ada.clone());
        assert_eq!(of(Principal::new("jwt", "ada").with_scopes(["x"])), mark);
        assert_eq!(of(ada.clone().with_claim("a", "b")), mark);
        // It is told anew after a change.
        let vouched = ada.clone().with_issuer("https://a");
        assert_ne!(of(vouched.clone()), mark);
        assert_ne!(
            of(vouched.with_issuer("https://b").with_issuer("")),
            of(ada.with_issuer("c"))
        );
        for other in [
            Principal::new("basic", "ada"),
            Principal::new("jwt", "adb"),
            Principal::new("jwt", "a").with_issuer("da"),
            Principal::new("jwt", "da").with_issuer("a"),
        ] {
            assert_ne!(of(other), mark);
        }
    }

    #[test]
    fn its_debug_output_has_no_claims() {
        let caller = Principal::new("test", "a").with_claim("ssn", "078-05-1120");
        assert!(!format!("{caller:?}").contains("078"));
    }
}
