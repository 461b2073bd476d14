//! Files of captured records (`tests/captured`), and the dead letters of a run over them.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::files::root;
use crate::harness::World;

/// The place of a captured folder, or of a file by its path below the folder of captures.
pub fn captured(name: impl AsRef<Path>) -> PathBuf {
    root().join("tests/captured").join(name)
}

/// The JSON of a file.
pub fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The lines of a captured topic; none where no record of it was captured.
pub fn lines(folder: &str, topic: &str) -> String {
    fs::read_to_string(captured(folder).join(format!("{topic}.jsonl"))).unwrap_or_default()
}

/// The reasons of the dead letters.
pub fn reasons(world: &World) -> Vec<String> {
    world.dead_letters().iter().map(|letter| letter["reason"].as_str().unwrap().to_owned()).collect()
}

/// Bytes in base64.
pub fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// The bytes that a text in base64 stands for.
pub fn from_base64(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap()
}
