//! Certificates that are made in the test: an authority, and what it issues.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    SanType, date_time_ymd,
};

/// An authority that issues certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// What a certificate is issued for.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The common name.
    pub common_name: Option<&'static str>,
    /// Hosts, `*.` included, IP addresses and URIs, as alternative names.
    pub alternatives: Vec<&'static str>,
    /// Whether it was good a long time ago only.
    pub expired: bool,
}

impl Authority {
    /// An authority of this name, with a key of its own.
    pub fn new(name: &'static str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Self { issuer }
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these hosts, IP addresses or URIs.
    pub fn issue(&self, alternatives: &[&'static str]) -> Issued {
        self.issue_with(Names {
            alternatives: alternatives.to_vec(),
            ..Names::default()
        })
    }

    /// A certificate with names of every kind.
    pub fn issue_with(&self, names: Names) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = names.common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.subject_alt_names = names.alternatives.into_iter().map(alternative).collect();
        if names.expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 31);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Issued {
    /// A certificate for this host that nobody but itself has signed, and that is no authority.
    pub fn self_signed(host: &'static str) -> Self {
        let params = CertificateParams::new([host.to_owned()]).expect("a host");
        let key = KeyPair::generate().expect("a key");
        Self {
            certificate: params.self_signed(&key).expect("a certificate").pem(),
            key: key.serialize_pem(),
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn alternative(name: &'static str) -> SanType {
    let text = || name.try_into().expect("ASCII");
    if let Ok(address) = name.parse() {
        SanType::IpAddress(address)
    } else if name.contains("://") {
        SanType::URI(text())
    } else {
        SanType::DnsName(text())
    }
}

/// A folder for the files of one test, which is removed with this.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// An empty folder.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let path = std::env::temp_dir().join(format!("prox-tests-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, and gives its path. A file that is there is replaced as a whole.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let (path, new) = (self.path(name), self.path(&format!("{name}.new")));
        fs::write(&new, content).expect("a file can be written");
        fs::rename(&new, &path).expect("a file can be renamed");
        path
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it is in nobody's way.
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}
