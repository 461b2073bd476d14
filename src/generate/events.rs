//! The stream of events: creations mixed with updates, some deletions, duplicates and reordering.

use serde_json::{Map, Value, json};

use super::rng::Rng;
use super::world;
use crate::event::EntityKind;

/// One in so many records is given twice, and as many change places with the next.
const ODD: u64 = 100;

/// A record to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Generated {
    pub(super) kind: EntityKind,
    pub(super) key: String,
    /// The event's JSON; `None` is a tombstone.
    pub(super) value: Option<String>,
    /// The tombstone's version.
    pub(super) sequence: u32,
    pub(super) timestamp_ms: i64,
}

/// An entity's last sequence, and whether it is deleted. Eight bytes for each.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    sequence: u32,
    deleted: bool,
}

/// Entities of one kind, created in an order that is not that of their numbers.
struct Population {
    known: Vec<Known>,
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
        Self { known: vec![Known::default(); size as usize], created: 0, stride }
    }

    fn number(&self, order: u32) -> u32 {
        u32::try_from((u64::from(order) * self.stride).checked_rem(self.known.len() as u64).unwrap_or(0))
            .unwrap_or(0)
    }

    fn left(&self) -> u64 {
        self.known.len() as u64 - u64::from(self.created)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The events of a seed, in the order in which they are written.
pub(super) struct Events {
    rng: Rng,
    organisations: Population,
    contacts: Population,
    total: u64,
    given: u64,
    made: u64,
    held: Option<Generated>,
    last: Option<Generated>,
}

impl Events {
    pub(super) fn new(seed: u64, organisations: u32, contacts: u32, events: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            organisations: Population::new(organisations),
            contacts: Population::new(contacts),
            total: events,
            given: 0,
            made: 0,
            held: None,
            last: None,
        }
    }

    fn make(&mut self) -> Generated {
        self.made += 1;
        let to_create = self.organisations.left() + self.contacts.left();
        let created = u64::from(self.organisations.created) + u64::from(self.contacts.created);
        let left = (self.total - self.given).max(1);
        let creates = to_create > 0 && (created == 0 || to_create >= left || self.rng.below(10) < 8);
        if creates {
            let organisation = self.rng.below(to_create) < self.organisations.left();
            self.create(if organisation { EntityKind::Organisation } else { EntityKind::Contact })
        } else {
            let contact =
                self.organisations.created == 0 || self.contacts.created > 0 && self.rng.below(4) > 0;
            self.change(if contact { EntityKind::Contact } else { EntityKind::Organisation })
        }
    }

    fn create(&mut self, kind: EntityKind) -> Generated {
        let population = self.population(kind);
        let number = population.number(population.created);
        population.created += 1;
        let data = self.whole(kind, number);
        self.record(kind, number, "created", Some(data))
    }

    fn change(&mut self, kind: EntityKind) -> Generated {
        let created = u64::from(self.population(kind).created);
        let order = u32::try_from(self.rng.below(created)).unwrap_or(0);
        let number = self.population(kind).number(order);
        let deleted = self.population(kind).known.get(number as usize).is_some_and(|known| known.deleted);
        if deleted {
            let data = self.whole(kind, number);
            return self.record(kind, number, "created", Some(data));
        }
        let (verb, data) = match (kind, self.rng.below(100)) {
            (_, 0..2) => ("deleted", None),
            (_, 2..4) => ("tombstone", None),
            (_, 4..9) => ("replaced", Some(self.whole(kind, number))),
            (EntityKind::Organisation, 9..35) => {
                ("renamed", Some(json!({"name": world::organisation_name(&mut self.rng)})))
            }
            (EntityKind::Organisation, 35..45) => {
                let parent = world::parent(&mut self.rng, number).map(|parent| id(kind, parent));
                ("moved", Some(json!({"parentId": parent})))
            }
            (EntityKind::Organisation, 45..60) => {
                ("updated", Some(json!({"phone": world::phone(&mut self.rng)})))
            }
            (EntityKind::Organisation, _) => {
                ("updated", Some(json!({"status": world::status(&mut self.rng)})))
            }
            (EntityKind::Contact, 9..55) => {
                ("email-changed", Some(json!({"email": world::email(&mut self.rng, number)})))
            }
            (EntityKind::Contact, 55..70) => {
                let organisation = world::employer(&mut self.rng, self.organisations.known.len() as u32);
                ("moved", Some(json!({"organisationId": id(EntityKind::Organisation, organisation)})))
            }
            (EntityKind::Contact, _) => ("updated", Some(json!({"role": world::role(&mut self.rng)}))),
        };
        self.record(kind, number, verb, data)
    }

    /// Every field of an entity, for a creation or a replacement.
    fn whole(&mut self, kind: EntityKind, number: u32) -> Value {
        let mut data = Map::new();
        data.insert("id".to_owned(), id(kind, number).into());
        match kind {
            EntityKind::Organisation => {
                let parent = world::parent(&mut self.rng, number).map(|parent| id(kind, parent));
                data.insert("parentId".to_owned(), parent.into());
                data.extend(world::organisation(&mut self.rng, number));
            }
            EntityKind::Contact => {
                let organisation = world::employer(&mut self.rng, self.organisations.known.len() as u32);
                data.insert("organisationId".to_owned(), id(EntityKind::Organisation, organisation).into());
                data.extend(world::contact(&mut self.rng, number));
            }
        }
        Value::Object(data)
    }

    fn record(&mut self, kind: EntityKind, number: u32, verb: &str, data: Option<Value>) -> Generated {
        let key = id(kind, number);
        let made = self.made;
        let Some(known) = self.population(kind).known.get_mut(number as usize) else {
            return Generated { kind, key, value: None, sequence: 0, timestamp_ms: 0 };
        };
        known.sequence += 1;
        known.deleted = matches!(verb, "deleted" | "tombstone");
        let sequence = known.sequence;
        let entity = if kind == EntityKind::Organisation { "organisation" } else { "contact" };
        let value = (verb != "tombstone").then(|| {
            json!({
                "specversion": "1.0", "id": format!("e-{made}"), "source": "/crm",
                "type": format!("com.example.{entity}.{verb}"), "time": "2023-11-14T22:13:20Z",
                "sequence": sequence.to_string(), "subject": key, "datacontenttype": "application/json",
                "data": data.unwrap_or_else(|| json!({})),
            })
            .to_string()
        });
        let timestamp_ms = 1_700_000_000_000 + i64::try_from(made).unwrap_or(0);
        Generated { kind, key, value, sequence, timestamp_ms }
    }

    fn population(&mut self, kind: EntityKind) -> &mut Population {
        match kind {
            EntityKind::Organisation => &mut self.organisations,
            EntityKind::Contact => &mut self.contacts,
        }
    }
}

impl Iterator for Events {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        if self.given >= self.total {
            return None;
        }
        self.given += 1;
        let must_create = self.organisations.left() + self.contacts.left() + u64::from(self.held.is_some());
        let has_room = must_create + 1 < self.total - self.given;
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        match self.rng.below(ODD * 2) {
            0 if has_room && self.last.is_some() => return self.last.clone(),
            1 if has_room => {
                self.held = Some(self.make());
            }
            _ => {}
        }
        let next = self.make();
        self.last = Some(next.clone());
        Some(next)
    }
}

fn id(kind: EntityKind, number: u32) -> String {
    match kind {
        EntityKind::Organisation => format!("org-{number:06}"),
        EntityKind::Contact => format!("con-{number:07}"),
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
