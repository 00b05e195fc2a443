//! The new process: it asks the running one for its sockets. All of it is bounded in time, and happens before anything is served.

use std::{
    io,
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    time::Duration,
};

use rustix::net::sockopt::{socket_acceptconn, socket_peercred};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::time::Instant;

use super::{Sockets, wire};
use crate::{
    error::{Error, Result},
    server::place::Place,
};

/// How long the running process may take to send its sockets.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects to the process that serves; nothing if there is none.
///
/// # Errors
///
/// When there is no asking it.
pub(super) fn connect(path: &Path) -> Result<Option<UnixStream>> {
    use io::ErrorKind as E;
    let connected = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // A process that accepts nothing must not hold this one up.
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)?;
        socket.set_nonblocking(false)?;
        Ok(UnixStream::from(OwnedFd::from(socket)))
    };
    match connected() {
        Ok(stream) => check_peer(&stream, path).map(|()| Some(stream)),
        Err(error) => match io::Error::kind(&error) {
            E::NotFound | E::ConnectionRefused => Ok(None),
            _ => Err(Error::io(
                format!("cannot ask for the sockets at {}", path.display()),
                error,
            )),
        },
    }
}

/// A stranger could be anybody, and this process itself has nothing to give.
fn check_peer(stream: &UnixStream, path: &Path) -> Result {
    let failed = |error: io::Error| {
        Error::io(
            format!("cannot tell which process listens at {}", path.display()),
            error,
        )
    };
    let peer = socket_peercred(stream).map_err(|error| failed(error.into()))?;
    let own = rustix::process::geteuid();
    if peer.uid != own {
        return Err(Error::config(format!(
            "the process that listens at {} belongs to the user {}, and this one to {}: run both as one user",
            path.display(),
            peer.uid.as_raw(),
            own.as_raw(),
        )));
    }
    if peer.pid == rustix::process::getpid() {
        return Err(Error::config(format!(
            "two servers of this process have the hand-over {}: write `.handover(prox::Handover::off())` for one of them",
            path.display()
        )));
    }
    Ok(())
}

/// Asks for the sockets, and adds those that come; the limit of systemd's watchdog, if there is one.
///
/// # Errors
///
/// Why the running process goes on.
pub(super) fn take(
    stream: &UnixStream,
    path: &Path,
    sockets: &mut Sockets,
) -> Result<Option<Duration>> {
    let failed = |problem: String| {
        Error::config(format!(
            "the process that listens at {} has not handed over: {problem}",
            path.display()
        ))
    };
    let asked = ask(stream).and_then(|mut received| read(&mut received));
    let (given, watchdog) = asked.map_err(failed)?;
    for (place, of_place) in given {
        sockets.add(place, of_place);
    }
    Ok(watchdog)
}

fn ask(stream: &UnixStream) -> Result<wire::Received, String> {
    let end = Instant::now() + PATIENCE;
    let mut received = wire::Received::with_sockets();
    let mut asking = || {
        stream.set_write_timeout(Some(PATIENCE))?;
        match wire::send(stream, &[wire::TAKE, b"\n"].concat(), &[]) {
            // The other side may have said why it has left.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => drop(other?),
        }
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            received.receive(stream)?;
            if received.is_whole() {
                return Ok(());
            }
        }
    };
    match asking() {
        Ok(()) => Ok(received),
        Err(error) => Err(match io::Error::kind(&error) {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("no answer within {PATIENCE:?}")
            }
            io::ErrorKind::UnexpectedEof => String::from("it closed the connection"),
            _ => error.to_string(),
        }),
    }
}

type Given = (Vec<(Place, Vec<OwnedFd>)>, Option<Duration>);

/// Reads an answer, and checks that each descriptor is what the answer says.
fn read(received: &mut wire::Received) -> Result<Given, String> {
    let first = received.line().unwrap_or_default();
    if first == wire::BUSY {
        return Err(String::from(
            "another process is taking over from it: try again",
        ));
    }
    if let Some(reason) = first.strip_prefix(wire::NO) {
        return Err(String::from_utf8_lossy(reason).into_owned());
    }
    if first != wire::SOCKETS {
        return Err(String::from("it is not a gateway, or not of this version"));
    }
    let mut sockets = std::mem::take(&mut received.sockets).into_iter();
    let mut given = Vec::new();
    let mut watchdog = None;
    while let Some(line) = received.line() {
        if line == wire::END {
            break;
        }
        if let Some(limit) = wire::read_watchdog(line) {
            watchdog = Some(limit);
            continue;
        }
        let (place, count) = wire::read_count(line).ok_or("a malformed line")?;
        let of_place: Vec<OwnedFd> = sockets.by_ref().take(count).collect();
        if of_place.len() != count {
            return Err(format!("too few descriptors for {place}"));
        }
        for socket in of_place {
            let socket = checked(&place, socket).map_err(|error| format!("{place}: {error}"))?;
            given.push((place.clone(), vec![socket]));
        }
    }
    if sockets.next().is_some() {
        return Err(String::from("too many descriptors"));
    }
    Ok((given, watchdog))
}

/// The socket, if it listens on the place.
fn checked(place: &Place, socket: OwnedFd) -> io::Result<OwnedFd> {
    let wrong = || {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a descriptor is not a socket that listens there",
        ))
    };
    if !socket_acceptconn(socket.as_fd())? {
        return wrong();
    }
    match place {
        Place::Tcp(address) => {
            let listener = TcpListener::from(socket);
            match listener.local_addr()? {
                own if own == *address => Ok(listener.into()),
                _ => wrong(),
            }
        }
        Place::Unix(path) => {
            let listener = UnixListener::from(socket);
            match listener.local_addr()?.as_pathname() {
                Some(own) if own == path => Ok(listener.into()),
                _ => wrong(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::fd::BorrowedFd, thread};

    use super::*;

    /// What comes of an answer.
    fn answered(said: &[(&[u8], &[BorrowedFd<'_>])]) -> Result<usize, String> {
        let (near, far) = UnixStream::pair().unwrap();
        for (text, sockets) in said {
            wire::send(&far, text, sockets).unwrap();
        }
        let asked = thread::scope(|scope| {
            let asked = scope.spawn(|| ask(&near));
            // Otherwise the end of an answer that is not whole is waited for.
            far.shutdown(std::net::Shutdown::Write).unwrap();
            asked.join().unwrap()
        });
        let mut received = asked?;
        read(&mut received).map(|(given, _)| given.len())
    }

    #[test]
    fn an_answer_is_taken_if_each_descriptor_is_what_it_says() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = std::net::TcpStream::connect(address).unwrap();
        let (one, other) = (listener.as_fd(), stream.as_fd());
        let line = |count: usize| format!("tcp {address} {count}\n").into_bytes();
        let head = [wire::SOCKETS, b"\n"].concat();
        let end: (&[u8], &[BorrowedFd<'_>]) = (b"end\n", &[]);
        let of = |line: &[u8], sockets: &[BorrowedFd<'_>]| {
            answered(&[(&head[..], &[][..]), (line, sockets), end])
        };
        assert_eq!(of(&line(1), &[one]), Ok(1));
        assert_eq!(of(&line(2), &[one, one]), Ok(2));
        assert_eq!(of(b"watchdog 1000\n", &[]), Ok(0));
        for (line, sockets, wanted) in [
            (line(1), &[other][..], "is not a socket that listens there"),
            (line(2), &[one], "too few descriptors"),
            (line(1), &[one, one], "too many descriptors"),
            (b"tcp 127.0.0.1:1 1\n".to_vec(), &[one], "is not a socket"),
            (b"unix /run/x 1\n".to_vec(), &[one], ""),
            (b"what\n".to_vec(), &[one], "a malformed line"),
        ] {
            let error = of(&line, sockets).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_refusal_says_why() {
        for (said, wanted) in [
            (&b"busy\n"[..], "another process is taking over"),
            (b"no this process speaks version 2\n", "speaks version 2"),
            (b"hello\n", "not a gateway"),
            (b"hel", "closed the connection"),
            (b"", "closed the connection"),
            (b"prox-handover 1 sockets\n", "closed the connection"),
        ] {
            let once = [(said, &[][..])];
            let error = answered(&once[..usize::from(!said.is_empty())]).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_process_that_says_nothing_is_not_waited_for_long() {
        let (near, _far) = UnixStream::pair().unwrap();
        let began = Instant::now();
        let error = ask(&near).unwrap_err();
        assert!(error.contains("no answer within 5s"), "{error}");
        assert!(began.elapsed() < PATIENCE * 10);
    }
}
