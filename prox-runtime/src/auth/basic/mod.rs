//! Callers that are known by a user's name and a password (RFC 7617).

mod hashes;
mod pair;
mod patience;
mod work;

use std::{
    fmt,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::HeaderValue;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use self::{
    hashes::{Hash, Users},
    patience::Patience,
};
use super::{
    Authenticate, Denied, Verdict,
    credentials::{Place, authorization},
    turns::Turns,
    watched::Source,
};
use crate::{
    error::Failure, expiring::Expiring, handler::Parts, identity::Principal, middleware::About,
    route::RequestExt, sync::lock, time::FOREVER,
};

/// How many successes are kept.
const MOST_KEPT: usize = 4096;

/// Lets in callers with a name and a password (RFC 7617), which browsers ask for.
///
/// Passwords are stored as bcrypt (`$2a$`, `$2b$`, `$2y$`, what `htpasswd -B` writes) or argon2id hashes. All other kinds of hashes and
/// plain text are errors when the gateway starts, with their lines. The file is read again every 10 s; if it is broken
/// then, what it said before stays.
///
/// | builder | default | |
/// |---|---|---|
/// | [`realm`](Self::realm) | `restricted` | what a browser shows |
/// | [`cache`](Self::cache) | 5 min | how long a success is kept |
/// | [`keep`](Self::keep) | off | leaves the credentials in the request for upstreams |
///
/// # What it costs
///
/// A hash takes 50 to 100 ms on purpose. Hashes are made on threads of their own, for at most half of the cores at a time; 64 requests
/// wait for one, and the next is answered `503` ([`Failure::AuthUnavailable`]). A success is kept by a digest over a secret of the process, the
/// user, the password and the stored hash, so the next request costs 1 µs. An unknown user costs a hash too, so that nobody learns who is
/// there by the time that it takes.
///
/// After 10 failures in a row from one network (an IPv4 address, the first 64 bits of an IPv6 address), that network has one try every
/// 6 s. Others are answered `429` ([`Failure::RateLimited`]) without a hash.
///
/// Malformed credentials, such as those without a colon or with control characters, are `401`; two `Authorization` fields are
/// `400`. The [`Principal`] has the scheme `basic`, and the name as its subject.
#[derive(Clone)]
pub struct Basic(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    source: Source<Users>,
    realm: String,
    cache: Duration,
    keep: bool,
    problems: Vec<String>,
    memory: Arc<Memory>,
}

/// What credentials are known by: see [`Memory::digest`].
type Known = [u8; 32];

/// What is remembered of earlier requests.
struct Memory {
    secret: Option<[u8; 32]>,
    successes: Mutex<Expiring<Known, (), Instant>>,
    /// The hashes that are being made, each for all requests with the same credentials, and whether the password was right.
    hashing: Turns<Known, Option<bool>>,
    patience: Mutex<Patience>,
}

impl Memory {
    fn new() -> Arc<Self> {
        let mut secret = [0; 32];
        // Without random numbers nothing is kept.
        let secret = getrandom::fill(&mut secret).is_ok().then_some(secret);
        Arc::new(Self {
            secret,
            successes: Mutex::new(Expiring::new(MOST_KEPT)),
            hashing: Turns::default(),
            patience: Mutex::default(),
        })
    }

    /// What a success is kept by.
    fn digest(&self, user: &str, password: &str, hash: &Hash) -> Option<Known> {
        let mut digest = Sha256::new();
        digest.update(self.secret?);
        for part in [user, password, hash.text()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Some(digest.finalize().into())
    }

    fn knows(&self, digest: &Known) -> bool {
        lock(&self.successes).get(digest, Instant::now()).is_some()
    }

    fn keep(&self, digest: Known, time: Duration) {
        let now = Instant::now();
        lock(&self.successes).insert(digest, (), now + time, now);
    }
}

impl Basic {
    /// The users of a file of Apache's `htpasswd -B`. A file that cannot be read, or has a malformed line, is an error when the gateway
    /// starts.
    pub fn htpasswd(path: impl AsRef<Path>) -> Self {
        let (source, problems) = Source::open("Basic::htpasswd", path.as_ref(), hashes::parse);
        Self::of(source, problems)
    }

    /// One user, with a hash of the password. More of them follow with [`and_user`](Self::and_user).
    pub fn user(name: impl Into<String>, hash: impl AsRef<str>) -> Self {
        Self::of(Source::Fixed(Arc::default()), Vec::new()).and_user(name, hash)
    }

    /// One more user, beside others that are written in the gateway.
    pub fn and_user(self, name: impl Into<String>, hash: impl AsRef<str>) -> Self {
        let name = name.into();
        let hash = Hash::read(hash.as_ref());
        self.change(|inner| match (&mut inner.source, hash) {
            (Source::Fixed(users), Ok(hash)) => {
                if Arc::make_mut(users).insert(name.clone(), hash).is_some() {
                    inner
                        .problems
                        .push(format!("`Basic::user`: duplicate user {name:?}"));
                }
            }
            (Source::File(_), Ok(_)) => inner.problems.push(format!(
                "`Basic::and_user`: the users are those of a file: write {name:?} into it"
            )),
            (_, Err(problem)) => inner
                .problems
                .push(format!("`Basic::user`: {name:?}: {problem}")),
        })
    }

    /// What a browser shows when it asks for the password.
    pub fn realm(self, realm: impl Into<String>) -> Self {
        let realm = realm.into();
        self.change(|inner| {
            if realm.chars().any(|c| c.is_control() || !c.is_ascii()) {
                let problem =
                    format!("`Basic::realm`: {realm:?} has other characters than printable ASCII");
                inner.problems.push(problem);
            } else {
                inner.realm = realm;
            }
        })
    }

    /// How long a success is kept, at most a year; zero keeps none.
    pub fn cache(self, time: Duration) -> Self {
        self.change(|inner| inner.cache = time.min(FOREVER))
    }

    /// Leaves the credentials in the request, for upstreams that verify them too.
    pub fn keep(self) -> Self {
        self.change(|inner| inner.keep = true)
    }

    fn of(source: Source<Users>, problems: Vec<String>) -> Self {
        Self(Arc::new(Inner {
            source,
            realm: String::from("restricted"),
            cache: Duration::from_mins(5),
            keep: false,
            problems,
            memory: Memory::new(),
        }))
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    async fn judge(&self, parts: &mut Parts) -> Result<Option<Principal>, Denied> {
        let wrong = || Denied::new(Failure::Unauthenticated);
        let Some(coded) = authorization(&parts.headers, "basic")? else {
            return Ok(None);
        };
        if !self.0.keep {
            Place::Bearer.remove(parts);
        }
        let (user, password) = pair::read(&coded).ok_or_else(wrong)?;
        let users = self.0.source.get();
        let stored = users.get(&user);
        // Some other user's hash, for a user that is unknown.
        let hash = stored.or(users.any()).ok_or_else(wrong)?;
        let ip = parts.client_ip();
        let right = self.holds(&user, password, hash, stored.is_some(), ip);
        if right.await? {
            Ok(Some(Principal::new("basic", user)))
        } else {
            Err(wrong())
        }
    }

    /// Whether the user is there and has this password. An unknown user goes the same way, so that it takes the same time.
    ///
    /// Of requests at once with the same credentials one has a hash made for all of them. So they take one try of their network
    /// while it is not known whether they are right.
    async fn holds(
        &self,
        user: &str,
        password: String,
        hash: &Hash,
        is_user: bool,
        ip: Option<IpAddr>,
    ) -> Result<bool, Denied> {
        let memory = &*self.0.memory;
        let digest = memory.digest(user, &password, hash);
        let is_known = || is_user && digest.is_some_and(|digest| memory.knows(&digest));
        if is_known() {
            return Ok(true);
        }
        let turn = digest.map(|digest| memory.hashing.queue(digest));
        let mut found = match &turn {
            Some(turn) => Some(turn.begin().await),
            None => None,
        };
        let before = found.as_deref().copied().flatten();
        if before == Some(true) || is_known() {
            return Ok(true);
        }
        let taken = lock(&memory.patience)
            .take(ip, Instant::now())
            .map_err(|wait| Denied::new(Failure::RateLimited).retry_after(wait))?;
        if before == Some(false) {
            return Ok(false);
        }
        let verified = work::verify(hash.clone(), password).await;
        let right = verified.map(|holds| holds && is_user);
        if !matches!(right, Ok(false)) {
            lock(&memory.patience).give_back(&taken);
        }
        let right = right.map_err(Denied::new)?;
        if let Some(digest) = digest.filter(|_| right && !self.0.cache.is_zero()) {
            memory.keep(digest, self.0.cache);
        }
        if let Some(found) = &mut found {
            **found = Some(right);
        }
        Ok(right)
    }
}

impl Authenticate for Basic {
    async fn authenticate(&self, parts: &mut Parts) -> Verdict {
        self.judge(parts).await.into()
    }

    fn challenge(&self) -> Option<HeaderValue> {
        let realm = self.0.realm.replace('\\', "\\\\").replace('"', "\\\"");
        HeaderValue::try_from(format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")).ok()
    }

    fn about(&self, about: &mut About) {
        about.add_problems(&self.0.problems);
        self.0.source.follow(about);
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic")
            .field("realm", &self.0.realm)
            .field("users", &self.0.source.get().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use std::collections::BTreeMap;

    use super::*;
    use crate::{body::Body, handler::Request};

    /// Of "open sesame", with a cost that a test can pay.
    const HASH: &str = "$2y$04$Q9VhNYQ8WQuQ8c1mpVd2WeCIWxKYcDyqkJf1h0D9Pc9MBk8ZsYQKe";

    fn hash(password: &str) -> String {
        bcrypt::hash_with_salt_bytes(password, 4, *b"0123456789abcdef")
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap()
    }

    fn parts(user_and_password: &[u8]) -> Parts {
        let mut req = Request::new(Body::empty());
        let coded = format!("Basic {}", STANDARD.encode(user_and_password));
        let value = HeaderValue::try_from(coded).unwrap();
        req.headers_mut().insert("authorization", value);
        req.into_parts().0
    }

    async fn ask(basic: &Basic, credentials: &[u8]) -> (u16, Parts) {
        let mut parts = parts(credentials);
        let status = match basic.authenticate(&mut parts).await {
            Verdict::Admitted(who) => {
                assert_eq!(who.scheme(), "basic");
                200
            }
            Verdict::Absent => 0,
            Verdict::Refused(denied) => denied.failure().status().as_u16(),
        };
        (status, parts)
    }

    #[tokio::test]
    async fn a_password_is_right_to_the_letter() {
        let basic = Basic::user("ada", hash("open: sesame")).and_user("bäb", hash(""));
        for (credentials, status) in [
            (&b"ada:open: sesame"[..], 200),
            (b"ada:open", 401),
            (b"Ada:open: sesame", 401),
            (b"ada", 401),
            (b"", 401),
            (b":", 401),
            ("bäb:".as_bytes(), 200),
            (b"b\xe4b:", 401),
            (b"ada:open: sesame\n", 401),
            (b"ada\0:open: sesame", 401),
            (b"eve:open: sesame", 401),
        ] {
            let (found, parts) = ask(&basic, credentials).await;
            assert_eq!(found, status, "{credentials:?}");
            assert!(!parts.headers.contains_key("authorization"));
        }
        assert_eq!(ask(&basic, &[b'a'; 2000]).await.0, 401);
        let (_, parts) = ask(&basic.keep(), b"ada:open: sesame").await;
        assert!(parts.headers.contains_key("authorization"));
    }

    #[tokio::test]
    async fn two_fields_contradict_and_another_scheme_is_absent() {
        let basic = Basic::user("ada", hash("a"));
        let mut twice = parts(b"ada:a");
        let again = twice.headers["authorization"].clone();
        twice.headers.append("authorization", again);
        match basic.authenticate(&mut twice).await {
            Verdict::Refused(denied) => assert_eq!(denied.failure(), Failure::MalformedRequest),
            verdict => panic!("{verdict:?}"),
        }
        let mut bearer = parts(b"");
        bearer
            .headers
            .insert("authorization", HeaderValue::from_static("Bearer abc"));
        assert!(matches!(
            basic.authenticate(&mut bearer).await,
            Verdict::Absent
        ));
        assert!(bearer.headers.contains_key("authorization"));
    }

    #[tokio::test]
    async fn a_success_is_kept_and_forgotten_with_its_hash() {
        let memory = Memory::new();
        let (one, other) = (
            Hash::read(&hash("a")).unwrap(),
            Hash::read(&hash("b")).unwrap(),
        );
        let digest = memory.digest("ada", "a", &one).unwrap();
        memory.keep(digest, Duration::from_mins(5));
        assert!(memory.knows(&digest));
        assert_ne!(memory.digest("ada", "a", &other).unwrap(), digest);
        assert_ne!(memory.digest("adaa", "", &one).unwrap(), digest);
        assert_ne!(Memory::new().digest("ada", "a", &one).unwrap(), digest);
        for number in 0..=MOST_KEPT {
            let digest = memory.digest(&number.to_string(), "", &one).unwrap();
            memory.keep(digest, Duration::from_mins(5));
        }
        assert_eq!(lock(&memory.successes).len(), MOST_KEPT);
    }

    #[tokio::test]
    async fn a_network_that_guesses_is_slowed_down_and_who_is_right_is_not() {
        let basic = Basic::user("ada", hash("a"));
        for _ in 0..30 {
            assert_eq!(ask(&basic, b"ada:a").await.0, 200);
        }
        for _ in 0..10 {
            assert_eq!(ask(&basic, b"ada:wrong").await.0, 401);
        }
        assert_eq!(ask(&basic, b"ada:wrong").await.0, 429);
        // What is kept needs no hash.
        assert_eq!(ask(&basic, b"ada:a").await.0, 200);
    }

    /// How many of 30 requests at once get which answer.
    async fn ask_at_once(basic: &Basic, credentials: &'static [u8]) -> Vec<(u16, usize)> {
        let tasks: Vec<_> = (0..30)
            .map(|_| {
                let basic = basic.clone();
                tokio::spawn(async move { ask(&basic, credentials).await.0 })
            })
            .collect();
        let mut counts = BTreeMap::new();
        for task in tasks {
            *counts.entry(task.await.unwrap()).or_default() += 1;
        }
        assert!(basic.0.memory.hashing.is_empty());
        counts.into_iter().collect()
    }

    #[tokio::test]
    async fn right_requests_at_once_take_one_try_and_wrong_ones_one_each() {
        for cache in [Duration::from_mins(5), Duration::ZERO] {
            let basic = Basic::user("ada", hash("a")).cache(cache);
            assert_eq!(ask_at_once(&basic, b"ada:a").await, [(200, 30)]);
            let counts = ask_at_once(&basic, b"ada:wrong").await;
            assert_eq!(counts, [(401, 10), (429, 20)]);
        }
        let basic = Basic::user("ada", hash("a"));
        // It is the password of the hash that is verified for the time that it takes.
        let counts = ask_at_once(&basic, b"eve:a").await;
        assert_eq!(counts, [(401, 10), (429, 20)]);
    }

    #[tokio::test]
    async fn the_longest_time_to_keep_a_success_does_not_overflow() {
        let basic = Basic::user("ada", hash("a")).cache(Duration::MAX);
        for _ in 0..2 {
            assert_eq!(ask(&basic, b"ada:a").await.0, 200);
        }
        assert_eq!(lock(&basic.0.memory.successes).len(), 1);
    }

    #[test]
    fn what_no_user_can_have_is_a_problem() {
        use crate::middleware::IntoLayer;

        let basic = Basic::user("ada", "plain")
            .and_user("bob", HASH)
            .and_user("bob", HASH)
            .realm("a\n");
        let problems = basic.into_layer().about().problems().to_vec();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(
            problems[0].contains("htpasswd -B") && !problems[0].contains("plain\""),
            "{problems:?}"
        );
        let quoted = Basic::user("a", HASH)
            .realm("say \"hi\"")
            .challenge()
            .unwrap();
        assert_eq!(quoted, "Basic realm=\"say \\\"hi\\\"\", charset=\"UTF-8\"");
    }
}
