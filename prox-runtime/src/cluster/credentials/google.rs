//! Identity tokens of Google Cloud, by the metadata server of the machine.

use std::{env, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, header, uri::Authority};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::{Credentials, LONGEST, Token};
use crate::{cluster::health::http::beside, coding, connect, secret::Secret};

/// What Cloud Run reads before `Authorization`, and takes away.
const BESIDE: HeaderName = HeaderName::from_static("x-serverless-authorization");

/// Says that the answer is of the metadata server, and not of a proxy before it.
const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");

/// How long a connection to the metadata server may take. It is on the same machine.
const CONNECT: Duration = Duration::from_secs(2);

/// Identity tokens of the service account that this machine runs as, for upstreams on Cloud Run that are not public; made by
/// [`google_id_token()`].
#[derive(Clone, Debug)]
pub struct GoogleIdToken {
    host: String,
    /// What the host was read from, for errors.
    from: &'static str,
}

/// Identity tokens of the service account that this machine runs as, for upstreams on Cloud Run that are not public:
/// `.credentials(prox::google_id_token())`.
///
/// The metadata server of Google Cloud makes them, at `GCE_METADATA_HOST` or `metadata.google.internal`, for the origin of the
/// endpoint. The service account needs the role `roles/run.invoker` on the upstream's service. A token is used for 4 min.
///
/// It is sent in `Authorization`, or, if the client sent that, in `X-Serverless-Authorization`, which Cloud Run reads first. What the
/// client itself sends in `X-Serverless-Authorization` is dropped.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// # #[cfg(feature = "tls")] {
/// use prox::dsl::upstream;
///
/// let users = upstream("https://users-1234.a.run.app").credentials(prox::google_id_token());
/// # let _ = users;
/// # }
/// ```
///
/// [`Credentials`] says when tokens are made, and what becomes of a request without one.
pub fn google_id_token() -> GoogleIdToken {
    let host = env::var("GCE_METADATA_HOST").ok();
    match host.filter(|host| !host.is_empty()) {
        Some(host) => GoogleIdToken {
            host,
            from: "GCE_METADATA_HOST",
        },
        None => GoogleIdToken {
            host: "metadata.google.internal".into(),
            from: "metadata_host",
        },
    }
}

impl GoogleIdToken {
    /// Asks this metadata server, `host` or `host:port`, instead of the one that `GCE_METADATA_HOST` names. For tests and emulators.
    #[must_use]
    pub fn metadata_host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self.from = "metadata_host";
        self
    }

    fn authority(&self) -> Option<(Authority, String, u16)> {
        let authority: Authority = self.host.parse().ok()?;
        let host = authority.host();
        let port = match authority.as_str().strip_prefix(host)? {
            "" => 80,
            _ => authority.port_u16().filter(|&port| port != 0)?,
        };
        let bare = host.trim_matches(['[', ']']).to_owned();
        (!bare.is_empty()).then_some((authority, bare, port))
    }

    async fn ask(&self, audience: &str) -> Result<Token, String> {
        let (authority, host, port) = self.authority().ok_or("there is no metadata server")?;
        let target = format!(
            "/computeMetadata/v1/instance/service-accounts/default/identity?audience={}&format=full",
            coding::form(audience)
        );
        let request = Request::get(target)
            .header(header::HOST, authority.as_str())
            .header(FLAVOR, "Google")
            .header(header::USER_AGENT, "prox")
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let stream = connect::tcp(&host, port, CONNECT)
            .await
            .map_err(|error| format!("no connection to the metadata server: {error:?}"))?;
        let broken = |error: hyper::Error| format!("the metadata server: {error}");
        let (mut sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let exchange = async {
            let (head, body) = sender
                .send_request(request)
                .await
                .map_err(broken)?
                .into_parts();
            // A redirect is an answer like any other.
            if head.status != StatusCode::OK {
                let status = head.status.as_u16();
                return Err(format!("the metadata server answers with status {status}"));
            }
            if head.headers.get(FLAVOR).map(HeaderValue::as_bytes) != Some(b"Google") {
                return Err("the answer is not of a metadata server".into());
            }
            let body = Limited::new(body, LONGEST).collect().await;
            let body = body.map_err(|_| {
                format!("the answer of the metadata server breaks off, or has over {LONGEST} bytes")
            })?;
            Ok(body.to_bytes())
        };
        let answer = beside(driver, exchange).await?;
        read(&answer, audience)
    }
}

impl Credentials for GoogleIdToken {
    async fn token(&self, audience: &str) -> Result<Token, String> {
        self.ask(audience).await
    }

    fn beside_authorization(&self) -> Option<HeaderName> {
        Some(BESIDE)
    }

    fn problem(&self) -> Option<String> {
        let (host, from) = (&self.host, self.from);
        self.authority().is_none().then(|| {
            format!("{from} is {host:?}: expected a host such as metadata.google.internal or 127.0.0.1:8080")
        })
    }
}

/// Reads a token, of which only its form and its audience are looked at: the upstream verifies it.
fn read(answer: &[u8], audience: &str) -> Result<Token, String> {
    let malformed = || "the token of the metadata server is malformed".to_owned();
    let text = str::from_utf8(answer).map_err(|_| malformed())?.trim();
    let mut parts = text.split('.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed());
    };
    let is_coded = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        !part.is_empty() && part.bytes().all(fits)
    };
    if ![header, claims, signature].into_iter().all(is_coded) {
        return Err(malformed());
    }
    let claims = coding::unbase64url(claims).ok_or_else(malformed)?;
    let claims = String::from_utf8(claims).map_err(|_| malformed())?;
    if !is_for(&claims, audience) {
        return Err("the token of the metadata server is for another audience".into());
    }
    let Ok(token) = text.parse::<Secret>();
    Token::bearer(&token)
}

/// Whether claims name this audience, and no other. They are of the metadata server, which writes `"aud":"https://.."`.
fn is_for(claims: &str, audience: &str) -> bool {
    let mut named = claims.split("\"aud\"").skip(1).filter_map(|rest| {
        let value = rest.trim_start().strip_prefix(':')?.trim_start();
        let (value, _) = value.strip_prefix('"')?.split_once('"')?;
        Some(value.replace("\\/", "/"))
    });
    named.next().is_some_and(|first| first == audience) && named.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUDIENCE: &str = "https://users.test";

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", coding::base64url(claims.as_bytes()))
    }

    #[test]
    fn a_token_is_taken_if_it_has_the_form_of_one_and_is_for_the_audience() {
        for claims in [
            r#"{"aud":"https://users.test","iss":"https://accounts.google.com"}"#,
            r#"{"iss":"x", "aud" : "https:\/\/users.test"}"#,
        ] {
            assert!(read(token(claims).as_bytes(), AUDIENCE).is_ok(), "{claims}");
        }
        let good = token(r#"{"aud":"https://users.test"}"#);
        assert!(read(format!("{good}\n").as_bytes(), AUDIENCE).is_ok());
        let others = [
            token("{}"),
            token(r#"{"aud":"https://users.test.evil"}"#),
            token(r#"{"aud":["https://users.test"]}"#),
            token(r#"{"aud":"https://users.test","aud":"https://other.test"}"#),
            format!("{good}.x"),
            good.replace('.', ""),
            good.replace("e30", "e3 0"),
            good.replace("e30", ""),
            format!("{good}\r\nx-other: 1"),
            "<html>".to_owned(),
            String::new(),
        ];
        for wrong in others.iter().map(String::as_bytes).chain([&b"\xff"[..]]) {
            let error = read(wrong, AUDIENCE).unwrap_err();
            assert!(!error.contains("e30"), "{error}");
        }
    }

    #[test]
    fn a_metadata_server_is_a_host_perhaps_with_a_port() {
        let problem = |host: &str| google_id_token().metadata_host(host).problem();
        for right in [
            "metadata.google.internal",
            "127.0.0.1:8080",
            "[::1]:80",
            "a",
        ] {
            assert_eq!(problem(right), None, "{right}");
        }
        for wrong in [
            "", "http://a", "a:0", "a:b", "a b", "a/b", "a:99999", ":80", "u@a",
        ] {
            assert!(problem(wrong).is_some(), "{wrong}");
        }
    }
}
