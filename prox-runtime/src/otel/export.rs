//! Gives spans to a collector, or to a provider of the user's own, beside the workers.

use std::{
    collections::HashMap,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanBuilder, SpanContext, TraceContextExt, TraceFlags, Tracer as _,
        TracerProvider,
    },
};
use opentelemetry_otlp::{Compression, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    resource::TelemetryResourceDetector,
    trace::{SdkTracerProvider, SpanData, SpanExporter as _},
};
use tokio::{
    sync::{Notify, oneshot},
    time::timeout,
};

use super::{Said, Settings, collector::Client, spans::Spans, variables::Collector};
use crate::{
    observe::{
        seldom::Seldom,
        traces::{Sampler, Tracer},
    },
    tls,
};

/// How long the last spans may take when the server ends.
const END: Duration = Duration::from_secs(2);

/// Exports what a tracer has taken down.
#[derive(Debug)]
pub(crate) struct Export {
    tracer: Arc<Tracer>,
    spans: Arc<Spans>,
    sink: Sink,
    delay: Duration,
    seldom: Seldom,
}

/// Where spans go.
#[derive(Debug)]
enum Sink {
    Collector(Box<SpanExporter>, Client),
    Provider(SdkTracerProvider),
}

impl Export {
    /// For what was said in code and by variables. `routes` are the patterns of the gateway's routes, and `name` is its name.
    ///
    /// # Errors
    ///
    /// What is wrong.
    pub(crate) fn new(
        settings: Settings,
        said: Said,
        routes: Vec<&'static str>,
        name: Option<&str>,
    ) -> Result<Self, Vec<String>> {
        let sampler = Sampler::new(settings.root, settings.parents, said.limit());
        let tracer = Tracer::new(sampler, said.wanted(), settings.bounds);
        let sink = match (said.provider, settings.collector) {
            (Some(provider), _) => Sink::Provider(provider),
            (None, Some(collector)) => to_collector(collector, name)?,
            (None, None) => return Err(vec!["spans have no place to go to".into()]),
        };
        let spans = Arc::new(Spans::new(routes, tracer.without_path()));
        Ok(Self {
            tracer: Arc::new(tracer),
            spans,
            sink,
            delay: settings.delay,
            seldom: Seldom::default(),
        })
    }

    pub(crate) fn tracer(&self) -> &Arc<Tracer> {
        &self.tracer
    }

    /// Exports until `stop` is dropped, and then what is left, for up to 2 s.
    pub(crate) async fn run(self, stop: oneshot::Receiver<()>) {
        let (ends, ending) = (AtomicBool::new(false), Notify::new());
        let mut work = pin!(self.work(&ends, &ending));
        {
            let mut stop = pin!(stop);
            std::future::poll_fn(|cx| {
                if work.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                stop.as_mut().poll(cx).map(|_| ())
            })
            .await;
        }
        ends.store(true, Relaxed);
        ending.notify_one();
        let done = timeout(END, work).await.is_ok();
        let left = self.tracer.spans().take().len();
        if !done || left > 0 {
            self.tracer.spans().drops(left);
            tracing::warn!(target: "prox", "spans were left when the server ended");
        }
    }

    async fn work(&self, ends: &AtomicBool, ending: &Notify) {
        let spans = self.tracer.spans();
        loop {
            if !ends.load(Relaxed) {
                let batch = pin!(spans.batch());
                let ends = pin!(ending.notified());
                let wait = either(batch, ends);
                // Either is a reason to look, and so is the time.
                let _ = timeout(self.delay, wait).await;
            }
            // What ends from now on belongs to the next look.
            let last = ends.load(Relaxed);
            let mut all = spans.take().into_iter();
            loop {
                let batch: Vec<SpanData> = all
                    .by_ref()
                    .take(spans.batch_size())
                    .map(|ended| self.spans.span(&ended))
                    .collect();
                if batch.is_empty() {
                    break;
                }
                self.export(batch).await;
            }
            if last {
                if let Sink::Provider(provider) = &self.sink {
                    flush(provider.clone()).await;
                }
                return;
            }
        }
    }

    async fn export(&self, batch: Vec<SpanData>) {
        let count = batch.len();
        match &self.sink {
            Sink::Collector(exporter, client) => {
                if exporter.export(batch).await.is_err() {
                    self.tracer.spans().drops(count);
                    self.tell(count, client);
                }
            }
            Sink::Provider(provider) => {
                let provider = provider.clone();
                let spans = Arc::clone(&self.spans);
                // A processor of the user's may block, and need this runtime meanwhile.
                let giving = tokio::task::spawn_blocking(move || give(&provider, &spans, batch));
                if giving.await.is_err() {
                    self.tracer.spans().drops(count);
                    tracing::error!(target: "prox", "the tracer provider panicked");
                }
            }
        }
    }

    fn tell(&self, spans: usize, client: &Client) {
        let problem = client.problem();
        if let Some(times) = self.seldom.again() {
            let error = problem.unwrap_or_else(|| "the batch could not be sent".into());
            tracing::warn!(target: "prox", collector = client.place(), error, times, spans, "spans could not be exported");
        }
    }
}

/// Done when one of them is.
async fn either(
    mut one: Pin<&mut impl Future<Output = ()>>,
    mut other: Pin<&mut impl Future<Output = ()>>,
) {
    std::future::poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Pending => other.as_mut().poll(cx),
        ready @ Poll::Ready(()) => ready,
    })
    .await;
}

fn to_collector(collector: Collector, name: Option<&str>) -> Result<Sink, Vec<String>> {
    let connector = if collector.address.is_secure() {
        Some(connector(collector.roots)?)
    } else {
        None
    };
    let url = collector.address.to_string();
    let client = Client::new(collector.address, connector, collector.timeout)
        .map_err(|problem| vec![format!("the endpoint for traces {problem}")])?;
    let headers = collector.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        // The builder takes a percent-encoding off.
        (name.to_string(), value.replace('%', "%25"))
    });
    let headers: HashMap<String, String> = headers.collect();
    let mut builder = SpanExporter::builder()
        .with_http()
        .with_http_client(client.clone())
        .with_endpoint(url)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(collector.timeout)
        .with_headers(headers);
    if collector.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    let mut exporter = builder
        .build()
        .map_err(|error| vec![format!("the exporter of traces: {error}")])?;
    exporter.set_resource(&resource(collector.service, collector.resource, name));
    Ok(Sink::Collector(Box::new(exporter), client))
}

#[cfg(feature = "tls")]
fn connector(roots: Option<String>) -> Result<tls::Connector, Vec<String>> {
    let mut options = tls::UpstreamTls::new();
    if let Some(roots) = roots {
        options = options.roots(roots.as_str());
    }
    tls::connector(Some(options), false)
}

#[cfg(not(feature = "tls"))]
fn connector(_: Option<String>) -> Result<tls::Connector, Vec<String>> {
    tls::connector(None, false)
}

/// Who the spans are of: what `OTEL_SERVICE_NAME` says, or else the attributes, the gateway's name, the name of the program.
fn resource(
    service: Option<String>,
    attributes: Vec<(String, String)>,
    name: Option<&str>,
) -> Resource {
    let program = || {
        let path = std::env::current_exe().ok()?;
        Some(path.file_stem()?.to_string_lossy().into_owned())
    };
    let default = name.map(str::to_owned).or_else(program);
    let default = default.unwrap_or_else(|| "unknown_service".into());
    let mut all = vec![KeyValue::new("service.name", default)];
    all.extend(
        attributes
            .into_iter()
            .map(|(name, value)| KeyValue::new(name, value)),
    );
    all.extend(service.map(|name| KeyValue::new("service.name", name)));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(all)
        .build()
}

/// Has a provider of the user's own make the same spans.
fn give(provider: &SdkTracerProvider, spans: &Spans, batch: Vec<SpanData>) {
    let tracer = provider.tracer_with_scope(spans.scope.clone());
    for span in batch {
        let own = &span.span_context;
        let parent = SpanContext::new(
            own.trace_id(),
            span.parent_span_id,
            TraceFlags::SAMPLED,
            span.parent_span_is_remote,
            own.trace_state().clone(),
        );
        // A trace that begins here has no parent, only an id.
        let context = if parent.is_valid() {
            Context::new().with_remote_span_context(parent)
        } else {
            Context::new()
        };
        let mut builder = SpanBuilder::from_name(span.name)
            .with_trace_id(own.trace_id())
            .with_span_id(own.span_id())
            .with_kind(span.span_kind)
            .with_start_time(span.start_time)
            .with_attributes(span.attributes);
        builder.status = span.status.clone();
        let mut made = tracer.build_with_context(builder, &context);
        made.set_status(span.status);
        made.end_with_timestamp(span.end_time);
    }
}

/// Has a provider of the user's own export what it has.
async fn flush(provider: SdkTracerProvider) {
    let flushed = tokio::task::spawn_blocking(move || provider.force_flush()).await;
    if !matches!(flushed, Ok(Ok(()))) {
        tracing::warn!(target: "prox", "the tracer provider could not export its last spans");
    }
}
