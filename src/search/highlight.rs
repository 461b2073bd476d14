//! The fields' own text with its matches marked: HTML-escaped, with `<em>` around each match.

use serde_json::{Map, Value};

use super::matching;
use super::query::Term;
use crate::plan::SearchPlan;
use crate::searchable_fields::{SearchableFields, each_at, each_text};
use crate::text::{PHONE_DIGITS_MIN, fold, join, parts, reverse_numbers};

/// Longer texts are not marked.
const TEXT_BYTES_MAX: usize = 4_096;

/// The fields of a document, and of the entities that it refers to, in which a term matched: path to marked texts.
pub fn document(document: &Value, plan: &SearchPlan, terms: &[Term]) -> Map<String, Value> {
    let mut found = member(document, plan.own, terms);
    for referred in &plan.referred {
        for field in referred.fields.iter().chain(&referred.phones) {
            let mut values = Vec::new();
            each_at(document, &format!("{}.{field}", referred.name), &mut |value| values.push(value.clone()));
            mark(
                &mut found,
                &format!("{}.{field}", referred.name),
                (Some(&values.into()), referred.phones.contains(field)),
                terms,
            );
        }
    }
    found
}

/// The fields of a member in which a term matched.
pub fn member(document: &Value, searched: SearchableFields, terms: &[Term]) -> Map<String, Value> {
    let mut found = Map::new();
    let words = searched.fields.iter().map(|(field, _)| *field);
    let phones = searched.phones.iter().copied().filter(|field| !searched.has(field));
    for field in words.chain(phones) {
        mark(&mut found, field, (document.get(field), searched.is_phone(field)), terms);
    }
    found
}

/// Marks a field's texts; those of an object (an address) under the names of its members.
fn mark(
    found: &mut Map<String, Value>,
    name: &str,
    (value, is_phone): (Option<&Value>, bool),
    terms: &[Term],
) {
    let Some(value) = value else { return };
    if let Value::Object(members) = value {
        for (member, value) in members {
            mark(found, &format!("{name}.{member}"), (Some(value), false), terms);
        }
        return;
    }
    let mut all = Vec::new();
    each_text(value, &mut |text| all.extend(mark_matches(text, terms, is_phone).map(Value::from)));
    let marked = all;
    if !marked.is_empty() {
        found.insert(name.to_owned(), Value::Array(marked));
    }
}

/// The text with its matches marked; `None` when there are none.
fn mark_matches(text: &str, terms: &[Term], is_phone: bool) -> Option<String> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let by_digits = if is_phone { phone_span(text, terms) } else { None };
    let spans = match by_digits {
        Some(span) => vec![span],
        None => find_spans(text, terms),
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

/// The most words that are looked at together.
const TOGETHER_MAX: usize = 4;

/// The words that a term matches, by themselves or written together.
fn find_spans(text: &str, terms: &[Term]) -> Vec<(usize, usize)> {
    let spans = word_spans(text);
    let mut is_marked: Vec<bool> = spans.iter().map(|span| is_matched(text, *span, terms)).collect();
    for phrase in terms.iter().filter(|term| term.is_phrase()) {
        mark_phrase(text, &spans, phrase, &mut is_marked);
    }
    for length in 2..=TOGETHER_MAX {
        for (at, run) in spans.windows(length).enumerate() {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            if is_marked.iter().skip(at).take(length).any(|is_marked| *is_marked) {
                continue;
            }
            let mut forms = Vec::new();
            join(text.get(first.0..last.1).unwrap_or_default(), &mut |form| forms.push(form.to_owned()));
            let is_found =
                forms.iter().any(|form| terms.iter().any(|term| matching::word(term, form).is_some()));
            if is_found && is_one_form(text, run, forms.first()) {
                is_marked.iter_mut().skip(at).take(length).for_each(|mark| *mark = true);
            }
        }
    }
    spans.into_iter().zip(is_marked).filter(|(_, is_marked)| *is_marked).map(|(span, _)| span).collect()
}

/// Marks the words of a phrase where they stand side by side.
fn mark_phrase(text: &str, spans: &[(usize, usize)], phrase: &Term, is_marked: &mut [bool]) {
    let length = phrase.words().count();
    for (at, run) in spans.windows(length).enumerate() {
        let word = |(begin, end): &(usize, usize)| fold(text.get(*begin..*end).unwrap_or_default());
        if run.iter().zip(phrase.words()).all(|(span, target)| word(span) == *target) {
            is_marked.iter_mut().skip(at).take(length).for_each(|mark| *mark = true);
        }
    }
}

/// True when the form is made of all words of the run.
fn is_one_form(text: &str, run: &[(usize, usize)], form: Option<&String>) -> bool {
    let words = run.iter().map(|(begin, end)| fold(text.get(*begin..*end).unwrap_or_default()));
    form.is_some_and(|form| words.collect::<String>() == *form)
}

fn is_matched(text: &str, (begin, end): (usize, usize), terms: &[Term]) -> bool {
    // A sign may fold to several words (`½` to `1` and `2`).
    let word = fold(text.get(begin..end).unwrap_or_default());
    let mut words = word.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let is_found = |word: &str| terms.iter().any(|term| matching::word(term, word).is_some());
    let mut is_part = false;
    parts(&word, &mut |part| is_part |= is_found(part));
    is_part || words.any(is_found)
}

/// Where the words of a text lie. A letter that folds to nothing (an accent of its own) goes on with its word.
fn word_spans(text: &str) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut inside = false;
    for (at, letter) in text.char_indices() {
        let end = at + letter.len_utf8();
        let mut buffer = [0; 4];
        let is_word = if letter.is_ascii() {
            letter.is_ascii_alphanumeric()
        } else {
            let bare = fold(letter.encode_utf8(&mut buffer));
            inside && bare.is_empty() || bare.chars().any(char::is_alphanumeric)
        };
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
    let numbers = reverse_numbers(text);
    let found = numbers.iter().flat_map(|number| {
        let phones = terms.iter().map(|term| &term.phone).filter(|phone| phone.matches(number));
        phones.map(move |phone| {
            let endings = phone.endings.iter().filter(|ending| number.starts_with(ending.as_str()));
            let digits = endings.map(String::len).max().unwrap_or(number.len()).max(PHONE_DIGITS_MIN);
            number.get(..digits).unwrap_or(number)
        })
    });
    let ending: String = found.max_by_key(|ending| ending.len())?.chars().rev().collect();
    let (mut digits, mut places) = (String::new(), Vec::new());
    for (at, letter) in text.char_indices() {
        let mut buffer = [0; 4];
        for digit in fold(letter.encode_utf8(&mut buffer)).chars().filter(char::is_ascii_digit) {
            digits.push(digit);
            places.push((at, at + letter.len_utf8()));
        }
    }
    // A zero in brackets stands between the digits: then as many as the ending has.
    let begin = digits.rfind(&ending).or(places.len().checked_sub(ending.len())).unwrap_or(0);
    let last = places.get(begin + ending.len() - 1).or(places.last())?;
    Some((places.get(begin)?.0, last.1))
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
    use crate::plan::{CONTACTS, ORGANISATIONS};
    use crate::search::token::terms;
    use serde_json::json;

    #[test]
    fn matches_are_marked_and_everything_is_escaped() {
        let document = json!({
            "name": "Société <b>Éclatante</b> & O'Acme", "email": "info@acme.test",
            "phone": "+44 20 7946 0018", "address": {"city": "Leeds"}, "tags": ["x", "acme"],
        });
        let plan = ORGANISATIONS.search.as_ref().unwrap();
        let found = super::document(&document, plan, &terms("eclatan acme leads 79460018").0);
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
        let apart = member(&json!({"name": "Zoe\u{301} x"}), CONTACTS.words.unwrap(), &terms("zoé").0);
        assert_eq!(apart.get("name").unwrap(), &json!(["<em>Zoe\u{301}</em> x"]));
    }
}
