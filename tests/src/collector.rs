//! A collector of traces: an origin that decodes what it gets, by OpenTelemetry's own definitions.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span as Encoded, span::SpanKind},
};
use prost::Message;

use crate::{
    origin::{Origin, Reply},
    wait::eventually,
};

/// A collector on a port of its own.
#[derive(Debug)]
pub struct Collector(Origin);

/// A span, as a collector gets it.
#[derive(Clone, Debug)]
pub struct Span {
    /// 32 hexadecimal digits.
    pub trace: String,
    /// 16 hexadecimal digits.
    pub id: String,
    /// The span that it is part of; empty if there is none.
    pub parent: String,
    /// Its `tracestate`.
    pub state: String,
    /// Its name.
    pub name: String,
    /// Whether it is one of a server.
    pub is_server: bool,
    /// Whether it is one of an error.
    pub is_error: bool,
    /// Begin and end, in nanoseconds since 1970.
    pub time: (u64, u64),
    /// The attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Those of the service.
    pub resource: BTreeMap<String, String>,
}

impl Span {
    /// An attribute; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    /// One that takes all.
    pub async fn start() -> Self {
        Self(Origin::start(Reply::ok("")).await)
    }

    /// The origin below.
    pub fn origin(&self) -> &Origin {
        &self.0
    }

    /// The same, to be stopped.
    pub fn origin_mut(&mut self) -> &mut Origin {
        &mut self.0
    }

    /// The variables of a gateway that exports to it, often.
    pub fn env(&self) -> prox::Env {
        prox::Env::from([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.0.url().as_str()),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ])
    }

    /// All spans so far, in the order in which they came.
    ///
    /// # Panics
    ///
    /// When something else has come.
    pub fn spans(&self) -> Vec<Span> {
        let mut all = Vec::new();
        for seen in self.0.requests() {
            assert_eq!((seen.method(), seen.target()), ("POST", "/v1/traces"));
            assert_eq!(seen.field("content-type"), Some("application/x-protobuf"));
            let length = seen
                .field("content-length")
                .and_then(|length| length.parse().ok());
            if length != Some(seen.body.start.len()) {
                // It is on its way.
                continue;
            }
            let request = ExportTraceServiceRequest::decode(&*seen.body.start);
            let request = request.expect("the definitions of OpenTelemetry");
            for group in request.resource_spans {
                let resource = group.resource.map(|resource| texts(&resource.attributes));
                let resource = resource.unwrap_or_default();
                for scope in group.scope_spans {
                    assert_eq!(scope.scope.map(|scope| scope.name).as_deref(), Some("prox"));
                    let spans = scope.spans.iter();
                    all.extend(spans.map(|span| decoded(span, &resource)));
                }
            }
        }
        all
    }

    /// Waits for `count` spans, and sorts them by their start.
    pub async fn wait(&self, count: usize) -> Vec<Span> {
        eventually("spans at the collector", || self.spans().len() >= count).await;
        let mut spans = self.spans();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans.sort_by_key(|span| (span.time.0, !span.is_server));
        spans
    }
}

fn decoded(span: &Encoded, resource: &BTreeMap<String, String>) -> Span {
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    Span {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        state: span.trace_state.clone(),
        name: span.name.clone(),
        is_server: span.kind == SpanKind::Server as i32,
        is_error: span.status.as_ref().is_some_and(|status| status.code == 2),
        time: (span.start_time_unix_nano, span.end_time_unix_nano),
        attributes: texts(&span.attributes),
        resource: resource.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let texts = attributes.iter().map(|pair| {
        let value = pair.value.as_ref().map(text).unwrap_or_default();
        (pair.key.clone(), value)
    });
    texts.collect()
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        Some(Value::ArrayValue(list)) => {
            let texts: Vec<_> = list.values.iter().map(text).collect();
            texts.join(",")
        }
        other => format!("{other:?}"),
    }
}
