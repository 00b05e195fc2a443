//! What a server with TLS is trusted by, and what it is shown.

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};

use crate::tls::Pem;

#[derive(Clone, Default)]
pub(super) struct Options {
    /// The only ones if there are any, else those of this machine.
    pub(super) roots: Vec<Pem>,
    /// A certificate and its key.
    pub(super) identity: Option<(Pem, Pem)>,
}

impl Options {
    pub(super) fn is_empty(&self) -> bool {
        self.roots.is_empty() && self.identity.is_none()
    }

    /// A client with these options.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(super) fn client(&self, server: &ConnectionInfo) -> Result<Client, String> {
        if !matches!(server.addr(), ConnectionAddr::TcpTls { .. }) {
            return Err(
                "`Redis::roots` and `Redis::client_certificate` need a URL of `Redis` with `rediss://`"
                    .to_owned(),
            );
        }
        let mut roots = Vec::new();
        for pem in &self.roots {
            roots.extend(
                pem.roots()
                    .map_err(|problem| format!("`Redis::roots`: {problem}"))?,
            );
            roots.push(b'\n');
        }
        let identity = self.identity.as_ref().map(|(certificate, key)| {
            let read = certificate.with_key(key);
            read.map_err(|problems| format!("`Redis::client_certificate`: {}", problems.join("; ")))
        });
        let certificates = TlsCertificates {
            client_tls: identity
                .transpose()?
                .map(|(client_cert, client_key)| ClientTlsConfig {
                    client_cert,
                    client_key,
                }),
            root_cert: (!roots.is_empty()).then_some(roots),
        };
        // What it says of certificates has been said above, and it may show the URL.
        Client::build_with_tls(server.clone(), certificates)
            .map_err(|_| "the certificates of `Redis` cannot be used".to_owned())
    }
}
