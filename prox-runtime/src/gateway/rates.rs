//! Limits that let no request through: `RateLimit::per_second(0)`. The user may have a type of that name too, so only the type can
//! tell; see `called.rs` for how one of two methods is taken.

use crate::middleware::RateLimit;

/// What makes a limit whose literals refuse every request. It is never called.
#[doc(hidden)]
#[derive(Debug)]
pub struct Limit<F>(pub F);

impl<F, K, S> Limit<F>
where
    F: FnOnce() -> RateLimit<K, S>,
{
    /// It is ours.
    pub fn verdict(self) -> RateOfZero {
        RateOfZero
    }
}

/// A limit of another type.
#[doc(hidden)]
pub trait OtherLimit: Sized {
    /// What it means is not known.
    fn verdict(self) -> Something {
        Something
    }
}

impl<F> OtherLimit for Limit<F> {}

/// What passes a limit of ours.
#[doc(hidden)]
#[derive(Debug)]
pub struct RateOfZero;

/// What passes another limit.
#[doc(hidden)]
#[derive(Debug)]
pub struct Something;

/// The error, at the number.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "this limit refuses every request",
    label = "expected a number from 1 to 1 000 000 000",
    note = "write a number in these bounds, or remove the layer"
)]
pub trait LetsRequestsThrough {}

#[diagnostic::do_not_recommend]
impl LetsRequestsThrough for Something {}

/// Takes what passes a limit.
#[doc(hidden)]
pub fn passes(_: impl LetsRequestsThrough) {}
