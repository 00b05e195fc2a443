//! The tables that the unit tests of authenticators read as well.

#[path = "../../prox-runtime/src/auth/cases.rs"]
mod cases;
#[path = "../../prox-runtime/src/auth/forged.rs"]
pub(crate) mod forged;

pub(crate) use self::cases::Case;
use prox::testing::Issuer;
