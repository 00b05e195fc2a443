//! Endpoints that come and go: what becomes of requests, connections, cookies and keys, and what DNS says.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use prox::{Cluster, Discover, Endpoint, EndpointSet, Failure, Pem, SlowStart, UpstreamTls};
use prox_tests::{
    certs::Authority,
    client::{HyperClient, Speaks, head, text},
    gateway::{Served, served},
    names::NameServer,
    origin::{Origin, Reply},
    secure::Front,
    service::ServiceOrigin,
    wait::{Gate, eventually, within},
};
use tokio::{sync::watch, task::JoinSet};

use crate::upgrades::{Upstream, WEBSOCKET, expect, write};

/// How often DNS is asked, where it says nothing of how long an answer holds.
const BRIEF: Duration = Duration::from_millis(100);

async fn origins<const N: usize>() -> [Origin; N] {
    let mut origins = Vec::new();
    for number in 0..N {
        origins.push(Origin::start(Reply::ok(number.to_string())).await);
    }
    origins.try_into().expect("as many as were asked for")
}

fn set<'a>(origins: impl IntoIterator<Item = &'a Origin>) -> Vec<Endpoint> {
    origins.into_iter().map(Origin::endpoint).collect()
}

/// A gateway whose backend has the endpoints that the sender says.
async fn moved(first: Vec<Endpoint>) -> (watch::Sender<Vec<Endpoint>>, Served, Cluster) {
    let (sender, sets) = watch::channel(first);
    let gateway = prox::gateway! {
        backend users = cluster(rr, sets).slow_start(SlowStart::off());
        "/" => users,
    };
    let (gateway, users) = served(gateway).await;
    (sender, gateway, users)
}

/// Moves the endpoints, and waits until they are those.
async fn moves(sender: &watch::Sender<Vec<Endpoint>>, users: &Cluster, set: Vec<Endpoint>) {
    let wanted: BTreeSet<String> = set.iter().map(ToString::to_string).collect();
    sender.send_replace(set);
    eventually("the endpoints have moved", || addresses(users) == wanted).await;
}

fn addresses(users: &Cluster) -> BTreeSet<String> {
    users.endpoints().map(|one| one.to_string()).collect()
}

/// What so many requests were answered with, in order.
async fn texts(gateway: &Served, count: usize) -> String {
    let mut texts: Vec<String> = Vec::new();
    for _ in 0..count {
        texts.push(gateway.get("/").await.expect(200).text());
    }
    texts.sort_unstable();
    texts.concat()
}

#[tokio::test]
async fn a_request_under_way_survives_the_removal_of_its_endpoint_and_no_other_goes_there() {
    let [leaving, staying] = origins().await;
    let (sender, gateway, users) = moved(set([&leaving])).await;
    let gate = Gate::new();
    let half = Reply::new().head(200, &[], "Content-Length: 4").write("ab");
    leaving.once([half.wait(&gate).write("cd")]);
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    leaving.reached(1).await;
    moves(&sender, &users, set([&staying])).await;
    assert_eq!(texts(&gateway, 5).await, "11111");
    assert_eq!(leaving.count(), 1);
    gate.open();
    assert_eq!(client.response("GET").await.expect(200).text(), "abcd");
    leaving.left_alone().await;
    let counters = users.counters();
    assert_eq!((counters.came, counters.left), (2, 1));
}

#[tokio::test]
async fn a_tunnel_survives_the_removal_of_its_endpoint() {
    let (upstream, [other]) = (Upstream::start().await, origins().await);
    let (sender, gateway, users) = moved(vec![upstream.endpoint()]).await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/chat", WEBSOCKET)).await;
    let (_, mut server) = upstream.switch().await;
    assert_eq!(client.response_head().await.status, 101);
    moves(&sender, &users, set([&other])).await;
    assert_eq!(texts(&gateway, 1).await, "0");
    let (mut reader, mut writer) = client.into_halves();
    write(&mut writer, "ping").await;
    expect(&mut server, "ping").await;
    write(server.stream(), "pong").await;
    expect(&mut reader, "pong").await;
}

#[tokio::test]
async fn who_stays_keeps_its_connection_and_those_of_who_leaves_are_closed() {
    let [a, b, c] = origins().await;
    let (sender, gateway, users) = moved(set([&a, &b])).await;
    assert_eq!(texts(&gateway, 4).await, "0011");
    assert_eq!((a.accepted(), b.open()), (1, 1));
    moves(&sender, &users, set([&c, &a])).await;
    // Long before it would be closed for being idle.
    b.left_alone().await;
    for _ in 0..10 {
        moves(&sender, &users, set([&a])).await;
        moves(&sender, &users, set([&a, &c])).await;
    }
    assert_eq!(texts(&gateway, 4).await, "0022");
    assert_eq!((a.accepted(), b.accepted()), (1, 1));
}

#[tokio::test]
async fn weights_move_too() {
    let [a, b] = origins().await;
    let (sender, gateway, users) = moved(set([&a, &b])).await;
    assert_eq!(texts(&gateway, 4).await, "0011");
    sender.send_replace(vec![a.endpoint(), b.endpoint().weight(3)]);
    eventually("the weight", || {
        users.endpoints().nth(1).map(|one| one.weight()) == Some(3)
    })
    .await;
    assert_eq!(texts(&gateway, 8).await, "00111111");
    sender.send_replace(vec![a.endpoint(), b.endpoint().weight(0)]);
    eventually("the weight", || {
        users.endpoints().nth(1).map(|one| one.weight()) == Some(0)
    })
    .await;
    assert_eq!(texts(&gateway, 4).await, "0000");
}

#[tokio::test]
async fn drained_endpoints_stay_drained_and_can_be_taken_back() {
    let [a, b, c] = origins().await;
    let (sender, gateway, users) = moved(set([&a, &b])).await;
    texts(&gateway, 2).await;
    users.drain(&a.address().to_string()).expect("it is there");
    moves(&sender, &users, set([&c, &a, &b])).await;
    assert_eq!(texts(&gateway, 4).await, "1122");
    users
        .undrain(&a.address().to_string())
        .expect("it is there");
    assert_eq!(texts(&gateway, 6).await, "001122");
    moves(&sender, &users, set([&b])).await;
    let error = users
        .drain(&a.address().to_string())
        .expect_err("it has left");
    assert!(error.to_string().contains(&b.url()), "{error}");
}

#[tokio::test]
async fn a_client_that_sticks_stays_while_its_endpoint_does() {
    let [a, b, c] = origins().await;
    let (sender, sets) = watch::channel(set([&a, &b]));
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, sets).sticky(prox::Sticky::cookie("shop"));
        "/" => users,
    })
    .await;
    let first = gateway.get("/").await.expect(200);
    let cookie = first.field("set-cookie").expect("a cookie");
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let (home, other) = if first.text() == "0" {
        (&a, &b)
    } else {
        (&b, &a)
    };
    let again = async || {
        let mut client = gateway.client().await;
        client
            .send(head("GET", "/", &format!("Cookie: {cookie}\r\n")))
            .await;
        client.response("GET").await.expect(200).text()
    };
    for others in [vec![&c, home], vec![other, &c, home], vec![home]] {
        moves(&sender, &users, set(others)).await;
        for _ in 0..4 {
            assert_eq!(again().await, first.text());
        }
    }
    moves(&sender, &users, set([&c])).await;
    assert_eq!(again().await, "2");
}

#[tokio::test]
async fn equal_keys_stay_at_their_endpoints_when_another_comes_and_goes() {
    let [a, b, c] = origins().await;
    let (sender, sets) = watch::channel(set([&a, &b]));
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(hash(query("user")), sets).slow_start(SlowStart::off());
        "/" => users,
    })
    .await;
    let places = async || {
        let mut places = Vec::new();
        for user in 0..60 {
            let answer = gateway.get(&format!("/?user={user}")).await;
            places.push(answer.expect(200).text());
        }
        places
    };
    let before = places().await;
    moves(&sender, &users, set([&c, &b, &a])).await;
    let during = places().await;
    let kept = before.iter().zip(&during).filter(|(a, b)| a == b).count();
    let new = during.iter().filter(|place| *place == "2").count();
    // Some keys go to the one that is new, and few of the others move.
    assert!((8..=35).contains(&new) && kept + new >= 54, "{kept} {new}");
    moves(&sender, &users, set([&a, &b])).await;
    assert_eq!(places().await, before);
}

/// Changes the set of endpoints a thousand times under load, and says how many requests were answered.
async fn change_under_load(
    speaks: Speaks,
    gateway: &Served,
    sender: &watch::Sender<Vec<Endpoint>>,
    all: &[Endpoint],
) -> usize {
    let (ended, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut clients = JoinSet::new();
    for number in 0..8 {
        let (ended, answered) = (Arc::clone(&ended), Arc::clone(&answered));
        let address = gateway.address();
        clients.spawn(async move {
            let mut client = HyperClient::speaking(speaks, address).await;
            while !ended.load(SeqCst) {
                let (method, body) = if number % 2 == 0 {
                    ("GET", text(""))
                } else {
                    ("POST", text("a body that is sent once"))
                };
                let request = Request::builder()
                    .method(method)
                    .uri("http://gateway.test/");
                let request = request.header("host", "gateway.test").body(body);
                let request = request.expect("a request");
                let response = within("a response", client.send(request)).await;
                let response = response.expect("a response");
                assert_eq!(response.status(), 200);
                response.into_body().collect().await.expect("a whole body");
                answered.fetch_add(1, SeqCst);
            }
        });
    }
    for change in 0..1_000 {
        // One to three of the four, another choice each time.
        let some = all
            .iter()
            .enumerate()
            .filter(|(place, _)| (change + place) % 4 <= change % 3);
        sender.send_replace(some.map(|(_, endpoint)| endpoint.clone()).collect());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    ended.store(true, SeqCst);
    while let Some(client) = clients.join_next().await {
        client.expect("no request was lost");
    }
    answered.load(SeqCst)
}

#[tokio::test]
async fn a_thousand_changes_under_load_lose_no_request() {
    let all: [Origin; 4] = origins().await;
    let (sender, gateway, users) = moved(set(&all)).await;
    let answered = change_under_load(Speaks::Http1, &gateway, &sender, &set(&all)).await;
    assert!(answered > 100, "{answered}");
    let counters = users.counters();
    assert!(counters.left > 500, "{counters:?}");
    assert_eq!((counters.no_endpoint, counters.ejected), (0, 0));
    assert_eq!(users.endpoints().map(|one| one.active()).sum::<usize>(), 0);
}

#[tokio::test]
async fn a_thousand_changes_under_load_lose_no_request_of_http_2() {
    let mut all = Vec::new();
    for _ in 0..4 {
        let service = |_| async { Ok(Response::new(text("well"))) };
        all.push(ServiceOrigin::start(Speaks::Http2, service).await);
    }
    let endpoints: Vec<Endpoint> = all.iter().map(ServiceOrigin::endpoint).collect();
    let (sender, sets) = watch::channel(endpoints.clone());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, sets).http2();
        "/" => users,
    })
    .await;
    let answered = change_under_load(Speaks::Http2, &gateway, &sender, &endpoints).await;
    assert!(answered > 100, "{answered}");
    assert!(users.counters().left > 500);
    assert_eq!(users.counters().no_endpoint, 0);
}

/// Finds what it is told to when its gate is open.
#[derive(Debug)]
struct Late(Gate, Vec<Endpoint>);

impl Discover for Late {
    async fn discover(&self, endpoints: &EndpointSet) -> Result<(), String> {
        self.0.passed().await;
        endpoints.set(self.1.clone())
    }
}

#[tokio::test]
async fn a_request_waits_for_the_first_endpoints() {
    let ([origin], gate) = (origins().await, Gate::new());
    let late = Late(gate.clone(), set([&origin]));
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, late);
        "/" => users,
    })
    .await;
    assert_eq!(users.endpoints().len(), 0);
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    tokio::time::sleep(BRIEF).await;
    gate.open();
    assert_eq!(client.response("GET").await.expect(200).text(), "0");
}

#[tokio::test]
async fn a_request_waits_no_longer_than_for_a_connection() {
    let late = Late(Gate::new(), Vec::new());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, late).connect_timeout(100ms);
        "/" => users,
    })
    .await;
    let answer = gateway.get("/").await.expect(503);
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert_eq!(users.counters().no_endpoint, 1);
}

/// A backend whose endpoints are the addresses of `users.test`.
async fn named(names: &NameServer, port: u16) -> (Served, Cluster) {
    let (server, url) = (names.address(), format!("http://users.test:{port}"));
    served(prox::gateway! {
        backend users = cluster(rr, dns(url).min_ttl(BRIEF).nameserver(server))
            .slow_start(SlowStart::off());
        "/" => users,
    })
    .await
}

/// Origins at several addresses, all on one port.
async fn beside() -> (Origin, Origin, u16) {
    let first = Origin::start(Reply::ok("0")).await;
    let address = IpAddr::from([127, 0, 0, 2]);
    let second = Origin::beside(&first, address, Reply::ok("1")).await;
    let port = first.address().port();
    (first, second, port)
}

#[tokio::test]
async fn every_address_of_a_name_is_an_endpoint_and_host_says_the_name() {
    let ((first, second, port), names) = (beside().await, NameServer::start().await);
    names.addresses("users.test", 30, &["127.0.0.2", "127.0.0.1", "127.0.0.2"]);
    let (gateway, users) = named(&names, port).await;
    assert_eq!(texts(&gateway, 4).await, "0011");
    for origin in [&first, &second] {
        assert_eq!(
            origin.last().field("host"),
            Some(&*format!("users.test:{port}"))
        );
    }
    let wanted = [
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.2:{port}"),
    ];
    assert_eq!(addresses(&users), BTreeSet::from(wanted));
    users
        .drain(&format!("127.0.0.2:{port}"))
        .expect("it is called by its address");
    assert_eq!(texts(&gateway, 2).await, "00");
    // A and AAAA, once.
    assert_eq!(names.asked("users.test"), 2);
}

#[tokio::test]
async fn addresses_follow_dns_when_their_time_is_over() {
    let ((first, second, port), names) = (beside().await, NameServer::start().await);
    names.addresses("users.test", 0, &["127.0.0.1"]);
    let (gateway, users) = named(&names, port).await;
    assert_eq!(texts(&gateway, 2).await, "00");
    names.addresses("users.test", 1, &["127.0.0.1", "127.0.0.2", "::1"]);
    eventually("three addresses", || users.endpoints().len() == 3).await;
    assert!(addresses(&users).contains(&format!("http://[::1]:{port}")));
    let asked = names.asked("users.test");
    names.addresses("users.test", 1, &["127.0.0.2"]);
    eventually("one address", || users.endpoints().len() == 1).await;
    assert!(
        names.asked("users.test") <= asked + 4,
        "it is not asked before the time is over"
    );
    assert_eq!(texts(&gateway, 2).await, "11");
    first.left_alone().await;
    assert_eq!(second.accepted(), 1);
}

#[tokio::test]
async fn no_change_is_no_change() {
    let ((first, _second, port), names) = (beside().await, NameServer::start().await);
    names.addresses("users.test", 0, &["127.0.0.1", "127.0.0.2"]);
    let (gateway, users) = named(&names, port).await;
    texts(&gateway, 2).await;
    names.addresses("users.test", 0, &["127.0.0.2", "127.0.0.1"]);
    let asked = names.asked("users.test");
    eventually("it is asked again", || {
        names.asked("users.test") >= asked + 6
    })
    .await;
    texts(&gateway, 2).await;
    assert_eq!((users.counters().came, users.counters().left), (2, 0));
    assert_eq!(first.accepted(), 1);
}

#[tokio::test]
async fn what_was_found_last_holds_while_dns_fails() {
    let ((_first, _second, port), names) = (beside().await, NameServer::start().await);
    names.addresses("users.test", 0, &["127.0.0.1"]);
    let (gateway, users) = named(&names, port).await;
    assert_eq!(texts(&gateway, 1).await, "0");
    names.break_down(true);
    eventually("a failure", || users.counters().discovery_failed >= 1).await;
    assert_eq!(texts(&gateway, 2).await, "00");
    names.break_down(false);
    names.forget("users.test");
    eventually("another", || users.counters().discovery_failed >= 2).await;
    names.addresses("users.test", 0, &[]);
    eventually("and another", || users.counters().discovery_failed >= 3).await;
    assert_eq!(texts(&gateway, 2).await, "00");
    assert_eq!(users.counters().discovery_recovered, 0);
    names.addresses("users.test", 0, &["127.0.0.2"]);
    eventually("it is back", || users.counters().discovery_recovered == 1).await;
    assert_eq!(texts(&gateway, 2).await, "11");
}

#[tokio::test]
async fn a_gateway_starts_while_dns_is_down() {
    let ((_first, _second, port), names) = (beside().await, NameServer::start().await);
    names.break_down(true);
    let (server, url) = (names.address(), format!("http://users.test:{port}"));
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, dns(url).nameserver(server)).connect_timeout(50ms);
        "/" => users,
    })
    .await;
    gateway.get("/").await.expect(503);
    names.addresses("users.test", 30, &["127.0.0.1"]);
    names.break_down(false);
    eventually("an address", || users.endpoints().len() == 1).await;
    assert_eq!(texts(&gateway, 1).await, "0");
}

#[tokio::test]
async fn nobody_asks_when_the_gateway_is_gone() {
    let ((_first, _second, port), names) = (beside().await, NameServer::start().await);
    names.addresses("users.test", 0, &["127.0.0.1"]);
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let (gateway, users) = named(&names, port).await;
    assert_eq!(texts(&gateway, 1).await, "0");
    drop(users);
    gateway.stop().await;
    // One of them serves the connection of the origin.
    eventually("no task is left", || tasks() <= before).await;
    let asked = names.asked("users.test");
    tokio::time::sleep(BRIEF * 4).await;
    assert_eq!(names.asked("users.test"), asked);
}

#[tokio::test]
async fn a_service_has_ports_weights_and_failover_groups() {
    let ([a, b, spare], names) = (origins().await, NameServer::start().await);
    let port = |origin: &Origin| origin.address().port();
    let name = "_http._tcp.users.test";
    names.services(
        name,
        0,
        &[
            (20, 1, port(&spare), "two.users.test"),
            (10, 3, port(&b), "one.users.test"),
            (10, 1, port(&a), "one.users.test"),
        ],
    );
    names.addresses("one.users.test", 0, &["127.0.0.1"]);
    names.addresses("two.users.test", 0, &["127.0.0.1"]);
    let server = names.address();
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(weighted, srv("http://_http._tcp.users.test/base").min_ttl(BRIEF).nameserver(server))
            .slow_start(SlowStart::off());
        "/" => users,
    })
    .await;
    assert_eq!(texts(&gateway, 8).await, "00111111");
    let seen = b.last();
    assert_eq!(seen.target(), "/base/");
    assert_eq!(
        seen.field("host"),
        Some(&*format!("users.test:{}", port(&b)))
    );
    let groups: Vec<(u16, u8)> = users
        .endpoints()
        .map(|one| (one.port(), one.priority()))
        .collect();
    assert!(groups.contains(&(port(&spare), 1)) && groups.contains(&(port(&a), 0)));
    names.services(name, 0, &[(20, 1, port(&spare), "two.users.test")]);
    eventually("the spare alone", || users.endpoints().len() == 1).await;
    assert_eq!(texts(&gateway, 2).await, "22");
    assert_eq!(spare.count(), 2);
    // Nowhere, as RFC 2782 has it, and so the last answer holds.
    names.services(name, 0, &[(0, 0, 0, ".")]);
    eventually("a failure", || users.counters().discovery_failed >= 1).await;
    assert_eq!(texts(&gateway, 2).await, "22");
}

#[tokio::test]
async fn a_certificate_has_to_be_for_the_name_and_not_for_the_address() {
    let ([origin], names) = (origins().await, NameServer::start().await);
    let authority = Authority::new("authority");
    names.addresses("users.test", 30, &["127.0.0.1"]);
    names.addresses("carts.test", 30, &["127.0.0.1"]);
    let front = Front::start(origin.address(), &authority.issue(&["users.test"]), None).await;
    let (port, server) = (front.address().port(), names.address());
    let (users, carts) = (
        format!("https://users.test:{port}"),
        format!("https://carts.test:{port}"),
    );
    let tls = UpstreamTls::new().roots(Pem::bytes(authority.pem()));
    let other = tls.clone();
    let gateway = Served::start(prox::gateway! {
        "/users" => cluster(rr, dns(users).nameserver(server)).tls(tls),
        "/carts" => cluster(rr, dns(carts).nameserver(server)).tls(other),
    })
    .await;
    gateway.get("/users").await.expect(200);
    assert_eq!(front.handshakes()[0].sni.as_deref(), Some("users.test"));
    let answer = gateway.get("/carts").await;
    assert_eq!(answer.status, Failure::Tls.status().as_u16());
}

#[tokio::test]
async fn what_is_found_with_https_needs_no_options() {
    let found = Late(
        Gate::new(),
        vec!["https://127.0.0.1:1".parse().expect("an endpoint")],
    );
    found.0.open();
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, found);
        "/" => users,
    })
    .await;
    // There is nobody, but TLS was made ready if there are roots on this machine.
    let answer = gateway.get("/").await;
    assert!([502, 503].contains(&answer.status), "{answer:?}");
    assert_eq!(users.endpoints().len(), usize::from(answer.status == 502));
}

#[tokio::test]
async fn all_that_is_wrong_with_a_lookup_is_said_when_the_gateway_starts() {
    for (url, reason) in [
        ("http://10.0.0.1:80", "it has an address already"),
        ("users:80", "is no upstream"),
    ] {
        let error = prox::gateway! { backend users = cluster(rr, dns(url)); "/" => users }
            .expect_err("it cannot start")
            .to_string();
        assert!(
            error.contains("backend `users`") && error.contains(reason),
            "{error}"
        );
    }
    let url = "http://_http._tcp.users:80";
    let error = prox::gateway! { backend users = cluster(rr, srv(url)); "/" => users }
        .expect_err("it cannot start")
        .to_string();
    assert!(error.contains("take the port away"), "{error}");
}
