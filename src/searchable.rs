//! What of an organisation and of a contact is searched: which fields, and how much a word in each of them says.
//!
//! Projections write the words for an index server, the embedded index takes them from the fields, and search compares
//! with both. All three go by the tables here.

mod sort;

use serde_json::Value;

pub use self::sort::{SortField, plain_name, sort_key};
use crate::text::{self, reversed_numbers, stands, words};

/// How much a word says, by the field that it stands in: the first says most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A name.
    Name,
    /// An e-mail address.
    Mail,
    /// A role or a department.
    Role,
    /// Any other field.
    Other,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 4] = [Class::Name, Class::Mail, Class::Role, Class::Other];

    /// The mark that stands before a word of the class, where words of all classes lie in one field: no word has it.
    pub fn mark(self) -> char {
        match self {
            Class::Name => '.',
            Class::Mail => '@',
            Class::Role => '=',
            Class::Other => '+',
        }
    }
}

/// An organisation's searched fields.
pub const ORGANISATION: &[(&str, Class)] = &[
    ("name", Class::Name),
    ("email", Class::Mail),
    ("type", Class::Other),
    ("status", Class::Other),
    ("industry", Class::Other),
    ("website", Class::Other),
    ("phone", Class::Other),
    ("address", Class::Other),
    ("tags", Class::Other),
];

/// A contact's searched fields.
pub const CONTACT: &[(&str, Class)] = &[
    ("name", Class::Name),
    ("firstName", Class::Name),
    ("lastName", Class::Name),
    ("email", Class::Mail),
    ("role", Class::Role),
    ("department", Class::Role),
    ("phone", Class::Other),
    ("tags", Class::Other),
];

/// A contact's fields of which parts can be marked, in the order in which documents show them.
pub const CONTACT_SHOWN: &[&str] =
    &["name", "firstName", "lastName", "email", "phone", "role", "department", "tags"];

/// The mark before the digits of a phone number, reversed.
pub const NUMBER_MARK: char = '#';
/// The mark before the number of words of a name.
pub const LENGTH_MARK: char = '%';
/// The mark before a word of the name of a contact's organisation.
pub const ORGANISATION_MARK: char = '^';

/// The word that parts two fields of one class, so that no phrase goes over their ends.
pub const GAP: char = '|';

/// True when an index server's standard analysis makes the same words of a phone number: the mappings have it at
/// `phone.words`, and the words need not be written a second time.
pub fn is_plain_number(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(is_of_number)
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'+' | b'-' | b'/' | b'(' | b')')
}

/// What is searched of one organisation or contact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// The words of each text in their own order, parted by spaces. One that stands in another of its class is left out.
    pub runs: Vec<(Class, String)>,
    /// Further forms under which they are found: written together, and parts of runs without spaces.
    pub forms: Vec<(Class, String)>,
    /// The e-mail address as it is, with ASCII letters in lower case.
    pub mail: Option<String>,
    /// The digits of each phone number, reversed.
    pub phones: Vec<String>,
}

impl Words {
    /// The words of the `fields` of a document or of an embedded contact.
    pub fn of(document: &Value, fields: &[(&str, Class)]) -> Self {
        let mut found = Self::default();
        for (field, class) in fields {
            let Some(value) = document.get(*field) else { continue };
            each_text(value, &mut |text| {
                found.push_runs(*class, words(text), *field == "phone" && is_plain_number(text));
                each_form(*class, text, &mut |form| {
                    if !found.forms.iter().any(|(of, held)| of == class && held == form) {
                        found.forms.push((*class, form.to_owned()));
                    }
                });
            });
        }
        let text = |field: &str| document.get(field).and_then(Value::as_str);
        found.mail = text("email").map(str::to_ascii_lowercase);
        found.phones = text("phone").map(reversed_numbers).unwrap_or_default();
        found
    }

    fn push_runs(&mut self, class: Class, run: String, is_number: bool) {
        if is_number {
            // The groups of a number are no text: they are found one by one.
            self.runs.extend(run.split(' ').map(|word| (class, word.to_owned())));
            return;
        }
        let is_in = |held: &str| stands(held.as_bytes(), run.as_bytes());
        if !self.runs.iter().any(|(of, held)| *of == class && is_in(held)) {
            self.runs.push((class, run));
        }
    }

    /// The words and their further forms, some more than once.
    pub fn found(&self) -> impl Iterator<Item = (Class, &str)> {
        let all = self.runs.iter().chain(&self.forms);
        let words = all.flat_map(|(class, run)| run.split(' ').map(|word| (*class, word)));
        words.filter(|(_, word)| !word.is_empty())
    }

    /// The different words of the name, in the order of their letters.
    pub fn name(&self) -> Vec<&str> {
        let runs = self.runs.iter().filter(|(class, _)| *class == Class::Name);
        let mut words: Vec<&str> =
            runs.flat_map(|(_, run)| run.split(' ')).filter(|word| !word.is_empty()).collect();
        words.sort_unstable();
        words.dedup();
        words
    }
}

/// Whether a word of the `fields` of a document or of an embedded contact, in any of its forms, is one that is wanted. It
/// says so without collecting the words, because most contacts are none of those that are looked for.
pub fn has_word(document: &Value, fields: &[(&str, Class)], is_wanted: impl Fn(&str) -> bool) -> bool {
    let (mut found, mut folded) = (false, Vec::new());
    for (field, class) in fields {
        let Some(value) = document.get(*field) else { continue };
        each_text(value, &mut |text| {
            folded.clear();
            text::Words::behind(&mut folded).push(text);
            // What is appended are whole letters.
            let words = std::str::from_utf8(&folded).unwrap_or_default();
            found = found || words.split(' ').any(|word| !word.is_empty() && is_wanted(word));
            if !found {
                each_form(*class, text, &mut |form| found |= is_wanted(form));
            }
        });
        if found {
            return true;
        }
    }
    false
}

/// Visits the further forms under which the words of a field's text are found. False when no part of the text can have one.
pub fn each_form(class: Class, text: &str, visit: &mut dyn FnMut(&str)) -> bool {
    text::each_form(text, class == Class::Name, visit)
}

/// The texts of a field: its own, those of a list, or those of an object's members.
fn each_text(value: &Value, visit: &mut dyn FnMut(&str)) {
    let mut one = |value: &Value| {
        if let Some(text) = value.as_str() {
            visit(text);
        }
    };
    match value {
        Value::Array(items) => items.iter().for_each(one),
        Value::Object(members) => members.values().for_each(one),
        other => one(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_are_told_apart_by_the_field_that_they_stand_in() {
        let contact = json!({"name": "Jane Doe", "firstName": "Jane", "email": "Doe@Acme.test", "role": "Buyer", "tags": ["vip"], "phone": "020 7946 0018"});
        let words = Words::of(&contact, CONTACT);
        assert_eq!(words.name(), ["doe", "jane"]);
        let found: Vec<(Class, &str)> = words.found().collect();
        assert!(
            found.contains(&(Class::Mail, "doe")) && found.contains(&(Class::Other, "7946")),
            "{found:?}"
        );
        assert_eq!(words.mail.as_deref(), Some("doe@acme.test"));
        assert_eq!(words.phones, ["81006497020"]);
        assert!(is_plain_number("+44 (0)20 7946-0018") && !is_plain_number("020.7946.0018"));
    }
}
