//! Relations by their keys, more than fit into memory.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;

use super::merge_order::{OrderedSource, in_order};
use super::runs::{read_frame, run_error, write_frame};
use crate::error::Result;

const HELD_BYTES: usize = 32 << 20;
const ENTRY_BYTES: usize = 64;
const BUFFER_BYTES: usize = 64 << 10;

type Pair = (Vec<u8>, Vec<u8>);

/// Takes pairs in any order and gives them in the order of their keys. No key comes twice.
pub(super) struct Sorter {
    path: PathBuf,
    pairs: Vec<Pair>,
    bytes: usize,
    runs: usize,
}

impl Sorter {
    /// Spills entries that do not fit into files whose names begin with `path`.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, pairs: Vec::new(), bytes: 0, runs: 0 }
    }

    pub(super) fn push(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.bytes += key.len() + value.len() + ENTRY_BYTES;
        self.pairs.push((key, value));
        if self.bytes >= HELD_BYTES { self.put_aside() } else { Ok(()) }
    }

    fn put_aside(&mut self) -> Result<()> {
        self.pairs.sort_unstable();
        if let Some(folder) = self.path.parent() {
            crate::private_files::create_folder(folder).map_err(run_error)?;
        }
        let file = File::create(self.run(self.runs)).map_err(run_error)?;
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
        for (key, value) in self.pairs.drain(..) {
            write_frame(&mut file, &key, &value)?;
        }
        file.flush().map_err(run_error)?;
        (self.bytes, self.runs) = (0, self.runs + 1);
        Ok(())
    }

    fn run(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!("-{number}"));
        name.into()
    }

    /// Everything, by key.
    pub(super) fn into_sorted(mut self) -> Result<impl Iterator<Item = Result<Pair>>> {
        self.pairs.sort_unstable();
        let mut sources: Vec<OrderedSource<Pair>> = Vec::new();
        for number in 0..self.runs {
            let file = File::open(self.run(number)).map_err(run_error)?;
            let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
            sources.push(Box::new(std::iter::from_fn(move || read_frame(&mut file).transpose())));
        }
        sources.push(Box::new(self.pairs.into_iter().map(Ok)));
        in_order(sources)
    }
}
