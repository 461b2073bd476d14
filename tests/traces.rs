//! Spans lead from a record to the acknowledgement of its documents, and reach a collector of OpenTelemetry.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;

use crate::harness::{GrowingLog, World, eventually};

/// The user of the collector, and how a request says so (<https://www.rfc-editor.org/rfc/rfc7617>).
const USER: &str = "u:hunter%202";
const SIGNED: &str = "authorization: Basic dTpodW50ZXIgMg==";

/// Takes spans by HTTP from its user, and keeps them.
struct Collector {
    endpoint: String,
    requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{USER}@{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || take(stream.unwrap(), &kept));
            }
        });
        Self { endpoint, requests }
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.requests.lock().unwrap();
        let scopes =
            requests.iter().flat_map(|request| &request.resource_spans).flat_map(|of| &of.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }
}

/// Answers the requests of a connection.
fn take(stream: TcpStream, kept: &Mutex<Vec<ExportTraceServiceRequest>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut line, mut length, mut signed) = (String::new(), 0, false);
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        assert!(line.starts_with("POST /v1/traces HTTP/1.1"), "{line}");
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            signed |= line.trim() == SIGNED;
            if let Some(told) = line.to_lowercase().strip_prefix("content-length: ") {
                length = told.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let status = if signed { "200 OK" } else { "401 Unauthorized" };
        if signed {
            kept.lock().unwrap().push(ExportTraceServiceRequest::decode(&*body).unwrap());
        }
        write!(&stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == name);
    match found.and_then(|found| found.value.clone()?.value) {
        Some(Any::StringValue(text)) => text,
        Some(Any::IntValue(number)) => number.to_string(),
        other => panic!("{name}: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_record_is_followed_from_its_producer_to_the_acknowledgement() {
    let collector = Collector::start();
    let log = GrowingLog::new();
    let settings = format!("{}traces.endpoint = {:?}\n", log.settings(), collector.endpoint);
    let mut world = World::embedded("traces", &settings);
    world.environment = vec![("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned())];
    log.append("contacts", "c1", &json!({"name": "Jane"}));
    let mut running = world.start(&["run"]);
    world.wait_until_delivered();
    let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let line = json!({
        "key": "c2", "value": {"name": "Joan"}, "headers": {"traceparent": format!("00-{trace}-{span}-01")}
    });
    let mut file = std::fs::File::options().append(true).open(log.path("contacts")).unwrap();
    writeln!(file, "{line}").unwrap();
    let of_trace = |name: &str| {
        let spans = collector.spans().into_iter();
        spans.filter(|span| span.name == name && hex(&span.trace_id) == trace).collect::<Vec<_>>()
    };
    let (commit, request) =
        eventually("the spans arrive", || Some((of_trace("commit").pop()?, of_trace("bulk request").pop()?)));
    assert_eq!(hex(&commit.parent_span_id), span);
    assert_eq!(attribute(&commit, "tributary.offsets"), "contacts/0:1-1");
    assert_eq!(attribute(&commit, "tributary.records"), "1");
    assert_eq!(hex(&request.parent_span_id), hex(&commit.span_id));
    assert_eq!(attribute(&request, "tributary.projection"), "contacts");
    assert_eq!(attribute(&request, "tributary.documents"), "1");
    assert!(commit.start_time_unix_nano <= request.end_time_unix_nano);
    let resource = collector.requests.lock().unwrap()[0].resource_spans[0].resource.clone().unwrap();
    let named = |text: &str| {
        let mut values = resource.attributes.iter().filter_map(|of| of.value.clone()?.value);
        values.any(|value| value == Any::StringValue(text.to_owned()))
    };
    assert!(named("tributary") && named(env!("CARGO_PKG_VERSION")), "{resource:?}");
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
}

#[test]
fn a_collector_that_is_away_is_told_of_and_holds_nothing_up() {
    let log = GrowingLog::new();
    let settings = format!("{}traces.endpoint = \"http://u:hunter2@127.0.0.1:1\"\n", log.settings());
    let mut world = World::embedded("no-collector", &settings);
    world.environment = vec![("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned())];
    for number in 0..20 {
        log.append("contacts", &format!("c{number}"), &json!({"name": "Jane"}));
    }
    let output = world.run(&["run", "--until-end"]);
    let told = crate::harness::log_of(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!(told.matches("the collector does not take the spans").count(), 1, "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(world.documents("contacts").len(), 20);
    world.write_config(&settings.replace("http://u:hunter2@127.0.0.1:1", "localhost"));
    let output = world.run(&["check", "--offline"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(2) && shown.starts_with("traces.endpoint: "), "{shown}");
}
