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
        diag.error(route.path.span, "no layer says who may enter this route")
            .help("write an authenticator: `with [auth]`")
            .help("to let anybody in, write `with [public]`; where the target decides, `with [upstream_auth]`")
            .note("`require auth` holds here");
    }
}
