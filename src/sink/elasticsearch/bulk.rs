//! The body of a `_bulk` request
//! (<https://www.elastic.co/guide/en/elasticsearch/reference/current/docs-bulk.html>).

use crate::projection::json::Object;
use crate::sink::{Batch, Write};

/// The body: for each write an action line that names its index by `names` (each index's own alias
/// for writing, see [`super::aliases::writer`]), and its document.
pub(super) fn body(names: &[String], batch: &Batch) -> Vec<u8> {
    let mut body = Vec::with_capacity(batch.bytes.len() + batch.writes.len() * 128);
    for write in &batch.writes {
        let document = write.body.clone().and_then(|range| batch.bytes.get(range));
        let index = names.get(write.projection).map(String::as_str).unwrap_or_default();
        let action = if document.is_some() { "index" } else { "delete" };
        let mut line = Object::open(&mut body);
        line.nested(action, |meta| {
            meta.text("_index", index);
            meta.text("_id", &write.id);
            meta.number("version", write.version);
            meta.text("version_type", "external_gte");
        });
        line.close();
        body.push(b'\n');
        if let Some(document) = document {
            body.extend_from_slice(document);
            body.push(b'\n');
        }
    }
    body
}

/// The same writes as two batches.
pub(super) fn split(batch: Batch) -> (Batch, Batch) {
    let middle = batch.writes.len() / 2;
    let (left, right) = batch.writes.split_at(middle);
    (part(&batch, left), part(&batch, right))
}

fn part(batch: &Batch, writes: &[Write]) -> Batch {
    let mut part = Batch::default();
    for write in writes {
        let body = write.body.clone().and_then(|range| batch.bytes.get(range)).map(|document| {
            let begin = part.bytes.len();
            part.bytes.extend_from_slice(document);
            begin..part.bytes.len()
        });
        part.writes.push(Write { body, ..write.clone() });
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(id: &str, body: Option<std::ops::Range<usize>>) -> Write {
        Write { projection: 0, id: id.to_owned(), version: 7, body }
    }

    fn batch() -> Batch {
        let writes = vec![write("a\"b", Some(0..2)), write("c", None), write("d", Some(2..9))];
        Batch { bytes: b"{}{\"x\":1}".to_vec(), writes }
    }

    #[test]
    fn a_body_names_index_id_and_version_and_escapes_them() {
        let text = String::from_utf8(body(&["i-1".to_owned()], &batch())).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let meta = r#""_index":"i-1","_id":"a\"b","version":7,"version_type":"external_gte""#;
        assert_eq!(lines[0], format!("{{\"index\":{{{meta}}}}}"));
        assert_eq!(lines[1], "{}");
        assert!(lines[2].starts_with("{\"delete\""));
        assert_eq!(lines[4], "{\"x\":1}");
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn a_split_keeps_every_write_with_its_document() {
        let (left, right) = split(batch());
        assert_eq!((left.writes.len(), right.writes.len()), (1, 2));
        assert_eq!(right.writes[0].body, None);
        assert_eq!(&right.bytes[right.writes[1].body.clone().unwrap()], b"{\"x\":1}");
    }
}
