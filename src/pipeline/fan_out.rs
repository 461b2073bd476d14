//! Fan-out: what a change calls for below, marked in bounded steps that a crash resumes.
//!
//! The newest task is taken first, so that a wide tree is walked down before it is walked across and
//! the tasks that wait stay few.

use std::ops::ControlFlow;

use super::fold::{Folder, Step, has_members, put_task};
use crate::entity::Liveness;
use crate::error::Result;
use crate::projection::Projection;
use crate::state::keys::{Space, member_of, owner_prefix};
use crate::state::rows::{self, Progress, Row, Task, Work};
use crate::state::store::{Changes, Reader};

/// How many entries one step looks at.
const STEP_ENTRIES_MAX: usize = 2_000;

/// What a step of a task found.
#[derive(Default)]
struct Found {
    marks: Vec<(Projection, String)>,
    works: Vec<Work>,
    /// Where to go on; `None` when the task is done.
    after: Option<Vec<u8>>,
}

impl Folder {
    /// Does one bounded step of the fan-out that began last; the step's number is 0 when none waits.
    pub fn fan_out(&mut self) -> Result<Step> {
        let view = self.state.view();
        let Some((key, mut task)) = newest(&*view)? else { return Ok(Step::default()) };
        let found = match &task.work {
            Work::Contacts { organisation } => contacts(&*view, organisation, &task.after)?,
            Work::Below { root, node, contacts } => self.below(&*view, root, node, *contacts, &task.after)?,
            Work::Everything { projection, space } => everything(&*view, *projection, *space, &task.after)?,
        };
        let mut progress = self.progress.clone();
        progress.step += 1;
        let mut changes = Changes::default();
        match found.after {
            Some(after) => {
                task.after = after;
                changes.put(Space::Tasks, key, rows::encode(&task)?);
            }
            None => {
                changes.remove(Space::Tasks, key);
                progress.task_done(task.step);
            }
        }
        self.put_follow_ups(&*view, &mut changes, &mut progress, task.step, found.works)?;
        let marked = self.put_marks(&mut changes, progress.step, found.marks);
        self.commit_step(changes, progress, marked)
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
            let wanted = match &work {
                Work::Contacts { organisation } => has_members(view, Space::ContactsOf, organisation)?,
                Work::Below { node, .. } => has_members(view, Space::ChildrenOf, node)?,
                Work::Everything { .. } => true,
            };
            if wanted {
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
    ) -> Result<Found> {
        let mut found = Found::default();
        if node != root && !self.is_below(view, node, root)? {
            return Ok(found);
        }
        let prefix = owner_prefix(node);
        members(view, Space::ChildrenOf, &prefix, after, &mut found, &mut |found, child| {
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
        let mut next = Some(node.to_owned());
        while let Some(id) = next {
            if id == root {
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

fn newest(view: &dyn Reader) -> Result<Option<(Vec<u8>, Task)>> {
    match view.last(Space::Tasks)? {
        Some((key, value)) => Ok(Some((key, rows::decode(&value)?))),
        None => Ok(None),
    }
}

fn contacts(view: &dyn Reader, organisation: &str, after: &[u8]) -> Result<Found> {
    let mut found = Found::default();
    let prefix = owner_prefix(organisation);
    members(view, Space::ContactsOf, &prefix, after, &mut found, &mut |found, contact| {
        found.marks.push((Projection::Contacts, contact.to_owned()));
    })?;
    Ok(found)
}

fn members(
    view: &dyn Reader,
    space: Space,
    prefix: &[u8],
    after: &[u8],
    found: &mut Found,
    each: &mut dyn FnMut(&mut Found, &str),
) -> Result<()> {
    let mut seen = 0;
    view.scan(space, prefix, after, &mut |key, _| {
        if let Some(member) = member_of(key, prefix) {
            each(found, member);
        }
        seen += 1;
        if seen < STEP_ENTRIES_MAX {
            return Ok(ControlFlow::Continue(()));
        }
        found.after = Some(key.to_vec());
        Ok(ControlFlow::Break(()))
    })
}

/// Walks the entities of a projection, and then the relations for those known by reference only.
fn everything(view: &dyn Reader, number: u8, space: u8, after: &[u8]) -> Result<Found> {
    let mut found = Found::default();
    let Some(projection) = Projection::of_number(number) else { return Ok(found) };
    let Some(space) = Space::ALL.into_iter().find(|known| *known as u8 == space) else { return Ok(found) };
    let is_relation = matches!(space, Space::ContactsOf | Space::ChildrenOf);
    let mut seen = 0;
    view.scan(space, &[], after, &mut |key, value| {
        if is_relation {
            if let Some(owner) = owner_of(key)
                && view.get(Space::Organisations, owner.as_bytes())?.is_none()
                && found.marks.last().is_none_or(|(_, last)| *last != owner)
            {
                found.marks.push((projection, owner));
            }
        } else if rows::decode::<Row>(value)?.registers.liveness() != Liveness::Unseen
            && let Ok(id) = std::str::from_utf8(key)
        {
            found.marks.push((projection, id.to_owned()));
        }
        seen += 1;
        if seen < STEP_ENTRIES_MAX {
            return Ok(ControlFlow::Continue(()));
        }
        found.after = Some(key.to_vec());
        Ok(ControlFlow::Break(()))
    })?;
    let next = match projection {
        Projection::Organisations if !is_relation => Some(Space::ContactsOf),
        Projection::Hierarchy if !is_relation => Some(Space::ChildrenOf),
        _ => None,
    };
    if let (None, Some(next)) = (&found.after, next) {
        found.works.push(Work::Everything { projection: number, space: next as u8 });
    }
    Ok(found)
}

/// The owner of a relation's key, see [`owner_prefix`].
fn owner_of(key: &[u8]) -> Option<String> {
    let mut owner = Vec::new();
    let mut bytes = key.iter();
    while let Some(byte) = bytes.next() {
        if *byte == 0 {
            match bytes.next() {
                Some(255) => {}
                _ => return String::from_utf8(owner).ok(),
            }
        }
        owner.push(*byte);
    }
    None
}
