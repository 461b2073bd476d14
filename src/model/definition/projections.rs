//! `[projections.NAME]`.

use super::{
    ConditionDefinition, EmbedDefinition, EmbedSearchDefinition, ProjectionDefinition, RelationDefinition,
    SearchDefinition,
};
use crate::model::MEMBERS_MAX;
use crate::model::tables::Section;

pub(super) fn read(name: &str, section: &Section<'_>) -> ProjectionDefinition {
    section.refuse_others(&["of", "stubs", "show", "rest", "where", "embed", "compute", "search", "layout"]);
    ProjectionDefinition {
        name: name.to_owned(),
        path: section.path().to_owned(),
        of: section.require_text("of", "the name of an entity type"),
        stubs: section.texts("stubs").unwrap_or_default(),
        show: section.texts("show"),
        rest: section.text("rest"),
        conditions: conditions(section),
        embeds: section.sections("embed").iter().map(embed).collect(),
        compute: section.table_of_texts("compute"),
        search: section.section("search").as_ref().map(search),
        layout: section.text("layout"),
    }
}

fn conditions(section: &Section<'_>) -> Vec<ConditionDefinition> {
    let Some(section) = section.section("where") else { return Vec::new() };
    let condition = |field: &str| {
        let values = section.scalars(field)?;
        Some(ConditionDefinition { path: section.key(field), field: field.to_owned(), values })
    };
    section.members().into_iter().filter_map(condition).collect()
}

/// The keys of an embed that go with one kind of it only.
const OF_KIND: [(&str, &str); 7] = [
    ("ids", "above"),
    ("cycle", "above"),
    ("max", "from"),
    ("count", "from"),
    ("truncated", "from"),
    ("descendants", "from"),
    ("where", "from"),
];

fn embed(section: &Section<'_>) -> EmbedDefinition {
    section.refuse_others(&[
        "as",
        "reference",
        "above",
        "from",
        "show",
        "ids",
        "cycle",
        "max",
        "count",
        "truncated",
        "descendants",
        "where",
        "embed",
    ]);
    EmbedDefinition {
        path: section.path().to_owned(),
        name: section.require_text("as", "the name of the member"),
        relation: relation(section),
        show: section.texts("show"),
        ids: section.boolean("ids").unwrap_or(false),
        cycle: section.text("cycle"),
        max: section.number("max", 1, MEMBERS_MAX),
        count: section.text("count"),
        truncated: section.text("truncated"),
        descendants: section.text("descendants"),
        conditions: conditions(section),
        embeds: section.sections("embed").iter().map(embed).collect(),
    }
}

fn relation(section: &Section<'_>) -> Option<RelationDefinition> {
    let kinds: Vec<&str> =
        ["reference", "above", "from"].into_iter().filter(|kind| section.has(kind)).collect();
    let [kind] = kinds[..] else {
        let found = if kinds.is_empty() { "none".to_owned() } else { kinds.join(" and ") };
        let what = format!("one of reference, above and from was expected, found: {found}");
        section.notes().note(section.path(), what);
        return None;
    };
    for (key, of) in OF_KIND {
        if of != kind && section.has(key) {
            section.note(key, format!("it goes with {of} only, and this embed has {kind}; leave it out"));
        }
    }
    let text = section.text(kind)?;
    Some(match kind {
        "reference" => RelationDefinition::Reference(text),
        "above" => RelationDefinition::Above(text),
        _ => RelationDefinition::From(text),
    })
}

fn search(section: &Section<'_>) -> SearchDefinition {
    section.refuse_others(&["title", "words", "phones", "filters", "under", "hit", "embed"]);
    let embeds = section.sections_by_name("embed");
    SearchDefinition {
        path: section.path().to_owned(),
        title: section.text("title"),
        words: section.texts("words"),
        phones: section.texts("phones").unwrap_or_default(),
        filters: section.table_of_texts("filters"),
        under: section.text("under"),
        hit: section.texts("hit"),
        embeds: embeds.iter().map(|(name, section)| embed_search(name, section)).collect(),
    }
}

fn embed_search(name: &str, section: &Section<'_>) -> EmbedSearchDefinition {
    section.refuse_others(&["words", "phones", "hit"]);
    EmbedSearchDefinition {
        path: section.path().to_owned(),
        embed: name.to_owned(),
        words: section.texts("words"),
        phones: section.texts("phones").unwrap_or_default(),
        hit: section.texts("hit"),
    }
}
