//! What the layers of a gateway say of themselves when it starts.

use std::collections::HashMap;

use crate::{
    forward::guarded::{self, Guarded},
    middleware::{About, Layer, Ready, Role, Task, role::order::State},
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
    /// What is wrong with it on some routes.
    on_routes: Vec<String>,
}

impl Abouts {
    /// Asks a layer, which stands around this route or around every request.
    pub(super) fn ask(&mut self, layer: &Layer, route: Option<&'static RouteInfo>) {
        let place = *self.places.entry(layer.id()).or_insert_with(|| {
            self.list.push(Known {
                about: layer.about(),
                route,
                routes: 0,
                on_routes: Vec::new(),
            });
            self.list.len() - 1
        });
        if let Some(known) = self.list.get_mut(place) {
            known.routes += 1;
            if let Some(route) = route {
                let problems = known.about.on(route);
                let problems = problems.map(|problem| format!("route `{route}`: {problem}"));
                known.on_routes.extend(problems);
            }
        }
    }

    fn of(&self, layer: &Layer) -> Option<&About> {
        let place = self.places.get(&layer.id());
        place
            .and_then(|place| self.list.get(*place))
            .map(|known| &known.about)
    }

    /// What the layers of a route do to the question who may enter, and what is wrong with their order.
    pub(super) fn walk(&self, layers: &[Layer], route: &RouteInfo) -> (State, Vec<String>) {
        let mut problems = Vec::new();
        let mut state = State::default();
        for (place, layer) in layers.iter().enumerate() {
            let role = self.of(layer).map_or(Role::Plain, About::the_role);
            let (next, fault) = state.step(role);
            state = next;
            if let Some(fault) = fault {
                let name = route.layers.get(place).copied().unwrap_or("a layer");
                problems.push(format!("route `{route}`: `{name}`: {}", fault.text()));
            }
        }
        (state, problems)
    }

    /// The fields that layers write, which no client can send; and what is wrong with them.
    pub(super) fn guarded(&self) -> (Option<Guarded>, Vec<String>) {
        let abouts = || self.list.iter().map(|known| &known.about);
        let sets = || abouts().flat_map(About::names_set);
        let guarded = Guarded::new(sets());
        let mut problems = Vec::new();
        for name in sets() {
            let why = guarded::problem(name);
            problems.extend(why.map(|why| {
                format!("a layer cannot write the field `{name}` for upstreams: {why}")
            }));
        }
        for name in abouts().flat_map(About::names_read) {
            if guarded
                .as_ref()
                .is_some_and(|guarded| guarded.has(name.as_str()))
            {
                problems.push(format!(
                    "`{name}` carries credentials for one layer, and another writes it for upstreams: choose another name"
                ));
            }
        }
        let sets: Vec<_> = sets().cloned().collect();
        let writes: Vec<_> = abouts().flat_map(About::names_written).cloned().collect();
        for about in abouts() {
            about.tell(&sets, &writes);
        }
        problems.sort_unstable();
        problems.dedup();
        (guarded, problems)
    }

    /// The work of all layers beside the requests.
    pub(super) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.list.iter().flat_map(|known| known.about.tasks())
    }

    /// What has to be ready before the gateway is.
    pub(super) fn questions(&self) -> impl Iterator<Item = &Ready> {
        self.list.iter().flat_map(|known| known.about.questions())
    }

    /// Whether a layer, which was asked, answers preflights.
    pub(super) fn answers_preflights(&self, layer: &Layer) -> bool {
        self.of(layer).is_some_and(About::answers_preflights)
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
            let problems = problems.map(move |problem| format!("{place}{problem}"));
            problems.chain(known.on_routes.iter().cloned())
        })
    }
}
