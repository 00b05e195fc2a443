//! Asks the gateway that runs on this machine whether it is well: for checks of containers that have no `curl`.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    sync::mpsc,
    thread,
    time::Duration,
};

use super::args::Question;
use crate::{
    error::{Error, Result},
    server::{Place, Reached},
};

/// How long all of it may take.
const TIME: Duration = Duration::from_secs(1);

/// The most of an answer that is read.
const MOST: u64 = 16 * 1024;

/// Asks the admin listener, or else connects to where clients do; what is said of a gateway that is well.
///
/// # Errors
///
/// When it is not well, or does not answer.
pub(super) fn ask(reached: Reached, question: Question) -> Result<String> {
    let shown = match &reached {
        Reached::Admin(place) | Reached::Public(place) => place.to_string(),
    };
    let (answers, answered) = mpsc::channel();
    // To connect to a Unix socket has no limit of time. The thread ends with the process.
    thread::spawn(move || answers.send(asked(&reached, question)));
    match answered.recv_timeout(TIME) {
        Ok(Ok(Answer {
            is_well: true,
            text,
        })) => Ok(text),
        Ok(Ok(Answer { text, .. })) => Err(Error::config(format!(
            "the gateway at {shown} says: {}",
            text.trim_end()
        ))),
        Ok(Err(error)) => Err(Error::io(
            format!("cannot ask the gateway at {shown}"),
            error,
        )),
        Err(_) => Err(Error::config(format!(
            "the gateway at {shown} has not answered within {TIME:?}"
        ))),
    }
}

struct Answer {
    is_well: bool,
    text: String,
}

fn asked(reached: &Reached, question: Question) -> io::Result<Answer> {
    match reached {
        Reached::Public(place) => {
            match place {
                Place::Tcp(address) => TcpStream::connect(local(*address)).map(drop),
                Place::Unix(path) => UnixStream::connect(path).map(drop),
            }?;
            Ok(Answer {
                is_well: true,
                text: format!("{place} takes connections\n"),
            })
        }
        Reached::Admin(Place::Tcp(address)) => {
            exchange(TcpStream::connect(local(*address))?, question)
        }
        Reached::Admin(Place::Unix(path)) => exchange(UnixStream::connect(path)?, question),
    }
}

fn exchange(mut stream: impl Read + Write, question: Question) -> io::Result<Answer> {
    let path = match question {
        Question::Live => "/healthz",
        Question::Ready => "/readyz",
    };
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer)?;
    read(&answer, question).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "what listens there is not the admin listener of a gateway",
        )
    })
}

fn read(answer: &str, question: Question) -> Option<Answer> {
    let (head, text) = answer.split_once("\r\n\r\n")?;
    let mut line = head.lines().next()?.split(' ');
    let (version, status) = (line.next()?, line.next()?);
    let well = match question {
        Question::Live => "ok\n",
        Question::Ready => "ready\n",
    };
    // Something else that listens there, such as the gateway itself, says something else.
    let is_ours = version == "HTTP/1.1" && (status == "503" || (status == "200" && text == well));
    is_ours.then(|| Answer {
        is_well: status == "200",
        text: text.to_owned(),
    })
}

/// The address at which this machine reaches a socket that listens on all of its addresses.
fn local(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_the_gateway_is_well() {
        let of =
            |answer: &str| read(answer, Question::Live).map(|answer| (answer.is_well, answer.text));
        assert_eq!(
            of("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n"),
            Some((true, "ok\n".into()))
        );
        assert_eq!(
            of("HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready\n"),
            Some((false, "not ready\n".into()))
        );
        for other in [
            "",
            "HTTP/1.1 404 Not Found\r\n\r\n",
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\n\r\nhello",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn every_address_is_reached_at_the_loopback_address() {
        for (address, wanted) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
        ] {
            assert_eq!(local(address.parse().unwrap()).to_string(), wanted);
        }
    }
}
