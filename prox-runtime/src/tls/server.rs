//! How TLS with clients is written: [`Tls`], and [`ClientAuth`] for their certificates.

use std::{sync::Arc, time::Duration};

use super::{Pem, material, material::Material, termination::Termination};
use crate::error::{Error, Result};

/// TLS with clients: certificates, chosen by the name that a client asks for, and whether clients must show theirs.
///
/// TLS 1.2 and 1.3 with the ciphers that rustls finds safe, session resumption, and HTTP/2 and HTTP/1.1 by ALPN. Give it to
/// [`Server::tls`](crate::Server::tls).
///
/// ```no_run
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{ClientAuth, Server, Tls};
///
/// # fn doc(gateway: prox::Gateway) -> prox::Result {
/// let tls = Tls::pem("/tls/shop.pem", "/tls/shop.key") // also for clients that name no host, or an unknown one
///     .certificate("/tls/tenants.pem", "/tls/tenants.key")
///     .client_auth(ClientAuth::optional("/tls/clients-ca.pem"));
/// Server::new(gateway).tls(tls).run()
/// # }
/// ```
///
/// # Which certificate
///
/// The first whose names cover the host that the client names (SNI); the names are the alternative names of the
/// certificate, `*` for exactly one label, or its common name if it has no others. Of several, the first with a key that
/// the client can use, so that a certificate with an RSA key may stand behind one with an ECDSA key. When none fits, and
/// for clients that name no host, it is the first of all, as with nginx and Traefik.
///
/// # Which hosts
///
/// A request for a host that the agreed certificate does not name is answered with `421` (RFC 9110, 7.4), before it is
/// routed; a client that shares a connection between hosts (RFC 9113, 9.1.1) sends it again on another. A client that named
/// no host in its handshake, as one that was given an IP address, may ask for any; so may all with
/// [`any_host`](Self::any_host).
///
/// # Files that change
///
/// Files are read again every 10 s. When one has changed, the next handshakes get the new certificates; connections that
/// are open go on. If something is wrong with the new files, the old certificates stay, and an event at the level `ERROR`
/// says what it is.
#[derive(Clone, Debug)]
#[must_use = "this does nothing until a server is given it"]
pub struct Tls {
    pub(super) pairs: Vec<(Pem, Pem)>,
    pub(super) auth: Option<ClientAuth>,
    pub(super) any_host: bool,
    pub(super) reload: Duration,
}

/// Whether clients show certificates (mTLS), and who has to have issued them.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{ClientAuth, Tls};
///
/// let tls = Tls::pem("cert.pem", "key.pem").client_auth(ClientAuth::required("clients-ca.pem"));
/// ```
///
/// What a certificate says of its client is [`Client::certificate`](crate::Client::certificate).
#[derive(Clone, Debug)]
pub struct ClientAuth {
    pub(super) roots: Pem,
    pub(super) required: bool,
}

impl ClientAuth {
    /// Every client must show a certificate that one of these roots has issued; without one there is no handshake.
    pub fn required(roots: impl Into<Pem>) -> Self {
        Self {
            roots: roots.into(),
            required: true,
        }
    }

    /// A client may show a certificate that one of these roots has issued, or none; one from elsewhere ends the handshake.
    pub fn optional(roots: impl Into<Pem>) -> Self {
        Self {
            roots: roots.into(),
            required: false,
        }
    }
}

impl Tls {
    /// One certificate with its key, in PEM; the certificates of its issuers stand behind it in the same file.
    ///
    /// It is also the one for clients that name no host, or one that no certificate covers.
    pub fn pem(certificate: impl Into<Pem>, key: impl Into<Pem>) -> Self {
        Self {
            pairs: vec![(certificate.into(), key.into())],
            auth: None,
            any_host: false,
            reload: Duration::from_secs(10),
        }
    }

    /// As [`pem`](Self::pem), from memory: `Tls::from_pem_bytes(CERTIFICATE, KEY)` with two variables of the environment.
    pub fn from_pem_bytes(certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self::pem(Pem::bytes(certificate), Pem::bytes(key))
    }

    /// One more certificate with its key, for the hosts that it names.
    pub fn certificate(mut self, certificate: impl Into<Pem>, key: impl Into<Pem>) -> Self {
        self.pairs.push((certificate.into(), key.into()));
        self
    }

    /// Asks clients for certificates of their own; off by default.
    pub fn client_auth(mut self, auth: ClientAuth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Serves requests for any host on any connection, instead of `421` for those that the certificate does not name.
    ///
    /// For a gateway behind a load balancer that opens TLS connections without looking at the certificate.
    pub fn any_host(mut self) -> Self {
        self.any_host = true;
        self
    }

    /// Sets how often the files are looked at for changes; 10 s by default, and at least 10 ms.
    pub fn reload_interval(mut self, interval: Duration) -> Self {
        self.reload = interval.max(Duration::from_millis(10));
        self
    }

    /// Reads everything; `h2` when the server speaks HTTP/2.
    ///
    /// # Errors
    ///
    /// All that is wrong, in one error.
    pub(crate) fn start(&self, h2: bool) -> Result<Arc<Termination>> {
        let (termination, warnings) = Termination::new(self.clone(), h2).map_err(config)?;
        for warning in warnings {
            tracing::error!(target: "prox", "{warning}");
        }
        Ok(Arc::new(termination))
    }

    /// As [`start`](Self::start), and an error too for what does not keep a server from serving: a certificate out of date.
    pub(crate) fn check(&self) -> Result {
        let (_, warnings) = Termination::new(self.clone(), false).map_err(config)?;
        if warnings.is_empty() {
            Ok(())
        } else {
            Err(config(warnings))
        }
    }

    pub(super) fn read(&self) -> Material {
        material::read(self)
    }
}

fn config(problems: Vec<String>) -> Error {
    Error::config(
        problems
            .into_iter()
            .map(|problem| format!("tls: {problem}"))
            .collect::<Vec<_>>()
            .join("\n"),
    )
}
