//! Fetching against an issuer that is slow, down and lying, in virtual time.
#![cfg(feature = "testing")]

use http::{HeaderValue, StatusCode, header};

use super::*;
use crate::{
    auth::{
        Authenticate as _, Verdict,
        cases::Case,
        jwt::{Audience, Jwt},
    },
    body::Body,
    error::Failure,
    handler::{IntoResponse as _, Request},
    middleware::IntoLayer as _,
    testing::Issuer,
};

#[path = "../../forged.rs"]
mod forged;

const SECOND: Duration = Duration::from_secs(1);
const URL: &str = "https://id.test/";

fn jwt(issuer: &Issuer) -> Jwt<Audience> {
    Jwt::issuer(issuer.url())
        .fetch_by(issuer.clone())
        .audience("shop")
}

fn token(issuer: &Issuer) -> String {
    issuer
        .token("ada")
        .audience("shop")
        .expires_in(1 << 31)
        .sign()
}

/// 200, or the status of the refusal with its `Retry-After`.
async fn judge(auth: &Jwt, token: &str) -> (u16, Option<u64>) {
    let mut req = Request::new(Body::empty());
    let value = HeaderValue::try_from(format!("Bearer {token}")).expect("a token is a value");
    req.headers_mut().insert(header::AUTHORIZATION, value);
    let (mut parts, _) = req.into_parts();
    match auth.authenticate(&mut parts).await {
        Verdict::Admitted(_) => (200, None),
        Verdict::Absent => (0, None),
        Verdict::Refused(denied) => {
            let unavailable = denied.failure() == Failure::AuthUnavailable;
            let response = denied.response(false);
            let after = response
                .headers()
                .get(header::RETRY_AFTER)
                .filter(|_| unavailable);
            let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
            (response.status().as_u16(), after)
        }
    }
}

/// An issuer whose keys were fetched, and a token that counts.
async fn fetched() -> (Issuer, Jwt, String) {
    let issuer = Issuer::new(URL);
    let auth = jwt(&issuer);
    let good = token(&issuer);
    assert_eq!(judge(&auth, &good).await.0, 200);
    (issuer, auth, good)
}

/// Waits until the state of virtual time is as it should be.
async fn until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never came about: {what}");
}

/// The work that the gateway owns.
struct Running(tokio::task::JoinHandle<()>, About);

impl Running {
    fn start(auth: &Jwt) -> Self {
        let about = auth.clone().into_layer().about();
        assert!(about.problems().is_empty(), "{:?}", about.problems());
        let [task] = about.tasks() else {
            unreachable!("it has one task")
        };
        Self(tokio::spawn(task.begin()), about)
    }

    fn is_ready(&self) -> bool {
        self.1
            .questions()
            .iter()
            .all(crate::middleware::Ready::is_ready)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_by_the_first_token_and_then_kept() {
    let issuer = Issuer::new(URL);
    let auth = jwt(&issuer);
    for _ in 0..5 {
        assert_eq!(judge(&auth, &token(&issuer)).await.0, 200);
    }
    assert_eq!((issuer.discoveries(), issuer.fetches()), (1, 1));
    let counts = auth.key_fetches();
    assert_eq!((counts.fetched, counts.changed, counts.failed), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_again_in_the_background_and_by_the_request_that_finds_them_old() {
    let issuer = Issuer::new(URL);
    issuer.max_age(SECOND * 600);
    // Nobody but requests here.
    let auth = jwt(&issuer);
    assert_eq!(judge(&auth, &token(&issuer)).await.0, 200);
    tokio::time::sleep(SECOND * 539).await;
    assert_eq!(judge(&auth, &token(&issuer)).await.0, 200);
    assert_eq!(issuer.fetches(), 1);
    tokio::time::sleep(SECOND * 122).await;
    // The old keys are used meanwhile.
    assert_eq!(judge(&auth, &token(&issuer)).await.0, 200);
    until("the second fetch", || issuer.fetches() == 2).await;
    // The task alone.
    let other = Issuer::new(URL);
    let auth = jwt(&other);
    let running = Running::start(&auth);
    assert!(!running.is_ready());
    until("the first keys", || running.is_ready()).await;
    let mut before = tokio::time::Instant::now();
    for number in 2..5 {
        until("another fetch", || other.fetches() == number).await;
        let passed = before.elapsed();
        assert!(passed > SECOND * 265 && passed < SECOND * 335, "{passed:?}");
        before = tokio::time::Instant::now();
    }
    // The document of the issuer was asked for again as well.
    assert!(other.discoveries() > 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_fetched_once_for_all_that_wait_and_drops_the_tokens_of_the_old_one() {
    let (issuer, auth, old) = fetched().await;
    issuer.rotate();
    let new = token(&issuer);
    issuer.slow(SECOND);
    let all: Vec<_> = (0..50)
        .map(|_| {
            let (auth, new) = (auth.clone(), new.clone());
            tokio::spawn(async move { judge(&auth, &new).await.0 })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), 200);
    }
    assert_eq!(issuer.fetches(), 2);
    assert_eq!(auth.key_fetches().for_unknown_key, 1);
    // It was verified before, and its key is not there any more.
    assert_eq!(judge(&auth, &old).await.0, 401);
}

#[tokio::test(start_paused = true)]
async fn keys_that_stay_leave_the_tokens_that_they_have_verified() {
    let issuer = Issuer::new(URL);
    let auth = jwt(&issuer);
    assert_eq!(judge(&auth, &token(&issuer)).await.0, 200);
    assert_eq!(auth.inner.kept.len(), 1);
    tokio::time::sleep(SECOND * 400).await;
    assert_eq!(judge(&auth, "x").await.0, 401);
    until("the second fetch", || auth.key_fetches().fetched == 2).await;
    assert_eq!((auth.key_fetches().changed, auth.inner.kept.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn made_up_keys_lead_to_one_fetch_in_ten_seconds() {
    let (issuer, auth, good) = fetched().await;
    let mut number = 0;
    let mut flood = async |auth: &Jwt| {
        for _ in 0..200 {
            number += 1;
            let header = format!(r#"{{"alg":"ES256","kid":"made-up-{number}"}}"#);
            assert_eq!(judge(auth, &issuer.sign(&header, "{}")).await, (401, None));
        }
    };
    flood(&auth).await;
    assert_eq!(issuer.fetches(), 2);
    tokio::time::sleep(SECOND * 9).await;
    flood(&auth).await;
    assert_eq!(issuer.fetches(), 2);
    tokio::time::sleep(SECOND * 2).await;
    flood(&auth).await;
    assert_eq!(issuer.fetches(), 3);
    // These name no key that could be fetched.
    tokio::time::sleep(SECOND * 11).await;
    for header in [
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"HS256","kid":"x"}"#,
        r#"{"alg":"none","kid":"x"}"#,
        r#"{"alg":"ES256","kid":7}"#,
        "x",
    ] {
        assert_eq!(judge(&auth, &issuer.sign(header, "{}")).await.0, 401);
    }
    assert_eq!(issuer.fetches(), 3);
    assert_eq!(judge(&auth, &good).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_at_the_start_is_waited_for_and_no_token_waits_long() {
    let issuer = Issuer::new(URL);
    issuer.down();
    let auth = jwt(&issuer);
    let good = token(&issuer);
    let began = Instant::now();
    // The first begins the fetch, which fails at once. During the pause, of a second or a tenth more, nothing is asked.
    for _ in 0..3 {
        assert!(matches!(judge(&auth, &good).await, (503, Some(1 | 2))));
    }
    assert_eq!(issuer.discoveries(), 1);
    assert!(began.elapsed() < SECOND);
    // One that hangs.
    issuer.up();
    issuer.slow(SECOND * 3600);
    tokio::time::sleep(SECOND * 2).await;
    let began = Instant::now();
    assert_eq!(judge(&auth, &good).await, (503, Some(1)));
    assert_eq!(began.elapsed(), PATIENCE);
    tokio::time::sleep(SECOND * 4).await;
    assert_eq!(auth.key_fetches().failed, 2);
    issuer.slow(Duration::ZERO);
    tokio::time::sleep(SECOND * 4).await;
    assert_eq!(judge(&auth, &good).await.0, 200);
    let counts = auth.key_fetches();
    assert_eq!((counts.fetched, counts.failed), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn the_gateway_is_not_ready_before_the_first_keys_and_stays_ready_afterwards() {
    let issuer = Issuer::new(URL);
    issuer.down();
    let auth = jwt(&issuer);
    let running = Running::start(&auth);
    until("some failures", || auth.key_fetches().failed >= 5).await;
    assert!(!running.is_ready());
    assert!(running.1.questions()[0].name.contains(URL));
    issuer.up();
    until("the first keys", || running.is_ready()).await;
    issuer.down();
    until("more failures", || auth.key_fetches().failed >= 9).await;
    assert!(running.is_ready());
}

#[tokio::test(start_paused = true)]
async fn old_keys_hold_while_the_issuer_is_down_and_not_for_ever() {
    let (issuer, auth, good) = fetched().await;
    let _running = Running::start(&auth);
    issuer.down();
    tokio::time::sleep(SECOND * 3600 * 23).await;
    assert_eq!(judge(&auth, &good).await.0, 200);
    // Tries come once a minute.
    let failed = auth.key_fetches().failed;
    assert!((1300..1700).contains(&failed), "{failed}");
    // Of a key that is not known nobody can tell now, and it does not lead to more tries.
    let other = issuer.sign(r#"{"alg":"ES256","kid":"other"}"#, "{}");
    let (status, after) = judge(&auth, &other).await;
    assert_eq!(status, 503);
    assert!(after.is_some_and(|after| (1..=60).contains(&after)));
    tokio::time::sleep(SECOND * 3600 * 2).await;
    assert_eq!(judge(&auth, &good).await.0, 503);
    issuer.up();
    tokio::time::sleep(SECOND * 61).await;
    assert_eq!(judge(&auth, &good).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn how_long_old_keys_hold_can_be_said() {
    let issuer = Issuer::new(URL);
    let auth = jwt(&issuer).max_stale(SECOND * 600);
    let good = token(&issuer);
    assert_eq!(judge(&auth, &good).await.0, 200);
    issuer.down();
    tokio::time::sleep(SECOND * 599).await;
    assert_eq!(judge(&auth, &good).await.0, 200);
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(judge(&auth, &good).await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn a_broken_answer_changes_nothing() {
    let (issuer, auth, good) = fetched().await;
    let _running = Running::start(&auth);
    let stranger = Issuer::new(URL);
    let redirect = || {
        let mut response = StatusCode::FOUND.into_response();
        let to = HeaderValue::from_static("https://id.test/elsewhere");
        response.headers_mut().insert(header::LOCATION, to);
        response
    };
    let secret = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U"}]}"#;
    let many = vec![r#"{"kty":"EC"}"#; 101].join(",");
    let large = format!("{}{}", issuer.key_set(), " ".repeat(256 * 1024));
    let texts = [
        "{}".to_owned(),
        r#"{"keys":[]}"#.to_owned(),
        secret.to_owned(),
        format!(r#"{{"keys":[{many}]}}"#),
        large,
        "<html>".to_owned(),
    ];
    for lie in [None].into_iter().chain(texts.map(Some)) {
        let shown = lie.as_deref().unwrap_or("a redirect");
        let shown = shown[..shown.len().min(99)].to_owned();
        issuer.instead(move |req| {
            let answer = || match &lie {
                None => redirect(),
                Some(text) => text.clone().into_response(),
            };
            (req.uri().path() == "/jwks.json").then(answer)
        });
        let before = auth.key_fetches();
        until("a failure", || auth.key_fetches().failed > before.failed).await;
        assert_eq!(auth.key_fetches().fetched, before.fetched, "{shown}");
        assert_eq!(judge(&auth, &good).await.0, 200, "{shown}");
        assert_ne!(judge(&auth, &token(&stranger)).await.0, 200, "{shown}");
        issuer.honest();
        until("a success", || auth.key_fetches().fetched > before.fetched).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_of_somebody_else_changes_nothing() {
    let (issuer, auth, good) = fetched().await;
    let _running = Running::start(&auth);
    let stranger = Issuer::new(URL);
    let keys = stranger.key_set();
    issuer.instead(move |req| match req.uri().path() {
        "/evil.json" => Some(keys.clone().into_response()),
        "/.well-known/openid-configuration" => Some(
            r#"{"issuer":"https://id.test","jwks_uri":"https://id.test/evil.json"}"#
                .into_response(),
        ),
        _ => None,
    });
    until("failures", || auth.key_fetches().failed > 3).await;
    assert_eq!(judge(&auth, &good).await.0, 200);
    assert_ne!(judge(&auth, &token(&stranger)).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_of_oauth_is_found_where_rfc_8414_puts_it() {
    let issuer = Issuer::new("https://id.test/tenant");
    issuer.instead(|req| match req.uri().path() {
        "/tenant/.well-known/openid-configuration" => Some(StatusCode::NOT_FOUND.into_response()),
        "/.well-known/oauth-authorization-server/tenant" => Some(
            r#"{"issuer":"https://id.test/tenant","jwks_uri":"https://id.test/tenant/jwks.json"}"#
                .into_response(),
        ),
        _ => None,
    });
    let auth = jwt(&issuer);
    assert_eq!(judge(&auth, &token(&issuer)).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_goes_on_when_the_client_leaves_that_has_begun_it() {
    let issuer = Issuer::new(URL);
    issuer.slow(SECOND);
    let auth = jwt(&issuer);
    let good = token(&issuer);
    let leaves = tokio::time::timeout(SECOND / 2, judge(&auth, &good)).await;
    assert!(leaves.is_err());
    tokio::time::sleep(SECOND * 3).await;
    assert_eq!(auth.key_fetches().fetched, 1);
    assert_eq!(judge(&auth, &good).await.0, 200);
}

#[test]
fn a_fetch_whose_runtime_has_ended_is_made_again() {
    let issuer = Issuer::new(URL);
    issuer.slow(Duration::from_hours(1));
    let auth = jwt(&issuer);
    let good = token(&issuer);
    let run = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let first = run();
    first.block_on(async {
        let asked = tokio::time::timeout(Duration::from_millis(1), judge(&auth, &good)).await;
        assert!(asked.is_err());
    });
    drop(first);
    assert_eq!(auth.key_fetches().failed, 1);
    issuer.slow(Duration::ZERO);
    let wait = async {
        while judge(&auth, &good).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    run().block_on(wait);
}

#[test]
fn urls_and_options_that_cannot_be_are_problems() {
    let problems = |auth: Jwt| auth.into_layer().about().problems().to_vec();
    let (http, any) = ("http://id.test/", |auth: Jwt<_>| auth.any_audience());
    assert_eq!(problems(any(Jwt::issuer(http).allow_http())).len(), 0);
    assert_eq!(problems(any(Jwt::jwks("http://127.0.0.1:9/k"))).len(), 0);
    for wrong in [
        any(Jwt::issuer(http)),
        any(Jwt::issuer("id.test")),
        any(Jwt::issuer("https://id.test/?a=b")),
        any(Jwt::jwks("https://")),
        any(Jwt::jwks("https://id.test:0/")),
        any(Jwt::jwks("https://id.test/").fetch_by("ftp://x")),
        any(Jwt::secret("0123456789abcdef0123456789abcdef".parse().unwrap()).allow_http()),
        any(Jwt::secret("0123456789abcdef0123456789abcdef".parse().unwrap()).max_stale(SECOND)),
    ] {
        let problems = problems(wrong.clone());
        assert_eq!(problems.len(), 1, "{wrong:?}: {problems:?}");
        assert!(problems[0].starts_with("`Jwt::"), "{problems:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_judged_as_the_table_says() {
    const NOW: i64 = 1_900_000_000;
    let (issuer, stranger) = (Issuer::new(URL), Issuer::new(URL));
    let cases = Case::all(include_str!("../../../../../tests/data/tokens.txt"));
    assert!(cases.len() > 80);
    let auth = jwt(&issuer);
    for case in &cases {
        let token = forged::token(case, &issuer, &stranger, NOW);
        let mut req = Request::new(Body::empty());
        let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        req.headers_mut().insert(header::AUTHORIZATION, value);
        #[expect(clippy::cast_precision_loss, reason = "it is far below 2^53")]
        let judged = auth.inner.judge(&mut req.into_parts().0, NOW as f64).await;
        let status = match judged {
            Ok(Some(_)) => "200".to_owned(),
            Ok(None) => "none".to_owned(),
            Err(denied) => denied.response(false).status().as_str().to_owned(),
        };
        assert_eq!(Some(&*status), case.get("status"), "{case:?}");
    }
}
