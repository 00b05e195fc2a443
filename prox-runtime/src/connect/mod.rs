//! Opens connections to upstreams.

use std::{io, net::IpAddr, path::Path, time::Duration};

use tokio::net::{TcpStream, UnixStream};

use crate::{
    error::{Error, Failure},
    stream::Stream,
    tls::Connector,
};

/// A stream to an upstream that was just opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) stream: Stream,
    pub(crate) protocol: Protocol,
}

/// What is spoken on a stream: by prior knowledge, or as agreed on in a TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

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

/// As [`tcp`], with a TLS handshake behind it, which is part of `limit`, and tells what is spoken. The certificate has to be
/// for `name`.
///
/// # Errors
///
/// `Tls`, and those of [`tcp`]. Nothing of the request was sent.
pub(crate) async fn tls(
    connector: &Connector,
    host: &str,
    port: u16,
    name: &str,
    limit: Duration,
) -> Result<Opened, Error> {
    let connected = async {
        let stream = open(host, port).await?;
        let (stream, http2) = connector
            .connect(stream.into(), name)
            .await
            .map_err(|error| Error::caused(Failure::Tls, error))?;
        let protocol = if http2 {
            Protocol::Http2
        } else {
            Protocol::Http1
        };
        Ok(Opened { stream, protocol })
    };
    match tokio::time::timeout(limit, connected).await {
        Ok(connected) => connected,
        Err(_) => Err(Error::failure(Failure::ConnectTimeout)),
    }
}

/// Opens a connection to a Unix socket, within `limit`.
///
/// # Errors
///
/// `Connect` or `ConnectTimeout`. Nothing was sent, so the request may go elsewhere.
pub(crate) async fn unix(path: &Path, limit: Duration) -> Result<Stream, Error> {
    match tokio::time::timeout(limit, UnixStream::connect(path)).await {
        Ok(stream) => stream
            .map(Stream::from)
            .map_err(|error| Error::caused(Failure::Connect, error)),
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
