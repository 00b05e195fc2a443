//! Support for the black-box tests of Prox, and for its benchmarks.
//!
//! An [`Origin`](origin::Origin) is the upstream, [`Served`](gateway::Served) the gateway, and the [`client`]s are what
//! asks it. All of them live in the runtime of one test, on ports of their own.

pub mod certs;
pub mod client;
pub mod collector;
pub mod events;
pub mod filler;
pub mod flags;
pub mod frame_origin;
pub mod frames;
pub mod gateway;
pub mod log;
pub mod memory;
pub mod names;
pub mod origin;
pub mod ports;
pub mod redis;
pub mod secure;
pub mod service;
pub mod table;
pub mod wait;
pub mod wire;
