//! The process with the variables that Cloud Run sets.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

/// Ends with the test.
struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_listens_on_the_port_writes_lines_for_cloud_logging_and_ends_at_sigterm() {
    let child = Command::new(env!("CARGO_BIN_EXE_cloudrun"))
        .env_clear()
        // Any port that is free, which the first line says.
        .env("PORT", "0")
        .env("LOG_FORMAT", "gcp")
        .env("DRAIN_IDLE", "0s")
        .env("DRAIN_TIMEOUT", "8s")
        .stderr(Stdio::piped())
        .spawn()
        .expect("the gateway can be run");
    let mut gateway = Gateway(child);
    let mut lines = BufReader::new(gateway.0.stderr.take().expect("it is piped")).lines();
    let line = lines
        .by_ref()
        .map(|line| line.expect("a line"))
        // The demo says where it listens too.
        .find(|line| line.contains("listening") && line.contains("0.0.0.0:"))
        .expect("a line that says where it listens");
    assert!(line.contains("\"severity\":\"INFO\""), "{line}");
    let digits = line.split("0.0.0.0:").nth(1).expect("an address");
    let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
    let port: u16 = digits.parse().expect("a port");

    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream
        .write_all(b"GET /users/7 HTTP/1.1\r\nhost: shop.example.com\r\nconnection: close\r\n\r\n")
        .expect("it reads");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("it answers");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(
        response.contains("x-content-type-options: nosniff"),
        "{response}"
    );
    assert!(
        response.ends_with("the users: GET /users/7\n"),
        "{response}"
    );

    let id = gateway.0.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status();
    assert!(sent.expect("there is a `kill`").success());
    assert_eq!(gateway.0.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_service_without_its_variable_does_not_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_cloudrun"))
        .env_clear()
        .env("K_SERVICE", "shop")
        .output()
        .expect("the gateway can be run");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("USERS_URL is not set"), "{said}");
}
