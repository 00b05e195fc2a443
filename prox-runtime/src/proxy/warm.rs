//! Connections that are there before the first request.

use std::sync::Arc;

use super::open;
use crate::{
    cluster::{Cluster, Core, Upstream},
    connect::Protocol,
    error::Error,
    pool::{Connection, Granted},
};

/// Opens the connections that the backend wants at the start of a worker, which is the thread that this is called on.
///
/// Each endpoint has a task of its own, which ends when its connections are there, when one does not come about, or with the
/// gateway. Without a runtime, it does nothing.
pub(crate) fn warm(cluster: &Cluster) {
    let core = cluster.core();
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    if core.warm() == 0 {
        return;
    }
    // Those that are found later are not warmed up.
    for upstream in core.members().iter() {
        let upstream = Arc::downgrade(upstream);
        let (core, name) = (Arc::downgrade(core), cluster.name().to_owned());
        let count = cluster.core().warm();
        runtime.spawn(async move {
            for _ in 0..count {
                let (Some(core), Some(upstream)) = (core.upgrade(), upstream.upgrade()) else {
                    return;
                };
                match one(&core, &upstream).await {
                    Ok(More::Welcome) => {}
                    Ok(More::Enough) => return,
                    Err(error) => {
                        let endpoint = &upstream.endpoint;
                        tracing::warn!(target: "prox", backend = name, %endpoint, ?error, "not warmed up");
                        return;
                    }
                }
            }
        });
    }
}

/// Whether the endpoint wants another connection.
enum More {
    Welcome,
    Enough,
}

async fn one(core: &Core, upstream: &Arc<Upstream>) -> Result<More, Error> {
    let (pool, limit) = (&upstream.pool, core.connect_timeout());
    if let Some(streams) = pool.streams() {
        let connect = {
            let upstream = Arc::clone(upstream);
            move || {
                let upstream = Arc::clone(&upstream);
                async move { open(&upstream, limit).await }
            }
        };
        match streams.take(connect).await? {
            // The stream itself is of no use, and gives its room back.
            Granted::Http2(_) => return Ok(More::Enough),
            Granted::Http1(Some(stream)) => {
                pool.put(Connection::new(stream).await?, 0);
                return Ok(More::Welcome);
            }
            Granted::Http1(None) => {}
        }
    }
    let opened = open(upstream, limit).await?;
    if opened.protocol == Protocol::Http1 {
        pool.put(Connection::new(opened.stream).await?, 0);
    }
    Ok(More::Welcome)
}
