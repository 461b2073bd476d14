//! Fields that a model declares beyond those that a state was built with.
//!
//! A state keeps the fields of events that are not declared. So a field that is declared later is filled from them, as
//! long as every value is of the declared type. An event with another type would have been a dead letter.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Deserialize;

use super::keys::{FORMAT_KEY, Space};
use super::rows::{self, Row, StateFormat};
use super::store::{Changes, StateStore};
use super::{FORMAT, check_format};
use crate::entity::EntityFields;
use crate::error::{Error, Result};
use crate::plan::{EntityType, FieldPlan, FieldType, PlanRef};

/// How the fingerprint of a model begins; the entity types follow as JSON.
const MODEL: &str = "model=";

/// How a model says that a field is a reference.
const REFERENCE: &str = "{ references";

/// An entity type in a fingerprint.
#[derive(Debug, Deserialize, PartialEq)]
struct TypeDeclaration {
    /// The part of the configuration by which records are read.
    reading: String,
    /// The declaration of each field.
    fields: BTreeMap<String, String>,
}

/// Checks the configuration that a state was built with, and takes note of fields that were added since.
///
/// # Errors
/// Exit code 1 for another format, 2 for another configuration, each with advice.
pub(super) fn check(
    store: &dyn StateStore,
    plan: PlanRef,
    before: &StateFormat,
    fingerprint: &str,
) -> Result<()> {
    let added = find_additions(&before.fingerprint, fingerprint).filter(|_| before.format == FORMAT);
    let Some(added) = added else { return check_format(before, fingerprint) };
    for (entity_type, field) in &added {
        let entity_type = plan.entity_type(entity_type);
        let field = entity_type.and_then(|of| Some((of, of.get().field_named(field)?)));
        let Some((of, field)) = field else { return check_format(before, fingerprint) };
        check_values(store, of, field)?;
        tracing::info!(
            entity = &*of.get().name,
            field = field.name,
            "a field was declared since the state was built"
        );
    }
    let format = StateFormat { format: FORMAT, fingerprint: fingerprint.to_owned() };
    let mut changes = Changes::default();
    changes.put(Space::META, FORMAT_KEY.to_vec(), rows::encode(&format)?);
    store.commit(changes)?;
    store.sync()
}

/// Compares the configuration of a state that a running instance has open with another one. Whether the values of a field
/// that was added are of its type is not looked at.
///
/// # Errors
/// Exit code 2 where the state refuses the other one, with the difference.
pub fn check_in_use(before: &str, after: &str) -> Result<()> {
    if before == after || find_additions(before, after).is_some() {
        return Ok(());
    }
    check_format(&StateFormat { format: FORMAT, fingerprint: before.to_owned() }, after)
}

/// The fields that the second model has beyond the first, when that is all in which they differ and none is a reference.
fn find_additions(before: &str, after: &str) -> Option<Vec<(String, String)>> {
    if before == after {
        return None;
    }
    let ((before, before_rest), (after, after_rest)) = (read(before)?, read(after)?);
    if before_rest != after_rest || !before.keys().eq(after.keys()) {
        return None;
    }
    let mut added = Vec::new();
    for ((name, before), after) in before.iter().zip(after.values()) {
        let keeps = |(field, kind): (&String, &String)| after.fields.get(field) == Some(kind);
        if before.reading != after.reading || !before.fields.iter().all(keeps) {
            return None;
        }
        for (field, kind) in after.fields.iter().filter(|(field, _)| !before.fields.contains_key(*field)) {
            if kind.starts_with(REFERENCE) {
                return None;
            }
            added.push((name.clone(), field.clone()));
        }
    }
    Some(added)
}

/// The differences between the entity types of two models, for people; empty where they are not known.
pub(super) fn differences(before: &str, after: &str) -> Vec<String> {
    let (Some((before, _)), Some((after, _))) = (read(before), read(after)) else { return Vec::new() };
    let mut found = Vec::new();
    for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
        match (before.get(name), after.get(name)) {
            (Some(before), Some(after)) => found.extend(before.differences(name, after)),
            (Some(_), None) => found.push(format!("{name} is gone")),
            _ => found.push(format!("{name} is new")),
        }
    }
    found
}

impl TypeDeclaration {
    /// The differences between this and another declaration of the entity type `name`.
    fn differences(&self, name: &str, after: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.reading != after.reading {
            found.push(format!("records of {name} are read in another way"));
        }
        let new = after.fields.keys().filter(|field| !self.fields.contains_key(*field));
        for field in self.fields.keys().chain(new) {
            match (self.fields.get(field), after.fields.get(field)) {
                (Some(before), Some(after)) if before == after => {}
                (Some(before), Some(after)) => {
                    found.push(format!("{name}.{field} was {before} and is {after}"));
                }
                (Some(_), None) => found.push(format!("{name}.{field} is gone")),
                _ => found.push(format!("{name}.{field} is new")),
            }
        }
        found
    }
}

/// The entity types of a fingerprint, and its rest.
fn read(fingerprint: &str) -> Option<(BTreeMap<String, TypeDeclaration>, &str)> {
    let text = fingerprint.strip_prefix(MODEL)?;
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    let declared = values.next()?.ok()?;
    Some((declared, text.get(values.byte_offset()..)?))
}

/// Refuses a field of which the state has a value of another type.
fn check_values(store: &dyn StateStore, of: EntityType, field: &FieldPlan) -> Result<()> {
    store.view().scan(Space::of_type(of), &[], &[], &mut |key, value| {
        let registers = Row::decode(value)?.registers;
        let json = EntityFields::get(&registers, field.name);
        if json.is_none_or(|json| is_of(field.kind, json)) {
            return Ok(ControlFlow::Continue(()));
        }
        Err(Error::usage(format!(
            "the field {}.{} was declared since the state was built, and {} {} has a value of another type than {} in \
             it. Declare another type, or delete the state's folder and start again to replay (then `tributary \
             reindex` makes the documents)",
            of.get().name,
            field.name,
            of.get().name,
            String::from_utf8_lossy(key).escape_debug(),
            field.kind_name
        )))
    })
}

fn is_of(kind: FieldType, json: &[u8]) -> bool {
    let is_text = |value: &serde_json::Value| value.is_string() || value.is_null();
    let is_address = || {
        let members = serde_json::from_slice::<BTreeMap<String, serde_json::Value>>(json);
        members.is_ok_and(|members| members.values().all(is_text))
    };
    kind.holds(json) && (kind != FieldType::Address || is_address())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_are_no_references_may_be_added() {
        let of =
            |fields: &str| format!("model={{\"a\":{{\"reading\":\"r\",\"fields\":{{{fields}}}}}}};x=merge");
        let before = of("\"n\":\"string\"");
        let more = of("\"m\":\"integer\",\"n\":\"string\"");
        assert_eq!(find_additions(&before, &more), Some(vec![("a".to_owned(), "m".to_owned())]));
        assert_eq!(find_additions(&before, &before), None);
        assert_eq!(find_additions(&more, &before), None, "one is gone");
        assert_eq!(find_additions(&before, &of("\"n\":\"integer\"")), None);
        assert_eq!(find_additions(&before, &of("\"n\":\"string\",\"p\":\"{ references = b }\"")), None);
        assert_eq!(find_additions(&before, &more.replace("x=merge", "x=delete")), None);
        assert_eq!(find_additions(&before, &more.replace("\"r\"", "\"s\"")), None);
        assert_eq!(find_additions("model=0123abcd", &more), None);
    }

    #[test]
    fn a_refusal_names_the_fields_that_differ() {
        let before = r#"model={"a":{"reading":"r","fields":{"m":"string","n":"string"}},"b":{"reading":"r","fields":{}}}"#;
        let after = r#"model={"a":{"reading":"s","fields":{"n":"integer","o":"date"}},"c":{"reading":"r","fields":{}}}"#;
        assert_eq!(
            differences(before, after),
            [
                "records of a are read in another way",
                "a.m is gone",
                "a.n was string and is integer",
                "a.o is new",
                "b is gone",
                "c is new",
            ]
        );
        assert_eq!(differences(before, before), [""; 0]);
        assert_eq!(differences("model=0123abcd", before), [""; 0]);
    }
}
