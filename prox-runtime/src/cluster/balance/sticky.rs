//! The same endpoint for the same browser, through a cookie.

use std::fmt;

use http::{HeaderMap, HeaderValue, header};

use crate::cluster::siphash::{key_from, siphash};

/// Keeps a client at the endpoint that it was given first: `.sticky(cookie("name"))`.
///
/// The gateway sets a cookie that stands for the endpoint. A request that brings it goes there while that endpoint may be
/// used; otherwise the request is balanced like any other, and the cookie is set anew for where it went. So a failure costs
/// an affinity and not a request. An endpoint that returns does not get its old clients back, and one that is drained loses
/// them at once.
///
/// The cookie is `HttpOnly; SameSite=Lax; Path=/`, `Secure` when the client came by https, and lasts for the session of the
/// browser. Its value is a keyed hash (SipHash-2-4) of the address: it does not show the address, and all replicas of a gateway
/// agree on it. Without a [`secret`](Self::secret) the key follows from the backend's name, so whoever guesses an address could
/// check the guess; with one, nobody can.
///
/// ```
/// use prox_runtime::Sticky;
///
/// let sticky = Sticky::cookie("shop").secret("from the environment");
/// # let _ = sticky;
/// ```
#[derive(Clone)]
pub struct Sticky {
    name: String,
    secret: Option<[u64; 2]>,
}

impl Sticky {
    /// Affinity through the cookie `name`.
    pub fn cookie(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            secret: None,
        }
    }

    /// Makes the values of the cookie impossible to foresee; all replicas need the same secret.
    ///
    /// With another secret, each client is balanced anew once.
    #[must_use]
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.secret = Some(key_from(secret.as_ref()));
        self
    }

    /// What is wrong with it, said when the gateway starts.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if self.name.is_empty() || !self.name.bytes().all(is_token) {
            return Err(format!(
                "`{}` is no name of a cookie: write letters, digits, `-` or `_`",
                self.name
            ));
        }
        Ok(())
    }
}

/// What [`ClusterBuilder::sticky`](crate::ClusterBuilder::sticky) takes: `cookie("name")`, or a [`Sticky`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not keep a client at its endpoint",
    label = "expected a cookie",
    note = "write `.sticky(cookie(\"name\"))`, or `.sticky(Sticky::cookie(\"name\").secret(..))`"
)]
pub trait IntoSticky {
    /// Makes the affinity.
    fn into_sticky(self) -> Sticky;
}

impl IntoSticky for Sticky {
    fn into_sticky(self) -> Sticky {
        self
    }
}

impl fmt::Debug for Sticky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sticky")
            .field("name", &self.name)
            .field("secret", &self.secret.is_some())
            .finish()
    }
}

/// The cookie of one cluster, and how its value follows from an address.
#[derive(Debug)]
pub(crate) struct Affinity {
    name: String,
    key: [u64; 2],
}

/// Where a request belongs by its cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belongs {
    /// It brings no cookie: balance it, and set the cookie.
    Nowhere,
    /// To the endpoint that this value stands for: use it if that may be used, else balance and set the cookie anew.
    To(u64),
    /// To an endpoint that is no longer there, or the cookie is forged: balance, and set the cookie anew.
    Gone,
}

impl Affinity {
    /// The cookie of the backend `name`.
    pub(crate) fn new(sticky: &Sticky, name: &str) -> Self {
        Self {
            name: sticky.name.clone(),
            key: sticky.secret.unwrap_or_else(|| key_from(name.as_bytes())),
        }
    }

    /// What stands for the endpoint of this address.
    pub(crate) fn value(&self, address: &str) -> u64 {
        siphash(self.key, address.as_bytes())
    }

    /// Where the request belongs. Of several cookies of the name, the first whose value is `known` counts.
    pub(crate) fn of(&self, headers: &HeaderMap, known: impl Fn(u64) -> bool) -> Belongs {
        let mut belongs = Belongs::Nowhere;
        for field in headers.get_all(header::COOKIE) {
            for pair in field.as_bytes().split(|&byte| byte == b';') {
                let pair = pair.trim_ascii();
                let Some(value) = pair
                    .strip_prefix(self.name.as_bytes())
                    .and_then(|rest| rest.strip_prefix(b"="))
                else {
                    continue;
                };
                match read(value).filter(|&value| known(value)) {
                    Some(value) => return Belongs::To(value),
                    None => belongs = Belongs::Gone,
                }
            }
        }
        belongs
    }

    /// The `Set-Cookie` that binds a client to the endpoint that `value` stands for.
    pub(crate) fn bind(&self, value: u64, secure: bool) -> Option<HeaderValue> {
        let secure = if secure { "; Secure" } else { "" };
        let text = format!(
            "{}={value:016x}; Path=/; HttpOnly; SameSite=Lax{secure}",
            self.name
        );
        HeaderValue::try_from(text).ok()
    }
}

/// Reads 16 hexadecimal digits and nothing else; `from_str_radix` would take a sign.
fn read(value: &[u8]) -> Option<u64> {
    if value.len() != 16 || !value.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(str::from_utf8(value).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: [&str; 3] = [
        "http://10.0.0.1:80",
        "http://10.0.0.2:80",
        "http://10.0.0.3:80",
    ];

    fn affinity(sticky: &Sticky) -> Affinity {
        Affinity::new(sticky, "users")
    }

    fn of(affinity: &Affinity, headers: &HeaderMap) -> Belongs {
        let values = ADDRESSES.map(|address| affinity.value(address));
        affinity.of(headers, |value| values.contains(&value))
    }

    fn with_cookies(cookies: &[&str]) -> HeaderMap {
        let values = cookies.iter();
        values
            .map(|value| (header::COOKIE, HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn value(affinity: &Affinity, index: usize) -> String {
        let value = affinity.value(ADDRESSES[index]);
        let cookie = affinity.bind(value, false).unwrap();
        cookie
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_client_comes_back_to_its_endpoint() {
        let affinity = affinity(&Sticky::cookie("shop"));
        for (index, address) in ADDRESSES.into_iter().enumerate() {
            let cookie = format!("a=b; {}; c", value(&affinity, index));
            let belongs = of(&affinity, &with_cookies(&[&cookie]));
            assert_eq!(belongs, Belongs::To(affinity.value(address)));
        }
        assert_eq!(of(&affinity, &HeaderMap::new()), Belongs::Nowhere);
        let others = with_cookies(&["shopping=1; sho=2"]);
        assert_eq!(of(&affinity, &others), Belongs::Nowhere);
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_other_sites() {
        let affinity = affinity(&Sticky::cookie("shop"));
        let bind = |secure| affinity.bind(1, secure).unwrap();
        let (plain, secure) = (bind(false), bind(true));
        let (start, attributes) = plain.to_str().unwrap().split_at(5 + 16);
        assert!(start.starts_with("shop="));
        assert_eq!(attributes, "; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(
            secure.to_str().unwrap(),
            format!("{start}{attributes}; Secure")
        );
    }

    #[test]
    fn what_names_no_endpoint_is_told_from_no_cookie() {
        let affinity = affinity(&Sticky::cookie("shop"));
        for forged in [
            "",
            "0",
            "10.0.0.1",
            "+123456789abcdef",
            "ffffffffffffffff",
            "ü",
        ] {
            let cookie = format!("shop={forged}");
            let headers: HeaderMap = [(
                header::COOKIE,
                HeaderValue::from_bytes(cookie.as_bytes()).unwrap(),
            )]
            .into_iter()
            .collect();
            assert_eq!(of(&affinity, &headers), Belongs::Gone, "{forged}");
        }
        let right = value(&affinity, 2);
        assert_eq!(
            of(&affinity, &with_cookies(&["shop=x", &right])),
            Belongs::To(affinity.value(ADDRESSES[2]))
        );
    }

    #[test]
    fn replicas_agree_and_secrets_differ() {
        let plain = Sticky::cookie("shop");
        let values = |sticky: &Sticky| {
            (0..3)
                .map(|i| value(&affinity(sticky), i))
                .collect::<Vec<_>>()
        };
        assert_eq!(values(&plain), values(&plain.clone()));
        assert_ne!(values(&plain), values(&plain.clone().secret("a")));
        assert_ne!(
            values(&plain.clone().secret("b")),
            values(&plain.secret("a"))
        );
    }

    #[test]
    fn a_name_that_no_cookie_can_have_is_refused() {
        assert!(Sticky::cookie("shop-1").check().is_ok());
        for name in ["", "a b", "a=b", "a;b", "ü", "a\r\n"] {
            assert!(Sticky::cookie(name).check().is_err(), "{name:?}");
        }
    }
}
