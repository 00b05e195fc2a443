//! The way of a request through layers that are [steps](crate::middleware::steps), to a backend and back: without a future of a layer.

use std::sync::Arc;

use http::{Method, StatusCode};
use http_body::Body as _;
use tokio::time::Instant;

use crate::{
    client::Client,
    error::Place,
    forward::{
        headers::{self, Present},
        length,
    },
    handler::{Request, Response},
    middleware::steps::{Entered, Head, Steps, Way},
    observe::TraceContext,
    proxy::{Around, Proxy},
    route::Matched,
    watch::Tally,
};

/// A route of a backend behind steps alone.
pub(super) struct Passage {
    steps: Steps,
    proxy: Proxy,
}

/// What is known of a request on that way.
pub(super) struct Known<'a> {
    pub(super) client: &'a Arc<Client>,
    pub(super) tally: &'a Tally,
    pub(super) present: Present,
    pub(super) now: Instant,
}

impl Passage {
    pub(super) fn new(steps: Steps, proxy: Proxy) -> Self {
        Self { steps, proxy }
    }

    /// Answers a request, which it takes. `matched` says how the route matched. It is called only if a layer or the proxy reads it.
    pub(super) async fn pass(
        &self,
        req: &mut Request,
        known: Known<'_>,
        matched: impl FnOnce(&Request) -> Option<Matched>,
    ) -> Response {
        let Known { client, tally, .. } = known;
        let needs = self.steps.needs();
        let asks = needs.extensions || self.proxy.needs_match();
        let matched = if asks { matched(req) } else { None };
        let is_head = *req.method() == Method::HEAD;
        let mut head = Head::of_client(req, client, known.now);
        if !needs.extensions && !self.proxy.reads_extensions() {
            head.goes_alone();
        }
        let mut way = self.steps.way(&head);
        if needs.extensions {
            tally.detail();
            let extensions = head.extensions_mut();
            extensions.insert(Arc::clone(client));
            extensions.insert(tally.clone());
            if let Some(matched) = &matched {
                extensions.insert(matched.clone());
            }
            if tally.is_traced()
                && let Some(context) = TraceContext::of(head.headers())
            {
                head.extensions_mut().insert(context);
            }
        }
        let answered = match self.steps.enter(&mut head, &mut way) {
            Entered::Through => None,
            Entered::Answered(response) => Some(response),
            Entered::Waits => {
                let answered;
                // Boxed, so that the future of a request that does not wait has no room for it.
                (head, way, answered) = Box::pin(wait(&self.steps, head, way)).await;
                answered
            }
        };
        head.end();
        let is_answered = answered.is_some();
        let mut response = if let Some(response) = answered {
            *response
        } else {
            let mut present = known.present;
            if needs.extensions {
                let extensions = req.extensions_mut();
                extensions.remove::<Arc<Client>>();
                extensions.remove::<Tally>();
                extensions.remove::<Matched>();
            }
            if needs.framing {
                req.body_mut().placed(Place::Request);
                let body = req.body().size_hint().exact();
                length::right(req.headers_mut(), body);
                present = headers::sent(req.headers_mut());
            }
            let around = Around {
                client,
                matched: matched.as_ref(),
                tally: Some(tally),
                copied: None,
            };
            self.proxy.forward(req, present, around).await
        };
        self.steps.leave(way, &mut response);
        if is_answered || needs.framing {
            fit(&mut response, is_head);
        }
        response
    }
}

/// The way in, for a step that has to wait.
async fn wait<'a>(
    steps: &Steps,
    mut head: Head<'a>,
    mut way: Way,
) -> (Head<'a>, Way, Option<Box<Response>>) {
    let answered = steps.wait(&mut head, &mut way).await;
    (head, way, answered)
}

/// Makes a response of layers and handlers fit to be sent, whatever it is. `head`: to a request without a body in its response.
pub(super) fn fit(response: &mut Response, head: bool) {
    response.body_mut().placed(Place::Response);
    let status = response.status();
    headers::answered(response.headers_mut(), status);
    // These describe a body that they do not have.
    if head || status == StatusCode::NOT_MODIFIED {
        length::well_formed(response.headers_mut());
    } else {
        let body = response.body().size_hint().exact();
        length::right(response.headers_mut(), body);
    }
}
