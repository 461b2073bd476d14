//! The demonstration of a model: the records in the folder `events` beside the model's file.

use std::path::Path;

use super::{Scene, settings, show};
use crate::app::{kinds, look_at_log, model as command};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model;
use crate::output;
use crate::plan::Collection;
use crate::search::Request;
use crate::search::service::Searcher;

/// The folder of the records, beside the model's file.
const EVENTS: &str = "events";
/// The longest word that is searched for, in letters.
const WORD_LETTERS_MAX: usize = 50;

/// The model of this file with its records, which are read where they are.
pub(super) fn scene(file: &Path, folder: &Path) -> Result<Scene> {
    model::load(Some(file)).map_err(|findings| command::report_findings(&findings))?;
    let events = file.with_file_name(EVENTS);
    let shown = events.display();
    if !events.is_dir() {
        return Err(Error::usage(format!(
            "demo: {shown} is no folder; put the records of {} there, as <topic>.jsonl",
            file.display()
        )));
    }
    let mut settings = settings(folder, &events);
    settings.push(("model", file.display().to_string()));
    settings.push(("index.mappings", folder.join("mappings").display().to_string()));
    let config = Config::defaults(&kinds(), &settings)?;
    let (_, ends) = look_at_log(&config)?;
    if ends.iter().next().is_none() {
        let topics: Vec<&str> =
            config.entities().flat_map(|(_, section)| &section.topics).map(String::as_str).collect();
        return Err(Error::usage(format!(
            "demo: {shown} holds no records of the model; put files <topic>.jsonl there, of the topics {}",
            topics.join(", ")
        )));
    }
    output::line(format_args!("Reading the records in {shown} ..."));
    let arrives = format!("Lines that are added to the files in {shown} are indexed as well");
    Ok(Scene { config, live: None, arrives })
}

/// One search: for `q`, or for a word of a title.
pub(super) async fn tell(searcher: &Searcher, q: Option<&str>) -> Result<()> {
    let collections = searcher.collections();
    if collections.is_empty() {
        output::line("No search is shown, because the model has no [projections.NAME.search].");
        return Ok(());
    }
    if let Some(q) = q {
        return show(searcher, &[("q", q)]).await;
    }
    for collection in collections {
        if let Some(word) = word_of_a_title(searcher, collection).await? {
            return show(searcher, &[("q", &word), ("in", collection.name())]).await;
        }
    }
    output::line("No search is shown, because no document has a title.");
    Ok(())
}

/// The longest word of the first title.
async fn word_of_a_title(searcher: &Searcher, collection: Collection) -> Result<Option<String>> {
    let request = Request::parse(&[collection], [("size", "100")])?;
    let page = searcher.search(&request).await?;
    let titles = page.hits.iter().filter_map(|hit| hit.get("name")?.as_str());
    Ok(titles.filter_map(longest_word).next())
}

fn longest_word(title: &str) -> Option<String> {
    let words = title.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let longest = words.max_by_key(|word| word.chars().count())?;
    Some(longest.chars().take(WORD_LETTERS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::longest_word;

    #[test]
    fn the_longest_word_of_a_title_is_one_that_a_search_takes() {
        assert_eq!(longest_word("Kettle, 1.7 l").as_deref(), Some("Kettle"));
        assert_eq!(longest_word("-\"Żółć\"*").as_deref(), Some("Żółć"));
        assert_eq!(longest_word(" -- "), None);
        assert_eq!(longest_word(&"a".repeat(2_000)).map(|word| word.len()), Some(50));
    }
}
