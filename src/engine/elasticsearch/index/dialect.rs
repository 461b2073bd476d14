//! All that differs between Elasticsearch and OpenSearch in the requests and answers of this program.

use elasticsearch::{ClosePointInTimeParts, OpenPointInTimeParts};
use serde_json::{Map, Value, json};

use super::product::Product;
use crate::error::{Error, Result};
use crate::sink::mapping::Mapping;

/// Counts the values below one path of a `flat_object`. Each value of the whole object is there, behind its own path.
const FLAT_VALUES: &str = "def found = []; \
     for (def value : doc[params.field]) { \
       int at = value.indexOf(params.path); \
       if (at == 0 || at == params.root.length() && value.startsWith(params.root)) { \
         found.add(value.substring(at + params.path.length())); \
       } else if (!value.startsWith(params.root)) { found.add(value); } \
     } \
     return found;";

/// The words of OpenSearch's security plugin to a user whom it does not know. Elasticsearch says so in JSON.
const UNKNOWN_USER: [&str; 2] = ["Unauthorized", "Authentication finally failed"];

/// The words of OpenSearch for credentials that it does not know, when an answer has them.
pub(super) fn reason_of_unknown_user(status: u16, answer: &[u8]) -> Option<&'static str> {
    UNKNOWN_USER.into_iter().find(|said| status == 401 && answer.trim_ascii() == said.as_bytes())
}

/// The requests that a server of a product and version understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    product: Product,
    /// Whether a point in time can be read in the order of its shards' documents.
    has_shard_order: bool,
}

impl Dialect {
    /// The dialect of a product, by the first two numbers of its version.
    pub(super) fn of(product: Product, version: (u32, u32)) -> Self {
        let has_shard_order = product == Product::Elasticsearch || version >= (3, 3);
        Self { product, has_shard_order }
    }

    /// The path that opens a point in time on an index.
    pub(crate) fn open_point(self, index: &str, keep_alive: &str) -> String {
        match self.product {
            Product::Elasticsearch => {
                format!("{}?keep_alive={keep_alive}", OpenPointInTimeParts::Index(&[index]).url())
            }
            Product::OpenSearch => {
                let search = elasticsearch::SearchParts::Index(&[index]).url();
                format!("{search}/point_in_time?keep_alive={keep_alive}")
            }
        }
    }

    /// The id of a point in time, from the answer to [`Self::open_point`].
    pub(crate) fn point_id(self, opened: &Value) -> Option<String> {
        let name = match self.product {
            Product::Elasticsearch => "id",
            Product::OpenSearch => "pit_id",
        };
        opened.get(name)?.as_str().map(str::to_owned)
    }

    /// The path and the body that close a point in time.
    pub(crate) fn close_point(self, id: &str) -> (String, Value) {
        match self.product {
            Product::Elasticsearch => (ClosePointInTimeParts::None.url().into_owned(), json!({ "id": id })),
            Product::OpenSearch => ("/_search/point_in_time".to_owned(), json!({"pit_id": [id]})),
        }
    }

    /// Whether an answer says that the server keeps no more points in time. OpenSearch keeps 300 on each node.
    pub(crate) fn is_out_of_points(self, error: &Error) -> bool {
        self.product == Product::OpenSearch && error.chain().contains("too many Point In Time")
    }

    /// Whether an answer says that a query has more clauses than the server allows. OpenSearch allows 1 024, and
    /// Elasticsearch as many as its memory holds.
    pub(crate) fn is_out_of_clauses(error: &Error) -> bool {
        let chain = error.chain();
        // Elasticsearch 9 names the limit in the cause of the second text alone.
        ["maxClauseCount", "too many clauses"].iter().any(|text| chain.contains(text))
    }

    /// The order in which all documents of a point in time are listed, children of these embeds among them.
    pub(super) fn listing_order(self, joined: impl Iterator<Item = &'static str>) -> Value {
        if self.has_shard_order {
            return json!(["_shard_doc"]);
        }
        // A document of another writer may lack the id, or hold that of another document.
        let by = |field: String| json!({field: {"order": "asc", "unmapped_type": "keyword"}});
        let fields = std::iter::once("id".to_owned()).chain(joined.map(|embed| format!("{embed}.id")));
        let order: Vec<Value> = fields.map(by).chain([json!({"_doc": "asc"})]).collect();
        json!(order)
    }

    /// The terms whose number is counted for the values of a field, which may lie inside an object with any members.
    pub(crate) fn terms(self, field: &str, inside: Option<&str>, size: usize) -> Value {
        match (self.product, inside) {
            // There a value below a `flat_object` is counted with all other values of the object (seen with
            // 2.19.1 and 3.8.0). The field alone is therefore not enough.
            (Product::OpenSearch, Some(root)) => {
                let params = json!({"field": field, "path": format!("{field}="), "root": format!("{root}.")});
                json!({"script": {"lang": "painless", "source": FLAT_VALUES, "params": params}, "size": size})
            }
            _ => json!({"field": field, "size": size}),
        }
    }

    /// A mapping in the words of this server.
    ///
    /// # Errors
    /// Exit code 2 with the name of a field that the server has no words for.
    pub(super) fn translate(self, mapping: &Mapping) -> Result<Mapping> {
        let mut translated = mapping.clone();
        let fields = translated.body.get_mut("mappings").and_then(Value::as_object_mut);
        if let Some(fields) = fields {
            self.translate_fields(fields, &mut Vec::new(), mapping)?;
        }
        Ok(translated)
    }

    fn translate_fields(
        self,
        parent: &mut Map<String, Value>,
        path: &mut Vec<String>,
        mapping: &Mapping,
    ) -> Result<()> {
        for group in ["properties", "fields"] {
            let fields = parent.get_mut(group).and_then(Value::as_object_mut);
            for (name, field) in fields.into_iter().flatten() {
                let Some(field) = field.as_object_mut() else { continue };
                path.push(name.clone());
                let kind = field.get("type").and_then(Value::as_str);
                match (self.product, kind) {
                    (Product::OpenSearch, Some("flattened")) => {
                        *field = flat_object(field, &path.join("."), mapping)?;
                    }
                    (Product::Elasticsearch, Some("flat_object")) => {
                        field.insert("type".to_owned(), json!("flattened"));
                        // OpenSearch has no limit. No event is nested as deeply.
                        field.insert("depth_limit".to_owned(), json!(40));
                    }
                    _ => self.translate_fields(field, path, mapping)?,
                }
                path.pop();
            }
        }
        Ok(())
    }
}

/// The field that stands for one of the type `flattened` on OpenSearch.
fn flat_object(flattened: &Map<String, Value>, path: &str, mapping: &Mapping) -> Result<Map<String, Value>> {
    let projection = mapping.projection.name();
    // Nothing limits the depth of a `flat_object`.
    let is_sayable = |name: &str| matches!(name, "type" | "depth_limit" | "ignore_above");
    if let Some(name) = flattened.keys().find(|name| !is_sayable(name)) {
        return Err(Error::usage(format!(
            "index.mappings: the field {path} of {projection}.json is of the type flattened with {name}, which \
             OpenSearch cannot say. Take {name} out, or write a type of OpenSearch"
        )));
    }
    let is_searched = mapping.filtered.iter().any(|inside| inside == path);
    let body = if flattened.contains_key("ignore_above") && !is_searched {
        // A `flat_object` refuses a document with a longer text. The document goes before searches in this field.
        json!({"type": "object", "enabled": false})
    } else {
        json!({"type": "flat_object"})
    };
    Ok(body.as_object().cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::mappings::Mappings;

    fn translate(product: Product, version: (u32, u32), fields: Value) -> Result<Value> {
        let folder = tempfile::tempdir().unwrap();
        let text = json!({"mappings": {"properties": fields}}).to_string();
        std::fs::write(folder.path().join("organisations.json"), text).unwrap();
        let mapping =
            Mapping::load(&Mappings::of_built_in(folder.path()), crate::plan::ORGANISATIONS).unwrap();
        let translated = Dialect::of(product, version).translate(&mapping)?;
        assert_eq!(translated.hash, mapping.hash, "the file decides");
        Ok(translated.body["mappings"]["properties"].clone())
    }

    #[test]
    fn a_flattened_field_is_a_flat_object_of_opensearch_and_the_other_way_round() {
        let flattened = json!({"type": "flattened", "ignore_above": 1024, "depth_limit": 40});
        let fields = json!({
            "address": flattened, "attributes": flattened, "id": {"type": "keyword"},
            "inner": {"properties": {"plain": {"type": "flattened"}, "address": flattened}},
        });
        let (flat, object) = (json!({"type": "flat_object"}), json!({"type": "object", "enabled": false}));
        let expected = json!({
            "address": flat, "attributes": object, "id": {"type": "keyword"},
            "inner": {"properties": {"plain": flat, "address": object}},
        });
        assert_eq!(translate(Product::OpenSearch, (2, 19), fields.clone()).unwrap(), expected);
        assert_eq!(translate(Product::Elasticsearch, (9, 2), fields.clone()).unwrap(), fields);
        let deep = json!({"type": "flattened", "depth_limit": 40});
        assert_eq!(
            translate(Product::Elasticsearch, (8, 0), json!({"address": flat})).unwrap(),
            json!({"address": deep})
        );
        assert_eq!(
            translate(Product::OpenSearch, (3, 8), json!({"address": flat})).unwrap(),
            json!({"address": flat})
        );
    }

    #[test]
    fn a_parameter_that_opensearch_cannot_say_is_refused_by_its_field() {
        let fields = json!({"inner": {"properties": {"a": {"type": "flattened", "null_value": "none"}}}});
        let error = translate(Product::OpenSearch, (3, 8), fields).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        for said in ["inner.a", "organisations.json", "null_value"] {
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn a_point_in_time_is_listed_in_an_order_that_the_version_knows() {
        let order = |product, version| Dialect::of(product, version).listing_order(std::iter::empty());
        let by_shard = json!(["_shard_doc"]);
        assert_eq!(order(Product::Elasticsearch, (8, 19)), by_shard);
        assert_eq!(order(Product::OpenSearch, (3, 3)), by_shard);
        for version in [(2, 19), (3, 2), (0, 0)] {
            assert_eq!(order(Product::OpenSearch, version)[0]["id"]["order"], "asc", "{version:?}");
        }
    }
}
