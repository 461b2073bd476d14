//! The stream of events: creations mixed with updates, some deletions, duplicates and reordering.

use std::fmt::{self, Display, Write};
use std::rc::Rc;

use super::people::{Brand, Digits};
use super::rng::Rng;
use super::world::{self, Employee};
use crate::plan::{CONTACT, EntityType, ORGANISATION};

/// The bytes that most values take at most, so that writing one seldom moves it.
const VALUE_BYTES: usize = 640;

/// One in so many records is given twice, and as many change places with the next.
const ODD: u64 = 100;
/// The verb of a record without a value.
const TOMBSTONE: &str = "tombstone";

/// A record to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GeneratedRecord {
    pub(super) kind: EntityType,
    pub(super) key: String,
    /// The event's JSON; `None` is a tombstone.
    pub(super) value: Option<String>,
    /// The tombstone's version.
    pub(super) sequence: u32,
    pub(super) timestamp_ms: i64,
}

/// An entity's last sequence, whether it is deleted, and where a contact works. Twelve bytes for each.
#[derive(Debug, Clone, Copy, Default)]
struct EntitySummary {
    sequence: u32,
    employer: u32,
    deleted: bool,
}

/// Entities of one kind, created in an order that is not that of their numbers.
struct Population {
    known: Vec<EntitySummary>,
    created: u32,
    stride: u64,
}

impl Population {
    fn new(size: u32) -> Self {
        // A stride that has no factor in common with the size visits every number once.
        let mut stride = u64::from(size) * 618 / 1_000 + 1;
        while gcd(stride, u64::from(size)) != 1 {
            stride += 1;
        }
        Self { known: vec![EntitySummary::default(); size as usize], created: 0, stride }
    }

    fn number(&self, order: u32) -> u32 {
        u32::try_from((u64::from(order) * self.stride).checked_rem(self.known.len() as u64).unwrap_or(0))
            .unwrap_or(0)
    }

    fn remainder(&self) -> u64 {
        self.known.len() as u64 - u64::from(self.created)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The events of a seed, in the order in which they are written.
pub(super) struct Events {
    seed: u64,
    rng: Rng,
    organisations: Population,
    contacts: Population,
    total: u64,
    output: u64,
    made: u64,
    reserve: Option<Rc<GeneratedRecord>>,
    last: Option<Rc<GeneratedRecord>>,
}

impl Events {
    pub(super) fn new(seed: u64, organisations: u32, contacts: u32, events: u64) -> Self {
        Self {
            seed,
            rng: Rng::new(seed),
            organisations: Population::new(organisations),
            contacts: Population::new(contacts),
            total: events,
            output: 0,
            made: 0,
            reserve: None,
            last: None,
        }
    }

    fn make(&mut self) -> GeneratedRecord {
        self.made += 1;
        let to_create = self.organisations.remainder() + self.contacts.remainder();
        let created = u64::from(self.organisations.created) + u64::from(self.contacts.created);
        let remainder = (self.total - self.output).max(1);
        let creates = to_create > 0 && (created == 0 || to_create >= remainder || self.rng.below(10) < 8);
        if creates {
            let organisation = self.rng.below(to_create) < self.organisations.remainder();
            self.create(if organisation { ORGANISATION } else { CONTACT })
        } else {
            let contact =
                self.organisations.created == 0 || self.contacts.created > 0 && self.rng.below(4) > 0;
            self.change(if contact { CONTACT } else { ORGANISATION })
        }
    }

    fn create(&mut self, kind: EntityType) -> GeneratedRecord {
        let population = self.population(kind);
        let number = population.number(population.created);
        population.created += 1;
        self.record(EntityId(kind, number), "created", Self::whole)
    }

    fn change(&mut self, kind: EntityType) -> GeneratedRecord {
        let created = u64::from(self.population(kind).created);
        let order = u32::try_from(self.rng.below(created)).unwrap_or(0);
        let number = self.population(kind).number(order);
        let deleted = self.population(kind).known.get(number as usize).is_some_and(|known| known.deleted);
        let id = EntityId(kind, number);
        if deleted {
            return self.record(id, "created", Self::whole);
        }
        match (kind == ORGANISATION, self.rng.below(100)) {
            (_, 0..2) => self.record(id, "deleted", |_, out, _| out.write_str("{}")),
            (_, 2..4) => self.record(id, TOMBSTONE, |_, _, _| Ok(())),
            (_, 4..9) => self.record(id, "replaced", Self::whole),
            (true, 9..35) => self.record(id, "renamed", |events, out, EntityId(_, number)| {
                write!(out, r#"{{"name":"{}"}}"#, events.brand(number).later_name(&mut events.rng))
            }),
            (true, 35..45) => self.record(id, "moved", |events, out, id| {
                write!(out, r#"{{"parentId":{}}}"#, events.parent(id))
            }),
            (true, 45..60) => self.record(id, "updated", |events, out, EntityId(_, number)| {
                let place = events.brand(number).place;
                write!(out, r#"{{"phone":"{}"}}"#, Digits::phone(&mut events.rng, place))
            }),
            (true, _) => self.record(id, "updated", |events, out, _| {
                write!(out, r#"{{"status":"{}"}}"#, world::status(&mut events.rng))
            }),
            (false, 9..55) => self.record(id, "email-changed", |events, out, EntityId(_, number)| {
                let employee = events.employee(number);
                write!(out, r#"{{"email":"{}"}}"#, employee.email(&mut events.rng))
            }),
            (false, 55..70) => self.record(id, "moved", |events, out, EntityId(_, number)| {
                let employer = events.employ(number);
                let employee = events.employee(number);
                world::write_move(out, &mut events.rng, &employee, employer)
            }),
            (false, _) => self.record(id, "updated", |events, out, _| {
                write!(out, r#"{{"role":"{}"}}"#, world::role(&mut events.rng))
            }),
        }
    }

    /// Every field of an entity, for a creation or a replacement.
    fn whole(&mut self, out: &mut String, id: EntityId) -> fmt::Result {
        match id.0 == ORGANISATION {
            true => {
                let parent = self.parent(id);
                let brand = self.brand(id.1);
                world::organisation(out, &mut self.rng, &brand, id, parent)
            }
            false => {
                let employer = self.employ(id.1);
                let employee = self.employee(id.1);
                world::contact(out, &mut self.rng, &employee, id, employer)
            }
        }
    }

    fn parent(&mut self, EntityId(kind, number): EntityId) -> JsonReference {
        JsonReference(world::parent(&mut self.rng, number).map(|parent| EntityId(kind, parent)))
    }

    fn brand(&self, number: u32) -> Brand {
        Brand::of(self.seed, number)
    }

    /// Draws an organisation for the contact of this number, which works there from now on.
    fn employ(&mut self, number: u32) -> EntityId {
        let organisations = self.organisation_count();
        let employer = world::employer(&mut self.rng, organisations);
        if let Some(known) = self.contacts.known.get_mut(number as usize) {
            known.employer = employer;
        }
        EntityId(ORGANISATION, employer)
    }

    fn employee(&self, number: u32) -> Employee {
        let employer = self.contacts.known.get(number as usize).map_or(0, |known| known.employer);
        Employee::of(self.seed, number, employer, self.organisation_count())
    }

    fn organisation_count(&self) -> u32 {
        u32::try_from(self.organisations.known.len()).unwrap_or(u32::MAX)
    }

    /// The record of one event, its data written by `data`.
    fn record(
        &mut self,
        id: EntityId,
        verb: &str,
        data: impl FnOnce(&mut Self, &mut String, EntityId) -> fmt::Result,
    ) -> GeneratedRecord {
        let made = self.made;
        let tombstone = verb == TOMBSTONE;
        let mut value = String::with_capacity(if tombstone { 0 } else { VALUE_BYTES });
        value.push_str(r#"{"data":"#);
        // Writing into a string does not fail.
        let _ = data(self, &mut value, id);
        let mut sequence = 0;
        if let Some(known) = self.population(id.0).known.get_mut(id.1 as usize) {
            known.sequence += 1;
            known.deleted = tombstone || verb == "deleted";
            sequence = known.sequence;
        }
        let entity = if id.0 == ORGANISATION { "organisation" } else { "contact" };
        let _ = write!(
            value,
            r#","datacontenttype":"application/json","id":"e-{made}","sequence":"{sequence}","source":"/crm","specversion":"1.0","subject":"{id}","time":"{}","type":"com.example.{entity}.{verb}"}}"#,
            world::CREATED
        );
        GeneratedRecord {
            kind: id.0,
            key: id.to_string(),
            value: (!tombstone).then_some(value),
            sequence,
            timestamp_ms: 1_700_000_000_000 + i64::try_from(made).unwrap_or(0),
        }
    }

    fn population(&mut self, kind: EntityType) -> &mut Population {
        match kind == ORGANISATION {
            true => &mut self.organisations,
            false => &mut self.contacts,
        }
    }
}

impl Iterator for Events {
    type Item = Rc<GeneratedRecord>;

    fn next(&mut self) -> Option<Rc<GeneratedRecord>> {
        if self.output >= self.total {
            return None;
        }
        self.output += 1;
        let must_create =
            self.organisations.remainder() + self.contacts.remainder() + u64::from(self.reserve.is_some());
        let has_room = must_create + 1 < self.total - self.output;
        if let Some(reserve) = self.reserve.take() {
            return Some(reserve);
        }
        match self.rng.below(ODD * 2) {
            0 if has_room && self.last.is_some() => return self.last.clone(),
            1 if has_room => {
                self.reserve = Some(Rc::new(self.make()));
            }
            _ => {}
        }
        let next = Rc::new(self.make());
        self.last = Some(Rc::clone(&next));
        Some(next)
    }
}

/// An entity by its number; shown as its id.
#[derive(Debug, Clone, Copy)]
struct EntityId(EntityType, u32);

impl Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(kind, number) = self;
        match *kind == ORGANISATION {
            true => write!(f, "org-{number:06}"),
            false => write!(f, "con-{number:07}"),
        }
    }
}

/// A reference as JSON.
struct JsonReference(Option<EntityId>);

impl Display for JsonReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(id) => write!(f, "\"{id}\""),
            None => f.write_str("null"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_seed_gives_the_same_events_and_another_does_not() {
        let all = |seed| Events::new(seed, 50, 300, 1_000).collect::<Vec<_>>();
        assert_eq!(all(7), all(7));
        assert_ne!(all(7), all(8));
    }

    #[test]
    fn every_entity_is_created_within_the_count() {
        let events: Vec<_> = Events::new(3, 50, 300, 400).collect();
        assert_eq!(events.len(), 400);
        let keys: HashSet<&str> = events.iter().map(|event| event.key.as_str()).collect();
        assert_eq!(keys.len(), 350);
    }
}
