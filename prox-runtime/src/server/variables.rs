//! The variables that a server reads, each with the value that its gateway has for it.

use std::{collections::BTreeMap, time::Duration};

use crate::{secret::Secret, time, vars::Env};

/// All names that any server may read; beside these are the variables of its listeners.
pub(crate) const NAMES: &[&str] = &[
    "HOST",
    "PORT",
    "TRUSTED_PROXIES",
    "ADMIN",
    "ADMIN_TOKEN",
    "SHUTDOWN_DELAY",
    "DRAIN_IDLE",
    "DRAIN_TIMEOUT",
    "LOG",
    "LOG_FORMAT",
    #[cfg(feature = "otel")]
    "OTEL_SDK_DISABLED",
    #[cfg(feature = "otel")]
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    #[cfg(feature = "otel")]
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    #[cfg(feature = "otel")]
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    #[cfg(feature = "otel")]
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    #[cfg(feature = "otel")]
    "OTEL_EXPORTER_OTLP_HEADERS",
    #[cfg(feature = "otel")]
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    #[cfg(feature = "otel")]
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    #[cfg(feature = "otel")]
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    #[cfg(feature = "otel")]
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    #[cfg(feature = "otel")]
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
    #[cfg(feature = "otel")]
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    #[cfg(feature = "otel")]
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    #[cfg(feature = "otel")]
    "OTEL_SERVICE_NAME",
    #[cfg(feature = "otel")]
    "OTEL_RESOURCE_ATTRIBUTES",
    #[cfg(feature = "otel")]
    "OTEL_TRACES_EXPORTER",
    #[cfg(feature = "otel")]
    "OTEL_TRACES_SAMPLER",
    #[cfg(feature = "otel")]
    "OTEL_TRACES_SAMPLER_ARG",
    #[cfg(feature = "otel")]
    "OTEL_BSP_SCHEDULE_DELAY",
    #[cfg(feature = "otel")]
    "OTEL_BSP_MAX_QUEUE_SIZE",
    #[cfg(feature = "otel")]
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    #[cfg(feature = "lambda")]
    "LAMBDA_STREAMING",
];

/// Whether traces read a variable. None of them has to be set.
pub(crate) fn is_of_traces(name: &str) -> bool {
    name.starts_with("OTEL_") && NAMES.contains(&name)
}

/// Those of them for which it means something that they are not set and have no default.
const OPTIONAL: &[&str] = &[
    "TRUSTED_PROXIES",
    "ADMIN",
    "ADMIN_TOKEN",
    "LOG",
    "LOG_FORMAT",
    #[cfg(feature = "lambda")]
    "LAMBDA_STREAMING",
];

/// Whether it means something that a variable is not set and has no default.
pub(crate) fn is_optional(name: &str) -> bool {
    OPTIONAL.contains(&name) || is_of_traces(name)
}

/// Where a server's variables come from.
///
/// A gateway can declare them as its own, and then each is one variable with one value: the default of the gateway is that of
/// the server.
#[derive(Debug, Default)]
pub(crate) struct ServerVariables {
    env: Env,
    /// The defaults that the gateway has, as texts; an error is for one that the server cannot read.
    defaults: BTreeMap<&'static str, Result<String, String>>,
}

impl ServerVariables {
    pub(crate) fn new(env: Env) -> Self {
        Self {
            env,
            defaults: BTreeMap::new(),
        }
    }

    /// Notes what the gateway takes for a variable that is not set.
    pub(crate) fn default(&mut self, name: &'static str, value: Result<String, String>) {
        self.defaults.insert(name, value);
    }

    /// The value of a variable, if it has one.
    ///
    /// # Errors
    ///
    /// Why there is no one value for the gateway and its server.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.env.get(name) {
            Ok(Some(text)) => Ok(Some(text)),
            Ok(None) => self.defaults.get(name).cloned().transpose(),
            Err(problem) => Err(format!("{name} {problem}")),
        }
    }

    /// The length of time of a variable, if it has one.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn time(&self, name: &str) -> Result<Option<Duration>, String> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let time = time::read(text.trim());
        time.map(Some)
            .map_err(|problem| format!("{name} is {text:?}: {problem}"))
    }

    /// The value of a secret, which may be in a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without its text.
    pub(super) fn secret(&self, name: &str) -> Result<Option<Secret>, String> {
        let text = self.env.secret(name);
        let text = text.map_err(|problem| format!("{name} {problem}"))?;
        Ok(text.map(Secret::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_of_the_gateway_is_for_what_is_not_set() {
        let mut variables = ServerVariables::new(Env::from([("PORT", "81")]));
        variables.default("PORT", Ok("82".into()));
        variables.default("HOST", Ok("::1".into()));
        variables.default("TRUSTED_PROXIES", Err("no".into()));
        assert_eq!(variables.text("PORT"), Ok(Some("81".into())));
        assert_eq!(variables.text("HOST"), Ok(Some("::1".into())));
        assert_eq!(variables.text("TRUSTED_PROXIES"), Err("no".into()));
        assert_eq!(ServerVariables::new(Env::empty()).text("PORT"), Ok(None));
    }
}
