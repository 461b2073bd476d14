//! The rules of `search`.

use super::names;
use crate::model::definition::{EmbedSearchDefinition, SearchDefinition};
use crate::model::path::{Paths, embed, embed_paths};
use crate::model::tables::{Notes, describe_unknown, join};
use crate::model::types::{DeclaredType, Embed, EmbedSearch, Entity, Filter, Projection, Relation, Search};

pub(super) fn check(
    entities: &[Entity],
    projection: &Projection,
    broken: &[&str],
    definition: &SearchDefinition,
    notes: &Notes,
) -> Option<Search> {
    let checked = SearchCheck { entities, projection, broken, definition, notes };
    let title = checked.title();
    checked.check_phones(&checked.key("phones"), &projection.of, &definition.phones);
    let search = Search {
        words: match (&definition.words, &title) {
            (Some(words), _) => checked.own("words", words),
            (None, title) => title.iter().cloned().collect(),
        },
        phones: checked.own("phones", &definition.phones),
        filters: checked.filters(),
        under: checked.under(),
        hit: checked.hit(),
        embeds: definition.embeds.iter().filter_map(|inner| checked.embed(inner)).collect(),
        title: title?,
    };
    Some(search)
}

struct SearchCheck<'a> {
    entities: &'a [Entity],
    projection: &'a Projection,
    /// Embeds that are not judged.
    broken: &'a [&'a str],
    definition: &'a SearchDefinition,
    notes: &'a Notes,
}

impl SearchCheck<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.definition.path)
    }

    fn is_broken(&self, path: &str) -> bool {
        self.broken.contains(&path.split('.').next().unwrap_or_default())
    }

    fn field(&self, entity: &str, name: &str) -> Option<&DeclaredType> {
        let entity = self.entities.iter().find(|known| known.name == entity)?;
        entity.field(name).map(|field| &field.kind)
    }

    /// The own fields that documents show, and the computed members.
    fn searchable(&self) -> Vec<&str> {
        let shown = self.projection.show.iter().map(String::as_str);
        shown.chain(self.projection.compute.iter().map(|compute| compute.name.as_str())).collect()
    }

    fn title(&self) -> Option<String> {
        let key = self.key("title");
        let is_text = |name: &&str| match self.field(&self.projection.of, name) {
            Some(kind) => *kind == DeclaredType::String,
            None => true,
        };
        let known: Vec<&str> = self.searchable().into_iter().filter(is_text).collect();
        let title = self.definition.title.clone().unwrap_or_else(|| "name".to_owned());
        if known.contains(&title.as_str()) {
            return Some(title);
        }
        let what = match self.definition.title {
            Some(_) => format!("{title:?} is no shown field of the type string, and no computed member"),
            None => "missing; the field that is a hit's name was expected".to_owned(),
        };
        self.notes.note(&key, describe_unknown(&what, &title, known));
        None
    }

    /// Own fields that are searched.
    fn own(&self, name: &str, named: &[String]) -> Vec<String> {
        let known = self.searchable();
        for field in named.iter().filter(|field| !known.contains(&field.as_str())) {
            let what =
                format!("{field:?} is no shown field of {}, and no computed member", self.projection.of);
            self.notes.note(&self.key(name), describe_unknown(&what, field, known.iter().copied()));
        }
        named.to_vec()
    }

    /// Phone numbers are texts or numbers.
    fn check_phones(&self, key: &str, entity: &str, phones: &[String]) {
        let is_none = |kind: &DeclaredType| {
            matches!(
                kind,
                DeclaredType::Boolean | DeclaredType::Date | DeclaredType::Object | DeclaredType::Address
            )
        };
        for name in phones {
            if let Some(kind) = self.field(entity, name).filter(|kind| is_none(kind)) {
                let what = format!("{name:?} is of the type {}; string or strings was expected", kind.name());
                self.notes.note(key, what);
            }
        }
    }

    fn filters(&self) -> Vec<Filter> {
        let paths = Paths { entities: self.entities, projection: self.projection };
        let mut filters = Vec::new();
        for (name, path) in &self.definition.filters {
            let key = join(&self.key("filters"), name);
            names::check_filter(self.notes, &key, name);
            match paths.target(path) {
                Some(target) if target.kind.is_scalar() => {
                    filters.push(Filter { name: name.clone(), path: path.clone(), target });
                }
                Some(_) => self.notes.note(
                    &key,
                    format!("{path:?} holds an object, or any value; a path to a single value or a list of them was expected"),
                ),
                None if self.is_broken(path) => {}
                None => {
                    let mut known = self.projection.members();
                    known.push("id");
                    let what = format!("{path:?} leads to nothing that a document shows");
                    self.notes.note(&key, describe_unknown(&what, path, known));
                }
            }
        }
        filters
    }

    fn under(&self) -> Option<String> {
        let under = self.definition.under.as_ref()?;
        let is_above = |found: &Embed| matches!(found.relation, Relation::Above { .. });
        if self.is_broken(under) || embed(&self.projection.embeds, under).is_some_and(is_above) {
            return Some(under.clone());
        }
        let known = embed_paths(&self.projection.embeds, "");
        let known = known.iter().map(String::as_str);
        let known = known.filter(|path| embed(&self.projection.embeds, path).is_some_and(is_above));
        self.notes.note(
            &self.key("under"),
            describe_unknown(&format!("{under:?} is no embed with above"), under, known),
        );
        None
    }

    fn hit(&self) -> Vec<String> {
        let Some(hit) = &self.definition.hit else { return self.projection.show.clone() };
        let known = self.projection.members();
        let is_unknown = |name: &&String| !known.contains(&name.as_str()) && !self.is_broken(name);
        for name in hit.iter().filter(is_unknown) {
            let what = format!("{name:?} is no member of a document");
            self.notes.note(&self.key("hit"), describe_unknown(&what, name, known.iter().copied()));
        }
        hit.clone()
    }

    fn embed(&self, definition: &EmbedSearchDefinition) -> Option<EmbedSearch> {
        let EmbedSearchDefinition { path, embed: name, .. } = definition;
        if self.is_broken(name) {
            return None;
        }
        let Some(found) = self.projection.embeds.iter().find(|embed| embed.name == *name) else {
            let known = self.projection.embeds.iter().map(|embed| embed.name.as_str());
            self.notes.note(
                path,
                describe_unknown(&format!("{name:?} is no embed of this projection"), name, known),
            );
            return None;
        };
        let shown = |key: &str, named: &[String]| {
            for field in named.iter().filter(|field| !found.show.contains(field)) {
                let what = format!("{name} does not show a field {field:?}");
                let known = found.show.iter().map(String::as_str);
                self.notes.note(&format!("{path}.{key}"), describe_unknown(&what, field, known));
            }
        };
        let words = definition.words.clone().unwrap_or_default();
        if words.is_empty() && definition.phones.is_empty() {
            self.notes.note(
                &format!("{path}.words"),
                "missing; the embedded fields that are searched were expected",
            );
        }
        shown("words", &words);
        shown("phones", &definition.phones);
        self.check_phones(&format!("{path}.phones"), &found.entity, &definition.phones);
        let hit = definition.hit.clone().unwrap_or_else(|| found.show.clone());
        let inner = found.embeds.iter().flat_map(Embed::members);
        let known: Vec<&str> = found.show.iter().map(String::as_str).chain(inner).collect();
        for member in hit.iter().filter(|member| !known.contains(&member.as_str())) {
            let what = format!("{member:?} is no member of {name}");
            self.notes.note(&format!("{path}.hit"), describe_unknown(&what, member, known.iter().copied()));
        }
        Some(EmbedSearch { embed: name.clone(), words, phones: definition.phones.clone(), hit })
    }
}
