//! What may stand in the brackets of `cluster(policy, ..)`: endpoints of any form, or what finds them.

use super::{
    Endpoint, EndpointError,
    discover::{Discover, Source},
};

/// A text that is no endpoint, and why.
pub type NoEndpoint = (String, EndpointError);

/// The endpoints of a cluster as they are written: a list of them, or what finds them while the gateway runs.
#[derive(Debug)]
pub struct Endpoints(pub(super) Written);

#[derive(Debug)]
pub(super) enum Written {
    List(Vec<Result<Endpoint, NoEndpoint>>),
    Found(Source),
}

impl Endpoints {
    /// Those of a list; what is no endpoint in it is reported when the gateway starts.
    pub fn list(endpoints: impl IntoIterator<Item = Result<Endpoint, NoEndpoint>>) -> Self {
        Self(Written::List(endpoints.into_iter().collect()))
    }

    /// Those that this finds.
    pub fn found_by(discover: impl Discover) -> Self {
        Self(Written::Found(Source::new(discover)))
    }
}

/// What may stand in the list of a cluster: a URL, or an [`Endpoint`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an endpoint",
    label = "expected a URL or a `prox::Endpoint`",
    note = "write \"http://host:port\", with `.weight(3)` after it if needed, or declare `env NAME: Endpoint;`"
)]
pub trait IntoEndpoint {
    /// Makes the endpoint, or says why there is none.
    ///
    /// # Errors
    ///
    /// The text, and what is wrong with it.
    fn into_endpoint(self) -> Result<Endpoint, NoEndpoint>;
}

impl IntoEndpoint for Endpoint {
    fn into_endpoint(self) -> Result<Endpoint, NoEndpoint> {
        Ok(self)
    }
}

impl IntoEndpoint for &str {
    fn into_endpoint(self) -> Result<Endpoint, NoEndpoint> {
        self.parse().map_err(|error| (self.to_owned(), error))
    }
}

impl IntoEndpoint for String {
    fn into_endpoint(self) -> Result<Endpoint, NoEndpoint> {
        self.parse().map_err(|error| (self, error))
    }
}

impl IntoEndpoint for &String {
    fn into_endpoint(self) -> Result<Endpoint, NoEndpoint> {
        self.as_str().into_endpoint()
    }
}

impl IntoEndpoint for Result<Endpoint, NoEndpoint> {
    fn into_endpoint(self) -> Result<Endpoint, NoEndpoint> {
        self
    }
}

/// What may be the second argument of [`cluster`](super::cluster): an array or a vector of what may be an endpoint, or what
/// [finds](Discover) endpoints.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of endpoints",
    label = "expected a list, or a type that finds endpoints",
    note = "write `[\"http://10.0.0.1:8080\", ..]`, or declare `env URLS: Vec<Endpoint>;` and write `URLS`",
    note = "endpoints are found by `dns(\"http://users:8080\")`, or by a type that implements `prox::Discover`"
)]
pub trait IntoEndpoints {
    /// Makes the endpoints, or says of each why there is none.
    fn into_endpoints(self) -> Endpoints;
}

impl<E: IntoEndpoint, const N: usize> IntoEndpoints for [E; N] {
    fn into_endpoints(self) -> Endpoints {
        Endpoints::list(self.into_iter().map(E::into_endpoint))
    }
}

impl<E: IntoEndpoint> IntoEndpoints for Vec<E> {
    fn into_endpoints(self) -> Endpoints {
        Endpoints::list(self.into_iter().map(E::into_endpoint))
    }
}

impl<D: Discover> IntoEndpoints for D {
    fn into_endpoints(self) -> Endpoints {
        Endpoints::found_by(self)
    }
}

/// Gives a URL its weight or its failover group in place: `"http://10.0.0.2:8080".weight(3)`, `"http://b:80".priority(1)`.
pub trait Weighted {
    /// Sets the share of requests, relative to the weights of the other endpoints.
    ///
    /// # Errors
    ///
    /// When the text is no endpoint; reported when the gateway starts.
    fn weight(self, weight: u32) -> Result<Endpoint, NoEndpoint>;

    /// Sets the failover group: it is used when no endpoint with a lower number may be; 0 by default.
    ///
    /// # Errors
    ///
    /// When the text is no endpoint; reported when the gateway starts.
    fn priority(self, number: u8) -> Result<Endpoint, NoEndpoint>;
}

impl Weighted for &str {
    fn weight(self, weight: u32) -> Result<Endpoint, NoEndpoint> {
        Ok(self.into_endpoint()?.weight(weight))
    }

    fn priority(self, number: u8) -> Result<Endpoint, NoEndpoint> {
        Ok(self.into_endpoint()?.priority(number))
    }
}

impl Weighted for String {
    fn weight(self, weight: u32) -> Result<Endpoint, NoEndpoint> {
        self.as_str().weight(weight)
    }

    fn priority(self, number: u8) -> Result<Endpoint, NoEndpoint> {
        self.as_str().priority(number)
    }
}

/// So that one may stand behind the other: `"http://b:80".weight(3).priority(1)`.
impl Weighted for Result<Endpoint, NoEndpoint> {
    fn weight(self, weight: u32) -> Result<Endpoint, NoEndpoint> {
        Ok(self?.weight(weight))
    }

    fn priority(self, number: u8) -> Result<Endpoint, NoEndpoint> {
        Ok(self?.priority(number))
    }
}
