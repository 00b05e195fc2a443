//! The gateway under test in `tests/peers/faults.py`: one route to several upstreams, with the defaults but for its flags.
//!
//! `GET /-/state` lists the conditions of its endpoints.

use std::{error::Error, net::SocketAddr, sync::OnceLock, time::Duration};

use http::StatusCode;
use prox::{
    Cluster, ClusterBuilder, Endpoint, HttpCheck, LeastConn, P2c, Request, RetryOptions,
    RoundRobin, Server,
    dsl::{cluster, dns},
};
use prox_tests::flags::flag;

static USERS: OnceLock<Cluster> = OnceLock::new();

fn main() -> Result<(), Box<dyn Error>> {
    let listen: SocketAddr = flag("listen", None)?;
    let upstreams: String = flag("upstreams", None)?;
    let endpoints = upstreams
        .split(',')
        .map(str::parse)
        .collect::<Result<Vec<Endpoint>, _>>()?;
    let policy: String = flag("policy", Some("rr".into()))?;
    let name: String = flag("name", Some(String::new()))?;
    let chosen = match policy.as_str() {
        "rr" if !name.is_empty() => {
            let nameserver: SocketAddr = flag("nameserver", None)?;
            cluster(RoundRobin::new(), dns(name).nameserver(nameserver))
        }
        "rr" => cluster(RoundRobin::new(), endpoints),
        "p2c" => cluster(P2c::new(), endpoints),
        "least_conn" => cluster(LeastConn::new(), endpoints),
        other => return Err(format!("no policy `{other}` is measured").into()),
    };
    let flags = Flags::read()?;
    let gateway = prox::gateway! {
        backend users = flags.apply(chosen);
        GET exact "/-/state" => handler(state),
        "/" => users,
    }?;
    let users = gateway.backend("users").ok_or("the backend is gone")?;
    USERS.get_or_init(|| users.clone());
    Server::new(gateway).address(listen).workers(1).run()?;
    Ok(())
}

/// What is to be other than the default.
struct Flags {
    retry: Option<RetryOptions>,
    check: Option<HttpCheck>,
}

impl Flags {
    fn read() -> Result<Self, String> {
        let millis = |name| {
            let millis = flag(name, Some(0))?;
            Ok::<_, String>((millis > 0).then(|| Duration::from_millis(millis)))
        };
        let per_try = millis("per-try-ms")?;
        let retry = |retries| {
            let options = RetryOptions::new(retries).on([
                StatusCode::INTERNAL_SERVER_ERROR,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ]);
            match per_try {
                Some(limit) => options.per_try_timeout(limit),
                None => options,
            }
        };
        let retries = flag("retries", Some(0))?;
        Ok(Self {
            retry: (retries > 0).then(|| retry(retries)),
            check: millis("check-ms")?
                .map(|every| HttpCheck::new("/healthz").every(every).timeout(every)),
        })
    }

    fn apply(self, mut users: ClusterBuilder) -> ClusterBuilder {
        if let Some(options) = self.retry {
            users = users.retry(options);
        }
        if let Some(check) = self.check {
            users = users.health(check);
        }
        users
    }
}

/// The conditions in the order of the endpoints, with spaces between them.
async fn state(_: Request) -> String {
    let conditions = USERS.get().into_iter().flat_map(Cluster::endpoints);
    let names: Vec<&str> = conditions
        .map(|endpoint| endpoint.condition().name())
        .collect();
    names.join(" ")
}
