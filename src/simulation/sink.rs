//! A client of the index's server, of one process. The network between the two loses, delays and refuses requests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Value;

use super::index::{Item, Server};
use super::world::{Process, World};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{ChildKey, Projection, display_key, key_of};
use crate::sink::documents::{Documents, StoredDocument, VersionPage};
use crate::sink::generations::{
    Aliases, Description, GenerationSummary, Generations, Move, Rebuild, Revision,
};
use crate::sink::{Batch, DocumentSink, IdPage, IndexState, IndexSummary, Outcome, Write};

/// A page of ids.
const PAGE: usize = 4;

/// The concrete indexes that are open, by their projections.
type OpenIndexes = BTreeMap<Projection, String>;

pub(super) struct Sink {
    world: Arc<World>,
    process: Arc<Process>,
    opened: Mutex<OpenIndexes>,
}

fn outage_error(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, why)
}

/// The items of a write. Those of a child are read from the lines that a server gets.
fn items<'a>(batch: &'a Batch, write: &Write) -> Vec<Item<'a>> {
    if ChildKey::of(&write.id).is_none() {
        let body = batch.document(write).map(Cow::Borrowed);
        return vec![Item { id: write.id.to_string(), routing: None, version: write.version, body }];
    }
    let mut lines = batch.lines(write);
    let mut items = Vec::new();
    while let Some(line) = lines.next() {
        let action: BTreeMap<String, Value> = serde_json::from_slice(line).unwrap();
        let (name, of) = action.into_iter().next().unwrap();
        let text = |member: &str| of[member].as_str().map(str::to_owned);
        items.push(Item {
            id: text("_id").unwrap(),
            routing: text("routing"),
            version: of["version"].as_u64().unwrap(),
            body: (name == "index").then(|| lines.next().unwrap().into()),
        });
    }
    items
}

impl Sink {
    pub(super) fn new(world: &Arc<World>, process: &Arc<Process>) -> Self {
        Self { world: Arc::clone(world), process: Arc::clone(process), opened: Mutex::default() }
    }

    /// The time that a message takes.
    async fn travel(&self) {
        let is_slow = self.world.server.lock().unwrap().is_slow();
        let most = match self.world.draw(0..20) {
            _ if is_slow => 6_000,
            0 => 1_500,
            1..4 => 120,
            _ => 8,
        };
        tokio::time::sleep(self.world.millis(0..if self.world.is_quiet() { 8 } else { most })).await;
    }

    /// A request that is no write of documents.
    async fn call<T>(&self, what: &str, ask: impl FnOnce(&mut Server) -> Result<T>) -> Result<T> {
        let rates = self.world.plan.rates;
        self.process.go_on().await;
        self.travel().await;
        if self.world.server.lock().unwrap().is_away() {
            return Err(outage_error("away"));
        }
        if self.world.strikes("request lost", rates.lost / 3) {
            return Err(outage_error("lost"));
        }
        let answer = ask(&mut self.world.server.lock().unwrap());
        let worked = answer.is_ok();
        self.world.note(format_args!("{} asks for {what}: {worked}", self.process.name));
        self.travel().await;
        self.process.go_on().await;
        if self.world.strikes("answer lost", rates.unanswered / 3) {
            return Err(outage_error("no answer"));
        }
        answer
    }

    /// True when a late request of this process must not arrive, because a write after a forgotten delete brings its
    /// document back. An instance's request then ends with its turn, and a rebuild's with its process.
    fn outlasts_its_sender(&self) -> bool {
        if !self.world.plan.forgets {
            return false;
        }
        let process = &self.process;
        if process.name.starts_with("instance") {
            self.world.group.lock().unwrap().is_held_by_another(&process.name)
        } else {
            process.is_dead()
        }
    }

    fn open_indexes(&self) -> OpenIndexes {
        self.opened.lock().unwrap().clone()
    }

    /// Applies a batch and answers for each item.
    fn apply(world: &World, name: &str, opened: &OpenIndexes, batch: &Batch) -> Vec<Outcome> {
        let rates = world.plan.rates;
        let index = &opened[&batch.projection()];
        let apply = |item: Item<'_>| {
            if world.strikes("429 or 503 on an item", rates.item_refused) {
                return Outcome::Retry("429".to_owned());
            }
            if world.plan.rejects && item.body.as_deref().is_some_and(|body| world.domain.is_refused(body)) {
                world.count("document rejected");
                return Outcome::Rejected("it is not to my liking".to_owned());
            }
            let outcome = world.server.lock().unwrap().apply(world, index, &item);
            let does = if item.body.is_some() { "writes" } else { "deletes" };
            let shown = display_key(&key_of(&item.id, item.routing.as_deref()));
            world.note(format_args!("{name} {does} {index}/{shown} at {}: {outcome:?}", item.version));
            let is_unsaid = outcome == Outcome::Done
                && world.strikes("applied and reported as failed", rates.item_unsaid);
            if is_unsaid { Outcome::Retry("503".to_owned()) } else { outcome }
        };
        let of_write = |write: &Write| Outcome::worst(items(batch, write).into_iter().map(apply)).unwrap();
        batch.writes().iter().map(of_write).collect()
    }

    /// Has a request applied after its sender has given it up.
    fn apply_late(&self, opened: OpenIndexes, batch: Batch) {
        let (world, process) = (Arc::clone(&self.world), Arc::clone(&self.process));
        let delay = world.millis(100..20_000);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let mut batch = batch;
            if process.is_dead() {
                // A dead process may have made a document that the index never held and the remaining state has
                // forgotten. Such a write is dropped, because the next writer looks through the index once, before it
                // arrives.
                let server = world.server.lock().unwrap();
                let index = &opened[&batch.projection()];
                let index = server.indexes.get(index);
                let is_known = |item: &Item<'_>| {
                    index.is_none_or(|index| index.knows(&key_of(&item.id, item.routing.as_deref())))
                };
                let all_known = |write: &Write| items(&batch, write).iter().all(is_known);
                let mut known = batch.writes().iter().map(all_known).collect::<Vec<_>>().into_iter();
                batch.retain(|_| known.next().unwrap());
            }
            Self::apply(&world, &format!("{} (late)", process.name), &opened, &batch);
        });
    }
}

#[async_trait]
impl DocumentSink for Sink {
    async fn open(&self, _: &str) -> Result<Vec<IndexState>> {
        let projections = self.world.domain.projections.iter().copied();
        let open = |server: &mut Server| {
            Ok(projections.map(|projection| (projection, server.open(projection))).collect::<Vec<_>>())
        };
        let opened = self.call("its indexes", open).await?;
        *self.opened.lock().unwrap() =
            opened.iter().map(|(projection, (index, _))| (*projection, index.clone())).collect();
        let server = self.world.server.lock().unwrap();
        let state = |(projection, (index, created)): (Projection, (String, bool))| {
            let is_filling = server.indexes[&index].is_filling;
            IndexState { projection, index, created, is_filling }
        };
        Ok(opened.into_iter().map(state).collect())
    }

    async fn write(&self, batch: Batch) -> Vec<Outcome> {
        let (rates, count, opened) = (self.world.plan.rates, batch.writes().len(), self.open_indexes());
        let retry = |why: &str| vec![Outcome::Retry(why.to_owned()); count];
        self.process.go_on().await;
        self.travel().await;
        if self.world.server.lock().unwrap().is_away() {
            return retry("away");
        }
        if self.world.server.lock().unwrap().refuses_writes() {
            return retry("429");
        }
        if self.world.strikes("request lost", rates.lost) || self.outlasts_its_sender() {
            return retry("lost");
        }
        if self.world.strikes("applied late", rates.late) {
            self.apply_late(opened, batch);
            tokio::time::sleep(self.world.millis(0..3_000)).await;
            return retry("no answer in time");
        }
        if self.world.strikes("429 or 503 on a request", rates.refused) {
            return retry("503");
        }
        let outcomes = Self::apply(&self.world, &self.process.name, &opened, &batch);
        self.travel().await;
        self.process.go_on().await;
        if self.world.strikes("answer lost", rates.unanswered) {
            return retry("no answer");
        }
        outcomes
    }

    async fn refresh(&self) -> Result<()> {
        self.call("a refresh", |_| Ok(())).await
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn summaries(&self) -> Result<Vec<IndexSummary>> {
        Ok(Vec::new())
    }

    async fn ids(&self, projection: Projection, cursor: Option<String>) -> Result<IdPage> {
        let VersionPage { documents, cursor } =
            self.versions(&self.open_indexes()[&projection], cursor).await?;
        Ok(IdPage { ids: documents.into_iter().map(|(id, _)| id).collect(), cursor })
    }
}

#[async_trait]
impl Documents for Sink {
    async fn get(&self, projection: Projection, ids: &[String]) -> Result<Vec<Option<StoredDocument>>> {
        self.get_of(&self.open_indexes()[&projection], ids).await
    }

    async fn get_of(&self, index: &str, ids: &[String]) -> Result<Vec<Option<StoredDocument>>> {
        let get = |server: &mut Server| {
            let stored = |id: &String| {
                let document = server.indexes[index].get(id)?;
                Some(StoredDocument { version: document.version, body: document.body.clone()? })
            };
            Ok(ids.iter().map(stored).collect())
        };
        self.call("documents", get).await
    }

    async fn versions(&self, index: &str, cursor: Option<String>) -> Result<VersionPage> {
        let list = |server: &mut Server| {
            let documents = server.indexes[index].documents().into_iter();
            let left = documents.filter(|(key, _)| cursor.as_ref().is_none_or(|cursor| key > cursor));
            let documents: Vec<(String, u64)> =
                left.take(PAGE).map(|(key, document)| (key, document.version)).collect();
            let cursor = documents.last().map(|(id, _)| id.clone()).filter(|_| documents.len() == PAGE);
            Ok(VersionPage { documents, cursor })
        };
        self.call("ids", list).await
    }
}

#[async_trait]
impl Aliases for Sink {
    async fn indexes_behind(&self) -> Result<BTreeMap<Projection, String>> {
        self.call("the aliases", |server| Ok(server.aliases.clone())).await
    }

    async fn adopt(&self, identity: &str) -> Result<Vec<IndexState>> {
        self.open(identity).await
    }

    async fn find_changed(&self, _: &str) -> Result<Vec<Projection>> {
        Ok(Vec::new())
    }

    async fn serve(&self) -> Result<()> {
        let opened = self.open_indexes();
        let serve = |server: &mut Server| {
            for index in opened.values() {
                if let Some(index) = server.indexes.get_mut(index) {
                    index.is_filling = false;
                }
            }
            Ok(())
        };
        self.call("the settings", serve).await
    }

    async fn rebuilds(&self) -> Result<BTreeMap<Projection, (Rebuild, Revision)>> {
        let read = |server: &mut Server| {
            let records = server.records.iter().map(|(projection, (record, revision))| {
                (*projection, (record.clone(), Revision::of(*revision)))
            });
            Ok(records.collect())
        };
        self.call("the records", read).await
    }

    async fn note_rebuild(
        &self,
        projection: Projection,
        record: Option<&Rebuild>,
        was: Option<&Revision>,
    ) -> Result<bool> {
        let was = was.map(Revision::number);
        self.call("a change of a record", |server| Ok(server.note(projection, record, was))).await
    }
}

#[async_trait]
impl Generations for Sink {
    fn new_name(&self, projection: Projection) -> Result<String> {
        Ok(self.world.server.lock().unwrap().name(projection))
    }

    async fn create(&self, projection: Projection, index: &str, _: &str) -> Result<()> {
        let create = |server: &mut Server| {
            server.create(projection, index);
            Ok(())
        };
        self.call("a new index", create).await
    }

    async fn target(&self, indexes: OpenIndexes) -> Result<()> {
        self.call("its targets", |_| Ok(())).await?;
        *self.opened.lock().unwrap() = indexes;
        Ok(())
    }

    async fn release(&self) {
        self.opened.lock().unwrap().clear();
    }

    async fn settle(&self, _: Projection, _: &str) -> Result<()> {
        self.call("an index to settle", |_| Ok(())).await
    }

    async fn count(&self, index: &str) -> Result<u64> {
        self.call("a count", |server| Ok(server.indexes[index].documents().len() as u64)).await
    }

    async fn swap(&self, moves: &[Move]) -> Result<()> {
        self.call("a swap", |server| server.swap(moves)).await
    }

    async fn describe(&self, _: Projection) -> Result<Option<Description>> {
        Ok(None)
    }

    async fn hash_of(&self, _: &str) -> Result<Option<String>> {
        Ok(None)
    }

    async fn other_shape(&self, _: Projection, _: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn put_in_place(&self, _: Projection) -> Result<bool> {
        Ok(false)
    }

    async fn generations(&self, projection: Projection) -> Result<Vec<GenerationSummary>> {
        let list = |server: &mut Server| {
            let own = server.indexes.iter().filter(|(_, index)| index.projection == projection);
            let summary = |(name, index): (&String, &super::index::Index)| GenerationSummary {
                index: name.clone(),
                aliases: server.aliases.values().filter(|behind| *behind == name).cloned().collect(),
                documents: index.documents().len() as u64,
                bytes: 0,
            };
            Ok(own.map(summary).collect())
        };
        self.call("the generations", list).await
    }

    async fn delete(&self, index: &str) -> Result<()> {
        let delete = |server: &mut Server| {
            server.indexes.remove(index);
            Ok(())
        };
        self.call("a deletion", delete).await
    }
}
