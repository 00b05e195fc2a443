//! Opens connections to upstreams.

use std::{io, net::IpAddr, time::Duration};

use tokio::net::TcpStream;

use crate::error::{Error, Failure};

/// Opens a connection to `host`, trying each of its addresses in turn, within `limit` altogether.
///
/// # Errors
///
/// `Dns`, `Connect` or `ConnectTimeout`. Nothing was sent, so the request may go elsewhere.
pub(crate) async fn tcp(host: &str, port: u16, limit: Duration) -> Result<TcpStream, Error> {
    match tokio::time::timeout(limit, open(host, port)).await {
        Ok(stream) => stream,
        Err(_) => Err(Error::failure(Failure::ConnectTimeout)),
    }
}

async fn open(host: &str, port: u16) -> Result<TcpStream, Error> {
    let stream = if let Ok(address) = host.parse::<IpAddr>() {
        TcpStream::connect((address, port)).await
    } else {
        let addresses = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| Error::caused(Failure::Dns, error))?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let mut connected = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    connected = Some(stream);
                    break;
                }
                Err(error) => last = error,
            }
        }
        connected.ok_or(last)
    };
    let stream = stream.map_err(|error| Error::caused(Failure::Connect, error))?;
    // Requests are written whole, so that waiting for more to send would only delay them.
    stream
        .set_nodelay(true)
        .map_err(|error| Error::caused(Failure::Connect, error))?;
    Ok(stream)
}
