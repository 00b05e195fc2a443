//! The types of traces without the feature `otel`. None of them has a value.

use std::sync::Arc;

use super::Named;
use crate::{
    error::Result,
    observe::traces::Tracer,
    server::{ServerVariables, ops::Job},
};

/// There is nothing to say.
#[derive(Debug, Default)]
pub(in crate::server) struct Said(());

/// There is none.
#[derive(Debug)]
pub(in crate::server) enum Settled {}

#[expect(clippy::unnecessary_wraps, reason = "with traces it may fail")]
pub(in crate::server) fn settle(
    _: Said,
    variables: &ServerVariables,
    _: &Named,
) -> Result<Option<Settled>> {
    if let Some(variable) = wanted(variables) {
        tracing::warn!(target: "prox", variable, "there are no traces: give `prox` the feature `otel`");
    }
    Ok(None)
}

/// The variable that asks for traces, if one does.
fn wanted(variables: &ServerVariables) -> Option<&'static str> {
    let text = |name| variables.text(name).ok().flatten();
    let is_off = text("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"))
        || text("OTEL_TRACES_EXPORTER").as_deref() == Some("none");
    let asking = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_TRACES_EXPORTER",
        "OTEL_TRACES_SAMPLER",
    ];
    let mut asking = asking.into_iter().filter(|_| !is_off);
    asking.find(|name| text(name).is_some())
}

impl Settled {
    pub(in crate::server) fn tracer(&self) -> Arc<Tracer> {
        match *self {}
    }

    pub(in crate::server) fn measured(&self) -> Arc<dyn crate::metrics::Measured> {
        match *self {}
    }

    pub(in crate::server) fn start(self) -> (Job, Running) {
        match self {}
    }
}

/// There is none.
#[derive(Debug)]
pub(in crate::server) enum Running {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vars::Env;

    fn of<const N: usize>(all: [(&str, &str); N]) -> Option<&'static str> {
        wanted(&ServerVariables::new(Env::from(all)))
    }

    #[test]
    fn variables_ask_for_traces_unless_they_turn_them_off() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        assert_eq!(of([]), None);
        assert_eq!(of([("OTEL_SERVICE_NAME", "shop")]), None);
        assert_eq!(of([endpoint]), Some(endpoint.0));
        let sampler = ("OTEL_TRACES_SAMPLER", "always_on");
        assert_eq!(of([sampler]), Some(sampler.0));
        assert_eq!(of([endpoint, ("OTEL_SDK_DISABLED", "True")]), None);
        assert_eq!(of([endpoint, ("OTEL_TRACES_EXPORTER", "none")]), None);
    }
}
