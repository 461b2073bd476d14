//! Hits as text for a terminal.

use std::io::IsTerminal;

use serde_json::Value;

use crate::output;
use crate::plan::Collection;
use crate::search::service::Page;

/// Colours are for terminals, unless they are not wanted (<https://no-color.org>).
pub(in crate::app) fn wants_colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Prints a page of hits of a collection.
pub(in crate::app) fn print(page: &Page, collection: Collection, colours: bool) {
    let plan = collection.get();
    for hit in &page.hits {
        output::line(line(hit, plan.own.title, &plan.hit, colours));
        for (_, members, searched) in plan.members_to_search() {
            let matched = hit.get(members.label.as_str()).and_then(Value::as_array);
            for member in matched.into_iter().flatten() {
                output::line(format_args!("    {}", line(member, searched.title, &members.hit, colours)));
            }
        }
    }
    for (field, counts) in &page.facets {
        let counts = counts
            .as_object()
            .into_iter()
            .flatten()
            .map(|(value, count)| format!("{} {count}", plain(value)));
        output::line(format_args!("{field}: {}", counts.collect::<Vec<_>>().join(", ")));
    }
    // A model with one collection leaves no doubt which one was searched.
    let is_one_of_several = collection.projection().plan().collections().nth(1).is_some();
    let place = if is_one_of_several { format!(" in {}", collection.name()) } else { String::new() };
    output::line(format_args!("{} found{place} in {} ms", page.total, page.took_ms));
    if let Some(next) = &page.next {
        output::line(format_args!("more: --after {next}"));
    }
}

/// The title, the id, and the members that the model says hits show.
fn line(hit: &Value, title: &str, members: &[&str], colours: bool) -> String {
    let id = hit.get("id").and_then(Value::as_str).unwrap_or_default();
    let marked = |path: &str| {
        let marked = hit.get("highlights")?.get(path)?.get(0)?.as_str()?;
        Some(highlight(marked, colours)).filter(|text| !text.is_empty())
    };
    let own = |name: &str| hit.get(name).and_then(Value::as_str).map(plain).filter(|text| !text.is_empty());
    // The title of a hit is its name; a member has it under the field's own name.
    let name = marked(title).or_else(|| own("name")).or_else(|| own(title));
    let mut parts = vec![format!("{}  [{}]", name.unwrap_or_else(|| "(no name)".to_owned()), plain(id))];
    for member in members.iter().filter(|member| **member != title && **member != "name") {
        parts.extend(hit.get(*member).and_then(|value| part(member, value, &marked)));
    }
    parts.join("  ")
}

/// The short form of a member: a text, a number behind its name, the city of an address, the name of an entity.
fn part(name: &str, value: &Value, marked: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    match value {
        Value::String(text) => marked(name).or_else(|| Some(plain(text))).filter(|text| !text.is_empty()),
        Value::Number(_) | Value::Bool(_) => Some(format!("{} {value}", plain(name))),
        Value::Object(members) => ["city", "name", "id"].into_iter().find_map(|inner| {
            let text = members.get(inner)?.as_str()?;
            marked(&format!("{name}.{inner}")).or_else(|| Some(plain(text)))
        }),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().filter_map(Value::as_str).map(plain).collect();
            (!texts.is_empty()).then(|| texts.join(", "))
        }
        Value::Null => None,
    }
}

/// A marked text for a terminal: bold where it matched, when colours are wanted.
fn highlight(marked: &str, colours: bool) -> String {
    let (begin, end) = if colours { ("\u{1b}[1;33m", "\u{1b}[0m") } else { ("", "") };
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    let pieces = marked.split("<em>").enumerate().map(|(number, piece)| {
        let text =
            entities.iter().fold(piece.to_owned(), |text, (entity, letter)| text.replace(entity, letter));
        let text = text.replace("</em>", "\u{e000}");
        let text = plain(&text).replace('\u{e000}', end);
        if number == 0 { text } else { format!("{begin}{text}") }
    });
    pieces.collect()
}

/// Text without control characters: data must not command the terminal.
pub(in crate::app) fn plain(text: &str) -> String {
    crate::escape::value(text).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_marks_matches_and_shows_no_control_characters() {
        let hit = json!({
            "id": "o1", "name": "A<b>\u{1b}[2Jx", "status": "active",
            "highlights": {"name": ["<em>A</em>&lt;b&gt;\u{1b}[2Jx"]},
        });
        assert_eq!(line(&hit, "name", &["status"], false), "A<b>\\u{1b}[2Jx  [o1]  active");
        assert!(line(&hit, "name", &[], true).starts_with("\u{1b}[1;33mA\u{1b}[0m<b>"));
    }

    #[test]
    fn members_are_shown_by_their_kind() {
        let hit = json!({
            "id": "b1", "name": "Bread", "heading": "Bread", "price": 9.5, "genre": {"id": "g1", "name": "Cookery"},
            "place": {"city": "Leeds", "country": "GB"}, "tags": ["a", "b"], "copies": [{"id": "c"}], "owner": {"id": "u1"},
            "highlights": {"genre.name": ["<em>Cook</em>ery"]},
        });
        let members = ["heading", "price", "genre", "place", "tags", "copies", "owner", "none"];
        assert_eq!(
            line(&hit, "heading", &members, false),
            "Bread  [b1]  price 9.5  Cookery  Leeds  a, b  u1"
        );
        assert_eq!(
            line(&json!({"id": "p9", "stub": true, "highlights": {}}), "text", &[], false),
            "(no name)  [p9]"
        );
    }
}
