//! Where the mappings of the projections come from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::config::{DerivedMapping, IndexConfig};
use crate::error::{Error, Result};
use crate::model::join;
use crate::model::mapping::Shape;
use crate::plan::{PlanRef, Projection};
use crate::projection::SHAPE;

/// The folder of mapping files, and the mappings that follow from the model.
#[derive(Debug, Clone)]
pub(crate) struct Mappings {
    /// The folder of `<projection>.json`.
    pub(super) folder: PathBuf,
    /// The mappings that follow from the model, by the projections' names.
    pub(super) derived: BTreeMap<String, DerivedMapping>,
    /// The prefix of all aliases and indexes (`index.prefix`).
    pub(super) prefix: String,
    plan: PlanRef,
}

impl Mappings {
    pub(crate) fn of(config: &IndexConfig) -> Self {
        Self {
            folder: config.mappings.clone(),
            derived: config.derived.clone(),
            prefix: config.prefix.clone(),
            plan: config.plan,
        }
    }

    /// Those of the built-in model.
    #[cfg(test)]
    pub(crate) fn of_built_in(folder: &std::path::Path) -> Self {
        let model = crate::model::default_model();
        let text = |projection: &crate::model::Projection| {
            let mapping = crate::model::mapping::text(model, projection);
            (projection.name.clone(), DerivedMapping { mapping, shape: None })
        };
        let derived = model.projections.iter().map(text).collect();
        Self { folder: folder.to_owned(), derived, prefix: String::new(), plan: crate::plan::builtin() }
    }

    /// The same of an embedded index, in which documents lie by these layouts: another layout counts as another shape.
    pub(crate) fn with_layouts(mut self, layouts: impl IntoIterator<Item = (Projection, u64)>) -> Self {
        for (projection, layout) in layouts {
            let mut shape = self.shape(projection);
            shape.parts.insert("columns of the embedded index".to_owned(), format!("{layout:016x}"));
            shape.parts.insert("documents".to_owned(), SHAPE.to_string());
            if let Some(derived) = self.derived.get_mut(projection.name()) {
                derived.shape = Some(Shape::of(shape.parts));
            }
        }
        self
    }

    /// The documents' shape.
    pub(super) fn shape(&self, projection: Projection) -> Shape {
        let derived = self.derived.get(projection.name()).and_then(|derived| derived.shape.clone());
        derived.unwrap_or(Shape { number: SHAPE, parts: BTreeMap::new() })
    }

    /// The embeds of all projections whose members are children.
    pub(crate) fn child_embeds(&self) -> impl Iterator<Item = &'static str> {
        self.plan.projections().flat_map(Projection::child_embeds).map(|(embed, _)| embed.name)
    }

    /// The projection that an index was made for, if it was made for the same prefix and the model does not have it.
    /// `meta` is the index's own note; one of an earlier version does not name the projection.
    pub(crate) fn find_orphaned_projection<'a>(&self, meta: &'a Value) -> Option<&'a str> {
        let said = |name: &str| meta.get(name).and_then(Value::as_str);
        let projection = said("projection").filter(|_| said("prefix") == Some(&self.prefix))?;
        self.plan.projection(projection).is_none().then_some(projection)
    }

    /// The text of the mapping that follows from the model.
    ///
    /// # Errors
    /// When the model gives none to the projection, which is a bug.
    pub(super) fn mapping_text(&self, projection: Projection) -> Result<&str> {
        let name = projection.name();
        self.derived.get(name).map(|derived| derived.mapping.as_str()).ok_or_else(|| {
            Error::failure(format!("the model gives no mapping to {name}; this is a bug, report it"))
        })
    }
}

/// The paths of objects with any members that filters of a projection look into.
pub(super) fn paths_of_filters(projection: Projection) -> Vec<String> {
    let filters = projection.get().search.iter().flat_map(|search| &search.filters);
    filters.filter_map(|filter| filter.inside.clone()).collect()
}

/// Turns a mapping into one of documents with children, where the projection has any.
pub(super) fn join_children(projection: Projection, mapping: &mut Value) {
    let embeds: Vec<&str> = projection.child_embeds().map(|(embed, _)| embed.name).collect();
    join::apply(mapping, projection.name(), &embeds);
}
