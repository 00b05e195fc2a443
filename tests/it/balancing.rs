//! Each balancing policy in a gateway, over sockets.

use std::time::Duration;

use prox::{Endpoint, Parts, QueueOptions, key_of};
use prox_tests::{
    gateway::Served,
    origin::{Origin, Reply},
    wait::within,
};

/// Three origins that answer with their own place.
async fn three() -> [Origin; 3] {
    [
        Origin::start(Reply::ok("0")).await,
        Origin::start(Reply::ok("1")).await,
        Origin::start(Reply::ok("2")).await,
    ]
}

fn endpoints(origins: &[Origin; 3], weights: [u32; 3]) -> Vec<Endpoint> {
    let weighted = origins.iter().zip(weights);
    weighted
        .map(|(origin, weight)| origin.endpoint().weight(weight))
        .collect()
}

fn counts(origins: &[Origin; 3]) -> [usize; 3] {
    [0, 1, 2].map(|place| origins[place].count())
}

async fn ask(gateway: &Served, times: usize) {
    for _ in 0..times {
        gateway.get("/").await.expect(200);
    }
}

#[tokio::test]
async fn rr_and_weighted_are_exact_by_weight() {
    let origins = three().await;
    let list = endpoints(&origins, [1, 2, 3]);
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, list) }).await;
    ask(&gateway, 60).await;
    assert_eq!(counts(&origins), [10, 20, 30]);

    let list = endpoints(&origins, [3, 2, 1]);
    let gateway = Served::start(prox::gateway! { "/" => cluster(weighted, list) }).await;
    ask(&gateway, 60).await;
    assert_eq!(counts(&origins), [40, 40, 40]);
}

#[tokio::test]
async fn random_uses_all_of_them() {
    let origins = three().await;
    let list = endpoints(&origins, [1; 3]);
    let gateway = Served::start(prox::gateway! { "/" => cluster(random, list) }).await;
    ask(&gateway, 90).await;
    // Less than a third of its share has a chance of one in a million.
    assert!(counts(&origins).iter().all(|&count| count > 10));
}

#[tokio::test]
async fn least_conn_leaves_busy_endpoints_alone() {
    let origins = three().await;
    origins[0].once([Reply::new().stall()]);
    origins[1].once([Reply::new().stall()]);
    let list = endpoints(&origins, [1; 3]);
    let gateway = Served::start(prox::gateway! { "/" => cluster(least_conn, list) }).await;
    let mut held = Vec::new();
    // Ties are drawn, so it takes a few until both are busy.
    while counts(&origins)[0] == 0 || counts(&origins)[1] == 0 {
        let before: usize = counts(&origins).iter().sum();
        let mut client = gateway.client().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        within("an origin is asked", async {
            while counts(&origins).iter().sum::<usize>() == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        if counts(&origins)[2] == held.len() + 1 {
            client.response("GET").await.expect(200);
        }
        held.push(client);
        assert!(held.len() < 100);
    }
    let before = counts(&origins)[2];
    tokio::time::sleep(Duration::from_millis(50)).await;
    ask(&gateway, 20).await;
    assert_eq!(counts(&origins)[2] - before, 20);
}

#[tokio::test]
async fn p2c_avoids_a_slow_endpoint() {
    let origins = [
        Origin::start(Reply::new().pause(Duration::from_millis(60)).head(
            200,
            &[],
            "Content-Length: 0",
        ))
        .await,
        Origin::start(Reply::ok("1")).await,
        Origin::start(Reply::ok("2")).await,
    ];
    let list = endpoints(&origins, [1; 3]);
    let gateway = Served::start(prox::gateway! { "/" => cluster(p2c, list) }).await;
    ask(&gateway, 90).await;
    assert!(counts(&origins)[0] < 15, "{:?}", counts(&origins));
}

#[tokio::test]
async fn p2c_leaves_a_busy_endpoint_alone() {
    let origins = [
        Origin::start(Reply::new().stall()).await,
        Origin::start(Reply::ok("1")).await,
        Origin::start(Reply::ok("2")).await,
    ];
    let list = endpoints(&origins, [1; 3]);
    let gateway = Served::start(prox::gateway! { "/" => cluster(p2c, list) }).await;
    let mut held = Vec::new();
    for _ in 0..60 {
        let mut client = gateway.client().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        held.push(client);
        let sent = held.len();
        within("an origin is asked", async {
            while counts(&origins).iter().sum::<usize>() < sent {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
    assert!(counts(&origins)[0] < 10, "{:?}", counts(&origins));
}

async fn places(gateway: &Served) -> Vec<String> {
    let mut places = Vec::new();
    for user in 0..60 {
        places.push(
            gateway
                .get(&format!("/?user={user}"))
                .await
                .expect(200)
                .text(),
        );
    }
    places
}

#[tokio::test]
async fn hash_sends_equal_keys_to_one_endpoint_and_moves_few_when_one_is_gone() {
    let origins = three().await;
    let all = endpoints(&origins, [1; 3]);
    let two = all[..2].to_vec();
    let gateway = Served::start(prox::gateway! { "/" => cluster(hash(query("user")), all) }).await;
    let before = places(&gateway).await;
    assert_eq!(places(&gateway).await, before);
    assert!(
        ["0", "1", "2"]
            .iter()
            .all(|place| before.iter().any(|other| other == place))
    );

    let gateway = Served::start(prox::gateway! { "/" => cluster(hash(query("user")), two) }).await;
    let after = places(&gateway).await;
    let moved = before.iter().zip(&after);
    let others = moved.filter(|(old, new)| *old != "2" && old != new).count();
    assert!(others < 10, "{others} of 60");
}

fn by_path(req: &Parts) -> u64 {
    key_of(req.uri.path().as_bytes())
}

#[tokio::test]
async fn hash_keeps_a_client_at_its_endpoint() {
    let origins = three().await;
    let list = endpoints(&origins, [1; 3]);
    let gateway = Served::start(prox::gateway! { "/" => cluster(hash(client_ip()), list) }).await;
    ask(&gateway, 12).await;
    let mut one = counts(&origins);
    one.sort_unstable();
    assert_eq!(one, [0, 0, 12]);
}

#[tokio::test]
async fn hash_takes_a_function() {
    let origins = three().await;
    let list = endpoints(&origins, [1; 3]);
    let gateway = Served::start(prox::gateway! { "/" => cluster(hash(by_path), list) }).await;
    let first = gateway.get("/a").await.expect(200).text();
    assert_eq!(gateway.get("/a?b").await.expect(200).text(), first);
}

#[tokio::test]
async fn a_request_beyond_the_limit_waits_and_is_refused_when_nobody_leaves() {
    let origin = Origin::start(Reply::ok("late")).await;
    origin.once([Reply::new().stall()]);
    let endpoint = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => cluster(rr, [endpoint])
            .max_connections(1)
            .queue(QueueOptions::new().timeout(100ms)),
    })
    .await;
    let mut first = gateway.client().await;
    first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.reached(1).await;
    let refused = gateway.get("/").await.expect(503);
    assert_eq!(refused.field("retry-after"), Some("1"));
    assert_eq!(origin.count(), 1);
    // The client that goes away gives its place back.
    drop(first);
    origin.left_alone().await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "late");
}
