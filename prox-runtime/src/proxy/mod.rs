//! Sends a request on to a cluster, and its response back.

mod body;
mod upload;

use std::sync::Arc;

use http::{HeaderValue, StatusCode, Uri, Version, header, uri::PathAndQuery};
use http_body::Body as _;
use tokio::time::Instant;

use self::{body::UpstreamBody, upload::Upload};
use crate::{
    client::Client,
    cluster::{Cluster, Core},
    connect,
    error::{Error, Failure},
    forward::{headers, rewrite},
    handler::{Handler, Parts, Request, Response},
    observe::Trace,
    pool::{Connection, SendFailure},
    respond,
    route::Matched,
};

/// A cluster as the target of a route.
#[derive(Clone, Debug)]
pub(crate) struct Proxy(Cluster);

/// One request on one endpoint; counted from the choice of the endpoint to the last byte of the response.
struct Lease {
    core: Arc<Core>,
    index: usize,
}

impl Lease {
    fn new(core: &Arc<Core>, index: usize) -> Self {
        core.upstream(index).enter();
        Self {
            core: Arc::clone(core),
            index,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.core.upstream(self.index).leave();
    }
}

impl Proxy {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self(cluster)
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.0
    }

    /// Whether it has to be told how the route matched.
    pub(crate) fn needs_match(&self) -> bool {
        self.0.policy().rewrite.is_some()
    }

    /// Answers a request with the response of an upstream, or with one from the failure table.
    ///
    /// # Cancel safety
    ///
    /// When the future or the response's body is dropped, the upstream's connection is closed.
    pub(crate) async fn forward(
        &self,
        req: Request,
        client: &Client,
        matched: Option<&Matched>,
    ) -> Response {
        let grpc = respond::is_grpc(req.headers());
        match self.exchange(req, client, matched).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(backend = self.0.name(), ?error, "no response from upstream");
                respond::failure(error.as_failure().unwrap_or(Failure::Internal), grpc)
            }
        }
    }

    async fn exchange(
        &self,
        req: Request,
        client: &Client,
        matched: Option<&Matched>,
    ) -> Result<Response, Error> {
        let started = Instant::now();
        let policy = self.0.policy();
        let end = policy.timeout.map(|limit| started + limit);
        let (mut parts, body) = req.into_parts();
        let trace = parts.extensions.remove::<Trace>();
        let path = self.path(&parts, matched)?;
        headers::request(&mut parts.headers, client);
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            // Said aloud, because for some methods nobody would expect a body, and it would be dropped.
            let chunked = HeaderValue::from_static("chunked");
            parts.headers.insert(header::TRANSFER_ENCODING, chunked);
        }
        let (body, upload) = Upload::track(body);
        let mut request = Request::from_parts(parts, body);
        if request.headers().contains_key(header::EXPECT) && !request.body().is_end_stream() {
            upload::hold(&mut request);
        }

        let core = self.0.core();
        let mut tried = Vec::new();
        let mut fresh = None;
        loop {
            let index = match fresh {
                Some(index) => index,
                None => core.pick(&tried).ok_or(Failure::NoEndpoint)?,
            };
            let lease = Lease::new(core, index);
            let upstream = core.upstream(index);
            if let Some(trace) = &trace {
                trace.update(|hop| {
                    self.0.name().clone_into(&mut hop.backend);
                    hop.endpoint = upstream.endpoint.to_string();
                    hop.tries += 1;
                });
            }
            let kept = if fresh.is_some() {
                None
            } else {
                upstream.pool.take()
            };
            let mut connection = match kept {
                Some(kept) => kept,
                None => match self.connect(index, end).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        tried.push(index);
                        // Nothing was sent, so any request may go to another endpoint, once.
                        if tried.len() == 1 && core.pick(&tried).is_some() {
                            fresh = None;
                            continue;
                        }
                        return Err(error);
                    }
                },
            };
            if let Some(trace) = &trace {
                trace.update(|hop| hop.connect = started.elapsed());
            }
            self.address(&mut request, index, &path)?;
            let sent = Instant::now();
            let result = connection
                .send(request, || upload.deadline(sent, policy, end))
                .await;
            match result {
                Ok(response) => {
                    if let Some(trace) = &trace {
                        trace.update(|hop| hop.first_byte = Some(sent.elapsed()));
                    }
                    return self.respond(response, connection, lease, end);
                }
                Err(SendFailure {
                    again: Some(again), ..
                }) => request = again,
                Err(SendFailure { error, .. }) => return Err(error),
            }
            // The kept connection was dead already. The next is opened anew, so that this happens once.
            fresh = Some(index);
        }
    }

    /// The path and the query that the upstream gets, but for its own base path.
    fn path(&self, parts: &Parts, matched: Option<&Matched>) -> Result<PathAndQuery, Error> {
        let sent = parts.uri.path_and_query();
        let Some(template) = &self.0.policy().rewrite else {
            return Ok(sent.cloned().unwrap_or(PathAndQuery::from_static("/")));
        };
        let query = parts.uri.query();
        let path = match matched {
            Some(matched) => {
                let remainder = if matched.route().exact {
                    ""
                } else {
                    rewrite::remainder(matched.route().path, matched.path())
                };
                template.render(|name| matched.param(name), remainder, query)
            }
            None => template.render(|_| None, "", query),
        };
        PathAndQuery::try_from(path).map_err(|error| Error::caused(Failure::Internal, error))
    }

    async fn connect(&self, index: usize, end: Option<Instant>) -> Result<Box<Connection>, Error> {
        let core = self.0.core();
        let endpoint = &core.upstream(index).endpoint;
        let mut limit = core.connect_timeout();
        if let Some(end) = end {
            limit = limit.min(end.saturating_duration_since(Instant::now()));
        }
        let stream = connect::tcp(endpoint.host(), endpoint.port(), limit).await?;
        Connection::new(stream.into()).await
    }

    /// Puts the endpoint's name and path on the request.
    fn address(
        &self,
        request: &mut Request,
        index: usize,
        path: &PathAndQuery,
    ) -> Result<(), Error> {
        let upstream = self.0.core().upstream(index);
        let target = upstream
            .target(path)
            .map_err(|error| Error::caused(Failure::Internal, error))?;
        *request.uri_mut() = Uri::from(target);
        if !self.0.policy().preserve_host || !request.headers().contains_key(header::HOST) {
            request
                .headers_mut()
                .insert(header::HOST, upstream.endpoint.authority());
        }
        Ok(())
    }

    fn respond(
        &self,
        response: http::Response<hyper::body::Incoming>,
        connection: Box<Connection>,
        lease: Lease,
        end: Option<Instant>,
    ) -> Result<Response, Error> {
        let (mut head, incoming) = response.into_parts();
        // No upgrade was asked for, so this switches to nothing that the client knows.
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::failure(Failure::MalformedResponse).after_send());
        }
        head.version = Version::HTTP_11;
        headers::response(&mut head.headers);
        let idle = self.0.policy().idle_timeout;
        let body = UpstreamBody::new(incoming, connection, lease, idle, end);
        Ok(Response::from_parts(head, body.into_body()))
    }
}

impl Handler for Proxy {
    async fn call(&self, mut req: Request) -> Response {
        let client = req.extensions_mut().remove::<Arc<Client>>();
        let matched = req.extensions_mut().remove::<Matched>();
        // A layer may have put another body in the place of the client's.
        let length = req.body().size_hint().exact();
        headers::right_length(req.headers_mut(), length);
        match client {
            Some(client) => self.forward(req, &client, matched.as_ref()).await,
            None => {
                self.forward(req, &Client::new(None), matched.as_ref())
                    .await
            }
        }
    }
}
