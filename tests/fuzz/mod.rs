//! Every input is answered without a panic, and nothing is kept that is larger than the input, but for a
//! little. Inputs are those of `tests/corpus` and changes of them; one that failed once is kept there.

mod mutate;

use std::collections::BTreeMap;
use std::time::Duration;
use tributary::plan::EntityType;
use tributary::plan::{CONTACT, ORGANISATION, builtin};

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use tributary::app;
use tributary::config::{Config, Format};
use tributary::decoder::Decoder;
use tributary::event::{DecodeOutcome, ID_BYTES_MAX, Record};
use tributary::position::{Positions, TopicPartition};
use tributary::search::cursor::Cursor;
use tributary::search::query::Request;
use tributary::source::EventSource;
use tributary::source::files::FilesSource;
use tributary::state::memory::MemoryStore;
use tributary::state::{copy, rows};

use self::mutate::{config, inputs};

/// The longest reason or sentence.
const REASON_BYTES_MAX: usize = 4_096;
/// How deep a field of data is nested at most, itself below the data.
const DEPTH_MAX: usize = 20;

fn record(kind: EntityType, key: Option<Vec<u8>>, value: Option<Vec<u8>>, headers: &[Header]) -> Record {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Record { key, value, headers, ..Record::new(kind, TopicPartition::new("t", 0), 7) }
}

type Header = (&'static str, Option<Vec<u8>>);

fn headers() -> impl Strategy<Value = Vec<Header>> {
    let all: Vec<Header> = vec![
        ("ce_type", Some(b"x.created".to_vec())),
        ("ce_id", Some(b"1".to_vec())),
        ("ce_specversion", Some(b"1.0".to_vec())),
        ("ce_sequence", Some(b"9223372036854775808".to_vec())),
        ("ce_sequence", Some(b"\xff".to_vec())),
        ("ce_subject", Some(b"o1".to_vec())),
        ("ce_subject", Some(vec![b'x'; 70_000])),
        ("ce_type", None),
        ("content-type", Some(b"application/cloudevents+json".to_vec())),
        ("eventType", Some(b"OrganisationRenamed".to_vec())),
        ("type", Some(b"....".to_vec())),
    ];
    let count = all.len();
    subsequence(all, 0..count)
}

fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth -= 1,
            _ => {}
        }
    }
    deepest
}

fn check_decoded(record: &Record, decoded: DecodeOutcome) {
    let length = record.value.as_ref().map_or(0, Vec::len);
    match decoded {
        DecodeOutcome::Event(event) => {
            assert!(event.id.len() <= ID_BYTES_MAX && !event.id.is_empty());
            assert!(event.version <= i64::MAX as u64);
            let kept: usize = event.fields.iter().map(|field| field.name.len() + field.json.len()).sum();
            // A schema has few bytes become a date or a number with a thousand digits.
            let is_wrapped =
                record.value.as_ref().is_some_and(|value| value.windows(8).any(|at| at == b"\"schema\""));
            assert!(kept <= length || is_wrapped, "{kept} bytes are kept of {length}");
            for field in &event.fields {
                // A later reader must be able to take a document apart, with any numbers and keys.
                assert!(serde_json::from_slice::<serde_json::Value>(&field.json).is_ok());
                assert!(depth(&field.json) < DEPTH_MAX);
            }
        }
        DecodeOutcome::Ignored | DecodeOutcome::Truncation(_) => {}
        DecodeOutcome::Poison(reason) => {
            assert!(reason.len() <= REASON_BYTES_MAX, "a reason of {} bytes", reason.len());
        }
    }
}

/// The sentence of an error is one that a person can read.
fn check_told<T>(outcome: tributary::error::Result<T>) -> Option<T> {
    outcome
        .map_err(|error| {
            let told = error.chain();
            assert!(told.len() <= REASON_BYTES_MAX, "{} bytes are told", told.len());
        })
        .ok()
}

fn folder_with(name: &str, bytes: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), bytes).unwrap();
    folder
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn decoders_answer_any_record(
        value in inputs("records"),
        key in proptest::option::of(inputs("keys")),
        headers in headers(),
        contact in any::<bool>(),
    ) {
        let kind = if contact { CONTACT } else { ORGANISATION };
        for format in [Format::CloudEvents, Format::Debezium, Format::Outbox, Format::Plain] {
            let decoder = Decoder::new(builtin(), vec![format.into(), format.into()], BTreeMap::new());
            for value in [Some(value.clone()), None] {
                let record = record(kind, key.clone(), value, &headers);
                decoder.id_of_key(&record);
                check_decoded(&record, decoder.decode(&record));
            }
        }
    }

    #[test]
    fn lines_of_a_file_become_records(lines in inputs("lines")) {
        let folder = folder_with("contacts.jsonl", &lines);
        let topics = vec![("contacts".to_owned(), CONTACT)];
        let mut source = FilesSource::open(folder.path(), topics).unwrap();
        source.start(&Positions::default(), &[]).unwrap();
        let end = source.end().unwrap().sum();
        let (mut count, mut kept) = (0, 0);
        while count < end {
            let polled = source.poll(Duration::ZERO, 1 << 20).unwrap();
            for record in polled.records {
                kept += record.value.as_ref().map_or(0, Vec::len);
                let told = record.malformed.as_ref().map_or(0, String::len);
                prop_assert!(told <= REASON_BYTES_MAX, "{} bytes are told", told);
                count += 1;
            }
        }
        prop_assert!(kept <= lines.len());
    }

    #[test]
    fn a_configuration_is_taken_or_refused_in_a_sentence(
        text in inputs("configurations"),
        name in "[A-Z_]{0,12}|KAFKA__PROPERTIES__[A-Z_]{0,9}|INDEX__[A-Z_]{0,9}",
        value in inputs("searches"),
    ) {
        let folder = folder_with("tributary.toml", &text);
        let value = String::from_utf8_lossy(&value).into_owned();
        let environment = [(format!("TRIBUTARY_{name}"), value)];
        let path = folder.path().join("tributary.toml");
        check_told(Config::load(&app::kinds(), Some(&path), environment.into_iter(), &Vec::new()));
        check_told(Config::load(&app::kinds(), Some(&path), std::iter::empty(), &Vec::new()));
    }

    #[test]
    fn a_search_is_taken_or_refused_in_a_sentence(query in inputs("searches")) {
        let pairs: Vec<_> = form_urlencoded::parse(&query).collect();
        let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
        if let Some(request) = check_told(Request::parse(&builtin().collections().collect::<Vec<_>>(), pairs)) {
            prop_assert!(request.terms.as_ref().is_none_or(|terms| terms.len() <= 32) && request.filters.len() <= 32 && request.size <= 100);
            prop_assert!(request.timeout_ms <= 60_000);
        }
    }

    #[test]
    fn a_cursor_is_taken_or_refused(text in inputs("cursors")) {
        let text = String::from_utf8_lossy(&text);
        if let Some(cursor) = check_told(Cursor::parse(&text, "search", None)) {
            prop_assert_eq!(Cursor::parse(&cursor.text("search"), "search", None).unwrap(), cursor);
        }
    }

    #[test]
    fn damaged_rows_are_refused_or_rows(bytes in inputs("rows")) {
        check_told(rows::liveness(&bytes));
        check_told(rows::decode::<rows::Row>(&bytes));
        check_told(rows::decode::<rows::FoldProgress>(&bytes));
        check_told(rows::decode::<rows::LowWatermark>(&bytes));
        check_told(rows::decode::<rows::StateFormat>(&bytes));
        check_told(rows::decode::<rows::Backfill>(&bytes));
        check_told(rows::decode::<rows::Task>(&bytes));
    }

    #[test]
    fn a_damaged_copy_of_a_state_is_refused(bytes in inputs("copies"), cut in any::<Index>()) {
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len() + 1)]] {
            check_told(copy::read(&mut &*bytes, builtin(), &MemoryStore::default()));
        }
    }
}
