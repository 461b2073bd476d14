//! The language of the documents: plain sentences, links that lead somewhere, and one meaning for each term.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::files::{entries, root, sources, with_extension};

/// The longest mean of words in a sentence, in each document.
const MEAN_MAX: f64 = 18.0;
/// The longest sentence of a comment and of a document, in words.
pub const SENTENCE_WORDS_MAX: usize = 25;
/// Clauses such as "what is written" in a thousand words of all documents.
pub const WHAT_RATE_MAX: f64 = 2.0;
/// Subjects such as "whoever" in a thousand words of all documents.
pub const VAGUE_RATE_MAX: f64 = 0.3;
/// Words that name no subject.
pub const VAGUE: [&str; 6] = ["whoever", "nobody", "somebody", "whatever", "whichever", "whomever"];
/// The most terms of the glossary.
const TERMS_MAX: usize = 60;

/// Every document: those of the root and all below `docs`.
pub fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].iter().map(|name| root().join(name)).collect();
    found.extend(with_extension(&root().join("docs"), &["md"]));
    found
}

/// A document without code: its lines outside of fences and indented blocks.
pub fn text_lines(text: &str) -> Vec<&str> {
    let (mut lines, mut is_fenced, mut is_code, mut after_blank) = (Vec::new(), false, false, true);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
            lines.push("");
            continue;
        }
        let is_blank = line.trim().is_empty();
        is_code = line.starts_with("    ") && (after_blank || is_code);
        after_blank = is_blank;
        if !is_fenced {
            lines.push(if is_code { "" } else { line });
        }
    }
    lines
}

/// The paragraphs and the items of lists. Headings and tables hold no sentences that are counted.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in text_lines(text) {
        let line = line.trim();
        let number = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let is_numbered = number.len() < line.len() && number.starts_with(". ");
        let item = line.strip_prefix("- ").or(is_numbered.then_some(number));
        if line.is_empty() || line.starts_with(['#', '|']) {
            paragraphs.push(String::new());
            continue;
        }
        if item.is_some() {
            paragraphs.push(String::new());
        }
        let paragraph = paragraphs.last_mut().unwrap();
        paragraph.push_str(item.unwrap_or(line));
        paragraph.push(' ');
    }
    paragraphs
}

/// The sentences of a text. A sentence ends at a mark of its end before a space.
pub fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    for paragraph in paragraphs(text) {
        let mut sentence = String::new();
        for word in paragraph.split_whitespace() {
            sentence = format!("{sentence} {word}");
            if word.trim_end_matches(['*', ')', '"', '”', '`', '_']).ends_with(['.', '!', '?']) {
                sentences.push(std::mem::take(&mut sentence));
            }
        }
        sentences.push(sentence);
    }
    sentences.retain(|sentence| length(sentence) > 0);
    sentences
}

/// The number of words of a sentence.
pub fn length(sentence: &str) -> usize {
    sentence.split(' ').filter(|word| word.chars().any(char::is_alphanumeric)).count()
}

fn sentence_lengths(text: &str) -> Vec<usize> {
    sentences(text).iter().map(|sentence| length(sentence)).collect()
}

/// The words of a document without its code blocks, in lower case.
pub fn words(text: &str) -> Vec<String> {
    let lines = text_lines(text).join("\n").to_lowercase();
    let words = lines.split(|letter: char| !letter.is_alphabetic() && letter != '\'');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn sentences_are_short_and_name_their_subject() {
    let (mut all, mut what, mut vague, mut wrong) = (0, 0, 0, Vec::new());
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        let lengths = sentence_lengths(&text);
        #[allow(clippy::cast_precision_loss)]
        let mean = lengths.iter().sum::<usize>() as f64 / lengths.len().max(1) as f64;
        if mean > MEAN_MAX {
            wrong.push(format!("{}: {mean:.1} words a sentence", shown(&path)));
        }
        let words = words(&text);
        all += words.len();
        what += words.iter().filter(|word| *word == "what").count();
        vague += words.iter().filter(|word| VAGUE.contains(&word.as_str())).count();
    }
    assert!(all > 10_000, "only {all} words were found");
    #[allow(clippy::cast_precision_loss)]
    let rate = |count: usize| 1_000.0 * count as f64 / all as f64;
    let (what, vague) = (rate(what), rate(vague));
    assert!(wrong.is_empty(), "at most {MEAN_MAX} were expected: {wrong:#?}");
    assert!(what <= WHAT_RATE_MAX, "{what:.1} of 1 000 words are \"what\"");
    assert!(vague <= VAGUE_RATE_MAX, "{vague:.2} of 1 000 words are one of {VAGUE:?}");
}

/// The record of measurements, whose sentences list figures and settings.
const RECORD: &str = "docs/performance-log.md";

#[test]
fn sentences_of_documents_are_short() {
    let mut long = Vec::new();
    for path in documents().into_iter().filter(|path| shown(path) != RECORD) {
        let all = sentences(&fs::read_to_string(&path).unwrap());
        let too_long = all.iter().filter(|sentence| length(sentence) > SENTENCE_WORDS_MAX);
        long.extend(too_long.map(|sentence| format!("{}:{sentence}", shown(&path))));
    }
    assert!(long.is_empty(), "more than {SENTENCE_WORDS_MAX} words: {long:#?}");
}

#[test]
fn sentences_are_measured_without_code_tables_and_headings() {
    let text = "# A heading of five words\n\nOne two three. Four `five.rs` six\nseven!\n\n- An item: *eight.*\n1. Nine\n\n    code is\n    not counted\n\n```\nnor this\n```\n| a | table |\n";
    assert_eq!(sentence_lengths(text), [3, 4, 3, 1]);
    assert!(words(text).contains(&"table".to_owned()) && !words(text).contains(&"code".to_owned()));
}

/// The targets of a document's links, with those of pictures.
fn links(text: &str) -> Vec<String> {
    let lines = text_lines(text).join("\n");
    let targets = lines.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// The anchor of a heading, as web pages of repositories make it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let mut wrong = Vec::new();
    for path in documents() {
        for link in links(&fs::read_to_string(&path).unwrap()) {
            if link.starts_with("http") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let exists = target.exists();
            let has_heading = heading.is_empty()
                || fs::read_to_string(&target).is_ok_and(|text| {
                    text_lines(&text).iter().any(|line| line.starts_with('#') && anchor(line) == heading)
                });
            if !exists || !has_heading {
                wrong.push(format!("{}: {link}", shown(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_architecture_names_files_and_functions_that_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut wrong = Vec::new();
    let quoted = text.split('`').skip(1).step_by(2);
    let named: Vec<&str> = quoted.filter(|name| name.contains('/') || name.contains(".rs")).collect();
    for name in &named {
        let (file, function) = name.split_once("::").unwrap_or((name, ""));
        let is_path = file.ends_with(".rs") || file.ends_with('/');
        if !is_path || file.contains([' ', '<']) || file.starts_with('/') {
            continue;
        }
        let path = [root().join("src").join(file), root().join(file)].into_iter().find(|path| path.exists());
        let is_there = path.is_some_and(|path| {
            function.is_empty() || fs::read_to_string(path).unwrap().contains(&format!("fn {function}"))
        });
        if !is_there {
            wrong.push(*name);
        }
    }
    assert!(named.len() > 50, "{named:?}");
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_glossary_has_one_sentence_for_each_term() {
    let text = fs::read_to_string(root().join("docs/glossary.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut terms = BTreeSet::new();
    let mut last = String::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [term, meaning] = cells[..] else { panic!("not two columns: {row}") };
        assert!(terms.insert(term.to_owned()), "{term} has two meanings");
        assert!(term > last.as_str(), "{term} stands after {last}");
        assert!(meaning.ends_with('.') && !meaning.contains(". "), "{term}: not one sentence: {meaning}");
        term.clone_into(&mut last);
    }
    assert!((20..=TERMS_MAX).contains(&terms.len()), "{} terms", terms.len());
}

/// Participles that name no value and no type.
pub const PARTICIPLES: [&str; 12] = [
    "asked", "begun", "given", "gone", "held", "kept", "seen", "spared", "spoken", "taken", "told", "wanted",
];

/// Participles that name no type, beside those that end in `ed`.
pub const IRREGULAR: [&str; 15] = [
    "broken", "chosen", "drawn", "found", "hidden", "known", "left", "lost", "made", "read", "said", "sent",
    "shown", "unknown", "written",
];

/// Nouns that end as participles do.
pub const NOUNS: [&str; 5] = ["Embed", "Feed", "Need", "Seed", "Speed"];

/// The beginnings and ends of comments and strings.
pub const OPAQUE: [(&str, &str); 5] =
    [("//", "\n"), ("r##\"", "\"##"), ("r#\"", "\"#"), ("r\"", "\""), ("\"", "\"")];

/// A source without its comments and strings.
pub fn code(source: &str) -> String {
    let escapes = ["\\\\", "\\\"", "'\"'"];
    let source = escapes.iter().fold(source.to_owned(), |text, escape| text.replace(escape, ""));
    let (mut code, mut rest) = (String::new(), source.as_str());
    while let Some(letter) = rest.chars().next() {
        let opaque = OPAQUE.iter().find(|(begin, _)| rest.starts_with(begin));
        code.push(if opaque.is_some() { ' ' } else { letter });
        rest = match opaque {
            Some((begin, end)) => rest[begin.len()..].split_once(end).map_or("", |(_, rest)| rest),
            None => &rest[letter.len_utf8()..],
        };
    }
    code
}

/// The participles that a source has as names of values, fields, functions or modules. A name after `.` or `::` is
/// declared elsewhere.
fn participles(source: &str) -> BTreeSet<&'static str> {
    let code = code(source);
    let is_in_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let is_name = |word: &&&str| {
        code.match_indices(**word).any(|(at, _)| {
            let (before, after) = (&code[..at], &code[at + word.len()..]);
            let before = before.strip_suffix('_').unwrap_or(before);
            let is_whole = !before.ends_with(is_in_word) && !after.starts_with(is_in_word);
            let of = before.trim_end();
            let is_member = of.ends_with("::") || of.ends_with('.') && !of.ends_with("..");
            is_whole && !is_member && !after.starts_with("::")
        })
    };
    PARTICIPLES.iter().filter(is_name).copied().collect()
}

#[test]
fn participles_are_found_where_they_are_names() {
    for source in [
        "let held = 1;",
        "let mut held = 1;",
        "let (at, held) = pair;",
        "fn find(held: &str) {}",
        "fn held() {}",
        "struct Row {\n    held: u8,\n}",
        "mod held;",
        "list.iter().map(|held| 1)",
        "list.iter().map(|(_, _held)| 1)",
        "for held in list {}",
        "match value { Some(held) => 1, None => 2 }",
        r####"let quotes = ('"', '\'', "\\", "\"", r#"""#); let held = 1; // """####,
    ] {
        assert_eq!(participles(source), BTreeSet::from(["held"]), "{source}");
    }
    for source in [
        "let note_held = is_held(held_now); // held",
        "/// held\nlet text = \"held \\\" held {held}\";",
        r####"let raw = r#"held " held"#;"####,
        "use crate::sink::held::Held; row.held(); row\n    .held = 1;",
    ] {
        assert_eq!(participles(source), BTreeSet::new(), "{source}");
    }
}

/// The types that a source declares under a participle alone.
fn participle_types(source: &str) -> BTreeSet<String> {
    let code = code(source);
    let words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let is_participle = |name: &&str| {
        let word = name.to_lowercase();
        let is_alone = name.chars().skip(1).all(char::is_lowercase);
        let is_irregular = PARTICIPLES.iter().chain(&IRREGULAR).any(|known| *known == word);
        is_alone && (is_irregular || word.ends_with("ed") && !NOUNS.contains(name))
    };
    let declares = |pair: &&[&str]| ["struct", "enum", "trait", "type", "union"].contains(&pair[0]);
    words.windows(2).filter(declares).map(|pair| pair[1]).filter(is_participle).map(str::to_owned).collect()
}

#[test]
fn participles_are_found_where_they_are_types() {
    for source in [
        "pub(super) struct Moved<'a> {}",
        "enum Moved {\n    One,\n}",
        "pub trait Moved {}",
        "type Moved = u8;",
    ] {
        assert_eq!(participle_types(source), BTreeSet::from(["Moved".to_owned()]), "{source}");
    }
    assert_eq!(participle_types("struct Seen; struct Sent;").len(), 2);
    let nouns =
        "struct Embed; struct MovedIndex; enum Outcome { Moved, Sent(Row) } // struct Moved\nuse a::Moved;";
    assert_eq!(participle_types(nouns), BTreeSet::new());
}

#[test]
fn names_are_nouns() {
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let name = shown(&path);
        let words = participles(&fs::read_to_string(&path).unwrap()).into_iter();
        wrong.extend(
            words.map(|word| format!("{name}: {word} does not say what the value is; name it by a noun")),
        );
    }
    for path in ["src", "tests"].into_iter().flat_map(|folder| sources(&root().join(folder))) {
        let types = participle_types(&fs::read_to_string(&path).unwrap()).into_iter();
        wrong.extend(types.map(|word| format!("{}: no noun names the type {word}", shown(&path))));
    }
    wrong.retain(|line| !line.starts_with("tests/language.rs"));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The type that a line declares. Indented, only a struct or an enum counts: that of a function, no associated type.
fn declaration(line: &str) -> Option<&str> {
    let inner = line.trim_start();
    let visible = inner.strip_prefix("pub(").and_then(|rest| rest.split_once(") "));
    let item = visible.map_or(inner, |(_, item)| item);
    let (keyword, rest) = item.strip_prefix("pub ").unwrap_or(item).split_once(' ')?;
    let keywords = ["struct", "enum", "union", "trait", "type"];
    let allowed = if inner == line { &keywords[..] } else { &keywords[..3] };
    let name = rest.split(|letter: char| !letter.is_alphanumeric()).next()?;
    (allowed.contains(&keyword) && name.starts_with(char::is_uppercase)).then_some(name)
}

#[test]
fn a_type_has_a_name_of_its_own() {
    for line in
        ["pub(in crate::app) struct Row<'a> {", "    enum Row {", "pub trait Row: Send {", "type Row = u8;"]
    {
        assert_eq!(declaration(line), Some("Row"), "{line}");
    }
    for line in ["    type Row = u8;", "impl Row {", "/// struct Row", "    enumerate Row", "use a::Row;"] {
        assert_eq!(declaration(line), None, "{line}");
    }
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in sources(&root().join("src")) {
        let name = shown(&path);
        if ["simulation", "tests.rs", "/tests/", "verify/world.rs"].iter().any(|part| name.contains(part)) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let is_test = |pair: &[&str]| {
            pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
        };
        let end = lines.windows(2).position(is_test).unwrap_or(lines.len());
        for (number, line) in (1..).zip(&lines[..end]) {
            if let Some(of) = declaration(line) {
                places.entry(of.to_owned()).or_default().push(format!("{name}:{number}"));
            }
        }
    }
    assert!(places.len() > 500, "only {} types were found", places.len());
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "types of one name: {places:#?}");
}

/// The comments of a source, without their marks. Code between them is a blank line.
pub fn comments(source: &str) -> String {
    let plain = |line: &str| {
        let comment = line.trim_start().strip_prefix("//").unwrap_or_default().trim_start_matches(['/', '!']);
        comment.strip_prefix(' ').unwrap_or(comment).to_owned() + "\n"
    };
    source.lines().map(plain).collect()
}

/// The comments of all sources below a folder.
fn comments_below(folder: &Path) -> String {
    sources(folder).iter().map(|path| comments(&fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn sentences_of_comments_are_short() {
    assert_eq!(
        sentence_lengths(&comments("//! One two.\n//! Three\nfn code() {}\n    /// four five.\n")),
        [2, 1, 2]
    );
    let mut long = Vec::new();
    for path in ["src", "tests"].into_iter().flat_map(|folder| sources(&root().join(folder))) {
        let all = sentences(&comments(&fs::read_to_string(&path).unwrap()));
        let too_long = all.iter().filter(|sentence| length(sentence) > SENTENCE_WORDS_MAX);
        long.extend(too_long.map(|sentence| format!("{}:{sentence}", shown(&path))));
    }
    assert!(long.is_empty(), "more than {SENTENCE_WORDS_MAX} words: {long:#?}");
}

#[test]
fn comments_name_their_subject() {
    let folders = entries(&root().join("src")).into_iter().filter(|path| path.is_dir());
    let parts = folders.chain([root().join("src"), root().join("tests")]);
    let mut wrong = Vec::new();
    for part in parts {
        let words = words(&comments_below(&part));
        assert!(!words.is_empty(), "no words were found in {}", shown(&part));
        #[allow(clippy::cast_precision_loss)]
        let rate = |count: usize| 1_000.0 * count as f64 / words.len() as f64;
        let what = rate(words.iter().filter(|word| *word == "what").count());
        let vague = rate(words.iter().filter(|word| VAGUE.contains(&word.as_str())).count());
        if what > WHAT_RATE_MAX || vague > VAGUE_RATE_MAX {
            let part = shown(&part);
            wrong.push(format!("{part}: {what:.1} and {vague:.2} of 1 000 words are \"what\" and {VAGUE:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
