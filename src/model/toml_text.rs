//! A model as TOML, its defaults written out.

use std::fmt::Write;

use serde_json::Value;

use super::entity_config::EntityConfig;
use super::tables::join;
use super::types::{
    Condition, DeclaredType, Default, Embed, Entity, Field, Layout, Model, Projection, Relation, Search,
};

/// The text of a model: a file that says the same.
pub fn text(model: &Model) -> String {
    let mut out = String::new();
    for entity in &model.entities {
        put_entity(&mut out, entity);
    }
    for projection in &model.projections {
        put_projection(&mut out, projection);
    }
    out
}

/// Writing into a text does not fail.
fn line(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{} = {value}", join("", key));
}

fn header(out: &mut String, header: &str) {
    let parting = if out.is_empty() { "" } else { "\n" };
    let _ = writeln!(out, "{parting}{header}");
}

fn put_entity(out: &mut String, entity: &Entity) {
    let path = join("entities", &entity.name);
    header(out, &format!("[{path}]"));
    put_source(out, &entity.source);
    if let Some(transform) = &entity.transform {
        line(out, "transform", &string(transform));
    }
    header(out, &format!("[{path}.fields]"));
    for field in &entity.fields {
        line(out, &field.name, &field_value(field));
    }
}

fn put_source(out: &mut String, source: &EntityConfig) {
    line(out, "topics", &strings(&source.topics));
    line(out, "format", &string(source.format.name()));
    line(out, "encoding", &string(source.encoding.name()));
    let of_kind = [
        ("key_encoding", source.key_encoding.map(|encoding| encoding.name())),
        ("version", Some(source.version.name())),
        ("truncate", source.truncate.map(|rule| rule.name())),
        ("naming", source.naming.map(|naming| naming.name())),
    ];
    for (key, name) in of_kind {
        if let Some(name) = name {
            line(out, key, &string(name));
        }
    }
    if !source.key.is_empty() {
        line(out, "key", &strings(&source.key));
    }
    let rename = source.rename.iter().map(|(written, read)| (written.as_str(), string(read)));
    let from = source.from.iter().map(|(name, rule)| (name.as_str(), string(rule.name())));
    for (key, members) in [("rename", table(rename)), ("from", table(from))] {
        if members != EMPTY_TABLE {
            line(out, key, &members);
        }
    }
}

/// The declaration of a field.
pub fn field_value(field: &Field) -> String {
    let kind = match &field.kind {
        DeclaredType::Reference { to, list: false } => return table([("references", string(to))]),
        DeclaredType::Reference { to, list: true } => {
            return table([("references", string(to)), ("list", "true".to_owned())]);
        }
        kind => string(kind.name()),
    };
    match &field.default {
        None => kind,
        Some(default) => table([("type", kind), ("default", default_value(default))]),
    }
}

fn default_value(default: &Default) -> String {
    match default {
        Default::Join { fields, with } => table([("join", strings(fields)), ("with", string(with))]),
        Default::Value(value) => table([("value", json(value))]),
        Default::Jq(program) => table([("jq", string(program))]),
    }
}

fn put_projection(out: &mut String, projection: &Projection) {
    let path = join("projections", &projection.name);
    header(out, &format!("[{path}]"));
    line(out, "of", &string(&projection.of));
    if !projection.stubs.is_empty() {
        line(out, "stubs", &strings(&projection.stubs));
    }
    line(out, "show", &strings(&projection.show));
    if let Some(rest) = &projection.rest {
        line(out, "rest", &string(rest));
    }
    if projection.layout == Layout::Join {
        line(out, "layout", &string("join"));
    }
    put_conditions(out, &projection.conditions);
    put_embeds(out, &format!("{path}.embed"), &projection.embeds);
    if !projection.compute.is_empty() {
        header(out, &format!("[{path}.compute]"));
    }
    for compute in &projection.compute {
        line(out, &compute.name, &string(&compute.program));
    }
    if let Some(search) = &projection.search {
        put_search(out, &format!("{path}.search"), search);
    }
}

fn put_conditions(out: &mut String, conditions: &[Condition]) {
    if !conditions.is_empty() {
        line(out, "where", &conditions_value(conditions));
    }
}

/// The table under `where`.
pub(super) fn conditions_value(conditions: &[Condition]) -> String {
    let values = |condition: &Condition| match condition.values.as_slice() {
        [value] => json(value),
        values => json(&Value::Array(values.to_vec())),
    };
    table(conditions.iter().map(|condition| (condition.field.as_str(), values(condition))))
}

/// The declaration of an embed, on one line.
pub(super) fn embed_value(embed: &Embed) -> String {
    let mut out = String::new();
    put_embeds(&mut out, "embed", std::slice::from_ref(embed));
    out.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

fn put_embeds(out: &mut String, path: &str, embeds: &[Embed]) {
    for embed in embeds {
        header(out, &format!("[[{path}]]"));
        line(out, "as", &string(&embed.name));
        let mut is_list_of_ids = false;
        match &embed.relation {
            Relation::Reference { field, .. } => line(out, "reference", &string(field)),
            Relation::Above { field, ids, cycle } => {
                line(out, "above", &string(field));
                is_list_of_ids = *ids;
                put_names(out, &[("cycle", cycle)]);
            }
            Relation::From(from) => {
                line(out, "from", &string(&format!("{}.{}", from.entity, from.field)));
                put_conditions(out, &from.conditions);
                line(out, "max", &from.max.to_string());
                let (count, truncated) = (&from.count, &from.truncated);
                put_names(
                    out,
                    &[("count", count), ("truncated", truncated), ("descendants", &from.descendants)],
                );
            }
        }
        if is_list_of_ids {
            line(out, "ids", "true");
        } else {
            line(out, "show", &strings(&embed.show));
        }
        put_embeds(out, &format!("{path}.embed"), &embed.embeds);
    }
}

fn put_names(out: &mut String, names: &[(&str, &Option<String>)]) {
    for (key, name) in names {
        if let Some(name) = name {
            line(out, key, &string(name));
        }
    }
}

fn put_search(out: &mut String, path: &str, search: &Search) {
    header(out, &format!("[{path}]"));
    line(out, "title", &string(&search.title));
    line(out, "words", &strings(&search.words));
    line(out, "phones", &strings(&search.phones));
    let filters = search.filters.iter().map(|filter| (filter.name.as_str(), string(&filter.path)));
    line(out, "filters", &table(filters));
    put_names(out, &[("under", &search.under)]);
    line(out, "hit", &strings(&search.hit));
    for embed in &search.embeds {
        header(out, &format!("[{path}.embed.{}]", join("", &embed.embed)));
        line(out, "words", &strings(&embed.words));
        line(out, "phones", &strings(&embed.phones));
        line(out, "hit", &strings(&embed.hit));
    }
}

/// A table without members.
const EMPTY_TABLE: &str = "{}";

fn table<'a>(members: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let members: Vec<String> =
        members.into_iter().map(|(name, value)| format!("{} = {value}", join("", name))).collect();
    if members.is_empty() { EMPTY_TABLE.to_owned() } else { format!("{{ {} }}", members.join(", ")) }
}

fn strings(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| string(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// A program as a person would write it, and any other text as JSON has it. JSON escapes all signs that TOML wants
/// escaped but one.
pub(super) fn string(text: &str) -> String {
    let is_plain = |letter: char| letter == '\n' || !letter.is_control();
    let is_literal = text.chars().all(is_plain) && text.contains(['"', '\\', '\n']);
    if is_literal && !text.contains(['\n', '\'']) {
        return format!("'{text}'");
    }
    if is_literal && !text.contains("'''") && !text.ends_with('\'') {
        // A line's end behind the opening marks is no part of the text.
        return format!("'''\n{text}'''");
    }
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn json(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Array(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => table(members.iter().map(|(name, value)| (name.as_str(), json(value)))),
        other => other.to_string(),
    }
}
