//! Unix sockets, on both sides of a gateway.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use prox::{Client, Request, Server};
use prox_tests::{
    certs::Folder,
    client::head,
    gateway::Served,
    origin::{Origin, Reply},
    wait::{eventually, within},
    wire::Reader,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UnixListener, UnixStream},
    process::Command,
    sync::oneshot,
};

use crate::run::signal;

/// The status and the body of the answer to a `GET` through a socket.
pub(crate) async fn get(path: &Path, target: &str, lines: &str) -> (String, String) {
    let stream = within("a connection", UnixStream::connect(path)).await;
    let mut reader = Reader::new(stream.expect("the gateway accepts connections"));
    let request = head("GET", target, lines);
    reader
        .stream()
        .write_all(request.as_bytes())
        .await
        .expect("a request is taken");
    let head = within("a head", reader.head()).await.expect("a head");
    let body = within("a body", reader.body(head.response_framing("GET"), |_| {})).await;
    (head.word(1).to_owned(), body.text())
}

async fn who(req: Request) -> String {
    let client = req.extensions().get::<Arc<Client>>().expect("a client");
    let peer = client.peer().map(|peer| peer.ip().to_string());
    let ip = client.ip().map(|ip| ip.to_string());
    format!("{ip:?} {peer:?}")
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

#[tokio::test]
async fn a_server_listens_on_a_socket_and_removes_it() {
    let folder = Folder::new();
    let path = folder.path("prox.sock");
    let (stop, stopped) = oneshot::channel::<()>();
    let gateway = prox::gateway! { "/" => handler(who) };
    let server = Server::new(gateway)
        .unix(&path)
        .trusted_proxies(["unix:"])
        .shutdown(async { drop(stopped.await) });
    let task = tokio::spawn(server.serve());
    eventually("a socket", || is_socket(&path)).await;
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o660
    );
    assert_eq!(
        get(&path, "/", "").await,
        ("200".into(), "None None".into())
    );
    let (_, client) = get(&path, "/", "X-Forwarded-For: 203.0.113.7\r\n").await;
    assert_eq!(client, "Some(\"203.0.113.7\") None");
    stop.send(()).unwrap();
    within("the end", task).await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_and_a_port_may_serve_the_same() {
    let folder = Folder::new();
    let path = folder.path("prox.sock");
    let gateway = prox::gateway! { "/" => respond(200, "ok") };
    let served = Served::with(gateway, |server| server.unix(&path).unix_mode(0o600)).await;
    served.get("/").await.expect(200);
    assert_eq!(get(&path, "/", "").await.0, "200");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    served.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced_and_no_other_file() {
    let folder = Folder::new();
    let path = folder.path("prox.sock");
    let start = || {
        let gateway = prox::gateway! { "/" => respond(200, "ok") };
        Server::new(gateway)
            .unix(&path)
            .shutdown(std::future::pending())
            .serve()
    };
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(is_socket(&path), "it was left behind");
    let first = tokio::spawn(start());
    while UnixStream::connect(&path).await.is_err() {
        assert!(!first.is_finished());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Somebody listens there now.
    let error = within("an error", start()).await.unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    assert_eq!(get(&path, "/", "").await.0, "200");
    first.abort();
    let _ = first.await;

    fs::write(&path, "a file").unwrap();
    assert!(within("an error", start()).await.is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
}

#[tokio::test]
async fn the_socket_of_a_successor_is_not_removed() {
    let folder = Folder::new();
    let path = folder.path("prox.sock");
    let (stop, stopped) = oneshot::channel::<()>();
    let gateway = prox::gateway! { "/" => respond(200, "ok") };
    let server = Server::new(gateway)
        .unix(&path)
        .shutdown(async { drop(stopped.await) });
    let task = tokio::spawn(server.serve());
    eventually("a socket", || is_socket(&path)).await;
    fs::rename(&path, folder.path("old")).unwrap();
    let _successor = UnixListener::bind(&path).unwrap();
    stop.send(()).unwrap();
    within("the end", task).await.unwrap().unwrap();
    assert!(is_socket(&path));
}

#[tokio::test]
async fn a_directory_that_is_missing_is_one_readable_error() {
    let folder = Folder::new();
    let gateway = prox::gateway! { "/" => respond(200, "ok") };
    let error = Server::new(gateway)
        .unix(folder.path("no/prox.sock"))
        .serve()
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("its directory does not exist"),
        "{error}"
    );
}

#[tokio::test]
async fn several_workers_share_one_socket() {
    let folder = Folder::new();
    let path = folder.path("prox.sock");
    let origin = Origin::start(Reply::ok("ok")).await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_run_probe"))
        .env_clear()
        .env("UPSTREAM", origin.url())
        .env("HOST", format!("unix:{}", path.display()))
        .env("TRUSTED_PROXIES", "unix:, 10.0.0.0/8")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the probe can be run");
    eventually("a socket", || is_socket(&path)).await;
    for _ in 0..50 {
        let (status, _) = get(&path, "/", "X-Forwarded-For: 203.0.113.7, 10.0.0.3\r\n").await;
        assert_eq!(status, "200");
        assert_eq!(
            origin.last().field("x-forwarded-for"),
            Some("203.0.113.7, 10.0.0.3")
        );
    }
    signal(&child, "TERM").await;
    let status = within("the end", child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_wrong_proxy_in_the_environment_is_one_readable_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_run_probe"))
        .env_clear()
        .envs([
            ("UPSTREAM", "http://127.0.0.1:9"),
            ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ])
        .kill_on_drop(true)
        .output();
    let output = within("the end", output).await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("TRUSTED_PROXIES: \"10.0.0.1/8\"") && error.contains("write \"10.0.0.0/8\""),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
}

/// Lets an origin be reached through a socket.
fn relay(path: &Path, origin: &Origin) {
    let listener = UnixListener::bind(path).expect("a path that is free");
    let address = origin.address();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut to = TcpStream::connect(address).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut to).await
            });
        }
    });
}

#[tokio::test]
async fn an_upstream_may_be_a_socket() {
    let folder = Folder::new();
    let path = folder.path("prox.sock");
    let origin = Origin::start(Reply::ok("ok")).await;
    relay(&path, &origin);
    let (plain, kept) = (
        format!("unix:{}", path.display()),
        format!("unix:{}:/base", path.display()),
    );
    let gateway = Served::start(prox::gateway! {
        "/" => cluster(rr, [plain]),
        "/kept" => cluster(rr, [kept]).preserve_host(),
    })
    .await;
    let mut client = gateway.client().await;
    client.get("/a?b").await.expect(200);
    let seen = origin.last();
    assert_eq!(
        (seen.target(), seen.field("host")),
        ("/a?b", Some("localhost"))
    );
    assert_eq!(seen.field("x-forwarded-host"), Some("gateway.test"));
    client.get("/again").await.expect(200);
    assert_eq!(origin.accepted(), 1, "the connection is kept");
    client.get("/kept/a").await.expect(200);
    let seen = origin.last();
    assert_eq!(
        (seen.target(), seen.field("host")),
        ("/base/kept/a", Some("gateway.test"))
    );
}

#[tokio::test]
async fn a_socket_on_which_nobody_listens_is_a_502() {
    let folder = Folder::new();
    let none = format!("unix:{}", folder.path("prox.sock").display());
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [none]) }).await;
    gateway.get("/").await.expect(502);
    drop(std::os::unix::net::UnixListener::bind(folder.path("prox.sock")).unwrap());
    gateway.get("/").await.expect(502);
}
