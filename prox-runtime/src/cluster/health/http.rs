//! A check that asks for a path and looks at the status.

use std::{
    fmt::Display,
    future::{Future, poll_fn},
    ops::{Bound, RangeBounds},
    pin::pin,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, header, uri::PathAndQuery};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{
    active::CheckOptions,
    check::{CheckTarget, HealthCheck, knobs},
};
use crate::{connect::Protocol, forward::host::is_host, stream::Stream};

/// Checks the status of `GET` on a path: `.health(http("/healthz").every(5s).timeout(1s))`.
///
/// A status from 200 to 299 passes, unless [`expect`](Self::expect) says otherwise. Each check opens a connection of its own,
/// so that it also shows whether connections come about; it speaks TLS and HTTP/2 as the cluster does. The base path of an
/// endpoint is put before the path, as for requests.
#[derive(Clone, Debug)]
pub struct HttpCheck {
    path: String,
    host: Option<String>,
    /// From the first to the second, both included.
    expected: (u16, u16),
    options: CheckOptions,
}

/// Checks the status of `GET` on this path.
pub fn http(path: impl Into<String>) -> HttpCheck {
    HttpCheck::new(path)
}

impl HttpCheck {
    /// Checks the status of `GET` on this path.
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            host: None,
            expected: (200, 299),
            options: CheckOptions::new(),
        }
    }

    knobs!();

    /// Passes with these statuses: `200..300` by default.
    #[must_use]
    pub fn expect(mut self, statuses: impl RangeBounds<u16>) -> Self {
        let first = match statuses.start_bound() {
            Bound::Included(&first) => first,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let last = match statuses.end_bound() {
            Bound::Included(&last) => last,
            Bound::Excluded(&behind) => behind.saturating_sub(1),
            Bound::Unbounded => u16::MAX,
        };
        self.expected = (first, last);
        self
    }

    /// Says this in `Host` instead of the endpoint's own authority.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    fn request(&self, endpoint: &CheckTarget) -> Result<Request<()>, http::Error> {
        let mut request = Request::get(format!("{}{}", endpoint.base(), self.path))
            .header(header::USER_AGENT, "prox-health-check");
        request = match &self.host {
            Some(host) => request.header(header::HOST, host),
            None => request.header(header::HOST, endpoint.authority()),
        };
        request.body(())
    }
}

impl HealthCheck for HttpCheck {
    async fn check(&self, endpoint: &CheckTarget) -> Result<(), String> {
        let mut request = self.request(endpoint).map_err(text)?;
        endpoint.authorize(request.headers_mut()).await?;
        let opened = endpoint
            .open()
            .await
            .map_err(|error| format!("{error:?}"))?;
        let status = match opened.protocol {
            Protocol::Http1 => ask(opened.stream, request).await?,
            Protocol::Http2 => ask_http2(opened.stream, request, endpoint.is_secure()).await?,
        };
        let (first, last) = self.expected;
        if (first..=last).contains(&status.as_u16()) {
            Ok(())
        } else {
            Err(format!("status {}", status.as_u16()))
        }
    }

    fn options(&self) -> CheckOptions {
        self.options.clone()
    }

    fn problem(&self) -> Option<String> {
        let (first, last) = self.expected;
        if !self.path.starts_with('/') || PathAndQuery::try_from(self.path.as_str()).is_err() {
            Some(format!(
                "`{}` is no path to check: write `http(\"/healthz\")`",
                self.path
            ))
        } else if first > last || first > 599 || last < 200 {
            Some("no status can be expected of a check: write `.expect(200..300)`".into())
        } else {
            let host = self.host.as_deref()?;
            (!is_host(host))
                .then(|| format!("`{host}` is not a host: write `.host(\"app.example\")`"))
        }
    }
}

pub(super) fn text(error: impl Display) -> String {
    error.to_string()
}

async fn ask(stream: Stream, request: Request<()>) -> Result<StatusCode, String> {
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let request = request.map(|()| Empty::<Bytes>::new());
    let exchange = async {
        let response = sender.send_request(request).await.map_err(text)?;
        let status = response.status();
        // A connection that is closed with unread bytes is reset, which is an error in the logs of some servers.
        let rest = Limited::new(response.into_body(), REST).collect();
        _ = timeout(REST_TIME, rest).await;
        Ok(status)
    };
    beside(driver, exchange).await
}

/// So much is read of a body that does not count, and for so long.
const REST: usize = 16 * 1024;
const REST_TIME: Duration = Duration::from_millis(100);

#[cfg(feature = "http2")]
async fn ask_http2(
    stream: Stream,
    request: Request<()>,
    secure: bool,
) -> Result<StatusCode, String> {
    let request = absolute(request, secure).map_err(text)?;
    let (mut sender, driver) = h2::client::handshake(stream).await.map_err(text)?;
    let exchange = async {
        let (response, _) = sender.send_request(request, true).map_err(text)?;
        response.await.map_err(text)
    };
    Ok(beside(driver, exchange).await?.status())
}

/// The request in the form of HTTP/2, which has its authority in the URL.
#[cfg(feature = "http2")]
pub(super) fn absolute(request: Request<()>, secure: bool) -> Result<Request<()>, http::Error> {
    let (mut parts, ()) = request.into_parts();
    let host = parts.headers.remove(header::HOST);
    let authority = host.as_ref().and_then(|host| host.to_str().ok());
    let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    parts.uri = http::Uri::builder()
        .scheme(if secure { "https" } else { "http" })
        .authority(authority.unwrap_or_default())
        .path_and_query(path)
        .build()?;
    parts.version = http::Version::HTTP_2;
    Ok(Request::from_parts(parts, ()))
}

#[cfg(not(feature = "http2"))]
#[expect(clippy::unused_async, reason = "the other one waits")]
async fn ask_http2(_: Stream, _: Request<()>, _: bool) -> Result<StatusCode, String> {
    Err("HTTP/2 needs the feature `http2`".into())
}

/// Drives a connection while an exchange on it is under way; when the connection ends, the exchange finds out by itself.
pub(in crate::cluster) async fn beside<T>(
    driver: impl Future,
    exchange: impl Future<Output = T>,
) -> T {
    let (mut driver, mut exchange) = (pin!(driver), pin!(exchange));
    let mut ended = false;
    poll_fn(|cx| {
        ended = ended || driver.as_mut().poll(cx).is_ready();
        exchange.as_mut().poll(cx)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::way::Way;

    #[test]
    fn a_check_that_cannot_pass_is_refused() {
        assert_eq!(http("/healthz?deep=1").host("a:80").problem(), None);
        assert_eq!(http("/").expect(204..=204).problem(), None);
        assert_eq!(http("/").expect(..).problem(), None);
        for wrong in [
            http("healthz"),
            http("/a b"),
            http("/").expect(300..300),
            http("/").expect(600..),
            http("/").host("a b"),
            http("/").host("user@a"),
            http("/").host(":80"),
        ] {
            assert!(wrong.problem().is_some(), "{wrong:?}");
        }
    }

    /// Answers each request on HTTP/2 with a status that its path says.
    #[cfg(feature = "http2")]
    #[tokio::test]
    async fn a_check_speaks_http2_where_the_cluster_does() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    assert_eq!(request.uri().host(), Some("app.example"));
                    let status = request.uri().path().trim_start_matches('/').parse::<u16>();
                    let mut response = http::Response::new(());
                    *response.status_mut() = StatusCode::from_u16(status.unwrap()).unwrap();
                    respond.send_response(response, true).unwrap();
                }
            }
        });
        let target = CheckTarget {
            endpoint: format!("http://127.0.0.1:{port}").parse().unwrap(),
            way: Way {
                connector: None,
                protocol: Protocol::Http2,
                #[cfg(feature = "testing")]
                peer: None,
            },
            limit: Duration::from_secs(10),
            token: None,
        };
        let check = |path| http(path).host("app.example");
        assert_eq!(check("/204").check(&target).await, Ok(()));
        let failed = check("/500").check(&target).await;
        assert_eq!(failed, Err("status 500".to_owned()));
        server.abort();
    }
}
