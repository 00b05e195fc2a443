//! Black-box tests over sockets: one binary, a module for each theme.

mod bodies;
mod client_limits;
mod continuation;
mod failures;
mod half_a_body;
mod reuse;
mod shutdown;
