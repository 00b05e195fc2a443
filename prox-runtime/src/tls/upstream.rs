//! TLS with upstreams.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio_rustls::TlsConnector;

use super::{
    Pem,
    material::{alpn, provider},
};
use crate::stream::Stream;

/// TLS with the `https://` endpoints of a cluster; without it they get the defaults.
///
/// An upstream's certificate is always verified: it must be issued by a root of this machine, or by one of
/// [`roots`](Self::roots), and name the host of the endpoint. That host is also the server name of the handshake (SNI),
/// unless it is an IP address. TLS 1.2 and 1.3. A handshake that fails is `502`, and counts as a failure to connect: nothing
/// was sent.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::UpstreamTls;
/// # use prox_runtime::upstream;
///
/// let users = upstream("https://10.0.0.1:8443").tls(
///     UpstreamTls::new()
///         .roots("/tls/internal-ca.pem")
///         .sni("users.internal")
///         .client_certificate("/tls/gateway.pem", "/tls/gateway.key"),
/// );
/// ```
///
/// The files are read once, when the gateway starts.
#[derive(Clone, Debug, Default)]
#[must_use = "this does nothing until a cluster is given it"]
pub struct UpstreamTls {
    sni: Option<String>,
    roots: Vec<Pem>,
    identity: Option<(Pem, Pem)>,
    accept_any: bool,
}

impl UpstreamTls {
    /// The defaults: the roots of this machine, and the host of the endpoint as its name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects this name in the certificate, and asks for it (SNI), instead of the host of the endpoint.
    pub fn sni(mut self, name: impl Into<String>) -> Self {
        self.sni = Some(name.into());
        self
    }

    /// Trusts these roots, and no others: certificates in PEM. A further call adds its roots.
    ///
    /// A root is the certificate of an issuer. The upstream's own certificate may stand here when it was signed by itself,
    /// unless it says of itself that it is an issuer too (`CA:TRUE`, as `openssl req -x509` writes by default).
    pub fn roots(mut self, roots: impl Into<Pem>) -> Self {
        self.roots.push(roots.into());
        self
    }

    /// Shows this certificate to upstreams that ask for one (mTLS).
    pub fn client_certificate(mut self, certificate: impl Into<Pem>, key: impl Into<Pem>) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Takes whoever answers for the upstream: no issuer, no name and no date is looked at.
    ///
    /// Anybody between the gateway and its upstream can then read and change everything. An event at the level `WARN` says
    /// so when the gateway starts.
    pub fn danger_accept_invalid_certs(mut self) -> Self {
        self.accept_any = true;
        self
    }

    fn own_roots(&self) -> Result<Arc<RootCertStore>, String> {
        let mut all = RootCertStore::empty();
        for pem in &self.roots {
            let some: RootCertStore = pem.read("list of roots").roots()?;
            all.roots.extend(some.roots);
        }
        Ok(Arc::new(all))
    }

    /// Reads everything; `h2` when HTTP/2 is to be asked for.
    ///
    /// # Errors
    ///
    /// All that is wrong.
    fn start(&self, h2: bool) -> Result<Connector, Vec<String>> {
        let provider = provider();
        let mut problems = Vec::new();
        let mut keep = |problem: String| problems.push(problem);
        let sni = self.sni.as_ref().and_then(|name| {
            let parsed = ServerName::try_from(name.clone());
            parsed
                .map_err(|_| {
                    keep(format!(
                        "the name {name:?} of `.sni(..)` is no host: write \"users.internal\""
                    ));
                })
                .ok()
        });
        let roots = if self.accept_any {
            None
        } else {
            let roots = if self.roots.is_empty() {
                system_roots()
            } else {
                self.own_roots()
            };
            roots.map_err(&mut keep).ok()
        };
        let identity = self.identity.as_ref().and_then(|(certificate, key)| {
            identity(certificate, key, &provider)
                .map_err(|found| found.into_iter().for_each(&mut keep))
                .ok()
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        let config =
            config(roots, identity, &provider, h2).map_err(|error| vec![error.to_string()])?;
        Ok(Connector {
            config: Arc::new(config),
            sni,
            accept_any: self.accept_any,
        })
    }
}

/// TLS as a cluster was told, or with the defaults.
pub(crate) fn connector(options: Option<UpstreamTls>, h2: bool) -> Result<Connector, Vec<String>> {
    options.unwrap_or_default().start(h2)
}

/// TLS with the upstreams of one cluster.
#[derive(Debug)]
pub(crate) struct Connector {
    config: Arc<ClientConfig>,
    sni: Option<ServerName<'static>>,
    accept_any: bool,
}

impl Connector {
    /// Whether nobody looks at certificates.
    pub(crate) fn accepts_any(&self) -> bool {
        self.accept_any
    }

    /// Why there can be no handshake with this host, if there cannot.
    pub(crate) fn refuses(&self, host: &str) -> Option<String> {
        self.name(host).err().map(|_| {
            format!(
                "{host:?} cannot be in a certificate: write `.tls(UpstreamTls::new().sni(\"..\"))`"
            )
        })
    }

    fn name(&self, host: &str) -> Result<ServerName<'static>, InvalidDnsNameError> {
        match &self.sni {
            Some(name) => Ok(name.clone()),
            None => ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned()),
        }
    }

    /// Shakes hands with an upstream, and says whether HTTP/2 was agreed on; the caller bounds the time.
    ///
    /// # Errors
    ///
    /// When the upstream speaks no TLS, is not who it should be, or does not accept this gateway.
    pub(crate) async fn connect(&self, stream: Stream, host: &str) -> io::Result<(Stream, bool)> {
        let name = self
            .name(host)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = TlsConnector::from(Arc::clone(&self.config))
            .connect(name, stream)
            .await?;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Stream::boxed(stream), h2))
    }
}

/// Whether it is TLS that an I/O error tells of: a handshake that the other end has refused after ours was over, or bytes
/// that somebody has changed.
pub(crate) fn is_failure(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
}

/// The roots of this machine, read once.
fn system_roots() -> Result<Arc<RootCertStore>, String> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // One that cannot be read is one that nothing can be verified with; the others are as good as before.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        return Err(
            "there are no root certificates on this machine: install them (the package is mostly called \
             `ca-certificates`), set SSL_CERT_FILE, or write `.tls(UpstreamTls::new().roots(\"ca.pem\"))`"
                .into(),
        );
    }
    Ok(Arc::clone(roots))
}

fn identity(
    certificate: &Pem,
    key: &Pem,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, Vec<String>> {
    let (certificate, key) = (certificate.read("certificate"), key.read("private key"));
    let (_, certified, _, warning) = super::material::pair(&certificate, &key, provider)?;
    if let Some(warning) = warning {
        tracing::error!(target: "prox", "{warning}");
    }
    Ok(certified)
}

fn config(
    roots: Option<Arc<RootCertStore>>,
    identity: Option<Arc<CertifiedKey>>,
    provider: &Arc<CryptoProvider>,
    h2: bool,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?;
    let builder = match roots {
        Some(roots) => builder.with_root_certificates(roots),
        None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAny(Arc::clone(provider)))),
    };
    let mut config = match identity {
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn(h2);
    Ok(config)
}

/// Believes every certificate; that the other end has its key is looked at all the same.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
