//! Takes the PROXY protocol header off a connection; what it is made of is read in [`header`].

mod header;

use std::{future::poll_fn, io, net::SocketAddr, pin::Pin};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};

use self::header::Header;
use crate::stream::Stream;

/// Reads the header that the connection begins with, and leaves all that follows it unread; the caller bounds the time.
///
/// # Errors
///
/// When the connection begins with anything else, or ends.
pub(super) async fn source(stream: &mut Stream) -> io::Result<Option<SocketAddr>> {
    let mut bytes = BytesMut::new();
    loop {
        let mut buf = [0; 512];
        let mut part = ReadBuf::new(&mut buf);
        poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut part)).await?;
        if part.filled().is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(part.filled());
        match header::read(&bytes) {
            Ok(Header::Partial) => {}
            Ok(Header::Whole { length, source }) => {
                stream.unread(Bytes::from(bytes.split_off(length)));
                return Ok(source);
            }
            Err(header::Malformed) => {
                let text = "no PROXY protocol header, which is expected from this address";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
    }
}

#[cfg(test)]
mod tests;
