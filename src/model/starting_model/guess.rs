//! Guesses of types and references.

use serde_json::Value;

use super::{FieldSummary, Sample};

/// The type of a field, or the entity type to which it refers.
pub(super) enum Guess {
    /// A type's name in a model.
    Type(&'static str),
    /// A reference.
    Reference {
        /// The name of the entity type.
        to: String,
        list: bool,
        /// The reason, for people.
        because: String,
    },
    /// A name that ends as references do, and nothing that it refers to.
    Unresolved(&'static str, String),
}

/// The words of references that lead up in a tree, and never to the entity's own id.
const ABOVE: [&str; 4] = ["parent", "manager", "boss", "root"];

/// True of a field that is the entity's own id under another name, as `customerId` of a customer is. The name alone
/// decides only where no record has a key. A field that is named after another entity type is a reference.
pub(super) fn is_own_id(summary: &FieldSummary, sample: &Sample, own: &str, names: &[String]) -> bool {
    let is_single = summary.strings + summary.integers == summary.count && summary.count > 0;
    let Some(base) = base(&summary.name).filter(|_| is_single) else { return false };
    let is_named = is_plural(own, &base);
    let is_everywhere = summary.count == sample.records && !ABOVE.contains(&base.as_str());
    let is_of_other = names.iter().any(|name| name != own && is_plural(name, &base));
    let is_repeated = repeats_id(summary) && (is_named || is_everywhere) && !is_of_other;
    is_repeated || sample.ids.is_empty() && is_named
}

/// True of a field that is named after its entity type.
pub(super) fn is_named_after(summary: &FieldSummary, own: &str) -> bool {
    base(&summary.name).is_some_and(|base| is_plural(own, &base))
}

fn repeats_id(summary: &FieldSummary) -> bool {
    summary.own_ids == summary.count
}

/// True of a field that holds phone numbers, by its name and its values.
pub(super) fn is_phone(summary: &FieldSummary) -> bool {
    let name = summary.name.to_lowercase();
    let has_digits = |value: &String| value.bytes().filter(u8::is_ascii_digit).count() >= 6;
    let is_named =
        ["phone", "mobile"].iter().any(|word| name.contains(word)) || ["tel", "fax"].contains(&name.as_str());
    is_named && summary.values.iter().all(has_digits)
}

/// Guesses a field of `sample`; `names` are those of the entity types, in the order of `samples`.
pub(super) fn field(summary: &FieldSummary, sample: &Sample, samples: &[Sample], names: &[String]) -> Guess {
    let kind = kind(summary);
    let list = summary.count > 0
        && summary.id_lists == summary.count
        && summary.string_lists + summary.integers == summary.count;
    let is_single = summary.strings + summary.integers == summary.count && summary.count > 0;
    if !list && !is_single {
        return Guess::Type(kind);
    }
    let named = base(&summary.name);
    let by_name = named.as_ref().and_then(|base| {
        let meant = |name: &&String| is_plural(name, base);
        names.iter().find(meant).cloned().or_else(|| {
            let is_above = ABOVE.contains(&base.as_str());
            let own = samples.iter().position(|other| std::ptr::eq(other, sample));
            own.filter(|_| is_above).and_then(|own| names.get(own).cloned())
        })
    });
    if let Some(to) = by_name {
        return Guess::Reference { to, list, because: "by its name".to_owned() };
    }
    if let Some(to) =
        by_values(summary, sample, samples, names).filter(|_| named.is_some() || kind != "integer")
    {
        return Guess::Reference { to, list, because: "because its values are ids of that type".to_owned() };
    }
    match named {
        Some(base) if !base.is_empty() => Guess::Unresolved(kind, base),
        _ => Guess::Type(kind),
    }
}

/// The entity type whose ids most of the values are.
fn by_values(
    summary: &FieldSummary,
    sample: &Sample,
    samples: &[Sample],
    names: &[String],
) -> Option<String> {
    // A field that repeats the id of its own record refers to no other one of its type.
    let is_other = |other: &Sample| !(repeats_id(summary) && std::ptr::eq(other, sample));
    let known = |sample: &Sample| summary.values.iter().filter(|value| sample.ids.contains(*value)).count();
    let (found, name) = samples
        .iter()
        .zip(names)
        .filter(|(other, _)| is_other(other))
        .map(|(sample, name)| (known(sample), name))
        .max_by_key(|(found, _)| *found)?;
    // One value that is an id as well may be chance.
    (found >= 2 && found * 2 > summary.values.len()).then(|| name.clone())
}

/// The name of a reference without its ending: `brand` of `brandId`, `brand_id`, `brandIds`.
pub(super) fn base(name: &str) -> Option<String> {
    let endings = ["Ids", "_ids", "Id", "_id", "ID", "IDs", "Uuid", "_uuid", "Ref", "_ref"];
    let base = endings.iter().find_map(|ending| name.strip_suffix(ending))?;
    Some(base.to_lowercase()).filter(|base| !base.is_empty())
}

/// True when the name of an entity type is a word or its plural.
fn is_plural(name: &str, word: &str) -> bool {
    let name = name.to_lowercase();
    let stem = word.strip_suffix('y').unwrap_or(word);
    [word.to_owned(), format!("{word}s"), format!("{word}es"), format!("{stem}ies")].contains(&name)
        || (word == "person" && name == "people")
}

pub(super) fn kind(summary: &FieldSummary) -> &'static str {
    let all = |count: usize| count == summary.count && count > 0;
    if all(summary.dates) {
        "date"
    } else if all(summary.strings) {
        "string"
    } else if all(summary.integers) {
        "integer"
    } else if all(summary.numbers) {
        "number"
    } else if all(summary.booleans) {
        "boolean"
    } else if all(summary.string_lists) {
        "strings"
    } else if all(summary.objects) {
        "object"
    } else {
        "any"
    }
}

/// True for `2024-01-31`, with or without a time behind it.
pub(super) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_day = [0, 1, 2, 3, 5, 6, 8, 9].into_iter().all(is_digit)
        && bytes.get(4) == Some(&b'-')
        && bytes.get(7) == Some(&b'-');
    is_day && (bytes.len() == 10 || bytes.get(10) == Some(&b'T') && bytes.len() >= 16)
}

/// A value as it is shown in a comment: on one line and short.
pub(super) fn example(value: &Value) -> String {
    let text = crate::error::shorten(value.to_string(), 40);
    text.chars().filter(|letter| !letter.is_control()).collect()
}
