//! The types of traces without the feature `otel`. None of them has a value.

use std::sync::Arc;

use http::{HeaderMap, Request, StatusCode, Uri};

use super::{Caller, End, To};
use crate::error::Failure;

#[derive(Debug)]
pub(crate) enum Tracer {}

impl Tracer {
    pub(crate) fn begin<B>(self: &Arc<Self>, _: &mut Request<B>, _: Caller) -> Option<Trace> {
        match **self {}
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Trace {}

impl Trace {
    pub(crate) fn end(&self, _: End) {
        match *self {}
    }

    pub(crate) fn try_at(&self, _: To<'_>, _: &mut HeaderMap) -> Try {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Try {}

impl Try {
    pub(crate) fn tell(&self, _: &mut HeaderMap) {
        match *self {}
    }

    pub(crate) fn sends(&mut self, _: &Uri, _: bool) {
        match *self {}
    }

    pub(crate) fn answered(&mut self, _: StatusCode) {
        match *self {}
    }

    pub(crate) fn failed(&mut self, _: Failure) {
        match *self {}
    }
}

/// No request has a trace.
#[derive(Debug, Default)]
pub(crate) struct Slot(());

#[expect(clippy::unused_self, reason = "the slot that has traces is asked")]
impl Slot {
    pub(crate) fn put(&self, _: Option<Trace>) {}

    pub(crate) fn is_on(&self) -> bool {
        false
    }

    pub(crate) fn get(&self) -> Option<Trace> {
        None
    }

    pub(crate) fn take(&self) -> Option<Trace> {
        None
    }
}
