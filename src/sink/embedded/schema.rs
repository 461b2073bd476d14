//! How a document lies in the embedded index: what is searched, and its JSON as it is.
//!
//! Nested contacts are folded into fields of their organisation: what matters to a search is whether
//! any of them matches, and which pairs of role and department one and the same contact has.

use serde_json::Value;
use tantivy::TantivyDocument;
use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, NumericOptions, STORED, Schema, TextFieldIndexing, TextOptions,
};

/// Longer values are kept and not found, as the mappings' `ignore_above` has it.
const VALUE_LETTERS_MAX: usize = 1_024;
/// Parts a role from a department: no letter that a person types.
pub const PAIR: char = '\u{1f}';

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
    /// The words of its name.
    pub name: Field,
    /// Its name folded, whole.
    pub exact: Field,
    /// The words of its own fields.
    pub words: Field,
    /// The words of its contacts, or of its organisation's name.
    pub related: Field,
    /// Its phone number's digits, reversed.
    pub phone: Field,
    /// Those of its contacts.
    pub related_phone: Field,
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
        let indexed = |tokenizer: &str| {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer(tokenizer)
                .set_fieldnorms(false)
                .set_index_option(IndexRecordOption::Basic);
            TextOptions::default().set_indexing_options(indexing)
        };
        let (words, raw) = (indexed("whitespace"), indexed("raw"));
        let counted = raw.clone().set_fast("raw");
        let id = builder.add_text_field("id", counted.clone() | STORED);
        let version = builder.add_u64_field("version", NumericOptions::default().set_fast());
        let document = builder.add_bytes_field("document", BytesOptions::default().set_stored());
        let name = builder.add_text_field("name", words.clone());
        let exact = builder.add_text_field("exact", raw.clone());
        let own = builder.add_text_field("words", words.clone());
        let related = builder.add_text_field("related", words);
        let phone = builder.add_text_field("phone", raw.clone());
        let related_phone = builder.add_text_field("related_phone", raw.clone());
        let below = builder.add_text_field("below", raw.clone());
        let owner = builder.add_text_field("owner", counted.clone());
        let truncated = builder.add_text_field("truncated", raw.clone());
        let pair = builder.add_text_field("pair", raw);
        let names = ["country", "industry", "status", "tag", "role", "department"];
        let values = names.map(|name| (name, builder.add_text_field(name, counted.clone())));
        let schema = builder.build();
        Self {
            schema,
            id,
            version,
            document,
            name,
            exact,
            words: own,
            related,
            phone,
            related_phone,
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
        let name = text("/_search/name").unwrap_or_default();
        document.add_text(self.name, name);
        self.add(&mut document, self.exact, Some(name));
        document.add_text(self.words, text("/_search/words").unwrap_or_default());
        self.add(&mut document, self.phone, text("/_search/phone"));
        for (field, path) in
            [("country", "/address/country"), ("industry", "/industry"), ("status", "/status")]
        {
            self.add(&mut document, self.value(field), text(path));
        }
        for tag in value.get("tags").and_then(Value::as_array).into_iter().flatten() {
            self.add(&mut document, self.value("tag"), tag.as_str());
        }
        match value.get("contacts").and_then(Value::as_array) {
            Some(contacts) => self.add_organisation(&mut document, id, &value, contacts),
            None => self.add_contact(&mut document, &value),
        }
        Ok(document)
    }

    fn add_organisation(&self, document: &mut TantivyDocument, id: &str, value: &Value, contacts: &[Value]) {
        document.add_text(self.below, id);
        for ancestor in value.get("ancestors").and_then(Value::as_array).into_iter().flatten() {
            self.add(document, self.below, ancestor.get("id").and_then(Value::as_str));
        }
        if value.get("contactsTruncated").and_then(Value::as_bool).unwrap_or(false) {
            document.add_text(self.truncated, "yes");
        }
        let mut seen = std::collections::HashSet::new();
        for contact in contacts {
            let text = |path: &str| contact.pointer(path).and_then(Value::as_str);
            if let Some(words) = text("/_search/words") {
                document.add_text(self.related, words);
            }
            self.add(document, self.related_phone, text("/_search/phone"));
            // A value that several contacts have counts once.
            if seen.insert((text("/role"), text("/department"))) {
                self.add_pair(document, text("/role"), text("/department"));
            }
        }
        for (name, at) in [("role", 0), ("department", 1)] {
            let values = seen.iter().map(|(role, department)| if at == 0 { *role } else { *department });
            let values: std::collections::BTreeSet<_> = values.flatten().collect();
            values.into_iter().for_each(|value| self.add(document, self.value(name), Some(value)));
        }
    }

    fn add_contact(&self, document: &mut TantivyDocument, value: &Value) {
        let text = |path: &str| value.pointer(path).and_then(Value::as_str);
        if let Some(words) = text("/_search/organisation") {
            document.add_text(self.related, words);
        }
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

impl Default for Fields {
    fn default() -> Self {
        Self::new()
    }
}
