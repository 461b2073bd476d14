//! Writes that go out as one request, in the form that Elasticsearch takes. This is the body of a `_bulk` request to
//! one index (<https://www.elastic.co/guide/en/elasticsearch/reference/current/docs-bulk.html>), so that a document is
//! written once, where it is sent from.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::buffers::Buffer;
use crate::error::Result;
use crate::json::push_text;
use crate::plan::{ChildKey, Projection};

/// One write of a document. Its version makes repeats and late arrivals harmless
/// (`version_type=external_gte`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The document's key: its id, or the key of a child.
    pub id: Arc<str>,
    /// The log position that the document reflects.
    pub version: u64,
    /// Where the document's JSON lies in the batch's bytes; `None` deletes it.
    pub body: Option<Range<usize>>,
    /// How many items of a request it is: a child that moved is deleted at one owner and written at another.
    pub(crate) items: usize,
    /// Where the write's lines begin in the batch's bytes.
    begin: usize,
}

impl Write {
    /// A delete that lies in no batch.
    pub(crate) fn delete(id: &str, version: u64) -> Self {
        Self { id: id.into(), version, body: None, items: 1, begin: 0 }
    }
}

/// Writes to one projection's index, at most one for each document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The projection that the documents are of.
    projection: Projection,
    bytes: Buffer,
    writes: Vec<Write>,
}

impl Batch {
    /// No writes yet; they are to come into `bytes`, which are empty.
    pub fn new(projection: Projection, bytes: Buffer) -> Self {
        Self { projection, bytes, writes: Vec::new() }
    }

    /// Adds a write at `version`, of the document that `make` appends as JSON without a newline. Where `make` answers
    /// that there is none, it is a delete at `version_of_delete`.
    ///
    /// # Errors
    /// Those of `make`; nothing is added then.
    pub fn push(
        &mut self,
        id: Arc<str>,
        [version, version_of_delete]: [u64; 2],
        make: impl FnOnce(&mut Vec<u8>) -> Result<bool>,
    ) -> Result<()> {
        let begin = self.bytes.len();
        push_action(&mut self.bytes, "index", &id, version);
        let document = self.bytes.len();
        let made = make(&mut self.bytes);
        if let Ok(true) = made {
            let body = Some(document..self.bytes.len());
            self.bytes.push(b'\n');
            self.writes.push(Write { id, version, body, items: 1, begin });
            return Ok(());
        }
        self.bytes.truncate(begin);
        made?;
        push_action(&mut self.bytes, "delete", &id, version_of_delete);
        self.writes.push(Write { id, version: version_of_delete, body: None, items: 1, begin });
        Ok(())
    }

    /// Adds the document of the same member under its key of now to the last write, a delete of a child, where `make`
    /// appends one. On one shard the two are one document: the delete alone would take away the document that was
    /// written under the new owner.
    ///
    /// # Errors
    /// Those of `make`; nothing is added then.
    pub fn push_moved(&mut self, key: &str, make: impl FnOnce(&mut Vec<u8>) -> Result<bool>) -> Result<()> {
        let Some(write) = self.writes.last_mut().filter(|write| write.body.is_none()) else { return Ok(()) };
        let begin = self.bytes.len();
        push_action(&mut self.bytes, "index", key, write.version);
        let document = self.bytes.len();
        let made = make(&mut self.bytes);
        if !matches!(made, Ok(true)) {
            self.bytes.truncate(begin);
            return made.map(|_| ());
        }
        (write.body, write.items) = (Some(document..self.bytes.len()), 2);
        self.bytes.push(b'\n');
        Ok(())
    }

    /// The projection that the documents are of.
    pub fn projection(&self) -> Projection {
        self.projection
    }

    /// The writes, in the order in which they were added.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The body of the request.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The JSON of a write's document; `None` where it deletes it.
    pub fn document(&self, write: &Write) -> Option<&[u8]> {
        write.body.clone().and_then(|range| self.bytes.get(range))
    }

    /// The lines of a write: actions, each with its document where it has one.
    #[cfg(test)]
    pub(crate) fn lines(&self, write: &Write) -> impl Iterator<Item = &[u8]> {
        let lines = self.bytes.get(write.begin..).unwrap_or_default().split(|byte| *byte == b'\n');
        lines.take(write.items + usize::from(write.body.is_some()))
    }

    /// Leaves out the writes that `keep` does not hold on to. The request's body is of no use then.
    #[cfg(test)]
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Write) -> bool) {
        self.writes.retain(keep);
    }

    /// The body and its writes.
    pub(crate) fn into_parts(self) -> (Bytes, Vec<Write>) {
        (Bytes::from_owner(self.bytes), self.writes)
    }

    /// The same writes as two batches.
    pub(crate) fn split((bytes, mut left): (Bytes, Vec<Write>), projection: Projection) -> [Batch; 2] {
        let mut right = left.split_off(left.len() / 2);
        let middle = right.first().map_or(bytes.len(), |write| write.begin);
        for write in &mut right {
            write.begin -= middle;
            write.body = write.body.take().map(|body| body.start - middle..body.end - middle);
        }
        let mut bytes = Vec::from(bytes);
        let behind = bytes.split_off(middle);
        [(bytes, left), (behind, right)].map(|(bytes, writes)| Batch {
            projection,
            bytes: bytes.into(),
            writes,
        })
    }
}

/// The line before a document.
fn push_action(out: &mut Vec<u8>, action: &str, id: &str, version: u64) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(action.as_bytes());
    out.extend_from_slice(b"\":{\"_id\":");
    match ChildKey::of(id) {
        Some(child) => {
            push_text(out, &child.id());
            out.extend_from_slice(b",\"routing\":");
            push_text(out, &child.owner);
        }
        None => push_text(out, id),
    }
    out.extend_from_slice(b",\"version\":");
    // Writing a number to a vector can't fail.
    let _ = serde_json::to_writer(&mut *out, &version);
    out.extend_from_slice(b",\"version_type\":\"external_gte\"}}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::plan::CONTACTS;

    fn batch() -> Batch {
        let mut batch = Batch::new(CONTACTS, Buffer::default());
        let mut push = |id: &str, document: Option<&[u8]>| {
            let make = |out: &mut Vec<u8>| {
                out.extend_from_slice(document.unwrap_or(b"half"));
                Ok(document.is_some())
            };
            batch.push(id.into(), [7, 8], make).unwrap();
        };
        push("a\"b", Some(b"{}"));
        push("c", None);
        push("d", Some(b"{\"x\":1}"));
        batch
    }

    #[test]
    fn a_body_names_ids_and_versions_and_escapes_them() {
        let text = String::from_utf8(batch().bytes().to_vec()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let rest = r#""version_type":"external_gte"}}"#;
        assert_eq!(lines[0], format!(r#"{{"index":{{"_id":"a\"b","version":7,{rest}"#));
        assert_eq!(lines[1], "{}");
        assert_eq!(lines[2], format!(r#"{{"delete":{{"_id":"c","version":8,{rest}"#));
        assert_eq!(lines[4], "{\"x\":1}");
        assert!(text.ends_with('\n') && lines.len() == 5);
    }

    #[test]
    fn each_write_knows_its_document() {
        let batch = batch();
        let documents: Vec<Option<&[u8]>> =
            batch.writes().iter().map(|write| batch.document(write)).collect();
        assert_eq!(documents, [Some(&b"{}"[..]), None, Some(b"{\"x\":1}")]);
        assert_eq!(batch.writes().iter().map(|write| write.version).collect::<Vec<_>>(), [7, 8, 7]);
    }

    #[test]
    fn a_document_that_cannot_be_made_leaves_nothing() {
        let (mut batch, before) = (batch(), batch());
        let failed = batch.push("e".into(), [9, 9], |out| {
            out.push(b'{');
            Err(Error::failure("damaged"))
        });
        assert!(failed.is_err() && batch == before);
    }

    #[test]
    fn a_child_is_routed_by_its_owner_and_one_that_moved_is_two_items() {
        let key = |owner: &str| crate::plan::child_key("contacts", owner, "c1");
        let mut batch = Batch::new(CONTACTS, Buffer::default());
        let document = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"{}");
            Ok(true)
        };
        batch.push(key("o1").into(), [7, 7], |_| Ok(false)).unwrap();
        batch.push_moved(&key("o2"), document).unwrap();
        batch.push("o3".into(), [7, 7], document).unwrap();
        let text = String::from_utf8(batch.bytes().to_vec()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let rest = r#""version":7,"version_type":"external_gte"}}"#;
        assert_eq!(lines[0], format!(r#"{{"delete":{{"_id":"contacts/c1","routing":"o1",{rest}"#));
        assert_eq!(lines[1], format!(r#"{{"index":{{"_id":"contacts/c1","routing":"o2",{rest}"#));
        assert_eq!(batch.writes().iter().map(|write| write.items).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(batch.document(&batch.writes()[0]), Some(&b"{}"[..]));
        let [left, right] = Batch::split(batch.into_parts(), CONTACTS);
        assert!(left.bytes().starts_with(b"{\"delete") && right.bytes().starts_with(b"{\"index"));
    }

    #[test]
    fn a_split_keeps_every_write_with_its_lines() {
        let whole = batch();
        let [left, right] = Batch::split(batch().into_parts(), CONTACTS);
        assert_eq!([left.bytes(), right.bytes()].concat(), whole.bytes());
        assert_eq!((left.writes().len(), right.writes().len()), (1, 2));
        assert_eq!(left.document(&left.writes()[0]), Some(&b"{}"[..]));
        assert_eq!(right.document(&right.writes()[0]), None);
        assert_eq!(right.document(&right.writes()[1]), Some(&b"{\"x\":1}"[..]));
        let [first, second] = Batch::split(right.into_parts(), CONTACTS);
        assert!(first.bytes().starts_with(b"{\"delete\"") && second.bytes().starts_with(b"{\"index\""));
    }
}
