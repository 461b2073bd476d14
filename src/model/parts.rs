//! The parts of a model that shape the documents of one projection, each as a short text. Where two models differ in
//! one of them, documents have to be made anew.

use std::collections::{BTreeMap, BTreeSet};

use super::toml_text::{conditions_value, embed_value, field_value};
use super::types::{Default, Embed, Entity, Field, Layout, Model, PathKind, Projection, Relation, Search};

/// The parts by their names: `show`, `embed prices`, `compute lowest`, `field products.name` and so on.
pub fn parts(model: &Model, projection: &Projection) -> BTreeMap<String, String> {
    let Projection { name, of, stubs, show, rest, conditions, embeds, compute, search, layout } = projection;
    let mut parts = BTreeMap::new();
    let mut put = |part: &str, text: String| {
        if !text.is_empty() {
            parts.insert(part.to_owned(), text);
        }
    };
    put("of", format!("{of} as {name}"));
    put("stubs", stubs.join(", "));
    put("show", show.join(", "));
    put("layout", if *layout == Layout::Join { "join".to_owned() } else { String::new() });
    put("rest", rest.clone().unwrap_or_default());
    if !conditions.is_empty() {
        put("where", conditions_value(conditions));
    }
    embeds.iter().for_each(|embed| put(&format!("embed {}", embed.name), embed_value(embed)));
    // Each program sees the members that those before it made.
    for (number, compute) in compute.iter().enumerate() {
        put(&format!("compute {}", compute.name), format!("{}. {}", number + 1, compute.program));
    }
    search.iter().for_each(|search| put_search(&mut put, search));
    for (entity, field) in fields_of(model, projection) {
        put(&format!("field {}.{}", entity.name, field.name), field_value(field));
    }
    parts
}

fn put_search(put: &mut impl FnMut(&str, String), search: &Search) {
    put(
        "search",
        format!("{} in {}; phones {}", search.title, search.words.join(", "), search.phones.join(", ")),
    );
    for embed in &search.embeds {
        let text = format!("{}; phones {}", embed.words.join(", "), embed.phones.join(", "));
        put(&format!("search {}", embed.embed), text);
    }
    // Documents hold the values of computed members that are filters. Where filters look into an object with any members,
    // one product has another type of field.
    let is_held = |kind: &PathKind| matches!(kind, PathKind::Computed | PathKind::Inside);
    for filter in search.filters.iter().filter(|filter| is_held(&filter.target.kind)) {
        put(&format!("filter {}", filter.name), filter.path.clone());
    }
}

/// The declared fields that documents of the projection are made of.
fn fields_of<'a>(model: &'a Model, projection: &'a Projection) -> Vec<(&'a Entity, &'a Field)> {
    let mut used: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let own = used.entry(&projection.of).or_default();
    own.extend(projection.show.iter().map(String::as_str));
    own.extend(projection.conditions.iter().map(|condition| condition.field.as_str()));
    if let Some(entity) = model.entity(&projection.of).filter(|_| projection.rest.is_some()) {
        // The rest holds the fields that are not declared.
        own.extend(entity.fields.iter().map(|field| field.name.as_str()));
    }
    projection.embeds.iter().for_each(|embed| add_embed(&projection.of, embed, &mut used));
    let mut fields = Vec::new();
    for (entity, names) in used {
        let Some(entity) = model.entity(entity) else { continue };
        let names = with_defaults(entity, names);
        fields.extend(
            entity
                .fields
                .iter()
                .filter(|field| names.contains(field.name.as_str()))
                .map(|field| (entity, field)),
        );
    }
    fields
}

fn add_embed<'a>(of: &'a str, embed: &'a Embed, used: &mut BTreeMap<&'a str, BTreeSet<&'a str>>) {
    match &embed.relation {
        Relation::Reference { field, .. } | Relation::Above { field, .. } => {
            used.entry(of).or_default().insert(field);
        }
        Relation::From(from) => {
            let member = used.entry(&from.entity).or_default();
            member.insert(&from.field);
            member.extend(from.conditions.iter().map(|condition| condition.field.as_str()));
        }
    }
    used.entry(&embed.entity).or_default().extend(embed.show.iter().map(String::as_str));
    embed.embeds.iter().for_each(|inner| add_embed(&embed.entity, inner, used));
}

/// The fields and those that their defaults are made of.
fn with_defaults<'a>(entity: &'a Entity, mut names: BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    for field in &entity.fields {
        match &field.default {
            Some(Default::Join { fields, .. }) if names.contains(field.name.as_str()) => {
                names.extend(fields.iter().map(String::as_str));
            }
            Some(Default::Jq(_)) if names.contains(field.name.as_str()) => {
                names.extend(entity.fields.iter().map(|field| field.name.as_str()));
            }
            _ => {}
        }
    }
    names
}
