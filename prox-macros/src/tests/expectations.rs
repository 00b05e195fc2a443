//! What is decided of an expectation while compiling is what a gateway of the same tables does.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use proptest::prelude::*;
use prox_runtime::{
    Assembly, Body, Gateway, HttpRequest, Parts, RouteInfo, Routes, Variables, header, query,
    respond,
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
fn answer(gateway: &mut Gateway, method: &str, host: &str, target: &str) -> Result<usize, u16> {
    let mut request = HttpRequest::builder().method(method).uri(target);
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
            let Some(decided) = expect::outcome(&model, &forest, method, &url) else { continue };
            let ran = answer(&mut gateway, method, host, &target);
            prop_assert_eq!(decided, ran, "{} {}\n{}", method, url, source);
        }
    }
}
