//! Files of the project and of the worlds of tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The top level of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the project.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The entries of a folder, in the order of their names.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// The files below a folder and its folders, in the order of their paths. A symbolic link is a file.
pub fn below(folder: &Path) -> Vec<PathBuf> {
    let is_folder = |path: &PathBuf| path.is_dir() && !path.is_symlink();
    let files = entries(folder).into_iter();
    files.flat_map(|path| if is_folder(&path) { below(&path) } else { vec![path] }).collect()
}

/// The files below a folder whose names end in one of these extensions.
pub fn with_extension(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut files = below(folder);
    files.retain(|path| {
        extensions.iter().any(|extension| path.extension().is_some_and(|end| end == *extension))
    });
    files
}

/// The Rust files below a folder.
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    with_extension(folder, &["rs"])
}

/// The files below a folder with their bytes.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let held = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    below(folder).into_iter().map(held).collect()
}

/// Copies a folder with everything below it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in entries(from) {
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &to) } else { assert!(fs::copy(&path, &to).is_ok()) }
    }
}
