//! The rules of projections.

use super::embeds::{self, EmbedPlace};
use super::fields::{conditions, fields_to_show};
use super::names::{self, ObjectMembers};
use super::{entities, layout, search};
use crate::model::definition::{EmbedDefinition, ProjectionDefinition, RelationDefinition};
use crate::model::tables::{Notes, describe_unknown, join};
use crate::model::types::{Compute, Embed, Entity, Projection};

pub(super) fn check(
    entities: &[Entity],
    definitions: &[ProjectionDefinition],
    notes: &Notes,
) -> Vec<Projection> {
    definitions.iter().filter_map(|definition| projection(entities, definition, notes)).collect()
}

fn projection(entities: &[Entity], definition: &ProjectionDefinition, notes: &Notes) -> Option<Projection> {
    let path = &definition.path;
    names::check_projection(notes, path, &definition.name);
    let of = definition.of.as_ref()?;
    let Some(entity) = entities.iter().find(|entity| entity.name == *of) else {
        let known = entities.iter().map(|entity| entity.name.as_str());
        notes.note(
            &format!("{path}.of"),
            describe_unknown(&format!("no entity type is named {of:?}"), of, known),
        );
        return None;
    };
    let show = fields_to_show(notes, &format!("{path}.show"), entity, definition.show.as_deref());
    let mut members = ObjectMembers::of(notes, &show);
    if let Some(rest) = &definition.rest {
        members.take(&format!("{path}.rest"), rest, "the member of the fields that are not declared");
    }
    let place = EmbedPlace { entities, notes, entity, depth: 1 };
    let embeds = embeds::check(&place, &definition.embeds, &mut members);
    for (name, program) in &definition.compute {
        let key = join(&format!("{path}.compute"), name);
        members.take(&key, name, "a computed member");
        entities::check_program(notes, &key, program);
    }
    if show.iter().any(|field| field == "stub") || members.has("stub") {
        notes.note(
            path,
            "\"stub\" is a member of documents already; rename the field, or leave it out of show",
        );
    }
    check_stubs(notes, definition);
    let compute = definition.compute.iter();
    let mut projection = Projection {
        name: definition.name.clone(),
        of: of.clone(),
        stubs: definition.stubs.clone(),
        show,
        rest: definition.rest.clone(),
        conditions: conditions(notes, entity, &definition.conditions),
        embeds,
        compute: compute
            .map(|(name, program)| Compute { name: name.clone(), program: program.clone() })
            .collect(),
        search: None,
        layout: layout::find_layout(notes, definition),
    };
    layout::check(notes, path, &projection);
    let broken = find_broken(&definition.embeds, &projection.embeds);
    let search = definition.search.as_ref();
    projection.search =
        search.and_then(|search| search::check(entities, &projection, &broken, search, notes));
    Some(projection)
}

/// The embeds in which something is wrong that is noted already: paths into them are not judged.
fn find_broken<'a>(definitions: &'a [EmbedDefinition], embeds: &[Embed]) -> Vec<&'a str> {
    let is_whole = |definition: &EmbedDefinition| {
        let found = embeds.iter().find(|embed| Some(&embed.name) == definition.name.as_ref());
        found.is_some_and(|embed| find_broken(&definition.embeds, &embed.embeds).is_empty())
    };
    let broken = definitions.iter().filter(|definition| !is_whole(definition));
    broken.map(|definition| definition.name.as_deref().unwrap_or_default()).collect()
}

fn check_stubs(notes: &Notes, definition: &ProjectionDefinition) {
    let key = format!("{}.stubs", definition.path);
    if !definition.stubs.is_empty() && !definition.conditions.is_empty() {
        notes.note(&key, "a projection with where has no stubs; leave one of the two out");
    }
    let is_from =
        |embed: &&EmbedDefinition| matches!(embed.relation, Some(RelationDefinition::From(_)) | None);
    let known: Vec<&str> =
        definition.embeds.iter().filter(is_from).filter_map(|embed| embed.name.as_deref()).collect();
    for stub in definition.stubs.iter().filter(|stub| !known.contains(&stub.as_str())) {
        let what = format!("{stub:?} is no embed of this projection with from");
        notes.note(&key, describe_unknown(&what, stub, known.iter().copied()));
    }
}
