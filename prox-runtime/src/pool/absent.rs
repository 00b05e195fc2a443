//! What stands for shared connections without the feature `http2`: types of which there is no value.

#![expect(clippy::unused_async, reason = "what stands for it waits")]

use std::{
    future::Future,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use tokio::time::Instant;

use super::{Flooded, Granted, Open, Patience, PoolOptions, SendFailure};
use crate::{connect::Opened, error::Error, handler::Request, stream::Stream as Bytestream};

#[derive(Debug)]
pub(crate) enum Streams {}

impl Streams {
    /// None, since the feature `http2` is not there.
    pub(crate) fn new(_: PoolOptions, _: Duration, _: Flooded) -> Option<Self> {
        None
    }

    pub(crate) fn try_take<C, F>(&self, _: Option<u64>, _: C) -> Option<Granted>
    where
        C: Fn() -> F + Send + 'static,
        F: Future<Output = Result<Opened, Error>> + Send + 'static,
    {
        match *self {}
    }

    pub(crate) fn connections(&self) -> Open {
        match *self {}
    }

    pub(crate) fn close(&self) {
        match *self {}
    }

    pub(crate) fn reconsider(&self) {
        match *self {}
    }

    pub(crate) async fn take<C, F>(&self, _: Option<u64>, _: C) -> Result<Granted, Error>
    where
        C: Fn() -> F + Send + 'static,
        F: Future<Output = Result<Opened, Error>> + Send + 'static,
    {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Stream {}

impl Stream {
    pub(crate) fn number(&self) -> u64 {
        match *self {}
    }

    pub(crate) async fn send(
        self,
        _: Request,
        _: bool,
        _: &mut impl Patience,
    ) -> Result<(Response<()>, Download), SendFailure> {
        match self {}
    }
}

#[derive(Debug)]
pub(crate) enum Download {}

impl Download {
    pub(crate) fn is_switched(&self) -> bool {
        match *self {}
    }

    pub(crate) fn poll_frame(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match *self {}
    }

    pub(crate) fn poll_deadline(&mut self, _: &mut Context<'_>, _: Instant) -> Poll<()> {
        match *self {}
    }

    pub(crate) fn into_stream(self) -> Option<Bytestream> {
        match self {}
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match *self {}
    }

    pub(crate) fn left(&self) -> Option<u64> {
        match *self {}
    }
}
