//! The model: entity types, how they refer to each other, the documents made of them, and how those are searched.
//!
//! A model is a TOML file. [`load`] reads and checks it; the result has every default filled in. The model that comes with
//! the program is `builtin.toml`, in the same language.

pub mod built_in_model;
mod check;
mod definition;
pub mod entity_config;
pub mod join;
pub mod mapping;
mod parts;
mod path;
pub mod program;
mod relations;
pub mod starting_model;
mod tables;
pub mod toml_text;
mod types;

use std::path::Path;

pub use self::built_in_model::{BUILT_IN, default_model};
pub use self::parts::parts;
pub use self::path::embed;
pub use self::relations::{RelationRows, RowExtras, relations};
pub use self::tables::ModelFinding;
pub use self::types::{
    Compute, Condition, DeclaredType, Default, Embed, EmbedSearch, Entity, Field, Filter, FromRelation,
    Layout, Model, PathKind, PathTarget, Projection, Relation, Search,
};

/// The most entity types, and the most projections, of a model.
pub const TYPES_MAX: usize = 64;
/// The most members that an embed shows, which is also the default.
pub const MEMBERS_MAX: u32 = 10_000;
/// The deepest embed: one directly in a projection has depth 1.
pub const DEPTH_MAX: usize = 4;

/// Reads and checks the model of a file; without a file it is the built-in model.
///
/// # Errors
/// All that is wrong with it, in the order of the file.
pub fn load(file: Option<&Path>) -> Result<Model, Vec<ModelFinding>> {
    let Some(file) = file else { return Ok(default_model().clone()) };
    let name = file.display().to_string();
    match std::fs::read_to_string(file) {
        Ok(text) => parse(&name, &text),
        Err(error) => Err(vec![ModelFinding::of_file(&name, format!("the model cannot be read: {error}"))]),
    }
}

/// Reads and checks the text of a model; `file` names it in findings.
///
/// # Errors
/// All that is wrong with it, in the order of the file.
pub fn parse(file: &str, text: &str) -> Result<Model, Vec<ModelFinding>> {
    let mut model = check_text(file, text)?;
    let built_in = default_model();
    model.is_built_in = model.entities == built_in.entities && model.projections == built_in.projections;
    Ok(model)
}

fn check_text(file: &str, text: &str) -> Result<Model, Vec<ModelFinding>> {
    tables::with_root(file, text, |root| check::check(&definition::read(root), root.notes()))
}

#[cfg(test)]
mod tests;
