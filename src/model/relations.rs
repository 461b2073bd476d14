//! The rows that the state keeps beside the entities, for documents and to find the documents that a change affects.

use super::types::{Condition, Embed, Model, Projection, Relation};

/// Rows by the id that a reference names: one for each pair of a referring entity and an id in its reference.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationRows {
    /// The entity type that refers.
    pub entity: String,
    /// Its reference.
    pub field: String,
    /// Only entities of which these hold have a row.
    pub conditions: Vec<Condition>,
    /// The fields in a row; `None` for rows of keys alone.
    pub shown: Option<Vec<String>>,
    /// The paths of the embeds that need them, such as `products.prices`.
    pub needed_by: Vec<String>,
    /// The other content of a row.
    pub beside: RowExtras,
    /// True when no document reads them: they only lead from a changed entity to the documents that show it.
    pub is_only_for_changes: bool,
}

/// The content of a row beside the shown fields. Relations whose rows differ in it are held apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowExtras {
    /// The fields whose words are searched.
    pub words: Vec<String>,
    /// The fields of which the digits are searched.
    pub phones: Vec<String>,
    /// The references that embeds within follow.
    pub references: Vec<String>,
    /// True when embeds stand within.
    pub is_open: bool,
}

impl RowExtras {
    /// Of the rows that an embed of a projection reads; `is_first` says that it is directly in the projection.
    fn of(projection: &Projection, embed: &Embed, is_first: bool) -> Self {
        let searched = projection.search.iter().flat_map(|search| &search.embeds);
        let searched = searched.filter(|_| is_first).find(|searched| searched.embed == embed.name);
        let (words, phones) = searched.map(|of| (of.words.clone(), of.phones.clone())).unwrap_or_default();
        let mut references: Vec<String> = Vec::new();
        for inner in &embed.embeds {
            if let Relation::Reference { field, .. } | Relation::Above { field, .. } = &inner.relation
                && !references.contains(field)
            {
                references.push(field.clone());
            }
        }
        Self { words, phones, references, is_open: !embed.embeds.is_empty() }
    }
}

/// All rows of relations that a model needs, those that documents read first.
pub fn relations(model: &Model) -> Vec<RelationRows> {
    let mut rows = Vec::new();
    for projection in &model.projections {
        put_read(&mut rows, (projection, true), &projection.embeds, &projection.name);
    }
    for projection in &model.projections {
        put_led_by(&mut rows, &projection.of, &projection.embeds, &projection.name);
    }
    rows
}

/// Rows that documents are made of: each `from` reads one.
fn put_read(
    rows: &mut Vec<RelationRows>,
    (projection, is_first): (&Projection, bool),
    embeds: &[Embed],
    path: &str,
) {
    for embed in embeds {
        let path = format!("{path}.{}", embed.name);
        if let Relation::From(from) = &embed.relation {
            let shown = if embed.show.is_empty() { None } else { Some(embed.show.clone()) };
            put(
                rows,
                RelationRows {
                    entity: from.entity.clone(),
                    field: from.field.clone(),
                    conditions: from.conditions.clone(),
                    shown,
                    needed_by: vec![path.clone()],
                    beside: RowExtras::of(projection, embed, is_first),
                    is_only_for_changes: false,
                },
            );
        }
        put_read(rows, (projection, false), &embed.embeds, &path);
    }
}

/// Rows that lead back along a `reference` or an `above`, from the shown entity to those that refer to it.
fn put_led_by(rows: &mut Vec<RelationRows>, entity: &str, embeds: &[Embed], path: &str) {
    for embed in embeds {
        let path = format!("{path}.{}", embed.name);
        if let Relation::Reference { field, .. } | Relation::Above { field, .. } = &embed.relation {
            let leads = |relation: &&mut RelationRows| {
                relation.entity == entity && relation.field == *field && relation.conditions.is_empty()
            };
            match rows.iter_mut().find(leads) {
                Some(relation) => relation.needed_by.push(path.clone()),
                None => rows.push(RelationRows {
                    entity: entity.to_owned(),
                    field: field.clone(),
                    conditions: Vec::new(),
                    shown: None,
                    needed_by: vec![path.clone()],
                    beside: RowExtras::default(),
                    is_only_for_changes: true,
                }),
            }
        }
        put_led_by(rows, &embed.entity, &embed.embeds, &path);
    }
}

fn put(rows: &mut Vec<RelationRows>, new: RelationRows) {
    let is_same = |relation: &&mut RelationRows| {
        (&relation.entity, &relation.field, &relation.conditions, &relation.shown, &relation.beside)
            == (&new.entity, &new.field, &new.conditions, &new.shown, &new.beside)
    };
    match rows.iter_mut().find(is_same) {
        Some(relation) => relation.needed_by.extend(new.needed_by),
        None => rows.push(new),
    }
}
