//! The searched fields of a document or of an embedded object, and how much a word in each of them says.
//!
//! Projections write the words for an index server, the embedded index takes them from the fields, and search compares
//! with both. All three go by [`SearchableFields`], which the model fills.

mod sort;
mod value;

use serde_json::Value;

pub use self::sort::{plain_name, sort_key};
pub use self::value::{SortKind, ValueKind, each_at, integer, number, number_text, value_text};
use crate::text::{self, reverse_numbers, stands, words};

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

/// The searched fields of a document or of an embedded object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchableFields {
    /// The fields, each with how much a word in it says: the title first, then the classes in their order.
    pub fields: &'static [(&'static str, Class)],
    /// The field that is its name.
    pub title: &'static str,
    /// The fields that hold phone numbers.
    pub phones: &'static [&'static str],
    /// True when a field other than the title has a default, or is computed.
    pub is_derived: bool,
}

impl SearchableFields {
    /// True when words of the field are searched.
    pub fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, _)| *name == field)
    }

    /// True when the field holds phone numbers.
    pub fn is_phone(&self, field: &str) -> bool {
        self.phones.contains(&field)
    }

    /// The fields that hold e-mail addresses.
    pub fn mails(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().filter(|(_, class)| *class == Class::Mail).map(|(name, _)| *name)
    }
}

/// The mark before the digits of a phone number, reversed.
pub const NUMBER_MARK: char = '#';
/// The mark before the number of words of a name.
pub const LENGTH_MARK: char = '%';
/// The mark before a word of an entity that the document refers to.
pub const REFERENCE_MARK: char = '^';

/// The word that parts two fields of one class, so that no phrase goes over their ends.
pub const GAP: char = '|';

/// True when an index server's standard analysis makes the same words of a phone number. The mappings have it at
/// `phone.words`, and the words need not be written a second time.
pub fn is_plain_number(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(is_of_number)
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'+' | b'-' | b'/' | b'(' | b')')
}

/// The searched texts of one document or embedded object.
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
    /// The words of the searched fields of a document or of an embedded object.
    pub fn of(document: &Value, searched: SearchableFields) -> Self {
        let mut found = Self::default();
        for (field, class) in searched.fields {
            let Some(value) = document.get(*field) else { continue };
            each_text(value, &mut |text| {
                found.push_runs(*class, words(text), searched.is_phone(field) && is_plain_number(text));
                each_form(*class, text, &mut |form| {
                    if !found.forms.iter().any(|(of, other)| of == class && other == form) {
                        found.forms.push((*class, form.to_owned()));
                    }
                });
            });
        }
        let text = |field: &str| document.get(field).and_then(Value::as_str);
        found.mail = searched.mails().find_map(text).map(str::to_ascii_lowercase);
        for phone in searched.phones.iter().filter_map(|field| document.get(*field)) {
            each_text(phone, &mut |text| found.phones.extend(reverse_numbers(text)));
        }
        found
    }

    fn push_runs(&mut self, class: Class, run: String, is_number: bool) {
        if is_number {
            // The groups of a number are no text: they are found one by one.
            self.runs.extend(run.split(' ').map(|word| (class, word.to_owned())));
            return;
        }
        let is_in = |text: &str| stands(text.as_bytes(), run.as_bytes());
        if !self.runs.iter().any(|(of, text)| *of == class && is_in(text)) {
            self.runs.push((class, run));
        }
    }

    /// The words and their further forms, some more than once.
    pub fn words_and_forms(&self) -> impl Iterator<Item = (Class, &str)> {
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

/// Whether a word of the searched fields of an embedded object, in any of its forms, is one that is wanted. It says so
/// without collecting the words, because most objects are none of those that are looked for.
pub fn has_word(document: &Value, searched: SearchableFields, is_wanted: impl Fn(&str) -> bool) -> bool {
    let (mut found, mut folded) = (false, Vec::new());
    for (field, class) in searched.fields {
        let Some(value) = document.get(*field) else { continue };
        each_text(value, &mut |text| {
            folded.clear();
            text::WordBuffer::at_end_of(&mut folded).push(text);
            // Only whole letters are appended.
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

/// The texts of a field: its own, those of a list, or those of an object's members. A number is the text that it is
/// written as.
pub fn each_text(value: &Value, visit: &mut dyn FnMut(&str)) {
    let mut one = |value: &Value| match value {
        Value::String(text) => visit(text),
        Value::Number(number) => visit(&number.to_string()),
        _ => {}
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

    const CONTACT: SearchableFields = SearchableFields {
        fields: &[
            ("name", Class::Name),
            ("firstName", Class::Name),
            ("email", Class::Mail),
            ("role", Class::Role),
            ("phone", Class::Other),
            ("tags", Class::Other),
        ],
        title: "name",
        phones: &["phone"],
        is_derived: false,
    };

    #[test]
    fn words_are_told_apart_by_the_field_that_they_stand_in() {
        let contact = json!({"name": "Jane Doe", "firstName": "Jane", "email": "Doe@Acme.test", "role": "Buyer", "tags": ["vip"], "phone": "020 7946 0018"});
        let words = Words::of(&contact, CONTACT);
        assert_eq!(words.name(), ["doe", "jane"]);
        let found: Vec<(Class, &str)> = words.words_and_forms().collect();
        assert!(
            found.contains(&(Class::Mail, "doe")) && found.contains(&(Class::Other, "7946")),
            "{found:?}"
        );
        assert_eq!(words.mail.as_deref(), Some("doe@acme.test"));
        assert_eq!(words.phones, ["81006497020"]);
        assert!(is_plain_number("+44 (0)20 7946-0018") && !is_plain_number("020.7946.0018"));
    }
}
