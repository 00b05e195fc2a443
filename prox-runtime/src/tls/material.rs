//! The files of a server at one moment, and the configurations of rustls that they make.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::Arc,
    time::SystemTime,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{Tls, names::Names, pem::Text, x509};

/// What was read of all the files, before anybody has looked whether it is any good.
pub(super) struct Material {
    pairs: Vec<(Text, Text)>,
    roots: Option<(Text, bool)>,
}

/// One certificate, ready for handshakes.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) names: Arc<Names>,
    pub(super) config: Arc<ServerConfig>,
    /// Its last second, since 1970.
    pub(super) not_after: i64,
    key: Arc<CertifiedKey>,
}

/// All certificates; the first is for whom no other is.
#[derive(Debug)]
pub(super) struct Certificates(Vec<Certificate>);

/// Reads the files of a server.
pub(super) fn read(tls: &Tls) -> Material {
    Material {
        pairs: tls
            .pairs
            .iter()
            .map(|(certificate, key)| (certificate.read("certificate"), key.read("private key")))
            .collect(),
        roots: tls
            .auth
            .as_ref()
            .map(|auth| (auth.roots.read("list of roots"), auth.required)),
    }
}

/// The one provider of cryptography.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

impl Material {
    /// Tells one content of the files from another.
    pub(super) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (certificate, key) in &self.pairs {
            certificate.hash(&mut hasher);
            key.hash(&mut hasher);
        }
        if let Some((roots, _)) = &self.roots {
            roots.hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The certificates, and what is wrong with them that does not keep a server from serving.
    ///
    /// # Errors
    ///
    /// All that does.
    pub(super) fn build(&self, h2: bool) -> Result<(Certificates, Vec<String>), Vec<String>> {
        let provider = provider();
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let mut pairs = Vec::with_capacity(self.pairs.len());
        for (certificate, key) in &self.pairs {
            match pair(certificate, key, &provider) {
                Ok((names, key, not_after, warning)) => {
                    pairs.push((names, key, not_after));
                    warnings.extend(warning);
                }
                Err(found) => problems.extend(found),
            }
        }
        let verifier = match &self.roots {
            None => None,
            Some((text, required)) => match verifier(text, *required, &provider) {
                Ok(verifier) => Some(verifier),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            },
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let certificates = pairs
            .into_iter()
            .map(|(names, key, not_after)| {
                let config = config(Arc::clone(&key), verifier.clone(), &provider, h2)?;
                Ok(Certificate {
                    names: Arc::new(names),
                    config: Arc::new(config),
                    not_after,
                    key,
                })
            })
            .collect::<Result<_, rustls::Error>>();
        match certificates {
            Ok(certificates) => Ok((Certificates(certificates), warnings)),
            Err(error) => Err(vec![error.to_string()]),
        }
    }
}

impl Certificates {
    pub(super) fn all(&self) -> &[Certificate] {
        &self.0
    }

    /// The certificate for this client.
    pub(super) fn choose(&self, hello: &ClientHello<'_>) -> Option<&Certificate> {
        let Some(host) = hello.server_name() else {
            return self.0.first();
        };
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let mut fitting = self.0.iter().filter(|one| one.names.cover(host)).peekable();
        let first = fitting.peek().copied().or(self.0.first());
        fitting
            .find(|one| {
                one.key
                    .key
                    .choose_scheme(hello.signature_schemes())
                    .is_some()
            })
            .or(first)
    }
}

/// The names of a certificate, its key, its last second, and what is wrong with it that does not keep it from serving.
type Pair = (Names, Arc<CertifiedKey>, i64, Option<String>);

/// A certificate with its key: its names, and a warning if it is out of date.
pub(super) fn pair(
    certificate: &Text,
    key: &Text,
    provider: &CryptoProvider,
) -> Result<Pair, Vec<String>> {
    let (chain, private) = match (certificate.certificates(), key.key()) {
        (Ok(chain), Ok(private)) => (chain, private),
        (chain, private) => {
            return Err([chain.err(), private.err()].into_iter().flatten().collect());
        }
    };
    let problem = |text: String| Err(vec![text]);
    let Some(parsed) = chain
        .first()
        .and_then(|leaf| x509::Certificate::parse(leaf))
    else {
        return problem(format!(
            "{} cannot be read: it is no X.509 certificate",
            certificate.name
        ));
    };
    let certified = match CertifiedKey::from_der(chain, private, provider) {
        Ok(certified) => certified,
        Err(rustls::Error::InconsistentKeys(_)) => {
            return problem(format!(
                "{} is not the key of {}: give the two that were made together, with the server's own certificate \
                 first in its file",
                key.name, certificate.name
            ));
        }
        Err(rustls::Error::InvalidCertificate(error)) => {
            return problem(format!("{} cannot be used: {error}", certificate.name));
        }
        Err(error) => {
            return problem(format!(
                "{} cannot be used: {error}; an RSA key of 2048 to 8192 bits, an ECDSA key (P-256, P-384) or an Ed25519 \
                 key can",
                key.name
            ));
        }
    };
    let mut names = Names {
        hosts: parsed.hosts,
        addresses: parsed.addresses,
    };
    if names.hosts.is_empty() && names.addresses.is_empty() {
        names
            .hosts
            .extend(parsed.common_name.map(|name| name.to_ascii_lowercase()));
    }
    let warning = match now() {
        now if now > parsed.not_after => Some(format!(
            "{} has expired on {}: renew it",
            certificate.name,
            x509::date(parsed.not_after)
        )),
        now if now < parsed.not_before => Some(format!(
            "{} is not valid before {}: wait, or set the clock of this machine",
            certificate.name,
            x509::date(parsed.not_before)
        )),
        _ => None,
    };
    Ok((names, Arc::new(certified), parsed.not_after, warning))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

fn verifier(
    roots: &Text,
    required: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let store: RootCertStore = roots.roots()?;
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider));
    let builder = if required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder
        .build()
        .map_err(|error| format!("{} cannot be used: {error}", roots.name))
}

fn config(
    key: Arc<CertifiedKey>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    provider: &Arc<CryptoProvider>,
    h2: bool,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = alpn(h2);
    // Tickets keep what a session was on the client's side, so that no number of clients makes this process grow. They are
    // good for this configuration only: whoever was trusted by roots that were replaced is asked anew.
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}

/// What is offered or asked for, the preferred first.
pub(super) fn alpn(h2: bool) -> Vec<Vec<u8>> {
    let http1 = b"http/1.1".to_vec();
    if h2 {
        vec![b"h2".to_vec(), http1]
    } else {
        vec![http1]
    }
}
