//! Search on Elasticsearch, by the aliases.

mod contacts;
mod dsl;
mod order;
mod point;

use std::collections::BTreeMap;
use std::sync::Arc;

use elasticsearch::SearchParts;
use elasticsearch::indices::{IndicesGetAliasParts, IndicesRefreshParts};
use serde_json::{Value, json};

use self::point::Points;
use super::index::{
    Among, Answer, Counts, FACET_VALUES_MAX, Find, Found, Hit, MATCHED_MAX, SearchIndex, TRUNCATED_MAX,
};
use super::query::{Collection, Field, Term, Whole};
use super::sort::{Key, Sort};
use crate::config::IndexConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::sink::elasticsearch::client::Client;
use crate::sink::elasticsearch::dialect::Dialect;
use crate::sink::elasticsearch::filling;

const WHOLE: &str = "allow_partial_search_results=false";
/// How long the server may search before it answers with an error.
const SEARCH_TIMEOUT: &str = "10s";

/// The indexes of a cluster, for searching.
pub struct ElasticsearchIndex {
    client: Arc<Client>,
    prefix: String,
    has_organisations: bool,
    /// The points in time of a view.
    points: Option<Points>,
}

impl ElasticsearchIndex {
    /// The configured indexes. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// When an address or the CA certificate can't be read (exit code 2).
    pub fn new(config: &IndexConfig) -> Result<Self> {
        let has_organisations = config.projections.iter().any(|name| name == "organisations");
        let client = Arc::new(Client::new(config)?);
        Ok(Self { client, prefix: config.prefix.clone(), has_organisations, points: None })
    }

    fn alias(&self, projection: &str) -> String {
        format!("{}{projection}", self.prefix)
    }

    async fn search(&self, collection: Collection, mut body: Value) -> Result<Value> {
        if let Some(body) = body.as_object_mut() {
            body.insert("timeout".to_owned(), SEARCH_TIMEOUT.into());
        }
        let point = match &self.points {
            Some(points) => points.of(collection, &self.alias(collection.name())).await?,
            None => None,
        };
        let answer = match point {
            Some(point) => {
                if let Some(body) = body.as_object_mut() {
                    body.insert("pit".to_owned(), point);
                }
                Some(self.client.post(&format!("{}?{WHOLE}", SearchParts::None.url()), Some(&body)).await?)
            }
            None => {
                let path = SearchParts::Index(&[&self.alias(collection.name())]).url();
                let path = format!("{path}?{WHOLE}");
                self.client.post_if_there(&path, Some(&body)).await?
            }
        };
        let answer = answer.ok_or_else(|| {
            let alias = format!("{}{}", self.prefix, collection.name());
            Error::new(
                ErrorKind::Unavailable,
                format!("there is no alias {alias} yet; `tributary run` makes it"),
            )
        })?;
        if answer.get("timed_out").and_then(Value::as_bool).unwrap_or(false) {
            return Err(Error::failed(format!("the search took the index longer than {SEARCH_TIMEOUT}")));
        }
        Ok(answer)
    }

    /// The counts that are asked for, by the names of their fields.
    async fn aggregations(&self, find: &Find) -> Result<BTreeMap<&'static str, Value>> {
        if find.facets.is_empty() {
            return Ok(BTreeMap::new());
        }
        let dialect = self.client.dialect().await?;
        Ok(find.facets.iter().map(|field| (field.name(), aggregation(dialect, find, *field))).collect())
    }

    async fn find(&self, find: &Find) -> Result<Found> {
        let mut body = json!({
            "query": dsl::query(find), "size": find.size, "track_total_hits": true,
            "sort": dsl::sort(find.sort), "track_scores": true,
            "_source": if find.documents { json!({"excludes": ["contacts", "attributes", "_search"]}) } else { json!(false) },
            "aggs": self.aggregations(find).await?,
        });
        if let (Some(after), Some(body)) = (&find.after, body.as_object_mut()) {
            body.insert("search_after".to_owned(), json!([dsl::after(&after.key, find.sort), after.id]));
        }
        let answer = self.search(find.collection, body).await?;
        let found = answer.pointer("/hits/hits").and_then(Value::as_array).into_iter().flatten();
        let mut hits: Vec<Hit> = found.map(|found| hit(found, find.sort)).collect();
        if find.documents && find.collection == Collection::Organisations {
            self.add_matched(&mut hits, find).await?;
        }
        let facets = find
            .facets
            .iter()
            .map(|field| (*field, counts(answer.pointer(&format!("/aggregations/{}", field.name())))));
        Ok(Found {
            total: answer.pointer("/hits/total/value").and_then(Value::as_u64).unwrap_or(0),
            hits,
            facets: facets.collect(),
        })
    }
}

/// Counts of a field's values. Contacts' fields count organisations, and only those that embed all
/// their contacts.
fn aggregation(dialect: Dialect, find: &Find, field: Field) -> Value {
    let collection = find.collection;
    let terms = dialect.terms(dsl::path(collection, field), FACET_VALUES_MAX);
    if collection == Collection::Contacts || !field.is_of_contacts() {
        return json!({"terms": terms});
    }
    let values = json!({"terms": terms, "aggs": {"organisations": {"reverse_nested": {}}}});
    // One and the same contact meets the filters and has the value.
    let filter = json!({"bool": {"filter": dsl::values(collection, &find.contact_filters)}});
    let met = json!({"filter": filter, "aggs": {"values": values}});
    let contacts = json!({"nested": {"path": "contacts"}, "aggs": {"met": met}});
    json!({"filter": {"bool": {"must_not": [{"term": {"contactsTruncated": true}}]}}, "aggs": {"contacts": contacts}})
}

fn counts(aggregation: Option<&Value>) -> Counts {
    let buckets = aggregation.and_then(|found| {
        found
            .get("buckets")
            .or_else(|| found.pointer("/contacts/met/values/buckets"))
            .and_then(Value::as_array)
    });
    let count = |bucket: &Value| {
        let of_organisations =
            bucket.pointer("/organisations/doc_count").or_else(|| bucket.pointer("/owners/value"));
        let count = of_organisations.or_else(|| bucket.get("doc_count")).and_then(Value::as_u64)?;
        Some((bucket.get("key")?.as_str()?.to_owned(), count))
    };
    buckets.into_iter().flatten().filter_map(count).collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn hit(found: &Value, sort: Option<Sort>) -> Hit {
    // Scores are sums of small whole numbers, which a float holds exactly.
    let score = found.get("_score").and_then(Value::as_f64).unwrap_or(0.0) as u32;
    Hit {
        id: found.get("_id").and_then(Value::as_str).unwrap_or_default().to_owned(),
        score,
        key: if sort.is_some() { dsl::key(found.pointer("/sort/0")) } else { Key::Score(score) },
        document: found.get("_source").cloned().unwrap_or_default(),
        matched: Vec::new(),
    }
}

/// Contacts of these organisations, by their own fields.
fn contacts_of(among: Among<'_>) -> Value {
    let mut filter = vec![json!({"terms": {"organisation.id": among.owners}})];
    filter.extend(among.term.map(|term| dsl::Part::Contact.any_way(term)));
    filter.extend(dsl::values(Collection::Contacts, among.filters));
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
            Err(Error::failed(format!(
                "the alias {alias} stands for several indexes: {}; take it from all but one",
                names.join(", ")
            )))
        }
    }
}

impl SearchIndex for ElasticsearchIndex {
    fn find<'a>(&'a self, find: &'a Find) -> Answer<'a, Found> {
        Box::pin(ElasticsearchIndex::find(self, find))
    }

    fn truncated(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async {
            let body = json!({
                "query": {"bool": {"filter": [{"term": {"contactsTruncated": true}}]}},
                "size": TRUNCATED_MAX, "_source": false, "track_total_hits": false, "sort": [{"id": "asc"}],
            });
            let answer = self.search(Collection::Organisations, body).await?;
            let hits = answer.pointer("/hits/hits").and_then(Value::as_array).into_iter().flatten();
            Ok(hits.filter_map(|hit| Some(hit.get("_id")?.as_str()?.to_owned())).collect())
        })
    }

    fn owners<'a>(&'a self, among: Among<'a>) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            let size = among.owners.len();
            let owners = json!({"owners": {"terms": {"field": "organisation.id", "size": size}}});
            let body =
                json!({"query": contacts_of(among), "size": 0, "track_total_hits": false, "aggs": owners});
            let answer = self.search(Collection::Contacts, body).await?;
            Ok(counts(answer.pointer("/aggregations/owners")).into_keys().collect())
        })
    }

    fn owner_counts<'a>(
        &'a self,
        owners: &'a [String],
        field: Field,
        filters: &'a [(Field, String)],
    ) -> Answer<'a, Counts> {
        Box::pin(async move {
            let query = contacts_of(Among { owners, term: None, filters });
            let distinct =
                json!({"cardinality": {"field": "organisation.id", "precision_threshold": 40_000}});
            let terms = json!({"field": dsl::path(Collection::Contacts, field), "size": FACET_VALUES_MAX});
            let values = json!({"values": {"terms": terms, "aggs": {"owners": distinct}}});
            let body = json!({"query": query, "size": 0, "track_total_hits": false, "aggs": values});
            let answer = self.search(Collection::Contacts, body).await?;
            Ok(counts(answer.pointer("/aggregations/values")))
        })
    }

    fn matched<'a>(&'a self, owner: &'a str, terms: &'a [Term], whole: &'a Whole) -> Answer<'a, Vec<Value>> {
        Box::pin(async move {
            let body = json!({
                "query": {"bool": {"filter": [dsl::equals("organisation.id", owner)], "must": [order::contact(terms, whole)]}},
                "size": MATCHED_MAX, "track_total_hits": false, "sort": [{"_score": "desc"}, {"id": "asc"}],
                "_source": {"excludes": ["_search", "attributes"]},
            });
            let answer = self.search(Collection::Contacts, body).await?;
            let hits = answer.pointer("/hits/hits").and_then(Value::as_array).into_iter().flatten();
            Ok(hits.filter_map(|hit| hit.get("_source").cloned()).collect())
        })
    }

    fn document<'a>(&'a self, projection: &'a str, id: &'a str) -> Answer<'a, Option<Value>> {
        Box::pin(async move {
            let found = self.client.document(&self.alias(projection), id, false).await?;
            Ok(found.and_then(|found| found.get("_source").cloned()))
        })
    }

    fn view(&self) -> Arc<dyn SearchIndex> {
        Arc::new(Self {
            client: Arc::clone(&self.client),
            prefix: self.prefix.clone(),
            has_organisations: self.has_organisations,
            points: Some(Points::new(Arc::clone(&self.client))),
        })
    }

    fn refresh(&self, collection: Collection) -> Answer<'_, ()> {
        Box::pin(async move {
            // Organisations are found by contacts that they do not embed as well.
            let has_both = self.has_organisations && collection == Collection::Organisations;
            let names: &[&str] = if has_both { &["organisations", "contacts"] } else { &["contacts"] };
            let aliases: Vec<String> = names.iter().map(|name| self.alias(name)).collect();
            let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
            let path = IndicesRefreshParts::Index(&aliases).url();
            self.client.post(&format!("{path}?ignore_unavailable=true"), None).await.map(|_| ())
        })
    }

    fn unfilled<'a>(&'a self, projections: &'a [String]) -> Answer<'a, Vec<String>> {
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
        let collection =
            if self.has_organisations { Collection::Organisations } else { Collection::Contacts };
        Box::pin(async move {
            let body = json!({"size": 0, "track_total_hits": false, "terminate_after": 1});
            self.search(collection, body).await.map(|_| ())
        })
    }
}
