//! What a TLS handshake has told of a client. There without the feature `tls` as well, where nobody makes one.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;

use super::names::Names;

/// What was agreed on in the handshake of a client's connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    /// The names that requests are held against; none when the client named no host, or when any host is served.
    pub(super) names: Option<Arc<Names>>,
    pub(super) certificate: Option<Arc<ClientCert>>,
}

impl Session {
    /// Whether a request for this host belongs on the connection (RFC 9110, 7.4).
    pub(crate) fn covers(&self, host: &str) -> bool {
        // HTTP/1.0 need not name a host.
        host.is_empty() || self.names.as_ref().is_none_or(|names| names.cover(host))
    }

    /// The certificate that the client has shown, and that was verified.
    pub(crate) fn certificate(&self) -> Option<&ClientCert> {
        self.certificate.as_deref()
    }
}

/// The certificate of a client: shown in the handshake, and verified against the roots of the gateway's `ClientAuth`.
///
/// Guards, handlers and middleware find it with [`Client::certificate`](crate::Client::certificate).
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Parts, RequestExt};
///
/// /// A guard: only what the billing service sends.
/// fn billing(parts: &Parts) -> bool {
///     parts
///         .client()
///         .and_then(|client| client.certificate())
///         .is_some_and(|certificate| certificate.uris().any(|uri| uri == "spiffe://shop/billing"))
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCert {
    pub(super) der: Bytes,
    pub(super) fingerprint: String,
    pub(super) subject: String,
    pub(super) common_name: Option<String>,
    pub(super) hosts: Vec<String>,
    pub(super) emails: Vec<String>,
    pub(super) uris: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
}

impl ClientCert {
    /// Whom it was issued to, as RFC 4514 writes names: `CN=billing,O=Shop`.
    ///
    /// It is empty for a certificate that has only alternative names.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The common name of the subject; of several, the most specific.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The alternative names that are hosts, in lower case.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(String::as_str)
    }

    /// The alternative names that are URIs, such as a SPIFFE ID.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.uris.iter().map(String::as_str)
    }

    /// The alternative names that are mail addresses.
    pub fn emails(&self) -> impl Iterator<Item = &str> {
        self.emails.iter().map(String::as_str)
    }

    /// The alternative names that are IP addresses.
    pub fn ip_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().copied()
    }

    /// The SHA-256 of the whole certificate, as 64 lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The certificate itself, in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}
