//! The same endpoint for the same browser, through a cookie.

use std::{fmt, time::Duration};

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
/// browser, unless one of the methods here says otherwise. It is always `HttpOnly`. Its value is a keyed hash (SipHash-2-4) of the address: it does not show the address, and all replicas of a gateway
/// agree on it. Without a [`secret`](Self::secret) the key follows from the backend's name, so whoever guesses an address could
/// check the guess; with one, nobody can.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::Sticky;
///
/// let sticky = Sticky::cookie("shop").secret("from the environment");
/// # let _ = sticky;
/// ```
///
/// For a page of another site that embeds this one:
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{SameSite, Sticky};
/// use std::time::Duration;
///
/// let sticky = Sticky::cookie("shop")
///     .same_site(SameSite::None)
///     .secure(true)
///     .max_age(Duration::from_secs(3600));
/// # let _ = sticky;
/// ```
#[derive(Clone)]
pub struct Sticky {
    name: String,
    secret: Option<[u64; 2]>,
    secure: Option<bool>,
    same_site: SameSite,
    domain: Option<String>,
    path: String,
    max_age: Option<Duration>,
}

/// Whether a browser sends a cookie with requests that another site starts (RFC 6265bis, 5.6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only when the other site leads the user here by a link.
    #[default]
    Lax,
    /// Always. The cookie has to be [`Secure`](Sticky::secure) then.
    None,
}

impl Sticky {
    /// Affinity through the cookie `name`.
    pub fn cookie(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            secret: None,
            secure: None,
            same_site: SameSite::Lax,
            domain: None,
            path: "/".into(),
            max_age: None,
        }
    }

    /// Sets or leaves out `Secure`, with which a browser sends the cookie over https alone; by default it is set when the client
    /// came by https.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = Some(secure);
        self
    }

    /// Sets `SameSite`; [`SameSite::Lax`] by default.
    ///
    /// With [`SameSite::None`] and without [`secure(true)`](Self::secure) the gateway does not start: browsers drop such a cookie.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sets `Domain`: a browser sends the cookie to this host and to all hosts below it. Without it, to the host of the request
    /// alone.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets `Path`: a browser sends the cookie with this path and all paths below it; `/` by default.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets `Max-Age`: the cookie lasts for so long from when it was set, in whole seconds, and at least one. By default it lasts
    /// for the session of the browser.
    #[must_use]
    pub fn max_age(mut self, time: Duration) -> Self {
        self.max_age = Some(time.max(Duration::from_secs(1)));
        self
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
                "`{}` is not a cookie name: write letters, digits, `-` or `_`",
                self.name
            ));
        }
        if let Some(domain) = &self.domain
            && !is_domain(domain)
        {
            return Err(format!(
                "{domain:?} is not the domain of a cookie: write the name of a host, such as `.domain(\"shop.example\")`"
            ));
        }
        let in_path = |byte: u8| byte.is_ascii_graphic() && byte != b';';
        if !self.path.starts_with('/') || !self.path.bytes().all(in_path) {
            return Err(format!(
                "{:?} is not the path of a cookie: write one that begins with `/`, percent-encoded, without `;`",
                self.path
            ));
        }
        if self.same_site == SameSite::None && self.secure != Some(true) {
            return Err(String::from(
                "browsers drop a cookie with `SameSite=None` and without `Secure`: write `.secure(true)`",
            ));
        }
        self.check_prefix()
    }

    /// What the begin of the name promises to a browser (RFC 6265bis, 4.1.3).
    fn check_prefix(&self) -> Result<(), String> {
        let begins = |prefix: &str| {
            let start = self.name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let host = begins("__Host-");
        if (host || begins("__Secure-")) && self.secure == Some(false) {
            return Err(format!(
                "browsers drop the cookie `{}` without `Secure`: remove `.secure(false)`",
                self.name
            ));
        }
        if host && (self.domain.is_some() || self.path != "/") {
            return Err(format!(
                "browsers drop the cookie `{}` with a domain, and with another path than `/`: remove `.domain(..)` and `.path(..)`",
                self.name
            ));
        }
        Ok(())
    }
}

/// Whether it is a name of labels, as a browser compares it.
fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    domain.len() <= 253 && domain.split('.').all(label)
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
            .field("secure", &self.secure)
            .field("same_site", &self.same_site)
            .field("domain", &self.domain)
            .field("path", &self.path)
            .field("max_age", &self.max_age)
            .finish()
    }
}

/// The cookie of one cluster, and how its value follows from an address.
#[derive(Debug)]
pub(crate) struct Affinity {
    name: String,
    key: [u64; 2],
    /// What is behind the value in every cookie.
    attributes: String,
    /// Whether the cookie is `Secure`, if that does not depend on the client.
    secure: Option<bool>,
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
            attributes: attributes(sticky),
            secure: sticky.secure,
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
        let secure = if self.secure.unwrap_or(secure) {
            "; Secure"
        } else {
            ""
        };
        let text = format!("{}={value:016x}{}{secure}", self.name, self.attributes);
        HeaderValue::try_from(text).ok()
    }
}

/// The attributes that are the same for all clients.
fn attributes(sticky: &Sticky) -> String {
    use fmt::Write as _;
    let mut text = format!("; Path={}", sticky.path);
    if let Some(domain) = &sticky.domain {
        let _ = write!(text, "; Domain={domain}");
    }
    if let Some(time) = sticky.max_age {
        let _ = write!(text, "; Max-Age={}", time.as_secs());
    }
    let _ = write!(text, "; HttpOnly; SameSite={:?}", sticky.same_site);
    text
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
    fn the_attributes_are_those_that_were_set() {
        let sticky = Sticky::cookie("shop")
            .same_site(SameSite::None)
            .secure(true)
            .domain("shop.example")
            .path("/a")
            .max_age(Duration::from_millis(90_500));
        assert_eq!(sticky.check(), Ok(()));
        let cookie = affinity(&sticky).bind(1, false).unwrap();
        assert_eq!(
            cookie,
            "shop=0000000000000001; Path=/a; Domain=shop.example; Max-Age=90; HttpOnly; SameSite=None; Secure"
        );
        let never = Sticky::cookie("shop").secure(false);
        let cookie = affinity(&never).bind(1, true).unwrap();
        assert!(!cookie.to_str().unwrap().contains("Secure"));
        let short = Sticky::cookie("shop").max_age(Duration::ZERO);
        let cookie = affinity(&short).bind(1, true).unwrap();
        assert!(
            cookie.to_str().unwrap().contains("Max-Age=1;"),
            "0 would remove it"
        );
    }

    #[test]
    fn attributes_that_contradict_each_other_are_refused() {
        let cookie = Sticky::cookie;
        for fine in [
            cookie("a").same_site(SameSite::Strict),
            cookie("__Host-a").secure(true),
            cookie("__Secure-a").domain("a.example").path("/x"),
            cookie("a").domain("localhost").secure(false),
        ] {
            assert_eq!(fine.check(), Ok(()), "{fine:?}");
        }
        for wrong in [
            cookie("a").same_site(SameSite::None),
            cookie("a").same_site(SameSite::None).secure(false),
            cookie("__Secure-a").secure(false),
            cookie("__host-a").secure(false),
            cookie("__Host-a").domain("a.example"),
            cookie("__Host-a").path("/x"),
            cookie("a").domain(".a.example"),
            cookie("a").domain("a.example; x"),
            cookie("a").domain(""),
            cookie("a").path("x"),
            cookie("a").path("/;x"),
            cookie("a").path("/ä"),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
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
