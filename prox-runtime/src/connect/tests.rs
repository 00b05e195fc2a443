use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::*;

/// Used up only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// An address of this machine, on which a port is tried.
fn at(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port))
}

/// A socket of this address that nobody else has; it refuses connections until it listens.
fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// One socket for each of these addresses, all on one port.
fn on_one_port<const N: usize>(lasts: [u8; N]) -> (u16, [Socket; N]) {
    loop {
        let first = bound(at(lasts[0], 0)).unwrap();
        let port = first.local_addr().unwrap().as_socket().unwrap().port();
        drop(first);
        let sockets: io::Result<Vec<Socket>> =
            lasts.iter().map(|&last| bound(at(last, port))).collect();
        // Somebody else may have the port at one of them.
        if let Ok(sockets) = sockets {
            return (port, sockets.try_into().unwrap());
        }
    }
}

/// Fills the queue of new connections, so that the socket answers none while these are there.
fn silence(socket: &Socket) -> Vec<Socket> {
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap();
    let clients = (0..4).map(|_| {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        // Those for which there is no room are left trying, which fills the queue no less.
        let _ = client.connect(&address);
        client
    });
    clients.collect()
}

/// Names that all have these addresses, in this order.
fn names(addresses: &'static [u8]) -> Names {
    Names::new(1, move |_| {
        Ok(addresses.iter().map(|&last| at(last, 0)).collect())
    })
}

async fn open_in_time(names: &Names, port: u16) -> Result<TcpStream, Error> {
    let opened = open_by(names, "users.internal", port);
    tokio::time::timeout(PATIENCE, opened).await.unwrap()
}

#[tokio::test]
async fn an_address_that_swallows_packets_does_not_fail_the_name() {
    let (port, [silent, _refuses, answers]) = on_one_port([1, 2, 3]);
    let _waiting = silence(&silent);
    answers.listen(16).unwrap();
    let names = names(&[1, 2, 3]);
    let stream = open_in_time(&names, port).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), at(3, port));
    // The next connection begins with the address that has answered.
    let known = names.addresses("users.internal", port).await.unwrap();
    assert_eq!(known, [at(3, port), at(1, port), at(2, port)]);
}

#[tokio::test]
async fn a_name_is_as_dead_as_all_of_its_addresses() {
    let (port, _refuse) = on_one_port([1, 2]);
    let error = open_in_time(&names(&[1, 2]), port).await.unwrap_err();
    assert_eq!(error.as_failure(), Some(Failure::Connect));
    let nowhere = Names::new(1, |_| Err(io::Error::other("no such name")));
    let error = open_in_time(&nowhere, port).await.unwrap_err();
    assert_eq!(error.as_failure(), Some(Failure::Dns));
    assert!(format!("{error:?}").contains("no such name"), "{error:?}");
}
