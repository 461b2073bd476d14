//! The events of a run. Of the built-in model: organisations that move, are renamed and deleted, and contacts that change
//! sides.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reference::{Does, Plain};
use super::world::World;

/// An event of an entity.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// The number of its entity type.
    pub(super) entity: usize,
    pub(super) id: String,
    pub(super) version: u64,
    pub(super) does: Does,
    pub(super) fields: BTreeMap<String, Value>,
    /// The fields as the producer writes them.
    pub(super) data: Value,
}

impl Event {
    /// The same for the reference.
    pub(super) fn plain(&self) -> Plain {
        let Self { entity, id, version, does, fields, .. } = self.clone();
        Plain { contact: entity == CONTACTS, id, version, does, fields }
    }
}

/// The number of the built-in contacts.
const CONTACTS: usize = 1;

/// Writes events into the log.
#[derive(Default)]
pub(super) struct Events {
    versions: BTreeMap<(usize, String), u64>,
    /// The events that come later than those written after them.
    latecomers: Vec<Event>,
}

impl Events {
    /// Appends one event, or holds it back, or appends one that was held back.
    pub(super) fn append(&mut self, world: &World) {
        if !self.latecomers.is_empty() && world.draw(0..4) == 0 {
            let drawn = world.draw(0..self.latecomers.len() as u64);
            let event = self.latecomers.swap_remove(usize::try_from(drawn).unwrap());
            return put(world, event);
        }
        let mut event = world.domain.event(world);
        event.version = self.next_version(event.entity, &event.id);
        // Without a sequence the order is the log's.
        if world.plan.is_sequenced && world.strikes("record reordered", world.plan.rates.reordered) {
            self.latecomers.push(event);
        } else {
            put(world, event);
        }
        if world.strikes("record that cannot be read", world.plan.rates.poison) {
            let number = usize::try_from(world.draw(0..4)).unwrap();
            let (at, offset) = world.log.lock().unwrap().append_poison(number, now_ms(world));
            world.note(format_args!("{at}:{offset} cannot be read"));
        }
        if world.draw(0..12) == 0 {
            let number = usize::try_from(world.draw(0..4)).unwrap();
            world.log.lock().unwrap().append_marker(number);
        }
    }

    /// Appends a change of a contact's name.
    pub(super) fn touch(&mut self, world: &World, contact: &str) {
        let version = self.next_version(CONTACTS, contact);
        let fields = BTreeMap::from([("name".to_owned(), Value::from(format!("touched {version}")))]);
        let id = contact.to_owned();
        let data = json!(fields);
        put(world, Event { entity: CONTACTS, id, version, does: Does::Merge, fields, data });
    }

    /// Appends the events that are held back still.
    pub(super) fn append_held(&mut self, world: &World) {
        std::mem::take(&mut self.latecomers).into_iter().for_each(|event| put(world, event));
    }

    fn next_version(&mut self, entity: usize, id: &str) -> u64 {
        let version = self.versions.entry((entity, id.to_owned())).or_default();
        *version += 1;
        *version
    }
}

/// The next event of the built-in model, without its version.
pub(super) fn draw_built_in(world: &World) -> Event {
    let contact = world.draw(0..2) == 0;
    let id = if contact {
        format!("c{}", world.draw(0..world.plan.contacts))
    } else {
        format!("o{}", world.draw(0..world.plan.organisations))
    };
    let does = match world.draw(0..10) {
        0 => Does::Delete,
        1..5 => Does::Replace,
        _ => Does::Merge,
    };
    let fields = if does == Does::Delete { BTreeMap::new() } else { fields(world, contact) };
    let data = json!(fields);
    Event { entity: usize::from(contact), id, version: 0, does, fields, data }
}

fn fields(world: &World, contact: bool) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    let owner = match world.draw(0..6) {
        0 => None,
        1 => Some(Value::Null),
        _ => Some(Value::from(format!("o{}", world.draw(0..world.plan.organisations)))),
    };
    if let Some(owner) = owner {
        fields.insert(if contact { "organisationId" } else { "parentId" }.to_owned(), owner);
    }
    if world.draw(0..3) > 0 {
        fields.insert("name".to_owned(), Value::from(format!("n{}", world.draw(0..1_000))));
    }
    if world.draw(0..4) == 0 {
        let name = if contact { "role" } else { "status" };
        fields.insert(name.to_owned(), Value::from(format!("s{}", world.draw(0..5))));
    }
    fields
}

/// Puts an event into the log, in the partition of its entity or, with a sequence, in any.
fn put(world: &World, event: Event) {
    place(world, event.clone());
    if world.strikes("record doubled", world.plan.rates.doubled) {
        place(world, event);
    }
}

fn place(world: &World, event: Event) {
    let topic = &world.domain.types[event.entity].0;
    let sequenced = world.plan.is_sequenced;
    let partition = if sequenced {
        let count = world.log.lock().unwrap().count(topic);
        i32::try_from(world.draw(0..u64::from(count.unsigned_abs()))).unwrap()
    } else {
        let hash = xxhash_rust::xxh3::xxh3_64(event.id.as_bytes());
        i32::try_from(hash % u64::from(world.plan.partitions_of(event.entity).unsigned_abs())).unwrap()
    };
    let said = format!("{} {:?} {:?} of version {}", event.id, event.does, event.fields, event.version);
    let (at, offset) = world.log.lock().unwrap().append(partition, event, sequenced, now_ms(world));
    world.note(format_args!("{at}:{offset} says {said}"));
}

fn now_ms(world: &World) -> i64 {
    i64::try_from(world.began.elapsed().as_millis()).unwrap()
}
