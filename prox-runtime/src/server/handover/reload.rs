//! Starts a new process of this program, and waits until it has taken over.

use std::{
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::net::sockopt::socket_peercred;
use tokio::time::Instant;

use super::{Settled, take};
use crate::error::{Error, Result};

/// How long the new process may take.
const TIME: Duration = Duration::from_mins(1);

/// How often it is looked whether the new process serves.
const LOOK: Duration = Duration::from_millis(20);

impl Settled {
    /// Starts `serve` of this program with these files of variables, and waits until it has taken over; what is said of it.
    ///
    /// # Errors
    ///
    /// When no process serves, or the new one does not take over. The old one serves on then.
    pub(in crate::server) fn reload(self, files: &[&str]) -> Result<String> {
        let path = &self.path;
        if serving(path)?.is_none() {
            return Err(Error::config(format!(
                "no process serves at {}: start one with `serve`",
                path.display()
            )));
        }
        let mut child =
            start(files).map_err(|error| Error::io("cannot start a new process", error))?;
        let end = Instant::now() + TIME;
        loop {
            if serving(path).is_ok_and(|serving| serving == Some(child.id())) {
                return Ok(format!("process {} has taken over\n", child.id()));
            }
            if let Some(status) = ended(&mut child)? {
                return Err(Error::config(format!(
                    "the new process has not taken over, so the running one goes on: {status}"
                )));
            }
            if Instant::now() > end {
                // It has had its time, and its end is waited for.
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::config(format!(
                    "the new process has not taken over within {TIME:?}, so it was killed, and the running one goes on"
                )));
            }
            thread::sleep(LOOK);
        }
    }
}

/// The process that serves.
fn serving(path: &Path) -> Result<Option<u32>> {
    let Some(stream) = take::connect(path)? else {
        return Ok(None);
    };
    let peer = socket_peercred(&stream).map_err(|error| {
        let problem = format!("cannot tell which process serves at {}", path.display());
        Error::io(problem, io::Error::from(error))
    })?;
    Ok(u32::try_from(peer.pid.as_raw_pid()).ok())
}

/// A process that outlives this one, and gets no signal that is meant for this one.
fn start(files: &[&str]) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(files.iter().flat_map(|file| ["--env-file", file]))
        .arg("serve")
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
}

fn ended(child: &mut Child) -> Result<Option<std::process::ExitStatus>> {
    let ended = child.try_wait();
    ended.map_err(|error| Error::io("cannot wait for the new process", error))
}
