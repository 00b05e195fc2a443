//! Callers that are known by the certificate of their TLS handshake.

use http::{HeaderName, HeaderValue};

use super::{Authenticate, Denied, Verdict};
use crate::{
    coding::base64,
    error::Failure,
    handler::Parts,
    identity::{Claim, Principal},
    middleware::About,
    route::RequestExt,
    tls::ClientCert,
};

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// Lets in callers with a client certificate, which the server has verified in the TLS handshake.
///
/// The server asks for one with `Tls::client_auth`. A request without an accepted certificate is answered `403`, because HTTP has
/// no scheme to ask for one. The [`Principal`] has the scheme `client-cert`; its subject is the first URI, host or mail address of
/// the certificate, else the name of its subject. The claims `cn`, `fingerprint`, `uris`, `dns_names`
/// and `emails` have the rest.
///
/// Rules on one certificate are alternatives: a certificate that fulfils one of them is accepted.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::{auth::*, *}; } pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
/// use prox::middleware::ClientCerts;
///
/// let anybody = ClientCerts::any();
/// let services = ClientCerts::uri("spiffe://shop/billing").or_uri("spiffe://shop/stock").forward();
/// ```
#[derive(Clone, Debug)]
pub struct ClientCerts {
    rules: Vec<Rule>,
    forward: bool,
    problems: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Any,
    Uri(String),
    Dns(String),
    Fingerprint(String),
}

impl ClientCerts {
    /// Accepts every certificate that the server has verified.
    pub fn any() -> Self {
        Self::of(Rule::Any)
    }

    /// Accepts certificates with this URI among their alternative names, to the letter, such as a SPIFFE ID.
    pub fn uri(uri: impl Into<String>) -> Self {
        Self::of(Rule::Uri(uri.into()))
    }

    /// Accepts certificates with this host among their alternative names, without regard to case. A `*` in a certificate is not a
    /// wildcard here.
    pub fn dns(host: impl Into<String>) -> Self {
        Self::of(Rule::Dns(host.into().to_ascii_lowercase()))
    }

    /// Accepts the certificate with this SHA-256: 64 hexadecimal digits, of either case, with or without `:` between bytes.
    pub fn fingerprint(sha256: impl AsRef<str>) -> Self {
        Self::of(Rule::Fingerprint(digits(sha256.as_ref())))
    }

    /// Accepts certificates with this URI as well.
    pub fn or_uri(self, uri: impl Into<String>) -> Self {
        self.and(Rule::Uri(uri.into()))
    }

    /// Accepts certificates with this host as well.
    pub fn or_dns(self, host: impl Into<String>) -> Self {
        self.and(Rule::Dns(host.into().to_ascii_lowercase()))
    }

    /// Accepts the certificate with this SHA-256 as well.
    pub fn or_fingerprint(self, sha256: impl AsRef<str>) -> Self {
        self.and(Rule::Fingerprint(digits(sha256.as_ref())))
    }

    /// Tells upstreams the certificate in `Client-Cert` (RFC 9440, 2.2). No client can claim that field.
    pub fn forward(mut self) -> Self {
        self.forward = true;
        self
    }

    fn of(rule: Rule) -> Self {
        let empty = Self {
            rules: Vec::new(),
            forward: false,
            problems: Vec::new(),
        };
        empty.and(rule)
    }

    fn and(mut self, rule: Rule) -> Self {
        let problem = match &rule {
            Rule::Uri(uri) if !uri.contains(':') => Some(format!(
                "`ClientCerts::uri`: {uri:?} is not a URI, write \"spiffe://shop/billing\""
            )),
            Rule::Dns(host) if host.is_empty() || host.contains(['/', ':', ' ']) => Some(format!(
                "`ClientCerts::dns`: {host:?} is not the name of a host, write \"billing.example.com\""
            )),
            Rule::Fingerprint(sha256)
                if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) =>
            {
                Some(format!(
                    "`ClientCerts::fingerprint`: {sha256:?} is not a SHA-256, write its 64 hexadecimal digits"
                ))
            }
            _ => None,
        };
        self.problems.extend(problem);
        self.rules.push(rule);
        self
    }

    fn accepts(&self, certificate: &ClientCert) -> bool {
        self.rules.iter().any(|rule| match rule {
            Rule::Any => true,
            Rule::Uri(uri) => certificate.uris().any(|own| own == uri),
            Rule::Dns(host) => certificate.dns_names().any(|own| own == host),
            Rule::Fingerprint(sha256) => certificate.fingerprint() == sha256,
        })
    }
}

/// A fingerprint in lower case, without colons.
fn digits(text: &str) -> String {
    let digits = text.chars().filter(|c| *c != ':');
    digits.map(|c| c.to_ascii_lowercase()).collect()
}

impl Authenticate for ClientCerts {
    async fn authenticate(&self, parts: &mut Parts) -> Verdict {
        let certificate = parts.client().and_then(|client| client.certificate());
        let Some(certificate) = certificate else {
            return Verdict::Absent;
        };
        if !self.accepts(certificate) {
            return Verdict::Refused(Denied::new(Failure::Forbidden));
        }
        let principal = principal(certificate);
        let field = self.forward.then(|| field(certificate.der())).flatten();
        if let Some(field) = field {
            parts.headers.insert(CLIENT_CERT, field);
        }
        Verdict::Admitted(principal)
    }

    fn challenge(&self) -> Option<HeaderValue> {
        None
    }

    fn about(&self, about: &mut About) {
        about.add_problems(&self.problems);
    }
}

fn principal(certificate: &ClientCert) -> Principal {
    let names = certificate
        .uris()
        .chain(certificate.dns_names())
        .chain(certificate.emails());
    let mut subjects = names.chain([certificate.subject()]);
    let subject = subjects.find(|name| !name.is_empty());
    let list = |names: &mut dyn Iterator<Item = &str>| -> Claim {
        names.map(Claim::from).collect::<Vec<_>>().into()
    };
    let principal = Principal::new("client-cert", subject.unwrap_or(certificate.fingerprint()))
        .with_claim("fingerprint", certificate.fingerprint())
        .with_claim("uris", list(&mut certificate.uris()))
        .with_claim("dns_names", list(&mut certificate.dns_names()))
        .with_claim("emails", list(&mut certificate.emails()));
    match certificate.common_name() {
        Some(name) => principal.with_claim("cn", name),
        None => principal,
    }
}

/// A byte sequence of RFC 8941, 3.3.5.
fn field(der: &[u8]) -> Option<HeaderValue> {
    HeaderValue::try_from(format!(":{}:", base64(der))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::middleware::IntoLayer;

    #[test]
    fn every_rule_that_no_certificate_fulfils_is_a_problem() {
        let certs = ClientCerts::uri("billing")
            .or_dns("https://a.example.com")
            .or_fingerprint("ab:cd");
        let problems = certs.into_layer().about().problems().to_vec();
        assert_eq!(
            problems,
            [
                "`ClientCerts::uri`: \"billing\" is not a URI, write \"spiffe://shop/billing\"",
                "`ClientCerts::dns`: \"https://a.example.com\" is not the name of a host, write \"billing.example.com\"",
                "`ClientCerts::fingerprint`: \"abcd\" is not a SHA-256, write its 64 hexadecimal digits",
            ]
        );
        let fine = ClientCerts::fingerprint("AB:".repeat(31) + "CD").or_dns("A.example.com");
        assert!(fine.into_layer().about().problems().is_empty());
    }
}
