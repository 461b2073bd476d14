//! A consistent copy of a state, as a stream of bytes.
//!
//! A frame is a space's number (one byte), the lengths of key and value (four bytes each, big-endian), the key and the
//! value. A frame of the number 255 ends the stream, so that a copy that was cut off is never taken for whole. Its key
//! is the count of frames (eight bytes), and its value is empty.

use std::io::{Read, Write};
use std::ops::ControlFlow;

use super::keys::{
    FORMAT_KEY, HEADS_KEY, KEYSPACES_KEY, PARTIAL_KEY, PLAN_KEY, PROGRESS_KEY, Space, TOPICS_KEY,
};
use super::rows::{self, FoldProgress};
use super::store::{Changes, Reader, StateStore};
use crate::error::{Error, Result};
use crate::plan::PlanRef;

const END: u8 = 255;
/// The keyspaces that are sent. Relations of another model than the built-in one are made anew of their members, because
/// the reader's model may have others.
fn spaces_to_copy(plan: PlanRef) -> Vec<Space> {
    if plan.is_built_in() { Space::of_rows(plan) } else { plan.entity_types().map(Space::of_type).collect() }
}

/// The keys of [`Space::META`] that a copy keeps.
const KEPT: [&[u8]; 7] =
    [PLAN_KEY, FORMAT_KEY, PARTIAL_KEY, TOPICS_KEY, PROGRESS_KEY, HEADS_KEY, KEYSPACES_KEY];
/// How much is reserved for a key or value that is promised.
const RESERVED_MAX: usize = 64 << 10;
/// No key is longer: the store takes none that is.
const KEY_BYTES_MAX: usize = 65_535;
/// No value is longer: an entity that is makes no document that an index takes, which is 100 MB at most.
const VALUE_BYTES_MAX: usize = 256 << 20;

/// How many rows of the state's own are taken, which are held together: there are two.
const META_MAX: usize = 16;

/// Writes everything of `view` that a rebuild needs to `out`: everything but marks, fan-outs and the keys of the
/// instance. Every document of the copy is sent, so that nothing of those is missed.
///
/// # Errors
/// Those of the state, and of the stream's receiver.
pub fn write(view: &dyn Reader, plan: PlanRef, out: &mut dyn Write) -> Result<()> {
    let mut count = 0_u64;
    for space in spaces_to_copy(plan) {
        view.scan(space, &[], &[], &mut |key, value| {
            frame(out, space.number(), key, value)?;
            count += 1;
            Ok(ControlFlow::Continue(()))
        })?;
    }
    for key in [FORMAT_KEY, TOPICS_KEY, PARTIAL_KEY] {
        if let Some(value) = view.get(Space::META, key)? {
            frame(out, Space::META.number(), key, &value)?;
            count += 1;
        }
    }
    frame(out, Space::META.number(), PROGRESS_KEY, &rows::encode(&progress_of(view)?)?)?;
    frame(out, END, &(count + 1).to_be_bytes(), &[])?;
    out.flush().map_err(end_error)
}

fn frame(out: &mut dyn Write, space: u8, key: &[u8], value: &[u8]) -> Result<()> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map(u32::to_be_bytes).map_err(too_long);
    let mut head = [0; 9];
    head[0] = space;
    head[1..5].copy_from_slice(&length(key)?);
    head[5..].copy_from_slice(&length(value)?);
    let written = out.write_all(&head).and_then(|()| out.write_all(key)).and_then(|()| out.write_all(value));
    written.map_err(end_error)
}

/// Reads a copy into an empty store. The keys that identify it as a state come last.
///
/// # Errors
/// When the stream ends too early or is no copy: the store is then to be thrown away.
pub fn read(input: &mut dyn Read, plan: PlanRef, store: &dyn StateStore) -> Result<u64> {
    let mut frames = Frames {
        input,
        spaces: Space::of_rows(plan),
        next: None,
        count: 0,
        is_ended: false,
        history: Vec::new(),
        last: Vec::new(),
    };
    let mut meta = Changes::default();
    let mut rows_of_meta = 0;
    while let Some(space) = frames.space()? {
        if space == Space::META {
            frames.of(space).try_for_each(|entry| {
                let (key, value) = entry?;
                rows_of_meta += 1;
                if rows_of_meta > META_MAX {
                    return Err(no_copy());
                }
                meta.put(space, key, value);
                Ok(())
            })?;
        } else {
            store.fill(space, &mut frames.of(space))?;
        }
    }
    store.commit(meta)?;
    store.sync()?;
    Ok(frames.count)
}

/// Makes a whole copy, such as a linked one, equal to one of [`read`], without marks, fan-outs and the keys of the instance.
///
/// # Errors
/// Those of the store.
pub fn strip(store: &dyn StateStore) -> Result<()> {
    for space in [Space::DIRTY, Space::TASKS, Space::BACKFILLS] {
        store.clear(space)?;
    }
    let (view, mut changes) = (store.view(), Changes::default());
    view.scan(Space::META, &[], &[], &mut |key, _| {
        if !KEPT.contains(&key) {
            changes.remove(Space::META, key.to_vec());
        }
        Ok(ControlFlow::Continue(()))
    })?;
    changes.put(Space::META, PROGRESS_KEY.to_vec(), rows::encode(&progress_of(&*view)?)?);
    store.commit(changes)?;
    store.sync()
}

/// How far the fold is, without the fan-outs under way: they stay behind.
fn progress_of(view: &dyn Reader) -> Result<FoldProgress> {
    let progress = view.get(Space::META, PROGRESS_KEY)?;
    let mut progress: FoldProgress =
        progress.map_or_else(|| Ok(FoldProgress::default()), |bytes| rows::decode(&bytes))?;
    progress.task_steps.clear();
    Ok(progress)
}

/// A space, a key and a value.
type Frame = (Space, Vec<u8>, Vec<u8>);

/// The frames of a stream.
struct Frames<'a> {
    input: &'a mut dyn Read,
    /// The keyspaces that a copy has beside [`Space::META`].
    spaces: Vec<Space>,
    /// The one that was read ahead.
    next: Option<Frame>,
    count: u64,
    is_ended: bool,
    /// The spaces that were begun, the last of them up to this key.
    history: Vec<Space>,
    last: Vec<u8>,
}

impl Frames<'_> {
    /// The space of the next frame; `None` behind the last.
    fn space(&mut self) -> Result<Option<Space>> {
        if self.next.is_none() && !self.is_ended {
            self.next = self.frame()?;
        }
        Ok(self.next.as_ref().map(|(space, ..)| *space))
    }

    /// The frames of that space that follow.
    fn of(&mut self, space: Space) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>> {
        std::iter::from_fn(move || match self.space() {
            Ok(next) if next == Some(space) => self.next.take().map(|(_, key, value)| Ok((key, value))),
            Ok(_) => None,
            Err(error) => {
                self.is_ended = true;
                Some(Err(error))
            }
        })
    }

    fn frame(&mut self) -> Result<Option<Frame>> {
        let mut head = [0; 9];
        self.input.read_exact(&mut head).map_err(end_error)?;
        let [space, k0, k1, k2, k3, v0, v1, v2, v3] = head;
        let key = take(self.input, u32::from_be_bytes([k0, k1, k2, k3]), KEY_BYTES_MAX)?;
        let value = take(self.input, u32::from_be_bytes([v0, v1, v2, v3]), VALUE_BYTES_MAX)?;
        if space == END {
            self.is_ended = true;
            return if key == self.count.to_be_bytes() { Ok(None) } else { Err(no_copy()) };
        }
        let known = self.spaces.iter().copied().chain([Space::META]);
        let space = known.into_iter().find(|known| known.number() == space).ok_or_else(no_copy)?;
        self.count += 1;
        self.check_order(space, &key)?;
        Ok(Some((space, key, value)))
    }

    /// Each space comes once, in the order of its keys.
    fn check_order(&mut self, space: Space, key: &[u8]) -> Result<()> {
        if self.history.last() == Some(&space) {
            if *key <= *self.last {
                return Err(no_copy());
            }
        } else if self.history.contains(&space) {
            return Err(no_copy());
        } else {
            self.history.push(space);
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        Ok(())
    }
}

/// Copies the content of a view into an empty store, in bounded memory.
///
/// # Errors
/// Those of both.
pub fn between(from: &dyn Reader, plan: PlanRef, to: &dyn StateStore) -> Result<u64> {
    let (mut output, mut input) =
        std::io::pipe().map(|(reader, writer)| (writer, reader)).map_err(end_error)?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || write(from, plan, &mut std::io::BufWriter::new(&mut output)));
        let count = read(&mut std::io::BufReader::new(&mut input), plan, to);
        drop(input);
        // The error of the reading end is only that the writing end broke off.
        let written = writing.join().unwrap_or_else(|_| Err(Error::failure("the copy broke off")));
        written.and(count)
    })
}

fn take(input: &mut dyn Read, length: u32, most: usize) -> Result<Vec<u8>> {
    let length = usize::try_from(length).ok().filter(|length| *length <= most).ok_or_else(no_copy)?;
    let mut bytes = Vec::new();
    // Memory for a promised length is not reserved before its bytes come, beyond the usual.
    bytes.reserve_exact(length.min(RESERVED_MAX));
    let read = input.take(length as u64).read_to_end(&mut bytes).map_err(end_error)?;
    if read == length { Ok(bytes) } else { Err(no_copy()) }
}

fn end_error(error: std::io::Error) -> Error {
    Error::failure("the copy of the state was cut off; run the command again").because(error)
}

fn too_long(error: std::num::TryFromIntError) -> Error {
    Error::failure("a row of the state is longer than a copy can hold").because(error)
}

fn no_copy() -> Error {
    Error::failure("the copy of the state cannot be read; use the running instance's version of this program")
}

#[cfg(test)]
mod tests {
    use crate::plan::CONTACTS_OF;
    use crate::plan::{CONTACT, ORGANISATION, builtin};
    use std::sync::Arc;

    use super::*;
    use crate::state::State;
    use crate::state::memory::MemoryStore;

    fn store() -> MemoryStore {
        let store = MemoryStore::default();
        let mut changes = Changes::default();
        changes.put(Space::of_type(ORGANISATION), b"o1".to_vec(), vec![1; 70_000]);
        changes.put(Space::of_relation(CONTACTS_OF), b"o1\0\0c1".to_vec(), b"{}".to_vec());
        changes.put(Space::DIRTY, b"mark".to_vec(), vec![0; 8]);
        changes.put(Space::META, b"built/contacts".to_vec(), b"x".to_vec());
        changes.put(Space::META, PARTIAL_KEY.to_vec(), rows::encode(&true).unwrap());
        let progress = FoldProgress { step: 5, task_steps: [(4, 1)].into(), ..FoldProgress::default() };
        changes.put(Space::META, b"progress".to_vec(), rows::encode(&progress).unwrap());
        store.commit(changes).unwrap();
        store
    }

    #[test]
    fn a_copy_holds_the_entities_and_nothing_of_the_instance() {
        let mut bytes = Vec::new();
        write(&*store().view(), builtin(), &mut bytes).unwrap();
        let copy = MemoryStore::default();
        assert_eq!(read(&mut &bytes[..], builtin(), &copy).unwrap(), 4);
        let view = copy.view();
        assert_eq!(view.get(Space::of_type(ORGANISATION), b"o1").unwrap(), Some(vec![1; 70_000]));
        assert_eq!(view.get(Space::of_relation(CONTACTS_OF), b"o1\0\0c1").unwrap(), Some(b"{}".to_vec()));
        assert_eq!(view.get(Space::DIRTY, b"mark").unwrap(), None);
        assert_eq!(view.get(Space::META, b"built/contacts").unwrap(), None);
        let progress: FoldProgress =
            rows::decode(&view.get(Space::META, b"progress").unwrap().unwrap()).unwrap();
        assert!(progress.step == 5 && progress.task_steps.is_empty());
        drop(view);
        assert!(State::open(Arc::new(copy), builtin(), "f").unwrap().is_partial());
    }

    /// Rows of the state's own without an end, each of a key above the last.
    struct Rows(u64, Vec<u8>);

    impl Read for Rows {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.1.is_empty() {
                self.0 += 1;
                frame(&mut self.1, Space::META.number(), &self.0.to_be_bytes(), b"x").unwrap();
            }
            let length = buffer.len().min(self.1.len());
            self.1.drain(..length).zip(buffer).for_each(|(byte, to)| *to = byte);
            Ok(length)
        }
    }

    #[test]
    fn rows_that_are_held_together_are_few() {
        // A copy that went on for longer would take all the memory that there is: here it ends by itself.
        let mut rows = Rows(0, Vec::new());
        assert!(read(&mut (&mut rows).take(1 << 20), builtin(), &MemoryStore::default()).is_err());
        assert_eq!(rows.0, META_MAX as u64 + 1);
    }

    /// Zeros without an end, counted.
    struct Endless(usize);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer.fill(0);
            self.0 += buffer.len();
            Ok(buffer.len())
        }
    }

    #[test]
    fn a_key_or_a_value_that_is_promised_too_long_is_not_waited_for() {
        let space = Space::of_type(CONTACT).number();
        for (key, value) in [(KEY_BYTES_MAX + 1, 1), (1, VALUE_BYTES_MAX + 1)] {
            let length = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
            let head = [&[space][..], &length(key), &length(value)].concat();
            let mut endless = Endless(0);
            assert!(
                read(&mut head.as_slice().chain(&mut endless), builtin(), &MemoryStore::default()).is_err()
            );
            assert!(endless.0 <= KEY_BYTES_MAX, "{} bytes of {key} and {value} were read", endless.0);
        }
    }

    #[test]
    fn a_copy_that_was_cut_off_anywhere_is_refused() {
        let mut bytes = Vec::new();
        write(&*store().view(), builtin(), &mut bytes).unwrap();
        for end in (0..bytes.len()).step_by(997).chain(bytes.len() - 20..bytes.len()) {
            assert!(read(&mut &bytes[..end], builtin(), &MemoryStore::default()).is_err(), "cut at {end}");
        }
        bytes[0] = 99;
        assert!(read(&mut &bytes[..], builtin(), &MemoryStore::default()).is_err());
        let mut disordered = Vec::new();
        for key in [b"b", b"a"] {
            frame(&mut disordered, Space::of_type(CONTACT).number(), key, b"x").unwrap();
        }
        frame(&mut disordered, END, &2_u64.to_be_bytes(), &[]).unwrap();
        assert!(read(&mut &disordered[..], builtin(), &MemoryStore::default()).is_err());
    }
}
