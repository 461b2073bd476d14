//! `[entities.NAME]`.

use crate::model::entity_config::{
    Encoding, EntityConfig, Format, FromRule, Naming, TruncateRule, VersionRule,
};
use crate::model::tables::Section;
use crate::model::types::{DeclaredType, Default, Entity, Field};

const KEYS: [&str; 12] = [
    "topics",
    "format",
    "encoding",
    "key_encoding",
    "version",
    "rename",
    "naming",
    "from",
    "truncate",
    "key",
    "transform",
    "fields",
];

pub(super) fn read(name: &str, section: &Section<'_>) -> Entity {
    section.refuse_others(&KEYS);
    Entity {
        name: name.to_owned(),
        source: source(name, section),
        transform: section.text("transform"),
        fields: fields(section),
    }
}

fn source(name: &str, section: &Section<'_>) -> EntityConfig {
    let defaults = EntityConfig::of(name);
    let encodings = Encoding::ALL.map(|encoding| (encoding.name(), encoding));
    let rules = FromRule::ALL.map(|rule| (rule.name(), rule));
    let from = section.section("from").map_or_else(Vec::new, |from| {
        let rule = |field: &str| Some((field.to_owned(), from.choice(field, &rules)?));
        from.members().into_iter().filter_map(rule).collect()
    });
    EntityConfig {
        topics: section.texts("topics").unwrap_or(defaults.topics),
        format: section
            .choice("format", &Format::ALL.map(|format| (format.name(), format)))
            .unwrap_or(defaults.format),
        encoding: section.choice("encoding", &encodings).unwrap_or(defaults.encoding),
        key_encoding: section.choice("key_encoding", &encodings),
        version: section
            .choice("version", &VersionRule::ALL.map(|rule| (rule.name(), rule)))
            .unwrap_or(defaults.version),
        rename: section.table_of_texts("rename").into_iter().collect(),
        naming: section.choice("naming", &[(Naming::SnakeCase.name(), Naming::SnakeCase)]),
        from: from.into_iter().collect(),
        truncate: section.choice("truncate", &TruncateRule::ALL.map(|rule| (rule.name(), rule))),
        key: section.texts("key").unwrap_or_default(),
    }
}

fn fields(entity: &Section<'_>) -> Vec<Field> {
    let Some(section) = entity.section("fields") else { return Vec::new() };
    section.members().into_iter().filter_map(|name| field(&section, name)).collect()
}

/// `name = "type"`, or `name = { type = …, default = … }`, or `name = { references = … }`.
fn field(section: &Section<'_>, name: &str) -> Option<Field> {
    let types = DeclaredType::PLAIN.map(|kind| kind.name());
    let named = |text: &str| DeclaredType::PLAIN.into_iter().find(|kind| kind.name() == text);
    if let Some(text) = section.maybe_text(name) {
        let kind = named(&text);
        if kind.is_none() {
            section.note_unknown(name, &format!("{text:?} is no type"), &text, &types);
        }
        return Some(Field { name: name.to_owned(), kind: kind.unwrap_or(DeclaredType::Any), default: None });
    }
    let Some(inner) = section.maybe_section(name) else {
        section.note(
            name,
            format!(
                "a type or a table was expected: one of {}, {{ type = …, default = … }} or {{ references = … }}",
                types.join(", ")
            ),
        );
        return None;
    };
    inner.refuse_others(&["type", "default", "references", "list"]);
    let kind = if inner.has("references") {
        reference(&inner)
    } else {
        if inner.has("list") {
            inner.note("list", "only a reference can be a list; use the type strings, or references");
        }
        let text = inner.require_text("type", "a type, or references with the name of an entity type,");
        let kind = text.as_deref().and_then(named);
        if let Some(text) = text.filter(|_| kind.is_none()) {
            inner.note_unknown("type", &format!("{text:?} is no type"), &text, &types);
        }
        kind
    };
    // A type that was noted as wrong must not make everything else wrong that names the field.
    let kind = kind.unwrap_or(DeclaredType::Any);
    Some(Field { name: name.to_owned(), kind, default: default(&inner) })
}

fn reference(field: &Section<'_>) -> Option<DeclaredType> {
    if field.has("type") {
        field.note("type", "a reference is an id; leave the type out");
    }
    let list = field.boolean("list").unwrap_or(false);
    Some(DeclaredType::Reference { to: field.text("references")?, list })
}

fn default(field: &Section<'_>) -> Option<Default> {
    let section = field.section("default")?;
    section.refuse_others(&["join", "with", "value", "jq"]);
    let kinds = ["join", "value", "jq"].into_iter().filter(|kind| section.has(kind));
    let kinds: Vec<&str> = kinds.collect();
    let [kind] = kinds[..] else {
        field.note("default", "one of join, value and jq was expected");
        return None;
    };
    if kind != "join" && section.has("with") {
        section.note("with", "it stands between the parts of join; leave it out");
    }
    match kind {
        "join" => {
            let fields = section.texts("join")?;
            if fields.is_empty() {
                section.note("join", "the names of one or more fields were expected");
            }
            Some(Default::Join { fields, with: section.text("with").unwrap_or_else(|| " ".to_owned()) })
        }
        "value" => section.json("value").map(Default::Value),
        _ => section.text("jq").map(Default::Jq),
    }
}
