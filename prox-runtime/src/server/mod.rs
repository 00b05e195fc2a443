//! Accepts connections, speaks HTTP, and ends in good order.

mod connection;
mod drain;
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod limits;
mod listener;
mod open;
mod socket;
mod workers;

use std::{
    fmt,
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    time::Duration,
};

use tokio::net::TcpListener;

use crate::{
    error::{Error, Result},
    handler::Dispatch,
};

type ShutdownFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves a gateway: on worker threads of its own with [`run`](Self::run), or on the caller's runtime with
/// [`serve`](Self::serve).
///
/// ```no_run
/// # async fn doc(gateway: prox_runtime::Gateway) -> prox_runtime::Result {
/// use prox_runtime::Server;
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// Server::new(gateway)
///     .listener(listener)
///     .shutdown(async { tokio::time::sleep(std::time::Duration::from_secs(60)).await })
///     .serve()
///     .await
/// # }
/// ```
#[must_use = "a server does nothing until it is run or served"]
pub struct Server<G> {
    gateway: Result<G>,
    address: Option<SocketAddr>,
    workers: Option<usize>,
    listener: Option<TcpListener>,
    shutdown: Option<ShutdownFuture>,
    options: Options,
}

/// The limits of client connections.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) header_timeout: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) max_header_size: usize,
    pub(crate) max_headers: usize,
    pub(crate) max_streams: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(1),
            drain_timeout: Duration::from_secs(10),
            max_header_size: 64 * 1024,
            max_headers: 100,
            max_streams: 100,
        }
    }
}

impl<G: Dispatch> Server<G> {
    pub(crate) fn of(gateway: Result<G>) -> Self {
        Self {
            gateway,
            address: None,
            workers: None,
            listener: None,
            shutdown: None,
            options: Options::default(),
        }
    }

    /// Listens on this address instead of the one that `HOST` and `PORT` name.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Sets the number of worker threads for [`run`](Self::run): one a core by default, and at least one.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count.max(1));
        self
    }

    /// Takes a listener that is bound already; only for [`serve`](Self::serve).
    pub fn listener(mut self, listener: TcpListener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Starts the drain when `shutdown` is done, instead of on SIGTERM or Ctrl-C.
    pub fn shutdown(mut self, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Some(Box::pin(shutdown));
        self
    }

    /// Bounds the time from the first byte of a request's head to its last; 10 s by default, then `408`.
    pub fn header_timeout(mut self, limit: Duration) -> Self {
        self.options.header_timeout = limit;
        self
    }

    /// Closes a client's connection that was idle between requests for so long; 60 s by default.
    pub fn keep_alive(mut self, limit: Duration) -> Self {
        self.options.keep_alive = limit;
        self
    }

    /// Bounds each wait for a client in mid-message, while it sends a body or takes a response; 60 s by default.
    ///
    /// Every byte that moves starts it anew.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.options.idle_timeout = limit;
        self
    }

    /// Bounds the drain: after so long, what is still under way is cut off; 10 s by default.
    pub fn drain_timeout(mut self, limit: Duration) -> Self {
        self.options.drain_timeout = limit;
        self
    }

    /// Bounds the header block of a request, in bytes; 64 KiB by default (and at least 8 KiB), then `431`.
    pub fn max_header_size(mut self, bytes: usize) -> Self {
        self.options.max_header_size = bytes.max(8 * 1024);
        self
    }

    /// Bounds the number of header fields of a request; 100 by default, then `431`.
    pub fn max_headers(mut self, count: usize) -> Self {
        self.options.max_headers = count;
        self
    }

    /// Bounds the requests that are under way on one HTTP/2 connection at a time; 100 by default.
    #[cfg(feature = "http2")]
    pub fn max_concurrent_streams(mut self, count: u32) -> Self {
        self.options.max_streams = count.max(1);
        self
    }

    /// Serves on threads of its own, one single-threaded runtime each, until SIGTERM or Ctrl-C, and drains.
    ///
    /// It listens on `HOST` and `PORT` from the environment, by default `0.0.0.0:8080`, and says so in one line when
    /// stdout is a terminal. A second signal ends it at once.
    ///
    /// # Errors
    ///
    /// When the gateway cannot start as it is configured, or the address cannot be listened on. Nothing is served then.
    ///
    /// # Panics
    ///
    /// When it is called inside of an async runtime; use [`serve`](Self::serve) there.
    pub fn run(self) -> Result {
        let (gateway, address) = both(self.gateway, self.address)?;
        workers::run(gateway, address, self.workers, self.shutdown, self.options)
    }

    /// Says what [`run`](Self::run) would refuse, but does not listen.
    ///
    /// # Errors
    ///
    /// When the gateway cannot start as it is configured, or `HOST` and `PORT` name no address.
    pub fn check(self) -> Result {
        both(self.gateway, self.address).map(|_| ())
    }

    /// Serves on the caller's tokio runtime until the [`shutdown`](Self::shutdown) future is done, and drains.
    ///
    /// Without a shutdown future it is SIGTERM and Ctrl-C that end it, without a [`listener`](Self::listener) it binds the
    /// [`address`](Self::address).
    ///
    /// # Errors
    ///
    /// When the gateway cannot start as it is configured, or the address cannot be listened on.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, it stops accepting; connections that are open go on until they end by themselves.
    pub async fn serve(self) -> Result {
        let gateway = self.gateway?;
        let listener = match (self.listener, self.address) {
            (Some(listener), _) => listener,
            (None, Some(address)) => listener::bind(address, false)?,
            (None, None) => listener::bind(address_from_env()?, false)?,
        };
        let shutdown = match self.shutdown {
            Some(shutdown) => shutdown,
            None => Box::pin(drain::signal()?),
        };
        listener::serve(gateway, listener, self.options, shutdown).await;
        Ok(())
    }
}

impl<G> fmt::Debug for Server<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("workers", &self.workers)
            .field("listener", &self.listener)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The gateway and its address; what is wrong with one and what is wrong with the other is said in one error.
fn both<G>(gateway: Result<G>, address: Option<SocketAddr>) -> Result<(G, SocketAddr)> {
    let address = match address {
        Some(address) => Ok(address),
        None => address_from_env(),
    };
    match (gateway, address) {
        (Ok(gateway), Ok(address)) => Ok((gateway, address)),
        (Err(gateway), Err(address)) => Err(Error::config(format!("{gateway:?}\n{address:?}"))),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// The address that `HOST` and `PORT` name; what both of them get wrong is said at once.
fn address_from_env() -> Result<SocketAddr> {
    let mut problems = Vec::new();
    let text = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let host = match text("HOST") {
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Some(host) if host == "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(host) => host.parse().unwrap_or_else(|_| {
            problems.push(format!(
                "HOST is {host:?}, which is no IP address: write 0.0.0.0, 127.0.0.1 or ::"
            ));
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        }),
    };
    let port = match text("PORT") {
        None => 8080,
        Some(port) => port.parse().unwrap_or_else(|_| {
            problems.push(format!(
                "PORT is {port:?}, which is no port: write a number from 0 to 65535"
            ));
            0
        }),
    };
    if problems.is_empty() {
        Ok(SocketAddr::new(host, port))
    } else {
        Err(Error::config(problems.join("\n")))
    }
}
