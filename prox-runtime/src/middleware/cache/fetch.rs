//! How a request gets its response: from the store, from the upstream, or from a request that is under way.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, response};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Asked, Cache,
    collect::{self, collect},
    conditions,
    entry::{Entry, answer, is_for},
    flight::{End, Lead, Part},
    key::Key,
    policy::{Policy, judge},
    status::{Done, Forward, Forwarded},
    store::Known,
};
use crate::{
    body::Body,
    client::Client,
    error::Failure,
    handler::{Request, Response},
    identity::Principal,
    middleware::Next,
    route::Matched,
    watch::Tally,
};

/// The longest wait for a request that is under way.
const WAIT: Duration = Duration::from_secs(5);

/// The longest time for asking again while a stale response is used.
const BACKGROUND: Duration = Duration::from_secs(30);

/// The fields of requests that the cache answers itself. They change nothing about the response that is stored.
const OF_CACHES: [HeaderName; 4] = [
    header::CACHE_CONTROL,
    header::PRAGMA,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
];

/// What has come of asking the upstream.
enum Fetched {
    /// A whole response, and the status that the upstream answered with.
    Entry(Arc<Entry>, StatusCode, bool),
    /// A response that is being stored.
    Begun(Box<response::Parts>, Policy, Body),
    /// A response of before, since the upstream failed.
    Instead(Arc<Entry>, Option<StatusCode>),
    /// A response that everybody may get, but that is not stored.
    Unstored(Response, &'static str),
    /// A response that may be right for nobody, since the upstream was not told all of the request.
    Useless(Response, &'static str),
}

impl Cache {
    pub(super) async fn answer(&self, asked: Asked, req: Request, next: Next) -> Response {
        let until = Instant::now() + WAIT;
        loop {
            let now = Instant::now();
            let mut stale = None;
            let mut why = Forward::Miss;
            match self.store.get(&asked.key, now) {
                Some(Known::Passes) => {
                    return self.pass(req, next, why, Some("uncacheable")).await;
                }
                Some(Known::Stored(entry)) => {
                    if !entry.is_for(req.headers(), &asked.lean) {
                        return self.pass(req, next, Forward::Vary, None).await;
                    }
                    if self.serves(&entry, &asked, &req, &next, now) {
                        return self.hit(&entry, &req, now);
                    }
                    let fresh = entry.is_fresh(now);
                    why = if fresh {
                        Forward::Request
                    } else {
                        Forward::Stale
                    };
                    stale = Some(entry);
                }
                None => {}
            }
            if *req.method() == Method::HEAD {
                return self.pass(req, next, why, None).await;
            }
            let stamp = self.store.stamp(&asked.key);
            match self.flights.join(&asked.key, stamp) {
                Part::Leads(lead) => {
                    // Another one may have ended since the look at the store.
                    if self.has_news(&asked.key, stale.as_ref()) {
                        drop(lead);
                        continue;
                    }
                    return self.lead(lead, &asked, req, next, stale, why).await;
                }
                Part::Waits(wait) => {
                    let end = timeout_at(until, wait.end()).await;
                    let now = Instant::now();
                    match end {
                        Ok(End::Gone) if now < until => {}
                        Ok(End::Stored(entry)) if entry.is_for(req.headers(), &asked.lean) => {
                            let done = Forwarded {
                                collapsed: true,
                                ..Forwarded::new(why)
                            };
                            return self.say(entry.answer(req.headers(), now), done);
                        }
                        Ok(End::Failed) | Err(_)
                            if stale
                                .as_ref()
                                .is_some_and(|stale| stale.serves_if_error(now)) =>
                        {
                            let Some(entry) = stale else { continue };
                            return self.hit(&entry, &req, now);
                        }
                        _ => return self.pass(req, next, why, None).await,
                    }
                }
            }
        }
    }

    /// Whether a stored response is used as it is. One that is stale may be asked for again at the same time.
    fn serves(
        &self,
        entry: &Arc<Entry>,
        asked: &Asked,
        req: &Request,
        next: &Next,
        now: Instant,
    ) -> bool {
        let wanted = entry.is_wanted(asked.wish, now);
        let failed = entry.has_failed(now);
        if entry.is_fresh(now) {
            return wanted;
        }
        if failed && entry.serves_if_error(now) {
            return true;
        }
        let serves = wanted && entry.serves_while_revalidating(now);
        if serves && !failed {
            self.refresh(entry, asked, req, next);
        }
        serves
    }

    fn hit(&self, entry: &Entry, req: &Request, now: Instant) -> Response {
        let done = Done::Hit {
            ttl: entry.ttl(now),
        };
        self.say(entry.answer(req.headers(), now), done)
    }

    async fn pass(
        &self,
        req: Request,
        next: Next,
        why: Forward,
        detail: Option<&'static str>,
    ) -> Response {
        let response = next.run(req).await;
        let done = Forwarded {
            detail,
            ..Forwarded::new(why)
        };
        self.say(response, done)
    }

    /// Whether another response is stored than the one that was seen.
    fn has_news(&self, key: &Key, seen: Option<&Arc<Entry>>) -> bool {
        match (self.store.get(key, Instant::now()), seen) {
            (Some(Known::Stored(entry)), Some(seen)) => !Arc::ptr_eq(&entry, seen),
            (Some(_), _) => true,
            (None, _) => false,
        }
    }

    /// Asks the upstream, for this request and for those that wait.
    async fn lead(
        &self,
        lead: Lead,
        asked: &Asked,
        req: Request,
        next: Next,
        stale: Option<Arc<Entry>>,
        why: Forward,
    ) -> Response {
        let request = self.request(&req, &asked.lean, stale.as_deref());
        let is_whole = stale.is_none()
            && request.extensions().len() == req.extensions().len()
            && req
                .headers()
                .keys()
                .all(|name| asked.lean.contains_key(name) || OF_CACHES.contains(name));
        let authorized = req.headers().contains_key(header::AUTHORIZATION);
        let fetched = self
            .fetch(lead, request, next.clone(), stale, authorized)
            .await;
        let done = Forwarded::new(why);
        let headers = req.headers();
        match fetched {
            Fetched::Entry(entry, status, stored) if entry.is_for(headers, &asked.lean) => {
                let done = Forwarded {
                    status: (status != entry.status()).then_some(status),
                    stored,
                    ..done
                };
                self.say(entry.answer(headers, Instant::now()), done)
            }
            Fetched::Begun(head, policy, body) if is_for(&policy, headers, &asked.lean) => {
                let mut response = answer(headers, head.status, head.headers, || body);
                response.extensions_mut().extend(head.extensions);
                let stored = true;
                self.say(response, Forwarded { stored, ..done })
            }
            Fetched::Instead(entry, status) => {
                let done = Forwarded {
                    status,
                    detail: Some("stale-if-error"),
                    ..done
                };
                self.say(entry.answer(headers, Instant::now()), done)
            }
            Fetched::Unstored(response, detail) => {
                let detail = Some(detail);
                self.say(response, Forwarded { detail, ..done })
            }
            Fetched::Useless(response, detail) if is_whole => {
                let detail = Some(detail);
                self.say(response, Forwarded { detail, ..done })
            }
            Fetched::Useless(response, detail) => {
                drop(response);
                self.pass(req, next, why, Some(detail)).await
            }
            Fetched::Entry(..) | Fetched::Begun(..) => {
                self.pass(req, next, Forward::Vary, None).await
            }
        }
    }

    /// Asks for a response again, while a client gets the one of before.
    fn refresh(&self, entry: &Arc<Entry>, asked: &Asked, req: &Request, next: &Next) {
        let stamp = self.store.stamp(&asked.key);
        let Some(lead) = self.flights.alone(&asked.key, stamp) else {
            return;
        };
        let mut request = self.request(req, &asked.lean, Some(entry));
        // It belongs to no request of a client.
        request.extensions_mut().remove::<Tally>();
        let authorized = req.headers().contains_key(header::AUTHORIZATION);
        let (cache, next, entry) = (self.clone(), next.clone(), Arc::clone(entry));
        tokio::spawn(timeout(BACKGROUND, async move {
            let fetched = cache.fetch(lead, request, next, Some(Arc::clone(&entry)), authorized);
            match fetched.await {
                Fetched::Begun(_, _, mut body) => while let Some(Ok(_)) = body.frame().await {},
                Fetched::Instead(..) | Fetched::Unstored(..) | Fetched::Useless(..) => {
                    entry.fails(Instant::now());
                }
                Fetched::Entry(..) => {}
            }
        }));
    }

    /// The request that goes to the upstream. All that it has is in the key, or is the same for every client.
    fn request(&self, req: &Request, lean: &HeaderMap, stale: Option<&Entry>) -> Request {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = req.uri().clone();
        *request.headers_mut() = lean.clone();
        if let Some(stale) = stale {
            conditions::revalidate(request.headers_mut(), stale.headers());
        }
        let (from, to) = (req.extensions(), request.extensions_mut());
        if let Some(client) = from.get::<Arc<Client>>() {
            to.insert(Arc::clone(client));
        }
        if let Some(matched) = from.get::<Matched>() {
            to.insert(matched.clone());
        }
        if let Some(tally) = from.get::<Tally>() {
            to.insert(tally.clone());
        }
        if let Some(who) = from.get::<Principal>()
            && !self.options.shared_by_all
        {
            to.insert(who.clone());
        }
        request
    }

    async fn fetch(
        &self,
        lead: Lead,
        request: Request,
        next: Next,
        stale: Option<Arc<Entry>>,
        authorized: bool,
    ) -> Fetched {
        let began = Instant::now();
        let response = next.run(request).await;
        let (now, status) = (Instant::now(), response.status());
        let own = response.extensions().get::<Failure>().is_some();
        if own || matches!(status.as_u16(), 500 | 502 | 503 | 504) {
            if let Some(stale) = stale {
                stale.fails(now);
                lead.end(End::Failed);
                if stale.serves_if_error(now) {
                    return Fetched::Instead(stale, (!own).then_some(status));
                }
                return if own {
                    Fetched::Unstored(response, "error")
                } else {
                    Fetched::Useless(response, "error")
                };
            }
            if own {
                lead.end(End::Failed);
                return Fetched::Unstored(response, "error");
            }
        }
        if status == StatusCode::NOT_MODIFIED {
            return self.not_modified(lead, response, stale, authorized, began);
        }
        let defaults = self.options.defaults;
        let judged = judge(
            status,
            response.headers(),
            authorized,
            defaults,
            SystemTime::now(),
        );
        let policy = match judged {
            Ok(policy) => policy,
            Err(why) => {
                self.store.mark(lead.key(), now);
                lead.end(End::Passes);
                return Fetched::Useless(response, why);
            }
        };
        self.begin(lead, response, policy, began)
    }

    /// The stored response, with the fields of a `304`.
    fn not_modified(
        &self,
        lead: Lead,
        response: Response,
        stale: Option<Arc<Entry>>,
        authorized: bool,
        began: Instant,
    ) -> Fetched {
        let refreshed = stale.and_then(|stale| {
            if !conditions::is_about(response.headers(), stale.headers()) {
                return None;
            }
            let mut headers = stale.updated(response.headers());
            // The response is as old as the answer that confirms it.
            if !response.headers().contains_key(header::DATE) {
                headers.remove(header::DATE);
            }
            dated(&mut headers);
            let (defaults, now) = (self.options.defaults, SystemTime::now());
            let policy = judge(stale.status(), &headers, authorized, defaults, now).ok()?;
            Some(Entry::new(
                stale.status(),
                &headers,
                stale.body(),
                policy,
                began,
            ))
        });
        let Some(entry) = refreshed else {
            self.store.forget(lead.key());
            lead.end(End::Passes);
            return Fetched::Useless(response, "not-modified");
        };
        let entry = Arc::new(entry);
        let stored = self
            .store
            .store(lead.key(), Arc::clone(&entry), lead.stamp());
        lead.end(End::Stored(Arc::clone(&entry)));
        Fetched::Entry(entry, StatusCode::NOT_MODIFIED, stored)
    }

    /// Begins to store a response.
    fn begin(&self, lead: Lead, response: Response, policy: Policy, began: Instant) -> Fetched {
        let largest = self.options.largest;
        if response.body().size_hint().lower() > largest as u64 {
            self.store.mark(lead.key(), Instant::now());
            lead.end(End::Passes);
            return Fetched::Unstored(response, "too-large");
        }
        let (mut head, body) = response.into_parts();
        dated(&mut head.headers);
        let (body, whole) = collect(body, largest, self.store.hold());
        let (status, headers, own) = (head.status, head.headers.clone(), policy.clone());
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            match whole.await {
                Ok(bytes) => {
                    let entry = Entry::new(status, &headers, bytes, own, began);
                    let entry = Arc::new(entry);
                    store.store(lead.key(), Arc::clone(&entry), lead.stamp());
                    lead.end(End::Stored(entry));
                }
                Err(why) => {
                    if why == collect::Why::Unfit {
                        store.mark(lead.key(), Instant::now());
                    }
                    lead.end(End::Passes);
                }
            }
        });
        let age = policy.age(began.elapsed()).as_secs();
        head.headers.insert(header::AGE, HeaderValue::from(age));
        Fetched::Begun(Box::new(head), policy, body)
    }
}

/// Says when a response came, if it does not (RFC 9110, 6.6.1).
fn dated(headers: &mut HeaderMap) {
    if !headers.contains_key(header::DATE)
        && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now()))
    {
        headers.insert(header::DATE, date);
    }
}
