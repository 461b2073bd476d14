//! The contacts that hits embed, for those that a query matched.

use serde_json::{Value, json};

use super::ElasticsearchIndex;
use crate::error::Result;
use crate::search::index::{Find, Hit};
use crate::search::matched;
use crate::search::query::{Collection, Term};

/// About so many contacts come with one answer, so that its size is bounded.
const CONTACTS_MAX: u64 = 4_000;

impl ElasticsearchIndex {
    /// Adds the contacts that a term matched to each organisation.
    ///
    /// # Errors
    /// Those of a search.
    pub(super) async fn add_matched(&self, hits: &mut [Hit], find: &Find) -> Result<()> {
        let terms: Vec<Term> = find.terms.iter().flatten().map(|(term, _)| term.clone()).collect();
        if terms.is_empty() {
            return Ok(());
        }
        let mut rest = hits;
        while !rest.is_empty() {
            let (some, others) = rest.split_at_mut(fitting(rest));
            self.add_matched_to(some, &terms, find).await?;
            rest = others;
        }
        Ok(())
    }

    async fn add_matched_to(&self, hits: &mut [Hit], terms: &[Term], find: &Find) -> Result<()> {
        let ids: Vec<&str> = hits.iter().map(|hit| hit.id.as_str()).collect();
        let body = json!({
            "query": {"ids": {"values": ids}}, "size": ids.len(), "track_total_hits": false,
            "_source": {"includes": ["contacts"], "excludes": ["contacts._search"]},
        });
        let mut answer = self.search(Collection::Organisations, body).await?;
        let found = answer.pointer_mut("/hits/hits").and_then(Value::as_array_mut);
        for found in found.into_iter().flatten() {
            let id = found.get("_id").and_then(Value::as_str).unwrap_or_default();
            let Some(hit) = hits.iter_mut().find(|hit| hit.id == id) else { continue };
            if let Some(document) = found.get_mut("_source") {
                hit.matched = matched::of(document, terms, &find.whole);
            }
        }
        Ok(())
    }
}

/// How many of the first hits fit into one answer; at least one.
fn fitting(hits: &[Hit]) -> usize {
    let mut contacts = 0;
    let fits = |hit: &&Hit| {
        contacts += hit.document.get("contactCount").and_then(Value::as_u64).unwrap_or(0);
        contacts <= CONTACTS_MAX
    };
    hits.iter().take_while(fits).count().max(1)
}
