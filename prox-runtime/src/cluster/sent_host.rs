//! The `Host` that an upstream gets.

use http::{HeaderMap, HeaderValue, header};

use crate::forward::host::is_host;

/// Which `Host` a request has on its way to an upstream.
#[derive(Clone, Debug)]
pub(crate) enum SentHost {
    /// The authority of the endpoint.
    Upstream,
    /// That of the client, if it has sent one.
    Client,
    /// This one.
    Own(HeaderValue),
    /// A text that is not a host, and is reported when the gateway starts.
    Malformed(String),
}

impl SentHost {
    pub(super) const fn preserved(preserve: bool) -> Self {
        if preserve {
            Self::Client
        } else {
            Self::Upstream
        }
    }

    pub(super) fn of(host: &str) -> Self {
        match is_host(host).then(|| HeaderValue::from_str(host)) {
            Some(Ok(value)) => Self::Own(value),
            _ => Self::Malformed(host.to_owned()),
        }
    }

    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Malformed(host) => Some(format!(
                "{host:?} is not a host: write `.host_header(\"app.example\")`"
            )),
            Self::Upstream | Self::Client | Self::Own(_) => None,
        }
    }

    /// What an upstream with this authority got, when the client has sent `client`.
    pub(crate) fn sent<'h>(&'h self, client: &'h str, authority: &'h str) -> &'h str {
        match self {
            Self::Client if !client.is_empty() => client,
            Self::Own(host) => host.to_str().unwrap_or(authority),
            Self::Upstream | Self::Client | Self::Malformed(_) => authority,
        }
    }

    /// Sets the field for an endpoint of this authority.
    pub(crate) fn set(&self, headers: &mut HeaderMap, authority: impl FnOnce() -> HeaderValue) {
        let host = match self {
            Self::Client if headers.contains_key(header::HOST) => return,
            Self::Own(host) => host.clone(),
            Self::Upstream | Self::Client | Self::Malformed(_) => authority(),
        };
        headers.insert(header::HOST, host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_a_port_or_without() {
        for host in [
            "app.example",
            "app.example:8080",
            "10.0.0.1",
            "[::1]:80",
            "localhost",
        ] {
            assert!(SentHost::of(host).problem().is_none(), "{host}");
        }
        for host in [
            "",
            "a b",
            "u@a",
            "http://a",
            "a/b",
            "a\r\nx: y",
            "a:b:c",
            ":80",
        ] {
            assert!(SentHost::of(host).problem().is_some(), "{host:?}");
        }
    }

    #[test]
    fn the_field_is_the_one_that_was_chosen() {
        let set = |host: &SentHost, client: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(client.map(|client| (header::HOST, HeaderValue::from_static(client))));
            host.set(&mut headers, || HeaderValue::from_static("up"));
            headers.remove(header::HOST).unwrap()
        };
        assert_eq!(set(&SentHost::Upstream, Some("c")), "up");
        assert_eq!(set(&SentHost::preserved(true), Some("c")), "c");
        assert_eq!(set(&SentHost::preserved(true), None), "up");
        assert_eq!(set(&SentHost::preserved(false), Some("c")), "up");
        assert_eq!(set(&SentHost::of("own"), Some("c")), "own");
    }
}
