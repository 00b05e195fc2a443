//! Who a caller is: authenticators, and the layers that use what they find out.
//!
//! An [`Authenticate`] reads the head of a request, and says who the caller is, that it found no credentials of its kind, or
//! that they are wrong. It stands in `with [..]` as it is. `a.or(b)` takes the credentials of both kinds.

mod admits;
#[cfg(feature = "auth")]
mod answers;
mod authenticate;
#[cfg(feature = "auth")]
mod basic;
#[cfg(feature = "jwt")]
mod bearer;
#[cfg(test)]
mod cases;
mod certs;
#[cfg(feature = "jwt")]
mod claims;
#[cfg(feature = "auth")]
mod credentials;
mod forward;
mod identity_headers;
#[cfg(feature = "jwt")]
mod introspect;
#[cfg(feature = "jwt")]
mod json;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "auth")]
mod keys;
mod keys_of_callers;
#[cfg(feature = "auth")]
mod lines;
mod outage;
mod remote;
mod require;
#[cfg(feature = "auth")]
mod turns;
mod verdict;
#[cfg(feature = "auth")]
mod watched;

pub(crate) use self::admits::is_word;
#[cfg(feature = "auth")]
pub(crate) use self::keys::new_key;
pub use self::{
    admits::{Admits, Public, UpstreamAuth, admits, public, upstream_auth},
    authenticate::{Authenticate, AuthenticateExt, Authenticator, Optional, Or},
    certs::ClientCerts,
    forward::ForwardAuth,
    identity_headers::IdentityHeaders,
    keys_of_callers::{ByClaim, ByPrincipal, claim, principal},
    remote::{IntoRemote, Remote},
    require::{Require, RequireClaim},
    verdict::{Denied, Verdict},
};
#[cfg(feature = "auth")]
pub use self::{
    basic::Basic,
    keys::{ApiKeys, Key, KeyDigest, KeyFile, KeyStore},
};
#[cfg(feature = "jwt")]
pub use self::{
    introspect::Introspect,
    jwt::{Audience, Jwt, KeyFetches, NoAudience},
};
