//! Who sent a request: what is known of the connection it came on, and of whoever is behind a trusted proxy.

mod claims;
mod trust;

use std::{
    fmt::Write,
    hash::Hash,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use http::{HeaderMap, HeaderName, HeaderValue};

use self::claims::Claims;
pub(crate) use self::trust::Trust;
use crate::{
    fingerprint::Fingerprint,
    tls::{ClientCert, Session},
};

/// How many bits of an IPv6 address tell customers of a provider apart: a customer has a network of 64 bits at least.
pub(crate) const NETWORK: u8 = 64;

/// Who sent a request. It is the same for all requests of a connection, unless that comes from a trusted proxy.
///
/// Handlers and middleware find it in the request's extensions as `Arc<Client>`, or through
/// [`RequestExt`](crate::RequestExt).
#[derive(Clone, Debug)]
pub struct Client {
    peer: Option<SocketAddr>,
    address: Option<HeaderValue>,
    /// That of its network.
    fingerprint: Fingerprint,
    session: Option<Session>,
    /// What a trusted proxy has said of this request.
    claims: Option<Box<Claims>>,
    /// The claims that pass whoever makes them.
    passing: Option<Arc<[HeaderName]>>,
    /// The name of the listener, if it has one.
    listener: Option<Arc<str>>,
}

impl Client {
    /// A connection from `peer`; `None` when it is no internet socket, or is not known.
    pub fn new(peer: Option<SocketAddr>) -> Self {
        let address =
            peer.and_then(|peer| HeaderValue::try_from(peer.ip().to_canonical().to_string()).ok());
        Self {
            peer,
            address,
            fingerprint: Fingerprint::default(),
            session: None,
            claims: None,
            passing: None,
            listener: None,
        }
    }

    /// The same client at the [listener](crate::Listener) of this name: it reaches the routes of `on "internal" { .. }`.
    ///
    /// It is for a gateway that is [embedded](crate::Embed) in another server; a [`Server`](crate::Server) says it by itself.
    #[must_use]
    pub fn on(self, listener: impl Into<Arc<str>>) -> Self {
        self.at(Some(listener.into()))
    }

    /// The same client at this listener.
    pub(crate) fn at(self, listener: Option<Arc<str>>) -> Self {
        Self { listener, ..self }
    }

    /// The name of the [listener](crate::Listener) that took the connection; `None` if it has no name.
    pub fn listener(&self) -> Option<&str> {
        self.listener.as_deref()
    }

    /// The same client over TLS, which somebody else has spoken with it: its [`scheme`](Self::scheme) is `https`.
    ///
    /// It is for a gateway that is [embedded](crate::Embed) in another server.
    #[must_use]
    pub fn over_tls(self) -> Self {
        self.secured(Session::default())
    }

    /// The same client, after a TLS handshake.
    pub(crate) fn secured(self, session: Session) -> Self {
        Self {
            session: Some(session),
            ..self
        }
    }

    /// The same client, which may claim these whoever it is.
    pub(crate) fn passing(&self, names: &Arc<[HeaderName]>) -> Self {
        Self {
            passing: Some(Arc::clone(names)),
            ..self.clone()
        }
    }

    /// Whether a claim of this client is passed on.
    pub(crate) fn may_claim(&self, name: &HeaderName) -> bool {
        let passing = self.passing.as_ref();
        self.is_behind() || passing.is_some_and(|names| names.contains(name))
    }

    /// The client of one request on a connection from a trusted proxy, by what that says.
    pub(crate) fn behind(&self, headers: &HeaderMap, trust: &Trust) -> Self {
        let claims = Claims::read(headers, trust);
        let mut list = String::new();
        for ip in &claims.chain {
            let _ = write!(list, "{ip}, ");
        }
        match self.address.as_ref().and_then(|peer| peer.to_str().ok()) {
            Some(peer) => list.push_str(peer),
            None => list.truncate(list.trim_end_matches(", ").len()),
        }
        let address = Some(list)
            .filter(|list| !list.is_empty())
            .and_then(|list| HeaderValue::try_from(list).ok());
        Self {
            address,
            fingerprint: Fingerprint::default(),
            claims: Some(Box::new(claims)),
            ..self.clone()
        }
    }

    /// Whether a trusted proxy has told who the client is.
    pub(crate) fn is_behind(&self) -> bool {
        self.claims.is_some()
    }

    /// The address of the other end of the connection, with its port: the client, or the proxy before this one.
    ///
    /// Where the connection began with a [PROXY protocol header](crate::Server::proxy_protocol), it is the address that
    /// stands in there.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The address of the client; IPv4 addresses that are mapped into IPv6 are given as IPv4.
    ///
    /// Behind [trusted proxies](crate::Server::trusted_proxies) it is the first address before them.
    pub fn ip(&self) -> Option<IpAddr> {
        let claimed = self.claims.as_ref().and_then(|claims| claims.chain.first());
        claimed.copied().or_else(|| self.peer_ip())
    }

    /// Its address; of one of IPv6 the first `bits` alone.
    pub(crate) fn network(&self, bits: u8) -> Option<IpAddr> {
        Some(match self.ip()?.to_canonical() {
            IpAddr::V6(ip) => {
                let host = u32::from(128 - bits.min(128));
                let mask = u128::MAX.checked_shl(host).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
            }
            ip @ IpAddr::V4(_) => ip,
        })
    }

    /// A name of 128 bits for its [`NETWORK`]. Nothing if the address is not known.
    pub(crate) fn fingerprint(&self) -> Option<[u64; 2]> {
        self.ip()?;
        Some(
            self.fingerprint
                .get(|hasher| self.network(NETWORK).hash(hasher)),
        )
    }

    /// `https` or `http`: what the client speaks, with this server or with the trusted proxy before it.
    pub fn scheme(&self) -> &'static str {
        let claimed = self.claims.as_ref().and_then(|claims| claims.secure);
        if claimed.unwrap_or(self.session.is_some()) {
            "https"
        } else {
            "http"
        }
    }

    /// The certificate that the client has shown in its TLS handshake, and that was verified.
    ///
    /// Only a server with [`Tls::client_auth`](https://docs.rs/prox/latest/prox/struct.Tls.html#method.client_auth) asks
    /// for one.
    pub fn certificate(&self) -> Option<&ClientCert> {
        self.session.as_ref().and_then(Session::certificate)
    }

    /// Whether a request for this host belongs on the connection; see [`Failure::WrongHost`](crate::Failure::WrongHost).
    pub(crate) fn covers(&self, host: &str) -> bool {
        self.session
            .as_ref()
            .is_none_or(|session| session.covers(host))
    }

    /// The address of the other end of the connection.
    pub(crate) fn peer_ip(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip().to_canonical())
    }

    /// What `X-Forwarded-For` says of this client; nothing when its address is not known.
    pub(crate) fn forwarded_for(&self) -> Option<HeaderValue> {
        self.address.clone()
    }

    /// What `X-Forwarded-Proto` says of this client.
    pub(crate) fn forwarded_proto(&self) -> HeaderValue {
        HeaderValue::from_static(self.scheme())
    }

    /// What `X-Forwarded-Host` says of this request, if a trusted proxy has said it.
    pub(crate) fn forwarded_host(&self) -> Option<HeaderValue> {
        self.claims.as_ref().and_then(|claims| claims.host.clone())
    }

    /// The client, then each proxy up to the peer: what `Forwarded` says.
    pub(crate) fn chain(&self) -> impl Iterator<Item = IpAddr> {
        let claimed = self
            .claims
            .iter()
            .flat_map(|claims| claims.chain.iter().copied());
        claimed.chain(self.peer_ip())
    }
}
