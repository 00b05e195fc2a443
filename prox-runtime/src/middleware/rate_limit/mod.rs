//! Limits how many requests a client may make in a time.
//!
//! This is about a client's own quota, and its answer is `429`. What is too much for the gateway or the upstream is a matter
//! of limits on connections and queues, whose answer is `503`.

mod cost;
mod fields;
mod key;
#[cfg(feature = "redis")]
mod shared;
#[cfg(test)]
mod tests;
mod verdict;

use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{HeaderName, HeaderValue};
use tokio::time::Instant;

pub use self::key::{
    ClientNetwork, Everyone, KeyParts, KeyReads, KeyRole, KeyText, LimitKey, Param, PerRoute,
    param, route,
};
#[cfg(feature = "redis")]
pub use self::shared::Shared;
#[cfg(feature = "redis")]
use self::shared::SharedBy;
use self::{
    cost::{Charge, Cost},
    fields::{Labels, Name, Named},
    verdict::{Asked, Told, Verdict, View},
};
pub(super) use self::{
    fields::{limits_above, tell_limits},
    key::AnyKey,
};
use super::{
    About, Declares, Middleware, Next,
    steps::{Head, Kept, Needs, Passed, Step},
};
use crate::{
    error::Failure,
    handler::{Parts, Request, Response},
    limits::{self, Bucket, Buckets, Each, Key, MOST, Rate, Slot, Slots, Ticks, Window, Windows},
    respond,
    route::{ClientIp, client_ip},
};

/// How many keys have a bucket of their own, unless the user says otherwise.
const MOST_KEYS: usize = 65_536;

/// How long a search for buckets that are full again is not repeated.
const SWEEP: Duration = Duration::from_secs(1);

/// Limits the requests of each client; a client that is over the limit gets `429` ([`Failure::RateLimited`]).
///
/// Each client has a bucket of [`burst`](Self::burst) requests, which fills evenly at the rate (GCRA, the "leaky bucket as a
/// meter"): `per_second(100).burst(20)` takes 20 requests at once, and then one every 10 ms. Requests that are refused cost
/// nothing. [`and`](Self::and) adds more windows.
///
/// The limit is local to the process, or, with the feature `redis`, shared with other gateways by `.shared(..)`. Clones share their buckets, wherever they stand, until one of them gets another key or
/// another rate.
///
/// # Which requests share a bucket
///
/// By default those of one client address; an IPv6 address counts by its first 64 bits. [`by`](Self::by) takes another
/// [key](LimitKey). Behind another proxy the address is that of the proxy, unless it is
/// [trusted](crate::Server::trusted_proxies). There are at most 65 536 buckets, see [`max_keys`](Self::max_keys).
///
/// # What the client is told
///
/// Every response, allowed or not, carries the fields of draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy:
/// "default";q=20;w=1` for a bucket of 20 that fills in a second (rounded up), and `RateLimit: "default";r=19;t=1` with the
/// requests that are left and the seconds until there is at least one more. A refusal also has `Retry-After`, in seconds,
/// rounded up (RFC 9110, section 10.2.3).
///
/// Both fields are lists. Several limits around one route are items of one list, each under its [name](Self::name), and so are
/// the items of an upstream.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, IntoResponse, Middleware, Next, Request, middleware::RateLimit, dsl::handler};
///
/// async fn hello(_: Request) -> impl IntoResponse {
///     "hello"
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let limit = RateLimit::per_minute(1);
/// let ask = || limit.handle(Request::new(Body::empty()), Next::new(handler(hello)));
/// assert_eq!(ask().await.status(), 200);
///
/// let refused = ask().await;
/// assert_eq!(refused.status(), 429);
/// assert_eq!(refused.headers()["retry-after"], "60");
/// assert_eq!(refused.headers()["ratelimit"], "\"default\";r=0;t=60");
/// # });
/// ```
pub struct RateLimit<K = ClientIp, S = Local> {
    /// Of the type `K`, which is left to say what the limit goes by.
    key: Arc<dyn AnyKey>,
    options: Options,
    /// Made with the first request, and shared by clones.
    core: Arc<OnceLock<Core>>,
    /// What clients are told of the rates, by the place among the limits of the same name.
    labels: Places,
    place: PhantomData<fn() -> (K, S)>,
}

/// The buckets of a [`RateLimit`] are those of the process.
#[derive(Clone, Copy, Debug)]
pub enum Local {}

#[derive(Clone)]
struct Options {
    rates: Vec<Rate>,
    most: usize,
    name: Name,
    cost: Cost,
    charge: Option<Charge>,
    plan: Option<Plan>,
    quiet: bool,
    legacy: bool,
    problems: Vec<String>,
    #[cfg(feature = "redis")]
    shared: Option<SharedBy>,
}

/// For more places than these they are made anew each time.
type Places = [OnceLock<Labels>; 2];

type Plan = Arc<dyn Fn(&Parts) -> Option<Rate> + Send + Sync>;

/// The buckets, and the time by which they go.
struct Core {
    started: Instant,
    /// What the time was then.
    base: u64,
    ticks: Ticks,
    calendar: bool,
    list: Each<Bucket>,
    buckets: Buckets,
    #[cfg(feature = "redis")]
    refused: shared::Refused,
}

impl Core {
    fn new(options: &Options) -> Self {
        let ticks = options.ticks();
        let calendar = options.calendar();
        let rates = options.rates.iter();
        let list: Each<Bucket> = rates.map(|rate| rate.bucket(ticks, calendar)).collect();
        Self {
            started: Instant::now(),
            base: options.base(),
            ticks,
            calendar,
            buckets: Buckets::new(list.len(), options.most, ticks.of(SWEEP)),
            list,
            #[cfg(feature = "redis")]
            refused: shared::Refused::default(),
        }
    }

    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.started);
        self.base + self.ticks.of(since)
    }

    /// The buckets, of which the first goes by another rate.
    fn with_plan(&self, rate: Rate) -> Each<Bucket> {
        let mut buckets = self.list;
        if let Some(first) = buckets.first_mut() {
            *first = rate.bucket(self.ticks, self.calendar);
        }
        buckets
    }

    fn view(&self, now: u64, slots: Slots, refused: bool) -> View {
        View {
            ticks: self.ticks,
            now,
            slots,
            refused,
        }
    }

    fn take(&self, key: Key, asked: &Asked) -> Verdict {
        let now = self.now();
        let mut slots = Slots::new(asked.windows.len());
        if self.take_at(now, key, &asked.windows, &mut slots) {
            Verdict::Passed(self.view(now, slots, false))
        } else {
            Verdict::Refused(self.view(now, slots, true))
        }
    }

    /// Whether a request fits. `after` gets the slots of its key as they are then.
    fn take_at(&self, now: u64, key: Key, windows: &[Window], after: &mut [Slot]) -> bool {
        self.buckets.change(key, now, |slots| {
            let fits = limits::take(now, windows, slots);
            for (after, slot) in after.iter_mut().zip(slots) {
                *after = *slot;
            }
            (fits, fits)
        })
    }

    fn charge(&self, key: Key, asked: &Asked) -> View {
        let now = self.now();
        self.buckets.change(key, now, |slots| {
            limits::charge(now, &asked.windows, slots);
            (self.view(now, slots.iter().copied().collect(), false), true)
        })
    }
}

/// The buckets of one request: here, or in a store.
struct Access<'a> {
    core: &'a Core,
    key: Key,
    #[cfg(feature = "redis")]
    shared: Option<shared::Store<'a>>,
}

#[cfg_attr(
    not(feature = "redis"),
    expect(clippy::unused_async, reason = "only a store is waited for")
)]
impl Access<'_> {
    async fn take(&self, asked: &Asked) -> Verdict {
        #[cfg(feature = "redis")]
        if let Some(store) = &self.shared {
            return store.take(self, asked).await;
        }
        self.core.take(self.key, asked)
    }

    /// What is left afterwards, if that is known.
    async fn charge(&self, asked: &Asked) -> Option<View> {
        #[cfg(feature = "redis")]
        if let Some(store) = &self.shared {
            return store.charge(self, asked).await;
        }
        Some(self.core.charge(self.key, asked))
    }
}

#[cfg(not(feature = "redis"))]
#[expect(clippy::unused_self, reason = "limits that are shared differ")]
impl Options {
    fn ticks(&self) -> Ticks {
        Ticks::NANOS
    }

    fn calendar(&self) -> bool {
        false
    }

    /// Not 0, which is the time of a bucket that is full.
    fn base(&self) -> u64 {
        1
    }
}

impl RateLimit {
    /// `rate` requests in a second, and as many at once unless [`burst`](Self::burst) says otherwise.
    ///
    /// 0 refuses every request: a limit that was configured by mistake is seen at once, and lets nothing through. More than
    /// 1 000 000 000 is that.
    pub fn per_second(rate: u32) -> Self {
        Self::new(Rate::per_second(rate))
    }

    /// `rate` requests in a minute; else as [`per_second`](Self::per_second).
    pub fn per_minute(rate: u32) -> Self {
        Self::new(Rate::per_minute(rate))
    }

    /// `rate` requests in an hour; else as [`per_second`](Self::per_second).
    pub fn per_hour(rate: u32) -> Self {
        Self::new(Rate::per_hour(rate))
    }

    /// `rate` requests in 24 hours; else as [`per_second`](Self::per_second).
    pub fn per_day(rate: u32) -> Self {
        Self::new(Rate::per_day(rate))
    }

    /// `rate` requests in 30 days; else as [`per_second`](Self::per_second).
    pub fn per_month(rate: u32) -> Self {
        Self::new(Rate::per_month(rate))
    }

    /// A limit of this rate.
    pub fn new(rate: Rate) -> Self {
        Self {
            key: Arc::new(client_ip()),
            options: Options {
                rates: vec![rate],
                most: MOST_KEYS,
                name: Name::default(),
                cost: Cost::Fixed(1),
                charge: None,
                plan: None,
                quiet: false,
                legacy: false,
                problems: Vec::new(),
                #[cfg(feature = "redis")]
                shared: None,
            },
            core: Arc::default(),
            labels: Places::default(),
            place: PhantomData,
        }
    }

    /// A bucket for each value of `key`: [`client_ip()`](crate::client_ip), [`param("tenant")`](param), [`route()`](route), a
    /// function, a tuple of these, and more; see [`LimitKey`].
    ///
    /// Only a hash of the value is kept. A header, a cookie or a part of the query does not compile as a key unless a layer before the
    /// limit says who the caller is: else a client sends another value with each request, and has no limit.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{Parts, RequestExt, middleware::{RateLimit, param, route}, dsl::client_ip};
    ///
    /// // For routes with `{tenant}` in their path.
    /// let tenant = RateLimit::per_second(50).by(param("tenant"));
    /// let each = RateLimit::per_second(5).by((client_ip(), route()));
    /// let method = RateLimit::per_second(5).by(|req: &Parts| Some(req.method.to_string()));
    /// # let _ = (tenant, each, method);
    /// ```
    pub fn by<K: LimitKey>(self, key: K) -> RateLimit<K> {
        RateLimit {
            key: Arc::new(key),
            options: self.options,
            core: Arc::default(),
            labels: Places::default(),
            place: PhantomData,
        }
    }

    /// One bucket for all requests, whichever client sends them.
    pub fn global(self) -> RateLimit<Everyone> {
        self.by(Everyone(()))
    }
}

impl<K, S> RateLimit<K, S> {
    /// How many requests may come at once after a pause; by default the number of the rate.
    ///
    /// 0 refuses every request. A burst that would take more than a year to come back is cut to a year's. It is about the
    /// first window; [`Rate::burst`] is that of another one.
    pub fn burst(mut self, requests: u32) -> Self {
        if let Some(rate) = self.options.rates.first_mut() {
            *rate = rate.burst(requests);
        }
        self.renewed()
    }

    /// Adds a window. A request has to fit into all of them, and what one refuses costs nothing in the others. There may be four.
    ///
    /// In the fields that the client gets, each window has the name of the limit and its seconds: `default-1s`, `default-60s`.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::middleware::{Rate, RateLimit};
    ///
    /// let limit = RateLimit::per_second(10).and(Rate::per_minute(300)).and(Rate::per_day(50_000));
    /// # let _ = limit;
    /// ```
    pub fn and(mut self, rate: Rate) -> Self {
        self.options.rates.push(rate);
        self.renewed()
    }

    /// What each request costs; 1 by default. A cost above the burst is an error when the gateway starts.
    ///
    /// Clones of a limit may differ in it, and share their buckets:
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::middleware::RateLimit;
    ///
    /// let limit = RateLimit::per_minute(100);
    /// let (read, report) = (limit.clone(), limit.cost(20));
    /// # let _ = (read, report);
    /// ```
    ///
    /// With 0, requests pass as long as nothing is owed: for limits that are [charged](Self::charge) later.
    pub fn cost(mut self, cost: u32) -> Self {
        self.options.cost = Cost::Fixed(cost);
        self
    }

    /// What a request costs, by its head. A request whose cost is above the burst is always refused.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{Parts, middleware::RateLimit};
    ///
    /// let limit = RateLimit::per_minute(100)
    ///     .cost_by(|req: &Parts| if req.method.is_safe() { 1 } else { 5 });
    /// # let _ = limit;
    /// ```
    pub fn cost_by(mut self, cost: impl Fn(&Parts) -> u32 + Send + Sync + 'static) -> Self {
        self.options.cost = Cost::By(Arc::new(cost));
        self
    }

    /// What a request has cost besides, by a field of its response: a number of decimal digits. The client does not get the field.
    ///
    /// It is for costs that only the upstream knows, such as tokens of a language model. They may exceed what is left: then the
    /// bucket owes up to one full bucket, and requests are refused until that is back. Of several fields the largest counts, and
    /// a malformed one costs nothing.
    ///
    /// A client that leaves before the head of the response is not charged. So let requests [cost](Self::cost) something as well.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{Body, Middleware, Next, Request, middleware::RateLimit, dsl::handler};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let limit = RateLimit::per_minute(1000).charge_header("x-tokens");
    /// let model = handler(async |_: Request| {
    ///     http::Response::builder().header("x-tokens", "1500").body(Body::empty()).unwrap()
    /// });
    /// let response = limit.handle(Request::new(Body::empty()), Next::new(model)).await;
    /// assert_eq!(response.headers()["ratelimit"], "\"default\";r=0;t=31");
    /// assert!(!response.headers().contains_key("x-tokens"));
    /// # });
    /// ```
    pub fn charge_header(mut self, name: impl AsRef<str>) -> Self {
        let name = name.as_ref();
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            self.options.charge = Some(Charge::Header(name));
        } else {
            let problem = format!("`.charge_header({name:?})` is not the name of a header");
            self.options.problems.push(problem);
        }
        self
    }

    /// What a request has cost besides, by the head of its response; else as [`charge_header`](Self::charge_header).
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{Response, middleware::RateLimit};
    ///
    /// // Failed logins cost more.
    /// let limit = RateLimit::per_minute(20)
    ///     .charge(|response: &Response| if response.status() == 401 { 4 } else { 0 });
    /// # let _ = limit;
    /// ```
    pub fn charge(mut self, charge: impl Fn(&Response) -> u32 + Send + Sync + 'static) -> Self {
        self.options.charge = Some(Charge::By(Arc::new(charge)));
        self
    }

    /// A rate of its own for each request instead of the first window, such as that of a tenant's plan. Where it is `None` the rate
    /// of the limit counts.
    ///
    /// The buckets stay what they are when a plan changes: what has been taken is taken.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{Parts, RequestExt, middleware::{Rate, RateLimit, param}};
    ///
    /// let limit = RateLimit::per_second(10).by(param("tenant")).plan(|req: &Parts| {
    ///     (req.param("tenant") == Some("acme")).then(|| Rate::per_second(500))
    /// });
    /// # let _ = limit;
    /// ```
    pub fn plan<R: Into<Option<Rate>>>(
        mut self,
        plan: impl Fn(&Parts) -> R + Send + Sync + 'static,
    ) -> Self {
        self.options.plan = Some(Arc::new(move |req| plan(req).into()));
        self
    }

    /// The name of the limit in the fields that the client gets; `default` by default.
    ///
    /// Of several limits of the same name around a route, the outermost has the name, the next is called `default-2`, and so on.
    /// Characters other than printable ASCII are left out of a name.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{Body, Middleware, Next, Request, middleware::RateLimit, dsl::handler};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let limit = RateLimit::per_second(5).name("search");
    /// let next = Next::new(handler(|_| async { "found" }));
    /// let response = limit.handle(Request::new(Body::empty()), next).await;
    /// assert_eq!(response.headers()["ratelimit"], "\"search\";r=4;t=1");
    /// # });
    /// ```
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.options.name = Name::new(name.as_ref());
        self.labels = Places::default();
        self
    }

    /// Writes `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (in seconds from now) as well, for clients that know
    /// nothing else. They are those of the window with the least left; those of the upstream are replaced.
    pub fn legacy_headers(mut self) -> Self {
        self.options.legacy = true;
        self
    }

    /// Tells the client nothing of the limit. A refusal still has its status and `Retry-After`.
    pub fn quiet(mut self) -> Self {
        self.options.quiet = true;
        self
    }

    /// How many keys have a bucket of their own; 65 536 by default, which is at most 6 MB for a limit with one window.
    ///
    /// When there are as many, buckets that are full again are dropped, at most once in a second. New keys for which there
    /// is no room then share one bucket until there is; keys that have one keep it.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.options.most = keys;
        self.renewed()
    }

    /// The options are those of other buckets now.
    fn renewed(mut self) -> Self {
        self.core = Arc::default();
        self.labels = Places::default();
        self
    }

    fn core(&self) -> &Core {
        self.core.get_or_init(|| Core::new(&self.options))
    }

    fn asked(&self, core: &Core, req: &Parts) -> Asked {
        let plan = self.options.plan.as_ref();
        let plan = plan.and_then(|plan| plan(req));
        let buckets = plan.map_or(core.list, |rate| core.with_plan(rate));
        let debts = self.options.charge.is_some();
        Asked::new(buckets, self.options.cost.of(req), debts)
    }

    fn access<'a>(&'a self, core: &'a Core, req: &Parts) -> Access<'a> {
        let salt = core.buckets.salt();
        #[cfg(feature = "redis")]
        if let Some(by) = &self.options.shared {
            let mut bytes = Vec::new();
            self.key.write(&mut KeyParts::bytes(&mut bytes, req));
            let mut writer = salt.writer();
            if !bytes.is_empty() {
                writer.part(bytes.len(), [&*bytes]);
            }
            return Access {
                core,
                key: writer.key(),
                shared: Some(shared::Store::new(by, &self.options.name, bytes)),
            };
        }
        Access {
            core,
            key: self.key.of_parts(salt, req),
            #[cfg(feature = "redis")]
            shared: None,
        }
    }

    /// Tells the client what is left.
    fn tell(&self, response: &mut Response, name: Option<Named<'_>>, told: Told<'_>) {
        let Some(name) = name else { return };
        let headers = response.headers_mut();
        let labels = Labels::new(name, told.buckets);
        fields::add(headers, labels.policy(), labels.left(told));
        if self.options.legacy {
            fields::add_legacy(headers, told);
        }
    }

    /// The name that it has in a chain, unless it is quiet.
    fn named(&self, place: usize) -> Option<Named<'_>> {
        let name = &self.options.name;
        (!self.options.quiet).then_some(Named { name, place })
    }

    /// Calls `use_them` with the labels of its own rates.
    fn with_labels<R>(
        &self,
        name: Named<'_>,
        core: &Core,
        use_them: impl FnOnce(&Labels) -> R,
    ) -> R {
        let new = || Labels::new(name, &core.list);
        match self.labels.get(name.place.wrapping_sub(1)) {
            Some(known) => use_them(known.get_or_init(new)),
            None => use_them(&new()),
        }
    }

    /// Takes what a request costs out of these buckets; `slots` has room for theirs.
    fn meet(&self, head: &mut Head<'_>, asks: &Asks<'_>, slots: &mut [Slot]) -> Passed {
        let Asks { core, now, .. } = *asks;
        let fits = core.take_at(now, asks.key, asks.windows, slots);
        let told = Told {
            buckets: asks.buckets,
            windows: asks.windows,
            slots,
            ticks: core.ticks,
            now,
            refused: !fits,
        };
        let outer = fields::above(&self.options.name, head.extensions());
        let name = self.named(outer + head.place());
        if !fits {
            return Err(self.refusal(head, name, told));
        }
        let Some(name) = name else {
            return Ok(Kept::Nothing);
        };
        if asks.planned || self.options.legacy {
            return Ok(Kept::Other(Box::new(Later {
                place: name.place,
                buckets: told.buckets.iter().copied().collect(),
                windows: told.windows.iter().copied().collect(),
                view: core.view(now, told.slots.iter().copied().collect(), false),
            })));
        }
        Ok(self.with_labels(name, core, |labels| match head.told() {
            Some(text) => {
                labels.write_left(text, told);
                Kept::Nothing
            }
            None => Kept::Numbered(labels.left(told), name.place),
        }))
    }

    #[cold]
    fn refusal(&self, head: &Head<'_>, name: Option<Named<'_>>, told: Told<'_>) -> Box<Response> {
        let grpc = respond::is_grpc(head.headers());
        let mut response = respond::failure(Failure::RateLimited, grpc);
        fields::retry_after(response.headers_mut(), told.wait());
        self.tell(&mut response, name, told);
        Box::new(response)
    }
}

/// What a request asks of the buckets of the process.
struct Asks<'a> {
    core: &'a Core,
    key: Key,
    now: u64,
    buckets: &'a [Bucket],
    windows: &'a [Window],
    /// Whether the buckets go by another rate than that of the limit.
    planned: bool,
}

/// A limit of the process that is not charged later.
impl<K: 'static, S: 'static> Step for RateLimit<K, S> {
    fn needs(&self) -> Needs {
        let Options { cost, plan, .. } = &self.options;
        let calls = plan.is_some() || matches!(cost, Cost::By(_));
        if calls || self.key.reads() == KeyReads::Extensions {
            Needs::EXTENSIONS
        } else {
            Needs::NOTHING
        }
    }

    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        let core = self.core();
        let now = core.at(head.now());
        let plan = self.options.plan.as_ref();
        let plan = plan.and_then(|plan| plan(head.parts()));
        let cost = match &self.options.cost {
            Cost::Fixed(cost) => *cost,
            Cost::By(cost) => cost(head.parts()),
        };
        let mut asks = Asks {
            core,
            key: self.key.of(core.buckets.salt(), head),
            now,
            buckets: &core.list,
            windows: &[],
            planned: plan.is_some(),
        };
        // Most limits have one window, and one rate.
        if let ([bucket], None) = (asks.buckets, plan) {
            let windows = [bucket.window(cost, false)];
            asks.windows = &windows;
            return Some(self.meet(head, &asks, &mut [Slot::default()]));
        }
        let buckets = plan.map_or(core.list, |rate| core.with_plan(rate));
        let windows = buckets.iter().map(|bucket| bucket.window(cost, false));
        let windows: Windows = windows.collect();
        (asks.buckets, asks.windows) = (&buckets, &windows);
        Some(self.meet(head, &asks, &mut Slots::new(windows.len())))
    }

    fn after(&self, kept: Kept, response: &mut Response) {
        if let Kept::Numbered(left, place) = kept {
            if let Some(name) = self.named(place) {
                let policy = self.with_labels(name, self.core(), Labels::policy);
                fields::add(response.headers_mut(), policy, left);
            }
        } else if let Some(later) = kept.other::<Later>() {
            let told = later.view.of(&later.buckets, &later.windows);
            self.tell(response, self.named(later.place), told);
        }
    }

    fn policy(&self, place: usize) -> Option<HeaderValue> {
        let Options { plan, legacy, .. } = &self.options;
        let same = plan.is_none() && !legacy;
        let name = self.named(place).filter(|_| same)?;
        Some(self.with_labels(name, self.core(), Labels::policy))
    }

    fn name(&self) -> Option<&str> {
        (!self.options.quiet).then(|| self.options.name.text())
    }

    fn pass_on(&self, head: &mut Head<'_>) {
        if !self.options.quiet {
            fields::pass_on(&self.options.name, head.extensions_mut());
        }
    }
}

/// The fields of a response that are written when the response is there.
struct Later {
    place: usize,
    buckets: Each<Bucket>,
    windows: Windows,
    view: View,
}

impl<K: 'static, S: 'static> Middleware for RateLimit<K, S> {
    #[expect(private_interfaces, reason = "as in the trait")]
    fn __step(layer: &Arc<Self>) -> Option<Arc<dyn Step>> {
        let options = &layer.options;
        #[cfg(feature = "redis")]
        if options.shared.is_some() {
            return None;
        }
        let charges = options.charge.is_some();
        (!charges).then(|| Arc::clone(layer) as Arc<dyn Step>)
    }

    async fn handle(&self, req: Request, next: Next) -> Response {
        let core = self.core();
        let (mut parts, body) = req.into_parts();
        let access = self.access(core, &parts);
        let asked = self.asked(core, &parts);
        let quiet = self.options.quiet;
        let name = (!quiet).then(|| Named::take(&self.options.name, &mut parts.extensions));
        let grpc = respond::is_grpc(&parts.headers);
        let mut view = match access.take(&asked).await {
            Verdict::Passed(view) => Some(view),
            Verdict::Unlimited => None,
            Verdict::Unavailable => return respond::failure(Failure::LimitUnavailable, grpc),
            Verdict::Refused(view) => {
                let mut response = respond::failure(Failure::RateLimited, grpc);
                let told = view.of(&asked.buckets, &asked.windows);
                fields::retry_after(response.headers_mut(), told.wait());
                self.tell(&mut response, name, told);
                return response;
            }
        };
        let mut response = next.run(Request::from_parts(parts, body)).await;
        let charge = self.options.charge.as_ref();
        match charge.map_or(0, |charge| charge.take(&mut response)) {
            0 => {}
            cost => {
                let charged = access.charge(&asked.costing(cost)).await;
                view = charged.or(view);
            }
        }
        if let Some(view) = view {
            self.tell(&mut response, name, view.of(&asked.buckets, &asked.windows));
        }
        response
    }

    fn about(&self, about: &mut About) {
        for problem in self.options.problems() {
            about.problem(format!("`RateLimit`: {problem}"));
        }
        self.key.about("RateLimit", about);
    }
}

impl<K: LimitKey, S> Declares for RateLimit<K, S> {
    type Role = K::Role;
}

impl Options {
    fn problems(&self) -> Vec<String> {
        let mut problems = self.problems.clone();
        if self.rates.len() > MOST {
            problems.push(format!(
                "{} windows are more than the {MOST} that a limit may have: remove some `.and(..)`",
                self.rates.len()
            ));
        }
        for (at, rate) in self.rates.iter().enumerate() {
            let before = self.rates.iter().take(at);
            if before
                .map(Rate::period)
                .any(|period| period == rate.period())
            {
                let period = rate.period().as_secs();
                problems.push(format!(
                    "two windows of {period} s: keep the one that allows less"
                ));
            }
        }
        if let Cost::Fixed(cost) = self.cost {
            let buckets = self
                .rates
                .iter()
                .map(|rate| rate.bucket(Ticks::NANOS, false).size);
            // A rate of 0 is allowed, and refuses everything.
            if let Some(least) = buckets.filter(|&size| size > 0).min()
                && u64::from(cost) > least
            {
                problems.push(format!(
                    "`.cost({cost})` is above a bucket of {least}, so every request would be refused: write a larger burst or a smaller cost"
                ));
            }
            if cost == 0 && self.charge.is_none() {
                let problem =
                    "`.cost(0)` limits nothing without `.charge(..)` or `.charge_header(..)`";
                problems.push(problem.into());
            }
        }
        #[cfg(feature = "redis")]
        problems.extend(self.problems_of_sharing());
        if self.most == 0 {
            problems.push("`.max_keys(0)` has no room for a key: write at least 1".into());
        }
        problems
    }
}

impl<K, S> Clone for RateLimit<K, S> {
    fn clone(&self) -> Self {
        Self {
            key: Arc::clone(&self.key),
            options: self.options.clone(),
            core: Arc::clone(&self.core),
            labels: Places::default(),
            place: PhantomData,
        }
    }
}

impl<K, S> fmt::Debug for RateLimit<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("name", &self.options.name)
            .field("rates", &self.options.rates)
            .field("cost", &self.options.cost)
            .field("max_keys", &self.options.most)
            .finish_non_exhaustive()
    }
}
