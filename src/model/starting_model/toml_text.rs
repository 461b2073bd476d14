//! The text of a starting model.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::guess::{self, Guess};
use super::{FieldSummary, Sample};
use crate::model::check::names::{RESERVED, is_member, is_plain};
use crate::model::entity_config::Format;
use crate::model::tables::join;
use crate::model::toml_text::string;

/// The most different values of a field that a filter is proposed for.
const FILTER_VALUES_MAX: usize = 30;

/// The words by which fields with names of things are called.
const TITLES: [&str; 3] = ["name", "title", "label"];

/// A starting model with comments, which `model check` finds good.
pub fn text(samples: &[Sample]) -> String {
    let names = names(samples);
    let mut out = String::from(
        "# A starting model, made from sample records by `tributary model init`. Read it, change it, then check it with\n\
         # `tributary model check`. docs/model.md explains the language.\n",
    );
    let entities: Vec<SampleEntity<'_>> = samples
        .iter()
        .zip(&names)
        .map(|(sample, name)| SampleEntity::of(sample, name, samples, &names))
        .collect();
    entities.iter().for_each(|entity| entity.put(&mut out));
    entities.iter().for_each(|entity| entity.put_projection(&mut out, &entities));
    out
}

/// A name for each entity type: that of its topic, as far as a name may have its letters.
fn names(samples: &[Sample]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for sample in samples {
        let legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        let text: String =
            sample.topic.chars().map(|letter| if legal(letter) { letter } else { '-' }).collect();
        let text: String =
            text.trim_start_matches(|letter: char| !letter.is_ascii_alphabetic()).chars().take(80).collect();
        let mut name = if text.is_empty() { "records".to_owned() } else { text };
        while names.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
            name.push_str("-2");
        }
        names.push(name);
    }
    names
}

struct SampleEntity<'a> {
    sample: &'a Sample,
    name: &'a str,
    /// The field that is the entity's id, as its producer calls it.
    own_id: Option<&'a str>,
    fields: Vec<(String, &'a FieldSummary, Guess)>,
}

impl<'a> SampleEntity<'a> {
    fn of(sample: &'a Sample, name: &'a str, samples: &[Sample], names: &[String]) -> Self {
        let mut own_names = BTreeSet::new();
        let is_own = |summary: &&FieldSummary| guess::is_own_id(summary, sample, name, names);
        let own = || sample.fields.iter().filter(is_own);
        let own_id = own().find(|summary| guess::is_named_after(summary, name)).or_else(|| own().next());
        // A member `id` goes before fields of other names.
        let own_id = own_id.filter(|_| sample.with_id == 0).map(|summary| summary.name.as_str());
        let fields = sample.fields.iter().filter(|summary| own_id != Some(summary.name.as_str()));
        let fields = fields.filter_map(|summary| {
            let guess = match is_own(&summary) {
                true => Guess::Type(guess::kind(summary)),
                false => guess::field(summary, sample, samples, names),
            };
            let name = field_name(&summary.name).filter(|name| own_names.insert(name.clone()))?;
            Some((name, summary, guess))
        });
        Self { sample, name, own_id, fields: fields.collect() }
    }

    /// Writing into a text does not fail.
    fn put(&self, out: &mut String) {
        let Sample { topic, format, records, .. } = self.sample;
        let _ = writeln!(out, "\n# {records} records were read.");
        let _ = writeln!(out, "[{}]", join("entities", self.name));
        let _ = writeln!(out, "topics = [{}]", string(topic));
        let _ = writeln!(out, "format = {}", string(format.name()));
        if *format == Format::Plain {
            let _ =
                writeln!(out, "# Each record is the whole state of an entity: no envelope was recognised.");
        }
        let renamed = self.fields.iter().filter(|(name, summary, _)| *name != summary.name);
        let renamed = renamed.map(|(name, summary, _)| (summary.name.as_str(), name.as_str()));
        let renamed = self.own_id.map(|name| (name, "id")).into_iter().chain(renamed);
        let renamed: Vec<String> =
            renamed.map(|(from, to)| format!("{} = {}", join("", from), string(to))).collect();
        if !renamed.is_empty() {
            let _ = writeln!(out, "rename = {{ {} }}", renamed.join(", "));
        }
        let _ = writeln!(out, "\n[{}.fields]", join("entities", self.name));
        for (name, summary, guess) in &self.fields {
            let example = summary.example.as_ref().map(guess::example).unwrap_or_default();
            let occurrence = format!("in {} of {records}, such as {example}", summary.count);
            let (value, comment) = match guess {
                Guess::Type(kind) => (string(kind), occurrence),
                Guess::Reference { to, list, because } => {
                    let list = if *list { ", list = true" } else { "" };
                    (format!("{{ references = {}{list} }}", string(to)), format!("{because}; {occurrence}"))
                }
                Guess::Unresolved(kind, base) => (
                    string(kind),
                    format!(
                        "perhaps a reference: declare the entity type of a {base} and write {{ references = … }}; {occurrence}"
                    ),
                ),
            };
            let _ = writeln!(out, "{} = {value}  # {comment}", join("", name));
        }
    }

    fn put_projection(&self, out: &mut String, all: &[SampleEntity<'_>]) {
        let mut name = self.name.to_lowercase();
        if RESERVED.contains(&name.as_str()) {
            name.push_str("-documents");
        }
        let path = join("projections", &name);
        let mut names: BTreeSet<String> = self.fields.iter().map(|(name, _, _)| name.clone()).collect();
        names.insert("stub".to_owned());
        let _ = writeln!(out, "\n[{path}]");
        let _ = writeln!(out, "of = {}", string(self.name));
        let stub = self.fields.iter().any(|(name, _, _)| name == "stub");
        if stub {
            let _ = writeln!(
                out,
                "show = [{}]",
                self.fields_to_show()
                    .filter(|name| *name != "stub")
                    .map(string)
                    .collect::<Vec<_>>()
                    .join(", ")
            );
        }
        let _ = writeln!(
            out,
            "rest = {}  # the fields that are not declared",
            string(&find_free_name(&mut names, "attributes"))
        );
        for (field, _, guess) in &self.fields {
            let Guess::Reference { to, list, .. } = guess else { continue };
            let base = guess::base(field).unwrap_or_else(|| format!("{field}Entity"));
            let _ = writeln!(out, "\n[[{path}.embed]]");
            let _ = writeln!(out, "as = {}", string(&find_free_name(&mut names, &base)));
            let _ = writeln!(out, "reference = {}", string(field));
            if to == self.name && !list {
                let above = find_free_name(&mut names, "ancestors");
                let _ =
                    writeln!(out, "\n[[{path}.embed]]\nas = {}\nabove = {}", string(&above), string(field));
            }
        }
        self.put_members(out, &path, all);
        self.put_search(out, &path);
    }

    /// Embeds of those that refer to it, as comments: each costs a row for each reference.
    fn put_members(&self, out: &mut String, path: &str, all: &[SampleEntity<'_>]) {
        for other in all {
            for (field, _, guess) in &other.fields {
                if matches!(guess, Guess::Reference { to, .. } if to == self.name) {
                    let from = format!("{}.{field}", other.name);
                    let _ = writeln!(
                        out,
                        "\n# Those that refer to it:\n# [[{path}.embed]]\n# as = {}\n# from = {}\n# max = 100\n# count = {}",
                        string(other.name),
                        string(&from),
                        string(&format!("{}Count", other.name)),
                    );
                }
            }
        }
    }

    /// The fields that a document shows by default.
    fn fields_to_show(&self) -> impl Iterator<Item = &str> {
        let shown = self.fields.iter().filter(|(_, _, guess)| !matches!(guess, Guess::Reference { .. }));
        shown.map(|(name, _, _)| name.as_str())
    }

    fn put_search(&self, out: &mut String, path: &str) {
        let is = |guess: &Guess, kind: &str| match guess {
            Guess::Type(found) | Guess::Unresolved(found, _) => *found == kind,
            Guess::Reference { .. } => false,
        };
        let strings: Vec<&(String, &FieldSummary, Guess)> =
            self.fields.iter().filter(|(name, _, guess)| is(guess, "string") && name != "stub").collect();
        let Some(title) = title(&strings) else { return };
        let texts = strings.iter().filter(|(_, _, guess)| matches!(guess, Guess::Type(_)));
        let texts = texts.map(|(name, summary, _)| (name, summary)).filter(|(name, _)| *name != title);
        let (phones, words): (Vec<_>, Vec<_>) = texts.partition(|(_, summary)| guess::is_phone(summary));
        let [phones, words] = [phones, words].map(|fields| fields.into_iter().map(|(name, _)| name));
        let words = words.take(7);
        let words: Vec<String> = std::iter::once(title).chain(words).map(|name| string(name)).collect();
        let filters = self.fields.iter().filter(|(name, summary, guess)| {
            let repeats = is(guess, "string")
                && summary.values.len() <= FILTER_VALUES_MAX
                && summary.values.len() * 2 <= summary.count;
            name != "stub"
                && is_plain(name)
                && name != title
                && (repeats || is(guess, "boolean") || is(guess, "strings"))
        });
        let filters: Vec<String> =
            filters.map(|(name, _, _)| format!("{} = {}", join("", name), string(name))).collect();
        let _ = writeln!(out, "\n[{path}.search]\ntitle = {}\nwords = [{}]", string(title), words.join(", "));
        let phones: Vec<String> = phones.map(|name| string(name)).collect();
        if !phones.is_empty() {
            let _ = writeln!(out, "phones = [{}]", phones.join(", "));
        }
        if !filters.is_empty() {
            let _ = writeln!(out, "filters = {{ {} }}", filters.join(", "));
        }
    }
}

/// The field that probably is the name of a hit. It is called so, or has such a word at the end or the beginning of
/// its name. Otherwise it is the first field.
fn title<'a>(strings: &[&'a (String, &FieldSummary, Guess)]) -> Option<&'a String> {
    let ways: [fn(&str, &str) -> bool; 3] = [
        |name, word| name == word,
        |name, word| name.to_lowercase().ends_with(word),
        |name, word| name.to_lowercase().starts_with(word),
    ];
    // A field that may be a reference holds ids, as `nameId` does.
    let texts = || strings.iter().filter(|(_, _, guess)| matches!(guess, Guess::Type(_)));
    let named = ways.into_iter().find_map(|is_named| {
        TITLES.into_iter().find_map(|word| texts().find(|(name, _, _)| is_named(name, word)))
    });
    named.or_else(|| strings.first()).map(|(name, _, _)| name)
}

/// The name of a field, made of a producer's name: without dots, and without a `_` before it.
fn field_name(written: &str) -> Option<String> {
    if is_member(written) {
        return Some(written.to_owned());
    }
    let name = written.trim_start_matches('_').replace('.', "_");
    is_member(&name).then_some(name)
}

/// A name that is not taken yet.
fn find_free_name(names: &mut BTreeSet<String>, base: &str) -> String {
    let mut name = base.to_owned();
    while !names.insert(name.clone()) {
        name.push('2');
    }
    name
}
