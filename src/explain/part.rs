//! The entities that take part in a document, and where their fields appear in it.

use serde::{Deserialize, Serialize};

use crate::plan::{EmbedPlan, EntityType, RelationPlanOf};
use crate::projection::Projection;
use crate::state::rows::Row;

/// The role of the document's own entity.
pub const ITSELF: &str = "itself";

/// An entity that takes part, as the state holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Part {
    /// Its role: [`ITSELF`], or the path of the embed that shows it.
    pub role: String,
    /// Its id.
    pub id: String,
    /// Its folded state.
    pub row: Row,
}

impl Part {
    /// The entity type; `None` where the projection has no such embed.
    pub fn entity_type(&self, projection: Projection) -> Option<EntityType> {
        if self.role == ITSELF {
            return Some(projection.entity_type());
        }
        projection.plan().entity_type_of_number(find(projection, &self.role)?.to)
    }

    /// Where in a document of `projection` the entity's field appears; `None` when it does not.
    pub fn place(&self, projection: Projection, field: &str) -> Option<String> {
        if self.role == ITSELF {
            return place_itself(projection, field);
        }
        let (embed, entity_type) = (find(projection, &self.role)?, self.entity_type(projection)?);
        let number = entity_type.field(field);
        let is = |at: u16| number == Some(usize::from(at));
        let (path, id) = (&self.role, &self.id);
        let start = embed.embeds.iter().find(|inner| inner.starts_at().is_some_and(is));
        if let Some(inner) = start {
            return Some(format!("{path}.{}", inner.name));
        }
        let is_shown = embed.show.iter().any(|shown| shown.name == field);
        match &embed.by {
            RelationPlanOf::Reference { is_list: false, .. } => is_shown.then(|| format!("{path}.{field}")),
            RelationPlanOf::Reference { .. } => is_shown.then(|| format!("{path}[{id}].{field}")),
            // It names the next entity above.
            RelationPlanOf::Above { at, .. } if is(at.field) => Some(path.clone()),
            RelationPlanOf::Above { .. } => is_shown.then(|| format!("{path}[{id}].{field}")),
            RelationPlanOf::From(from) => {
                let relation = projection.plan().relation_of_number(from.relation)?;
                if is(relation.field) {
                    return Some(format!("{path}[{id}]"));
                }
                is_shown.then(|| format!("{path}[{id}].{field}"))
            }
        }
    }
}

/// The embed at a path.
fn find(projection: Projection, path: &str) -> Option<&'static EmbedPlan> {
    let (mut embeds, mut found) = (&projection.get().embeds, None);
    for name in path.split('.') {
        let embed: &'static EmbedPlan = embeds.iter().find(|embed| embed.name == name)?;
        embeds = &embed.embeds;
        found = Some(embed);
    }
    found
}

fn place_itself(projection: Projection, field: &str) -> Option<String> {
    let entity_type = projection.entity_type();
    let plan = projection.get();
    let Some(number) = entity_type.field(field) else {
        return plan.rest.map(|rest| format!("{rest}.{field}"));
    };
    let is = |at: u16| usize::from(at) == number;
    if plan.show.iter().any(|shown| is(shown.field)) {
        return Some(field.to_owned());
    }
    let start = plan.embeds.iter().find(|embed| embed.starts_at().is_some_and(is));
    start.map(|embed| embed.name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CONTACTS, HIERARCHY, ORGANISATIONS};

    fn place(projection: Projection, role: &str, field: &str) -> Option<String> {
        Part { role: role.to_owned(), id: "x".to_owned(), row: Row::default() }.place(projection, field)
    }

    #[test]
    fn every_field_is_named_where_the_document_shows_it() {
        for (projection, role, field, shown) in [
            (ORGANISATIONS, ITSELF, "website", Some("website")),
            (ORGANISATIONS, ITSELF, "parentId", Some("parent")),
            (ORGANISATIONS, ITSELF, "hobby", Some("attributes.hobby")),
            (ORGANISATIONS, "contacts", "email", Some("contacts[x].email")),
            (ORGANISATIONS, "contacts", "organisationId", Some("contacts[x]")),
            (ORGANISATIONS, "contacts", "hobby", None),
            (ORGANISATIONS, "ancestors", "name", Some("ancestors[x].name")),
            (ORGANISATIONS, "ancestors", "phone", None),
            (CONTACTS, ITSELF, "organisationId", Some("organisation")),
            (CONTACTS, ITSELF, "name", Some("name")),
            (CONTACTS, "organisation", "name", Some("organisation.name")),
            (CONTACTS, "organisation.ancestorIds", "name", None),
            (CONTACTS, "organisation.ancestorIds", "parentId", Some("organisation.ancestorIds")),
            (HIERARCHY, ITSELF, "website", None),
            (HIERARCHY, "children", "parentId", Some("children[x]")),
        ] {
            assert_eq!(place(projection, role, field).as_deref(), shown, "{projection:?} {role:?} {field}");
        }
    }
}
