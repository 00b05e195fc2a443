//! What is known of the connections of clients while a server runs.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// What is known of the connections of a server's clients: [`Server::connections`](crate::Server::connections). Clones
/// tell the same.
///
/// ```
/// # fn doc(gateway: prox_runtime::Gateway) -> prox_runtime::Result {
/// use prox_runtime::Server;
///
/// let server = Server::new(gateway);
/// let connections = server.connections();
/// std::thread::spawn(move || loop {
///     std::thread::sleep(std::time::Duration::from_secs(60));
///     eprintln!("{} floods", connections.floods());
/// });
/// server.run()
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    floods: AtomicU64,
}

impl Connections {
    /// How many connections of HTTP/2 were closed because the client sent too many frames that the gateway has work with
    /// and that no request, no message and no data called for.
    pub fn floods(&self) -> u64 {
        self.0.floods.load(Relaxed)
    }

    #[cfg(feature = "http2")]
    pub(super) fn flooded(&self) {
        self.0.floods.fetch_add(1, Relaxed);
    }
}
