//! The lower limit for a proxy in user space: bytes read here are written there, and nobody looks at them.

use std::{error::Error, io, net::SocketAddr};

use prox_tests::flags::flag;
use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
};

const BUFFER: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let listen: SocketAddr = flag("listen", None)?;
    let upstream: String = flag("upstream", None)?;
    let upstream: SocketAddr = upstream.trim_start_matches("http://").parse()?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (client, _) = listener.accept().await?;
            tokio::spawn(relay(client, upstream));
        }
    })
}

async fn relay(mut client: TcpStream, upstream: SocketAddr) -> io::Result<(u64, u64)> {
    let mut upstream = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER).await
}
