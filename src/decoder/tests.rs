use super::*;
use crate::plan::{ORGANISATION, builtin};
use crate::position::TopicPartition;

mod bytes;
mod ids;
mod rows;

fn record(key: Option<&str>, value: Option<&str>, headers: &[(&str, &str)]) -> Record {
    Record {
        key: key.map(|key| key.as_bytes().to_vec()),
        value: value.map(|value| value.as_bytes().to_vec()),
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), Some(v.as_bytes().to_vec()))).collect(),
        ..Record::new(ORGANISATION, TopicPartition::new("organisations", 0), 7)
    }
}

fn decoder(format: Format) -> Decoder {
    Decoder::new(builtin(), vec![format.into(), format.into()], BTreeMap::new())
}

fn decode(format: Format, record: &Record) -> DecodeOutcome {
    decoder(format).decode(record)
}

fn event(format: Format, record: &Record) -> Event {
    match decode(format, record) {
        DecodeOutcome::Event(event) => event,
        other => panic!("an event was expected, not {other:?}"),
    }
}

/// The reason why a record is poison.
fn poison(format: Format, record: &Record) -> String {
    match decode(format, record) {
        DecodeOutcome::Poison(reason) => reason,
        other => panic!("poison was expected, not {other:?}"),
    }
}

/// The fields of an event, as text.
fn fields(event: &Event) -> Vec<(&str, &str)> {
    let text = |json| std::str::from_utf8(json).unwrap();
    event.fields.iter().map(|field| (field.name.as_str(), text(&field.json))).collect()
}

/// The reason why a CloudEvent with these members is poison.
fn reason(members: &str) -> String {
    let value = format!(r#"{{"specversion":"1.0","type":"organisation.updated",{members}}}"#);
    poison(Format::CloudEvents, &record(Some("o1"), Some(&value), &[]))
}

#[test]
fn a_structured_event_is_read_whole() {
    let value = r#"{"specversion":"1.0","id":"e","source":"/","type":"x.organisation.created","subject":"o1",
        "sequence":"12","data":{"id":"o1","name":"é","parentId":7,"tags":["a"],"extra":{"b": 1, "a":[ 1.10 ]}}}"#;
    let event = event(Format::CloudEvents, &record(Some("o1"), Some(value), &[]));
    assert_eq!((event.version, event.sequenced, event.action), (12, true, Action::Replace));
    let expected =
        [("name", "\"é\""), ("parentId", "\"7\""), ("tags", "[\"a\"]"), ("extra", "{\"a\":[1.10],\"b\":1}")];
    assert_eq!(fields(&event), expected);
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
        (r#""data_base64":"e3*=""#, "data_base64:"),
        (r#""data_base64":5"#, "data_base64:"),
        (r#""data_base64":"W10=""#, "data:"),
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
        DecodeOutcome::Poison(_)
    ));
    event(Format::CloudEvents, &record(Some(&long[2..]), Some(value), &[]));
}

#[test]
fn a_tombstone_deletes_at_its_sequence_or_offset() {
    let plain = event(Format::CloudEvents, &record(Some("o1"), None, &[]));
    assert_eq!((plain.version, plain.sequenced, plain.action), (7, false, Action::Delete));
    let sequenced = event(Format::Plain, &record(Some("o1"), None, &[("ce_sequence", "5")]));
    assert_eq!((sequenced.version, sequenced.sequenced), (5, true));
    assert!(matches!(decode(Format::Plain, &record(None, None, &[])), DecodeOutcome::Poison(_)));
    assert!(matches!(
        decode(Format::Plain, &record(Some("o1"), None, &[("ce_sequence", "x")])),
        DecodeOutcome::Poison(_)
    ));
}

#[test]
fn a_delete_needs_no_data_but_its_id_must_agree() {
    let value = r#"{"type":"organisation.deleted","subject":"o1"}"#;
    assert_eq!(event(Format::CloudEvents, &record(None, Some(value), &[])).action, Action::Delete);
    let value = r#"{"type":"organisation.deleted","subject":"o1","data":{"id":"o2"}}"#;
    assert!(matches!(decode(Format::CloudEvents, &record(None, Some(value), &[])), DecodeOutcome::Poison(_)));
}

#[test]
fn an_ignored_type_is_passed_over_whatever_its_data() {
    let types = BTreeMap::from([("a.viewed".to_owned(), TypeRule::Ignore)]);
    let decoder =
        Decoder::new(builtin(), vec![Format::CloudEvents.into(), Format::CloudEvents.into()], types);
    let value = r#"{"type":"a.viewed","data":{"name":5}}"#;
    assert_eq!(decoder.decode(&record(Some("o1"), Some(value), &[])), DecodeOutcome::Ignored);
}

#[test]
fn a_binary_event_is_read_from_its_headers() {
    let headers =
        [("ce_specversion", "1.0"), ("ce_type", "a.renamed"), ("ce_subject", "o1"), ("ce_sequence", "007")];
    let event = event(Format::CloudEvents, &record(None, Some(r#"{"name":"A"}"#), &headers));
    assert_eq!((event.id.as_str(), event.version, event.sequenced), ("o1", 7, true));
    assert_eq!((event.action, fields(&event)), (Action::Merge, vec![("name", "\"A\"")]));
    let untyped = record(Some("o1"), Some("{}"), &[("ce_specversion", "1.0")]);
    assert!(poison(Format::CloudEvents, &untyped).starts_with("ce_type: missing"));
}

#[test]
fn a_content_type_says_that_the_value_is_the_envelope_whatever_headers_were_copied() {
    let value = r#"{"specversion":"1.0","id":"e1","type":"x.created","subject":"o1","data":{"name":"A"}}"#;
    let copied = [("ce_specversion", "1.0"), ("ce_type", "x.created"), ("ce_subject", "o9"), ("ce_id", "e1")];
    for content_type in [
        "application/cloudevents+json; charset=UTF-8",
        "Application/CloudEvents+JSON",
        "application/cloudevents",
    ] {
        for headers in [&copied[..], &copied[..1], &[]] {
            let headers = [headers, &[("content-type", content_type)]].concat();
            let event = event(Format::CloudEvents, &record(None, Some(value), &headers));
            assert_eq!((event.id.as_str(), fields(&event)), ("o1", vec![("name", "\"A\"")]));
        }
    }
    let json = [&copied[..], &[("content-type", "application/json")]].concat();
    let event = event(Format::CloudEvents, &record(None, Some(r#"{"name":"B"}"#), &json));
    assert_eq!((event.id.as_str(), fields(&event)), ("o9", vec![("name", "\"B\"")]));
}

#[test]
fn formats_of_cloud_events_that_are_not_read_are_told_by_name() {
    let batch = r#" [{"specversion":"1.0"}]"#;
    for (content_type, beginning) in [
        ("application/cloudevents-batch+json", "content-type: a batch"),
        ("application/cloudevents+protobuf", "content-type: \"application/cloudevents+protobuf\" found"),
        ("application/cloudevents+json", "value: a batch"),
        ("application/json", "value: a batch"),
    ] {
        let reason =
            poison(Format::CloudEvents, &record(Some("o1"), Some(batch), &[("content-type", content_type)]));
        assert!(reason.starts_with(beginning), "{reason}");
    }
}

#[test]
fn data_may_come_in_base64() {
    // {"id":"o1","name":"A"}
    let value = r#"{"type":"x.created","data_base64":"eyJpZCI6Im8xIiwibmFtZSI6IkEifQ=="}"#;
    let event = event(Format::CloudEvents, &record(None, Some(value), &[]));
    assert_eq!((event.id.as_str(), fields(&event)), ("o1", vec![("name", "\"A\"")]));
    let deleted = value.replace("created", "deleted");
    assert!(poison(Format::CloudEvents, &record(Some("o2"), Some(&deleted), &[])).starts_with("data.id:"));
}

#[test]
fn an_event_needs_a_type_that_ends_with_a_verb() {
    for full_type in ["", r#""type":null,"#, r#""type":5,"#, r#""type":"","#, r#""type":"._-","#] {
        let value = format!(r#"{{{full_type}"data":{{}}}}"#);
        let reason = poison(Format::CloudEvents, &record(Some("o1"), Some(&value), &[]));
        assert!(reason.starts_with("type:"), "{full_type} gave {reason}");
    }
}

#[test]
fn any_version_one_of_the_specification_is_read() {
    for (version, read) in [("1.0", true), ("1.0.2", true), ("1.1", true), ("0.3", false), ("10", false)] {
        let value = format!(r#"{{"specversion":"{version}","type":"a.created","data":{{}}}}"#);
        let structured = decode(Format::CloudEvents, &record(Some("o1"), Some(&value), &[]));
        assert_eq!(matches!(structured, DecodeOutcome::Event(_)), read, "{version}");
        let headers = [("ce_type", "a.created"), ("ce_specversion", version)];
        let binary = decode(Format::CloudEvents, &record(Some("o1"), Some("{}"), &headers));
        assert_eq!(matches!(binary, DecodeOutcome::Event(_)), read, "{version}");
    }
}

#[test]
fn the_offset_stands_in_for_an_absent_sequence_only() {
    for (member, expected) in
        [("", (7, false)), (r#""sequence":null,"#, (7, false)), (r#""sequence":"0","#, (0, true))]
    {
        let value = format!(r#"{{"type":"a.created",{member}"data":{{}}}}"#);
        let event = event(Format::CloudEvents, &record(Some("o1"), Some(&value), &[]));
        assert_eq!((event.version, event.sequenced), expected, "{member}");
    }
}

#[test]
fn a_header_that_is_not_utf8_is_poison_and_not_absent() {
    for (format, name, value) in [
        (Format::Plain, "ce_sequence", None),
        (Format::CloudEvents, "ce_subject", None),
        (Format::CloudEvents, "ce_sequence", Some("{}")),
        (Format::CloudEvents, "ce_type", Some(r#"{"type":"a.created","data":{}}"#)),
        (Format::Outbox, "eventType", Some("{}")),
    ] {
        let mut record = record(Some("o1"), value, &[("type", "a.created")]);
        if name == "ce_sequence" && value.is_some() {
            record.headers.push(("ce_type".to_owned(), Some(b"a.created".to_vec())));
        }
        record.headers.push((name.to_owned(), Some(vec![0xff])));
        assert!(poison(format, &record).starts_with(&format!("{name}:")), "{name}");
    }
}

#[test]
fn of_a_field_that_repeats_the_last_stands_and_the_others_are_not_looked_at() {
    let value = r#"{"name":5,"status":"a","name":"x","x":{"b":1,"a":2,"b":3}}"#;
    let event = event(Format::Plain, &record(Some("o1"), Some(value), &[]));
    let expected = [("name", "\"x\""), ("status", "\"a\""), ("x", r#"{"a":2,"b":3}"#)];
    assert_eq!(fields(&event), expected);
}

#[test]
fn many_fields_are_read_like_few() {
    // Repeated names among more members than are compared each with each.
    let members: Vec<String> = (0..20_000).map(|n| format!("\"k{}\":{n}", n % 10_000)).collect();
    let value = format!("{{{}}}", members.join(","));
    let event = event(Format::Plain, &record(Some("o1"), Some(&value), &[]));
    assert_eq!(event.fields.len(), 10_000);
    assert_eq!(fields(&event)[0], ("k0", "10000"));
}

#[test]
fn numbers_stay_as_they_are_written() {
    for number in ["1.10", "123456789012345678901234567890", "-0", "1E5", "1e400"] {
        let value = format!(r#"{{"x":{number},"y":[{number}]}}"#);
        let event = event(Format::Plain, &record(Some("o1"), Some(&value), &[]));
        assert_eq!(fields(&event), [("x", number), ("y", format!("[{number}]").as_str())]);
    }
}

#[test]
fn the_digits_of_a_number_are_bounded_wherever_it_is() {
    let eights = |count: usize| "8".repeat(count);
    for (number, read) in [
        (eights(1_000), true),
        (format!("-{}.{}e+{}", eights(500), eights(490), eights(10)), true),
        (eights(1_001), false),
        (format!("-{}.{}e+{}", eights(500), eights(490), eights(11)), false),
    ] {
        for value in [format!(r#"{{"x":{number}}}"#), format!(r#"{{"x":[{{"y":{number}}}]}}"#)] {
            let decoded = decode(Format::Plain, &record(Some("o1"), Some(&value), &[]));
            assert_eq!(matches!(decoded, DecodeOutcome::Event(_)), read, "{value}: {decoded:?}");
        }
        // A text may be of any length.
        let text = format!(r#"{{"x":"{number}"}}"#);
        event(Format::Plain, &record(Some("o1"), Some(&text), &[]));
    }
}

#[test]
fn keys_are_bounded_wherever_they_are() {
    let (fits, long) = ("k".repeat(1_000), "k".repeat(1_001));
    let of_the_parser = "$serde_json::private::Number";
    for (name, read) in
        [(fits.as_str(), true), (long.as_str(), false), ("a\\u0000", false), (of_the_parser, false)]
    {
        for value in [format!(r#"{{"{name}":1}}"#), format!(r#"{{"x":[{{"{name}":1}}]}}"#)] {
            let decoded = decode(Format::Plain, &record(Some("o1"), Some(&value), &[]));
            assert_eq!(matches!(decoded, DecodeOutcome::Event(_)), read, "{value}");
        }
    }
}

#[test]
fn a_record_that_the_source_could_not_read_keeps_its_reason() {
    let mut record = record(Some("o1"), Some("{}"), &[]);
    record.malformed = Some("line: broken".to_owned());
    assert_eq!(poison(Format::Plain, &record), "line: broken");
}
