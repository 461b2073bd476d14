//! Records a second that one thread decodes, in each encoding: `cargo bench --bench decoding`.
//!
//! The records are those that real serializers wrote (`tests/captured`), decoded again and again. `BENCH_RECORDS` says how
//! often (200 000 for each line). No server is needed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[allow(dead_code)]
#[path = "../registry.rs"]
mod registry;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tributary::app;
use tributary::config::Config;
use tributary::decoder::{Decoder, RecordLayout, RecordReadiness};
use tributary::encoding;
use tributary::event::{DecodeOutcome, Record};
use tributary::plan::{CONTACT, ORGANISATION, builtin};
use tributary::source::EventSource;
use tributary::source::files::FilesSource;

/// Captured topics that are read alike.
struct Line {
    name: &'static str,
    flavour: &'static str,
    format: &'static str,
    encoding: &'static str,
    topics: [&'static str; 2],
    /// True when the values are taken out of their frames first.
    is_bare: bool,
}

const JSON: [&str; 2] = ["json-organisations", "json-contacts"];
const APP: [&str; 2] = ["app.organisations", "app.contacts"];

const LINES: [Line; 7] = [
    line("JSON", "registry-json-schema", "plain", "json", JSON).bare(),
    line("JSON with schemas", "registry-json-schema", "plain", "json-schema", JSON),
    line("Avro", "registry-avro", "plain", "avro", ["avro-organisations", "avro-contacts"]),
    line("Protobuf", "registry-protobuf", "plain", "protobuf", ["proto-organisations", "proto-contacts"]),
    line("Debezium, JSON", "debezium-json", "debezium", "json", APP),
    line("Debezium, JSON that brings its schemas", "debezium-json-schemas", "debezium", "json", APP),
    line("Debezium, Avro", "debezium-avro", "debezium", "avro", APP),
];

const fn line(
    name: &'static str,
    flavour: &'static str,
    format: &'static str,
    encoding: &'static str,
    topics: [&'static str; 2],
) -> Line {
    Line { name, flavour, format, encoding, topics, is_bare: false }
}

impl Line {
    const fn bare(self) -> Self {
        Self { is_bare: true, ..self }
    }

    fn folder(&self) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captured").join(self.flavour)
    }

    fn records(&self) -> Vec<Record> {
        let [organisations, contacts] = self.topics.map(str::to_owned);
        let topics = vec![(organisations, ORGANISATION), (contacts, CONTACT)];
        let mut source = FilesSource::open(&self.folder(), topics).unwrap();
        source.start(&Default::default(), &[]).unwrap();
        let mut records = Vec::new();
        loop {
            let polled = source.poll(Duration::ZERO, 1 << 20).unwrap();
            if polled.records.is_empty() {
                break;
            }
            records.extend(polled.records);
        }
        // Tombstones are not decoded.
        records.retain(|record| record.value.is_some());
        if self.is_bare {
            for record in &mut records {
                record.value = record.value.as_ref().map(|value| value[5..].to_vec());
            }
        }
        records
    }

    fn decoder(&self, registry: &registry::Registry) -> Decoder {
        let folder = tempfile::tempdir().unwrap();
        let mut text = format!("schema_registry.url = {:?}\n", registry.url);
        for (entity, topic) in ["organisations", "contacts"].iter().zip(self.topics) {
            let Self { format, encoding, .. } = self;
            text += &format!(
                "{entity}.topics = [{topic:?}]\n{entity}.format = {format:?}\n{entity}.encoding = {encoding:?}\n"
            );
        }
        let path = folder.path().join("tributary.toml");
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&app::kinds(), Some(&path), std::iter::empty(), &Vec::new()).unwrap();
        let registry = encoding::Registry::new(config.schema_registry.as_ref().unwrap()).unwrap();
        let layouts = config.entities().map(|(of, section)| RecordLayout::of(of, section)).collect();
        Decoder::new(builtin(), layouts, config.event_types.clone()).with_registry(Some(registry))
    }

    fn measure(&self, count: usize) {
        let schemas = std::fs::read_to_string(self.folder().join("schemas.json"));
        let schemas: Value = schemas.map_or_else(|_| json!({}), |text| serde_json::from_str(&text).unwrap());
        let registry = registry::Registry::start(schemas);
        let decoder = self.decoder(&registry);
        let records = self.records();
        for record in &records {
            while decoder.readiness(record, Duration::from_secs(1)) != RecordReadiness::Ready {}
            if let DecodeOutcome::Poison(reason) = decoder.decode(record) {
                panic!("{}: {reason}", self.name);
            }
        }
        let size = |record: &Record| record.value.as_ref().map_or(0, Vec::len);
        let began = Instant::now();
        let mut bytes = 0;
        for record in records.iter().cycle().take(count) {
            bytes += size(record);
            std::hint::black_box(decoder.decode(std::hint::black_box(record)));
        }
        let seconds = began.elapsed().as_secs_f64();
        let per = |number: usize| number as f64 / seconds;
        println!(
            "| {} | {} | {:.0} | {:.1} |",
            self.name,
            bytes / count,
            per(count),
            per(bytes) / f64::from(1_u32 << 20)
        );
    }
}

fn main() {
    let count = std::env::var("BENCH_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    println!("| records | bytes of a value | records/s | MiB/s |");
    println!("|---|---|---|---|");
    for line in &LINES {
        line.measure(count);
    }
}
