//! The model: the key that names it, and the keys of the built-in one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::{Table, Value};

use super::ConfigKeys;
use crate::config::EntityConfig;
use crate::error::{Error, Result};
use crate::model::built_in_model::CONFIGURED;
use crate::model::{self, Layout, Model, Relation};

/// The key that names the model's file.
pub(super) const KEY: &str = "model";
/// The key of the layout of the built-in model.
const LAYOUT: &str = "index.layout";

/// A relative path that is not there from the working directory is meant from the configuration's folder.
pub(super) fn place_beside(table: &mut Table, file: &Path) {
    let Some(Value::String(path)) = table.get_mut(KEY) else { return };
    let beside = file.with_file_name(&*path);
    if !Path::new(path).exists() && beside.exists() {
        *path = beside.to_string_lossy().into_owned();
    }
}

/// The model as its file has it.
pub(super) fn read_declared(keys: &ConfigKeys<'_>) -> Result<Model> {
    let file = keys.maybe(KEY)?.map(PathBuf::from);
    model::load(file.as_deref()).map_err(|findings| {
        let first = findings.first().map(ToString::to_string).unwrap_or_default();
        let more = match findings.len() {
            0 | 1 => String::new(),
            number => format!(" (and {} more; `tributary model check` tells all)", number - 1),
        };
        Error::usage(format!("{KEY}: {first}{more}"))
    })
}

/// The names of the entity types in the model's file, as far as that is good.
pub(super) fn entity_types(table: &Table) -> Vec<String> {
    let file = table.get(KEY).and_then(Value::as_str).map(Path::new);
    let model = file.and_then(|file| model::load(Some(file)).ok());
    model.into_iter().flat_map(|model| model.entities).map(|entity| entity.name).collect()
}

/// The model with the configuration's own keys for the built-in one.
pub(super) fn in_force(
    mut model: Model,
    mut entities: BTreeMap<&'static str, EntityConfig>,
    max_embedded_contacts: usize,
    layout: Layout,
) -> Result<Arc<Model>> {
    for entity in &mut model.entities {
        if let Some(source) = entities.remove(entity.name.as_str()) {
            entity.source = source;
        }
    }
    if model.is_built_in {
        let max = u32::try_from(max_embedded_contacts).unwrap_or(model::MEMBERS_MAX);
        let projections = model.projections.iter_mut().filter(|projection| projection.name == CONFIGURED.0);
        for embed in projections.flat_map(|projection| &mut projection.embeds) {
            if let Relation::From(from) = &mut embed.relation {
                from.max = max;
            }
        }
    }
    if layout == Layout::Join {
        let wrong = |what: String| Error::usage(format!("{LAYOUT}: {what}"));
        if !model.is_built_in {
            return Err(wrong(
                "it is of the built-in model, and another one is configured; set layout of a projection in that one".to_owned(),
            ));
        }
        model.lay_out(CONFIGURED.0, layout).map_err(wrong)?;
    }
    Ok(Arc::new(model))
}
