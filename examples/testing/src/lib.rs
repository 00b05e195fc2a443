//! A gateway of a shop. It is a library, so that tests can start it.

use prox::{Endpoint, RetryOptions, middleware::IpRules};

prox::gateway! {
    /// The gateway of the shop.
    pub struct Shop;

    /// One of the endpoints of the users.
    env USERS_URL: Endpoint;

    backend users = cluster(rr, [USERS_URL, "http://10.0.0.2:8080"])
        .retry(RetryOptions::new(2).per_try_timeout(1s))
        .timeout(5s);
    backend canary = "http://10.0.1.1:8080";

    "/users/{id}" => users.rewrite("/people/{id}"),
    "/checkout" => split { 95 => users, 5 => canary },
    "/admin" => users with [IpRules::allow(["10.0.0.0/8"])],
}
