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
#[cfg(feature = "otel")]
mod trace_state;
pub(crate) mod traces;

pub use self::{
    refused::{Refusal, Refused},
    trace_context::TraceContext,
};
