//! Opens connections to upstreams.

mod names;
mod race;

use std::{io, net::IpAddr, path::Path, time::Duration};

use tokio::net::{TcpStream, UnixStream};

use self::names::Names;
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

/// Opens a connection to `host` within `limit`, its look-up included. Of several addresses that it has, the first that answers
/// is taken.
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
    open_by(Names::system(), host, port).await
}

/// Connects to the address that `host` is, or to the first that answers of those that it has.
async fn open_by(names: &Names, host: &str, port: u16) -> Result<TcpStream, Error> {
    let stream = match host.parse::<IpAddr>() {
        Ok(address) => TcpStream::connect((address, port)).await,
        Err(_) => open_name(names, host, port).await?,
    };
    let stream = stream.map_err(|error| Error::caused(Failure::Connect, error))?;
    // Requests are written whole, so that waiting for more to send would only delay them.
    stream
        .set_nodelay(true)
        .map_err(|error| Error::caused(Failure::Connect, error))?;
    Ok(stream)
}

async fn open_name(names: &Names, name: &str, port: u16) -> Result<io::Result<TcpStream>, Error> {
    let addresses = names
        .addresses(name, port)
        .await
        .map_err(|reason| Error::caused(Failure::Dns, io::Error::other(reason.to_string())))?;
    Ok(match race::first(addresses, TcpStream::connect).await {
        Ok(won) => {
            names.slight(name, won.losers);
            Ok(won.connection)
        }
        Err(error) => {
            names.doubt(name);
            Err(error)
        }
    })
}

#[cfg(test)]
mod tests;
