//! Where a process gives its sockets away, and how long each step may take: said in code, or by `HANDOVER`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    error::{Error, Result},
    server::{ServerVariables, notify::watchdog_limit},
    time::FOREVER,
};

/// How long a process waits at most until it is ready. The process that gives waits for longer.
const READY_AT_MOST: Duration = Duration::from_secs(30);

/// The hand-over of a server: a new process takes its listening sockets, and no request fails.
///
/// A [`Server`](crate::Server) is given it by `Server::handover`, or by the variable `HANDOVER`. The guide
/// [`handover`](https://docs.rs/prox/latest/prox/docs/handover/) has the steps.
///
/// ```no_run
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// # #[cfg(feature = "handover")]
/// # fn doc(gateway: prox::Gateway) -> prox::Result {
/// use std::time::Duration;
///
/// use prox::{Handover, Server};
///
/// Server::new(gateway)
///     .handover(Handover::at("/run/shop.sock").drain_timeout(Duration::from_secs(60)))
///     .run()
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a hand-over does nothing until a server is given it"]
pub struct Handover {
    /// Nothing for a server that takes part in no hand-over, whatever the environment says.
    path: Option<PathBuf>,
    ready: Duration,
    idle: Duration,
    timeout: Duration,
}

impl Handover {
    /// The hand-over at this absolute path. The process that serves has a Unix socket there, with the mode `0600`. A new process of
    /// the same user connects to it, and takes over.
    ///
    /// If there is no process, the new one binds the path. A socket that a dead process has left behind is replaced. Another kind
    /// of file is an error when the server starts.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: Some(path.into()),
            ..Self::off()
        }
    }

    /// No hand-over, whatever the variable `HANDOVER` says: for the second server of a process.
    pub fn off() -> Self {
        Self {
            path: None,
            ready: Duration::from_secs(10),
            idle: Duration::from_mins(1),
            timeout: Duration::from_mins(10),
        }
    }

    /// How long a new process waits until the gateway is [ready](crate::Gateway::is_ready); 10 s by default, and 30 s at most. After
    /// it the process accepts all the same, with a warning.
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.ready = limit.min(READY_AT_MOST);
        self
    }

    /// How long idle connections of the old process wait for their next request; 60 s by default.
    pub fn drain_idle(mut self, limit: Duration) -> Self {
        self.idle = limit.min(FOREVER);
        self
    }

    /// When the old process cuts off what is still under way, such as tunnels; 10 min by default. A signal in this time, or the
    /// end of the [`shutdown`](crate::Server::shutdown) future, makes it the [`drain_timeout`](crate::Server::drain_timeout) of the
    /// server. A second signal ends the process.
    pub fn drain_timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit.min(FOREVER);
        self
    }
}

/// A path as [`Handover::at`] takes it.
impl From<&str> for Handover {
    fn from(path: &str) -> Self {
        Self::at(path)
    }
}

/// A path as [`Handover::at`] takes it.
impl From<String> for Handover {
    fn from(path: String) -> Self {
        Self::at(path)
    }
}

/// A path as [`Handover::at`] takes it.
impl From<&Path> for Handover {
    fn from(path: &Path) -> Self {
        Self::at(path)
    }
}

/// A path as [`Handover::at`] takes it.
impl From<PathBuf> for Handover {
    fn from(path: PathBuf) -> Self {
        Self::at(path)
    }
}

/// A hand-over that was found good.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(all(feature = "handover", target_os = "linux")),
    allow(dead_code, reason = "it is never made")
)]
pub(in crate::server) struct Settled {
    pub(super) path: PathBuf,
    pub(super) ready: Duration,
    pub(super) idle: Duration,
    pub(super) timeout: Duration,
    /// Within which time systemd wants to hear that the main process lives.
    pub(super) watchdog: Option<Duration>,
}

/// What was said in code, or else what the environment says.
///
/// # Errors
///
/// When the path is not an absolute one, or this program cannot hand over.
pub(in crate::server) fn settle(
    said: Option<Handover>,
    variables: &ServerVariables,
) -> Result<Option<Settled>> {
    let said = match said {
        Some(said) => said,
        None => match variables.text("HANDOVER").map_err(Error::config)? {
            Some(path) if !path.is_empty() => Handover::at(path),
            _ => return Ok(None),
        },
    };
    let Some(path) = said.path else {
        return Ok(None);
    };
    let problem = if !cfg!(target_os = "linux") {
        "a hand-over needs Linux: leave it out"
    } else if !cfg!(feature = "handover") {
        "this program was built without the feature `handover` of prox: add the feature, or leave the variable out"
    } else if !path.is_absolute() {
        "expected an absolute path, such as /run/shop.sock"
    } else {
        return Ok(Some(Settled {
            path,
            ready: said.ready,
            idle: said.idle,
            timeout: said.timeout,
            watchdog: watchdog_limit(),
        }));
    };
    Err(Error::config(format!(
        "HANDOVER is {:?}: {problem}",
        path.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vars::Env;

    fn of(said: Option<Handover>, variable: Option<&'static str>) -> Result<Option<PathBuf>> {
        let env = variable.map(|path| ("HANDOVER", path));
        let variables = ServerVariables::new(env.into_iter().collect::<Env>());
        let settled = settle(said, &variables)?;
        Ok(settled.map(|settled| settled.path))
    }

    #[cfg(all(feature = "handover", target_os = "linux"))]
    #[test]
    fn the_code_wins_over_the_variable() {
        let path = |path: &str| Some(PathBuf::from(path));
        assert_eq!(of(None, None).unwrap(), None);
        assert_eq!(of(None, Some("")).unwrap(), None);
        assert_eq!(of(None, Some("/run/a")).unwrap(), path("/run/a"));
        let said = Handover::at("/run/b");
        assert_eq!(of(Some(said), Some("/run/a")).unwrap(), path("/run/b"));
        assert_eq!(of(Some(Handover::off()), Some("/run/a")).unwrap(), None);
        let error = of(None, Some("run/a")).unwrap_err().to_string();
        assert!(
            error.contains("HANDOVER is \"run/a\": expected an absolute path"),
            "{error}"
        );
    }

    #[cfg(not(all(feature = "handover", target_os = "linux")))]
    #[test]
    fn what_this_program_cannot_do_is_an_error() {
        let error = of(None, Some("/run/a")).unwrap_err().to_string();
        assert!(error.contains("HANDOVER is \"/run/a\": "), "{error}");
        assert_eq!(of(None, None).unwrap(), None);
    }
}
