//! The names of the functions: each is a verb, a predicate or a noun, and none says what was done to a thing before.

use std::fs;

use crate::files::{root, sources};
use crate::language::{IRREGULAR, NOUNS, PARTICIPLES, code};

/// Participles that name no function, beside those that name no type.
const OTHERS: [&str; 13] = [
    "bound",
    "built",
    "caught",
    "forgotten",
    "laid",
    "met",
    "torn",
    "unasked",
    "unbound",
    "unread",
    "unseen",
    "unspoken",
    "unwritten",
];

/// Verbs in their first form that look as participles do.
const VERBS: [&str; 1] = ["read"];

/// Functions of other people's traits.
const FOREIGN: [&str; 1] = ["supported_verify_schemes"];

/// Whether the first word of a function's name is a participle. A predicate such as `is_held` begins with its verb.
fn begins_with_participle(name: &str) -> bool {
    let word = name.trim_start_matches('_').split('_').next().unwrap_or_default();
    let is_known = |words: &[&str]| words.contains(&word);
    let is_noun = NOUNS.iter().any(|noun| noun.to_lowercase() == word);
    let is_other = is_noun || is_known(&VERBS) || FOREIGN.contains(&name);
    let is_irregular = [&PARTICIPLES[..], &IRREGULAR, &OTHERS].into_iter().any(is_known);
    !is_other && (word.ends_with("ed") || is_irregular)
}

/// The functions of a source, except tests: the name of a test is a sentence.
fn functions(source: &str) -> Vec<String> {
    let code = code(source);
    let is_in_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut names = Vec::new();
    for (at, keyword) in code.match_indices("fn ") {
        let (before, after) = (&code[..at], &code[at + keyword.len()..]);
        let attributes = before.rsplit(['{', '}', ';']).next().unwrap_or_default();
        let is_test = attributes.contains("#[test]") || attributes.contains("#[tokio::test");
        let name: String = after.chars().take_while(|letter| is_in_word(*letter)).collect();
        if !before.ends_with(is_in_word) && !is_test && !name.is_empty() {
            names.push(name);
        }
    }
    names
}

#[test]
fn functions_are_found_with_their_names() {
    let source = r##"
        pub(super) async fn fold<'a>(text: &'a str) {}
        impl Row { fn known(&self) {} } // fn comment() {}
        const TEXT: &str = "fn text() {}"; const POINTER: fn (u8) = note;
        #[tokio::test(start_paused = true)] async fn written_rows_stay() {}
        #[test]
        fn read_rows_stay() { fn inner() {} }
    "##;
    assert_eq!(functions(source), ["fold", "known", "inner"]);
}

#[test]
fn functions_are_named_by_verbs_and_nouns() {
    for name in ["folded", "held_beside", "_known", "chosen", "embedded_meta", "unread", "built_for", "met"] {
        assert!(begins_with_participle(name), "{name}");
    }
    for name in [
        "fold",
        "is_folded",
        "has_moved",
        "read_row",
        "feed",
        "embed",
        "need_room",
        "index_built_for",
        "into_sorted",
        "set_written",
        "positions",
        "redo",
    ] {
        assert!(!begins_with_participle(name), "{name}");
    }
    let (mut count, mut wrong) = (0, Vec::new());
    for path in sources(&root().join("src")) {
        let names = functions(&fs::read_to_string(&path).unwrap());
        count += names.len();
        let file = path.strip_prefix(root()).unwrap().display();
        wrong.extend(names.iter().filter(|name| begins_with_participle(name)).map(|name| {
            format!("{file}: {name} does not say what the function does; name it by a verb, or by the noun that it answers")
        }));
    }
    assert!(count > 2_000, "only {count} functions were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
