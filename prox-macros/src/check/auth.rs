//! `require auth`: a route without any layer lets anybody in. Of layers only their types can tell.

use crate::{diag::Diagnostics, model::Model};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    if model.lost_layers {
        return;
    }
    let routes = model.routes.iter();
    for route in routes.filter(|route| {
        // The routes of a mounted gateway may have layers.
        route.required && route.layers.is_empty() && route.mount.is_none()
    }) {
        diag.error(route.path.span, "this route has no authentication layer")
            .help("add an authenticator: `with [auth]`")
            .help("to allow anonymous requests, write `with [public]`; if the upstream authenticates them, write `with [upstream_auth]`")
            .note("required by `require auth` here");
    }
}
