//! What the two processes say to each other: lines of text, and with some of them descriptors (`SCM_RIGHTS`).
//!
//! The new process says `prox-handover 1 take`. The answer is `no REASON`, `busy`, or the same words with `sockets`, then a line
//! `tcp ADDRESS COUNT` or `unix PATH COUNT` for each place, with `COUNT` descriptors, a line `watchdog MICROSECONDS` if systemd wants to
//! hear that the main process lives, and `end`. Once it accepts, the new process says
//! `took tcp ADDRESS` or `took unix PATH` for each place that it listens on, and `serving`. The answer is `bye`.

use std::{
    ffi::OsStr,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    time::Duration,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::server::place::Place;

/// What a new process says first.
pub(super) const TAKE: &[u8] = b"prox-handover 1 take";
/// The first line of an answer with sockets.
pub(super) const SOCKETS: &[u8] = b"prox-handover 1 sockets";
pub(super) const END: &[u8] = b"end";
pub(super) const BUSY: &[u8] = b"busy";
pub(super) const NO: &[u8] = b"no ";
pub(super) const TOOK: &[u8] = b"took ";
pub(super) const SERVING: &[u8] = b"serving";
pub(super) const BYE: &[u8] = b"bye";

/// The most that one side may say.
const MOST_BYTES: usize = 64 * 1024;

/// The most sockets that are taken.
const MOST_SOCKETS: usize = 4096;

/// The most descriptors of one message; the kernel allows 253.
pub(super) const OF_ONE_MESSAGE: usize = 128;

/// How the limit of systemd's watchdog is written.
pub(super) fn watchdog(limit: Duration) -> Vec<u8> {
    format!("watchdog {}\n", limit.as_micros()).into_bytes()
}

/// Reads the limit of the watchdog.
pub(super) fn read_watchdog(line: &[u8]) -> Option<Duration> {
    let micros = line.strip_prefix(b"watchdog ")?;
    let micros = str::from_utf8(micros).ok()?.parse().ok()?;
    Some(Duration::from_micros(micros))
}

/// How a place is written.
pub(super) fn place(place: &Place) -> Vec<u8> {
    match place {
        Place::Tcp(address) => format!("tcp {address}").into_bytes(),
        Place::Unix(path) => [b"unix ", path.as_os_str().as_bytes()].concat(),
    }
}

/// Reads a place.
pub(super) fn read_place(text: &[u8]) -> Option<Place> {
    if let Some(path) = text.strip_prefix(b"unix ") {
        return (!path.is_empty()).then(|| Place::Unix(OsStr::from_bytes(path).into()));
    }
    let address = text.strip_prefix(b"tcp ")?;
    str::from_utf8(address).ok()?.parse().ok().map(Place::Tcp)
}

/// Reads a place, and a number behind it.
pub(super) fn read_count(line: &[u8]) -> Option<(Place, usize)> {
    let space = line.iter().rposition(|byte| *byte == b' ')?;
    let (text, count) = (line.get(..space)?, line.get(space + 1..)?);
    let count = str::from_utf8(count).ok()?.parse().ok()?;
    Some((read_place(text)?, count))
}

/// What the other side has said so far.
#[derive(Debug)]
pub(super) struct Received {
    text: Vec<u8>,
    /// Where the next line begins.
    read: usize,
    pub(super) sockets: Vec<OwnedFd>,
    /// How many sockets may come.
    allowed: usize,
}

impl Received {
    /// For what is said without descriptors.
    pub(super) fn text() -> Self {
        Self {
            text: Vec::new(),
            read: 0,
            sockets: Vec::new(),
            allowed: 0,
        }
    }

    /// For what is said with descriptors.
    pub(super) fn with_sockets() -> Self {
        Self {
            allowed: MOST_SOCKETS,
            ..Self::text()
        }
    }

    /// The next line that is whole, without its end.
    pub(super) fn line(&mut self) -> Option<&[u8]> {
        let rest = self.text.get(self.read..)?;
        let length = rest.iter().position(|byte| *byte == b'\n')?;
        let begin = self.read;
        self.read += length + 1;
        self.text.get(begin..begin + length)
    }

    /// Whether all of an answer to [`TAKE`] has come.
    pub(super) fn is_whole(&self) -> bool {
        let mut lines = self.text.split_inclusive(|byte| *byte == b'\n');
        match lines.next().and_then(|line| line.strip_suffix(b"\n")) {
            None => false,
            Some(SOCKETS) => lines.any(|line| line.strip_suffix(b"\n") == Some(END)),
            Some(_) => true,
        }
    }

    /// Receives once from a stream.
    ///
    /// # Errors
    ///
    /// When the other side has left, or says too much.
    pub(super) fn receive(&mut self, stream: impl AsFd) -> io::Result<()> {
        let too_much = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut piece = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = recvmsg(
            stream,
            &mut [IoSliceMut::new(&mut piece)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(sockets) = part {
                self.sockets.extend(sockets);
            }
        }
        if message.flags.contains(ReturnFlags::CTRUNC) {
            return Err(too_much("a descriptor was lost: the process has none left"));
        }
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.text
            .extend_from_slice(piece.get(..message.bytes).unwrap_or_default());
        if self.text.len() > MOST_BYTES || self.sockets.len() > self.allowed {
            return Err(too_much("the other process says too much"));
        }
        Ok(())
    }
}

/// Sends a part of a text, at least one byte, and all of these descriptors; how many bytes were sent.
///
/// # Errors
///
/// When the other side has left, or takes nothing more at the moment.
pub(super) fn send(
    stream: impl AsFd,
    text: &[u8],
    sockets: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(OF_ONE_MESSAGE))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let sent = sendmsg(
        stream,
        &[IoSlice::new(text)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for text in [
            "tcp 127.0.0.1:80",
            "tcp [::1]:80",
            "unix /run/a b 2",
            "unix /run/\u{e4}",
        ] {
            let read = read_place(text.as_bytes()).unwrap();
            assert_eq!(place(&read), text.as_bytes());
            let line = format!("{text} 7");
            assert_eq!(read_count(line.as_bytes()), Some((read, 7)));
        }
        for wrong in [
            "",
            "tcp",
            "tcp 1",
            "tcp 127.0.0.1:80 x",
            "udp 127.0.0.1:80 1",
            "unix  1",
        ] {
            assert_eq!(read_count(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn descriptors_come_in_the_order_in_which_they_were_sent() {
        let (near, far) = UnixStream::pair().unwrap();
        let listeners: Vec<TcpListener> = (0..5)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let handles: Vec<BorrowedFd<'_>> = listeners.iter().map(AsFd::as_fd).collect();
        assert_eq!(send(&near, b"one\n", &handles[..2]).unwrap(), 4);
        assert_eq!(send(&near, b"tw", &handles[2..]).unwrap(), 2);
        assert_eq!(send(&near, b"o\nrest", &[]).unwrap(), 6);
        let mut received = Received::with_sockets();
        while received.text.len() < 12 {
            received.receive(&far).unwrap();
        }
        assert_eq!(received.line(), Some(&b"one"[..]));
        assert_eq!(received.line(), Some(&b"two"[..]));
        assert_eq!(received.line(), None);
        let sockets = received.sockets.into_iter().map(TcpListener::from);
        for (one, other) in sockets.zip(&listeners) {
            assert_eq!(one.local_addr().unwrap(), other.local_addr().unwrap());
        }
        drop(near);
        let error = Received::with_sockets().receive(&far).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn one_that_says_too_much_is_not_heard_out() {
        let (near, far) = UnixStream::pair().unwrap();
        let talker = std::thread::spawn(move || while send(&near, &[b'x'; 1024], &[]).is_ok() {});
        let mut received = Received::with_sockets();
        let error = loop {
            if let Err(error) = received.receive(&far) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(received.text.len() <= MOST_BYTES + 4096);
        drop(far);
        talker.join().unwrap();
    }
}
