//! Which endpoint is next.
//!
//! Whoever keeps the endpoints makes a [`Roster`] of those that may be chosen, whenever that changes; a [`Balancer`]
//! prepares what it needs for this list, once, and then picks from it for each request without a lock. What is counted for
//! an endpoint ([`Load`]) outlives the lists.
//!
//! | policy | a choice costs | goes by |
//! |---|---|---|
//! | [`RoundRobin`] | O(1) | a counter |
//! | [`Random`] | O(1) | weights |
//! | [`LeastConn`] | O(n) up to 64 endpoints, then O(1) | requests under way |
//! | [`P2c`] | O(1) | latency and requests under way |
//! | [`Hash`](struct@Hash) | O(1) | a key of the request |

mod alias;
mod hash;
mod least_conn;
mod load;
mod p2c;
mod pick;
mod random;
mod roster;
mod round_robin;
pub(crate) mod sticky;
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(
    not(feature = "testing"),
    allow(unreachable_pub, reason = "its own tests use it too")
)]
pub(crate) mod testing;

use std::fmt;

use http::request::Parts;

pub use self::{
    hash::{Hash, key_of},
    least_conn::LeastConn,
    p2c::P2c,
    pick::Pick,
    random::Random,
    roster::{Prepared, Seat},
    round_robin::RoundRobin,
    sticky::{IntoSticky, SameSite, Sticky},
};
pub(crate) use self::{
    load::{Load, Total},
    roster::{FULL, Roster},
};

/// Chooses an endpoint for each request.
///
/// Give any value that implements it as the first argument of `cluster(..)`. It is asked from all workers at once, for
/// every request, so it keeps its state in atomics. The cluster sees to health, retries and limits: a policy is only shown
/// endpoints that may be used.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Balancer, Pick};
///
/// /// Uses the first endpoint, and the others only when it failed.
/// #[derive(Debug)]
/// struct First;
///
/// impl Balancer for First {
///     fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
///         pick.available().next()
///     }
/// }
/// ```
///
/// The feature `testing` has a kit that holds a policy to what the others do: see `prox::testing`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a balancing policy",
    label = "this cannot choose an endpoint",
    note = "a policy is `rr`, `weighted`, `least_conn`, `p2c`, `random`, `hash(key)`, or a type that implements `prox::Balancer`"
)]
pub trait Balancer: Send + Sync + fmt::Debug + 'static {
    /// The index of the endpoint for one request, or `None` when there is none that is available.
    ///
    /// It is never asked to wait, and must return the same index for a cluster of one. No lock is held while it is asked.
    fn pick(&self, pick: &Pick<'_>) -> Option<usize>;

    /// Works out once, for a list of endpoints, what each choice among them needs; [`Pick::prepared`] gives it back.
    ///
    /// It is called before the first request, and whenever an endpoint comes, leaves, is ejected, returns, or has another
    /// weight: in a slow start, once a second. No lock is held meanwhile, so it may be called on several threads at once, and what the
    /// later call returns is used. By default there is nothing to prepare.
    fn prepare(&self, seats: &[Seat]) -> Prepared {
        let _ = seats;
        Prepared::none()
    }

    /// What requests are told apart by, for policies that send equal ones to the same endpoint; `None` by default.
    ///
    /// It is asked once a request, before its first try. [`key_of`] makes a key of bytes.
    fn key(&self, req: &Parts) -> Option<u64> {
        let _ = req;
        None
    }

    /// Whether [`key`](Self::key) is to be asked; a policy that has none saves each request a little.
    #[doc(hidden)]
    fn is_keyed(&self) -> bool {
        true
    }

    /// What is wrong with the policy as it is configured; asked once, when the gateway starts.
    ///
    /// # Errors
    ///
    /// One sentence that says what to write instead. By default there is none.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}
