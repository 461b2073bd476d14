//! The durable state: a cache of the log, from which every document is made.
//!
//! One fold step is one atomic commit of rows, relations, marks and positions; nothing else is
//! durable. One thread folds; any number read snapshots.

mod added_fields;
pub mod copy;
pub mod fjall;
mod fragments;
pub mod headers;
pub mod keys;
pub mod memory;
mod other_plan;
pub mod pass;
pub mod rows;
mod snapshot;
pub mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use moka::sync::Cache;

pub use added_fields::check_in_use;
pub use snapshot::Snapshot;

use self::headers::Headers;
use self::keys::{
    FORMAT_KEY, LOW_WATERMARK_KEY, NAME_KEY, PARTIAL_KEY, PROGRESS_KEY, Space, TOPICS_KEY, index_built_key,
};
use self::rows::{Backfill, FORMAT, FoldProgress, LowWatermark, Row, StateFormat};
use self::store::{Changes, Entries, Reader, StateStore};
use crate::error::{Error, Result};
use crate::plan::{EntityType, PlanRef};
use crate::projection::Projection;

const CACHE_BYTES: u64 = 12 << 20;

/// An entity's key: its type and id.
pub type EntityKey = (EntityType, Arc<str>);

/// The state of one instance.
pub struct State {
    store: Arc<dyn StateStore>,
    cache: Cache<EntityKey, Arc<Row>>,
    /// Entities that were in the cache when they were looked up, and that were not.
    hits: AtomicU64,
    misses: AtomicU64,
    plan: PlanRef,
    headers: Arc<Headers>,
    /// See [`State::is_partial`].
    is_partial: AtomicBool,
}

impl State {
    /// Takes over `store`, after checking that it was written by this format and with this
    /// configuration `fingerprint`; an empty one is marked with both.
    ///
    /// # Errors
    /// Exit code 1 for another format, 2 for another configuration, each with advice.
    pub fn open(store: Arc<dyn StateStore>, plan: PlanRef, fingerprint: &str) -> Result<Self> {
        let view = store.view();
        match view.get(Space::META, FORMAT_KEY)? {
            Some(bytes) => added_fields::check(&*store, plan, &rows::decode(&bytes)?, fingerprint)?,
            None => {
                let format = StateFormat { format: FORMAT, fingerprint: fingerprint.to_owned() };
                let mut changes = Changes::default();
                changes.put(Space::META, FORMAT_KEY.to_vec(), rows::encode(&format)?);
                store.commit(changes)?;
                store.sync()?;
            }
        }
        other_plan::take(&*store, plan)?;
        let view = store.view();
        let weigh = |key: &EntityKey, row: &Arc<Row>| row.weight(key.1.len());
        let cache = Cache::builder().max_capacity(CACHE_BYTES).weigher(weigh).build();
        let progress: FoldProgress = read_meta(&*view, PROGRESS_KEY)?;
        let is_partial = AtomicBool::new(read_meta(&*view, PARTIAL_KEY)?);
        Ok(Self {
            store,
            cache,
            is_partial,
            plan,
            headers: Arc::new(Headers::since(plan, progress.step)),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// The plan that its entities and relations follow.
    pub fn plan(&self) -> PlanRef {
        self.plan
    }

    /// Everything committed so far, at one moment.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::of(self.store.view(), Arc::clone(&self.headers))
    }

    /// A plain view of the store.
    pub fn view(&self) -> Box<dyn Reader> {
        self.store.view()
    }

    /// The row of an entity as committed; empty when it was never seen. For the fold thread only:
    /// it fills the cache, and only that thread's commits keep the cache right.
    pub fn row(&self, view: &dyn Reader, key: &EntityKey) -> Result<Arc<Row>> {
        let cached = self.cache.get(key);
        let found = if cached.is_some() { &self.hits } else { &self.misses };
        found.fetch_add(1, Ordering::Relaxed);
        if let Some(row) = cached {
            return Ok(row);
        }
        let row = match view.get(Space::of_type(key.0), key.1.as_bytes())? {
            Some(bytes) => Row::decode(&bytes)?,
            None => Row::default(),
        };
        let row = Arc::new(row);
        self.cache.insert(key.clone(), Arc::clone(&row));
        Ok(row)
    }

    /// Commits `changes` that touch no entity.
    pub fn commit(&self, changes: Changes) -> Result<()> {
        self.store.commit(changes)
    }

    /// Commits the `changes` of a step; the entities in `written` replace their cached rows afterwards.
    pub fn commit_fold(
        &self,
        changes: Changes,
        written: Vec<(EntityKey, Arc<Row>)>,
        step: u64,
    ) -> Result<()> {
        self.headers.change(written.iter().map(|(key, _)| key), step);
        self.store.commit(changes)?;
        for (key, row) in written {
            self.cache.insert(key, row);
        }
        Ok(())
    }

    /// Fills an empty space with entries in the order of their keys, before the commit of `step` says so.
    pub fn fill(&self, space: Space, entries: &mut Entries<'_>, step: u64) -> Result<u64> {
        self.headers.change_all(step);
        self.cache.invalidate_all();
        self.store.fill(space, entries)
    }

    /// Removes everything of a space that is about to be filled.
    pub fn clear(&self, space: Space) -> Result<()> {
        self.store.clear(space)
    }

    /// A folder for files of the moment.
    pub fn scratch(&self) -> PathBuf {
        self.store.scratch()
    }

    /// Makes the empty folder `into` a store of all commits so far, by links; false when it can't be.
    ///
    /// # Errors
    /// Those of the store.
    pub fn link(&self, into: &Path) -> Result<bool> {
        self.store.link(into)
    }

    /// Waits until every commit lies on the disk.
    pub fn sync(&self) -> Result<()> {
        self.store.sync()
    }

    /// True when the state was folded from a partial log. A missing record is then no reason to delete a document.
    pub fn is_partial(&self) -> bool {
        self.is_partial.load(Ordering::Relaxed)
    }

    /// Remembers for good that the log does not begin at its beginning.
    ///
    /// # Errors
    /// Those of the store.
    pub fn set_partial(&self) -> Result<()> {
        if self.is_partial() {
            return Ok(());
        }
        let mut changes = Changes::default();
        changes.put(Space::META, PARTIAL_KEY.to_vec(), rows::encode(&true)?);
        self.store.commit(changes)?;
        self.store.sync()?;
        self.is_partial.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The id of this state, which no other one has. It is drawn at the first request; a copy has another.
    ///
    /// # Errors
    /// Those of the store.
    pub fn name(&self) -> Result<String> {
        let name: String = read_meta(&*self.view(), NAME_KEY)?;
        if !name.is_empty() {
            return Ok(name);
        }
        let name = format!("{:016x}", fastrand::u64(..));
        let mut changes = Changes::default();
        changes.put(Space::META, NAME_KEY.to_vec(), rows::encode(&name)?);
        self.store.commit(changes)?;
        self.store.sync()?;
        Ok(name)
    }

    /// The ids that the log's topics had when they were read first, as far as they are known.
    ///
    /// # Errors
    /// Those of the store.
    pub fn topic_ids(&self) -> Result<BTreeMap<String, String>> {
        read_meta(&*self.view(), TOPICS_KEY)
    }

    /// Remembers the ids of topics of which none is known yet.
    ///
    /// # Errors
    /// Those of the store.
    pub fn note_topic_ids(&self, ids: &BTreeMap<String, String>) -> Result<()> {
        let current = self.topic_ids()?;
        let mut all = ids.clone();
        all.extend(current.clone());
        if all == current {
            return Ok(());
        }
        let mut changes = Changes::default();
        changes.put(Space::META, TOPICS_KEY.to_vec(), rows::encode(&all)?);
        self.store.commit(changes)?;
        self.store.sync()
    }

    /// How far the fold is.
    pub fn progress(&self) -> Result<FoldProgress> {
        read_meta(&*self.view(), PROGRESS_KEY)
    }

    /// The positions below which no mark remains, as last written down.
    pub fn low_watermark(&self) -> Result<LowWatermark> {
        read_meta(&*self.view(), LOW_WATERMARK_KEY)
    }

    /// The concrete index that every document of a projection was marked for; empty when none.
    pub fn index_built_for(&self, projection: &str) -> Result<String> {
        read_meta(&*self.view(), index_built_key(projection).as_slice())
    }

    /// The backfills that are not done, by the numbers of their projections.
    pub fn backfills(&self) -> Result<Vec<(u8, Backfill)>> {
        backfills(&*self.view())
    }

    /// About how many documents a backfill has still to come to.
    pub fn count_left(&self, projection: u8, backfill: &Backfill) -> u64 {
        let projection = self.plan.projection_of_number(projection);
        let entities = projection.map(|projection| self.count_about(projection));
        entities.unwrap_or(0).saturating_sub(backfill.done)
    }

    /// About how many documents a projection has; never fewer than it has of entities.
    pub fn count_about(&self, projection: Projection) -> u64 {
        let children = projection.child_embeds().map(|(_, relation)| Space::of_relation(relation));
        let spaces = std::iter::once(Space::of_type(projection.entity_type())).chain(children);
        spaces.map(|space| self.store.count_about(space)).sum()
    }

    /// True when every document is delivered: none is marked, and no backfill is under way.
    pub fn is_delivered(&self) -> Result<bool> {
        let mut is_marked = false;
        self.view().scan(Space::DIRTY, &[], &[], &mut |_, _| {
            is_marked = true;
            Ok(std::ops::ControlFlow::Break(()))
        })?;
        Ok(!is_marked && self.backfills()?.is_empty())
    }

    /// How many documents wait: those marked, and about so many that backfills have still to come to.
    pub fn count_waiting(&self) -> Result<u64> {
        let mut count: u64 = self
            .backfills()?
            .iter()
            .map(|(number, backfill)| self.count_left(*number, backfill).max(1))
            .sum();
        self.view().scan(Space::DIRTY, &[], &[], &mut |_, _| {
            count += 1;
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        Ok(count)
    }

    /// How many entities were found in the cache, and how many had to be read from the store.
    pub fn cache_lookups(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// The bytes that the state takes on the disk.
    pub fn disk_bytes(&self) -> u64 {
        self.store.disk_bytes()
    }
}

impl Row {
    fn weight(&self, id_len: usize) -> u32 {
        let fields: usize = self.registers.fields().map(|(name, json)| name.len() + json.len() + 96).sum();
        u32::try_from(fields + id_len + 160).unwrap_or(u32::MAX)
    }
}

/// The backfills that a view shows.
pub fn backfills(view: &dyn Reader) -> Result<Vec<(u8, Backfill)>> {
    let mut backfills = Vec::new();
    view.scan(Space::BACKFILLS, &[], &[], &mut |key, value| {
        if let [number] = key {
            backfills.push((*number, rows::decode(value)?));
        }
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(backfills)
}

fn read_meta<T: serde::de::DeserializeOwned + Default>(view: &dyn Reader, key: &[u8]) -> Result<T> {
    view.get(Space::META, key)?.map_or_else(|| Ok(T::default()), |bytes| rows::decode(&bytes))
}

fn check_format(format: &StateFormat, fingerprint: &str) -> Result<()> {
    if format.format != FORMAT {
        return Err(Error::failure(format!(
            "the state has format {}, this program reads format {FORMAT}; delete the state's folder and start again to replay",
            format.format
        )));
    }
    if format.fingerprint != fingerprint
        && [&*format.fingerprint, fingerprint].iter().any(|of| of.contains("model="))
    {
        let differences = added_fields::differences(&format.fingerprint, fingerprint).join(", ");
        let differences = if differences.is_empty() { differences } else { format!(" ({differences})") };
        return Err(Error::usage(format!(
            "the state was built with other entity types of the model, or with other [events.types]{differences}. \
             Restore them. Or run `tributary reindex --from log --keep-state` with the new ones, and put the state \
             that it leaves in the place of this one. Or delete the state's folder and start again to replay (then \
             `tributary reindex` makes the documents)",
        )));
    }
    if format.fingerprint != fingerprint {
        let of_old_debezium = format.fingerprint.contains("=debezium:") && fingerprint.contains("=debezium/");
        let remedy = if of_old_debezium {
            "Records of the format debezium were ordered by their LSN in it and are ordered by their offset now. The two \
             cannot be mixed. Delete"
        } else {
            "Restore them, or delete"
        };
        return Err(Error::usage(format!(
            "the state was built with other topics, formats or [events.types] ({}) than the configuration has now \
             ({fingerprint}). {remedy} the state's folder and start again to replay",
            format.fingerprint
        )));
    }
    Ok(())
}
