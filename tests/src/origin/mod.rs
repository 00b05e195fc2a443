//! An upstream in the test's own process, on raw TCP, so that it can do anything and sees everything.

mod reply;

use std::{
    collections::VecDeque,
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpSocket, TcpStream},
    task::{JoinHandle, JoinSet},
};

pub use self::reply::Reply;
use self::reply::Step;
use crate::{
    filler::Filler,
    wait::{eventually, within},
    wire::{Head, Reader, Received},
};

/// A request as an origin saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The number of its connection, from 0, in the order in which they were accepted.
    pub connection: usize,
    /// The head.
    pub head: Head,
    /// The body, as far as it was read.
    pub body: Received,
    /// How much of a reply's filler was written.
    pub filled: u64,
}

impl Seen {
    /// The method.
    pub fn method(&self) -> &str {
        self.head.word(0)
    }

    /// The target of the request line.
    pub fn target(&self) -> &str {
        self.head.word(1)
    }

    /// The value of the first header field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.fields.first(name)
    }

    /// Whether the head has no field of this name.
    pub fn lacks(&self, name: &str) -> bool {
        self.head.fields.lacks(name)
    }
}

/// What becomes of a connection when it is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    /// Its requests are answered.
    #[default]
    Serve,
    /// It is closed at once.
    Close,
    /// Nothing is ever read from it.
    Ignore,
}

/// A scripted upstream on a port of its own. It stops when it is dropped.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

struct Shared {
    once: Mutex<VecDeque<Reply>>,
    script: Box<dyn Fn(&Seen) -> Reply + Send + Sync>,
    accept: Mutex<Accept>,
    seen: Mutex<Vec<Seen>>,
    accepted: AtomicUsize,
    open: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Origin {
    /// Gives the same reply to every request.
    pub async fn start(reply: Reply) -> Self {
        Self::with(move |_| reply.clone()).await
    }

    /// Gives the same reply to every request, at another address of this machine, and the port of `other`.
    pub async fn beside(other: &Self, address: IpAddr, reply: Reply) -> Self {
        let address = SocketAddr::new(address, other.address.port());
        Self::at(address, move |_| reply.clone()).await
    }

    /// Gives each request the reply that `script` makes for it.
    pub async fn with(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script).await
    }

    async fn at(
        address: SocketAddr,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            once: Mutex::default(),
            script: Box::new(script),
            accept: Mutex::default(),
            seen: Mutex::default(),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind(address)
            .await
            .expect("a free port of this machine");
        let address = listener.local_addr().expect("a listener has an address");
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            task: Some(task),
        }
    }

    /// Says `then` to the next requests, one each, before the script is asked again.
    pub fn once(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.shared.once).extend(replies);
    }

    /// Sets what becomes of new connections.
    pub fn accepts(&self, accept: Accept) {
        *lock(&self.shared.accept) = accept;
    }

    /// Where it listens, or did until it was stopped.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL as an endpoint.
    pub fn endpoint(&self) -> prox::Endpoint {
        self.url().parse().expect("an address makes an endpoint")
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, in the order in which their heads came.
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// The last request.
    pub fn last(&self) -> Seen {
        lock(&self.shared.seen)
            .last()
            .cloned()
            .expect("a request had come to the origin")
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        lock(&self.shared.seen).len()
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(SeqCst)
    }

    /// Waits until so many requests have come.
    pub async fn reached(&self, count: usize) {
        eventually("requests at the origin", || self.count() >= count).await;
    }

    /// Waits until the other end has closed every connection.
    pub async fn left_alone(&self) {
        eventually("no open connection at the origin", || self.open() == 0).await;
    }

    /// Stops listening, and closes every connection at once.
    pub async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = within("the origin to stop", task).await;
        }
    }

    /// Listens again on the same port.
    pub fn restart(&mut self) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .set_reuseaddr(true)
            .expect("an option that every socket has");
        socket
            .bind(self.address)
            .expect("the port that was ours before");
        let listener = socket.listen(1024).expect("a bound socket can listen");
        self.task = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
    }

    /// Closes every open connection, as an upstream does whose keep-alive time is over, and goes on listening.
    pub async fn close_connections(&mut self) {
        self.stop().await;
        self.restart();
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // The connections end with this task, because the set does.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = shared.accepted.fetch_add(1, SeqCst);
        let open = Open::new(&shared);
        connections.spawn(async move {
            // What goes wrong on a connection is the other end's doing, and its test looks at that end.
            let _ = serve(stream, number, &open.0).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// A connection that is counted until this is dropped.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
    }
}

async fn serve(stream: TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mode = *lock(&shared.accept);
    match mode {
        Accept::Serve => {}
        Accept::Close => return Ok(()),
        Accept::Ignore => return std::future::pending().await,
    }
    let mut reader = Reader::new(stream);
    while let Some(head) = reader.head().await {
        let framing = head.request_framing();
        let seen = Seen {
            connection,
            head,
            body: Received::default(),
            filled: 0,
        };
        let index = {
            let mut all = lock(&shared.seen);
            all.push(seen.clone());
            all.len() - 1
        };
        let next = lock(&shared.once).pop_front();
        let reply = next.unwrap_or_else(|| (shared.script)(&seen));
        let read_first = (!reply.early).then_some(Step::ReadBody);
        for step in read_first.into_iter().chain(reply.steps) {
            match step {
                Step::ReadBody => {
                    let progress = |body: &Received| lock(&shared.seen)[index].body = body.clone();
                    reader.body(framing, progress).await;
                }
                Step::Write(bytes) => reader.stream().write_all(&bytes).await?,
                Step::Fill { length, chunked } => {
                    fill(reader.stream(), length, chunked, |filled| {
                        lock(&shared.seen)[index].filled = filled;
                    })
                    .await?;
                }
                Step::Pause(time) => tokio::time::sleep(time).await,
                Step::Wait(gate) => gate.passed().await,
                Step::Stall => {
                    reader.rest().await?;
                    return Ok(());
                }
                Step::HalfClose => reader.stream().shutdown().await?,
                Step::Close => return Ok(()),
                Step::Reset => return reader.into_stream().set_zero_linger(),
            }
        }
    }
    Ok(())
}

async fn fill(
    stream: &mut TcpStream,
    length: u64,
    chunked: bool,
    mut progress: impl FnMut(u64),
) -> io::Result<()> {
    let mut filled = 0;
    for block in Filler::new(length) {
        if chunked {
            stream
                .write_all(format!("{:x}\r\n", block.len()).as_bytes())
                .await?;
        }
        stream.write_all(&block).await?;
        if chunked {
            stream.write_all(b"\r\n").await?;
        }
        filled += block.len() as u64;
        progress(filled);
    }
    if chunked {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    Ok(())
}
