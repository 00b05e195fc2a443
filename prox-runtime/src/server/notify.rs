//! What a server tells systemd: that it is ready, that it stops, that its workers answer (`sd_notify(3)`).

use std::{
    ffi::OsStr,
    future::Future,
    io,
    os::unix::net::{SocketAddr, UnixDatagram},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinHandle;

use super::admin::{Pulse, Workers};

/// The socket that systemd listens on.
#[derive(Clone, Debug)]
pub(super) struct Notify(Option<Arc<UnixDatagram>>);

impl Notify {
    /// The socket that `NOTIFY_SOCKET` names; without that variable nothing is sent.
    pub(super) fn from_env() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self(None);
        };
        match connect(&name) {
            Ok(socket) => Self(Some(Arc::new(socket))),
            Err(error) => {
                tracing::warn!(target: "prox", %error, "systemd cannot be told anything: NOTIFY_SOCKET");
                Self(None)
            }
        }
    }

    /// It serves. A process that `took_over` is the main one from now on.
    pub(super) fn ready(&self, took_over: bool) {
        if took_over {
            self.send(&format!("MAINPID={}\nREADY=1", std::process::id()));
        } else {
            self.send("READY=1");
        }
    }

    /// Tells that it drains, when the shutdown comes.
    pub(super) fn stops<S: Future>(&self, shutdown: S) -> impl Future<Output = S::Output> + use<S> {
        let notify = self.clone();
        async move {
            let reason = shutdown.await;
            notify.send("STOPPING=1");
            reason
        }
    }

    /// Says that it lives while its workers answer, twice within `limit`, until this is dropped. The runtime must be entered.
    pub(super) fn watchdog(&self, limit: Duration, workers: Arc<Workers>) -> Watchdog {
        let notify = self.clone();
        Watchdog(tokio::spawn(async move {
            loop {
                if workers.pulse().await == Pulse::Fine {
                    notify.send("WATCHDOG=1");
                }
                tokio::time::sleep(limit / 2).await;
            }
        }))
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.0
            && let Err(error) = socket.send(text.as_bytes())
        {
            tracing::debug!(target: "prox", %error, "systemd cannot be told anything");
        }
    }
}

/// Tells systemd that the workers answer, until it is dropped.
#[derive(Debug)]
pub(super) struct Watchdog(JoinHandle<()>);

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Within which time systemd wants to hear that this process lives, if it does.
pub(super) fn watchdog_limit() -> Option<Duration> {
    let text = |name| std::env::var(name).ok();
    limit(
        text("WATCHDOG_USEC").as_deref(),
        text("WATCHDOG_PID").as_deref(),
        std::process::id(),
    )
}

fn limit(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(own)) {
        return None;
    }
    let micros = micros?.parse().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(micros))
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address(name)?)?;
    Ok(socket)
}

/// A path, or with `@` a name without a file.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    {
        use std::os::{linux::net::SocketAddrExt as _, unix::ffi::OsStrExt as _};
        if let Some(name) = name.as_bytes().strip_prefix(b"@") {
            return SocketAddr::from_abstract_name(name);
        }
    }
    SocketAddr::from_pathname(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_for_the_process_that_it_names() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(limit(Some("1000000"), None, 7), second);
        assert_eq!(limit(Some("1000000"), Some("7"), 7), second);
        assert_eq!(limit(Some("1000000"), Some("8"), 7), None);
        for wrong in [None, Some(""), Some("0"), Some("-1"), Some("x")] {
            assert_eq!(limit(wrong, None, 7), None);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_may_be_a_path_or_have_no_file() {
        use std::os::linux::net::SocketAddrExt as _;
        let path = address(OsStr::new("/run/notify")).unwrap();
        assert!(path.as_pathname().is_some());
        let name = address(OsStr::new("@notify")).unwrap();
        assert_eq!(name.as_abstract_name(), Some(&b"notify"[..]));
    }
}
