//! A plain reference: the fold and the documents, written down naively from docs/events.md and docs/documents.md.
//! It shares no code with the program.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// The effect of an event of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Merge,
    Replace,
    Delete,
}

/// An event, as plainly as can be.
#[derive(Debug, Clone)]
pub struct Plain {
    pub contact: bool,
    pub id: String,
    pub version: u64,
    pub does: Does,
    pub fields: BTreeMap<String, Value>,
}

/// The entities of one type, by id.
pub type Entities = BTreeMap<String, Option<BTreeMap<String, Value>>>;

/// The state of every entity of one type that had an event: its fields, or `None` when it is deleted.
pub fn fold(events: &[Plain], contact: bool) -> Entities {
    let ids: BTreeSet<&String> =
        events.iter().filter(|event| event.contact == contact).map(|event| &event.id).collect();
    let mut entities = Entities::new();
    for id in ids {
        let own: Vec<&Plain> =
            events.iter().filter(|event| event.contact == contact && event.id == *id).collect();
        let highest = |does: &[Does]| {
            own.iter().filter(|event| does.contains(&event.does)).map(|event| event.version).max()
        };
        let deleted = highest(&[Does::Delete]);
        let written = highest(&[Does::Merge, Does::Replace]);
        if written <= deleted {
            entities.insert(id.clone(), None);
            continue;
        }
        let replaced = highest(&[Does::Replace]);
        let names: BTreeSet<&String> = own.iter().flat_map(|event| event.fields.keys()).collect();
        let mut fields = BTreeMap::new();
        for name in names {
            let writes = own.iter().filter_map(|event| {
                let value = event.fields.get(name)?;
                Some((event.version, event.does == Does::Replace, value.to_string(), value))
            });
            let Some((version, _, _, value)) = writes.max_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)))
            else {
                continue;
            };
            let cleared = Some(version) < replaced || Some(version) <= deleted;
            if !cleared && !value.is_null() {
                fields.insert(name.clone(), value.clone());
            }
        }
        entities.insert(id.clone(), Some(fields));
    }
    entities
}

const ORGANISATION: &[&str] = &[
    "name",
    "type",
    "status",
    "industry",
    "website",
    "email",
    "phone",
    "address",
    "tags",
    "createdAt",
    "updatedAt",
];
const EMBEDDED: &[&str] = &["name", "firstName", "lastName", "email", "phone", "role", "department", "tags"];
const DATES: &[&str] = &["createdAt", "updatedAt"];

/// Every document that the events call for: by projection and id.
pub fn documents(events: &[Plain], max_embedded: usize) -> BTreeMap<&'static str, BTreeMap<String, Value>> {
    let world = World { organisations: fold(events, false), contacts: fold(events, true), max_embedded };
    BTreeMap::from([
        ("organisations", world.organisation_documents()),
        ("contacts", world.contact_documents()),
        ("hierarchy", world.hierarchy_documents()),
    ])
}

struct World {
    organisations: Entities,
    contacts: Entities,
    max_embedded: usize,
}

impl World {
    fn field(&self, id: &str, name: &str) -> Option<Value> {
        self.organisations.get(id)?.as_ref()?.get(name).cloned()
    }

    fn is_deleted(&self, id: &str) -> bool {
        self.organisations.get(id) == Some(&None)
    }

    fn is_alive(&self, id: &str) -> bool {
        self.organisations.get(id).is_some_and(Option::is_some)
    }

    /// The parent that counts: one that is not deleted.
    fn parent(&self, id: &str) -> Option<String> {
        let parent = self.field(id, "parentId")?.as_str()?.to_owned();
        (!self.is_deleted(&parent)).then_some(parent)
    }

    fn reference(&self, id: &str) -> Value {
        let mut reference = json!({"id": id});
        if let Some(name) = self.field(id, "name") {
            reference["name"] = name;
        }
        reference
    }

    fn ancestors(&self, id: &str) -> (Vec<String>, bool) {
        let mut chain = vec![id.to_owned()];
        while let Some(parent) = self.parent(chain.last().unwrap()) {
            if chain.contains(&parent) {
                return (chain[1..].to_vec(), true);
            }
            chain.push(parent);
        }
        (chain[1..].to_vec(), false)
    }

    fn with_ancestry(&self, id: &str, document: &mut Value) {
        if let Some(parent) = self.parent(id) {
            document["parent"] = self.reference(&parent);
        }
        let (ancestors, cycle) = self.ancestors(id);
        document["ancestors"] = ancestors.iter().map(|id| self.reference(id)).collect();
        if cycle {
            document["hierarchyCycle"] = json!(true);
        }
    }

    fn contacts_of(&self, organisation: &str) -> Vec<(&String, &BTreeMap<String, Value>)> {
        let alive = self.contacts.iter().filter_map(|(id, fields)| Some((id, fields.as_ref()?)));
        alive
            .filter(|(_, fields)| fields.get("organisationId").and_then(Value::as_str) == Some(organisation))
            .collect()
    }

    fn children_of(&self, parent: &str) -> Vec<String> {
        let alive = self.organisations.iter().filter_map(|(id, fields)| Some((id, fields.as_ref()?)));
        let children =
            alive.filter(|(_, fields)| fields.get("parentId").and_then(Value::as_str) == Some(parent));
        children.map(|(id, _)| id.clone()).collect()
    }

    fn organisation_documents(&self) -> BTreeMap<String, Value> {
        let mut documents = BTreeMap::new();
        let referred: BTreeSet<String> = self
            .contacts
            .values()
            .flatten()
            .filter_map(|fields| fields.get("organisationId")?.as_str().map(str::to_owned))
            .collect();
        for id in self.organisations.keys().chain(&referred) {
            if self.is_deleted(id) {
                continue;
            }
            let mut document = json!({"id": id});
            if let Some(Some(fields)) = self.organisations.get(id) {
                fill(&mut document, fields, ORGANISATION, &["parentId"]);
            } else {
                document["stub"] = json!(true);
            }
            self.with_ancestry(id, &mut document);
            let contacts = self.contacts_of(id);
            document["contactCount"] = json!(contacts.len());
            if contacts.len() > self.max_embedded {
                document["contactsTruncated"] = json!(true);
            }
            document["contacts"] =
                contacts.iter().take(self.max_embedded).map(|(id, fields)| embedded(id, fields)).collect();
            documents.insert(id.clone(), document);
        }
        documents
    }

    fn contact_documents(&self) -> BTreeMap<String, Value> {
        let mut documents = BTreeMap::new();
        for (id, fields) in &self.contacts {
            let Some(fields) = fields else { continue };
            let mut document = json!({"id": id});
            fill(&mut document, fields, &[EMBEDDED, DATES].concat(), &["organisationId"]);
            if let Some(name) = name_of(fields) {
                document["name"] = name;
            }
            let organisation = fields.get("organisationId").and_then(Value::as_str);
            if let Some(organisation) = organisation.filter(|organisation| !self.is_deleted(organisation)) {
                document["organisation"] = self.reference(organisation);
                document["organisation"]["ancestorIds"] = json!(self.ancestors(organisation).0);
            }
            documents.insert(id.clone(), document);
        }
        documents
    }

    fn hierarchy_documents(&self) -> BTreeMap<String, Value> {
        let mut documents = BTreeMap::new();
        let parents = self
            .organisations
            .values()
            .flatten()
            .filter_map(|fields| fields.get("parentId")?.as_str().map(str::to_owned));
        let parents: BTreeSet<String> = parents.collect();
        for id in self.organisations.keys().chain(&parents) {
            if self.is_deleted(id) {
                continue;
            }
            let mut document = self.reference(id);
            if !self.is_alive(id) {
                document["stub"] = json!(true);
            }
            self.with_ancestry(id, &mut document);
            let children = self.children_of(id);
            document["childCount"] = json!(children.len());
            document["children"] = children.iter().map(|child| self.reference(child)).collect();
            let mut reached = BTreeSet::from([id.clone()]);
            let mut waiting = vec![id.clone()];
            while let Some(parent) = waiting.pop() {
                waiting.extend(
                    self.children_of(&parent).into_iter().filter(|child| reached.insert(child.clone())),
                );
            }
            document["descendantCount"] = json!(reached.len() - 1);
            documents.insert(id.clone(), document);
        }
        documents
    }
}

/// Copies the known fields, and the unknown ones under `attributes`.
fn fill(document: &mut Value, fields: &BTreeMap<String, Value>, known: &[&str], own: &[&str]) {
    let mut attributes = Map::new();
    for (name, value) in fields {
        if known.contains(&name.as_str()) {
            document[name] = value.clone();
        } else if !own.contains(&name.as_str()) {
            attributes.insert(name.clone(), value.clone());
        }
    }
    if let Some(members) = document.get_mut("address").and_then(Value::as_object_mut) {
        members.retain(|_, value| !value.is_null());
    }
    if !attributes.is_empty() {
        document["attributes"] = Value::Object(attributes);
    }
}

fn name_of(fields: &BTreeMap<String, Value>) -> Option<Value> {
    if let Some(name) = fields.get("name") {
        return Some(name.clone());
    }
    let parts =
        ["firstName", "lastName"].map(|part| fields.get(part).and_then(Value::as_str).unwrap_or_default());
    let joined = parts.join(" ").trim().to_owned();
    (!joined.is_empty()).then_some(Value::String(joined))
}

fn embedded(id: &str, fields: &BTreeMap<String, Value>) -> Value {
    let mut contact = json!({"id": id});
    for name in EMBEDDED {
        if let Some(value) = fields.get(*name) {
            contact[name] = value.clone();
        }
    }
    if let Some(name) = name_of(fields) {
        contact["name"] = name;
    }
    contact
}
