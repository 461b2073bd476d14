//! The rules of embeds.

use super::fields::{conditions, fields_to_show};
use super::names::ObjectMembers;
use crate::model::definition::{EmbedDefinition, RelationDefinition};
use crate::model::tables::{Notes, describe_unknown};
use crate::model::types::{DeclaredType, Embed, Entity, FromRelation, Relation};
use crate::model::{DEPTH_MAX, MEMBERS_MAX};

/// Where embeds stand.
pub(super) struct EmbedPlace<'a> {
    pub(super) entities: &'a [Entity],
    pub(super) notes: &'a Notes,
    /// The entity type that embeds.
    pub(super) entity: &'a Entity,
    pub(super) depth: usize,
}

/// Checks the embeds of one object, whose members are given.
pub(super) fn check(
    place: &EmbedPlace<'_>,
    definitions: &[EmbedDefinition],
    members: &mut ObjectMembers<'_>,
) -> Vec<Embed> {
    let mut embeds = Vec::new();
    for definition in definitions {
        let named = [
            ("as", &definition.name, "an embed"),
            ("cycle", &definition.cycle, "the mark of a cycle"),
            ("count", &definition.count, "a count"),
            ("truncated", &definition.truncated, "the mark of a truncated embed"),
            ("descendants", &definition.descendants, "a number of descendants"),
        ];
        for (key, name, what) in named {
            if let Some(name) = name {
                members.take(&format!("{}.{key}", definition.path), name, what);
            }
        }
        embeds.extend(embed(place, definition));
    }
    embeds
}

fn embed(place: &EmbedPlace<'_>, definition: &EmbedDefinition) -> Option<Embed> {
    let (notes, path) = (place.notes, &definition.path);
    if place.depth > DEPTH_MAX {
        notes.note(path, format!("embeds go {DEPTH_MAX} deep, and this one is deeper"));
        return None;
    }
    let (entity, relation) = match definition.relation.as_ref()? {
        RelationDefinition::Reference(field) => reference(place, path, field)?,
        RelationDefinition::Above(field) => find_ancestor(place, definition, field)?,
        RelationDefinition::From(from) => members_of(place, definition, from)?,
    };
    let show = if definition.ids {
        check_ids(notes, definition);
        Vec::new()
    } else {
        fields_to_show(notes, &format!("{path}.show"), entity, definition.show.as_deref())
    };
    let inner = EmbedPlace { entity, depth: place.depth + 1, ..*place };
    let embeds = check(&inner, &definition.embeds, &mut ObjectMembers::of(notes, &show));
    Some(Embed { name: definition.name.clone()?, entity: entity.name.clone(), relation, show, embeds })
}

/// A list of ids shows no fields of its entities.
fn check_ids(notes: &Notes, definition: &EmbedDefinition) {
    if definition.show.is_some() {
        notes.note(
            &format!("{}.show", definition.path),
            "with ids = true there is nothing to show; leave one of the two out",
        );
    }
    if !definition.embeds.is_empty() {
        notes.note(
            &format!("{}.embed", definition.path),
            "with ids = true there is nothing to embed in; leave one of the two out",
        );
    }
}

fn find_entity<'a>(place: &EmbedPlace<'a>, name: &str) -> Option<&'a Entity> {
    place.entities.iter().find(|entity| entity.name == name)
}

/// The names of an entity's fields for which a test holds.
fn fields(entity: &Entity, is: impl Fn(&DeclaredType) -> bool) -> Vec<&str> {
    entity.fields.iter().filter(|field| is(&field.kind)).map(|field| field.name.as_str()).collect()
}

fn reference<'a>(place: &EmbedPlace<'a>, path: &str, name: &str) -> Option<(&'a Entity, Relation)> {
    let found = place.entity.field(name).map(|field| &field.kind);
    if let Some(DeclaredType::Reference { to, list }) = found {
        // A reference to an unknown type is noted where it is declared.
        return Some((find_entity(place, to)?, Relation::Reference { field: name.to_owned(), list: *list }));
    }
    let entity = &place.entity.name;
    let what = match found {
        Some(_) => format!("{name:?} of {entity} is no reference"),
        None => format!("{entity} has no reference {name:?}"),
    };
    let known = fields(place.entity, DeclaredType::is_reference);
    place.notes.note(&format!("{path}.reference"), describe_unknown(&what, name, known));
    None
}

fn find_ancestor<'a>(
    place: &EmbedPlace<'a>,
    definition: &EmbedDefinition,
    name: &str,
) -> Option<(&'a Entity, Relation)> {
    let entity = place.entity;
    let found = entity.field(name).map(|field| &field.kind);
    let is_tree =
        |of: &DeclaredType| matches!(of, DeclaredType::Reference { to, list: false } if *to == entity.name);
    if found.is_some_and(is_tree) {
        let (ids, cycle) = (definition.ids, definition.cycle.clone());
        return Some((entity, Relation::Above { field: name.to_owned(), ids, cycle }));
    }
    let what = match found {
        Some(DeclaredType::Reference { list: true, .. }) => {
            format!("{name:?} is a list, and a tree has one parent for each {}", entity.name)
        }
        Some(DeclaredType::Reference { to, .. }) => {
            format!("{name:?} refers to {to}, and a tree is made by a reference of {0} to {0}", entity.name)
        }
        Some(_) => format!("{name:?} of {} is no reference", entity.name),
        None => format!("{} has no reference {name:?}", entity.name),
    };
    place
        .notes
        .note(&format!("{}.above", definition.path), describe_unknown(&what, name, fields(entity, is_tree)));
    None
}

fn members_of<'a>(
    place: &EmbedPlace<'a>,
    definition: &EmbedDefinition,
    name: &str,
) -> Option<(&'a Entity, Relation)> {
    let (notes, key) = (place.notes, format!("{}.from", definition.path));
    let owner = &place.entity.name;
    let refers = |kind: &DeclaredType| matches!(kind, DeclaredType::Reference { to, .. } if to == owner);
    let known: Vec<String> = place
        .entities
        .iter()
        .flat_map(|entity| {
            fields(entity, refers).into_iter().map(move |field| format!("{}.{field}", entity.name))
        })
        .collect();
    let known = || known.iter().map(String::as_str);
    let Some((type_name, field)) = name.split_once('.') else {
        notes.note(
            &key,
            describe_unknown(
                &format!("{name:?} found; an entity type, a dot and its reference were expected"),
                name,
                known(),
            ),
        );
        return None;
    };
    let kind = find_entity(place, type_name).and_then(|entity| Some((entity, &entity.field(field)?.kind)));
    let Some((entity, DeclaredType::Reference { to, list })) = kind else {
        let what = match (find_entity(place, type_name), kind) {
            (None, _) => format!("no entity type is named {type_name:?}"),
            (_, Some(_)) => format!("{field:?} of {type_name} is no reference"),
            _ => format!("{type_name} has no reference {field:?}"),
        };
        notes.note(&key, describe_unknown(&what, name, known()));
        return None;
    };
    if to != owner {
        notes.note(
            &key,
            describe_unknown(
                &format!("{name} refers to {to}, and this is embedded in {owner}"),
                name,
                known(),
            ),
        );
        return None;
    }
    let is_tree = entity.name == *owner && !list;
    check_descendants(notes, definition, is_tree);
    let from = FromRelation {
        entity: entity.name.clone(),
        field: field.to_owned(),
        list: *list,
        conditions: conditions(notes, entity, &definition.conditions),
        max: definition.max.unwrap_or(MEMBERS_MAX),
        count: definition.count.clone(),
        truncated: definition.truncated.clone(),
        descendants: definition.descendants.clone(),
    };
    Some((entity, Relation::From(from)))
}

fn check_descendants(notes: &Notes, definition: &EmbedDefinition, is_tree: bool) {
    if definition.descendants.is_none() {
        return;
    }
    let key = format!("{}.descendants", definition.path);
    if !is_tree {
        notes.note(
            &key,
            "descendants need a tree: a from by a single reference of a type to itself; leave it out",
        );
    }
    if !definition.conditions.is_empty() {
        notes.note(&key, "a from with where has no descendants; leave one of the two out");
    }
}
