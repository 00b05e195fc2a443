//! How an expansion builds a gateway: it writes data and calls this, and so may anyone by hand.

use std::{
    collections::HashSet,
    fmt::{self, Display},
    iter,
    str::FromStr,
    sync::Arc,
};

use super::{
    End, Entry, Gateway, Inner, IntoBackend, IntoTarget, Target, Who, Work,
    about::Abouts,
    measures::Measures,
    passage::Passage,
    readiness::Question,
    redirect,
    refusal::{Layers, Refuse},
    respond,
    target::Kind,
};
use crate::{
    auth::is_word,
    cluster::{Background, Cluster, upstream},
    env::{FromEnv, List, Reader},
    error::{Error, Result},
    handler::BoxHandler,
    middleware::{Layer, steps::Steps, wrap},
    route::{EnvInfo, Guard, Host, Hosts, Routes, Table, Variables},
    server::{is_listed, is_variable},
    vars::Env,
};

/// A gateway under construction; everything that is wrong with it is collected, and said at once by
/// [`finish`](Self::finish).
pub struct Assembly {
    name: Option<&'static str>,
    table: &'static Table,
    routes: Routes,
    variables: Variables,
    reader: Reader,
    problems: Vec<String>,
    clusters: Vec<Cluster>,
    inline: Vec<Cluster>,
    parts: Vec<Part>,
    every: Vec<Layer>,
    /// Whether a layer has to say who may enter a route, for each.
    required: Vec<bool>,
    /// The layers around what no route of a mounted gateway takes, for each mount.
    mounted: Vec<Vec<Layer>>,
    hosts: Hosts,
}

#[derive(Default)]
struct Part {
    guard: Option<Box<dyn Guard>>,
    target: Option<Target>,
    layers: Vec<Layer>,
}

impl Assembly {
    /// Begins a gateway with these tables; its variables are read from the environment that is [around](Env::within) the call.
    pub fn new(table: &'static Table, routes: Routes, variables: Variables) -> Self {
        let (env, strict) = Env::take_current();
        let problems = if strict {
            unread(&env, variables)
        } else {
            Vec::new()
        };
        Self {
            name: None,
            table,
            routes,
            variables,
            reader: Reader::new(env),
            problems,
            clusters: Vec::new(),
            inline: Vec::new(),
            parts: routes.iter().map(|_| Part::default()).collect(),
            every: Vec::new(),
            required: vec![false; routes.len()],
            mounted: vec![Vec::new(); table.mount_count()],
            hosts: Hosts::default(),
        }
    }

    /// Says the name of the gateway, which traces call its service by, and which its metrics have.
    pub fn named(&mut self, name: &'static str) {
        self.name = Some(name);
    }

    /// Reads the variable `index` of the table, which must be set.
    pub fn env<T: FromEnv<M>, M>(&mut self, index: usize) -> Option<T> {
        let info = self.variable(index)?;
        self.reader.required(info)
    }

    /// Reads the variable `index` of the table, or takes its default.
    pub fn env_or<T: FromEnv<M>, M>(
        &mut self,
        index: usize,
        default: impl FnOnce() -> T,
    ) -> Option<T> {
        let info = self.variable(index)?;
        self.reader.or(info, default)
    }

    /// Reads the variable `index` of the table, or its default from a text in the same form.
    pub fn env_text<T: FromEnv<M>, M>(&mut self, index: usize, default: &str) -> Option<T> {
        let info = self.variable(index)?;
        self.reader.or_text(info, || T::from_env(default))
    }

    /// Reads the variable `index` of the table, which is a list, or its default, with each element from a text.
    pub fn env_texts<T>(&mut self, index: usize, default: &[&str]) -> Option<Vec<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        let info = self.variable(index)?;
        let parse = |text: &&str| text.parse().map_err(|error: T::Err| error.to_string());
        self.reader
            .or_text::<Vec<T>, List>(info, || default.iter().map(parse).collect())
    }

    /// Sets the hosts of the table from these variables. A variable that could not be read has been reported.
    pub fn hosts(&mut self, values: &[(&str, Option<&Host>)]) {
        let value = |name: &str| {
            let found = values.iter().find(|(known, _)| *known == name);
            found.and_then(|(_, host)| host.cloned())
        };
        let problems = self.hosts.set(self.table, &value);
        self.problems.extend(problems);
    }

    fn variable(&self, index: usize) -> Option<&'static EnvInfo> {
        self.variables.0.get(index)
    }

    /// Builds a backend. One that cannot be built is reported by [`finish`](Self::finish); until then a handle stands for it.
    #[inline(never)]
    pub fn backend(&mut self, name: &str, backend: impl IntoBackend) -> Cluster {
        let cluster = match backend.into_backend(name) {
            Ok(cluster) => cluster,
            Err(error) => {
                self.problems.push(format!("{error:?}"));
                Cluster::unusable(name)
            }
        };
        self.clusters.push(cluster.clone());
        cluster
    }

    /// Sets the layers for every request, outermost first: those that no route takes pass through them too.
    pub fn every(&mut self, layers: &[&Layer]) {
        self.every = layers.iter().map(|&layer| layer.clone()).collect();
    }

    /// Holds these routes of the table to have a layer that says who may enter: `require auth`.
    pub fn require(&mut self, routes: &[u32]) {
        for &index in routes {
            let mounted = self.table.mounted_at(index as usize);
            let rows = mounted.map_or_else(
                || {
                    let row = self.table.numbered(index as usize);
                    row..row + 1
                },
                |(_, rows)| rows,
            );
            for required in self.required.get_mut(rows).into_iter().flatten() {
                *required = true;
            }
        }
    }

    /// Mounts a gateway at the route `index` of the table, within these layers, outermost first. All that it has belongs to this
    /// gateway from now on, and so does all that is wrong with it.
    pub fn mount<B>(
        &mut self,
        index: usize,
        gateway: Result<(Self, B), Box<Self>>,
        layers: &[&Layer],
    ) {
        let Some((number, rows)) = self.table.mounted_at(index) else {
            return;
        };
        let inner = match gateway {
            Ok((inner, _)) => inner,
            Err(inner) => *inner,
        };
        let around = |within: Vec<Layer>| -> Vec<Layer> {
            let layers = layers.iter().map(|&layer| layer.clone());
            layers.chain(within).collect()
        };
        self.reader.extend(inner.reader);
        self.problems.extend(inner.problems);
        self.hosts.extend(inner.hosts);
        self.clusters.extend(inner.clusters);
        self.inline.extend(inner.inline);
        for (required, inner) in self.required[rows.clone()].iter_mut().zip(inner.required) {
            *required |= inner;
        }
        for (part, inner) in self.parts[rows].iter_mut().zip(inner.parts) {
            *part = Part {
                layers: around(inner.layers),
                ..inner
            };
        }
        let lists = iter::once(inner.every).chain(inner.mounted);
        for (list, within) in self.mounted.iter_mut().skip(number).zip(lists) {
            *list = around(within);
        }
    }

    /// Notes those variables of mounted gateways that must be set and are not, where this gateway lacks variables of its own.
    pub fn unset(&mut self) {
        self.reader.unset(self.variables.0);
    }

    /// Notes all that is wrong with a gateway that is to be mounted, where this one lacks variables of its own.
    pub fn lacks<B>(&mut self, gateway: Result<(Self, B), Box<Self>>) {
        let inner = match gateway {
            Ok((inner, _)) => inner,
            Err(inner) => *inner,
        };
        self.reader.extend(inner.reader);
        self.problems.extend(inner.problems);
    }

    /// Sets the targets of routes that are nothing but a backend: for each the numbers of the route, of the backend, and of the layers.
    ///
    /// Routes that need no code of their own are data, since a compiler takes milliseconds for a call and nothing for a number.
    pub fn backends(&mut self, routes: &[[u32; 3]], backends: &[&Cluster], layers: &[&[&Layer]]) {
        for &[index, backend, chain] in routes {
            let target = at(backends, backend).cloned();
            if let (Some(target), Some(layers)) = (target, at(layers, chain)) {
                self.route(index as usize, target, layers);
            }
        }
    }

    /// Sets the targets of routes that redirect: for each the numbers of the route, of the layers, and the status; and where to.
    pub fn redirects(&mut self, routes: &[[u32; 3]], to: &[&'static str], layers: &[&[&Layer]]) {
        for (&[index, chain, status], to) in iter::zip(routes, to) {
            if let Some(layers) = at(layers, chain) {
                self.route(index as usize, redirect(status_of(status), *to), layers);
            }
        }
    }

    /// Sets the targets of routes that always give the same answer: for each the numbers of the route, of the layers, and the
    /// status; and the text.
    pub fn responses(&mut self, routes: &[[u32; 3]], texts: &[&'static str], layers: &[&[&Layer]]) {
        for (&[index, chain, status], text) in iter::zip(routes, texts) {
            if let Some(layers) = at(layers, chain) {
                self.route(index as usize, respond(status_of(status), *text), layers);
            }
        }
    }

    /// Sets the target of the route `index` of the table, and its layers, outermost first.
    #[inline(never)]
    pub fn route(&mut self, index: usize, target: impl IntoTarget, layers: &[&Layer]) {
        let index = self.table.numbered(index);
        let target = target.into_target(self.target_name(index));
        self.set(index, target, layers);
    }

    fn target_name(&self, index: usize) -> &'static str {
        self.routes.0.get(index).map_or("", |info| info.target)
    }

    fn set(&mut self, index: usize, target: Result<Target>, layers: &[&Layer]) {
        let info = self.routes.0.get(index);
        if let Some(part) = self.parts.get_mut(index) {
            part.layers = layers.iter().map(|&layer| layer.clone()).collect();
        }
        let target = target.inspect_err(|error| {
            self.problems.push(format!("{error:?}"));
        });
        let Ok(target) = target else { return };
        let locations = info.map(|info| target.check_locations(info.path));
        self.problems.extend(locations.unwrap_or_default());
        for cluster in target.clusters() {
            let problems = info.map(|info| cluster.check_rewrite(info.path));
            self.problems.extend(problems.unwrap_or_default());
            self.inline.push(cluster.clone());
        }
        if let Some(part) = self.parts.get_mut(index) {
            part.target = Some(target);
        }
    }

    /// Sets the guard of the route `index` of the table.
    #[inline(never)]
    pub fn guard(&mut self, index: usize, guard: impl Guard) {
        let index = self.table.numbered(index);
        if let Err(problem) = guard.check() {
            let route = self.routes.0.get(index);
            let place = route.map_or(String::new(), |info| format!("route `{info}`: "));
            self.problems.push(format!("{place}{problem}"));
        }
        if let Some(part) = self.parts.get_mut(index) {
            part.guard = Some(Box::new(guard));
        }
    }

    /// The same where nothing can be made, since a variable could not be read.
    #[must_use]
    pub fn unmade(self) -> Box<Self> {
        Box::new(self)
    }

    /// The error for a gateway whose variables could not be read.
    pub fn into_error(self) -> Error {
        self.error()
            .unwrap_or_else(|| Error::config("a variable could not be read"))
    }

    fn error(&self) -> Option<Error> {
        let variables = self.reader.error().map(|error| error.to_string());
        let mut all: Vec<String> = Vec::new();
        // A gateway that is mounted twice has each of its problems twice.
        for problem in variables.into_iter().chain(self.problems.iter().cloned()) {
            if !all.contains(&problem) {
                all.push(problem);
            }
        }
        (!all.is_empty()).then(|| Error::config(all.join("\n")))
    }

    /// Asks all layers, those for every request first.
    fn abouts(&self) -> Abouts {
        let mut abouts = Abouts::default();
        for layer in &self.every {
            abouts.ask(layer, None);
        }
        for (part, info) in iter::zip(&self.parts, self.routes.0) {
            for layer in &part.layers {
                abouts.ask(layer, Some(info));
            }
        }
        abouts
    }

    /// Who may enter each route. What is wrong with the order of layers is reported.
    fn who_enters(&mut self, abouts: &Abouts) -> Vec<Who> {
        let mut all = Vec::with_capacity(self.parts.len());
        let rows = iter::zip(&self.parts, self.routes.0);
        for ((part, info), &required) in rows.zip(&self.required) {
            let (state, problems) = abouts.walk(&part.layers, info);
            self.problems.extend(problems);
            if required && !state.entry.is_covered() {
                self.problems.push(format!(
                    "route `{info}`: this route has no authentication layer: add an authenticator around it, or `public` to allow anonymous requests"
                ));
            }
            all.push(Who {
                entry: state.entry,
                required,
            });
        }
        all
    }

    /// The gateway.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, in one error.
    pub fn finish(mut self) -> Result<Gateway> {
        let abouts = self.abouts();
        self.problems.extend(abouts.problems());
        let entries = self.who_enters(&abouts);
        let (guarded, problems) = abouts.guarded();
        self.problems.extend(problems);
        let missing = self.parts.iter().position(|part| part.target.is_none());
        if self.error().is_none()
            && let Some(info) = missing.and_then(|index| self.routes.0.get(index))
        {
            self.problems.push(format!("route `{info}` has no target"));
        }
        if let Some(error) = self.error() {
            return Err(error);
        }
        let clusters = self.clusters.iter().chain(&self.inline);
        let question = Question::new(clusters, abouts.questions());
        let mut each: Vec<Cluster> = Vec::new();
        let mut known = HashSet::new();
        let written = self.clusters.iter().chain(&self.inline);
        for cluster in written.flat_map(|cluster| iter::once(cluster).chain(cluster.mirrors())) {
            if known.insert(Arc::as_ptr(cluster.core())) {
                each.push(cluster.clone());
            }
        }
        let named: HashSet<_> = self
            .clusters
            .iter()
            .map(|named| Arc::as_ptr(named.core()))
            .collect();
        let is_inline = |cluster: &&Cluster| !named.contains(&Arc::as_ptr(cluster.core()));
        let inline = each.iter().filter(is_inline);
        let inline = inline.filter(|cluster| cluster.is_looked_after());
        let inline: Vec<Cluster> = inline.cloned().collect();
        let measures = Measures::new(self.name, self.routes, each, question.clone());
        for target in self.parts.iter().filter_map(|part| part.target.as_ref()) {
            // Nobody but this has them to set.
            let _ = match &target.0 {
                Kind::Readiness(_, pending) => pending.set(question.clone()).is_ok(),
                Kind::Metrics(_, awaited) => awaited.set(measures.clone()).is_ok(),
                _ => true,
            };
        }
        let mounted = self.mounted.into_iter().map(|layers| Entry {
            guard: None,
            who: Who::default(),
            slashes: false,
            end: End::Chain(BoxHandler::new(Refuse)),
            layers: Layers::new(layers, |layer| abouts.answers_preflights(layer)),
        });
        let entries = self
            .parts
            .into_iter()
            .zip(entries)
            .filter_map(|(part, who)| {
                let target = part.target?;
                let clusters = target.clusters();
                let takes = |cluster: &Cluster| cluster.policy().encoded_slashes;
                Some(Entry {
                    guard: part.guard,
                    who,
                    slashes: !clusters.is_empty() && clusters.iter().all(takes),
                    end: end(target, &part.layers),
                    layers: Layers::new(part.layers, |layer| abouts.answers_preflights(layer)),
                })
            })
            .chain(mounted)
            .collect();
        let refusals = (!self.every.is_empty()).then(|| wrap(BoxHandler::new(Refuse), &self.every));
        Ok(Gateway(Arc::new(Inner {
            name: self.name,
            table: self.table,
            hosts: Some(self.hosts).filter(|hosts| !hosts.is_empty()),
            routes: self.routes,
            variables: self.variables,
            env: self.reader.source().clone(),
            entries,
            clusters: self.clusters,
            inline,
            begun: Background::default(),
            work: abouts.tasks().cloned().map(Work::new).collect(),
            guarded: guarded.map(Arc::new),
            refusals,
            every: self.every,
            question,
            measures,
        })))
    }
}

/// What is wrong with names that were given in code.
fn unread(env: &Env, variables: Variables) -> Vec<String> {
    let reads = |name: &str| {
        is_listed(name)
            || is_variable(name)
            || variables.iter().any(|variable| variable.name == name)
    };
    let names: Vec<&str> = variables.iter().map(|variable| variable.name).collect();
    let known = match names.as_slice() {
        [] => String::from("no variables"),
        names => names.join(", "),
    };
    env.given()
        .filter(|name| !reads(name))
        .map(|name| {
            format!(
                "{name} is given in code, but the gateway has no `env {name}`: it reads {known}"
            )
        })
        .collect()
}

fn at<T: Copy>(list: &[T], place: u32) -> Option<T> {
    list.get(place as usize).copied()
}

/// An invalid status is reported with the route.
fn status_of(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(0)
}

/// A word such as `public` does nothing to a request, and so does not stand before the target.
fn end(target: Target, layers: &[Layer]) -> End {
    let layers: Vec<Layer> = layers.iter().filter(|&l| !is_word(l)).cloned().collect();
    match target.0 {
        Kind::Proxy(proxy) if layers.is_empty() => End::Proxy(proxy),
        Kind::Proxy(proxy) => match layers.iter().map(Layer::step).collect() {
            Some(steps) => End::Passage(Passage::new(Steps::new(steps), proxy)),
            None => End::Chain(wrap(BoxHandler::new(proxy), &layers)),
        },
        _ => End::Chain(wrap(target.into_handler(), &layers)),
    }
}

impl Cluster {
    /// Stands for a backend that could not be built, in a gateway that is not going to start.
    fn unusable(name: &str) -> Self {
        match upstream("http://0.0.0.0:1").build(name) {
            Ok(cluster) => cluster,
            Err(error) => unreachable!("a literal endpoint is one: {error}"),
        }
    }
}

impl fmt::Debug for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembly")
            .field("routes", &self.routes.len())
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::{admits, public, upstream_auth},
        handler::{Request, Response},
        middleware::{Cors, IntoLayer, IpRules, Next, RateLimit},
    };

    #[tokio::test]
    async fn words_leave_a_proxied_route_on_its_short_way_and_layers_do_not() {
        async fn passes(req: Request, next: Next) -> Response {
            next.run(req).await
        }
        let is_short = |layers: &[Layer]| {
            let cluster = upstream("http://127.0.0.1:1").build("users").unwrap();
            matches!(end(cluster.into_target("").unwrap(), layers), End::Proxy(_))
        };
        let words = [public.into_layer(), upstream_auth.into_layer()];
        assert!(is_short(&[]) && is_short(&words));
        for layer in [passes.into_layer(), admits(passes).into_layer()] {
            let [one, other] = words.clone();
            assert!(!is_short(&[one, layer, other]));
        }
    }

    #[test]
    fn layers_that_are_steps_need_no_future_before_a_backend() {
        async fn passes(req: Request, next: Next) -> Response {
            next.run(req).await
        }
        let ends = |layers: &[Layer]| {
            let cluster = upstream("http://127.0.0.1:1").build("users").unwrap();
            end(cluster.into_target("").unwrap(), layers)
        };
        let steps = [
            Cors::origins(["https://shop.test"]).into_layer(),
            RateLimit::per_second(5).into_layer(),
            admits(IpRules::allow(["private"])).into_layer(),
            public.into_layer(),
        ];
        assert!(matches!(ends(&steps), End::Passage(_)));
        let [cors, limit, rules, _] = steps;
        assert!(matches!(
            ends(&[cors, passes.into_layer(), limit, rules]),
            End::Chain(_)
        ));
    }
}
