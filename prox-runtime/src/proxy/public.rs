//! What a client has asked for, kept for a response that may speak of the upstream's own address.

use http::{HeaderMap, HeaderValue, header};

use crate::{
    client::Client,
    cluster::{Endpoint, Policy},
    forward::public_address::{Own, Public, Taken},
    handler::Request,
    route::Matched,
};

/// The address that a client has called.
pub(super) struct Asked {
    public: Public,
    /// The `Host` of the request.
    host: String,
}

impl Asked {
    /// Of a request before it is addressed to an upstream.
    pub(super) fn by(req: &Request, client: &Client, matched: Option<&Matched>) -> Self {
        let text = |value: Option<&HeaderValue>| {
            let text = value.and_then(|value| value.to_str().ok());
            text.unwrap_or_default().to_owned()
        };
        let host = text(req.headers().get(header::HOST));
        // Written by the gateway, or by a proxy that is trusted.
        let told = text(req.headers().get("x-forwarded-host"));
        let told = told.split(',').next().unwrap_or_default().trim();
        let called = if told.is_empty() { &*host } else { told };
        let taken = matched.map(|matched| Taken {
            pattern: matched.route().path,
            exact: matched.route().exact,
            path: matched.path().to_owned(),
        });
        Self {
            public: Public::new(called, client.scheme(), taken),
            host,
        }
    }

    /// Rewrites the response of this endpoint.
    pub(super) fn apply(&self, headers: &mut HeaderMap, policy: &Policy, endpoint: &Endpoint) {
        let authority = endpoint.authority();
        let authority = authority.to_str().unwrap_or_default();
        let own = Own {
            secure: endpoint.is_secure(),
            authority,
            sent: policy.host.sent(&self.host, authority),
            base: endpoint.base(),
            template: policy.rewrite.as_ref(),
        };
        self.public.apply(headers, own);
    }
}
