//! A service for a machine of your own, where there is none to pass requests to.

use std::{env, future::pending, net::TcpListener, thread};

use prox::{Env, Error, Request, Server};

/// The variables of this process. `USERS_URL` is that of a demo if the process runs on your machine and the variable is not set.
///
/// `platform` is a variable that the platform sets: there a variable that is missing is an error.
pub fn variables(platform: &str) -> prox::Result<Env> {
    let variables = Env::process();
    let is_set = |name| env::var_os(name).is_some();
    if is_set("USERS_URL") || is_set(platform) || env::args().len() > 1 {
        return Ok(variables);
    }
    let port = env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let url = start()?;
    println!(
        "a demo takes the place of the service of the users: {url}\n\n{}",
        crate::try_it(&port)
    );
    Ok(variables.set("USERS_URL", url))
}

/// Starts a service on a port of its own, for as long as the process lives, and returns its URL.
fn start() -> prox::Result<String> {
    let failed = |error| Error::io("cannot start the demo", error);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    // The variables of the process are those of the gateway and of its server.
    let service = Env::empty().within(|| {
        prox::gateway! {
            "/" => handler(async |req: Request| format!("the users: {} {}\n", req.method(), req.uri()))
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
    // It is asked for by a name, as a Service is.
    Ok(format!("http://localhost:{}", address.port()))
}
