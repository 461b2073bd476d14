//! Search on Elasticsearch, by the aliases.

mod children;
mod dsl;
mod facets;
mod member_query;
mod members;
mod order;
mod part;
mod point;
mod query;

use std::collections::BTreeMap;
use std::sync::Arc;

use elasticsearch::SearchParts;
use elasticsearch::indices::{IndicesGetAliasParts, IndicesRefreshParts};
use serde_json::{Value, json};

use self::part::DocumentPart;
use self::point::Points;
use super::index::client::ClusterClient;
use super::index::dialect::Dialect;
use super::index::filling;
use crate::config::IndexConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{ChildKey, Collection, PlanRef, Projection, SearchPlan};
use crate::search::index::{
    Answer, Counts, EngineSearch, FACET_VALUES_MAX, Hit, MATCHED_MAX, MemberScope, OWNERS_MAX, SearchIndex,
    SearchResult, TRUNCATED_MAX,
};
use crate::search::query::{FilterField, QueryReadings};
use crate::search::sort::Key;
use crate::searchable_fields::ValueKind;

const WHOLE: &str = "allow_partial_search_results=false";
const TOO_LONG: &str = "the query has more words and numbers than the server takes at once; search for fewer, or raise \
                        indices.query.bool.max_clause_count of the server";
/// How long the server may search before it answers with an error.
const SEARCH_TIMEOUT: &str = "10s";

/// The indexes of a cluster, for searching.
pub struct ElasticsearchIndex {
    client: Arc<ClusterClient>,
    prefix: String,
    /// The projections that are kept.
    projections: Vec<String>,
    plan: PlanRef,
    /// The points in time of a view.
    points: Option<Points>,
}

impl ElasticsearchIndex {
    /// The configured indexes. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// When an address or the CA certificate can't be read (exit code 2).
    pub fn new(config: &IndexConfig) -> Result<Self> {
        let (prefix, projections) = (config.prefix.clone(), config.projections.clone());
        let client = Arc::new(ClusterClient::new(config)?);
        Ok(Self { client, prefix, projections, plan: config.plan, points: None })
    }

    fn projection(&self, name: &str) -> Option<Projection> {
        self.plan.projection(name)
    }

    fn alias(&self, projection: &str) -> String {
        format!("{}{projection}", self.prefix)
    }

    /// Searches the documents of a collection, and never the children beside them.
    async fn search(&self, collection: Collection, mut body: Value) -> Result<Value> {
        if collection.projection().has_children()
            && let Some(query) = body.get_mut("query")
        {
            *query = member_query::owners(collection, query.take());
        }
        self.search_all(collection, body).await
    }

    async fn search_all(&self, collection: Collection, body: Value) -> Result<Value> {
        let point = self.point(collection).await?;
        self.search_in(collection.name(), point, body).await
    }

    /// The point in time at which a view searches a collection; none where the index is searched as it is.
    async fn point(&self, collection: Collection) -> Result<Option<Value>> {
        match &self.points {
            Some(points) => points.of(collection, &self.alias(collection.name())).await,
            None => Ok(None),
        }
    }

    async fn search_in(&self, projection: &str, point: Option<Value>, mut body: Value) -> Result<Value> {
        let alias = self.alias(projection);
        if let Some(body) = body.as_object_mut() {
            body.insert("timeout".to_owned(), SEARCH_TIMEOUT.into());
            body.extend(point.iter().map(|point| ("pit".to_owned(), point.clone())));
        }
        let mut answer = self.ask(&alias, &body).await;
        if matches!(&answer, Err(error) if Dialect::is_out_of_clauses(error))
            && dsl::spare_clauses(&mut body) > 0
        {
            answer = self.ask(&alias, &body).await;
        }
        let answer = answer.map_err(|error| match Dialect::is_out_of_clauses(&error) {
            true => Error::usage(TOO_LONG).because(error),
            false => error,
        })?;
        let answer = answer.ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                format!("there is no alias {alias} yet; `tributary run` makes it"),
            )
        })?;
        if answer.get("timed_out").and_then(Value::as_bool).unwrap_or(false) {
            return Err(Error::failure(format!("the search took the index longer than {SEARCH_TIMEOUT}")));
        }
        Ok(answer)
    }

    /// The answer to a search in a point in time that `body` names, else in the index behind an alias. `None` when there
    /// is no such alias.
    async fn ask(&self, alias: &str, body: &Value) -> Result<Option<Value>> {
        if body.get("pit").is_some() {
            return self
                .client
                .post(&format!("{}?{WHOLE}", SearchParts::None.url()), Some(body))
                .await
                .map(Some);
        }
        let path = format!("{}?{WHOLE}", SearchParts::Index(&[alias]).url());
        self.client.post_if_there(&path, Some(body)).await
    }

    /// The counts that are asked for, by the names of their fields.
    async fn aggregations(&self, find: &EngineSearch) -> Result<BTreeMap<&'static str, Value>> {
        if find.facets.is_empty() {
            return Ok(BTreeMap::new());
        }
        let dialect = self.client.dialect().await?;
        Ok(find.facets.iter().map(|field| (field.name, facets::aggregation(dialect, find, field))).collect())
    }

    async fn find(&self, find: &EngineSearch) -> Result<SearchResult> {
        let mut body = json!({
            "query": query::query(find), "size": find.size, "track_total_hits": true,
            "sort": dsl::sort(find.sort), "track_scores": true,
            "_source": if find.documents { source_filter(find.collection.get()) } else { json!(false) },
            "aggs": self.aggregations(find).await?,
        });
        if let (Some(after), Some(body)) = (&find.after, body.as_object_mut()) {
            body.insert("search_after".to_owned(), json!([dsl::after(&after.key, find.sort), after.id]));
        }
        let answer = self.search(find.collection, body).await?;
        let found = answer.pointer("/hits/hits").and_then(Value::as_array).into_iter().flatten();
        let mut hits: Vec<Hit> = found.map(|found| hit(found, find)).collect();
        if find.documents {
            self.add_shown_children(&mut hits, find).await?;
            self.add_matched(&mut hits, find).await?;
        }
        let counts = |field: &FilterField| {
            let aggregation = answer.pointer(&format!("/aggregations/{}", field.name));
            (*field, facets::counts(aggregation, field.kind))
        };
        Ok(SearchResult {
            total: answer.pointer("/hits/total/value").and_then(Value::as_u64).unwrap_or(0),
            hits,
            facets: find.facets.iter().map(counts).collect(),
        })
    }
}

/// The part of documents that hits need.
fn source_filter(plan: &SearchPlan) -> Value {
    let hidden = plan.hidden.iter().copied().chain(["_search"]);
    json!({"excludes": hidden.collect::<Vec<_>>()})
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn hit(found: &Value, find: &EngineSearch) -> Hit {
    // Scores are sums of small whole numbers, which a float holds exactly.
    let score = found.get("_score").and_then(Value::as_f64).unwrap_or(0.0) as u32;
    Hit {
        id: found.get("_id").and_then(Value::as_str).unwrap_or_default().to_owned(),
        score,
        key: find.sort.map_or(Key::Score(score), |sort| dsl::key(sort, found.pointer("/sort/0"))),
        document: found.get("_source").cloned().unwrap_or_default(),
        matched: find.collection.get().members_to_search().map(|_| Vec::new()).collect(),
    }
}

/// The ids of the hits of an answer.
fn ids(answer: &Value) -> Vec<String> {
    let hits = answer.pointer("/hits/hits").and_then(Value::as_array).into_iter().flatten();
    hits.filter_map(|hit| Some(hit.get("_id")?.as_str()?.to_owned())).collect()
}

/// The members of these owners, by their own fields.
fn members_of(among: MemberScope<'_>) -> Value {
    let owner = format!("{}.id", among.owner);
    let mut filter = vec![json!({"terms": {owner: among.owners}})];
    let part = DocumentPart::own(among.collection.get());
    if !among.terms.is_empty() {
        filter.push(dsl::any(among.terms.iter().flat_map(|term| part.ways(term)).collect()));
    }
    filter.extend(dsl::values(among.filters));
    json!({"bool": {"filter": filter}})
}

/// Whether the one index behind an alias is full, by the aliases of all indexes.
///
/// # Errors
/// When the alias stands for several: searches fail then.
fn is_filled(found: &Value, alias: &str) -> Result<bool> {
    let indexes = found.as_object().into_iter().flatten();
    let aliases =
        |found: &Value| found.get("aliases").and_then(Value::as_object).cloned().unwrap_or_default();
    let behind = indexes.filter(|(_, found)| aliases(found).contains_key(alias));
    let behind: Vec<(&String, bool)> =
        behind.map(|(index, found)| (index, !aliases(found).contains_key(&filling(index)))).collect();
    match behind.as_slice() {
        [] => Ok(false),
        [(_, is_filled)] => Ok(*is_filled),
        several => {
            let names: Vec<&str> = several.iter().map(|(index, _)| index.as_str()).collect();
            Err(Error::failure(format!(
                "the alias {alias} stands for several indexes: {}; take it from all but one",
                names.join(", ")
            )))
        }
    }
}

impl SearchIndex for ElasticsearchIndex {
    fn find<'a>(&'a self, find: &'a EngineSearch) -> Answer<'a, SearchResult> {
        Box::pin(ElasticsearchIndex::find(self, find))
    }

    fn find_truncated(&self, collection: Collection, members: usize) -> Answer<'_, Vec<String>> {
        Box::pin(async move {
            let members = collection.get().members.get(members);
            let Some(truncated) = members.and_then(|members| members.truncated) else {
                return Ok(Vec::new());
            };
            let body = json!({
                "query": {"bool": {"filter": [{"term": {truncated: true}}]}},
                "size": TRUNCATED_MAX, "_source": false, "track_total_hits": false, "sort": [{"id": "asc"}],
            });
            Ok(ids(&self.search(collection, body).await?))
        })
    }

    fn owners_of_id<'a>(
        &'a self,
        collection: Collection,
        members: usize,
        id: &'a str,
    ) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            let Some(members) = collection.get().members.get(members) else { return Ok(Vec::new()) };
            let is_it = dsl::equals(&format!("{}.id", members.path), id);
            let is_it = member_query::any((members.path, members.joined), is_it);
            let body = json!({
                "query": {"bool": {"filter": [is_it]}},
                "size": OWNERS_MAX, "_source": false, "track_total_hits": false, "sort": [{"id": "asc"}],
            });
            Ok(ids(&self.search(collection, body).await?))
        })
    }

    fn owners<'a>(&'a self, among: MemberScope<'a>) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            let owner = format!("{}.id", among.owner);
            let owners = json!({"owners": {"terms": {"field": owner, "size": among.owners.len()}}});
            let body =
                json!({"query": members_of(among), "size": 0, "track_total_hits": false, "aggs": owners});
            let answer = self.search(among.collection, body).await?;
            let found = facets::counts(answer.pointer("/aggregations/owners"), ValueKind::Text).into_keys();
            // A member with several owners names others as well.
            Ok(found.filter(|owner| among.owners.contains(owner)).collect())
        })
    }

    fn owner_counts<'a>(&'a self, among: MemberScope<'a>, field: FilterField) -> Answer<'a, Counts> {
        Box::pin(async move {
            let distinct = json!({"cardinality": {"field": format!("{}.id", among.owner), "precision_threshold": 40_000}});
            let terms = json!({"field": field.field, "size": FACET_VALUES_MAX});
            let values = json!({"values": {"terms": terms, "aggs": {"owners": distinct}}});
            let body =
                json!({"query": members_of(among), "size": 0, "track_total_hits": false, "aggs": values});
            let answer = self.search(among.collection, body).await?;
            Ok(facets::counts(answer.pointer("/aggregations/values"), field.kind))
        })
    }

    fn match_members<'a>(
        &'a self,
        among: MemberScope<'a>,
        whole: &'a QueryReadings,
    ) -> Answer<'a, Vec<Value>> {
        Box::pin(async move {
            let owner = json!({"terms": {format!("{}.id", among.owner): among.owners}});
            let best = order::member(among.collection.get(), among.terms, whole);
            let body = json!({
                "query": {"bool": {"filter": [owner], "must": [best]}},
                "size": MATCHED_MAX, "track_total_hits": false, "sort": [{"_score": "desc"}, {"id": "asc"}],
                "_source": source_filter(among.collection.get()),
            });
            let answer = self.search(among.collection, body).await?;
            let hits = answer.pointer("/hits/hits").and_then(Value::as_array).into_iter().flatten();
            Ok(hits.filter_map(|hit| hit.get("_source").cloned()).collect())
        })
    }

    fn document<'a>(&'a self, projection: &'a str, id: &'a str) -> Answer<'a, Option<Value>> {
        Box::pin(async move {
            if ChildKey::of(id).is_some() {
                // A child is shown within its owner.
                return Ok(None);
            }
            let found = self.client.document(&self.alias(projection), id, false).await?;
            let mut document = found.and_then(|found| found.get("_source").cloned());
            let known = self.projection(projection).filter(|projection| projection.has_children());
            if let (Some(document), Some(projection)) = (&mut document, known) {
                self.add_children(projection, id, document).await?;
            }
            Ok(document)
        })
    }

    fn view(&self) -> Arc<dyn SearchIndex> {
        Arc::new(Self {
            client: Arc::clone(&self.client),
            prefix: self.prefix.clone(),
            projections: self.projections.clone(),
            plan: self.plan,
            points: Some(Points::new(Arc::clone(&self.client))),
        })
    }

    fn refresh(&self, collection: Collection) -> Answer<'_, ()> {
        Box::pin(async move {
            let searched = collection.projections_to_search().into_iter();
            let aliases: Vec<String> = searched.map(|projection| self.alias(projection.name())).collect();
            let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
            let path = IndicesRefreshParts::Index(&aliases).url();
            self.client.post(&format!("{path}?ignore_unavailable=true"), None).await.map(|_| ())
        })
    }

    fn find_unfilled<'a>(&'a self, projections: &'a [String]) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            let aliases: Vec<String> = projections.iter().map(|projection| self.alias(projection)).collect();
            let names: Vec<&str> = aliases.iter().map(String::as_str).collect();
            let path = format!("{}?ignore_unavailable=true", IndicesGetAliasParts::Index(&names).url());
            let found = self.client.find(&path).await?.unwrap_or_default();
            let mut unfilled = Vec::new();
            for (projection, alias) in projections.iter().zip(&aliases) {
                if !is_filled(&found, alias)? {
                    unfilled.push(projection.clone());
                }
            }
            Ok(unfilled)
        })
    }

    fn server(&self) -> Answer<'_, Option<String>> {
        Box::pin(async { self.client.server().await.map(|server| Some(server.to_string())) })
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let Some(projection) = self.projections.first() else { return Ok(()) };
            let body = json!({"size": 0, "track_total_hits": false, "terminate_after": 1});
            self.search_in(projection, None, body).await.map(|_| ())
        })
    }
}
