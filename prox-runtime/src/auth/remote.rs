//! What a layer asks over HTTP: a backend, the URL of one, or a handler.

use std::{fmt, future::pending, time::Duration};

use bytes::Bytes;
use http::uri::PathAndQuery;

use crate::{
    cluster::{Cluster, ClusterBuilder, Endpoint, upstream},
    error::{Error, Failure},
    handler::{BoxHandler, Handler, Request},
    middleware::About,
    proxy::{self, Proxy},
};

/// What a layer asks over HTTP; made by [`IntoRemote`].
#[derive(Clone)]
pub struct Remote {
    handler: BoxHandler,
    /// A cluster that is not a `backend` of the gateway, so that this layer starts what it has beside the requests.
    own: Option<Cluster>,
    problem: Option<String>,
}

/// Whatever a layer may ask over HTTP: a backend, a URL, an [`Endpoint`], `cluster(..)`, or a [`Handler`].
///
/// A backend brings its pools, TLS, checks and limits. A [`Handler`] is for tests: it gets the request that an upstream would get.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be asked over HTTP",
    label = "expected a backend, a URL or a handler",
    note = "write the name of a `backend`, a URL such as \"http://10.0.0.1:8080\", `cluster(..)`, or `handler(f)` in a test"
)]
pub trait IntoRemote {
    /// Makes it; `name` is for logs and errors, if it has no name of its own.
    fn into_remote(self, name: &str) -> Remote;
}

#[diagnostic::do_not_recommend]
impl<H: Handler> IntoRemote for H {
    fn into_remote(self, _: &str) -> Remote {
        Remote {
            handler: BoxHandler::new(self),
            own: None,
            problem: None,
        }
    }
}

impl IntoRemote for Cluster {
    fn into_remote(self, _: &str) -> Remote {
        Remote {
            problem: self.problem(),
            handler: BoxHandler::new(Proxy::new(self)),
            own: None,
        }
    }
}

impl IntoRemote for &Cluster {
    fn into_remote(self, name: &str) -> Remote {
        self.clone().into_remote(name)
    }
}

impl IntoRemote for ClusterBuilder {
    fn into_remote(self, name: &str) -> Remote {
        match self.build(name) {
            Ok(cluster) => Remote {
                own: Some(cluster.clone()),
                ..cluster.into_remote(name)
            },
            Err(error) => Remote::broken(&error),
        }
    }
}

impl IntoRemote for Endpoint {
    fn into_remote(self, name: &str) -> Remote {
        upstream(self).into_remote(name)
    }
}

impl IntoRemote for &str {
    fn into_remote(self, name: &str) -> Remote {
        upstream(self).into_remote(name)
    }
}

impl IntoRemote for String {
    fn into_remote(self, name: &str) -> Remote {
        upstream(self).into_remote(name)
    }
}

impl Remote {
    /// Stands for a cluster that cannot be built, in a gateway that does not start.
    fn broken(error: &Error) -> Self {
        let absent = crate::handler::handler(async |_: Request| Failure::NoEndpoint);
        Self {
            handler: BoxHandler::new(absent),
            own: None,
            problem: Some(error.to_string()),
        }
    }

    /// What is wrong with it.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Sends a request, and reads the whole answer, of which the body has at most `most` bytes.
    ///
    /// # Errors
    ///
    /// Why there is no whole answer within `limit`, in words for logs.
    pub(super) async fn ask(
        &self,
        req: Request,
        limit: Duration,
        most: usize,
    ) -> Result<http::Response<Bytes>, String> {
        let whole = async {
            let (head, body) = self.handler.call(req).await.into_parts();
            if let Some(failure) = head.extensions.get::<Failure>() {
                return Err(failure.name().to_owned());
            }
            let read = body.bytes(most).await;
            let body = read.map_err(|error| match error.as_failure() {
                Some(Failure::BodyTooLarge) => format!("the answer has over {most} bytes"),
                _ => error.to_string(),
            })?;
            Ok(http::Response::from_parts(head, body))
        };
        let answer = tokio::time::timeout(limit, whole).await;
        answer.unwrap_or_else(|_| Err(format!("no whole answer within {limit:?}")))
    }

    /// Has the gateway start what the cluster has beside the requests, unless a `backend` line does that already.
    pub(super) fn follow(&self, about: &mut About) {
        let Some(cluster) = self.own.clone().filter(Cluster::is_looked_after) else {
            return;
        };
        if cluster.is_required() {
            let required = cluster.clone();
            about.ready(cluster.name(), move || required.is_ready());
        }
        about.task(move || {
            let cluster = cluster.clone();
            async move {
                cluster.core().start();
                proxy::warm(&cluster);
                pending::<()>().await;
            }
        });
    }
}

/// A path that begins with a slash, with a query if need be.
pub(super) fn path(text: &str) -> Option<PathAndQuery> {
    let path = PathAndQuery::try_from(text).ok()?;
    text.starts_with('/').then_some(path)
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("backend", &self.own.as_ref().map(Cluster::name))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{body::Body, handler::handler, respond};

    async fn ask(remote: &Remote) -> Result<http::Response<Bytes>, String> {
        let req = Request::new(Body::empty());
        remote.ask(req, Duration::from_secs(1), 4).await
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_whole_answer_in_time_is_an_answer() {
        let short = handler(async |_: Request| "abcd").into_remote("");
        assert_eq!(ask(&short).await.unwrap().body(), "abcd");
        let long = handler(async |_: Request| "abcde").into_remote("");
        assert_eq!(ask(&long).await.unwrap_err(), "the answer has over 4 bytes");
        let silent = handler(async |_: Request| pending::<&str>().await).into_remote("");
        let error = ask(&silent).await.unwrap_err();
        assert_eq!(error, "no whole answer within 1s");
        let down = handler(async |_: Request| respond::failure(Failure::Connect, false));
        assert_eq!(ask(&down.into_remote("")).await.unwrap_err(), "connect");
    }

    #[test]
    fn a_url_that_is_not_one_is_a_problem() {
        assert!("http://10.0.0.1:8080".into_remote("x").problem().is_none());
        let wrong = "ftp://10.0.0.1".into_remote("sessions");
        assert!(
            wrong
                .problem()
                .is_some_and(|problem| problem.contains("`sessions`"))
        );
    }
}
