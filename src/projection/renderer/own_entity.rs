//! The entity whose document is made, and the entities that embed others, as they are read.

use std::borrow::Cow;

use crate::entity::{EntityFields, Fields, Header, Liveness, References, reference, value_at};
use crate::json::{Name, Object};
use crate::plan::{ProjectionPlan, ReferenceAt, ShownField, TypePlan};
use crate::projection::search::{ComputedMembers, find, push_titled, title, write_sort};
use crate::searchable_fields::SearchableFields;

/// An entity that embeds others.
pub(super) enum OwnEntity<'a> {
    /// The document's own entity, with its title as JSON where that is a declared field.
    Entity(&'a TypePlan, &'a Fields<'a>, Option<Cow<'a, [u8]>>),
    /// One by its header.
    Header(&'a Header),
    /// A member of a relation, by the references in its row.
    Row(&'a [References]),
}

impl<'a> OwnEntity<'a> {
    /// A document's own entity. Its title is put together once, because the document shows it and is sorted and found by it.
    pub(super) fn of_entity(
        of: &'a TypePlan,
        entity: &'a Fields<'a>,
        searched: Option<SearchableFields>,
    ) -> Self {
        let searched = searched.filter(|_| entity.liveness() == Liveness::Alive);
        Self::Entity(of, entity, searched.and_then(|searched| title(of, entity, searched, &[])))
    }

    pub(super) fn liveness(&self) -> Liveness {
        match self {
            Self::Entity(_, entity, _) => entity.liveness(),
            Self::Header(header) => header.liveness,
            Self::Row(_) => Liveness::Alive,
        }
    }

    /// The entity that a reference names which is no list.
    pub(super) fn reference(&self, at: ReferenceAt) -> Option<Cow<'_, str>> {
        match self {
            Self::Entity(of, entity, _) => reference(*entity, of.field_at(at.field).name),
            Self::Header(header) => header.reference(at.slot).first().map(|id| Cow::Borrowed(&**id)),
            Self::Row(references) => {
                references.get(usize::from(at.slot))?.first().map(|id| Cow::Borrowed(&**id))
            }
        }
    }

    /// The entities that a reference names.
    pub(super) fn references(&self, at: ReferenceAt) -> References {
        match self {
            Self::Entity(of, entity, _) => References::of(*entity, of.field_at(at.field).name),
            Self::Header(header) => header.reference(at.slot).clone(),
            Self::Row(references) => references.get(usize::from(at.slot)).cloned().unwrap_or_default(),
        }
    }

    /// Writes the own fields that a document shows.
    pub(super) fn write(&self, object: &mut Object<'_>, plan: &ProjectionPlan) {
        if self.liveness() != Liveness::Alive {
            return;
        }
        match self {
            Self::Entity(of, entity, title) => {
                let title = title.as_deref().zip(plan.words.map(|searched| searched.title));
                for ShownField { name, field, .. } in &plan.show {
                    match title {
                        Some((title, named)) if named == *name => object.raw(Name::plain(name), title),
                        _ => object.raw_if(Name::plain(name), value_at(of, *field, *entity).as_deref()),
                    }
                }
                if let Some(rest) = plan.rest {
                    write_rest(object, rest, entity, &of.known);
                }
            }
            Self::Header(header) => {
                for ShownField { name, slot, .. } in &plan.show {
                    object.raw_if(Name::plain(name), header.field(*slot));
                }
            }
            Self::Row(_) => {}
        }
    }

    /// The title that the document shows, as JSON.
    pub(super) fn title<'b>(
        &'b self,
        searched: SearchableFields,
        computed: &'b ComputedMembers,
    ) -> Option<&'b [u8]> {
        match self {
            Self::Entity(_, _, Some(title)) => Some(title),
            Self::Entity(of, entity, None)
                if entity.liveness() == Liveness::Alive && of.field_named(searched.title).is_none() =>
            {
                find(computed, searched.title)
            }
            _ => None,
        }
    }

    /// Writes how the document is sorted by its title.
    pub(super) fn write_sort(
        &self,
        search: &mut Object<'_>,
        title: Option<&[u8]>,
        searched: SearchableFields,
    ) {
        if let Self::Entity(of, ..) = self {
            write_sort(search, title, of.field_named(searched.title).is_none());
        }
    }

    /// Appends the words of the own fields.
    pub(super) fn push_words(
        &self,
        out: &mut Vec<u8>,
        begin: usize,
        title: Option<&[u8]>,
        (searched, computed): (SearchableFields, &ComputedMembers),
    ) {
        // An unseen entity shows no default.
        if let Self::Entity(of, entity, _) = self
            && self.liveness() == Liveness::Alive
        {
            push_titled(out, begin, (of, *entity, title), searched, computed);
        }
    }
}

/// Writes the fields that are not declared.
fn write_rest(object: &mut Object<'_>, rest: &str, entity: &Fields<'_>, known: &[&str]) {
    let mut unknown = entity.fields_except(known).peekable();
    if unknown.peek().is_some() {
        object.object(rest, |object| unknown.for_each(|(name, json)| object.raw(name, json)));
    }
}
