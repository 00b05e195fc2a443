//! The HTTP client of the exporter: one connection for each batch, tries again within bounds.

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header, uri::PathAndQuery};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    connect,
    error::{Error, Failure},
    sync::lock,
    tls::{self, Connector},
};

/// So much is read of an answer.
const ANSWER: usize = 64 * 1024;

/// The wait before a batch is sent once more; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait that a collector may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often a batch is sent, at most.
const TIMES: u32 = 6;

/// The URL of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    secure: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    target: PathAndQuery,
}

impl Address {
    /// Reads a URL, and adds a path to it.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn read(text: &str, more: &str) -> Result<Self, String> {
        let wrong = || format!("is {text:?}: expected a URL such as http://localhost:4318");
        let secure = match text.split_once("://") {
            Some(("http", _)) => false,
            Some(("https", _)) => true,
            _ => return Err(wrong()),
        };
        if secure && cfg!(not(feature = "tls")) {
            return Err(format!("is {text:?}: {}", tls::WITHOUT_FEATURE));
        }
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            // The text is a secret.
            return Err(
                "has user information: remove it, and put credentials into OTEL_EXPORTER_OTLP_HEADERS"
                    .into(),
            );
        }
        let host = authority.host().trim_matches(['[', ']']);
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => Some(if secure { 443 } else { 80 }),
            Some(_) => authority.port_u16().filter(|&port| port != 0),
            None => None,
        };
        let port = port.filter(|_| !host.is_empty()).ok_or_else(wrong)?;
        let target = if more.is_empty() {
            uri.path_and_query().cloned()
        } else {
            let path = uri.path().trim_end_matches('/');
            format!("{path}/{more}").parse().ok()
        };
        Ok(Self {
            secure,
            host: host.to_owned(),
            port,
            target: target.ok_or_else(wrong)?,
        })
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Without the path and the query, which may be secrets.
    pub(super) fn place(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.place(), self.target)
    }
}

/// Sends batches to a collector; clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: Address,
    host: HeaderValue,
    connector: Option<Connector>,
    /// For a batch as a whole.
    limit: Duration,
    /// Why the last batch was not taken.
    problem: Mutex<Option<String>>,
}

impl Client {
    /// Sends a batch within `limit`, its tries included.
    ///
    /// # Errors
    ///
    /// What no connection can be made with.
    pub(super) fn new(
        address: Address,
        connector: Option<Connector>,
        limit: Duration,
    ) -> Result<Self, String> {
        let host = HeaderValue::try_from(address.authority());
        let host = host.map_err(|_| "has a host with characters that no host has".to_owned())?;
        Ok(Self(Arc::new(Inner {
            address,
            host,
            connector,
            limit,
            problem: Mutex::default(),
        })))
    }

    pub(super) fn place(&self) -> String {
        self.0.address.place()
    }

    /// Why the last batch was not taken.
    pub(super) fn problem(&self) -> Option<String> {
        lock(&self.0.problem).take()
    }
}

impl Inner {
    /// Sends a batch until it is taken, or refused for good.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let end = Instant::now() + self.limit;
        let mut times = 0;
        loop {
            let mut once = Request::new(Full::new(body.clone()));
            *once.method_mut() = parts.method.clone();
            *once.headers_mut() = parts.headers.clone();
            *once.uri_mut() = Uri::from(self.address.target.clone());
            once.headers_mut().insert(header::HOST, self.host.clone());
            let answer = match timeout_at(end, self.once(once, end)).await {
                Ok(answer) => answer,
                Err(_) => Err("no answer in time".into()),
            };
            times += 1;
            let wait = match &answer {
                Ok(answer) if answer.status().is_success() => return Ok(answer.clone()),
                Ok(answer) if !may_be_sent_again(answer.status()) => None,
                Ok(answer) => Some(asked_for(answer).unwrap_or_else(|| wait(times))),
                Err(_) => Some(wait(times)),
            };
            let again = wait.filter(|wait| times < TIMES && Instant::now() + *wait < end);
            let Some(wait) = again else {
                let problem = match &answer {
                    Ok(answer) => format!("status {}", answer.status().as_u16()),
                    Err(error) => error.to_string(),
                };
                *lock(&self.problem) = Some(problem);
                return answer;
            };
            sleep(wait).await;
        }
    }

    async fn once(
        &self,
        request: Request<Full<Bytes>>,
        end: Instant,
    ) -> Result<Response<Bytes>, HttpError> {
        let limit = end.saturating_duration_since(Instant::now());
        let Address { host, port, .. } = &self.address;
        let stream = match &self.connector {
            Some(connector) => connect::tls(connector, host, *port, host, limit)
                .await
                .map(|opened| opened.stream),
            None => connect::tcp(host, *port, limit).await.map(Into::into),
        };
        let stream = stream.map_err(|error| told(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let _driving = Driving(tokio::spawn(async move {
            // The sender gets each error as well.
            let _ = connection.await;
        }));
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}

/// The task of a connection, which ends with this.
struct Driving(JoinHandle<()>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no connection, with the cause.
fn told(error: &Error) -> HttpError {
    let failure = error.as_failure().unwrap_or(Failure::Connect);
    match std::error::Error::source(error) {
        Some(cause) => format!("{failure}: {cause}").into(),
        None => failure.to_string().into(),
    }
}

fn may_be_sent_again(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// The wait that an answer asks for, in seconds.
fn asked_for(answer: &Response<Bytes>) -> Option<Duration> {
    let value = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    let wait = Duration::from_secs(value.trim().parse().ok()?);
    Some(wait.clamp(FIRST_WAIT, LONGEST_WAIT))
}

/// The wait before the next try; it differs between gateways that were refused at the same time.
fn wait(times: u32) -> Duration {
    let longest = FIRST_WAIT * 2_u32.pow(times.saturating_sub(1).min(8));
    let part = u32::from(u8::try_from(RandomState::new().hash_one(times) & 0xff).unwrap_or(0));
    longest / 2 + longest / 2 * part / 255
}

impl HttpClient for Client {
    /// As `#[async_trait]` writes it.
    fn send_bytes<'a, 'async_trait>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.0.send(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_differ() {
        for times in 1..6 {
            let longest = FIRST_WAIT * 2_u32.pow(times - 1);
            let all: Vec<_> = (0..20).map(|_| wait(times)).collect();
            assert!(
                all.iter()
                    .all(|wait| (longest / 2..=longest).contains(wait)),
                "{all:?}"
            );
            assert!(all.iter().any(|wait| *wait != all[0]), "{all:?}");
        }
    }

    #[test]
    fn an_answer_may_ask_for_a_wait_within_bounds() {
        let asked = |value: &str| {
            let mut answer = Response::new(Bytes::new());
            answer
                .headers_mut()
                .insert(header::RETRY_AFTER, value.parse().unwrap());
            asked_for(&answer)
        };
        assert_eq!(asked("2"), Some(Duration::from_secs(2)));
        assert_eq!(asked("0"), Some(FIRST_WAIT));
        assert_eq!(asked("99999"), Some(LONGEST_WAIT));
        assert_eq!(asked("tomorrow"), None);
    }
}
