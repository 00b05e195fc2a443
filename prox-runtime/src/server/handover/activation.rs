//! Sockets that systemd has bound: `LISTEN_FDS` and `LISTEN_PID`.

use std::os::fd::OwnedFd;

use listenfd::ListenFd;

use super::Sockets;
use crate::{
    error::{Error, Result},
    server::place::Place,
};

/// Adds the sockets that systemd has bound for this process.
///
/// # Errors
///
/// When one of them does not listen at an address or a path.
pub(super) fn add(sockets: &mut Sockets) -> Result {
    let mut listen = ListenFd::from_env();
    for index in 0..listen.len() {
        let (place, socket) = one(&mut listen, index).map_err(|problem| {
            Error::config(format!("LISTEN_FDS: socket {}: {problem}", index + 1))
        })?;
        sockets.activate(place, socket);
    }
    Ok(())
}

fn one(listen: &mut ListenFd, index: usize) -> Result<(Place, OwnedFd), String> {
    const WRONG: &str = "expected a stream socket that listens at an address or a path";
    if let Ok(Some(socket)) = listen.take_tcp_listener(index) {
        let address = socket.local_addr().map_err(|error| error.to_string())?;
        return Ok((Place::Tcp(address), socket.into()));
    }
    let Ok(Some(socket)) = listen.take_unix_listener(index) else {
        return Err(WRONG.to_owned());
    };
    let address = socket.local_addr().map_err(|error| error.to_string())?;
    let path = address.as_pathname().ok_or(WRONG)?;
    Ok((Place::Unix(path.to_owned()), socket.into()))
}
