//! Routes: the ways from a changed entity to the documents that show it.
//!
//! A document reads along a path of hops. The way back has the hops in the opposite order, each turned round.

use super::FieldSet;

/// A hop on the way back from an entity to the documents that show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// To the entities that a reference of the entity names.
    Up {
        /// The type of the entity.
        of: u8,
        /// The reference.
        field: u16,
    },
    /// To all entities above, by a tree's reference.
    Above {
        /// The type of the entity.
        of: u8,
        /// The reference.
        field: u16,
    },
    /// To the members of a relation.
    Down {
        /// The relation.
        relation: u8,
    },
    /// To all entities below, by a tree's relation.
    Below {
        /// The relation.
        relation: u8,
    },
}

/// A hop, the documents that it leads to, and the hops after it. Routes that begin alike share their beginning.
#[derive(Debug)]
pub struct Route {
    /// Its number in the plan.
    pub number: u16,
    /// The hop.
    pub hop: Hop,
    /// The documents of the entities that it leads to.
    pub marks: Vec<Mark>,
    /// The hops that follow.
    pub next: Vec<u16>,
    /// The rules of its marks and of all behind it.
    pub rules: u128,
}

/// Documents that a route leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The projection.
    pub projection: u8,
    /// The number of the embed where they are children: the last hop leads from a member to its owner, or the other way.
    pub child: Option<u8>,
    /// The bit of the rule: the mark is made where this rule was set off.
    pub rule: u128,
}

/// A way back, before routes are put together.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) hops: Vec<Hop>,
    pub(super) target: WayEnd,
    pub(super) trigger: FieldSet,
}

/// The documents that a way leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WayEnd {
    pub(super) projection: u8,
    /// See [`Mark::child`].
    pub(super) child: Option<u8>,
}

/// Leaves out the ways to the members of a tree where another way goes to all below, for the same changes and documents.
pub(super) fn distinct(ways: Vec<Way>) -> Vec<Way> {
    let is_covered = |way: &Way| {
        let all_below: Vec<Hop> = way.hops.iter().map(|hop| hop.to_all()).collect();
        all_below != way.hops
            && ways.iter().any(|other| {
                other.target == way.target && other.hops == all_below && way.trigger.is_within(other.trigger)
            })
    };
    let covered: Vec<bool> = ways.iter().map(is_covered).collect();
    ways.into_iter().zip(covered).filter(|(_, is_covered)| !is_covered).map(|(way, _)| way).collect()
}

impl Hop {
    /// The hop to all below in the place of one to the members.
    fn to_all(self) -> Self {
        match self {
            Self::Down { relation } => Self::Below { relation },
            other => other,
        }
    }
}

/// The rules from this one on share a bit.
const TOLD_APART: usize = 127;

/// Puts the ways of one entity type together; answers the first hops and the triggers of the rules.
pub(super) fn join(ways: Vec<Way>, routes: &mut Vec<Route>) -> (Vec<u16>, Vec<FieldSet>) {
    let (mut first, mut triggers) = (Vec::new(), Vec::<FieldSet>::new());
    for way in ways {
        let known = triggers.iter().position(|trigger| *trigger == way.trigger);
        let rule = known.unwrap_or(triggers.len()).min(TOLD_APART);
        match triggers.get_mut(rule) {
            Some(trigger) => *trigger = trigger.with(way.trigger),
            None => triggers.push(way.trigger),
        }
        let bit = 1 << rule;
        let mut at: Option<u16> = None;
        for hop in way.hops {
            let siblings = at.and_then(|at| routes.get(usize::from(at))).map_or(&first, |route| &route.next);
            let is_this =
                |number: &&u16| routes.get(usize::from(**number)).is_some_and(|route| route.hop == hop);
            let number = siblings.iter().find(is_this).copied().unwrap_or_else(|| {
                let number = u16::try_from(routes.len()).unwrap_or(u16::MAX);
                routes.push(Route { number, hop, marks: Vec::new(), next: Vec::new(), rules: 0 });
                let parent = at.and_then(|at| routes.get_mut(usize::from(at)));
                parent.map_or(&mut first, |route| &mut route.next).push(number);
                number
            });
            if let Some(route) = routes.get_mut(usize::from(number)) {
                route.rules |= bit;
            }
            at = Some(number);
        }
        if let Some(route) = at.and_then(|at| routes.get_mut(usize::from(at))) {
            let WayEnd { projection, child } = way.target;
            route.marks.push(Mark { projection, child, rule: bit });
        }
    }
    (first, triggers)
}
