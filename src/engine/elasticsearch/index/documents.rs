//! Documents by their ids: `_mget`
//! (<https://www.elastic.co/guide/en/elasticsearch/reference/current/docs-multi-get.html>), which sees writes
//! that are not refreshed yet.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use elasticsearch::{MgetParts, SearchParts};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::ElasticsearchSink;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{ChildKey, Projection, is_held, key_of};
use crate::sink::documents::{ANSWER_BYTES_MAX, Documents, StoredDocument, VersionPage};

/// How many ids one page holds.
const PAGE: usize = 5_000;
/// How long the server keeps a listing of ids open between two pages.
const KEEP_ALIVE: &str = "5m";
/// How many documents the first question is for.
pub(super) const ASKED_FIRST: usize = 8;
/// How many documents one question is for at most.
const ASKED_MAX: usize = 128;

#[derive(Deserialize)]
struct DocumentsAnswer<'a> {
    #[serde(borrow)]
    docs: Vec<Doc<'a>>,
}

#[derive(Deserialize)]
struct Doc<'a> {
    #[serde(default)]
    found: bool,
    #[serde(default, rename = "_routing")]
    routing: Option<String>,
    #[serde(default, rename = "_version")]
    version: u64,
    #[serde(default, borrow, rename = "_source")]
    source: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

/// The question for documents: a child is asked for by its id and its routing.
pub(super) fn question(keys: &[impl AsRef<str>]) -> Value {
    let one = |key: &str| match ChildKey::of(key) {
        Some(child) => json!({"_id": child.id(), "routing": child.owner}),
        None => json!({ "_id": key }),
    };
    json!({"docs": keys.iter().map(|key| one(key.as_ref())).collect::<Vec<_>>()})
}

/// The documents of an answer to a question for those of `keys`.
fn parse_documents(answer: &[u8], keys: &[String]) -> Result<Vec<Option<StoredDocument>>> {
    let odd = |what: &str| {
        Error::new(ErrorKind::Unavailable, format!("Elasticsearch gave a wrong answer to _mget: {what}"))
    };
    let answer: DocumentsAnswer<'_> =
        serde_json::from_slice(answer).map_err(|error| odd("no documents").because(error))?;
    if answer.docs.len() != keys.len() {
        return Err(odd("not as many documents as were asked for"));
    }
    let is_found = |doc: &Doc<'_>, key: &str| doc.found && is_held(key, doc.routing.as_deref());
    let document = |(doc, key): (Doc<'_>, &String)| match (doc.error, is_found(&doc, key)) {
        (Some(error), _) if is_final(error.get()) => {
            Err(Error::failure(format!("Elasticsearch cannot give a document back: {}", error.get())))
        }
        // A shard on its way, mostly: it says nothing about the document.
        (Some(error), _) => Err(odd(error.get())),
        (None, false) => Ok(None),
        (None, true) => {
            let body = doc.source.map(|source| source.get().as_bytes().to_vec()).unwrap_or_default();
            Ok(Some(StoredDocument { version: doc.version, body }))
        }
    };
    answer.docs.into_iter().zip(keys).map(document).collect()
}

/// Whether no waiting helps against an error: the request is wrong, or not allowed.
fn is_final(error: &str) -> bool {
    ["routing_missing_exception", "illegal_argument_exception", "security_exception"]
        .iter()
        .any(|kind| error.contains(kind))
}

/// The server does not say beforehand how large an answer is: large documents are asked for fewer at a time,
/// from the next question on.
fn next_at_once(at_once: usize, documents: &[Option<StoredDocument>]) -> usize {
    let largest = documents.iter().flatten().map(|stored| stored.body.len()).max().unwrap_or(0);
    (ANSWER_BYTES_MAX / largest.max(1)).clamp(1, (at_once * 2).min(ASKED_MAX))
}

#[async_trait]
impl Documents for ElasticsearchSink {
    async fn get(&self, projection: Projection, ids: &[String]) -> Result<Vec<Option<StoredDocument>>> {
        self.get_of(&self.index(projection)?, ids).await
    }

    async fn get_of(&self, index: &str, ids: &[String]) -> Result<Vec<Option<StoredDocument>>> {
        let path = MgetParts::Index(index).url();
        let at_once = self.asked_at_once.load(Ordering::Relaxed).clamp(1, ASKED_MAX);
        let mut count = at_once.min(ids.len());
        loop {
            let some = ids.get(..count).unwrap_or_default();
            let most = if count > 1 { ANSWER_BYTES_MAX * 4 } else { self.document_bytes_max() };
            if let Some(answer) = self.client.post_for_bytes(&path, &question(some), most).await? {
                let documents = parse_documents(&answer, some)?;
                self.asked_at_once.store(next_at_once(at_once, &documents), Ordering::Relaxed);
                return Ok(documents);
            }
            if count <= 1 {
                return Err(self.client.size_error(&path, most));
            }
            // Larger ones than the last time came together.
            count /= 2;
        }
    }

    async fn versions(&self, index: &str, cursor: Option<String>) -> Result<VersionPage> {
        let dialect = self.client.dialect().await?;
        let (pit, after) = match cursor.as_deref().map(serde_json::from_str::<(String, Value)>) {
            Some(Ok((pit, after))) => (pit, Some(after)),
            _ => {
                let opened = self.client.post(&dialect.open_point(index, KEEP_ALIVE), None).await?;
                let none = || Error::failure(format!("the server gave no point in time of {index}"));
                (dialect.point_id(&opened).ok_or_else(none)?, None)
            }
        };
        let mut body = json!({
            "size": PAGE, "_source": false, "version": true, "track_total_hits": false,
            "sort": dialect.listing_order(self.source.child_embeds()),
            "pit": {"id": pit, "keep_alive": KEEP_ALIVE},
        });
        if let (Some(after), Some(body)) = (after, body.as_object_mut()) {
            body.insert("search_after".to_owned(), after);
        }
        let found = self.client.post(&SearchParts::None.url(), Some(&body)).await?;
        let pit = found.get("pit_id").and_then(Value::as_str).unwrap_or(&pit).to_owned();
        let hits = found.pointer("/hits/hits").and_then(Value::as_array).cloned().unwrap_or_default();
        let document = |hit: &Value| {
            let routing = hit.get("_routing").and_then(Value::as_str);
            let id = key_of(hit.get("_id").and_then(Value::as_str)?, routing);
            Some((id, hit.get("_version").and_then(Value::as_u64).unwrap_or_default()))
        };
        let documents = hits.iter().filter_map(document).collect();
        let last = hits.last().and_then(|hit| hit.get("sort")).filter(|_| hits.len() == PAGE);
        if last.is_none() {
            // It ends by itself soon; closing it early only spares the server.
            let (path, body) = dialect.close_point(&pit);
            let _ = self.client.delete(&path, Some(&body)).await;
        }
        Ok(VersionPage { documents, cursor: last.map(|last| json!([pit, last]).to_string()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("o{number}")).collect()
    }

    #[test]
    fn an_answer_is_taken_document_by_document() {
        let answer = br#"{"docs":[
            {"_index":"i","_id":"a","_version":7,"found":true,"_source":{"id":"a"}},
            {"_index":"i","_id":"b","found":false},
            {"_index":"i","_id":"c","_version":1,"found":true}]}"#;
        let document = |version, body: &str| Some(StoredDocument { version, body: body.as_bytes().to_vec() });
        assert_eq!(
            parse_documents(answer, &keys(3)).unwrap(),
            [document(7, r#"{"id":"a"}"#), None, document(1, "")]
        );
    }

    #[test]
    fn an_owner_and_a_child_of_one_id_are_told_apart() {
        let child = crate::plan::child_key("contacts", "o1", "c1");
        let answer = |routing: &str| {
            format!(
                r#"{{"docs":[{{"_id":"contacts/c1"{routing},"_version":7,"found":true,"_source":{{}}}}]}}"#
            )
        };
        for (routing, key, is_found) in [
            ("", "contacts/c1", true),
            (r#","_routing":"o1""#, "contacts/c1", false),
            (r#","_routing":"o1""#, &child, true),
            (r#","_routing":"o2""#, &child, false),
            ("", &child, false),
        ] {
            let documents = parse_documents(answer(routing).as_bytes(), &[key.to_owned()]).unwrap();
            assert_eq!(documents[0].is_some(), is_found, "{key:?} with {routing:?}");
        }
    }

    #[test]
    fn large_documents_are_asked_for_fewer_at_a_time() {
        let of = |bytes: usize| [Some(StoredDocument { version: 1, body: vec![0; bytes] }), None];
        assert_eq!(next_at_once(ASKED_MAX, &of(300)), ASKED_MAX);
        assert_eq!(next_at_once(100, &of(4 << 20)), 4);
        assert_eq!(next_at_once(100, &of(40 << 20)), 1);
        assert_eq!(next_at_once(4, &of(300)), 8);
        assert_eq!(next_at_once(1, &[None]), 2);
    }

    #[test]
    fn an_error_that_stays_is_not_waited_out() {
        let answer = br#"{"docs":[{"_index":"i","_id":"a","error":{"type":"routing_missing_exception","reason":"routing is required for [i]/[a]"}}]}"#;
        let error = parse_documents(answer, &keys(1)).unwrap_err();
        assert!(
            error.kind() == ErrorKind::Failed && error.to_string().contains("routing is required"),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_whole_is_an_absence() {
        let failed =
            br#"{"docs":[{"_index":"i","_id":"a","error":{"type":"no_shard_available_action_exception"}}]}"#;
        for (answer, count) in [(&failed[..], 1), (b"{}", 0), (br#"{"docs":[]}"#, 1), (b"", 1)] {
            assert_eq!(parse_documents(answer, &keys(count)).unwrap_err().kind(), ErrorKind::Unavailable);
        }
    }
}
