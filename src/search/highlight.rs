//! What matched, marked in the fields' own text: HTML-escaped, with `<em>` around each match.

use serde_json::{Map, Value};

use super::matching;
use super::query::Term;
use crate::entity::contact;
use crate::searchable;
use crate::text::{PHONE_DIGITS_MIN, folded, reversed_digits};

/// Longer texts are not marked.
const TEXT_BYTES_MAX: usize = 4_096;

/// The fields of an organisation's document in which a term matched: field to marked texts.
pub fn organisation(document: &Value, terms: &[Term]) -> Map<String, Value> {
    let mut found = Map::new();
    searchable::ORGANISATION
        .iter()
        .for_each(|(field, _)| mark(&mut found, field, document.get(*field), terms));
    found
}

/// The fields of a contact (embedded or not) in which a term matched.
pub fn contact(document: &Value, terms: &[Term]) -> Map<String, Value> {
    let mut found = Map::new();
    let fields = ["name"].iter().chain(contact::EMBEDDED);
    fields.for_each(|field| mark(&mut found, field, document.get(*field), terms));
    mark(&mut found, "organisation.name", document.pointer("/organisation/name"), terms);
    found
}

/// Marks a field's texts; those of an object (an address) under the names of its members.
fn mark(found: &mut Map<String, Value>, name: &str, value: Option<&Value>, terms: &[Term]) {
    let texts: Vec<&str> = match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        Some(Value::Object(members)) => {
            members
                .iter()
                .for_each(|(member, value)| mark(found, &format!("{name}.{member}"), Some(value), terms));
            return;
        }
        _ => return,
    };
    let marked: Vec<Value> =
        texts.iter().filter_map(|text| marked(text, terms, name == "phone")).map(Value::from).collect();
    if !marked.is_empty() {
        found.insert(name.to_owned(), Value::Array(marked));
    }
}

/// The text with its matches marked; `None` when there are none.
fn marked(text: &str, terms: &[Term], is_phone: bool) -> Option<String> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let by_digits = if is_phone { phone_span(text, terms) } else { None };
    let spans = match by_digits {
        Some(span) => vec![span],
        None => word_spans(text).into_iter().filter(|span| is_matched(text, *span, terms)).collect(),
    };
    if spans.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 16 * spans.len());
    let mut at = 0;
    for (begin, end) in spans {
        push_escaped(&mut out, text.get(at..begin).unwrap_or_default());
        out.push_str("<em>");
        push_escaped(&mut out, text.get(begin..end).unwrap_or_default());
        out.push_str("</em>");
        at = end;
    }
    push_escaped(&mut out, text.get(at..).unwrap_or_default());
    Some(out)
}

fn is_matched(text: &str, (begin, end): (usize, usize), terms: &[Term]) -> bool {
    // A sign may fold to several words (`½` to `1` and `2`).
    let word: String = folded(text.get(begin..end).unwrap_or_default()).collect();
    let mut words = word.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.any(|word| terms.iter().any(|term| matching::word(term, word).is_some()))
}

/// Where the words of a text lie. What folds to nothing (an accent of its own) goes on with its word.
fn word_spans(text: &str) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut inside = false;
    for (at, letter) in text.char_indices() {
        let end = at + letter.len_utf8();
        let mut buffer = [0; 4];
        let mut bare = folded(letter.encode_utf8(&mut buffer)).peekable();
        let goes_on = inside && bare.peek().is_none();
        let is_word = goes_on || bare.any(char::is_alphanumeric);
        match spans.last_mut() {
            Some(last) if is_word && inside => last.1 = end,
            _ if is_word => spans.push((at, end)),
            _ => {}
        }
        inside = is_word;
    }
    spans
}

/// The ending of a phone number that was asked for: the longest that any term has.
fn phone_span(text: &str, terms: &[Term]) -> Option<(usize, usize)> {
    let reversed = reversed_digits(text)?;
    let phones = terms.iter().map(|term| &term.phone).filter(|phone| phone.matches(&reversed));
    let longest = phones.map(|phone| {
        let endings = phone.endings.iter().filter(|ending| reversed.starts_with(ending.as_str()));
        endings.map(String::len).max().unwrap_or(reversed.len())
    });
    let digits = longest.max()?.max(PHONE_DIGITS_MIN);
    let places: Vec<usize> =
        text.char_indices().filter(|(_, letter)| letter.is_ascii_digit()).map(|(at, _)| at).collect();
    let begin = places.len().checked_sub(digits).and_then(|at| places.get(at)).or(places.first())?;
    Some((*begin, places.last()? + 1))
}

fn push_escaped(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::token::terms;
    use serde_json::json;

    #[test]
    fn matches_are_marked_and_everything_is_escaped() {
        let document = json!({
            "name": "Société <b>Éclatante</b> & O'Acme", "email": "info@acme.test",
            "phone": "+44 20 7946 0018", "address": {"city": "Leeds"}, "tags": ["x", "acme"],
        });
        let found = organisation(&document, &terms("eclatan acme leads 79460018").0);
        assert_eq!(
            Value::Object(found),
            json!({
                "name": ["Société &lt;b&gt;<em>Éclatante</em>&lt;/b&gt; &amp; O&#39;<em>Acme</em>"],
                "email": ["info@<em>acme</em>.test"],
                "phone": ["+44 20 <em>7946 0018</em>"],
                "address.city": ["<em>Leeds</em>"],
                "tags": ["<em>acme</em>"],
            })
        );
        let apart = contact(&json!({"name": "Zoe\u{301} x"}), &terms("zoé").0);
        assert_eq!(apart.get("name").unwrap(), &json!(["<em>Zoe\u{301}</em> x"]));
    }
}
