//! The language of the page, of the scripts and of the description of the routes, whose comments are no Rust.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::files::{below, read, root, with_extension};
use crate::language::{
    SENTENCE_WORDS_MAX, VAGUE, VAGUE_RATE_MAX, WHAT_RATE_MAX, length, sentences, shown, words,
};

/// The comments of a script or a style of the page, without their marks and rules. Code between them is a blank line.
fn page_comments(source: &str) -> String {
    let mut text = String::new();
    for line in source.lines() {
        let (code, comment) = line
            .split_once("//")
            .filter(|(code, _)| code.trim().is_empty() || code.ends_with(' '))
            .unwrap_or((line, ""));
        let blocks = code.split("/*").skip(1).filter_map(|block| block.split("*/").next());
        text.extend(blocks.map(|block| format!("\n{}\n", block.trim())));
        if !code.trim().is_empty() {
            text.push('\n');
        }
        text.push_str(comment.trim().trim_end_matches('-').trim_end());
        text.push('\n');
    }
    text
}

/// The comments of a script of a shell, without their marks. Code, and lines that show a use, are blank lines.
fn script_comments(source: &str) -> String {
    let plain = |line: &str| {
        let comment = line.trim_start().strip_prefix('#').filter(|comment| !comment.starts_with(['!', '#']));
        let comment = comment.map_or("", |comment| comment.strip_prefix(' ').unwrap_or(comment));
        if comment.starts_with("  ") { "\n".to_owned() } else { format!("{comment}\n") }
    };
    source.lines().map(plain).collect()
}

/// The texts of a description of routes, each as a paragraph.
fn described(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let text = |(key, value): (&String, &Value)| match value {
                Value::String(text) if ["summary", "description"].contains(&key.as_str()) => {
                    format!("{text}\n\n")
                }
                value => described(value),
            };
            members.iter().map(text).collect()
        }
        Value::Array(items) => items.iter().map(described).collect(),
        _ => String::new(),
    }
}

/// The scripts, and the run of all checks.
fn scripts() -> Vec<PathBuf> {
    let other = |path: &Path| path.extension().is_some_and(|end| end == "java" || end == "xml");
    let mut scripts = below(&root().join("scripts"));
    scripts.retain(|path| !other(path));
    scripts.push(root().join(".ci/run"));
    scripts
}

#[test]
fn comments_are_found_beside_code() {
    let page =
        "// One -----\n\n// two\n// three.\nlet four; // five\nlet six = \"https://seven\"; /* eight */\n";
    assert_eq!(words(&page_comments(page)), ["one", "two", "three", "five", "eight"]);
    assert_eq!(sentences(&page_comments(page)).len(), 4);
    let script = "#!/bin/sh\n# One two\n# three.\n#   script four\nfive # six\n  # seven\n";
    assert_eq!(words(&script_comments(script)), ["one", "two", "three", "seven"]);
    let routes =
        serde_json::json!({"a": [{"summary": "One", "description": {"description": "two"}}], "b": "three"});
    assert_eq!(sentences(&described(&routes)).len(), 2);
}

/// The comments of a text.
type Comments = fn(&str) -> String;

#[test]
fn comments_of_other_files_are_short_and_name_their_subject() {
    let page = root().join("src/http/page");
    let parts: [(Vec<PathBuf>, Comments); 4] = [
        (with_extension(&page, &["js"]), page_comments),
        (with_extension(&page, &["css"]), page_comments),
        (scripts(), script_comments),
        (vec![root().join("src/http/openapi.json")], |text| described(&serde_json::from_str(text).unwrap())),
    ];
    let mut wrong = Vec::new();
    for (paths, comments) in parts {
        let (mut all, mut what, mut vague) = (0, 0, 0);
        for path in &paths {
            let text = comments(&read(path));
            let words = words(&text);
            all += words.len();
            what += words.iter().filter(|word| *word == "what").count();
            vague += words.iter().filter(|word| VAGUE.contains(&word.as_str())).count();
            let long = sentences(&text).into_iter().filter(|sentence| length(sentence) > SENTENCE_WORDS_MAX);
            wrong.extend(
                long.map(|sentence| {
                    format!("{}: more than {SENTENCE_WORDS_MAX} words:{sentence}", shown(path))
                }),
            );
        }
        let name = paths.first().map(|path| shown(path)).unwrap_or_default();
        assert!(all > 50, "only {all} words were found in {name} and its like");
        #[allow(clippy::cast_precision_loss)]
        let rate = |count: usize| 1_000.0 * count as f64 / all as f64;
        if rate(what) > WHAT_RATE_MAX || rate(vague) > VAGUE_RATE_MAX {
            wrong.push(format!(
                "{name} and its like: {what} and {vague} of {all} words are \"what\" and {VAGUE:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
