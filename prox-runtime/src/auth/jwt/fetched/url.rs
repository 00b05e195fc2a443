//! The URL of an issuer, or of a set of keys.

use http::Uri;

use crate::network::is_this_machine;

/// A URL that keys may be fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    text: String,
    uri: Uri,
    secure: bool,
}

impl Url {
    /// Reads a URL: `https://..`, or `http://..` where that is allowed or the host is this machine.
    ///
    /// # Errors
    ///
    /// What is wrong with it, behind the text itself.
    pub(super) fn read(text: &str, allow_http: bool) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} {why}"));
        let secure = match text.split_once("://") {
            Some(("https", _)) => true,
            Some(("http", _)) => false,
            _ => return wrong("is not a URL: write https://host/path"),
        };
        if text.contains('#') {
            return wrong("has a fragment: remove it");
        }
        let Ok(uri) = text.parse::<Uri>() else {
            return wrong("is not a URL: write https://host/path");
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return wrong("has user information: remove it");
        }
        let host = uri.host().unwrap_or_default();
        if host.is_empty() {
            return wrong("has no host");
        }
        if !secure && !allow_http && !is_this_machine(host) {
            return wrong(
                "is not https://, so anyone on the way can replace the keys: write https://, or `.allow_http()`",
            );
        }
        Ok(Self {
            text: text.to_owned(),
            uri,
            secure,
        })
    }

    /// The same, for an issuer, which has no query (`OpenID` Connect Discovery, 3).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub(super) fn issuer(text: &str, allow_http: bool) -> Result<Self, String> {
        let url = Self::read(text, allow_http)?;
        if url.uri.query().is_some() {
            return Err(format!("{text:?} has a query: remove it"));
        }
        Ok(url)
    }

    /// The text as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The scheme, the host and the port.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let authority = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        format!("{scheme}://{authority}")
    }

    /// Where an issuer says what it has, in the order in which it is asked: `OpenID` Connect Discovery, 4, puts the name behind the path, and
    /// RFC 8414, 3, before it.
    pub(super) fn documents(&self) -> [String; 2] {
        let origin = self.origin();
        let path = self.uri.path().trim_end_matches('/');
        [
            format!("{origin}{path}/.well-known/openid-configuration"),
            format!("{origin}/.well-known/oauth-authorization-server{path}"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for right in [
            "https://id.test",
            "https://id.test:8443/realms/a",
            "http://localhost:1/",
            "http://127.0.0.1:9000",
            "http://127.9.9.9",
            "http://[::1]:9000",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(Url::issuer(right, false).is_ok(), "{right}");
        }
        for wrong in [
            "id.test",
            "ftp://id.test",
            "HTTPS//id.test",
            "https://",
            "https:///a",
            "https://a b/",
            "https://u:p@id.test/",
            "https://id.test/#a",
            "http://id.test/",
            "http://localhost.evil.test/",
            "http://127.0.0.1.evil.test/",
            "http://0.0.0.0/",
            "http://10.0.0.1/",
            "http://[::]/",
            "",
        ] {
            assert!(Url::read(wrong, false).is_err(), "{wrong}");
        }
        assert!(Url::read("http://id.test/", true).is_ok());
        assert!(Url::issuer("https://id.test/?a", true).is_err());
        assert!(Url::read("https://id.test/keys?a", false).is_ok());
    }

    #[test]
    fn the_documents_of_an_issuer_are_where_the_two_standards_put_them() {
        for (issuer, openid, oauth) in [
            (
                "https://id.test",
                "https://id.test/.well-known/openid-configuration",
                "https://id.test/.well-known/oauth-authorization-server",
            ),
            (
                "https://id.test:8443/a/b/",
                "https://id.test:8443/a/b/.well-known/openid-configuration",
                "https://id.test:8443/.well-known/oauth-authorization-server/a/b",
            ),
        ] {
            let url = Url::issuer(issuer, false).unwrap();
            assert_eq!(url.documents(), [openid, oauth]);
        }
    }
}
