//! The variables of a gateway's binary: those of the gateway, and those of its server.

use crate::route::{EnvInfo, Variables};

/// What a server reads of which the code says nothing.
const OF_THE_SERVER: &[EnvInfo] = &[
    EnvInfo {
        name: "HOST",
        ty: "String",
        default: Some("\"0.0.0.0\""),
        doc: "Listen on an IP address, localhost or unix:/run/prox.sock.",
        needed_by: "the server",
    },
    EnvInfo {
        name: "PORT",
        ty: "u16",
        default: Some("8080"),
        doc: "The port to listen on; 0 for one that is free.",
        needed_by: "the server",
    },
    EnvInfo {
        name: "TRUSTED_PROXIES",
        ty: "Option<String>",
        default: None,
        doc: "Whom to believe about clients, such as 10.0.0.0/8,private.",
        needed_by: "the server",
    },
    EnvInfo {
        name: "ADMIN",
        ty: "Option<String>",
        default: None,
        doc: "Where operators ask, such as 127.0.0.1:9901, :9901 or unix:/run/admin.sock.",
        needed_by: "the server",
    },
    EnvInfo {
        name: "ADMIN_TOKEN",
        ty: "Option<Secret>",
        default: None,
        doc: "Opens all of the admin listener to its bearer; or ADMIN_TOKEN_FILE, the path of a file with it.",
        needed_by: "the server",
    },
    EnvInfo {
        name: "SHUTDOWN_DELAY",
        ty: "Duration",
        default: Some("0s"),
        doc: "How long to serve on after SIGTERM, and to be not ready, before the drain begins.",
        needed_by: "the server",
    },
    EnvInfo {
        name: "DRAIN_IDLE",
        ty: "Duration",
        default: Some("5s"),
        doc: "How long idle connections wait for their next request in the drain.",
        needed_by: "the server",
    },
    EnvInfo {
        name: "DRAIN_TIMEOUT",
        ty: "Duration",
        default: Some("10s"),
        doc: "When the drain cuts off what is still under way.",
        needed_by: "the server",
    },
    EnvInfo {
        name: "LOG",
        ty: "String",
        default: Some("\"info\""),
        doc: "The least level of events: off, error, warn, info, debug or trace; also for each target, such as warn,prox=debug.",
        needed_by: "the server",
    },
    EnvInfo {
        name: "LOG_FORMAT",
        ty: "Option<String>",
        default: None,
        doc: "How lines are written: json, text, ecs or gcp; else text for a terminal and JSON for anything else.",
        needed_by: "the server",
    },
    #[cfg(feature = "lambda")]
    EnvInfo {
        name: "LAMBDA_STREAMING",
        ty: "Option<String>",
        default: None,
        doc: "Whether responses are streamed as a function of AWS Lambda: on or off, which is the default.",
        needed_by: "the server",
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
    of_traces(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "Headers for the collector, such as api-key=abc,x-tenant=shop.",
    ),
    #[cfg(feature = "otel")]
    of_traces(
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
const fn of_traces(name: &'static str, doc: &'static str) -> EnvInfo {
    EnvInfo {
        name,
        ty: "Option<String>",
        default: None,
        doc,
        needed_by: "the server",
    }
}

/// The variables of the gateway, and those that its server `reads`, each name once; `listeners` are the variables of its listeners,
/// with the names of these.
///
/// What it returns is never freed: it is for a process that prints it and ends.
pub(super) fn with_the_servers(
    gateway: Variables,
    reads: impl Fn(&str) -> bool,
    listeners: Vec<(String, String)>,
) -> Variables {
    let mut all = gateway.to_vec();
    let of_listeners = listeners.into_iter().map(|(name, listener)| EnvInfo {
        name: name.leak(),
        ty: "Option<String>",
        default: None,
        doc: format!(
            "Where the listener {listener} listens, such as 127.0.0.1:9000, :9000 or unix:/run/prox.sock; else HOST and PORT."
        )
        .leak(),
        needed_by: "the server",
    });
    let read = OF_THE_SERVER
        .iter()
        .copied()
        .filter(|variable| reads(variable.name));
    for variable in read.chain(of_listeners) {
        match all.iter_mut().find(|other| other.name == variable.name) {
            // One variable with one value.
            Some(own) if own.needed_by.is_empty() => own.needed_by = variable.needed_by,
            Some(own) => {
                let both = format!("{}, {}", own.needed_by, variable.needed_by);
                own.needed_by = both.leak();
            }
            None => all.push(variable),
        }
    }
    Variables::new(all.leak())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_the_gateway_reads_too_is_listed_once() {
        let port = EnvInfo {
            needed_by: "/told",
            ..OF_THE_SERVER[1]
        };
        let own = Variables::new(Vec::leak(vec![port]));
        let all = with_the_servers(own, |name| matches!(name, "HOST" | "PORT"), Vec::new());
        let listed: Vec<_> = all
            .iter()
            .map(|variable| (variable.name, variable.needed_by))
            .collect();
        assert_eq!(
            listed,
            [("PORT", "/told, the server"), ("HOST", "the server")]
        );
    }

    #[test]
    fn what_the_server_does_not_read_is_not_listed() {
        let all = with_the_servers(
            Variables::new(&[]),
            |name| name == "TRUSTED_PROXIES",
            Vec::new(),
        );
        let listed: Vec<_> = all.iter().map(|variable| variable.name).collect();
        assert_eq!(listed, ["TRUSTED_PROXIES"]);
        assert!(all.to_string().contains("(optional)"), "{all}");
        assert!(all.to_dotenv().ends_with("\nTRUSTED_PROXIES=\n"));
    }

    #[test]
    fn the_defaults_are_values_in_files() {
        let all = with_the_servers(
            Variables::new(&[]),
            |_| true,
            vec![("INTERNAL_LISTEN".into(), "internal".into())],
        );
        assert!(all.to_dotenv().ends_with("\nINTERNAL_LISTEN=\n"));
        assert!(all.to_dotenv().contains("\nHOST=0.0.0.0\n"));
        assert!(all.to_dotenv().contains("\nPORT=8080\n"));
        assert!(all.to_kubernetes().contains("value: \"8080\""));
    }
}
