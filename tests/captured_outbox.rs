//! The records of Debezium's outbox router (`tests/captured`), folded from files, end in the content of the outbox's
//! rows.

use serde_json::{Map, Value, json};

use crate::capture::{captured, lines, read, reasons};
use crate::captured_truth::{APP, Capture, NOTHING, Rows};

const OUTBOX: Capture = Capture {
    folder: "outbox-string",
    format: "outbox",
    settings: "",
    organisations: Some("organisation"),
    contacts: Some("contact"),
    untyped: &[],
    ..APP
};

/// A row that was sent and deleted in one transaction, as the pattern has it. The table never showed it.
fn sent_and_deleted() -> Value {
    json!({
        "id": "11111111-0000-4000-8000-000000000001", "aggregatetype": "organisation", "aggregateid": "o-1",
        "type": "OrganisationRenamed", "payload": {"name": "Aldergate Group plc"}
    })
}

/// All rows that the outbox ever held, in order.
fn outbox() -> Vec<Value> {
    let mut rows = read(&captured("expected-outbox.json"))["app.outbox"].as_array().unwrap().clone();
    rows.insert(2, sent_and_deleted());
    rows
}

/// The aggregates that the rows of the outbox end in, and the number of rows that hold no data of one.
fn aggregates(aggregate: &str) -> (Rows, usize) {
    let (mut left, mut poison) = (Rows::new(), 0);
    for row in outbox().iter().filter(|row| row["aggregatetype"] == aggregate) {
        let id = row["aggregateid"].as_str().unwrap().to_owned();
        let data = row["payload"].as_object();
        match (row["type"].as_str().unwrap(), data) {
            (kind, _) if kind.ends_with("Deleted") => drop(left.remove(&id)),
            (kind, Some(data)) if kind.ends_with("Created") => drop(left.insert(id, data.clone())),
            (_, Some(data)) => left.get_mut(&id).unwrap().extend(data.clone()),
            (_, None) => poison += 1,
        }
    }
    (left, poison)
}

/// The captured lines of a topic with the header that `table.fields.additional.placement=type:header:eventType` adds.
fn with_type(folder: &str, topic: &str) -> String {
    let outbox = outbox();
    let named = |line: &str| {
        let mut record: Map<String, Value> = serde_json::from_str(line).unwrap();
        let row = outbox.iter().find(|row| row["id"] == record["headers"]["id"]).unwrap();
        record["headers"]["eventType"] = row["type"].clone();
        format!("{}\n", Value::Object(record))
    };
    lines(folder, topic).lines().map(named).collect()
}

/// The parent of this organisation was deleted, and a document does not point to one that is gone.
const GONE: [&str; 1] = ["o-3.parentId"];

#[test]
fn outbox_events_end_in_what_the_rows_of_the_outbox_say() {
    for folder in ["outbox-string", "outbox-text", "outbox-default"] {
        let capture = Capture { folder, ..OUTBOX };
        let world = match folder {
            "outbox-default" => {
                let topics = capture.topics();
                capture.fold(
                    &topics.map(|(of, topic)| (of, topic, with_type(folder, topic))).collect::<Vec<_>>(),
                )
            }
            _ => capture.folded(),
        };
        let [(organisations, none), (contacts, some)] = ["organisation", "contact"].map(aggregates);
        assert_eq!((organisations.len(), contacts.len(), none, some), (3, 1, 0, 3));
        assert_eq!(capture.of_rows(&world.documents("organisations"), &organisations), GONE, "{folder}");
        assert_eq!(capture.of_rows(&world.documents("contacts"), &contacts), NOTHING, "{folder}");
        let told = reasons(&world);
        assert!(told.len() == some && told.iter().all(|reason| reason.starts_with("data: ")), "{told:?}");
    }
}

#[test]
fn outbox_events_without_their_type_are_all_poison_and_the_reason_names_the_header() {
    let world = Capture { folder: "outbox-default", ..OUTBOX }.folded();
    let told = reasons(&world);
    assert!(
        told.len() == 14 && told.iter().all(|reason| reason.starts_with("eventType: no such header")),
        "{told:?}"
    );
    assert_eq!((world.documents("organisations").len(), world.documents("contacts").len()), (0, 0));
}
