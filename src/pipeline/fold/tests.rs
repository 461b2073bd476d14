//! The marks of a fold of late events.

use super::*;
use crate::dead_letter::Nowhere;
use crate::event::{Action, Field};
use crate::plan::{CONTACT, ORGANISATION};
use crate::plan::{CONTACTS, builtin};
use crate::state::memory::MemoryStore;

fn taken(kind: EntityType, id: &str, version: u64, action: Action, field: Option<(&str, &str)>) -> Taken {
    let fields = field.map(|(name, json)| Field { name: name.to_owned(), json: json.as_bytes().into() });
    let event = Event {
        kind,
        id: id.to_owned(),
        version,
        sequenced: true,
        action,
        fields: fields.into_iter().collect(),
    };
    let record = Record {
        kind,
        partition: TopicPartition::new("t", i32::try_from(version).unwrap()),
        offset: 0,
        timestamp_ms: 0,
        key: None,
        value: None,
        headers: Vec::new(),
        malformed: None,
    };
    Taken { record, decoded: Decoded::Event(event) }
}

#[test]
fn an_overtaken_event_marks_what_it_would_have_changed_as_long_as_others_may_have_delivered_that() {
    for is_settled in [false, true] {
        let state = Arc::new(State::open(Arc::new(MemoryStore::default()), builtin(), "f").unwrap());
        let mut folder = Folder::new(state, vec![CONTACTS], Box::new(Nowhere)).unwrap();
        for event in [
            taken(CONTACT, "c", 1, Action::Merge, Some(("organisationId", "\"below\""))),
            taken(ORGANISATION, "below", 2, Action::Merge, Some(("parentId", "\"above\""))),
            taken(ORGANISATION, "above", 9, Action::Delete, None),
        ] {
            folder.fold(&[event], &[]).unwrap();
        }
        while folder.fan_out().unwrap().number > 0 {}
        folder.set_settled(is_settled);
        // Elsewhere this came before the delete, and the contact was delivered with an ancestor.
        let overtaken = taken(ORGANISATION, "above", 8, Action::Replace, Some(("parentId", "\"top\"")));
        folder.fold(&[overtaken], &[]).unwrap();
        let mut marked = Vec::new();
        loop {
            let step = folder.fan_out().unwrap();
            if step.number == 0 {
                break;
            }
            marked.extend(step.marked);
        }
        let is_marked = marked.contains(&(CONTACTS, "c".into()));
        assert_eq!(is_marked, !is_settled, "{marked:?}");
    }
}
