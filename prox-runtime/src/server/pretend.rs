//! A server without sockets, for the test kit: it serves streams that somebody else has opened.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{
    Options, Server, both, connection,
    drain::{Drain, Tracker},
};
use crate::{
    error::Result,
    handler::Dispatch,
    metrics::MetricsOptions,
    observe::ending::Task,
    stream::{Stream, Transport},
};

/// The connections of a server without sockets.
#[derive(Debug)]
pub(crate) struct Front {
    options: Arc<Options>,
    tracker: Arc<Tracker>,
}

/// How a client is there.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) peer: SocketAddr,
    /// Whether it counts as a client over TLS.
    pub(crate) secure: bool,
    /// The name of the listener that has taken the connection.
    pub(crate) listener: Option<Arc<str>>,
}

impl<G: Dispatch> Server<G> {
    /// The gateway, and what serves its connections. Nothing is listened on, and no certificate is read.
    ///
    /// # Errors
    ///
    /// All that is wrong, in one error.
    pub(crate) fn pretended(self) -> Result<(G, Front)> {
        let mut options = self.options;
        let ending = self.ending.settle(&mut options, &self.variables);
        let options = self.edge.settle(options, &self.variables);
        let metrics = self.metrics.as_ref().map(MetricsOptions::settle);
        let rest = both(both(options, ending), metrics.transpose());
        let (gateway, ((options, ()), metrics)) = both(self.gateway, rest)?;
        if let Some(settings) = metrics {
            gateway.count_as(&settings)?;
        }
        options.count_in(&gateway);
        gateway.start();
        let tracker = Arc::new(Tracker::new(gateway.requests()));
        options.connections.add(&tracker);
        let options = Arc::new(options);
        Ok((gateway, Front { options, tracker }))
    }
}

impl Front {
    /// Serves one connection in a task of its own.
    pub(crate) fn serve<D: Dispatch>(
        &self,
        dispatch: D,
        stream: impl Transport + 'static,
        arrival: &Arrival,
    ) {
        let mut options = Arc::clone(&self.options);
        if arrival.secure || arrival.listener.is_some() {
            let own = Arc::make_mut(&mut options);
            own.pretends_tls = arrival.secure;
            own.listener.clone_from(&arrival.listener);
        }
        options.connections.accepted();
        let place = options.connections.enter();
        tokio::spawn(Task::new(connection::serve(
            dispatch,
            Stream::boxed(stream),
            Some(arrival.peer),
            options,
            self.tracker.enter(),
            place,
        )));
    }

    /// Lets each connection end with its next response, and waits for that; says how many were cut off.
    pub(crate) async fn drain(&self) -> usize {
        self.tracker.drain(Drain::from(self.options.drain_idle));
        self.tracker.finish(self.options.drain_timeout).await
    }

    /// How long the server serves on before it drains.
    pub(crate) fn shutdown_delay(&self) -> Duration {
        self.options.shutdown_delay
    }
}
