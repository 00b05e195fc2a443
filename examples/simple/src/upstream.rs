//! The upstreams of the demo: each says its name and what it was asked for.

use std::{future::pending, net::TcpListener, thread};

use prox::{Endpoint, Env, Error, Request, Server};

/// Starts an upstream on a port of its own, for as long as the process lives.
pub fn start(name: &'static str) -> prox::Result<Endpoint> {
    let failed = |error| Error::io("cannot start a demo upstream", error);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;

    // An upstream is a gateway too: one that answers everything by itself.
    // The variables of the process, such as `ADMIN`, are those of the gateway in front.
    let gateway = Env::empty().within(|| {
        prox::gateway! {
            "/" => handler(move |req: Request| async move {
            format!("upstream {name} was asked for {}\n", req.uri().path())
        })
        }
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
            Server::new(gateway)
                .listener(listener)
                .shutdown(pending())
                .serve()
                .await
        })
    });
    format!("http://{address}")
        .parse()
        .map_err(|error| Error::config(format!("the demo upstream's address: {error}")))
}
