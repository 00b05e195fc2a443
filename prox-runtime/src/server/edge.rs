//! What stands before a server: proxies that say who the client is, and the name by which this one is known.

use std::sync::Arc;

use http::{HeaderName, Version};

use super::{Options, ServerVariables, good};
use crate::{
    client::{Client, Trust},
    error::{Failure, Result},
    forward::{proxy_status, via::Via},
    handler::{Dispatch, Request, Response},
    observe::traces::Caller,
    watch::Tally,
};

/// What was said of the proxies before a server; it is looked at when that starts, so that all problems are told at once.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    pub(crate) trusted: Option<Result<Trust, Vec<String>>>,
    pub(super) proxy_protocol: Option<Result<Trust, Vec<String>>>,
    pub(crate) via: Option<Result<Via, String>>,
    pub(crate) passing: Option<Result<Arc<[HeaderName]>, Vec<String>>>,
}

impl Edge {
    /// Puts it into the options. Who is trusted may also be said by the environment: that differs from cluster to cluster.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub(crate) fn settle(
        self,
        mut options: Options,
        variables: &ServerVariables,
    ) -> Result<Options> {
        let mut problems = Vec::new();
        let said = self.trusted.map(|trusted| ("trusted_proxies", trusted));
        let expected = self.proxy_protocol.map(|from| ("proxy_protocol", from));
        let said = said.or_else(|| match variables.text("TRUSTED_PROXIES") {
            Ok(text) => Some(("TRUSTED_PROXIES", Trust::read(text?.split(',')))),
            Err(problem) => {
                problems.push(problem);
                None
            }
        });
        let mut read = |what: Option<(&str, Result<Trust, Vec<String>>)>| match what? {
            (_, Ok(trust)) => Some(trust),
            (name, Err(found)) => {
                problems.extend(found.iter().map(|problem| format!("{name}: {problem}")));
                None
            }
        };
        options.trusted = read(said);
        options.proxy_protocol = read(expected);
        match self.via.transpose() {
            Ok(via) => options.via = via,
            Err(problem) => problems.push(format!("via: {problem}")),
        }
        match self.passing.transpose() {
            Ok(passing) => options.passing = passing,
            Err(found) => {
                problems.extend(
                    found
                        .iter()
                        .map(|problem| format!("pass_claims: {problem}")),
                );
            }
        }
        good(&problems).map(|()| options)
    }
}

/// Answers one request on a connection of `peer`, whose word is taken if it `is_trusted`.
pub(crate) async fn dispatch<G: Dispatch>(
    gateway: &G,
    options: &Options,
    peer: &Arc<Client>,
    is_trusted: bool,
    req: &mut Request,
    tally: &Tally,
) -> Response {
    let own;
    let client = match (&options.trusted, &options.passing) {
        (Some(proxies), _) if is_trusted => {
            own = Arc::new(peer.behind(req.headers(), proxies));
            &own
        }
        (_, Some(names)) => {
            own = Arc::new(peer.passing(names));
            &own
        }
        _ => peer,
    };
    if let Some(tracer) = &options.tracer {
        let caller = Caller {
            scheme: client.scheme(),
            client: client.ip(),
            peer: client.peer(),
            is_trusted,
        };
        tally.traced(tracer.begin(req, caller));
    }
    if let Some(via) = &options.via {
        if via.has(req.headers()) {
            let req = std::mem::take(req);
            let mut response = Box::pin(gateway.refuse(req, Failure::Loop, client, tally)).await;
            via.add(response.headers_mut(), Version::HTTP_11);
            return response;
        }
        let version = req.version();
        via.add(req.headers_mut(), version);
    }
    let mut response = gateway.dispatch(req, client, tally).await;
    if is_trusted && let Some(failure) = response.extensions().get().copied() {
        proxy_status::add(response.headers_mut(), failure);
    }
    if let Some(via) = &options.via {
        via.add(response.headers_mut(), Version::HTTP_11);
    }
    response
}
