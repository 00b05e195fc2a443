//! A gateway that is being served in the test's own runtime.

use std::{net::SocketAddr, time::Duration};

use prox::{Cluster, IntoGateway, Server};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    client::{Answer, RawClient},
    wait::within,
};

/// A gateway behind a real listener on a free port; it is drained by [`stop`](Self::stop), or ends with the runtime.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<prox::Result>,
}

impl Served {
    /// Serves a gateway with the default limits.
    pub async fn start(gateway: impl IntoGateway) -> Self {
        Self::with(gateway, |server| server).await
    }

    /// Serves a gateway with other limits.
    pub async fn with(
        gateway: impl IntoGateway,
        limits: impl FnOnce(Server<prox::Gateway>) -> Server<prox::Gateway>,
    ) -> Self {
        let gateway = gateway.into_gateway().expect("the gateway can start");
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port of 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let (shutdown, ended) = oneshot::channel();
        // Few tests are about how long idle connections wait in a drain.
        let server = Server::new(gateway).drain_idle(Duration::from_millis(500));
        let server = limits(server).listener(listener).shutdown(async {
            // A test that drops the sender never wanted an end.
            if ended.await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        Self {
            address,
            shutdown: Some(shutdown),
            task: tokio::spawn(server.serve()),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client that is connected to it.
    pub async fn client(&self) -> RawClient {
        RawClient::connect(self.address).await
    }

    /// Sends one `GET` on a connection of its own.
    pub async fn get(&self, target: &str) -> Answer {
        self.client().await.get(target).await
    }

    /// Begins the drain.
    pub fn begin_shutdown(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            shutdown.send(()).expect("the server is running");
        }
    }

    /// Whether the server has ended.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Drains, and waits for the end.
    pub async fn stop(mut self) {
        self.begin_shutdown();
        within("the server to end", self.task)
            .await
            .expect("the server does not panic")
            .expect("the server ends in good order");
    }
}

/// A gateway before its backend `users`, and the handle of that.
pub async fn served(gateway: prox::Result<prox::Gateway>) -> (Served, Cluster) {
    served_before("users", gateway).await
}

/// A gateway before its backend of this name, and the handle of that.
pub async fn served_before(name: &str, gateway: prox::Result<prox::Gateway>) -> (Served, Cluster) {
    let gateway = gateway.expect("the gateway can start");
    let backend = gateway.backend(name).expect("it has one").clone();
    (Served::start(gateway).await, backend)
}
