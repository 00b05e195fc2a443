//! The answer to who asks whether this gateway should get requests.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use http::{HeaderValue, StatusCode, header};

use super::target::{IntoTarget, Kind, Target};
use crate::{
    body::Body,
    cluster::Cluster,
    error::Result,
    handler::{BoxHandler, Handler, Request, Response},
    middleware::Ready,
};

/// Answers whether the gateway is ready; made by [`readiness`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Readiness;

/// A target that answers `200` while the gateway [is ready](crate::Gateway::is_ready), and `503` while it is not, for load
/// balancers and orchestrators: `GET "/readyz" => prox::readiness()`.
///
/// The body is a word, and names nothing of the inside: it may be asked for by anybody who reaches the route. Why the gateway is
/// not ready, [`Gateway::unready`](crate::Gateway::unready) tells.
pub fn readiness() -> Readiness {
    Readiness
}

impl IntoTarget for Readiness {
    fn into_target(self, _: &str) -> Result<Target> {
        let question = Arc::default();
        let handler = BoxHandler::new(Answer(Arc::clone(&question)));
        Ok(Target(Kind::Readiness(handler, question)))
    }
}

/// What the gateway depends on; known once all of it is put together.
#[derive(Clone, Debug, Default)]
pub(super) struct Question(Arc<Inner>);

/// Where a target finds it.
pub(super) type Pending = Arc<OnceLock<Question>>;

#[derive(Debug, Default)]
struct Inner {
    required: Vec<Cluster>,
    layers: Vec<Ready>,
    draining: AtomicBool,
}

impl Question {
    pub(super) fn new<'a>(
        clusters: impl Iterator<Item = &'a Cluster>,
        layers: impl Iterator<Item = &'a Ready>,
    ) -> Self {
        let mut required: Vec<Cluster> = Vec::new();
        for cluster in clusters.filter(|cluster| cluster.is_required()) {
            let is_same = |other: &Cluster| Arc::ptr_eq(other.core(), cluster.core());
            if !required.iter().any(is_same) {
                required.push(cluster.clone());
            }
        }
        Self(Arc::new(Inner {
            required,
            layers: layers.cloned().collect(),
            draining: AtomicBool::new(false),
        }))
    }

    /// From now on the answer is no.
    pub(super) fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.0.draining.load(Ordering::Relaxed)
            && self.0.required.iter().all(Cluster::is_ready)
            && self.0.layers.iter().all(Ready::is_ready)
    }

    /// The names of the backends that are not ready.
    pub(super) fn unready(&self) -> impl Iterator<Item = &str> {
        let required = self.0.required.iter();
        let unready = required.filter(|cluster| !cluster.is_ready());
        unready.map(Cluster::name).chain(self.unready_layers())
    }

    /// What layers wait for, by name. Clones of a layer wait for the same thing, and it is named once.
    fn unready_layers(&self) -> impl Iterator<Item = &str> {
        let unready = self.0.layers.iter().filter(|layer| !layer.is_ready());
        let mut names: Vec<&str> = Vec::new();
        for layer in unready {
            if !names.contains(&layer.name.as_str()) {
                names.push(&layer.name);
            }
        }
        names.into_iter()
    }

    /// Why the gateway is not ready, in the words of an operator. The question begins no work of backends.
    pub(super) fn reasons(&self) -> Vec<String> {
        if self.0.draining.load(Ordering::Relaxed) {
            return vec![String::from("draining")];
        }
        let required = self.0.required.iter();
        let unready = required.filter(|cluster| !cluster.has_ready_endpoint());
        let backends = unready.map(|cluster| {
            let name = cluster.name();
            if cluster.endpoints().len() == 0 {
                format!("backend {name}: it has no endpoint")
            } else {
                format!("backend {name}: no endpoint is well")
            }
        });
        let layers = self.unready_layers();
        let layers = layers.map(|name| format!("{name}: not ready, and a layer needs it"));
        backends.chain(layers).collect()
    }
}

struct Answer(Pending);

impl Handler for Answer {
    async fn call(&self, _: Request) -> Response {
        // A gateway that is not put together yet answers nothing.
        let (status, word) = if self.0.get().is_some_and(Question::is_ready) {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        };
        let mut response = Response::new(Body::from(word));
        *response.status_mut() = status;
        let fields = response.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        fields.insert(header::CONTENT_TYPE, text);
        // An answer of a minute ago is of no use to anybody.
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::middleware::About;

    #[test]
    fn what_several_layers_wait_for_is_named_once() {
        let mut about = About::default();
        for ready in [false, true, false] {
            about.ready("the keys", move || ready);
        }
        about.ready("the store", || false);
        let question = Question::new([].into_iter(), about.questions().iter());
        let names: Vec<&str> = question.unready().collect();
        assert_eq!(names, ["the keys", "the store"]);
        assert_eq!(question.reasons().len(), 2);
    }
}
