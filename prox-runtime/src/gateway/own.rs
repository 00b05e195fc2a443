//! What the user has declared under the name of a policy of the language: it comes before the policy, and must be one.
//!
//! What the macro writes takes the first method that fits: the inherent one, for a policy, or that of a trait for every type,
//! behind a reference. The second has a bound that nothing meets, which is the message, and a result of the right type, so
//! that nothing else is said.

use crate::cluster::{Balancer, RoundRobin};

/// Something of the user with the name of a policy.
#[doc(hidden)]
#[derive(Debug)]
pub struct OwnPolicy<T>(pub T);

impl<T: Balancer> OwnPolicy<T> {
    /// The policy, which it is.
    pub fn policy(self) -> T {
        self.0
    }
}

/// Anything else than a policy.
#[doc(hidden)]
pub trait NoPolicy: Sized {
    /// What it is.
    type Value;

    /// Something of the right type.
    fn policy(self) -> RoundRobin
    where
        Self::Value: ChoosesEndpoints,
    {
        unreachable!("this does not compile")
    }
}

impl<T> NoPolicy for &OwnPolicy<T> {
    type Value = T;
}

/// What nothing is.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a balancing policy",
    label = "this is your own name, not the policy of the language",
    note = "your names take precedence over words of the language: rename yours to use the word"
)]
pub trait ChoosesEndpoints {}
