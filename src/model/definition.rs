//! A model as its file has it: names are not looked up yet, and defaults are not filled in.

mod entities;
mod projections;

use serde_json::Value;

use super::tables::Section;
use super::types::Entity;

/// The content of a model's file. Parts that could not be read are noted and left out.
#[derive(Debug, Default)]
pub(super) struct Definition {
    pub(super) entities: Vec<Entity>,
    pub(super) projections: Vec<ProjectionDefinition>,
}

/// `[projections.NAME]`.
#[derive(Debug)]
pub(super) struct ProjectionDefinition {
    pub(super) name: String,
    pub(super) path: String,
    /// `None` when it is missing or no string, which is noted.
    pub(super) of: Option<String>,
    pub(super) stubs: Vec<String>,
    pub(super) show: Option<Vec<String>>,
    pub(super) rest: Option<String>,
    pub(super) conditions: Vec<ConditionDefinition>,
    pub(super) embeds: Vec<EmbedDefinition>,
    pub(super) compute: Vec<(String, String)>,
    pub(super) search: Option<SearchDefinition>,
    pub(super) layout: Option<String>,
}

/// A member of `where`.
#[derive(Debug)]
pub(super) struct ConditionDefinition {
    pub(super) path: String,
    pub(super) field: String,
    pub(super) values: Vec<Value>,
}

/// `[[….embed]]`.
#[derive(Debug)]
pub(super) struct EmbedDefinition {
    pub(super) path: String,
    /// `None` when it is missing or no string, which is noted.
    pub(super) name: Option<String>,
    /// `None` when there is not one of `reference`, `above` and `from`, which is noted.
    pub(super) relation: Option<RelationDefinition>,
    pub(super) show: Option<Vec<String>>,
    pub(super) ids: bool,
    pub(super) cycle: Option<String>,
    pub(super) max: Option<u32>,
    pub(super) count: Option<String>,
    pub(super) truncated: Option<String>,
    pub(super) descendants: Option<String>,
    pub(super) conditions: Vec<ConditionDefinition>,
    pub(super) embeds: Vec<EmbedDefinition>,
}

/// How embedded entities are found.
#[derive(Debug)]
pub(super) enum RelationDefinition {
    Reference(String),
    Above(String),
    From(String),
}

/// `[projections.NAME.search]`.
#[derive(Debug)]
pub(super) struct SearchDefinition {
    pub(super) path: String,
    pub(super) title: Option<String>,
    pub(super) words: Option<Vec<String>>,
    pub(super) phones: Vec<String>,
    pub(super) filters: Vec<(String, String)>,
    pub(super) under: Option<String>,
    pub(super) hit: Option<Vec<String>>,
    pub(super) embeds: Vec<EmbedSearchDefinition>,
}

/// `[projections.NAME.search.embed.EMBED]`.
#[derive(Debug)]
pub(super) struct EmbedSearchDefinition {
    pub(super) path: String,
    pub(super) embed: String,
    pub(super) words: Option<Vec<String>>,
    pub(super) phones: Vec<String>,
    pub(super) hit: Option<Vec<String>>,
}

/// Reads a model's file.
pub(super) fn read(root: &Section<'_>) -> Definition {
    root.refuse_others(&["entities", "projections"]);
    let entities = root.sections_by_name("entities");
    let projections = root.sections_by_name("projections");
    Definition {
        entities: entities.into_iter().map(|(name, section)| entities::read(name, &section)).collect(),
        projections: projections
            .into_iter()
            .map(|(name, section)| projections::read(name, &section))
            .collect(),
    }
}
