//! What is taken down for traces while requests are answered: plain data, which the thread of operators makes spans of.
//!
//! A worker decides whether a request is recorded, gives it a context, and notes what happens. When a request or a try ends, what was
//! noted goes through a bounded buffer. Without the feature `otel` the types are there all the same, but have no values.

#[cfg(not(feature = "otel"))]
mod absent;
#[cfg(feature = "otel")]
mod buffer;
#[cfg(feature = "otel")]
mod ids;
#[cfg(feature = "otel")]
mod recorded;
#[cfg(feature = "otel")]
mod sampler;
#[cfg(feature = "otel")]
mod tracer;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::Method;

#[cfg(not(feature = "otel"))]
pub(crate) use self::absent::{Slot, Trace, Tracer, Try};
#[cfg(feature = "otel")]
pub(crate) use self::{
    buffer::{Bounds, Buffer},
    recorded::{Done, Ended, Recording, Slot, Trace, Try},
    sampler::{Root, Sampler},
    tracer::{Tracer, Wanted},
};
use crate::error::Failure;

/// Who sends a request.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "otel"),
    expect(dead_code, reason = "no request has a trace")
)]
pub(crate) struct Caller {
    pub(crate) scheme: &'static str,
    pub(crate) client: Option<IpAddr>,
    pub(crate) peer: Option<SocketAddr>,
    /// Whether the peer is a proxy whose word is taken.
    pub(crate) is_trusted: bool,
}

/// How a request has ended.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "otel"),
    expect(dead_code, reason = "no request has a trace")
)]
pub(crate) struct End {
    /// The number of the route that took it.
    pub(crate) route: Option<u32>,
    pub(crate) status: u16,
    pub(crate) failure: Option<Failure>,
    /// The version of HTTP that the client speaks.
    pub(crate) protocol: Option<&'static str>,
}

/// Where a try goes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "otel"),
    expect(dead_code, reason = "no request has a trace")
)]
pub(crate) struct To<'a> {
    pub(crate) method: &'a Method,
    pub(crate) backend: &'a Arc<str>,
    /// The URL of the endpoint.
    pub(crate) endpoint: &'a Arc<str>,
    /// Whether it is a copy, whose answer no client gets.
    pub(crate) is_copy: bool,
}
