//! Lets clients in, or turns them away, by their address.

use std::marker::PhantomData;

use super::{
    About, Declares, Middleware, Role, role,
    steps::{self, Head, Kept, Needs, Passed, Step},
};
use crate::{client::Client, error::Failure, network::Networks, respond};

/// What may stand in a list of rules.
const WORDS: &str = "write an address, a network such as \"10.0.0.0/8\" or \"private\"";

/// Refuses clients by their address with `403` ([`Failure::Forbidden`]).
///
/// The address is [`RequestExt::client_ip`](crate::RequestExt::client_ip): that of the connection, or what a
/// [trusted proxy](crate::Server::trusted_proxies) says. An IPv4 address that is mapped into IPv6 counts as IPv4. A client without an
/// address is refused by both kinds of rules, such as a client of a Unix socket.
///
/// An entry of a list is an address, a network in CIDR notation, or `private` for all that the internet does not route: the networks
/// of RFC 1918 and RFC 4193, and loopback. All wrong entries are errors when the gateway starts.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use std::sync::Arc;
///
/// use prox::{Body, Client, Middleware, Next, Request, middleware::IpRules, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let office = IpRules::allow(["198.51.100.0/24", "2001:db8::/32"]);
/// for (peer, status) in [("198.51.100.7:4000", 200), ("203.0.113.9:4000", 403)] {
///     let mut req = Request::new(Body::empty());
///     req.extensions_mut().insert(Arc::new(Client::new(peer.parse().ok())));
///     let response = office.handle(req, Next::new(handler(|_| async { "inside" }))).await;
///     assert_eq!(response.status(), status);
/// }
/// # });
/// ```
///
/// Under `require auth`, [`IpRules::allow`] covers a route; [`IpRules::deny`] does not.
#[derive(Clone, Debug)]
pub struct IpRules<K = Allowing> {
    networks: Networks,
    /// Whether these are let in; else they are refused.
    allows: bool,
    problems: Vec<String>,
    kind: PhantomData<K>,
}

/// Marks [`IpRules::allow`].
#[derive(Clone, Copy, Debug)]
pub struct Allowing(());

/// Marks [`IpRules::deny`].
#[derive(Clone, Copy, Debug)]
pub struct Denying(());

impl IpRules<Allowing> {
    /// Lets in the clients of these networks, and refuses all others.
    ///
    /// An empty list is an error when the gateway starts, because it would refuse everyone.
    pub fn allow<E: AsRef<str>>(networks: impl IntoIterator<Item = E>) -> Self {
        let mut rules = Self::of(networks, true);
        if rules.networks.is_empty() && rules.problems.is_empty() {
            let problem = "an empty list lets nobody in, write at least one network";
            rules.problems.push(problem.into());
        }
        rules
    }
}

impl IpRules<Denying> {
    /// Refuses the clients of these networks, and clients without an address; lets in all others.
    pub fn deny<E: AsRef<str>>(networks: impl IntoIterator<Item = E>) -> Self {
        Self::of(networks, false)
    }
}

impl<K> IpRules<K> {
    fn of<E: AsRef<str>>(entries: impl IntoIterator<Item = E>, allows: bool) -> Self {
        let (mut networks, mut problems) = (Networks::default(), Vec::new());
        for entry in entries {
            if let Err(problem) = networks.add(entry.as_ref().trim(), WORDS) {
                problems.push(problem);
            }
        }
        Self {
            networks,
            allows,
            problems,
            kind: PhantomData,
        }
    }

    /// What is wrong with the lists.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        let name = if self.allows { "allow" } else { "deny" };
        let problems = self.problems.iter();
        problems.map(move |problem| format!("`IpRules::{name}`: {problem}"))
    }

    pub(super) fn lets_in(&self, client: Option<&Client>) -> bool {
        let address = client.and_then(Client::ip).map(|ip| ip.to_canonical());
        address.is_some_and(|ip| self.networks.contain(ip) == self.allows)
    }
}

impl<K: Send + Sync + 'static> Step for IpRules<K> {
    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        Some(if self.lets_in(head.client()) {
            Ok(Kept::Nothing)
        } else {
            let grpc = respond::is_grpc(head.headers());
            Err(Box::new(respond::failure(Failure::Forbidden, grpc)))
        })
    }
}

impl<K: Send + Sync + 'static> Middleware for IpRules<K> {
    steps::as_middleware!();

    fn about(&self, about: &mut About) {
        if self.allows {
            about.role(Role::Admits);
        }
        for problem in self.problems() {
            about.problem(problem);
        }
    }
}

impl Declares for IpRules<Allowing> {
    type Role = role::Admits;
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use super::*;
    use crate::{
        body::Body,
        client::Client,
        handler::{BoxHandler, Request, handler},
        middleware::IntoLayer,
    };

    fn from(address: Option<&str>) -> Request {
        let mut req = Request::new(Body::empty());
        let address: Option<SocketAddr> =
            address.map(|ip| SocketAddr::new(ip.parse().unwrap(), 4000));
        req.extensions_mut().insert(Arc::new(Client::new(address)));
        req
    }

    fn enters<K: Send + Sync + 'static>(rules: &IpRules<K>, mut req: Request) -> bool {
        rules.before(&mut Head::of(&mut req)).unwrap().is_ok()
    }

    #[test]
    fn rules_are_by_address_and_an_unknown_one_is_refused() {
        let list = ["10.1.0.0/16", " 192.0.2.7 ", "2001:db8::/32", "private"];
        let (allow, deny) = (IpRules::allow(list), IpRules::deny(list));
        for (address, listed) in [
            ("10.1.0.0", true),
            ("10.1.255.255", true),
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:192.0.2.8", false),
            ("8.8.8.8", false),
            // The same bits as 8.8.8.8 of the obsolete compatible form are another address.
            ("::8.8.8.8", false),
            ("::192.0.2.7", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("127.0.0.1", true),
            ("::1", true),
            ("fd00::1", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
        ] {
            assert_eq!(enters(&allow, from(Some(address))), listed, "{address}");
            assert_eq!(enters(&deny, from(Some(address))), !listed, "{address}");
        }
        for rules in [allow, IpRules::allow(["0.0.0.0/0", "::/0"])] {
            assert!(!enters(&rules, from(None)), "no address");
            assert!(!enters(&rules, Request::new(Body::empty())), "no client");
        }
        assert!(!enters(&deny, from(None)), "no address");
        assert!(!enters(&deny, Request::new(Body::empty())), "no client");
        let none = IpRules::deny([""; 0]);
        assert!(enters(&none, from(Some("8.8.8.8"))));
        assert!(!enters(&none, from(None)));
    }

    #[tokio::test]
    async fn a_refusal_is_a_403_and_of_a_grpc_call_a_7() {
        let target = handler(|_: Request| async { "inside" });
        let rules = IpRules::allow(["10.0.0.0/8"]).into_layer();
        let chain = rules.wrap(BoxHandler::new(target));
        assert_eq!(chain.call(from(Some("10.0.0.1"))).await.status(), 200);
        let response = chain.call(from(Some("11.0.0.1"))).await;
        assert_eq!(response.status(), 403);
        assert_eq!(response.extensions().get(), Some(&Failure::Forbidden));
        let mut req = from(None);
        let kind = http::HeaderValue::from_static("application/grpc");
        req.headers_mut().insert("content-type", kind);
        assert_eq!(chain.call(req).await.headers()["grpc-status"], "7");
    }

    #[test]
    fn every_wrong_entry_is_a_problem() {
        fn problems<K: Send + Sync + 'static>(rules: IpRules<K>) -> Vec<String> {
            rules.into_layer().about().problems().to_vec()
        }
        assert_eq!(
            problems(IpRules::deny([
                "10.0.0.1/8",
                "10.0.0.0/33",
                "unix:",
                "::ffff:10.0.0.0/104",
                "localhost",
                "10.0.0.0/8",
            ])),
            [
                "`IpRules::deny`: \"10.0.0.1/8\" is not a network: bits are set behind its prefix, write \"10.0.0.0/8\"".to_owned(),
                format!("`IpRules::deny`: \"10.0.0.0/33\" is not a network: {WORDS}"),
                format!("`IpRules::deny`: \"unix:\" is not a network: {WORDS}"),
                "`IpRules::deny`: \"::ffff:10.0.0.0/104\" is not a network: mapped addresses count as IPv4, write \"10.0.0.0/8\"".to_owned(),
                format!("`IpRules::deny`: \"localhost\" is not a network: {WORDS}"),
            ]
        );
        assert_eq!(
            problems(IpRules::allow([""; 0])),
            ["`IpRules::allow`: an empty list lets nobody in, write at least one network"]
        );
        assert_eq!(problems(IpRules::allow(["private"])), [""; 0]);
    }
}
