use std::{
    future::pending,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::*;
use crate::cluster::upstream;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// What a question is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Token,
    After(Duration),
    Failure,
    Panic,
    Never,
}

/// Numbers its tokens.
#[derive(Clone, Debug)]
struct Numbered(Arc<Mutex<Answer>>, Arc<AtomicU64>);

impl Numbered {
    fn new(answer: Answer) -> Self {
        Self(Arc::new(Mutex::new(answer)), Arc::default())
    }

    fn now(&self, answer: Answer) {
        *lock(&self.0) = answer;
    }

    fn asked(&self) -> u64 {
        self.1.load(SeqCst)
    }
}

impl Credentials for Numbered {
    async fn token(&self, audience: &str) -> Result<Token, String> {
        let number = self.1.fetch_add(1, SeqCst) + 1;
        let answer = *lock(&self.0);
        match answer {
            Answer::Token => {}
            Answer::After(wait) => sleep(wait).await,
            Answer::Failure => return Err("it is down".into()),
            Answer::Panic => panic!("as it should"),
            Answer::Never => pending().await,
        }
        let Ok(token) = format!("{audience}-{number}").parse();
        Token::bearer(&token)
    }
}

fn kept(numbered: &Numbered) -> Arc<Kept> {
    let source = Source::new(numbered.clone());
    source.token(&"users".into(), &"http://127.0.0.1:1".parse().unwrap())
}

/// The number of the token that a request has after a wait of at most 3 s.
async fn number(kept: &Kept) -> Option<u64> {
    let value = kept.get(3 * SECOND).await?;
    assert!(value.is_sensitive());
    let text = value.to_str().unwrap();
    let number = text.strip_prefix("Bearer http://127.0.0.1:1-");
    Some(number.unwrap().parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_token_is_used_for_its_time_and_made_anew_beside_the_requests() {
    let source = Numbered::new(Answer::Token);
    let kept = kept(&source);
    assert_eq!(number(&kept).await, Some(1));
    sleep(2 * MINUTE).await;
    assert_eq!((number(&kept).await, source.asked()), (Some(1), 1));
    // Three quarters and a tenth of that are over.
    sleep(MINUTE + 30 * SECOND).await;
    source.now(Answer::After(SECOND));
    let before = Instant::now();
    for _ in 0..3 {
        assert_eq!(number(&kept).await, Some(1));
    }
    assert_eq!(Instant::now(), before);
    sleep(2 * SECOND).await;
    assert_eq!((number(&kept).await, source.asked()), (Some(2), 2));
    // Nobody has asked for a while: there is no valid one, and a request waits.
    sleep(5 * MINUTE).await;
    let before = Instant::now();
    assert_eq!(number(&kept).await, Some(3));
    assert_eq!(before.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_takes_is_part_of_the_time_of_its_token() {
    let source = Numbered::new(Answer::After(2 * SECOND));
    let kept = kept(&source);
    assert_eq!(number(&kept).await, Some(1));
    sleep(238 * SECOND).await;
    source.now(Answer::Failure);
    assert_eq!(number(&kept).await, None);
}

#[tokio::test(start_paused = true)]
async fn many_requests_ask_once() {
    let source = Numbered::new(Answer::After(SECOND));
    let kept = kept(&source);
    let mut all = JoinSet::new();
    for _ in 0..100 {
        let kept = Arc::clone(&kept);
        all.spawn(async move { number(&kept).await });
    }
    let numbers = all.join_all().await;
    assert!(numbers.iter().all(|number| *number == Some(1)));
    assert_eq!(source.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_to_all_that_wait_and_nothing_is_asked_for_a_while() {
    for answer in [Answer::Failure, Answer::Panic] {
        let source = Numbered::new(answer);
        let kept = kept(&source);
        let both = tokio::join!(number(&kept), number(&kept));
        assert_eq!((both, source.asked()), ((None, None), 1));
        for _ in 0..10 {
            assert_eq!(number(&kept).await, None);
        }
        assert_eq!(source.asked(), 1);
        // Pauses double, up to 30 s, give or take a tenth.
        for pause in [1, 2, 4, 8, 16, 30, 30, 30] {
            let before = source.asked();
            sleep(SECOND * pause * 85 / 100).await;
            assert_eq!(number(&kept).await, None);
            assert_eq!(source.asked(), before, "{pause}");
            sleep(SECOND * pause * 30 / 100).await;
            assert_eq!(number(&kept).await, None);
            assert_eq!(source.asked(), before + 1, "{pause}");
        }
        source.now(Answer::Token);
        sleep(MINUTE).await;
        assert!(number(&kept).await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_is_given_up_and_a_request_waits_no_longer_than_it_may() {
    let source = Numbered::new(Answer::Never);
    let kept = kept(&source);
    let before = Instant::now();
    assert_eq!(number(&kept).await, None);
    assert_eq!(before.elapsed(), 3 * SECOND);
    source.now(Answer::Token);
    // It has 5 s, and then there is a pause.
    assert_eq!(number(&kept).await, None);
    sleep(2 * SECOND).await;
    assert_eq!(number(&kept).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_valid_outlives_failures() {
    let source = Numbered::new(Answer::Token);
    let kept = kept(&source);
    assert_eq!(number(&kept).await, Some(1));
    source.now(Answer::Failure);
    for _ in 0..23 {
        sleep(10 * SECOND).await;
        assert_eq!(number(&kept).await, Some(1));
    }
    assert!((2..12).contains(&source.asked()), "{}", source.asked());
    sleep(10 * SECOND).await;
    assert_eq!(number(&kept).await, None);
}

#[test]
fn a_question_whose_runtime_has_ended_is_asked_again() {
    let source = Numbered::new(Answer::Never);
    let kept = kept(&source);
    let run = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let first = run();
    first.block_on(async { assert_eq!(kept.get(Duration::from_millis(1)).await, None) });
    drop(first);
    source.now(Answer::Token);
    assert_eq!(run().block_on(number(&kept)), Some(2));
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_one_name_share_a_token_and_others_do_not() {
    let numbered = Numbered::new(Answer::Token);
    let source = Source::new(numbered.clone());
    let at = |url: &str| {
        let endpoint: Endpoint = url.parse().unwrap();
        source.token(&"users".into(), &endpoint.named("users.test").unwrap())
    };
    let (one, two, other) = (
        at("http://10.0.0.1"),
        at("http://10.0.0.2"),
        at("http://10.0.0.1:81"),
    );
    assert!(Arc::ptr_eq(&one, &two));
    assert!(!Arc::ptr_eq(&one, &other));
    drop((one, two));
    at("http://10.0.0.3");
    assert_eq!(lock(&source.tokens).len(), 2);
    drop(at("http://10.0.0.3:82"));
    drop(at("http://10.0.0.3:83"));
    assert!(lock(&source.tokens).len() <= 3);
    drop(other);
}

#[test]
fn a_token_goes_where_nobody_reads_it_on_the_way() {
    #[derive(Debug)]
    struct Anywhere;
    impl Credentials for Anywhere {
        async fn token(&self, _: &str) -> Result<Token, String> {
            Err(String::new())
        }
        fn allows_http(&self) -> bool {
            true
        }
    }
    let numbered = Numbered::new(Answer::Token);
    let built = |url: &str| upstream(url).credentials(numbered.clone()).build("users");
    for right in ["http://127.0.0.1:1", "http://localhost", "http://[::1]:1"] {
        assert!(built(right).is_ok(), "{right}");
    }
    for wrong in ["http://10.0.0.1", "http://users.test", "unix:/run/a.sock"] {
        assert!(built(wrong).is_err(), "{wrong}");
    }
    let anywhere = |url: &str| upstream(url).credentials(Anywhere).build("users");
    assert!(anywhere("http://10.0.0.1").is_ok());
    assert!(anywhere("unix:/run/a.sock").is_err());
    if cfg!(feature = "tls") {
        assert!(built("https://users.test").is_ok());
    }
}

#[test]
fn a_token_is_the_value_of_a_field_and_is_not_shown() {
    let token = |text: &str| Token::bearer(&text.parse().unwrap());
    let shown = format!("{:?}", token("hunter2").unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
    let long = "x".repeat(LONGEST + 1);
    for wrong in ["", "a\r\nb: c", "a\0", "\u{e4}", &long] {
        let error = token(wrong).unwrap_err();
        assert!(wrong.is_empty() || !error.contains(wrong));
    }
    assert!(Token::new("", &"a".parse().unwrap()).is_err());
    assert!(Token::new("a\nb", &"a".parse().unwrap()).is_err());
}

#[test]
fn a_field_of_the_client_is_not_passed_beside_a_token() {
    let google = Source::new(google_id_token());
    let own = Source::new(Numbered::new(Answer::Token));
    let fields = |names: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(*name, HeaderValue::from_static("client"));
        }
        headers
    };
    let serverless = "x-serverless-authorization";
    let mut headers = fields(&[serverless, serverless]);
    assert_eq!(google.field(&mut headers), "authorization");
    assert!(headers.is_empty());
    let mut headers = fields(&["authorization", serverless]);
    assert_eq!(google.field(&mut headers), serverless);
    assert_eq!(headers.len(), 1);
    let mut headers = fields(&["authorization", serverless]);
    assert_eq!(own.field(&mut headers), "authorization");
}
