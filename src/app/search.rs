//! `search`: the same search as over HTTP, from the command line.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::parts;
use crate::cli::{OutputFormat, Search};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::http::client::Instance;
use crate::output;
use crate::plan::Collection;
use crate::position::{Positions, TopicPartition};
use crate::search::service::{Page, Searcher};
use crate::search::{Request, SearchIndex};
use crate::state::State;
use crate::state::fjall::FjallStore;

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The fields of a hit that are shown behind its name.
const FIELDS: [&str; 8] =
    ["status", "industry", "organisation.name", "address.city", "email", "phone", "role", "department"];

/// Searches, and prints what was found.
pub(super) async fn run(config: Config, format: OutputFormat, wanted: Search) -> Result<()> {
    let index = parts::search_index(&config)?;
    let searcher = Searcher::new(Arc::clone(&index), config.plan, &config.index.projections);
    let request = request(&searcher.collections(), &wanted)?;
    check_filled(&*index, &config.index.projections, &request).await?;
    if !request.consistent_with.is_empty() {
        wait(&config, &request).await?;
        index.refresh(request.collection).await?;
    }
    let page = searcher.search(&request).await?;
    match format {
        OutputFormat::Json => output::json(&page)?,
        OutputFormat::Text => print_text(&page, wants_colours()),
    }
    Ok(())
}

fn request(collections: &[Collection], wanted: &Search) -> Result<Request> {
    let q = wanted.q.clone().or_else(|| (!wanted.words.is_empty()).then(|| wanted.words.join(" ")));
    let single = [
        ("q", &q),
        ("in", &wanted.collection),
        ("under", &wanted.under),
        ("sort", &wanted.sort),
        ("size", &wanted.size),
        ("after", &wanted.after),
        ("facets", &wanted.facets),
        ("consistent_with", &wanted.consistent_with),
        ("timeout", &wanted.timeout),
        ("allow_partial", &wanted.allow_partial.then(|| "true".to_owned())),
    ];
    let single = single.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let filters = wanted.filter.iter().map(|filter| ("filter", filter.as_str()));
    Request::parse(collections, single.chain(filters))
}

/// Refuses a search in an index that is not full, as the routes do. The index is searched when its aliases may not be
/// read, because the privilege to search does not contain that one.
async fn check_filled(index: &dyn SearchIndex, kept: &[String], request: &Request) -> Result<()> {
    let searched = request.collection.searched();
    let searched = kept.iter().filter(|name| searched.iter().any(|of| of.name() == *name));
    let unfilled = match index.unfilled(&searched.cloned().collect::<Vec<_>>()).await {
        Ok(unfilled) => unfilled,
        Err(error) if error.kind() == ErrorKind::Failed => {
            tracing::debug!(error = error.chain(), "whether the index is full is not known");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if unfilled.is_empty() || request.allow_partial {
        return Ok(());
    }
    let message = format!(
        "the index of {} is not there or is being filled and lacks documents still; try again later, or search what is \
         there with --allow-partial",
        unfilled.join(", ")
    );
    Err(Error::new(ErrorKind::Unavailable, message))
}

/// Waits until the index has come as far as asked. A running instance says how far it is; without
/// one, the state does.
async fn wait(config: &Config, request: &Request) -> Result<()> {
    let until = Instant::now() + Duration::from_millis(request.timeout_ms);
    loop {
        let reached = match Instance::find(config).await {
            Some(instance) => delivered(&instance.status().await?),
            None => at_rest(config)?,
        };
        if reached.covers(&request.consistent_with) {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Error::failed(request.not_reached(&reached)));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn delivered(status: &Value) -> Positions {
    let partitions = status.get("partitions").and_then(Value::as_array).into_iter().flatten();
    let partition = |at: &Value| {
        let number = i32::try_from(at.get("partition")?.as_i64()?).ok()?;
        Some((TopicPartition::new(at.get("topic")?.as_str()?, number), at.get("delivered")?.as_i64()?))
    };
    partitions.filter_map(partition).collect()
}

/// How far the index is when nothing runs: as far as the state, unless documents wait.
fn at_rest(config: &Config) -> Result<Positions> {
    if !config.state.exists() {
        return Ok(Positions::default());
    }
    let state = State::open(
        std::sync::Arc::new(FjallStore::open(&config.state, config.plan)?),
        config.plan,
        &config.fingerprint(),
    )?;
    Ok(if state.is_delivered()? { state.progress()?.positions() } else { state.frontier()?.positions() })
}

/// Colours are for terminals, unless they are not wanted (<https://no-color.org>).
pub(super) fn wants_colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

pub(super) fn print_text(page: &Page, colours: bool) {
    for hit in &page.hits {
        output::line(line(hit, colours));
        for member in matched(hit) {
            output::line(format_args!("    {}", line(member, colours)));
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
    output::line(format_args!("{} found in {} ms", page.total, page.took_ms));
    if let Some(next) = &page.next {
        output::line(format_args!("more: --after {next}"));
    }
}

/// The embedded entities that matched, such as `matchedContacts`.
fn matched(hit: &Value) -> impl Iterator<Item = &Value> {
    let members = hit.as_object().into_iter().flatten();
    let matched = members.filter(|(name, _)| name.starts_with("matched"));
    matched.filter_map(|(_, members)| members.as_array()).flatten().filter(|member| member.is_object())
}

/// The name, the id, and the other fields that are shown or matched. Without a name it is the first text that matched.
fn line(hit: &Value, colours: bool) -> String {
    let id = hit.get("id").and_then(Value::as_str).unwrap_or_default();
    let text = |field: &str| {
        let marked = hit.get("highlights").and_then(|marks| marks.get(field)?.get(0)?.as_str());
        let own = || field.split('.').try_fold(hit, |value, part| value.get(part))?.as_str().map(plain);
        marked.map(|marked| shown(marked, colours)).or_else(own).filter(|text| !text.is_empty())
    };
    let marks = hit.get("highlights").and_then(Value::as_object);
    let first = || text(marks?.keys().find(|field| !FIELDS.contains(&field.as_str()))?);
    let name = text("name").or_else(first).unwrap_or_else(|| "(no name)".to_owned());
    let mut parts = vec![format!("{name}  [{}]", plain(id))];
    for field in FIELDS {
        parts.extend(text(field));
    }
    parts.join("  ")
}

/// A marked text for a terminal: bold where it matched, when colours are wanted.
fn shown(marked: &str, colours: bool) -> String {
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
pub(super) fn plain(text: &str) -> String {
    crate::escape::value(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_marks_matches_and_shows_no_control_characters() {
        let hit = json!({
            "id": "o1", "name": "A<b>\u{1b}[2Jx", "status": "active",
            "highlights": {"name": ["<em>A</em>&lt;b&gt;\u{1b}[2Jx"]},
        });
        assert_eq!(line(&hit, false), "A<b>\\u{1b}[2Jx  [o1]  active");
        assert!(line(&hit, true).starts_with("\u{1b}[1;33mA\u{1b}[0m<b>"));
    }

    #[test]
    fn embedded_entities_that_matched_are_shown_whatever_they_are_called() {
        let hit = json!({
            "id": "t1", "name": "Printer", "matched": true, "matchedBy": ["text"],
            "matchedComments": [{"id": "c1", "text": "No toner", "highlights": {"text": ["No <em>toner</em>"]}}],
        });
        let lines: Vec<String> = matched(&hit).map(|member| line(member, false)).collect();
        assert_eq!(lines, ["No toner  [c1]"]);
        assert_eq!(line(&json!({"id": "p9", "stub": true, "highlights": {}}), false), "(no name)  [p9]");
    }
}
