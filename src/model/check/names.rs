//! The names that are allowed.

use std::collections::BTreeMap;

use crate::model::tables::Notes;

/// The longest name; an index's alias is made of a projection's.
const NAME_BYTES_MAX: usize = 100;
/// The longest name of a field: longer keys make poison of an event.
const FIELD_BYTES_MAX: usize = 1_000;
/// Addresses of the HTTP server that are no projection's.
pub(crate) const RESERVED: [&str; 7] =
    ["admin", "healthz", "metrics", "readyz", "search", "status", "suggest"];

/// An entity type's name stands in `from = "type.reference"`, and is a topic's by default.
pub(super) fn check_entity(notes: &Notes, key: &str, name: &str) {
    if !is_plain(name) {
        notes.note(
            key,
            format!(
                "{name:?} found; a letter and then letters, digits, `_` and `-` were expected, at most {NAME_BYTES_MAX}"
            ),
        );
    }
}

/// A projection's name is that of an index and stands in addresses.
pub(super) fn check_projection(notes: &Notes, key: &str, name: &str) {
    if !is_plain(name) || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        notes.note(
            key,
            format!(
                "{name:?} found; an index's name was expected: a small letter and then small letters, digits, `_` and `-`, \
                 at most {NAME_BYTES_MAX}"
            ),
        );
    } else if RESERVED.contains(&name) {
        notes.note(
            key,
            format!(
                "{name:?} is an address of the HTTP server; take another name than {}",
                RESERVED.join(", ")
            ),
        );
    }
}

/// A filter's name stands before a colon in requests.
pub(super) fn check_filter(notes: &Notes, key: &str, name: &str) {
    if !is_plain(name) {
        notes.note(
            key,
            format!("{name:?} found; a letter and then letters, digits, `_` and `-` were expected"),
        );
    }
}

pub(crate) fn is_plain(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// The name of a field or of a member of a document.
pub(super) fn check_member(notes: &Notes, key: &str, name: &str) {
    if let Some(wrong) = wrong_member(name) {
        notes.note(key, format!("{name:?} is no name of a member: {wrong}"));
    }
}

/// True for a name that a field may have.
pub(crate) fn is_member(name: &str) -> bool {
    wrong_member(name).is_none()
}

fn wrong_member(name: &str) -> Option<&'static str> {
    Some(if name.is_empty() {
        "it is empty"
    } else if name == "id" {
        "every document has an id already; leave it out"
    } else if name.starts_with('_') {
        "names that begin with `_` are the program's own"
    } else if name.contains('.') {
        "a dot parts a path; a producer's name that has one can be read under another by `rename`"
    } else if name.chars().any(char::is_control) {
        "it holds a control character"
    } else if name.len() > FIELD_BYTES_MAX {
        "it is longer than 1 000 bytes"
    } else {
        return None;
    })
}

/// The names of the members of one object.
pub(super) struct ObjectMembers<'a> {
    notes: &'a Notes,
    names: BTreeMap<String, String>,
}

impl<'a> ObjectMembers<'a> {
    /// An object that has its own fields only.
    pub(super) fn of<'n>(notes: &'a Notes, fields: impl IntoIterator<Item = &'n String>) -> Self {
        let names = fields.into_iter().map(|field| (field.clone(), "a shown field".to_owned()));
        Self { notes, names: names.collect() }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Takes a name for a member; one that is taken already is noted.
    pub(super) fn take(&mut self, key: &str, name: &str, what: &str) {
        check_member(self.notes, key, name);
        if let Some(by) = self.names.get(name) {
            self.notes.note(key, format!("{name:?} is {by} already; give one of them another name"));
        } else {
            self.names.insert(name.to_owned(), what.to_owned());
        }
    }
}
