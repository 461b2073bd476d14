//! The parts of documents that tell the place of an entity in its tree.

use super::{EmbedPlan, Projection, RelationPlanOf};

/// The members of a document that tell the entities above or below its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreePart {
    /// The projection of the document.
    pub projection: Projection,
    /// The members: the document's own, the embed, and those beside the embed.
    pub members: Vec<&'static str>,
}

impl Projection {
    /// The part that tells the children of an entity; `None` where its type makes no tree that a projection shows.
    pub fn children(self) -> Option<TreePart> {
        self.of_tree(tree_below)
    }

    /// The part that tells the entities above one; `None` where no projection of its type shows them.
    pub fn ancestors(self) -> Option<TreePart> {
        self.of_tree(tree_above)
    }

    /// The part of the projection that shows both, else of this one, else of another one of the same type.
    fn of_tree(self, part: fn(Self) -> Option<TreePart>) -> Option<TreePart> {
        let of_type = || self.plan().projections().filter(|other| other.of == self.of);
        let both = of_type().find(|other| tree_below(*other).is_some() && tree_above(*other).is_some());
        both.into_iter().chain([self]).chain(of_type()).find_map(part)
    }

    fn part(self, embeds: impl IntoIterator<Item = &'static str>) -> TreePart {
        let own = self.get().show.iter().map(|shown| shown.name);
        TreePart { projection: self, members: ["id", "stub"].into_iter().chain(own).chain(embeds).collect() }
    }

    fn is_tree(self, embed: &EmbedPlan) -> bool {
        embed.to == self.of
    }
}

fn tree_below(projection: Projection) -> Option<TreePart> {
    projection.get().embeds.iter().find_map(|embed| match &embed.by {
        RelationPlanOf::From(from) if projection.is_tree(embed) => {
            let beside = [from.count, from.truncated, from.descendants];
            Some(projection.part([Some(embed.name)].into_iter().chain(beside).flatten()))
        }
        _ => None,
    })
}

fn tree_above(projection: Projection) -> Option<TreePart> {
    let embeds = &projection.get().embeds;
    embeds.iter().find_map(|embed| match &embed.by {
        RelationPlanOf::Above { at, cycle, .. } if projection.is_tree(embed) => {
            let parent = embeds.iter().filter(|other| {
                matches!(other.by, RelationPlanOf::Reference { .. }) && other.starts_at() == Some(at.field)
            });
            let parent = parent.map(|other| other.name);
            Some(projection.part(parent.chain([embed.name]).chain(*cycle)))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use crate::plan::{CONTACTS, HIERARCHY, ORGANISATIONS};

    #[test]
    fn the_place_in_a_tree_is_told_by_the_projection_that_shows_both_ways() {
        let children = ORGANISATIONS.children().unwrap();
        assert_eq!(children.projection, HIERARCHY);
        let members =
            ["id", "stub", "name", "children", "childCount", "childrenTruncated", "descendantCount"];
        assert_eq!(children.members, members);
        let ancestors = ORGANISATIONS.ancestors().unwrap();
        assert_eq!(ancestors.projection, HIERARCHY);
        assert_eq!(ancestors.members, ["id", "stub", "name", "parent", "ancestors", "hierarchyCycle"]);
        assert_eq!(HIERARCHY.children(), Some(children));
        assert_eq!((CONTACTS.children(), CONTACTS.ancestors()), (None, None));
    }
}
