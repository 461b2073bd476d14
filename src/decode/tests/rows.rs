use super::*;

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
    for key in ["o1", "007", "\"a\"b\"", "null"] {
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
    assert_eq!(decode(Format::Debezium, &message), Decoded::Ignored);
    for (value, field) in [
        (r#"{"op":"t"}"#, "op:"),
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
fn an_lsn_is_a_number_or_its_digits() {
    for (lsn, expected) in [("5", (5, true)), ("\"5\"", (5, true)), ("null", (7, false))] {
        let value = format!(r#"{{"op":"c","after":{{}},"source":{{"lsn":{lsn}}}}}"#);
        let event = event(Format::Debezium, &record(Some("7"), Some(&value), &[]));
        assert_eq!((event.version, event.sequenced), expected);
    }
    for lsn in ["-1", "1.0", "1e3", "\"\"", "\"0/16B\"", "9223372036854775808", "true"] {
        let value = format!(r#"{{"op":"c","after":{{}},"source":{{"lsn":{lsn}}}}}"#);
        let reason = poison(Format::Debezium, &record(Some("7"), Some(&value), &[]));
        assert!(reason.starts_with("source.lsn:"), "{reason}");
    }
}

#[test]
fn outbox_text_must_be_a_json_string() {
    // Quotes inside that are not escaped: no JSON, though what lies between the outer ones is.
    let bad = record(Some("o1"), Some(r#""{"name":"A"}""#), &[("type", "ACreated")]);
    assert!(poison(Format::Outbox, &bad).starts_with("data:"));
}
