//! One concrete index: versioned writes, made durable together.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use tantivy::directory::MmapDirectory;
use tantivy::index::SegmentReader;
use tantivy::indexer::IndexWriterOptions;
use tantivy::postings::Postings;
use tantivy::schema::{Field, IndexRecordOption, Value as _};
use tantivy::{
    DocAddress, Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TERMINATED, TantivyDocument,
    TantivyError, Term,
};

use super::placed_words::PlacedTokenizer;
use super::schema::{IndexFields, PLACED};
use crate::plan::Projection;
use crate::sink::Outcome;

/// Where an index notes its segments: a committed index has it.
const META_FILE: &str = "meta.json";

/// Documents that are gathered in memory before they become a segment, in bytes.
const MEMORY_BYTES: usize = 24 << 20;

/// A concrete index that is open for writing. Only one process can have it open so.
pub(super) struct Generation {
    fields: IndexFields,
    writer: IndexWriter,
    reader: IndexReader,
    /// Versions that are written and not yet committed; those of deletes too.
    pending: HashMap<String, u64>,
    /// The folder of its files.
    path: PathBuf,
    /// Why nothing can be committed any more: the writer of a roll-back that failed must not be used.
    broken: Option<String>,
}

impl Generation {
    pub(super) fn open(path: &Path, projection: Projection) -> tantivy::Result<Self> {
        let fields = IndexFields::of(projection);
        let index = Index::open_or_create(MmapDirectory::open(path)?, fields.schema.clone())?;
        index.tokenizers().register(PLACED, PlacedTokenizer::default());
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(MEMORY_BYTES)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer = index.writer_with_options(options)?;
        remove_leftovers(&writer);
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { fields, writer, reader, pending: HashMap::new(), path: path.to_owned(), broken: None })
    }

    /// True when the files of the index were deleted.
    pub(super) fn is_gone(&self) -> bool {
        !self.path.join(META_FILE).exists()
    }

    /// Writes a document, or deletes it, unless the index holds a higher version. It is not durable,
    /// nor visible, before [`Self::commit`].
    pub(super) fn write(&mut self, id: &str, version: u64, json: Option<&[u8]>) -> tantivy::Result<Outcome> {
        let stored = match self.pending.get(id) {
            Some(version) => Some(*version),
            None => self.version_of(id)?,
        };
        if let Some(stored) = stored.filter(|stored| *stored > version) {
            return Ok(Outcome::Conflict { stored: Some(stored) });
        }
        let document = match json.map(|json| self.fields.document(id, version, json)) {
            Some(Err(error)) => return Ok(Outcome::Rejected(format!("the document is no JSON: {error}"))),
            Some(Ok(document)) => Some(document),
            None => None,
        };
        if stored.is_some() {
            self.writer.delete_term(Term::from_field_text(self.fields.id, id));
        }
        if let Some(document) = document {
            self.writer.add_document(document)?;
        }
        self.pending.insert(id.to_owned(), version);
        Ok(Outcome::Done)
    }

    /// Makes everything written durable and visible. After an error nothing of it is there.
    pub(super) fn commit(&mut self) -> tantivy::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.pending.clear();
        if let Some(broken) = &self.broken {
            return Err(TantivyError::SystemError(broken.clone()));
        }
        if let Err(error) = self.writer.commit() {
            self.broken = self.writer.rollback().err().map(|_| error.to_string());
            remove_leftovers(&self.writer);
            return Err(error);
        }
        self.reader.reload()
    }

    fn version_of(&self, id: &str) -> tantivy::Result<Option<u64>> {
        Ok(self.view().find(id)?.map(|(version, _)| version))
    }

    /// The committed documents at this moment.
    pub(super) fn view(&self) -> IndexView {
        IndexView { id: self.fields.id, document: self.fields.document, searcher: self.reader.searcher() }
    }

    pub(super) fn count(&self) -> u64 {
        self.reader.searcher().num_docs()
    }
}

/// Removes the files of a commit that did not come to its end. The next one gives its files the same names, and fails as
/// long as these are there.
fn remove_leftovers(writer: &IndexWriter) {
    if let Err(error) = writer.garbage_collect_files().wait() {
        tracing::warn!(%error, "files of an unfinished commit of the index cannot be removed");
    }
}

fn lacks(id: &str, part: &str) -> TantivyError {
    TantivyError::InternalError(format!("the document {id} has no {part}"))
}

/// An index at one moment.
pub(super) struct IndexView {
    id: Field,
    document: Field,
    searcher: Searcher,
}

impl IndexView {
    /// The committed documents in the folder of an index, which another process may write.
    pub(super) fn open(path: &Path) -> tantivy::Result<Self> {
        let index = Index::open_in_dir(path)?;
        let field = |name: &str| index.schema().get_field(name);
        Ok(Self { id: field("id")?, document: field("document")?, searcher: index.reader()?.searcher() })
    }

    /// Up to `limit` ids after `after` with their versions, in order.
    pub(super) fn versions(&self, after: &str, limit: usize) -> tantivy::Result<Vec<(String, u64)>> {
        let mut found = BTreeMap::new();
        for segment in self.searcher.segment_readers() {
            let versions = segment.fast_fields().u64("version")?;
            let inverted = segment.inverted_index(self.id)?;
            let mut terms = inverted.terms().range().gt(after.as_bytes()).into_stream()?;
            let mut count = 0;
            while count < limit && terms.advance() {
                let mut postings =
                    inverted.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
                if let Some(doc) = next_living(segment, &mut postings)
                    && let Ok(id) = std::str::from_utf8(terms.key())
                {
                    count += 1;
                    found.insert(id.to_owned(), versions.first(doc).ok_or_else(|| lacks(id, "version"))?);
                }
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    fn find(&self, id: &str) -> tantivy::Result<Option<(u64, DocAddress)>> {
        let term = Term::from_field_text(self.id, id);
        for (number, segment) in self.searcher.segment_readers().iter().enumerate() {
            let inverted = segment.inverted_index(self.id)?;
            let Some(mut postings) = inverted.read_postings(&term, IndexRecordOption::Basic)? else {
                continue;
            };
            if let Some(doc) = next_living(segment, &mut postings) {
                let version = segment.fast_fields().u64("version")?.first(doc);
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                return Ok(version.map(|version| (version, DocAddress::new(number, doc))));
            }
        }
        Ok(None)
    }

    /// The document of this id with its version.
    pub(super) fn document(&self, id: &str) -> tantivy::Result<Option<(u64, Vec<u8>)>> {
        let Some((version, at)) = self.find(id)? else { return Ok(None) };
        let document: TantivyDocument = self.searcher.doc(at)?;
        let body = document.get_first(self.document).and_then(|value| value.as_bytes().map(<[u8]>::to_vec));
        Ok(Some((version, body.ok_or_else(|| lacks(id, "body"))?)))
    }
}

fn next_living(segment: &SegmentReader, postings: &mut impl Postings) -> Option<u32> {
    let mut doc = postings.doc();
    while doc != TERMINATED {
        if !segment.is_deleted(doc) {
            return Some(doc);
        }
        doc = postings.advance();
    }
    None
}

/// Whether the index is open in another process.
pub(super) fn is_locked(error: &TantivyError) -> bool {
    matches!(error, TantivyError::LockFailure(..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::builtin;

    #[test]
    fn a_commit_that_a_killed_process_did_not_finish_keeps_no_later_one_from_being_made() {
        let folder = tempfile::tempdir().unwrap();
        let projection = builtin().projections().next().unwrap();
        let change = |generation: &mut Generation, version: u64| {
            let document = format!("{{\"id\":\"o1\",\"name\":\"{version}\"}}");
            generation.write("o1", version, Some(document.as_bytes())).unwrap();
            generation.write(&format!("o{version}"), version, Some(b"{}")).unwrap();
            generation.commit()
        };
        let mut generation = Generation::open(folder.path(), projection).unwrap();
        change(&mut generation, 1).unwrap();
        change(&mut generation, 2).unwrap();
        drop(generation);
        let meta = std::fs::read(folder.path().join(META_FILE)).unwrap();
        let mut generation = Generation::open(folder.path(), projection).unwrap();
        change(&mut generation, 3).unwrap();
        drop(generation);
        // It dies before the new list of segments takes the place of the old one.
        std::fs::write(folder.path().join(META_FILE), meta).unwrap();
        let mut generation = Generation::open(folder.path(), projection).unwrap();
        change(&mut generation, 3).unwrap();
        assert_eq!(generation.view().find("o1").unwrap().map(|(version, _)| version), Some(3));
    }
}
