//! The process with the variables of the manifest.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command},
    thread::sleep,
    time::Duration,
};

/// How often a state is asked for, every 10 ms, on a machine that may be busy.
const QUESTIONS: u32 = 6000;

/// A gateway that listens on sockets in a folder of its own. It ends with this.
struct Gateway {
    child: Child,
    folder: PathBuf,
}

impl Gateway {
    fn start(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("prox-kubernetes-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let at = |socket: &str| format!("unix:{}", folder.join(socket).display());
        let child = Command::new(env!("CARGO_BIN_EXE_kubernetes"))
            .env_clear()
            .env("HOST", at("http"))
            .env("ADMIN", at("admin"))
            // The gateway is not ready for this long before it ends.
            .env("SHUTDOWN_DELAY", "60s")
            .env("DRAIN_IDLE", "0s")
            .spawn()
            .expect("the gateway can be run");
        Self { child, folder }
    }

    /// The response to a `GET`; nothing while the gateway does not listen.
    fn get(&self, socket: &str, path: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.folder.join(socket)).ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        Some(response)
    }

    /// Asks until the response is of this status, and returns it.
    fn until(&self, socket: &str, path: &str, status: &str) -> String {
        let mut response = String::new();
        for _ in 0..QUESTIONS {
            response = self.get(socket, path).unwrap_or_default();
            if response.starts_with(&format!("HTTP/1.1 {status} ")) {
                return response;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("{path} on {socket}: expected {status}, found {response:?}");
    }

    fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.expect("there is a `kill`").success());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn it_is_ready_serves_and_ends_as_a_pod_does() {
    let mut gateway = Gateway::start("pod");
    gateway.until("admin", "/healthz", "200");
    gateway.until("admin", "/readyz", "200");
    let response = gateway.until("http", "/users/7", "200");
    assert!(
        response.ends_with("the users: GET /users/7\n"),
        "{response}"
    );
    gateway.until("http", "/nowhere", "404");
    // Not ready any more, but it serves on until the Endpoints of the Service are without it.
    gateway.terminate();
    gateway.until("admin", "/readyz", "503");
    gateway.until("http", "/users/7", "200");
    // A second signal ends the delay.
    gateway.terminate();
    assert_eq!(gateway.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_pod_without_its_variable_does_not_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_kubernetes"))
        .env_clear()
        .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .output()
        .expect("the gateway can be run");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("USERS_URL is not set"), "{said}");
}
