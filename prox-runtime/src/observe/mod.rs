//! What is told about a request besides its response.

pub(crate) mod ending;
pub(crate) mod outputs;
pub(crate) mod panics;
mod refused;

pub use self::refused::{Refusal, Refused};
