//! The entities that take part in a document, and where their fields appear in it.

use serde::{Deserialize, Serialize};

use crate::entity::{contact, organisation};
use crate::event::EntityKind;
use crate::projection::Projection;
use crate::state::rows::Row;

/// As what an entity takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The document is this entity's.
    Itself,
    /// The organisation that the document's contact belongs to.
    Organisation,
    /// An organisation above.
    Ancestor,
    /// An embedded contact.
    Contact,
    /// An organisation right below.
    Child,
}

/// An entity that takes part, as the state holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Part {
    /// As what.
    pub role: Role,
    /// Its id.
    pub id: String,
    /// Its folded state.
    pub row: Row,
}

impl Part {
    /// The kind of entity.
    pub fn kind(&self, projection: Projection) -> EntityKind {
        match self.role {
            Role::Itself => kind_of(projection),
            Role::Contact => EntityKind::Contact,
            Role::Organisation | Role::Ancestor | Role::Child => EntityKind::Organisation,
        }
    }

    /// Where in a document of `projection` the entity's field appears; `None` when it does not.
    pub fn place(&self, projection: Projection, field: &str) -> Option<String> {
        let id = &self.id;
        let of_list = |list: &str| match field {
            organisation::PARENT => Some(format!("{list}[{id}]")),
            "name" => Some(format!("{list}[{id}].name")),
            _ => None,
        };
        match self.role {
            Role::Itself => place_itself(projection, field),
            Role::Contact if field == contact::ORGANISATION => Some(format!("contacts[{id}]")),
            Role::Contact => (field == "name" || contact::EMBEDDED.contains(&field))
                .then(|| format!("contacts[{id}].{field}")),
            Role::Child => of_list("children"),
            // What names the next organisation above.
            Role::Organisation | Role::Ancestor if field == organisation::PARENT => {
                Some(above(projection).to_owned())
            }
            Role::Organisation => (field == "name").then(|| "organisation.name".to_owned()),
            Role::Ancestor if projection == Projection::Contacts => None,
            Role::Ancestor => of_list("ancestors"),
        }
    }
}

/// The kind of entity that a projection's documents are of.
pub(super) fn kind_of(projection: Projection) -> EntityKind {
    match projection {
        Projection::Contacts => EntityKind::Contact,
        Projection::Organisations | Projection::Hierarchy => EntityKind::Organisation,
    }
}

/// The kind as people write it.
pub(super) fn kind_name(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Organisation => "organisation",
        EntityKind::Contact => "contact",
    }
}

fn above(projection: Projection) -> &'static str {
    if projection == Projection::Contacts { "organisation.ancestorIds" } else { "ancestors" }
}

fn place_itself(projection: Projection, field: &str) -> Option<String> {
    let (known, reference, shown_as) = match projection {
        Projection::Contacts => (contact::FIELDS, contact::ORGANISATION, "organisation"),
        Projection::Organisations => (organisation::FIELDS, organisation::PARENT, "parent"),
        Projection::Hierarchy => (&["name"][..], organisation::PARENT, "parent"),
    };
    if field == reference {
        return Some(shown_as.to_owned());
    }
    if field == "name" || known.contains(&field) {
        return Some(field.to_owned());
    }
    (projection != Projection::Hierarchy).then(|| format!("attributes.{field}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(projection: Projection, role: Role, field: &str) -> Option<String> {
        Part { role, id: "x".to_owned(), row: Row::default() }.place(projection, field)
    }

    #[test]
    fn every_field_is_named_where_the_document_shows_it() {
        use Projection::{Contacts, Hierarchy, Organisations};
        for (projection, role, field, shown) in [
            (Organisations, Role::Itself, "website", Some("website")),
            (Organisations, Role::Itself, "parentId", Some("parent")),
            (Organisations, Role::Itself, "hobby", Some("attributes.hobby")),
            (Organisations, Role::Contact, "email", Some("contacts[x].email")),
            (Organisations, Role::Contact, "organisationId", Some("contacts[x]")),
            (Organisations, Role::Contact, "hobby", None),
            (Organisations, Role::Ancestor, "name", Some("ancestors[x].name")),
            (Organisations, Role::Ancestor, "phone", None),
            (Contacts, Role::Itself, "organisationId", Some("organisation")),
            (Contacts, Role::Itself, "name", Some("name")),
            (Contacts, Role::Organisation, "name", Some("organisation.name")),
            (Contacts, Role::Ancestor, "name", None),
            (Contacts, Role::Ancestor, "parentId", Some("organisation.ancestorIds")),
            (Hierarchy, Role::Itself, "website", None),
            (Hierarchy, Role::Child, "parentId", Some("children[x]")),
        ] {
            assert_eq!(place(projection, role, field).as_deref(), shown, "{projection:?} {role:?} {field}");
        }
    }
}
