//! The types of traces without the feature `otel`. None of them has a value.

use std::sync::Arc;

use super::Named;
use crate::{
    error::Result,
    observe::traces::Tracer,
    server::{ServerVariables, ops::Job},
};

/// There is nothing to say.
#[derive(Debug, Default)]
pub(in crate::server) struct Said(());

/// There is none.
#[derive(Debug)]
pub(in crate::server) enum Settled {}

#[expect(clippy::unnecessary_wraps, reason = "with traces it may fail")]
pub(in crate::server) fn settle(
    _: Said,
    _: &ServerVariables,
    _: &Named,
) -> Result<Option<Settled>> {
    Ok(None)
}

impl Settled {
    pub(in crate::server) fn tracer(&self) -> Arc<Tracer> {
        match *self {}
    }

    pub(in crate::server) fn measured(&self) -> Arc<dyn crate::metrics::Measured> {
        match *self {}
    }

    pub(in crate::server) fn start(self) -> (Job, Running) {
        match self {}
    }
}

/// There is none.
#[derive(Debug)]
pub(in crate::server) enum Running {}
