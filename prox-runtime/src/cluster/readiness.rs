//! Whether a backend can do its work, for who asks whether the gateway can.

use tokio::time::Instant;

use super::{Cluster, Core, health::active::Verdict};

impl Core {
    fn is_ready(&self) -> bool {
        let (checked, now) = (self.checks.is_some(), Instant::now());
        self.members().iter().any(|upstream| {
            let standing = upstream.state.standing(&self.slow_start, now);
            standing.is_usable() && (!checked || standing.checked == Verdict::Healthy)
        })
    }
}

impl Cluster {
    /// Whether one of its endpoints is well: not drained, not ejected and, where there are checks, one that has passed one.
    ///
    /// Before the first check has come back this is false, although requests are sent on already. The question begins the checks,
    /// and the search for endpoints, where neither a server nor a request has begun them yet and a runtime is here to run them.
    pub fn is_ready(&self) -> bool {
        self.core().start();
        self.core().is_ready()
    }

    /// The same, and begins nothing.
    pub(crate) fn has_ready_endpoint(&self) -> bool {
        self.core().is_ready()
    }

    /// Whether the gateway is not ready without it; see [`ClusterBuilder::required`](crate::ClusterBuilder::required).
    pub fn is_required(&self) -> bool {
        self.core().required
    }
}
