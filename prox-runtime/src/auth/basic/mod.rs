//! Callers that are known by a user's name and a password (RFC 7617).

mod hashes;
mod patience;
mod work;

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
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
    watched::Watched,
};
use crate::{
    error::Failure, handler::Parts, identity::Principal, middleware::About, route::RequestExt,
    sync::lock,
};

/// Standard base64, with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The longest credentials that are looked at, and how many successes are kept.
const LONGEST: usize = 1024;
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

struct Inner {
    source: Source,
    realm: String,
    cache: Duration,
    keep: bool,
    problems: Vec<String>,
    memory: Arc<Memory>,
}

#[derive(Clone)]
enum Source {
    File(Arc<Watched<Users>>),
    Users(Arc<Users>),
}

/// What is remembered of earlier requests.
struct Memory {
    secret: Option<[u8; 32]>,
    successes: Mutex<HashMap<[u8; 32], Instant>>,
    patience: Mutex<Patience>,
}

impl Memory {
    fn new() -> Arc<Self> {
        let mut secret = [0; 32];
        // Without random numbers nothing is kept.
        let secret = getrandom::fill(&mut secret).is_ok().then_some(secret);
        Arc::new(Self {
            secret,
            successes: Mutex::default(),
            patience: Mutex::default(),
        })
    }

    /// What a success is kept by.
    fn digest(&self, user: &str, password: &str, hash: &Hash) -> Option<[u8; 32]> {
        let mut digest = Sha256::new();
        digest.update(self.secret?);
        for part in [user, password, hash.text()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Some(digest.finalize().into())
    }

    fn knows(&self, digest: &[u8; 32]) -> bool {
        let successes = lock(&self.successes);
        successes
            .get(digest)
            .is_some_and(|until| Instant::now() < *until)
    }

    fn keep(&self, digest: [u8; 32], time: Duration) {
        let now = Instant::now();
        let mut successes = lock(&self.successes);
        if successes.len() >= MOST_KEPT {
            successes.retain(|_, until| now < *until);
        }
        if successes.len() < MOST_KEPT {
            successes.insert(digest, now + time);
        }
    }
}

impl Basic {
    /// The users of a file of Apache's `htpasswd -B`. A file that cannot be read, or has a malformed line, is an error when the gateway
    /// starts.
    pub fn htpasswd(path: impl AsRef<Path>) -> Self {
        let (watched, problems) = Watched::open(path.as_ref(), hashes::parse);
        let problems = problems.into_iter();
        let problems = problems.map(|problem| format!("`Basic::htpasswd`: {problem}"));
        Self::of(Source::File(watched), problems.collect())
    }

    /// One user, with a hash of the password. More of them follow with [`and_user`](Self::and_user).
    pub fn user(name: impl Into<String>, hash: impl AsRef<str>) -> Self {
        Self::of(Source::Users(Arc::default()), Vec::new()).and_user(name, hash)
    }

    /// One more user, beside others that are written in the gateway.
    pub fn and_user(self, name: impl Into<String>, hash: impl AsRef<str>) -> Self {
        let name = name.into();
        let hash = Hash::read(hash.as_ref());
        self.change(|inner| match (&mut inner.source, hash) {
            (Source::Users(users), Ok(hash)) => {
                let mut all = Users::clone(users);
                if all.insert(name.clone(), hash).is_some() {
                    inner
                        .problems
                        .push(format!("`Basic::user`: duplicate user {name:?}"));
                }
                *users = Arc::new(all);
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

    /// How long a success is kept; zero keeps none.
    pub fn cache(self, time: Duration) -> Self {
        self.change(|inner| inner.cache = time)
    }

    /// Leaves the credentials in the request, for upstreams that verify them too.
    pub fn keep(self) -> Self {
        self.change(|inner| inner.keep = true)
    }

    fn of(source: Source, problems: Vec<String>) -> Self {
        Self(Arc::new(Inner {
            source,
            realm: String::from("restricted"),
            cache: Duration::from_mins(5),
            keep: false,
            problems,
            memory: Memory::new(),
        }))
    }

    fn change(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner {
            source: self.0.source.clone(),
            realm: self.0.realm.clone(),
            cache: self.0.cache,
            keep: self.0.keep,
            problems: self.0.problems.clone(),
            memory: Arc::clone(&self.0.memory),
        };
        change(&mut inner);
        Self(Arc::new(inner))
    }

    fn users(&self) -> Arc<Users> {
        match &self.0.source {
            Source::File(users) => users.get(),
            Source::Users(users) => Arc::clone(users),
        }
    }

    async fn judge(&self, parts: &mut Parts) -> Result<Option<Principal>, Denied> {
        let wrong = || Denied::new(Failure::Unauthenticated);
        let Some(coded) = authorization(&parts.headers, "basic")? else {
            return Ok(None);
        };
        if !self.0.keep {
            Place::Bearer.remove(parts);
        }
        let (user, password) = read(&coded).ok_or_else(wrong)?;
        let users = self.users();
        let stored = users.get(&user);
        let memory = &self.0.memory;
        let digest = stored.and_then(|hash| memory.digest(&user, &password, hash));
        if digest.is_some_and(|digest| memory.knows(&digest)) {
            return Ok(Some(Principal::new("basic", user)));
        }
        // Somebody's hash, for a user that is not there.
        let Some(hash) = stored.or(users.any()).cloned() else {
            return Err(wrong());
        };
        let ip = parts.client_ip();
        let taken = lock(&memory.patience)
            .take(ip, Instant::now())
            .map_err(|wait| Denied::new(Failure::RateLimited).retry_after(wait))?;
        let holds = work::verify(hash, password).await.map_err(|failure| {
            lock(&memory.patience).give_back(&taken);
            Denied::new(failure)
        })?;
        if !holds || stored.is_none() {
            return Err(wrong());
        }
        lock(&memory.patience).give_back(&taken);
        if let Some(digest) = digest.filter(|_| !self.0.cache.is_zero()) {
            memory.keep(digest, self.0.cache);
        }
        Ok(Some(Principal::new("basic", user)))
    }
}

/// The user and the password: the first colon divides (RFC 7617, 2).
fn read(coded: &str) -> Option<(String, String)> {
    if coded.len() > LONGEST {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(coded).ok()?).ok()?;
    if text.chars().any(char::is_control) {
        return None;
    }
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

impl Authenticate for Basic {
    async fn authenticate(&self, parts: &mut Parts) -> Verdict {
        match self.judge(parts).await {
            Ok(Some(principal)) => Verdict::Admitted(principal),
            Ok(None) => Verdict::Absent,
            Err(denied) => Verdict::Refused(denied),
        }
    }

    fn challenge(&self) -> Option<HeaderValue> {
        let realm = self.0.realm.replace('\\', "\\\\").replace('"', "\\\"");
        HeaderValue::try_from(format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")).ok()
    }

    fn about(&self, about: &mut About) {
        for problem in &self.0.problems {
            about.problem(problem.clone());
        }
        if let Source::File(users) = &self.0.source {
            users.follow(about);
        }
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic")
            .field("realm", &self.0.realm)
            .field("users", &self.users().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
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
        let coded = format!("Basic {}", BASE64.encode(user_and_password));
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
