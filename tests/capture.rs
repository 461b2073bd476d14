//! Files of captured records (`tests/captured`), and what a run over them says.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::World;

/// The place of a captured folder, or of a file by its path below the folder of captures.
pub fn captured(name: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captured").join(name)
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

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes in base64.
pub fn base64(bytes: &[u8]) -> String {
    let groups = bytes.chunks(3).flat_map(|group| {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        let digit = move |at: usize| char::from(ALPHABET.as_bytes()[(bits >> (18 - 6 * at) & 63) as usize]);
        (0..4).map(move |at| if at <= group.len() { digit(at) } else { '=' })
    });
    groups.collect()
}

/// The bytes that a text in base64 stands for.
pub fn from_base64(text: &str) -> Vec<u8> {
    let (mut bytes, mut group, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.trim_end_matches('=').chars() {
        group = group << 6 | u32::try_from(ALPHABET.find(letter).unwrap()).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits & 0xff) as u8);
        }
    }
    bytes
}
