use super::*;
use crate::position::TopicPartition;
use proptest::prelude::*;

fn record(key: Option<&str>, value: Option<&str>, headers: &[(&str, &str)]) -> Record {
    Record {
        kind: EntityKind::Organisation,
        partition: TopicPartition::new("organisations", 0),
        offset: 7,
        timestamp_ms: 0,
        key: key.map(|key| key.as_bytes().to_vec()),
        value: value.map(|value| value.as_bytes().to_vec()),
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), Some(v.as_bytes().to_vec()))).collect(),
        malformed: None,
    }
}

fn decoder(format: Format) -> Decoder {
    Decoder::new(format, format, BTreeMap::new())
}

fn decode(format: Format, record: &Record) -> Decoded {
    decoder(format).decode(record)
}

fn event(format: Format, record: &Record) -> Event {
    match decode(format, record) {
        Decoded::Event(event) => event,
        other => panic!("an event was expected, not {other:?}"),
    }
}

/// The reason why a CloudEvent with these members is poison.
fn reason(members: &str) -> String {
    let value = format!(r#"{{"specversion":"1.0","type":"organisation.updated",{members}}}"#);
    match decode(Format::CloudEvents, &record(Some("o1"), Some(&value), &[])) {
        Decoded::Poison(reason) => reason,
        other => panic!("poison was expected, not {other:?}"),
    }
}

#[test]
fn a_structured_event_is_read_whole() {
    let value = r#"{"specversion":"1.0","id":"e","source":"/","type":"x.organisation.created","subject":"o1",
        "sequence":"12","data":{"id":"o1","name":"é","parentId":7,"tags":["a"],"extra":{"b": 1, "a":[ 1.10 ]}}}"#;
    let event = event(Format::CloudEvents, &record(Some("o1"), Some(value), &[]));
    assert_eq!((event.version, event.sequenced, event.action), (12, true, Action::Replace));
    let fields: Vec<(&str, &str)> = event
        .fields
        .iter()
        .map(|field| (field.name.as_str(), std::str::from_utf8(&field.json).unwrap()))
        .collect();
    let expected =
        [("name", "\"é\""), ("parentId", "\"7\""), ("tags", "[\"a\"]"), ("extra", "{\"a\":[1.10],\"b\":1}")];
    assert_eq!(fields, expected);
}

#[test]
fn escapes_are_undone_in_the_canonical_form() {
    let value = r#"{"type":"created","data":{"name":"\u00e9\/\n\u0000"}}"#;
    let event = event(Format::CloudEvents, &record(Some("o1"), Some(value), &[]));
    assert_eq!(std::str::from_utf8(&event.fields[0].json).unwrap(), "\"é/\\n\\u0000\"");
}

#[test]
fn poison_names_the_field() {
    for (members, field) in [
        (r#""data":{"name":42}"#, "name: \"42\" found, a string"),
        (r#""data":{"tags":"no"}"#, "tags:"),
        (r#""data":{"tags":[null]}"#, "tags:"),
        (r#""data":{"address":[]}"#, "address:"),
        (r#""data":{"address":{"city":5}}"#, "address.city:"),
        (r#""data":{"parentId":["no"]}"#, "parentId:"),
        (r#""data":{"parentId":1.5}"#, "parentId:"),
        (r#""data":{"parentId":""}"#, "parentId:"),
        (r#""data":{"id":"o2"}"#, "data.id:"),
        (r#""data":{"id":true}"#, "data.id:"),
        (r#""subject":"o2","data":{}"#, "key:"),
        (r#""subject":5,"data":{}"#, "subject:"),
        (r#""sequence":"-1","data":{}"#, "sequence:"),
        (r#""sequence":"","data":{}"#, "sequence:"),
        (r#""sequence":"+1","data":{}"#, "sequence:"),
        (r#""sequence":1,"data":{}"#, "sequence:"),
        (r#""sequence":"9223372036854775808","data":{}"#, "sequence:"),
        (r#""data":[]"#, "data:"),
        (r#""data":null"#, "data: missing"),
        (r#""data_base64":"e30=""#, "data_base64:"),
        (r#""data":{"a\u0000b":1}"#, "data: the key"),
        (r#""data":{"name":"\ud800"}"#, "name:"),
    ] {
        let reason = reason(members);
        assert!(reason.contains(field), "{members} gave {reason}");
    }
}

#[test]
fn depth_is_bounded_at_twenty_levels_data_counted() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let value = format!(r#"{{"type":"created","data":{{"x":{}}}}}"#, nested(19));
    event(Format::CloudEvents, &record(Some("o1"), Some(&value), &[]));
    assert!(reason(&format!(r#""data":{{"x":{}}}"#, nested(20))).contains("20 levels"));
    assert!(reason(&format!(r#""data":{{"x":{}}}"#, nested(100_000))).contains("20 levels"));
}

#[test]
fn an_id_is_at_most_512_bytes() {
    let long = "é".repeat(257);
    let value = r#"{"type":"created","data":{}}"#;
    assert!(matches!(
        decode(Format::CloudEvents, &record(Some(&long), Some(value), &[])),
        Decoded::Poison(_)
    ));
    event(Format::CloudEvents, &record(Some(&long[2..]), Some(value), &[]));
}

#[test]
fn a_tombstone_deletes_at_its_sequence_or_offset() {
    let plain = event(Format::CloudEvents, &record(Some("o1"), None, &[]));
    assert_eq!((plain.version, plain.sequenced, plain.action), (7, false, Action::Delete));
    let sequenced = event(Format::Plain, &record(Some("o1"), None, &[("ce_sequence", "5")]));
    assert_eq!((sequenced.version, sequenced.sequenced), (5, true));
    assert!(matches!(decode(Format::Plain, &record(None, None, &[])), Decoded::Poison(_)));
    assert!(matches!(
        decode(Format::Plain, &record(Some("o1"), None, &[("ce_sequence", "x")])),
        Decoded::Poison(_)
    ));
}

#[test]
fn a_delete_needs_no_data_but_its_id_must_agree() {
    let value = r#"{"type":"organisation.deleted","subject":"o1"}"#;
    assert_eq!(event(Format::CloudEvents, &record(None, Some(value), &[])).action, Action::Delete);
    let value = r#"{"type":"organisation.deleted","subject":"o1","data":{"id":"o2"}}"#;
    assert!(matches!(decode(Format::CloudEvents, &record(None, Some(value), &[])), Decoded::Poison(_)));
}

#[test]
fn debezium_keys_and_values_come_wrapped_or_not() {
    let value = r#"{"schema":{},"payload":{"op":"u","after":{"id":7,"name":"A"},"source":{"lsn":300}}}"#;
    for key in ["7", r#"{"id":7}"#, r#"{"schema":{},"payload":{"id":"7"}}"#, "\"7\""] {
        let event = event(Format::Debezium, &record(Some(key), Some(value), &[]));
        assert_eq!((event.id.as_str(), event.version, event.sequenced), ("7", 300, true), "{key}");
    }
    let value = r#"{"op":"d","before":{"id":7},"after":null,"source":{}}"#;
    let event = event(Format::Debezium, &record(Some("7"), Some(value), &[]));
    assert_eq!((event.action, event.version, event.sequenced), (Action::Delete, 7, false));
    let value = r#"{"op":"x","after":{"id":7}}"#;
    assert!(matches!(decode(Format::Debezium, &record(Some("7"), Some(value), &[])), Decoded::Poison(_)));
}

#[test]
fn an_outbox_value_may_be_text_that_holds_json() {
    for value in [r#"{"name":"A"}"#, r#""{\"name\":\"A\"}""#] {
        let event =
            event(Format::Outbox, &record(Some("o1"), Some(value), &[("eventType", "OrganisationCreated")]));
        assert_eq!((event.action, event.fields.len()), (Action::Replace, 1));
    }
    let bad = record(Some("o1"), Some("\"no JSON\""), &[("type", "OrganisationRenamed")]);
    assert!(matches!(decode(Format::Outbox, &bad), Decoded::Poison(_)));
    assert!(matches!(decode(Format::Outbox, &record(Some("o1"), Some("{}"), &[])), Decoded::Poison(_)));
}

#[test]
fn an_ignored_type_is_passed_over_whatever_its_data() {
    let types = BTreeMap::from([("a.viewed".to_owned(), TypeRule::Ignore)]);
    let decoder = Decoder::new(Format::CloudEvents, Format::CloudEvents, types);
    let value = r#"{"type":"a.viewed","data":{"name":5}}"#;
    assert_eq!(decoder.decode(&record(Some("o1"), Some(value), &[])), Decoded::Ignored);
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f32>().prop_filter("JSON", |n| n.is_finite()).prop_map(|n| n.to_string()),
        "[a-z\\\\\"é]{0,6}".prop_map(|s| serde_json::to_string(&s).unwrap()),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let names = prop_oneof![
            Just("id"),
            Just("name"),
            Just("type"),
            Just("data"),
            Just("sequence"),
            Just("op"),
            Just("after"),
            Just("payload"),
            Just("schema"),
            Just("tags"),
            Just("address"),
            Just("x"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(","))),
            prop::collection::vec((names, inner), 0..5).prop_map(|v| {
                let members: Vec<String> = v.iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_decoder_answers_to_any_bytes(key in proptest::option::of(any::<Vec<u8>>()), value in any::<Vec<u8>>()) {
        for format in [Format::CloudEvents, Format::Debezium, Format::Outbox, Format::Plain] {
            let mut record = record(None, None, &[("eventType", "a.created")]);
            record.key.clone_from(&key);
            record.value = Some(value.clone());
            decode(format, &record);
        }
    }

    #[test]
    fn a_decoder_answers_to_any_json(value in any_json()) {
        for format in [Format::CloudEvents, Format::Debezium, Format::Outbox, Format::Plain] {
            let record = record(Some("o1"), Some(&value), &[("eventType", "a.created")]);
            if let Decoded::Event(event) = decode(format, &record) {
                for field in &event.fields {
                    let tree: serde_json::Value = serde_json::from_slice(&field.json).unwrap();
                    prop_assert!(tree.is_object() || field.json.len() < 400);
                }
            }
        }
    }
}
