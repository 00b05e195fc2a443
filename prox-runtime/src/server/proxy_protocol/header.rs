//! The PROXY protocol: the first bytes of a connection, in which a proxy below HTTP says who the client is.
//!
//! Versions 1 and 2, as `proxy-protocol.txt` has them. Bytes in, verdict out: nothing here reads or waits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// How version 1 begins.
const WORD: &[u8; 6] = b"PROXY ";

/// The most bytes of a header of version 1, its end included.
const MAX_LINE: usize = 107;

/// The most bytes of a header of version 2: its fixed part, addresses, and what may be added to them.
pub(crate) const MAX: usize = 16 + 4096;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// A part of a header; more bytes will tell.
    Partial,
    /// A header of so many bytes. Without a source the connection is from whom it seems to be.
    Whole {
        length: usize,
        source: Option<SocketAddr>,
    },
}

/// The first bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads a header. Only more bytes than before can change a [`Header::Partial`], and nothing changes the rest.
///
/// # Errors
///
/// When no further bytes can make this a header.
pub(crate) fn read(bytes: &[u8]) -> Result<Header, Malformed> {
    let begins = |with: &[u8]| {
        let count = with.len().min(bytes.len());
        bytes[..count] == with[..count]
    };
    if begins(WORD) {
        line(bytes)
    } else if begins(SIGNATURE) {
        binary(bytes)
    } else {
        Err(Malformed)
    }
}

fn line(bytes: &[u8]) -> Result<Header, Malformed> {
    let window = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return if window.len() < MAX_LINE {
            Ok(Header::Partial)
        } else {
            Err(Malformed)
        };
    };
    let text = window[..end].strip_suffix(b"\r").ok_or(Malformed)?;
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    let mut words = text.split(' ').skip(1);
    let source = match words.next() {
        // What stands behind it is not meant to be read.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(addresses::<Ipv4Addr>(words)?),
        Some("TCP6") => Some(addresses::<Ipv6Addr>(words)?),
        _ => return Err(Malformed),
    };
    Ok(Header::Whole {
        length: end + 1,
        source,
    })
}

/// The source, the destination and their ports; the source is what matters, but all of them must be right.
fn addresses<'w, A>(mut words: impl Iterator<Item = &'w str>) -> Result<SocketAddr, Malformed>
where
    A: std::str::FromStr + Into<IpAddr>,
{
    let mut ip = || words.next()?.parse::<A>().ok();
    let (source, _destination) = (ip().ok_or(Malformed)?, ip().ok_or(Malformed)?);
    let mut port = || {
        let digits = words.next()?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        digits.parse::<u16>().ok().filter(|_| plain)
    };
    let (source_port, _destination_port) = (port().ok_or(Malformed)?, port().ok_or(Malformed)?);
    if words.next().is_some() {
        return Err(Malformed);
    }
    Ok(SocketAddr::new(source.into(), source_port))
}

fn binary(bytes: &[u8]) -> Result<Header, Malformed> {
    let Some((head, rest)) = bytes.split_first_chunk::<16>() else {
        return Ok(Header::Partial);
    };
    let [version, family, high, low] = [head[12], head[13], head[14], head[15]];
    let length = usize::from(u16::from_be_bytes([high, low]));
    let local = match version {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed),
    };
    if family >> 4 > 3 || family & 15 > 2 || 16 + length > MAX {
        return Err(Malformed);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Header::Partial);
    };
    let source = match family {
        _ if local => None,
        0x11 => Some(source::<4, 12>(body)?),
        0x21 => Some(source::<16, 36>(body)?),
        // Datagrams, Unix sockets, and what is not specified: nothing that says more than the connection does.
        _ => None,
    };
    Ok(Header::Whole {
        length: 16 + length,
        source,
    })
}

/// The source of addresses of `N` bytes: two of them, then two ports, `ALL` bytes together.
fn source<const N: usize, const ALL: usize>(body: &[u8]) -> Result<SocketAddr, Malformed>
where
    [u8; N]: Into<IpAddr>,
{
    let (block, _) = body.split_first_chunk::<ALL>().ok_or(Malformed)?;
    let (ip, _) = block.split_first_chunk::<N>().ok_or(Malformed)?;
    let port = u16::from_be_bytes([block[2 * N], block[2 * N + 1]]);
    Ok(SocketAddr::new((*ip).into(), port))
}
