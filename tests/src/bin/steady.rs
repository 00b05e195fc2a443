//! The load of `tests/peers/faults.py`: a request every so often, however long the answers take.
//!
//! It is an open loop, so that requests that a fault delays keep no others from being sent. Each request is a line on
//! stdout when all have ended: when it was due (milliseconds since 1970), how long it took from then (milliseconds), its
//! status (0 without one), who answered (`x-upstream`, or `-`), and how it ended.

use std::{
    cell::{Cell, RefCell},
    error::Error,
    fmt,
    io::{self, Write},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use prox_tests::flags::flag;
use tokio::{
    net::TcpStream,
    task::{JoinSet, LocalSet},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With a whole response, whatever its status.
    Whole,
    /// There was no connection to the proxy.
    Connect,
    /// The proxy closed the connection instead of answering.
    Reset,
    /// The response was cut off.
    Cut,
    /// The client's patience was over.
    Timeout,
    /// Too many others were under way.
    Full,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "whole",
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Cut => "cut",
            Self::Timeout => "timeout",
            Self::Full => "full",
        })
    }
}

struct Outcome {
    status: u16,
    upstream: String,
    end: End,
}

impl Outcome {
    fn without_response(end: End) -> Self {
        Self {
            status: 0,
            upstream: "-".into(),
            end,
        }
    }
}

/// Connections that are kept, the one used last first.
struct Client {
    address: SocketAddr,
    patience: Duration,
    most: usize,
    active: Cell<usize>,
    idle: RefCell<Vec<SendRequest<Empty<Bytes>>>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let client = Rc::new(Client {
        address: flag("target", None)?,
        patience: Duration::from_millis(flag("patience-ms", Some(40_000))?),
        most: flag("most", Some(4_000))?,
        active: Cell::new(0),
        idle: RefCell::default(),
    });
    let rate: u32 = flag("rate", Some(300))?;
    let seconds: u32 = flag("seconds", None)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let lines = LocalSet::new().block_on(&runtime, run(client, rate, rate * seconds));
    io::stdout().write_all(lines.as_bytes())?;
    Ok(())
}

async fn run(client: Rc<Client>, rate: u32, count: u32) -> String {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    // Late ticks are made up for, so that the rate holds.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (epoch, start) = (SystemTime::now(), Instant::now());
    let mut requests = JoinSet::new();
    for _ in 0..count {
        let due = ticks.tick().await;
        let client = Rc::clone(&client);
        requests.spawn_local(async move {
            let outcome = client.ask().await;
            (due, due.elapsed(), outcome)
        });
    }
    let mut lines = String::new();
    while let Some(request) = requests.join_next().await {
        let (due, took, outcome) = request.expect("a request does not panic");
        let due = epoch + due.saturating_duration_since(start);
        let due = due.duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = format!(
            "{:.1} {:.1} {} {} {}\n",
            due.as_secs_f64() * 1e3,
            took.as_secs_f64() * 1e3,
            outcome.status,
            outcome.upstream,
            outcome.end
        );
        lines.push_str(&line);
    }
    lines
}

impl Client {
    async fn ask(&self) -> Outcome {
        if self.active.get() >= self.most {
            return Outcome::without_response(End::Full);
        }
        self.active.set(self.active.get() + 1);
        let outcome = timeout(self.patience, self.exchange()).await;
        self.active.set(self.active.get() - 1);
        outcome.unwrap_or_else(|_| Outcome::without_response(End::Timeout))
    }

    async fn exchange(&self) -> Outcome {
        let Some(mut sender) = self.sender().await else {
            return Outcome::without_response(End::Connect);
        };
        let request = hyper::Request::get("/steady").header("host", "www.example.com");
        let request = request
            .body(Empty::new())
            .expect("a request that never changes");
        let Ok(response) = sender.send_request(request).await else {
            return Outcome::without_response(End::Reset);
        };
        let upstream = response.headers().get("x-upstream");
        let upstream = upstream.and_then(|name| name.to_str().ok()).unwrap_or("-");
        let mut outcome = Outcome {
            status: response.status().as_u16(),
            upstream: upstream.to_owned(),
            end: End::Whole,
        };
        if response.into_body().collect().await.is_err() {
            outcome.end = End::Cut;
        } else if sender.ready().await.is_ok() {
            self.idle.borrow_mut().push(sender);
        }
        outcome
    }

    async fn sender(&self) -> Option<SendRequest<Empty<Bytes>>> {
        while let Some(sender) = { self.idle.borrow_mut().pop() } {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        let stream = TcpStream::connect(self.address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::task::spawn_local(async move {
            // What goes wrong is told to the request.
            let _ = connection.await;
        });
        Some(sender)
    }
}
