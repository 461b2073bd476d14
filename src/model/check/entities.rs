//! The rules of entity types and their fields.

use std::collections::BTreeMap;

use serde_json::Value;

use super::names;
use crate::model::entity_config::{Format, VersionRule};
use crate::model::program::Program;
use crate::model::tables::{Notes, describe_unknown, join};
use crate::model::types::{DeclaredType, Default, Entity, Field};

/// The longest name of a topic (<https://kafka.apache.org/documentation/#topicconfigs>).
const TOPIC_BYTES_MAX: usize = 249;

pub(super) fn check(entities: &[Entity], notes: &Notes) {
    let mut topics: BTreeMap<&str, &str> = BTreeMap::new();
    for entity in entities {
        let key = join("entities", &entity.name);
        names::check_entity(notes, &key, &entity.name);
        check_source(notes, &key, entity);
        for topic in &entity.source.topics {
            if let Some(other) = topics.insert(topic, &entity.name) {
                notes.note(
                    &format!("{key}.topics"),
                    format!("the topic {topic} is read as {other} already; a topic carries one entity type"),
                );
            }
        }
        if let Some(transform) = &entity.transform {
            check_program(notes, &format!("{key}.transform"), transform);
        }
        check_count(notes, &format!("{key}.fields"), entity.fields.len());
        for field in &entity.fields {
            check_field(notes, &join(&format!("{key}.fields"), &field.name), entities, entity, field);
        }
    }
}

/// The plan numbers the fields of an entity type with 16 bits, and the highest number stands for no field.
fn check_count(notes: &Notes, key: &str, count: usize) {
    let most = usize::from(u16::MAX);
    if count >= most {
        notes.note(key, format!("{count} fields; an entity type has fewer than {most}"));
    }
}

fn check_source(notes: &Notes, key: &str, entity: &Entity) {
    let source = &entity.source;
    if source.topics.is_empty() {
        notes.note(&format!("{key}.topics"), "at least one topic was expected");
    }
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name = |topic: &&String| {
        (1..=TOPIC_BYTES_MAX).contains(&topic.len())
            && topic.bytes().all(is_legal)
            && ![".", ".."].contains(&topic.as_str())
    };
    for topic in source.topics.iter().filter(|topic| !is_name(topic)) {
        notes.note(
            &format!("{key}.topics"),
            format!("no topic can be named {topic:?}; use letters, digits, `.`, `_` and `-`"),
        );
    }
    if source.version == VersionRule::Lsn && source.format != Format::Debezium {
        notes.note(&format!("{key}.version"), "\"lsn\" goes with format = \"debezium\" only; leave it out");
    }
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (written, read) in &source.rename {
        let key = join(&format!("{key}.rename"), written);
        if read.is_empty() {
            notes.note(&key, "the name that the member is read as was expected, and it is empty");
        } else if let Some(other) = names.insert(read, written) {
            notes.note(&key, format!("{other:?} is read as {read:?} already; give each a name of its own"));
        }
    }
}

fn check_field(notes: &Notes, key: &str, entities: &[Entity], entity: &Entity, field: &Field) {
    names::check_member(notes, key, &field.name);
    if let DeclaredType::Reference { to, .. } = &field.kind
        && !entities.iter().any(|known| known.name == *to)
    {
        let known = entities.iter().map(|known| known.name.as_str());
        notes.note(
            &format!("{key}.references"),
            describe_unknown(&format!("no entity type is named {to:?}"), to, known),
        );
    }
    let Some(default) = &field.default else { return };
    let key = format!("{key}.default");
    if field.kind.is_reference() {
        notes.note(&key, "a reference has no default; leave it out");
        return;
    }
    match default {
        Default::Join { fields, .. } => check_join(notes, &format!("{key}.join"), entity, field, fields),
        Default::Value(value) if !fits(&field.kind, value) => notes.note(
            &format!("{key}.value"),
            format!("a value of the field's type, {}, was expected, found: {value}", field.kind.name()),
        ),
        Default::Value(_) => {}
        Default::Jq(program) => check_program(notes, &format!("{key}.jq"), program),
    }
}

/// Compiles a program and notes the reason for which it is refused.
pub(super) fn check_program(notes: &Notes, key: &str, program: &str) {
    if let Err(reason) = Program::compile(program) {
        notes.note(key, format!("the jq program is refused: {reason}"));
    }
}

fn check_join(notes: &Notes, key: &str, entity: &Entity, field: &Field, parts: &[String]) {
    if !matches!(field.kind, DeclaredType::String | DeclaredType::Date | DeclaredType::Any) {
        let kind = field.kind.name();
        notes.note(key, format!("a join makes a string, and the field's type is {kind}; use value or jq"));
    }
    let may_join = |other: &&Field| {
        other.name != field.name
            && !matches!(
                other.kind,
                DeclaredType::Strings
                    | DeclaredType::Object
                    | DeclaredType::Address
                    | DeclaredType::Any
                    | DeclaredType::Reference { list: true, .. }
            )
    };
    let known: Vec<&str> = entity.fields.iter().filter(may_join).map(|field| field.name.as_str()).collect();
    for part in parts.iter().filter(|part| !known.contains(&part.as_str())) {
        let what = match entity.field(part) {
            Some(_) if *part == field.name => "a field is no part of its own default".to_owned(),
            Some(other) => format!("{part:?} is {}, which has no text to join", other.kind.name()),
            None => format!("{} has no field {part:?}", entity.name),
        };
        notes.note(key, describe_unknown(&what, part, known.iter().copied()));
    }
}

/// True for a value that an event could have in a field of this type.
pub(super) fn fits(kind: &DeclaredType, value: &Value) -> bool {
    let is_text = |value: &Value| value.is_string();
    match kind {
        DeclaredType::String | DeclaredType::Date => is_text(value),
        DeclaredType::Strings => value.as_array().is_some_and(|items| items.iter().all(is_text)),
        DeclaredType::Number => value.is_number(),
        DeclaredType::Integer => value.is_i64(),
        DeclaredType::Boolean => value.is_boolean(),
        DeclaredType::Object => value.is_object(),
        DeclaredType::Address => value.as_object().is_some_and(|members| members.values().all(is_text)),
        DeclaredType::Any => true,
        DeclaredType::Reference { .. } => false,
    }
}
