//! A cache of responses that clients share.

#[cfg(test)]
mod cases;
mod collect;
mod conditions;
mod directives;
mod entry;
mod fetch;
mod flight;
mod key;
mod policy;
mod status;
mod store;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use http::{HeaderMap, HeaderName, Method, header};
use http_body::Body as _;

use self::{
    flight::Flights,
    key::{Key, Parts, lean, resource},
    policy::{Defaults, Wish, has_events},
    status::{Done, Forward, Forwarded},
    store::Store,
};
use super::{About, Declares, Middleware, Next, role};
use crate::{
    handler::{Request, Response},
    identity::Principal,
    middleware::Role,
    respond,
    route::{Answerable, Matched, RequestExt},
    time::FOREVER,
};

/// The largest body that is stored, by default.
const LARGEST: usize = 1024 * 1024;

/// Keeps responses in memory and answers requests with them (RFC 9111). Of many requests for the same response one goes to the
/// upstream, and the others wait for it.
///
/// It is for responses that many clients get, and for a short time: it takes load off upstreams, and it is not a content delivery
/// network. The memory is bounded by bytes, and what is used least makes room.
///
/// # What is stored
///
/// Responses to `GET` with status 200, 203, 204, 301, 308, 404 or 410 whose freshness is said (`Cache-Control: s-maxage` or `max-age`,
/// or `Expires`), or with [`ttl`](Self::ttl) also others. Never stored are responses with `Set-Cookie`, `no-store`, `no-cache`,
/// `private`, `Vary: *`, a malformed `Cache-Control`, trailers, or a body that broke off or is over 1 MiB; server-sent events; and
/// answers to requests with `Authorization`, unless they have `public`, `s-maxage` or `must-revalidate`.
///
/// # What a response is found by
///
/// By the scheme, the host, the canonical path, the query as it was sent, the fields `Accept`, `Accept-Encoding`, `Accept-Language`
/// and `Via`, those named by [`key`](Self::key), those that layers of the gateway write for upstreams, and the caller (scheme, issuer
/// and subject of the [`Principal`](crate::Principal)). **What is not in the key does not go to the upstream**: no cookie, no
/// `User-Agent`, no other field and no body. So no client can change what another one gets. If the answer cannot be stored, the
/// request goes to the upstream once more, whole, and for a minute all requests with this key pass.
///
/// # What passes
///
/// Other methods, requests with a body, ranges, `If-Match`, `If-Unmodified-Since`, `Cache-Control: no-store`, WebSockets, gRPC and
/// requests for server-sent events go on untouched. A request of another method that succeeds makes the cache forget the path.
///
/// # Staleness
///
/// `stale-while-revalidate` and `stale-if-error` are obeyed (RFC 5861). A response with `ETag` or `Last-Modified` is asked for
/// conditionally. A client may ask for a fresher response (`no-cache`, `max-age`, `min-fresh`), and not for a staler one.
///
/// Responses have `Age` and `Cache-Status` (RFC 9211).
///
/// Write it behind all layers that turn requests away. A layer behind it does not see a request that is answered from the cache. Clones
/// share their memory, and each route has its own responses.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, Middleware, Next, Request, middleware::Cache, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// async fn news(_: Request) -> http::Response<&'static str> {
///     let response = http::Response::builder().header("cache-control", "max-age=60");
///     response.body("news").unwrap()
/// }
/// # async fn body(req: Request) -> prox::Response { prox::IntoResponse::into_response(news(req).await.map(Body::from)) }
/// # let news = body;
///
/// let cache = Cache::new(64 * 1024 * 1024);
/// let next = Next::new(handler(news));
/// for status in ["prox; fwd=miss; stored", "prox; hit; ttl=60"] {
///     let mut request = Request::new(Body::empty());
///     request.headers_mut().insert("host", http::HeaderValue::from_static("example.com"));
///     let response = cache.handle(request, next.clone()).await;
///     assert_eq!(response.headers()["cache-status"], status);
///     assert_eq!(response.into_body().bytes(100).await.unwrap(), "news");
/// #   tokio::task::yield_now().await;
/// }
/// assert_eq!(cache.purge("/"), 1);
/// # });
/// ```
#[derive(Clone)]
pub struct Cache {
    options: Arc<Options>,
    store: Arc<Store>,
    flights: Arc<Flights>,
    learnt: Arc<RwLock<Learnt>>,
}

#[derive(Clone)]
struct Options {
    bytes: usize,
    largest: usize,
    defaults: Defaults,
    keyed: Vec<HeaderName>,
    shared_by_all: bool,
    name: String,
    quiet: bool,
    problems: Vec<String>,
}

/// The fields that layers of the gateway write for upstreams. They are learnt when the gateway starts.
#[derive(Default)]
struct Learnt {
    /// Those that tell who the caller is.
    guarded: Vec<HeaderName>,
    others: Vec<HeaderName>,
}

impl Cache {
    /// A cache that stores at most this many bytes of bodies, fields and keys. At least 8 MiB.
    ///
    /// Bodies that are being read, and those that clients still read after they made room, are counted too. Together with what is
    /// stored they take at most twice as many bytes. When that is reached, responses pass without being stored.
    pub fn new(bytes: usize) -> Self {
        Self {
            options: Arc::new(Options {
                bytes,
                largest: LARGEST,
                defaults: Defaults::default(),
                keyed: Vec::new(),
                shared_by_all: false,
                name: "prox".into(),
                quiet: false,
                problems: Vec::new(),
            }),
            store: Arc::new(Store::new(bytes, LARGEST)),
            flights: Arc::default(),
            learnt: Arc::default(),
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(&mut self.options));
        self
    }

    /// The freshness of responses that say nothing of it. By default such responses are not stored.
    ///
    /// It changes nothing for responses that have `Cache-Control: max-age`, `s-maxage`, `no-store`, `no-cache` or `private`, or
    /// `Expires`.
    pub fn ttl(self, time: Duration) -> Self {
        self.change(|options| {
            if time.is_zero() {
                let problem = "`Cache::ttl` of 0 stores nothing: write at least 1 s, or remove it";
                options.problems.push(problem.into());
            }
            options.defaults.fresh = Some(time.min(FOREVER));
        })
    }

    /// For how long after its freshness a response is used while the cache asks for it again, where the response does not say that
    /// itself. 0 by default. A response with `must-revalidate` or `proxy-revalidate` is never used so.
    pub fn stale_while_revalidate(self, time: Duration) -> Self {
        self.change(|options| options.defaults.while_revalidating = time.min(FOREVER))
    }

    /// For how long after its freshness a response is used in place of an error of the upstream (500, 502, 503, 504, or no answer),
    /// where the response does not say that itself. 0 by default. A response with `must-revalidate` or `proxy-revalidate` is never
    /// used so.
    pub fn stale_if_error(self, time: Duration) -> Self {
        self.change(|options| options.defaults.if_error = time.min(FOREVER))
    }

    /// The largest body that is stored; 1 MiB by default. Larger ones pass.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.store = Arc::new(Store::new(self.options.bytes, bytes));
        self.change(|options| {
            if bytes == 0 {
                let problem = "`Cache::max_body(0)` stores nothing: write at least 1";
                options.problems.push(problem.into());
            }
            options.largest = bytes;
        })
    }

    /// Makes these fields of requests a part of the key, and passes them to the upstream. Clients with other values get other
    /// responses, and each value takes memory.
    ///
    /// A name that is malformed is an error when the gateway starts.
    pub fn key<N: AsRef<str>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.change(|options| {
            for name in names {
                let name = name.as_ref();
                match HeaderName::from_bytes(name.as_bytes()) {
                    Ok(name) => options.keyed.push(name),
                    Err(_) => options
                        .problems
                        .push(format!("`Cache::key`: {name:?} is not the name of a field")),
                }
            }
        })
    }

    /// Gives all callers the same responses: who the caller is, and the fields by which layers tell that to upstreams
    /// ([`IdentityHeaders`](crate::auth::IdentityHeaders)), are not in the key, and so they do not go to the upstream.
    pub fn shared_by_all(self) -> Self {
        self.change(|options| options.shared_by_all = true)
    }

    /// The name of the cache in `Cache-Status`; `prox` by default. It must be a token that begins with a letter.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.change(|options| {
            let name = name.into();
            if !status::is_name(&name) {
                options.problems.push(format!(
                    "`Cache::name`: {name:?} is not a token: write one such as \"edge\""
                ));
            }
            options.name = name;
        })
    }

    /// Writes no `Cache-Status`.
    pub fn quiet(self) -> Self {
        self.change(|options| options.quiet = true)
    }

    /// Forgets the responses of a path, of every host and with every query, and returns how many there were. `/articles/*` is
    /// `/articles` and all below it. A response that was asked for before this call is not stored after it.
    ///
    /// The path is compared in its canonical form. The call looks at everything that is stored, so it is not for every request.
    pub fn purge(&self, path: &str) -> usize {
        self.store.purge(|own| match path.strip_suffix("/*") {
            Some(start) => own
                .strip_prefix(start.as_bytes())
                .is_some_and(|rest| matches!(rest, [] | [b'/', ..])),
            None => own == path.as_bytes(),
        })
    }

    /// Forgets all responses, and returns how many there were.
    pub fn purge_all(&self) -> usize {
        self.store.purge(|_| true)
    }

    /// The bytes that stored responses take now.
    pub fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    /// The fields of a request that may go to the upstream, beside those of every client.
    fn lean(&self, headers: &HeaderMap) -> HeaderMap {
        let learnt = self.learnt.read();
        let learnt = learnt.unwrap_or_else(PoisonError::into_inner);
        let shared = self.options.shared_by_all;
        let guarded = learnt.guarded.iter().filter(|_| !shared);
        let own = guarded.chain(&learnt.others);
        lean(headers, own.chain(&self.options.keyed))
    }

    /// What the cache needs of a request that it may answer.
    fn asked(&self, req: &Request, next: &Next) -> Result<Asked, Forward> {
        if !matches!(*req.method(), Method::GET | Method::HEAD) {
            return Err(Forward::Method);
        }
        let headers = req.headers();
        let wish = Wish::of(headers);
        let events = headers.get_all(header::ACCEPT).iter();
        let mut events = events.map(|accepts| has_events(accepts.as_bytes()));
        if !req.body().is_end_stream()
            || req.upgrade().is_some()
            || req.extensions().get::<Answerable>().is_some()
            || wish.no_store()
            || respond::is_grpc(headers)
            || PARTIAL.iter().any(|name| headers.contains_key(name))
            || events.any(|events| events)
        {
            return Err(Forward::Bypass);
        }
        let lean = self.lean(headers);
        let extensions = req.extensions();
        let principal = extensions.get::<Principal>();
        let parts = Parts {
            behind: next.0.which(),
            uri: req.uri(),
            client: req.client(),
            matched: extensions.get::<Matched>(),
            principal: principal.filter(|_| !self.options.shared_by_all),
        };
        let key = Key::new(parts, &lean).ok_or(Forward::Bypass)?;
        Ok(Asked { key, lean, wish })
    }

    /// Says on a response what was done.
    fn say(&self, mut response: Response, done: impl Into<Done>) -> Response {
        if !self.options.quiet {
            status::say(&self.options.name, done.into(), response.headers_mut());
        }
        response
    }
}

/// The fields of requests that ask for a part, or for what only the upstream can decide.
const PARTIAL: [HeaderName; 5] = [
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::EXPECT,
];

/// A request that may be answered from the store.
struct Asked {
    key: Key,
    /// The fields that go to the upstream, all of which are in the key.
    lean: HeaderMap,
    wish: Wish,
}

impl Middleware for Cache {
    async fn handle(&self, req: Request, next: Next) -> Response {
        match self.asked(&req, &next) {
            Ok(asked) => self.answer(asked, req, next).await,
            Err(why) => {
                let changes = (why == Forward::Method && !req.method().is_safe())
                    .then(|| resource(req.uri(), req.headers()))
                    .flatten();
                let response = next.run(req).await;
                // Whatever it has done, what is stored may be out of date (RFC 9111, 4.4).
                if let Some(resource) = changes
                    && (response.status().is_success() || response.status().is_redirection())
                {
                    self.store.change(&resource);
                }
                self.say(response, Forwarded::new(why))
            }
        }
    }

    fn about(&self, about: &mut About) {
        about.role(Role::Caches);
        about.add_problems(&self.options.problems);
        let Options { bytes, largest, .. } = *self.options;
        if bytes / store::LEAST < largest {
            about.problem(format!(
                "`Cache::new({bytes})` has no room for {} bodies of {largest} bytes: write more, or `.max_body(..)` with fewer",
                store::LEAST
            ));
        }
        let learnt = Arc::clone(&self.learnt);
        about.learn(move |guarded, others| {
            let mut learnt = learnt.write().unwrap_or_else(PoisonError::into_inner);
            let learn = |known: &mut Vec<HeaderName>, new: &[HeaderName]| {
                for name in new {
                    if !known.contains(name) {
                        known.push(name.clone());
                    }
                }
            };
            learn(&mut learnt.guarded, guarded);
            learn(&mut learnt.others, others);
        });
    }
}

impl Declares for Cache {
    type Role = role::Caches;
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
