//! Every family of metrics: its name, its kind, its labels, and what it says.

/// What the numbers of a family are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A family of metrics.
#[derive(Debug)]
pub(crate) struct Family {
    /// The name of its samples; that of a counter ends with `_total`.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The names of its labels; a sample may leave some out.
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

impl Family {
    /// The names that no other family may have.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let base = self.name.trim_end_matches("_total");
        let parts: &[&str] = match self.kind {
            Kind::Counter => &["", "_total"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["", "_bucket", "_sum", "_count"],
        };
        parts.iter().map(move |part| format!("{base}{part}"))
    }
}

macro_rules! families {
    ($($family:ident $kind:ident $name:literal [$($label:literal)*] $help:literal)*) => {
        $(
            pub(crate) static $family: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// Every family but those of the counters of backends, in the order in which they are written.
        pub(crate) static ALL: &[&Family] = &[$(&$family,)*];
    };
}

families! {
    REQUEST_DURATION Histogram "http_server_request_duration_seconds" ["host" "http_route" "http_request_method" "http_response_status_code" "error_type"]
        "Time from the head of a request to the last byte of its response. Tunnels are left out."
    REQUESTS Counter "prox_requests_total" ["host" "http_route" "http_request_method" "http_response_status_code" "error_type"]
        "Requests that were answered or cut. A tunnel counts when it begins, with status 101."
    ACTIVE_REQUESTS Gauge "http_server_active_requests" []
        "Requests that are under way."
    TUNNELS Gauge "prox_tunnels" []
        "Connections that were switched to another protocol, such as WebSocket."
    OPEN_CONNECTIONS Gauge "prox_open_connections" ["tls"]
        "Connections of clients that are open, by whether they speak TLS."
    CONNECTIONS Counter "prox_connections_total" []
        "Connections of clients that were accepted."
    REQUEST_BYTES Counter "prox_request_body_bytes_total" ["host" "http_route"]
        "Bytes of request bodies that were read."
    RESPONSE_BYTES Counter "prox_response_body_bytes_total" ["host" "http_route"]
        "Bytes of response bodies that were handed to the connection."
    PROTOCOL_REQUESTS Counter "prox_protocol_requests_total" ["network_protocol_version"]
        "Requests by the version of HTTP that the client spoke."
    CONNECTIONS_WAITED Counter "prox_connections_waited_total" []
        "Connections of clients that had to wait, because the limit was reached or no descriptor was left."
    CONNECTIONS_REFUSED Counter "prox_connections_refused_total" ["reason"]
        "Connections, or requests on them, that were refused before the gateway saw them."
    TRY_DURATION Histogram "http_client_request_duration_seconds" ["backend" "error_type"]
        "Time of one try, from the choice of its endpoint to the head of the response or to the failure."
    ENDPOINT_REQUESTS Counter "prox_endpoint_requests_total" ["backend" "endpoint" "error_type"]
        "Tries of requests on an endpoint."
    ENDPOINT_ACTIVE Gauge "http_client_active_requests" ["backend" "endpoint"]
        "Requests under way at an endpoint."
    ENDPOINT_UP Gauge "prox_endpoint_up" ["backend" "endpoint"]
        "1 if the endpoint may get requests, else 0."
    ENDPOINT_WAITING Gauge "prox_endpoint_waiting" ["backend" "endpoint"]
        "Requests that wait for a place at the endpoint."
    UPSTREAM_CONNECTIONS Gauge "http_client_open_connections" ["backend" "http_connection_state"]
        "Open connections to a backend. Those without a request under way are idle."
    CONNECT_DURATION Histogram "prox_connect_duration_seconds" ["backend"]
        "Time that new connections to a backend took, with DNS and TLS."
    QUEUE_DURATION Histogram "prox_queue_duration_seconds" ["backend"]
        "Time that requests waited for a place at an endpoint, if they had to wait."
    BREAKER_OPEN Gauge "prox_breaker_open" ["backend"]
        "1 if the breaker refuses requests other than its probes, else 0."
    ENDPOINTS Gauge "prox_endpoints" ["backend" "condition"]
        "Endpoints of a backend, by their condition."
    BACKEND_READY Gauge "prox_backend_ready" ["backend"]
        "1 if a required backend is ready, else 0."
    READY Gauge "prox_ready" []
        "1 if the gateway is ready, else 0."
    DRAINING Gauge "prox_draining" []
        "1 if the gateway is to end, else 0."
    WORKER_BUSY Counter "prox_worker_busy_seconds_total" ["worker"]
        "Time in which a worker was not idle."
    WORKER_TASKS Gauge "prox_worker_tasks" ["worker"]
        "Tasks of a worker that have not ended."
    WORKER_PING Gauge "prox_worker_ping_seconds" ["worker"]
        "Time that a worker took to answer this scrape, or has owed its answer."
    CERTIFICATE_EXPIRY Gauge "prox_certificate_expiry_timestamp_seconds" ["name"]
        "When the certificate for a name ends, in seconds since 1970; of several the first end."
    BUILD_INFO Gauge "prox_build_info" ["version" "gateway" "routes"]
        "The version of Prox, the name of the gateway, and a hash of the table of routes."
    ACCESS_LOG_LOST Counter "prox_access_log_lost_lines_total" []
        "Lines of access logs that could not be written."
    LOG_LOST Counter "prox_log_lost_lines_total" []
        "Lines of events that could not be written."
    SPANS_DROPPED Counter "prox_spans_dropped_total" []
        "Spans that were not exported, because too many waited or the collector did not take them."
    SERIES Gauge "prox_metrics_series" []
        "Samples in this exposition."
    PROCESS_CPU Counter "process_cpu_seconds_total" []
        "User and system CPU time of the process in seconds."
    PROCESS_MEMORY Gauge "process_resident_memory_bytes" []
        "Resident memory of the process in bytes."
    PROCESS_DESCRIPTORS Gauge "process_open_fds" []
        "Open file descriptors of the process."
    PROCESS_MOST_DESCRIPTORS Gauge "process_max_fds" []
        "The most file descriptors that the process may have open."
    PROCESS_START Gauge "process_start_time_seconds" []
        "Start of the process, in seconds since 1970."
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_keep_the_rules_of_their_formats() {
        let mut seen = BTreeSet::new();
        for family in ALL {
            let name = family.name;
            let counter = family.kind == Kind::Counter;
            assert_eq!(counter, name.ends_with("_total"), "{name}");
            // In OpenMetrics the family of a counter is its name without the end.
            assert!(seen.insert(name.trim_end_matches("_total")), "{name}");
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(name.chars().all(plain), "{name}");
            assert!(family.labels.iter().all(|label| label.chars().all(plain)));
            assert!(family.help.ends_with('.'), "{name}");
        }
    }
}
