//! The children of documents, put where a document with nested members has them.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::{ElasticsearchIndex, member_query};
use crate::error::Result;
use crate::plan::{MembersPlan, Projection};
use crate::search::index::{EngineSearch, Hit, MATCHED_MAX};
use crate::search::matched_members;
use crate::search::query::Term;
use crate::searchable_fields::SearchableFields;

/// How many children one answer of the server holds.
const PAGE: usize = 1_000;
/// So many children are shown within their owner.
const SHOWN_MAX: usize = 10_000;
/// The children of so many hits are asked for at once.
const AT_ONCE: usize = 4;

impl ElasticsearchIndex {
    /// Adds all children to a document that is shown whole, as many as are searchable.
    ///
    /// # Errors
    /// Those of a search.
    pub(super) async fn add_children(
        &self,
        projection: Projection,
        id: &str,
        document: &mut Value,
    ) -> Result<()> {
        for (embed, _) in projection.child_embeds() {
            put(document, embed.name, self.children(projection, None, embed.name, id.to_owned()).await?);
        }
        Ok(())
    }

    /// The first children of an owner, sorted by id, as they are at a point in time or now.
    async fn children(
        &self,
        projection: Projection,
        point: Option<Value>,
        embed: &str,
        owner: String,
    ) -> Result<Vec<Value>> {
        let (mut children, mut after) = (Vec::new(), None::<Value>);
        loop {
            let filter = member_query::children(projection.name(), embed, &[&owner]);
            let mut body = json!({
                "query": {"bool": {"filter": filter}}, "size": PAGE, "track_total_hits": false,
                "_source": [embed], "sort": [{format!("{embed}.id"): "asc"}],
            });
            if let (Some(after), Some(body)) = (after.take(), body.as_object_mut()) {
                body.insert("search_after".to_owned(), after);
            }
            let mut answer = self.search_in(projection.name(), point.clone(), body).await?;
            let hits = answer.pointer_mut("/hits/hits").and_then(Value::as_array_mut);
            let hits = hits.map(std::mem::take).unwrap_or_default();
            if hits.len() == PAGE && children.len() + PAGE < SHOWN_MAX {
                after = hits.last().and_then(|hit| hit.get("sort").cloned());
            }
            children.extend(hits.into_iter().filter_map(|mut hit| take_member(&mut hit, embed)));
            if after.is_none() {
                return Ok(children);
            }
        }
    }

    /// Adds children to hits that show them, as they were when the hits were found.
    ///
    /// # Errors
    /// Those of a search.
    pub(super) async fn add_shown_children(&self, hits: &mut [Hit], find: &EngineSearch) -> Result<()> {
        let (projection, shown) = (find.collection.projection(), &find.collection.get().hit);
        let embeds: Vec<&str> = projection.child_embeds().map(|(embed, _)| embed.name).collect();
        let embeds = embeds.into_iter().filter(|embed| shown.contains(embed)).collect::<Vec<_>>();
        if embeds.is_empty() || hits.is_empty() {
            return Ok(());
        }
        let point = self.point(find.collection).await?;
        for embed in embeds {
            let of = |hit: &'_ Hit| self.children(projection, point.clone(), embed, hit.id.clone());
            let questions: Vec<_> = hits.iter().map(of).collect();
            let children: Vec<_> = stream::iter(questions).buffered(AT_ONCE).try_collect().await?;
            for (hit, children) in hits.iter_mut().zip(children) {
                put(&mut hit.document, embed, children);
            }
        }
        Ok(())
    }

    /// Adds the children that a term matched to each hit, best first.
    ///
    /// # Errors
    /// Those of a search.
    pub(super) async fn add_matched_children(
        &self,
        hits: &mut [Hit],
        terms: &[Term],
        find: &EngineSearch,
    ) -> Result<()> {
        if hits.is_empty() {
            return Ok(());
        }
        for (at, (_, members, searched)) in find.collection.get().members_to_search().enumerate() {
            let matched = self.find_matched_children(hits, (members, searched), terms, find).await?;
            for (hit, matched) in hits.iter_mut().zip(matched) {
                if let Some(place) = hit.matched.get_mut(at) {
                    *place = matched;
                }
            }
        }
        Ok(())
    }

    async fn find_matched_children(
        &self,
        hits: &[Hit],
        (embed, searched): (&MembersPlan, SearchableFields),
        terms: &[Term],
        find: &EngineSearch,
    ) -> Result<Vec<Vec<Value>>> {
        let ids: Vec<&str> = hits.iter().map(|hit| hit.id.as_str()).collect();
        let path = embed.path;
        let mut best = super::order::of_members(find, terms, embed, searched);
        if let Some(id) = find.whole.ids.first() {
            let is_it = super::dsl::equals(&format!("{path}.id"), id);
            best =
                super::dsl::any(vec![best, json!({"constant_score": {"filter": is_it, "boost": 1_000_000}})]);
        }
        let inner = json!({
            "size": MATCHED_MAX, "_source": {"includes": [path], "excludes": [format!("{path}._search")]}, "sort": [{"_score": "desc"}, {format!("{path}.id"): "asc"}],
        });
        let has =
            json!({"has_child": {"type": path, "score_mode": "none", "query": best, "inner_hits": inner}});
        let body = json!({
            "query": {"bool": {"filter": [{"terms": {"id": ids}}], "must": [has]}},
            "size": ids.len(), "track_total_hits": false, "_source": false,
        });
        let mut answer = self.search(find.collection, body).await?;
        let mut matched: Vec<Vec<Value>> = vec![Vec::new(); hits.len()];
        let found = answer.pointer_mut("/hits/hits").and_then(Value::as_array_mut);
        for found in found.into_iter().flatten() {
            let id = found.get("_id").and_then(Value::as_str).unwrap_or_default();
            let Some(at) = ids.iter().position(|known| *known == id) else { continue };
            let inner = found.pointer_mut(&format!("/inner_hits/{path}/hits/hits"));
            let inner = inner.and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
            let mut members: Vec<Value> =
                inner.into_iter().filter_map(|mut hit| take_member(&mut hit, path)).collect();
            members.sort_by(|one, other| text(one).cmp(text(other)));
            if let Some(place) = matched.get_mut(at) {
                *place = matched_members::best(members.iter(), searched, terms, &find.whole);
            }
        }
        Ok(matched)
    }
}

/// Puts the members of an embed where a document with nested members has them.
fn put(document: &mut Value, embed: &str, members: Vec<Value>) {
    if let Some(document) = document.as_object_mut() {
        document.insert(embed.to_owned(), members.into());
    }
}

fn text(member: &Value) -> &str {
    member.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// The member that a child holds.
fn take_member(hit: &mut Value, embed: &str) -> Option<Value> {
    Some(hit.get_mut("_source")?.get_mut(embed)?.take())
}
