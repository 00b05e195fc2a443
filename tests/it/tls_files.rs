//! The files of TLS: what is wrong with them at the start, and what happens when they change.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use prox::{ClientAuth, Server, Tls};
use prox_tests::{
    certs::{Authority, Folder, Issued, Names},
    gateway::Served,
    secure::Dial,
    wait::{PATIENCE, eventually},
};
use tokio::time::Instant;

/// How often the files are looked at here.
const OFTEN: Duration = Duration::from_millis(20);

fn hello() -> prox::Result<prox::Gateway> {
    prox::gateway! { "/" => respond(200, "hello") }
}

/// What a server says of these files, one line each; the folder is left out.
fn problems(folder: &Folder, tls: Tls) -> Vec<String> {
    let error = Server::new(hello())
        .address(([127, 0, 0, 1], 0).into())
        .tls(tls)
        .check()
        .expect_err("files that are no good");
    assert!(error.is_config());
    let folder = format!("{}/", folder.path("").display()).replace("//", "/");
    let text = error.to_string().replace(&folder, "");
    text.lines().map(str::to_owned).collect()
}

fn write(folder: &Folder, name: &str, issued: &Issued) -> Tls {
    let certificate = folder.write(&format!("{name}.pem"), &issued.certificate);
    Tls::pem(
        certificate,
        folder.write(&format!("{name}.key"), &issued.key),
    )
}

#[test]
fn every_problem_with_every_file_is_said_at_once() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    let issued = authority.issue(&["shop.test"]);
    let other = authority.issue(&["other.test"]);
    let certificate = folder.write("shop.pem", &issued.certificate);
    let key = folder.write("shop.key", &issued.key);
    let broken = issued.certificate.replace('M', "?");
    let encrypted = issued.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let tls = Tls::pem(folder.path("missing.pem"), folder.path("missing.key"))
        .certificate(certificate.as_path(), folder.write("other.key", &other.key))
        .certificate(&key, &certificate)
        .certificate(folder.write("empty.pem", " \n"), &key)
        .certificate(folder.write("text.pem", "hello"), &key)
        .certificate(folder.write("binary.pem", b"\x30\x82\x01"), &key)
        .certificate(folder.write("broken.pem", broken), &key)
        .certificate(&certificate, folder.write("encrypted.key", encrypted))
        .certificate(&certificate, folder.write("no.key", no_key))
        .certificate(folder.write("no.pem", no_certificate), &key)
        .certificate(folder.path(""), &key)
        .client_auth(ClientAuth::required(folder.write("ca.pem", "")));
    let told = problems(&folder, tls);
    assert_eq!(
        told,
        [
            "tls: missing.pem cannot be read as a certificate: No such file or directory (os error 2): name a file that is there",
            "tls: missing.key cannot be read as a private key: No such file or directory (os error 2): name a file that is there",
            "tls: other.key is not the key of shop.pem: give the two that were made together, with the server's own certificate first in its file",
            "tls: shop.key has no certificate in it: it holds a private key: were the two files exchanged?",
            "tls: shop.pem has no private key in it: it holds a certificate: were the two files exchanged?",
            "tls: empty.pem has no certificate in it: it is empty",
            "tls: text.pem has no certificate in it: expected a line `-----BEGIN CERTIFICATE-----`",
            "tls: binary.pem has no certificate in it: it looks like DER: convert it, with `openssl x509 -inform der` or `openssl pkey -inform der`",
            "tls: broken.pem is broken: base64 decode error: InvalidCharacter(63)",
            "tls: encrypted.key is encrypted, and there is nobody to ask for its password: write it without, with `openssl pkey -in key.pem -out plain.pem`",
            "tls: no.key cannot be used: unexpected error: failed to parse private key as RSA, ECDSA, or EdDSA; an RSA key of 2048 to 8192 bits, an ECDSA key (P-256, P-384) or an Ed25519 key can",
            "tls: no.pem cannot be read: it is no X.509 certificate",
            "tls:  cannot be read as a certificate: Is a directory (os error 21)",
            "tls: ca.pem has no certificate in it: it is empty",
        ],
        "{told:#?}"
    );
}

#[test]
fn what_is_wrong_with_the_gateway_is_said_beside_it() {
    let gateway: prox::Result<prox::Gateway> =
        prox::gateway! { "/" => cluster(rr, [String::from("ftp://a")]) };
    let error = Server::new(gateway)
        .address(([127, 0, 0, 1], 0).into())
        .tls(Tls::from_pem_bytes("", ""))
        .check()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("ftp://a") && error.contains("tls: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_out_of_date_is_found_by_the_check_and_served_all_the_same() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    let old = write(
        &folder,
        "old",
        &authority.issue_with(Names {
            common_name: None,
            alternatives: vec!["shop.test"],
            expired: true,
        }),
    );
    assert_eq!(
        problems(&folder, old.clone()),
        ["tls: old.pem has expired on 2002-01-31 00:00:00 UTC: renew it"]
    );
    let served = Served::with(hello(), |server| server.tls(old)).await;
    let error = Dial::new(&authority, "shop.test")
        .connect(served.address())
        .await
        .unwrap_err();
    // The client finds it, which shows that it was there.
    assert!(error.to_string().contains("expired"), "{error}");
}

/// Connects until the server shows this certificate.
async fn until_shown(dial: &Dial, served: &Served, issued: &Issued) {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut client = dial.connect(served.address()).await.expect("a handshake");
        client.get("shop.test", "/").await.expect(200);
        if client.was_shown(issued) {
            return;
        }
        assert!(Instant::now() < end, "the new certificate is not shown");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_no_request_fails_meanwhile() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    let first = authority.issue(&["shop.test"]);
    let tls = write(&folder, "shop", &first).reload_interval(OFTEN);
    let served = Served::with(hello(), |server| server.tls(tls)).await;
    let dial = Dial::new(&authority, "shop.test");
    let mut kept = dial.connect(served.address()).await.unwrap();
    kept.get("shop.test", "/").await.expect(200);

    let (stop, requests) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (dial, stop, requests) = (dial.clone(), Arc::clone(&stop), Arc::clone(&requests));
            let address = served.address();
            tokio::spawn(async move {
                // Sessions are resumed, across the change of certificates as well.
                let config = dial.config();
                while !stop.load(SeqCst) {
                    let connected = dial.connect_with(Arc::clone(&config), address).await;
                    let mut client = connected.expect("no handshake fails");
                    for _ in 0..3 {
                        client.get("shop.test", "/").await.expect(200);
                        requests.fetch_add(1, SeqCst);
                    }
                }
            })
        })
        .collect();
    let mut last = first;
    for _ in 0..5 {
        last = authority.issue(&["shop.test"]);
        // For a moment the key is not that of the certificate.
        folder.write("shop.pem", &last.certificate);
        tokio::time::sleep(OFTEN * 2).await;
        folder.write("shop.key", &last.key);
        until_shown(&dial, &served, &last).await;
    }
    stop.store(true, SeqCst);
    for task in load {
        task.await.expect("no request failed");
    }
    assert!(requests.load(SeqCst) > 20);
    // A connection from before goes on.
    assert!(!kept.was_shown(&last));
    kept.get("shop.test", "/").await.expect(200);
    served.stop().await;
}

#[tokio::test]
async fn a_bad_file_leaves_the_old_certificate_in_place() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    let first = authority.issue(&["shop.test"]);
    let tls = write(&folder, "shop", &first).reload_interval(OFTEN);
    let served = Served::with(hello(), |server| server.tls(tls)).await;
    let dial = Dial::new(&authority, "shop.test");
    until_shown(&dial, &served, &first).await;
    folder.write("shop.pem", "nonsense");
    std::fs::remove_file(folder.path("shop.key")).unwrap();
    for _ in 0..5 {
        tokio::time::sleep(OFTEN).await;
        let mut client = dial.connect(served.address()).await.unwrap();
        assert!(client.was_shown(&first));
        client.get("shop.test", "/").await.expect(200);
    }
    let second = authority.issue(&["shop.test"]);
    folder.write("shop.pem", &second.certificate);
    folder.write("shop.key", &second.key);
    until_shown(&dial, &served, &second).await;
}

#[tokio::test]
async fn whoever_was_trusted_by_roots_that_were_replaced_is_not_trusted_any_more() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let roots = folder.write("clients.pem", before.pem());
    let tls = write(&folder, "shop", &authority.issue(&["shop.test"]))
        .client_auth(ClientAuth::required(roots))
        .reload_interval(OFTEN);
    let served = Served::with(hello(), |server| server.tls(tls)).await;
    let dial = Dial::new(&authority, "shop.test");
    let old = dial.clone().identity(&before.issue(&["spiffe://shop/old"]));
    let new = dial.clone().identity(&after.issue(&["spiffe://shop/new"]));
    // With a session that could be resumed.
    let config = old.config();
    let mut client = old
        .connect_with(Arc::clone(&config), served.address())
        .await
        .unwrap();
    client.get("shop.test", "/").await.expect(200);

    folder.write("clients.pem", after.pem());
    let end = Instant::now() + PATIENCE;
    loop {
        let mut client = new.connect(served.address()).await.unwrap();
        if client.get("shop.test", "/").await.status == 200 {
            break;
        }
        assert!(Instant::now() < end, "the new roots are not used");
    }
    let mut client = old.connect_with(config, served.address()).await.unwrap();
    assert!(!client.resumed);
    assert_eq!(client.get("shop.test", "/").await.status, 0);
}

#[tokio::test]
async fn nobody_looks_at_the_files_when_the_server_has_ended() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    let tls = write(&folder, "shop", &authority.issue(&["shop.test"])).reload_interval(OFTEN);
    let served = Served::with(hello(), |server| server.tls(tls)).await;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    // The server, the work of its gateway beside the requests, and the look at the files.
    eventually("the three tasks", || tasks() == 3).await;
    served.stop().await;
    eventually("the end of all tasks", || tasks() == 0).await;
    assert!(Path::new(&folder.path("shop.pem")).exists());
}
