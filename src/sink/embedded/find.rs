//! One document, read from the committed index; another process may write it.

use tantivy::schema::{IndexRecordOption, Value as _};
use tantivy::{DocAddress, Index, TantivyDocument, Term};

use super::generation::alive;
use super::schema::Fields;
use super::{EmbeddedSink, Folder, blocking};
use crate::error::{Error, Result};
use crate::sink::held::{Held, Stored};

/// A commit may take files away while they are being opened.
const ATTEMPTS: usize = 5;

impl EmbeddedSink {
    /// What the index of a projection holds of a document. Makes and changes nothing.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub async fn find(&self, projection: usize, id: &str, log_identity: Option<&str>) -> Result<Held> {
        let (Some(alias), Some(mapping)) = (self.aliases.get(projection), self.mappings.get(projection))
        else {
            return Err(Error::failed("this sink has no such projection"));
        };
        let Some(index) = self.folder.behind(alias)? else {
            return Ok(Held { alias: alias.clone(), index: String::new(), refused: None, document: None });
        };
        let meta = self.folder.meta(&index)?;
        let record = self.rebuild(projection)?.map(|(record, _)| record);
        let refused = log_identity
            .and_then(|log| self.check(mapping, meta.as_ref(), (alias, &index), log, record.as_ref()).err())
            .map(|error| error.chain());
        let (folder, id) = (self.folder.clone(), id.to_owned());
        let (name, document) = blocking(move || {
            let document = stored(&folder, &index, &id);
            (index, document)
        })
        .await?;
        Ok(Held { alias: alias.clone(), index: name, refused, document: document? })
    }
}

fn stored(folder: &Folder, index: &str, id: &str) -> Result<Option<Stored>> {
    let path = folder.index(index);
    let mut attempts = 0;
    loop {
        attempts += 1;
        match read(&path, id) {
            Ok(found) => return Ok(found),
            Err(_) if attempts < ATTEMPTS => {}
            Err(error) => {
                let message = format!("the index {} cannot be read; check the disk", path.display());
                return Err(Error::failed(message).because(error));
            }
        }
    }
}

fn read(path: &std::path::Path, id: &str) -> tantivy::Result<Option<Stored>> {
    let fields = Fields::new();
    let searcher = Index::open_in_dir(path)?.reader()?.searcher();
    let term = Term::from_field_text(fields.id, id);
    for (number, segment) in searcher.segment_readers().iter().enumerate() {
        let inverted = segment.inverted_index(fields.id)?;
        let Some(mut postings) = inverted.read_postings(&term, IndexRecordOption::Basic)? else { continue };
        let Some(doc) = alive(segment, &mut postings) else { continue };
        let version = segment.fast_fields().u64("version")?.first(doc).unwrap_or_default();
        let number = u32::try_from(number).unwrap_or_default();
        let document: TantivyDocument = searcher.doc(DocAddress::new(number, doc))?;
        let json = document.get_first(fields.document).and_then(|value| value.as_bytes());
        let body = json.and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default();
        return Ok(Some(Stored { version, body }));
    }
    Ok(None)
}
