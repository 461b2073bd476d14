//! How a document lies in the embedded index: what is searched, and its JSON as it is.
//!
//! Nested contacts are folded into fields of their organisation. Where a word stands in a field says whose it is: the
//! document's own words have the first positions, those of its first contact the next, and so on ([`owner_at`]). Within
//! those, words that stand side by side in a text have positions side by side.

use std::collections::BTreeSet;

use serde_json::Value;
use tantivy::TantivyDocument;
use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, NumericOptions, STORED, Schema, TextFieldIndexing, TextOptions,
};

pub use super::placed::owner_at;
use super::placed::{PLACED, Placed};
use crate::searchable::{CONTACT, Class, ORGANISATION, SortField, Words, sort_key};
use crate::text::words;
use crate::time::milliseconds;

/// Longer values are kept and not found, as the mappings' `ignore_above` has it.
pub(super) const VALUE_LETTERS_MAX: usize = 1_024;
/// Parts a role from a department: no letter that a person types.
pub const PAIR: char = '\u{1f}';
/// The owner of the words of the document's own fields; its contacts follow.
pub const OWN: u32 = 0;
/// The fields of every embedded index.
#[derive(Debug, Clone)]
pub struct Fields {
    /// All of them.
    pub schema: Schema,
    /// The document's id.
    pub id: Field,
    /// The version that it was written with.
    pub version: Field,
    /// Its JSON.
    pub document: Field,
    /// The words of names, e-mail addresses, roles and other fields, its own and its contacts', by the classes' order.
    pub words: [Field; 4],
    /// The words of a contact's organisation's name.
    pub organisation: Field,
    /// Names as [`name_key`]s and e-mail addresses as [`mail_key`]s.
    pub whole: Field,
    /// Phone numbers' digits, reversed.
    pub phone: Field,
    /// How many words its own name has.
    pub length: Field,
    /// The values that hits may be sorted by: the name as `sort_key` has it, and times in milliseconds.
    pub sorts: [Field; 4],
    /// The organisations that it is at or below.
    pub below: Field,
    /// A contact's organisation.
    pub owner: Field,
    /// `yes` for an organisation that does not embed all its contacts.
    pub truncated: Field,
    /// A contact's role and department, of an organisation those of its contacts.
    pub pair: Field,
    /// The values to filter by and to count, by the names of `Field`s of a request.
    pub values: [(&'static str, Field); 6],
}

impl Fields {
    /// The fields.
    pub fn new() -> Self {
        let mut builder = Schema::builder();
        let indexed = |tokenizer: &str, option: IndexRecordOption| {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer(tokenizer)
                .set_fieldnorms(false)
                .set_index_option(option);
            TextOptions::default().set_indexing_options(indexing)
        };
        let placed = indexed(PLACED, IndexRecordOption::WithFreqsAndPositions);
        let raw = indexed("raw", IndexRecordOption::Basic);
        let counted = raw.clone().set_fast("raw");
        let id = builder.add_text_field("id", counted.clone() | STORED);
        let version = builder.add_u64_field("version", NumericOptions::default().set_fast());
        let document = builder.add_bytes_field("document", BytesOptions::default().set_stored());
        let classes = ["name_words", "mail_words", "role_words", "other_words"];
        let words = classes.map(|name| builder.add_text_field(name, placed.clone()));
        let organisation = builder.add_text_field("organisation", placed.clone());
        let whole = builder.add_text_field("whole", placed.clone());
        let phone = builder.add_text_field("phone", placed);
        let length = builder.add_u64_field("length", NumericOptions::default().set_fast());
        let sorts = SortField::ALL.map(|field| match field {
            SortField::Name => {
                builder.add_text_field(sort_column(field), TextOptions::default().set_fast("raw"))
            }
            _ => builder.add_i64_field(sort_column(field), NumericOptions::default().set_fast()),
        });
        let below = builder.add_text_field("below", raw.clone());
        let owner = builder.add_text_field("owner", counted.clone());
        let truncated = builder.add_text_field("truncated", raw.clone());
        let pair = builder.add_text_field("pair", counted.clone());
        let names = ["country", "industry", "status", "tag", "role", "department"];
        let values = names.map(|name| (name, builder.add_text_field(name, counted.clone())));
        let schema = builder.build();
        Self {
            schema,
            id,
            version,
            document,
            words,
            organisation,
            whole,
            phone,
            length,
            sorts,
            below,
            owner,
            truncated,
            pair,
            values,
        }
    }

    /// The field of that name among the values.
    pub fn value(&self, name: &str) -> Field {
        self.values.iter().find(|(known, _)| *known == name).map_or(self.id, |(_, field)| *field)
    }

    /// The field that holds the words of a class.
    pub fn of_class(&self, class: Class) -> Field {
        let [name, mail, role, other] = self.words;
        match class {
            Class::Name => name,
            Class::Mail => mail,
            Class::Role => role,
            Class::Other => other,
        }
    }

    /// A document as it is indexed. `json` is what a projection made.
    pub(super) fn document(
        &self,
        id: &str,
        version: u64,
        json: &[u8],
    ) -> serde_json::Result<TantivyDocument> {
        let value: Value = serde_json::from_slice(json)?;
        let mut document = TantivyDocument::default();
        document.add_text(self.id, id);
        document.add_u64(self.version, version);
        document.add_bytes(self.document, json);
        let text = |path: &str| value.pointer(path).and_then(Value::as_str);
        for (field, path) in
            [("country", "/address/country"), ("industry", "/industry"), ("status", "/status")]
        {
            self.add(&mut document, self.value(field), text(path));
        }
        for tag in value.get("tags").and_then(Value::as_array).into_iter().flatten() {
            self.add(&mut document, self.value("tag"), tag.as_str());
        }
        self.add_sorts(&mut document, &value);
        let mut placed = Placed::new(self);
        match value.get("contacts").and_then(Value::as_array) {
            Some(contacts) => {
                let own = placed.push(OWN, &Words::of(&value, ORGANISATION));
                document.add_u64(self.length, own);
                for (place, contact) in (OWN + 1..).zip(contacts) {
                    placed.push(place, &Words::of(contact, CONTACT));
                }
                self.add_organisation(&mut document, id, &value, contacts);
            }
            None => {
                let own = placed.push(OWN, &Words::of(&value, CONTACT));
                document.add_u64(self.length, own);
                if let Some(name) = text("/organisation/name") {
                    placed.push_organisation(&words(name));
                }
                self.add_contact(&mut document, &value);
            }
        }
        placed.add_to(&mut document);
        Ok(document)
    }

    fn add_sorts(&self, document: &mut TantivyDocument, value: &Value) {
        for (field, column) in SortField::ALL.into_iter().zip(self.sorts) {
            let held = value.get(field.name());
            let text = held.and_then(Value::as_str);
            match field {
                SortField::Name => {
                    let name = text.filter(|name| name.chars().count() <= VALUE_LETTERS_MAX);
                    name.into_iter().for_each(|name| document.add_text(column, sort_key(name)));
                }
                SortField::CreatedAt | SortField::UpdatedAt => {
                    let time = text.and_then(milliseconds);
                    time.into_iter().for_each(|time| document.add_i64(column, time));
                }
                SortField::ContactCount => {
                    let count = held.and_then(Value::as_i64);
                    count.into_iter().for_each(|count| document.add_i64(column, count));
                }
            }
        }
    }

    fn add_organisation(&self, document: &mut TantivyDocument, id: &str, value: &Value, contacts: &[Value]) {
        document.add_text(self.below, id);
        for ancestor in value.get("ancestors").and_then(Value::as_array).into_iter().flatten() {
            self.add(document, self.below, ancestor.get("id").and_then(Value::as_str));
        }
        if value.get("contactsTruncated").and_then(Value::as_bool).unwrap_or(false) {
            document.add_text(self.truncated, "yes");
        }
        let mut seen = BTreeSet::new();
        for contact in contacts {
            let text = |path: &str| contact.pointer(path).and_then(Value::as_str);
            // A value that several contacts have counts once.
            if seen.insert((text("/role"), text("/department"))) {
                self.add_pair(document, text("/role"), text("/department"));
            }
        }
        for (name, at) in [("role", 0), ("department", 1)] {
            let values = seen.iter().map(|(role, department)| if at == 0 { *role } else { *department });
            let values: BTreeSet<_> = values.flatten().collect();
            values.into_iter().for_each(|value| self.add(document, self.value(name), Some(value)));
        }
    }

    fn add_contact(&self, document: &mut TantivyDocument, value: &Value) {
        let text = |path: &str| value.pointer(path).and_then(Value::as_str);
        self.add(document, self.value("role"), text("/role"));
        self.add(document, self.value("department"), text("/department"));
        if let Some(organisation) = text("/organisation/id") {
            document.add_text(self.owner, organisation);
            document.add_text(self.below, organisation);
        }
        let ancestors = value.pointer("/organisation/ancestorIds").and_then(Value::as_array);
        for ancestor in ancestors.into_iter().flatten() {
            self.add(document, self.below, ancestor.as_str());
        }
    }

    fn add_pair(&self, document: &mut TantivyDocument, role: Option<&str>, department: Option<&str>) {
        let fits =
            |value: Option<&'_ str>| value.is_some_and(|value| value.chars().count() <= VALUE_LETTERS_MAX);
        if !fits(role) || !fits(department) {
            return;
        }
        if let (Some(role), Some(department)) = (role, department) {
            document.add_text(self.pair, format!("{role}{PAIR}{department}"));
        }
    }

    fn add(&self, document: &mut TantivyDocument, field: Field, value: Option<&str>) {
        if let Some(value) = value.filter(|value| value.chars().count() <= VALUE_LETTERS_MAX) {
            document.add_text(field, value);
        }
    }
}

/// The name of the column of what hits may be ordered by.
pub fn sort_column(field: SortField) -> &'static str {
    match field {
        SortField::Name => "sort_name",
        SortField::CreatedAt => "created_at",
        SortField::UpdatedAt => "updated_at",
        SortField::ContactCount => "contact_count",
    }
}

/// A name as it is looked up whole: its different words in their order.
pub fn name_key<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: BTreeSet<&str> = words.collect();
    words.into_iter().fold("n".to_owned(), |key, word| key + " " + word)
}

/// An e-mail address as it is looked up whole.
pub fn mail_key(mail: &str) -> String {
    format!("m {mail}")
}

impl Default for Fields {
    fn default() -> Self {
        Self::new()
    }
}
