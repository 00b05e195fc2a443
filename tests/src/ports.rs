//! Addresses at which nobody answers, in two ways.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// An address that refuses every connection, for as long as this lives: it is bound, but nobody listens.
#[derive(Debug)]
pub struct Refused {
    socket: Socket,
}

impl Refused {
    /// Takes a free port.
    pub fn new() -> Self {
        Self { socket: bound() }
    }

    /// Its URL as an endpoint.
    pub fn endpoint(&self) -> prox::Endpoint {
        endpoint(address(&self.socket))
    }
}

impl Default for Refused {
    fn default() -> Self {
        Self::new()
    }
}

/// An address at which the queue of new connections is full, so that connecting neither works nor fails.
#[derive(Debug)]
pub struct Unanswered {
    socket: Socket,
    _waiting: Vec<Socket>,
}

impl Unanswered {
    /// Takes a free port, and fills its queue.
    pub fn new() -> Self {
        let socket = bound();
        socket.listen(0).expect("a bound socket can listen");
        let waiting = (0..4)
            .map(|_| {
                let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                client
                    .set_nonblocking(true)
                    .expect("an option that every socket has");
                // Those for which there is no room are left trying, which fills the queue no less.
                let _ = client.connect(&address(&socket).into());
                client
            })
            .collect();
        Self {
            socket,
            _waiting: waiting,
        }
    }

    /// Its URL as an endpoint.
    pub fn endpoint(&self) -> prox::Endpoint {
        endpoint(address(&self.socket))
    }
}

impl Default for Unanswered {
    fn default() -> Self {
        Self::new()
    }
}

/// A port that is free now, for a process that cannot be given a listener.
///
/// Nobody else gets it soon: the kernel hands out ports at random.
pub fn free_port() -> u16 {
    address(&bound()).port()
}

fn bound() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).expect("a free port of 127.0.0.1");
    socket
}

fn address(socket: &Socket) -> SocketAddr {
    let address = socket.local_addr().expect("a bound socket has an address");
    address.as_socket().expect("an internet socket")
}

fn endpoint(address: SocketAddr) -> prox::Endpoint {
    format!("http://{address}")
        .parse()
        .expect("an address makes an endpoint")
}
