//! The length of the sentences in messages: errors, lines of the log, results and the texts of HTTP answers.
//! The help of an option is a comment, and `tests/language.rs` measures it.

use crate::architecture::without_tests;
use crate::files::{read, root, sources};
use crate::language::{OPAQUE, SENTENCE_WORDS_MAX, length, sentences, shown};

/// Words in a row from which on a literal reads like a sentence.
const ROW_MIN: usize = 6;
/// The beginning of a question to PostgreSQL, which reads like a sentence and is none.
const QUESTION: &str = "SELECT ";
/// Escapes that hold a mark of a literal's end, each with the mark that a reader sees.
const ESCAPES: [(&str, &str); 3] = [("\\\\", ""), ("\\\"", "”"), ("'\"'", "")];

/// The string literals of a source, as they stand there.
fn literals(source: &str) -> Vec<String> {
    let source = ESCAPES.iter().fold(source.to_owned(), |text, (escape, mark)| text.replace(escape, mark));
    let (mut literals, mut rest) = (Vec::new(), source.as_str());
    while let Some(letter) = rest.chars().next() {
        let Some((begin, end)) = OPAQUE.iter().find(|(begin, _)| rest.starts_with(begin)) else {
            rest = &rest[letter.len_utf8()..];
            continue;
        };
        let (text, after) = rest[begin.len()..].split_once(end).unwrap_or_default();
        if *begin != "//" {
            literals.push(text.to_owned());
        }
        rest = after;
    }
    literals
}

/// A literal as its reader sees it: the continued lines are one, and each placeholder is a word.
fn text_of(literal: &str) -> String {
    let lines = literal.split("\\\n").enumerate();
    let text: String = lines.map(|(at, line)| if at == 0 { line } else { line.trim_start() }).collect();
    let text = text.replace("\\n", "\n").replace("{{", "").replace("}}", "");
    let mut parts = text.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "X" + part.split_once('}').map_or(part, |(_, rest)| rest))
}

/// Whether a text has words of letters in a row, each with one space before it.
fn reads_like_sentence(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphabetic() || ['-', '\'', '’'].contains(&letter);
    let mut row = 0;
    let is_long = text.split(' ').any(|word| {
        let word = word.trim_matches(['.', ',', ';', ':', '?', '!', '(', ')', '`', '"', '”']);
        row = if !word.is_empty() && word.chars().all(is_letter) { row + 1 } else { 0 };
        row >= ROW_MIN
    });
    is_long && !text.starts_with(QUESTION)
}

/// The messages of a source that read like sentences.
fn messages(source: &str) -> Vec<String> {
    let texts = literals(&without_tests(source)).into_iter().map(|literal| text_of(&literal));
    texts.filter(|text| reads_like_sentence(text)).collect()
}

/// The sentences of a message with more words than a sentence may have. A line of a message ends its sentence.
fn long_sentences(message: &str) -> Vec<String> {
    let all = message.lines().flat_map(|line| sentences(line.trim()));
    all.filter(|sentence| length(sentence) > SENTENCE_WORDS_MAX).collect()
}

#[test]
fn a_message_of_26_words_is_refused() {
    let of_words = |count: usize| {
        let words = vec!["word"; count - 2].join(" ");
        format!("fn f() {{ say(\"{words} \\\n             {{one:?}}; \\\"{{0}}\\\"\") }}\n")
    };
    let refused = |source: &str| messages(source).iter().flat_map(|text| long_sentences(text)).count();
    assert_eq!(refused(&of_words(SENTENCE_WORDS_MAX + 1)), 1);
    assert_eq!(refused(&of_words(SENTENCE_WORDS_MAX)), 0);
    let test = format!("#[cfg(test)]\nmod tests {{\n    {}}}\n", of_words(SENTENCE_WORDS_MAX + 1));
    assert_eq!(refused(&test), 0);
    let long = ["word"; SENTENCE_WORDS_MAX].join(" ");
    for (source, count) in [
        (format!("say(\"{long}. {long}\\n{long}\")"), 0),
        (format!("say(\"{long} word\")"), 1),
        (format!("say('\"', \"\\\\\", r#\"{long} \"word\"\"#)"), 1),
        (format!("say(\"{long}\") // \"{long} word\""), 0),
        (format!("query(\"SELECT {long} word\")"), 0),
        ("say(r#\"{\"a\": [1, 2, 3, 4, 5, 6, 7, 8]}\"#)".to_owned(), 0),
    ] {
        assert_eq!(refused(&source), count, "{source}");
    }
}

#[test]
fn sentences_of_messages_are_short() {
    let (mut count, mut long) = (0, Vec::new());
    for path in sources(&root().join("src")) {
        for message in messages(&read(&path)) {
            count += 1;
            let too_long = long_sentences(&message).into_iter();
            long.extend(too_long.map(|sentence| format!("{}:{sentence}", shown(&path))));
        }
    }
    assert!(count > 500, "only {count} messages were found");
    assert!(long.is_empty(), "more than {SENTENCE_WORDS_MAX} words: {long:#?}");
}
