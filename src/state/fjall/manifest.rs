//! The small files of the store, read before it is opened: its format's version, and the manifest of each space. A
//! manifest names the tables. The store writes its checksum down and does not compare it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};

/// The text that the store writes into its file `version`.
pub(super) const VERSION: &[u8] = b"FJL\x03";
/// The format of a manifest, as its section `format_version` says.
const MANIFEST_FORMAT: &[u8] = &[3];

/// The fault of a file, if it has one.
///
/// # Errors
/// When the store was written by a later program, or a file is damaged.
pub(super) fn check(folder: &Path) -> Result<()> {
    let version = folder.join("version");
    match std::fs::read(&version) {
        Ok(bytes) if bytes == VERSION => {}
        Ok(bytes) => return Err(version_error(folder, &version, &bytes)),
        // No file lies in the folder yet, or only those that come before the version.
        Err(error) if error.kind() == ErrorKind::NotFound && !folder.join("keyspaces/0").exists() => {
            return Ok(());
        }
        Err(error) => return Err(read_error(folder, &version, error)),
    }
    let spaces = folder.join("keyspaces");
    let entries = std::fs::read_dir(&spaces).map_err(|error| read_error(folder, &spaces, error))?;
    for entry in entries {
        let space = entry.map_err(|error| read_error(folder, &spaces, error))?.path();
        let is_number = space.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok()).is_some();
        if !is_number {
            return Err(damage_error(folder, &space));
        }
        check_space(folder, &space)?;
    }
    Ok(())
}

/// A space that was never written whole has no `current`: the caller sees whether it is missed.
fn check_space(folder: &Path, space: &Path) -> Result<()> {
    let current = space.join("current");
    let content = match std::fs::read(&current) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(read_error(folder, &current, error)),
    };
    let (number, checksum) = parse_current(&content).ok_or_else(|| damage_error(folder, &current))?;
    let manifest = space.join(format!("v{number}"));
    let bytes = std::fs::read(&manifest).map_err(|error| read_error(folder, &manifest, error))?;
    if xxh3_128(&bytes) != checksum {
        return Err(damage_error(folder, &manifest));
    }
    match tables_of(&manifest) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(layout_error(folder, &manifest, "the manifest")),
        Err(error) => Err(read_error(folder, &manifest, error)),
    }
}

/// The number of the manifest that counts, its checksum, and a zero.
fn parse_current(bytes: &[u8]) -> Option<(u64, u128)> {
    let bytes: [u8; 25] = bytes.try_into().ok()?;
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    let (checksum, rest) = rest.split_first_chunk::<16>()?;
    (rest == [0]).then_some((u64::from_le_bytes(*number), u128::from_le_bytes(*checksum)))
}

fn version_error(folder: &Path, version: &Path, bytes: &[u8]) -> Error {
    match bytes {
        [b'F', b'J', b'L', number] => Error::failure(format!(
            "{} says that the store has format {number}, this program reads format 3. Start the program that wrote it, or \
             delete the folder {} and start again to replay",
            version.display(),
            folder.display()
        )),
        _ => damage_error(folder, version),
    }
}

/// A file that is gone or ends too early is damaged. Any other error of reading is the machine's.
fn read_error(folder: &Path, file: &Path, error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::UnexpectedEof => damage_error(folder, file).because(error),
        _ => access_error(file, error),
    }
}

/// The sentence about a file that the machine doesn't let be read or written: it may be whole.
pub(super) fn access_error(file: &Path, error: io::Error) -> Error {
    Error::failure(format!(
        "{} cannot be read or written; check the disk, its permissions and the limit of open files, then start again",
        file.display()
    ))
    .because(error)
}

/// The sentence about a damaged file.
pub(super) fn damage_error(folder: &Path, file: &Path) -> Error {
    Error::failure(format!(
        "{} is damaged; the state is a cache of the log: delete the folder {} and start again to replay",
        file.display(),
        folder.display()
    ))
}

/// The sentence about a journal with damage before intact batches. Nothing of it was changed.
pub(super) fn inner_damage_error(folder: &Path, file: &Path, at: u64) -> Error {
    Error::failure(format!(
        "{} is damaged at byte {at}, and what was written later follows; nothing was changed. The state is a cache of the log: \
         delete the folder {} and start again to replay",
        file.display(),
        folder.display()
    ))
}

/// The sentence about a file that is whole and of another layout than this program knows. Nothing of it was changed.
pub(super) fn layout_error(folder: &Path, file: &Path, what: &str) -> Error {
    Error::failure(format!(
        "{what} in {} is of a format that this program does not know, and nothing was changed. Start the program \
         that wrote it, or delete the folder {} and start again to replay",
        file.display(),
        folder.display()
    ))
}

/// The first table of the store that can't be read as it was written, where one can be found.
pub(super) fn find_damaged_table(folder: &Path) -> Option<PathBuf> {
    let spaces = std::fs::read_dir(folder.join("keyspaces")).ok()?;
    let mut spaces: Vec<PathBuf> = spaces.filter_map(|entry| Some(entry.ok()?.path())).collect();
    spaces.sort();
    spaces.iter().find_map(|space| find_damaged_file(space))
}

fn find_damaged_file(space: &Path) -> Option<PathBuf> {
    let (number, _) = parse_current(&std::fs::read(space.join("current")).ok()?)?;
    tables_of(&space.join(format!("v{number}"))).ok()??.into_iter().find_map(|(id, checksum)| {
        let table = space.join("tables").join(id.to_string());
        let is_damaged = match hash_of(&table) {
            Ok(found) => found != checksum,
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        is_damaged.then_some(table)
    })
}

/// A manifest as it lies on the disk.
pub(super) struct Manifest {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// The file that names it.
    pub(super) current: Vec<u8>,
    /// The numbers of the tables that it names.
    pub(super) tables: Vec<u64>,
}

/// The manifest that counts in a space which is in use; `None` of a space that was never written whole.
///
/// # Errors
/// [`ErrorKind::NotFound`] when it was replaced meanwhile, [`ErrorKind::InvalidData`] when it is
/// damaged.
pub(super) fn read(space: &Path) -> io::Result<Option<Manifest>> {
    let current = match std::fs::read(space.join("current")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        current => current?,
    };
    let (number, checksum) = parse_current(&current).ok_or(ErrorKind::InvalidData)?;
    let name = format!("v{number}");
    let path = space.join(&name);
    let bytes = std::fs::read(&path)?;
    if xxh3_128(&bytes) != checksum {
        return Err(ErrorKind::InvalidData.into());
    }
    let tables = tables_of(&path)?.ok_or(ErrorKind::InvalidData)?;
    Ok(Some(Manifest { name, bytes, current, tables: tables.into_iter().map(|(id, _)| id).collect() }))
}

/// The number and the checksum of each table that a manifest names; `None` when its layout is not the one that is known.
fn tables_of(manifest: &Path) -> io::Result<Option<Vec<(u64, u128)>>> {
    let reader = match sfa::Reader::new(manifest) {
        Ok(reader) => reader,
        Err(sfa::Error::Io(error)) => return Err(error),
        Err(_) => return Ok(None),
    };
    let section = |name: &[u8]| -> io::Result<Option<Vec<u8>>> {
        let Some(section) = reader.toc().section(name) else { return Ok(None) };
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut section.buf_reader(manifest)?, &mut bytes)?;
        Ok(Some(bytes))
    };
    if section(b"format_version")?.as_deref() != Some(MANIFEST_FORMAT) {
        return Ok(None);
    }
    Ok(section(b"tables")?.and_then(|tables| table_checksums(&tables)))
}

/// The number and the checksum of each table: levels of runs of tables. A checksum is of kind 0; nothing comes behind.
fn table_checksums(mut bytes: &[u8]) -> Option<Vec<(u64, u128)>> {
    let mut found = Vec::new();
    for _ in 0..take::<1>(&mut bytes)?[0] {
        for _ in 0..take::<1>(&mut bytes)?[0] {
            for _ in 0..u32::from_le_bytes(take(&mut bytes)?) {
                let id = u64::from_le_bytes(take(&mut bytes)?);
                if take(&mut bytes)? != [0] {
                    return None;
                }
                found.push((id, u128::from_le_bytes(take(&mut bytes)?)));
                take::<8>(&mut bytes)?;
            }
        }
    }
    bytes.is_empty().then_some(found)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn hash_of(path: &Path) -> io::Result<u128> {
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut part) = (xxhash_rust::xxh3::Xxh3::new(), vec![0; 1 << 16]);
    loop {
        let length = io::Read::read(&mut file, &mut part)?;
        match part.get(..length) {
            Some([]) | None => return Ok(hash.digest128()),
            Some(read) => hash.update(read),
        }
    }
}
