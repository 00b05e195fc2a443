//! Requests about which servers differ: what is answered, what goes on to an upstream, and whether the connection does.

use std::{net::SocketAddr, time::Duration};

use prox_tests::{
    client::RawClient,
    gateway::Served,
    origin::{Origin, Reply, Seen},
    table,
    wire::End,
};
use serde::Deserialize;
use tokio::time::timeout;

use crate::framing_cases::REQUESTS;

/// One case of `tests/data/http1.toml`.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) about: String,
    bytes: String,
    /// Any of these, or for `all` each of them in turn.
    status: Vec<u16>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    seen: usize,
    #[serde(default)]
    open: bool,
}

#[derive(Deserialize)]
struct Table {
    case: Vec<Case>,
}

/// What came of a case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    statuses: Vec<u16>,
    seen: usize,
    open: bool,
}

/// How an outcome is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As the table says.
    Passed,
    /// What should have been refused went on to the upstream, or was answered as if nothing was wrong.
    Taken,
    /// What should have been served was not.
    Refused,
    /// A request came out of the body of another.
    Smuggled,
}

/// What to send, and what should come of it.
pub(crate) struct Probe {
    pub(crate) about: String,
    bytes: Vec<u8>,
    statuses: Vec<u16>,
    all: bool,
    seen: usize,
    open: bool,
}

impl From<Case> for Probe {
    fn from(case: Case) -> Self {
        Self {
            about: case.about,
            bytes: table::bytes(&case.bytes),
            statuses: case.status,
            all: case.all,
            seen: case.seen,
            open: case.open,
        }
    }
}

/// The cases of the table.
pub(crate) fn targets() -> Vec<Probe> {
    let cases = table::load::<Table>("http1.toml").case;
    cases.into_iter().map(Probe::from).collect()
}

/// The cases of the framing of requests.
pub(crate) fn framing() -> Vec<Probe> {
    let probe = |case: &crate::framing_cases::Case| {
        let good = case.verdict.ok();
        // What is wrong with it comes behind a whole request.
        let behind = case.about.starts_with("a body that is longer");
        Probe {
            about: case.about.to_owned(),
            bytes: case.bytes.to_vec(),
            statuses: match good {
                Some(count) => vec![200; count],
                None if behind => vec![200, 400],
                None => vec![400],
            },
            all: true,
            seen: good.unwrap_or(usize::from(behind)),
            // HTTP/1.0 is closed; whether the others are is not what the case is about.
            open: good.is_some(),
        }
    };
    REQUESTS.iter().map(probe).collect()
}

impl Probe {
    /// Sends the bytes, and looks at what comes within `patience`.
    pub(crate) async fn run(
        &self,
        address: SocketAddr,
        origin: &Origin,
        patience: Duration,
    ) -> Outcome {
        let before = origin.count();
        let mut client = RawClient::connect(address).await;
        client.send(&self.bytes).await;
        let mut statuses = Vec::new();
        let wanted = if self.all { self.statuses.len() } else { 1 };
        let mut open = true;
        while open && statuses.len() < wanted {
            let method = if self.bytes.starts_with(b"HEAD") {
                "HEAD"
            } else {
                "GET"
            };
            match timeout(patience, client.response(method)).await {
                Ok(answer) if answer.status > 0 => statuses.push(answer.status),
                Ok(_) => open = false,
                Err(_) => break,
            }
        }
        // A request of our own tells whether the connection goes on, and what it goes on with.
        if open {
            client.request("GET", "/next").await;
            match timeout(patience, client.response("GET")).await {
                Ok(answer) if answer.status > 0 => {
                    let own = answer.text() == "/next";
                    open = own;
                    if !own {
                        statuses.push(answer.status);
                    }
                }
                _ => open = false,
            }
        }
        let requests = origin.requests();
        let whole = |seen: &&Seen| seen.target() != "/next" && seen.body.end == End::Complete;
        Outcome {
            statuses,
            seen: requests[before..].iter().filter(whole).count(),
            open,
        }
    }

    /// Whether it is exactly what the table says.
    fn is(&self, outcome: &Outcome) -> bool {
        let statuses = if self.all {
            outcome.statuses == self.statuses
        } else {
            matches!(outcome.statuses[..], [status] if self.statuses.contains(&status))
        };
        statuses && outcome.seen == self.seen && (self.all || outcome.open == self.open)
    }

    /// What that is of another server, which may say it in other words.
    pub(crate) fn judge(&self, outcome: &Outcome, smuggled: bool) -> Verdict {
        let good = self.statuses.contains(&200) && self.seen > 0;
        let bad = self.statuses.iter().all(|status| *status >= 400);
        // Who answers a `CONNECT` with a tunnel has no part in what passes through it.
        if smuggled && !self.bytes.starts_with(b"CONNECT") {
            Verdict::Smuggled
        } else if bad && (outcome.seen > 0 || outcome.statuses.iter().any(|status| *status < 400)) {
            Verdict::Taken
        } else if good && outcome.statuses.first() != Some(&200) {
            Verdict::Refused
        } else {
            Verdict::Passed
        }
    }
}

/// The target of what is never answered.
pub(crate) const STALL: &str = "/stall";

/// An upstream that answers with the target that it was asked for, and with five bytes for `/`.
pub(crate) async fn origin() -> Origin {
    Origin::with(|seen| match (seen.method(), seen.target()) {
        (_, STALL) => Reply::new().stall(),
        ("HEAD", _) => Reply::new().head(200, &[], "Content-Length: 5"),
        (_, "/") => Reply::ok("hello"),
        (_, target) => Reply::ok(target),
    })
    .await
}

#[tokio::test]
async fn every_case_of_http1_ends_as_the_table_says() {
    let origin = origin().await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut wrong = Vec::new();
    for probe in targets() {
        let outcome = probe
            .run(gateway.address(), &origin, Duration::from_secs(5))
            .await;
        if !probe.is(&outcome) {
            wrong.push(format!("{}: {outcome:?}", probe.about));
        }
        gateway.get("/next").await.expect(200);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for seen in origin.requests() {
        assert_ne!(seen.target(), "/smuggled", "{:?}", seen.head);
    }
}
