//! Who a caller is: authenticators, and the layers that use what they find out.
//!
//! An [`Authenticate`] reads the head of a request, and says who the caller is, that it found no credentials of its kind, or
//! that they are wrong. It stands in `with [..]` as it is. `a.or(b)` takes the credentials of both kinds.

mod admits;
mod authenticate;
mod certs;
mod identity_headers;
mod keys_of_callers;
mod require;
mod verdict;

pub use self::{
    admits::{Admits, Public, UpstreamAuth, admits, public, upstream_auth},
    authenticate::{Authenticate, AuthenticateExt, Authenticator, Optional, Or},
    certs::ClientCerts,
    identity_headers::IdentityHeaders,
    keys_of_callers::{ByClaim, ByPrincipal, claim, principal},
    require::{Require, RequireClaim},
    verdict::{Denied, Verdict},
};
