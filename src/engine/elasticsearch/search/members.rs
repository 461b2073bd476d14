//! The members that hits embed, for those that a query matched.

use serde_json::{Value, json};

use super::ElasticsearchIndex;
use crate::error::Result;
use crate::plan::{MembersPlan, SearchPlan};
use crate::search::index::{EngineSearch, Hit};
use crate::search::matched_members;
use crate::search::query::Term;

/// About so many members come with one answer, so that its size is bounded.
const MEMBERS_MAX: u64 = 4_000;
/// So many are expected of a document that does not say how many it embeds.
const MEMBERS_UNKNOWN: u64 = 400;

impl ElasticsearchIndex {
    /// Adds the members that a term matched to each hit.
    ///
    /// # Errors
    /// Those of a search.
    pub(super) async fn add_matched(&self, hits: &mut [Hit], find: &EngineSearch) -> Result<()> {
        let terms: Vec<Term> = find.terms.iter().flatten().map(|(term, _)| term.clone()).collect();
        let plan = find.collection.get();
        if terms.is_empty() || plan.members_to_search().next().is_none() {
            return Ok(());
        }
        if find.collection.projection().has_children() {
            return self.add_matched_children(hits, &terms, find).await;
        }
        let mut rest = hits;
        while !rest.is_empty() {
            let (some, others) = rest.split_at_mut(fitting(plan, rest));
            self.add_matched_to(some, &terms, find).await?;
            rest = others;
        }
        Ok(())
    }

    async fn add_matched_to(&self, hits: &mut [Hit], terms: &[Term], find: &EngineSearch) -> Result<()> {
        let ids: Vec<&str> = hits.iter().map(|hit| hit.id.as_str()).collect();
        let paths: Vec<&str> =
            find.collection.get().members_to_search().map(|(_, members, _)| members.path).collect();
        let words: Vec<String> = paths.iter().map(|path| format!("{path}._search")).collect();
        let body = json!({
            "query": {"ids": {"values": ids}}, "size": ids.len(), "track_total_hits": false,
            "_source": {"includes": paths, "excludes": words},
        });
        let mut answer = self.search(find.collection, body).await?;
        let found = answer.pointer_mut("/hits/hits").and_then(Value::as_array_mut);
        for found in found.into_iter().flatten() {
            let id = found.get("_id").and_then(Value::as_str).unwrap_or_default();
            let Some(hit) = hits.iter_mut().find(|hit| hit.id == id) else { continue };
            if let Some(document) = found.get_mut("_source") {
                hit.matched = matched_members::of(document, find.collection.get(), terms, &find.whole);
            }
        }
        Ok(())
    }
}

/// How many of the first hits fit into one answer; at least one.
fn fitting(plan: &SearchPlan, hits: &[Hit]) -> usize {
    let count = |hit: &Hit, members: &MembersPlan| {
        let count = members.count.and_then(|name| hit.document.get(name)?.as_u64());
        count.unwrap_or(MEMBERS_UNKNOWN)
    };
    let mut all = 0;
    let fits = |hit: &&Hit| {
        all += plan.members_to_search().map(|(_, members, _)| count(hit, members)).sum::<u64>();
        all <= MEMBERS_MAX
    };
    hits.iter().take_while(fits).count().max(1)
}
