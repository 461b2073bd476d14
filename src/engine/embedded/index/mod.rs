//! An index in a folder, without a server (tantivy): the same documents, versions and aliases.

mod documents;
mod folder;
mod generation;
mod generations;
mod indexed_document;
mod inspection;
pub(super) mod keys;
pub(super) mod owner;
mod placed_words;
pub(super) mod schema;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::folder::Creator;
pub(super) use self::folder::EmbeddedFolder;
use self::generation::Generation;
use crate::config::IndexConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Projection;
use crate::sink::generations::{Rebuild, UNOPENED, forget_rollback};
use crate::sink::mapping::{Fit, Mapping, MappingFaults};
use crate::sink::mappings::Mappings;
use crate::sink::{Batch, DocumentSink, IdPage, IndexState, IndexSummary, Outcome};

/// How many ids one page holds.
const PAGE: usize = 5_000;

type OpenGenerations = BTreeMap<Projection, Generation>;
type GenerationLock = Arc<Mutex<OpenGenerations>>;
/// Someone waits for the next commit; the text is why it failed.
type Waiter = oneshot::Sender<std::result::Result<(), String>>;

/// The indexes of a folder.
pub struct EmbeddedSink {
    folder: EmbeddedFolder,
    prefix: String,
    source: Mappings,
    /// The mapping of each projection.
    mappings: Vec<Mapping>,
    generations: GenerationLock,
    waiters: Sender<Waiter>,
}

impl EmbeddedSink {
    /// A sink for `projections`. Nothing is opened yet.
    ///
    /// # Errors
    /// When a mapping can't be read (exit code 2), or a thread can't be started.
    pub fn new(config: &IndexConfig, projections: &[Projection]) -> Result<Self> {
        let (sink, wrong) = Self::examine(config, projections)?;
        wrong.into_iter().next().map_or(Ok(sink), |(_, error)| Err(error))
    }

    /// As [`Self::new`], with the faults of the projections' mappings: built-in mappings stand for those.
    ///
    /// # Errors
    /// When a thread can't be started, or the model gives no mapping to a projection.
    pub fn examine(config: &IndexConfig, projections: &[Projection]) -> Result<(Self, MappingFaults)> {
        let layouts = config.plan.projections().map(|projection| (projection, schema::layout(projection)));
        let source = Mappings::of(config).with_layouts(layouts);
        let (mappings, wrong) = Mapping::load_each(&source, projections)?;
        let generations = GenerationLock::default();
        let (waiters, waiting) = channel();
        let committed = Arc::clone(&generations);
        std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || commit_for(&waiting, &committed))
            .map_err(|error| {
                Error::failure("the commit's thread cannot be started; check the limit of threads")
                    .because(error)
            })?;
        let sink = Self {
            folder: EmbeddedFolder::new(&config.path),
            prefix: config.prefix.clone(),
            source,
            mappings,
            generations,
            waiters,
        };
        Ok((sink, wrong))
    }

    fn open_one(
        &self,
        alias: &str,
        mapping: &Mapping,
        log_identity: &str,
        record: Option<&Rebuild>,
    ) -> Result<(IndexState, Generation)> {
        if let Some(index) = self.folder.index_behind(alias)? {
            return self.open_found(alias, index, mapping, log_identity, record);
        }
        let index = mapping.index_name(alias);
        let meta = mapping.meta_of_embedded(log_identity);
        // Another process may have made one since.
        let open = || self.open_generation(mapping.projection, &index);
        match self.folder.create_behind(alias, &index, &meta, open)? {
            Creator::Here(generation) => {
                tracing::info!(alias, index, "index created");
                let projection = mapping.projection;
                Ok((IndexState { projection, index, created: true, is_filling: true }, generation))
            }
            Creator::Elsewhere(index) => self.open_found(alias, index, mapping, log_identity, record),
        }
    }

    fn open_found(
        &self,
        alias: &str,
        index: String,
        mapping: &Mapping,
        log_identity: &str,
        record: Option<&Rebuild>,
    ) -> Result<(IndexState, Generation)> {
        let meta = self.folder.meta(&index)?;
        let fit = self.check_one(mapping, meta.as_ref(), (alias, &index), log_identity, record)?;
        fit.tell(mapping.projection, &index);
        let generation = self.open_generation(mapping.projection, &index)?;
        let is_filling = self.folder.is_filling(&index);
        Ok((IndexState { projection: mapping.projection, index, created: false, is_filling }, generation))
    }

    /// As [`Mapping::check`], with the additions allowed that the index takes in place.
    fn check_one(
        &self,
        mapping: &Mapping,
        meta: Option<&serde_json::Value>,
        (alias, index): (&str, &str),
        log_identity: &str,
        record: Option<&Rebuild>,
    ) -> Result<Fit> {
        match mapping.check(meta, alias, index, log_identity, record) {
            Err(error) if error.kind() == ErrorKind::MappingChanged => {
                meta.and_then(|meta| mapping.additions_of_embedded(meta)).map(|_| Fit::Additions).ok_or(error)
            }
            checked => checked,
        }
    }

    /// All that is wrong with the folder for a run, each with the key of the configuration. Makes and changes nothing. The
    /// mappings of the projections in `unread` are not looked at.
    fn check_all(&self, log_identity: Option<&str>, unread: &[Projection]) -> Vec<Error> {
        let one = |mapping: &Mapping| {
            let (projection, alias) = (mapping.projection, self.alias(mapping.projection));
            let Some(index) = self.folder.index_behind(&alias)? else { return Ok(()) };
            let meta = self.folder.meta(&index)?;
            let record = self.rebuild(projection)?.map(|(record, _)| record);
            let Some(log) = log_identity.filter(|_| !unread.contains(&projection)) else { return Ok(()) };
            self.check_one(mapping, meta.as_ref(), (&alias, &index), log, record.as_ref()).map(|_| ())
        };
        let checked = self.mappings.iter().map(one);
        let key = |error: &Error| match error.kind() {
            ErrorKind::MappingChanged => "index.mappings",
            _ => "index.path",
        };
        checked.filter_map(Result::err).map(|error| error.about(key(&error))).collect()
    }

    fn open_generation(&self, projection: Projection, index: &str) -> Result<Generation> {
        let path = self.folder.index(index);
        Generation::open(&path, projection).map_err(|error| {
            // A rebuild that feeds it ends soon; until then its lock is an absence.
            let (kind, advice) = if generation::is_locked(&error) {
                (ErrorKind::Unavailable, "another process writes it; wait for its end, or stop that one")
            } else {
                (ErrorKind::Failed, "check the disk, or delete the folder and run again")
            };
            Error::new(kind, format!("the index {} cannot be opened; {advice}", path.display()))
                .because(error)
        })
    }

    fn open_all(&self, log_identity: &str) -> Result<Vec<IndexState>> {
        let mut generations = lock(&self.generations);
        generations.clear();
        let mut states = Vec::new();
        for mapping in &self.mappings {
            let (projection, alias) = (mapping.projection, self.alias(mapping.projection));
            let record = self.rebuild(projection)?.map(|(record, _)| record);
            let (state, generation) = self.open_one(&alias, mapping, log_identity, record.as_ref())?;
            states.push(state);
            generations.insert(projection, generation);
        }
        Ok(states)
    }
}

/// Commits for those who wait, all who came meanwhile together.
fn commit_for(waiting: &Receiver<Waiter>, generations: &GenerationLock) {
    while let Ok(first) = waiting.recv() {
        let mut generations = lock(generations);
        let waiters: Vec<Waiter> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let committed =
            generations.values_mut().try_for_each(Generation::commit).map_err(|error| error.to_string());
        drop(generations);
        for waiter in waiters {
            // A waiter that is gone has given up the write.
            let _ = waiter.send(committed.clone());
        }
    }
}

/// The sentence for an index whose files were deleted.
const GONE: &str = "the folder of an embedded index was deleted while this instance wrote to it. Nothing of the state \
                    is lost. Start again, and a new index is made and filled from the state";

fn lock(generations: &GenerationLock) -> std::sync::MutexGuard<'_, OpenGenerations> {
    generations.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a batch and asks for a commit in one hold of the lock. A commit in between could lose writes that were taken
/// for done.
fn write_all(
    generations: &GenerationLock,
    waiters: &Sender<Waiter>,
    batch: &Batch,
) -> (Vec<Outcome>, oneshot::Receiver<std::result::Result<(), String>>) {
    let mut generations = lock(generations);
    let mut generation = generations.get_mut(&batch.projection());
    let is_gone = generation.as_ref().is_some_and(|generation| generation.is_gone());
    let outcomes = batch.writes().iter().map(|write| {
        let Some(generation) = &mut generation else {
            return Outcome::Retry(UNOPENED.to_owned());
        };
        if is_gone {
            return Outcome::Gone(GONE.to_owned());
        }
        let written = generation.write(&write.id, write.version, batch.document(write));
        written.unwrap_or_else(|error| Outcome::Retry(error.to_string()))
    });
    let outcomes = outcomes.collect();
    let (waiter, committed) = oneshot::channel();
    // The thread lives as long as the sender.
    let _ = waiters.send(waiter);
    (outcomes, committed)
}

fn not_opened() -> Error {
    Error::failure(UNOPENED)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::failure("work on the embedded index broke off").because(error))
}

#[async_trait]
impl DocumentSink for EmbeddedSink {
    async fn open(&self, log_identity: &str) -> Result<Vec<IndexState>> {
        let states = tokio::task::block_in_place(|| self.open_all(log_identity))?;
        for IndexState { projection, index, .. } in &states {
            let (hash, found) = (&self.mapping(*projection)?.hash, self.rebuild(*projection)?);
            forget_rollback(self, *projection, index, hash, found).await?;
        }
        Ok(states)
    }

    async fn write(&self, batch: Batch) -> Vec<Outcome> {
        let (generations, waiters) = (Arc::clone(&self.generations), self.waiters.clone());
        let count = batch.writes().len();
        let failed = |reason: String| vec![Outcome::Retry(reason); count];
        let written = blocking(move || write_all(&generations, &waiters, &batch)).await;
        let (outcomes, committed) = match written {
            Ok(written) => written,
            Err(error) => return failed(error.chain()),
        };
        match committed.await {
            Ok(Ok(())) => outcomes,
            Ok(Err(reason)) => failed(reason),
            Err(_) => failed("the commit broke off".to_owned()),
        }
    }

    async fn refresh(&self) -> Result<()> {
        // Every acknowledged write is committed, and every search looks for commits.
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        let first = self.mappings.first().map(|mapping| self.alias(mapping.projection));
        first.map_or(Ok(()), |alias| self.folder.index_behind(&alias).map(|_| ()))
    }

    async fn summaries(&self) -> Result<Vec<IndexSummary>> {
        let generations = lock(&self.generations);
        let summary = |mapping: &Mapping| {
            let (projection, alias) = (mapping.projection, self.alias(mapping.projection));
            let index = self.folder.index_behind(&alias)?.unwrap_or_default();
            let documents = match generations.get(&projection) {
                Some(generation) => generation.count(),
                None if index.is_empty() => 0,
                None => count_committed(&self.folder, &index)?,
            };
            Ok(IndexSummary { projection, alias, index, documents })
        };
        self.mappings.iter().map(summary).collect()
    }

    async fn ids(&self, projection: Projection, cursor: Option<String>) -> Result<IdPage> {
        let generations = Arc::clone(&self.generations);
        let list = move || {
            let view = lock(&generations).get(&projection).map(Generation::view).ok_or_else(not_opened)?;
            let found = view.versions(&cursor.unwrap_or_default(), PAGE);
            found.map_err(|error| Error::failure("the ids cannot be listed").because(error))
        };
        let found = blocking(list).await??;
        let ids: Vec<String> = found.into_iter().map(|(id, _)| id).collect();
        let cursor = ids.last().filter(|_| ids.len() == PAGE).cloned();
        Ok(IdPage { ids, cursor })
    }
}

/// The number of documents of an index that this process has not open for writing.
fn count_committed(folder: &EmbeddedFolder, index: &str) -> Result<u64> {
    let path = folder.index(index);
    let opened = tantivy::Index::open_in_dir(&path).and_then(|index| index.reader());
    let reader = opened.map_err(|error| {
        Error::failure(format!("the index {} cannot be opened", path.display())).because(error)
    })?;
    Ok(reader.searcher().num_docs())
}
