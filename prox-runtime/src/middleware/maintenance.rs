//! Closes a gateway, or a part of it, while something is being changed.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{HeaderValue, header};

use super::{
    About, IpRules, Middleware,
    steps::{self, Head, Kept, Needs, Passed, Step},
};
use crate::{client::Client, error::Failure, respond, time::whole_seconds};

/// Something that is on or off; clones are the same one.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::middleware::Switch;
///
/// let switch = Switch::new();
/// let same = switch.clone();
/// switch.turn(true);
/// assert!(same.is_on());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// A switch that is off.
    pub fn new() -> Self {
        Self::default()
    }

    /// Turns it on, or off. Requests that have passed already are not held up.
    pub fn turn(&self, on: bool) {
        self.0.store(on, Relaxed);
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Answers `503` ([`Failure::Maintenance`]) with `Retry-After` while a [`Switch`] is on.
///
/// Whether the gateway is [ready](crate::Gateway::is_ready) does not change. A route that answers
/// [`readiness`](crate::readiness()) must stand outside of the layer.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, Middleware, Next, Request, middleware::{Maintenance, Switch}, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let switch = Switch::new();
/// let layer = Maintenance::when(&switch);
/// let ask = || layer.handle(Request::new(Body::empty()), Next::new(handler(async |_| "open")));
/// assert_eq!(ask().await.status(), 200);
/// switch.turn(true);
/// assert_eq!(ask().await.status(), 503);
/// # });
/// ```
#[derive(Clone)]
pub struct Maintenance {
    switch: Switch,
    except: Option<Except>,
    retry_after: Duration,
    problems: Vec<String>,
}

type Except = Arc<dyn Fn(Option<&Client>) -> bool + Send + Sync>;

impl Maintenance {
    /// Closed while the switch is on.
    pub fn when(switch: &Switch) -> Self {
        Self {
            switch: switch.clone(),
            except: None,
            retry_after: Duration::from_mins(1),
            problems: Vec::new(),
        }
    }

    /// Lets the clients pass that these rules let in.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::middleware::{IpRules, Maintenance, Switch};
    ///
    /// let layer = Maintenance::when(&Switch::new()).except(IpRules::allow(["198.51.100.0/24"]));
    /// # let _ = layer;
    /// ```
    pub fn except<K: Send + Sync + 'static>(mut self, rules: IpRules<K>) -> Self {
        self.problems = rules.problems().collect();
        self.except = Some(Arc::new(move |client| rules.lets_in(client)));
        self
    }

    /// When clients should come back; 1 min by default. It is rounded up to whole seconds.
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = time;
        self
    }

    fn closes(&self, client: Option<&Client>) -> bool {
        let except = self.except.as_ref();
        self.switch.is_on() && !except.is_some_and(|lets_in| lets_in(client))
    }
}

impl Step for Maintenance {
    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        if !self.closes(head.client()) {
            return Some(Ok(Kept::Nothing));
        }
        let grpc = respond::is_grpc(head.headers());
        let mut response = respond::failure(Failure::Maintenance, grpc);
        if !grpc {
            let seconds = whole_seconds(self.retry_after);
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Some(Err(Box::new(response)))
    }
}

impl Middleware for Maintenance {
    steps::as_middleware!();

    fn about(&self, about: &mut About) {
        for problem in &self.problems {
            about.problem(format!("`Maintenance::except`: {problem}"));
        }
    }
}

impl fmt::Debug for Maintenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maintenance")
            .field("switch", &self.switch)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::{
        body::Body,
        handler::{BoxHandler, Request, handler},
        middleware::IntoLayer,
    };

    #[tokio::test]
    async fn a_switch_closes_it_for_all_but_the_exceptions() {
        let switch = Switch::new();
        let layer = Maintenance::when(&switch)
            .except(IpRules::allow(["192.0.2.0/24"]))
            .retry_after(Duration::from_millis(1500))
            .into_layer();
        let target = layer.wrap(BoxHandler::new(handler(async |_| "open")));
        let ask = async |ip: &str, kind: &'static str| {
            let mut req = Request::new(Body::empty());
            let address = SocketAddr::new(ip.parse().unwrap(), 4000);
            let client = Client::new(Some(address));
            req.extensions_mut().insert(Arc::new(client));
            req.headers_mut()
                .insert("content-type", HeaderValue::from_static(kind));
            target.call(req).await
        };
        assert_eq!(ask("203.0.113.7", "text/plain").await.status(), 200);
        switch.turn(true);
        let closed = ask("203.0.113.7", "text/plain").await;
        assert_eq!(closed.status(), 503);
        assert_eq!(closed.headers()["retry-after"], "2");
        assert_eq!(closed.extensions().get(), Some(&Failure::Maintenance));
        let closed = ask("203.0.113.7", "application/grpc").await;
        assert_eq!(closed.headers()["grpc-status"], "14");
        assert_eq!(ask("192.0.2.7", "text/plain").await.status(), 200);
        switch.turn(false);
        assert_eq!(ask("203.0.113.7", "text/plain").await.status(), 200);
    }

    #[test]
    fn wrong_exceptions_are_said_at_start() {
        let layer = Maintenance::when(&Switch::new()).except(IpRules::allow(["lan"]));
        let about = layer.into_layer().about();
        assert!(about.problems()[0].contains("\"lan\" is not a network"));
    }
}
