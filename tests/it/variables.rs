//! Variables that are given in code, and those that a gateway and its server both read.

use std::net::SocketAddr;

use prox::{Embed, Env, IntoGateway, Server};
use prox_tests::{
    client::RawClient,
    origin::{Origin, Reply},
    ports::free_port,
    wait::{eventually, within},
};

prox::gateway! {
    struct Shop { greeting: &'static str }

    env USERS_URL: Endpoint;
    env RATE: u32 = 100;
    env WAIT: Option<Duration>;

    "/" => cluster(rr, [USERS_URL]),
    "/told" => respond(200, format!("{greeting} {RATE} {WAIT:?}")),
}

mod at_port {
    prox::gateway! {
        pub struct Port;

        env PORT: u32 = 70_000;

        "/" => respond(200, PORT.to_string()),
    }
}

mod computed {
    prox::gateway! {
        pub struct Computed;

        env PORT: u16 = super::somewhere();
        env HOST: Option<String>;

        "/" => respond(200, format!("{PORT} {HOST:?}")),
    }
}

fn somewhere() -> u16 {
    4000
}

#[tokio::test]
async fn variables_are_given_without_the_environment_of_the_process() {
    let origin = Origin::start(Reply::ok("from the origin")).await;
    let port = free_port();
    let shop = Shop::with_env(
        [
            ("USERS_URL", origin.url()),
            ("WAIT", "5s".into()),
            ("HOST", "127.0.0.1".into()),
            ("PORT", port.to_string()),
        ],
        "hello",
    );
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let server = Server::new(shop).shutdown(async { drop(ended.await) });
    let task = tokio::spawn(server.serve());
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    eventually("the gateway to listen", || {
        std::net::TcpStream::connect(address).is_ok()
    })
    .await;
    let mut client = RawClient::connect(address).await;
    assert_eq!(client.get("/").await.text(), "from the origin");
    assert_eq!(client.get("/told").await.text(), "hello 100 Some(5s)");
    drop(client);
    end.send(()).expect("the server is running");
    let ending = within("the server to end", task).await;
    ending.expect("it does not panic").expect("it served");
}

#[test]
fn what_is_wrong_with_given_variables_is_said_at_once() {
    let error = Shop::with_env([("RATE", "ten"), ("RAET", "5")], "").unwrap_err();
    let error = error.to_string();
    for part in [
        "USERS_URL is not set",
        "RATE is \"ten\"",
        "RAET is given in code, but the gateway has no `env RAET`: it reads USERS_URL, RATE, WAIT",
    ] {
        assert!(error.contains(part), "{part:?} is missing:\n{error}");
    }
}

#[test]
fn a_gateway_without_a_name_is_made_within_an_environment() {
    let gateway = || {
        prox::gateway! {
            env RATE: u32 = 100;
            "/" => respond(200, RATE.to_string()),
        }
    };
    let env = Env::from([("RATE", "ten")]);
    let error = env.within(gateway).unwrap_err().to_string();
    assert!(error.contains("RATE is \"ten\""), "{error}");
    assert!(gateway().is_ok());
    // Several gateways can share an environment, so none of them is asked to read all of it.
    assert!(env.set("RATE", 5).set("OTHER", 1).within(gateway).is_ok());
}

/// Checks a server of `gateway`.
fn check(gateway: impl IntoGateway) -> String {
    match Server::new(gateway).check() {
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_server_reads_the_environment_of_its_gateway() {
    let made = |name, value: &'static str| {
        Shop::with_env([("USERS_URL", "http://a.example"), (name, value)], "")
    };
    assert_eq!(check(made("PORT", "81")), "");
    assert!(check(made("PORT", "x")).contains("PORT is \"x\", which is not a port"));
    assert!(check(made("HOST", "here")).contains("HOST is \"here\""));
    assert!(check(made("TRUSTED_PROXIES", "10.0.0.0/99")).contains("TRUSTED_PROXIES: "));
    let embedded = Embed::new(made("TRUSTED_PROXIES", "10.0.0.0/99")).service();
    assert!(
        embedded
            .unwrap_err()
            .to_string()
            .contains("TRUSTED_PROXIES: ")
    );
    let said = Server::new(made("PORT", "x")).address(([127, 0, 0, 1], 0).into());
    assert!(
        said.check().is_ok(),
        "it does not read what is said in code"
    );
}

#[test]
fn the_default_of_the_gateway_is_that_of_its_server() {
    let error = check(at_port::Port::with_env(Env::empty()));
    assert!(
        error.contains("PORT is \"70000\", which is not a port"),
        "{error}"
    );
    assert_eq!(check(at_port::Port::with_env([("PORT", 81)])), "");
}

#[test]
fn a_default_that_the_server_cannot_know_is_an_error() {
    let error = check(computed::Computed::with_env(Env::empty()));
    for part in [
        "PORT is not set, and the default in the gateway, `super::somewhere()`, is not a literal",
        "HOST is not set, and may be missing in the gateway, but its server needs a value",
    ] {
        assert!(error.contains(part), "{part:?} is missing:\n{error}");
    }
    let set = computed::Computed::with_env([("PORT", "1"), ("HOST", "localhost")]);
    assert_eq!(check(set), "");
    let unread = Server::new(computed::Computed::with_env(Env::empty()));
    let unread = unread.address(([127, 0, 0, 1], 0).into());
    assert!(unread.check().is_ok(), "there is no server's variable then");
}
