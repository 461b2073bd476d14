//! The examples in the documents are real: records fold into the shown documents, and commands print the shown output.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::files::read;
use crate::harness::{World, shown};

/// The text from a heading to the next one of its level.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let level = heading.split(' ').next().unwrap();
    let rest = text.split_once(&format!("{heading}\n")).unwrap_or_else(|| panic!("no {heading}")).1;
    rest.split(&format!("\n{level} ")).next().unwrap()
}

/// The indented blocks of code.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(code) => blocks.last_mut().unwrap().push_str(&format!("{code}\n")),
            // A blank line within a block of shell belongs to a file that the block writes.
            None if line.is_empty() && blocks.last().unwrap().matches("END").count() % 2 == 1 => {
                blocks.last_mut().unwrap().push('\n');
            }
            None => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// A deployment without servers that reads `events` in this format.
fn world(format: &str) -> World {
    let world = World::embedded(
        "examples",
        &format!(
            "source.kind = \"files\"\nsource.path = \"events\"\norganisations.format = \"{format}\"\ncontacts.format = \"{format}\"\n"
        ),
    );
    fs::create_dir_all(world.path("events")).unwrap();
    world
}

/// Folds the lines of both topics. A record that is poison fails the test.
fn fold(format: &str, organisations: &str, contacts: &str) -> World {
    let world = world(format);
    for (topic, lines) in [("organisations", organisations), ("contacts", contacts)] {
        fs::write(world.path("events").join(format!("{topic}.jsonl")), lines).unwrap();
    }
    world.succeed(&["run", "--until-end", "--fail-on-dead-letters"]);
    world
}

#[test]
fn each_record_on_the_page_of_events_makes_a_contact() {
    let text = read("docs/events.md");
    let formats = ["cloudevents", "debezium", "plain", "outbox"];
    let mut sections: Vec<(&str, &str)> =
        formats.iter().map(|format| (*format, section(&text, &format!("## `{format}`")))).collect();
    sections.push(("plain", section(&text, "## Files")));
    for (format, text) in sections {
        let lines: Vec<String> = blocks(text).into_iter().filter(|block| block.starts_with('{')).collect();
        assert!(!lines.is_empty(), "{format} has no example");
        for line in lines {
            let contacts = fold(format, "", &line).documents("contacts");
            assert_eq!(contacts.keys().collect::<Vec<_>>(), ["c1"], "{format}: {line}");
        }
    }
}

#[test]
fn the_record_in_the_readme_makes_its_document() {
    let text = read("README.md");
    let text = section(&text, "## One record in, one document out");
    let examples = text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let [record, document]: [Value; 2] =
        examples.map(|json| serde_json::from_str(json).unwrap()).collect::<Vec<_>>().try_into().unwrap();
    let created = |id: &str, kind: &str, data: &Value| {
        let event = json!({"specversion": "1.0", "id": id, "source": "/", "type": format!("{kind}Created"), "data": data});
        json!({"key": id, "value": event}).to_string() + "\n"
    };
    let organisation =
        json!({"name": "Acme Ltd", "status": "active", "parentId": "o0", "address": document["address"]});
    let organisations = created("o1", "Organisation", &organisation)
        + &created("o0", "Organisation", &json!({"name": "Acme Group"}));
    let mut contact = document["contacts"][0].clone();
    contact["organisationId"] = json!("o1");
    contact["role"] = json!("CTO");
    let contacts =
        created("c1", "Contact", &contact) + &json!({"key": "c1", "value": record}).to_string() + "\n";
    let world = fold("cloudevents", &organisations, &contacts);
    assert_eq!(shown(&world.documents("organisations")["o1"]), document);
}

#[test]
fn the_first_steps_with_files_print_what_the_page_shows() {
    let text = read("docs/getting-started.md");
    let text = section(&text, "## With files");
    let (text, _) = text.split_once("### 4.").unwrap();
    print_what_is_shown(text, &["# ", "Acme"]);
}

#[test]
fn the_steps_with_entity_types_of_ones_own_print_what_the_page_shows() {
    let text = read("docs/getting-started.md");
    let text = section(&text, "## Your own events");
    let (text, _) = text.split_once("| your records").unwrap();
    print_what_is_shown(text, &["Harbour"]);
}

#[test]
fn the_steps_with_an_envelope_of_ones_own_print_what_the_page_shows() {
    let text = read("docs/getting-started.md");
    let text = section(&text, "## Events with an envelope of your own");
    let (_, text) = text.split_once("In another empty folder").unwrap();
    print_what_is_shown(text, &["Bergmann"]);
}

/// Runs the commands of a text. The blocks with one of these beginnings are the lines that they print.
fn print_what_is_shown(text: &str, beginnings: &[&str]) {
    let is_output = |block: &String| beginnings.iter().any(|beginning| block.starts_with(beginning));
    let (outputs, commands): (Vec<_>, Vec<_>) = blocks(text).into_iter().partition(is_output);
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_tributary")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let run = Command::new("bash")
        .args(["-ec", &commands.concat()])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("TRIBUTARY_HTTP__LISTEN", "127.0.0.1:0")
        .output()
        .unwrap();
    let printed = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{printed}{}", String::from_utf8_lossy(&run.stderr));
    let lines: Vec<&str> = printed.lines().collect();
    assert!(outputs.len() >= beginnings.len(), "{outputs:?}");
    // The time of a search differs.
    let untimed = |line: &str| {
        line.rsplit_once(" in ")
            .filter(|_| line.ends_with(" ms"))
            .map_or(line.to_owned(), |(total, _)| total.to_owned())
    };
    let lines: Vec<String> = lines.into_iter().map(untimed).collect();
    for expected in outputs.iter().flat_map(|output| output.lines()).map(untimed) {
        assert!(lines.contains(&expected), "{expected} is not in:\n{printed}");
    }
}
