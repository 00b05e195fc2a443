//! Connections that are there before the first request.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use tokio::{runtime::Handle, sync::watch};

use super::open;
use crate::{
    cluster::{Cluster, Core, Upstream},
    connect::Protocol,
    error::Error,
    pool::Granted,
};

/// Opens the connections that the backend wants at the start of a worker, which is the thread that this is called on, and to
/// endpoints that are found later.
///
/// Each endpoint has a task of its own, which ends when its connections are there, when one does not come about, or with the
/// gateway. Without a runtime, it does nothing.
pub(crate) fn warm(cluster: &Cluster) {
    let core = cluster.core();
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    let count = core.warm();
    if count == 0 {
        return;
    }
    if let Some(sets) = core.sets() {
        runtime.spawn(follow(Arc::downgrade(core), sets, count));
        return;
    }
    for upstream in core.members().iter() {
        let (core, upstream) = (Arc::downgrade(core), Arc::downgrade(upstream));
        runtime.spawn(fill(core, upstream, count));
    }
}

/// Warms up the endpoints that are there, and those that come.
async fn follow(core: Weak<Core>, mut sets: watch::Receiver<u64>, count: usize) {
    let mut known: HashMap<usize, Weak<Upstream>> = HashMap::new();
    loop {
        let Some(members) = core.upgrade().map(|core| core.members()) else {
            return;
        };
        let mut found = HashMap::new();
        for upstream in members.iter() {
            let (index, upstream) = (upstream.index(), Arc::downgrade(upstream));
            let stays = |before: &Weak<Upstream>| before.ptr_eq(&upstream);
            if !known.get(&index).is_some_and(stays) {
                tokio::spawn(fill(core.clone(), upstream.clone(), count));
            }
            found.insert(index, upstream);
        }
        drop(members);
        known = found;
        // The sender ends with the gateway.
        if sets.changed().await.is_err() {
            return;
        }
    }
}

/// Opens so many connections to an endpoint, one after the other.
async fn fill(core: Weak<Core>, upstream: Weak<Upstream>, count: usize) {
    for _ in 0..count {
        let (Some(core), Some(upstream)) = (core.upgrade(), upstream.upgrade()) else {
            return;
        };
        match one(&core, &upstream).await {
            Ok(More::Welcome) => {}
            Ok(More::Enough) => return,
            Err(error) => {
                let (backend, endpoint) = (core.name(), &upstream.endpoint);
                tracing::warn!(target: "prox", backend, %endpoint, ?error, "not warmed up");
                return;
            }
        }
    }
}

/// Whether the endpoint wants another connection.
enum More {
    Welcome,
    Enough,
}

async fn one(core: &Arc<Core>, upstream: &Arc<Upstream>) -> Result<More, Error> {
    let (pool, limit) = (&upstream.pool, core.connect_timeout());
    if let Some(streams) = pool.streams() {
        let connect = {
            let (core, upstream) = (Arc::clone(core), Arc::clone(upstream));
            move || {
                let (core, upstream) = (Arc::clone(&core), Arc::clone(&upstream));
                async move { open(&core, &upstream, limit).await }
            }
        };
        match streams.take(None, connect).await? {
            // The stream itself is of no use, and gives its room back.
            Granted::Http2(_) => return Ok(More::Enough),
            Granted::Http1(Some(stream)) => {
                pool.put(pool.speak(stream).await?);
                return Ok(More::Welcome);
            }
            Granted::Http1(None) => {}
        }
    }
    let opened = open(core, upstream, limit).await?;
    if opened.protocol == Protocol::Http1 {
        pool.put(pool.speak(opened.stream).await?);
    }
    Ok(More::Welcome)
}
