//! `prox::run` in a process of its own: ports, signals, exit codes.

use std::{net::SocketAddr, process::Stdio};

use prox_tests::{
    client::{Answer, RawClient},
    origin::{Origin, Reply},
    ports::free_port,
    wait::{Gate, eventually, within},
    wire::End,
};
use tokio::process::{Child, Command};

/// A gateway's process; it ends with the test.
struct Process {
    child: Child,
    address: SocketAddr,
}

fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_run_probe"));
    command
        .env_clear()
        .envs(variables.iter().copied())
        .kill_on_drop(true);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Process {
    /// Starts one before this upstream, and waits until it accepts connections.
    async fn start(origin: &Origin) -> Self {
        Self::with_delay(origin, 0).await
    }

    /// The same, which serves on for so many seconds at its end.
    async fn with_delay(origin: &Origin, delay: u64) -> Self {
        let port = free_port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let variables = [
            ("UPSTREAM", origin.url()),
            ("PORT", port.to_string()),
            ("HOST", "127.0.0.1".into()),
            ("DELAY", delay.to_string()),
        ];
        let variables = variables
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let child = command(&variables).spawn().expect("the probe can be run");
        eventually("the gateway to listen", || {
            std::net::TcpStream::connect(address).is_ok()
        })
        .await;
        Self { child, address }
    }

    /// Sends one `GET` on a connection of its own.
    async fn get(&self, target: &str) -> Answer {
        RawClient::connect(self.address).await.get(target).await
    }

    async fn signal(&self, name: &str) {
        signal(&self.child, name).await;
    }

    /// Waits for the end, and gives the exit code and what was printed.
    async fn ended(self) -> (Option<i32>, String) {
        let output = within("the process to end", self.child.wait_with_output()).await;
        let output = output.expect("a child can be waited for");
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }
}

/// Sends a signal to a process that runs.
pub(crate) async fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it is running");
    let sent = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {pid}"))
        .status()
        .await;
    assert!(sent.expect("sh can be run").success());
}

async fn fails(variables: &[(&str, &str)]) -> String {
    let output = within("the process to end", command(variables).output())
        .await
        .expect("the probe can be run");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(output.stdout.is_empty());
    assert!(!error.contains("panicked"), "{error}");
    error
}

#[tokio::test]
async fn so_many_workers_run_as_the_environment_says() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let port = free_port().to_string();
    let with = |workers| {
        [
            ("UPSTREAM", origin.url()),
            ("PORT", port.clone()),
            ("HOST", "127.0.0.1".to_owned()),
            ("WORKERS", String::from(workers)),
        ]
    };
    for wrong in ["0", "many"] {
        let variables = with(wrong);
        let error = fails(&variables.each_ref().map(|(name, value)| (*name, &**value))).await;
        let problem = format!("WORKERS is {wrong:?}: expected a number from 1 on");
        assert!(error.contains(&problem), "{error}");
    }
    let variables = with("5");
    let mut command = command(&variables.each_ref().map(|(name, value)| (*name, &**value)));
    let child = command.spawn().expect("the probe can be run");
    let tasks = format!("/proc/{}/task", child.id().expect("it is running"));
    let workers = || {
        let tasks = std::fs::read_dir(&tasks).into_iter().flatten().flatten();
        let names = tasks.map(|task| std::fs::read_to_string(task.path().join("comm")));
        let of_workers = |name: &String| {
            let number = name.trim_end().strip_prefix("prox-");
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        };
        names.filter_map(Result::ok).filter(of_workers).count()
    };
    // The first one is the main thread.
    eventually("all workers", || workers() == 4).await;
}

#[tokio::test]
async fn a_signal_drains_and_ends_with_success() {
    for signal in ["TERM", "INT"] {
        let gate = Gate::new();
        let origin = Origin::start(
            Reply::new()
                .wait(&gate)
                .head(200, &[], "Content-Length: 2")
                .write("ok"),
        )
        .await;
        let process = Process::start(&origin).await;
        let mut client = RawClient::connect(process.address).await;
        client.request("GET", "/").await;
        origin.reached(1).await;
        process.signal(signal).await;
        eventually("new connections to be refused", || {
            std::net::TcpStream::connect(process.address).is_err()
        })
        .await;
        gate.open();
        let answer = client.response("GET").await.expect(200);
        assert!(answer.closes(), "{answer:?}");
        let (code, printed) = process.ended().await;
        assert_eq!(code, Some(0), "{printed}");
        let told = ["listening", "draining", "ended"];
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines.len(), told.len(), "{printed}");
        for (line, message) in lines.into_iter().zip(told) {
            let message = format!("\"message\":\"{message}\"");
            assert!(line.contains(&message), "{printed}");
        }
    }
}

#[tokio::test]
async fn no_request_is_lost_when_a_signal_ends_a_gateway_under_load() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let process = Process::start(&origin).await;
    let address = process.address;
    let clients: Vec<_> = (0..12)
        .map(|_| {
            tokio::spawn(async move {
                let mut client = RawClient::connect(address).await;
                loop {
                    let answer = client.get("/").await;
                    assert_eq!(
                        (answer.status, answer.body.end),
                        (200, End::Complete),
                        "{answer:?}"
                    );
                    if answer.closes() {
                        break;
                    }
                }
            })
        })
        .collect();
    eventually("requests to be answered", || origin.count() > 500).await;
    process.signal("TERM").await;
    for client in clients {
        within("a client to be told", client)
            .await
            .expect("no request is lost");
    }
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let origin = Origin::start(Reply::new().stall()).await;
    let process = Process::start(&origin).await;
    let mut client = RawClient::connect(process.address).await;
    client.request("GET", "/").await;
    origin.reached(1).await;
    process.signal("TERM").await;
    eventually("new connections to be refused", || {
        std::net::TcpStream::connect(process.address).is_err()
    })
    .await;
    process.signal("TERM").await;
    assert_eq!(process.ended().await.0, Some(130));
}

#[tokio::test]
async fn a_second_signal_ends_the_wait_before_the_drain() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let process = Process::with_delay(&origin, 3_600).await;
    process.get("/readyz").await.expect(200);
    process.signal("TERM").await;
    within("the gateway to be unready", async {
        while process.get("/readyz").await.status != 503 {}
    })
    .await;
    assert!(!process.get("/").await.expect(200).closes());
    process.signal("TERM").await;
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test]
async fn a_bad_port_is_one_readable_error() {
    for port in ["http", "70000", "-1", "80 80"] {
        let error = fails(&[("UPSTREAM", "http://127.0.0.1:9"), ("PORT", port)]).await;
        assert!(error.contains("PORT") && error.contains(port), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_bad_host_is_one_readable_error() {
    let error = fails(&[("UPSTREAM", "http://127.0.0.1:9"), ("HOST", "nowhere.test")]).await;
    assert!(
        error.contains("HOST") && error.contains("nowhere.test"),
        "{error}"
    );
}

#[tokio::test]
async fn all_that_is_wrong_with_the_environment_is_said_at_once() {
    let error = fails(&[
        ("UPSTREAM", "nonsense"),
        ("PORT", "http"),
        ("HOST", "nowhere"),
    ])
    .await;
    for part in ["UPSTREAM", "nonsense", "PORT", "HOST"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_one_readable_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = fails(&[
        ("UPSTREAM", "http://127.0.0.1:9"),
        ("PORT", &port),
        ("HOST", "127.0.0.1"),
    ])
    .await;
    assert!(error.contains(&port) && error.contains("PORT"), "{error}");
}

/// Runs a gateway that is to end at once.
fn run_and_end() -> prox::Result {
    prox::Server::new(prox::gateway! { "/" => respond(200, "hello") })
        .address(SocketAddr::from(([127, 0, 0, 1], 0)))
        .workers(1)
        .shutdown(std::future::ready(()))
        .run()
}

#[tokio::test]
async fn a_socket_that_was_bound_before_is_closed_when_the_drain_begins() {
    let gate = Gate::new();
    let reply = Reply::new().wait(&gate).head(200, &[], "Content-Length: 2");
    let origin = Origin::start(reply.write("ok")).await;
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let endpoint = origin.endpoint();
    let running = tokio::task::spawn_blocking(move || {
        prox::Server::new(prox::gateway! { "/" => cluster(rr, [endpoint]) })
            .listener(socket)
            .workers(2)
            .shutdown(async { _ = ended.await })
            .run()
    });
    let mut client = RawClient::connect(address).await;
    client.request("GET", "/").await;
    origin.reached(1).await;
    end.send(()).unwrap();
    eventually("new connections to be refused", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
    gate.open();
    client.response("GET").await.expect(200);
    within("the gateway to end", running)
        .await
        .unwrap()
        .unwrap();
}

/// What `run` says where a task of tokio calls it.
fn refused() {
    let error = run_and_end().expect_err("a task must not block");
    let text = error.to_string();
    assert!(
        text.contains("async function") && text.contains(".serve()"),
        "{text}"
    );
}

#[tokio::test]
async fn run_in_an_async_function_says_what_to_use_instead() {
    refused();
    tokio::spawn(async { refused() }).await.unwrap();
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            tokio::task::spawn_local(async { refused() }).await.unwrap();
        })
        .await;
    // The task that asked goes on.
    tokio::task::yield_now().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn run_in_an_async_function_of_many_threads_says_the_same() {
    refused();
    tokio::spawn(async { refused() }).await.unwrap();
    tokio::task::block_in_place(run_and_end).unwrap();
}

#[tokio::test]
async fn run_may_block_a_thread_that_is_there_to_be_blocked() {
    let blocking = tokio::task::spawn_blocking(run_and_end);
    within("the gateway to end", blocking)
        .await
        .unwrap()
        .unwrap();
    let handle = tokio::runtime::Handle::current();
    let entered = std::thread::spawn(move || {
        let _entered = handle.enter();
        run_and_end()
    });
    eventually("the gateway to end", || entered.is_finished()).await;
    entered.join().unwrap().unwrap();
}
