//! `model check`: the members beyond `max` that no search finds.

use crate::model::{Embed, FromRelation, MEMBERS_MAX, Model, Projection, Relation};
use crate::plan::{Collection, FilterPlan, MembersPlan, PlanRef};

/// One line for each searched or filtered embed with such members, with the declaration that lacks.
pub(super) fn list_losses(model: &Model, plan: PlanRef) -> Vec<String> {
    let mut lines = Vec::new();
    for collection in plan.collections() {
        let Some(projection) = model.projection(collection.name()) else { continue };
        for (path, from) in find_bounded(&projection.embeds, "") {
            let embed = BoundedEmbed { projection, collection, path: &path, from };
            let (path, max) = (&path, from.max);
            lines.extend(embed.explain_loss().map(|detail| {
                format!("embed {}.{path}: members beyond max = {max} are not found{detail}", projection.name)
            }));
        }
    }
    lines
}

/// The embeds that hold a part of their members, those within others among them, by their paths.
fn find_bounded<'a>(embeds: &'a [Embed], before: &str) -> Vec<(String, &'a FromRelation)> {
    let mut found = Vec::new();
    for embed in embeds {
        let path = format!("{before}{}", embed.name);
        let inner = find_bounded(&embed.embeds, &format!("{path}."));
        if let Relation::From(from) = &embed.relation
            && from.max < MEMBERS_MAX
        {
            found.push((path, from));
        }
        found.extend(inner);
    }
    found
}

struct BoundedEmbed<'a> {
    projection: &'a Projection,
    collection: Collection,
    path: &'a str,
    from: &'a FromRelation,
}

impl BoundedEmbed<'_> {
    /// The end of the line, or nothing where a search finds all members.
    fn explain_loss(&self) -> Option<String> {
        let plan = self.collection.get();
        let Some(members) = plan.members.iter().find(|members| members.path == self.path) else {
            return self.explain_loss_within();
        };
        if self.path.contains('.') {
            return self.explain_loss_within().or_else(|| Some("; raise max".to_owned()));
        }
        let lacking = self.missing_declarations(members);
        if !lacking.is_empty() {
            return Some(format!("; declare {}", lacking.join(" and ")));
        }
        self.explain_loss_by_filters(members).or_else(|| self.explain_loss_within())
    }

    /// No projection takes the place of an embed within another one.
    fn explain_loss_within(&self) -> Option<String> {
        let is_within = |filter: &&FilterPlan| self.path.contains('.') || !self.is_direct(filter);
        let filters: Vec<&FilterPlan> = self.filters().filter(is_within).collect();
        let names = list_names("filter", filters.iter().map(|filter| filter.name));
        (!filters.is_empty()).then(|| format!(" by the {names}; raise max"))
    }

    /// The filters whose paths lead into the embed.
    fn filters(&self) -> impl Iterator<Item = &'static FilterPlan> {
        self.collection.get().filters.iter().filter(|filter| self.path_in(filter).is_some())
    }

    fn path_in(&self, filter: &FilterPlan) -> Option<&'static str> {
        filter.path.strip_prefix(self.path)?.strip_prefix('.')
    }

    /// True when the filter looks into the members themselves, not into members of theirs.
    fn is_direct(&self, filter: &FilterPlan) -> bool {
        let members = filter.members.and_then(|number| self.collection.get().members.get(number));
        members.is_some_and(|members| members.path == self.path)
    }

    /// The declarations without which the documents of the members are not asked.
    fn missing_declarations(&self, members: &MembersPlan) -> Vec<String> {
        let truncated = members.truncated.is_none().then(|| "the name of truncated".to_owned());
        let apart = members.apart.is_none().then(|| self.projection_to_declare());
        truncated.into_iter().chain(apart).collect()
    }

    fn projection_to_declare(&self) -> String {
        let FromRelation { entity, field, conditions, .. } = self.from;
        let same = if conditions.is_empty() { "" } else { " with the same where" };
        let mut text = format!(
            "a projection of {entity}{same} that embeds the owner by reference = {field:?} and is searched"
        );
        let searches = self.projection.search.iter().flat_map(|search| &search.embeds);
        for searched in searches.filter(|searched| searched.embed == self.path) {
            let phones = Some(searched.phones.join(", ")).filter(|phones| !phones.is_empty());
            let phones = phones.map(|phones| format!(" and the phones {phones}"));
            text += &format!(" by the words {}{}", searched.words.join(", "), phones.unwrap_or_default());
        }
        let paths: Vec<&str> = self
            .filters()
            .filter(|filter| self.is_direct(filter))
            .filter_map(|filter| self.path_in(filter))
            .collect();
        if !paths.is_empty() {
            text += &format!(", with a filter of the {}", list_names("path", paths.into_iter()));
        }
        text
    }

    /// The filters that the projection of the members does not have.
    fn explain_loss_by_filters(&self, members: &MembersPlan) -> Option<String> {
        let lacks = |filter: &&FilterPlan| filter.apart.is_none() && self.is_direct(filter);
        let filters: Vec<&FilterPlan> = self.filters().filter(lacks).collect();
        let apart = self.collection.apart(members).filter(|_| !filters.is_empty())?;
        let names = list_names("filter", filters.iter().map(|filter| filter.name));
        let paths = list_names("path", filters.iter().filter_map(|filter| self.path_in(filter)));
        let name = apart.name();
        Some(format!(" by the {names}; declare a filter with the {paths} in the projection {name}"))
    }
}

/// `path a` or `paths a, b`.
fn list_names<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let plural = if names.len() > 1 { "s" } else { "" };
    format!("{word}{plural} {}", names.join(", "))
}
