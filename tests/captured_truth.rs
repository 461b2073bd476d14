//! The records of real producers (`tests/captured`), folded from files, end in the last content of their databases.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Map, Value, json};

use crate::capture::{base64, captured, lines, read, reasons};
use crate::encodings::{field, id_of};
use crate::harness::World;
use crate::registry::Registry;

/// A folder of captured topics, and how they are read. A topic has the name of its table.
pub struct Capture {
    pub folder: &'static str,
    pub format: &'static str,
    pub encoding: &'static str,
    pub settings: &'static str,
    pub organisations: Option<&'static str>,
    pub contacts: Option<&'static str>,
    /// The columns that stay as they came, because nothing tells their meaning.
    pub untyped: &'static [&'static str],
    /// The members that the connector added to every row.
    pub added: &'static [&'static str],
}

/// Without a schema a decimal is bytes, a time of day and an interval are numbers, and hstore is text.
const UNTYPED: [&str; 7] =
    ["revenue", "annual_revenue", "rating", "salary", "opens_at", "contract_term", "labels"];

/// The schema names an interval, and its months have no length in days: the number stays.
const INTERVAL: [&str; 1] = ["contract_term"];

/// The names that `add.fields` of the connector gave.
const ADDED: [&str; 4] = ["__lsn", "__op", "__source_ts_ms", "__table"];

/// Columns of the model's own names. `from` says of which unit the numbers are.
const DATES: &str = "organisations.from = {founded = \"days\"}\ncontacts.from = {dateOfBirth = \"days\"}\n";
const NAMES: &str = "organisations.naming = \"snake_case\"\ncontacts.naming = \"snake_case\"\n\
                     organisations.from = {updatedAt = \"micros\", founded = \"days\"}\n\
                     contacts.from = {updatedAt = \"micros\", birth_date = \"days\"}\n";

pub const APP: Capture = Capture {
    folder: "debezium-json",
    format: "debezium",
    encoding: "json",
    settings: DATES,
    organisations: Some("app.organisations"),
    contacts: Some("app.contacts"),
    untyped: &UNTYPED,
    added: &[],
};
const CRM: Capture = Capture {
    settings: NAMES,
    organisations: Some("crm.organisations"),
    contacts: Some("crm.contacts"),
    ..APP
};

pub type Rows = BTreeMap<String, Map<String, Value>>;

impl Capture {
    const fn flattened(self, folder: &'static str, added: &'static [&'static str]) -> Self {
        Self { folder, format: "plain", added, ..self }
    }

    const fn avro(self) -> Self {
        Self { folder: "debezium-avro", encoding: "avro", untyped: &INTERVAL, ..self }
    }

    /// The captured topics, each with the projection that is made of it.
    pub fn topics(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let topics = [("organisations", self.organisations), ("contacts", self.contacts)];
        topics.into_iter().filter_map(|(projection, topic)| Some((projection, topic?)))
    }

    /// The documents that the captured lines make, each line as it is.
    pub fn folded(&self) -> World {
        let texts = self.topics().map(|(projection, topic)| (projection, topic, lines(self.folder, topic)));
        self.fold(&texts.collect::<Vec<_>>())
    }

    pub fn fold(&self, topics: &[(&str, &str, String)]) -> World {
        let Self { folder, format, encoding, settings, .. } = self;
        let schemas = captured(folder).join("schemas.json");
        let registry = Registry::start(if schemas.exists() { read(&schemas) } else { json!({}) });
        let mut config = format!(
            "source.kind = \"files\"\nsource.path = \"events\"\nschema_registry.url = {:?}\n{settings}",
            registry.url
        );
        for (entity, topic, _) in topics {
            config += &format!(
                "{entity}.topics = [{topic:?}]\n{entity}.format = {format:?}\n{entity}.encoding = {encoding:?}\n"
            );
        }
        let world = World::embedded("captured-truth", &config);
        fs::create_dir_all(world.path("events")).unwrap();
        for (_, topic, lines) in topics {
            fs::write(world.path("events").join(format!("{topic}.jsonl")), lines).unwrap();
        }
        world.succeed(&["run", "--until-end"]);
        world
    }

    /// The rows that a topic brought, in order, by their ids. A deletion has no row.
    fn came(&self, topic: &str) -> Vec<(String, Value)> {
        let records: Vec<Value> = match self.encoding {
            "avro" => read(&captured(self.folder).join("expected.json"))[topic].as_array().unwrap().clone(),
            _ => lines(self.folder, topic).lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        };
        let row = |record: &Value| {
            let key = record["key"].as_str().map(|key| serde_json::from_str(key).unwrap());
            let key: Value = bare(key.as_ref().unwrap_or(&record["key"])).clone();
            let value = bare(&record["value"]);
            (id_of(&key["id"]), if self.format == "debezium" { &value["after"] } else { value }.clone())
        };
        records.iter().map(row).collect()
    }

    /// The differences between the documents and the tables that they come from, after these changes of the tables.
    fn differences(&self, world: &World, changed: &[(&str, &str, Value)]) -> Vec<String> {
        let tables = read(&captured("expected-tables.json"));
        let mut found = Vec::new();
        for (projection, table) in self.topics() {
            let came = self.came(table);
            let mut rows = Rows::new();
            for row in tables[table].as_array().unwrap() {
                let id = id_of(&row["id"]);
                let mut row = row.as_object().unwrap().clone();
                for (column, held) in
                    row.iter_mut().filter(|(column, _)| self.untyped.contains(&column.as_str()))
                {
                    *held = last(&came, &id, column).unwrap_or(held).clone();
                }
                let later = changed.iter().filter(|(of, ..)| *of == format!("{table}/{id}"));
                row.extend(later.map(|(_, column, value)| ((*column).to_owned(), value.clone())));
                rows.insert(id, row);
            }
            let of_table = self.of_rows(&world.documents(projection), &rows);
            found.extend(of_table.iter().map(|what| format!("{table}/{what}")));
        }
        found
    }

    /// The reason of these differences: no record holds the table's value.
    fn assert_never_came(&self, differences: &[String]) {
        for difference in differences {
            let (table, what) = difference.split_once('/').unwrap();
            let came = self.came(table);
            match what.split_once('.') {
                Some((id, column)) => assert_eq!(last(&came, id, column), None, "{difference}"),
                None => {
                    let id = what.trim_end_matches(" is too much");
                    let (_, row) = came.iter().rfind(|(of, _)| of == id).unwrap();
                    assert!(row.is_object() && row["__deleted"] != json!("true"), "{difference}: {row}");
                }
            }
        }
    }

    /// The differences between documents and the rows that they come from.
    pub fn of_rows(&self, documents: &BTreeMap<String, Value>, rows: &Rows) -> Vec<String> {
        let mut found = Vec::new();
        for (id, row) in rows {
            match documents.get(id) {
                Some(document) => {
                    found.extend(self.of_row(document, row).iter().map(|what| format!("{id}.{what}")));
                }
                None => found.push(format!("{id} is missing")),
            }
        }
        let surplus = documents.keys().filter(|id| !rows.contains_key(*id));
        found.extend(surplus.map(|id| format!("{id} is too much")));
        found
    }

    /// The columns that a document holds otherwise than its row, or that the row does not have.
    fn of_row(&self, document: &Value, row: &Map<String, Value>) -> Vec<String> {
        let differs = |(column, held): &(&String, &Value)| {
            shape(&field(document, name_of(column))) != shape(&as_text(held))
        };
        let mut found: Vec<String> = row.iter().filter(differs).map(|(column, _)| column.clone()).collect();
        let attributes = document["attributes"].as_object().into_iter().flatten();
        let unknown =
            attributes.filter(|(name, _)| !row.contains_key(*name) && !self.added.contains(&name.as_str()));
        found.extend(unknown.map(|(name, _)| format!("{name} is no column")));
        found
    }
}

/// A value as both sides can have it: ids as text, times without the zeros at their end.
fn shape(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.to_string()),
        Value::String(text) if text.len() > 18 && text.as_bytes()[10] == b'T' => {
            let text = text.replace("+00:00", "").replace('Z', "");
            json!(if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text })
        }
        _ => value.clone(),
    }
}

/// The model's name of a column in snake_case.
fn name_of(column: &str) -> &str {
    match column {
        "parent_id" => "parentId",
        "organisation_id" => "organisationId",
        "first_name" => "firstName",
        "last_name" => "lastName",
        "created_at" => "createdAt",
        "updated_at" => "updatedAt",
        other => other,
    }
}

/// A key or value without the wrapper that holds its schema.
fn bare(value: &Value) -> &Value {
    value.get("payload").unwrap_or(value)
}

/// The last value of a column that an event of this entity brought.
fn last<'a>(came: &'a [(String, Value)], id: &str, column: &str) -> Option<&'a Value> {
    let mut values = came.iter().filter(|(of, _)| of == id).filter_map(|(_, row)| row.get(column));
    values.rfind(|value| !is_placeholder(value))
}

/// Debezium's mark of a large value that was left alone: as text or inside it, in base64, and as a list of its bytes.
fn is_placeholder(value: &Value) -> bool {
    const MARK: &str = "__debezium_unavailable_value";
    let text = value.to_string();
    text.contains(MARK)
        || text.contains("X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ")
        || *value == json!(MARK.as_bytes())
}

/// Bytes as documents have them: PostgreSQL writes them in hexadecimal digits, a document in base64.
fn as_text(value: &Value) -> Value {
    let Some(digits) = value.as_str().and_then(|text| text.strip_prefix("\\x")) else {
        return value.clone();
    };
    let bytes: Vec<u8> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    json!(base64(&bytes))
}

pub const NOTHING: [String; 0] = [];

/// The columns whose values only the schema tells. None of them was changed between the records and the tables.
const TYPED: [&str; 4] = ["address", "revenue", "founded", "dateOfBirth"];

/// A row with large values was given another key, and the events under the new key hold placeholders for these columns.
const LARGE: [&str; 6] = ["address", "codes", "labels", "logo", "notes", "tags"];

fn large_values() -> [String; 6] {
    LARGE.map(|column| format!("crm.organisations/0b8f2e64-0000-4000-8000-000000000006.{column}"))
}

/// This column was added with a default, which sends no event. `debezium-json` has it by an incremental snapshot.
const ADDED_LATER: &str = "region";

/// Debezium sends a truncation only with `skipped.operations=none`, which the connector of the flattened rows did not have.
/// So these rows of before the truncation stay.
const TRUNCATED: [&str; 3] = ["1", "77", "9007199254740993"];

#[test]
fn change_events_in_json_end_in_what_the_tables_hold() {
    let never_sent = large_values();
    for (capture, expected) in [(APP, &[][..]), (CRM, &never_sent)] {
        let world = capture.folded();
        assert_eq!(reasons(&world), NOTHING);
        assert_eq!(capture.differences(&world, &[]), expected);
        capture.assert_never_came(expected);
    }
}

#[test]
fn flattened_rows_end_in_what_the_tables_hold() {
    let new_column =
        ["2", "33", "4", "5", "7", "9"].map(|id| format!("app.organisations/{id}.{ADDED_LATER}"));
    let truncated = TRUNCATED.map(|id| format!("crm.contacts/{id} is too much"));
    let crm = [&large_values()[..], &truncated].concat();
    let rewrite = |capture: Capture| capture.flattened("flattened-rewrite", &ADDED);
    let tombstone = |capture: Capture| capture.flattened("flattened-tombstone", &[]);
    for (capture, expected) in [
        (rewrite(APP), &new_column[..]),
        (rewrite(CRM), &crm),
        (tombstone(APP), &new_column),
        (tombstone(Capture { organisations: None, ..CRM }), &truncated),
    ] {
        let world = capture.folded();
        assert_eq!(reasons(&world), NOTHING, "{}", capture.folder);
        assert_eq!(capture.differences(&world, &[]), expected, "{}", capture.folder);
        capture.assert_never_came(expected);
    }
}

#[test]
fn change_events_in_avro_end_in_what_the_tables_hold() {
    // The values that changed after the tables were written down, as the other decoder has them.
    let changed = [
        ("app.organisations/11", "status", json!("active")),
        ("app.organisations/11", "segment", json!("enterprise")),
        ("crm.organisations/0b8f2e64-0000-4000-8000-000000000001", "rating", json!(3.5)),
    ];
    for capture in [APP.avro(), Capture { contacts: None, ..CRM.avro() }] {
        let world = capture.folded();
        assert_eq!(reasons(&world), NOTHING);
        assert_eq!(capture.differences(&world, &changed), NOTHING);
    }
}

/// Only the first record of each kind was captured with its schema, so the rows end before those of the tables.
#[test]
fn change_events_with_schemas_end_in_the_last_row_that_came() {
    let capture = Capture { folder: "debezium-json-schemas", settings: "", untyped: &INTERVAL, ..APP };
    let world = capture.folded();
    assert_eq!(reasons(&world), NOTHING);
    let tables = read(&captured("expected-tables.json"));
    for (projection, table) in capture.topics() {
        let came = capture.came(table);
        let mut rows = Rows::new();
        for (id, row) in &came {
            match row.as_object() {
                Some(row) => drop(rows.insert(id.clone(), row.clone())),
                None => drop(rows.remove(id)),
            }
        }
        assert!(rows.len() > 1, "{table}: {rows:?}");
        for (id, row) in &mut rows {
            // The row 1 was given the key 11 later.
            let later = if id == "1" { "11" } else { id };
            let held =
                tables[table].as_array().unwrap().iter().find(|held| id_of(&held["id"]) == later).unwrap();
            for (column, value) in row {
                *value = last(&came, id, column).cloned().unwrap_or_default();
                if TYPED.contains(&column.as_str()) && !value.is_null() {
                    *value = held[column].clone();
                }
            }
        }
        // A contact refers to an organisation whose record was not captured with its schema: a stub.
        let documents = world.documents(projection);
        let (stubs, documents) =
            documents.into_iter().partition(|(_, document)| document["stub"] == json!(true));
        let stubs: BTreeMap<String, Value> = stubs;
        assert_eq!(
            stubs.into_keys().collect::<Vec<_>>(),
            if projection == "contacts" { vec![] } else { vec!["7"] }
        );
        assert_eq!(capture.of_rows(&documents, &rows), NOTHING, "{table}");
    }
}

#[test]
fn rows_of_a_composite_key_end_in_what_the_table_holds() {
    const TABLE: &str = "crm.tenant_contacts";
    let naming = Capture {
        settings: "contacts.naming = \"snake_case\"\n",
        organisations: None,
        contacts: Some(TABLE),
        ..CRM
    };
    let keyed = Capture {
        settings: "contacts.key = [\"tenant_id\", \"id\"]\ncontacts.naming = \"snake_case\"\n",
        ..naming
    };
    // The table was truncated in the end. Without that record the documents are its rows.
    let world = keyed.folded();
    assert_eq!((reasons(&world), keyed.differences(&world, &[])), (Vec::new(), Vec::new()));
    let text = lines(keyed.folder, TABLE);
    let (before, truncation) = text.trim_end().rsplit_once('\n').unwrap();
    assert!(truncation.contains("\"op\":\"t\""), "{truncation}");
    let world = keyed.fold(&[("contacts", TABLE, format!("{before}\n"))]);
    let row = json!({
        "id": "1:1", "tenant_id": 1, "organisation_id": "0b8f2e64-0000-4000-8000-000000000001",
        "first_name": "Tessa", "last_name": "Tenant"
    });
    let rows = Rows::from([("1:1".to_owned(), row.as_object().unwrap().clone())]);
    assert_eq!(keyed.of_rows(&world.documents("contacts"), &rows), NOTHING);
    // Without the setting every record with such a key is poison. The truncation is none.
    let told = reasons(&naming.folded());
    assert!(told.len() == 5 && told.iter().all(|reason| reason.contains("by the setting key")), "{told:?}");
}
