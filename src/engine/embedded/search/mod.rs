//! Search in the embedded index. Each search looks whether something was committed since the last.

mod column;
mod counts;
mod exclusion_query;
mod first_hits;
mod member_values;
mod query;
mod rank;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tantivy::collector::DocSetCollector;
use tantivy::query::{AllQuery, BooleanQuery, ConstScoreQuery, Occur, Query};
use tantivy::schema::Value as _;
use tantivy::{DocAddress, Index, IndexReader, ReloadPolicy, Searcher, TantivyDocument};
use xxhash_rust::xxh3::xxh3_64;

use self::counts::ValueCounter;
use self::first_hits::{FirstHits, RankedHit};
use self::member_values::MemberValueCounter;
use self::rank::Ranking;
use super::index::EmbeddedFolder;
use super::index::keys::member_key;
use super::index::schema::{IndexFields, SearchFields, owner_column, text_column};
use crate::config::IndexConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Collection;
use crate::search::cursor::Cursor;
use crate::search::index::{
    Answer, Counts, EngineSearch, FACET_VALUES_MAX, Hit, MATCHED_MAX, MemberScope, OWNERS_MAX, SearchIndex,
    SearchResult, TRUNCATED_MAX,
};
use crate::search::matched_members;
use crate::search::query::{FilterField, FilterValue, QueryReadings, Term};
use crate::search::sort::Key;

/// The indexes of a folder, for searching; another process may write them.
#[derive(Clone)]
pub struct EmbeddedIndex(Arc<FolderIndexes>);

#[derive(Clone)]
struct FolderIndexes {
    folder: EmbeddedFolder,
    prefix: String,
    /// By projection: the fields of its index.
    fields: Arc<HashMap<&'static str, IndexFields>>,
    /// By alias: the index that was open last.
    opened: Arc<Mutex<HashMap<String, OpenIndex>>>,
    /// By projection: the searcher that a view saw first. Its files stay readable when they are merged away.
    searchers: Option<Arc<Mutex<HashMap<String, Searcher>>>>,
}

#[derive(Clone)]
struct OpenIndex {
    index: String,
    reader: IndexReader,
    /// A hash of the index's own `meta.json` when the reader was loaded. The file's time would not do, because two
    /// commits within one tick of the clock have the same.
    meta: u64,
}

impl EmbeddedIndex {
    /// The configured folder. Nothing is opened yet.
    pub fn new(config: &IndexConfig) -> Self {
        Self(Arc::new(FolderIndexes {
            folder: EmbeddedFolder::new(&config.path),
            prefix: config.prefix.clone(),
            fields: Arc::new(config.plan.projections().map(|of| (of.name(), IndexFields::of(of))).collect()),
            opened: Arc::default(),
            searchers: None,
        }))
    }

    /// Up to `size` documents of a projection after the id `after`, in the order of their ids.
    ///
    /// # Errors
    /// When the index is not there or can't be read.
    pub async fn documents(
        &self,
        projection: &str,
        after: &str,
        size: usize,
    ) -> Result<Vec<(String, Value)>> {
        let (projection, after) =
            (projection.to_owned(), Cursor { key: Key::Score(0), id: after.to_owned(), view: None });
        let page = self.ask(move |inner| {
            let searcher = inner.searcher(&projection)?;
            let ordered = FirstHits { size, after: Some(&after), ranking: None, sort: None };
            let all = ConstScoreQuery::new(Box::new(AllQuery), 0.0);
            let (_, ranked) = searcher.search(&all, &ordered).map_err(search_error)?;
            let fields = inner.fields(&projection)?;
            ranked.into_iter().map(|hit| Ok((hit.id, document_at(fields, &searcher, hit.at)?))).collect()
        });
        page.await
    }

    /// Answers `work` on a thread that may block.
    fn ask<'a, T: Send + 'static>(
        &self,
        work: impl FnOnce(&FolderIndexes) -> Result<T> + Send + 'static,
    ) -> Answer<'a, T> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&inner)).await;
            done.map_err(|error| Error::failure("a search in the embedded index broke off").because(error))?
        })
    }
}

fn search_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::failure("the embedded index cannot be read; check the disk, or delete its folder and run again")
        .because(error)
}

impl FolderIndexes {
    /// The searcher behind the alias of a projection: of now, or, in a view, of the view's first request.
    fn searcher(&self, projection: &str) -> Result<Searcher> {
        let Some(searchers) = &self.searchers else { return self.newest(projection) };
        let mut searchers = searchers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(searcher) = searchers.get(projection) {
            return Ok(searcher.clone());
        }
        let searcher = self.newest(projection)?;
        searchers.insert(projection.to_owned(), searcher.clone());
        Ok(searcher)
    }

    fn newest(&self, projection: &str) -> Result<Searcher> {
        let alias = format!("{}{projection}", self.prefix);
        let index = self.folder.index_behind(&alias)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                format!("there is no alias {alias} yet; `tributary run` makes it"),
            )
        })?;
        let path = self.folder.index(&index);
        let meta = xxh3_64(&std::fs::read(path.join("meta.json")).map_err(search_error)?);
        let mut readers = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = readers.get_mut(&alias).filter(|opened| opened.index == index) {
            if opened.meta != meta {
                opened.reader.reload().map_err(search_error)?;
                opened.meta = meta;
            }
            return Ok(opened.reader.searcher());
        }
        let opened = Index::open_in_dir(&path).map_err(search_error)?;
        let reader: IndexReader =
            opened.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(search_error)?;
        let searcher = reader.searcher();
        readers.insert(alias, OpenIndex { index, reader, meta });
        Ok(searcher)
    }

    /// The fields of the index of a projection.
    fn fields(&self, projection: &str) -> Result<&IndexFields> {
        let none = || Error::failure(format!("the model has no projection {projection}"));
        self.fields.get(projection).ok_or_else(none)
    }

    /// The fields of the index of a collection, and those that searches look in.
    fn fields_of_search(&self, collection: Collection) -> Result<(&IndexFields, &SearchFields)> {
        let fields = self.fields(collection.name())?;
        let none =
            || Error::failure(format!("the model does not say how {} are searched", collection.name()));
        Ok((fields, fields.search.as_ref().ok_or_else(none)?))
    }

    fn find(&self, find: &EngineSearch) -> Result<SearchResult> {
        let searcher = self.searcher(find.collection.name())?;
        let (fields, search) = self.fields_of_search(find.collection)?;
        let query = query::query(&searcher, (fields, search), find).map_err(search_error)?;
        let ranking = find.terms.is_some().then(|| Ranking::of((fields, search), find));
        let (after, ranking) = (find.after.as_ref(), ranking.as_ref());
        let ordered = FirstHits { size: find.size, after, ranking, sort: find.sort };
        let (total, ranked) = searcher.search(&query, &ordered).map_err(search_error)?;
        let terms: Vec<Term> = find.terms.iter().flatten().map(|(term, _)| term.clone()).collect();
        let mut hits = Vec::new();
        for RankedHit { key, score, id, at } in ranked {
            let mut document = if find.documents { document_at(fields, &searcher, at)? } else { Value::Null };
            let matched = matched_members::of(&mut document, search.plan, &terms, &find.whole);
            hits.push(Hit { id, score, key, document, matched });
        }
        let mut facets = Vec::new();
        for field in &find.facets {
            facets.push((*field, self.counts(&searcher, search, find, (&query, field))?));
        }
        Ok(SearchResult { total, hits, facets })
    }

    fn counts(
        &self,
        searcher: &Searcher,
        search: &SearchFields,
        find: &EngineSearch,
        (hits, field): (&dyn Query, FilterField),
    ) -> Result<Counts> {
        let mut clauses = vec![(Occur::Must, hits.box_clone())];
        let members = field.members.and_then(|number| Some((number, search.members.get(number)?)));
        let mut together = None;
        if let Some((number, (_, truncated))) = members {
            // Members that are not embedded are counted by themselves.
            if field.apart.is_some() {
                clauses.push((Occur::MustNot, query::equals(*truncated, "yes")));
            }
            let filters = find.filters_of(number);
            if !filters.is_empty() {
                together = MemberValueCounter::of(search.plan, number, field, filters);
            }
        }
        let query = BooleanQuery::new(clauses);
        let counts = match together {
            Some(together) => searcher.search(&query, &together),
            None => searcher.search(&query, &ValueCounter(text_column(field))),
        };
        Ok(most_frequent(counts.map_err(search_error)?))
    }

    fn owners_of_id(&self, collection: Collection, members: usize, id: &str) -> Result<Vec<String>> {
        let searcher = self.searcher(collection.name())?;
        let (_, search) = self.fields_of_search(collection)?;
        let is_it = query::equals(search.whole, &member_key(members, id));
        let ordered = FirstHits { size: OWNERS_MAX, after: None, ranking: None, sort: None };
        let (_, ranked) = searcher.search(&is_it, &ordered).map_err(search_error)?;
        Ok(ranked.into_iter().map(|hit| hit.id).collect())
    }

    fn owners(&self, among: MemberScope<'_>) -> Result<Vec<String>> {
        let searcher = self.searcher(among.collection.name())?;
        let query = query::members_of(self.fields_of_search(among.collection)?.1, among);
        let counts =
            searcher.search(&query, &ValueCounter(owner_column(among.owner))).map_err(search_error)?;
        // A member with several owners names others as well.
        Ok(counts.into_keys().filter(|owner| among.owners.contains(owner)).collect())
    }

    fn owner_counts(&self, among: MemberScope<'_>, field: FilterField) -> Result<Counts> {
        let searcher = self.searcher(among.collection.name())?;
        let query = query::members_of(self.fields_of_search(among.collection)?.1, among);
        let mut pairs: BTreeSet<(String, String)> = BTreeSet::new();
        let docs = searcher.search(&query, &DocSetCollector).map_err(search_error)?;
        for at in docs {
            let fast = searcher.segment_reader(at.segment_ord).fast_fields();
            let texts = |name: &str| -> Result<Vec<String>> {
                let Some(column) = fast.str(name).map_err(search_error)? else { return Ok(Vec::new()) };
                let mut texts = Vec::new();
                for ordinal in column.term_ords(at.doc_id) {
                    let mut text = String::new();
                    column.ord_to_str(ordinal, &mut text).map_err(search_error)?;
                    texts.push(text);
                }
                Ok(texts)
            };
            let owners = texts(&owner_column(among.owner))?;
            for value in texts(&text_column(field))? {
                let owners = owners.iter().filter(|owner| among.owners.contains(owner));
                pairs.extend(owners.map(|owner| (value.clone(), owner.clone())));
            }
        }
        let mut counts = Counts::new();
        for (value, _) in pairs {
            *counts.entry(value).or_default() += 1;
        }
        Ok(most_frequent(counts))
    }

    fn match_members(&self, among: MemberScope<'_>, whole: &QueryReadings) -> Result<Vec<Value>> {
        let searcher = self.searcher(among.collection.name())?;
        let (fields, search) = self.fields_of_search(among.collection)?;
        let query = query::members_of(search, among);
        let ranking = Ranking::of_members((fields, search), among.terms, whole);
        let ordered = FirstHits { size: MATCHED_MAX, after: None, ranking: Some(&ranking), sort: None };
        let (_, ranked) = searcher.search(&query, &ordered).map_err(search_error)?;
        ranked.into_iter().map(|hit| document_at(fields, &searcher, hit.at)).collect()
    }

    fn document(&self, projection: &str, id: &str) -> Result<Option<Value>> {
        let (searcher, fields) = (self.searcher(projection)?, self.fields(projection)?);
        let ordered = FirstHits { size: 1, after: None, ranking: None, sort: None };
        let (_, ranked) = searcher.search(&query::equals(fields.id, id), &ordered).map_err(search_error)?;
        ranked.first().map(|hit| document_at(fields, &searcher, hit.at)).transpose()
    }

    fn find_truncated(&self, collection: Collection, members: usize) -> Result<Vec<String>> {
        let searcher = self.searcher(collection.name())?;
        let (_, search) = self.fields_of_search(collection)?;
        let Some((_, truncated)) = search.members.get(members) else { return Ok(Vec::new()) };
        let ordered = FirstHits { size: TRUNCATED_MAX, after: None, ranking: None, sort: None };
        let (_, ranked) =
            searcher.search(&query::equals(*truncated, "yes"), &ordered).map_err(search_error)?;
        Ok(ranked.into_iter().map(|hit| hit.id).collect())
    }
}

fn document_at(fields: &IndexFields, searcher: &Searcher, at: DocAddress) -> Result<Value> {
    let stored: TantivyDocument = searcher.doc(at).map_err(search_error)?;
    let json = stored.get_first(fields.document).and_then(|value| value.as_bytes());
    serde_json::from_slice(json.unwrap_or_default()).map_err(search_error)
}

/// [`MemberScope`] on a thread of its own.
#[derive(Clone)]
struct OwnedMemberScope {
    collection: Collection,
    owner: &'static str,
    owners: Vec<String>,
    terms: Vec<Term>,
    filters: Vec<(FilterField, FilterValue)>,
}

impl OwnedMemberScope {
    fn of(among: MemberScope<'_>) -> Self {
        let MemberScope { collection, owner, owners, terms, filters } = among;
        Self { collection, owner, owners: owners.to_vec(), terms: terms.to_vec(), filters: filters.to_vec() }
    }

    fn as_scope(&self) -> MemberScope<'_> {
        let Self { collection, owner, owners, terms, filters } = self;
        MemberScope { collection: *collection, owner, owners, terms, filters }
    }
}

/// At most [`FACET_VALUES_MAX`] values, the most frequent.
fn most_frequent(counts: Counts) -> Counts {
    if counts.len() <= FACET_VALUES_MAX {
        return counts;
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().take(FACET_VALUES_MAX).collect()
}

impl SearchIndex for EmbeddedIndex {
    fn find<'a>(&'a self, find: &'a EngineSearch) -> Answer<'a, SearchResult> {
        let find = find.clone();
        self.ask(move |inner| inner.find(&find))
    }

    fn find_truncated(&self, collection: Collection, members: usize) -> Answer<'_, Vec<String>> {
        self.ask(move |inner| inner.find_truncated(collection, members))
    }

    fn owners_of_id<'a>(
        &'a self,
        collection: Collection,
        members: usize,
        id: &'a str,
    ) -> Answer<'a, Vec<String>> {
        let id = id.to_owned();
        self.ask(move |inner| inner.owners_of_id(collection, members, &id))
    }

    fn owners<'a>(&'a self, among: MemberScope<'a>) -> Answer<'a, Vec<String>> {
        let among = OwnedMemberScope::of(among);
        self.ask(move |inner| inner.owners(among.as_scope()))
    }

    fn owner_counts<'a>(&'a self, among: MemberScope<'a>, field: FilterField) -> Answer<'a, Counts> {
        let among = OwnedMemberScope::of(among);
        self.ask(move |inner| inner.owner_counts(among.as_scope(), field))
    }

    fn match_members<'a>(
        &'a self,
        among: MemberScope<'a>,
        whole: &'a QueryReadings,
    ) -> Answer<'a, Vec<Value>> {
        let (among, whole) = (OwnedMemberScope::of(among), whole.clone());
        self.ask(move |inner| inner.match_members(among.as_scope(), &whole))
    }

    fn document<'a>(&'a self, projection: &'a str, id: &'a str) -> Answer<'a, Option<Value>> {
        let (projection, id) = (projection.to_owned(), id.to_owned());
        self.ask(move |inner| inner.document(&projection, &id))
    }

    fn view(&self) -> Arc<dyn SearchIndex> {
        let searchers = Some(Arc::default());
        Arc::new(EmbeddedIndex(Arc::new(FolderIndexes { searchers, ..(*self.0).clone() })))
    }

    fn refresh(&self, _: Collection) -> Answer<'_, ()> {
        // Acknowledged writes are committed, and every search looks for commits.
        Box::pin(async { Ok(()) })
    }

    fn find_unfilled<'a>(&'a self, projections: &'a [String]) -> Answer<'a, Vec<String>> {
        let projections = projections.to_vec();
        self.ask(move |inner| {
            let mut unfilled = Vec::new();
            for projection in projections {
                let behind = inner.folder.index_behind(&format!("{}{projection}", inner.prefix))?;
                if behind.is_none_or(|index| inner.folder.is_filling(&index)) {
                    unfilled.push(projection);
                }
            }
            Ok(unfilled)
        })
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.ask(|inner| inner.folder.index_behind("").map(|_| ()))
    }
}
