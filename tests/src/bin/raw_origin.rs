//! The benchmark's upstream: the same prebuilt HTTP/1.1 response for every request, on one thread.
//!
//! It reads until the blank line, answers, and keeps the connection. It looks at nothing else, so that its cost beside
//! the proxy's is as small and as constant as it can be; requests with a body and pipelined requests are not for it.
//!
//! With `--count ADDR` it also listens there: a connection to that address gets the number of connections that were accepted
//! so far, and is closed.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use prox_tests::flags::flag;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

fn main() -> Result<(), Box<dyn Error>> {
    let listen: SocketAddr = flag("listen", None)?;
    let count: SocketAddr = flag("count", Some(SocketAddr::from(([127, 0, 0, 1], 0))))?;
    let response: Arc<[u8]> = response(flag("body", Some(13))?).into();
    let accepted = Arc::new(AtomicU64::new(0));

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        tokio::spawn(tell(TcpListener::bind(count).await?, Arc::clone(&accepted)));
        loop {
            let (stream, _) = listener.accept().await?;
            accepted.fetch_add(1, Relaxed);
            let response = Arc::clone(&response);
            // A proxy may reset a connection that it no longer needs; the next one is not concerned.
            tokio::spawn(async move { answer(stream, &response).await });
        }
    })
}

async fn tell(listener: TcpListener, accepted: Arc<AtomicU64>) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let count = accepted.load(Relaxed).to_string();
        // Who asks and leaves needs no answer.
        drop(stream.write_all(count.as_bytes()).await);
    }
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
