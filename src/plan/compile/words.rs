//! The searched fields of documents and of their embeds.

use super::fields::forever;
use crate::model::{self, Default, Embed, EmbedSearch, Model};
use crate::searchable_fields::{Class, SearchableFields};

/// The searched fields of a document itself.
pub(super) fn own(model: &Model, projection: &model::Projection) -> Option<SearchableFields> {
    let search = projection.search.as_ref()?;
    Some(order_fields(model, &projection.of, &search.title, (&search.words, &search.phones)))
}

/// The searched fields of an embedded object.
pub(super) fn fields_of_embed(
    model: &Model,
    embed: &Embed,
    search: &EmbedSearch,
) -> Option<SearchableFields> {
    let named = search.words.iter().find(|name| *name == "name");
    let title = named.or(search.words.first()).or(search.phones.first())?;
    Some(order_fields(model, &embed.entity, title, (&search.words, &search.phones)))
}

/// The title first, and those that say most before the rest.
fn order_fields(
    model: &Model,
    entity: &str,
    title: &str,
    (words, phones): (&[String], &[String]),
) -> SearchableFields {
    let default = model.entity(entity).and_then(|entity| entity.field(title)?.default.as_ref());
    let parts: &[String] = match default {
        Some(Default::Join { fields, .. }) => fields,
        _ => &[],
    };
    let mut fields: Vec<(&'static str, Class)> = Vec::new();
    for name in std::iter::once(title).chain(words.iter().map(String::as_str)) {
        let class = match name {
            _ if name == title || parts.iter().any(|part| part == name) => Class::Name,
            "email" => Class::Mail,
            "role" | "department" => Class::Role,
            _ => Class::Other,
        };
        if !fields.iter().any(|(field, _)| *field == name) {
            fields.push((forever(name), class));
        }
    }
    fields.sort_by_key(|(_, class)| *class);
    let phones: Vec<&'static str> = phones.iter().map(|name| forever(name)).collect();
    let is_plain = |name: &&str| {
        let field = model.entity(entity).and_then(|entity| entity.field(name));
        *name == title || field.is_some_and(|field| field.default.is_none())
    };
    let is_derived = !fields.iter().map(|(name, _)| name).chain(&phones).all(is_plain);
    SearchableFields {
        fields: Box::leak(fields.into_boxed_slice()),
        title: forever(title),
        phones: Box::leak(phones.into_boxed_slice()),
        is_derived,
    }
}
