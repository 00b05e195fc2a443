//! The listening sockets that a process gets when it starts, and those that it can give on.

use std::{
    collections::BTreeMap,
    fs::File,
    net::{SocketAddr, TcpListener},
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::{fs::MetadataExt, net::UnixListener},
    },
    path::Path,
};

use crate::{
    error::{Error, Result},
    server::{place::Place, unix::UnixSocket},
};

/// The sockets of a process that starts.
#[derive(Debug, Default)]
pub(in crate::server) struct Sockets {
    inherited: Vec<(Place, Vec<OwnedFd>)>,
    /// Those of the inherited places that this process listens on.
    taken: Vec<Place>,
    /// The places that systemd has bound for this process.
    activated: Vec<Place>,
    /// Nothing if they are never given on.
    offers: Option<Vec<Offer>>,
}

/// The sockets of one place. Each has one more handle here.
#[cfg_attr(
    not(all(feature = "handover", target_os = "linux")),
    allow(dead_code, reason = "nothing is given on")
)]
#[derive(Debug)]
pub(in crate::server) struct Offer {
    pub(super) place: Place,
    /// By the number of the socket, since several workers can have the same.
    pub(super) sockets: BTreeMap<u64, OwnedFd>,
    /// The file of a Unix socket.
    pub(super) file: Option<UnixSocket>,
}

#[cfg_attr(
    not(all(feature = "handover", target_os = "linux")),
    allow(dead_code, reason = "nothing is inherited or given on")
)]
impl Sockets {
    /// From now on each socket is kept, to be given on.
    pub(super) fn keep(&mut self) {
        self.offers.get_or_insert_default();
    }

    /// Adds a socket that systemd has bound.
    pub(super) fn activate(&mut self, place: Place, socket: OwnedFd) {
        self.activated.push(place.clone());
        self.add(place, vec![socket]);
    }

    /// Adds what this process has got.
    pub(super) fn add(&mut self, place: Place, sockets: Vec<OwnedFd>) {
        match self.inherited.iter_mut().find(|(other, _)| *other == place) {
            Some((_, known)) => known.extend(sockets),
            None => self.inherited.push((place, sockets)),
        }
    }

    /// The places that this process listens on with sockets of another, and all sockets that it can give on.
    pub(super) fn finish(self) -> (Vec<Place>, Vec<Offer>) {
        (self.taken, self.offers.unwrap_or_default())
    }
}

impl Sockets {
    fn take(&mut self, place: &Place) -> Vec<OwnedFd> {
        let found = self.inherited.iter().position(|(other, _)| other == place);
        let Some(index) = found else {
            return Vec::new();
        };
        self.taken.push(place.clone());
        self.inherited.swap_remove(index).1
    }

    /// The sockets at this address that this process has got.
    pub(in crate::server) fn tcp(&mut self, address: SocketAddr) -> Vec<TcpListener> {
        let sockets = self.take(&Place::Tcp(address));
        sockets.into_iter().map(TcpListener::from).collect()
    }

    /// The socket at this path that this process has got.
    ///
    /// # Errors
    ///
    /// When its file is gone.
    pub(in crate::server) fn unix(&mut self, path: &Path) -> Result<Option<UnixSocket>> {
        let sockets = self.take(&Place::Unix(path.to_owned()));
        let first = sockets.into_iter().next();
        first
            .map(|socket| UnixSocket::inherited(UnixListener::from(socket), path))
            .transpose()
    }

    /// Whether the server listens on all that systemd has bound for it.
    ///
    /// # Errors
    ///
    /// Where it does not.
    pub(in crate::server) fn check_activated(&self) -> Result {
        let unused = self
            .activated
            .iter()
            .find(|place| !self.taken.contains(place));
        match unused {
            None => Ok(()),
            Some(place) => Err(Error::config(format!(
                "LISTEN_FDS has a socket at {place}, and the server does not listen there: set HOST and PORT to it"
            ))),
        }
    }

    /// Keeps a socket, to be given on; of a Unix socket with its file.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub(in crate::server) fn offer(
        &mut self,
        place: Place,
        socket: BorrowedFd<'_>,
        file: Option<&UnixSocket>,
    ) -> Result {
        let Some(offers) = &mut self.offers else {
            return Ok(());
        };
        let identified = || {
            let file = File::from(socket.try_clone_to_owned()?);
            Ok((file.metadata()?.ino(), OwnedFd::from(file)))
        };
        let (number, socket) = identified()
            .map_err(|error| Error::io("cannot keep a listener for the hand-over", error))?;
        let known = offers.iter_mut().find(|offer| offer.place == place);
        match known {
            Some(offer) => {
                offer.sockets.insert(number, socket);
            }
            None => offers.push(Offer {
                place,
                sockets: BTreeMap::from([(number, socket)]),
                file: file.cloned(),
            }),
        }
        Ok(())
    }
}

/// The sockets of one worker, of `count`: they are dealt in turn. A worker has several if there are more of them than workers, and
/// shares one if there are fewer.
pub(in crate::server) fn dealt<T>(
    sockets: &[T],
    worker: usize,
    count: usize,
) -> impl Iterator<Item = &T> {
    let turns = if sockets.is_empty() {
        0
    } else {
        sockets.len().max(count)
    };
    (worker..turns)
        .step_by(count.max(1))
        .filter_map(|turn| sockets.get(turn % sockets.len()))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn every_socket_has_a_worker_and_every_worker_a_socket() {
        for sockets in 1..6_usize {
            let all: Vec<usize> = (0..sockets).collect();
            for count in 1..6 {
                let mut seen = Vec::new();
                for worker in 0..count {
                    let own: Vec<usize> = dealt(&all, worker, count).copied().collect();
                    assert!(!own.is_empty(), "{sockets} {count} {worker}");
                    seen.extend(own);
                }
                seen.sort_unstable();
                assert_eq!(seen.len(), sockets.max(count));
                seen.dedup();
                assert_eq!(seen, all, "{sockets} {count}");
            }
        }
        assert_eq!(dealt::<usize>(&[], 0, 2).count(), 0);
    }

    #[test]
    fn a_socket_that_workers_share_is_offered_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = listener.try_clone().unwrap();
        let place = Place::Tcp(listener.local_addr().unwrap());
        let mut sockets = Sockets::default();
        let offer = |sockets: &mut Sockets, listener: &TcpListener| {
            sockets
                .offer(place.clone(), listener.as_fd(), None)
                .unwrap();
        };
        offer(&mut sockets, &listener);
        sockets.keep();
        offer(&mut sockets, &listener);
        offer(&mut sockets, &other);
        let (taken, offers) = sockets.finish();
        assert_eq!(
            (taken.len(), offers.len(), offers[0].sockets.len()),
            (0, 1, 1)
        );
    }
}
