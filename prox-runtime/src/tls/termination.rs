//! The end of TLS with clients: handshakes, and certificates that change under way.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use bytes::Bytes;
use rustls::{
    SupportedCipherSuite, crypto::ring::cipher_suite, pki_types::CertificateDer, server::Acceptor,
};
use tokio_rustls::LazyConfigAcceptor;

use super::{
    Accepted, Tls, Watching,
    identity::{ClientCert, Session},
    material::Certificates,
    x509,
};
use crate::{coding::Hex, reread, stream::Stream, sync::lock};

/// TLS with the clients of one server, shared by its workers.
#[derive(Debug)]
pub(crate) struct Termination {
    tls: Tls,
    h2: bool,
    current: RwLock<Arc<Certificates>>,
    /// What the files were when they were looked at last, good or bad.
    seen: Mutex<u64>,
}

impl Termination {
    /// Reads the files; beside the termination, what is wrong that does not keep it from serving.
    ///
    /// # Errors
    ///
    /// All that does.
    pub(super) fn new(tls: Tls, h2: bool) -> Result<(Self, Vec<String>), Vec<String>> {
        let material = tls.read();
        let (certificates, warnings) = material.build(h2)?;
        let termination = Self {
            tls,
            h2,
            current: RwLock::new(Arc::new(certificates)),
            seen: Mutex::new(material.hash()),
        };
        Ok((termination, warnings))
    }

    /// Shakes hands with a client; the caller bounds the time.
    ///
    /// # Errors
    ///
    /// When the client speaks no TLS, or there is nothing that both accept. It has been told so by an alert.
    pub(crate) async fn accept(&self, stream: Stream) -> io::Result<Accepted> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let (config, names) = {
            let certificates = self.certificates();
            let hello = start.client_hello();
            let chosen = certificates.choose(&hello).ok_or(io::ErrorKind::NotFound)?;
            let named = hello.server_name().is_some() && !self.tls.any_host;
            (
                Arc::clone(&chosen.config),
                named.then(|| Arc::clone(&chosen.names)),
            )
        };
        let stream = start.into_stream(config).await?;
        let (_, connection) = stream.get_ref();
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        let session = Session {
            names,
            certificate: leaf.map(|leaf| Arc::new(client_cert(leaf))),
        };
        let h2 = connection.alpn_protocol() == Some(b"h2");
        Ok(Accepted {
            stream: Stream::boxed(stream),
            session,
            h2,
        })
    }

    /// Looks after the files for as long as what it returns lives; there is nothing to do when there are none.
    ///
    /// The runtime must be entered.
    pub(crate) fn watch(self: &Arc<Self>) -> Option<Watching> {
        let auth = self.tls.auth.as_ref().map(|auth| &auth.roots);
        let pairs = self
            .tls
            .pairs
            .iter()
            .flat_map(|(certificate, key)| [certificate, key]);
        if !pairs.chain(auth).any(super::Pem::is_file) {
            return None;
        }
        let this = Arc::clone(self);
        let work = reread::every(self.tls.reload, "certificates", move || this.refresh());
        Some(Watching::new(tokio::spawn(work)))
    }

    /// Takes the files as they are now, if they have changed and are good.
    fn refresh(&self) {
        let material = self.tls.read();
        let hash = material.hash();
        if std::mem::replace(&mut *lock(&self.seen), hash) == hash {
            return;
        }
        match material.build(self.h2) {
            Ok((certificates, warnings)) => {
                for warning in warnings {
                    tracing::error!(target: "prox", "{warning}");
                }
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(certificates);
                tracing::info!(target: "prox", "the certificates were read again");
            }
            Err(problems) => tracing::error!(target: "prox",
                problems = problems.join("; "),
                "the certificates have changed and cannot be used: the old ones stay"
            ),
        }
    }

    /// The first name of each certificate, and when it ends, in seconds since 1970.
    pub(crate) fn each_end(&self, mut each: impl FnMut(&str, u64)) {
        for certificate in self.certificates().all() {
            let end = u64::try_from(certificate.not_after).unwrap_or(0);
            each(&certificate.names.first(), end);
        }
    }

    fn certificates(&self) -> Arc<Certificates> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }
}

/// What a client's certificate says; it was verified in the handshake.
fn client_cert(leaf: &CertificateDer<'_>) -> ClientCert {
    let read = x509::Certificate::parse(leaf).unwrap_or_default();
    ClientCert {
        der: Bytes::copy_from_slice(leaf),
        fingerprint: sha256(leaf),
        subject: read.subject,
        common_name: read.common_name,
        hosts: read.hosts,
        emails: read.emails,
        uris: read.uris,
        addresses: read.addresses,
    }
}

fn sha256(bytes: &[u8]) -> String {
    // The provider has no other door to its hash functions than its cipher suites.
    match cipher_suite::TLS13_AES_128_GCM_SHA256 {
        SupportedCipherSuite::Tls13(suite) => {
            let digest = suite.common.hash_provider.hash(bytes);
            Hex(digest.as_ref()).to_string()
        }
        SupportedCipherSuite::Tls12(_) => String::new(),
    }
}
