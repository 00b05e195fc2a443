//! The gateway under test in the benchmark against other proxies: one route, the defaults, one worker.

use std::{error::Error, net::SocketAddr};

use prox::{Endpoint, Server};
use prox_tests::flags::flag;

fn main() -> Result<(), Box<dyn Error>> {
    let listen: SocketAddr = flag("listen", None)?;
    let upstream: Endpoint = flag("upstream", None)?;
    let gateway = prox::gateway! { "/" => upstream };
    Server::new(gateway).address(listen).workers(1).run()?;
    Ok(())
}
