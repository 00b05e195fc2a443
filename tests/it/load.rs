//! Clients of each kind under load, which go on until a test ends them or nothing listens any more.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use prox_tests::{
    client::{HyperClient, RawClient, Speaks, head, read, text},
    origin::{Origin, Reply},
    wait::{eventually, within},
    wire::Reader,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::upgrades::{SWITCHED, WEBSOCKET};

/// An upstream that answers slowly, takes uploads, and echoes what comes through a tunnel.
pub(crate) async fn upstream() -> (Origin, SocketAddr, JoinHandle<()>) {
    let origin = Origin::with(|seen| match seen.target() {
        "/slow" => {
            let mut reply = Reply::new().head(200, &[], "Content-Length: 400");
            for _ in 0..40 {
                reply = reply.write("0123456789").pause(Duration::from_millis(20));
            }
            reply
        }
        _ => Reply::ok("ok"),
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    (origin, address, task)
}

async fn echo(stream: TcpStream) {
    let mut reader = Reader::new(stream);
    if reader.head().await.is_none() {
        return;
    }
    let stream = reader.stream();
    let mut piece = [0; 64];
    if stream.write_all(SWITCHED.as_bytes()).await.is_err() {
        return;
    }
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        if stream.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
}

/// Whether a request of HTTP/2 was not sent, or came behind the last stream of a `GOAWAY`: clients send it again (RFC 9113, 6.8).
fn was_not_heard(error: &hyper::Error) -> bool {
    let told = format!("{error:?}");
    error.is_canceled() || error.is_closed() || told.contains("GoAway(b\"\", NO_ERROR, Remote)")
}

/// A connection of its own; nothing if nothing listens there any more.
async fn connect(address: SocketAddr) -> Option<RawClient> {
    TcpStream::connect(address).await.ok().map(RawClient::of)
}

/// The connection that was kept, or another one; nothing if nothing listens there any more.
async fn open(kept: &mut Option<RawClient>, address: SocketAddr) -> Option<RawClient> {
    match kept.take() {
        Some(client) => Some(client),
        None => connect(address).await,
    }
}

/// Clients of each kind, which count what they get. A client that gets anything else panics, and with it the test.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<(&'static str, Arc<AtomicUsize>, JoinHandle<()>)>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr, tunnels: SocketAddr) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            clients: Vec::new(),
        };
        load.add("keep-alive", move |stop, count| async move {
            let mut kept = None;
            while !stop.load(SeqCst) {
                let Some(mut client) = open(&mut kept, address).await else {
                    return;
                };
                let answer = client.get("/").await.expect(200);
                kept = (!answer.closes()).then_some(client);
                count.fetch_add(1, SeqCst);
            }
        });
        load.add("one-shot", move |stop, count| async move {
            while !stop.load(SeqCst) {
                let Some(mut client) = connect(address).await else {
                    return;
                };
                client.send(head("GET", "/", "Connection: close\r\n")).await;
                client.response("GET").await.expect(200);
                count.fetch_add(1, SeqCst);
            }
        });
        load.add("http2", move |stop, count| async move {
            let mut client = None;
            while !stop.load(SeqCst) {
                let mut http = match client.take() {
                    Some(client) => client,
                    None if connect(address).await.is_none() => return,
                    None => HyperClient::speaking(Speaks::Http2, address).await,
                };
                let request = Speaks::Http2.request("/").body(text(""));
                match http.send(request.expect("a request")).await {
                    Ok(answer) => {
                        assert_eq!(
                            (answer.status().as_u16(), read(answer).await.as_str()),
                            (200, "ok")
                        );
                        count.fetch_add(1, SeqCst);
                        client = Some(http);
                    }
                    Err(error) if was_not_heard(&error) => {}
                    Err(error) => panic!("a request of HTTP/2 failed: {error:?}"),
                }
            }
        });
        load.add("upload", move |stop, count| async move {
            let mut kept = None;
            while !stop.load(SeqCst) {
                let Some(mut client) = open(&mut kept, address).await else {
                    return;
                };
                client
                    .send(head("POST", "/", "Content-Length: 200\r\n"))
                    .await;
                for _ in 0..20 {
                    client.send("0123456789").await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let answer = client.response("POST").await.expect(200);
                kept = (!answer.closes()).then_some(client);
                count.fetch_add(1, SeqCst);
            }
        });
        load.add("download", move |stop, count| async move {
            let mut kept = None;
            while !stop.load(SeqCst) {
                let Some(mut client) = open(&mut kept, address).await else {
                    return;
                };
                let answer = client.get("/slow").await.expect(200);
                assert_eq!(answer.text().len(), 400);
                kept = (!answer.closes()).then_some(client);
                count.fetch_add(1, SeqCst);
            }
        });
        load.add("tunnel", move |stop, count| async move {
            // One tunnel for all of the time.
            let mut client = RawClient::connect(tunnels).await;
            client.send(head("GET", "/chat", WEBSOCKET)).await;
            assert_eq!(client.response_head().await.status, 101);
            let (mut reader, mut writer) = client.into_halves();
            while !stop.load(SeqCst) {
                writer.write_all(b"ping").await.expect("an open tunnel");
                let mut answer = [0; 4];
                let read = reader.stream().read_exact(&mut answer);
                within("an echo", read).await.expect("an open tunnel");
                assert_eq!(&answer, b"ping");
                count.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        load
    }

    fn add<F>(
        &mut self,
        name: &'static str,
        client: impl FnOnce(Arc<AtomicBool>, Arc<AtomicUsize>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let count = Arc::<AtomicUsize>::default();
        let task = tokio::spawn(client(Arc::clone(&self.stop), Arc::clone(&count)));
        self.clients.push((name, count, task));
    }

    /// Without the clients of this kind, which are left alone.
    pub(crate) fn without(mut self, kind: &str) -> Self {
        self.clients.retain(|(name, _, task)| {
            if *name == kind {
                task.abort();
            }
            *name != kind
        });
        self
    }

    /// Waits until each kind of client has got `more` answers.
    pub(crate) async fn goes_on(&self, more: usize) {
        for (name, ..) in &self.clients {
            self.has(name, more).await;
        }
    }

    /// Waits until the clients of one kind have got `more` answers.
    pub(crate) async fn has(&self, kind: &str, more: usize) {
        let found = self.clients.iter().find(|(name, ..)| *name == kind);
        let (name, count, task) = found.expect("there are such clients");
        let before = count.load(SeqCst);
        eventually(name, || {
            task.is_finished() || count.load(SeqCst) >= before + more
        })
        .await;
        assert!(!task.is_finished(), "{name} has failed");
    }

    /// Waits until nothing listens for any client but those of this kind.
    pub(crate) async fn ends_but_for(&self, kind: &str) {
        for (name, _, task) in self.clients.iter().filter(|(name, ..)| *name != kind) {
            eventually(name, || task.is_finished()).await;
        }
    }

    /// Ends all of them. None has failed.
    pub(crate) async fn end(self) {
        self.stop.store(true, SeqCst);
        for (name, count, task) in self.clients {
            let ended = within(name, task).await;
            assert!(ended.is_ok(), "{name} has failed");
            assert!(count.load(SeqCst) > 0, "{name}");
        }
    }
}
