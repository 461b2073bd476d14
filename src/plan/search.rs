//! How documents are searched, as it is compiled.

use super::{PlanRef, Projection};
use crate::searchable_fields::{SearchableFields, SortKind, ValueKind};

/// How the documents of a projection are searched.
#[derive(Debug)]
pub struct SearchPlan {
    /// The searched fields of a document itself.
    pub own: SearchableFields,
    /// The filters and facets, in the model's order.
    pub filters: Vec<FilterPlan>,
    /// The orders of hits beside the best first.
    pub sorts: Vec<SortPlan>,
    /// How `under` finds documents.
    pub under: Option<UnderPlan>,
    /// The members of a document that a hit shows beside id, name and score.
    pub hit: Vec<&'static str>,
    /// The members at a document's top that no hit needs.
    pub hidden: Vec<&'static str>,
    /// The `from` embeds that words or filters look into.
    pub members: Vec<MembersPlan>,
    /// The searched embeds of entities that a document refers to.
    pub referred: Vec<ReferredPlan>,
}

/// A filter, and the facet of the same name. Those of one projection have the order of their numbers.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilterPlan {
    /// Its number among the filters.
    pub number: u16,
    /// The name in a request.
    pub name: &'static str,
    /// The path of the value in a document, parts parted by dots.
    pub path: &'static str,
    /// The field of an index server.
    pub field: String,
    /// The kind of value.
    pub kind: ValueKind,
    /// The path of the object with any members that it looks into.
    pub inside: Option<String>,
    /// The number of the [`MembersPlan`] that it looks into; none for a value of the document itself.
    pub members: Option<usize>,
    /// The number of the same filter among those of the members' own projection.
    pub apart: Option<u16>,
}

/// An order of hits by a field.
#[derive(Debug, PartialEq, Eq)]
pub struct SortPlan {
    /// Its number among the orders.
    pub number: u16,
    /// The name in a request.
    pub name: &'static str,
    /// The member of a document.
    pub member: &'static str,
    /// The field of an index server.
    pub field: String,
    /// The kind of value.
    pub kind: SortKind,
}

/// How `under` finds documents: they are at the entity, or below it.
#[derive(Debug)]
pub struct UnderPlan {
    /// The name of the entity type whose tree it is.
    pub entity: String,
    /// The path of the entity in a document.
    pub at: String,
    /// The path of the ids above it.
    pub above: String,
    /// The `from` embed on the way, by its path.
    pub members: Option<String>,
    /// See [`MembersPlan::joined`].
    pub joined: Option<&'static str>,
}

/// A `from` embed that words or filters look into.
#[derive(Debug)]
pub struct MembersPlan {
    /// The path of the embed.
    pub path: &'static str,
    /// The searched fields; none where filters alone look into it.
    pub words: Option<SearchableFields>,
    /// The member of a hit that holds those which matched.
    pub label: String,
    /// The members that a matched one shows beside its id.
    pub hit: Vec<&'static str>,
    /// The member of a document that holds the true number.
    pub count: Option<&'static str>,
    /// The member of a document that says that not all are embedded.
    pub truncated: Option<&'static str>,
    /// Where those that are not embedded are found.
    pub apart: Option<ApartPlan>,
    /// The embed of the projection whose members are children, where these members are they or lie within them.
    pub joined: Option<&'static str>,
}

impl MembersPlan {
    /// True when the embedded members are found by their ids as well. Those that all have searched documents of their own
    /// are found by these; where every member is embedded, that does not depend on another projection.
    pub fn is_found_by_id(&self) -> bool {
        self.truncated.is_none() || self.apart.is_none()
    }
}

/// Documents of the members themselves, which show the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApartPlan {
    /// The number of their projection.
    pub projection: u8,
    /// The embed that shows the owner.
    pub owner: &'static str,
}

/// An embed of entities that a document refers to, whose words find the document.
#[derive(Debug)]
pub struct ReferredPlan {
    /// The name of the embed.
    pub name: &'static str,
    /// The searched fields.
    pub fields: Vec<&'static str>,
    /// The fields that hold phone numbers.
    pub phones: Vec<&'static str>,
}

/// A projection that is searched.
#[derive(Debug, Clone, Copy)]
pub struct Collection {
    projection: Projection,
    plan: &'static SearchPlan,
}

impl Collection {
    /// The projection as one that is searched; `None` when the model does not say how.
    pub fn of(projection: Projection) -> Option<Self> {
        projection.get().search.as_ref().map(|plan| Self { projection, plan })
    }

    /// Its projection.
    pub fn projection(self) -> Projection {
        self.projection
    }

    /// The name in a request, and of its projection.
    pub fn name(self) -> &'static str {
        self.projection.name()
    }

    /// How it is searched.
    pub fn get(self) -> &'static SearchPlan {
        self.plan
    }

    /// The collection of members that are not embedded.
    pub fn apart(self, members: &MembersPlan) -> Option<Self> {
        let number = members.apart?.projection;
        self.projection.plan().projection_of_number(number).and_then(Self::of)
    }

    /// The projections whose indexes a search looks in: documents are found by members that they do not embed as well.
    pub fn projections_to_search(self) -> Vec<Projection> {
        let mut searched = vec![self.projection];
        for members in &self.plan.members {
            searched
                .extend(self.apart(members).map(Self::projection).filter(|apart| !searched.contains(apart)));
        }
        searched
    }
}

impl PartialEq for Collection {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.plan, other.plan)
    }
}

impl Eq for Collection {}

impl PlanRef {
    /// The projections that are searched, in the model's order.
    pub fn collections(self) -> impl Iterator<Item = Collection> {
        self.projections().filter_map(Collection::of)
    }
}

impl SearchPlan {
    /// The `from` embeds whose words are searched, each with its number.
    pub fn members_to_search(&self) -> impl Iterator<Item = (usize, &MembersPlan, SearchableFields)> {
        let members = self.members.iter().enumerate();
        members.filter_map(|(number, members)| Some((number, members, members.words?)))
    }

    /// True when phone numbers of the document, or of entities that it refers to, are searched.
    pub fn has_numbers(&self) -> bool {
        !self.own.phones.is_empty() || self.referred.iter().any(|referred| !referred.phones.is_empty())
    }

    /// The filters that look into a `from` embed, or for `None` those of the document itself.
    pub fn filters_of(&self, members: Option<usize>) -> impl Iterator<Item = &FilterPlan> {
        self.filters.iter().filter(move |filter| filter.members == members)
    }
}

impl FilterPlan {
    /// The path behind the members that it looks into.
    pub fn path_in<'a>(&'a self, members: &MembersPlan) -> &'a str {
        self.path.strip_prefix(members.path).and_then(|rest| rest.strip_prefix('.')).unwrap_or(self.path)
    }
}
