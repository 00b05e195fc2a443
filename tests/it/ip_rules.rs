//! `IpRules`: who may enter by address, and which address counts.

use prox::middleware::IpRules;
use prox_tests::{client::head, gateway::Served};

use crate::{cors::SPEAKS, cors::send, trusted::client_at};

#[tokio::test]
async fn the_address_of_the_connection_counts_and_claims_do_not() {
    let gateway = Served::start(prox::gateway! {
        "/allowed" => respond(200, "inside") with [IpRules::allow(["127.0.0.7", "203.0.113.0/24"])],
        "/denied" => respond(200, "inside") with [IpRules::deny(["127.0.0.7"])],
    })
    .await;
    for (last, allowed, denied) in [(7, 200, 403), (8, 403, 200)] {
        let mut client = client_at(last, gateway.address()).await;
        for (target, status) in [("/allowed", allowed), ("/denied", denied)] {
            for claims in [
                "",
                "X-Forwarded-For: 203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\n",
            ] {
                client.send(head("GET", target, claims)).await;
                client.response("GET").await.expect(status);
            }
        }
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_counts() {
    let gateway = prox::gateway! {
        with [IpRules::deny(["203.0.113.66"])];
        "/" => respond(200, "inside") with [IpRules::allow(["203.0.113.0/24", "2001:db8::/32"])],
    };
    let gateway = Served::with(gateway, |server| server.trusted_proxies(["127.0.0.1"])).await;
    for speaks in SPEAKS {
        for (client, status) in [
            ("203.0.113.7", 200),
            ("::ffff:203.0.113.7", 200),
            ("2001:db8::1", 200),
            ("203.0.113.66", 403),
            ("::ffff:203.0.113.66", 403),
            ("198.51.100.1", 403),
            ("203.0.113.7, 198.51.100.1", 403),
            // It says nothing, so it is the client itself.
            ("", 403),
        ] {
            let fields = [("x-forwarded-for", client)];
            let answer = send(speaks, &gateway, "GET", "/", &fields).await;
            assert_eq!(answer.status(), status, "{speaks:?} {client:?}");
        }
        let fields = [
            ("content-type", "application/grpc"),
            ("x-forwarded-for", "198.51.100.1"),
        ];
        let answer = send(speaks, &gateway, "POST", "/", &fields).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["grpc-status"], "7");
    }
}

#[tokio::test]
async fn a_client_of_a_unix_socket_has_no_address_and_is_refused() {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixStream,
    };
    let folder = std::env::temp_dir().join(format!("prox-ip-rules-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("s");
    let gateway = prox::gateway! {
        "/allowed" => respond(200, "inside") with [IpRules::allow(["0.0.0.0/0", "::/0"])],
        "/denied" => respond(200, "inside") with [IpRules::deny(["203.0.113.7"])],
        "/" => respond(200, "inside"),
    };
    let served = Served::with(gateway, |server| server.unix(&path)).await;
    for (target, status) in [("/", "200"), ("/allowed", "403"), ("/denied", "403")] {
        served.get("/").await.expect(200);
        let mut stream = UnixStream::connect(&path).await.expect("it listens");
        let request = head("GET", target, "Connection: close\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .await
            .expect("it answers");
        assert_eq!(answer.split(' ').nth(1), Some(status), "{target}: {answer}");
    }
    served.stop().await;
    std::fs::remove_dir_all(&folder).expect("its own folder");
}

#[test]
fn every_wrong_network_of_every_layer_is_said_at_once() {
    let gateway = prox::gateway! {
        with [IpRules::deny(["10.0.0.1/8"])];
        "/a" => respond(200, "a") with [IpRules::allow(["lan", "10.0.0.0/33"])],
        "/b" => respond(200, "b") with [IpRules::allow([""; 0])],
    };
    let error = gateway.expect_err("it cannot start").to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 4, "{error}");
    for (line, start) in lines.iter().zip([
        "`IpRules::deny`: \"10.0.0.1/8\" is not a network: bits are set behind its prefix, write \"10.0.0.0/8\"",
        "route `/a`: `IpRules::allow`: \"lan\" is not a network",
        "route `/a`: `IpRules::allow`: \"10.0.0.0/33\" is not a network",
        "route `/b`: `IpRules::allow`: an empty list lets nobody in",
    ]) {
        assert!(line.starts_with(start), "{error}");
    }
}
