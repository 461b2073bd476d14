//! Hits as they are answered.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use crate::plan::MembersPlan;
use crate::search::highlight;
use crate::search::index::{Hit, MATCHED_MAX};
use crate::search::query::{Request, Term};
use crate::searchable_fields::SearchableFields;

/// The schema of a hit. Its other members are those that the model names, so no type of ours holds it.
pub(super) struct ShownHit;

impl JsonSchema for ShownHit {
    fn schema_name() -> Cow<'static, str> {
        "Hit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "required": ["id", "score", "highlights"],
            "properties": {
                "id": {"type": "string"},
                "name": {"type": "string"},
                "score": {"type": "integer"},
                "highlights": {
                    "description": "Field to its texts, HTML-escaped, with <em> around each match",
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}}
                }
            },
            "patternProperties": {
                "^matched": {
                    "description": "The members of an embed that the words match, best first",
                    "type": "array",
                    "maxItems": MATCHED_MAX,
                    "items": {"type": "object"}
                }
            }
        })
    }
}

/// A hit with the members that the model names, its highlights and its matched members.
pub(super) fn hit(hit: Hit, request: &Request) -> Value {
    let plan = request.collection.get();
    let terms = request.terms.as_deref().unwrap_or_default();
    let mut shown = Map::new();
    shown.insert("id".to_owned(), hit.id.into());
    copy(&mut shown, ("name", plan.own.title), &hit.document);
    shown.insert("score".to_owned(), hit.score.into());
    // The title is the hit's name, even where the document has a field of that name.
    let is_taken = |name: &&&str| ["id", "name", "score", "highlights"].contains(*name);
    for name in std::iter::once(&"stub").chain(&plan.hit).filter(|name| !is_taken(name)) {
        copy(&mut shown, (name, name), &hit.document);
    }
    shown.insert("highlights".to_owned(), highlight::document(&hit.document, plan, terms).into());
    for ((_, members, searched), matched) in plan.members_to_search().zip(&hit.matched) {
        let matched: Vec<Value> =
            matched.iter().map(|found| member(found, members, searched, terms)).collect();
        shown.insert(members.label.clone(), matched.into());
    }
    shown.into()
}

fn member(found: &Value, members: &MembersPlan, searched: SearchableFields, terms: &[Term]) -> Value {
    let mut shown = Map::new();
    for name in std::iter::once(&"id").chain(&members.hit) {
        copy(&mut shown, (name, name), found);
    }
    shown.insert("highlights".to_owned(), highlight::member(found, searched, terms).into());
    shown.into()
}

fn copy(to: &mut Map<String, Value>, (name, from_name): (&str, &str), from: &Value) {
    if let Some(value) = from.get(from_name) {
        to.insert(name.to_owned(), value.clone());
    }
}
