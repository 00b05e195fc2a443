//! The variables that a server reads, each with the value that its gateway has for it.

use std::{collections::BTreeMap, time::Duration};

use crate::{secret::Secret, time, vars::Env};

/// A variable that a server reads where the code says nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) name: &'static str,
    /// The type that it would have in a gateway.
    pub(crate) ty: &'static str,
    /// The Rust source of the default.
    pub(crate) default: Option<&'static str>,
    /// Whether it means something that it is not set and has no default.
    pub(crate) is_optional: bool,
    pub(crate) doc: &'static str,
}

/// All that any server may read; beside these are the variables of its listeners.
pub(crate) const ALL: &[Listed] = &[
    Listed {
        name: "HOST",
        ty: "String",
        default: Some("\"0.0.0.0\""),
        is_optional: false,
        doc: "Listen on an IP address, localhost or unix:/run/prox.sock.",
    },
    Listed {
        name: "PORT",
        ty: "u16",
        default: Some("8080"),
        is_optional: false,
        doc: "The port to listen on; 0 for one that is free.",
    },
    Listed {
        name: "TRUSTED_PROXIES",
        ty: "Option<String>",
        default: None,
        is_optional: true,
        doc: "Whom to believe about clients, such as 10.0.0.0/8,private.",
    },
    Listed {
        name: "ADMIN",
        ty: "Option<String>",
        default: None,
        is_optional: true,
        doc: "Where operators ask, such as 127.0.0.1:9901, :9901 or unix:/run/admin.sock.",
    },
    Listed {
        name: "ADMIN_TOKEN",
        ty: "Option<Secret>",
        default: None,
        is_optional: true,
        doc: "Opens all of the admin listener to its bearer; or ADMIN_TOKEN_FILE, the path of a file with it.",
    },
    Listed {
        name: "WORKERS",
        ty: "Option<usize>",
        default: None,
        is_optional: true,
        doc: "How many threads answer requests; one a core by default.",
    },
    Listed {
        name: "SHUTDOWN_DELAY",
        ty: "Duration",
        default: Some("0s"),
        is_optional: false,
        doc: "How long to serve on after SIGTERM, and to be not ready, before the drain begins.",
    },
    Listed {
        name: "DRAIN_IDLE",
        ty: "Duration",
        default: Some("5s"),
        is_optional: false,
        doc: "How long idle connections wait for their next request in the drain.",
    },
    Listed {
        name: "DRAIN_TIMEOUT",
        ty: "Duration",
        default: Some("10s"),
        is_optional: false,
        doc: "When the drain cuts off what is still under way.",
    },
    Listed {
        name: "HANDOVER",
        ty: "Option<String>",
        default: None,
        is_optional: true,
        doc: "Where a new process takes the sockets from the running one, such as /run/shop.sock.",
    },
    Listed {
        name: "LOG",
        ty: "String",
        default: Some("\"info\""),
        is_optional: true,
        doc: "The least level of events: off, error, warn, info, debug or trace; also for each target, such as warn,prox=debug.",
    },
    Listed {
        name: "LOG_FORMAT",
        ty: "Option<String>",
        default: None,
        is_optional: true,
        doc: "How lines are written: json, text, ecs or gcp; else text for a terminal and JSON for anything else.",
    },
    #[cfg(feature = "lambda")]
    Listed {
        name: "LAMBDA_STREAMING",
        ty: "Option<String>",
        default: None,
        is_optional: true,
        doc: "Whether responses are streamed as a function of AWS Lambda: on or off, which is the default.",
    },
    #[cfg(feature = "otel")]
    of_traces("OTEL_SDK_DISABLED", "Turns traces off if it is true."),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "The collector that traces go to, such as http://localhost:4318; it turns traces on.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "The same for traces only, with the path, such as http://localhost:4318/v1/traces.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "The protocol of the collector: http/protobuf.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "The same for traces only.",
    ),
    #[cfg(feature = "otel")]
    secret_of_traces(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "Headers for the collector, such as api-key=abc,x-tenant=shop.",
    ),
    #[cfg(feature = "otel")]
    secret_of_traces(
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "The same for traces only.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "The milliseconds that a batch may take; 10000 by default.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        "The same for traces only.",
    ),
    #[cfg(feature = "otel")]
    of_traces("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip or none."),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        "The same for traces only.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "A file with the roots of the collector's certificate, in PEM.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        "The same for traces only.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_SERVICE_NAME",
        "The service of the spans; by default the name of the gateway or of the program.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_RESOURCE_ATTRIBUTES",
        "Attributes of the service, such as service.version=1.2,deployment.environment.name=prod.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_TRACES_EXPORTER",
        "otlp, or none, which turns traces off.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_TRACES_SAMPLER",
        "Which requests are recorded: parentbased_always_on by default.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_TRACES_SAMPLER_ARG",
        "The share of requests that a traceidratio sampler records, from 0 to 1.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_BSP_SCHEDULE_DELAY",
        "The milliseconds between two exports; 5000 by default.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "The most spans that wait for an export; 2048 by default.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "The spans of one export; 512 by default.",
    ),
];

/// A variable for traces. OpenTelemetry says what happens when it is not set.
#[cfg(feature = "otel")]
const fn of_traces(name: &'static str, doc: &'static str) -> Listed {
    Listed {
        name,
        ty: "Option<String>",
        default: None,
        is_optional: true,
        doc,
    }
}

/// The same for one that holds credentials.
#[cfg(feature = "otel")]
const fn secret_of_traces(name: &'static str, doc: &'static str) -> Listed {
    Listed {
        ty: "Option<Secret>",
        ..of_traces(name, doc)
    }
}

fn find(name: &str) -> Option<&'static Listed> {
    ALL.iter().find(|listed| listed.name == name)
}

/// Whether a server may read a variable.
pub(crate) fn is_listed(name: &str) -> bool {
    find(name).is_some()
}

/// Whether traces read a variable. None of them has to be set.
pub(crate) fn is_of_traces(name: &str) -> bool {
    name.starts_with("OTEL_") && is_listed(name)
}

/// Whether it means something that a variable is not set and has no default.
pub(crate) fn is_optional(name: &str) -> bool {
    find(name).is_some_and(|listed| listed.is_optional)
}

/// Whether a variable holds credentials, so that it may be in a file and is never shown.
pub(super) fn is_secret(name: &str) -> bool {
    find(name).is_some_and(|listed| listed.ty == "Option<Secret>")
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

    /// The number of a variable, from 1 on, if it has one.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn count(&self, name: &str) -> Result<Option<usize>, String> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let count = text.trim().parse().ok().filter(|&count| count > 0);
        let count = count.ok_or_else(|| format!("{name} is {text:?}: expected a number from 1 on"));
        count.map(Some)
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

    #[test]
    fn a_count_is_a_number_from_1_on() {
        let count = |text| ServerVariables::new(Env::from([("WORKERS", text)])).count("WORKERS");
        assert_eq!(count("3"), Ok(Some(3)));
        assert_eq!(count(" 1 "), Ok(Some(1)));
        for wrong in ["0", "-1", "two", "1.5", "99999999999999999999"] {
            assert!(
                count(wrong).unwrap_err().starts_with("WORKERS is "),
                "{wrong}"
            );
        }
        assert_eq!(
            ServerVariables::new(Env::empty()).count("WORKERS"),
            Ok(None)
        );
    }

    #[test]
    fn each_variable_is_listed_once() {
        let mut names: Vec<_> = ALL.iter().map(|listed| listed.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        // Kubernetes sets such names for each Service.
        assert!(
            !names
                .iter()
                .any(|name| name.ends_with("_PORT") || name.ends_with("_HOST"))
        );
        assert!(is_secret("ADMIN_TOKEN") && !is_secret("ADMIN"));
    }
}
