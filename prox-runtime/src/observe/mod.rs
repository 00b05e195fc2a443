//! What is told about a request besides its response.

pub(crate) mod ending;
pub(crate) mod lines;
pub(crate) mod logs;
pub(crate) mod outputs;
pub(crate) mod panics;
pub(crate) mod queue;
mod refused;
pub(crate) mod seldom;
pub(crate) mod trace_context;

pub use self::refused::{Refusal, Refused};
