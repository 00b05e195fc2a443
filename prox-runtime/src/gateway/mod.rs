//! Puts a gateway together from its tables and its parts, and answers requests with it.

mod about;
mod admit;
mod assembly;
mod called;
mod caught;
mod embed;
mod explain;
mod handles;
mod inspection;
mod keys;
mod location;
mod measures;
mod own;
mod passage;
mod preflight;
mod rates;
mod readiness;
mod refusal;
mod service;
mod shared;
mod split;
mod target;
mod upgrade;

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    future::pending,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use http::{Method, uri::PathAndQuery};
use tokio::time::Instant;

use self::caught::Caught;
pub use self::{
    assembly::Assembly,
    called::{
        AnswersRequests, Called, CalledHandler, CalledLayer, HandlerByName, LayerByName, Named,
        NamedOther, Returned, ReturnedOther, TakesRequests,
    },
    embed::{Embed, Embedded},
    explain::{Describe, Description, explain},
    handles::Handles,
    keys::{HashKey, hash},
    measures::{Metrics, metrics},
    own::{ChoosesEndpoints, NoPolicy, OwnPolicy},
    rates::{LetsRequestsThrough, Limit, OtherLimit, RateOfZero, Something, passes},
    readiness::{Readiness, readiness},
    service::GatewayFuture,
    split::Split,
    target::{IntoBackend, IntoTarget, Redirect, Respond, Target, redirect, respond},
};
use self::{
    measures::Measures,
    passage::{Known, Passage},
    readiness::Question,
    refusal::{Layers, Refusal, Refused, Within},
    shared::{read_by_both, server_variables},
};
use crate::{
    client::Client,
    cluster::{Background, Cluster},
    error::{Failure, Result},
    forward::{guarded::Guarded, headers::Present, host, path},
    framing,
    handler::{BoxHandler, Dispatch, Request, Response},
    inspect::{Inspection, Operation},
    metrics::{Foreign, Format, Measured, Requests, Samples, Settings},
    middleware::{Layer, Task, role},
    observe::{self, TraceContext},
    proxy::{self, Around, Proxy},
    respond as responses,
    route::{
        Answerable, Candidate, Candidates, Explanation, Guard, Hosts, Matched, Methods, OwnMethods,
        Place as Asked, RouteInfo, Routes, Table, Taken, Variables, asked_method,
    },
    server::{Serve, Server},
    vars::Env,
    watch::{Tally, Watch},
};

/// The most bytes that the target of a request may have: the path and the query.
const MAX_URI: usize = framing::MAX_TARGET;

/// A gateway, ready to serve; cloning it is cheap, and clones share everything.
///
/// It is made by [`gateway!`](https://docs.rs/prox/latest/prox/macro.gateway.html). [Run](crate::run) it, embed it with
/// [`Server`], or use it as the [`tower_service::Service`] that it is.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    name: Option<&'static str>,
    table: &'static Table,
    /// The hosts from variables, where their values are not the defaults in the table.
    hosts: Option<Hosts>,
    routes: Routes,
    variables: Variables,
    /// What the variables were read from.
    env: Env,
    /// The routes, and behind them what answers within a mounted gateway for requests that none of its routes takes.
    entries: Vec<Entry>,
    clusters: Vec<Cluster>,
    /// The clusters that have work beside the requests and are not among `clusters`: those of routes, and of mirrors.
    inline: Vec<Cluster>,
    /// Runs for as long as the runtime on which that work was begun.
    begun: Background,
    /// The work of layers beside the requests.
    work: Vec<Work>,
    /// The fields that layers write for upstreams; nothing if there are none.
    guarded: Option<Arc<Guarded>>,
    /// Answers what no route takes, behind the layers for every request; nothing when there are no such layers.
    refusals: Option<BoxHandler>,
    /// The layers for every request, which are told of what the server refuses.
    every: Vec<Layer>,
    question: Question,
    measures: Measures,
}

/// The work of a layer, which runs for as long as the gateway is there.
struct Work {
    task: Task,
    running: Background,
}

impl Work {
    fn new(task: Task) -> Self {
        Self {
            task,
            running: Background::default(),
        }
    }
}

/// Who may enter a route.
#[derive(Clone, Copy, Default)]
struct Who {
    entry: role::order::Entry,
    /// Whether `require auth` holds.
    required: bool,
}

/// One route at run time.
struct Entry {
    who: Who,
    guard: Option<Box<dyn Guard>>,
    end: End,
    /// What stands around it.
    layers: Layers,
    /// Whether it takes paths with an encoded slash.
    slashes: bool,
}

/// What answers a route: a cluster, a cluster behind layers that need no future, or a boxed handler.
enum End {
    Proxy(Proxy),
    Passage(Passage),
    Chain(BoxHandler),
}

impl Gateway {
    /// The table of routes, in the order of the source.
    pub fn routes(&self) -> Routes {
        self.0.routes
    }

    /// The names of the listeners that have routes of their own: `on "internal" { .. }`.
    pub fn listeners(&self) -> impl Iterator<Item = &'static str> {
        self.0.table.listeners()
    }

    /// The variables of the environment that were read when the gateway was made.
    pub fn variables(&self) -> Variables {
        self.0.variables
    }

    /// The handle of the `backend` of this name. A gateway with a name of its own has them as fields: `shop.backends().users`.
    pub fn backend(&self, name: &str) -> Option<&Cluster> {
        self.0
            .clusters
            .iter()
            .find(|cluster| cluster.name() == name)
    }

    /// Whether it should get requests: every backend that it [requires](crate::ClusterBuilder::required) is
    /// [ready](Cluster::is_ready), no server of it is to end, and [`drain`](Self::drain) was not called.
    /// [`readiness`](crate::readiness()) is a target that answers this.
    ///
    /// Without a required backend it is ready from its start. The question [starts](Self::start) the gateway.
    pub fn is_ready(&self) -> bool {
        self.start();
        self.0.question.is_ready()
    }

    /// The names of the required backends that are not ready. The question [starts](Self::start) the gateway.
    pub fn unready(&self) -> impl Iterator<Item = &str> {
        self.start();
        self.0.question.unready()
    }

    /// Begins what goes on beside the requests, for all backends: checks of health, the search for endpoints, and connections
    /// that are opened [before the first request](crate::PoolOptions::warm).
    ///
    /// A [`Server`] does this when it starts. A gateway that is embedded in another server does it when it is first asked for
    /// anything: a request, `poll_ready`, [`is_ready`](Self::is_ready), [`unready`](Self::unready) or this call. Call it to have
    /// the first checks made before the first request.
    ///
    /// The work runs on the tokio runtime of the caller, and ends with the gateway. When that runtime ends first, the next
    /// request begins it anew. Without a runtime, and when the work is running already, this does nothing.
    pub fn start(&self) {
        if !self.0.begun.is_running() && self.0.begun.start(pending) {
            self.0.start();
        }
    }

    /// From now on the gateway is not [ready](Self::is_ready); it goes on answering requests.
    ///
    /// A [`Server`] does this when it is to end. It is for a gateway that is embedded in another server: call it at the signal to
    /// end, and let that server go on for as long as your load balancer needs to notice. It cannot be taken back, and holds for
    /// all clones.
    pub fn drain(&self) {
        self.0.question.drain();
    }

    /// The routes that anybody may enter: those that are `public`, and those of which neither `require auth` nor a layer says who
    /// may.
    pub fn public_routes(&self) -> impl Iterator<Item = &'static RouteInfo> {
        let anybody = |who: Who| match who.entry {
            role::order::Entry::Open => !who.required,
            role::order::Entry::Public => true,
            _ => false,
        };
        let rows = self.0.entries.iter().zip(self.0.routes.0);
        rows.filter_map(move |(entry, info)| anybody(entry.who).then_some(info))
    }

    /// Whether a route has to have a layer that says who may enter: `require auth`.
    pub(crate) fn requires_auth(&self) -> bool {
        self.0.entries.iter().any(|entry| entry.who.required)
    }

    /// The state of one request that a server of somebody else has.
    fn watch(&self) -> Arc<Watch> {
        Watch::new(Some(self.0.measures.meter()))
    }

    /// All metrics, in Prometheus' text format 0.0.4. [`metrics`](crate::metrics()) is a target that answers them.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// # fn doc(gateway: &prox::Gateway) {
    /// let text = gateway.metrics();
    /// assert!(text.contains("prox_ready 1"));
    /// # }
    /// ```
    pub fn metrics(&self) -> String {
        self.0.measures.collect().write(Format::Text)
    }

    /// Says which route would take a request, and why; `url` is absolute, or a path for a request that names no host.
    pub fn explain(&self, method: &str, url: &str) -> Explanation {
        let hosts = self.0.hosts.as_ref();
        self.description().explain_among(hosts, method, url, None)
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("routes", &self.0.routes)
            .field("backends", &self.0.clusters)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Finds the route, after the path was brought to its canonical form.
    fn route(&self, req: &mut Request, client: &Arc<Client>) -> Result<usize, Refusal> {
        // A gateway is no forward proxy: no route ever takes it.
        if *req.method() == Method::CONNECT {
            return Err(Failure::MethodNotAllowed.into());
        }
        let target = req
            .uri()
            .path_and_query()
            .map_or(0, |target| target.as_str().len());
        if target > MAX_URI {
            return Err(Failure::UriTooLong.into());
        }
        let (canonical, slashes) = path::with_slashes(req.uri().path())?;
        if let Cow::Owned(canonical) = canonical {
            replace_path(req, canonical)?;
        }
        let found = self.find(req, client);
        if slashes {
            let takes = |index: usize| self.entries.get(index).is_some_and(|entry| entry.slashes);
            return match found {
                Ok(index) if takes(index) => Ok(index),
                // A preflight for a route that takes them.
                Err(refusal) if refusal.asked.is_some_and(takes) => Err(refusal),
                _ => Err(Failure::MalformedRequest.into()),
            };
        }
        found
    }

    /// Finds the route of a canonical path.
    fn find(&self, req: &mut Request, client: &Arc<Client>) -> Result<usize, Refusal> {
        let host = host::of(req.uri(), req.headers(), req.version())?;
        if !client.covers(&host) {
            return Err(Failure::WrongHost.into());
        }
        let place = Asked::new(&host, req.uri().path()).among(self.hosts.as_ref());
        let candidates = self.table.at(place);
        if let Some((_, own)) = self.table.of_listener(client.listener()) {
            let first = own.at(place);
            return self.among_both(first, candidates, req, client);
        }
        self.among(candidates, req, client)
    }

    #[inline]
    fn among(
        &self,
        candidates: &[Candidate],
        req: &mut Request,
        client: &Arc<Client>,
    ) -> Result<usize, Refusal> {
        if candidates.is_empty() {
            return Err(Failure::NoRoute.into());
        }
        let method = self.table.method(req.method());
        if let [candidate, ..] = candidates
            && !candidate.guarded
            && candidate.methods.contains(method)
            && *req.method() != Method::OPTIONS
        {
            return Ok(candidate.route as usize);
        }
        if !self.table.has_mounts() {
            return self.choose(&candidates.into(), method, req, client);
        }
        let host = host::of(req.uri(), req.headers(), req.version())?;
        let place = Asked::new(&host, req.uri().path())
            .among(self.hosts.as_ref())
            .on(client.listener());
        if *req.method() != Method::OPTIONS
            && let Taken::By(route) = self.table.taken(candidates, place, req.method())
        {
            return Ok(route as usize);
        }
        let candidates = self.table.with_mounted(candidates, place);
        self.choose(&candidates, method, req, client)
    }

    /// Finds the route among those for one listener, which are asked first, and those for every listener.
    fn among_both(
        &self,
        first: &[Candidate],
        others: &[Candidate],
        req: &mut Request,
        client: &Arc<Client>,
    ) -> Result<usize, Refusal> {
        if first.is_empty() {
            return self.among(others, req, client);
        }
        if others.is_empty() || Table::is_decided(first) {
            return self.among(first, req, client);
        }
        self.among(&[first, others].concat(), req, client)
    }

    #[cold]
    fn choose(
        &self,
        Candidates { list, mount }: &Candidates<'_>,
        method: Methods,
        req: &mut Request,
        client: &Arc<Client>,
    ) -> Result<usize, Refusal> {
        let candidates = &**list;
        req.extensions_mut().insert(Arc::clone(client));
        let (parts, body) = std::mem::take(req).into_parts();
        let asked = asked_method(&parts.method, &parts.headers);
        let asks = asked.as_ref().map(|asked| self.table.method(asked));
        let mut refused = Refused::new(self, asks);
        let mut chosen = None;
        for candidate in candidates {
            if !self.accepts(*candidate, &parts) {
                refused.by_guard(*candidate);
                continue;
            }
            if candidate.methods.contains(method) {
                chosen = Some(candidate.route as usize);
                break;
            }
            refused.by_method(*candidate);
        }
        let mut found = chosen.ok_or_else(|| {
            let within = mount.and_then(|mount| self.within_mount(mount));
            refused.end().within(within)
        });
        let mut answerable = None;
        if let Some(asks) = asks {
            let (directed, methods) = self.preflight(candidates, asks, found, &parts);
            found = directed;
            answerable = Some(Answerable(methods));
        }
        *req = Request::from_parts(parts, body);
        if let Some(answerable) = answerable {
            req.extensions_mut().insert(answerable);
            self.name_methods(req);
        }
        found
    }
}

impl Inner {
    /// All layers around a mounted gateway, and those that it has around every request.
    fn within_mount(&self, mount: usize) -> Option<Within> {
        let route = self.routes.len() + mount;
        let depth = self.entries.get(route)?.layers.depth();
        Some(Within { route, depth })
    }
}

/// Asks a handler, and makes its response fit to be sent, whatever it is.
async fn ask(chain: &BoxHandler, req: Request) -> Response {
    let head = *req.method() == Method::HEAD;
    let mut response = chain.call(req).await;
    passage::fit(&mut response, head);
    response
}

/// What is matched is also what is forwarded.
fn replace_path(req: &mut Request, mut path: String) -> Result<(), Failure> {
    if let Some(query) = req.uri().query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = std::mem::take(req.uri_mut()).into_parts();
    parts.path_and_query =
        Some(PathAndQuery::try_from(path).map_err(|_| Failure::MalformedRequest)?);
    *req.uri_mut() = http::Uri::from_parts(parts).map_err(|_| Failure::MalformedRequest)?;
    Ok(())
}

impl Gateway {
    async fn answer(
        &self,
        req: &mut Request,
        client: &Arc<Client>,
        tally: &Tally,
        grpc: &AtomicBool,
    ) -> Response {
        let inner = &*self.0;
        let found = inner
            .admit(req, client)
            .map_err(Refusal::from)
            .and_then(|present| {
                let index = inner.route(req, client)?;
                let entry = inner.entries.get(index).ok_or(Failure::NoRoute)?;
                tally.route(index);
                Ok((present, index, &entry.end))
            });
        let (present, index, end) = match found {
            Ok(found) => found,
            Err(refusal) => {
                tally.began(Instant::now());
                return inner.refuse(std::mem::take(req), refusal, client).await;
            }
        };
        match end {
            End::Proxy(proxy) => {
                // Without layers nobody but a rewrite asks how the route matched.
                let matched = proxy.needs_match().then(|| inner.matched(req, index));
                let matched = matched.flatten();
                let around = Around {
                    client,
                    matched: matched.as_ref(),
                    tally: Some(tally),
                    copied: None,
                };
                proxy.forward(req, present, around).await
            }
            End::Passage(passage) => {
                let now = Instant::now();
                tally.began(now);
                if present.has_content_type() {
                    grpc.store(responses::is_grpc(req.headers()), Relaxed);
                }
                let known = Known {
                    client,
                    tally,
                    present,
                    now,
                };
                passage
                    .pass(req, known, |req| inner.matched(req, index))
                    .await
            }
            End::Chain(chain) => {
                tally.began(Instant::now());
                tally.detail();
                let matched = inner.matched(req, index);
                if present.has_content_type() {
                    grpc.store(responses::is_grpc(req.headers()), Relaxed);
                }
                let mut req = std::mem::take(req);
                let extensions = req.extensions_mut();
                extensions.insert(Arc::clone(client));
                extensions.insert(tally.clone());
                if let Some(matched) = matched {
                    extensions.insert(matched);
                }
                if tally.is_traced() {
                    insert_context(&mut req);
                }
                ask(chain, req).await
            }
        }
    }
}

/// Tells layers and handlers the context of a request in its trace.
#[cold]
fn insert_context(req: &mut Request) {
    if let Some(context) = TraceContext::of(req.headers()) {
        req.extensions_mut().insert(context);
    }
}

impl Dispatch for Gateway {
    async fn dispatch(&self, req: &mut Request, client: &Arc<Client>, tally: &Tally) -> Response {
        let grpc = AtomicBool::new(false);
        Caught::new(self.answer(req, client, tally, &grpc), &grpc).await
    }

    async fn refuse(
        &self,
        mut req: Request,
        failure: Failure,
        client: &Arc<Client>,
        tally: &Tally,
    ) -> Response {
        tally.began(Instant::now());
        // It is refused whatever its length says.
        let _ = self.0.admit(&mut req, client);
        self.0.refuse(req, failure.into(), client).await
    }

    #[expect(
        private_interfaces,
        reason = "a gateway of another crate is not counted"
    )]
    fn requests(&self) -> Option<Arc<Requests>> {
        Some(Arc::clone(self.0.measures.requests()))
    }

    #[expect(
        private_interfaces,
        reason = "a gateway of another crate is not counted"
    )]
    fn count_as(&self, settings: &Settings) -> Result {
        self.0.measures.count_as(settings)
    }

    #[expect(
        private_interfaces,
        reason = "a gateway of another crate is not counted"
    )]
    fn attach(&self, source: &Arc<dyn Measured>) {
        self.0.measures.attach(source);
    }

    #[expect(
        private_interfaces,
        reason = "a gateway of another crate is not counted"
    )]
    fn attach_foreign(&self, foreign: &Arc<Foreign>) {
        self.0.measures.attach_foreign(foreign);
    }

    async fn prepare_samples(&self) {
        self.0.measures.prepare().await;
    }

    #[expect(
        private_interfaces,
        reason = "a gateway of another crate is not counted"
    )]
    fn samples(&self) -> Option<Samples> {
        Some(self.0.measures.collect())
    }

    #[expect(
        private_interfaces,
        reason = "a gateway of another crate is not inspected"
    )]
    fn inspect(&self) -> Inspection {
        self.0.inspection()
    }

    fn routes_text(&self, json: bool) -> String {
        if json {
            self.0.routes.to_json()
        } else {
            self.0.routes.to_string()
        }
    }

    fn unready(&self) -> Vec<String> {
        self.0.question.reasons()
    }

    #[expect(
        private_interfaces,
        reason = "a gateway of another crate has no backends"
    )]
    fn operate(&self, operation: &Operation<'_>) -> Result<(), String> {
        self.0.measures.operate(operation)
    }

    fn start(&self) {
        // Each worker opens connections of its own.
        self.0.begun.start(pending);
        self.0.start();
    }

    fn refused(&self, refused: &observe::Refused) {
        for layer in &self.0.every {
            layer.refused(refused);
        }
    }

    fn drain(&self) {
        self.0.question.drain();
    }

    fn name(&self) -> Option<&'static str> {
        self.0.name
    }

    fn patterns(&self) -> Vec<&'static str> {
        self.0.routes.iter().map(|route| route.path).collect()
    }

    fn listeners(&self) -> Vec<&str> {
        self.0.table.listeners().collect()
    }

    fn summary(&self) -> String {
        let count = |number: usize, noun: &str| {
            format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
        };
        let mut hosts: Vec<&str> = self.0.routes.iter().map(|route| route.host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        format!(
            "{} on {}",
            count(self.0.routes.len(), "route"),
            count(hosts.len(), "host")
        )
    }
}

impl Inner {
    fn start(&self) {
        for cluster in self.clusters.iter().chain(&self.inline) {
            cluster.core().start();
            proxy::warm(cluster);
        }
        for work in &self.work {
            work.running.start(|| work.task.begin());
        }
    }

    /// Takes from a request what its client may not say.
    fn admit(&self, req: &mut Request, client: &Client) -> Result<Present, Failure> {
        admit::admit(req, client, self.guarded.as_ref())
    }

    fn matched(&self, req: &Request, index: usize) -> Option<Matched> {
        let route = self.routes.0.get(index)?;
        let path = req.uri().path_and_query()?.clone();
        Some(Matched::new(route, path))
    }

    /// Tells what answers a request of the methods that only this gateway names.
    fn name_methods(&self, req: &mut Request) {
        let own = self.table.own_methods();
        if !own.is_empty() {
            req.extensions_mut().insert(OwnMethods(own));
        }
    }

    async fn refuse(&self, mut req: Request, refusal: Refusal, client: &Arc<Client>) -> Response {
        self.name_methods(&mut req);
        let within = refusal.within.and_then(|within| {
            let layers = &self.entries.get(within.route)?.layers;
            layers.refusals(within.depth)
        });
        let Some(chain) = within.or(self.refusals.as_ref()) else {
            return refusal.response(&req);
        };
        let asked = refusal.asked.and_then(|index| self.matched(&req, index));
        let extensions = req.extensions_mut();
        extensions.insert(Arc::clone(client));
        extensions.insert(refusal);
        extensions.insert(Answerable(refusal.answerable));
        if let Some(matched) = asked {
            extensions.insert(matched);
        }
        ask(chain, req).await
    }
}

/// What [`run`] and [`Server`] serve: a gateway, or the attempt to make one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a gateway",
    label = "this cannot be served",
    note = "give it what `gateway!` returns, or a gateway with a name: `Shop::new(db)`"
)]
pub trait IntoGateway {
    /// The gateway.
    ///
    /// # Errors
    ///
    /// Why there is none: all that is wrong with the configuration.
    fn into_gateway(self) -> Result<Gateway>;
}

impl IntoGateway for Gateway {
    fn into_gateway(self) -> Result<Gateway> {
        Ok(self)
    }
}

impl<G: IntoGateway> IntoGateway for Result<G> {
    fn into_gateway(self) -> Result<Gateway> {
        self?.into_gateway()
    }
}

impl Serve for Gateway {
    #[inline(never)]
    fn run(server: Server<Self>) -> Result {
        #[cfg(feature = "lambda")]
        if crate::lambda::is_asked() {
            let (gateway, options, streams) = server.without_sockets()?;
            return crate::lambda::serve(Embedded::of(gateway, options), streams);
        }
        server.run_here()
    }

    #[inline(never)]
    fn serve(server: Server<Self>) -> Pin<Box<dyn Future<Output = Result> + Send>> {
        Box::pin(server.serve_here())
    }
}

impl Server<Gateway> {
    /// A server with the default limits; what is wrong with the gateway is said when it is run.
    pub fn new(gateway: impl IntoGateway) -> Self {
        let gateway = gateway.into_gateway();
        let variables = server_variables(&gateway);
        Self::of(gateway, variables)
    }

    /// A server for what can be said of it before its gateway is made, which has these variables.
    pub(crate) fn unmade(gateway: Result<Gateway>, variables: Option<Variables>) -> Self {
        let variables = variables.unwrap_or(Variables::new(&[]));
        Self::of(gateway, read_by_both(Env::current(), variables))
    }
}

/// Runs a gateway until SIGTERM or Ctrl-C: all that `main` has to do. See [`Server::run`].
///
/// # Errors
///
/// When the gateway cannot start as it is configured, the address cannot be listened on, or it is called in an async function:
/// await [`Server::serve`] there. Nothing is served then.
pub fn run(gateway: impl IntoGateway) -> Result {
    Server::new(gateway).run()
}
