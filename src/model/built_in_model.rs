//! The model that comes with the program, and the other parts of the program that have its names: sections of the
//! configuration, mappings and keyspaces.

use std::sync::OnceLock;

use super::{Model, check_text};

/// The name of its file in findings.
const FILE: &str = "builtin.toml";
/// Its text.
pub const BUILT_IN: &str = include_str!("builtin.toml");

/// The entity types whose keys the configuration has in sections of its own.
pub const SECTIONS: [&str; 2] = ["organisations", "contacts"];
/// The projection and its embed whose maximum is a key of the configuration (`index.max_embedded_contacts`).
pub const CONFIGURED: (&str, &str) = ("organisations", "contacts");
/// The keyspaces of its relations, in the order of their numbers.
pub const RELATION_KEYSPACES: [&str; 2] = ["3-contacts-of", "4-children-of"];
/// The mappings of its projections.
const MAPPINGS: [(&str, &str); 3] = [
    ("organisations", include_str!("../../mappings/organisations.json")),
    ("contacts", include_str!("../../mappings/contacts.json")),
    ("hierarchy", include_str!("../../mappings/hierarchy.json")),
];

/// The model that comes with the program.
#[expect(clippy::expect_used, reason = "the text comes with the program, and tests read it")]
pub fn default_model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let mut model = check_text(FILE, BUILT_IN).expect("the built-in model");
        model.is_built_in = true;
        model
    })
}

/// The text of the mapping of one of its projections.
pub fn mapping(projection: &str) -> Option<&'static str> {
    MAPPINGS.iter().find(|(name, _)| *name == projection).map(|(_, text)| *text)
}
