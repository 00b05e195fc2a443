//! A real `redis-server`, to be killed, stopped and replaced.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::wait::eventually;

/// A server on a Unix socket of its own. It ends with this.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    folder: PathBuf,
}

impl RedisServer {
    /// Starts it, and waits until it can be connected to.
    ///
    /// # Panics
    ///
    /// When `redis-server` is not installed.
    pub async fn start() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let folder = format!("prox-tests-redis-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let child = spawn(&folder);
        let server = Self { child, folder };
        server.listens().await;
        server
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
        self.child = spawn(&self.folder);
        self.listens().await;
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

    async fn listens(&self) {
        eventually("redis-server listens", || self.command(&["PING"]) == "PONG").await;
    }
}

fn spawn(folder: &PathBuf) -> Child {
    let _ = std::fs::remove_file(folder.join("s"));
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--unixsocket"])
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
