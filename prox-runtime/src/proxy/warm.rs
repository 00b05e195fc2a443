//! Connections that are there before the first request.

use std::sync::Arc;

use super::open;
use crate::{
    cluster::{Cluster, Core},
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
    for index in 0..core.count() {
        let (core, name) = (Arc::downgrade(core), cluster.name().to_owned());
        let count = cluster.core().warm();
        runtime.spawn(async move {
            for _ in 0..count {
                let Some(core) = core.upgrade() else { return };
                match one(&core, index).await {
                    Ok(More::Welcome) => {}
                    Ok(More::Enough) => return,
                    Err(error) => {
                        let endpoint = &core.upstream(index).endpoint;
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

async fn one(core: &Arc<Core>, index: usize) -> Result<More, Error> {
    let pool = &core.upstream(index).pool;
    if let Some(streams) = pool.streams() {
        let connect = {
            let core = Arc::clone(core);
            move || {
                let core = Arc::clone(&core);
                async move { open(&core, index, core.connect_timeout()).await }
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
    let opened = open(core, index, core.connect_timeout()).await?;
    if opened.protocol == Protocol::Http1 {
        pool.put(Connection::new(opened.stream).await?, 0);
    }
    Ok(More::Welcome)
}
