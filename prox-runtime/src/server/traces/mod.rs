//! The traces of a server: what turns them on, and their export beside the workers.

#[cfg(not(feature = "otel"))]
mod absent;

#[cfg(not(feature = "otel"))]
pub(super) use self::absent::{Running, Said, Settled, settle};
#[cfg(feature = "otel")]
pub(super) use self::present::{Running, Settled, settle};
#[cfg(feature = "otel")]
pub(crate) use self::present::{Traced, beside};
use crate::handler::Dispatch;
#[cfg(feature = "otel")]
pub(super) use crate::otel::Said;

/// What spans name a gateway and its routes by.
#[derive(Debug, Default)]
#[cfg_attr(
    not(feature = "otel"),
    expect(dead_code, reason = "nothing has a span")
)]
pub(super) struct Named {
    name: Option<&'static str>,
    routes: Vec<&'static str>,
}

impl Named {
    pub(super) fn of<G: Dispatch>(gateway: &G) -> Self {
        Self {
            name: gateway.name(),
            routes: gateway.patterns(),
        }
    }
}

#[cfg(feature = "otel")]
mod present {
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::{Named, Said};
    use crate::{
        error::Result,
        handler::Dispatch,
        metrics::{Measured, SPANS_DROPPED, Samples},
        observe::traces::Tracer,
        otel::{Export, Settings},
        server::{
            ServerVariables, good,
            ops::{Job, Thread},
            variables::is_secret,
        },
    };

    /// Traces that are on.
    #[derive(Debug)]
    pub(in crate::server) struct Settled {
        export: Export,
        dropped: Arc<Dropped>,
    }

    /// Counts the spans that are dropped.
    #[derive(Debug)]
    struct Dropped(Arc<Tracer>);

    impl Measured for Dropped {
        fn measure(&self, samples: &mut Samples) {
            samples.add(&SPANS_DROPPED, &[], self.0.spans().dropped());
        }
    }

    /// Traces that are exported until this is dropped.
    #[derive(Debug)]
    pub(in crate::server) struct Running {
        _stop: oneshot::Sender<()>,
        /// Its numbers are there as long as it is.
        _dropped: Arc<Dropped>,
    }

    /// Reads the variables; nothing if traces are off.
    ///
    /// # Errors
    ///
    /// All that is wrong with them, and with what was said in code.
    pub(in crate::server) fn settle(
        said: Said,
        variables: &ServerVariables,
        named: &Named,
    ) -> Result<Option<Settled>> {
        let mut problems = said.problems().to_vec();
        let text = |name: &str| {
            // It may be in a file.
            let secret = is_secret(name).then(|| variables.secret(name));
            match secret.transpose()?.flatten() {
                Some(secret) => Ok(Some(secret.expose().to_owned())),
                None => variables.text(name),
            }
        };
        let settings = Settings::read(&text, said.provider.is_some());
        let settings = settings.unwrap_or_else(|found| {
            problems.extend(found);
            None
        });
        good(&problems)?;
        let Some(settings) = settings else {
            return Ok(None);
        };
        let made = Export::new(settings, said, named.routes.clone(), named.name);
        let export = match made {
            Ok(export) => export,
            Err(problems) => return good(&problems).map(|()| None),
        };
        let dropped = Arc::new(Dropped(Arc::clone(export.tracer())));
        Ok(Some(Settled { export, dropped }))
    }

    /// The traces of a gateway in a server that is not ours. They are exported until this is dropped.
    pub(crate) struct Traced(#[expect(dead_code, reason = "it is kept")] Running);

    /// Begins them, and says what decides about requests; nothing if the variables turn traces off.
    ///
    /// # Errors
    ///
    /// All that is wrong with the variables and with what was said in code.
    pub(crate) fn beside<G: Dispatch>(
        said: Said,
        variables: &ServerVariables,
        gateway: &G,
    ) -> Result<Option<(Arc<Tracer>, Traced)>> {
        let Some(settled) = settle(said, variables, &Named::of(gateway))? else {
            return Ok(None);
        };
        gateway.attach(&settled.measured());
        let tracer = settled.tracer();
        // It ends by itself, after the last spans.
        let (_thread, running) = settled.start_alone()?;
        Ok(Some((tracer, Traced(running))))
    }

    impl Settled {
        /// Decides about requests.
        pub(in crate::server) fn tracer(&self) -> Arc<Tracer> {
            Arc::clone(self.export.tracer())
        }

        /// Its numbers.
        pub(in crate::server) fn measured(&self) -> Arc<dyn Measured> {
            Arc::clone(&self.dropped) as Arc<dyn Measured>
        }

        /// Exports on a thread of its own.
        ///
        /// # Errors
        ///
        /// When the thread cannot be started.
        pub(in crate::server) fn start_alone(self) -> Result<(Thread, Running)> {
            let (job, running) = self.start();
            let thread = Thread::start(|runtime| match runtime {
                Ok(runtime) => {
                    runtime.block_on(job);
                    // A provider of the user's own may still block.
                    runtime.shutdown_background();
                }
                Err(error) => {
                    tracing::error!(target: "prox", %error, "traces are not exported");
                }
            })?;
            Ok((thread, running))
        }

        /// The export, for the thread of operators.
        pub(in crate::server) fn start(self) -> (Job, Running) {
            let (stop, stopped) = oneshot::channel();
            let job = Box::pin(self.export.run(stopped));
            let running = Running {
                _stop: stop,
                _dropped: self.dropped,
            };
            (job, running)
        }
    }
}
