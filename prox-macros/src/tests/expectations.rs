//! What is decided of an expectation while compiling is what a gateway of the same tables does.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use proptest::prelude::*;
use prox_runtime::{
    Assembly, Body, Client, Gateway, HttpRequest, Parts, RouteInfo, Routes, Variables, header,
    query, respond,
};
use tower_service::Service;

use super::{
    compiled,
    tree::{ASKED, REQUESTED, guarded, source, table},
};
use crate::{
    check::expect,
    model::{Model, tree::Forest},
    syntax::source::source as source_of,
};

/// Of a request with nothing but its URL, only a query can make a guard accept it.
const GUARDS: [&str; 7] = [
    "",
    "",
    "if g",
    "if header(\"x\").exists()",
    "if query(\"q\").is(\"1\")",
    "if query(\"q\").exists()",
    "if query(\"q\").is(\"1\").and(header(\"x\").exists())",
];

/// The status that the first route answers with, and so on.
const FIRST: u16 = 230;

fn gateway(model: &Model, forest: &Forest) -> Gateway {
    let infos = model.routes.iter().map(|route| RouteInfo {
        listener: "",
        host: "",
        path: "/",
        exact: false,
        methods: "*",
        guard: match &route.guard {
            Some(guard) => source_of(&guard.tokens).leak(),
            None => "",
        },
        target: "",
        layers: &[],
        who: "",
        backend: "",
        made: &[],
        rank: 0,
        file: "",
        line: 0,
    });
    let routes = Routes::new(Vec::leak(infos.collect()));
    let table = Box::leak(Box::new(table(model, forest)));
    let mut gateway = Assembly::new(table, routes, Variables::new(&[]));
    for (place, status) in (0..model.routes.len()).zip(FIRST..) {
        gateway.route(place, respond(status, ""), &[]);
        let guard: String = routes.0[place].guard.split_whitespace().collect();
        match guard.as_str() {
            "" => {}
            "g" => gateway.guard(place, |_: &Parts| false),
            "header(\"x\").exists()" => gateway.guard(place, header("x").exists()),
            "query(\"q\").is(\"1\")" => gateway.guard(place, query("q").is("1")),
            "query(\"q\").exists()" => gateway.guard(place, query("q").exists()),
            _ => gateway.guard(place, query("q").is("1").and(header("x").exists())),
        }
    }
    gateway.finish().unwrap()
}

/// What the gateway does with a request: the number of the route that answers, or the status of its refusal.
fn answer(
    gateway: &mut Gateway,
    on: Option<&'static str>,
    method: &str,
    host: &str,
    target: &str,
) -> Result<usize, u16> {
    let mut request = HttpRequest::builder().method(method).uri(target);
    if let Some(on) = on {
        request = request.extension(Arc::new(Client::new(None).on(on)));
    }
    if host.is_empty() {
        // Only HTTP/1.0 need not name one.
        request = request.version(http::Version::HTTP_10);
    } else {
        request = request.header("host", host);
    }
    let answer = pin!(gateway.call(request.body(Body::empty()).unwrap()));
    let Poll::Ready(Ok(answer)) = answer.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("a fixed answer waits for nothing");
    };
    let status = answer.status().as_u16();
    match status.checked_sub(FIRST) {
        Some(place) if status < 400 => Ok(usize::from(place)),
        _ => Err(status),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_decided_while_compiling_is_what_runs(
        routes in prop::collection::vec(guarded(&GUARDS), 0..25),
        requests in prop::collection::vec(
            (
                prop::sample::select(&["GET", "HEAD", "POST", "PUT", "DELETE"][..]),
                prop::sample::select(&ASKED[..]),
                prop::collection::vec(prop::sample::select(&REQUESTED[..]), 1..5),
                prop::sample::select(&["", "", "?q=1", "?q=2", "?q", "?r=1&q=1"][..]),
            ),
            1..30,
        ),
    ) {
        let source = source(&routes);
        let (model, forest, _) = compiled(&source);
        let mut gateway = gateway(&model, &forest);
        for (method, host, segments, query) in requests {
            let target = format!("/{}{query}", segments.join("/"));
            let url = if host.is_empty() { target.clone() } else { format!("https://{host}{target}") };
            let Some(decided) = expect::outcome(&model, &forest, None, method, &url) else { continue };
            let ran = answer(&mut gateway, None, method, host, &target);
            prop_assert_eq!(decided, ran, "{} {}\n{}", method, url, source);
        }
    }

    #[test]
    fn what_is_decided_for_a_listener_is_what_runs(
        all in prop::collection::vec(guarded(&GUARDS), 0..12),
        own in prop::collection::vec(guarded(&GUARDS), 0..12),
        requests in prop::collection::vec(
            (
                prop::sample::select(&[None, Some("internal"), Some("other")][..]),
                prop::sample::select(&["GET", "HEAD", "POST", "PUT", "DELETE"][..]),
                prop::sample::select(&ASKED[..]),
                prop::collection::vec(prop::sample::select(&REQUESTED[..]), 1..5),
                prop::sample::select(&["", "?q=1", "?q=2"][..]),
            ),
            1..30,
        ),
    ) {
        let source = format!("on \"internal\" {{ {} }} {}", source(&own), source(&all));
        let (model, forest, _) = compiled(&source);
        let mut gateway = gateway(&model, &forest);
        for (on, method, host, segments, query) in requests {
            let target = format!("/{}{query}", segments.join("/"));
            let url = if host.is_empty() { target.clone() } else { format!("https://{host}{target}") };
            let number = on.filter(|on| *on == "internal").map(|_| 0);
            let Some(decided) = expect::outcome(&model, &forest, number, method, &url) else { continue };
            let ran = answer(&mut gateway, on, method, host, &target);
            prop_assert_eq!(decided, ran, "{:?} {} {}\n{}", on, method, url, source);
        }
    }
}
