//! Black-box tests over sockets: one binary, a module for each theme.

mod architecture;
mod bodies;
mod cli;
mod client_limits;
mod continuation;
mod crowd;
mod desync;
mod embedding;
mod env;
mod failures;
mod forwarding;
mod half_a_body;
mod layers;
mod reuse;
mod routing;
mod run;
mod shutdown;
mod targets;
mod trailers;
