use super::*;
use proptest::prelude::*;

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

/// One valid record of each format, to be damaged.
const SOUND: [(Format, &str); 4] = [
    (
        Format::CloudEvents,
        r#"{"type":"a.created","subject":"o1","sequence":"5","data":{"id":"o1","tags":["\u00e9"],"address":{"city":"x"}}}"#,
    ),
    (
        Format::Debezium,
        r#"{"schema":{},"payload":{"op":"u","after":{"id":"o1","x":[1.10]},"source":{"lsn":3}}}"#,
    ),
    (Format::Outbox, r#""{\"id\":\"o1\",\"name\":\"A\"}""#),
    (Format::Plain, r#"{"id":"o1","name":"A","parentId":7,"x":{"b":1,"a":null}}"#),
];

#[test]
fn the_records_that_are_damaged_are_sound_before() {
    for (format, value) in SOUND {
        event(format, &record(Some("o1"), Some(value), &[("eventType", "a.created")]));
    }
}

proptest! {
    #[test]
    fn a_decoder_answers_to_sound_records_with_bytes_changed_cut_and_doubled(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        doubled in any::<prop::sample::Index>(),
        in_key in any::<bool>(),
    ) {
        for (format, sound) in SOUND {
            let mut bytes = sound.as_bytes().to_vec();
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let tail = bytes[doubled.index(bytes.len())..].to_vec();
            bytes.extend(tail);
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let mut record = record(Some("o1"), Some(sound), &[("eventType", "a.created")]);
            if in_key { record.key = Some(bytes) } else { record.value = Some(bytes) }
            if let DecodeOutcome::Poison(reason) = decode(format, &record) {
                prop_assert!(!reason.is_empty());
            }
        }
    }

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
            if let DecodeOutcome::Event(event) = decode(format, &record) {
                for field in &event.fields {
                    let tree: serde_json::Value = serde_json::from_slice(&field.json).unwrap();
                    prop_assert!(tree.is_object() || field.json.len() < 400);
                }
            }
        }
    }
}
