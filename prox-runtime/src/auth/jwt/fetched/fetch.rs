//! One fetch of a set of keys: from its URL, or from where the issuer says that it is.

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri, header};
use tokio::time::Instant;

use super::{
    pace::{LONGEST, SHORTEST, USUAL},
    url::Url,
};
use crate::{
    auth::{
        json,
        jwt::key::{self, Key},
        remote::{IntoRemote, Remote},
    },
    body::Body,
    cluster::upstream,
    handler::Request,
    identity::Claim,
    sync::lock,
};

/// The most bytes of a document, and how long each takes at most.
const LARGEST: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// How long old keys hold while no new ones come.
const MAX_STALE: Duration = Duration::from_hours(24);

/// Where keys come from, as it is written.
#[derive(Clone, Debug)]
pub(in crate::auth::jwt) enum Place {
    Issuer(String),
    Jwks(String),
}

impl Place {
    /// The method that names it.
    fn option(&self) -> &'static str {
        match self {
            Self::Issuer(_) => "Jwt::issuer",
            Self::Jwks(_) => "Jwt::jwks",
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Issuer(text) | Self::Jwks(text) => text,
        }
    }

    fn url(&self, allow_http: bool) -> Result<Url, String> {
        match self {
            Self::Issuer(text) => Url::issuer(text, allow_http),
            Self::Jwks(text) => Url::read(text, allow_http),
        }
    }
}

/// What the user says of the keys.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) place: Place,
    pub(super) allow_http: bool,
    /// What is asked in place of the hosts of the URLs.
    pub(super) by: Option<Remote>,
    pub(super) max_stale: Duration,
}

impl Options {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            allow_http: false,
            by: None,
            max_stale: MAX_STALE,
        }
    }
}

/// Fetches keys.
pub(super) struct Fetcher {
    pub(super) options: Options,
    /// Nothing if the text is not a URL; the gateway does not start then.
    url: Option<Url>,
    /// A cluster for the host of the URL.
    own: Option<Remote>,
    problems: Vec<String>,
    /// What the issuer has said last.
    said: Mutex<Option<Said>>,
}

/// What an issuer says of itself.
#[derive(Clone)]
struct Said {
    jwks: Url,
    /// Asked for its keys, if they are on another host, and no backend is asked for all.
    elsewhere: Option<Remote>,
    until: Instant,
}

/// A set of keys.
pub(super) struct Fetched {
    pub(super) keys: Vec<Key>,
    /// The document, by which two sets can be compared.
    pub(super) text: Bytes,
    /// How long it may be kept, if the answer says so.
    pub(super) lasts: Option<Duration>,
}

impl Fetcher {
    pub(super) fn new(options: Options) -> Self {
        let Options {
            place,
            allow_http,
            by,
            ..
        } = &options;
        let mut problems = Vec::new();
        let url = place.url(*allow_http);
        let url = url.map_err(|problem| problems.push(problem)).ok();
        let own = url.as_ref().filter(|_| by.is_none());
        let own = own.map(|url| remote(&url.origin()));
        let remotes = [by, &own].into_iter().flatten();
        problems.extend(remotes.filter_map(|remote| remote.problem().map(str::to_owned)));
        let option = place.option();
        let problems = problems.into_iter();
        Self {
            problems: problems
                .map(|problem| format!("`{option}`: {problem}"))
                .collect(),
            options,
            url,
            own,
            said: Mutex::default(),
        }
    }

    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// What is asked, for the gateway to look after.
    pub(super) fn remote(&self) -> Option<&Remote> {
        self.options.by.as_ref().or(self.own.as_ref())
    }

    /// The keys as they are now.
    ///
    /// # Errors
    ///
    /// Why there are none, in words for logs. What the issuer has said of itself is then forgotten, since its keys may have moved.
    pub(super) async fn fetch(&self) -> Result<Fetched, String> {
        let fetched = self.attempt().await;
        if fetched.is_err() {
            *lock(&self.said) = None;
        }
        fetched
    }

    async fn attempt(&self) -> Result<Fetched, String> {
        let url = self.url.as_ref().ok_or("there is no URL")?;
        let (jwks, elsewhere) = match &self.options.place {
            Place::Jwks(_) => (url.clone(), None),
            Place::Issuer(_) => {
                let said = self.said(url).await?;
                (said.jwks, said.elsewhere)
            }
        };
        let remote = elsewhere.as_ref().or(self.remote());
        let remote = remote.ok_or("there is no backend")?;
        let answer = get(remote, jwks.uri()).await?;
        let broken = |problem| format!("{}: {problem}", jwks.text());
        if answer.status() != 200 {
            return Err(broken(format!("status {}", answer.status().as_u16())));
        }
        let lasts = lasts(answer.headers());
        let text = answer.into_body();
        let keys = key::set(&text).map_err(broken)?;
        Ok(Fetched { keys, text, lasts })
    }

    /// What the issuer says of itself, which it is asked for when its last answer has run out.
    async fn said(&self, issuer: &Url) -> Result<Said, String> {
        let known = lock(&self.said).clone();
        if let Some(said) = known.filter(|said| Instant::now() < said.until) {
            return Ok(said);
        }
        let remote = self.remote().ok_or("there is no backend")?;
        let [openid, oauth] = issuer.documents();
        let mut document = openid;
        let mut answer = get(remote, &uri(&document)?).await?;
        if answer.status().is_client_error() {
            document = oauth;
            answer = get(remote, &uri(&document)?).await?;
        }
        let broken = |problem: String| format!("{document}: {problem}");
        if answer.status() != 200 {
            return Err(broken(format!("status {}", answer.status().as_u16())));
        }
        let jwks = self.jwks(issuer, answer.body()).map_err(broken)?;
        let elsewhere = if self.options.by.is_none() && jwks.origin() != issuer.origin() {
            Some(other(jwks.origin()).await?)
        } else {
            None
        };
        let lasts = lasts(answer.headers()).unwrap_or(USUAL);
        let said = Said {
            jwks,
            elsewhere,
            until: Instant::now() + lasts.clamp(SHORTEST, LONGEST),
        };
        *lock(&self.said) = Some(said.clone());
        Ok(said)
    }

    /// Where the keys are, by the document of the issuer.
    fn jwks(&self, issuer: &Url, document: &[u8]) -> Result<Url, String> {
        let object = json::object(document);
        let object = object.ok_or("it is not a JSON object without duplicate names")?;
        let text = |name: &str| object.get(name).and_then(Claim::as_text);
        // A document of somebody else, who would then say which keys are right (OpenID Connect Discovery, 4.3).
        match text("issuer") {
            Some(own) if own == issuer.text() => {}
            Some(own) => return Err(format!("its issuer is {own:?}")),
            None => return Err("it has no `issuer`".to_owned()),
        }
        let allow_http = self.options.allow_http;
        let jwks = text("jwks_uri").ok_or("it has no `jwks_uri`")?;
        let jwks =
            Url::read(jwks, allow_http).map_err(|problem| format!("`jwks_uri`: {problem}"))?;
        if issuer.is_secure() && !jwks.is_secure() && !allow_http {
            return Err(format!("`jwks_uri`: {:?} is not https://", jwks.text()));
        }
        Ok(jwks)
    }
}

/// What is asked at an origin.
fn remote(origin: &str) -> Remote {
    upstream(origin).into_remote(origin)
}

/// The same while the gateway runs: the roots of this machine are on its disk.
async fn other(origin: String) -> Result<Remote, String> {
    let made = tokio::task::spawn_blocking(move || remote(&origin)).await;
    let made = made.map_err(|error| error.to_string())?;
    match made.problem() {
        Some(problem) => Err(problem.to_owned()),
        None => Ok(made),
    }
}

fn uri(text: &str) -> Result<Uri, String> {
    text.parse().map_err(|_| format!("{text:?} is not a URL"))
}

/// Asks for a document. A redirect is an answer like any other.
async fn get(remote: &Remote, uri: &Uri) -> Result<http::Response<Bytes>, String> {
    let mut req = Request::new(Body::empty());
    *req.uri_mut() = uri.clone();
    let fields = req.headers_mut();
    if let Some(authority) = uri.authority()
        && let Ok(host) = HeaderValue::try_from(authority.as_str())
    {
        fields.insert(header::HOST, host);
    }
    fields.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    fields.insert(header::USER_AGENT, HeaderValue::from_static("prox"));
    let answer = remote.ask(req, PATIENCE, LARGEST).await;
    answer.map_err(|problem| format!("{uri}: {problem}"))
}

/// How long an answer may be kept: `max-age` without what of it has passed (RFC 9111, 4.2).
fn lasts(headers: &HeaderMap) -> Option<Duration> {
    let mut age = None;
    for value in headers.get_all(header::CACHE_CONTROL) {
        for directive in value.to_str().unwrap_or_default().split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match &*name.trim().to_ascii_lowercase() {
                "no-store" | "no-cache" => return Some(Duration::ZERO),
                "max-age" => age = age.or_else(|| value.trim().trim_matches('"').parse().ok()),
                _ => {}
            }
        }
    }
    let passed = headers.get(header::AGE);
    let passed = passed.and_then(|passed| passed.to_str().ok()?.trim().parse().ok());
    age.map(|age: u64| Duration::from_secs(age.saturating_sub(passed.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_long_it_may_be_kept() {
        for (fields, wanted) in [
            (&[][..], None),
            (&[("cache-control", "public")], None),
            (&[("cache-control", "public, max-age=600")], Some(600)),
            (&[("cache-control", "Max-Age=\"600\"")], Some(600)),
            (
                &[("cache-control", "max-age=600"), ("age", "100")],
                Some(500),
            ),
            (&[("cache-control", "max-age=600"), ("age", "700")], Some(0)),
            (&[("cache-control", "max-age=600, no-cache")], Some(0)),
            (&[("cache-control", "no-store")], Some(0)),
            (&[("cache-control", "max-age=-1")], None),
            (&[("cache-control", "max-age=99999999999999999999")], None),
            (&[("cache-control", "s-maxage=5")], None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            let wanted = wanted.map(Duration::from_secs);
            assert_eq!(lasts(&headers), wanted, "{fields:?}");
        }
    }

    #[test]
    fn a_document_of_another_issuer_is_not_one() {
        let fetcher = Fetcher::new(Options::new(Place::Issuer("https://id.test/".into())));
        let issuer = fetcher.url.clone().unwrap();
        let jwks = |document: &str| fetcher.jwks(&issuer, document.as_bytes());
        let right = r#"{"issuer":"https://id.test/","jwks_uri":"https://keys.test/a","x":1}"#;
        assert_eq!(jwks(right).unwrap().text(), "https://keys.test/a");
        for wrong in [
            "",
            "[]",
            r#"{"jwks_uri":"https://keys.test/a"}"#,
            r#"{"issuer":"https://id.test","jwks_uri":"https://id.test/a"}"#,
            r#"{"issuer":"https://ID.test/","jwks_uri":"https://id.test/a"}"#,
            r#"{"issuer":["https://id.test/"],"jwks_uri":"https://id.test/a"}"#,
            r#"{"issuer":"https://id.test/"}"#,
            r#"{"issuer":"https://id.test/","jwks_uri":"/a"}"#,
            r#"{"issuer":"https://id.test/","jwks_uri":"http://id.test/a"}"#,
            r#"{"issuer":"https://id.test/","jwks_uri":"http://127.0.0.1/a"}"#,
            r#"{"issuer":"https://id.test/","jwks_uri":"file:///etc/passwd"}"#,
            r#"{"issuer":"https://id.test/","issuer":"https://id.test/","jwks_uri":"https://id.test/a"}"#,
        ] {
            assert!(jwks(wrong).is_err(), "{wrong}");
        }
    }
}
