//! A check that asks the health service of gRPC.

use std::time::Duration;

use super::{
    active::CheckOptions,
    check::{CheckTarget, HealthCheck, knobs},
};

/// Checks with the health protocol of gRPC (`grpc.health.v1.Health/Check`): `.http2().health(grpc().every(5s).timeout(1s))`.
///
/// It passes when the answer is `SERVING`. Without a [`service`](Self::service) it asks for the server as a whole. Each check
/// opens a connection of its own, with TLS as the cluster has it; the backend has to be `.http2()`, and Prox to have the feature
/// `http2`, or the gateway does not start.
///
/// The protocol: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.
#[derive(Clone, Debug)]
pub struct GrpcCheck {
    service: String,
    host: Option<String>,
    options: CheckOptions,
}

/// Checks with the health protocol of gRPC: the server as a whole, or `grpc().service("shop.Orders")`.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// # #[cfg(feature = "http2")]
/// # fn doc() {
/// use prox::{RoundRobin, dsl::{cluster, grpc}};
///
/// let orders = cluster(RoundRobin::new(), ["http://10.0.0.1:50051", "http://10.0.0.2:50051"])
///     .http2()
///     .health(grpc().service("shop.Orders"));
/// # let _ = orders;
/// # }
/// ```
pub fn grpc() -> GrpcCheck {
    GrpcCheck::new()
}

impl GrpcCheck {
    /// Checks the server as a whole.
    pub fn new() -> Self {
        Self {
            service: String::new(),
            host: None,
            options: CheckOptions::new().over_http2(),
        }
    }

    knobs!();

    /// Asks for this service instead of the server as a whole: `"shop.Orders"`, with its package.
    #[must_use]
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = name.into();
        self
    }

    /// Says this as the authority instead of the endpoint's own.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }
}

impl Default for GrpcCheck {
    fn default() -> Self {
        Self::new()
    }
}

impl HealthCheck for GrpcCheck {
    #[cfg(feature = "http2")]
    async fn check(&self, endpoint: &CheckTarget) -> Result<(), String> {
        call::ask(endpoint, self).await
    }

    /// Is not reached: [`problem`](Self::problem) keeps the gateway from starting.
    #[cfg(not(feature = "http2"))]
    async fn check(&self, _: &CheckTarget) -> Result<(), String> {
        Err(WITHOUT_HTTP2.into())
    }

    fn options(&self) -> CheckOptions {
        self.options.clone()
    }

    fn problem(&self) -> Option<String> {
        #[cfg(not(feature = "http2"))]
        return Some(WITHOUT_HTTP2.into());
        #[cfg(feature = "http2")]
        {
            let host = self.host.as_deref()?;
            (!crate::forward::host::is_host(host))
                .then(|| format!("`{host}` is not a host: write `.host(\"app.example\")`"))
        }
    }
}

#[cfg(not(feature = "http2"))]
const WITHOUT_HTTP2: &str = "`grpc()` checks over HTTP/2: give `prox` the feature `http2`";

/// The call itself: one message each way, of one field each, which is not worth a library.
#[cfg(feature = "http2")]
mod call {
    use bytes::{BufMut, Bytes, BytesMut};
    use http::{HeaderMap, Request, StatusCode, header};

    use super::GrpcCheck;
    use crate::{
        cluster::health::{
            check::CheckTarget,
            http::{absolute, beside, text},
        },
        connect::Protocol,
    };

    /// An answer takes seven bytes; whatever is longer is none.
    const MAX_ANSWER: usize = 4096;

    pub(super) async fn ask(endpoint: &CheckTarget, check: &GrpcCheck) -> Result<(), String> {
        let mut request = request(endpoint, check).map_err(text)?;
        endpoint.authorize(request.headers_mut()).await?;
        let opened = endpoint
            .open()
            .await
            .map_err(|error| format!("{error:?}"))?;
        if opened.protocol != Protocol::Http2 {
            return Err("the endpoint chose HTTP/1.1, which gRPC cannot use".into());
        }
        let (sender, driver) = h2::client::handshake(opened.stream).await.map_err(text)?;
        beside(driver, exchange(sender, request, question(&check.service))).await
    }

    fn request(endpoint: &CheckTarget, check: &GrpcCheck) -> Result<Request<()>, http::Error> {
        let path = format!("{}/grpc.health.v1.Health/Check", endpoint.base());
        let mut request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::USER_AGENT, "prox-health-check");
        request = match &check.host {
            Some(host) => request.header(header::HOST, host),
            None => request.header(header::HOST, endpoint.authority()),
        };
        absolute(request.body(())?, endpoint.is_secure())
    }

    async fn exchange(
        sender: h2::client::SendRequest<Bytes>,
        request: Request<()>,
        question: Bytes,
    ) -> Result<(), String> {
        let mut sender = sender.ready().await.map_err(text)?;
        let (response, mut upload) = sender.send_request(request, false).map_err(text)?;
        upload.send_data(question, true).map_err(text)?;
        let response = response.await.map_err(text)?;
        if response.status() != StatusCode::OK {
            return Err(format!("status {}", response.status().as_u16()));
        }
        // An answer of trailers alone.
        call_status(response.headers()).unwrap_or(Ok(()))?;
        let mut body = response.into_body();
        let mut answer = BytesMut::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.map_err(text)?;
            // What has been read makes room for more.
            let _ = body.flow_control().release_capacity(chunk.len());
            if answer.len() + chunk.len() > MAX_ANSWER {
                return Err("the answer is too long to be one".into());
            }
            answer.put(chunk);
        }
        let trailers = body.trailers().await.map_err(text)?.unwrap_or_default();
        call_status(&trailers).unwrap_or_else(|| Err("the answer has no `grpc-status`".into()))?;
        match serving(&answer) {
            Some(1) => Ok(()),
            Some(2) => Err("not serving".into()),
            Some(3) => Err("the service is not known".into()),
            Some(_) => Err("not known whether it serves".into()),
            None => Err("the answer is none of the health protocol".into()),
        }
    }

    /// What `grpc-status` says, if it is there.
    fn call_status(fields: &HeaderMap) -> Option<Result<(), String>> {
        let status = fields.get("grpc-status")?.as_bytes();
        let code = str::from_utf8(status)
            .ok()
            .and_then(|text| text.parse::<u8>().ok());
        Some(match code {
            Some(0) => Ok(()),
            Some(5) => Err("the service is not known".into()),
            Some(12) => Err("there is no health service".into()),
            Some(code) => Err(format!("gRPC status {code}")),
            None => Err("the `grpc-status` is no number".into()),
        })
    }

    /// `HealthCheckRequest { string service = 1; }` as the only message of a call.
    pub(super) fn question(service: &str) -> Bytes {
        let mut message = BytesMut::new();
        if !service.is_empty() {
            message.put_u8(1 << 3 | 2);
            put_varint(&mut message, service.len() as u64);
            message.put_slice(service.as_bytes());
        }
        let mut framed = BytesMut::with_capacity(5 + message.len());
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
        framed.put(message);
        framed.freeze()
    }

    fn put_varint(out: &mut BytesMut, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                return out.put_u8(low);
            }
            out.put_u8(low | 0x80);
        }
    }

    /// The status of a `HealthCheckResponse { ServingStatus status = 1; }`, 0 if it has none; nothing for what is no such answer.
    pub(super) fn serving(framed: &[u8]) -> Option<u64> {
        let (head, mut message) = framed.split_at_checked(5)?;
        let (&compressed, length) = head.split_first()?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        if compressed != 0 || message.len() as u64 != u64::from(length) {
            return None;
        }
        let mut status = 0;
        while !message.is_empty() {
            let key = take_varint(&mut message)?;
            let skipped = match key & 7 {
                0 => {
                    let value = take_varint(&mut message)?;
                    if key >> 3 == 1 {
                        status = value;
                    }
                    0
                }
                1 => 8,
                2 => usize::try_from(take_varint(&mut message)?).ok()?,
                5 => 4,
                _ => return None,
            };
            message = message.get(skipped..)?;
        }
        Some(status)
    }

    fn take_varint(message: &mut &[u8]) -> Option<u64> {
        let mut value = 0;
        for place in 0..10 {
            let (&byte, rest) = message.split_first()?;
            *message = rest;
            value |= u64::from(byte & 0x7f).checked_shl(7 * place)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(all(test, feature = "http2"))]
mod tests {
    use proptest::prelude::*;

    use super::{
        call::{question, serving},
        *,
    };

    #[test]
    fn a_question_is_the_message_of_the_protocol() {
        assert_eq!(&question("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&question("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        let long = question(&"x".repeat(300));
        assert_eq!(&long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn an_answer_says_whether_it_serves() {
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 1]), Some(1));
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 2]), Some(2));
        assert_eq!(serving(&[0, 0, 0, 0, 0]), Some(0));
        // A later field, which nobody knows yet, and the status behind it.
        assert_eq!(
            serving(&[0, 0, 0, 0, 7, 0x12, 3, b'a', b'b', b'c', 8, 1]),
            Some(1)
        );
        for wrong in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 3, 8, 1],
            &[0, 0, 0, 0, 1, 8],
            &[0, 0, 0, 0, 2, 0x12, 9],
            &[0, 0, 0, 0, 1, 7],
        ] {
            assert_eq!(serving(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(answer in prop::collection::vec(any::<u8>(), 0..64)) {
            serving(&answer);
        }
    }

    #[test]
    fn a_check_that_cannot_pass_is_refused() {
        assert_eq!(grpc().service("a.B").host("a:80").problem(), None);
        assert!(grpc().host("a b").problem().is_some());
    }
}

#[cfg(all(test, not(feature = "http2")))]
mod without_http2 {
    use super::*;

    #[test]
    fn a_check_says_which_feature_it_needs() {
        let problem = grpc().problem();
        assert!(problem.is_some_and(|problem| problem.contains("the feature `http2`")));
    }
}
