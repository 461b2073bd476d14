//! The bodies of the raw side: every document of the rebuilt indexes, as it was sent, in a file.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::harness::{PROJECTIONS, World};
use crate::server::Server;
use crate::services::is_opensearch;
use crate::{Counts, Result};

/// As the program's requests: `request_documents_max` of the tuning.
const DOCUMENTS_MAX: usize = 2_000;
/// About how large a page of documents is read; organisations of many contacts have megabytes.
const PAGE_BYTES: usize = 8 << 20;
const PAGE_MAX: usize = 500;
const PAGE_FIRST: usize = 8;

#[derive(Deserialize)]
struct Page<'a> {
    pit_id: String,
    #[serde(borrow)]
    hits: Hits<'a>,
}

#[derive(Deserialize)]
struct Hits<'a> {
    #[serde(borrow)]
    hits: Vec<Hit<'a>>,
}

#[derive(Deserialize)]
struct Hit<'a> {
    #[serde(borrow, rename = "_id")]
    id: Cow<'a, str>,
    #[serde(rename = "_version")]
    version: u64,
    #[serde(borrow, rename = "_source")]
    source: &'a RawValue,
    sort: Value,
}

/// Bodies in a file, one behind the other.
pub struct Bodies {
    path: PathBuf,
    bodies: Vec<Body>,
    pub counts: Counts,
}

impl Bodies {
    /// Reads the documents behind the aliases, in the order in which they lie there.
    pub fn prepare(world: &World, server: &Server, bulk_bytes: usize) -> Result<Self> {
        let path = world.path("bodies.ndjson");
        let mut writer = Writer::create(path.clone(), bulk_bytes)?;
        let mut counts = Counts::default();
        for (projection, count) in PROJECTIONS.iter().zip(&mut counts) {
            *count = each_document(server, &world.index(projection), |hit| writer.push(hit, projection))?;
            // A body is of one index, as the program's are.
            writer.cut(projection);
        }
        let bodies = writer.finish()?;
        Ok(Self { path, bodies, counts })
    }

    pub fn open(&self) -> Result<Waiting> {
        let file = File::open(&self.path).map_err(failed(&self.path))?;
        let bodies = self.bodies.iter().copied().collect();
        Ok(Waiting { path: self.path.clone(), file: BufReader::with_capacity(1 << 20, file), bodies })
    }

    pub fn bytes(&self) -> usize {
        self.bodies.iter().map(|body| body.length).sum()
    }

    pub fn len(&self) -> usize {
        self.bodies.len()
    }
}

/// The index of the raw side.
pub fn raw_index(world: &World, projection: &str) -> String {
    format!("{}raw-{projection}", world.prefix)
}

/// The program writes by an alias of the index alone: so does the raw side.
pub fn writer_alias(world: &World, projection: &str) -> String {
    format!("{}.WRITE", raw_index(world, projection))
}

/// The bodies that are not sent yet.
pub struct Waiting {
    path: PathBuf,
    file: BufReader<File>,
    bodies: VecDeque<Body>,
}

/// A body: all of one projection.
#[derive(Clone, Copy)]
struct Body {
    projection: &'static str,
    length: usize,
}

impl Waiting {
    /// With the projection that it is of.
    pub fn next(&mut self) -> Result<Option<(&'static str, Vec<u8>)>> {
        let Some(Body { projection, length }) = self.bodies.pop_front() else { return Ok(None) };
        let mut body = vec![0; length];
        self.file.read_exact(&mut body).map_err(failed(&self.path))?;
        Ok(Some((projection, body)))
    }

    /// Has everybody stop.
    pub fn clear(&mut self) {
        self.bodies.clear();
    }
}

/// Cuts documents into bodies where the program would.
struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    bulk_bytes: usize,
    bodies: Vec<Body>,
    /// The bytes of the documents that are not cut off yet.
    length: usize,
    documents: usize,
}

impl Writer {
    fn create(path: PathBuf, bulk_bytes: usize) -> Result<Self> {
        let file = BufWriter::new(File::create(&path).map_err(failed(&path))?);
        Ok(Self { path, file, bulk_bytes, bodies: Vec::new(), length: 0, documents: 0 })
    }

    fn push(&mut self, hit: &Hit<'_>, projection: &'static str) -> Result<()> {
        let action =
            json!({"index": {"_id": hit.id, "version": hit.version, "version_type": "external_gte"}})
                .to_string();
        let document = hit.source.get();
        writeln!(self.file, "{action}\n{document}").map_err(failed(&self.path))?;
        self.length += action.len() + document.len() + 2;
        self.documents += 1;
        if self.length >= self.bulk_bytes || self.documents >= DOCUMENTS_MAX {
            self.cut(projection);
        }
        Ok(())
    }

    fn cut(&mut self, projection: &'static str) {
        if self.length > 0 {
            self.bodies.push(Body { projection, length: self.length });
        }
        (self.length, self.documents) = (0, 0);
    }

    fn finish(mut self) -> Result<Vec<Body>> {
        self.file.flush().map_err(failed(&self.path))?;
        Ok(self.bodies)
    }
}

fn failed(path: &std::path::Path) -> impl Fn(std::io::Error) -> String {
    move |error| {
        format!(
            "{} cannot be used ({error}); it takes as much room as all documents, set TMPDIR to where that is",
            path.display()
        )
    }
}

/// Gives every document of an index; how many there were.
fn each_document(server: &Server, index: &str, mut with: impl FnMut(&Hit<'_>) -> Result<()>) -> Result<u64> {
    let (point, name) = if is_opensearch() { ("_search/point_in_time", "pit_id") } else { ("_pit", "id") };
    let opened = server.ask(Method::Post, &format!("/{index}/{point}?keep_alive=5m"), None)?;
    let mut pit = opened[name].as_str().unwrap_or_default().to_owned();
    let (mut after, mut size, mut count) = (Value::Null, PAGE_FIRST, 0);
    loop {
        let mut wanted = json!({
            "size": size, "version": true, "track_total_hits": false, "sort": ["_shard_doc"],
            "pit": {"id": pit, "keep_alive": "5m"},
        });
        if !after.is_null() {
            wanted["search_after"] = after;
        }
        let answer = server.bytes(Method::Post, "/_search", Some(&wanted))?;
        let page: Page = serde_json::from_slice(&answer)
            .map_err(|error| format!("documents of {index} cannot be read back: {error}"))?;
        pit = page.pit_id;
        let Some(last) = page.hits.hits.last() else { break };
        page.hits.hits.iter().try_for_each(&mut with)?;
        count += page.hits.hits.len() as u64;
        after = last.sort.clone();
        let fitting = PAGE_BYTES / (answer.len() / page.hits.hits.len()).max(1);
        size = fitting.clamp(1, (size * 2).min(PAGE_MAX));
    }
    server.ask(Method::Delete, &format!("/{point}"), Some(&json!({ name: pit })))?;
    Ok(count)
}
