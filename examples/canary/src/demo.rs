//! Services for a machine of your own.

use std::{future::pending, net::TcpListener, thread};

use prox::{Env, Error, Request, Server};

/// Starts a service on a port of its own, for as long as the process lives, and returns its URL.
pub fn start(name: &'static str) -> prox::Result<String> {
    let failed = |error| Error::io("cannot start the demo", error);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    // The variables of the process are those of the gateway.
    let service = Env::empty().within(|| {
        prox::gateway! {
            "/" => handler(move |req: Request| async move { format!("{name}: {} {}\n", req.method(), req.uri()) })
        }
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
            Server::new(service)
                .listener(listener)
                .shutdown(pending())
                .serve()
                .await
        })
    });
    Ok(format!("http://{address}"))
}
