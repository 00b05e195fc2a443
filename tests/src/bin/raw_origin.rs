//! The benchmark's upstream: the same prebuilt HTTP/1.1 response for every request, on one thread.
//!
//! It reads until the blank line, answers, and keeps the connection. It looks at nothing else, so that its cost beside
//! the proxy's is as small and as constant as it can be; requests with a body and pipelined requests are not for it.

use std::{error::Error, io, net::SocketAddr, sync::Arc};

use prox_tests::flags::flag;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

fn main() -> Result<(), Box<dyn Error>> {
    let listen: SocketAddr = flag("listen", None)?;
    let response: Arc<[u8]> = response(flag("body", Some(13))?).into();

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let response = Arc::clone(&response);
            // A proxy may reset a connection that it no longer needs; the next one is not concerned.
            tokio::spawn(async move { answer(stream, &response).await });
        }
    })
}

async fn answer(mut stream: TcpStream, response: &[u8]) -> io::Result<()> {
    const END: &[u8] = b"\r\n\r\n";

    stream.set_nodelay(true)?;
    let mut head = Vec::with_capacity(8 * 1024);
    while stream.read_buf(&mut head).await? > 0 {
        if head.ends_with(END) {
            head.clear();
            stream.write_all(response).await?;
        }
    }
    Ok(())
}

fn response(body: usize) -> Vec<u8> {
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nserver: origin\r\ncontent-type: text/plain\r\ncache-control: no-store\r\ncontent-length: {body}\r\n\r\n"
    )
    .into_bytes();
    response.extend(b"Hello, world\n".iter().cycle().take(body));
    response
}
