//! The body of a `_bulk` request
//! (<https://www.elastic.co/guide/en/elasticsearch/reference/current/docs-bulk.html>).

use std::io::Write as _;

use crate::projection::json::push_text;
use crate::sink::{Batch, Write};

/// The most that follows an id in its line and after its document.
const ENDING_BYTES: usize = 80;

/// The body: for each write an action line that names its index by `names` (each index's own alias
/// for writing, see [`super::aliases::writer`]), and its document.
pub(super) fn body(names: &[String], batch: &Batch) -> Vec<u8> {
    let beginnings: Vec<[Vec<u8>; 2]> =
        names.iter().map(|name| ["index", "delete"].map(|action| beginning(action, name))).collect();
    let longest = beginnings.iter().flatten().map(Vec::len).max().unwrap_or(0);
    // Growing would copy everything once more. Few ids need escapes.
    let lines: usize = batch.writes.iter().map(|write| longest + write.id.len() + ENDING_BYTES).sum();
    let mut body = Vec::with_capacity(batch.bytes.len() + lines);
    for write in &batch.writes {
        let document = write.body.clone().and_then(|range| batch.bytes.get(range));
        let actions = beginnings.get(write.projection);
        let beginning = actions.map(|[index, delete]| if document.is_some() { index } else { delete });
        body.extend_from_slice(beginning.map(Vec::as_slice).unwrap_or_default());
        push_text(&mut body, &write.id);
        // Writing to a vector can't fail.
        let _ = writeln!(body, r#","version":{},"version_type":"external_gte"}}}}"#, write.version);
        if let Some(document) = document {
            body.extend_from_slice(document);
            body.push(b'\n');
        }
    }
    body
}

/// An action line up to its id.
fn beginning(action: &str, index: &str) -> Vec<u8> {
    let mut line = format!("{{\"{action}\":{{\"_index\":").into_bytes();
    push_text(&mut line, index);
    line.extend_from_slice(b",\"_id\":");
    line
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
        Write { projection: 0, id: id.into(), version: 7, body }
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
