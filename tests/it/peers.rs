//! Other proxies, held to the same tables as Prox: what `docs/conformance.md` says of them comes from here.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use prox_tests::{gateway::Served, origin::Origin, wait::eventually};

use crate::{
    http1_conformance::{self, Probe, Verdict},
    http2_conformance,
};

/// A proxy in a process of its own, which ends with this.
struct Peer {
    name: &'static str,
    http1: SocketAddr,
    http2: SocketAddr,
    process: Child,
    folder: PathBuf,
}

impl Peer {
    /// Starts a proxy with what `configuration` says for two addresses; none if it is not installed.
    async fn start(
        name: &'static str,
        arguments: &[&str],
        configuration: impl FnOnce(SocketAddr, SocketAddr, &Path) -> String,
    ) -> Option<Self> {
        let free = || TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let [http1, http2] = [free(), free()].map(|address| address.expect("a free port"));
        let folder = std::env::temp_dir().join(format!("prox-{name}-{}", http1.port()));
        fs::create_dir_all(&folder).expect("a folder for the configuration");
        let file = folder.join("configuration");
        fs::write(&file, configuration(http1, http2, &folder)).expect("a configuration");
        let process = Command::new(name)
            .args(arguments)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            println!("{name} is not installed");
            return None;
        };
        let peer = Self {
            name,
            http1,
            http2,
            process,
            folder,
        };
        eventually("the proxy to listen", || {
            std::net::TcpStream::connect(peer.http1).is_ok()
        })
        .await;
        Some(peer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Whatever has ended by itself need not be ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn nginx(origin: SocketAddr) -> Option<Peer> {
    Peer::start("nginx", &["-c"], |http1, http2, folder| {
        let folder = folder.display();
        format!(
            "daemon off; master_process off; pid {folder}/pid; error_log {folder}/log crit;
            events {{ worker_connections 512; }}
            http {{
                access_log off;
                client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
                fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
                server {{
                    listen {http1}; listen {http2} http2;
                    location / {{
                        proxy_pass http://{origin}; proxy_http_version 1.1; proxy_request_buffering off;
                        proxy_set_header Connection \"\"; proxy_set_header Host $http_host;
                    }}
                }}
            }}"
        )
    })
    .await
}

async fn haproxy(origin: SocketAddr) -> Option<Peer> {
    Peer::start("haproxy", &["-db", "-f"], |http1, http2, _| {
        format!(
            "global\n maxconn 512\ndefaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
             frontend clients\n bind {http1}\n bind {http2} proto h2\n default_backend origin\n\
             backend origin\n server origin {origin}\n"
        )
    })
    .await
}

async fn caddy(origin: SocketAddr) -> Option<Peer> {
    let arguments = ["run", "--adapter", "caddyfile", "--config"];
    let peer = Peer::start("caddy", &arguments, |http1, _, _| {
        format!(
            "{{\n admin off\n auto_https off\n servers {{\n protocols h1 h2c\n }}\n}}\n\
             http://:{} {{\n bind 127.0.0.1\n reverse_proxy {origin}\n}}\n",
            http1.port()
        )
    })
    .await;
    // Both protocols on one port.
    peer.map(|mut peer| {
        peer.http2 = peer.http1;
        peer
    })
}

/// One line of the table, and the cases that did not go as they should.
async fn judge(name: &str, http1: SocketAddr, http2: SocketAddr, origin: &Origin) -> String {
    let mut line = format!("| {name} |");
    for probes in [http1_conformance::framing(), http1_conformance::targets()] {
        line += &requests(name, http1, &probes, origin).await;
    }
    let (all, passed, exact, failed) = http2_conformance::judge(http2).await;
    for case in &failed {
        println!("{name}, HTTP/2: {case}");
    }
    line + &format!(" {} of {all} | {} |\n", all - passed, passed - exact)
}

async fn requests(name: &str, address: SocketAddr, probes: &[Probe], origin: &Origin) -> String {
    let mut counts = [0; 3];
    for probe in probes {
        let before = origin.count();
        let outcome = probe.run(address, origin, Duration::from_secs(1)).await;
        let smuggled = origin.requests()[before..]
            .iter()
            .any(|seen| seen.target() == "/smuggled");
        let count = match probe.judge(&outcome, smuggled) {
            Verdict::Passed => continue,
            Verdict::Taken => &mut counts[0],
            Verdict::Refused => &mut counts[1],
            Verdict::Smuggled => &mut counts[2],
        };
        *count += 1;
        println!(
            "{name}, {:?}: {}: {outcome:?}",
            probe.judge(&outcome, smuggled),
            probe.about
        );
    }
    let [taken, refused, smuggled] = counts;
    format!(" {taken} + {refused} + {smuggled} of {} |", probes.len())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "holds nginx, HAProxy and Caddy, where they are installed, to the tables: `just conformance`"]
async fn other_proxies_are_held_to_the_same_tables() {
    let origin = http1_conformance::origin().await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let prox = gateway.address();
    let mut table = judge("Prox", prox, prox, &origin).await;
    for peer in [
        nginx(origin.address()).await,
        haproxy(origin.address()).await,
        caddy(origin.address()).await,
    ]
    .into_iter()
    .flatten()
    {
        table += &judge(peer.name, peer.http1, peer.http2, &origin).await;
    }
    println!(
        "\n| | framing: taken + refused + smuggled | targets, hosts, bodies | HTTP/2: failed | another code |"
    );
    println!("|---|---|---|---|---|\n{table}");
    assert!(table.starts_with("| Prox | 0 + 0 + 0 of"), "{table}");
}
