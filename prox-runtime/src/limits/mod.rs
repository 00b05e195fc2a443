//! How often something may happen: the arithmetic of limits, the buckets of one process, and stores that several share.
//!
//! Nothing here knows of requests. `middleware` makes keys and costs of them, and writes what clients get.

mod buckets;
mod calendar;
mod gcra;
mod rate;
#[cfg(feature = "redis")]
mod store;

pub use self::rate::Rate;
#[cfg(feature = "redis")]
pub use self::store::{Answer, Ask, Decision, LimitStore, Redis, StoreGuard, WhenDown};
pub(crate) use self::{
    buckets::{Buckets, Key, KeyWriter, Salt},
    gcra::{Each, MOST, Slot, Slots, Window, Windows, charge, take},
    rate::{Bucket, Ticks},
};
#[cfg(feature = "redis")]
pub(crate) use self::{gcra::refuses, store::AnyStore};
