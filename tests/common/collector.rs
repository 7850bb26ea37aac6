//! An OpenTelemetry collector that keeps what it is sent (OTLP over HTTP, protobuf).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

/// A collector on a free port; it ends with the process of the test.
pub struct Collector {
    url: String,
    kept: Arc<Mutex<Kept>>,
}

/// What it was sent.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub spans: Vec<SpanSeen>,
    /// The node and the name of each metric.
    pub metrics: Vec<(String, String)>,
    pub logs: Vec<LogSeen>,
    /// Every body as it came.
    pub bodies: Vec<Vec<u8>>,
    /// Every head as it came.
    pub heads: Vec<String>,
}

/// A span, its ids in hexadecimal.
#[derive(Clone, Debug)]
pub struct SpanSeen {
    pub node: String,
    pub name: String,
    pub trace_id: String,
    pub id: String,
    pub parent_id: String,
    pub attributes: Vec<(String, String)>,
}

/// A line of a log.
#[derive(Clone, Debug)]
pub struct LogSeen {
    pub node: String,
    pub text: String,
    pub trace_id: String,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let kept = Arc::<Mutex<Kept>>::default();
        let shared = Arc::clone(&kept);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let kept = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let mut connection = BufReader::new(connection);
                    while let Some((head, body)) = request(&mut connection) {
                        kept.lock().expect("no panic").take(head, body);
                        // An answer with nothing in it says that all was taken.
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        if connection.get_mut().write_all(answer).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Collector { url, kept }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// What it was sent so far.
    pub fn kept(&self) -> Kept {
        self.kept.lock().expect("no panic").clone()
    }
}

/// The head and the body of the next request; `None` at the end of the connection.
fn request(connection: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while connection.read_line(&mut head).ok().filter(|length| *length > 2).is_some() {}
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })?;
    let mut body = vec![0; length];
    connection.read_exact(&mut body).ok()?;
    Some((head, body))
}

impl Kept {
    fn take(&mut self, head: String, body: Vec<u8>) {
        let path = head.split(' ').nth(1).unwrap_or_default();
        match path {
            "/v1/traces" => self.take_spans(&body),
            "/v1/metrics" => self.take_metrics(&body),
            "/v1/logs" => self.take_logs(&body),
            other => panic!("an unknown path: {other}"),
        }
        self.bodies.push(body);
        self.heads.push(head);
    }

    fn take_spans(&mut self, body: &[u8]) {
        let request = ExportTraceServiceRequest::decode(body).expect("protobuf");
        for resource in request.resource_spans {
            let node = node_of(resource.resource);
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.spans.push(SpanSeen {
                    node: node.clone(),
                    name: span.name,
                    trace_id: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent_id: hex(&span.parent_span_id),
                    attributes: span.attributes.into_iter().map(pair).collect(),
                });
            }
        }
    }

    fn take_metrics(&mut self, body: &[u8]) {
        let request = ExportMetricsServiceRequest::decode(body).expect("protobuf");
        for resource in request.resource_metrics {
            let node = node_of(resource.resource);
            let metrics = resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            self.metrics.extend(metrics.map(|metric| (node.clone(), metric.name)));
        }
    }

    fn take_logs(&mut self, body: &[u8]) {
        let request = ExportLogsServiceRequest::decode(body).expect("protobuf");
        for resource in request.resource_logs {
            let node = node_of(resource.resource);
            for log in resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                self.logs.push(LogSeen {
                    node: node.clone(),
                    text: text(log.body),
                    trace_id: hex(&log.trace_id),
                });
            }
        }
    }
}

fn node_of(resource: Option<Resource>) -> String {
    let attributes = resource.into_iter().flat_map(|resource| resource.attributes);
    let found = attributes.map(pair).find(|(name, _)| name == "service.instance.id");
    found.map(|(_, node)| node).unwrap_or_default()
}

fn pair(attribute: KeyValue) -> (String, String) {
    (attribute.key, text(attribute.value))
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
