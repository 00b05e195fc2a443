//! An HTTP/2 upstream that writes frames by hand, so that it can say anything, and sees every frame.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    task::{JoinHandle, JoinSet},
};

use crate::wait::{Gate, eventually};

/// The types of frames (RFC 9113, 6).
pub mod kind {
    /// A piece of a body.
    pub const DATA: u8 = 0;
    /// The head of a message, or its trailers.
    pub const HEADERS: u8 = 1;
    /// The end of a stream, at once.
    pub const RST_STREAM: u8 = 3;
    /// What a side allows.
    pub const SETTINGS: u8 = 4;
    /// A question that is answered with itself.
    pub const PING: u8 = 6;
    /// The end of a connection.
    pub const GOAWAY: u8 = 7;
}

/// Reasons for an end (RFC 9113, 7).
pub mod code {
    /// Nothing is wrong.
    pub const NO_ERROR: u32 = 0;
    /// Something is.
    pub const INTERNAL_ERROR: u32 = 2;
    /// The request was not looked at.
    pub const REFUSED_STREAM: u32 = 7;
    /// Nobody wants the answer any more.
    pub const CANCEL: u32 = 8;
    /// Something else than HTTP/2 is wanted.
    pub const HTTP_1_1_REQUIRED: u32 = 13;
}

/// The setting that bounds the streams of a connection.
pub const MAX_CONCURRENT_STREAMS: u16 = 3;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A frame as the origin got it.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The number of its connection, from 0.
    pub connection: usize,
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What is in it.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The reason in a frame that ends a stream.
    pub fn code(&self) -> u32 {
        let bytes = self.payload.first_chunk().copied().unwrap_or_default();
        u32::from_be_bytes(bytes)
    }
}

/// What is done about a request.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Goes on when the gate is open.
    Wait(Gate),
    /// Goes on after a while.
    Pause(Duration),
    /// Closes the connection.
    Close,
}

/// Any frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Step {
    let length = u32::try_from(payload.len()).expect("a short frame");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    Step::Write(bytes)
}

/// The head of a `200`, and no body behind it if `end`.
pub fn ok(stream: u32, end: bool) -> Step {
    let flags = END_HEADERS | if end { END_STREAM } else { 0 };
    // `:status: 200` is the eighth entry of the static table (RFC 7541, A).
    frame(kind::HEADERS, flags, stream, &[0x88])
}

/// A piece of a body.
pub fn data(stream: u32, bytes: &[u8], end: bool) -> Step {
    frame(kind::DATA, u8::from(end), stream, bytes)
}

/// Trailers of one field.
pub fn trailers(stream: u32, name: &str, value: &str) -> Step {
    let mut block = vec![0];
    for text in [name, value] {
        block.push(u8::try_from(text.len()).expect("a short text"));
        block.extend(text.as_bytes());
    }
    frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// The end of a stream.
pub fn reset(stream: u32, code: u32) -> Step {
    frame(kind::RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// The end of a connection; `last` is the last stream that was looked at.
pub fn go_away(last: u32, code: u32) -> Step {
    let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
    frame(kind::GOAWAY, 0, 0, &payload)
}

/// A scripted HTTP/2 upstream on a port of its own. It stops when it is dropped.
#[derive(Debug)]
pub struct FrameOrigin {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

type Script = dyn Fn(&Frame) -> Vec<Step> + Send + Sync;

struct Shared {
    settings: Mutex<Vec<(u16, u32)>>,
    script: Box<Script>,
    frames: Mutex<Vec<Frame>>,
    accepted: AtomicUsize,
    open: AtomicUsize,
    deaf: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FrameOrigin {
    /// Does what `script` says about the head of each request.
    pub async fn start(
        settings: &[(u16, u32)],
        script: impl Fn(&Frame) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port of 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            settings: Mutex::new(settings.to_vec()),
            script: Box::new(script),
            frames: Mutex::default(),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            deaf: AtomicBool::new(false),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            task,
        }
    }

    /// Its URL as an endpoint.
    pub fn endpoint(&self) -> prox::Endpoint {
        let url = format!("http://{}", self.address);
        url.parse().expect("an address makes an endpoint")
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(SeqCst)
    }

    /// All frames of this type so far.
    pub fn frames(&self, kind: u8) -> Vec<Frame> {
        let all = lock(&self.shared.frames);
        all.iter().filter(|one| one.kind == kind).cloned().collect()
    }

    /// Waits until so many frames of this type have come.
    pub async fn reached(&self, kind: u8, count: usize) {
        eventually("frames at the origin", || self.frames(kind).len() >= count).await;
    }

    /// Answers no more pings.
    pub fn ignore_pings(&self) {
        self.shared.deaf.store(true, SeqCst);
    }

    /// How many requests came on a connection.
    pub fn requests_of(&self, connection: usize) -> usize {
        let requests = self.frames(kind::HEADERS);
        let own = requests.iter().filter(|one| one.connection == connection);
        own.count()
    }
}

impl Drop for FrameOrigin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // The connections end with this task, because the set does.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = shared.accepted.fetch_add(1, SeqCst);
        shared.open.fetch_add(1, SeqCst);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // What goes wrong on a connection is the other end's doing, and its test looks at that end.
            let _ = serve(stream, number, &shared).await;
            shared.open.fetch_sub(1, SeqCst);
        });
    }
}

async fn serve(stream: TcpStream, connection: usize, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, writer) = stream.into_split();
    let writer = Arc::new(tokio::sync::Mutex::new(writer));
    let mut preface = [0; 24];
    reader.read_exact(&mut preface).await?;
    let settings: Vec<u8> = lock(&shared.settings)
        .iter()
        .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    write(&writer, frame(kind::SETTINGS, 0, 0, &settings)).await?;
    let closed = Gate::new();
    let mut replies = JoinSet::new();
    loop {
        let mut head = [0; 9];
        tokio::select! {
            read = reader.read_exact(&mut head) => { read?; }
            () = closed.passed() => return Ok(()),
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        reader.read_exact(&mut payload).await?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let got = Frame {
            connection,
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        };
        lock(&shared.frames).push(got.clone());
        match got.kind {
            kind::SETTINGS if got.flags & ACK == 0 => {
                write(&writer, frame(kind::SETTINGS, ACK, 0, &[])).await?;
            }
            kind::PING if got.flags & ACK == 0 && !shared.deaf.load(SeqCst) => {
                write(&writer, frame(kind::PING, ACK, 0, &got.payload)).await?;
            }
            kind::HEADERS => {
                let steps = (shared.script)(&got);
                let (writer, closed) = (Arc::clone(&writer), closed.clone());
                replies.spawn(async move {
                    for step in steps {
                        if matches!(step, Step::Close) {
                            closed.open();
                        }
                        if write(&writer, step).await.is_err() {
                            return;
                        }
                    }
                });
            }
            _ => {}
        }
    }
}

async fn write(writer: &tokio::sync::Mutex<OwnedWriteHalf>, step: Step) -> io::Result<()> {
    match step {
        Step::Write(bytes) => writer.lock().await.write_all(&bytes).await?,
        Step::Wait(gate) => gate.passed().await,
        Step::Pause(time) => tokio::time::sleep(time).await,
        Step::Close => {}
    }
    Ok(())
}
