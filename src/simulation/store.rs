//! A disk: a store in memory, and the part of it that a crash may leave.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::world::{Process, World};
use crate::error::{Error, Result};
use crate::plan::PlanRef;
use crate::state::keys::Space;
use crate::state::memory::MemoryStore;
use crate::state::store::{Changes, Entries, Reader, StateStore};

/// How many former syncs a disk could be put back to.
const FORMER_MAX: usize = 4;

/// The disk of an instance or a rebuild, which survives its process.
#[derive(Clone)]
pub(super) struct Disk {
    /// The commits, synced or not.
    now: MemoryStore,
    /// The last synced state, and the commits since.
    history: Arc<Mutex<CommitHistory>>,
    scratch: PathBuf,
}

#[derive(Default)]
struct CommitHistory {
    synced: MemoryStore,
    since: Vec<Changes>,
    former: Vec<MemoryStore>,
}

/// The part of a disk that a crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remains {
    /// Everything that was committed: the process alone died.
    All,
    /// Some of the commits since the last sync.
    Some,
    /// An earlier sync.
    Former,
    Nothing,
}

impl Disk {
    pub(super) fn new(scratch: PathBuf) -> Self {
        Self { now: MemoryStore::default(), history: Arc::default(), scratch }
    }

    /// The disk after a crash. A process that has the old one open writes to a store that is not read again.
    pub(super) fn after_crash(&self, left: Remains, world: &World) -> Self {
        let plan = world.domain.plan;
        let mut history = self.history.lock().unwrap();
        let now = match left {
            Remains::All => copy(&self.now, plan),
            Remains::Some => {
                let count = world.draw(0..history.since.len() as u64 + 1);
                let now = copy(&history.synced, plan);
                for changes in history.since.iter().take(usize::try_from(count).unwrap()) {
                    now.commit(changes.clone()).unwrap();
                }
                world.note(format_args!("{count} of {} commits are left", history.since.len()));
                now
            }
            Remains::Former => {
                let drawn = world.draw(0..history.former.len() as u64 + 1);
                let former = history.former.get(usize::try_from(drawn).unwrap());
                copy(former.unwrap_or(&history.synced), plan)
            }
            Remains::Nothing => MemoryStore::default(),
        };
        let mut former = std::mem::take(&mut history.former);
        if left == Remains::Nothing {
            former.clear();
        }
        let history = CommitHistory { synced: copy(&now, plan), since: Vec::new(), former };
        Self { now, history: Arc::new(Mutex::new(history)), scratch: self.scratch.clone() }
    }

    /// The same disk for another life of the process, whose files no remnant of the last life reaches.
    pub(super) fn in_life(&self, life: u32) -> Self {
        Self { scratch: self.scratch.with_extension(life.to_string()), ..self.clone() }
    }

    /// The view of all commits.
    pub(super) fn view(&self) -> Box<dyn Reader> {
        self.now.view()
    }

    pub(super) fn view_of_disk(&self) -> Box<dyn Reader> {
        self.history.lock().unwrap().synced.view()
    }
}

fn copy(store: &MemoryStore, plan: PlanRef) -> MemoryStore {
    let (copy, mut changes) = (MemoryStore::default(), Changes::default());
    for (space, _) in Space::all(plan) {
        store
            .view()
            .scan(space, &[], &[], &mut |key, value| {
                changes.put(space, key.to_vec(), value.to_vec());
                Ok(std::ops::ControlFlow::Continue(()))
            })
            .unwrap();
    }
    copy.commit(changes).unwrap();
    copy
}

/// The store of one process, on a disk.
pub(super) struct Store {
    pub(super) world: Arc<World>,
    pub(super) process: Arc<Process>,
    pub(super) disk: Disk,
}

impl StateStore for Store {
    fn view(&self) -> Box<dyn Reader> {
        self.disk.view()
    }

    fn commit(&self, changes: Changes) -> Result<()> {
        self.process.check()?;
        self.disk.history.lock().unwrap().since.push(changes.clone());
        self.disk.now.commit(changes)?;
        // It may die right after it, too.
        self.process.check()
    }

    fn fill(&self, space: Space, entries: &mut Entries<'_>) -> Result<u64> {
        let mut changes = Changes::default();
        for entry in entries {
            let (key, value) = entry?;
            changes.put(space, key, value);
        }
        let count = changes.len() as u64;
        self.disk.history.lock().unwrap().since.push(changes.clone());
        self.disk.now.commit(changes)?;
        Ok(count)
    }

    fn clear(&self, space: Space) -> Result<()> {
        let mut changes = Changes::default();
        self.view().scan(space, &[], &[], &mut |key, _| {
            changes.remove(space, key.to_vec());
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        self.commit(changes)
    }

    fn scratch(&self) -> PathBuf {
        self.disk.scratch.clone()
    }

    fn link(&self, _: &std::path::Path) -> Result<bool> {
        Ok(false)
    }

    fn sync(&self) -> Result<()> {
        self.process.check()?;
        if self.world.strikes("torn sync", self.world.plan.rates.torn) {
            self.process.kill();
            return Err(Error::failure("the sync failed"));
        }
        let mut history = self.disk.history.lock().unwrap();
        if history.since.is_empty() {
            return Ok(());
        }
        if history.former.len() < FORMER_MAX && self.world.draw(0..4) == 0 {
            let former = copy(&history.synced, self.world.domain.plan);
            history.former.push(former);
        }
        for changes in std::mem::take(&mut history.since) {
            history.synced.commit(changes)?;
        }
        Ok(())
    }

    fn count_about(&self, space: Space) -> u64 {
        self.disk.now.count_about(space)
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}
