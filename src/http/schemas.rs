//! The schemas of requests and answers (JSON Schema 2020-12, as OpenAPI 3.1 has them), generated from their types.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value};

use super::admin::{LettersRequest, LinkAnswer, LinkRequest};
use super::explain::ExplainRequest;
use super::model::ModelDescription;
use super::problem::Problem;
use super::suggest::Suggestions;
use crate::pipeline::dead_letter_outcomes::{DiscardOutcome, RetryOutcome};
use crate::pipeline::status::Report;
use crate::search::service::Page;
use crate::verify::{Line, VerifyRequest};

/// Where a description holds its schemas.
const PATH: &str = "/components/schemas";

/// Every schema by its name. A request may leave out members that have defaults, and an answer has all of its members.
pub(super) fn schemas() -> Map<String, Value> {
    let requests: [fn(&mut SchemaGenerator); 4] =
        [add::<LettersRequest>, add::<LinkRequest>, add::<ExplainRequest>, add::<VerifyRequest>];
    let answers: [fn(&mut SchemaGenerator); 9] = [
        add::<Page>,
        add::<Suggestions>,
        add::<Problem<'static>>,
        add::<Report>,
        add::<ModelDescription>,
        add::<RetryOutcome>,
        add::<DiscardOutcome>,
        add::<LinkAnswer>,
        add::<Line>,
    ];
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = PATH.into();
        settings.meta_schema = None;
    });
    let mut schemas = definitions(settings.clone().for_deserialize(), &requests);
    schemas.extend(definitions(settings.for_serialize(), &answers));
    schemas
}

fn definitions(settings: SchemaSettings, add: &[fn(&mut SchemaGenerator)]) -> Map<String, Value> {
    let mut generator = settings.into_generator();
    add.iter().for_each(|add| add(&mut generator));
    generator.take_definitions(true)
}

fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Serialize;

    use super::*;
    use crate::http::openapi::OPENAPI;
    use crate::verify::Summary;

    fn collect_references(value: &Value, references: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect_references(item, references)),
            Value::Object(members) => {
                references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| collect_references(member, references));
            }
            _ => {}
        }
    }

    #[test]
    fn every_reference_of_the_description_leads_to_a_schema() {
        let mut description: Value = serde_json::from_str(OPENAPI).unwrap();
        description["components"]["schemas"] = schemas().into();
        let mut references = BTreeSet::new();
        collect_references(&description, &mut references);
        assert!(references.contains("#/components/schemas/Hit"), "{references:?}");
        for reference in references {
            assert!(description.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
    }

    /// The members of an answer, and those that its schema requires.
    fn members_of<T: Default + Serialize>(name: &str) -> [BTreeSet<String>; 2] {
        let answer = serde_json::to_value(T::default()).unwrap();
        let members = answer.as_object().unwrap().keys().cloned().collect();
        let schemas = schemas();
        let required = schemas[name]["required"].as_array().unwrap();
        [members, required.iter().map(|member| member.as_str().unwrap().to_owned()).collect()]
    }

    #[test]
    fn a_schema_requires_the_members_that_every_answer_has() {
        for [answer, required] in [
            members_of::<Summary>("VerifySummary"),
            members_of::<RetryOutcome>("Retried"),
            members_of::<DiscardOutcome>("Discarded"),
        ] {
            assert!(!answer.is_empty());
            assert_eq!(answer, required);
        }
        // The members of a flattened part are those of the whole.
        let schemas = schemas();
        let status = schemas["Status"]["required"].as_array().unwrap();
        assert!(status.contains(&"reasons".into()) && status.contains(&"index_server".into()), "{status:?}");
        // A member that an answer may leave out, and one that a request may.
        assert_eq!(schemas["Page"]["properties"]["next"]["type"], "string");
        assert!(!schemas["Page"]["required"].as_array().unwrap().contains(&"next".into()));
        assert!(schemas["VerifyRequest"].get("required").is_none(), "{}", schemas["VerifyRequest"]);
    }
}
