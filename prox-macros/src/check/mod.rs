//! What must not compile: one file a subject. No check speaks about a hole, which has been reported where it was found.

mod answers;
mod auth;
pub(crate) mod clusters;
pub(crate) mod domains;
pub(crate) mod expect;
mod hosts;
mod imports;
mod listeners;
mod lists;
pub(crate) mod live;
mod location;
pub(crate) mod mirrors;
mod names;
pub(crate) mod policies;
pub(crate) mod position;
mod reach;
mod redirects;
mod rewrites;
mod routes;
pub(crate) mod slashes;
mod template;
mod times;
mod together;
mod twice;
pub(crate) mod units;
pub(crate) mod upstreams;
pub(crate) mod warnings;
mod witness;

use crate::{
    diag::Diagnostics,
    model::{Model, tree::Forest},
};

/// Reports all that is wrong with a gateway.
pub(crate) fn check(model: &Model, forest: &Forest, diag: &mut Diagnostics) {
    names::check(model, diag);
    hosts::check(model, diag);
    listeners::check(model, diag);
    imports::check(model, diag);
    upstreams::check(model, diag);
    units::check(model, diag);
    domains::check(model, diag);
    times::check(model, diag);
    twice::check(model, diag);
    mirrors::check(model, diag);
    together::check(model, diag);
    answers::check(model, forest, diag);
    position::check(model, diag);
    rewrites::check(model, diag);
    slashes::check(model, diag);
    auth::check(model, diag);
    routes::check(model, forest, diag);
    expect::check(model, forest, diag);
}
