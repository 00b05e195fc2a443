//! A gateway under test: in the place of sockets there are pipes in memory, in the place of upstreams there are fakes.

mod answer;
mod body;
mod call;
mod fake;
mod fault;
mod harness;
mod metric;
mod pattern;
mod reply;
mod rule;
mod seen;
mod serve;
mod switch;
mod wire;

pub use self::{
    answer::Answer,
    call::{Call, Calling},
    fake::{Fake, FakeEndpoint, Faulty},
    fault::Fault,
    harness::{Harness, Setup, Testable, harness},
    reply::{IntoReply, Reply},
    rule::{Gate, Rule},
    seen::Seen,
    switch::Bytestream,
};
