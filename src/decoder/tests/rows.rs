use super::*;
use crate::plan::builtin;

#[test]
fn debezium_keys_and_values_come_wrapped_or_not() {
    let value = r#"{"schema":{},"payload":{"op":"u","after":{"id":7,"name":"A"},"source":{"lsn":300}}}"#;
    for key in ["7", r#"{"id":7}"#, r#"{"schema":{},"payload":{"id":"7"}}"#, "\"7\""] {
        let event = event(Format::Debezium, &record(Some(key), Some(value), &[]));
        assert_eq!((event.id.as_str(), event.version, event.sequenced), ("7", 7, false), "{key}");
    }
    let value = r#"{"op":"d","before":{"id":7},"after":null,"source":{"lsn":300}}"#;
    let event = event(Format::Debezium, &record(Some("7"), Some(value), &[]));
    assert_eq!((event.action, event.version, event.sequenced), (Action::Delete, 7, false));
    let value = r#"{"op":"x","after":{"id":7}}"#;
    assert!(matches!(
        decode(Format::Debezium, &record(Some("7"), Some(value), &[])),
        DecodeOutcome::Poison(_)
    ));
}

#[test]
fn an_outbox_value_may_be_text_that_holds_json() {
    for value in [r#"{"name":"A"}"#, r#""{\"name\":\"A\"}""#] {
        let event =
            event(Format::Outbox, &record(Some("o1"), Some(value), &[("eventType", "OrganisationCreated")]));
        assert_eq!((event.action, event.fields.len()), (Action::Replace, 1));
    }
    let bad = record(Some("o1"), Some("\"no JSON\""), &[("type", "OrganisationRenamed")]);
    assert!(matches!(decode(Format::Outbox, &bad), DecodeOutcome::Poison(_)));
    assert!(matches!(decode(Format::Outbox, &record(Some("o1"), Some("{}"), &[])), DecodeOutcome::Poison(_)));
}

#[test]
fn a_debezium_key_may_be_a_wrapped_scalar() {
    let value = r#"{"op":"c","after":{"id":7}}"#;
    for key in [
        r#"{"schema":{"type":"int64"},"payload":7}"#,
        r#"{"schema":{"type":"string"},"payload":"7"}"#,
        r#"{"schema":null,"payload":null}"#,
        r#"{"payload":7}"#,
    ] {
        assert_eq!(event(Format::Debezium, &record(Some(key), Some(value), &[])).id, "7", "{key}");
    }
}

#[test]
fn a_debezium_key_that_holds_no_single_id_is_poison() {
    for key in ["{}", r#"{"a":7,"b":7}"#, r#"{"id":[7]}"#, r#"{"id":7"#, r#"{"schema":{},"payload":[7]}"#] {
        let reason = poison(Format::Debezium, &record(Some(key), Some(r#"{"op":"d"}"#), &[]));
        assert!(reason.starts_with("key"), "{key} gave {reason}");
    }
}

#[test]
fn a_debezium_key_that_is_no_json_is_the_id_as_it_is() {
    for key in ["o1", "007", "\"a\"b\"", "null", "{guid}"] {
        assert_eq!(event(Format::Debezium, &record(Some(key), Some(r#"{"op":"d"}"#), &[])).id, key);
    }
}

#[test]
fn debezium_operations_are_taken_refused_or_passed_over() {
    for (op, action) in
        [("c", Action::Replace), ("r", Action::Replace), ("u", Action::Replace), ("d", Action::Delete)]
    {
        let value = format!(r#"{{"op":"{op}","before":null,"after":{{}}}}"#);
        assert_eq!(event(Format::Debezium, &record(Some("7"), Some(&value), &[])).action, action);
    }
    // A message's key is no entity's.
    let message = record(Some(r#"{"a":1,"b":2}"#), Some(r#"{"op":"m"}"#), &[]);
    assert_eq!(decode(Format::Debezium, &message), DecodeOutcome::Ignored);
    for (value, field) in [
        ("{}", "op:"),
        (r#"{"op":"u","after":null}"#, "after: missing"),
        (r#"{"op":"u","after":{"id":"o2"}}"#, "after.id:"),
        (r#"{"op":"d","before":{"id":"o2"}}"#, "before.id:"),
    ] {
        let reason = poison(Format::Debezium, &record(Some("7"), Some(value), &[]));
        assert!(reason.starts_with(field), "{value} gave {reason}");
    }
}

#[test]
fn where_the_lsn_is_the_version_it_is_a_number_or_its_digits_and_must_be_there() {
    let by_lsn = RecordLayout { version: VersionRule::Lsn, ..RecordLayout::from(Format::Debezium) };
    let decoder = Decoder::new(builtin(), vec![by_lsn.clone(), by_lsn], BTreeMap::new());
    for lsn in ["5", "\"5\""] {
        let value = format!(r#"{{"op":"c","after":{{}},"source":{{"lsn":{lsn}}}}}"#);
        let DecodeOutcome::Event(event) = decoder.decode(&record(Some("7"), Some(&value), &[])) else {
            panic!("{lsn}")
        };
        assert_eq!((event.version, event.sequenced), (5, true));
    }
    for lsn in ["null", "-1", "1.0", "1e3", "\"\"", "\"0/16B\"", "9223372036854775808", "true"] {
        let value = format!(r#"{{"op":"c","after":{{}},"source":{{"lsn":{lsn}}}}}"#);
        let DecodeOutcome::Poison(reason) = decoder.decode(&record(Some("7"), Some(&value), &[])) else {
            panic!("{lsn}")
        };
        assert!(reason.starts_with("source.lsn:"), "{reason}");
    }
    // A tombstone has no LSN that would order it.
    assert_eq!(decoder.decode(&record(Some("7"), None, &[])), DecodeOutcome::Ignored);
    assert_eq!(decoder.decode(&record(Some("7"), Some("null"), &[])), DecodeOutcome::Ignored);
}

#[test]
fn keys_and_values_are_unwrapped_alike_in_every_format() {
    let wrapped = |payload: &str| format!(r#"{{"schema":{{"type":"x"}},"payload":{payload}}}"#);
    for (format, value) in [
        (Format::CloudEvents, r#"{"type":"a.created","data":{"name":"A"}}"#),
        (Format::Debezium, r#"{"op":"c","after":{"name":"A"}}"#),
        (Format::Outbox, r#"{"name":"A"}"#),
        (Format::Plain, r#"{"name":"A"}"#),
    ] {
        let quoted = serde_json::to_string(value).unwrap();
        let marked = format!("\u{feff}{value}");
        for key in [
            "7",
            "\"7\"",
            " \"7\"",
            r#"{"id":7}"#,
            r#"{"id":"7"}"#,
            r#"{ "schema":null,"payload":{"id":7}}"#,
            r#"{"schemaId":3,"payload":{"id":7}}"#,
            "\u{feff}7",
        ] {
            let numbered = format!(r#"{{"schemaId":3,"payload":{value}}}"#);
            for value in [value, &quoted, &wrapped(value), &wrapped(&quoted), &marked, &numbered] {
                let event = event(format, &record(Some(key), Some(value), &[("eventType", "a.created")]));
                assert_eq!(
                    (event.id.as_str(), fields(&event)),
                    ("7", vec![("name", "\"A\"")]),
                    "{key} {value}"
                );
            }
        }
        // An id in braces only looks like a wrapper.
        let braces = "{7-7}";
        assert_eq!(event(format, &record(Some(braces), Some(value), &[("type", "created")])).id, braces);
    }
    let columns = r#"{"payload":1,"schema":"x"}"#;
    assert_eq!(event(Format::Plain, &record(Some("7"), Some(columns), &[])).fields.len(), 2);
}

#[test]
fn four_letters_that_say_null_are_a_row_s_tombstone() {
    for format in [Format::Debezium, Format::Plain] {
        for null in ["null", r#"{"schema":{},"payload":null}"#, "\"null\""] {
            let event = event(format, &record(Some(r#"{"id":7}"#), Some(null), &[]));
            assert_eq!((event.id.as_str(), event.action, event.version), ("7", Action::Delete, 7));
        }
    }
    let (deleted, created) = ([("eventType", "a.deleted")], [("eventType", "a.created")]);
    assert_eq!(event(Format::Outbox, &record(Some("7"), Some("null"), &deleted)).action, Action::Delete);
    assert!(poison(Format::Outbox, &record(Some("7"), Some("null"), &created)).starts_with("data: missing"));
    assert!(poison(Format::CloudEvents, &record(Some("7"), Some("null"), &[])).starts_with("value:"));
}

#[test]
fn a_value_that_the_database_did_not_send_is_not_written() {
    let text = "__debezium_unavailable_value";
    let codes = format!("{:?}", text.as_bytes());
    let map = format!(r#"{{"{text}":"{text}"}}"#);
    let base64 = "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"";
    for form in [
        &format!("\"{text}\""),
        &format!("[ \"{text}\" ]"),
        &codes,
        &map,
        base64,
        &serde_json::to_string(&map).unwrap(),
    ] {
        for field in ["notes", "website", "tags", "address"] {
            let row = format!(r#"{{"name":"A","{field}":{form},"status":null}}"#);
            for (format, value) in
                [(Format::Plain, row.clone()), (Format::Debezium, format!(r#"{{"op":"u","after":{row}}}"#))]
            {
                let event = event(format, &record(Some("7"), Some(&value), &[]));
                // All other columns are there, so that a merge says all that the row holds.
                assert_eq!(event.action, Action::Merge, "{value}");
                assert_eq!(fields(&event), [("name", "\"A\""), ("status", "null")]);
            }
        }
    }
    let event = event(
        Format::Outbox,
        &record(Some("7"), Some(&format!(r#"{{"notes":"{text}"}}"#)), &[("type", "created")]),
    );
    assert_eq!((event.action, event.fields.len()), (Action::Replace, 1));
}

#[test]
fn a_flattened_row_says_whether_it_is_deleted() {
    for (deleted, action) in [
        ("\"true\"", Action::Delete),
        ("true", Action::Delete),
        ("\"false\"", Action::Replace),
        ("null", Action::Replace),
    ] {
        let value = format!(r#"{{"id":7,"name":"","createdAt":0,"__deleted":{deleted}}}"#);
        let value = if action == Action::Delete { value } else { value.replace(":0,", ":null,") };
        let event = event(Format::Plain, &record(Some("7"), Some(&value), &[]));
        assert_eq!((event.action, event.id.as_str()), (action, "7"));
        assert!(event.fields.iter().all(|field| field.name != "__deleted"));
    }
}

#[test]
fn mongodb_s_rows_come_as_text_and_its_ids_as_json() {
    let value = r#"{"op":"u","after":"{\"_id\":7,\"name\":\"A\"}"}"#;
    for key in [
        r#"{"id":"7"}"#,
        r#"{"id":"\"7\""}"#,
        r#"{"id":"{\"$oid\":\"7\"}"}"#,
        r#"{"id":"{\"$numberLong\": \"7\"}"}"#,
    ] {
        let event = event(Format::Debezium, &record(Some(key), Some(value), &[]));
        assert_eq!(
            (event.id.as_str(), fields(&event)),
            ("7", vec![("_id", "7"), ("name", "\"A\"")]),
            "{key}"
        );
    }
}

#[test]
fn a_composite_key_is_joined_where_its_fields_are_named() {
    let names = vec!["tenant_id".to_owned(), "id".to_owned()];
    let named = |format| RecordLayout { key: names.clone(), ..RecordLayout::from(format) };
    let decoder =
        Decoder::new(builtin(), vec![named(Format::Debezium), named(Format::Plain)], BTreeMap::new());
    let value = r#"{"op":"c","after":{"id":7,"tenant_id":"a","name":"A"}}"#;
    for key in [
        Some(r#"{"tenant_id":"a","id":7}"#),
        Some(r#"{"schema":{},"payload":{"id":"7","tenant_id":"a"}}"#),
        None,
    ] {
        let DecodeOutcome::Event(event) = decoder.decode(&record(key, Some(value), &[])) else {
            panic!("{key:?}")
        };
        assert_eq!(event.id, "a:7");
        assert_eq!(fields(&event), [("tenant_id", "\"a\""), ("name", "\"A\"")]);
    }
    for (key, part) in [
        (r#"{"tenant_id":"a:b","id":7}"#, "\"a:b\""),
        (r#"{"id":7}"#, "tenant_id, id"),
        ("a", "tenant_id, id"),
        (r#"{"tenant_id":"b","id":7}"#, "\"a:7\" found"),
    ] {
        let DecodeOutcome::Poison(reason) = decoder.decode(&record(Some(key), Some(value), &[])) else {
            panic!("{key}")
        };
        assert!(reason.contains(part), "{reason}");
    }
    // Without the setting, the reason names it.
    let reason = poison(Format::Plain, &record(Some(r#"{"tenant_id":"a","id":7}"#), Some("{}"), &[]));
    assert!(reason.contains("key = [\"tenant_id\", \"id\"]"), "{reason}");
}

#[test]
fn columns_of_json_come_as_text_and_lists_with_holes() {
    let value = r#"{"address":"{\"city\": \"Leeds\", \"a\": [1]}","tags":["a",null,"b"]}"#;
    let event = event(Format::Plain, &record(Some("7"), Some(value), &[]));
    assert_eq!(fields(&event), [("address", r#"{"a":[1],"city":"Leeds"}"#), ("tags", r#"["a","b"]"#)]);
    for (value, beginning) in [
        (r#"{"address":"no"}"#, "address: "),
        (r#"{"tags":"no"}"#, "tags: "),
        (r#"{"tags":[1,null]}"#, "tags: "),
        (r#"{"address":"{\"city\":5}"}"#, "address.city: "),
    ] {
        assert!(
            poison(Format::Plain, &record(Some("7"), Some(value), &[])).starts_with(beginning),
            "{value}"
        );
    }
}

#[test]
fn the_marks_of_a_transaction_are_passed_over() {
    let value = r#"{"status":"BEGIN","id":"571:53195829","ts_ms":1486500577125,"event_count":null}"#;
    let record = record(Some(r#"{"id":"571:53195829"}"#), Some(value), &[]);
    assert_eq!(decode(Format::Debezium, &record), DecodeOutcome::Ignored);
}

#[test]
fn outbox_text_must_be_a_json_string() {
    // The quotes inside are not escaped, so that the string is no JSON, though the text between the outer
    // quotes is.
    let bad = record(Some("o1"), Some(r#""{"name":"A"}""#), &[("type", "ACreated")]);
    assert!(poison(Format::Outbox, &bad).starts_with("data:"));
}

#[test]
fn a_schema_says_what_values_stand_for() {
    let member = |name: &str, of: &str| {
        format!(r#"{{"type":"x","name":"{of}","field":"{name}","parameters":{{"scale":"0"}}}}"#)
    };
    let members = [
        member("id", "org.apache.kafka.connect.data.Decimal"),
        member("parentId", "org.apache.kafka.connect.data.Decimal"),
        member("createdAt", "io.debezium.time.MicroTimestamp"),
        member("extra", "io.debezium.data.Json"),
        member("notes", "org.apache.kafka.connect.data.Decimal"),
    ];
    let row = format!(r#"{{"type":"struct","fields":[{}],"field":"after"}}"#, members.join(","));
    let payload = r#"{"id":"Bw==","parentId":"CA==","createdAt":1706782272654321,"extra":"{\"b\":1, \"a\":[2]}","notes":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="}"#;
    let key =
        format!(r#"{{"schema":{{"type":"struct","fields":[{}]}},"payload":{{"id":"Bw=="}}}}"#, members[0]);
    for (format, value) in [
        (Format::Plain, format!(r#"{{"schema":{row},"payload":{payload}}}"#)),
        (Format::Outbox, format!(r#"{{"schema":{row},"payload":{payload}}}"#)),
        (
            Format::Debezium,
            format!(
                r#"{{"schema":{{"type":"struct","fields":[{row}]}},"payload":{{"op":"u","after":{payload}}}}}"#
            ),
        ),
    ] {
        let event = event(format, &record(Some(&key), Some(&value), &[("eventType", "created")]));
        let mut expected = vec![
            ("parentId", "\"8\""),
            ("createdAt", "\"2024-02-01T10:11:12.654321Z\""),
            ("extra", r#"{"a":[2],"b":1}"#),
        ];
        if format == Format::Outbox {
            // Only rows of a table have placeholders.
            expected.push(("notes", "43516803706866009082706042163263868906936107003050067084961129301309"));
        }
        assert_eq!((event.id.as_str(), &fields(&event)[..3]), ("7", &expected[..3]), "{value}");
        assert_eq!(event.fields.len(), expected.len());
    }
    // A whole number that is no day of a calendar stays as it is.
    let date = format!(
        r#"{{"schema":{{"type":"struct","fields":[{}]}},"payload":{{"d":1e99}}}}"#,
        member("d", "io.debezium.time.Date")
    );
    assert_eq!(fields(&event(Format::Plain, &record(Some("7"), Some(&date), &[]))), [("d", "1e99")]);
}
