//! Traces for OpenTelemetry, by its official crates: what the variables say, and the export over OTLP.
//!
//! `observe::traces` takes down what happens, on the workers. This module makes spans of it, on the thread of operators: to call the SDK
//! takes microseconds, and its own processors block the thread that they are called on.

mod collector;
mod export;
mod options;
mod spans;
mod variables;

pub(crate) use self::options::Said;
pub use self::options::TraceOptions;
pub(crate) use self::{export::Export, variables::Settings};
