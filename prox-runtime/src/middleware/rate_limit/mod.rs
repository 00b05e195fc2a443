//! Limits how many requests a client may make in a time.
//!
//! This is about a client's own quota, and its answer is `429`. What is too much for the gateway or the upstream is a matter
//! of limits on connections and queues, whose answer is `503`.

mod buckets;
mod fields;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use self::{
    buckets::{Buckets, Key, TextKeys},
    fields::{Fields, Name, Named},
};
use super::{Middleware, Next};
use crate::{
    error::Failure,
    handler::{Parts, Request, Response},
    respond,
    route::RequestExt,
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock, Reference},
    middleware::StateInformationMiddleware,
};

/// How many keys have a bucket of their own, unless the user says otherwise.
const MOST_KEYS: usize = 65_536;

/// How long a search for buckets that are full again is not repeated.
const SWEEP: Duration = Duration::from_secs(1);

/// The longest time that a bucket may take to fill, which keeps all arithmetic within 64 bits of nanoseconds.
const LONGEST: u128 = Duration::from_hours(365 * 24).as_nanos();

/// Limits the requests of each client; who is over the limit gets `429` ([`Failure::RateLimited`]).
///
/// Each client has a bucket of [`burst`](Self::burst) requests, which fills evenly at the rate (GCRA, the "leaky bucket as a
/// meter"): `per_second(100).burst(20)` takes 20 requests at once, and then one every 10 ms. Requests that are refused cost
/// nothing. The limit is local to the process, and shared by all that a clone of the layer stands before.
///
/// # Who is a client
///
/// By default the address of the connection's other end; an IPv6 address counts by its first 64 bits, since whoever has one
/// has all of them. Behind another proxy that is the proxy's address: use [`key`](Self::key) there. Connections without an
/// address share a bucket. There are at most 65 536 buckets, see [`max_keys`](Self::max_keys).
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
/// use prox_runtime::{Body, IntoResponse, Middleware, Next, Request, handler, middleware::RateLimit};
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
#[derive(Clone)]
pub struct RateLimit {
    rate: u32,
    window: Duration,
    burst: u32,
    most: usize,
    by: By,
    /// None if there is nothing that could be allowed.
    limiter: Option<Arc<dyn Limit>>,
    name: Name,
    fields: Fields,
}

/// What a request's key is made from.
#[derive(Clone)]
enum By {
    Client,
    Nothing,
    Text(TextKeys, TextOf),
}

type TextOf = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

impl RateLimit {
    /// `rate` requests in a second, and as many at once unless [`burst`](Self::burst) says otherwise.
    ///
    /// 0 refuses every request: a limit that was configured by mistake is seen at once, and lets nobody through. More than
    /// 1 000 000 000 is that.
    pub fn per_second(rate: u32) -> Self {
        Self::per(rate, Duration::from_secs(1))
    }

    /// `rate` requests in a minute; else as [`per_second`](Self::per_second).
    pub fn per_minute(rate: u32) -> Self {
        Self::per(rate, Duration::from_mins(1))
    }

    fn per(rate: u32, window: Duration) -> Self {
        let limit = Self {
            rate,
            window,
            burst: rate,
            most: MOST_KEYS,
            by: By::Client,
            limiter: None,
            name: Name::default(),
            fields: Fields::of(None, window),
        };
        limit.ready()
    }

    /// How many requests may come at once after a pause; by default the number of the rate.
    ///
    /// 0 refuses every request. A burst that would take more than a year to come back is cut to a year's.
    pub fn burst(mut self, requests: u32) -> Self {
        self.burst = requests;
        self.ready()
    }

    /// The name of the limit in the fields that the client gets; `default` by default.
    ///
    /// Of several limits of the same name around a route, the outermost has the name, the next is called `default-2`, and so on.
    /// Characters other than printable ASCII are left out of a name.
    ///
    /// ```
    /// use prox_runtime::{Body, Middleware, Next, Request, handler, middleware::RateLimit};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let limit = RateLimit::per_second(5).name("search");
    /// let next = Next::new(handler(|_| async { "found" }));
    /// let response = limit.handle(Request::new(Body::empty()), next).await;
    /// assert_eq!(response.headers()["ratelimit"], "\"search\";r=4;t=1");
    /// # });
    /// ```
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Name::new(name.as_ref());
        self
    }

    /// One bucket for all requests, whoever sends them.
    pub fn global(mut self) -> Self {
        self.by = By::Nothing;
        self
    }

    /// One bucket for each value of `key`, such as a tenant or an API key that was checked before.
    ///
    /// All requests for which it is `None` share a bucket, so that who leaves the key out gains nothing. Do not take a header
    /// that a client may choose freely: it would choose a new one for every request. Only a hash of the value is kept.
    ///
    /// ```
    /// use prox_runtime::{RequestExt, middleware::RateLimit};
    ///
    /// // For routes with `{tenant}` in their path.
    /// let limit = RateLimit::per_second(50).key(|parts| parts.param("tenant").map(str::to_owned));
    /// ```
    pub fn key(mut self, key: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.by = By::Text(TextKeys::default(), Arc::new(key));
        self
    }

    /// How many keys have a bucket of their own; 65 536 by default, which is at most 5 MB.
    ///
    /// When there are as many, buckets that are full again are dropped, at most once in a second. New keys for which there
    /// is no room then share one bucket until there is; keys that have one keep it.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.most = keys;
        self.ready()
    }

    /// Makes the buckets anew, for what the options say now.
    fn ready(self) -> Self {
        self.with_clock(MonotonicClock)
    }

    fn with_clock<C>(mut self, clock: C) -> Self
    where
        C: Clock + Send + Sync + 'static,
    {
        let quota = self.quota();
        self.fields = Fields::of(quota, self.window);
        self.limiter =
            quota.map(|quota| Arc::new(Limiter::new(quota, self.most, clock)) as Arc<dyn Limit>);
        self
    }

    fn quota(&self) -> Option<Quota> {
        let interval = self.window.checked_div(self.rate)?;
        let interval = interval.max(Duration::from_nanos(1));
        let most = u32::try_from(LONGEST / interval.as_nanos()).unwrap_or(u32::MAX);
        let burst = NonZeroU32::new(self.burst.min(most))?;
        Some(Quota::with_period(interval)?.allow_burst(burst))
    }

    fn key_of(&self, req: Request) -> (Key, Request) {
        match &self.by {
            By::Nothing => (Key::Shared, req),
            By::Client => (req.client_ip().map_or(Key::Shared, Key::from), req),
            By::Text(keys, of) => {
                let (parts, body) = req.into_parts();
                let key = of(&parts).map_or(Key::Shared, |text| keys.key(&text));
                (key, Request::from_parts(parts, body))
            }
        }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("name", &self.name)
            .field("rate", &self.rate)
            .field("window", &self.window)
            .field("burst", &self.burst)
            .field("max_keys", &self.most)
            .finish_non_exhaustive()
    }
}

impl Middleware for RateLimit {
    async fn handle(&self, req: Request, next: Next) -> Response {
        let (key, mut req) = self.key_of(req);
        let name = Named::take(&self.name, req.extensions_mut());
        let verdict = match &self.limiter {
            Some(limiter) => limiter.take(key),
            None => Err(self.window),
        };
        match verdict {
            Ok(left) => {
                let mut response = next.run(req).await;
                self.fields.allowed(&name, response.headers_mut(), left);
                response
            }
            Err(wait) => {
                let grpc = respond::is_grpc(req.headers());
                let mut response = respond::failure(Failure::RateLimited, grpc);
                self.fields.refused(&name, response.headers_mut(), wait);
                response
            }
        }
    }
}

/// A limiter on any clock.
trait Limit: Send + Sync {
    /// Takes one request out of a bucket: how many are left, or how long it is until there is one.
    fn take(&self, key: Key) -> Result<u32, Duration>;
}

struct Limiter<C: Clock> {
    gcra: RateLimiter<Key, Buckets, C, StateInformationMiddleware>,
    most: usize,
    /// When buckets were last dropped.
    swept: Mutex<C::Instant>,
}

impl<C: Clock> Limiter<C> {
    fn new(quota: Quota, most: usize, clock: C) -> Self {
        Self {
            swept: Mutex::new(clock.now()),
            gcra: RateLimiter::new(quota, Buckets::new(most), clock),
            most,
        }
    }

    /// Drops the buckets that are full again. While one thread does it the others do not wait.
    fn sweep(&self) {
        let now = self.gcra.clock().now();
        if let Ok(mut swept) = self.swept.try_lock()
            && Duration::from(now.duration_since(*swept)) >= SWEEP
        {
            *swept = now;
            self.gcra.retain_recent();
        }
    }
}

impl<C: Clock + Send + Sync> Limit for Limiter<C> {
    fn take(&self, key: Key) -> Result<u32, Duration> {
        if self.gcra.len() >= self.most {
            self.sweep();
        }
        match self.gcra.check_key(&key) {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(until) => Err(until.wait_time_from(self.gcra.clock().now())),
        }
    }
}
