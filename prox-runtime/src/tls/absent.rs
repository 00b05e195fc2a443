//! What stands for TLS without the feature `tls`: types of which there is no value.

use std::{future::Ready, io, sync::Arc};

use super::{Accepted, Watching};
use crate::{error::Result, stream::Stream};

#[derive(Clone, Debug)]
pub(crate) enum Tls {}

impl Tls {
    pub(crate) fn start(&self, _: bool) -> Result<Arc<Termination>> {
        match *self {}
    }

    pub(crate) fn check(&self) -> Result {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Termination {}

impl Termination {
    pub(crate) fn accept(&self, _: Stream) -> Ready<io::Result<Accepted>> {
        match *self {}
    }

    pub(crate) fn watch(self: &Arc<Self>) -> Option<Watching> {
        match **self {}
    }

    pub(crate) fn each_end(&self, _: impl FnMut(&str, u64)) {
        match *self {}
    }
}

#[derive(Clone, Debug)]
pub(crate) enum UpstreamTls {}

#[derive(Debug)]
pub(crate) enum Connector {}

pub(crate) fn is_failure(_: &io::Error) -> bool {
    false
}

/// Nobody asks for one: no endpoint speaks TLS.
pub(crate) fn connector(_: Option<UpstreamTls>, _: bool) -> Result<Connector, Vec<String>> {
    Err(vec![super::WITHOUT_FEATURE.into()])
}

impl Connector {
    pub(crate) fn accepts_any(&self) -> bool {
        match *self {}
    }

    pub(crate) fn refuses(&self, _: &str) -> Option<String> {
        match *self {}
    }

    pub(crate) fn connect(&self, _: Stream, _: &str) -> Ready<io::Result<(Stream, bool)>> {
        match *self {}
    }
}
