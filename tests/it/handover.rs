//! Hand-overs between processes: what clients, operators and other processes see of them.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream as StdTcpStream},
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use prox_tests::{
    client::{RawClient, head},
    origin::{Origin, Reply},
    ports::{Refused, free_port},
    wait::{Gate, eventually, within},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};

use crate::{
    load::{Load, upstream},
    run::signal,
    upgrades::WEBSOCKET,
};

/// A folder of one test, which ends with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("prox-ho-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("the folder is there");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().display().to_string())
            .collect();
        names.sort_unstable();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The variables of a gateway.
type Env = Vec<(&'static str, String)>;

/// A gateway's process, with what it has told. It ends with the test.
struct Process {
    child: Child,
    told: Arc<Mutex<Vec<String>>>,
    /// Ends when all that it has told is there.
    hearing: JoinHandle<()>,
}

fn command(env: &Env) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_handover_probe"));
    command
        .env_clear()
        .envs(env.iter().map(|(name, value)| (*name, value.as_str())))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Process {
    fn spawn(env: &Env) -> Self {
        let mut child = command(env).spawn().expect("the probe can be run");
        let told = Arc::<Mutex<Vec<String>>>::default();
        let stderr = child.stderr.take().expect("it is piped");
        let tells = Arc::clone(&told);
        let hearing = tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                tells.lock().expect("no panic").push(line);
            }
        });
        Self {
            child,
            told,
            hearing,
        }
    }

    /// Starts the first one, and waits until it listens.
    async fn first(env: &Env) -> Self {
        let process = Self::spawn(env);
        process.tells("listening").await;
        process
    }

    /// Starts one that takes over, and waits until it has.
    async fn next(env: &Env) -> Self {
        let process = Self::spawn(env);
        process.tells("took over").await;
        process
    }

    fn pid(&self) -> u32 {
        self.child.id().expect("it is running")
    }

    fn has_told(&self, text: &str) -> bool {
        let told = self.told.lock().expect("no panic");
        told.iter().any(|line| line.contains(text))
    }

    async fn tells(&self, text: &str) {
        eventually(text, || self.has_told(text)).await;
    }

    /// Waits for its end; its exit code, and what it has told.
    async fn ended(mut self) -> (Option<i32>, String) {
        let status = within("the process to end", self.child.wait()).await;
        let code = status.expect("a child can be waited for").code();
        let heard = within("its last words", self.hearing).await;
        heard.expect("no panic");
        let told = self.told.lock().expect("no panic").join("\n");
        (code, told)
    }

    async fn end(self) {
        signal(&self.child, "TERM").await;
        let (code, told) = self.ended().await;
        assert_eq!(code, Some(0), "{told}");
    }

    async fn kill(mut self) {
        within("the process to end", self.child.kill())
            .await
            .expect("it can be killed");
    }

    /// What it has open.
    fn descriptors(&self) -> Vec<String> {
        let folder = format!("/proc/{}/fd", self.pid());
        let entries = fs::read_dir(folder).expect("it is running");
        let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.map(|target| target.display().to_string()).collect()
    }
}

/// What a process that cannot start tells.
async fn fails(env: &Env) -> String {
    let output = within("the process to end", command(env).output()).await;
    let output = output.expect("the probe can be run");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    error
}

/// The variables of a gateway at a port of its own.
fn variables(folder: &Folder, origin: &Origin) -> (SocketAddr, Env) {
    let port = free_port();
    let env = vec![
        ("HOST", String::from("127.0.0.1")),
        ("PORT", port.to_string()),
        ("HANDOVER", folder.path("shop.sock")),
        ("UPSTREAM", origin.url()),
        ("NEEDED", origin.url()),
    ];
    (SocketAddr::from(([127, 0, 0, 1], port)), env)
}

/// The same variables with another value.
fn with(env: &Env, name: &'static str, value: impl Into<String>) -> Env {
    let mut env = env.clone();
    env.retain(|(other, _)| *other != name);
    env.push((name, value.into()));
    env
}

async fn pid_at(address: SocketAddr) -> u32 {
    let answer = RawClient::connect(address).await.get("/pid").await;
    answer.expect(200).text().parse().expect("a number")
}

/// How many sockets listen at a port of IPv4, by the kernel's list.
fn listening(port: u16) -> usize {
    let list = fs::read_to_string("/proc/net/tcp").expect("a list of sockets");
    let local = format!(":{port:04X}");
    let is_listening = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1).is_some_and(|field| field.ends_with(&local)) && fields.get(3) == Some(&"0A")
    };
    list.lines().filter(is_listening).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_processes_replace_one_another() {
    let folder = Folder::new("load");
    let (origin, echo, _echoing) = upstream().await;
    let (address, env) = variables(&folder, &origin);
    let tunnel_folder = Folder::new("tunnels");
    let (tunnels, tunnel_env) = variables(&tunnel_folder, &origin);
    let tunnel_env = with(&tunnel_env, "UPSTREAM", format!("http://{echo}"));
    let nobody = Refused::new().endpoint().to_string();
    let mut current = Process::first(&env).await;
    let mut tunnel = Process::first(&tunnel_env).await;
    let load = Load::start(address, tunnels);
    load.goes_on(1).await;
    let mut old = Vec::new();
    for (turn, threads) in ["3", "1", "2", "3"].into_iter().enumerate() {
        let before = current.pid();
        if turn == 1 {
            let error = fails(&with(&env, "UPSTREAM", "nonsense")).await;
            assert!(error.contains("UPSTREAM"), "{error}");
            assert!(!current.has_told("hand-over"));
        }
        if turn == 2 {
            // It has the sockets, and is not ready.
            let never = Process::spawn(&with(&env, "NEEDED", nobody.clone()));
            never.tells("listening").await;
            assert_eq!(pid_at(address).await, before);
            never.kill().await;
            current.tells("a hand-over has failed, serving on").await;
            load.goes_on(1).await;
        }
        assert_eq!(pid_at(address).await, before);
        let next = Process::next(&with(&env, "THREADS", threads)).await;
        current.tells("handed over, draining").await;
        old.push(std::mem::replace(&mut current, next));
        let next = Process::next(&with(&tunnel_env, "THREADS", threads)).await;
        old.push(std::mem::replace(&mut tunnel, next));
        assert_eq!(pid_at(address).await, current.pid());
        load.goes_on(1).await;
    }
    // Two workers were the first: their sockets are all that there ever was.
    assert_eq!(listening(address.port()), 2);
    load.end().await;
    for process in old {
        let (code, told) = process.ended().await;
        assert_eq!(code, Some(0), "{told}");
        assert!(!told.contains("cut off"), "{told}");
    }
    for (folder, process) in [(&folder, current), (&tunnel_folder, tunnel)] {
        assert_eq!(folder.names(), ["shop.sock"]);
        process.end().await;
        assert_eq!(folder.names(), [""; 0]);
    }
}

#[tokio::test]
async fn nothing_is_left_of_the_processes_before() {
    let folder = Folder::new("left");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    let port = free_port();
    let env = with(&env, "ADMIN", format!("127.0.0.1:{port}"));
    let mut current = Process::first(&env).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        let next = Process::next(&env).await;
        let (code, told) = std::mem::replace(&mut current, next).ended().await;
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(pid_at(address).await, current.pid());
        open.push(fewest(&current).await);
    }
    let (first, last) = (open[0], open[open.len() - 1]);
    assert!(last <= first + 2, "{open:?}");
    assert_eq!((listening(address.port()), listening(port)), (2, 1));
    let file = fs::metadata(folder.path("shop.sock")).expect("the socket");
    assert_eq!(file.mode() & 0o777, 0o600);
    current.end().await;
}

/// The answer to a request at a Unix socket.
fn ask(path: &str, target: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("a process");
    let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("a connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[tokio::test]
async fn the_admin_listener_and_unix_sockets_go_along() {
    let folder = Folder::new("along");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (_, env) = variables(&folder, &origin);
    let (public, admin) = (folder.path("public.sock"), folder.path("admin.sock"));
    let env = with(&env, "HOST", format!("unix:{public}"));
    let env = with(&env, "ADMIN", format!("unix:{admin}"));
    let current = Process::first(&env).await;
    let next = Process::next(&env).await;
    let (code, told) = current.ended().await;
    assert_eq!(code, Some(0), "{told}");
    let pid = next.pid().to_string();
    assert!(ask(&public, "/pid").ends_with(&pid));
    assert!(ask(&admin, "/healthz").ends_with("ok\n"));
    assert_eq!(folder.names(), ["admin.sock", "public.sock", "shop.sock"]);
    next.end().await;
    assert_eq!(folder.names(), [""; 0]);
}

#[tokio::test]
async fn a_unix_socket_stays_when_the_old_process_ends_while_the_new_one_gets_ready() {
    let folder = Folder::new("stays");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (_, env) = variables(&folder, &origin);
    let (public, admin) = (folder.path("public.sock"), folder.path("admin.sock"));
    let env = with(&env, "HOST", format!("unix:{public}"));
    let env = with(&env, "ADMIN", format!("unix:{admin}"));
    let current = Process::first(&env).await;
    let nobody = Refused::new().endpoint().to_string();
    // One that has failed leaves the files to the process that serves.
    let never = Process::spawn(&with(&env, "NEEDED", nobody.clone()));
    never.tells("listening").await;
    never.kill().await;
    current.tells("a hand-over has failed, serving on").await;
    assert!(ask(&public, "/pid").ends_with(&current.pid().to_string()));
    current.end().await;
    // The socket that the killed one had for hand-overs is left.
    assert_eq!(folder.names(), ["shop.sock.next"]);

    let current = Process::first(&env).await;
    let next = Process::spawn(&with(&env, "NEEDED", nobody));
    next.tells("listening").await;
    current.end().await;
    next.tells("took over").await;
    assert!(ask(&public, "/pid").ends_with(&next.pid().to_string()));
    assert!(ask(&admin, "/healthz").ends_with("ok\n"));
    next.end().await;
    assert_eq!(folder.names(), [""; 0]);
}

#[tokio::test]
async fn the_old_process_keeps_the_path_until_the_new_one_has_it() {
    let folder = Folder::new("path");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    let path = folder.path("shop.sock");
    // An old process without sockets.
    let old = std::os::unix::net::UnixListener::bind(&path).expect("a path");
    let moved = tokio::task::spawn_blocking({
        let path = path.clone();
        move || {
            let number = || fs::metadata(&path).expect("a socket").ino();
            let before = number();
            let (mut stream, _) = old.accept().expect("a new process");
            let mut said = std::io::BufReader::new(stream.try_clone().expect("a handle"));
            let mut line = || {
                let mut line = String::new();
                std::io::BufRead::read_line(&mut said, &mut line).expect("a line");
                line
            };
            assert_eq!(line(), "prox-handover 1 take\n");
            let sockets = b"prox-handover 1 sockets\nend\n";
            stream.write_all(sockets).expect("a new process");
            assert_eq!(line(), "serving\n");
            stream.write_all(b"bye\n").expect("a new process");
            assert_eq!(line(), "", "it leaves");
            before != number()
        }
    });
    let next = Process::next(&env).await;
    assert!(
        within("the new process to leave", moved)
            .await
            .expect("no panic")
    );
    assert_eq!(pid_at(address).await, next.pid());
    next.end().await;
}

#[tokio::test]
async fn an_address_of_the_new_process_is_bound_and_one_of_the_old_is_left() {
    let folder = Folder::new("moved");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    let current = Process::first(&env).await;
    let other = free_port();
    let next = Process::next(&with(&env, "PORT", other.to_string())).await;
    let moved = SocketAddr::from(([127, 0, 0, 1], other));
    assert_eq!(pid_at(moved).await, next.pid());
    current.ended().await;
    assert!(StdTcpStream::connect(address).is_err());
    // An address that another process has is an error of the new process alone.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let error = fails(&with(&env, "PORT", port.to_string())).await;
    assert!(error.contains("another process does"), "{error}");
    next.tells("a hand-over has failed, serving on").await;
    assert_eq!(pid_at(moved).await, next.pid());
    next.end().await;
}

#[tokio::test]
async fn a_gateway_that_is_not_ready_in_time_takes_over_with_a_warning() {
    let folder = Folder::new("unready");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    let current = Process::first(&env).await;
    let nobody = Refused::new();
    let env = with(&env, "NEEDED", nobody.endpoint().to_string());
    let next = Process::next(&with(&env, "READY_WITHIN", "100")).await;
    assert!(next.has_told("although the gateway is not ready"));
    assert!(next.has_told("backend needed: no endpoint is well"));
    assert_eq!(pid_at(address).await, next.pid());
    assert_eq!(current.ended().await.0, Some(0));
    next.end().await;
}

#[tokio::test]
async fn a_process_that_is_not_ready_takes_over_at_once_when_the_old_one_dies() {
    let folder = Folder::new("dies");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    let current = Process::first(&env).await;
    let nobody = Refused::new();
    let next = Process::spawn(&with(&env, "NEEDED", nobody.endpoint().to_string()));
    next.tells("listening").await;
    current.kill().await;
    // The listening sockets were never closed.
    assert_eq!(pid_at(address).await, next.pid());
    next.tells("took over from a process that has ended").await;
    let third = Process::next(&env).await;
    assert_eq!(pid_at(address).await, third.pid());
    assert_eq!(next.ended().await.0, Some(0));
    third.end().await;
}

#[tokio::test]
async fn a_socket_of_a_dead_process_is_replaced_and_another_file_is_an_error() {
    let folder = Folder::new("stale");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    Process::first(&env).await.kill().await;
    assert_eq!(folder.names(), ["shop.sock"]);
    let next = Process::first(&env).await;
    assert_eq!(pid_at(address).await, next.pid());
    next.end().await;
    let path = folder.path("a-file");
    fs::write(&path, "precious").expect("a file can be written");
    let error = fails(&with(&env, "HANDOVER", path.clone())).await;
    assert!(error.contains("which is not a socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
    let error = fails(&with(&env, "HANDOVER", folder.path("no/shop.sock"))).await;
    assert!(error.contains("its directory does not exist"), "{error}");
    let error = fails(&with(&env, "HANDOVER", "shop.sock")).await;
    assert!(error.contains("expected an absolute path"), "{error}");
}

/// Says this to the process at the path; the first of what it answers until it closes the connection.
async fn said(path: String, text: &'static [u8]) -> String {
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(Path::new(&path)).expect("a process");
        let _ = stream.write_all(text);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    within("an answer", asked).await.expect("no panic")
}

/// What a process says to a peer of another version.
const OTHER: &str = "no the running process has another version of prox\n";

/// How many descriptors a process has open at least in a while: those of checks of health come and go.
async fn fewest(process: &Process) -> usize {
    let mut fewest = usize::MAX;
    for _ in 0..30 {
        fewest = fewest.min(process.descriptors().len());
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    fewest
}

#[tokio::test]
async fn a_peer_that_is_silent_or_lies_neither_takes_nor_stops_anything() {
    let folder = Folder::new("peers");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    let path = folder.path("shop.sock");
    let current = Process::first(&env).await;
    // What is opened once is open then.
    assert_eq!(pid_at(address).await, current.pid());
    assert_eq!(said(path.clone(), b"hello\n").await, OTHER);
    let before = fewest(&current).await;
    let silent: Vec<UnixStream> = (0..3)
        .map(|_| UnixStream::connect(&path).expect("a process"))
        .collect();
    assert_eq!(said(path.clone(), b"prox-handover 2 take\n").await, OTHER);
    assert_eq!(said(path.clone(), b"GET / HTTP/1.1\r\n\r\n").await, OTHER);
    assert_eq!(said(path.clone(), Vec::leak(vec![b'x'; 1 << 20])).await, "");
    // It takes, and says then something else.
    let lies = said(path.clone(), b"prox-handover 1 take\ntook what\n").await;
    assert!(
        lies.ends_with("no the new process said something else\n"),
        "{lies}"
    );
    current.tells("a hand-over has failed").await;
    // It takes, and is silent: another one has to wait.
    let mut taker = UnixStream::connect(&path).expect("a process");
    taker.write_all(b"prox-handover 1 take\n").expect("a line");
    taker.read_exact(&mut [0; 1]).expect("an answer");
    assert_eq!(
        said(path.clone(), b"prox-handover 1 take\n").await,
        "busy\n"
    );
    let error = fails(&env).await;
    assert!(error.contains("another process is taking over"), "{error}");
    drop(taker);
    assert_eq!(pid_at(address).await, current.pid());
    eventually("a new process to take over", || {
        // The end of the other one is seen a moment later.
        UnixStream::connect(&path)
            .and_then(|mut stream| {
                stream.write_all(b"prox-handover 1 take\n")?;
                let mut answer = [0; 4];
                stream.read_exact(&mut answer)?;
                Ok(&answer == b"prox")
            })
            .unwrap_or(false)
    })
    .await;
    drop(silent);
    eventually("the descriptors of the peers to be closed", || {
        current.descriptors().len() <= before
    })
    .await;
    eventually("no process to take over", || {
        current
            .told
            .lock()
            .expect("no panic")
            .iter()
            .filter(|line| line.contains("has failed"))
            .count()
            >= 3
    })
    .await;
    let next = Process::next(&env).await;
    assert_eq!(pid_at(address).await, next.pid());
    assert_eq!(current.ended().await.0, Some(0));
    next.end().await;
}

#[tokio::test]
async fn a_process_of_another_user_gets_nothing() {
    let own = fs::metadata("/proc/self").expect("a process").uid();
    if own != 0 {
        eprintln!("not tested: only root can start a process of another user");
        return;
    }
    let folder = Folder::new("user");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    let path = folder.path("shop.sock");
    let current = Process::first(&env).await;
    let anybody = |path: &str| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(path, mode).expect("it is ours");
    };
    // The program may be where others cannot run it.
    let program = folder.path("probe");
    fs::copy(env!("CARGO_BIN_EXE_handover_probe"), &program).expect("a copy");
    anybody(&program);
    let as_nobody = |env: &Env| {
        let mut command = Command::new(&program);
        command
            .env_clear()
            .envs(env.iter().map(|(name, value)| (*name, value.as_str())))
            .uid(65534)
            .gid(65534)
            .kill_on_drop(true);
        command
    };
    let told = |output: std::process::Output| {
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let ask = || as_nobody(&vec![("ASK", path.clone())]).output();
    let answer = told(within("an answer", ask()).await.expect("it can be run"));
    assert!(answer.contains("Permission denied"), "{answer}");
    anybody(&path);
    let answer = told(within("an answer", ask()).await.expect("it can be run"));
    assert_eq!(answer, "no the running process belongs to another user\n");
    current.tells("belongs to another user").await;
    let output = within("the end", as_nobody(&env).output()).await;
    let error = told(output.expect("it can be run"));
    assert!(error.contains("run both as one user"), "{error}");
    assert_eq!(pid_at(address).await, current.pid());
    current.end().await;
}

#[tokio::test]
async fn a_signal_shortens_the_drain_of_the_old_process() {
    let folder = Folder::new("signal");
    let (_origin, echo, _echoing) = upstream().await;
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    let env = with(&env, "UPSTREAM", format!("http://{echo}"));
    let env = with(&env, "DRAIN_TIMEOUT", "100ms");
    let current = Process::first(&env).await;
    let mut client = RawClient::connect(address).await;
    client.send(head("GET", "/chat", WEBSOCKET)).await;
    assert_eq!(client.response_head().await.status, 101);
    let next = Process::next(&env).await;
    current.tells("handed over, draining").await;
    signal(&current.child, "TERM").await;
    let (code, told) = current.ended().await;
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("ending sooner") && told.contains("cut off"),
        "{told}"
    );
    assert_eq!(pid_at(address).await, next.pid());
    next.end().await;
}

#[tokio::test]
async fn a_server_on_the_runtime_of_its_caller_hands_over_too() {
    let folder = Folder::new("serve");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    let path = folder.path("shop.sock");
    let server = |address: SocketAddr| {
        let gateway = prox::gateway! { "/" => respond(200, "here") };
        prox::Server::new(gateway)
            .address(address)
            .handover(path.as_str())
            .shutdown(std::future::pending())
            .serve()
    };
    let serving = tokio::spawn(server(address));
    eventually("the gateway to listen", || {
        StdTcpStream::connect(address).is_ok()
    })
    .await;
    let error = server(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let error = error.expect_err("the process has another").to_string();
    assert!(error.contains("two servers of this process"), "{error}");
    let next = Process::next(&env).await;
    let ended = within("the server to end", serving).await;
    ended.expect("no panic").expect("it served");
    assert_eq!(pid_at(address).await, next.pid());
    next.end().await;
}

#[tokio::test]
async fn a_shutdown_of_the_users_own_shortens_the_drain_of_the_old_process() {
    let folder = Folder::new("own");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    let path = folder.path("shop.sock");
    let (asked, (ends, ended)) = (Gate::new(), tokio::sync::oneshot::channel::<()>());
    let stalls = {
        let asked = asked.clone();
        move |_: prox::Request| {
            asked.open();
            std::future::pending::<()>()
        }
    };
    let gateway = prox::gateway! { "/" => handler(stalls) };
    let serving = tokio::spawn(
        prox::Server::new(gateway)
            .address(address)
            .handover(path.as_str())
            .drain_timeout(Duration::from_millis(100))
            .shutdown(async {
                let _ = ended.await;
            })
            .serve(),
    );
    eventually("the gateway to listen", || {
        StdTcpStream::connect(address).is_ok()
    })
    .await;
    let mut client = RawClient::connect(address).await;
    client.send(head("GET", "/", "")).await;
    within("the request to be there", asked.passed()).await;
    let next = Process::next(&env).await;
    assert_eq!(pid_at(address).await, next.pid());
    assert!(!serving.is_finished(), "it drains for minutes");
    ends.send(()).expect("the server waits for it");
    let ended = within("the server to end", serving).await;
    ended.expect("no panic").expect("it served");
    client.response("GET").await.expect(503);
    next.end().await;
}

/// The socket of systemd, and all that it was told.
fn systemd(folder: &Folder) -> (String, impl FnMut() -> Vec<String>) {
    let path = folder.path("notify.sock");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a path");
    socket
        .set_nonblocking(true)
        .expect("an option of every socket");
    let mut told = Vec::new();
    let heard = move || {
        let mut text = [0; 256];
        while let Ok(count) = socket.recv(&mut text) {
            told.push(String::from_utf8_lossy(&text[..count]).into_owned());
        }
        told.clone()
    };
    (path, heard)
}

#[tokio::test]
async fn a_reload_starts_a_process_and_systemd_is_told_that_it_is_the_main_one() {
    let folder = Folder::new("reload");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    let (path, mut heard) = systemd(&folder);
    let env = with(&env, "NOTIFY_SOCKET", path);
    let reload = |env: &Env| {
        let mut command = command(env);
        command.arg("reload");
        command
    };
    let error = within("the end", reload(&env).output())
        .await
        .expect("it runs");
    let error = String::from_utf8_lossy(&error.stderr).into_owned();
    assert!(error.contains("no process serves at"), "{error}");
    let mut unset = env.clone();
    unset.retain(|(name, _)| *name != "HANDOVER");
    let output = within("the end", reload(&unset).output())
        .await
        .expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("HANDOVER is not set"), "{error}");

    // Only the first process has to say that it lives; the second one learns it from the first.
    let watched = with(&env, "WATCHDOG_USEC", "200000");
    let current = Process::first(&watched).await;
    let times = |told: &[String], text: &str| told.iter().filter(|line| *line == text).count();
    eventually("a sign of life", || times(&heard(), "WATCHDOG=1") >= 2).await;
    assert_eq!(times(&heard(), "READY=1"), 1);

    // One that cannot start changes nothing.
    let output = within(
        "the end",
        reload(&with(&env, "UPSTREAM", "nonsense")).output(),
    )
    .await;
    let output = output.expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("has not taken over, so the running one goes on"),
        "{error}"
    );
    assert_eq!(pid_at(address).await, current.pid());

    // What it lacks is in a file.
    let file = folder.path("shop.env");
    let upstream = format!("UPSTREAM={}\n", origin.url());
    fs::write(&file, upstream).expect("a file can be written");
    let mut without = env.clone();
    without.retain(|(name, _)| *name != "UPSTREAM");
    let mut reloading = command(&without);
    reloading.args(["--env-file", &file, "reload"]);
    reloading.stderr(Stdio::null()).stdout(Stdio::null());
    let status = within("the reload", reloading.status())
        .await
        .expect("it runs");
    assert_eq!(status.code(), Some(0));
    let pid = pid_at(address).await;
    assert_ne!(pid, current.pid());
    let (code, told) = current.ended().await;
    assert_eq!(code, Some(0), "{told}");
    let main = format!("MAINPID={pid}\nREADY=1");
    eventually("the main process to be told", || {
        times(&heard(), &main) == 1
    })
    .await;
    assert_eq!(
        times(&heard(), "STOPPING=1"),
        0,
        "the service does not stop"
    );
    let before = times(&heard(), "WATCHDOG=1");
    eventually("a sign of life", || {
        times(&heard(), "WATCHDOG=1") >= before + 2
    })
    .await;
    let ended = std::process::Command::new("kill")
        .arg(pid.to_string())
        .status();
    assert!(ended.expect("kill can be run").success());
    eventually("the end to be told", || times(&heard(), "STOPPING=1") == 1).await;
    eventually("the end", || StdTcpStream::connect(address).is_err()).await;
}

#[tokio::test]
async fn sockets_of_systemd_are_listened_on() {
    let folder = Folder::new("activated");
    let origin = Origin::start(Reply::ok("ok")).await;
    let (address, env) = variables(&folder, &origin);
    let activated = |env: &Env, socket: std::net::TcpListener| {
        let mut command = Command::new("sh");
        // The shell gives the socket the number that systemd gives it.
        let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\"";
        command
            .args(["-c", script, env!("CARGO_BIN_EXE_handover_probe")])
            .env_clear()
            .envs(env.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)))
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    };
    let socket = std::net::TcpListener::bind(address).expect("the port is free");
    let mut child = activated(&env, socket.try_clone().expect("a handle"))
        .spawn()
        .expect("sh can be run");
    let pid = within("an answer", pid_at(address)).await;
    assert_eq!(Some(pid), child.id());
    let next = Process::next(&env).await;
    assert_eq!(pid_at(address).await, next.pid());
    within("the end", child.wait()).await.expect("it ends");
    next.end().await;
    let env = with(&env, "PORT", free_port().to_string());
    let output = within("the end", activated(&env, socket).output()).await;
    let output = output.expect("sh can be run");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let wanted =
        format!("LISTEN_FDS has a socket at {address}, and the server does not listen there");
    assert!(error.contains(&wanted), "{error}");
}
