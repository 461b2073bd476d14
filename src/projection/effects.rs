//! The documents, rows and fan-outs that a changed entity affects.
//!
//! Marks made at once are those that can be named without walking down: the entity's own documents, and those that are
//! reached upwards. Everything below is left to [`FanOut`] in bounded steps. An entity that joins or leaves a subtree
//! meanwhile is changed itself, and its own change marks it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::omission::{self, Trigger};
use super::{Projection, owners, row};
use crate::entity::{Liveness, References, Registers, value};
use crate::error::Result;
use crate::plan::{EntityType, FieldSet, Hop, Mark, PlanRef, Relation, Route, TypePlan, child_key};

/// A row of a relation: put with a value, removed without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationRow {
    /// The relation.
    pub relation: Relation,
    /// The entity that the member refers to.
    pub owner: String,
    /// The member.
    pub member: String,
    /// The value to put; `None` removes the row.
    pub value: Option<Vec<u8>>,
}

/// Marks that a change calls for below an entity, made in bounded steps.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FanOut {
    /// The number of the route whose hop is made.
    pub route: u16,
    /// The rules that were set off.
    pub rules: u128,
    /// The entity from which the hop was begun.
    pub root: String,
    /// The one whose members are handled; below the root where the hop goes to all below.
    pub node: String,
}

/// The writes of a fold step beside the entities' own rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Documents that changed, or may have.
    pub marks: BTreeSet<(Projection, String)>,
    /// Changes of relations.
    pub rows: Vec<RelationRow>,
    /// The fan-outs to the documents below.
    pub fan_outs: Vec<FanOut>,
}

/// Looks up the entities that a reference of an entity names.
pub type Lookup<'a> = dyn Fn(EntityType, &str, u16) -> Result<References> + 'a;

/// The change of one entity.
struct EntityChange<'a> {
    entity_type: EntityType,
    id: &'a str,
    before: &'a Registers,
    after: &'a Registers,
    /// The rules that it sets off.
    rules: u128,
}

impl Effects {
    /// Adds the effects of an entity's change. `was` looks up references as they were before this step, `is` as
    /// they are after it.
    ///
    /// # Errors
    /// Those of the lookups.
    pub fn of(
        &mut self,
        entity_type: EntityType,
        id: &str,
        (before, after): (&Registers, &Registers),
        was: &Lookup<'_>,
        is: &Lookup<'_>,
    ) -> Result<()> {
        let plan = entity_type.get();
        let changed = find_changes(plan, before, after);
        if changed.is_empty() {
            return Ok(());
        }
        for projection in entity_type.plan().projections() {
            let is_own = projection.of == entity_type.number() && projection.trigger.meets(changed);
            if is_own && !omission::is_left_out(Trigger::Own) {
                self.marks.insert((projection, id.to_owned()));
            }
        }
        for relation in entity_type.relations().filter(|relation| relation.trigger.meets(changed)) {
            self.put_rows(relation, id, before, after);
        }
        let set_off = plan.triggers.iter().enumerate().filter(|(_, trigger)| trigger.meets(changed));
        let rules = set_off.fold(0, |rules, (rule, _)| rules | 1 << rule);
        self.begin(&EntityChange { entity_type, id, before, after, rules }, was, is)
    }

    /// Adds the documents affected by an intermediate state, where one commit folds several events. Relations follow the
    /// final state only.
    pub fn pass(&mut self, passing: Self) {
        self.marks.extend(passing.marks);
        let mut fan_outs = passing.fan_outs;
        fan_outs.dedup();
        for fan_out in fan_outs {
            if !self.fan_outs.iter().rev().take(4).any(|other| *other == fan_out) {
                self.fan_outs.push(fan_out);
            }
        }
    }

    fn put_rows(&mut self, relation: Relation, id: &str, before: &Registers, after: &Registers) {
        if omission::is_left_out(Trigger::Row) {
            return;
        }
        let (old, new) = (owners(relation, before), owners(relation, after));
        for owner in old.into_iter().filter(|owner| !new.contains(owner)) {
            self.rows.push(RelationRow { relation, owner, member: id.to_owned(), value: None });
        }
        if new.is_empty() {
            return;
        }
        let value = row(relation, id, after);
        for owner in new {
            self.rows.push(RelationRow {
                relation,
                owner,
                member: id.to_owned(),
                value: Some(value.clone()),
            });
        }
    }

    /// Makes the first hops of the routes from the changed entity.
    fn begin(&mut self, change: &EntityChange<'_>, was: &Lookup<'_>, is: &Lookup<'_>) -> Result<()> {
        let plan = change.entity_type.plan();
        for route in routes(plan, &change.entity_type.get().routes, change.rules) {
            match route.hop {
                Hop::Up { field, .. } => {
                    let [old, new] = change.references(field);
                    for id in old.ids().iter().chain(new.ids().iter().filter(|id| !old.ids().contains(id))) {
                        self.arrive((plan, route, change.rules), (change.id, id), is)?;
                    }
                }
                Hop::Above { field, .. } => {
                    let [old, new] = change.references(field);
                    for (references, look_up) in [(old, was), (new, is)] {
                        for above in chain(change.entity_type, field, references, look_up)? {
                            self.arrive((plan, route, change.rules), (change.id, &above), look_up)?;
                        }
                    }
                }
                Hop::Down { .. } | Hop::Below { .. } => {
                    self.fan_outs.push(FanOut::begin(route, change.rules, change.id));
                }
            }
        }
        Ok(())
    }

    /// Marks the documents that a route leads to at an entity, and goes on from there.
    fn arrive(
        &mut self,
        (plan, route, rules): (PlanRef, &Route, u128),
        hop: (&str, &str),
        is: &Lookup<'_>,
    ) -> Result<()> {
        let Effects { marks, fan_outs, .. } = self;
        arrive((plan, route, rules), hop, is, &mut |arrived| match arrived {
            Arrival::Document(projection, id) => {
                marks.insert((projection, id));
            }
            Arrival::FanOut(fan_out) => fan_outs.push(fan_out),
        })
    }
}

impl EntityChange<'_> {
    /// The entities that a reference named before and after.
    fn references(&self, field: u16) -> [References; 2] {
        let name = self.entity_type.field_at(field).name;
        [References::of(self.before, name), References::of(self.after, name)]
    }
}

impl FanOut {
    /// All that a hop of the built-in model leads to, from an entity on.
    #[cfg(test)]
    pub(crate) fn of_builtin(hop: Hop, root: &str) -> Self {
        let plan = crate::plan::builtin();
        let of_type = crate::plan::ORGANISATION.get();
        let mut routes = of_type.routes.iter().filter_map(|number| plan.route(*number));
        let route = routes.find(|route| route.hop == hop).unwrap();
        Self::begin(route, u128::MAX, root)
    }

    fn begin(route: &Route, rules: u128, root: &str) -> Self {
        Self { route: route.number, rules: rules & route.rules, root: root.to_owned(), node: root.to_owned() }
    }
}

/// The end of a hop.
pub enum Arrival {
    /// A document, by its key.
    Document(Projection, String),
    /// A hop downwards that is to be made.
    FanOut(FanOut),
}

/// Visits the goals of a route at the entity `id`, to which its hop leads from `from`. They are the route's own
/// documents, those behind hops upwards, and hops downwards.
///
/// # Errors
/// Those of the lookups.
pub fn arrive(
    (plan, route, rules): (PlanRef, &Route, u128),
    (from, id): (&str, &str),
    is: &Lookup<'_>,
    visit: &mut dyn FnMut(Arrival),
) -> Result<()> {
    for mark in route.marks.iter().filter(|mark| mark.rule & rules != 0) {
        if let Some(projection) = plan.projection_of_number(mark.projection) {
            visit(Arrival::Document(projection, document((projection, mark), route.hop, (from, id))));
        }
    }
    for next in routes(plan, &route.next, rules) {
        match next.hop {
            Hop::Up { of, field } => {
                let Some(of) = plan.entity_type_of_number(of) else { continue };
                for above in is(of, id, field)?.ids() {
                    arrive((plan, next, rules), (id, above), is, visit)?;
                }
            }
            Hop::Above { of, field } => {
                let Some(of) = plan.entity_type_of_number(of) else { continue };
                for above in chain(of, field, is(of, id, field)?, is)? {
                    arrive((plan, next, rules), (id, &above), is, visit)?;
                }
            }
            Hop::Down { .. } | Hop::Below { .. } => visit(Arrival::FanOut(FanOut::begin(next, rules, id))),
        }
    }
    Ok(())
}

/// The key of the document that a mark means at the end of a hop.
fn document((projection, mark): (Projection, &Mark), hop: Hop, (from, id): (&str, &str)) -> String {
    let embed = mark.child.and_then(|number| projection.get().embeds.get(usize::from(number)));
    match (embed, hop) {
        (None, _) => id.to_owned(),
        (Some(embed), Hop::Up { .. } | Hop::Above { .. }) => child_key(embed.name, id, from),
        (Some(embed), Hop::Down { .. } | Hop::Below { .. }) => child_key(embed.name, from, id),
    }
}

/// The routes of these numbers that lead to something by these rules.
fn routes(plan: PlanRef, numbers: &[u16], rules: u128) -> impl Iterator<Item = &'static Route> {
    let routes = numbers.iter().filter_map(move |number| plan.route(*number));
    routes.filter(move |route| route.rules & rules != 0 && !omission::is_left_out(Trigger::of(route.hop)))
}

/// The entities from the one that `first` names up to the root of the tree, each once.
fn chain(of: EntityType, field: u16, first: References, look_up: &Lookup<'_>) -> Result<Vec<Arc<str>>> {
    let (mut chain, mut ids) = (Vec::new(), HashSet::new());
    let mut next = first.first().cloned();
    while let Some(id) = next {
        if !ids.insert(Arc::clone(&id)) {
            break;
        }
        next = look_up(of, &id, field)?.first().cloned();
        chain.push(id);
    }
    Ok(chain)
}

/// The parts of an entity that differ, as documents show them.
fn find_changes(of: &TypePlan, before: &Registers, after: &Registers) -> FieldSet {
    let mut changed = FieldSet::EMPTY;
    if before.liveness() != after.liveness() {
        changed = FieldSet::LIVENESS;
    }
    let (mut old, mut new) = (before.fields().peekable(), after.fields().peekable());
    loop {
        let name = match (old.peek(), new.peek()) {
            (None, None) => break,
            (Some((name, _)), None) | (None, Some((name, _))) => *name,
            (Some((left, _)), Some((right, _))) => *left.min(right),
        };
        let (old, new) = (old.next_if(|(field, _)| *field == name), new.next_if(|(field, _)| *field == name));
        if old != new {
            changed = changed.with(of.field(name).map_or(FieldSet::REST, FieldSet::of));
        }
    }
    if changed.is_empty() || of.fields.iter().all(|field| field.absent.is_none()) {
        return changed;
    }
    // Only a living entity shows a default, and a program may fail over the fields of another one.
    let shown = |field, of| if Registers::liveness(of) == Liveness::Alive { value(field, of) } else { None };
    let is_same = |field| shown(field, before) == shown(field, after);
    for (number, field) in of.fields.iter().enumerate().filter(|(_, field)| field.absent.is_some()) {
        changed = if is_same(field) {
            changed.without(FieldSet::of(number))
        } else {
            changed.with(FieldSet::of(number))
        };
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Action, Event, EventField};
    use crate::plan::{CONTACT, HIERARCHY, ORGANISATION};

    fn state(fields: &[(&str, &str)]) -> Registers {
        let mut registers = Registers::default();
        registers.apply(&Event {
            kind: CONTACT,
            id: "x".to_owned(),
            version: 1,
            sequenced: true,
            action: Action::Replace,
            fields: fields
                .iter()
                .map(|(name, json)| EventField { name: (*name).to_owned(), json: json.as_bytes().into() })
                .collect(),
        });
        registers
    }

    fn of_contact(before: &Registers, after: &Registers) -> Effects {
        let mut effects = Effects::default();
        let nothing = |_: EntityType, _: &str, _: u16| Ok(References::Absent);
        effects.of(CONTACT, "c1", (before, after), &nothing, &nothing).unwrap();
        effects
    }

    #[test]
    fn a_moved_contact_affects_both_organisations() {
        let effects =
            of_contact(&state(&[("organisationId", "\"o1\"")]), &state(&[("organisationId", "\"o2\"")]));
        let marked: Vec<&str> = effects.marks.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!(marked, ["o1", "o2", "c1"]);
        assert_eq!(effects.rows[0].value, None);
        assert!(effects.rows[1].value.is_some());
    }

    #[test]
    fn a_field_that_is_not_embedded_leaves_the_organisation_alone() {
        let effects = of_contact(
            &state(&[("organisationId", "\"o1\"")]),
            &state(&[("organisationId", "\"o1\""), ("hobby", "\"chess\"")]),
        );
        assert_eq!(effects.marks.len(), 1);
        assert!(effects.rows.is_empty());
    }

    #[test]
    fn an_unchanged_entity_marks_nothing() {
        let same = state(&[("name", "\"a\"")]);
        assert_eq!(of_contact(&same, &same), Effects::default());
        let mut effects = Effects::default();
        let unreachable = |_: EntityType, _: &str, _: u16| unreachable!();
        effects.of(ORGANISATION, "o1", (&same, &same), &unreachable, &unreachable).unwrap();
        assert_eq!(effects, Effects::default());
    }

    #[test]
    fn a_move_marks_the_counts_of_the_old_and_of_the_new_chain() {
        let chain = |_: EntityType, id: &str, _: u16| {
            Ok(match id {
                "old" => References::One("top".into()),
                "new" => References::One("other".into()),
                _ => References::Absent,
            })
        };
        let mut effects = Effects::default();
        let (before, after) = (state(&[("parentId", "\"old\"")]), state(&[("parentId", "\"new\"")]));
        effects.of(ORGANISATION, "x", (&before, &after), &chain, &chain).unwrap();
        let hierarchy = effects.marks.iter().filter(|(projection, _)| *projection == HIERARCHY);
        let marked: Vec<&str> = hierarchy.map(|(_, id)| id.as_str()).collect();
        assert_eq!(marked, ["new", "old", "other", "top", "x"]);
    }
}
