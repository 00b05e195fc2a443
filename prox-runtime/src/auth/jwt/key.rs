//! Keys that verify tokens, and the algorithms that each of them is for. The key decides, never the token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm},
};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};

use crate::{
    auth::json,
    identity::Claim,
    secret::Secret,
    tls::der::{BIT_STRING, Der, OID, SEQUENCE},
};

/// An algorithm of RFC 7518, 3.1, or RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alg {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Alg {
    /// The name to the letter; `none` and all others are not algorithms.
    pub(super) fn read(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    /// Whether its keys are secrets.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

/// A key, and what it may be used for.
#[derive(Clone)]
pub(super) struct Key {
    material: Material,
    /// Its name within its issuer. A key without one verifies tokens that name any, if it is the user's own.
    kid: Option<String>,
    /// The only algorithm, if the key says so.
    alg: Option<Alg>,
    /// Whether it is of a set, where names tell keys apart.
    listed: bool,
}

#[derive(Clone)]
enum Material {
    Hmac { secret: Secret, bytes: usize },
    RsaParts { n: Vec<u8>, e: Vec<u8> },
    RsaDer(Vec<u8>),
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Key {
    fn of(material: Material) -> Self {
        Self {
            material,
            kid: None,
            alg: None,
            listed: false,
        }
    }

    /// A secret that is shared with the issuer.
    ///
    /// # Errors
    ///
    /// One that is shorter than the hash of HS256 (RFC 7518, 3.2).
    pub(super) fn secret(secret: &Secret) -> Result<Self, String> {
        let bytes = secret.expose().len();
        if bytes < 32 {
            return Err(format!(
                "a secret of {bytes} bytes is too short: HS256 needs at least 32"
            ));
        }
        Ok(Self::of(Material::Hmac {
            secret: secret.clone(),
            bytes,
        }))
    }

    /// A public key in PEM: `-----BEGIN PUBLIC KEY-----`.
    pub(super) fn pem(text: &[u8]) -> Result<Self, String> {
        const ADVICE: &str =
            "expected `-----BEGIN PUBLIC KEY-----` with an RSA, P-256, P-384 or Ed25519 key";
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text).map_err(|_| ADVICE.to_owned())?;
        let material = spki(&der).ok_or(ADVICE)?;
        if let Material::RsaDer(der) = &material
            && der.len() < 260
        {
            return Err(String::from("an RSA key below 2048 bits"));
        }
        Ok(Self::of(material))
    }

    /// A key of a set (RFC 7517); nothing if it is not for verifying tokens, or of an unknown kind.
    fn jwk(jwk: &Claim) -> Option<Self> {
        let text = |name: &str| jwk.get(name).map(|value| value.as_text());
        let absent_or = |name: &str, wanted: &str| text(name).is_none_or(|own| own == Some(wanted));
        if !absent_or("use", "sig") {
            return None;
        }
        if let Some(ops) = jwk.get("key_ops")
            && !(matches!(ops, Claim::List(_)) && ops.has("verify"))
        {
            return None;
        }
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)??).ok();
        let material = match (text("kty")??, text("crv").flatten()) {
            ("RSA", _) => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                let n: Vec<u8> = n.into_iter().skip_while(|byte| *byte == 0).collect();
                if n.len() < 256 {
                    return None;
                }
                Material::RsaParts { n, e }
            }
            ("EC", Some("P-256")) => Material::P256(point(&bytes("x")?, &bytes("y")?, 32)?),
            ("EC", Some("P-384")) => Material::P384(point(&bytes("x")?, &bytes("y")?, 48)?),
            ("OKP", Some("Ed25519")) => {
                Material::Ed25519(bytes("x").filter(|bytes| bytes.len() == 32)?)
            }
            // `oct` is a secret, which never comes in a set.
            _ => return None,
        };
        let alg = match text("alg") {
            None => None,
            Some(name) => Some(Alg::read(name?)?),
        };
        let kid = match text("kid") {
            None => None,
            Some(kid) => Some(kid?.to_owned()),
        };
        let key = Self {
            material,
            kid,
            alg,
            listed: true,
        };
        // An algorithm of another kind of keys.
        key.alg.is_none_or(|alg| key.is_for(alg)).then_some(key)
    }

    /// Whether the key is for this algorithm.
    pub(super) fn is_for(&self, alg: Alg) -> bool {
        use Alg::{
            EdDsa, Es256, Es384, Hs256, Hs384, Hs512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512,
        };
        let kind = match &self.material {
            Material::Hmac { bytes, .. } => match alg {
                Hs256 => *bytes >= 32,
                Hs384 => *bytes >= 48,
                Hs512 => *bytes >= 64,
                _ => false,
            },
            Material::RsaParts { .. } | Material::RsaDer(_) => {
                matches!(alg, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512)
            }
            Material::P256(_) => alg == Es256,
            Material::P384(_) => alg == Es384,
            Material::Ed25519(_) => alg == EdDsa,
        };
        kind && self.alg.is_none_or(|own| own == alg)
    }

    /// Whether a token that names this key means this one.
    pub(super) fn is_named(&self, kid: Option<&str>) -> bool {
        match (kid, &self.kid) {
            (None, _) => true,
            (Some(kid), Some(own)) => kid == own,
            (Some(_), None) => !self.listed,
        }
    }

    /// Whether the signature is one of this key.
    pub(super) fn verify(&self, alg: Alg, message: &[u8], signed: &[u8]) -> bool {
        if !self.is_for(alg) {
            return false;
        }
        let rsa: Option<&'static signature::RsaParameters> = match alg {
            Alg::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            Alg::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            Alg::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            Alg::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
            Alg::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
            Alg::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
            _ => None,
        };
        let holds = |by: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(by, key)
                .verify(message, signed)
                .is_ok()
        };
        match (&self.material, rsa) {
            (Material::RsaParts { n, e }, Some(rsa)) => RsaPublicKeyComponents { n, e }
                .verify(rsa, message, signed)
                .is_ok(),
            (Material::RsaDer(der), Some(rsa)) => holds(rsa, der),
            (Material::P256(point), None) => holds(&signature::ECDSA_P256_SHA256_FIXED, point),
            (Material::P384(point), None) => holds(&signature::ECDSA_P384_SHA384_FIXED, point),
            (Material::Ed25519(key), None) => holds(&signature::ED25519, key),
            (Material::Hmac { secret, .. }, None) => {
                let hash = match alg {
                    Alg::Hs384 => hmac::HMAC_SHA384,
                    Alg::Hs512 => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                let key = hmac::Key::new(hash, secret.expose().as_bytes());
                hmac::verify(&key, message, signed).is_ok()
            }
            _ => false,
        }
    }
}

/// An uncompressed point (SEC 1, 2.3.3).
fn point(x: &[u8], y: &[u8], size: usize) -> Option<Vec<u8>> {
    (x.len() == size && y.len() == size).then(|| [&[4], x, y].concat())
}

/// The key of a `SubjectPublicKeyInfo` (RFC 5280, 4.1).
fn spki(der: &[u8]) -> Option<Material> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    let mut info = Der(Der(der).expect(SEQUENCE)?);
    let mut algorithm = Der(info.expect(SEQUENCE)?);
    let key = info.expect(BIT_STRING)?.strip_prefix(&[0])?.to_vec();
    match algorithm.expect(OID)? {
        RSA => Some(Material::RsaDer(key)),
        EC => match algorithm.expect(OID)? {
            P256 => Some(Material::P256(key)),
            P384 => Some(Material::P384(key)),
            _ => None,
        },
        ED25519 => Some(Material::Ed25519(key)),
        _ => None,
    }
}

/// The most keys of a set.
const MOST: usize = 100;

/// The keys of a set that can be used.
///
/// # Errors
///
/// A set without any: it counts as broken.
pub(super) fn set(bytes: &[u8]) -> Result<Vec<Key>, String> {
    let object = json::object(bytes).ok_or("it is not a JSON object without duplicate names")?;
    let Some(Claim::List(list)) = object.get("keys") else {
        return Err(String::from("it has no list of `keys` (RFC 7517, 5)"));
    };
    if list.len() > MOST {
        return Err(format!("it has over {MOST} keys"));
    }
    let keys: Vec<Key> = list.iter().filter_map(Key::jwk).collect();
    if keys.is_empty() {
        return Err(String::from("it has no key that can verify a token"));
    }
    Ok(keys)
}
