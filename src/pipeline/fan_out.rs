//! Fan-out: what a change calls for below, marked in bounded steps that a crash resumes.
//!
//! Tasks are taken in the order in which they came, many small ones in one step.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::fold::{Folder, Step, has_members, put_task};
use super::planted::{self, Bug};
use super::sizes::sized;
use crate::entity::Liveness;
use crate::error::Result;
use crate::projection::Projection;
use crate::state::keys::{Space, member_of, owner_prefix};
use crate::state::rows::{self, Progress, Task, Work};
use crate::state::store::{Changes, Reader};

/// How many entries one step looks at.
const STEP_ENTRIES_MAX: usize = sized(2_000, 4);
/// How many tasks one step takes up.
const STEP_TASKS_MAX: usize = sized(1_000, 3);

/// What a step of a task found.
#[derive(Default)]
struct Found {
    marks: Vec<(Projection, String)>,
    works: Vec<Work>,
    /// How many entries were looked at.
    seen: usize,
    /// Where to go on; `None` when the task is done.
    after: Option<Vec<u8>>,
}

impl Folder {
    /// Goes on with the fan-outs, the oldest first, for one bounded step; its number is 0 when none waits.
    pub fn fan_out(&mut self) -> Result<Step> {
        let view = self.state.view();
        let waiting = waiting(&*view, &self.tasks_done)?;
        if waiting.is_empty() {
            return Ok(Step::default());
        }
        let mut progress = self.progress.clone();
        progress.step += 1;
        let mut changes = Changes::default();
        let mut marks = BTreeSet::new();
        let mut left = STEP_ENTRIES_MAX;
        let mut done = std::mem::take(&mut self.tasks_done);
        for (key, mut task) in waiting {
            if left == 0 {
                break;
            }
            let found = self.work(&*view, &task, left)?;
            left -= found.seen.min(left);
            marks.extend(found.marks);
            match found.after.filter(|_| !planted::is(Bug::FanOutCutShort)) {
                Some(after) => {
                    task.after = after;
                    changes.put(Space::Tasks, key, rows::encode(&task)?);
                }
                None => {
                    changes.remove(Space::Tasks, key.clone());
                    progress.task_done(task.step);
                    done = key;
                }
            }
            self.put_follow_ups(&*view, &mut changes, &mut progress, task.step, found.works)?;
        }
        self.tasks_done = done;
        marks.retain(|(projection, _)| self.is_marked(*projection));
        let marked = self.put_marks(&mut changes, progress.step, marks);
        self.commit_step(changes, progress, marked)
    }

    fn work(&self, view: &dyn Reader, task: &Task, max: usize) -> Result<Found> {
        match &task.work {
            Work::Contacts { organisation } => contacts(view, organisation, &task.after, max),
            Work::Below { root, node, contacts } => self.below(view, root, node, *contacts, &task.after, max),
        }
    }

    /// The step of the oldest change whose fan-out is not done.
    pub fn oldest_task(&self) -> Option<u64> {
        self.progress.task_steps.keys().next().copied()
    }

    fn put_follow_ups(
        &self,
        view: &dyn Reader,
        changes: &mut Changes,
        progress: &mut Progress,
        step: u64,
        works: Vec<Work>,
    ) -> Result<()> {
        for work in works {
            let has_any = match &work {
                Work::Contacts { organisation } => has_members(view, Space::ContactsOf, organisation)?,
                Work::Below { node, .. } => has_members(view, Space::ChildrenOf, node)?,
            };
            if has_any && self.is_fanned_out(&work) {
                put_task(changes, progress, &Task { step, work, after: Vec::new() })?;
            }
        }
        Ok(())
    }

    fn below(
        &self,
        view: &dyn Reader,
        root: &str,
        node: &str,
        contacts: bool,
        after: &[u8],
        max: usize,
    ) -> Result<Found> {
        let mut found = Found::default();
        if node != root && !self.is_below(view, node, root)? {
            return Ok(found);
        }
        let prefix = owner_prefix(node);
        members(view, Space::ChildrenOf, &prefix, after, max, &mut found, &mut |found, child| {
            if child == root {
                return;
            }
            found.marks.push((Projection::Organisations, child.to_owned()));
            found.marks.push((Projection::Hierarchy, child.to_owned()));
            if contacts {
                found.works.push(Work::Contacts { organisation: child.to_owned() });
            }
            found.works.push(Work::Below { root: root.to_owned(), node: child.to_owned(), contacts });
        })?;
        Ok(found)
    }

    /// True while `root` is still above `node`. When it no longer is, whoever moved or went has a
    /// fan-out of its own; this also ends the walk when a cycle was closed meanwhile.
    fn is_below(&self, view: &dyn Reader, node: &str, root: &str) -> Result<bool> {
        let mut seen = std::collections::HashSet::new();
        let mut next: Option<Arc<str>> = Some(node.into());
        while let Some(id) = next {
            if *id == *root {
                return Ok(true);
            }
            let summary = self.summary(view, &id)?;
            if summary.liveness != Liveness::Alive || !seen.insert(id) {
                return Ok(false);
            }
            next = summary.parent.clone();
        }
        Ok(false)
    }
}

/// The tasks after the key `done`, oldest first, as many as one step may take up.
fn waiting(view: &dyn Reader, done: &[u8]) -> Result<Vec<(Vec<u8>, Task)>> {
    let mut waiting = Vec::new();
    view.scan(Space::Tasks, &[], done, &mut |key, value| {
        waiting.push((key.to_vec(), rows::decode(value)?));
        let full = waiting.len() >= STEP_TASKS_MAX;
        Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(waiting)
}

fn contacts(view: &dyn Reader, organisation: &str, after: &[u8], max: usize) -> Result<Found> {
    let mut found = Found::default();
    let prefix = owner_prefix(organisation);
    members(view, Space::ContactsOf, &prefix, after, max, &mut found, &mut |found, contact| {
        found.marks.push((Projection::Contacts, contact.to_owned()));
    })?;
    Ok(found)
}

fn members(
    view: &dyn Reader,
    space: Space,
    prefix: &[u8],
    after: &[u8],
    max: usize,
    found: &mut Found,
    each: &mut dyn FnMut(&mut Found, &str),
) -> Result<()> {
    view.scan(space, prefix, after, &mut |key, _| {
        if let Some(member) = member_of(key, prefix) {
            each(found, member);
        }
        found.seen += 1;
        if found.seen < max {
            return Ok(ControlFlow::Continue(()));
        }
        found.after = Some(key.to_vec());
        Ok(ControlFlow::Break(()))
    })
}
