//! The rules of an entity's fields where projections and embeds name them: to show them, or to compare them in a `where`.

use serde_json::Value;

use super::entities;
use crate::model::definition::ConditionDefinition;
use crate::model::tables::{Notes, describe_unknown};
use crate::model::types::{Condition, DeclaredType, Entity};

/// The fields that are shown: those named, or all that are declared and no references.
pub(super) fn fields_to_show(
    notes: &Notes,
    key: &str,
    entity: &Entity,
    named: Option<&[String]>,
) -> Vec<String> {
    let Some(named) = named else {
        let fields = entity.fields.iter().filter(|field| !field.kind.is_reference());
        return fields.map(|field| field.name.clone()).collect();
    };
    for name in named {
        check_field(notes, key, entity, name);
    }
    named.iter().filter(|name| entity.field(name).is_some()).cloned().collect()
}

fn check_field(notes: &Notes, key: &str, entity: &Entity, name: &str) {
    if entity.field(name).is_none() {
        let what = if name == "id" {
            "the id is always shown; leave it out".to_owned()
        } else {
            format!("{} has no field {name:?}", entity.name)
        };
        notes.note(key, describe_unknown(&what, name, entity.fields.iter().map(|field| field.name.as_str())));
    }
}

/// The conditions of a `where` over the fields of an entity.
pub(super) fn conditions(
    notes: &Notes,
    entity: &Entity,
    definitions: &[ConditionDefinition],
) -> Vec<Condition> {
    definitions.iter().filter_map(|definition| condition(notes, entity, definition)).collect()
}

fn condition(notes: &Notes, entity: &Entity, definition: &ConditionDefinition) -> Option<Condition> {
    check_field(notes, &definition.path, entity, &definition.field);
    let kind = &entity.field(&definition.field)?.kind;
    if matches!(kind, DeclaredType::Object | DeclaredType::Address) {
        let what = format!(
            "where compares strings, numbers and booleans, and {} is {}",
            definition.field,
            kind.name()
        );
        notes.note(&definition.path, what);
        return None;
    }
    let values = definition.values.iter().filter_map(|value| {
        let compared = comparison_value(kind, value);
        if compared.is_none() {
            let what = format!(
                "{value} found; a value was expected that {} can have: {}",
                definition.field,
                kind.name()
            );
            notes.note(&definition.path, what);
        }
        compared
    });
    Some(Condition { field: definition.field.clone(), values: values.collect() })
}

/// The value that a field, or a member of a list, is compared with.
fn comparison_value(kind: &DeclaredType, value: &Value) -> Option<Value> {
    match kind {
        DeclaredType::Strings => value.is_string().then(|| value.clone()),
        DeclaredType::Reference { .. } if value.is_i64() => Some(value.to_string().into()),
        DeclaredType::Reference { .. } => value.is_string().then(|| value.clone()),
        kind => entities::fits(kind, value).then(|| value.clone()),
    }
}
