//! Whether a document waits: for its mark, or for a fan-out that has not come to it yet.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use crate::error::Result;
use crate::plan::PlanRef;
use crate::projection::Projection;
use crate::projection::reach::may_reach;
use crate::state::keys::{Space, dirty_key};
use crate::state::rows::{self, Task};
use crate::state::{Snapshot, backfills};

/// When more fan-outs wait, all documents do.
const TASKS_MAX: usize = 10_000;

/// The fan-outs of a snapshot.
#[derive(Debug, Default)]
pub(super) struct PendingWork {
    projections: HashSet<u8>,
    /// By the route and its rules, the entities from which it was begun.
    routes: HashMap<(u16, u128), HashSet<String>>,
    too_many: bool,
}

impl PendingWork {
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self> {
        let projections = backfills(snapshot.view())?.into_iter().map(|(projection, _)| projection).collect();
        let mut pending = Self { projections, ..Self::default() };
        if snapshot.progress().task_steps.is_empty() {
            return Ok(pending);
        }
        let mut count = 0;
        snapshot.view().scan(Space::TASKS, &[], &[], &mut |_, value| {
            let fan_out = rows::decode::<Task>(value)?.fan_out;
            pending.routes.entry((fan_out.route, fan_out.rules)).or_default().insert(fan_out.root);
            count += 1;
            pending.too_many = count >= TASKS_MAX;
            Ok(if pending.too_many { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(pending)
    }

    /// True when the document is marked, or may yet be by pending work.
    pub(super) fn touches(&self, snapshot: &Snapshot, projection: Projection, id: &str) -> Result<bool> {
        let number = projection.number();
        let marked = snapshot.view().get(Space::DIRTY, &dirty_key(number, id))?.is_some();
        if marked || self.too_many || self.projections.contains(&number) {
            return Ok(true);
        }
        let plan: PlanRef = projection.plan();
        for ((route, rules), roots) in &self.routes {
            let Some(route) = plan.route(*route) else { return Ok(true) };
            if may_reach(snapshot, (plan, route, *rules), (projection, id), &|id| roots.contains(id))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CHILDREN_OF, CONTACTS_OF, Hop};
    use crate::plan::{CONTACTS, HIERARCHY, ORGANISATIONS};
    use crate::projection::effects::FanOut;
    use crate::verify::world::World;

    /// c1 belongs to o2, which is below o1; o3 and its contact c3 are beside them.
    fn world() -> World {
        let world = World::default();
        world.organisation("o1", None);
        world.organisation("o2", Some("o1"));
        world.organisation("o3", None);
        world.contact("c1", "o2");
        world.contact("c3", "o3");
        world
    }

    fn find_touched(world: &World) -> Vec<String> {
        let snapshot = world.state.snapshot().unwrap();
        let pending = PendingWork::of(&snapshot).unwrap();
        let documents = [
            (ORGANISATIONS, ["o1", "o2", "o3"].as_slice()),
            (CONTACTS, &["c1", "c3"]),
            (HIERARCHY, &["o1", "o2", "o3"]),
        ];
        let mut touched = Vec::new();
        for (projection, ids) in documents {
            for id in ids {
                if pending.touches(&snapshot, projection, id).unwrap() {
                    touched.push(format!("{} {id}", projection.name()));
                }
            }
        }
        touched
    }

    #[test]
    fn a_mark_touches_its_document_alone() {
        let world = world();
        assert!(find_touched(&world).is_empty());
        world.mark(CONTACTS, "c3");
        assert_eq!(find_touched(&world), ["contacts c3"]);
    }

    #[test]
    fn a_fan_out_touches_what_it_may_mark() {
        let named = |fan_out: FanOut| {
            let world = world();
            world.task(fan_out);
            find_touched(&world)
        };
        let contacts = FanOut::of_builtin(Hop::Down { relation: CONTACTS_OF.number() }, "o3");
        assert_eq!(named(contacts), ["contacts c3"]);
        let below = FanOut::of_builtin(Hop::Below { relation: CHILDREN_OF.number() }, "o1");
        let under_o1 =
            ["organisations o1", "organisations o2", "contacts c1", "hierarchy o1", "hierarchy o2"];
        assert_eq!(named(below), under_o1);
        let world = world();
        world.backfill(CONTACTS);
        assert_eq!(find_touched(&world), ["contacts c1", "contacts c3"]);
    }

    #[test]
    fn what_was_below_a_deleted_organisation_is_touched_too() {
        let world = world();
        world.delete_organisation("o1");
        world.task(FanOut::of_builtin(Hop::Below { relation: CHILDREN_OF.number() }, "o1"));
        let touched = find_touched(&world);
        for expected in ["hierarchy o2", "contacts c1"] {
            assert!(touched.iter().any(|found| found == expected), "{touched:?}");
        }
    }
}
