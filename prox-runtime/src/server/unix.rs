//! A Unix socket to listen on: its file, and who may use it.

use std::{
    fs, io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use crate::error::{Error, Result};

/// A socket that is listened on. The last of its listeners removes the file.
#[derive(Clone, Debug)]
pub(super) struct UnixSocket(Arc<Bound>);

#[derive(Debug)]
struct Bound {
    listener: UnixListener,
    path: PathBuf,
    /// The file that is ours; by the time it is to be removed, another process may have put its own there.
    file: (u64, u64),
    /// Whether this process removes the file: another one may have the same socket.
    owns: AtomicBool,
}

impl UnixSocket {
    /// Binds a path, and lets those in whom `mode` allows to write.
    ///
    /// A socket on which nobody listens any more is replaced.
    ///
    /// # Errors
    ///
    /// When the path cannot be bound, or somebody listens there.
    pub(super) fn bind(path: &Path, mode: u32) -> Result<Self> {
        let failed = |error| {
            let hint = hint(&error);
            Error::io(
                format!("cannot listen on unix:{}{hint}", path.display()),
                error,
            )
        };
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
                fs::remove_file(path).and_then(|()| UnixListener::bind(path))
            }
            other => other,
        }
        .map_err(failed)?;
        let prepared = || {
            listener.set_nonblocking(true)?;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            identity(path)
        };
        let file = prepared().map_err(failed)?;
        Ok(Self(Arc::new(Bound {
            listener,
            path: path.to_owned(),
            file,
            owns: AtomicBool::new(true),
        })))
    }

    /// Takes a socket that another process has bound to this path. The file is left to that process, until this one [owns](Self::owns)
    /// it.
    ///
    /// # Errors
    ///
    /// When the file is gone.
    pub(super) fn inherited(listener: UnixListener, path: &Path) -> Result<Self> {
        let prepared = || {
            listener.set_nonblocking(true)?;
            identity(path)
        };
        let file = prepared().map_err(|error| {
            Error::io(
                format!("cannot take the socket unix:{}", path.display()),
                error,
            )
        })?;
        Ok(Self(Arc::new(Bound {
            listener,
            path: path.to_owned(),
            file,
            owns: AtomicBool::new(false),
        })))
    }

    /// Makes it the socket of another path. A file that is there is replaced.
    ///
    /// # Errors
    ///
    /// When the file cannot be renamed.
    #[cfg(all(feature = "handover", target_os = "linux"))]
    pub(super) fn renamed(&self, path: &Path) -> Result<Self> {
        let renamed = || {
            fs::rename(&self.0.path, path)?;
            self.0.listener.try_clone()
        };
        let listener = renamed().map_err(|error| {
            Error::io(format!("cannot listen on unix:{}", path.display()), error)
        })?;
        let renamed = Self::inherited(listener, path)?;
        renamed.owns(true);
        Ok(renamed)
    }

    /// Says whether this process removes the file at its end.
    #[cfg(all(feature = "handover", target_os = "linux"))]
    pub(super) fn owns(&self, owns: bool) {
        self.0.owns.store(owns, Relaxed);
    }

    /// Its socket.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.listener.as_fd()
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    /// One more listener on the same socket. The runtime must be entered.
    pub(super) fn listener(&self) -> Result<tokio::net::UnixListener> {
        self.0
            .listener
            .try_clone()
            .and_then(tokio::net::UnixListener::from_std)
            .map_err(|error| Error::io("cannot share a Unix socket", error))
    }

    /// Lets nobody connect any more.
    pub(super) fn close(&self) {
        self.0.remove();
    }
}

impl Bound {
    fn remove(&self) {
        if self.owns.load(Relaxed) && identity(&self.path).is_ok_and(|file| file == self.file) {
            // Whoever is not allowed to leaves it behind, and the next start replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.remove();
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Whether there is a socket on which nobody listens.
fn is_left_behind(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            " (another process does, or it is no socket: end the process, or write another path)"
        }
        io::ErrorKind::NotFound => " (its directory does not exist: make it)",
        io::ErrorKind::PermissionDenied => {
            " (its directory is not writable for this user: write another path)"
        }
        io::ErrorKind::InvalidInput => " (such a path is at most 107 bytes long)",
        _ => "",
    }
}
