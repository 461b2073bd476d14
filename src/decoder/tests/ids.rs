use super::*;
use crate::plan::{builtin, child_key};

#[test]
fn any_two_names_of_an_entity_must_agree() {
    for (key, subject, id, expected) in [
        (Some("o1"), "", "", Some("o1")),
        (None, r#","subject":"o1""#, "", Some("o1")),
        (None, "", r#""id":"o1""#, Some("o1")),
        (Some("7"), r#","subject":"7""#, r#""id":7"#, Some("7")),
        (Some("o1"), r#","subject":null"#, r#""id":null"#, Some("o1")),
        (Some("o1"), r#","subject":"o2""#, "", None),
        (Some("o1"), "", r#""id":"o2""#, None),
        (None, r#","subject":"o1""#, r#""id":"o2""#, None),
        (Some(""), r#","subject":"o1""#, "", None),
        (Some("o1"), r#","subject":"""#, "", None),
        (Some("o1"), "", r#""id":"""#, None),
        (Some("o1"), "", r#""id":1.5"#, None),
        (None, "", "", None),
    ] {
        for verb in ["created", "renamed", "deleted"] {
            let value = format!(r#"{{"type":"a.{verb}"{subject},"data":{{{id}}}}}"#);
            let record = record(key, Some(&value), &[]);
            match expected {
                Some(id) => assert_eq!(event(Format::CloudEvents, &record).id, id),
                None => assert!(!poison(Format::CloudEvents, &record).is_empty(), "{value}"),
            }
        }
    }
}

#[test]
fn an_id_that_is_the_key_of_a_child_is_poison() {
    let key = child_key("contacts", "o1", "c1");
    assert!(poison(Format::Plain, &record(Some(&key), Some("{}"), &[])).contains("the key of a child found"));
    let parent = format!(r#"{{"parentId":{}}}"#, serde_json::Value::from(key.as_str()));
    assert!(poison(Format::Plain, &record(Some("o2"), Some(&parent), &[])).starts_with("parentId:"));
    let prefix = key.trim_end_matches("c1").replace('\0', "");
    assert_eq!(event(Format::Plain, &record(Some(&prefix), Some("{}"), &[])).id, prefix);
}

#[test]
fn id_is_never_a_field() {
    let event = event(Format::Plain, &record(None, Some(r#"{"id":-5,"name":null}"#), &[]));
    assert_eq!((event.id.as_str(), fields(&event)), ("-5", vec![("name", "null")]));
}

#[test]
fn a_key_that_is_not_utf8_is_poison_that_names_the_key() {
    for format in [Format::CloudEvents, Format::Debezium, Format::Plain] {
        let mut record = record(None, None, &[]);
        record.key = Some(vec![b'o', 0xff]);
        assert!(poison(format, &record).starts_with("key:"));
    }
}

#[test]
fn a_tombstone_s_subject_and_key_must_agree() {
    let subject = [("ce_subject", "o1")];
    assert_eq!(event(Format::CloudEvents, &record(None, None, &subject)).id, "o1");
    assert_eq!(event(Format::CloudEvents, &record(Some("o1"), None, &subject)).id, "o1");
    assert!(poison(Format::CloudEvents, &record(Some("o2"), None, &subject)).starts_with("key:"));
}

#[test]
fn a_delete_passes_over_data_that_is_no_object_but_not_one_it_cannot_read() {
    let deleted = [("ce_type", "a.deleted")];
    for value in ["", "[]", "5", "{}", r#"{"name":5}"#] {
        let event = event(Format::CloudEvents, &record(Some("o1"), Some(value), &deleted));
        assert_eq!((event.action, event.fields.len()), (Action::Delete, 0), "{value}");
    }
    for value in [r#"{"id":true}"#, r#"{"id":"o1""#] {
        assert!(poison(Format::CloudEvents, &record(Some("o1"), Some(value), &deleted)).starts_with("data"));
    }
    let mut unreadable = record(Some("o1"), None, &deleted);
    unreadable.value = Some(vec![0xff]);
    assert!(poison(Format::CloudEvents, &unreadable).starts_with("data:"));
}

#[test]
fn an_ignored_record_is_passed_over_whatever_its_key() {
    let types = BTreeMap::from([("a.viewed".to_owned(), TypeRule::Ignore)]);
    let decoder =
        Decoder::new(builtin(), vec![Format::CloudEvents.into(), Format::CloudEvents.into()], types);
    let mut viewed = record(None, Some(r#"{"type":"a.viewed"}"#), &[]);
    viewed.key = Some(vec![0xff]);
    assert_eq!(decoder.decode(&viewed), DecodeOutcome::Ignored);
}
