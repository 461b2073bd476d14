//! The language of models, interpreted plainly: every document is made anew from all entities.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tributary::model::{Condition, Default as FieldDefault, Embed, Model, Projection, Relation};

#[derive(Debug)]
struct Entity {
    is_alive: bool,
    fields: BTreeMap<String, Value>,
}

/// All entities that had an event, by type and id.
#[derive(Debug, Default)]
pub struct World(BTreeMap<(String, String), Entity>);

impl World {
    /// Takes note of an entity: its fields, or none when it is deleted.
    pub fn put(&mut self, of: &str, id: &str, fields: Option<BTreeMap<String, Value>>) {
        let entity = Entity { is_alive: fields.is_some(), fields: fields.unwrap_or_default() };
        self.0.insert((of.to_owned(), id.to_owned()), entity);
    }

    /// The documents of every projection.
    pub fn documents(&self, model: &Model) -> BTreeMap<String, BTreeMap<String, Value>> {
        let of = |projection: &Projection| {
            let mut ids: BTreeSet<&str> =
                self.0.keys().filter(|(of, _)| *of == projection.of).map(|(_, id)| id.as_str()).collect();
            // Owners that are known by references only.
            let values = self.0.values().flat_map(|entity| entity.fields.values());
            let named: Vec<&str> = values.flat_map(ids_of).collect();
            ids.extend(named);
            let documents =
                ids.into_iter().filter_map(|id| Some((id.to_owned(), self.document(model, projection, id)?)));
            (projection.name.clone(), documents.collect())
        };
        model.projections.iter().map(of).collect()
    }

    fn entity(&self, of: &str, id: &str) -> Option<&Entity> {
        self.0.get(&(of.to_owned(), id.to_owned()))
    }

    fn is_deleted(&self, of: &str, id: &str) -> bool {
        self.entity(of, id).is_some_and(|entity| !entity.is_alive)
    }

    fn value(&self, model: &Model, of: &str, entity: &Entity, name: &str) -> Option<Value> {
        if let Some(own) = entity.fields.get(name) {
            return Some(own.clone());
        }
        match &model.entity(of)?.field(name)?.default {
            Some(FieldDefault::Value(value)) => Some(value.clone()),
            // The one program of the drawn models: how many letters the name has.
            Some(FieldDefault::Jq(_)) => {
                let name = entity.fields.get("name").and_then(Value::as_str).unwrap_or_default();
                Some(json!(name.chars().count()))
            }
            Some(FieldDefault::Join { fields, with }) => {
                let parts: Vec<&str> = fields
                    .iter()
                    .filter_map(|field| entity.fields.get(field)?.as_str())
                    .filter(|part| !part.is_empty())
                    .collect();
                (!parts.is_empty()).then(|| Value::from(parts.join(with)))
            }
            _ => None,
        }
    }

    fn holds(&self, model: &Model, of: &str, entity: &Entity, conditions: &[Condition]) -> bool {
        conditions.iter().all(|condition| match self.value(model, of, entity, &condition.field) {
            Some(Value::Array(items)) => items.iter().any(|item| condition.values.contains(item)),
            Some(value) => condition.values.contains(&value),
            None => false,
        })
    }

    fn document(&self, model: &Model, projection: &Projection, id: &str) -> Option<Value> {
        let of = projection.of.as_str();
        let entity = self.entity(of, id);
        let mut document = Map::new();
        document.insert("id".to_owned(), json!(id));
        match entity {
            Some(entity) if !entity.is_alive => return None,
            Some(entity) => {
                if !self.holds(model, of, entity, &projection.conditions) {
                    return None;
                }
                self.show(model, of, entity, &projection.show, &mut document);
                if let Some(rest) = &projection.rest {
                    let declared = |name: &str| model.entity(of).unwrap().field(name).is_some();
                    let others: Map<String, Value> = entity
                        .fields
                        .iter()
                        .filter(|(name, _)| !declared(name))
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .collect();
                    if !others.is_empty() {
                        document.insert(rest.clone(), Value::Object(others));
                    }
                }
            }
            None => {
                document.insert("stub".to_owned(), json!(true));
            }
        }
        let mut is_stub = false;
        for embed in &projection.embeds {
            let count = self.embed(model, of, id, embed, &mut document);
            is_stub |= count > 0 && projection.stubs.contains(&embed.name);
        }
        for computed in &projection.compute {
            let value = match computed.name.as_str() {
                "next" => json!(document.get("n").and_then(Value::as_i64).unwrap_or(0) + 1),
                "many" => json!(document.get("tags").and_then(Value::as_array).map_or(0, Vec::len)),
                other => panic!("no model computes {other}"),
            };
            document.insert(computed.name.clone(), value);
        }
        (entity.is_some() || is_stub).then_some(Value::Object(document))
    }

    fn show(&self, model: &Model, of: &str, entity: &Entity, names: &[String], to: &mut Map<String, Value>) {
        for name in names {
            let Some(mut value) = self.value(model, of, entity, name) else { continue };
            if name == "place" {
                value.as_object_mut().unwrap().retain(|_, member| !member.is_null());
            }
            to.insert(name.clone(), value);
        }
    }

    /// The object of an embedded entity.
    fn object(&self, model: &Model, embed: &Embed, id: &str) -> Value {
        let mut object = Map::new();
        object.insert("id".to_owned(), json!(id));
        if let Some(entity) = self.entity(&embed.entity, id) {
            self.show(model, &embed.entity, entity, &embed.show, &mut object);
        }
        for inner in &embed.embeds {
            self.embed(model, &embed.entity, id, inner, &mut object);
        }
        Value::Object(object)
    }

    /// Puts an embed into an object; answers how many refer to it.
    fn embed(&self, model: &Model, of: &str, id: &str, embed: &Embed, to: &mut Map<String, Value>) -> usize {
        let fields = self.entity(of, id).filter(|entity| entity.is_alive).map(|entity| &entity.fields);
        match &embed.relation {
            Relation::Reference { field, .. } => {
                let Some(value) = fields.and_then(|fields| fields.get(field)) else { return 0 };
                let mut objects = Vec::new();
                let mut seen = BTreeSet::new();
                for referred in ids_of(value) {
                    if seen.insert(referred) && !self.is_deleted(&embed.entity, referred) {
                        objects.push(self.object(model, embed, referred));
                    }
                }
                if value.is_array() {
                    to.insert(embed.name.clone(), Value::Array(objects));
                } else if let Some(object) = objects.pop() {
                    to.insert(embed.name.clone(), object);
                }
                0
            }
            Relation::Above { field, ids, cycle } => {
                let (chain, is_cycle) = self.above(of, id, field);
                let items =
                    chain.iter().map(|id| if *ids { json!(id) } else { self.object(model, embed, id) });
                to.insert(embed.name.clone(), items.collect());
                if let (true, Some(cycle)) = (is_cycle, cycle) {
                    to.insert(cycle.clone(), json!(true));
                }
                0
            }
            Relation::From(from) => {
                let members = self.members(&from.entity, &from.field, id, |entity| {
                    self.holds(model, &from.entity, entity, &from.conditions)
                });
                let max = from.max as usize;
                let objects = members.iter().take(max).map(|member| self.object(model, embed, member));
                to.insert(embed.name.clone(), objects.collect());
                if let Some(count) = &from.count {
                    to.insert(count.clone(), json!(members.len()));
                }
                if let (true, Some(truncated)) = (members.len() > max, &from.truncated) {
                    to.insert(truncated.clone(), json!(true));
                }
                if let Some(descendants) = &from.descendants {
                    let mut below = BTreeSet::new();
                    let mut waiting = members.clone();
                    while let Some(next) = waiting.pop() {
                        if below.insert(next.clone()) {
                            waiting.extend(self.members(&from.entity, &from.field, &next, |_| true));
                        }
                    }
                    below.remove(id);
                    to.insert(descendants.clone(), json!(below.len()));
                }
                members.len()
            }
        }
    }

    /// The entities above one, and whether the way came back.
    fn above(&self, of: &str, id: &str, field: &str) -> (Vec<String>, bool) {
        let parent = |id: &str| -> Option<String> {
            let entity = self.entity(of, id).filter(|entity| entity.is_alive)?;
            entity.fields.get(field)?.as_str().map(str::to_owned)
        };
        let (mut chain, mut next) = (Vec::<String>::new(), parent(id));
        while let Some(above) = next {
            if self.is_deleted(of, &above) {
                return (chain, false);
            }
            if above == id || chain.contains(&above) {
                return (chain, true);
            }
            next = parent(&above);
            chain.push(above);
        }
        (chain, false)
    }

    /// The living entities that refer to one, by id.
    fn members(&self, of: &str, field: &str, owner: &str, is_taken: impl Fn(&Entity) -> bool) -> Vec<String> {
        let refers =
            |entity: &Entity| entity.fields.get(field).is_some_and(|value| ids_of(value).contains(&owner));
        let members = self.0.iter().filter(|((found, _), entity)| {
            found == of && entity.is_alive && refers(entity) && is_taken(entity)
        });
        members.map(|((_, id), _)| id.clone()).collect()
    }
}

/// The ids that a value names: its own, or those of a list.
fn ids_of(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    }
}
