//! The state's side of an explanation, from one snapshot. A running instance answers it over HTTP.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::computed_report::{ComputedReport, evaluate};
use super::part::{ITSELF, Part};
use crate::entity::Liveness;
use crate::error::{Error, Result};
use crate::plan::{Child, EmbedPlan, EntityType, FromPlan, Maximum, PlanRef, RelationPlanOf};
use crate::projection::effects::FanOut;
use crate::projection::reach::{may_reach, references};
use crate::projection::{Entities, Limits, Projection, key_now};
use crate::state::keys::{Space, dirty_key};
use crate::state::rows::{self, FoldProgress, Row, Task};
use crate::state::{Snapshot, State, backfills};

/// The most parts that are explained one by one.
pub(super) const PARTS_MAX: usize = 100;

/// The state's side of a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StateSide {
    /// The key of the document, where it is a child; an owner's id stands for the document's own.
    #[serde(default)]
    pub child: Option<String>,
    /// The role of the instance: `starting`, `writing`, `catching up`, `standing by`; `stopped` when none runs.
    pub instance: String,
    /// How far the fold is.
    pub progress: FoldProgress,
    /// The document as it is made from the state; none when the state calls for none.
    pub document: Option<Value>,
    /// The computed members.
    #[serde(default)]
    pub computed: Vec<ComputedReport>,
    /// True when the log is partial and holds no record of the document's entity: a document that one has made is left as
    /// it is.
    #[serde(default)]
    pub is_silent: bool,
    /// The step since which the document waits for its delivery.
    pub marked: Option<u64>,
    /// Fan-outs under way that may come to this document yet.
    pub fan_outs: u64,
    /// The concrete index that every document was marked for; empty when none.
    pub built_for: String,
    /// The entities that take part, the document's own first.
    pub parts: Vec<Part>,
    /// How many entities take part in all.
    pub parts_in_all: u64,
}

impl StateSide {
    /// Reads everything from one snapshot.
    ///
    /// # Errors
    /// Those of the state.
    pub fn of(
        state: &State,
        projection: Projection,
        id: &str,
        limits: Limits,
        instance: &str,
    ) -> Result<Self> {
        let snapshot = state.snapshot()?;
        let child = child_of(&snapshot, projection, id)?;
        let id = child.as_deref().unwrap_or(id);
        let mut json = Vec::new();
        let position = snapshot.progress().version();
        let exists = projection.materialise(&snapshot, id, limits, position, &mut json)?;
        let document = exists.then(|| serde_json::from_slice(&json)).transpose().map_err(|error| {
            Error::failure(format!("{}/{id}: the document is no JSON", projection.name())).because(error)
        })?;
        let mark = snapshot.view().get(Space::DIRTY, &dirty_key(projection.number(), id))?;
        let mut parts =
            PartCollector { snapshot: &snapshot, projection, limits, found: Vec::new(), in_all: 0 };
        parts.gather(id)?;
        let itself = parts.found.first().map(|part| part.row.registers.liveness());
        Ok(Self {
            child: child.clone(),
            instance: instance.to_owned(),
            computed: explain_computed(&snapshot, projection, (id, limits), document.as_ref())?,
            document,
            is_silent: state.is_partial() && itself == Some(Liveness::Unseen),
            marked: mark.and_then(|mark| Some(u64::from_be_bytes(mark.try_into().ok()?))),
            fan_outs: fan_outs(&snapshot, projection, id)?,
            built_for: state.index_built_for(projection.name())?,
            parts_in_all: parts.in_all,
            parts: parts.found,
            progress: snapshot.progress().clone(),
        })
    }
}

/// The key of a child whose id is `<embed>/<member>`, by the owner that the member refers to now.
fn child_of(snapshot: &Snapshot, projection: Projection, id: &str) -> Result<Option<String>> {
    for (embed, relation) in projection.child_embeds() {
        let member = id.strip_prefix(embed.name).and_then(|rest| rest.strip_prefix('/'));
        if let Some(member) = member {
            return key_now(snapshot, &Child { embed, relation, owner: "".into(), member });
        }
    }
    Ok(None)
}

/// The computed members, which are made of a document with all its members.
fn explain_computed(
    snapshot: &Snapshot,
    projection: Projection,
    (id, limits): (&str, Limits),
    document: Option<&Value>,
) -> Result<Vec<ComputedReport>> {
    let Some(document) = document.filter(|_| projection.child(id).is_none()) else { return Ok(Vec::new()) };
    if projection.get().compute.is_empty() || !projection.has_children() {
        return Ok(evaluate(projection, document));
    }
    let mut json = Vec::new();
    projection.materialise_whole(snapshot, id, limits, 0, &mut json)?;
    Ok(serde_json::from_slice(&json).map(|whole| evaluate(projection, &whole)).unwrap_or_default())
}

struct PartCollector<'a> {
    snapshot: &'a Snapshot,
    projection: Projection,
    limits: Limits,
    found: Vec<Part>,
    in_all: u64,
}

impl PartCollector<'_> {
    fn gather(&mut self, id: &str) -> Result<()> {
        if let Some(child) = self.projection.child(id) {
            let (of, name) = (child.relation.member(), child.embed.name);
            self.add(name, of, child.member)?;
            return self.embeds(&child.embed.embeds, name, (of, child.member));
        }
        let entity_type = self.projection.entity_type();
        self.add(ITSELF, entity_type, id)?;
        if self.snapshot.liveness(Space::of_type(entity_type), id)? != Liveness::Deleted {
            self.embeds(&self.projection.get().embeds, "", (entity_type, id))?;
        }
        Ok(())
    }

    /// The entities that embeds show of one: those above it first, because each of them has one place.
    fn embeds(
        &mut self,
        embeds: &'static [EmbedPlan],
        path: &str,
        (of, id): (EntityType, &str),
    ) -> Result<()> {
        let rank = |embed: &&EmbedPlan| match embed.by {
            RelationPlanOf::Above { .. } => 0,
            RelationPlanOf::Reference { .. } => 1,
            RelationPlanOf::From(_) => 2,
        };
        // The first of the entities above is the one that the reference names.
        let is_above = |field| {
            let is_this = |embed: &EmbedPlan| {
                matches!(embed.by, RelationPlanOf::Above { .. }) && embed.starts_at() == field
            };
            embeds.iter().any(is_this)
        };
        let is_told = |embed: &&EmbedPlan| {
            !matches!(embed.by, RelationPlanOf::Reference { .. }) || !is_above(embed.starts_at())
        };
        let mut sorted: Vec<&'static EmbedPlan> = embeds.iter().filter(is_told).collect();
        sorted.sort_by_key(rank);
        for embed in sorted {
            let path = if path.is_empty() { embed.name.to_owned() } else { format!("{path}.{}", embed.name) };
            let Some(to) = of.plan().entity_type_of_number(embed.to) else { continue };
            let ids = match &embed.by {
                RelationPlanOf::Reference { at, .. } => {
                    references(self.snapshot, of, id, at.field)?.ids().to_vec()
                }
                RelationPlanOf::Above { at, .. } => self.ids_above((of, at.field), id)?,
                RelationPlanOf::From(from) => self.ids_below(of.plan(), from, id)?,
            };
            for member in ids {
                if self.add(&path, to, &member)? && !embed.embeds.is_empty() {
                    self.embeds(&embed.embeds, &path, (to, &member))?;
                }
            }
        }
        Ok(())
    }

    /// The entities above `id`, up to the root or to the first that is deleted: it is why the chain ends there.
    fn ids_above(&self, (of, field): (EntityType, u16), id: &str) -> Result<Vec<Arc<str>>> {
        let (mut ids, mut above) = (HashSet::from([Arc::<str>::from(id)]), Vec::new());
        let mut next = references(self.snapshot, of, id, field)?.first().cloned();
        while let Some(id) = next {
            if !ids.insert(Arc::clone(&id)) {
                break;
            }
            next = references(self.snapshot, of, &id, field)?.first().cloned();
            above.push(id);
        }
        Ok(above)
    }

    /// The members that are embedded, as far as the document embeds them.
    fn ids_below(&mut self, plan: PlanRef, from: &FromPlan, id: &str) -> Result<Vec<Arc<str>>> {
        let max = match from.max {
            Maximum::Of(max) => usize::try_from(max).unwrap_or(usize::MAX),
            Maximum::Configured => self.limits.max_embedded_contacts,
        };
        let room = PARTS_MAX.saturating_sub(self.found.len());
        let (mut ids, mut count) = (Vec::new(), 0);
        let Some(relation) = plan.relation_of_number(from.relation) else { return Ok(ids) };
        self.snapshot.members(relation, id, &mut |member, _| {
            if count < max.min(room) {
                ids.push(member.into());
            }
            count += 1;
            if count < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        self.in_all += (count - ids.len()) as u64;
        Ok(ids)
    }

    /// Adds an entity, once for each of its roles. False when it was there.
    fn add(&mut self, role: &str, of: EntityType, id: &str) -> Result<bool> {
        let is_there = |part: &Part| part.id == id && part.role == role;
        if self.found.iter().any(is_there) {
            return Ok(false);
        }
        self.in_all += 1;
        if self.found.len() >= PARTS_MAX {
            return Ok(false);
        }
        let mut part = Part { role: role.to_owned(), id: id.to_owned(), row: Row::default() };
        if let Some(bytes) = self.snapshot.view().get(Space::of_type(of), id.as_bytes())? {
            part.row = rows::decode(&bytes)?;
        }
        self.found.push(part);
        Ok(true)
    }
}

/// How many fan-outs and backfills may come to the document yet.
fn fan_outs(snapshot: &Snapshot, projection: Projection, id: &str) -> Result<u64> {
    let plan = projection.plan();
    let backfills = backfills(snapshot.view())?;
    let mut count = backfills.iter().filter(|(number, _)| *number == projection.number()).count() as u64;
    snapshot.view().scan(Space::TASKS, &[], &[], &mut |_, value| {
        let FanOut { route, rules, root, .. } = rows::decode::<Task>(value)?.fan_out;
        if let Some(route) = plan.route(route) {
            let is_root = |id: &str| id == root;
            count += u64::from(may_reach(snapshot, (plan, route, rules), (projection, id), &is_root)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use crate::plan::{CONTACT, ORGANISATION};
    use crate::plan::{CONTACTS, HIERARCHY, ORGANISATIONS, builtin};
    use std::sync::Arc;

    use super::*;
    use crate::event::{Action, Event, EventField};
    use crate::plan::{CHILDREN_OF, CONTACTS_OF, FieldSet, Hop};
    use crate::state::memory::MemoryStore;
    use crate::state::rows::Backfill;
    use crate::state::store::{Changes, StateStore};

    #[test]
    fn a_document_that_nothing_speaks_of_has_its_own_part_only() {
        let state = State::open(Arc::new(MemoryStore::default()), builtin(), "f").unwrap();
        let limits = Limits { max_embedded_contacts: 10 };
        let side = StateSide::of(&state, ORGANISATIONS, "o1", limits, "stopped").unwrap();
        assert!(side.document.is_none() && side.marked.is_none());
        assert_eq!((side.parts.len(), side.parts_in_all), (1, 1));
    }

    #[test]
    fn fan_outs_that_cannot_reach_the_document_do_not_count() {
        let store = Arc::new(MemoryStore::default());
        let below = FanOut::of_builtin(Hop::Below { relation: CHILDREN_OF.number() }, "o0");
        // The name alone leads to the documents of organisations, a move to those of contacts as well.
        let of_moves = ORGANISATION.triggers.iter().position(|trigger| {
            *trigger == FieldSet::LIVENESS.with(FieldSet::of(ORGANISATION.field("parentId").unwrap()))
        });
        let moves = 1 << of_moves.unwrap();
        let fan_outs_written = [
            FanOut::of_builtin(Hop::Down { relation: CONTACTS_OF.number() }, "o1"),
            FanOut::of_builtin(Hop::Down { relation: CONTACTS_OF.number() }, "o2"),
            below.clone(),
            FanOut { rules: below.rules & !moves, ..below },
        ];
        let mut changes = Changes::default();
        for (number, fan_out) in fan_outs_written.into_iter().enumerate() {
            let task = Task { step: 1, fan_out, after: Vec::new() };
            changes.put(Space::TASKS, vec![number as u8], rows::encode(&task).unwrap());
        }
        for projection in [CONTACTS, HIERARCHY] {
            let backfill = Backfill { step: 1, marks_from: None, cursor: String::new(), done: 0 };
            changes.put(Space::BACKFILLS, vec![projection.number()], rows::encode(&backfill).unwrap());
        }
        // The contact belongs to o1, which is below o0.
        for (of, id, reference, to) in
            [(CONTACT, "c1", "organisationId", "o1"), (ORGANISATION, "o1", "parentId", "o0")]
        {
            let field =
                EventField { name: reference.to_owned(), json: format!("\"{to}\"").into_bytes().into() };
            let mut row = Row::default();
            row.registers.apply(&Event {
                kind: of,
                id: id.to_owned(),
                version: 1,
                sequenced: true,
                action: Action::Replace,
                fields: vec![field],
            });
            changes.put(Space::of_type(of), id.into(), rows::encode(&row).unwrap());
        }
        store.commit(changes).unwrap();
        let state = State::open(store, builtin(), "f").unwrap();
        let snapshot = state.snapshot().unwrap();
        assert_eq!(fan_outs(&snapshot, CONTACTS, "c1").unwrap(), 3);
        assert_eq!(fan_outs(&snapshot, ORGANISATIONS, "o1").unwrap(), 2);
    }
}
