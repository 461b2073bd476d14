//! The rules of `layout = "join"`.

use super::names::is_plain;
use crate::model::definition::ProjectionDefinition;
use crate::model::tables::{Notes, describe_unknown};
use crate::model::types::{Embed, FromRelation, Layout, Projection, Relation};

/// The layout that a definition names.
pub(super) fn find_layout(notes: &Notes, definition: &ProjectionDefinition) -> Layout {
    let Some(name) = &definition.layout else { return Layout::Nested };
    let found = Layout::NAMES.iter().find(|(known, _)| known == name);
    if found.is_none() {
        let known = Layout::NAMES.iter().map(|(known, _)| *known);
        notes.note(
            &format!("{}.layout", definition.path),
            describe_unknown(&format!("no layout is named {name:?}"), name, known),
        );
    }
    found.map_or(Layout::Nested, |(_, layout)| *layout)
}

pub(super) fn check(notes: &Notes, path: &str, projection: &Projection) {
    let key = format!("{path}.layout");
    find_conflicts(projection).into_iter().for_each(|what| notes.note(&key, what));
}

/// The obstacles to children, each as a sentence.
pub(in crate::model) fn find_conflicts(projection: &Projection) -> Vec<String> {
    if projection.layout == Layout::Nested {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let joined: Vec<(&Embed, &FromRelation)> = projection.child_embeds().collect();
    if joined.is_empty() {
        wrong.push(
            "\"join\" needs an embed with from, whose members become children; leave it out".to_owned(),
        );
    }
    for (embed, from) in &joined {
        let name = &embed.name;
        if from.list {
            wrong.push(format!(
                "\"join\" found, and a member of {name:?} may have several owners, because {} is a list; a child has one parent",
                from.field
            ));
        }
        if !is_plain(name) || *name == projection.name {
            wrong.push(format!(
                "\"join\" found, and the embed {name:?} cannot name children: a letter and then letters, digits, `_` and `-` were \
                 expected, and another name than the projection's"
            ));
        }
    }
    let are_stubs = joined.iter().filter(|(embed, _)| projection.stubs.contains(&embed.name)).count();
    if are_stubs != 0 && are_stubs != joined.len() || are_stubs == 0 && !projection.stubs.is_empty() {
        wrong.push("\"join\" found; name all embeds with from in stubs, or none".to_owned());
    }
    wrong
}

impl Projection {
    /// The embeds whose members are children.
    pub fn child_embeds(&self) -> impl Iterator<Item = (&Embed, &FromRelation)> {
        let is_joined = self.layout == Layout::Join;
        let from = |embed: &'_ Embed| matches!(embed.relation, Relation::From(_));
        self.embeds.iter().filter(move |embed| is_joined && from(embed)).filter_map(|embed| {
            match &embed.relation {
                Relation::From(from) => Some((embed, from)),
                _ => None,
            }
        })
    }
}
