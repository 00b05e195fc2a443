//! What stands before a server: proxies that say who the client is, and the name by which this one is known.

use super::Options;
use crate::{
    client::Trust,
    error::{Error, Result},
    forward::via::Via,
};

/// What was said of the proxies before a server; it is looked at when that starts, so that all problems are told at once.
#[derive(Debug, Default)]
pub(super) struct Edge {
    pub(super) trusted: Option<Result<Trust, Vec<String>>>,
    pub(super) proxy_protocol: Option<Result<Trust, Vec<String>>>,
    pub(super) via: Option<Result<Via, String>>,
}

impl Edge {
    /// Puts it into the options. Who is trusted may also be said by the environment: that differs from cluster to cluster.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub(super) fn settle(self, mut options: Options) -> Result<Options> {
        let from_env = || {
            let text = std::env::var("TRUSTED_PROXIES").ok();
            let text = text.filter(|text| !text.is_empty())?;
            Some(("TRUSTED_PROXIES", Trust::read(text.split(','))))
        };
        let said = self.trusted.map(|trusted| ("trusted_proxies", trusted));
        let expected = self.proxy_protocol.map(|from| ("proxy_protocol", from));
        let mut problems = Vec::new();
        let mut read = |what: Option<(&str, Result<Trust, Vec<String>>)>| match what? {
            (_, Ok(trust)) => Some(trust),
            (name, Err(found)) => {
                problems.extend(found.iter().map(|problem| format!("{name}: {problem}")));
                None
            }
        };
        options.trusted = read(said.or_else(from_env));
        options.proxy_protocol = read(expected);
        match self.via.transpose() {
            Ok(via) => options.via = via,
            Err(problem) => problems.push(format!("via: {problem}")),
        }
        if problems.is_empty() {
            Ok(options)
        } else {
            Err(Error::config(problems.join("\n")))
        }
    }
}
