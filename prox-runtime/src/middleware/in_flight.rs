//! Limits how many requests are under way at once.

use std::{
    collections::HashMap,
    fmt,
    marker::PhantomData,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use http::{HeaderValue, header};
use http_body::Body as _;

use super::{
    About, Declares, Middleware,
    rate_limit::{AnyKey, Everyone, KeyReads, LimitKey},
    steps::{self, Head, Kept, Needs, Passed, Step},
};
use crate::{
    error::{self, Failure},
    handler::Response,
    limits::{Key, Salt},
    respond,
    sync::lock,
    tunnel::Switched,
};

/// Lets at most so many requests be under way at once; the next one gets `503` ([`Failure::TooManyInFlight`]).
///
/// A request has its place until the body of its response has ended, until its tunnel has (a WebSocket), or until its client has left.
/// There is no queue; that of a backend is [`.queue(..)`](crate::ClusterBuilder::queue).
///
/// With [`by`](Self::by) each client, tenant or route has as many places of its own. A client over its number gets `429`
/// ([`Failure::RateLimited`]).
///
/// Clones share their places, unless one of them gets another key.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, Middleware, Next, Request, middleware::InFlight, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let limit = InFlight::max(1);
/// let ask = || limit.handle(Request::new(Body::empty()), Next::new(handler(async |_| "hello")));
/// let first = ask().await;
/// assert_eq!(first.status(), 200);
/// // Its body has not ended.
/// assert_eq!(ask().await.status(), 503);
/// drop(first);
/// assert_eq!(ask().await.status(), 200);
/// # });
/// ```
pub struct InFlight<K = Everyone> {
    most: u32,
    /// Of the type `K`, which is left to say what the limit goes by.
    key: Arc<dyn AnyKey>,
    places: Arc<Places>,
    /// What is said to a request for which there is no place.
    failure: Failure,
    by: PhantomData<fn() -> K>,
}

impl InFlight {
    /// `requests` at once, all together. 0 is an error when the gateway starts.
    pub fn max(requests: u32) -> Self {
        Self {
            most: requests,
            key: Arc::new(Everyone(())),
            places: Arc::default(),
            failure: Failure::TooManyInFlight,
            by: PhantomData,
        }
    }

    /// So many for each value of `key`; see [`LimitKey`].
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{middleware::InFlight, dsl::client_ip};
    ///
    /// let limit = InFlight::max(20).by(client_ip());
    /// # let _ = limit;
    /// ```
    pub fn by<K: LimitKey>(self, key: K) -> InFlight<K> {
        InFlight {
            most: self.most,
            key: Arc::new(key),
            places: Arc::default(),
            failure: Failure::RateLimited,
            by: PhantomData,
        }
    }
}

impl<K> InFlight<K> {
    fn enter(&self, head: &mut Head<'_>) -> Option<Place> {
        let key = self.key.of(&self.places.salt, head);
        self.places.take(key, self.most).then(|| Place {
            key,
            places: Arc::clone(&self.places),
        })
    }
}

impl<K: 'static> Step for InFlight<K> {
    /// The body of the response is as long as it was.
    fn needs(&self) -> Needs {
        if self.key.reads() == KeyReads::Extensions {
            Needs::EXTENSIONS
        } else {
            Needs::NOTHING
        }
    }

    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        if let Some(place) = self.enter(head) {
            return Some(Ok(Kept::Other(Box::new(place))));
        }
        let grpc = respond::is_grpc(head.headers());
        let mut response = respond::failure(self.failure, grpc);
        if !grpc {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        Some(Err(Box::new(response)))
    }

    fn after(&self, kept: Kept, response: &mut Response) {
        let Some(place) = kept.other::<Place>() else {
            return;
        };
        if let Some(tunnel) = response.extensions().get::<Switched>() {
            return tunnel.at_end(move |_, _| drop(place));
        }
        if response.body().is_end_stream() {
            return;
        }
        let mut place = Some(place);
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = body.followed(move |next, _| {
            if !matches!(next, Some(Ok(_))) {
                drop(place.take());
            }
        });
        response.body_mut().placed(error::Place::Response);
    }
}

impl<K: 'static> Middleware for InFlight<K> {
    steps::as_middleware!();

    fn about(&self, about: &mut About) {
        if self.most == 0 {
            about.problem("`InFlight::max(0)` lets no request through: write at least 1");
        }
        self.key.about("InFlight", about);
    }
}

impl<K: LimitKey> Declares for InFlight<K> {
    type Role = K::Role;
}

impl<K> Clone for InFlight<K> {
    fn clone(&self) -> Self {
        Self {
            most: self.most,
            key: Arc::clone(&self.key),
            places: Arc::clone(&self.places),
            failure: self.failure,
            by: PhantomData,
        }
    }
}

impl<K> fmt::Debug for InFlight<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight")
            .field("max", &self.most)
            .finish_non_exhaustive()
    }
}

/// How many requests of each key are under way. A key without one is not in it, so it is never larger than their number.
#[derive(Debug, Default)]
struct Places {
    /// Of all requests together, where there is no key.
    everyone: AtomicU32,
    taken: Mutex<HashMap<Key, u32>>,
    salt: Salt,
}

impl Places {
    /// Takes a place of the key, if fewer than `most` are taken.
    fn take(&self, key: Key, most: u32) -> bool {
        let next = |count: u32| (count < most).then(|| count + 1);
        if key == Key::Everyone {
            return self.everyone.fetch_update(Relaxed, Relaxed, next).is_ok();
        }
        let mut taken = lock(&self.taken);
        let count = taken.get(&key).copied().unwrap_or(0);
        let Some(count) = next(count) else {
            return false;
        };
        taken.insert(key, count);
        true
    }

    fn give_back(&self, key: Key) {
        if key == Key::Everyone {
            self.everyone.fetch_sub(1, Relaxed);
            return;
        }
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&key);
            }
        }
    }
}

/// The place of a request, which is free again when this is dropped.
struct Place {
    key: Key,
    places: Arc<Places>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.give_back(self.key);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::{
        body::Body,
        handler::{BoxHandler, Request, handler},
        middleware::IntoLayer,
        route::query,
    };

    fn request(uri: &str) -> Request {
        let mut req = Request::new(Body::empty());
        *req.uri_mut() = uri.parse().unwrap();
        req
    }

    fn before(limit: impl Middleware, text: &'static str) -> BoxHandler {
        let target = handler(move |_| async move { text });
        limit.into_layer().wrap(BoxHandler::new(target))
    }

    #[tokio::test]
    async fn a_place_is_held_until_the_body_has_ended_or_is_dropped() {
        let limit = InFlight::max(2);
        let places = Arc::clone(&limit.places);
        let target = before(limit, "hello");
        let ask = async || target.call(request("/")).await;
        let (first, mut second) = (ask().await, ask().await);
        let refused = ask().await;
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.extensions().get(), Some(&Failure::TooManyInFlight));
        assert_eq!(refused.headers()["retry-after"], "1");
        drop(first);
        let third = ask().await;
        assert_eq!(third.status(), 200);
        assert_eq!(ask().await.status(), 503);
        while second.body_mut().frame().await.is_some() {}
        assert_eq!(ask().await.status(), 200);
        drop((second, third));
        assert!(lock(&places.taken).is_empty());
    }

    #[tokio::test]
    async fn a_response_without_a_body_holds_no_place() {
        let target = before(InFlight::max(1), "");
        let responses = [
            target.call(request("/")).await,
            target.call(request("/")).await,
        ];
        assert!(responses.iter().all(|response| response.status() == 200));
    }

    #[tokio::test]
    async fn a_client_that_leaves_before_the_response_leaves_its_place() {
        let limit = InFlight::max(1);
        let waits = handler(|_| std::future::pending::<Response>());
        let target = limit.into_layer().wrap(BoxHandler::new(waits));
        let mut waiting = Box::pin(target.call(request("/")));
        assert!(is_pending(&mut waiting).await);
        assert_eq!(target.call(request("/")).await.status(), 503);
        drop(waiting);
        let mut waiting = Box::pin(target.call(request("/")));
        assert!(is_pending(&mut waiting).await);
    }

    /// Whether a future has not ended after it was polled once.
    async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())
        })
        .await
    }

    #[tokio::test]
    async fn each_key_has_places_of_its_own_and_is_told_429() {
        let limit = InFlight::max(1).by(query("tenant"));
        let target = before(limit.clone(), "hello");
        let first = target.call(request("/?tenant=a")).await;
        let refused = target.call(request("/?tenant=a")).await;
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.extensions().get(), Some(&Failure::RateLimited));
        let other = target.call(request("/?tenant=b")).await;
        assert!(
            [first.status(), other.status()]
                .iter()
                .all(|status| *status == 200)
        );
        // Clones share the places.
        let clone = before(limit, "hello");
        assert_eq!(clone.call(request("/?tenant=b")).await.status(), 429);
    }

    #[test]
    fn a_number_that_lets_nothing_through_and_a_wrong_key_are_said_at_start() {
        let layer = InFlight::max(0).by(query("a b")).into_layer();
        let about = layer.about();
        let [first, second] = about.problems() else {
            panic!("{about:?}")
        };
        assert!(first.contains("write at least 1"), "{first}");
        assert!(second.starts_with("`InFlight::by`: `a b`"), "{second}");
    }
}
