//! A real `redis-server`, to be killed, stopped and replaced.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::wait::eventually;

/// A server on a Unix socket of its own. It ends with this.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    folder: PathBuf,
    options: Vec<String>,
}

impl RedisServer {
    /// Starts it, and waits until it can be connected to.
    ///
    /// # Panics
    ///
    /// When `redis-server` is not installed.
    pub async fn start() -> Self {
        let (server, _) = Self::start_with(|_| vec!["--port".into(), "0".into()]).await;
        server
    }

    /// As [`start`](Self::start), with options for two ports of TCP that were free, which it gives.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start), and if it does not start with these options.
    pub async fn start_with(options: impl Fn([u16; 2]) -> Vec<String>) -> (Self, [u16; 2]) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let folder = format!("prox-tests-redis-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        // Another process may take a port before the server does.
        for _ in 0..10 {
            let ports = free_ports();
            let options = options(ports);
            let mut server = Self {
                child: spawn(&folder, &options),
                folder: folder.clone(),
                options,
            };
            eventually("redis-server listens, or has ended", || {
                server.answers() || server.has_ended()
            })
            .await;
            if !server.has_ended() {
                return (server, ports);
            }
            std::fs::create_dir_all(&folder).expect("a folder");
        }
        panic!("redis-server does not start: {}", folder.display());
    }

    /// The URL for `Redis::url`.
    pub fn url(&self) -> prox::Secret {
        let url = format!("redis+unix://{}", self.socket().display());
        url.parse().expect("every text is a secret")
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is this process's own");
        self.child.wait().expect("it has ended");
    }

    /// Starts another one in its place, which knows nothing.
    pub async fn replace(&mut self) {
        self.kill();
        self.child = spawn(&self.folder, &self.options);
        eventually("redis-server listens", || self.answers()).await;
    }

    /// Stops it, as a machine that hangs does: it accepts connections, and never answers.
    pub fn stop(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    /// What `redis-cli` prints for a command.
    pub fn command(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .arg("-s")
            .arg(self.socket())
            .args(words)
            .output()
            .expect("redis-cli is installed");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.expect("kill is installed").success());
    }

    fn answers(&self) -> bool {
        self.command(&["PING"]) == "PONG"
    }

    fn has_ended(&mut self) -> bool {
        let ended = self.child.try_wait().expect("it is this process's own");
        ended.is_some()
    }
}

/// Two ports that nothing listens at.
fn free_ports() -> [u16; 2] {
    let listen = |()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let listeners = [(), ()].map(listen);
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

fn spawn(folder: &Path, options: &[String]) -> Child {
    let _ = std::fs::remove_file(folder.join("s"));
    Command::new("redis-server")
        .args(options)
        .args(["--save", "", "--bind", "127.0.0.1", "--unixsocket"])
        .arg(folder.join("s"))
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
