//! Names looked up, rules held, defaults filled in: the result is a model that can be compiled.

mod embeds;
mod entities;
mod fields;
pub(super) mod layout;
pub(super) mod names;
mod projections;
mod search;

use super::TYPES_MAX;
use super::definition::Definition;
use super::tables::Notes;
use super::types::Model;

/// Makes a model of a definition and notes all that is wrong. The model is whole only when nothing was noted.
pub(super) fn check(definition: &Definition, notes: &Notes) -> Model {
    for (key, what, number) in [
        ("entities", "entity type", definition.entities.len()),
        ("projections", "projection", definition.projections.len()),
    ] {
        if !(1..=TYPES_MAX).contains(&number) {
            notes.note(
                key,
                format!("{number} found; a model has at least one {what}, and at most {TYPES_MAX}"),
            );
        }
    }
    entities::check(&definition.entities, notes);
    let entities = definition.entities.clone();
    let projections = projections::check(&entities, &definition.projections, notes);
    Model { entities, projections, is_built_in: false }
}
