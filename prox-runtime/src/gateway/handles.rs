//! The handles of the backends of a gateway, each of them turned into something else.

use super::{Gateway, IntoGateway};
use crate::cluster::Cluster;

/// A gateway whose handles can be turned into others: the macro writes it for each gateway with a name, and tests use it.
#[doc(hidden)]
pub trait Handles: IntoGateway + Sized {
    /// The struct of the handles, with others in their place.
    type Of<H>;

    /// Calls `turn` with each handle, in the order of the source.
    fn each<H>(&self, turn: impl FnMut(&Cluster) -> H) -> Self::Of<H>;
}

/// A gateway without a name has no struct of handles.
impl Handles for Gateway {
    type Of<H> = ();

    fn each<H>(&self, _: impl FnMut(&Cluster) -> H) {}
}
