//! TLS on both sides of a gateway: a client, and what stands before an origin.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, ProtocolVersion, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use crate::{
    certs::{Authority, Issued},
    client::Answer,
    wait::within,
    wire::{End, Reader, Received},
};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(pem: &str) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(pem)).expect("a root");
    Arc::new(roots)
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM")
}

fn key(pem: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("a key in PEM")
}

/// How a client dials: whom it trusts, for whom it asks, and who it says that it is.
#[derive(Clone)]
pub struct Dial {
    /// None to believe anyone.
    roots: Option<Arc<RootCertStore>>,
    name: ServerName<'static>,
    identity: Option<Issued>,
    versions: &'static [&'static SupportedProtocolVersion],
    alpn: Vec<Vec<u8>>,
}

impl Dial {
    /// Asks for this host, or for an address without naming a host, and trusts this authority.
    pub fn new(authority: &Authority, name: &'static str) -> Self {
        Self {
            roots: Some(roots(&authority.pem())),
            ..Self::anyone(name)
        }
    }

    /// Asks for this host, and believes whoever answers.
    pub fn anyone(name: &'static str) -> Self {
        Self {
            roots: None,
            name: name.try_into().expect("a host or an address"),
            identity: None,
            versions: rustls::ALL_VERSIONS,
            alpn: Vec::new(),
        }
    }

    /// Shows a certificate if it is asked for one.
    pub fn identity(mut self, issued: &Issued) -> Self {
        self.identity = Some(issued.clone());
        self
    }

    /// Speaks these versions only.
    pub fn versions(mut self, versions: &'static [&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions;
        self
    }

    /// Offers these protocols.
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        self
    }

    /// A configuration, with a memory for sessions of its own.
    pub fn config(&self) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(self.versions)
            .expect("versions of the provider");
        let builder = match &self.roots {
            Some(roots) => builder.with_root_certificates(Arc::clone(roots)),
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anyone(provider()))),
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(issued) => builder
                .with_client_auth_cert(vec![certificate(&issued.certificate)], key(&issued.key))
                .expect("a certificate with its key"),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        Arc::new(config)
    }

    /// Connects and shakes hands.
    ///
    /// # Errors
    ///
    /// Why there was no handshake.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<SecureClient> {
        self.connect_with(self.config(), address).await
    }

    /// As [`connect`](Self::connect), with a configuration that was used before.
    ///
    /// # Errors
    ///
    /// Why there was no handshake.
    pub async fn connect_with(
        &self,
        config: Arc<ClientConfig>,
        address: SocketAddr,
    ) -> io::Result<SecureClient> {
        let stream = within("a connection", TcpStream::connect(address)).await?;
        Ok(SecureClient::of(self.shake_hands(config, stream).await?))
    }

    /// Shakes hands on a connection that is there already.
    ///
    /// # Errors
    ///
    /// Why there was no handshake.
    pub async fn connect_over(&self, stream: TcpStream) -> io::Result<SecureClient> {
        Ok(SecureClient::of(
            self.shake_hands(self.config(), stream).await?,
        ))
    }

    /// Connects, shakes hands, and leaves the rest to the test.
    ///
    /// # Errors
    ///
    /// Why there was no handshake.
    pub async fn stream(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = within("a connection", TcpStream::connect(address)).await?;
        self.shake_hands(self.config(), stream).await
    }

    async fn shake_hands(
        &self,
        config: Arc<ClientConfig>,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(config);
        within("a handshake", connector.connect(self.name.clone(), stream)).await
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client over TLS that speaks HTTP/1.1.
#[derive(Debug)]
pub struct SecureClient {
    reader: Reader<ReadHalf<TlsStream<TcpStream>>>,
    writer: WriteHalf<TlsStream<TcpStream>>,
    /// The certificate that the server has shown.
    pub certificate: CertificateDer<'static>,
    /// The version that was agreed on.
    pub version: ProtocolVersion,
    /// The protocol that was agreed on.
    pub alpn: Option<String>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

impl SecureClient {
    fn of(stream: TlsStream<TcpStream>) -> Self {
        let connection = stream.get_ref().1;
        let certificates = connection.peer_certificates().unwrap_or_default();
        let certificate = certificates.first().expect("a server shows a certificate");
        let (certificate, version) = (certificate.clone(), connection.protocol_version());
        let alpn = connection.alpn_protocol();
        let alpn = alpn.map(|name| String::from_utf8_lossy(name).into_owned());
        let resumed = connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader: Reader::new(reader),
            writer,
            certificate,
            version: version.expect("the handshake is over"),
            alpn,
            resumed,
        }
    }

    /// Whether the server has shown this certificate.
    pub fn was_shown(&self, issued: &Issued) -> bool {
        self.certificate == certificate(&issued.certificate)
    }

    /// Sends a `GET` for this host, and reads the response; status 0 when there is none.
    pub async fn get(&mut self, host: &str, target: &str) -> Answer {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let sent = async {
            self.writer.write_all(request.as_bytes()).await?;
            self.writer.flush().await
        };
        // That the other end does not take it is no error here: its answer is looked at instead.
        let _ = within("a request to be sent", sent).await;
        let head = within("the head of a response", self.reader.head()).await;
        let head = head.unwrap_or_default();
        let status = head.word(1).parse().unwrap_or(0);
        let mut body = Received::default();
        if status == 0 {
            body.end = End::Cut;
        } else {
            let framing = head.response_framing("GET");
            body = within("a body", self.reader.body(framing, |_| {})).await;
        }
        Answer {
            status,
            head,
            interim: Vec::new(),
            body,
        }
    }
}

/// TLS in front of an origin: it notes what it sees in handshakes, and passes the bytes on.
pub struct Front {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Handshake>>>,
    task: JoinHandle<()>,
}

/// What a front saw in a handshake.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The host that was asked for.
    pub sni: Option<String>,
    /// The protocol that was agreed on.
    pub alpn: Option<String>,
    /// The certificate of the other end.
    pub client: Option<CertificateDer<'static>>,
}

impl Front {
    /// Shows this certificate, and asks for one of these authority's, if there is one.
    pub async fn start(origin: SocketAddr, issued: &Issued, clients: Option<&Authority>) -> Self {
        Self::speaking(&["http/1.1"], origin, issued, clients).await
    }

    /// As [`start`](Self::start), for an origin that speaks these protocols; none to know nothing of them.
    pub async fn speaking(
        protocols: &[&str],
        origin: SocketAddr,
        issued: &Issued,
        clients: Option<&Authority>,
    ) -> Self {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions of the provider");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = roots(&authority.pem());
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            }
        };
        let mut config = builder
            .with_single_cert(vec![certificate(&issued.certificate)], key(&issued.key))
            .expect("a certificate with its key");
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port of 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let seen = Arc::default();
        let task = tokio::spawn(relay(listener, Arc::new(config), origin, Arc::clone(&seen)));
        Self {
            address,
            seen,
            task,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The handshakes that it has seen to the end.
    pub fn handshakes(&self) -> Vec<Handshake> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn relay(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    origin: SocketAddr,
    seen: Arc<Mutex<Vec<Handshake>>>,
) {
    // The connections end with this task, because the set does.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, seen) = (TlsAcceptor::from(Arc::clone(&config)), Arc::clone(&seen));
        connections.spawn(async move {
            let mut stream = acceptor.accept(stream).await?;
            let connection = stream.get_ref().1;
            let handshake = Handshake {
                sni: connection.server_name().map(str::to_owned),
                alpn: connection
                    .alpn_protocol()
                    .map(|name| String::from_utf8_lossy(name).into_owned()),
                client: connection
                    .peer_certificates()
                    .and_then(|chain| chain.first().cloned().map(CertificateDer::into_owned)),
            };
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(handshake);
            let mut origin = TcpStream::connect(origin).await?;
            tokio::io::copy_bidirectional(&mut stream, &mut origin).await
        });
    }
}
