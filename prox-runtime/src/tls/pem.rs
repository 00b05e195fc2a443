//! Certificates and keys in PEM, from files or from memory, and what can be wrong with them.

use std::{
    fmt, fs,
    hash::{DefaultHasher, Hash},
    io,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

#[cfg(feature = "redis")]
use super::material::{pair, provider};

/// Certificates or a key in PEM: the path of a file, or the text itself.
///
/// Whatever takes a `Pem` takes a path as it is: `"cert.pem"`.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Pem, Tls};
///
/// let from_files = Tls::pem("/tls/tls.crt", "/tls/tls.key");
/// let from_memory = Tls::pem(Pem::bytes("-----BEGIN CERTIFICATE-----.."), Pem::bytes("-----BEGIN PRIVATE KEY-----.."));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Pem(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl Pem {
    /// A file, which is read when the gateway starts.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// The text itself, such as the value of a variable.
    pub fn bytes(text: impl Into<Vec<u8>>) -> Self {
        Self(Source::Bytes(text.into()))
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self.0, Source::File(_))
    }

    /// The text of a list of roots.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    #[cfg(feature = "redis")]
    pub(crate) fn roots(&self) -> Result<Vec<u8>, String> {
        let text = self.read("list of roots");
        text.roots()?;
        text.bytes().map(<[u8]>::to_vec)
    }

    /// The text of this certificate, and of its key.
    ///
    /// # Errors
    ///
    /// All that is wrong with them.
    #[cfg(feature = "redis")]
    pub(crate) fn with_key(&self, key: &Self) -> Result<(Vec<u8>, Vec<u8>), Vec<String>> {
        let (certificate, key) = (self.read("certificate"), key.read("private key"));
        pair(&certificate, &key, &provider())?;
        let text = |text: &Text| {
            text.bytes()
                .map(<[u8]>::to_vec)
                .map_err(|problem| vec![problem])
        };
        Ok((text(&certificate)?, text(&key)?))
    }

    /// Reads it now; `role` says in errors what it is for.
    pub(super) fn read(&self, role: &'static str) -> Text {
        let (name, bytes) = match &self.0 {
            Source::File(path) => (format!("{}", path.display()), fs::read(path)),
            Source::Bytes(bytes) => (
                format!("the {role} that was given as text"),
                Ok(bytes.clone()),
            ),
        };
        Text { name, role, bytes }
    }
}

/// Never shows a key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::File(path) => write!(f, "Pem({})", path.display()),
            Source::Bytes(bytes) => write!(f, "Pem({} bytes)", bytes.len()),
        }
    }
}

impl From<&str> for Pem {
    fn from(path: &str) -> Self {
        Self::file(path)
    }
}

impl From<String> for Pem {
    fn from(path: String) -> Self {
        Self::file(path)
    }
}

impl From<&String> for Pem {
    fn from(path: &String) -> Self {
        Self::file(path)
    }
}

impl From<&Path> for Pem {
    fn from(path: &Path) -> Self {
        Self::file(path)
    }
}

impl From<PathBuf> for Pem {
    fn from(path: PathBuf) -> Self {
        Self::file(path)
    }
}

impl From<&PathBuf> for Pem {
    fn from(path: &PathBuf) -> Self {
        Self::file(path)
    }
}

/// What was read, or why nothing was.
pub(super) struct Text {
    /// What errors call it.
    pub(super) name: String,
    role: &'static str,
    bytes: io::Result<Vec<u8>>,
}

impl Text {
    /// Tells one content from another.
    pub(super) fn hash(&self, hasher: &mut DefaultHasher) {
        match &self.bytes {
            Ok(bytes) => bytes.hash(hasher),
            Err(error) => error.kind().hash(hasher),
        }
    }

    fn bytes(&self) -> Result<&[u8], String> {
        self.bytes.as_deref().map_err(|error| {
            let fix = match error.kind() {
                io::ErrorKind::NotFound => ": name a file that is there",
                io::ErrorKind::PermissionDenied => ": let the user of this process read it",
                _ => "",
            };
            format!(
                "{} cannot be read as {}: {error}{fix}",
                self.name,
                article(self.role)
            )
        })
    }

    /// All the certificates, at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let bytes = self.bytes()?;
        let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| self.no_pem(&error))?;
        if found.is_empty() {
            return Err(self.holds_none(bytes, "certificate", "-----BEGIN CERTIFICATE-----"));
        }
        Ok(found)
    }

    /// The first private key.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        let bytes = self.bytes()?;
        match PrivateKeyDer::from_pem_slice(bytes) {
            Ok(key) => Ok(key),
            Err(pem::Error::NoItemsFound) if has(bytes, "BEGIN ENCRYPTED PRIVATE KEY") => {
                Err(format!(
                    "{} is encrypted, and there is nobody to ask for its password: write it without, with \
                     `openssl pkey -in key.pem -out plain.pem`",
                    self.name
                ))
            }
            Err(pem::Error::NoItemsFound) => {
                Err(self.holds_none(bytes, "private key", "-----BEGIN PRIVATE KEY-----"))
            }
            Err(error) => Err(self.no_pem(&error)),
        }
    }

    /// The certificates as those whom to trust.
    pub(super) fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|error| {
                format!(
                    "{} has a certificate that cannot be trusted: {error}",
                    self.name
                )
            })?;
        }
        Ok(roots)
    }

    fn holds_none(&self, bytes: &[u8], what: &str, begin: &str) -> String {
        let found = if bytes.trim_ascii().is_empty() {
            "it is empty".to_owned()
        } else if what == "private key" && has(bytes, "BEGIN CERTIFICATE") {
            "it holds a certificate: were the two files exchanged?".to_owned()
        } else if what == "certificate" && has(bytes, "PRIVATE KEY") {
            "it holds a private key: were the two files exchanged?".to_owned()
        } else if bytes.first() == Some(&0x30) {
            "it looks like DER: convert it, with `openssl x509 -inform der` or `openssl pkey -inform der`".to_owned()
        } else {
            format!("expected a line `{begin}`")
        };
        format!("{} has no {what} in it: {found}", self.name)
    }

    fn no_pem(&self, error: &pem::Error) -> String {
        format!("{} is broken: {error}", self.name)
    }
}

fn article(role: &str) -> String {
    format!("a {role}")
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}
