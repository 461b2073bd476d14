//! Fan-out: the dependent documents of a change, marked in bounded steps that a crash resumes.
//!
//! Tasks are taken in the order in which they came, many small ones in one step.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::fold::{StateWriter, Step};
use crate::error::Result;
use crate::plan::{EntityType, Hop, Relation};
use crate::projection::Projection;
use crate::projection::effects::{Arrival, FanOut, arrive};
use crate::state::keys::{Space, member_of, owner_prefix};
use crate::state::rows::{self, Task};
use crate::state::store::{Changes, Reader};

/// The documents that a step of a task found.
#[derive(Default)]
struct FanOutStep {
    marks: Vec<(Projection, String)>,
    fan_outs: Vec<FanOut>,
    /// How many entries were looked at.
    entry_count: usize,
    /// Where to go on; `None` when the task is done.
    after: Option<Vec<u8>>,
}

impl StateWriter {
    /// Goes on with the fan-outs, the oldest first, for one bounded step; its number is 0 when none waits.
    pub fn fan_out(&mut self) -> Result<Step> {
        let view = self.state.view();
        let waiting = waiting(&*view, &self.tasks_done, self.tuning.step_tasks_max)?;
        if waiting.is_empty() {
            return Ok(Step::default());
        }
        let mut progress = self.progress.clone();
        progress.step += 1;
        let mut changes = Changes::default();
        let mut marks = BTreeSet::new();
        let mut left = self.tuning.step_entries_max;
        let mut done = std::mem::take(&mut self.tasks_done);
        for (key, mut task) in waiting {
            if left == 0 {
                break;
            }
            let found = self.work(&*view, &task, left)?;
            left -= found.entry_count.min(left);
            marks.extend(found.marks);
            match found.after.filter(|_| !bug!(FanOutCutShort)) {
                Some(after) => {
                    task.after = after;
                    changes.put(Space::TASKS, key, rows::encode(&task)?);
                }
                None => {
                    changes.remove(Space::TASKS, key.clone());
                    progress.task_done(task.step);
                    done = key;
                }
            }
            self.put_fan_outs(&*view, &mut changes, &mut progress, (task.step, found.fan_outs))?;
        }
        self.tasks_done = done;
        marks.retain(|(projection, _)| self.is_marked(*projection));
        let marked = self.put_marks(&mut changes, progress.step, marks);
        self.commit_step(changes, progress, marked)
    }

    /// The relation whose rows a fan-out goes through.
    pub(super) fn relation_of(&self, fan_out: &FanOut) -> Option<Relation> {
        let plan = self.state.plan();
        match plan.route(fan_out.route)?.hop {
            Hop::Down { relation } | Hop::Below { relation } => plan.relation_of_number(relation),
            Hop::Up { .. } | Hop::Above { .. } => None,
        }
    }

    fn work(&self, view: &dyn Reader, task: &Task, max: usize) -> Result<FanOutStep> {
        let FanOut { route, rules, root, node } = &task.fan_out;
        let (plan, mut found) = (self.state.plan(), FanOutStep::default());
        let (Some(route), Some(relation)) = (plan.route(*route), self.relation_of(&task.fan_out)) else {
            return Ok(found);
        };
        let is_tree = matches!(route.hop, Hop::Below { .. });
        if is_tree && node != root && !self.is_below(view, relation, node, root)? {
            return Ok(found);
        }
        let is = |of: EntityType, id: &str, field: u16| self.references(view, of, id, field);
        let (space, prefix) = (Space::of_relation(relation), owner_prefix(node));
        members(view, (space, &prefix), (&task.after, max), &mut found, &mut |found, member| {
            if is_tree && member == root {
                return Ok(());
            }
            arrive((plan, route, *rules), (node, member), &is, &mut |arrived| match arrived {
                Arrival::Document(projection, id) => found.marks.push((projection, id)),
                Arrival::FanOut(fan_out) => found.fan_outs.push(fan_out),
            })?;
            if is_tree {
                found.fan_outs.push(FanOut { node: member.to_owned(), ..task.fan_out.clone() });
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The step of the oldest change whose fan-out is not done.
    pub fn oldest_task(&self) -> Option<u64> {
        self.progress.task_steps.keys().next().copied()
    }

    /// True while `root` is still above `node`. When it no longer is, the entity that moved or went has a fan-out of its own.
    /// This also ends the walk when a circle was closed meanwhile.
    fn is_below(&self, view: &dyn Reader, tree: Relation, node: &str, root: &str) -> Result<bool> {
        let mut ancestors = std::collections::HashSet::new();
        let mut next: Option<Arc<str>> = Some(node.into());
        while let Some(id) = next {
            if *id == *root {
                return Ok(true);
            }
            next = self.references(view, tree.member(), &id, tree.field)?.first().cloned();
            if !ancestors.insert(id) {
                return Ok(false);
            }
        }
        Ok(false)
    }
}

/// The tasks after the key `done`, oldest first, at most `max`.
fn waiting(view: &dyn Reader, done: &[u8], max: usize) -> Result<Vec<(Vec<u8>, Task)>> {
    let mut waiting = Vec::new();
    view.scan(Space::TASKS, &[], done, &mut |key, value| {
        waiting.push((key.to_vec(), rows::decode(value)?));
        let full = waiting.len() >= max;
        Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(waiting)
}

fn members(
    view: &dyn Reader,
    (space, prefix): (Space, &[u8]),
    (after, max): (&[u8], usize),
    found: &mut FanOutStep,
    each: &mut dyn FnMut(&mut FanOutStep, &str) -> Result<()>,
) -> Result<()> {
    view.scan(space, prefix, after, &mut |key, _| {
        if let Some(member) = member_of(key, prefix) {
            each(found, member)?;
        }
        found.entry_count += 1;
        if found.entry_count < max {
            return Ok(ControlFlow::Continue(()));
        }
        found.after = Some(key.to_vec());
        Ok(ControlFlow::Break(()))
    })
}
