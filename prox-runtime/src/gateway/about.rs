//! What the layers of a gateway say of themselves when it starts.

use std::collections::HashMap;

use crate::{
    middleware::{About, Layer},
    route::RouteInfo,
};

/// The layers of a gateway, each asked once.
#[derive(Default)]
pub(super) struct Abouts {
    places: HashMap<usize, usize>,
    list: Vec<Known>,
}

struct Known {
    about: About,
    /// The first of its routes; none for a layer around every request.
    route: Option<&'static RouteInfo>,
    /// How many routes it stands around.
    routes: usize,
}

impl Abouts {
    /// Asks a layer, which stands around this route or around every request.
    pub(super) fn ask(&mut self, layer: &Layer, route: Option<&'static RouteInfo>) {
        let place = *self.places.entry(layer.id()).or_insert_with(|| {
            self.list.push(Known {
                about: layer.about(),
                route,
                routes: 0,
            });
            self.list.len() - 1
        });
        if let Some(known) = self.list.get_mut(place) {
            known.routes += 1;
        }
    }

    /// Whether a layer, which was asked, answers preflights.
    pub(super) fn answers_preflights(&self, layer: &Layer) -> bool {
        let place = self.places.get(&layer.id());
        let known = place.and_then(|place| self.list.get(*place));
        known.is_some_and(|known| known.about.answers_preflights())
    }

    /// All that is wrong, in the order of the source, each with its place.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        self.list.iter().flat_map(|known| {
            let place = match known.route {
                None => String::new(),
                Some(route) if known.routes == 1 => format!("route `{route}`: "),
                Some(route) => format!("route `{route}` and {} more: ", known.routes - 1),
            };
            let problems = known.about.problems().iter();
            problems.map(move |problem| format!("{place}{problem}"))
        })
    }
}
