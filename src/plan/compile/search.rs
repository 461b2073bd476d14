//! How documents are searched, from a checked model.

use super::fields::forever;
use super::words;
use crate::model::{self, DeclaredType, Embed, EmbedSearch, Model, PathKind, Relation};
use crate::plan::Plan;
use crate::plan::search::{
    ApartPlan, FilterPlan, MembersPlan, ReferredPlan, SearchPlan, SortPlan, UnderPlan,
};
use crate::searchable_fields::{SearchableFields, SortKind, ValueKind};

/// The name of a hit in a request's order.
const NAME: &str = "name";

/// Fills in the searches of all projections, whose own fields and embeds are compiled.
pub(super) fn fill(model: &Model, plan: &mut Plan) {
    let mut searches = Vec::new();
    for (projection, own) in model.projections.iter().zip(&plan.projections) {
        let search = projection.search.as_ref().zip(own.words);
        searches.push(search.map(|(search, own)| SearchCompiler { model, projection, search }.search(own)));
    }
    let filters: Vec<Vec<(String, ValueKind)>> = searches.iter().map(paths_of).collect();
    for (projection, search) in model.projections.iter().zip(&mut searches) {
        let Some(SearchPlan { filters: own, members, .. }) = search else { continue };
        for members in &mut *members {
            members.apart = apart(model, projection, members);
        }
        for filter in own {
            filter.apart = filter_apart(filter, members, &filters);
        }
    }
    for (projection, search) in plan.projections.iter_mut().zip(searches) {
        projection.search = search;
    }
}

fn paths_of(search: &Option<SearchPlan>) -> Vec<(String, ValueKind)> {
    let filters = search.iter().flat_map(|search| &search.filters);
    filters.map(|filter| (filter.path.to_owned(), filter.kind)).collect()
}

/// The same filter of the members' own projection; `filters` are those of all projections.
fn filter_apart(
    filter: &FilterPlan,
    members: &[MembersPlan],
    filters: &[Vec<(String, ValueKind)>],
) -> Option<u16> {
    let members = members.get(filter.members?)?;
    let known = filters.get(usize::from(members.apart?.projection))?;
    let target = (filter.path_in(members), filter.kind);
    let number = known.iter().position(|(path, kind)| (path.as_str(), *kind) == target)?;
    u16::try_from(number).ok()
}

/// The projection of the members themselves that is searched by the same words and shows the owner. Of several it is
/// the one that has most of the filters.
fn apart(model: &Model, projection: &model::Projection, members: &MembersPlan) -> Option<ApartPlan> {
    let embed = projection.embeds.iter().find(|embed| embed.name == members.path)?;
    let Relation::From(from) = &embed.relation else { return None };
    let searched = projection.search.as_ref()?.embeds.iter().find(|found| found.embed == embed.name);
    let (words, phones) = searched.map_or((&[][..], &[][..]), |found| (&found.words[..], &found.phones[..]));
    let filters = projection.search.iter().flat_map(|search| &search.filters);
    let paths: Vec<&str> =
        filters.filter_map(|filter| filter.path.strip_prefix(members.path)?.strip_prefix('.')).collect();
    let has_words = searched.is_some();
    let owner = |other: &model::Projection| {
        let search = other.search.as_ref()?;
        let fits = other.of == from.entity
            && other.conditions == from.conditions
            && (!has_words || is_same(words, &search.words) && is_same(phones, &search.phones));
        let is_owner = |embed: &&Embed| matches!(&embed.relation, Relation::Reference { field, .. } if *field == from.field);
        let embed = other.embeds.iter().find(is_owner).filter(|_| fits)?;
        let covered = search.filters.iter().filter(|filter| paths.contains(&filter.path.as_str())).count();
        Some((covered, forever(&embed.name)))
    };
    let fitting = model.projections.iter().enumerate();
    let fitting =
        fitting.filter_map(|(number, other)| owner(other).map(|(covered, owner)| (covered, number, owner)));
    let best = fitting.max_by_key(|(covered, number, _)| (*covered, std::cmp::Reverse(*number)));
    let (_, number, owner) = best?;
    Some(ApartPlan { projection: u8::try_from(number).ok()?, owner })
}

/// True when two lists have the same names.
fn is_same(one: &[String], other: &[String]) -> bool {
    one.iter().all(|name| other.contains(name)) && other.iter().all(|name| one.contains(name))
}

struct SearchCompiler<'a> {
    model: &'a Model,
    projection: &'a model::Projection,
    search: &'a model::Search,
}

impl SearchCompiler<'_> {
    fn search(&self, own: SearchableFields) -> SearchPlan {
        let members = self.members();
        let number_of = |path: &str| members.iter().position(|members| members.path == path);
        let filters = (0..).zip(&self.search.filters);
        let filters = filters.map(|(number, filter)| {
            let way = filter.target.embeds.get(..filter.target.from_depth).unwrap_or_default();
            self.filter(number, filter, number_of(&way.join(".")))
        });
        SearchPlan {
            own,
            filters: filters.collect(),
            sorts: self.sorts(),
            under: self.search.under.as_deref().and_then(|path| self.under(path)),
            hit: self.search.hit.iter().map(|name| forever(name)).collect(),
            hidden: self.names_to_hide(),
            referred: self.search.embeds.iter().filter_map(|searched| self.plan_referred(searched)).collect(),
            members,
        }
    }

    fn filter(&self, number: u16, filter: &model::Filter, members: Option<usize>) -> FilterPlan {
        let kind = match &filter.target.kind {
            PathKind::Count => ValueKind::Integer,
            PathKind::Flag => ValueKind::Boolean,
            PathKind::Computed => ValueKind::Computed,
            PathKind::Id | PathKind::Inside => ValueKind::Text,
            PathKind::Field(kind) => value_kind(kind),
        };
        let field = match &filter.target.kind {
            PathKind::Computed => format!("_search.filters.{}", filter.name),
            // The words of a title are in the field itself.
            PathKind::Field(_) if filter.path == self.search.title => format!("{}.keyword", filter.path),
            _ => filter.path.clone(),
        };
        let parts = filter.path.split('.').take(filter.target.embeds.len() + 1);
        let inside = (filter.target.kind == PathKind::Inside).then(|| parts.collect::<Vec<_>>().join("."));
        FilterPlan {
            number,
            inside,
            name: forever(&filter.name),
            path: forever(&filter.path),
            field,
            kind,
            members,
            apart: None,
        }
    }

    /// The title, then the numbers and times at a document's top, then the computed members that are filters.
    fn sorts(&self) -> Vec<SortPlan> {
        let mut sorts = vec![(NAME, self.search.title.as_str(), "_search.sort".to_owned(), SortKind::Title)];
        let entity = self.model.entity(&self.projection.of);
        for name in self.projection.show.iter().filter(|name| **name != self.search.title) {
            let kind = match entity.and_then(|entity| entity.field(name)).map(|field| &field.kind) {
                Some(DeclaredType::Date) => SortKind::Date,
                Some(DeclaredType::Integer) => SortKind::Integer,
                Some(DeclaredType::Number) => SortKind::Number,
                _ => continue,
            };
            sorts.push((name, name, name.clone(), kind));
        }
        for embed in &self.projection.embeds {
            if let Relation::From(from) = &embed.relation {
                let counts = from.count.iter().chain(&from.descendants);
                sorts.extend(
                    counts.map(|name| (name.as_str(), name.as_str(), name.clone(), SortKind::Integer)),
                );
            }
        }
        for filter in self.search.filters.iter().filter(|filter| filter.target.kind == PathKind::Computed) {
            let field = format!("_search.filters.{}.number", filter.name);
            sorts.push((&filter.name, &filter.path, field, SortKind::Number));
        }
        let mut plans: Vec<SortPlan> = Vec::new();
        for (name, member, field, kind) in sorts {
            if !plans.iter().any(|known| known.name == name) {
                let number = u16::try_from(plans.len()).unwrap_or(u16::MAX);
                plans.push(SortPlan { number, name: forever(name), member: forever(member), field, kind });
            }
        }
        plans
    }

    fn under(&self, path: &str) -> Option<UnderPlan> {
        let embed = model::embed(&self.projection.embeds, path)?;
        let Relation::Above { ids, .. } = embed.relation else { return None };
        let above = if ids { path.to_owned() } else { format!("{path}.id") };
        let before = path.rsplit_once('.').map(|(before, _)| before);
        let at = before.map_or("id".to_owned(), |before| format!("{before}.id"));
        let mut members = None;
        for (end, _) in path.match_indices('.') {
            let way = path.get(..end).unwrap_or_default();
            let embed = model::embed(&self.projection.embeds, way);
            if embed.is_some_and(|embed| matches!(embed.relation, Relation::From(_))) {
                members = Some(way.to_owned());
            }
        }
        let joined = self.child_embed(path);
        Some(UnderPlan { entity: embed.entity.clone(), at, above, members, joined })
    }

    /// The `from` embeds and the undeclared fields, unless hits show them.
    fn names_to_hide(&self) -> Vec<&'static str> {
        let embeds = self.projection.embeds.iter();
        let embeds = embeds.filter(|embed| matches!(embed.relation, Relation::From(_)));
        let names = embeds.map(|embed| &embed.name).chain(&self.projection.rest);
        let names = names.filter(|name| !self.search.hit.contains(name));
        names.map(|name| forever(name)).collect()
    }

    /// The `from` embeds that are searched, then those that filters alone look into.
    fn members(&self) -> Vec<MembersPlan> {
        let mut paths: Vec<String> = self.search.embeds.iter().map(|found| found.embed.clone()).collect();
        for filter in &self.search.filters {
            paths.extend(filter.target.embeds.get(..filter.target.from_depth).map(|way| way.join(".")));
        }
        let mut members: Vec<MembersPlan> = Vec::new();
        for path in paths.iter().filter(|path| !path.is_empty()) {
            if !members.iter().any(|known| known.path == path) {
                members.extend(self.members_at(path));
            }
        }
        members
    }

    fn members_at(&self, path: &str) -> Option<MembersPlan> {
        let embed = model::embed(&self.projection.embeds, path)?;
        let Relation::From(from) = &embed.relation else { return None };
        let searched = self.search.embeds.iter().find(|found| found.embed == path);
        let name = |name: &Option<String>| name.as_deref().map(forever);
        let joined = self.child_embed(path);
        Some(MembersPlan {
            path: forever(path),
            words: searched.and_then(|found| words::fields_of_embed(self.model, embed, found)),
            label: label(path),
            hit: searched.map_or(Vec::new(), |found| found.hit.iter().map(|name| forever(name)).collect()),
            count: name(&from.count),
            // Every child has a document.
            truncated: name(&from.truncated).filter(|_| joined != Some(path)),
            apart: None,
            joined,
        })
    }

    /// The embed whose members are children and that a path begins with.
    fn child_embed(&self, path: &str) -> Option<&'static str> {
        let first = path.split('.').next();
        let mut joined = self.projection.child_embeds().map(|(embed, _)| embed.name.as_str());
        joined.find(|name| Some(*name) == first).map(forever)
    }

    fn plan_referred(&self, searched: &EmbedSearch) -> Option<ReferredPlan> {
        let embed = self.projection.embeds.iter().find(|embed| embed.name == searched.embed)?;
        if matches!(embed.relation, Relation::From(_)) {
            return None;
        }
        let fields = searched.words.iter().map(|name| forever(name)).collect();
        let phones = searched.phones.iter().map(|name| forever(name)).collect();
        Some(ReferredPlan { name: forever(&embed.name), fields, phones })
    }
}

fn value_kind(kind: &DeclaredType) -> ValueKind {
    match kind {
        DeclaredType::Boolean => ValueKind::Boolean,
        DeclaredType::Integer => ValueKind::Integer,
        DeclaredType::Number => ValueKind::Number,
        DeclaredType::Date => ValueKind::Date,
        _ => ValueKind::Text,
    }
}

/// `matchedCopies` of `copies`.
fn label(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    "matched".chars().chain(first).chain(letters).collect()
}
