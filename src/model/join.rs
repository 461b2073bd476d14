//! The mapping of an index whose documents have children.

use serde_json::{Map, Value, json};

use super::types::{Layout, Model, Projection};

/// The field that says which documents are children, and of whom.
pub const JOIN: &str = "_join";

/// Turns a mapping for documents that hold their members into one for documents whose members are children. A child has
/// its fields under the name of its embed.
pub fn apply(mapping: &mut Value, owner: &str, embeds: &[&str]) {
    let Some(properties) = mapping.pointer_mut("/mappings/properties").and_then(Value::as_object_mut) else {
        return;
    };
    if embeds.is_empty() {
        return;
    }
    for embed in embeds {
        if let Some(field) = properties.get_mut(*embed).and_then(Value::as_object_mut) {
            let is_of_nested = |name: &str| matches!(name, "type" | "include_in_parent" | "include_in_root");
            field.retain(|name, _| !is_of_nested(name));
        }
    }
    let children = match embeds {
        // A server writes the only one in this way.
        [embed] => json!(embed),
        embeds => json!(embeds),
    };
    let relations: Map<String, Value> = [(owner.to_owned(), children)].into_iter().collect();
    properties
        .entry(JOIN)
        .or_insert_with(|| json!({"type": "join", "eager_global_ordinals": true, "relations": relations}));
}

impl Model {
    /// Sets the layout of a projection.
    ///
    /// # Errors
    /// The first obstacle to it.
    pub fn lay_out(&mut self, projection: &str, layout: Layout) -> Result<(), String> {
        let found = self.projections.iter_mut().filter(|found| found.name == projection);
        for found in found {
            found.layout = layout;
            if let Some(wrong) = find_conflicts(found).into_iter().next() {
                return Err(wrong);
            }
        }
        Ok(())
    }
}

fn find_conflicts(projection: &Projection) -> Vec<String> {
    super::check::layout::find_conflicts(projection)
}
