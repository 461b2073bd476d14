//! Change events as Confluent's JSON Schema converter writes them. It is in no public registry of packages. Captured
//! events of Connect's own converter are therefore put into its form, as its source has it
//! (`JsonSchemaData.rawSchemaFromConnectSchema`).

use std::fs;

use serde_json::{Value, json};

use crate::capture::{base64, reasons};
use crate::files;
use crate::harness::World;
use crate::registry::Registry;

const TOPICS: [&str; 2] = ["app.organisations", "app.contacts"];

/// The JSON Schema of a schema of Kafka Connect.
fn json_schema(schema: &Value, index: Option<usize>) -> Value {
    let kind = schema["type"].as_str().unwrap();
    let mut made = match kind {
        "struct" => {
            let fields = schema["fields"].as_array().unwrap().iter().enumerate();
            let properties = fields.map(|(at, field)| {
                (field["field"].as_str().unwrap().to_owned(), json_schema(field, Some(at)))
            });
            json!({"type": "object", "properties": properties.collect::<serde_json::Map<_, _>>()})
        }
        "array" => json!({"type": "array", "items": json_schema(&schema["items"], None)}),
        "map" => {
            json!({"type": "object", "connect.type": "map", "additionalProperties": json_schema(&schema["values"], None)})
        }
        "string" => json!({"type": "string"}),
        "boolean" => json!({"type": "boolean"}),
        "bytes" => json!({"type": "string", "connect.type": "bytes"}),
        "float" | "double" => json!({"type": "number", "connect.type": "float64"}),
        _ => json!({"type": "integer", "connect.type": kind}),
    };
    for (name, of) in
        [("title", "name"), ("connect.version", "version"), ("connect.parameters", "parameters")]
    {
        if !schema[of].is_null() {
            made[name] = schema[of].clone();
        }
    }
    if schema["optional"] == json!(true) {
        made = json!({"oneOf": [{"type": "null"}, made]});
    }
    if let Some(index) = index {
        made["connect.index"] = json!(index);
    }
    made
}

/// The bytes that the converter writes for a wrapped value: a frame with its payload. The schema is registered.
fn framed(wrapped: &Value, schemas: &mut Vec<Value>) -> Vec<u8> {
    let schema = json_schema(&wrapped["schema"], None);
    let id = schemas.iter().position(|held| *held == schema).unwrap_or_else(|| {
        schemas.push(schema);
        schemas.len() - 1
    });
    let id = u32::try_from(id).unwrap().to_be_bytes();
    [&[0], &id[..], wrapped["payload"].to_string().as_bytes()].concat()
}

fn world(extra: &str, topics: &[(&str, String)]) -> World {
    let mut settings = "source.kind = \"files\"\nsource.path = \"events\"\n".to_owned();
    for (entity, topic) in ["organisations", "contacts"].iter().zip(TOPICS) {
        settings += &format!("{entity}.topics = [{topic:?}]\n{entity}.format = \"debezium\"\n");
    }
    let world = World::embedded("json-schemas", &(settings + extra));
    fs::create_dir_all(world.path("events")).unwrap();
    for (topic, lines) in topics {
        fs::write(world.path("events").join(format!("{topic}.jsonl")), lines).unwrap();
    }
    world.succeed(&["run", "--until-end"]);
    world
}

#[test]
fn types_that_connect_names_in_json_schemas_are_read_as_those_beside_the_values() {
    let mut schemas = Vec::new();
    let (mut wrapped, mut encoded) = (Vec::new(), Vec::new());
    for topic in TOPICS {
        let path = format!("tests/captured/debezium-json-schemas/{topic}.jsonl");
        let lines = files::read(path);
        let framed = lines.lines().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let key = serde_json::from_str(line["key"].as_str().unwrap()).unwrap();
            let key = base64(&framed(&key, &mut schemas));
            let value = match &line["value"] {
                Value::Null => Value::Null,
                value => json!(base64(&framed(value, &mut schemas))),
            };
            json!({"key_base64": key, "value_base64": value}).to_string() + "\n"
        });
        encoded.push((topic, framed.collect()));
        wrapped.push((topic, lines));
    }
    let registered = schemas.iter().enumerate().map(|(id, schema)| {
        let schema = json!({"subject": id.to_string(), "version": 1, "schemaType": "JSON", "schema": schema.to_string()});
        (id.to_string(), schema)
    });
    let registry = Registry::start(Value::Object(registered.collect()));
    let encoding = "organisations.encoding = \"json-schema\"\ncontacts.encoding = \"json-schema\"\n";
    let with_registry = format!("{encoding}schema_registry.url = {:?}\n", registry.url);
    let (beside, named) = (world("", &wrapped), world(&with_registry, &encoded));
    assert_eq!((reasons(&beside), reasons(&named)), (Vec::new(), Vec::new()));
    assert_eq!(named.all_documents(), beside.all_documents());
    let attributes = &named.documents("organisations")["11"]["attributes"];
    assert_eq!(
        (&attributes["revenue"].to_string(), &attributes["founded"]),
        (&"1234567890.12".to_owned(), &json!("1987-03-09"))
    );
    let bare = world(encoding, &encoded);
    assert_eq!(reasons(&bare), Vec::<String>::new(), "values can be read without a registry");
    assert_eq!(bare.documents("organisations")["11"]["attributes"]["founded"], json!(6276));
}
