//! The names of the sources: each is a noun for the content of the file or the folder.

use crate::files::{root, sources};
use crate::language::{IRREGULAR, NOUNS, PARTICIPLES};

/// Participles that name no file, beside those that name no type.
const OTHERS: [&str; 2] = ["built", "forgotten"];

/// Words for the quality, the place or the time of a thing, and not for the thing.
const QUALITIES: [&str; 14] = [
    "ahead", "beside", "between", "beyond", "earlier", "later", "live", "own", "pending", "private", "raw",
    "silent", "stable", "together",
];

/// The kind of index that the configuration calls so.
const KIND: &str = "embedded";

/// Whether the last word of a file's or a folder's name is a participle or a quality, with no noun behind it.
fn lacks_noun(name: &str) -> bool {
    let word = name.rsplit('_').next().unwrap_or_default();
    let is_known = |words: &[&str]| words.contains(&word);
    let is_noun = NOUNS.iter().any(|noun| noun.to_lowercase() == word) || name == KIND;
    !is_noun
        && (word.ends_with("ed")
            || [&PARTICIPLES[..], &IRREGULAR, &OTHERS, &QUALITIES].into_iter().any(is_known))
}

#[test]
fn files_are_named_by_nouns() {
    for name in ["matched", "sent", "well_known", "forgotten", "not_built", "beyond"] {
        assert!(lacks_noun(name), "{name}");
    }
    for name in ["refreshed_positions", "sent_write", "embed", "embedded", "live_index", "retry", "mod"] {
        assert!(!lacks_noun(name), "{name}");
    }
    let folder = root().join("src");
    let mut wrong = Vec::new();
    for path in sources(&folder) {
        let file = path.strip_prefix(&folder).unwrap().with_extension("");
        let names = file.iter().map(|name| name.to_str().unwrap());
        wrong.extend(names.filter(|name| lacks_noun(name)).map(|name| {
            format!(
                "src/{}.rs: {name} does not say what it holds; name it by a noun, such as that of its main type",
                file.display()
            )
        }));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
