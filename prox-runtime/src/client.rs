//! Who sent a request: what is known of the connection it came on.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;

/// The connection that a request came on; the same for all of its requests.
///
/// Handlers and middleware find it in the request's extensions as `Arc<Client>`, or through
/// [`RequestExt`](crate::RequestExt).
#[derive(Clone, Debug)]
pub struct Client {
    peer: Option<SocketAddr>,
    address: Option<HeaderValue>,
    secure: bool,
}

impl Client {
    /// A connection from `peer`; `None` when it is no internet socket, or is not known.
    pub fn new(peer: Option<SocketAddr>) -> Self {
        let address =
            peer.and_then(|peer| HeaderValue::try_from(peer.ip().to_canonical().to_string()).ok());
        Self {
            peer,
            address,
            secure: false,
        }
    }

    /// The address of the other end, with its port.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The address of the client; IPv4 addresses that are mapped into IPv6 are given as IPv4.
    pub fn ip(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip().to_canonical())
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// What `X-Forwarded-For` says of this client; nothing when its address is not known.
    pub(crate) fn forwarded_for(&self) -> Option<HeaderValue> {
        self.address.clone()
    }

    /// What `X-Forwarded-Proto` says of this client.
    pub(crate) fn forwarded_proto(&self) -> HeaderValue {
        HeaderValue::from_static(self.scheme())
    }
}
