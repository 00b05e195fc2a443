//! The upstream of `tests/peers/faults.py`, which behaves as it is told to: well, or in one of the ways in which upstreams fail.
//!
//! It answers each `GET` after a short time of work, and says in `x-upstream` who it is. A line on its control port changes
//! its [`Mode`] or asks for its count of requests. At SIGTERM it does what servers do that are restarted: it stops to
//! listen, finishes what is under way, and closes what is idle.

use std::{
    error::Error,
    future::pending,
    io,
    net::SocketAddr,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prox_tests::flags::flag;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

/// What becomes of a request. Its health check, `/healthz`, knows only whether the server is quick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// It is answered with 200.
    Well,
    /// It is answered with this status.
    Status(u16),
    /// It is answered so much later.
    Late(Duration),
    /// Each eighth is answered so much later, as a long poll is.
    Poll(Duration),
    /// It is never answered.
    Silent,
    /// Its answer is cut off by a reset in mid-body.
    Cut,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.parse()
                .map_err(|_| format!("`{text}` is not a number"))
        };
        match text.split_once(' ').unwrap_or((text, "")) {
            ("well", "") => Ok(Self::Well),
            ("status", code) => Ok(Self::Status(number(code)?)),
            ("late", millis) => Ok(Self::Late(Duration::from_millis(number(millis)?.into()))),
            ("poll", millis) => Ok(Self::Poll(Duration::from_millis(number(millis)?.into()))),
            ("silent", "") => Ok(Self::Silent),
            ("cut", "") => Ok(Self::Cut),
            _ => Err(format!("`{text}` is no mode")),
        }
    }
}

struct Origin {
    name: String,
    work: Duration,
    mode: Mutex<Mode>,
    requests: AtomicU64,
}

/// How long requests under way may keep a server that is told to stop.
const PATIENCE: Duration = Duration::from_secs(2);

/// The length of a body that is cut off, and how much of it is sent.
const CUT: (usize, usize) = (10_000, 4_000);

fn main() -> Result<(), Box<dyn Error>> {
    let listen: SocketAddr = flag("listen", None)?;
    let control: SocketAddr = flag("control", None)?;
    let origin = Arc::new(Origin {
        name: flag("name", None)?,
        work: Duration::from_millis(flag("work-ms", Some(10))?),
        mode: Mutex::new(Mode::Well),
        requests: AtomicU64::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(listen, control, origin))
}

async fn serve(
    listen: SocketAddr,
    control: SocketAddr,
    origin: Arc<Origin>,
) -> Result<(), Box<dyn Error>> {
    let (clients, drivers) = (
        TcpListener::bind(listen).await?,
        TcpListener::bind(control).await?,
    );
    let mut end = signal(SignalKind::terminate())?;
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = clients.accept() => {
                let origin = Arc::clone(&origin);
                connections.spawn(answer(accepted?.0, origin, stopping.clone()));
            }
            accepted = drivers.accept() => {
                tokio::spawn(obey(accepted?.0, Arc::clone(&origin)));
            }
            _ = end.recv() => break,
        }
        // How a connection ended is seen by the proxy.
        while connections.try_join_next().is_some() {}
    }
    drop(clients);
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    // What is still under way then is cut, as it would be by a process manager.
    let _ = timeout(PATIENCE, ended).await;
    Ok(())
}

/// Takes lines from the driver: a mode, or `count`; each is answered with one line.
async fn obey(stream: TcpStream, origin: Arc<Origin>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let reply = match line.trim_end() {
            "count" => origin.requests.load(Relaxed).to_string(),
            text => match text.parse() {
                Ok(mode) => {
                    *origin.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
                    "done".to_owned()
                }
                Err(problem) => problem,
            },
        };
        stream.write_all(format!("{reply}\n").as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

/// Serves one connection until it ends, or until the server stops and it is idle.
async fn answer(
    mut stream: TcpStream,
    origin: Arc<Origin>,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::with_capacity(4 * 1024);
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            tokio::select! {
                read = stream.read_buf(&mut head) => {
                    if read? == 0 {
                        return Ok(());
                    }
                }
                _ = stopping.wait_for(|stopping| *stopping), if head.is_empty() => return Ok(()),
            }
        }
        let mode = *origin.mode.lock().unwrap_or_else(PoisonError::into_inner);
        let is_check = head.starts_with(b"GET /healthz ");
        let mut number = 0;
        if !is_check {
            number = origin.requests.fetch_add(1, Relaxed);
            sleep(origin.work).await;
        }
        let status = match mode {
            Mode::Silent => pending().await,
            Mode::Late(time) => {
                sleep(time).await;
                200
            }
            Mode::Poll(time) if !is_check && number % 8 == 7 => {
                sleep(time).await;
                200
            }
            Mode::Status(status) if !is_check => status,
            Mode::Cut if !is_check => {
                let head = origin.head(200, CUT.0, false);
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&vec![b'x'; CUT.1]).await?;
                // The reset must not overtake what was sent.
                sleep(origin.work).await;
                return stream.set_zero_linger();
            }
            _ => 200,
        };
        let body = "Hello, world\n";
        let last = *stopping.borrow();
        let response = origin.head(status, body.len(), last) + body;
        stream.write_all(response.as_bytes()).await?;
        if last {
            return Ok(());
        }
    }
}

impl Origin {
    fn head(&self, status: u16, length: usize, last: bool) -> String {
        let close = if last { "connection: close\r\n" } else { "" };
        format!(
            "HTTP/1.1 {status} Status\r\nx-upstream: {}\r\ncontent-length: {length}\r\n{close}\r\n",
            self.name
        )
    }
}
