//! The marks of a fold of late events.

use super::*;
use crate::dead_letter::NoDeadLetters;
use crate::event::{Action, Event, EventField};
use crate::plan::{CONTACT, ORGANISATION};
use crate::plan::{CONTACTS, builtin};
use crate::state::memory::MemoryStore;

fn record_with_event(
    kind: EntityType,
    id: &str,
    version: u64,
    action: Action,
    field: Option<(&str, &str)>,
) -> DecodedRecord {
    let fields = field.map(|(name, json)| EventField { name: name.to_owned(), json: json.as_bytes().into() });
    let event = Event {
        kind,
        id: id.to_owned(),
        version,
        sequenced: true,
        action,
        fields: fields.into_iter().collect(),
    };
    let record = Record::new(kind, TopicPartition::new("t", i32::try_from(version).unwrap()), 0);
    DecodedRecord { record, decoded: DecodeOutcome::Event(event) }
}

#[test]
fn an_overtaken_event_marks_what_it_would_have_changed_as_long_as_others_may_have_delivered_that() {
    for is_settled in [false, true] {
        let state = Arc::new(State::open(Arc::new(MemoryStore::default()), builtin(), "f").unwrap());
        let mut state_writer =
            StateWriter::new(state, vec![CONTACTS], Box::new(NoDeadLetters), Tuning::small()).unwrap();
        for event in [
            record_with_event(CONTACT, "c", 1, Action::Merge, Some(("organisationId", "\"below\""))),
            record_with_event(ORGANISATION, "below", 2, Action::Merge, Some(("parentId", "\"above\""))),
            record_with_event(ORGANISATION, "above", 9, Action::Delete, None),
        ] {
            state_writer.fold(&[event], &[]).unwrap();
        }
        while state_writer.fan_out().unwrap().number > 0 {}
        state_writer.set_settled(is_settled);
        // Elsewhere this came before the delete, and the contact was delivered with an ancestor.
        let overtaken =
            record_with_event(ORGANISATION, "above", 8, Action::Replace, Some(("parentId", "\"top\"")));
        state_writer.fold(&[overtaken], &[]).unwrap();
        let mut marked = Vec::new();
        loop {
            let step = state_writer.fan_out().unwrap();
            if step.number == 0 {
                break;
            }
            marked.extend(step.marked);
        }
        let is_marked = marked.contains(&(CONTACTS, "c".into()));
        assert_eq!(is_marked, !is_settled, "{marked:?}");
    }
}
