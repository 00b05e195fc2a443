//! Responses that could be understood in more than one way: what the client gets instead, and what becomes of the connection.

use http_body_util::{BodyExt, Collected};
use prox_tests::{
    client::{Answer, HyperClient, Speaks, text},
    gateway::Served,
    origin::{Origin, Reply},
    wait::within,
    wire::End,
};

use crate::framing_cases::{Case, LOOSE, RESPONSES};

async fn gateway() -> (Origin, Served) {
    let origin = Origin::with(|seen| Reply::ok(seen.target())).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    (origin, gateway)
}

/// What is wrong with the answer, if it is not what the case should lead to.
fn judge(case: &Case, answer: &Answer) -> Option<String> {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (status, end) = match case.verdict {
        // What comes behind a whole response does not take it away.
        Ok(_) | Err("Unsolicited") => (None, End::Complete),
        // The head has passed when the body goes wrong.
        Err(_) if case.bytes.starts_with(chunked) => (Some(200), End::Cut),
        Err(_) => (Some(502), End::Complete),
    };
    let right = match status {
        Some(status) => answer.status == status,
        None => matches!(answer.status, 200 | 204 | 304),
    };
    let same = right && answer.body.end == end;
    (!same).then(|| format!("{}: {answer:?}", case.about))
}

#[tokio::test]
async fn what_has_one_meaning_passes_and_all_else_is_a_502_or_cut() {
    let (origin, gateway) = gateway().await;
    let mut wrong = Vec::new();
    for case in RESPONSES {
        let mut reply = Reply::new().write(case.bytes);
        if case.verdict == Ok(0) {
            reply = reply.close();
        }
        origin.once([reply]);
        let mut client = gateway.client().await;
        client.request(case.asked, "/case").await;
        let answer = client.response(case.asked).await;
        wrong.extend(judge(case, &answer));
        if !answer.head.fields.lacks("x-evil") {
            wrong.push(format!("{}: a field was smuggled", case.about));
        }

        let used = origin.last().connection;
        let next = gateway.get("/healthy").await.expect(200);
        if next.text() != "/healthy" {
            wrong.push(format!("{}: then came {next:?}", case.about));
        }
        if case.verdict.is_err() && origin.last().connection == used {
            wrong.push(format!("{}: the connection was used again", case.about));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_length_beside_a_coding_is_dropped_and_its_connection_too() {
    let (origin, gateway) = gateway().await;
    origin.once([Reply::new().write(
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    )]);
    let answer = gateway.get("/both").await.expect(200);
    assert_eq!(answer.text(), "hi");
    assert!(answer.head.fields.lacks("content-length"));
    gateway.get("/next").await.expect(200);
    let connections: Vec<usize> = origin
        .requests()
        .iter()
        .map(|seen| seen.connection)
        .collect();
    assert_eq!(connections, [0, 1]);
}

#[tokio::test]
async fn a_connection_is_used_again_after_responses_of_every_good_framing() {
    let (origin, gateway) = gateway().await;
    for (asked, bytes) in [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n",
        ),
        (
            "GET",
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
    ] {
        origin.once([Reply::new().write(bytes)]);
        let mut client = gateway.client().await;
        client.request(asked, "/").await;
        let answer = client.response(asked).await;
        assert_eq!(answer.body.end, End::Complete, "{bytes}");
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn an_upstream_may_break_the_rules_that_an_option_names_and_no_others() {
    let origin = Origin::with(|seen| Reply::ok(seen.target())).await;
    let url = origin.endpoint();
    let no = false;
    let gateway = prox::gateway! {
        backend strict = cluster(rr, [url.clone()]).allow_equal_lengths_if(no).allow_folded_fields_if(no).allow_bare_line_feeds_if(no);
        backend equal = cluster(rr, [url.clone()]).allow_equal_lengths();
        backend folded = cluster(rr, [url.clone()]).allow_folded_fields();
        backend feeds = cluster(rr, [url.clone()]).allow_bare_line_feeds_if(!no);
        "/strict" => strict,
        "/allow_equal_lengths" => equal,
        "/allow_folded_fields" => folded,
        "/allow_bare_line_feeds" => feeds,
        "/endpoint" => url.allow_folded_fields(),
    };
    let gateway = Served::start(gateway).await;
    let mut wrong = Vec::new();
    for speaks in [Speaks::Http1, Speaks::Http2] {
        for case in LOOSE {
            let option = format!("/{}", case.option);
            for (target, violation) in [
                ("/strict", Some(case.strict)),
                (option.as_str(), case.allowed),
            ] {
                origin.once([Reply::new().write(case.bytes)]);
                let mut client = HyperClient::speaking(speaks, gateway.address()).await;
                let request = speaks.request(target).body(text("")).expect("a request");
                let answer = client.send(request).await;
                let used = origin.last().connection;
                // The head has passed when the body goes wrong.
                let late = case
                    .bytes
                    .starts_with(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                let told = match answer {
                    Ok(answer) => {
                        let (head, body) = answer.into_parts();
                        let body = within("a body", body.collect()).await;
                        let body = body.map(Collected::to_bytes);
                        let lengths = head.headers.get_all("content-length").iter().count();
                        let folded = head.headers.get("folded");
                        let one_line = folded.is_none_or(|value| {
                            value
                                .as_bytes()
                                .iter()
                                .all(|byte| !matches!(byte, b'\r' | b'\n'))
                        });
                        let fits = lengths < 2 && one_line && !head.headers.contains_key("x-evil");
                        (head.status.as_u16(), body.ok(), fits)
                    }
                    Err(_) => (0, None, true),
                };
                let right = match (violation, &told) {
                    (None, (200, Some(body), true)) => body == "hi",
                    (Some(_), (502, _, true)) => true,
                    (Some(_), (200, None, true)) => late,
                    _ => false,
                };
                if !right {
                    wrong.push(format!("{speaks:?} {target} {}: {told:?}", case.about));
                }
                client.leave();
                let next = gateway.get(target).await.expect(200);
                if next.text() != target {
                    wrong.push(format!("{target} {}: then came {next:?}", case.about));
                }
                if violation.is_some() && origin.last().connection == used {
                    wrong.push(format!(
                        "{target} {}: the connection was used again",
                        case.about
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    origin
        .once([Reply::new()
            .write("HTTP/1.1 200 OK\r\nFolded: a\r\n  b\r\nContent-Length: 2\r\n\r\nhi")]);
    let answer = gateway.get("/endpoint").await.expect(200);
    let folded = answer.field("folded").expect("the field");
    assert_eq!(folded.split_whitespace().collect::<Vec<_>>(), ["a", "b"]);
}
