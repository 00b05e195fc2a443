//! What the words for parts of a request mean for the choice of an endpoint.
//!
//! `route` knows the parts and `cluster` the policies; neither knows of the other.

use std::net::IpAddr;

use crate::{
    cluster::{Hash, IntoSticky, Sticky, key_of},
    handler::Parts,
    route::{ClientIp, Cookie, RequestKey},
};

/// What [`hash()`] may tell requests apart by.
///
/// [`header`](crate::header()), [`cookie`](crate::cookie), [`query`](crate::query), [`client_ip`](crate::client_ip), or a
/// function that makes a `u64` of a request, or an `Option<u64>` when some requests have no key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key of a request",
    label = "this does not distinguish requests",
    note = "a key is `header(\"name\")`, `cookie(\"name\")`, `query(\"name\")`, `client_ip()`, or a `Fn(&prox::Parts) -> u64`"
)]
pub trait HashKey {
    /// Makes the policy.
    fn into_hash(self) -> Hash;
}

/// The same endpoint for all requests with the same key, as long as it is there and not overloaded; see [`Hash`](struct@Hash).
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Parts, key_of, dsl::{client_ip, cluster, cookie, hash}};
///
/// let endpoints = || ["http://10.0.0.1:8080", "http://10.0.0.2:8080"];
/// let by_session = cluster(hash(cookie("session")), endpoints());
/// let by_client = cluster(hash(client_ip()), endpoints());
/// let by_path = cluster(hash(|req: &Parts| key_of(req.uri.path().as_bytes())), endpoints());
/// # let _ = (by_session, by_client, by_path);
/// ```
pub fn hash(key: impl HashKey) -> Hash {
    key.into_hash()
}

impl<K: Send + Sync + 'static> HashKey for RequestKey<K> {
    fn into_hash(self) -> Hash {
        let problem = self.problem().map(str::to_owned);
        Hash::new(move |req| self.bytes(req).map(key_of)).with_problem(problem)
    }
}

impl HashKey for ClientIp {
    fn into_hash(self) -> Hash {
        Hash::new(|req| {
            Some(match Self::of(req)?.to_canonical() {
                IpAddr::V4(ip) => key_of(&ip.octets()),
                IpAddr::V6(ip) => key_of(&ip.octets()),
            })
        })
    }
}

#[diagnostic::do_not_recommend]
impl<F, R> HashKey for F
where
    F: Fn(&Parts) -> R + Send + Sync + 'static,
    R: Into<Option<u64>>,
{
    fn into_hash(self) -> Hash {
        Hash::new(move |req| self(req).into())
    }
}

impl IntoSticky for RequestKey<Cookie> {
    fn into_sticky(self) -> Sticky {
        Sticky::cookie(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use super::*;
    use crate::{
        client::Client,
        cluster::{Balancer, cluster},
        route::{client_ip, cookie, header, query},
    };

    fn request() -> Parts {
        let builder = http::Request::builder()
            .uri("/a?user=7")
            .header("cookie", "a=b; session=s1")
            .header("x-user", "7");
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_part_of_a_request_is_a_key_by_its_bytes() {
        let req = request();
        assert_eq!(hash(header("x-user")).key(&req), Some(key_of(b"7")));
        assert_eq!(hash(query("user")).key(&req), Some(key_of(b"7")));
        assert_eq!(hash(cookie("session")).key(&req), Some(key_of(b"s1")));
        assert_eq!(hash(header("x-other")).key(&req), None);
    }

    #[test]
    fn a_function_is_a_key_by_what_it_makes_of_a_request() {
        let req = request();
        assert_eq!(hash(|_: &Parts| 7).key(&req), Some(7));
        assert_eq!(hash(|_: &Parts| None).key(&req), None);
    }

    #[test]
    fn a_client_is_the_same_by_either_kind_of_address() {
        let key = |address: &str| {
            let mut req = request();
            let address: SocketAddr = address.parse().unwrap();
            req.extensions.insert(Arc::new(Client::new(Some(address))));
            hash(client_ip()).key(&req)
        };
        assert_eq!(key("10.0.0.1:1000"), Some(key_of(&[10, 0, 0, 1])));
        assert_eq!(key("10.0.0.1:1000"), key("[::ffff:10.0.0.1]:2000"));
        assert_ne!(key("10.0.0.1:1000"), key("10.0.0.2:1000"));
        assert_eq!(hash(client_ip()).key(&request()), None);
    }

    #[test]
    fn a_key_that_no_request_can_have_is_said_at_start() {
        let error = cluster(hash(header("x y")), ["http://a"])
            .build("users")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "backend `users`: `x y` is not a header name"
        );
    }
}
