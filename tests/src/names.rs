//! A name server in the test's own process, which answers what it is told over UDP (RFC 1035).

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{net::UdpSocket, task::JoinHandle};

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const IN: u16 = 1;

const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// A name server on a port of its own. It stops when it is dropped.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    zone: HashMap<String, Vec<Entry>>,
    broken: bool,
    asked: HashMap<String, usize>,
}

/// One record.
#[derive(Clone, Debug)]
struct Entry {
    kind: u16,
    ttl: u32,
    data: Vec<u8>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl NameServer {
    /// A server that knows no name.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("a socket has an address");
        let shared = Arc::default();
        let task = tokio::spawn(serve(socket, Arc::clone(&shared)));
        Self {
            address,
            shared,
            task,
        }
    }

    /// Where it is asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives a name these addresses, in the place of all that it had.
    pub fn addresses(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let entry = |address: &&str| match address.parse().expect("an address") {
            IpAddr::V4(address) => Entry {
                kind: A,
                ttl,
                data: address.octets().to_vec(),
            },
            IpAddr::V6(address) => Entry {
                kind: AAAA,
                ttl,
                data: address.octets().to_vec(),
            },
        };
        let entries = addresses.iter().map(entry).collect();
        lock(&self.shared).zone.insert(name.to_owned(), entries);
    }

    /// Gives a service these places, as priority, weight, port and target, in the place of all that it had.
    pub fn services(&self, name: &str, ttl: u32, places: &[(u16, u16, u16, &str)]) {
        let entry = |&(priority, weight, port, target): &(u16, u16, u16, &str)| {
            let mut data = Vec::new();
            for number in [priority, weight, port] {
                data.extend(number.to_be_bytes());
            }
            data.extend(labels(target));
            Entry {
                kind: SRV,
                ttl,
                data,
            }
        };
        let entries = places.iter().map(entry).collect();
        lock(&self.shared).zone.insert(name.to_owned(), entries);
    }

    /// Forgets a name.
    pub fn forget(&self, name: &str) {
        lock(&self.shared).zone.remove(name);
    }

    /// Answers every question with a failure, or no longer.
    pub fn break_down(&self, broken: bool) {
        lock(&self.shared).broken = broken;
    }

    /// How often it was asked for a name, of any kind.
    pub fn asked(&self, name: &str) -> usize {
        lock(&self.shared).asked.get(name).copied().unwrap_or(0)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, shared: Arc<Mutex<Shared>>) {
    let mut question = [0; 1500];
    while let Ok((length, client)) = socket.recv_from(&mut question).await {
        let answer = answer(&question[..length], &mut lock(&shared));
        if let Some(answer) = answer {
            // Who asked asks again.
            let _ = socket.send_to(&answer, client).await;
        }
    }
}

/// The answer to the one question in a message.
fn answer(message: &[u8], shared: &mut Shared) -> Option<Vec<u8>> {
    let (id, mut rest) = (message.get(..2)?, message.get(12..)?);
    let mut name: Vec<String> = Vec::new();
    loop {
        let (&length, behind) = rest.split_first()?;
        if length == 0 {
            rest = behind;
            break;
        }
        let (label, behind) = behind.split_at_checked(length.into())?;
        name.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        rest = behind;
    }
    let name = name.join(".");
    let kind = u16::from_be_bytes(*rest.first_chunk()?);
    *shared.asked.entry(name.clone()).or_default() += 1;
    let known = shared.zone.get(&name).filter(|_| !shared.broken);
    let code = match known {
        _ if shared.broken => SERVFAIL,
        None => NXDOMAIN,
        Some(_) => 0,
    };
    let entries: Vec<&Entry> = known
        .into_iter()
        .flatten()
        .filter(|one| one.kind == kind)
        .collect();
    let count = u16::try_from(entries.len()).ok()?;
    let mut answer = id.to_vec();
    // A response, with recursion desired and available.
    answer.extend([0x81, 0x80 | code, 0, 1]);
    answer.extend(count.to_be_bytes());
    answer.extend([0; 4]);
    answer.extend(labels(&name));
    answer.extend(kind.to_be_bytes());
    answer.extend(IN.to_be_bytes());
    for entry in entries {
        // The name of the question, which stands behind the head.
        answer.extend([0xc0, 12]);
        answer.extend(entry.kind.to_be_bytes());
        answer.extend(IN.to_be_bytes());
        answer.extend(entry.ttl.to_be_bytes());
        answer.extend(u16::try_from(entry.data.len()).ok()?.to_be_bytes());
        answer.extend(&entry.data);
    }
    Some(answer)
}

/// A name as it is sent.
fn labels(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).expect("a label is short"));
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}
