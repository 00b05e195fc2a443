//! What a token is worth by the answers of an issuer, in virtual time.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use http::StatusCode;

use super::*;
use crate::{
    handler::{Handler, IntoResponse as _, Response},
    middleware::{Declares, IntoLayer as _, Role, role},
    sync::lock,
};

const SECOND: Duration = Duration::from_secs(1);

/// An issuer that answers what it is told, and takes a second for it.
#[derive(Clone, Default)]
struct Issuer(Arc<State>);

#[derive(Default)]
struct State {
    answer: Mutex<String>,
    asked: Mutex<Vec<String>>,
    count: AtomicUsize,
    down: AtomicBool,
}

impl Issuer {
    fn says(answer: &str) -> Self {
        let issuer = Self::default();
        answer.clone_into(&mut lock(&issuer.0.answer));
        issuer
    }

    fn now_says(&self, answer: &str) {
        answer.clone_into(&mut lock(&self.0.answer));
    }

    fn count(&self) -> usize {
        self.0.count.load(SeqCst)
    }

    fn auth(&self) -> Introspect<NoAudience> {
        Introspect::new(self.clone())
    }
}

impl Handler for Issuer {
    async fn call(&self, req: Request) -> Response {
        self.0.count.fetch_add(1, SeqCst);
        let (head, body) = req.into_parts();
        let body = body.bytes(99_999).await.unwrap();
        let field = |name: &str| {
            head.headers
                .get(name)
                .map_or("-", |value| value.to_str().unwrap())
        };
        lock(&self.0.asked).push(format!(
            "{} {} {} {} {}",
            head.method,
            head.uri,
            field("content-type"),
            field("authorization"),
            String::from_utf8_lossy(&body)
        ));
        tokio::time::sleep(SECOND).await;
        if self.0.down.load(SeqCst) {
            return Failure::Connect.into_response();
        }
        let answer = lock(&self.0.answer).clone();
        match answer.strip_prefix("status ") {
            Some(status) => StatusCode::from_bytes(status.as_bytes())
                .unwrap()
                .into_response(),
            None => answer.into_response(),
        }
    }
}

/// The subject, or the status of the refusal.
async fn judge(auth: &Introspect, token: &str) -> Result<String, u16> {
    let mut req = Request::new(Body::empty());
    let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    req.headers_mut().insert(header::AUTHORIZATION, value);
    let (mut parts, _) = req.into_parts();
    match auth.authenticate(&mut parts).await {
        Verdict::Admitted(who) => Ok(who.subject().to_owned()),
        Verdict::Absent => Err(0),
        Verdict::Refused(denied) => Err(denied.response(false).status().as_u16()),
    }
}

/// The verdicts on 20 requests at once.
async fn judge_at_once(auth: &Introspect) -> Vec<Result<String, u16>> {
    let all: Vec<_> = (0..20)
        .map(|_| {
            let auth = auth.clone();
            tokio::spawn(async move { judge(&auth, "t").await })
        })
        .collect();
    let mut verdicts = Vec::new();
    for one in all {
        verdicts.push(one.await.unwrap());
    }
    verdicts
}

#[tokio::test(start_paused = true)]
async fn the_question_is_that_of_the_rfc() {
    let issuer = Issuer::says(r#"{"active":true,"sub":"ada"}"#);
    let secret: Secret = "p%ss word:ä".parse().unwrap();
    let auth = issuer
        .auth()
        .uri("/oauth2/introspect?tenant=a")
        .client("the shop", secret)
        .any_audience();
    assert_eq!(judge(&auth, "a+b/c~d==").await.unwrap(), "ada");
    let basic = STANDARD.encode("the+shop:p%25ss+word%3A%C3%A4");
    assert_eq!(
        *lock(&issuer.0.asked),
        [format!(
            "POST /oauth2/introspect?tenant=a application/x-www-form-urlencoded Basic {basic} \
             token=a%2Bb%2Fc%7Ed%3D%3D&token_type_hint=access_token"
        )]
    );
    assert!(!format!("{auth:?}").contains("p%ss"));
}

#[tokio::test(start_paused = true)]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn an_answer_is_judged_as_the_table_says() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let (ago, soon) = (now - 120, now + 120);
    for (answer, wanted) in [
        (
            r#"{"active":true,"sub":"ada","aud":"shop"}"#.to_owned(),
            Ok("ada"),
        ),
        (
            r#"{"active":true,"sub":"ada","aud":["stock","shop"]}"#.into(),
            Ok("ada"),
        ),
        (
            r#"{"active":true,"client_id":"robot","aud":"shop"}"#.into(),
            Ok("robot"),
        ),
        (
            r#"{"active":true,"username":"ada","aud":"shop"}"#.into(),
            Ok("ada"),
        ),
        (
            r#"{"active":true,"sub":"a","username":"b","aud":"shop"}"#.into(),
            Ok("a"),
        ),
        (
            format!(
                r#"{{"active":true,"sub":"ada","aud":"shop","exp":{soon},"nbf":{ago},"iat":{ago}}}"#
            ),
            Ok("ada"),
        ),
        (r#"{"active":false}"#.into(), Err(401)),
        (
            r#"{"active":false,"sub":"ada","aud":"shop"}"#.into(),
            Err(401),
        ),
        (r#"{"active":true,"aud":"shop"}"#.into(), Err(401)),
        (r#"{"active":true,"sub":"","aud":"shop"}"#.into(), Err(401)),
        (r#"{"active":true,"sub":7,"aud":"shop"}"#.into(), Err(401)),
        (r#"{"active":true,"sub":"ada"}"#.into(), Err(401)),
        (
            r#"{"active":true,"sub":"ada","aud":"Shop"}"#.into(),
            Err(401),
        ),
        (
            r#"{"active":true,"sub":"ada","aud":"shop2"}"#.into(),
            Err(401),
        ),
        (
            format!(r#"{{"active":true,"sub":"ada","aud":"shop","exp":{ago}}}"#),
            Err(401),
        ),
        (
            format!(r#"{{"active":true,"sub":"ada","aud":"shop","nbf":{soon}}}"#),
            Err(401),
        ),
        (
            format!(r#"{{"active":true,"sub":"ada","aud":"shop","iat":{soon}}}"#),
            Err(401),
        ),
        (
            r#"{"active":true,"sub":"ada","aud":"shop","exp":"2030"}"#.into(),
            Err(401),
        ),
        (
            r#"{"active":true,"sub":"ada","aud":"shop","exp":-1}"#.into(),
            Err(401),
        ),
        // The issuer does not do what it should.
        (
            r#"{"active":"true","sub":"ada","aud":"shop"}"#.into(),
            Err(503),
        ),
        (r#"{"active":1,"sub":"ada","aud":"shop"}"#.into(), Err(503)),
        (r#"{"sub":"ada","aud":"shop"}"#.into(), Err(503)),
        (
            r#"{"active":false,"active":true,"sub":"ada","aud":"shop"}"#.into(),
            Err(503),
        ),
        (
            r#"[{"active":true,"sub":"ada","aud":"shop"}]"#.into(),
            Err(503),
        ),
        ("<html>".into(), Err(503)),
        (String::new(), Err(503)),
        (
            format!(
                r#"{{"active":true,"sub":"ada","aud":"shop"}}{}"#,
                " ".repeat(LARGEST)
            ),
            Err(503),
        ),
        ("status 401".into(), Err(503)),
        ("status 302".into(), Err(503)),
        ("status 500".into(), Err(503)),
        ("status 204".into(), Err(503)),
    ] {
        let auth = Issuer::says(&answer).auth().audience("shop");
        let shown = answer.get(..answer.len().min(99)).unwrap_or_default();
        assert_eq!(
            judge(&auth, "t").await.as_deref().map_err(|status| *status),
            wanted,
            "{shown}"
        );
    }
    let answer = r#"{"active":true,"sub":"ada","aud":"x","iss":"https://id.test/"}"#;
    let of = |issuer: &str| Issuer::says(answer).auth().issued_by(issuer).any_audience();
    assert_eq!(judge(&of("https://id.test/"), "t").await.unwrap(), "ada");
    assert_eq!(judge(&of("https://id.test"), "t").await, Err(401));
}

#[tokio::test(start_paused = true)]
async fn one_question_serves_all_that_wait_and_the_answer_is_kept_for_a_while() {
    let issuer = Issuer::says(r#"{"active":true,"sub":"ada"}"#);
    let auth = issuer.auth().any_audience();
    assert_eq!(judge_at_once(&auth).await, vec![Ok("ada".to_owned()); 20]);
    assert_eq!(issuer.count(), 1);
    tokio::time::sleep(SECOND * 28).await;
    assert!(judge(&auth, "t").await.is_ok());
    assert_eq!(issuer.count(), 1);
    // Revoked, which is found out at the end of the 30 s.
    issuer.now_says(r#"{"active":false}"#);
    tokio::time::sleep(SECOND * 3).await;
    assert_eq!(judge(&auth, "t").await, Err(401));
    assert_eq!(issuer.count(), 2);
    issuer.now_says(r#"{"active":true,"sub":"ada"}"#);
    tokio::time::sleep(SECOND * 9).await;
    assert_eq!(judge(&auth, "t").await, Err(401));
    tokio::time::sleep(SECOND * 2).await;
    assert!(judge(&auth, "t").await.is_ok());
    assert_eq!(issuer.count(), 3);
    assert!(auth.inner.kept.is_quiet());
    let never = issuer.auth().cache(Duration::ZERO).any_audience();
    for count in [4, 5] {
        assert!(judge(&never, "t").await.is_ok());
        assert_eq!(issuer.count(), count);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_one_for_all_that_wait_and_is_not_kept() {
    let issuer = Issuer::says(r#"{"active":true,"sub":"ada"}"#);
    issuer.0.down.store(true, SeqCst);
    let auth = issuer.auth().any_audience();
    let began = tokio::time::Instant::now();
    assert_eq!(judge_at_once(&auth).await, vec![Err(503); 20]);
    assert_eq!((issuer.count(), began.elapsed()), (1, SECOND));
    issuer.0.down.store(false, SeqCst);
    assert!(judge(&auth, "t").await.is_ok());
    // One that hangs.
    let patience = issuer.auth().timeout(SECOND / 2).any_audience();
    let began = tokio::time::Instant::now();
    assert_eq!(judge(&patience, "t").await, Err(503));
    assert_eq!(began.elapsed(), SECOND / 2);
    assert!(auth.inner.kept.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_lets_the_next_one_ask() {
    let issuer = Issuer::says(r#"{"active":true,"sub":"ada"}"#);
    let auth = issuer.auth().any_audience();
    let spawn = || {
        let auth = auth.clone();
        tokio::spawn(async move { judge(&auth, "t").await })
    };
    let (first, second) = (spawn(), spawn());
    tokio::time::sleep(SECOND / 2).await;
    first.abort();
    assert!(second.await.unwrap().is_ok());
    assert_eq!(issuer.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_times_of_a_kept_token_are_judged_each_time() {
    let soon = bearer::now() + 5.0;
    let issuer = Issuer::says(&format!(r#"{{"active":true,"sub":"ada","exp":{soon}}}"#));
    let auth = issuer.auth().leeway(Duration::ZERO).any_audience();
    let ask = async |now: f64| {
        let mut req = Request::new(Body::empty());
        let value = HeaderValue::from_static("Bearer t");
        req.headers_mut().insert(header::AUTHORIZATION, value);
        auth.inner.judge(&mut req.into_parts().0, now).await.is_ok()
    };
    assert!(ask(soon - 1.0).await);
    assert!(!ask(soon).await);
    assert_eq!(issuer.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_token_is_not_asked_about() {
    let issuer = Issuer::says(r#"{"active":true,"sub":"ada"}"#);
    let auth = issuer.auth().any_audience();
    let long = "x".repeat(LONGEST + 1);
    for token in ["", "a b", "\u{e4}", &long] {
        assert_eq!(judge(&auth, token).await, Err(401), "{token}");
    }
    assert_eq!(issuer.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn made_up_tokens_do_not_push_active_ones_out() {
    let issuer = Issuer::says(r#"{"active":true,"sub":"ada"}"#);
    let auth = issuer.auth().any_audience();
    assert!(judge(&auth, "t").await.is_ok());
    for number in 0_u32..5000 {
        let digest = Sha256::digest(number.to_be_bytes()).into();
        auth.inner.kept.keep(digest, None, SECOND);
    }
    assert!(judge(&auth, "t").await.is_ok());
    assert_eq!(issuer.count(), 1);
}

fn authenticates<L: Declares<Role = role::Authenticates>>(_: &L) {}

#[test]
fn what_cannot_be_is_a_problem() {
    let problems = |auth: Introspect| auth.into_layer().about().problems().len();
    let auth = || Issuer::default().auth();
    authenticates(&auth().audience("shop"));
    let about = auth().audience("shop").into_layer().about();
    assert_eq!(about.the_role(), Role::Authenticates);
    assert_eq!(problems(auth().audience("shop")), 0);
    assert_eq!(problems(Introspect::new("ftp://x").audience("shop")), 1);
    assert_eq!(problems(auth().audience("")), 1);
    assert_eq!(problems(auth().audiences([""; 0])), 1);
    assert_eq!(problems(auth().uri("introspect").any_audience()), 1);
    assert_eq!(problems(auth().uri("https://id.test/x").any_audience()), 1);
    assert_eq!(problems(auth().header("a b").any_audience()), 1);
    assert_eq!(problems(auth().cache(SECOND * 301).any_audience()), 1);
    assert_eq!(problems(auth().leeway(SECOND * 3601).any_audience()), 1);
}
