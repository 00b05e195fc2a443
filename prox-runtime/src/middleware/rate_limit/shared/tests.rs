use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use http::HeaderValue;
use tokio::time::{Instant, advance};

use super::*;
use crate::{
    body::Body,
    error::{BoxError, Failure},
    handler::{BoxHandler, Request, Response, handler},
    limits::{Answer, StoreGuard},
    middleware::{IntoLayer, Layer},
    route::query,
};

/// A store in memory that goes by virtual time, and may be down.
#[derive(Clone)]
struct Memory(Arc<Inner>);

struct Inner {
    texts: Mutex<HashMap<String, String>>,
    begun: Instant,
    asked: AtomicUsize,
    down: AtomicBool,
    guard: StoreGuard,
}

/// The first of January 2027.
const BEGUN: u64 = 1_798_761_600;

impl Memory {
    fn new() -> Self {
        Self(Arc::new(Inner {
            texts: Mutex::default(),
            begun: Instant::now(),
            asked: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            guard: StoreGuard::new(),
        }))
    }

    fn asked(&self) -> usize {
        self.0.asked.load(SeqCst)
    }
}

impl LimitStore for Memory {
    async fn ask(&self, ask: &Ask) -> Result<Answer, BoxError> {
        self.0.asked.fetch_add(1, SeqCst);
        if self.0.down.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        let now = UNIX_EPOCH + Duration::from_secs(BEGUN) + self.0.begun.elapsed();
        let mut texts = self.0.texts.lock().unwrap();
        let decision = ask.decide(now, texts.get(ask.key()).map(String::as_str));
        if let Some((text, _)) = decision.write {
            texts.insert(ask.key().to_owned(), text);
        }
        Ok(decision.answer)
    }

    fn guard(&self) -> &StoreGuard {
        &self.0.guard
    }
}

fn before(layer: &Layer) -> BoxHandler {
    layer.wrap(BoxHandler::new(handler(|_| async {
        let mut response = Response::new(Body::empty());
        let cost = HeaderValue::from_static("3");
        response.headers_mut().insert("x-cost", cost);
        response
    })))
}

async fn ask(target: &BoxHandler, uri: &str) -> Response {
    let mut req = Request::new(Body::empty());
    *req.uri_mut() = uri.parse().unwrap();
    target.call(req).await
}

async fn status(target: &BoxHandler, uri: &str) -> u16 {
    ask(target, uri).await.status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn gateways_with_one_store_and_one_name_have_one_limit() {
    let store = Memory::new();
    let gateway = |name: &str| {
        let limit = RateLimit::per_minute(3).by(query("key")).name(name);
        before(&limit.shared(&store, WhenDown::Deny).into_layer())
    };
    let (one, other, third) = (gateway("api"), gateway("api"), gateway("other"));
    assert_eq!(status(&one, "/?key=a").await, 200);
    assert_eq!(status(&other, "/?key=a").await, 200);
    let last = ask(&one, "/?key=a").await;
    assert_eq!(last.headers()["ratelimit-policy"], "\"api\";q=3;w=60");
    assert_eq!(last.headers()["ratelimit"], "\"api\";r=0;t=20");
    let refused = ask(&other, "/?key=a").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "20");
    assert_eq!(status(&other, "/?key=b").await, 200);
    assert_eq!(status(&third, "/?key=a").await, 200);
    let texts = store.0.texts.lock().unwrap();
    let mut keys: Vec<_> = texts
        .keys()
        .map(|key| (key.len(), key.starts_with("prox:{")))
        .collect();
    keys.sort_unstable();
    // 32 digits of a hash behind the name.
    assert_eq!(keys, [(43, true), (43, true), (45, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_not_asked_for_until_it_may_return() {
    let store = Memory::new();
    let limit = RateLimit::per_minute(6)
        .burst(1)
        .name("api")
        .shared(&store, WhenDown::Deny);
    let target = before(&limit.into_layer());
    assert_eq!(status(&target, "/").await, 200);
    for seconds in 0..9 {
        let refused = ask(&target, "/").await;
        assert_eq!(refused.status(), 429);
        assert_eq!(
            refused.headers()["retry-after"],
            &*(10 - seconds).to_string()
        );
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(store.asked(), 2);
    advance(Duration::from_secs(1)).await;
    assert_eq!(status(&target, "/").await, 200);
    assert_eq!(store.asked(), 3);
    // A long wait is asked about once in 10 s, because the store may know better.
    let limit = RateLimit::per_hour(1)
        .name("hour")
        .shared(&store, WhenDown::Deny);
    let target = before(&limit.into_layer());
    assert_eq!(status(&target, "/").await, 200);
    for _ in 0..30 {
        assert_eq!(status(&target, "/").await, 429);
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(store.asked(), 3 + 1 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_does_what_the_user_has_said_and_holds_up_nothing() {
    for (when, statuses) in [
        (WhenDown::Allow, [200, 200, 200, 200]),
        (WhenDown::Deny, [503, 503, 503, 503]),
        (WhenDown::Local, [200, 200, 429, 429]),
    ] {
        let store = Memory::new();
        let limit = RateLimit::per_hour(2).name("api").shared(&store, when);
        let target = before(&limit.into_layer());
        store.0.down.store(true, SeqCst);
        for expected in statuses {
            let start = Instant::now();
            let response = ask(&target, "/").await;
            assert_eq!(response.status(), expected, "{when:?}");
            assert_eq!(start.elapsed(), Duration::from_millis(50), "{when:?}");
            let failure = response.extensions().get().copied();
            match expected {
                503 => {
                    assert_eq!(failure, Some(Failure::LimitUnavailable));
                    assert_eq!(response.headers()["retry-after"], "1");
                }
                429 => assert_eq!(failure, Some(Failure::RateLimited)),
                _ => assert_eq!(failure, None),
            }
            let told = response.headers().contains_key("ratelimit");
            assert_eq!(told, when == WhenDown::Local, "{when:?}");
        }
        // It is back, and is asked again.
        store.0.down.store(false, SeqCst);
        let start = Instant::now();
        let answer = loop {
            advance(Duration::from_millis(100)).await;
            let answer = ask(&target, "/").await;
            if answer.status() == 200 && answer.headers().contains_key("ratelimit") {
                break answer;
            }
        };
        assert!(start.elapsed() <= Duration::from_millis(1100));
        assert_eq!(answer.headers()["ratelimit"], "\"api\";r=1;t=1800");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_response_tells_is_charged_in_the_store() {
    let store = Memory::new();
    let limit = || RateLimit::per_minute(6).name("api").charge_header("x-cost");
    let [one, other] =
        [(), ()].map(|()| before(&limit().shared(&store, WhenDown::Deny).into_layer()));
    assert_eq!(
        ask(&one, "/").await.headers()["ratelimit"],
        "\"api\";r=2;t=10"
    );
    assert_eq!(
        ask(&other, "/").await.headers()["ratelimit"],
        "\"api\";r=0;t=30"
    );
    assert_eq!(status(&one, "/").await, 429);
}

#[tokio::test(start_paused = true)]
async fn a_quota_of_the_calendar_is_full_again_at_its_end() {
    let store = Memory::new();
    let limit = RateLimit::per_month(2)
        .name("quota")
        .shared(&store, WhenDown::Deny)
        .calendar();
    let target = before(&limit.into_layer());
    let month = 31 * 86_400;
    let first = ask(&target, "/").await;
    assert_eq!(
        first.headers()["ratelimit"],
        &*format!("\"quota\";r=1;t={month}")
    );
    assert_eq!(status(&target, "/").await, 200);
    advance(Duration::from_secs(month - 1)).await;
    let refused = ask(&target, "/").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    advance(Duration::from_secs(1)).await;
    assert_eq!(status(&target, "/").await, 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_shared_limit_is_said_at_start() {
    let store = Memory::new();
    let named = |rate: Rate| {
        RateLimit::new(rate)
            .name("api")
            .shared(&store, WhenDown::Deny)
    };
    for (layer, said) in [
        (named(Rate::per_second(5)).into_layer(), ""),
        (named(Rate::per_day(5)).calendar().into_layer(), ""),
        (
            named(Rate::per_second(5)).calendar().into_layer(),
            "`.calendar()` is about days and months",
        ),
        (
            named(Rate::per_day(5).burst(2)).calendar().into_layer(),
            "has no burst: remove it",
        ),
        (
            RateLimit::per_second(5)
                .shared(&store, WhenDown::Allow)
                .into_layer(),
            "a shared limit needs a name",
        ),
    ] {
        let about = layer.about();
        match about.problems() {
            [] => assert_eq!(said, ""),
            [only] => assert!(!said.is_empty() && only.contains(said), "{only}"),
            more => panic!("{more:?}"),
        }
    }
}

#[test]
fn refused_keys_that_a_client_chooses_take_no_more_room_than_there_is() {
    let refused = Refused::default();
    let slots = Slots::new(1);
    for number in 0..100_000 {
        refused.remember(Key::Of([number, number]), 5, slots, 10);
    }
    assert_eq!(refused.0.local().len(), MOST_REFUSED);
    refused.remember(Key::Everyone, 10, slots, 20);
    assert_eq!(refused.0.local().len(), 1);
}
